"""The texts of the page that shows a plan: both languages beside each other, and nothing in them that a page obeys."""

from __future__ import annotations

import datetime as dt
import html
import re
from decimal import Decimal
from typing import Final

from klickdoxie_core.redact import HIDDEN, mask
from klicktipp_async.crm.brief_reasons import Both
from klicktipp_async.field_schema import FieldSchema, FieldType

_GERMAN: Final = str.maketrans(",.", ".,")
# Control characters, what turns the direction of a text around, and halves of characters, which no file can hold.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_BREAK = re.compile(r"\r\n|[\r\n\u2028\u2029]")
_DECIMAL = re.compile(r"-?[0-9]{1,64}(\.[0-9]{1,64})?")
_DOTS: Final = "•••"
_SHOWN: Final = 80
_DIGITS_SHOWN: Final = 2

NAMES: Final[dict[str, Both]] = {
    "email": ("E-mail address", "E-Mail-Adresse"),
    "sms_number": ("SMS number", "SMS-Nummer"),
}
"""What changes beside data fields."""


def clean(text: str, most: int = _SHOWN) -> str:
    """The text in one line of at most so many characters; what could not be seen or would mislead becomes a mark."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    return _UNFIT.sub("\ufffd", _LINE_BREAK.sub(" ⏎ ", text))


def escaped(text: str, most: int = _SHOWN) -> str:
    """The same as a piece of HTML, between tags or within quotation marks."""
    return html.escape(clean(text, most))


def spans(text: Both, most: int = _SHOWN) -> str:
    """Both languages as HTML, of which the page shows one; a text that is the same in both stands there once."""
    english, german = (escaped(each, most) for each in text)
    if english == german:
        return english
    return f'<span lang="en">{english}</span><span lang="de">{german}</span>'


def number(figure: int) -> Both:
    """A number as either language writes it."""
    return f"{figure:,}", f"{figure:,}".translate(_GERMAN)


def moment(seconds: float) -> Both:
    """A moment, given in seconds since 1970, to the minute in UTC."""
    when = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{when:%Y-%m-%d, %H:%M} UTC", f"{when:%d.%m.%Y, %H:%M} UTC"


def masked(address: str | None) -> str:
    """The first letter of an e-mail address and of its domain, and the last part of that: `a…@e….com`."""
    if not address:
        return ""
    name, _, domain = address.rpartition("@")
    if not (name and domain):
        return _DOTS
    _, dot, end = domain.rpartition(".")
    return f"{name[0]}…@{domain[0]}…{dot + end if dot else ''}"


def value(schema: FieldSchema, key: str, text: str) -> Both:
    """What a contact has in a data field, as its `email` or as its `sms_number`, so that people can read it.

    Of addresses and numbers only the beginning or the end is shown, whatever field they stand in.
    """
    if key == "email":
        return _same(masked(text))
    if key == "sms_number":
        return _same(_DOTS + text[-_DIGITS_SHOWN:] if text else "")
    return _read(schema, key, text) or _same(mask(text).replace(HIDDEN, _DOTS))


def _read(schema: FieldSchema, key: str, text: str) -> Both | None:
    """Dates, times and decimals as either language writes them; None for every other value."""
    if schema.type_of(key) is FieldType.DECIMAL and _DECIMAL.fullmatch(text):
        # Without a dot the service counts hundredths.
        amount = f"{Decimal(text) if '.' in text else Decimal(text) / 100:,.2f}"
        return amount, amount.translate(_GERMAN)
    meant = schema.from_wire(key, text)
    if isinstance(meant, dt.datetime):
        meant = _local(meant, schema.timezone)
        return f"{meant:%Y-%m-%d %H:%M}", f"{meant:%d.%m.%Y %H:%M}"
    if isinstance(meant, dt.date):
        return meant.isoformat(), f"{meant:%d.%m.%Y}"
    return _same(f"{meant:%H:%M}") if isinstance(meant, dt.time) else None


def _local(moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def _same(text: str) -> Both:
    return text, text
