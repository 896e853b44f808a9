"""Imports and syncs in shards: planned once, applied anywhere, and the account ends as if nothing had been cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from klickdoxie_core import ConfigError, Effect, Journal, State
from klickdoxie_core.sharding import Shard, ShardReport, ShardRun, enlist, merge, reopened, run_locally, split
from klickdoxie_core.table import open_table
from klicktipp_async import Contact, KlickTipp
from klicktipp_async.crm import ContactSync, Mapping, SyncReport
from klicktipp_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

MAPPING = Mapping(
    email="Mail",
    crm_id=("Nr", "CRM-Kennung"),
    fields={"Vorname": "fieldFirstName"},
    segments=["Segmente"],
    tags=["Tags"],
)
CREATE_TAG, UPSERT = "Create Tag", "Add or Update Contact"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Sockets are served on asyncio only."""
    return "asyncio"


@pytest.fixture
async def box(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """An account on a socket; what a worker needs to reach it stands in its environment, and nowhere else."""
    async with Sandbox() as box, box.serve() as url:
        box.add_field("CRM-Kennung")
        variables = {"USERNAME": box.username, "PASSWORD": box.password, "BASE_URL": url}
        for name, value in variables.items():
            monkeypatch.setenv(f"KLICKTIPP_{name}", value)
        yield box


async def add_rows(run: ShardRun) -> None:
    """Add or update the contact of each row; who is in doubt is looked up."""
    async with KlickTipp.from_env(limit=run.limit) as kt:

        async def add(row: dict[str, str]) -> Contact:
            return await kt.contacts.upsert(email=row["E-Mail"], fields={"fieldFirstName": row["Vorname"]})

        async def find_out(row: dict[str, str]) -> Contact:
            contact_id = await kt.contacts.find_id(row["E-Mail"])
            return await add(row) if contact_id is None else await kt.contacts.get(contact_id)

        await run.bulk(add, effect=Effect.ONCE, reconcile=find_out, keep=lambda contact: contact.id)


async def sync_rows(run: ShardRun) -> None:
    """Apply the part of a plan that stands in the shard's journal."""
    async with KlickTipp.from_env(limit=run.limit) as kt:
        opt_in_id = run.shard.options["opt_in_id"]
        assert isinstance(opt_in_id, int)
        sync = ContactSync(
            kt, mapping=MAPPING, opt_in_id=opt_in_id, journal=run.shard.journal, concurrency=4, on_progress=run.tell
        )
        run.when_stopped(sync.stop)
        await sync.apply()


async def run_all(shards: Sequence[Shard], **options: Any) -> dict[int, ShardReport]:
    """What became of each shard."""
    async with run_locally(shards, **options) as reports:
        return {report.number: report async for report in reports}


async def sharded(box: Sandbox, folder: Path, rows: Any, shards: int = 3) -> tuple[SyncReport, dict[int, ShardReport]]:
    """Plan here, apply in shards, report here."""
    async with KlickTipp.from_env() as kt:
        sync = ContactSync(kt, mapping=MAPPING, opt_in_id=box.default_opt_in_id, journal=folder / "crm.journal")
        plan = await sync.plan(rows)
        # Once and before all: shards that miss the same tag would create it side by side.
        await kt.tags.ensure(plan.new_tags)
        async with reopened(folder / "crm.journal") as journal:
            options = {"opt_in_id": box.default_opt_in_id}
            made = await split(journal, folder / "teile", shards=shards, work=sync_rows, options=options)
            reports = await run_all(made)
            await merge(journal)
        # It does not know what other processes have written.
        (folder / "crm.journal.ids").unlink(missing_ok=True)
        return await sync.report(), reports


def people(count: int) -> list[dict[str, object]]:
    """Rows of so many people, each with the address of an earlier one further down."""
    rows: list[dict[str, object]] = [
        {
            "Nr": f"K-{n}",
            "Mail": f"jörg{n}@example.com",
            "Vorname": "Jörg; Ä",
            "Segmente": f"Kunde,S{n % 3}",
            "Tags": "Neu",
        }
        for n in range(count)
    ]
    return [*rows, {**rows[0], "Nr": "K-0b", "Mail": "JÖRG0@example.com"}]


def account_of(box: Sandbox) -> list[tuple[str, dict[str, str], set[str]]]:
    """What stands in the account, whatever its ids are."""
    return sorted(
        (contact.email, dict(contact.fields), {box.tags[tag_id].name for tag_id in contact.tags})
        for contact in box.contacts.values()
    )


def files_in(folder: Path) -> list[str]:
    """What lies in it, also further down."""
    return sorted(path.name for path in folder.rglob("*"))


async def test_a_sync_in_shards_ends_as_one_that_was_not_cut(box: Sandbox, tmp_path: Path) -> None:
    """The same account and report, each tag created once, one mail for each contact, and nothing left behind."""
    rows = people(14)
    report, shards = await sharded(box, tmp_path, rows)
    assert {number: report.counts for number, report in shards.items()} == {
        1: {State.DONE: 5},
        2: {State.DONE: 5},
        3: {State.DONE: 4},
    }
    assert (report.created, report.skipped, report.complete, report.total) == (14, 1, True, 15)
    assert box.count(CREATE_TAG, 200) == len({"Neu", "Kunde", "S0", "S1", "S2"})
    assert set(box.confirmation_mails.values()) == {1}
    assert files_in(tmp_path) == ["crm.journal", "teile"]

    async with Sandbox() as other:
        other.add_field("CRM-Kennung")
        whole = ContactSync(other.client(), mapping=MAPPING, opt_in_id=other.default_opt_in_id)
        assert (await whole.apply(await whole.plan(rows))).counts == report.counts
        assert account_of(box) == account_of(other)


async def test_a_second_sync_in_shards_has_nothing_to_send(box: Sandbox, tmp_path: Path) -> None:
    """What the shards wrote is found by the next plan, by its address and by the CRM's id."""
    await sharded(box, tmp_path, people(5))
    before = box.count(UPSERT)
    moved = [{**row, "Mail": f"neu-{row['Nr']}@example.com"} for row in people(5)[:2]]
    report, shards = await sharded(box, tmp_path, [*moved, *people(5)[2:5]])
    assert (report.updated, report.unchanged, report.created) == (2, 3, 0)
    assert box.count(UPSERT) == before
    assert len(box.contacts) == 5
    assert len(shards) == 2


async def test_a_sync_whose_shards_are_broken_off_sends_no_second_mail(box: Sandbox, tmp_path: Path) -> None:
    """What was under way when a worker died is looked up first, wherever the shard runs then."""
    # The answer is lost when the contact has been made, and nobody comes to write that down.
    async with KlickTipp.from_env() as kt:
        sync = ContactSync(kt, mapping=MAPPING, opt_in_id=box.default_opt_in_id, journal=tmp_path / "crm.journal")
        plan = await sync.plan(people(6))
        await kt.tags.ensure(plan.new_tags)
        await kt.contacts.upsert(email="jörg0@example.com", opt_in_id=box.default_opt_in_id)
        async with reopened(tmp_path / "crm.journal") as journal:
            options = {"opt_in_id": box.default_opt_in_id}
            shards = await split(journal, tmp_path, shards=2, work=sync_rows, options=options)
            async with reopened(shards[0].journal) as part:
                await part.begin("1")
            await run_all(shards)
            await merge(journal)
        report = await sync.report()
    assert (report.created, report.complete) == (6, True)
    assert set(box.confirmation_mails.values()) == {1}
    assert len(box.contacts) == 6


async def test_rows_of_a_file_in_shards(box: Sandbox, tmp_path: Path) -> None:
    """Each row arrives once, a duplicate in another shard is none, and what was refused stands in its place."""
    box.block("gesperrt@example.com")
    names = ["Jörg", "Käthe", "Öznur", "Zoë"]
    lines = [f"{name.lower()}@example.com;{name}" for name in names] + ["gesperrt@example.com;X", "KÄTHE@example.com;K"]
    file = tmp_path / "kontakte.csv"
    file.write_bytes("\r\n".join(["E-Mail;Vorname", *lines]).encode("cp1252"))
    table = open_table(file)
    rows = (dict(zip(table.header, row.cells, strict=True)) for row in table.rows())
    async with Journal(tmp_path / "import.journal", job="import") as journal:
        await enlist(journal, rows, key=lambda row: row["E-Mail"].casefold())
        shards = await split(journal, tmp_path / "teile", shards=3, work=add_rows)
        await run_all(shards, rate=500)
        assert await merge(journal) == {State.DONE: 4, State.FAILED: 1, State.SKIPPED: 1}
        refused = [entry.place async for entry in journal.entries(State.FAILED, State.SKIPPED)]
    assert refused == [5, 6]
    assert sorted(contact.email for contact in box.contacts.values()) == sorted(
        f"{n.lower()}@example.com" for n in names
    )
    assert set(box.confirmation_mails.values()) == {1}


async def test_a_worker_without_credentials_ends_the_job(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says which variables its machine lacks, and nothing was sent."""
    async with Journal(tmp_path / "import.journal", job="import") as journal:
        await enlist(journal, [{"E-Mail": "jörg@example.com", "Vorname": "Jörg"}], key=lambda row: row["E-Mail"])
        shards = await split(journal, tmp_path, shards=1, work=add_rows)
        monkeypatch.delenv("KLICKTIPP_PASSWORD")
        with pytest.raises(ConfigError, match="KLICKTIPP_PASSWORD"):
            await run_all(shards)
        assert await merge(journal) == {State.PENDING: 1}
    assert box.count() == 0


async def test_a_wrong_password_ends_the_job(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One shard has found out, and the others do not lock the account by trying, too."""
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "falsch")
    rows = [{"E-Mail": f"jörg{n}@example.com", "Vorname": "Jörg"} for n in range(8)]
    async with Journal(tmp_path / "import.journal", job="import") as journal:
        await enlist(journal, rows, key=lambda row: row["E-Mail"])
        shards = await split(journal, tmp_path, shards=8, work=add_rows)
        with pytest.raises(Exception, match="going on would fail in the same way") as caught:
            await run_all(shards, at_once=1)
        assert "falsch" not in str(caught.value)
        assert await merge(journal) == {State.PENDING: 8}
    assert box.count("Login") <= 2
