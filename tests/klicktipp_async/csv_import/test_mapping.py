"""Columns and targets: what the user may ask for, what is refused, and what is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from klicktipp_async.csv_import.mapping import ColumnMap, MappingError, guess, read_wishes, resolve

FIELDS = {
    "fieldFirstName": "Vorname",
    "fieldLastName": "Nachname",
    "fieldZip": "Postleitzahl",
    "fieldMobilePhone": "Telefon (mobil)",
    "fieldBirthday": "Geburtstag",
    "field11": "Umsatz",
    "field12": "Kanal: Shop",
    "field13": "Größe",
    "field14": "Größe",
    "field15": "Beruf",
    "field16": "BERUF",
}
HEADER = ("E-Mail", "Vorname", "Mobil", "Umsatz", "Segmente", "A=B", " Notiz ")


def targets(columns: ColumnMap) -> dict[str, str]:
    """Column to target."""
    return {column.column: column.target for column in columns.assignments}


def resolved(*maps: str, header: tuple[str, ...] = HEADER) -> ColumnMap:
    """The maps of a command line, looked up."""
    return resolve(read_wishes(maps), header, FIELDS)


@pytest.mark.parametrize(
    ("given", "column", "target"),
    [
        ("E-Mail=email", "E-Mail", "email"),
        (" e-mail = EMAIL ", "E-Mail", "email"),
        ("Vorname=fieldFirstName", "Vorname", "fieldFirstName"),
        ("Vorname=vorname", "Vorname", "fieldFirstName"),
        ("Umsatz=field11:decimal", "Umsatz", "field11:decimal"),
        ("Umsatz=Umsatz:date", "Umsatz", "field11:date"),
        ("Umsatz=field11:datetime", "Umsatz", "field11:datetime"),
        ("Umsatz=Kanal: Shop", "Umsatz", "field12"),
        ("Umsatz=Kanal: Shop:decimal", "Umsatz", "field12:decimal"),
        ("Umsatz=Beruf", "Umsatz", "field15"),
        ("Umsatz=Geburtstag", "Umsatz", "fieldBirthday:date"),
        ("A=B=field11", "A=B", "field11"),
        ("Notiz=field11", " Notiz ", "field11"),
        ("Segmente=tags", "Segmente", "tags"),
        ("Mobil=sms", "Mobil", "sms"),
    ],
)
def test_a_column_finds_its_target(given: str, column: str, target: str) -> None:
    """Keys, labels and words are found, columns by their name whatever its case and the blanks around it."""
    columns = resolved(given, "Mobil=sms") if target not in {"sms", "email"} else resolved(given)
    assert targets(columns)[column] == target


def test_columns_without_a_target_are_named() -> None:
    """What is not imported is known by name."""
    columns = resolved("E-Mail=email", "Vorname=fieldFirstName")
    assert columns.unmapped == ("Mobil", "Umsatz", "Segmente", "A=B", " Notiz ")
    assert columns.width == len(HEADER)


def test_a_column_may_have_several_targets_and_tags_several_columns() -> None:
    """One number can be the SMS number and a data field; tags can come from two columns."""
    columns = resolved("Mobil=sms", "Mobil=fieldMobilePhone", "Segmente=tags", "A=B=tags")
    assert [column.target for column in columns.assignments] == ["sms", "fieldMobilePhone", "tags", "tags"]


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        (["Email=email"], "no column 'Email'; did you mean 'E-Mail'"),
        (["E-Mail=email", "Vorname=fieldFirstname"], "did you mean 'fieldFirstName'"),
        (["E-Mail=email", "Vorname=field999"], "'field999' is neither"),
        (["E-Mail=email", "Vorname=Größe"], "label of several data fields: field13, field14"),
        (["E-Mail=email", "Vorname=größe"], "label of several data fields: field13, field14"),
        (["E-Mail=email", "Vorname=beruf"], "label of several data fields: field15, field16"),
        (["E-Mail=email", "Vorname=email"], "email is the target of more than one column: 'E-Mail', 'Vorname'"),
        (["E-Mail=email", "A=B=field11", "Umsatz=Umsatz:decimal"], "field11 is the target of more than one column"),
        (["E-Mail=email:date"], "only a data field has a form"),
        (["Vorname=fieldFirstName"], "nobody could be reached"),
        ([], "nobody could be reached"),
    ],
)
def test_what_cannot_be_mapped_is_refused(maps: list[str], said: str) -> None:
    """Unknown columns and targets, ambiguous labels, double targets and a missing address are refused."""
    with pytest.raises(MappingError, match=said):
        resolved(*maps)


def test_every_problem_is_told_at_once() -> None:
    """One look is enough to repair a mapping."""
    with pytest.raises(MappingError) as caught:
        resolved("Nix=email", "Vorname=field999", "Mobil=sms", "Umsatz=sms")
    assert [part in str(caught.value) for part in ("'Nix'", "'field999'", "sms is the target")] == [True] * 3


def test_columns_that_differ_in_case_only_are_told_apart() -> None:
    """The exact name wins; where there is none, two that look alike are refused."""
    header = ("Mail", "mail")
    assert resolved("mail=email", header=header).assignments[0].place == 1
    with pytest.raises(MappingError, match="'MAIL'"):
        resolved("MAIL=email", header=header)


@pytest.mark.parametrize(
    "text",
    [
        '"E-Mail" = "email"\nMobil = ["sms", "fieldMobilePhone"]\n',
        '[map]\n"E-Mail" = "email"\nMobil = ["sms", "fieldMobilePhone"]',
    ],
)
def test_a_mapping_can_stand_in_a_toml_file(tmp_path: Path, text: str) -> None:
    """Pairs at the top of a TOML file or in its table `map` are taken, beside those of the command line."""
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    columns = resolved(str(path), "Vorname=fieldFirstName")
    assert [column.target for column in columns.assignments] == ["email", "sms", "fieldMobilePhone", "fieldFirstName"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = ", "cannot be read"),
        ("a = 1", "must be given as"),
        ("map = 1", "must be given as"),
        ("a = [1]", "must be"),
    ],
)
def test_a_toml_file_with_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A broken file and values that are no texts are refused."""
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match=said):
        read_wishes([str(path)])


@pytest.mark.parametrize("given", ["E-Mail", "mapping.json"])
def test_what_is_no_mapping_is_refused(given: str) -> None:
    """An argument without an equals sign that is no TOML file is refused."""
    with pytest.raises(MappingError, match="neither COLUMN=TARGET"):
        read_wishes([given])


def test_a_missing_toml_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(MappingError, match=r"missing\.toml cannot be read"):
        read_wishes([str(tmp_path / "missing.toml")])


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (("E-Mail-Adresse", "Vorname", "PLZ"), ["email", "fieldFirstName", "fieldZip"]),
        (("e mail address", "First_Name", "Last name"), ["email", "fieldFirstName", "fieldLastName"]),
        (("Email", "Geburtsdatum", "field11"), ["email", "fieldBirthday:date", "field11"]),
        (("email", "Handy", "Tags", "SMS", "Umsatz", "Website"), ["email", "fieldMobilePhone"]),
        (("email", "Vorname", "First Name"), ["email"]),
        (("email", "Firma"), ["email"]),
    ],
)
def test_plain_names_are_guessed_and_no_others(header: tuple[str, ...], found: list[str]) -> None:
    """Only names without a doubt are mapped: no SMS number, no tags, no label, nothing the account lacks."""
    columns = guess(header, FIELDS)
    assert [column.target for column in columns.assignments] == found
    assert len(columns.unmapped) == len(header) - len(found)


@pytest.mark.parametrize("header", [("Name", "Ort"), ("E-Mail", "Email", "Vorname")])
def test_guessing_needs_one_address_column(header: tuple[str, ...]) -> None:
    """Without an address column, or with two, the user is asked."""
    with pytest.raises(MappingError, match='--map "COLUMN=email"'):
        guess(header, FIELDS)
