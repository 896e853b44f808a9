"""Values of a database as the texts that the cells of a file hold."""

from __future__ import annotations

import csv
import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import cast

from klickdoxie_core.table.encoding import TableError

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
    if text is None:
        msg = (
            f"row {number:,}: column {column!r} holds a value of the type {type(value).__name__}, which is no text, "
            "number, date or time; let the query CAST it"
        )
        raise TableError(msg)
    if "\0" in text or len(text) > csv.field_size_limit():
        msg = f"row {number:,}: column {column!r} holds a NUL character, or more than {csv.field_size_limit():,} ones"
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
    return text


def _number(value: Decimal, decimal: str) -> str:
    """All of its digits, never with an exponent."""
    digits = format(value, "f")
    return _ZEROS_BEHIND_CENTS.sub(r"\1", digits).replace(".", decimal) if "." in digits else digits


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _is_encodable(text: str) -> bool:
    """Whether UTF-8 can carry it: a driver that guesses at an encoding leaves lone surrogates behind."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
