"""Rows as drafts: what is sent, what is left out, and why a row is kept back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from klicktipp_async.csv_import.draft import Draft, Rules, read_date, read_datetime, read_decimal
from klicktipp_async.csv_import.mapping import read_wishes, resolve
from klicktipp_async.csv_import.reasons import Reason
from klicktipp_async.csv_import.table import Row

FIELDS = {"fieldFirstName": "Vorname", "fieldBirthday": "Geburtstag", "fieldWebsite": "Webseite", "field11": "Umsatz"}
HEADER = ("Mail", "Mobil", "Vorname", "Geburtstag", "Umsatz", "Tags", "Rest")
MAPS = (
    "Mail=email",
    "Mobil=sms",
    "Vorname=fieldFirstName",
    "Geburtstag=fieldBirthday",
    "Umsatz=field11:decimal",
    "Tags=tags",
)
BERLIN = ZoneInfo("Europe/Berlin")


def rules(
    *maps: str, tags: tuple[str, ...] = (), tag_separators: str = ",|", timezone: dt.tzinfo | None = None
) -> Rules:
    """Rules for the usual header."""
    columns = resolve(read_wishes(maps or MAPS), HEADER, FIELDS)
    return Rules(columns=columns, tags=tags, tag_separators=tag_separators, timezone=timezone)


def row(mail: str = "", mobile: str = "", name: str = "", birthday: str = "", revenue: str = "", tags: str = "") -> Row:
    """A row of the usual width."""
    return Row(2, (mail, mobile, name, birthday, revenue, tags, "rest"))


def drafted(given: Row, rules: Rules) -> Draft:
    """The draft of a row that is in order."""
    draft = rules.draft(given)
    assert isinstance(draft, Draft)
    return draft


def test_a_full_row_becomes_a_draft() -> None:
    """Each cell goes where the mapping says, in the form in which the service keeps it."""
    draft = drafted(
        row("anna@example.com", "+49 30 23125-007", "Änne", "24.12.1980", "1.234,50", "Kunde| VIP"), rules()
    )
    assert draft == Draft(
        email="anna@example.com",
        sms_number="+49 30 23125-007",
        fields={"fieldFirstName": "Änne", "fieldBirthday": "346464000", "field11": "123450"},
        tags=("Kunde", "VIP"),
    )


def test_empty_cells_are_left_out() -> None:
    """What a row leaves empty is not sent, so that it clears nothing; blanks count as empty."""
    assert drafted(row("anna@example.com", name="  ", tags=" | ,"), rules()) == Draft(
        email="anna@example.com", sms_number=None, fields={}, tags=()
    )


def test_blanks_around_values_are_not_sent() -> None:
    """Blanks from the spreadsheet, also those that do not break, stay in the file."""
    draft = drafted(row(" anna@example.com\u00a0", name=" Anna "), rules())
    assert (draft.email, draft.fields) == ("anna@example.com", {"fieldFirstName": "Anna"})


def test_days_begin_in_the_zone_of_the_account() -> None:
    """A date is midnight in the account's zone where that is given."""
    draft = drafted(row("anna@example.com", birthday="1980-12-24"), rules(timezone=BERLIN))
    assert draft.fields == {"fieldBirthday": str(346464000 - 3600)}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (Row(2, ("anna@example.com", "")), "cells_missing"),
        (Row(2, ("anna@example.com", *"1234567")), "cells_extra"),
        (row("anna.example.com"), "email_invalid"),
        (row("anna@@example.com"), "email_invalid"),
        (row("anna @example.com"), "email_invalid"),
        (row("anna@example.com", "unbekannt"), "sms_invalid"),
        (row("anna@example.com", "0171 39200 17"), "sms_invalid"),
        (row("anna@example.com", "+49"), "sms_invalid"),
        (row("anna@example.com", birthday="31.02.1980"), "date_invalid"),
        (row("anna@example.com", revenue="1,234"), "decimal_invalid"),
        (row(name="Anna"), "no_address"),
        (row(mobile="+493023125007", tags="a|b"), "tags_need_email"),
        (row("anna@example.com", tags="Kunde|2025"), "tag_invalid"),
        (row("anna@example.com", tags="x" * 251), "tag_invalid"),
    ],
)
def test_a_row_that_cannot_be_sent_has_its_reason(given: Row, code: str) -> None:
    """Each kind of trouble has a word of its own, and its text in both languages names no value."""
    reason = rules().draft(given)
    assert isinstance(reason, Reason)
    assert reason.code == code
    assert reason.text("en") != reason.text("de")
    assert not any(cell in reason.text(language) for cell in given.cells if len(cell) > 3 for language in ("en", "de"))


def test_a_value_that_does_not_fit_its_field_is_found_before_sending() -> None:
    """The types that are known are checked, and the reason names the column."""
    reason = rules("Mail=email", "Rest=fieldWebsite").draft(row("anna@example.com"))
    assert isinstance(reason, Reason)
    assert reason.code == "field_invalid"
    assert "Rest: " in reason.english
    assert "https://" in reason.german


def test_an_sms_number_is_enough_with_one_tag() -> None:
    """A contact without an address can be imported, and gets its one tag along with it."""
    draft = drafted(row(mobile="0049 30 23125007", tags="Kunde"), rules())
    assert (draft.email, draft.tags, draft.identity) == (None, ("Kunde",), "00493023125007")


def test_tags_come_once_each_and_those_of_everyone_first() -> None:
    """The tags of the command line come first; a name twice is one tag; letter case tells two apart."""
    given = rules(tags=("Import", "Kunde"), tag_separators="#")
    assert drafted(row("anna@example.com", tags="VIP#Kunde#vip# #a|b"), given).tags == (
        *("Import", "Kunde"),
        *("VIP", "vip", "a|b"),
    )


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (row("Anna@Example.com"), row(" anna@example.COM "), True),
        (row("anna@example.com", "+493023125007"), row("anna@example.com", "+493023125008"), True),
        (row(mobile="+49 30 23125-007"), row(mobile="0049/3023125007"), True),
        (row("gross@example.com"), row("groß@example.com"), False),
        (row("anna@example.com", "+493023125007"), row(mobile="+493023125007"), False),
    ],
)
def test_identity_ignores_how_an_address_is_written(first: Row, second: Row, same: bool) -> None:
    """Letter case and the way to write a number do not make two contacts."""
    assert (drafted(first, rules()).identity == drafted(second, rules()).identity) is same


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
        ("2025-12-24T18:30:05", dt.datetime(2025, 12, 24, 18, 30, 5, tzinfo=BERLIN)),
        ("2025-12-24 18:30Z", dt.datetime(2025, 12, 24, 18, 30, tzinfo=dt.UTC)),
        ("2025-12-24T18:30+02:00", dt.datetime(2025, 12, 24, 16, 30, tzinfo=dt.UTC)),
    ],
)
def test_times_are_read_in_their_own_zone_or_the_given_one(text: str, moment: dt.datetime) -> None:
    """A zone in the text wins over the account's."""
    assert read_datetime(text, BERLIN) == moment


@pytest.mark.parametrize("text", ["24.12.2025", "24.12.2025 25:00", "18:30", "24.12.2025 18:30"])
def test_a_time_that_is_not_complete_is_refused(text: str) -> None:
    """Without a time of day, or without any zone, there is no moment."""
    with pytest.raises(ValueError, match=r"not a date|isoformat|hour|zone"):
        read_datetime(text, None)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.234.567,89", "1234567.89"),
        ("1.234", "1234"),
        ("1234,5", "1234.5"),
        ("-0,99", "-0.99"),
        ("12.50", "12.50"),
        ("+7", "7"),
    ],
)
def test_decimals_are_read_as_germans_write_them(text: str, number: str) -> None:
    """Dots part thousands, a comma parts the decimals, and a dot that can only be a decimal point is one."""
    assert read_decimal(text) == Decimal(number)


@pytest.mark.parametrize("text", ["1,234", "1.23.4", "12.3456", "1,5 €", "NaN", "1e3", "", ",5", "1.234,5.6"])
def test_other_decimals_are_refused(text: str) -> None:
    """What is no number, or no clear one, raises."""
    with pytest.raises(ValueError, match="not a decimal"):
        read_decimal(text)


def test_personal_data_stays_out_of_the_repr_of_a_draft() -> None:
    """A draft shows its tags only."""
    shown = repr(drafted(row("anna@example.com", "+493023125007", "Anna"), rules()))
    assert not any(part in shown for part in ("anna", "Anna", "3023125"))
