"""An export of a CRM, and the same one some weeks later; nobody in it exists."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Sequence

import attrs
from make_contacts import COMPANIES, FIRST_NAMES, LAST_NAMES

HEADER = ["CRM-ID", "E-Mail", "Vorname", "Nachname", "Firma", "Geburtstag", "Umsatz", "Notiz", "Phase", "Listen"]
PHASES = ["Interessent", "Kunde", "Stammkunde", "Rückgewinnung"]
LISTS = ["Messe Köln", "Newsletter", "Händler; Süd", "Größe XL"]
ROW_ENDS = "\r\n"


@attrs.frozen
class Changes:
    """What is different in the later export, by the kind of change: the numbers of the rows."""

    addresses: tuple[int, ...]
    names: tuple[int, ...]
    phases: tuple[int, ...]
    cleared: tuple[int, ...]

    @property
    def rows(self) -> set[int]:
        """Every row that is different."""
        return {*self.addresses, *self.names, *self.phases, *self.cleared}


def make(rows: int) -> list[list[str]]:
    """So many rows, the same ones each time."""
    chance = random.Random(20261121)
    return [_row(number, chance) for number in range(1, rows + 1)]


def later(rows: Sequence[Sequence[str]]) -> tuple[list[list[str]], Changes]:
    """The export some weeks later, and what is different in it."""
    changed = [list(row) for row in rows]
    changes = Changes(
        addresses=tuple(range(0, len(rows), 50)),
        names=tuple(range(1, len(rows), 40)),
        phases=tuple(range(2, len(rows), 30)),
        cleared=tuple(number for number in range(3, len(rows), 25) if rows[number][7]),
    )
    for number in changes.addresses:
        changed[number][1] = f"neu.{changed[number][1]}"
    for number in changes.names:
        changed[number][3] += "-Weiß"
    for number in changes.phases:
        changed[number][8] = PHASES[(PHASES.index(changed[number][8]) + 1) % len(PHASES)]
    for number in changes.cleared:
        changed[number][7] = ""
    return changed, changes


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    """As a German spreadsheet writes it: semicolons, Windows-1252."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";", lineterminator=ROW_ENDS).writerows([HEADER, *rows])
    return text.getvalue().encode("cp1252")


def _row(number: int, chance: random.Random) -> list[str]:
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    revenue = chance.randrange(0, 2_000_000)
    whole = f"{revenue // 100:,}".replace(",", ".")
    return [
        f"K-{number:05}",
        f"kundin{number}@example.com",
        _in_cp1252(first),
        _in_cp1252(last),
        chance.choice(["", *COMPANIES]),
        f"{chance.randrange(1, 29):02}.{chance.randrange(1, 13):02}.{chance.randrange(1950, 2005)}",
        f"{whole},{revenue % 100:02}",
        chance.choice(["", "ruft zurück; nach 17 Uhr", "zwei\nZeilen"]),
        chance.choice(PHASES),
        "|".join(chance.sample(LISTS, chance.randrange(0, 3))),
    ]


def _in_cp1252(text: str) -> str:
    return text.encode("cp1252", "replace").decode("cp1252")
