"""Values of a row: what is read, and what is refused."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import uuid
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klicktipp_async.crm import values
from klicktipp_async.crm.values import (
    Damaged,
    is_tag_name,
    plain,
    read_contact,
    read_crm_id,
    read_date,
    read_datetime,
    read_decimal,
    read_email,
    read_names,
    read_number,
    read_phone,
    read_text,
    read_time,
)
from klicktipp_async.field_schema import CLEAR, FieldType

FAST = settings(max_examples=100, derandomize=True, deadline=None)
BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.StrEnum):
    RED = " rot "


class Level(enum.Enum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "bare"),
    [
        ("\u00a0Straße 5 ", "Straße 5"),
        (" \t\u00a0", None),
        ("", None),
        (None, None),
        (Colour.RED, "rot"),
        (Level.HIGH, 3),
        (CLEAR, CLEAR),
        (0, 0),
    ],
)
def test_a_value_loses_its_enum_and_its_blanks(value: object, bare: object) -> None:
    """Blanks alone are nothing, and `CLEAR` stays what it is."""
    assert plain(value) == bare


def test_clear_says_nothing_about_who_a_contact_is() -> None:
    """An identity cannot be cleared."""
    assert values.given(CLEAR) is None
    assert values.given(" 7 ") == "7"


@pytest.mark.parametrize("text", ["24.12.1980", "1980-12-24"])
def test_dates_are_read_as_germans_and_machines_write_them(text: str) -> None:
    """Two ways to write a date, and no guess between day and month."""
    assert read_date(text) == dt.date(1980, 12, 24)


@pytest.mark.parametrize("text", ["12/24/1980", "24.12.80", "19801224", "1980-W52-3", "30.02.1980", "٢٤.12.1980", ""])
def test_other_dates_are_refused(text: str) -> None:
    """What could mean two days, or none, raises."""
    with pytest.raises(ValueError, match=r"not a date|day is out of range"):
        read_date(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24.12.2025 18:30", dt.datetime(2025, 12, 24, 18, 30, tzinfo=BERLIN)),
        ("24.12.2025, 8:30:15 Uhr", dt.datetime(2025, 12, 24, 8, 30, 15, tzinfo=BERLIN)),
        ("2025-12-24T18:30:05", dt.datetime(2025, 12, 24, 18, 30, 5, tzinfo=BERLIN)),
        ("2025-12-24 18:30:05.999", dt.datetime(2025, 12, 24, 18, 30, 5, tzinfo=BERLIN)),
        ("2025-12-24 18:30Z", dt.datetime(2025, 12, 24, 18, 30, tzinfo=dt.UTC)),
        ("2025-12-24T18:30+02:00", dt.datetime(2025, 12, 24, 16, 30, tzinfo=dt.UTC)),
        ("2025-12-24T18:30:00 -0130", dt.datetime(2025, 12, 24, 20, 0, tzinfo=dt.UTC)),
    ],
)
def test_moments_are_read_in_their_own_zone_or_the_given_one(text: str, moment: dt.datetime) -> None:
    """A zone in the text wins over the account's, and fractions of a second are cut off."""
    assert read_datetime(text, BERLIN) == moment


@pytest.mark.parametrize(
    "text", ["24.12.2025", "24.12.2025 25:00", "18:30", "24.12.2025 18:30", "24.12.2025 1830", "24.12.25 18:30Z"]
)
def test_a_moment_that_is_not_complete_is_refused(text: str) -> None:
    """Without a time of day, or without any zone, there is no moment."""
    with pytest.raises(ValueError, match=r"not a|hour|zone"):
        read_datetime(text, None)


@pytest.mark.parametrize(
    ("text", "time"), [("14:30", dt.time(14, 30)), ("7:05:09", dt.time(7, 5, 9)), ("18:30 Uhr", dt.time(18, 30))]
)
def test_times_of_day_are_read(text: str, time: dt.time) -> None:
    """With or without seconds."""
    assert read_time(text) == time


@pytest.mark.parametrize("text", ["24:00", "14.30", "14", "1430", "14:30Z", "14:3", "2:30 PM", "52200"])
def test_other_times_of_day_are_refused(text: str) -> None:
    """What is no time, or one of another place, raises."""
    with pytest.raises(ValueError, match=r"not a time|zone|hour"):
        read_time(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.234.567,89", "1234567.89"),
        ("1.234,56", "1234.56"),
        ("1.234", "1234"),
        ("1234,5", "1234.5"),
        ("-0,99", "-0.99"),
        ("19.99", "19.99"),
        ("-12.5", "-12.5"),
        ("+7", "7"),
        ("0,5", "0.5"),
        ("1\u00a0234,50\u00a0€", "1234.50"),
        ("1\u202f234\u202f567", "1234567"),
        ("€ 1.234,50", "1234.50"),
        ("-19,99€", "-19.99"),
    ],
)
def test_decimals_are_read_as_germans_write_them(text: str, number: str) -> None:
    """Dots part thousands, a comma parts the decimals, and a dot that can only be a decimal point is one."""
    assert read_decimal(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        *("1,234", "1.23.4", "12.3456", "0.123", "NaN", "1e3", "", ",5", "1.234,5.6", "1.234\u00a0567", "€"),
        *("1,5 $", "12 EUR", "19,-", "1 234", "\u0663"),
    ],
)
def test_other_decimals_are_refused(text: str) -> None:
    """What is no number, or no clear one, raises."""
    with pytest.raises(ValueError, match="not a decimal"):
        read_decimal(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1234", 1234),
        ("1.234", 1234),
        ("1234,00", 1234),
        ("1.234.567,0", 1234567),
        ("1234.0", 1234),
        ("007", 7),
        ("0", 0),
    ],
)
def test_whole_numbers_are_read(text: str, number: int) -> None:
    """Thousands may be parted, and zeros behind the comma are no fraction."""
    assert read_number(text) == number


@pytest.mark.parametrize("text", ["-5", "+5", "1234,5", "12.34", "1.234.00", "1.23", "12.3456", "", "1e3", "0.123"])
def test_other_whole_numbers_are_refused(text: str) -> None:
    """Signs and fractions raise."""
    with pytest.raises(ValueError, match="not a whole number"):
        read_number(text)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    """Python's own bound raises the same kind of error."""
    with pytest.raises(ValueError, match="digits"):
        read_number("9" * 5000)


def german(number: Decimal, separator: str) -> str:
    """A number with parted thousands and a decimal comma."""
    return f"{number:,f}".replace(",", " ").replace(".", ",").replace(" ", separator)


@FAST
@given(number=st.decimals(-(10**12), 10**12, places=2), separator=st.sampled_from(["", ".", "\u00a0", "\u202f"]))
def test_a_decimal_in_german_form_is_read_back(number: Decimal, separator: str) -> None:
    """Whatever parts the thousands, and with the sign of the euro, too."""
    assert read_decimal(german(number, separator)) == number
    assert read_decimal(f"{german(number, separator)}\u00a0€") == number


@FAST
@given(number=st.integers(0, 10**15), separator=st.sampled_from(["", "."]), zeros=st.sampled_from(["", ",0", ",00"]))
def test_a_whole_number_in_german_form_is_read_back(number: int, separator: str, zeros: str) -> None:
    """With and without parted thousands and zeros behind the comma."""
    assert read_number(german(Decimal(number), separator) + zeros) == number


@FAST
@given(moment=st.datetimes(timezones=st.just(BERLIN), allow_imaginary=False))
def test_a_moment_in_german_form_is_read_back(moment: dt.datetime) -> None:
    """Its date, its time and both together."""
    day = f"{moment.day:02}.{moment.month:02}.{moment.year:04}"
    clock = f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    whole = moment.replace(microsecond=0, fold=0)
    assert read_date(day) == moment.date()
    assert read_time(clock) == whole.time()
    assert read_datetime(f"{day} {clock}", BERLIN) == whole


@pytest.mark.parametrize(
    ("kind", "text", "meant"),
    [
        (None, "24.12.1980", "24.12.1980"),
        (FieldType.PARAGRAPH, "Müller; Söhne\nGroßhandel", "Müller; Söhne\nGroßhandel"),
        (FieldType.URL, "https://example.com/ß", "https://example.com/ß"),
        (FieldType.DATE, "24.12.1980", dt.date(1980, 12, 24)),
        (FieldType.TIME, "14:30", dt.time(14, 30)),
        (FieldType.NUMBER, "1.234", 1234),
        (FieldType.DECIMAL, "1.234", Decimal(1234)),
        (FieldType.DATETIME, "24.12.2025 18:30", dt.datetime(2025, 12, 24, 18, 30, tzinfo=BERLIN)),
    ],
)
def test_the_type_of_a_field_says_how_its_texts_are_read(kind: FieldType | None, text: str, meant: object) -> None:
    """A text whose type is not known stays as it is."""
    assert read_text(text, kind, BERLIN) == meant


def test_only_a_naive_time_gets_a_zone() -> None:
    """A zone of its own stays, and everything else is handed on."""
    naive = dt.datetime(2025, 12, 24, 18, 30)  # noqa: DTZ001
    aware = naive.replace(tzinfo=dt.UTC)
    assert values.in_zone(naive, BERLIN) == naive.replace(tzinfo=BERLIN)
    assert [values.in_zone(value, BERLIN) for value in (aware, naive.date(), 5)] == [aware, naive.date(), 5]
    assert values.in_zone(naive, None) == naive


@pytest.mark.parametrize(
    "text",
    [
        "+49 30 23125-007",
        "0049/30/23125007",
        "+49 (0)30 23125 007",
        "0049(0)30 23125007",
        "'+493023125007",
        '="+493023125007"',
        "=+49 30 23125007",
        "\u202a+49\u00a030\u00a023125007\u202c",
    ],
)
def test_a_phone_number_is_read_as_the_service_stores_it(text: str) -> None:
    """Spaces, punctuation and what keeps a spreadsheet off it go."""
    assert read_phone(text) == "00493023125007"


@pytest.mark.parametrize(
    "value",
    [
        *("4,93023E+11", "+4.93023e+11", "5E+11", "493023125007", "493023125007.0", "1703920017", '="493023125007"'),
        *(493023125007, 493023125007.0, Decimal(493023125007)),
    ],
)
def test_a_phone_number_that_a_spreadsheet_has_damaged_is_told_from_others(value: object) -> None:
    """Rounded digits and a lost plus cannot be repaired."""
    with pytest.raises(Damaged):
        read_phone(value)


@pytest.mark.parametrize(
    "value", ["0171 39200 17", "+49", "unbekannt", "+49 30 23125007\n+49 171 3920017", "000493023125007", True, b"", []]
)
def test_other_phone_numbers_are_refused(value: object) -> None:
    """What is no number, or has no country, raises, but is not damaged."""
    with pytest.raises(ValueError, match=r"phone number") as caught:
        read_phone(value)
    assert not isinstance(caught.value, Damaged)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0170 5550001", "00491705550001"),
        ("(030) 23125-007", "00493023125007"),
        ("+43 1 5550001", "004315550001"),
        ("0043 1 5550001", "004315550001"),
    ],
)
def test_a_number_as_it_is_dialled_at_home_takes_the_country_that_is_given(text: str, number: str) -> None:
    """A number that names its country keeps it."""
    assert read_phone(text, country="49") == number


@pytest.mark.parametrize("text", ["1705550001", "4,93023E+11"])
def test_a_country_does_not_repair_what_a_spreadsheet_has_damaged(text: str) -> None:
    """Without the zero in front nobody knows whether the country is there already."""
    with pytest.raises(Damaged):
        read_phone(text, country="49")


@pytest.mark.parametrize(
    ("value", "contact"), [("4711", "4711"), (4711, "4711"), ("01234abcdefghij56789", "01234abcdefghij56789")]
)
def test_a_contact_is_named_by_its_id_or_its_key(value: object, contact: str) -> None:
    """Digits and contact keys are taken as they are."""
    assert read_contact(value) == contact


@pytest.mark.parametrize("value", ["0", 0, -4711, "4711.0", 4711.0, "4,7E+11", "47 11", "a/b", "é", True, [4711]])
def test_what_names_no_contact_is_refused(value: object) -> None:
    """Neither signs nor fractions nor anything that is no text and no int."""
    with pytest.raises(ValueError, match="id of a contact"):
        read_contact(value)


@pytest.mark.parametrize(
    ("value", "crm_id"),
    [
        ("KD-0815 / Süd", "KD-0815 / Süd"),
        (815, "815"),
        ("12E45", "12E45"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("x" * 250, "x" * 250),
    ],
)
def test_the_id_of_a_crm_is_a_text(value: object, crm_id: str) -> None:
    """Ints and UUIDs become one."""
    assert read_crm_id(value) == crm_id


@pytest.mark.parametrize("value", ["x" * 251, "a\nb", "a\u2028b", "\ud800", "4,93023E+11", 1.5, True, None, []])
def test_what_cannot_be_the_id_of_a_crm_is_refused(value: object) -> None:
    """Rounded digits above all: they would make one contact of many."""
    with pytest.raises(ValueError, match="not an id"):
        read_crm_id(value)


@pytest.mark.parametrize("value", ["anna.example.com", "anna@@example.com", "anna @example.com", 5, True])
def test_what_is_no_address_is_refused(value: object) -> None:
    """Anything but the shape of an address raises."""
    with pytest.raises(ValueError, match="not an e-mail address"):
        read_email(value)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("Kunde| VIP,,Süd ", ["Kunde", "VIP", "Süd"]),
        ("Müller; Söhne", ["Müller; Söhne"]),
        (["a|b", " c ", "", None], ["a|b", "c"]),
        (("x", Colour.RED), ["x", "rot"]),
        ({"b", "a"}, ["a", "b"]),
        (Colour.RED, ["rot"]),
        (None, []),
        (CLEAR, []),
        ("", []),
    ],
)
def test_names_of_tags_are_parted_in_texts_and_taken_whole_from_lists(value: object, names: list[str]) -> None:
    """Blanks around a name go, and empty names with them."""
    assert read_names(value, ",|") == names


@pytest.mark.parametrize("value", [5, True, ["a", 5], [["a"]], {5}])
def test_what_is_no_name_of_a_tag_is_refused(value: object) -> None:
    """Only texts are names."""
    with pytest.raises(ValueError, match="not the name of a tag"):
        read_names(value, ",|")


def test_characters_that_mean_something_in_a_pattern_part_names_too() -> None:
    """The separators are characters and nothing else."""
    assert read_names("a^b]c-d\\e", "]^-\\") == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("name", "fine"), [("Kunde", True), ("a1", True), ("2025", False), ("x" * 251, False), ("a\nb", False), ("", False)]
)
def test_not_every_text_can_name_a_tag(name: str, fine: bool) -> None:
    """A mere number would be taken for an id."""
    assert is_tag_name(name) is fine


@pytest.mark.parametrize("kind", [None, *FieldType])
def test_a_long_cell_takes_no_longer_than_its_length(kind: FieldType | None) -> None:
    """Patterns that try every way to part a text would not come back from these."""
    for text in ("1" + " " * 200_000 + "x", "T" * 200_000 + "\n", "1.111" * 50_000 + "x"):
        with contextlib.suppress(ValueError):
            read_text(text, kind, BERLIN)
