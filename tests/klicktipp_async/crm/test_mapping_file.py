"""Mappings that users write: TOML files of both kinds, and pairs."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from klicktipp_async.crm.mapping import Collision, Mapping, MappingError, Target
from klicktipp_async.field_schema import FieldType

FULL = """
email = "E-Mail"
sms_number = "Mobil"
contact_id = "KlickTipp-ID"
segments = ["Phase", "Status"]
tags = ["Interessen"]
tag_separators = ";"
timezone = "Europe/Berlin"
country = 49

[crm_id]
column = "CRM-ID"
field = "field1234"

[fields]
Vorname = "fieldFirstName"
"Straße; Nr." = ["Straße", "Anschrift"]
Umsatz = { field = "Umsatz", type = "decimal", collision = "only-if-empty", clear_if_empty = true }
Kauf = ["Kaufdatum", { field = "Kaufzeit", type = "field-datetime" }]
"""


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """A file with that text."""
    path = folder / "mapping.toml"
    path.write_text(text, encoding=encoding)
    return path


def targets(mapping: Mapping) -> dict[str, list[str]]:
    """The names of the fields by column."""
    return {column: [target.field for target in targets] for column, targets in mapping.fields.items()}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_says_all_that_a_mapping_can(tmp_path: Path, encoding: str) -> None:
    """Its keys are the attributes; an editor's byte order mark does not matter; pairs may read it, too."""
    path = written(tmp_path, FULL, encoding)
    mapping = Mapping.from_toml(path)
    assert mapping == Mapping(
        email="E-Mail",
        sms_number="Mobil",
        contact_id="KlickTipp-ID",
        crm_id=("CRM-ID", "field1234"),
        fields={
            "Vorname": "fieldFirstName",
            "Straße; Nr.": ["Straße", "Anschrift"],
            "Umsatz": Target(
                field="Umsatz", type=FieldType.DECIMAL, collision=Collision.ONLY_IF_EMPTY, clear_if_empty=True
            ),
            "Kauf": ["Kaufdatum", Target(field="Kaufzeit", type=FieldType.DATETIME)],
        },
        segments=["Phase", "Status"],
        tags=["Interessen"],
        tag_separators=";",
        timezone=ZoneInfo("Europe/Berlin"),
        country="49",
    )
    assert Mapping.from_pairs([str(path)]) == mapping


def test_a_short_file_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    """What is not given is as in Python; one column needs no list."""
    assert Mapping.from_toml(written(tmp_path, 'email = "Mail"\ntags = "Tags"')) == Mapping(email="Mail", tags=["Tags"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("email = 5", "email must be the name of a column"),
        ('email = ["Mail"]', "email must be the name of a column"),
        ('email = ""', "email must name a column"),
        ('emial = "Mail"', "'emial' is no key of a mapping; did you mean 'email'?"),
        ('Vorname = "fieldFirstName"', "'Vorname' is no key of a mapping; columns stand in the table fields"),
        ("segments = [1]", "segments must be a list of names of columns"),
        ("tags = true", "tags must be a list of names of columns"),
        ('email = "M"\ntag_separators = ""', "tag_separators must name at least one character"),
        ("tag_separators = [';']", "tag_separators must be a text"),
        ('timezone = "Europa/Berlin"', "timezone must be the name of a known time zone"),
        ('timezone = "../etc"', "timezone must be the name of a known time zone"),
        ('timezone = "Europe"', "timezone must be the name of a known time zone"),
        ("timezone = 1", "timezone must be the name of a known time zone"),
        ('crm_id = "CRM-ID"', "crm_id must be a table with the texts column and field"),
        ('country = "+49"', "country must be a calling code without + or zeros, such as 49"),
        ("country = true", "country must be a calling code"),
        ('[crm_id]\ncolumn = "ID"', "crm_id must be a table with the texts column and field"),
        ('[crm_id]\ncolumn = "ID"\nfield = "a"\ntype = "b"', "crm_id must be a table with the texts column and field"),
        ('fields = "Vorname"', "fields must be a table of columns"),
        ("[fields]\nA = 1", "fields.A must be the name of a data field, or a table with such a field"),
        ('[fields]\nA = ["x", 1]', "fields.A must be the name of a data field"),
        ('[fields]\nA = { type = "date" }', "fields.A must be the name of a data field"),
        ('[fields]\nUmsatz.netto = "x"', "fields.Umsatz must be the name of a data field"),
        ('[fields]\nA = ""', "fields.A: field must be the key or the label"),
        ('[fields]\nA = { field = "x", typ = "date" }', "fields.A: 'typ' is not known; did you mean 'type'?"),
        ('[fields]\nA = { field = "x", type = "Datum" }', "fields.A: type must be one of line, paragraph"),
        ('[fields]\nA = { field = "x", collision = "nie" }', "fields.A: collision must be one of overwrite"),
        ('[fields]\nA = { field = "x", clear_if_empty = 1 }', "fields.A: clear_if_empty must be true or false"),
        ('sms_number = "A"\nemail = "A"', "the column 'A' is used for email and sms_number"),
    ],
)
def test_a_file_with_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Unknown keys, values of other kinds and unknown words are told under the name of the file."""
    path = written(tmp_path, text)
    with pytest.raises(MappingError) as caught:
        Mapping.from_toml(path)
    assert str(caught.value).startswith(f"{path} is wrong:")
    assert said in str(caught.value)


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    """One look is enough to repair a file."""
    text = 'farbe = 1\ntimezone = "x"\n[fields]\nA = { field = 1, type = "a", collision = "b", c = 1 }\n" " = "x"'
    with pytest.raises(MappingError) as caught:
        Mapping.from_toml(written(tmp_path, text))
    parts = (
        "'farbe'",
        "timezone",
        "A: field",
        "A: type",
        "A: collision",
        "A: 'c'",
        "fields must name",
        "who a contact is",
    )
    assert [part for part in parts if part not in str(caught.value)] == []


@pytest.mark.parametrize("content", [b"a = ", "Straße = 'x'".encode("cp1252")])
def test_a_file_that_is_broken_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever reads it, the file is named."""
    path = tmp_path / "mapping.toml"
    path.write_bytes(content)
    with pytest.raises(MappingError, match=r"mapping\.toml cannot be read: "):
        Mapping.from_toml(path)
    with pytest.raises(MappingError, match=r"mapping\.toml cannot be read: "):
        Mapping.from_pairs([str(path)])


@pytest.mark.parametrize(("longer", "said"), [(1, "it has more than 262,144 characters"), (0, "email")])
def test_a_file_of_contacts_is_no_mapping(tmp_path: Path, longer: int, said: str) -> None:
    """It is refused before the reader takes its time over it; what counts are characters, not bytes."""
    path = written(tmp_path, "#" + "ä" * ((1 << 18) - 1 + longer))
    with pytest.raises(MappingError, match=said):
        Mapping.from_toml(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(MappingError, match=r"missing\.toml cannot be read"):
        Mapping.from_toml(tmp_path / "missing.toml")


def test_pairs_go_to_all_kinds_of_targets() -> None:
    """The words, whatever their letter case, and else the key or label of a data field."""
    mapping = Mapping.from_pairs(
        [
            *(" E-Mail = EMAIL ", "Mobil=sms", "KT=id", "CRM-ID=crm: Kunden-Nr.", "Phase=segments", "Status=Segments"),
            *("Interessen=tags", "Mobil=fieldMobilePhone", "Mobil=Telefon", "A=B=field11", "Straße=Straße; Nr."),
        ]
    )
    assert mapping == Mapping(
        email="E-Mail",
        sms_number="Mobil",
        contact_id="KT",
        crm_id=("CRM-ID", "Kunden-Nr."),
        segments=["Phase", "Status"],
        tags=["Interessen"],
        fields={"Mobil": ["fieldMobilePhone", "Telefon"], "A=B": "field11", "Straße": "Straße; Nr."},
    )


@pytest.mark.parametrize(
    ("target", "field", "kind"),
    [
        ("field11:date", "field11", FieldType.DATE),
        ("field11:datetime", "field11", FieldType.DATETIME),
        ("field11:time", "field11", FieldType.TIME),
        ("field11:decimal", "field11", FieldType.DECIMAL),
        ("Kanal: Shop:number", "Kanal: Shop", FieldType.NUMBER),
        ("field11:text", "field11", None),
        ("Kanal: Shop", "Kanal: Shop", None),
    ],
)
def test_a_form_says_what_a_field_holds(target: str, field: str, kind: FieldType | None) -> None:
    """A colon with something else behind it belongs to the label."""
    mapping = Mapping.from_pairs(["M=email", f"A={target}"])
    assert mapping.fields == {"A": (Target(field=field, type=kind),)}


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["E-Mail"], "'E-Mail' is neither COLUMN=TARGET nor a .toml file"),
        (["mapping.json"], "neither COLUMN=TARGET"),
        (["A=email", "B=email"], "email is given more than once: 'A', 'B'"),
        (["A=id", "B=id"], "contact_id is given more than once"),
        (["A=crm:x", "B=crm:x"], "the column of the CRM's id is given more than once: 'A', 'B'"),
        (["A=crm:x", "A=crm:y"], "the field of the CRM's id is given more than once: 'x', 'y'"),
        (["A=email:date"], "'email:date': only a data field has a form such as :date"),
        (["A=crm:x:number"], "only a data field has a form"),
        (["M=email", "A="], "the target of 'A' is missing"),
        (["M=email", "A=crm:"], "crm_id must name the data field"),
        (["=email"], "email must name a column"),
        (["A=field11"], "no column says who a contact is"),
        (["A=emial"], "'emial' is no target; did you mean 'email'?"),
        (["A=nix"], "'nix' is no word for who a contact is, and was taken for a data field"),
        (["A=nix"], "no column says who a contact is"),
        (["A=emial", "B=Notiz"], "no column says who a contact is"),
        ([], "no column says who a contact is"),
    ],
)
def test_pairs_that_cannot_be_are_refused(pairs: list[str], said: str) -> None:
    """Each problem is told, those of the whole mapping, too."""
    with pytest.raises(MappingError) as caught:
        Mapping.from_pairs(pairs)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '"E-Mail" = "email"\nMobil = ["sms", "fieldMobilePhone"]\n',
        '[map]\n"E-Mail" = "email"\nMobil = ["sms", "fieldMobilePhone"]',
    ],
)
def test_pairs_can_stand_in_a_file(tmp_path: Path, text: str) -> None:
    """Pairs at the top of a file or in its table `map` are taken, beside those of the command line."""
    mapping = Mapping.from_pairs([str(written(tmp_path, text)), "Vorname=fieldFirstName"])
    assert (mapping.email, mapping.sms_number) == ("E-Mail", "Mobil")
    assert targets(mapping) == {"Mobil": ["fieldMobilePhone"], "Vorname": ["fieldFirstName"]}


@pytest.mark.parametrize(
    "text",
    [
        'email = "email"\nsegments = "segments"',
        'email = "EMAIL"\nsegments = ["segments"]',
        '"email" = "email"\nfields = "field11"\nsegments = "segments"',
        'email = "email"\nsms_number = "sms"\ncontact_id = "field11"\nsegments = "segments"',
        'email = "email"\ncontact_id = "id"\ncrm_id = "crm:field11"\nsegments = ["segments", "field12:date"]',
        '[map]\nemail = "email"\nsegments = "segments"\ntags = "Label"',
    ],
)
def test_columns_may_be_called_like_keys(tmp_path: Path, text: str) -> None:
    """A file whose columns go to targets is one of pairs, whatever the columns are called."""
    mapping = Mapping.from_pairs([str(written(tmp_path, text))])
    assert (mapping.email, mapping.segments) == ("email", ("segments",))
    assert mapping.sms_number in {None, "sms_number"}


@pytest.mark.parametrize(
    "text",
    [
        'email = "E-Mail"\ntags = ["Interessen"]',
        'email = "email"\ntags = ["Interessen"]\n[fields]\nA = "field11"',
        'email = "email"\ntags = "Interessen"\n[crm_id]\ncolumn = "ID"\nfield = "field11"',
        'email = "email"\ntags = ["Interessen"]\nsegments = ["Phase"]',
        'email = "email"\ntags = ["Interessen"]\nsms_number = "Mobil"',
        'email = "email"\ntags = ["Interessen"]\ncontact_id = "KlickTipp-ID"',
    ],
)
def test_keys_of_a_mapping_are_not_taken_for_columns(tmp_path: Path, text: str) -> None:
    """Its tables, or a key that is given something else than a target, tell such a file from one of pairs."""
    path = written(tmp_path, text)
    mapping = Mapping.from_pairs([str(path)])
    assert mapping == Mapping.from_toml(path)
    assert mapping.tags == ("Interessen",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1", "'a' must be given as"),
        ("map = 1", "'map' must be given as"),
        ("a = [1]", "'a' must be given as"),
        ("email = 5", "'email' must be given as"),
        ('timezone = "Europe/Berlin"\n[map]\na = "email"', "'timezone' stands beside the table map"),
        ('email = "E-Mail"\ncolour = 1', "'colour' is no key of a mapping"),
    ],
)
def test_problems_of_a_file_among_pairs_name_it(tmp_path: Path, text: str, said: str) -> None:
    """A line of the command line is not to blame."""
    path = written(tmp_path, text)
    with pytest.raises(MappingError) as caught:
        Mapping.from_pairs(["Mail=email", str(path)])
    assert f"{path}: {said}" in str(caught.value)


def test_pairs_and_files_may_not_contradict_each_other(tmp_path: Path) -> None:
    """What is given twice has to be the same."""
    path = str(written(tmp_path, FULL))
    assert Mapping.from_pairs(["E-Mail=email", path]).email == "E-Mail"
    with pytest.raises(MappingError, match="email is given more than once: 'Mail', 'E-Mail'"):
        Mapping.from_pairs(["Mail=email", path])


def test_the_file_may_name_opt_in_process_and_prefix(tmp_path: Path) -> None:
    """By id, by name, or the account's own."""
    path = tmp_path / "mapping.toml"
    for written, read in (("7", 7), ('"Newsletter"', "Newsletter"), ('"default"', "default")):
        path.write_text(f'email = "Mail"\nopt_in = {written}\nprefix = "[HubSpot] "\n', encoding="utf-8")
        mapping = Mapping.from_toml(path)
        assert (mapping.opt_in, mapping.prefix) == (read, "[HubSpot] ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("opt_in = true", "opt_in must be"),
        ('opt_in = ""', "opt_in must be"),
        ('prefix = " "', "prefix"),
        ("prefix = 7", "prefix"),
    ],
)
def test_a_wrong_opt_in_process_or_prefix_is_told(tmp_path: Path, line: str, said: str) -> None:
    """Beside every other problem of the file."""
    path = tmp_path / "mapping.toml"
    path.write_text(f'email = "Mail"\n{line}\nnix = 1\n', encoding="utf-8")
    with pytest.raises(MappingError, match=said) as caught:
        Mapping.from_toml(path)
    assert "'nix'" in str(caught.value)
