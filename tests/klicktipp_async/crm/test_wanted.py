"""Rows: what is wanted of a contact, what is left alone, and why a row cannot be taken."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping as MappingOf
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from klicktipp_async.crm.mapping import Mapping, Segments, Target
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.crm.wanted import Rules, Wanted
from klicktipp_async.field_schema import CLEAR

BERLIN = ZoneInfo("Europe/Berlin")
CHRISTMAS_EVE = "346464000"
FIELDS = {
    "fieldFirstName": "Vorname",
    "fieldBirthday": "Geburtstag",
    "fieldWebsite": "Webseite",
    **{f"field{number}": str(number) for number in range(11, 20)},
}
MAPPING: dict[str, Any] = {
    "email": "Mail",
    "sms_number": "Mobil",
    "contact_id": "KT",
    "crm_id": ("ID", "field19"),
    "fields": {
        "Vorname": "Vorname",
        "Geburtstag": "Geburtstag",
        "Webseite": Target(field="Webseite", clear_if_empty=True),
        "Umsatz": Target(field="field11", type="decimal"),
        "Anzahl": Target(field="field12", type="number"),
        "Termin": Target(field="field13", type="datetime"),
        "Uhrzeit": Target(field="field14", type="time"),
        "Privat": Target(field="field15", type="email"),
        "Zeile": Target(field="field16", type="line"),
        "Notiz": ["field17", "field18"],
    },
    "segments": ["Phase", "Status"],
    "tags": ["Tags"],
}
WEBSITE_CLEARED = {"fieldWebsite": ""}


class Phase(enum.Enum):
    CUSTOMER = "Kunde"


def rules(*, tags: tuple[str, ...] = (), segments: Segments | None = None, **changed: Any) -> Rules:
    """The usual rules, with some attributes changed."""
    mapping = Mapping(**{**MAPPING, **changed})
    return mapping.resolve(header=None, fields=FIELDS, segments=segments, tags=tags)


def wanted(row: MappingOf[str, object], rules: Rules) -> Wanted:
    """What a row in order wants."""
    wanted = rules.wanted(row)
    assert isinstance(wanted, Wanted)
    return wanted


def fields(value: object, column: str, **changed: Any) -> MappingOf[str, str]:
    """The fields of a row with one value beside the address."""
    found = wanted({"Mail": "anna@example.com", column: value, "Webseite": "https://x"}, rules(**changed)).fields
    return {key: text for key, text in found.items() if text != "https://x"}


def test_a_full_row_of_texts() -> None:
    """Each cell goes where the mapping says, in the form in which the service keeps it."""
    row = {
        "Mail": " anna@example.com\u00a0",
        "Mobil": "'+49 30 23125-007",
        "KT": "4711",
        "ID": " KD-0815 ",
        "Vorname": " Änne ",
        "Geburtstag": "24.12.1980",
        "Webseite": "https://example.com/straße",
        "Umsatz": "1.234,50 €",
        "Anzahl": "1.234,00",
        "Termin": "24.12.2025 18:30",
        "Uhrzeit": "14:30",
        "Privat": "änne@example.org",
        "Zeile": "Müller; Söhne",
        "Notiz": "eins\nzwei",
        "Phase": "Kunde|[CRM] VIP",
        "Status": "Kunde, Süd",
        "Tags": "Messe",
        "Rest": object(),
    }
    assert wanted(row, rules(tags=("Import", "Messe"), timezone=BERLIN)) == Wanted(
        contact="4711",
        crm_id="KD-0815",
        email="anna@example.com",
        sms_number="00493023125007",
        fields={
            "fieldFirstName": "Änne",
            "fieldBirthday": str(int(CHRISTMAS_EVE) - 3600),
            "fieldWebsite": "https://example.com/straße",
            "field11": "123450",
            "field12": "1234",
            "field13": "1766597400",
            "field14": "52200",
            "field15": "änne@example.org",
            "field16": "Müller; Söhne",
            "field17": "eins\nzwei",
            "field18": "eins\nzwei",
            "field19": "KD-0815",
        },
        segments=("[CRM] Kunde", "[CRM] VIP", "[CRM] Süd"),
        tags=("Import", "Messe"),
    )


@pytest.mark.parametrize("empty", [None, "", " \u00a0"])
def test_empty_cells_leave_what_is_stored_alone(empty: str | None) -> None:
    """Only a target that says so is cleared; an address and ids that are empty are None."""
    columns = [column for column in Mapping(**MAPPING).columns if column != "Mail"]
    found = wanted({"Mail": "anna@example.com", **dict.fromkeys(columns, empty)}, rules())
    assert found == Wanted(email="anna@example.com", fields=WEBSITE_CLEARED)


def test_a_column_that_is_not_there_changes_nothing() -> None:
    """Rows of a program need not have every key; what they do not say is neither cleared nor taken off."""
    assert wanted({"KT": 4711}, rules()) == Wanted(contact="4711", keeps_segments=True)


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("Vorname", CLEAR, ""),
        ("Vorname", Phase.CUSTOMER, "Kunde"),
        ("Vorname", 5, "5"),
        ("Geburtstag", CLEAR, ""),
        ("Geburtstag", dt.date(1980, 12, 24), CHRISTMAS_EVE),
        ("Geburtstag", "1980-12-24", CHRISTMAS_EVE),
        ("Geburtstag", 0, "0"),
        ("Umsatz", Decimal("19.99"), "1999"),
        ("Umsatz", 19.99, "1999"),
        ("Umsatz", 5, "500"),
        ("Umsatz", "5", "500"),
        ("Anzahl", 1234, "1234"),
        ("Termin", dt.datetime(2025, 12, 24, 17, 30, tzinfo=dt.UTC), "1766597400"),
        ("Termin", "2025-12-24T17:30Z", "1766597400"),
        ("Uhrzeit", dt.time(14, 30), "52200"),
    ],
)
def test_values_of_python_are_written_as_their_field_wants(column: str, value: object, text: str) -> None:
    """Texts are read as those of a file, everything else as what it is."""
    assert list(fields(value, column).values()) == [text]


def test_a_time_without_a_zone_is_meant_in_that_of_the_account() -> None:
    """As it is for texts."""
    naive = dt.datetime(2025, 12, 24, 18, 30)  # noqa: DTZ001
    assert fields(naive, "Termin", timezone=BERLIN) == {"field13": "1766597400"}


@pytest.mark.parametrize("day", ["01.01.0001", "31.12.9999"])
def test_the_first_and_the_last_day_can_be_written(day: str) -> None:
    """A zone does not push them out of the calendar."""
    assert set(fields(f"{day} 00:00", "Termin", timezone=BERLIN)) == {"field13"}
    assert set(fields(day, "Geburtstag", timezone=ZoneInfo("Pacific/Auckland"))) == {"fieldBirthday"}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"Mail": "anna.example.com"}, "email_invalid"),
        ({"Mail": 5}, "email_invalid"),
        ({"Mobil": "0171 39200 17"}, "sms_invalid"),
        ({"Mobil": True}, "sms_invalid"),
        ({"Mobil": "4,93023E+11"}, "sms_damaged"),
        ({"Mobil": 493023125007}, "sms_damaged"),
        ({"Mobil": "493023125007"}, "sms_damaged"),
        ({"KT": "47 11"}, "contact_id_invalid"),
        ({"ID": "zwei\nZeilen"}, "crm_id_invalid"),
        ({"Geburtstag": "31.02.1980"}, "date_invalid"),
        ({"Geburtstag": "24.12.80"}, "date_invalid"),
        ({"Termin": "23.11.2025 18:30"}, "datetime_invalid"),
        ({"Uhrzeit": "halb drei"}, "time_invalid"),
        ({"Umsatz": "1,234"}, "decimal_invalid"),
        ({"Umsatz": "9" * 70}, "decimal_invalid"),
        ({"Anzahl": "-12345"}, "number_invalid"),
        ({"Webseite": "www.example.com"}, "url_invalid"),
        ({"Privat": "anna.example.org"}, "email_invalid"),
        ({"Zeile": "zwei\nZeilen"}, "line_invalid"),
        ({"Vorname": "\ud800\ud800\ud800\ud800"}, "characters_invalid"),
        ({"Vorname": True}, "field_invalid"),
        ({"Anzahl": -12345}, "field_invalid"),
        ({"Notiz": Decimal("12.345")}, "field_invalid"),
        ({"Termin": dt.datetime(2025, 12, 24, 18, 30)}, "field_invalid"),  # noqa: DTZ001
        ({"Tags": "Kunde|2025"}, "tag_invalid"),
        ({"Tags": 2025}, "tag_invalid"),
        ({"Tags": "Müller" * 50}, "tag_invalid"),
        ({"Phase": "x" * 245}, "tag_invalid"),
        ({"Phase": ["a\nb", "c"]}, "tag_invalid"),
    ],
)
def test_a_cell_that_cannot_be_taken_has_its_reason(row: dict[str, object], code: str) -> None:
    """Each kind of trouble has a word of its own, and its text in both languages names the column, not the value."""
    reason = rules().wanted({"Mail": "anna@example.com", **row})
    assert isinstance(reason, Reason)
    assert reason.code == code
    assert reason.text("en") != reason.text("de")
    ((column, value),) = row.items()
    for language in ("en", "de"):
        text = reason.text(language)
        assert column in text
        assert str(value) not in text


def test_a_row_without_any_identity_is_refused() -> None:
    """There has to be something to find a contact by; `CLEAR` is none."""
    reason = rules().wanted({"Vorname": "Anna", "Mail": CLEAR, "KT": " "})
    assert isinstance(reason, Reason)
    assert reason.code == "no_identity"


@pytest.mark.parametrize(
    ("row", "fine"),
    [
        ({"Mobil": "+493023125007", "Tags": "a|b"}, False),
        ({"Mobil": "+493023125007", "Tags": "a", "Phase": "b"}, False),
        ({"Mobil": "+493023125007", "Tags": "a"}, True),
        ({"Mobil": "+493023125007", "Tags": "a|b", "Mail": "anna@example.com"}, True),
        ({"Mobil": "+493023125007", "Tags": "a|b", "ID": "KD-0815"}, True),
        ({"KT": "4711", "Tags": "a|b"}, True),
    ],
)
def test_a_number_alone_is_enough_for_one_tag_only(row: dict[str, object], fine: bool) -> None:
    """Further tags need an address, which a contact that is found by an id may have."""
    found = rules().wanted(row)
    assert isinstance(found, Wanted) is fine
    assert fine or (isinstance(found, Reason) and found.code == "tags_need_email")


def test_segments_and_tags_have_separators_and_a_prefix() -> None:
    """The prefix is put before a segment that lacks it; a name stands once; letter case tells two apart."""
    given = rules(tags=("Import",), segments=Segments("CRM: "), tag_separators="#")
    found = wanted({"KT": 1, "Phase": "a#CRM: a#A| b", "Tags": ["x#y", "CRM: z", "Import"]}, given)
    assert found.segments == ("CRM: a", "CRM: A| b")
    assert found.tags == ("Import", "x#y", "CRM: z")


def test_a_mere_number_can_be_a_segment() -> None:
    """With its prefix it is none."""
    assert wanted({"KT": 1, "Phase": "2025"}, rules()).segments == ("[CRM] 2025",)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({"Mail": "Anna@Example.com"}, {"Mail": " anna@example.COM "}, 1),
        ({"Mobil": "+49 30 23125-007"}, {"Mobil": "0049/3023125007"}, 1),
        ({"Mail": "gross@example.com"}, {"Mail": "groß@example.com"}, 0),
        ({"ID": "a"}, {"ID": "A"}, 0),
        ({"ID": "4711"}, {"KT": "4711"}, 0),
        ({"ID": 4711, "Mail": "anna@example.com"}, {"ID": " 4711", "Mail": "neu@example.com"}, 1),
        ({"KT": 4711, "ID": "a"}, {"KT": "4711", "ID": "a", "Mobil": "+493023125007"}, 2),
    ],
)
def test_names_are_what_two_rows_of_one_contact_share(first: Any, second: Any, shared: int) -> None:
    """Each identity counts, whatever way it is written; none of them is seen in its digest."""
    names = [wanted(row, rules()).names for row in (first, second)]
    assert len(set(names[0]) & set(names[1])) == shared
    assert [len(found) for found in names] == [len(first), len(second)]
    assert not any("anna" in name or name == "4711" for name in names[0])


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ({"Mobil": "+49 30 23125-007"}, {"Mobil": "004930/23125007"}, True),
        ({"Mail": "Anna@example.com", "Vorname": "Änne "}, {"Mail": "anna@example.com", "Vorname": "Änne"}, True),
        ({"Phase": "b|a"}, {"Phase": "a, b"}, True),
        ({"Vorname": "Änne"}, {"Vorname": "Anna"}, False),
        ({"Vorname": "Änne"}, {"Vorname": ""}, False),
        ({"Phase": "a"}, {"Tags": "[CRM] a"}, False),
        ({"Phase": "", "Status": ""}, {}, False),
    ],
)
def test_the_content_is_what_two_equal_rows_share(first: Any, second: Any, alike: bool) -> None:
    """However it is written, what is sent for them would be the same."""
    one, other = (wanted({"Mail": "anna@example.com", **row}, rules()).content for row in (first, second))
    assert (one == other) is alike


def test_every_fault_of_a_row_is_told() -> None:
    """One round is enough to mend it; the code is that of the first, and each stands once."""
    row = {"Mail": "kaputt", "Mobil": "0171", "Geburtstag": "31.02.1980", "Tags": "2025", "Anzahl": "x"}
    reason = rules().wanted(row)
    assert isinstance(reason, Reason)
    codes = ["date_invalid", "number_invalid", "email_invalid", "sms_invalid", "tag_invalid"]
    assert [fault.code for fault in reason.faults] == codes
    assert reason.code == codes[0]
    for language in ("en", "de"):
        assert reason.text(language) == "; ".join(fault.text(language) for fault in reason.faults)
    columns = ["Geburtstag", "Anzahl", "Mail", "Mobil", "Tags"]
    assert [(brief.code, brief.column) for brief in reason.in_brief()] == list(zip(codes, columns, strict=True))
    assert next(reason.in_brief()).text("de") == "Geburtstag: kein Datum"


@pytest.mark.parametrize(
    ("column", "empty", "field"),
    [
        ("Geburtstag", "0000-00-00", None),
        ("Geburtstag", "0000-00-00 00:00:00", None),
        ("Termin", "0000-00-00 00:00:00", None),
        ("Tag", "0000-00-00", ""),
        ("Vorname", "0000-00-00", "0000-00-00"),
    ],
)
def test_the_date_that_stands_for_none_in_databases_is_empty(column: str, empty: str, field: str | None) -> None:
    """It leaves a field of dates alone, or clears it where empty cells do; in other fields it is a text."""
    given = {**MAPPING["fields"], "Tag": Target(field="field15", type="date", clear_if_empty=True)}
    del given["Privat"]
    assert list(fields(empty, column, fields=given).values()) == ([] if field is None else [field])


def test_numbers_written_as_at_home_get_the_country_of_the_mapping() -> None:
    """Without one they are refused; those that name theirs stay as they are."""
    german = rules(country="49")
    assert wanted({"Mobil": "0170 555-0001"}, german).sms_number == "00491705550001"
    assert wanted({"Mobil": "+43 1 5550001"}, german).sms_number == "004315550001"


def test_a_mapping_may_have_no_field_for_the_id_of_the_crm() -> None:
    """Without one, nothing is written of it."""
    found = wanted({"Mail": "anna@example.com", "ID": "a"}, rules(crm_id=None))
    assert (found.crm_id, found.fields) == (None, {})


def test_personal_data_stays_out_of_the_repr() -> None:
    """What is shown are the names of tags."""
    row = {"Mail": "anna@example.com", "Mobil": "+493023125007", "ID": "KD-0815", "KT": "4711", "Vorname": "Anna"}
    shown = repr(wanted({**row, "Phase": "Kunde"}, rules()))
    assert "[CRM] Kunde" in shown
    assert not any(part in shown for part in ("anna", "Anna", "3023125", "0815", "4711"))


def test_a_row_that_does_not_tell_its_segments_takes_none_off() -> None:
    """A column that is not there is not an empty one: of several, one that is missing is enough."""
    rules = Mapping(email="Mail", segments=["Phase", "Listen"]).resolve(header=None, fields={})
    told = rules.wanted({"Mail": "a@example.com", "Phase": "Kunde", "Listen": None})
    untold = rules.wanted({"Mail": "a@example.com", "Phase": "Kunde"})
    assert isinstance(told, Wanted)
    assert isinstance(untold, Wanted)
    assert (told.keeps_segments, untold.keeps_segments) == (False, True)
    assert told.segments == untold.segments == ("[CRM] Kunde",)
