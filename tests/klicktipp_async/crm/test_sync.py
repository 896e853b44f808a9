"""A sync as a whole: its journal, its plans, its reports, and what is checked before anything is sent."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from klickdoxie_core import UNSET, Clock, Unset
from klickdoxie_core.errors import JournalError
from klicktipp_async import ConfigError, KeyPair, KlickTipp
from klicktipp_async.crm import Action, ContactSync, Mapping, MappingError, Segments, State, Target
from klicktipp_async.errors import ArgumentError
from klicktipp_async.field_schema import FieldType
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import CRM_FIELD, add, anna, applied, make_sync, people, planned, tags_of, writes

pytestmark = pytest.mark.anyio


async def test_a_second_plan_has_nothing_to_write(box: Sandbox, kt: KlickTipp) -> None:
    """What was written is found again as it was wanted, whatever the form in which the service keeps it."""
    box.add_field("CRM-Kennung")
    box.add_field("Umsatz", FieldType.DECIMAL)
    mapping = Mapping(
        email="Mail",
        crm_id=("Nr", "CRM-Kennung"),
        fields={
            "Umsatz": Target(field="Umsatz", type=FieldType.DECIMAL),
            "Geburtstag": "fieldBirthday",
            "Telefon": "fieldPhone",
            "Leer": Target(field="Firma", clear_if_empty=True),
        },
        segments=["Segmente"],
    )
    row = {"Nr": "K-1", "Mail": "anna@example.com", "Umsatz": "1.234,50", "Geburtstag": "24.12.1980", "Segmente": "a,b"}
    rows = [row | {"Telefon": "+49 30 23125001", "Leer": ""}]
    sync = make_sync(box, kt, mapping=mapping)
    first = await sync.plan(rows)
    assert (first.empty, first.new_tags, first.counts[Action.CREATE]) == (False, ("[CRM] a", "[CRM] b"), 1)
    await sync.apply(first)
    before = writes(box)
    second = await sync.plan(rows)
    assert (second.empty, second.counts, second.new_tags) == (True, {Action.UNCHANGED: 1}, ())
    assert (await sync.apply(second)).unchanged == 1
    assert writes(box) == before


async def test_nothing_to_do_asks_the_service_nothing(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """A plan that was applied is reported at once, by another process too."""
    await applied(make_sync(box, kt, journal=tmp_path / "j"), anna())
    before = box.count()
    again = make_sync(box, kt, journal=tmp_path / "j")
    for report in (await again.apply(), await again.report()):
        assert (report.created, report.complete) == (1, True)
    assert box.count() == before


async def test_an_applied_plan_is_made_anew(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Each night finds out what has changed since the last one, also for the same source."""
    for source in ("", "file"):
        options: dict[str, Any] = {"journal": tmp_path / f"j{source}", "find_crm_ids": False}
        for number, name in enumerate(("Änne", "Anna", "Anna")):
            sync = make_sync(box, kt, **options)
            plan = await sync.plan([anna(Vorname=f"{name}{source}")], source=source)
            assert plan.empty is (number == 2)
            await sync.apply(plan)


async def test_a_plan_with_rows_left_stands_for_the_same_source_only(
    box: Sandbox, kt: KlickTipp, tmp_path: Path
) -> None:
    """Going on needs no second look at the account; another file is refused."""
    await make_sync(box, kt, journal=tmp_path / "j").plan([anna()], source="monday")
    before = box.count("Search Contact ID")
    again = make_sync(box, kt, journal=tmp_path / "j")
    plan = await again.plan([anna()], source="monday")
    assert (plan.left, box.count("Search Contact ID")) == (1, before)
    with pytest.raises(JournalError, match="source"):
        await again.plan([anna()], source="tuesday")
    assert (await again.apply()).created == 1


@pytest.mark.parametrize("source", ["", "file"])
async def test_an_import_with_a_journal_is_never_sent_again(
    box: Sandbox, kt: KlickTipp, tmp_path: Path, source: str
) -> None:
    """Whoever has not yet confirmed would get a second mail."""
    for _ in range(2):
        sync = make_sync(box, kt, journal=tmp_path / "j", look_up=False, opt_in_id=None)
        report = await sync.apply(await sync.plan([anna()], source=source))
        assert (report.upserted, report.complete) == (1, True)
    assert box.confirmation_mails == {"anna@example.com": 1}


async def test_an_import_without_a_journal_takes_one_load_after_the_other(box: Sandbox, kt: KlickTipp) -> None:
    """What was not sent yet gives way to new rows; what was begun is finished first."""
    sync = make_sync(box, kt, look_up=False)
    await sync.plan([anna()])
    await applied(sync, anna(Nr="K-2", Mail="berta@example.com"))
    await sync.plan(people(2))
    async with await sync._book.reopen() as journal:
        await journal.begin("1")
    begun = await sync.plan([anna(Nr="K-3", Mail="clara@example.com")])
    assert (begun.total, begun.left) == (2, 2)
    await sync.apply(begun)
    await applied(sync, anna(Nr="K-3", Mail="clara@example.com"))
    assert {contact.email.partition("@")[0] for contact in box.contacts.values()} == {
        "berta",
        "anna0",
        "anna1",
        "clara",
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"opt_in_id": None},
        {"segments": Segments("HS: ")},
        {"tags": ["Import"]},
        {"mapping": Mapping(email="Mail")},
        {"find_crm_ids": False},
        {"look_up": False},
    ],
)
async def test_a_journal_belongs_to_one_set_of_arguments(
    box: Sandbox, kt: KlickTipp, tmp_path: Path, changed: dict[str, Any]
) -> None:
    """A plan is never applied with other arguments than it was made with."""
    await make_sync(box, kt, journal=tmp_path / "j").plan([anna()])
    with pytest.raises(JournalError):
        await make_sync(box, kt, journal=tmp_path / "j", **changed).apply()
    assert writes(box) == 0


async def test_a_plan_is_applied_by_the_sync_that_made_it(box: Sandbox, kt: KlickTipp) -> None:
    """A plan of another journal is refused, and so is an application without a plan."""
    plan = await make_sync(box, kt).plan([anna()])
    other = make_sync(box, kt)
    with pytest.raises(ConfigError, match="another journal"):
        await other.apply(plan)
    for call in (other.apply, other.report):
        with pytest.raises(ConfigError, match="no plan"):
            await call()


async def test_everything_is_checked_before_anything_is_read(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Columns, fields and the opt-in process are refused with what there is, and no journal is made."""
    sync = make_sync(
        box, kt, journal=tmp_path / "j", mapping=Mapping(email="Mail", fields={"a": "Vornahme", "b": "Stat"})
    )
    with pytest.raises(MappingError) as wrong:
        await sync.check(["Email", "a"])
    assert all(said in str(wrong.value) for said in ("Vornahme", "Stat", "Mail"))
    with pytest.raises(ConfigError, match=rf"no opt-in process 7; it has .*{box.single_opt_in_id}"):
        await make_sync(box, kt, journal=tmp_path / "j", opt_in_id=7).plan([anna()])
    wrong_numbers: tuple[Any, ...] = (0, True, "8", 1.5)
    for concurrency in wrong_numbers:
        with pytest.raises(ArgumentError, match="concurrency"):
            make_sync(box, kt, concurrency=concurrency)
    assert not (tmp_path / "j").exists()


async def test_a_private_journal_goes_with_those_who_need_it(box: Sandbox, kt: KlickTipp) -> None:
    """The folder is its owner's only; a plan keeps it when its sync is gone, and nobody warns when it goes."""
    sync = make_sync(box, kt)
    plan = await sync.plan([anna()])
    folder = sync._book.path.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    del sync
    gc.collect()
    assert [row.number async for row in plan.rows()] == [1]
    del plan
    gc.collect()
    assert not folder.exists()


async def test_closing_removes_a_private_journal_and_no_other(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """A journal with a name is the caller's."""
    private, own = make_sync(box, kt), make_sync(box, kt, journal=tmp_path / "j")
    for sync in (private, own):
        await sync.plan([anna()])
        sync.close()
    assert (private._book.path.parent.exists(), own._book.path.exists()) == (False, True)
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o600


async def test_half_read_rows_leave_the_journal_free(box: Sandbox, kt: KlickTipp) -> None:
    """Who stops looking at the plan can apply it at once."""
    sync = make_sync(box, kt)
    plan = await sync.plan(people(3))
    async for row in plan.rows(Action.CREATE):
        assert row.number == 1
        break
    report = await sync.apply(plan)
    numbers = [row.number async for row in report.rows(State.DONE)]
    assert numbers == [1, 2, 3]
    assert [row async for row in plan.rows(Action.SKIPPED)] == []


async def test_personal_data_is_in_no_repr(box: Sandbox, kt: KlickTipp) -> None:
    """Neither plans nor reports nor their rows show who somebody is."""
    sync = make_sync(box, kt)
    canary = "Kanarienvogel"
    add(box, f"alt.{canary}@example.com", **{CRM_FIELD: f"K-{canary}"})
    box.block(f"zu.{canary}@example.com")
    rows = [
        anna(Nr=f"K-{canary}", Mail=f"neu.{canary}@example.com", Vorname=canary, Segmente=canary, Tags=canary),
        anna(Nr=f"L-{canary}", Mail=f"zu.{canary}@example.com", Mobil="+49 30 4711471147"),
    ]
    plan, planned_rows = await planned(sync, *rows)
    report = await sync.apply(plan)
    told = [plan, *planned_rows, report, *[row async for row in report.rows()], sync]
    assert (report.updated, report.failed) == (1, 1)
    for each in told:
        assert canary not in repr(each)
        assert "4711" not in repr(each)


async def test_memory_does_not_grow_with_the_rows(box: Sandbox, kt: KlickTipp) -> None:
    """A thousand rows more need no more memory to be planned."""

    async def peak(count: int) -> int:
        sync = make_sync(box, kt, look_up=False)
        await sync.check()
        tracemalloc.start()
        try:
            await sync.plan(row | {"Firma": "Müller; Söhne " * 50} for row in people(count))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(10)
    assert await peak(1300) - await peak(300) < 200_000


async def test_the_report_of_nobody_is_empty(box: Sandbox, kt: KlickTipp) -> None:
    """No rows, no plan to apply, no error."""
    report = await applied(make_sync(box, kt))
    assert (report.total, report.complete, report.counts) == (0, True, {})


async def test_new_contacts_are_found_by_the_crm_without_being_read_again(
    box: Sandbox, kt: KlickTipp, tmp_path: Path
) -> None:
    """The file beside the journal knows whom the sync has made."""
    await applied(make_sync(box, kt, journal=tmp_path / "j"), *people(5))
    before = box.count("Get Contact")
    plan = await make_sync(box, kt, journal=tmp_path / "j").plan(people(5))
    assert (plan.empty, box.count("Get Contact") - before) == (True, 5)


async def test_the_opt_in_process_must_be_named(kt: KlickTipp) -> None:
    """It has no default, since it is about people's consent."""
    with pytest.raises(ArgumentError, match="opt_in_id"):
        ContactSync(kt, mapping=Mapping(email="Mail"))


@pytest.mark.parametrize(("named", "given", "mails"), [("Single-Opt-In", UNSET, 0), ("Single-Opt-In", None, 1)])
async def test_the_mapping_may_name_the_opt_in_process(
    box: Sandbox, kt: KlickTipp, named: str, given: Unset | None, mails: int
) -> None:
    """By its name or id; what is given to the sync wins, None being the account's own with its mail."""
    sync = ContactSync(kt, mapping=Mapping(email="Mail", opt_in=named), opt_in_id=given)
    assert sync.opt_in_name is None
    await applied(sync, {"Mail": "anna@example.com"})
    assert sync.opt_in_name == ("" if mails else named)
    assert box.confirmation_mails.total() == mails


async def test_the_mapping_may_name_the_prefix(box: Sandbox, kt: KlickTipp) -> None:
    """Unless the sync is given another one."""
    mapping = Mapping(email="Mail", segments=["Phase"], opt_in="default", prefix="[HubSpot] ")
    row = {"Mail": "anna@example.com", "Phase": "Kunde"}
    await applied(ContactSync(kt, mapping=mapping), row)
    await applied(ContactSync(kt, mapping=mapping, segments=Segments("[Zoho] ")), row)
    assert tags_of(box, "anna@example.com") == {"[HubSpot] Kunde", "[Zoho] Kunde"}


async def test_tags_are_a_list(kt: KlickTipp) -> None:
    """A text would become a tag for each of its letters, and what is no text would fail much later."""
    wrong: tuple[Any, ...] = ("Kunde", None, [7])
    for tags in wrong:
        with pytest.raises(ArgumentError, match="tags"):
            ContactSync(kt, mapping=Mapping(email="Mail"), opt_in_id=None, tags=tags)


async def test_a_journal_belongs_to_one_account(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """With other credentials it is refused; the ids of the CRM that stand beside it are forgotten."""
    other = box.client(KeyPair(box.username, box.developer_key, box.customer_key))
    assert kt.account_fingerprint == kt.with_options(timeout=5).account_fingerprint != other.account_fingerprint
    await make_sync(box, kt, journal=tmp_path / "j").plan(people(2), source="a")
    with pytest.raises(JournalError, match="account"):
        await make_sync(box, other, journal=tmp_path / "j").plan(people(2), source="a")


async def test_the_ids_of_one_account_do_not_mislead_another(clock: Clock, tmp_path: Path) -> None:
    """Two accounts in one folder, a new address in the second: still no second contact."""
    for _ in range(2):
        async with Sandbox(first_id=200 + _) as box:
            kt = box.client(clock=clock, base_url=f"https://api{_}.klicktipp.sandbox")
            for mail in ("anna@example.com", "neu@example.com"):
                sync = make_sync(box, kt, journal=tmp_path / "j")
                await applied(sync, {"Nr": "K-1", "Mail": mail})
                (tmp_path / "j").unlink()
            assert len(box.contacts) == 1


async def test_all_that_is_wrong_is_told_at_once(kt: KlickTipp) -> None:
    """The mapping, and the opt-in process that the account does not have."""
    sync = ContactSync(kt, mapping=Mapping(email="Mial", fields={"X": "Nirgends"}), opt_in_id=99)
    with pytest.raises(MappingError, match=r"(?s)Mial.*Nirgends.*no opt-in process 99"):
        await sync.check(["Mail", "X"])
