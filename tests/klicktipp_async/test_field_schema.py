"""Data fields: keys, what may be given, what is sent, and what is read."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klickdoxie_core.errors import ArgumentError
from klicktipp_async.field_schema import CLEAR, STANDARD_FIELDS, FieldSchema, FieldType, FieldValue, bare_key, field_key

FAST = settings(max_examples=50, derandomize=True, deadline=None)
BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.StrEnum):
    RED = "rot"


class Level(enum.Enum):
    HIGH = 3


def wire(kind: FieldType | None, value: Any, **options: Any) -> str:
    """What a value of one field becomes; the field is untyped for None."""
    schema = FieldSchema({} if kind is None else {"field1": kind}, **options)
    return schema.to_wire({"field1": value})["field1"]


@pytest.mark.parametrize(
    ("key", "full", "bare"),
    [
        ("12345", "field12345", "12345"),
        (12345, "field12345", "12345"),
        ("field12345", "field12345", "12345"),
        ("FirstName", "fieldFirstName", "FirstName"),
        ("fieldStreet2", "fieldStreet2", "Street2"),
    ],
)
def test_a_key_is_taken_with_and_without_its_prefix(key: str | int, full: str, bare: str) -> None:
    """Both spellings give the same key."""
    assert (field_key(key), bare_key(key)) == (full, bare)


@pytest.mark.parametrize(
    "key", ["", "field", "email", "fieldfield12", "Field12", "fieldFieldFirstName", "12 ", "1/2", "..", "-5", "ü"]
)
def test_what_is_no_key_is_refused(key: str) -> None:
    """A key that no field can have is told before anything is sent."""
    with pytest.raises(ArgumentError, match="is not the key of a field"):
        field_key(key)


def test_a_key_in_the_wrong_letter_case_is_told_the_right_one() -> None:
    """The service would drop the field without a word."""
    with pytest.raises(ArgumentError, match="fieldfirstname must be spelled fieldFirstName"):
        field_key("firstname")


def test_a_mistaken_key_does_not_show_an_address() -> None:
    """A value in the place of a key stays out of the text."""
    with pytest.raises(ArgumentError) as caught:
        FieldSchema().to_wire({"anna@example.com": "x"})
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (None, "x;ü\n", "x;ü\n"),
        (None, 7, "7"),
        (None, -7, "-7"),
        (None, "", ""),
        (None, CLEAR, ""),
        (None, Colour.RED, "rot"),
        (None, Level.HIGH, "3"),
        (FieldType.LINE, "eine Zeile", "eine Zeile"),
        (FieldType.LINE, 10115, "10115"),
        (FieldType.PARAGRAPH, "zwei\nZeilen", "zwei\nZeilen"),
        (FieldType.HTML, "<b>ä</b>", "<b>ä</b>"),
        (FieldType.EMAIL, "anna@example.com", "anna@example.com"),
        (FieldType.EMAIL, "", ""),
        (FieldType.NUMBER, 0, "0"),
        (FieldType.NUMBER, "042", "042"),
        (FieldType.DECIMAL, Decimal("19.99"), "1999"),
        (FieldType.DECIMAL, Decimal("19.990"), "1999"),
        (FieldType.DECIMAL, Decimal("-0.5"), "-50"),
        (FieldType.DECIMAL, Decimal("-0.00"), "0"),
        (FieldType.DECIMAL, Decimal("2E+3"), "200000"),
        (FieldType.DECIMAL, Decimal("12345678901234567890123456789012.34"), "1234567890123456789012345678901234"),
        (FieldType.DECIMAL, 20, "2000"),
        (FieldType.DECIMAL, 0.29, "29"),
        (FieldType.DECIMAL, "1999", "1999"),
        (FieldType.URL, "https://müller.example/?a=1;2", "https://müller.example/?a=1;2"),
        (FieldType.URL, "HTTP://example.com", "HTTP://example.com"),
        (FieldType.DATE, dt.date(2024, 5, 8), "1715126400"),
        (FieldType.DATE, dt.date(1955, 3, 1), "-468288000"),
        (FieldType.DATE, "1715126400", "1715126400"),
        (FieldType.TIME, dt.time(14, 30), "52200"),
        (FieldType.TIME, dt.time(23, 59, 59, 999999), "86399"),
        (FieldType.TIME, 0, "0"),
        (FieldType.DATETIME, dt.datetime(2024, 5, 13, 12, 30, tzinfo=dt.UTC), "1715603400"),
        (FieldType.DATETIME, dt.datetime(2024, 5, 13, 14, 30, tzinfo=BERLIN), "1715603400"),
        (FieldType.DATETIME, dt.datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=dt.UTC), "-1"),
        (FieldType.DATETIME, 1715603400, "1715603400"),
    ],
)
def test_a_value_is_sent_in_the_form_of_its_type(kind: FieldType | None, value: object, text: str) -> None:
    """Each type has its own wire form."""
    assert wire(kind, value) == text


@pytest.mark.parametrize("kind", [None, *FieldType])
@pytest.mark.parametrize(
    "value", [True, dt.timedelta(hours=1), b"bytes", [1], 10**64, float("nan"), Decimal("Infinity"), 1j]
)
def test_what_no_field_takes_is_refused(kind: FieldType | None, value: object) -> None:
    """A bool is no number here, and neither is what has no end."""
    with pytest.raises(ArgumentError, match=r"^field1 must be "):
        wire(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "hint"),
    [
        (FieldType.LINE, "zwei\nZeilen", "without line breaks"),
        (FieldType.LINE, "Ende\r", "without line breaks"),
        (FieldType.EMAIL, "anna.example.com", "an e-mail address"),
        (FieldType.EMAIL, 5, "an e-mail address"),
        (FieldType.NUMBER, -1, "0 or more"),
        (FieldType.NUMBER, "1.5", "0 or more"),
        (FieldType.NUMBER, "٣", "0 or more"),
        (FieldType.NUMBER, Decimal(5), "0 or more"),
        (FieldType.NUMBER, 5.0, "0 or more"),
        (FieldType.DECIMAL, Decimal("19.999"), "two digits"),
        (FieldType.DECIMAL, Decimal("1E-999999"), "two digits"),
        (FieldType.DECIMAL, Decimal("1E+999999"), "two digits"),
        (FieldType.DECIMAL, 0.1 + 0.2, "two digits"),
        (FieldType.DECIMAL, "19,99", "hundredths"),
        (FieldType.DECIMAL, "19.99", "hundredths"),
        (FieldType.URL, "www.example.com", "http://"),
        (FieldType.URL, "ftp://example.com", "http://"),
        (FieldType.URL, "https://example.com\r\n", "http://"),
        (FieldType.DATE, "08.05.2024", "a date"),
        (FieldType.DATE, 1715126400000, "unix seconds"),
        (FieldType.DATE, dt.datetime(2024, 5, 8, tzinfo=dt.UTC), r"date\(\)"),
        (FieldType.TIME, 86400, "86399"),
        (FieldType.TIME, -1, "86399"),
        (FieldType.TIME, "14:30", "86399"),
        (FieldType.TIME, dt.time(14, 30, tzinfo=dt.UTC), "without tzinfo"),
        (FieldType.DATETIME, dt.datetime(2024, 5, 13, 12, 30), "with tzinfo"),  # noqa: DTZ001 - naive on purpose
        (FieldType.DATETIME, dt.date(2024, 5, 13), "with tzinfo"),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_refused(kind: FieldType, value: object, hint: str) -> None:
    """The error says what would fit."""
    with pytest.raises(ArgumentError, match=f"^field1 must be .*{hint}"):
        wire(kind, value)


@pytest.mark.parametrize("kind", [None, FieldType.LINE, FieldType.PARAGRAPH, FieldType.HTML, FieldType.URL])
def test_a_text_that_cannot_be_encoded_is_refused(kind: FieldType | None) -> None:
    """A file read with the wrong error handler is told so."""
    with pytest.raises(ArgumentError, match="field1 has characters that cannot be encoded"):
        wire(kind, "https://\udce4")


@pytest.mark.parametrize(
    "value",
    [dt.date(2024, 5, 8), dt.datetime(2024, 5, 8, tzinfo=dt.UTC), dt.time(1), Decimal("1.5"), 1.5],
    ids=lambda value: type(value).__name__,
)
def test_without_a_type_a_guess_is_refused(value: object) -> None:
    """The error names the field and how to give it a type."""
    with pytest.raises(ArgumentError, match=r"^field1 must be a text or an int .* FieldSchema"):
        wire(None, value)


@pytest.mark.parametrize(("key", "value"), [("FirstName", 1.5), ("LeadValue", 19.9), ("Birthday", dt.time(1))])
def test_what_a_standard_field_does_not_take_leads_to_a_schema(key: str, value: FieldValue) -> None:
    """Whoever means another type is told how to say so; who has said so already is not, nor who wrote a wrong text."""
    hint = "; a FieldSchema can give it another type"
    with pytest.raises(ArgumentError, match=rf"^field{key} must be .* \(given: {type(value).__name__}\){hint}$"):
        FieldSchema().to_wire({key: value})
    with pytest.raises(ArgumentError, match=r"\(given: float\)$"):
        FieldSchema({key: FieldType.LINE}).to_wire({key: 1.5})
    with pytest.raises(ArgumentError, match=r"\(given: str\)$"):
        FieldSchema().to_wire({"Website": "keine"})


def test_the_standard_fields_are_typed_without_a_schema() -> None:
    """All sixteen are known."""
    assert len(STANDARD_FIELDS) == 16
    values: dict[str, FieldValue] = {
        "FirstName": "Jörg",
        "fieldStreet1": "Haus 1\nHof",
        "Zip": "01100",
        "fieldBirthday": dt.date(1993, 12, 7),
        "LeadValue": 100,
        "Website": "https://example.com",
    }
    assert FieldSchema().to_wire(values) == {
        "fieldFirstName": "Jörg",
        "fieldStreet1": "Haus 1\nHof",
        "fieldZip": "01100",
        "fieldBirthday": "755222400",
        "fieldLeadValue": "100",
        "fieldWebsite": "https://example.com",
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Birthday", "07.12.1993"),
        ("Website", "www.example.com"),
        ("LeadValue", Decimal("1.5")),
        ("City", dt.date(2024, 1, 1)),
    ],
)
def test_the_standard_fields_are_checked_without_a_schema(key: str, value: Any) -> None:
    """Their types are known, so a misfit is told."""
    with pytest.raises(ArgumentError, match=f"^field{key} must be"):
        FieldSchema({}).to_wire({key: value})


def test_a_schema_replaces_the_type_of_a_standard_field() -> None:
    """Whether the lead value counts hundredths, only the account knows."""
    assert FieldSchema({"LeadValue": FieldType.DECIMAL}).to_wire({"fieldLeadValue": Decimal("1.5")}) == {
        "fieldLeadValue": "150"
    }


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("field7", FieldType.DECIMAL),
        ("7", FieldType.DECIMAL),
        ("fieldLeadValue", FieldType.DECIMAL),
        ("Birthday", FieldType.DATE),
        ("8", None),
        ("some thing", None),
    ],
)
def test_a_schema_tells_the_type_of_a_key(key: str, kind: FieldType | None) -> None:
    """Its own types come before the standard ones, and an unknown key has none."""
    schema = FieldSchema({"7": FieldType.DECIMAL, "LeadValue": "field-decimal"})
    assert schema.type_of(key) is kind


def test_none_leaves_a_field_out() -> None:
    """Only CLEAR empties a field."""
    assert FieldSchema().to_wire({"field1": None, "field2": CLEAR}) == {"field2": ""}


def test_all_problems_of_the_values_are_told_at_once_without_the_values() -> None:
    """One run shows everything there is to mend, and nothing personal."""
    schema = FieldSchema({"1": FieldType.EMAIL, "2": "field-number"})
    with pytest.raises(ArgumentError) as caught:
        schema.to_wire({"1": "geheim", "2": -4711, "field2": 1, "Firstname": "geheim"})
    text = str(caught.value)
    assert "field1 must be an e-mail address" in text
    assert "field2 must be a whole number" in text
    assert "field2 is given twice" in text
    assert "must be spelled fieldFirstName" in text
    assert "geheim" not in text
    assert "4711" not in text


def test_all_problems_of_a_schema_are_told_at_once() -> None:
    """Keys and types are checked when the schema is made."""
    with pytest.raises(ArgumentError) as caught:
        FieldSchema({"1": "decimal", "field2": FieldType.LINE, "2": FieldType.LINE, "e-mail": FieldType.EMAIL})
    text = str(caught.value)
    assert "field1 must be of one of the types field-single, " in text
    assert "field2 is given twice" in text
    assert "'e-mail' is not the key of a field" in text


def test_a_timezone_by_name_is_refused() -> None:
    """A name is no tzinfo."""
    with pytest.raises(ArgumentError, match="timezone must be a tzinfo"):
        FieldSchema({}, timezone="Europe/Berlin")  # type: ignore[arg-type]


def test_a_schema_is_frozen_and_does_not_follow_its_source() -> None:
    """A later change of the mapping does not reach the schema."""
    source = {"field1": FieldType.DATE}
    schema = FieldSchema(source)
    source["field1"] = FieldType.TIME
    assert schema == FieldSchema({"1": "field-date"})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        schema.timezone = BERLIN  # type: ignore[misc]


def test_the_sentinel_has_a_quiet_repr() -> None:
    """A signature that shows it stays readable."""
    assert repr(CLEAR) == "CLEAR"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (None, "52200", "52200"),
        (None, "", None),
        (FieldType.LINE, "", None),
        (FieldType.LINE, "ä", "ä"),
        (FieldType.NUMBER, "042", 42),
        (FieldType.NUMBER, "-1", -1),
        (FieldType.NUMBER, "1.5", "1.5"),
        (FieldType.NUMBER, "9" * 5000, "9" * 5000),
        (FieldType.DECIMAL, "19.99", Decimal("19.99")),
        (FieldType.DECIMAL, "-0.5", Decimal("-0.5")),
        (FieldType.DECIMAL, "4837", "4837"),
        (FieldType.DECIMAL, "19,99", "19,99"),
        (FieldType.DATE, "1715126400", dt.date(2024, 5, 8)),
        (FieldType.DATE, "-468288000", dt.date(1955, 3, 1)),
        (FieldType.DATE, "08.05.2024", "08.05.2024"),
        (FieldType.DATE, "9" * 60, "9" * 60),
        (FieldType.TIME, "52200", dt.time(14, 30)),
        (FieldType.TIME, "86400", "86400"),
        (FieldType.TIME, "14:30", "14:30"),
        (FieldType.DATETIME, "1715603400", dt.datetime(2024, 5, 13, 12, 30, tzinfo=dt.UTC)),
        (FieldType.DATETIME, "1715603400000", "1715603400000"),
        (FieldType.DATETIME, "", None),
    ],
)
def test_a_text_is_read_as_its_type_or_stays_a_text(kind: FieldType | None, text: str, value: object) -> None:
    """Reading never fails: what does not fit stays as it came."""
    schema = FieldSchema({} if kind is None else {"field1": kind})
    parsed = schema.from_wire("1", text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_reading_a_field_with_a_strange_key_gives_its_text() -> None:
    """What the service adds one day is no reason to fail."""
    assert FieldSchema().from_wire("some thing", "x") == "x"


@pytest.mark.parametrize("hours", [-14, 14])
@pytest.mark.parametrize("moment", [dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)])
def test_a_date_at_the_end_of_time_stays_a_text_or_a_date(hours: int, moment: dt.datetime) -> None:
    """A shift by the time zone beyond the calendar is no error."""
    seconds = (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1)
    schema = FieldSchema({"1": FieldType.DATE}, timezone=dt.timezone(dt.timedelta(hours=hours)))
    assert isinstance(schema.from_wire("1", str(seconds)), str | dt.date)


def test_a_date_begins_at_midnight_of_the_schemas_timezone() -> None:
    """A day's length changes with summer time, its date does not."""
    schema = FieldSchema({"1": FieldType.DATE}, timezone=BERLIN)
    assert schema.to_wire({"1": dt.date(2024, 5, 8)}) == {"field1": "1715119200"}
    assert schema.from_wire("1", "1715119200") == dt.date(2024, 5, 8)


@FAST
@given(st.dates(min_value=dt.date(1900, 1, 1)), st.sampled_from([dt.UTC, BERLIN, dt.timezone(dt.timedelta(hours=-11))]))
def test_dates_come_back_as_they_went(value: dt.date, zone: dt.tzinfo) -> None:
    """A date is the same after a round trip in any time zone."""
    schema = FieldSchema({"1": FieldType.DATE}, timezone=zone)
    assert schema.from_wire("1", schema.to_wire({"1": value})["field1"]) == value


@FAST
@given(st.datetimes(timezones=st.sampled_from([dt.UTC, BERLIN]), min_value=dt.datetime(1900, 1, 1)), st.times())  # noqa: DTZ001
def test_moments_and_times_come_back_to_the_second(moment: dt.datetime, time: dt.time) -> None:
    """Only fractions of a second are lost."""
    schema = FieldSchema({"1": FieldType.DATETIME, "2": FieldType.TIME})
    sent = schema.to_wire({"1": moment, "2": time})
    assert schema.from_wire("1", sent["field1"]) == moment.astimezone(dt.UTC).replace(microsecond=0)
    assert schema.from_wire("2", sent["field2"]) == time.replace(microsecond=0)


@FAST
@given(st.integers(min_value=-(10**40), max_value=10**40))
def test_decimals_are_exact_hundredths(cents: int) -> None:
    """No digit is rounded away, however long the number."""
    value = Decimal(f"{cents}E-2")
    assert wire(FieldType.DECIMAL, value) == str(cents)
    shown = f"{value:.2f}"
    assert FieldSchema({"1": FieldType.DECIMAL}).from_wire("1", shown) == value


@FAST
@given(st.integers(min_value=0, max_value=10**63))
def test_numbers_come_back_as_they_went(value: int) -> None:
    """A number is the same after a round trip."""
    assert FieldSchema({"1": FieldType.NUMBER}).from_wire("1", wire(FieldType.NUMBER, value)) == value


@FAST
@given(
    st.sampled_from([None, *FieldType]),
    st.text(max_size=20) | st.from_regex(r"-?[0-9]{0,30}(\.[0-9]+)?", fullmatch=True),
)
def test_reading_never_fails(kind: FieldType | None, text: str) -> None:
    """Whatever the service sends becomes a value or stays a text."""
    schema = FieldSchema({} if kind is None else {"1": kind}, timezone=BERLIN)
    assert (schema.from_wire("1", text) is None) == (text == "")
