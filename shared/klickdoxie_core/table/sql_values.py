"""Values of a database as the texts that the cells of a file hold."""

from __future__ import annotations

import csv
import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import cast

from klickdoxie_core.table.encoding import TableError

# A column of one bit, which is what a boolean is there, comes from MySQL and MariaDB as a byte.
_BITS = {b"\x00": "0", b"\x01": "1"}
# Of several bits, or of a number in binary; only tabs and line breaks stand in texts.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NO_DATE = re.compile(r"0000-00-00(?:[ T]00:00:00(?:\.0+)?)?")
# Databases write money with four decimals; the cents are kept.
_ZEROS_BEHIND_CENTS = re.compile(r"(\.[0-9]{2}[0-9]*?)0+$")


def text_of(value: object, column: str, number: int, decimal: str = ".") -> str:
    """The text of a value: nothing for NULL, ISO 8601 for dates and times, 1 and 0 for true and false.

    Args:
        value: What the driver returned.
        column: The name of its column, for errors.
        number: The number of its row, for errors.
        decimal: What stands between the whole and the fraction of a number.

    Raises:
        TableError: No cell can hold such a value.
    """
    text = _text(value, decimal)
    unfit = _no_text(value) if text is None else _no_cell(text)
    if text is None or unfit:
        msg = f"row {number:,}: column {column!r} holds {unfit}"
        raise TableError(msg)
    return text


def _text(value: object, decimal: str) -> str | None:
    text: str | None = ""
    match value:
        case None:
            pass
        case str():
            text = value if _is_encodable(value) else None
        case bool():
            text = str(int(value))
        case int() | uuid.UUID():
            text = str(value)
        case float() if value.is_integer():
            # The id of a customer in a column of the type REAL.
            text = str(int(value))
        case float() | Decimal():
            text = _number(Decimal(str(value)), decimal)
        case dt.date() | dt.time():
            text = value.isoformat()
        case bytes() | bytearray() | memoryview():
            text = _decoded(bytes(cast("bytes", value)))
        case _:
            text = None
    # MySQL lets a date be none that way, and some drivers hand it out as a text.
    return "" if text and _NO_DATE.fullmatch(text) else text


def _no_text(value: object) -> str:
    """What a value is that has no text."""
    if isinstance(value, float | Decimal):
        return f"{value}, which is no number that a field can hold; let the query leave it out, such as by NULLIF"
    return f"a value of the type {type(value).__name__}, which is no text, number, date or time; let the query CAST it"


def _no_cell(text: str) -> str:
    """What keeps a text from being a cell; empty for one that can be."""
    if "\0" in text:
        return "a NUL character"
    if len(text) > csv.field_size_limit():
        return f"more than {csv.field_size_limit():,} characters"
    return ""


def _number(value: Decimal, decimal: str) -> str | None:
    """All of its digits, never with an exponent; None for an infinite number, and for one that is not a number."""
    if not value.is_finite():
        return None
    digits = format(value, "f")
    return _ZEROS_BEHIND_CENTS.sub(r"\1", digits).replace(".", decimal) if "." in digits else digits


def _decoded(data: bytes) -> str | None:
    if data in _BITS:
        return _BITS[data]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _is_encodable(text: str) -> bool:
    """Whether UTF-8 can carry it: a driver that guesses at an encoding leaves lone surrogates behind."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
