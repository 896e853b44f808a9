"""Models as plain values: what `json.dumps` takes, and what web frameworks answer with."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias, cast

import attrs

from klickdoxie_core.errors import ArgumentError

Json: TypeAlias = "str | int | float | list[Json] | dict[str, Json] | None"
"""What JSON can hold; a bool is an int here."""

_LEFT_OUT = "klickdoxie_left_out"


def left_out() -> dict[str, bool]:
    """Metadata for a model's field that is no data, such as what helps to read the others: `to_dict` leaves it out."""
    return {_LEFT_OUT: True}


def to_dict(model: attrs.AttrsInstance) -> dict[str, Json]:
    """The data of a model under the names of its attributes, personal data included, as JSON can hold it.

    Models, mappings, lists and tuples in it are taken along. Enums become their values, dates and times texts in ISO
    8601, with the offset from UTC where they have one; decimals, ids that are keys, and what is not finite texts, too.

    Raises:
        ArgumentError: It is no model, or holds a `Secret`, bytes, or another thing that does not belong into JSON. The
            text names the type and never shows the value.
    """
    if isinstance(model, type) or not attrs.has(type(model)):
        raise ArgumentError(f"model must be a model of a client, not {type(model).__name__}")
    named = {field.name: field for field in attrs.fields(type(model)) if not field.name.startswith("_")}
    return {name: _plain(getattr(model, name)) for name, field in named.items() if not field.metadata.get(_LEFT_OUT)}


def _plain(value: object) -> Json:
    if isinstance(value, Mapping):
        return {_key(key): _plain(each) for key, each in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("list[object] | tuple[object, ...]", value)]
    return to_dict(cast("attrs.AttrsInstance", value)) if attrs.has(type(value)) else _scalar(value)


def _key(key: object) -> str:
    return key if type(key) is str else str(_scalar(key))


def _scalar(value: object) -> str | int | float | None:
    match value:
        case enum.Enum():
            return _scalar(value.value)
        case None | str() | int():
            return value
        case float():
            return value if math.isfinite(value) else json.dumps(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            raise ArgumentError(f"model holds a {type(value).__name__}, which does not belong into JSON")
