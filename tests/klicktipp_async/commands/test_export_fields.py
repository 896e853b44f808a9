"""The data fields of an export: chosen as people call them, and written so that an import reads the same."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import zoneinfo
from collections.abc import Mapping

import pytest

from klicktipp_async import FieldSchema, FieldType
from klicktipp_async.commands.export import add_export
from klicktipp_async.commands.export_fields import Fields, chosen, wishes
from klicktipp_async.commands.importing import add_import
from klicktipp_async.errors import ConfigError
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Run

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
KNOWN = {
    "fieldFirstName": "Vorname",
    "fieldBirthday": "Geburtstag",
    "field7": "Größe",
    "field8": "Termin: Köln",
    "field9": "größe",
    "field10": "7",
}


def keys(text: str) -> list[str]:
    """The fields that such an argument chooses."""
    return list(chosen(wishes(text), KNOWN, timezone=dt.UTC, raw=False).labels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", [*KNOWN]),
        ("Vorname,FirstName,fieldFirstName", ["fieldFirstName"]),
        ("vorname, birthday:date", ["fieldFirstName", "fieldBirthday"]),
        ("Größe,größe", ["field7", "field9"]),
        ("Termin: Köln:datetime", ["field8"]),
        ("7", ["field7"]),
        ("7,all", ["field7", "fieldFirstName", "fieldBirthday", "field8", "field9", "field10"]),
    ],
)
def test_fields_are_called_by_key_or_label(text: str, expected: list[str]) -> None:
    """In the order asked for, each once; a key goes before a label, and the letter case counts only if it must."""
    assert keys(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Vornam,field99:date", "no data field 'Vornam', 'field99'; `klicktipp fields` lists them"),
        ("GRÖSSE", "'GRÖSSE' could be several data fields: field7, field9; give one of these keys"),
        ("anna@example.com", r"no data field '\[hidden\]'"),
    ],
)
def test_what_is_no_field_is_told_as_it_was_typed(text: str, said: str) -> None:
    """And where more than one is meant, that."""
    with pytest.raises(ConfigError, match=said):
        keys(text)


def test_an_empty_name_is_none() -> None:
    """The parser tells."""
    with pytest.raises(argparse.ArgumentTypeError, match="parted by commas"):
        wishes("Vorname,")


@pytest.mark.parametrize(
    ("kind", "stored", "text"),
    [
        (FieldType.DATE, "346460400", "1980-12-24"),
        (FieldType.DATE, "-315622800", "1960-01-01"),
        (FieldType.DATE, "346464000", "346464000"),
        (FieldType.DATE, "gestern", "gestern"),
        (FieldType.DATETIME, "1766597400", "2025-12-24 18:30:00+01:00"),
        (FieldType.DATETIME, "-62135596800", "0001-01-01 00:53:28+00:53:28"),
        (FieldType.DATETIME, "253402300799", "9999-12-31 23:59:59+00:00"),
        (FieldType.TIME, "52200", "14:30:00"),
        (FieldType.TIME, "052200", "052200"),
        (FieldType.TIME, "90000", "90000"),
        (FieldType.DECIMAL, "12.50", "12,50"),
        (FieldType.DECIMAL, "-0.5", "-0,5"),
        (FieldType.DECIMAL, "-1250", "-12,50"),
        (FieldType.DECIMAL, "5", "0,05"),
        (FieldType.DECIMAL, "1.234", "1.234"),
        (FieldType.NUMBER, "0815", "0815"),
        (FieldType.LINE, "86400", "86400"),
        (FieldType.DATE, "", ""),
    ],
)
def test_values_are_written_as_people_write_them(kind: FieldType, stored: str, text: str) -> None:
    """Where that reads back as the same; else as the service keeps them."""
    typed = Fields(labels=KNOWN, schema=FieldSchema({"field7": kind}, timezone=BERLIN))
    assert typed.text("field7", stored) == text
    assert Fields(labels=KNOWN).text("field7", stored) == stored


STORED: Mapping[FieldType, str] = {
    FieldType.LINE: "-x; =1",
    FieldType.PARAGRAPH: '\'-x\nzwei "Zeilen"; Größe',
    FieldType.EMAIL: "jörg@example.com",
    FieldType.NUMBER: "1234567",
    FieldType.DECIMAL: "-1234.50",
    FieldType.URL: "https://example.com/?a=1;b",
    FieldType.DATE: "-315622800",
    FieldType.TIME: "52215",
    FieldType.DATETIME: "-86399",
    FieldType.HTML: "<p>Größe</p>",
}
FORMS = {
    FieldType.NUMBER: ":number",
    FieldType.DECIMAL: ":decimal",
    FieldType.DATE: ":date",
    FieldType.TIME: ":time",
    FieldType.DATETIME: ":datetime",
}


def test_what_is_exported_is_imported(box: Sandbox, run: Run) -> None:
    """Fields of every type come back as they were kept, however often; the standard ones without being told."""
    contact = box.contacts[box.seed_contacts(1)[0]]
    key_of = {kind: box.add_field(kind.name.title(), kind) for kind in FieldType}
    kept = {key_of[kind]: text for kind, text in STORED.items()}
    kept |= {"fieldBirthday": "346460400", "fieldLeadValue": "4200", "fieldPhone": "0049221123", "fieldCity": "@Köln"}
    named = [f"{kind.name.title()}{FORMS.get(kind, '')}" for kind in FieldType]
    zone = ("--timezone", "Europe/Berlin")
    maps = [word for kind, key in key_of.items() for word in ("--map", f"{key}={key}{FORMS.get(kind, '')}")]
    maps += [word for key in kept if not key[5].isdigit() for word in ("--map", f"{key}={key}")]
    contact.fields.update(kept)
    for _ in range(2):
        assert run(
            add_export, "--out", "k.csv", "--force", "--fields", ",".join(["all", *named]), *zone
        ).err.startswith("1 of")
        contact.fields = dict.fromkeys(contact.fields, "")
        assert run(add_import, "k.csv", "--map", "email=email", *maps, *zone, "--opt-in", "default").code == 0
        assert {key: text for key, text in contact.fields.items() if text} == kept


def test_raw_values_are_those_of_the_service(box: Sandbox, run: Run) -> None:
    """Whatever is known of them; and a day that does not begin in the zone is told, since a zone may be wrong."""
    contact = box.contacts[box.seed_contacts(1)[0]]
    contact.fields["fieldBirthday"] = "346460400"
    for arguments, birthday, told in (
        (["--raw"], "346460400", ""),
        ([], "346460400", "1 values of fieldBirthday are no such dates or times in UTC, and stay as the service keeps"),
        (["--timezone", "Europe/Berlin"], "1980-12-24", ""),
    ):
        ended = run(add_export, "--fields", "Geburtstag", *arguments)
        (row,) = csv.DictReader(io.StringIO(ended.out, newline=""), delimiter=";")
        assert row["fieldBirthday"] == birthday
        assert ended.err.startswith(told)
        assert bool(ended.err) is bool(told)
