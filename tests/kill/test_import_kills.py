"""`klicktipp import` is killed anywhere and resumed: every address arrives once, and no number is ever sent twice."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import attrs
import pytest

from klickdoxie_core.journal import read_header
from klickdoxie_core.sandbox import Answer, Inbound
from klicktipp_async.sandbox import Sandbox
from tests.kill.support import KILLED, Death, End, Executioner, ends, said

pytestmark = pytest.mark.anyio

PEOPLE = [f"jörg{number}@example.com" for number in range(24)]
NUMBERS = [f"+49 30 23125{number:03}" for number in range(12)]
MAPS = ("E-Mail=email", "Mobil=sms", "Vorname=fieldFirstName", "Tags=tags")
KILLS = ends(3, seed=20261123)


class Account(Sandbox):
    """An account that knows how often each number came in without an address."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: Counter[str] = Counter()

    def _exchange(self, inbound: Inbound) -> Answer | None:
        if inbound.method == "POST" and inbound.path == "/subscriber":
            contact = json.loads(inbound.body)
            if "email" not in contact:
                self.numbers[contact["smsnumber"]] += 1
        return super()._exchange(inbound)


@attrs.frozen
class Outcome:
    """What is there of those who have an address, and what it took."""

    contacts: dict[str, object]
    mails: dict[str, int]
    requests: int = attrs.field(eq=False)


async def run_import(executioner: Executioner, box: Account, folder: Path, death: Death | None = None) -> int:
    """Run the command as somebody does who finds a job broken off, or not even begun."""
    env = {
        "KLICKTIPP_BASE_URL": executioner.url,
        "KLICKTIPP_USERNAME": box.username,
        "KLICKTIPP_PASSWORD": box.password,
    }
    executioner.app = box.app
    resume = ["--resume"] if read_header(folder / "contacts.csv.journal") else []
    maps = [part for each in MAPS for part in ("--map", each)]
    arguments = ["import", "contacts.csv", "--opt-in", "default", *maps, *resume]
    return await executioner.run("klicktipp_async", arguments, env, folder, death)


def write_file(folder: Path) -> None:
    """Two rows in three have an address, the others a number only."""
    lines = ["E-Mail;Mobil;Vorname;Tags"]
    for number, email in enumerate(PEOPLE):
        lines.append(f"{email};;Jörg {number};{'Größe,VIP' if number % 2 else 'VIP'}")
        if number % 2:
            lines.append(f";{NUMBERS[number // 2]};Änne;VIP")
    (folder / "contacts.csv").write_bytes("\r\n".join([*lines, ""]).encode("cp1252"))


def outcome(box: Account) -> Outcome:
    """What is there now."""
    there = [contact for contact in box.contacts.values() if contact.email]
    contacts: dict[str, object] = {
        each.email: (each.status, each.fields, sorted(box.tags[tag].name for tag in each.tags)) for each in there
    }
    assert len(contacts) == len(there)
    return Outcome(contacts, dict(box.confirmation_mails), box.count())


def in_doubt(folder: Path) -> set[str]:
    """The numbers of the rows that may or may not have arrived."""
    if not (folder / "contacts.csv.errors.csv").exists():
        return set()
    with (folder / "contacts.csv.errors.csv").open(encoding="cp1252", newline="") as file:
        listed = list(csv.DictReader(file, delimiter=";"))
    assert {row["_state"] for row in listed} == {"in doubt"}
    assert not any(row["E-Mail"] for row in listed)
    return {row["Mobil"] for row in listed}


@pytest.fixture(scope="module")
async def undisturbed(executioner: Executioner, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What an import comes to that nobody kills."""
    folder, box = tmp_path_factory.mktemp("undisturbed"), Account()
    write_file(folder)
    assert await run_import(executioner, box, folder) == 0, said(folder)
    assert box.numbers == Counter(number.replace(" ", "").replace("+", "00") for number in NUMBERS)
    done = outcome(box)
    assert done.contacts.keys() == set(PEOPLE)
    assert done.mails == dict.fromkeys(PEOPLE, 1)
    return done


@pytest.mark.parametrize("end", KILLS, ids=str)
async def test_a_killed_import_is_finished_by_the_next_one(
    executioner: Executioner, undisturbed: Outcome, tmp_path: Path, end: End
) -> None:
    """Who has an address is there once and got one mail; numbers that were under way are told and not sent again."""
    box = Account()
    write_file(tmp_path)
    death = end.of(undisturbed.requests)
    assert await run_import(executioner, box, tmp_path, death) == KILLED, said(tmp_path)
    code = await run_import(executioner, box, tmp_path)
    doubtful = in_doubt(tmp_path)
    assert code == (1 if doubtful else 0), said(tmp_path)
    assert outcome(box) == undisturbed
    sent = {number: box.numbers[number.replace(" ", "").replace("+", "00")] for number in NUMBERS}
    assert {number for number, times in sent.items() if times != 1} <= doubtful
    assert set(sent.values()) <= {0, 1}
    again = await run_import(executioner, box, tmp_path) if doubtful else 0
    assert again == code
    assert max(box.numbers.values()) == 1
