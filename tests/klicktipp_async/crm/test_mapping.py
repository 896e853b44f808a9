"""Mappings: what may be asked for, what is refused, and how names are looked up in the account."""

from __future__ import annotations

import pickle
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klicktipp_async.crm.mapping import Collision, Mapping, MappingError, Segments, Target
from klicktipp_async.crm.wanted import FieldColumn, Rules
from klicktipp_async.errors import ArgumentError, ConfigError
from klicktipp_async.field_schema import FieldType

FIELDS = {
    "fieldFirstName": "Vorname",
    "fieldLastName": "Nachname",
    "fieldStreet1": "Straße",
    "fieldBirthday": "Geburtstag",
    "fieldWebsite": "Webseite",
    "fieldLeadValue": "Wert",
    "field11": "Umsatz",
    "field12": "Kanal: Shop",
    "field13": "Größe",
    "field14": "Größe",
    "field15": "Beruf",
    "field16": "BERUF",
    "field17": "11",
    "field1234": "Kundennummer",
}
HEADER = ("E-Mail", "Vorname", "Mobil", "Umsatz", "Phase", "A=B", " Notiz ", "CRM-ID")


def resolved(*, header: tuple[str, ...] | None = HEADER, **given: Any) -> Rules:
    """A mapping with an address, looked up."""
    return Mapping(**{"email": "E-Mail", **given}).resolve(header=header, fields=FIELDS)


def refusal(**given: Any) -> str:
    """Why such a mapping cannot be looked up."""
    with pytest.raises(MappingError) as caught:
        resolved(**given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "no column says who a contact is: give at least one of email, sms_number, contact_id, crm_id"),
        ({"fields": {"Vorname": "fieldFirstName"}}, "no column says who a contact is"),
        ({"email": " "}, "email must name a column"),
        ({"email": "Mail", "fields": {"": "field11"}}, "fields must name a column"),
        ({"email": "Mail", "segments": ["Phase", " "]}, "segments must name a column"),
        ({"email": "Mail", "tags": [5]}, "tags must name a column"),
        ({"email": "Mail", "fields": ["first"]}, "fields must map columns to data fields"),
        ({"email": "Mail", "fields": {"first": 5}}, "fields must map each column to the name of a data field"),
        ({"email": "Mail", "fields": {"first": ["field11", None]}}, "fields must map each column to the name"),
        ({"email": "Mail", "segments": 5}, "segments and tags must be lists of columns"),
        ({"crm_id": 5}, "crm_id must be a column and the data field"),
        ({"email": "Mail", "segments": "Phase"}, "segments and tags must be lists of columns"),
        ({"email": "Mail", "sms_number": "Mail"}, "the column 'Mail' is used for email and sms_number"),
        ({"contact_id": "ID", "crm_id": ("ID", "field11")}, "the column 'ID' is used for contact_id and crm_id"),
        ({"crm_id": ("ID", " ")}, "crm_id must name the data field"),
        ({"crm_id": "ID"}, "crm_id must be a column and the data field"),
        ({"crm_id": ("ID", "field11", "field12")}, "crm_id must be a column and the data field"),
        ({"email": "Mail", "tag_separators": ""}, "tag_separators must name at least one character"),
        ({"email": "Mail", "timezone": "Europe/Berlin"}, "timezone must be a tzinfo"),
        ({"email": "Mail", "fields": {"A": " "}}, "field must be the key or the label"),
    ],
)
def test_a_mapping_that_contradicts_itself_is_refused(arguments: dict[str, Any], said: str) -> None:
    """What can be seen without the account raises at once, under the name of the argument."""
    with pytest.raises(ArgumentError, match=said):
        Mapping(**arguments)


def test_all_contradictions_are_told_at_once() -> None:
    """One look is enough to repair a call."""
    with pytest.raises(ArgumentError) as caught:
        Mapping(segments=[""], tag_separators="")
    assert all(word in str(caught.value) for word in ("segments", "tag_separators", "who a contact is"))


@pytest.mark.parametrize(
    "identity", [{"email": "X"}, {"sms_number": "X"}, {"contact_id": "X"}, {"crm_id": ("X", "field11")}]
)
def test_one_identity_is_enough(identity: dict[str, Any]) -> None:
    """Each of them can tell who a contact is."""
    assert Mapping(**identity).columns == ("X",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"field": ""}, "field must be"),
        ({"field": 5}, "field must be"),
        ({"field": "field11", "type": "dezimal"}, "type must be one of line, paragraph"),
        ({"field": "field11", "collision": "immer"}, "collision must be one of overwrite, only-if-empty, never"),
    ],
)
def test_a_target_with_unknown_words_is_refused(arguments: dict[str, Any], said: str) -> None:
    """The error lists the words that are known."""
    with pytest.raises(ArgumentError, match=said):
        Target(**arguments)


@pytest.mark.parametrize("word", ["decimal", "field-decimal", FieldType.DECIMAL])
def test_a_type_goes_by_several_words(word: str) -> None:
    """Short, in the vendor's spelling, and as the enum."""
    assert Target(field=" Umsatz ", type=word) == Target(field="Umsatz", type=FieldType.DECIMAL)


def test_every_column_is_named_once() -> None:
    """What a source has to bring along is known."""
    mapping = Mapping(
        email="Mail",
        contact_id="KT",
        crm_id=("ID", "field1234"),
        fields={"Mail": "field11", "Name": ["Vorname", "Nachname"]},
        segments=["Phase"],
        tags=["Phase", "Interessen"],
    )
    assert mapping.columns == ("Mail", "KT", "ID", "Name", "Phase", "Interessen")


def test_a_fingerprint_tells_mappings_apart_and_not_the_order_of_their_fields() -> None:
    """A resumed job needs the same mapping, however it is written down."""
    berlin, vienna = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Vienna")
    mapping = Mapping(email="Mail", fields={"A": "field11", "B": Target(field="field12")}, timezone=berlin)
    same = Mapping(email="Mail", fields={"B": ["field12"], "A": "field11"}, timezone=berlin)
    others = [
        Mapping(email="Mail", fields={"A": "field11", "B": "field12"}, timezone=vienna),
        Mapping(email="Mail", fields={"A": "field12", "B": "field11"}, timezone=berlin),
        Mapping(email="Mail", fields={"A": "field11", "B": Target(field="field12", clear_if_empty=True)}),
    ]
    assert mapping.fingerprint == same.fingerprint
    assert len({mapping.fingerprint, *(other.fingerprint for other in others)}) == 4


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("fieldFirstName", "fieldFirstName"),
        ("FirstName", "fieldFirstName"),
        ("Vorname", "fieldFirstName"),
        ("vorname", "fieldFirstName"),
        ("STRASSE", "fieldStreet1"),
        ("1234", "field1234"),
        ("Kundennummer", "field1234"),
        ("Kanal: Shop", "field12"),
        ("Beruf", "field15"),
        ("beRUF", None),
        ("field13", "field13"),
        ("Größe", None),
        ("11", None),
    ],
)
def test_a_field_is_found_by_its_key_or_its_label(field: str, key: str | None) -> None:
    """The exact name wins over one in another letter case; what could be two fields is none."""
    if key is None:
        assert f"{field!r} could be several data fields" in refusal(fields={"Umsatz": field})
    else:
        assert resolved(fields={"Umsatz": field}).fields == (
            FieldColumn(column="Umsatz", key=key, type=resolved(fields={"Umsatz": key}).fields[0].type),
        )


def test_names_of_columns_become_those_of_the_header() -> None:
    """Letter case and blanks around a name do not matter, and what is left over is known."""
    rules = resolved(email=" e-mail", fields={"notiz": "field11"}, segments=["PHASE"], crm_id=("crm-id", "1234"))
    assert (rules.email, rules.fields[0].column, rules.segment_columns) == ("E-Mail", " Notiz ", ("Phase",))
    assert (rules.crm_column, rules.crm_field) == ("CRM-ID", "field1234")
    assert rules.unmapped == ("Vorname", "Mobil", "Umsatz", "A=B")


def test_without_a_header_columns_stay_as_they_are() -> None:
    """Rows of a program have no header to look into."""
    rules = resolved(header=None, email="mail", fields={"x": "field11"})
    assert (rules.email, rules.fields[0].column, rules.unmapped) == ("mail", "x", ())


def test_columns_that_differ_in_case_only_are_told_apart() -> None:
    """The exact name wins; where there is none, two that look alike are refused, as are two of one name."""
    assert resolved(header=("Mail", "mail"), email="mail").email == "mail"
    assert "several columns could be 'MAIL': 'Mail', 'mail'" in refusal(header=("Mail", "mail"), email="MAIL")
    assert "several columns could be 'Mail'" in refusal(header=("Mail", "Mail"), email="Mail")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"email": "Email"}, "there is no column 'Email'; did you mean 'E-Mail'?"),
        ({"fields": {"Vorname": "fieldFirstname"}}, "did you mean 'fieldFirstName'?"),
        ({"fields": {"Vorname": "field999"}}, "'field999' is no data field of the account"),
        ({"fields": {"Vorname": "emial"}}, "did you mean 'email'?"),
        ({"fields": {"Vorname": "E-Mail"}}, "'E-Mail' is no data field: name its column as email"),
        ({"fields": {"Vorname": "sms"}}, "'sms' is no data field: name its column as sms_number"),
        ({"fields": {"A=B": "11 ", "Umsatz": "Umsatz"}}, "could be several data fields: field11, field17"),
        (
            {"fields": {"A=B": "field11", "Umsatz": "Umsatz"}},
            "field11 is the target of more than one column: 'A=B', 'Um",
        ),
        ({"fields": {"A=B": ["field11", "Umsatz"]}}, "field11 is the target of more than one column: 'A=B', 'A=B'"),
        ({"crm_id": ("CRM-ID", "field999")}, "'field999' is no data field"),
        ({"crm_id": ("CRM-ID", "Geburtstag")}, "fieldBirthday cannot keep the CRM's id: it is a field for date"),
        (
            {"crm_id": ("CRM-ID", "1234"), "fields": {"Umsatz": "Kundennummer"}},
            "field1234 keeps the CRM's id and cannot be a target as well: 'Umsatz'",
        ),
        ({"sms_number": "e-mail"}, "the column 'E-Mail' is used for email and sms_number"),
        ({"fields": {"Umsatz": Target(field="Birthday", type="datetime")}}, "cannot be datetime: it is date"),
        ({"fields": {"Umsatz": Target(field="Vorname", type="number")}}, "cannot be number: it is paragraph"),
        ({"fields": {"Umsatz": Target(field="Webseite", type="line")}}, "fieldWebsite cannot be line: it is url"),
        (
            {"fields": {"Umsatz": Target(field="Vorname", type="paragraph")}},
            "fieldFirstName cannot be paragraph: it is a text of one line",
        ),
        ({"fields": {"Umsatz": Target(field="Vorname", type="html")}}, "fieldFirstName cannot be html"),
        ({"segments": ["Phasen"]}, "there is no column 'Phasen'; did you mean 'Phase'?"),
        ({"tags": ["Tags"]}, "there is no column 'Tags'"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(given: dict[str, Any], said: str) -> None:
    """Unknown columns and fields, double targets and types that cannot be, with a word on what was meant."""
    assert said in refusal(**given)


@pytest.mark.parametrize(("field", "word"), [("Vorname", "line"), ("Wert", "decimal"), ("Geburtstag", "date")])
def test_a_type_may_say_more_than_is_known_of_a_standard_field(field: str, word: str) -> None:
    """Texts may be of one line, and the lead value may have decimals."""
    assert (
        resolved(fields={"Umsatz": Target(field=field, type=word)}).fields[0].type == Target(field="x", type=word).type
    )


def test_every_problem_is_told_at_once_and_once() -> None:
    """One look is enough to repair a mapping."""
    said = refusal(email="Nix", fields={"Nix": "field999", "A=B": "Größe"}, crm_id=("ID", "Umsatz"))
    assert [said.count(part) for part in ("'Nix'", "'field999'", "'Größe'", "'ID'")] == [1, 1, 1, 1]
    assert said.count("\n  - ") == 4


def test_tags_of_every_contact_are_checked() -> None:
    """A name that no tag can have is found before the first row."""
    mapping = Mapping(email="E-Mail")
    with pytest.raises(MappingError, match="'2025' cannot be the name of a tag"):
        mapping.resolve(header=HEADER, fields=FIELDS, tags=["Import", "2025"])
    assert mapping.resolve(header=HEADER, fields=FIELDS, tags=[" Import "]).tags == ("Import",)


def test_rules_say_what_may_be_changed() -> None:
    """Collisions, types and the prefix can be asked for by the key."""
    rules = Mapping(
        email="E-Mail",
        fields={"Vorname": Target(field="Vorname", collision="never"), "Umsatz": Target(field="11 ", type="decimal")},
        timezone=ZoneInfo("Europe/Berlin"),
    ).resolve(header=HEADER, fields={"fieldFirstName": "Vorname", "field11": "Umsatz"}, segments=Segments("[X] "))
    assert (rules.collision("fieldFirstName"), rules.collision("field11")) == (Collision.NEVER, Collision.OVERWRITE)
    assert rules.schema.type_of("field11") is FieldType.DECIMAL
    assert rules.schema.timezone == ZoneInfo("Europe/Berlin")
    assert (rules.segments.prefix, rules.manages_segments, rules.crm_field) == ("[X] ", False, None)


def test_segments_have_their_prefix_once() -> None:
    """A name that has it already stays as it is, and only names with it are owned."""
    segments = Segments()
    assert [segments.tag_name(name) for name in ("Kunde", "[CRM] Kunde")] == ["[CRM] Kunde"] * 2
    assert [segments.owns(name) for name in ("[CRM] Kunde", "Kunde", "[crm] Kunde")] == [True, False, False]


@pytest.mark.parametrize("prefix", ["", "  ", " [CRM]", None])
def test_a_prefix_that_would_own_every_tag_is_refused(prefix: Any) -> None:
    """Without a prefix, a sync would take off whatever the CRM does not know."""
    with pytest.raises(ArgumentError, match="prefix must be a text"):
        Segments(prefix)


def test_a_mapping_error_is_a_config_error_and_can_be_pickled() -> None:
    """Callers catch what they know, and other processes see the whole text."""
    error = MappingError("the mapping is wrong:\n  - x")
    assert isinstance(error, ConfigError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
