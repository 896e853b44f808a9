"""Values of a row: what people, spreadsheets and programs write, read as what it means."""

from __future__ import annotations

import datetime as dt
import enum
import re
import uuid
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import cast

from klicktipp_async.contact_details import check_phone, is_email, normalise_phone
from klicktipp_async.field_schema import CLEAR, Clear, FieldType

_MAX_NAME = 250
_GERMAN_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NO_DATE = re.compile(r"0000-00-00(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]{1,9})?)?\s?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?")
_MOMENT = re.compile(r"([0-9.-]+)(?:T|,?\s+)(\S.*)")
# A dot, or a blank that does not break, with three digits behind it parts thousands, as in Germany; no thousands
# begin with a zero, and the same character parts them all.
_WHOLE = r"[1-9][0-9]{0,2}([.\u00a0\u202f])[0-9]{3}(?:\%d[0-9]{3})*|[0-9]+"
_NUMBER = re.compile(rf"({_WHOLE % 2})(?:,0{{1,2}})?|([0-9]+)\.0{{1,2}}")
_DECIMAL = re.compile(rf"([+-]?)({_WHOLE % 3})(?:,([0-9]{{1,2}}))?")
# With one or two digits behind it a dot can only be a decimal point.
_DOT_DECIMAL = re.compile(r"[+-]?[0-9]+\.[0-9]{1,2}")
# What a spreadsheet makes of long digits: 4,93023E+11.
_ROUNDED = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?E\+[0-9]{2,}", re.IGNORECASE)
# How a spreadsheet is told to leave digits alone: '+49… and ="+49…".
_KEPT_AS_TEXT = re.compile(r"=?\s*[\"'’]?(.*?)[\"'’]?")
_FLOAT = re.compile(r"[0-9]+[.,]0")
# The zero that is dialled at home only: +49 (0)30 ….
_HOME_ZERO = re.compile(r"^((?:\+|00)[0-9]{1,3}\s*)\(0\)")
_CONTACT = re.compile(r"(?!0+$)[0-9A-Za-z]{1,64}")
# Line breaks and whatever else cannot stand in a name; no encoding can carry a lone surrogate.
_NOT_IN_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Damaged(ValueError):
    """A spreadsheet took a text for a number, and part of it is gone."""


def plain(value: object) -> object:
    """A value without the enum and the blanks around it; `CLEAR` stays, and a text of blanks is None."""
    if value is CLEAR:
        return value
    bare = value.value if isinstance(value, enum.Enum) else value
    return bare.strip() or None if isinstance(bare, str) else bare


def given(value: object) -> object:
    """The value of an identity, None if it is empty; an identity cannot be cleared, so `CLEAR` is empty, too."""
    bare = plain(value)
    return None if isinstance(bare, Clear) else bare


def read_text(text: str, kind: FieldType | None, timezone: dt.tzinfo | None) -> str | int | Decimal | dt.date | dt.time:
    """What a text means for a field of a type; raises ValueError for what it cannot mean."""
    match kind:
        case FieldType.DATE:
            return read_date(text)
        case FieldType.DATETIME:
            return read_datetime(text, timezone)
        case FieldType.TIME:
            return read_time(text)
        case FieldType.DECIMAL:
            return read_decimal(text)
        case FieldType.NUMBER:
            return read_number(text)
        case _:
            return text


def is_no_date(value: object, kind: FieldType | None) -> bool:
    """Whether this is what databases write into a column of dates that must not be empty: 0000-00-00."""
    of_days = kind in {FieldType.DATE, FieldType.DATETIME}
    return of_days and isinstance(value, str) and _NO_DATE.fullmatch(value) is not None


def in_zone(value: object, timezone: dt.tzinfo | None) -> object:
    """The value, with the zone if it is a time that names none."""
    if isinstance(value, dt.datetime) and value.tzinfo is None and timezone is not None:
        return value.replace(tzinfo=timezone)
    return value


def read_date(text: str) -> dt.date:
    """A date written as 24.12.1980 or 1980-12-24; raises ValueError for anything else."""
    if german := _GERMAN_DATE.fullmatch(text):
        day, month, year = map(int, german.groups())
        return dt.date(year, month, day)
    if _ISO_DATE.fullmatch(text):
        return dt.date.fromisoformat(text)
    raise ValueError("not a date")


def read_datetime(text: str, timezone: dt.tzinfo | None) -> dt.datetime:
    """A moment written as 24.12.2025 18:30 or in ISO form, in its own zone or the given one; raises ValueError."""
    parts = _MOMENT.fullmatch(text)
    if parts is None:
        raise ValueError("not a date with a time")
    moment = dt.datetime.combine(read_date(parts[1]), _clock(parts[2]))
    if moment.tzinfo is None:
        if timezone is None:
            raise ValueError("a time without a zone")
        return moment.replace(tzinfo=timezone)
    return moment


def read_time(text: str) -> dt.time:
    """A time of day written as 14:30 or 14:30:15, without a zone; raises ValueError for anything else."""
    time = _clock(text)
    if time.tzinfo is not None:
        raise ValueError("a time of day with a zone")
    return time


def _clock(text: str) -> dt.time:
    match = _CLOCK.fullmatch(text.removesuffix("Uhr").rstrip())
    if match is None:
        raise ValueError("not a time")
    hour, minute, second, zone = match.groups()
    return dt.time.fromisoformat(f"{hour:0>2}:{minute}:{second or '00'}{zone or ''}")


def read_decimal(text: str) -> Decimal:
    """A number with a German comma, or with a dot that cannot part thousands, in euros or not; raises ValueError."""
    bare = text.removeprefix("€").removesuffix("€").strip()
    if _DOT_DECIMAL.fullmatch(bare):
        return Decimal(bare)
    match = _DECIMAL.fullmatch(bare)
    if match is None:
        raise ValueError("not a decimal number")
    sign, whole, _separator, decimals = match.groups()
    return Decimal(f"{sign}{_digits(whole)}.{decimals or '0'}")


def read_number(text: str) -> int:
    """A whole number without a sign, such as 1234, 1.234 or 1234,00; raises ValueError for anything else."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("not a whole number")
    return int(_digits(match[1] or match[3]))


def _digits(whole: str) -> str:
    return re.sub("[^0-9]", "", whole)


def read_email(value: object) -> str:
    """An e-mail address; raises ValueError for anything else."""
    if not isinstance(value, str) or not is_email(value):
        raise ValueError("not an e-mail address")
    return value


def read_phone(value: object, country: str | None = None) -> str:
    """A phone number with its country, as the service stores it: 0049 and so on.

    What spreadsheets put around it goes, and so does the `(0)` behind the country.

    Args:
        value: What the cell holds.
        country: The calling code of a number that begins with a single zero, such as "49"; None refuses it.

    Raises:
        Damaged: A spreadsheet has rounded digits off, or taken the plus or the zeros in front.
        ValueError: It is no phone number, or has no country.
    """
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        raise Damaged
    text = _unwrapped(value) if isinstance(value, str) else ""
    if _ROUNDED.fullmatch(text) or _FLOAT.fullmatch(text):
        raise Damaged
    check_phone("value", text)
    number = normalise_phone(_HOME_ZERO.sub(r"\1", text))
    if not number.startswith("0"):
        raise Damaged
    if country is not None and not number.startswith("00"):
        number = f"00{country}{number.removeprefix('0')}"
    if not number.startswith("00") or number.startswith("000"):
        raise ValueError("a phone number without its country")
    return number


def _unwrapped(text: str) -> str:
    match = _KEPT_AS_TEXT.fullmatch(text)
    return match[1].strip() if match else text


def read_contact(value: object) -> str:
    """The id of a contact in KlickTipp, or a contact key; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not _CONTACT.fullmatch(str(value)):
        raise ValueError("not the id of a contact")
    return str(value)


def read_crm_id(value: object) -> str:
    """The CRM's own id: a text of one line, an int or a UUID, at most 250 characters; raises ValueError."""
    text = str(value) if isinstance(value, str | int | uuid.UUID) and not isinstance(value, bool) else ""
    # Rounded off, the ids of many contacts look the same.
    if not 0 < len(text) <= _MAX_NAME or _NOT_IN_NAME.search(text) or _ROUNDED.fullmatch(text):
        raise ValueError("not an id")
    return text


def read_names(value: object, separators: str) -> list[str]:
    """The names of tags in a cell or in a list or set of texts, without empty ones; raises ValueError."""
    bare = given(value)
    names: Iterable[object] = (bare,)
    if isinstance(bare, str):
        names = re.split(f"[{re.escape(separators)}]", bare)
    elif isinstance(bare, list | tuple):
        names = cast("Sequence[object]", bare)
    elif isinstance(bare, set | frozenset):
        # A set has another order in every run.
        names = sorted(cast("AbstractSet[object]", bare), key=str)
    return [_text(name) for name in map(given, names) if name is not None]


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError("not the name of a tag")  # noqa: TRY004
    return name


def is_tag_name(name: str) -> bool:
    """Whether a tag may be called so: in one line, not empty, no mere number, at most 250 characters."""
    return 0 < len(name) <= _MAX_NAME and not name.isdecimal() and not _NOT_IN_NAME.search(name)
