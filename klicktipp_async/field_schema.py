"""Data fields: their keys, their types, and the way between Python values and the texts of the service."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Final, TypeAlias

import attrs

from klickdoxie_core.redact import mask
from klicktipp_async.contact_details import is_email
from klicktipp_async.errors import ArgumentError

_PREFIX = "field"
_BARE_KEY = re.compile(r"[0-9]{1,18}|(?!Field)[A-Z][A-Za-z0-9]{0,63}")
_DIGITS = re.compile(r"[0-9]{1,64}")
_INTEGER = re.compile(r"-?[0-9]{1,64}")
_DOT_DECIMAL = re.compile(r"-?[0-9]{1,64}\.[0-9]{1,64}")
_URL = re.compile(r"https?://[^\r\n]+", re.IGNORECASE)
_LINE_BREAK = re.compile(r"[\r\n]")
# No encoding can carry a lone surrogate; a file read with the wrong error handler is full of them.
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_BOUND = 10**64
_SHOWN = 60
_CENT = Decimal("0.01")
_EXACT = Context(prec=100)
_DAY = 86_400
_SECOND = dt.timedelta(seconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EARLIEST = (dt.datetime.min.replace(tzinfo=dt.UTC) - _EPOCH) // _SECOND
_LATEST = (dt.datetime.max.replace(tzinfo=dt.UTC) - _EPOCH) // _SECOND


class FieldType(enum.StrEnum):
    """What a data field holds. The service does not tell it: take it from the account's settings."""

    LINE = "field-single"
    PARAGRAPH = "field-paragraph"
    EMAIL = "field-email"
    NUMBER = "field-number"
    DECIMAL = "field-decimal"
    URL = "field-url"
    DATE = "field-date"
    TIME = "field-time"
    DATETIME = "field-datetime"
    HTML = "field-html"


class Clear(enum.Enum):
    """The type of `CLEAR`."""

    CLEAR = ""

    def __repr__(self) -> str:
        return "CLEAR"


CLEAR: Final = Clear.CLEAR
"""Empties a field. `None` leaves it as it is."""

FieldValue: TypeAlias = str | int | float | Decimal | dt.date | dt.time | enum.Enum | None
"""What a field can be given, `CLEAR` (an enum member) included; which of it depends on the field's type."""

ParsedValue: TypeAlias = str | int | Decimal | dt.date | dt.time | None
"""What a field is read as; a date and time is an aware `datetime` in UTC, None an empty field."""

# Which of the texts are single lines the vendor does not say, so line breaks are left to the service.
STANDARD_FIELDS: Final[Mapping[str, FieldType]] = {
    "fieldFirstName": FieldType.PARAGRAPH,
    "fieldLastName": FieldType.PARAGRAPH,
    "fieldCompanyName": FieldType.PARAGRAPH,
    "fieldStreet1": FieldType.PARAGRAPH,
    "fieldStreet2": FieldType.PARAGRAPH,
    "fieldCity": FieldType.PARAGRAPH,
    "fieldState": FieldType.PARAGRAPH,
    "fieldZip": FieldType.PARAGRAPH,
    "fieldCountry": FieldType.PARAGRAPH,
    "fieldPrivatePhone": FieldType.PARAGRAPH,
    "fieldMobilePhone": FieldType.PARAGRAPH,
    "fieldPhone": FieldType.PARAGRAPH,
    "fieldFax": FieldType.PARAGRAPH,
    "fieldWebsite": FieldType.URL,
    "fieldBirthday": FieldType.DATE,
    "fieldLeadValue": FieldType.NUMBER,
}
"""The fields that every account has, with their types."""

_BY_LOWER_CASE = {key.lower(): key for key in STANDARD_FIELDS}


def field_key(key: str | int) -> str:
    """The key with its prefix: '12345' and 12345 become 'field12345', 'FirstName' becomes 'fieldFirstName'.

    Raises:
        ArgumentError: It is no field's key, or a standard field's in the wrong letter case.
    """
    if not _may_be_key(key):
        raise ArgumentError(f"the key of a field must be a text or a whole number, not {type(key).__name__}")
    full = _prefixed(str(key))
    spelled = _BY_LOWER_CASE.get(full.lower(), full)
    if full != spelled:
        raise ArgumentError(f"{full} must be spelled {spelled}: letter case matters in the key of a field")
    if not _BARE_KEY.fullmatch(full.removeprefix(_PREFIX)):
        raise ArgumentError(
            f"{mask(str(key))[:_SHOWN]!r} is not the key of a field, such as field12345 or fieldFirstName"
        )
    return full


def bare_key(key: str | int) -> str:
    """The key without its prefix, as paths want it: '12345' or 'FirstName'.

    Raises:
        ArgumentError: It is no field's key, or a standard field's in the wrong letter case.
    """
    return field_key(key).removeprefix(_PREFIX)


def is_encodable(value: object) -> bool:
    """Whether this is a text that UTF-8 can carry."""
    return isinstance(value, str) and _SURROGATE.search(value) is None


def _may_be_key(key: object) -> bool:
    # The bound keeps clear of the length at which Python refuses to print an int.
    return isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool) and abs(key) < _BOUND)


def _prefixed(key: str) -> str:
    return key if key.startswith(_PREFIX) else _PREFIX + key


def _checked_types(types: Mapping[str, FieldType | str]) -> Mapping[str, FieldType]:
    if not isinstance(types, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise ArgumentError("types must be a mapping of keys to types of fields")
    known: dict[str, FieldType] = {}
    problems: list[str] = []
    for key, name in types.items():
        try:
            full = field_key(key)
            if full in known:
                problems.append(f"{full} is given twice, in two spellings")
            known[full] = _checked_type(full, name)
        except ArgumentError as problem:
            problems.append(problem.message)
    _refuse(problems)
    return known


def _checked_type(key: str, name: FieldType | str) -> FieldType:
    try:
        return FieldType(name)
    except ValueError:
        raise ArgumentError(f"{key} must be of one of the types {', '.join(FieldType)}") from None


def _check_timezone(_schema: object, _attribute: object, value: object) -> None:
    if not isinstance(value, dt.tzinfo):
        raise ArgumentError("timezone must be a tzinfo, such as ZoneInfo('Europe/Berlin')")


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ArgumentError("; ".join(problems))


@attrs.frozen
class FieldSchema:
    """The types of an account's own fields, so that Python values can be written and read.

    A text is taken for the wire form already and is sent as it is, once it has the type's shape. A field without
    a known type takes texts and ints; the sixteen standard fields have their types without being named.

    Attributes:
        types: Keys, with or without the prefix `field`, and what the fields hold: a `FieldType` or the vendor's word.
            An entry for a standard field replaces its own type.
        timezone: Where a date begins at midnight; the account's time zone if that is not UTC.

    Raises:
        ArgumentError: A key or a type is unknown; all problems in one text.
    """

    types: Mapping[str, FieldType] = attrs.field(factory=dict[str, FieldType], converter=_checked_types)
    timezone: dt.tzinfo = attrs.field(default=dt.UTC, kw_only=True, validator=_check_timezone)

    def to_wire(self, fields: Mapping[str, FieldValue]) -> dict[str, str]:
        """The texts to send, under full keys; fields that are None are left out.

        Fractions of a second are cut off.

        Raises:
            ArgumentError: A key is none, or a value does not fit its field; all problems in one text, without values.
        """
        if not isinstance(fields, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise ArgumentError("fields must be a mapping of keys to values")
        wire: dict[str, str] = {}
        seen: set[str] = set()
        problems: list[str] = []
        for key, value in fields.items():
            try:
                full = field_key(key)
                if full in seen:
                    problems.append(f"{full} is given twice, in two spellings")
                seen.add(full)
                if value is not None:
                    wire[full] = self._write(full, value)
            except ArgumentError as problem:
                problems.append(problem.message)
        _refuse(problems)
        return wire

    def from_wire(self, key: str, text: str) -> ParsedValue:
        """The value of a field; a text that does not fit the field's type stays as it is.

        A decimal without a dot stays a text, too: it may count hundredths or not.
        """
        return _RULES[self.type_of(key)].read(text, self.timezone) if text else None

    def type_of(self, key: str) -> FieldType | None:
        """What a field holds, by its key with or without the prefix `field`; None for one whose type is not known."""
        full = _prefixed(key)
        return self.types.get(full) or STANDARD_FIELDS.get(full)

    def _write(self, full: str, value: FieldValue) -> str:
        plain: object = value.value if isinstance(value, enum.Enum) else value
        if plain == "":
            return ""
        rule = _RULES[self.type_of(full)]
        text = rule.write(plain, self.timezone)
        if text is None:
            given = f"(given: {type(plain).__name__})"
            raise ArgumentError(f"{full} must be {rule.expected} {given}{self._hint(full, plain)}")
        if not is_encodable(text):
            raise ArgumentError(
                f"{full} has characters that cannot be encoded; was its source read in another encoding?"
            )
        return text

    def _hint(self, full: str, value: object) -> str:
        """How a standard field comes to take such a value, where nobody has given it a type."""
        by_default = full in STANDARD_FIELDS and full not in self.types
        return "; a FieldSchema can give it another type" if by_default and not isinstance(value, str) else ""


def schema_given(schema: object) -> FieldSchema:
    """The schema that a client was given, one without types for None; raises ArgumentError for anything else."""
    if schema is None:
        return FieldSchema({})
    if not isinstance(schema, FieldSchema):
        raise ArgumentError("field_schema must be a FieldSchema")
    return schema


@attrs.frozen
class _Rule:
    """How one type is written and read; `write` gives None for what the type does not take."""

    expected: str
    write: Callable[[object, dt.tzinfo], str | None]
    read: Callable[[str, dt.tzinfo], ParsedValue]


def _write_text(value: object, _zone: dt.tzinfo) -> str | None:
    if isinstance(value, str):
        return value
    # The bound keeps clear of the length at which Python refuses to print an int.
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _BOUND
    return str(value) if whole else None


def _write_line(value: object, zone: dt.tzinfo) -> str | None:
    text = _write_text(value, zone)
    return None if text is None or _LINE_BREAK.search(text) else text


def _write_email(value: object, _zone: dt.tzinfo) -> str | None:
    return value if isinstance(value, str) and is_email(value) else None


def _write_url(value: object, _zone: dt.tzinfo) -> str | None:
    return value if isinstance(value, str) and _URL.fullmatch(value) else None


def _write_number(value: object, zone: dt.tzinfo) -> str | None:
    text = _write_text(value, zone)
    return text if text is not None and _DIGITS.fullmatch(text) else None


def _write_decimal(value: object, _zone: dt.tzinfo) -> str | None:
    if isinstance(value, str):
        return value if _INTEGER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    # The shortest text of a float is what its author wrote: 19.99, not 19.989999….
    exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite() or exact.copy_abs() >= _BOUND:
        return None
    rounded = exact.quantize(_CENT, context=_EXACT)
    return str(int(rounded.scaleb(2, _EXACT))) if rounded == exact else None


def _write_date(value: object, zone: dt.tzinfo) -> str | None:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return _unix(dt.datetime.combine(value, dt.time(), zone))
    return _write_within(value, zone, _EARLIEST, _LATEST)


def _write_datetime(value: object, zone: dt.tzinfo) -> str | None:
    if isinstance(value, dt.datetime):
        return None if value.utcoffset() is None else _unix(value)
    return _write_within(value, zone, _EARLIEST, _LATEST)


def _write_time(value: object, zone: dt.tzinfo) -> str | None:
    if isinstance(value, dt.time):
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        return None if value.tzinfo is not None else str(seconds)
    return _write_within(value, zone, 0, _DAY - 1)


def _write_within(value: object, zone: dt.tzinfo, least: int, most: int) -> str | None:
    text = _write_text(value, zone)
    return text if text is not None and _INTEGER.fullmatch(text) and least <= int(text) <= most else None


def _unix(moment: dt.datetime) -> str:
    return str((moment - _EPOCH) // _SECOND)


def _read_text(text: str, _zone: dt.tzinfo) -> str:
    return text


def _read_number(text: str, _zone: dt.tzinfo) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _read_decimal(text: str, _zone: dt.tzinfo) -> Decimal | str:
    return Decimal(text) if _DOT_DECIMAL.fullmatch(text) else text


def _read_datetime(text: str, _zone: dt.tzinfo) -> dt.datetime | str:
    if _INTEGER.fullmatch(text) and _EARLIEST <= int(text) <= _LATEST:
        return _EPOCH + int(text) * _SECOND
    return text


def _read_date(text: str, zone: dt.tzinfo) -> dt.date | str:
    moment = _read_datetime(text, zone)
    try:
        return text if isinstance(moment, str) else moment.astimezone(zone).date()
    except OverflowError:
        return text


def _read_time(text: str, _zone: dt.tzinfo) -> dt.time | str:
    if _DIGITS.fullmatch(text) and int(text) < _DAY:
        return dt.time(int(text) // 3600, int(text) // 60 % 60, int(text) % 60)
    return text


_RULES: Final[Mapping[FieldType | None, _Rule]] = {
    None: _Rule(
        "a text or an int as long as its type is not known; name its type in a FieldSchema to give it anything else",
        _write_text,
        _read_text,
    ),
    FieldType.LINE: _Rule("a text without line breaks, or an int", _write_line, _read_text),
    FieldType.PARAGRAPH: _Rule("a text or an int", _write_text, _read_text),
    FieldType.HTML: _Rule("a text or an int", _write_text, _read_text),
    FieldType.EMAIL: _Rule("an e-mail address", _write_email, _read_text),
    FieldType.URL: _Rule("a text that starts with http:// or https://", _write_url, _read_text),
    FieldType.NUMBER: _Rule("a whole number of 0 or more: an int, or a text of digits", _write_number, _read_number),
    FieldType.DECIMAL: _Rule(
        "a Decimal, int or float with at most two digits after the point, or a text of whole hundredths",
        _write_decimal,
        _read_decimal,
    ),
    FieldType.DATE: _Rule(
        "a date (of a datetime give its date()), or unix seconds as an int or a text", _write_date, _read_date
    ),
    FieldType.TIME: _Rule("a time without tzinfo, or seconds since midnight, 0 to 86399", _write_time, _read_time),
    FieldType.DATETIME: _Rule(
        "a datetime with tzinfo (add the one it is meant in), or unix seconds as an int or a text",
        _write_datetime,
        _read_datetime,
    ),
}
