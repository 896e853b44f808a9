"""`klicktipp sync` is killed anywhere, resumed, and ends where a run ends that nobody disturbs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from klickdoxie_core.journal import read_header
from klicktipp_async import FieldType
from klicktipp_async.crm import Action, ContactSync, Mapping, SyncPlan
from klicktipp_async.sandbox import Sandbox
from tests.kill.support import KILLED, Death, End, Executioner, Moment, ends, said

pytestmark = pytest.mark.anyio

CRM_FIELD = "field200001"
MAPPING = """
email = "E-Mail"
segments = ["Phase"]
tags = ["Tags"]
opt_in = "default"
timezone = "Europe/Berlin"
crm_id = { column = "Nr", field = "CRM-Kennung" }
[fields]
Vorname = "fieldFirstName"
Geburtstag = "fieldBirthday"
Umsatz = { field = "Umsatz", type = "decimal" }
"""
HEADER = "Nr;E-Mail;Vorname;Geburtstag;Umsatz;Phase;Tags"
BY_ADDRESS, NEW, KNOWN, MOVED = range(6), range(6, 24), range(24, 32), range(32, 38)
SAME, GONE = range(38, 42), (42, 43)
TAKEN, FOREIGN = 44, 45
"""A row that wants the address of a contact which no row means."""
KNOWN_BEFORE = (*BY_ADDRESS, *range(24, 46))
KILLS = ends(8, seed=20261121)
TWICE = ends(3, seed=20261122)


@attrs.frozen
class Known:
    """A contact, without what differs from run to run."""

    email: str
    status: str
    fields: dict[str, str]
    tags: list[str]


@attrs.frozen
class Outcome:
    """What is there after a sync, by the CRM's ids, and what it took."""

    contacts: dict[str, Known]
    mails: dict[str, int]
    code: int
    requests: int


def account() -> Sandbox:
    """An account that has all kinds of contacts."""
    box = Sandbox()
    box.add_field("CRM-Kennung")
    box.add_field("Umsatz", FieldType.DECIMAL)
    old, own = box.add_tag("[CRM] Interessent"), box.add_tag("Treue")
    smart = box.add_tag("Gekauft", smart=True)
    for number in KNOWN_BEFORE:
        opt_in = box._store.opt_ins[box.single_opt_in_id if number % 3 else box.default_opt_in_id]
        contact = box._store.add_contact(address(number), opt_in)
        if number not in BY_ADDRESS and number != FOREIGN:
            contact.fields[CRM_FIELD] = f"K-{number}"
        contact.fields |= fields(number) if number in SAME else {"fieldFirstName": "früher"}
        tags = (box._store.tag_ids.get("[CRM] Kunde") or box.add_tag("[CRM] Kunde"),) if number in SAME else (old, own)
        for tag in (*tags, smart):
            box._store.put_on(contact, tag)
        if number in GONE:
            box._store.unsubscribe(contact)
    return box


def fields(number: int) -> dict[str, str]:
    """The fields of somebody after a sync, as the service keeps them."""
    return {"fieldFirstName": f"Änne {number}", "fieldBirthday": "346460400", "field200002": f"1234.{number:02}"}


def address(number: int, moves: int = 0) -> str:
    """Somebody's address after so many changes."""
    return f"{'neu.' * moves}käthe{number}@example.com"


def export(moves: Sequence[int] = MOVED, times: int = 1) -> bytes:
    """What the CRM says of everybody, some of whom have a new address."""
    lines = [HEADER]
    for number in range(TAKEN + 1):
        email = address(FOREIGN) if number == TAKEN else address(number, times if number in moves else 0)
        phase, tags = ("Kunde", "") if number % 2 or number in SAME else ("Kunde|Größe XL", "Messe Köln")
        lines.append(f"K-{number};{email};Änne {number};24.12.1980;1.234,{number:02};{phase};{tags}")
    lines.append(f"K-99;{address(6).upper()};doppelt;;;Kunde;")
    return "\r\n".join([*lines, ""]).encode("cp1252")


async def sync(executioner: Executioner, box: Sandbox, folder: Path, death: Death | None = None) -> int:
    """Run the command as somebody does who finds a job broken off, or not even begun."""
    env = {
        "KLICKTIPP_BASE_URL": executioner.url,
        "KLICKTIPP_USERNAME": box.username,
        "KLICKTIPP_PASSWORD": box.password,
    }
    executioner.app = box.app
    resume = ["--resume"] if read_header(folder / "crm.csv.journal") else []
    arguments = ["sync", "crm.csv", "--mapping", "mapping.toml", "--apply", *resume]
    return await executioner.run("klicktipp_async", arguments, env, folder, death)


def outcome(box: Sandbox, code: int) -> Outcome:
    """What is there now; no two contacts have the same id of the CRM or the same address."""
    contacts = {
        contact.fields.get(CRM_FIELD, ""): Known(
            contact.email,
            contact.status,
            {key: text for key, text in contact.fields.items() if text},
            sorted(box.tags[tag].name for tag in contact.tags),
        )
        for contact in box.contacts.values()
    }
    assert len(contacts) == len(box.contacts) == len({contact.email.lower() for contact in box.contacts.values()})
    return Outcome(contacts, dict(box.confirmation_mails), code, box.count())


def write_files(folder: Path) -> None:
    """The file and its mapping."""
    (folder / "crm.csv").write_bytes(export())
    (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")


async def plan_of(box: Sandbox, folder: Path, file: bytes) -> SyncPlan:
    """What a sync would do with another file, with what the killed ones have left behind."""
    (folder / "later.csv").write_bytes(file)
    header, *lines = file.decode("cp1252").splitlines()
    rows = [dict(zip(header.split(";"), line.split(";"), strict=True)) for line in lines]
    async with box.client() as kt:
        mapping = Mapping.from_toml(folder / "mapping.toml")
        return await ContactSync(kt, mapping=mapping, journal=folder / "crm.csv.journal").plan(rows)


@pytest.fixture(scope="module")
async def undisturbed(executioner: Executioner, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What a sync comes to that nobody kills."""
    folder, box = tmp_path_factory.mktemp("undisturbed"), account()
    write_files(folder)
    code = await sync(executioner, box, folder)
    done = outcome(box, code)
    assert len(done.contacts) == FOREIGN + 1, said(folder)
    assert done.code == 1, "a row wants a taken address"
    assert set(done.mails.values()) == {1}
    assert 150 <= done.requests <= 250
    for number in (*NEW, *KNOWN, *MOVED, *BY_ADDRESS, *SAME):
        known = done.contacts[f"K-{number}"]
        assert known.email == address(number, number in MOVED)
        assert known.fields == fields(number) | {CRM_FIELD: f"K-{number}"}
        assert "[CRM] Kunde" in known.tags
        assert "[CRM] Interessent" not in known.tags
    return done


async def die_and_resume(executioner: Executioner, folder: Path, undisturbed: Outcome, *deadly: End) -> None:
    """Kill a sync as often as it is said, resume it, and compare."""
    box = account()
    write_files(folder)
    left = undisturbed.requests
    for end in deadly:
        death = end.of(left)
        assert await sync(executioner, box, folder, death) == KILLED, said(folder)
        left -= death.at
    code = await sync(executioner, box, folder)
    assert outcome(box, code) == attrs.evolve(undisturbed, requests=box.count()), said(folder)
    assert not (folder / "crm.csv.journal").exists()
    again = await plan_of(box, folder, export())
    assert again.empty
    later = await plan_of(box, folder, export(range(TAKEN), times=2))
    assert later.counts[Action.CREATE] == 0
    assert later.counts[Action.CHANGE_ADDRESS] == TAKEN - len(GONE)


@pytest.mark.parametrize("end", KILLS, ids=str)
async def test_a_killed_sync_is_finished_by_the_next_one(
    executioner: Executioner, undisturbed: Outcome, tmp_path: Path, end: End
) -> None:
    """Each contact is there once and as wanted, nobody got a second mail, and a new address makes no new contact."""
    await die_and_resume(executioner, tmp_path, undisturbed, end)


@pytest.mark.parametrize("end", TWICE, ids=str)
async def test_a_sync_may_be_killed_twice(
    executioner: Executioner, undisturbed: Outcome, tmp_path: Path, end: End
) -> None:
    """The one that resumes it may be killed, too."""
    await die_and_resume(executioner, tmp_path, undisturbed, end, End(1 - end.share, Moment.CARRIED_OUT))
