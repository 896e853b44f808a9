"""The example file is what its generator writes, holds what it promises, and imports as the demonstration shows."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Values
from pathlib import Path
from types import ModuleType

import anyio
import pytest

from klickdoxie_core.table import open_table
from klicktipp_async.commands.source import source_rows
from klicktipp_async.crm import Mapping, Reason
from klicktipp_async.crm.wanted import Rules, Wanted

Example = Callable[[str], ModuleType]
EXAMPLES = Path(__file__).parents[2] / "examples"
RESERVED = re.compile(r"(example\.(com|org|net)|[a-z-]+\.example)", re.IGNORECASE)
FICTIONAL = re.compile(
    r"0049(3023125\d{3}|4066969\d{3}|6990009\d{3}|2214710\d{3}|8999998\d{3}|17139200\d\d|176040690\d\d)"
)


@pytest.fixture
def maker(example: Example) -> ModuleType:
    """The generator."""
    return example("make_contacts")


@pytest.fixture
def demo(example: Example) -> ModuleType:
    """The demonstration."""
    return example("klicktipp_demo")


@pytest.fixture
def rows() -> Iterator[list[dict[str, str]]]:
    """The rows of the file."""
    with (EXAMPLES / "contacts.csv").open(encoding="cp1252", newline="") as file:
        yield list(csv.DictReader(file, delimiter=";"))


def test_the_file_is_what_the_generator_writes(maker: ModuleType) -> None:
    """Byte for byte, and twice the same."""
    content = maker.as_csv(maker.make().rows)
    assert content == (EXAMPLES / "contacts.csv").read_bytes()
    assert content == maker.as_csv(maker.make().rows)


def test_an_import_finds_what_the_generator_promises(maker: ModuleType, demo: ModuleType) -> None:
    """Valid contacts, invalid rows by their code, duplicates and tags, by the rules of the import itself."""
    table, made = open_table(EXAMPLES / "contacts.csv"), maker.make()
    rules = Mapping.from_pairs(demo.MAPS).resolve(header=table.header, fields=_labels())
    read = [_read(row.values, rules) for row in source_rows(table, in_doubt_again=False)]
    wants = [wanted for wanted in read if isinstance(wanted, Wanted)]
    first = _first(wants)
    assert (table.encoding, table.separator, table.header) == ("cp1252", ";", tuple(maker.HEADER))
    assert (len(read), len(first), len(wants) - len(first)) == (5000, made.valid, made.duplicates)
    assert Counter(reason.code for reason in read if isinstance(reason, Reason)) == made.invalid
    assert {tag for wanted in first for tag in wanted.tags} == made.tags
    assert {wanted.email for wanted in first if wanted.email} == made.emails
    assert {wanted.sms_number for wanted in first if not wanted.email} == made.numbers


def test_nobody_in_the_file_exists(rows: list[dict[str, str]], maker: ModuleType) -> None:
    """Addresses are in reserved domains, and numbers are those kept free for fiction."""
    for row in rows:
        _, at, domain = row["E-Mail"].rpartition("@")
        assert not at or not domain.strip() or RESERVED.fullmatch(domain.strip()), row
    numbers = [row["Mobil"] for row in rows if row["Mobil"] and row["Mobil"] not in maker.WRONG_NUMBERS]
    assert [number for number in numbers if not FICTIONAL.fullmatch(maker.as_stored(number))] == []


def test_the_file_has_what_goes_wrong_in_such_files(rows: list[dict[str, str]]) -> None:
    """Umlauts, quoted separators and line breaks, leading zeros, empty cells, and addresses that differ in case."""
    content = (EXAMPLES / "contacts.csv").read_bytes()
    addresses = [row["E-Mail"] for row in rows]
    assert not content.isascii()
    assert content.count(b"\r\n") == 5001
    assert any(";" in (row["Firma"] or "") for row in rows)
    assert any("\n" in (row["Bemerkung"] or "") for row in rows)
    assert any((row["PLZ"] or "").startswith("0") for row in rows)
    assert any("ß" in row["Nachname"] for row in rows)
    assert "" in addresses
    assert len(set(addresses)) > len({address.lower() for address in addresses})


def test_the_demonstration_succeeds(
    demo: ModuleType, maker: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A smaller file goes through a socket, with lost answers and an ended session, and every figure is right."""
    contacts = maker.make(700)
    (tmp_path / "contacts.csv").write_bytes(maker.as_csv(contacts.rows))
    assert anyio.run(demo.main, contacts, tmp_path / "contacts.csv") == 0
    printed = capfd.readouterr().out
    assert "every valid contact arrived exactly once" in printed
    assert "WRONG" not in printed


def _read(values: Values[str, object] | Reason, rules: Rules) -> Wanted | Reason:
    return values if isinstance(values, Reason) else rules.wanted(values)


def _first(wants: Sequence[Wanted]) -> list[Wanted]:
    """Those that do not mean the same contact as one further up."""
    first: list[Wanted] = []
    known: set[str] = set()
    for wanted in wants:
        if known.isdisjoint(wanted.names):
            first.append(wanted)
            known.update(wanted.names)
    return first


def _labels() -> dict[str, str]:
    """Data fields as an account has them."""
    keys = ["fieldFirstName", "fieldLastName", "fieldCompanyName", "fieldStreet1", "fieldZip", "fieldCity"]
    return {**dict.fromkeys([*keys, "fieldBirthday"], ""), "field1": "Umsatz"}
