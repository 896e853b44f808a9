"""The data fields of an export: which ones, and their values as people and `klicktipp import` read them."""

from __future__ import annotations

import argparse
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import attrs

from klickdoxie_core.redact import mask
from klicktipp_async.errors import ConfigError
from klicktipp_async.field_schema import FieldSchema, FieldType

_ALL: Final = "all"
_FORMS: Final[Mapping[str, FieldType]] = {
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "time": FieldType.TIME,
    "number": FieldType.NUMBER,
    "decimal": FieldType.DECIMAL,
}
_TIMED: Final = frozenset({FieldType.DATE, FieldType.DATETIME, FieldType.TIME})
_HUNDREDTHS = re.compile(r"-?[0-9]{1,24}")
_DECIMAL = re.compile(r"-?[0-9]{1,24}\.[0-9]{1,2}")


@attrs.frozen
class Wish:
    """A field that is asked for.

    Attributes:
        name: Its key, with or without the prefix `field`, its label, or `all`.
        type: What it holds; None where nobody said so.
    """

    name: str
    type: FieldType | None = None


@attrs.frozen(kw_only=True)
class Fields:
    """The data fields to write.

    Attributes:
        labels: Key to label, in the order in which they are written.
        schema: What they hold; None writes all of them as the service keeps them.
    """

    labels: Mapping[str, str]
    schema: FieldSchema | None = None

    def text(self, key: str, stored: str) -> str:
        """The text of a cell: dates and times in ISO form, decimals with a comma, everything else as it is kept.

        What would not be the same when it is read back stays as it is kept, such as a date that does not begin at
        midnight in the time zone.
        """
        if self.schema is None or not stored:
            return stored
        if self.schema.type_of(key) is FieldType.DECIMAL:
            return _decimal(stored)
        value = self.schema.from_wire(key, stored)
        # Of a moment, the type `date` is a base.
        if not isinstance(value, dt.date | dt.time) or self.schema.to_wire({key: value})[key] != stored:
            return stored
        return _local(value, self.schema.timezone) if isinstance(value, dt.datetime) else value.isoformat()

    def is_kept(self, key: str, stored: str) -> bool:
        """Whether a date or time is written as the service keeps it, though its type is known."""
        timed = self.schema is not None and self.schema.type_of(key) in _TIMED
        return bool(timed and stored) and self.text(key, stored) == stored


def wishes(text: str) -> list[Wish]:
    """The fields in `NAME[:FORM],NAME…`, as the type of an argument."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        msg = "must be keys or labels parted by commas, or all"
        raise argparse.ArgumentTypeError(msg)
    return list(map(_wish, parts))


def chosen(wanted: Sequence[Wish], known: Mapping[str, str], *, timezone: dt.tzinfo, raw: bool) -> Fields:
    """The fields that are asked for, each once.

    Args:
        wanted: In the order in which they are written.
        known: The data fields of the account, key to label.
        timezone: Where days begin, and what times are written in.
        raw: Whether all values are written as the service keeps them.

    Raises:
        ConfigError: The account has no such field, or more than one.
    """
    found = {wish: _keys(wish.name, known) for wish in wanted}
    if missing := [mask(wish.name) for wish, keys in found.items() if not keys and wish.name != _ALL]:
        msg = f"the account has no data field {', '.join(map(repr, missing))}; `klicktipp fields` lists them"
        raise ConfigError(msg)
    for wish, keys in found.items():
        if len(keys) > 1 and wish.name != _ALL:
            msg = f"{mask(wish.name)!r} could be several data fields: {', '.join(keys)}; give one of these keys"
            raise ConfigError(msg)
    types = {key: wish.type for wish, keys in found.items() for key in keys if wish.type}
    labels = {key: known[key] for keys in found.values() for key in keys}
    return Fields(labels=labels, schema=None if raw else FieldSchema(types, timezone=timezone))


def _wish(part: str) -> Wish:
    name, colon, form = part.rpartition(":")
    return Wish(name.strip(), _FORMS[form]) if colon and form in _FORMS else Wish(part)


def _keys(name: str, known: Mapping[str, str]) -> list[str]:
    """The keys of the fields with a name: a key goes before a label, and the letter case counts only if it must."""
    if name == _ALL:
        return list(known)
    whole, bare = {key: key for key in known}, {key: key.removeprefix("field") for key in known}
    for fold in (str.strip, _folded):
        for names in (whole, bare, known):
            if keys := [key for key, other in names.items() if fold(other) == fold(name)]:
                return keys
    return []


def _folded(text: str) -> str:
    return text.strip().casefold()


def _decimal(stored: str) -> str:
    # Without a dot the service counts hundredths.
    if _HUNDREDTHS.fullmatch(stored):
        return f"{Decimal(stored).scaleb(-2):f}".replace(".", ",")
    return stored.replace(".", ",") if _DECIMAL.fullmatch(stored) else stored


def _local(moment: dt.datetime, timezone: dt.tzinfo) -> str:
    try:
        return moment.astimezone(timezone).isoformat(sep=" ")
    except OverflowError:
        # On the first or last day that there is.
        return moment.isoformat(sep=" ")
