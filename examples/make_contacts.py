"""Write `contacts.csv`: 5,000 contacts as a German shop would export them, with all that goes wrong in such files.

Nobody in it exists: the addresses are in domains reserved for examples, and the phone numbers are those that the German
regulator and the mobile networks keep free for films and books. The same rows come out on every machine.
"""

from __future__ import annotations

import csv
import io
import random
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import attrs

T = TypeVar("T")
Cells = list[str]

CONTACTS = Path(__file__).with_name("contacts.csv")
ROWS = 5000
HEADER = ["Vorname", "Nachname", "E-Mail", "Mobil", "Firma", "Straße", "PLZ", "Ort"]
HEADER += ["Geburtstag", "Umsatz", "Segmente", "Bemerkung"]
EMAIL, MOBILE, BIRTHDAY, REVENUE, SEGMENTS, NOTE = 2, 3, 8, 9, 10, 11

FIRST_NAMES = ["Anna", "Jörg", "Lea", "Björn", "Zoë", "Günter", "Käthe", "Sören", "Mia", "Jürgen", "Renée", "Paul"]
FIRST_NAMES += ["Bärbel", "Lukas", "Müge", "François", "Ole", "Ümit", "Clara", "Håkon", "Götz", "Chloë", "Änne", "Kai"]
LAST_NAMES = ["Müller", "Weiß", "Schäfer", "Groß", "Köhler", "Strauß", "Jäger", "Böhm", "Krüger", "Fuß", "Lange", "Voß"]
LAST_NAMES += ["Özdemir", "Grünewald", "Thönnes", "Preuß", "Löwe", "Kowalski", "Meißner", "Sánchez", "Höß", "Überall"]
PLACES = ["01067 Dresden", "03046 Cottbus", "04109 Leipzig", "06108 Halle (Saale)", "07743 Jena", "09111 Chemnitz"]
PLACES += ["02826 Görlitz", "10115 Berlin", "20095 Hamburg", "28195 Bremen", "40213 Düsseldorf", "48143 Münster"]
PLACES += [
    "50667 Köln",
    "60311 Frankfurt am Main",
    "72070 Tübingen",
    "80331 München",
    "90402 Nürnberg",
    "97070 Würzburg",
]
STREETS = ["Goethestraße", "Mühlgasse", "Am Weißen Stein", "Königsallee", "Schloßplatz", "Bürgermeister-Weiß-Straße"]
COMPANIES = [
    "Müller & Söhne GmbH",
    "Bäckerei Weiß; Inh. Jörg Weiß",
    'Café "Zur schönen Aussicht"',
    "Groß, Voß und Partner",
    "Löwen-Apotheke",
    "Brüggemann Büromöbel KG",
]
DOMAINS = ["example.com", "example.org", "example.net", "mueller-soehne.example", "post.example"]
TAGS = ["Kunde", "Newsletter", "VIP", "Händler", "Messe Köln 2025", "Größe XL", "Österreich", "Rückgewinnung"]
NOTES = [
    "Rechnung über 49 € offen",
    "möchte nur E-Mail; keine Anrufe",
    "Rückruf erbeten,\nerst nach 17 Uhr",
    "„Stammkundin“",
]

# Kept free for films and books: the numbers behind a prefix, and how many digits they have.
FICTIONAL = [("30", "23125", 3), ("40", "66969", 3), ("69", "90009", 3), ("221", "4710", 3), ("89", "99998", 3)]
FICTIONAL += [("171", "39200", 2), ("176", "040690", 2)]
WAYS_TO_WRITE = ["+49 {0} {1}{2}", "0049 {0} {1}{2}", "+49 {0}/{1}-{2}", "+49{0}{1}{2}", "+49 {0} {1} {2}"]

WRONG_ADDRESSES = ["{0}(at){1}", "{0}@@{1}", "{0} @ {1}", "{0}@", "@{1}", "{0}.{1}", "unbekannt"]
# What a spreadsheet leaves of a number that it took for one to reckon with.
DAMAGED_NUMBER = "4917139200"
WRONG_NUMBERS = [
    "keine Angabe",
    "0171 39200 17",
    "+49 171 ABCDEF",
    "+49",
    DAMAGED_NUMBER,
    "+49 171 39200 17 +49 171 39200 18",
]
WRONG_DATES = ["31.02.1984", "24/12/1980", "Mai 1975", "1.13.1990"]
WRONG_REVENUES = ["12,345", "1.23.4", "auf Anfrage"]

# How many rows of each kind; all others are valid. Some of the numbers that are not valid are damaged ones.
INVALID = {
    "email_invalid": 72,
    "sms_invalid": 36,
    "date_invalid": 16,
    "decimal_invalid": 12,
    "no_identity": 30,
    "cells_extra": 8,
    "cells_missing": 6,
}
DUPLICATES = 160
WITHOUT_EMAIL = 20


@attrs.frozen
class Contacts:
    """The rows, and what an import has to make of them.

    Attributes:
        rows: Cells of each row, without the header.
        emails: The addresses that must arrive.
        numbers: The numbers, in the form of the service, that must arrive without an address.
        tags: The tags that must exist.
        invalid: Rows that must be refused, by code.
        duplicates: Rows whose address stands further up.
    """

    rows: Sequence[Cells]
    emails: frozenset[str]
    numbers: frozenset[str]
    tags: frozenset[str]
    invalid: Counter[str]
    duplicates: int

    @property
    def valid(self) -> int:
        """How many contacts must arrive."""
        return len(self.emails) + len(self.numbers)


def make(rows: int = ROWS) -> Contacts:
    """Make so many rows; the same each time. There must be room for those that are not valid, and as many others."""
    return _Maker().make(rows)


def as_csv(rows: Sequence[Cells]) -> bytes:
    """The file: semicolons, Windows-1252, and the line ends of Windows."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";").writerows([HEADER, *rows])
    return text.getvalue().encode("cp1252")


class _Maker:
    """Makes one row after another, drawn by `random()` alone, the one method whose results every Python keeps."""

    def __init__(self) -> None:
        self._random = random.Random(20260401)
        self._valid: list[Cells] = []
        self._made = 0
        self._numbers = [
            (area, block, f"{i:0{digits}}") for area, block, digits in FICTIONAL for i in range(10**digits)
        ]

    def make(self, count: int) -> Contacts:
        rows = [self._row(kind) for kind in self._kinds(count)]
        with_email = [row for row in self._valid if row[EMAIL]]
        damaged = sum(row[MOBILE] == DAMAGED_NUMBER for row in rows)
        segments = [row[SEGMENTS].replace("|", ",").split(",") for row in self._valid]
        return Contacts(
            rows=rows,
            emails=frozenset(row[EMAIL].strip() for row in with_email),
            numbers=frozenset(as_stored(row[MOBILE]) for row in self._valid if not row[EMAIL]),
            tags=frozenset(name.strip() for names in segments for name in names if name.strip()),
            invalid=Counter(INVALID | {"sms_invalid": INVALID["sms_invalid"] - damaged, "sms_damaged": damaged}),
            duplicates=DUPLICATES,
        )

    def _kinds(self, count: int) -> list[str]:
        """What each row is going to be, mixed; the first hundred are plain, so that later ones can repeat them."""
        special = [kind for kind, number in INVALID.items() for _ in range(number)]
        special += ["duplicate"] * DUPLICATES + ["without_email"] * WITHOUT_EMAIL
        kinds = special + ["plain"] * (count - len(special) - 100)
        for last in range(len(kinds) - 1, 0, -1):
            other = self._below(last + 1)
            kinds[last], kinds[other] = kinds[other], kinds[last]
        return ["plain"] * 100 + kinds

    def _row(self, kind: str) -> Cells:
        if kind == "duplicate":
            return self._repeated(self._pick(self._valid))
        cells = self._contact()
        match kind:
            case "plain":
                self._valid.append(cells)
            case "without_email":
                cells[EMAIL], cells[MOBILE], cells[SEGMENTS] = "", self._number(), self._pick(TAGS)
                self._valid.append(cells)
            case "email_invalid":
                cells[EMAIL] = self._pick(WRONG_ADDRESSES).format(*cells[EMAIL].split("@"))
            case "sms_invalid":
                cells[MOBILE] = self._pick(WRONG_NUMBERS)
            case "date_invalid":
                cells[BIRTHDAY] = self._pick(WRONG_DATES)
            case "decimal_invalid":
                cells[REVENUE] = self._pick(WRONG_REVENUES)
            case "no_identity":
                cells[EMAIL] = cells[MOBILE] = ""
            case "cells_extra":
                cells[4:5] = ["Bäckerei Weiß", " Inh. Jörg Weiß"]
            case _:
                del cells[NOTE], cells[4]
        return cells

    def _contact(self) -> Cells:
        self._made += 1
        first, last = self._pick(FIRST_NAMES), self._pick(LAST_NAMES)
        code, _, city = self._pick(PLACES).partition(" ")
        return [
            first,
            last,
            self._sometimes(0.02, " ") + f"{_ascii(first)}.{_ascii(last)}{self._made}@{self._pick(DOMAINS)}",
            self._number() if self._chance(0.5) else "",
            self._pick(COMPANIES) if self._chance(0.35) else "",
            f"{self._pick(STREETS)} {1 + self._below(120)}{self._sometimes(0.1, 'a')}" if self._chance(0.7) else "",
            code,
            city,
            self._birthday() if self._chance(0.6) else "",
            self._revenue() if self._chance(0.5) else "",
            self._segments(),
            self._pick(NOTES) if self._chance(0.1) else "",
        ]

    def _repeated(self, row: Cells) -> Cells:
        """The same contact once more: typed differently, and with another note."""
        repeated = [*row[:NOTE], "doppelt erfasst"]
        address = row[EMAIL].strip()
        repeated[EMAIL] = self._pick([address, address.upper(), address.title()])
        if not row[EMAIL]:
            repeated[MOBILE] = as_stored(row[MOBILE])
        return repeated

    def _number(self) -> str:
        """Each number once, since an SMS number belongs to one contact."""
        return self._pick(WAYS_TO_WRITE).format(*self._numbers.pop(self._below(len(self._numbers))))

    def _birthday(self) -> str:
        year, month, day = 1940 + self._below(66), 1 + self._below(12), 1 + self._below(28)
        return f"{year}-{month:02}-{day:02}" if self._chance(0.1) else f"{day:02}.{month:02}.{year}"

    def _revenue(self) -> str:
        cents = self._below(2_500_000)
        grouped = f"{cents // 100:,}".replace(",", ".")
        return grouped if self._chance(0.2) else f"{grouped},{cents % 100:02}"

    def _segments(self) -> str:
        names = {self._pick(TAGS): None for _ in range(self._below(4))}
        return self._pick(["|", ", "]).join(names)

    def _pick(self, choices: Sequence[T]) -> T:
        return choices[self._below(len(choices))]

    def _below(self, bound: int) -> int:
        return int(self._random.random() * bound)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _sometimes(self, share: float, text: str) -> str:
        return text if self._chance(share) else ""


def as_stored(number: str) -> str:
    """The number as the service keeps it."""
    return "00" + "".join(filter(str.isdigit, number.removeprefix("00")))


def _ascii(name: str) -> str:
    """A name as it stands in an address: Jörg becomes joerg."""
    spelled = name.lower().translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"})
    return unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()


if __name__ == "__main__":
    contacts = make()
    CONTACTS.write_bytes(as_csv(contacts.rows))
    print(f"{CONTACTS.name}: {len(contacts.rows):,} rows, {contacts.valid:,} valid, {contacts.duplicates} duplicates")
    print(f"{contacts.invalid.total()} invalid: " + ", ".join(f"{code} {n}" for code, n in contacts.invalid.items()))
