"""Models as plain values: each model of both clients, what is left out, and what is refused."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from types import ModuleType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doxie_async.models import admin, record, sending
from doxie_async.webhooks import events
from klickdoxie_core import ArgumentError, Secret
from klickdoxie_core.plain import left_out, to_dict
from klicktipp_async import FieldSchema, webhooks
from klicktipp_async.models import account, contact, field, opt_in, option, tag

MODULES = (account, contact, field, opt_in, option, tag, webhooks, admin, record, sending, events)


def models_in(module: ModuleType) -> Iterator[type[Any]]:
    """The models that a module makes."""
    for kind in vars(module).values():
        if isinstance(kind, type) and attrs.has(kind) and kind.__module__ == module.__name__:
            yield kind


MODELS = [model for module in MODULES for model in models_in(module)]

# A zone with summer time has moments that do not exist.
ZONES = st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=2))])
MOMENTS = st.datetimes(min_value=dt.datetime(1980, 1, 1), timezones=ZONES)  # noqa: DTZ001 - the zones are above
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
LEAVES = {
    object: JSON,
    dt.datetime: MOMENTS,
    NoneType: st.none(),
    FieldSchema: st.just(FieldSchema({"field1": "field-date"}, timezone=ZoneInfo("Europe/Berlin"))),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type as the models name them."""
    parts = [values(part) for part in get_args(kind) if part is not Ellipsis]
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        return st.one_of(parts)
    if origin is tuple:
        return st.lists(parts[0], max_size=2).map(tuple)
    if origin in {list, Sequence}:
        return st.lists(parts[0], max_size=2)
    if origin in {dict, Mapping}:
        return st.dictionaries(*parts, max_size=2)
    return instances(kind) if attrs.has(kind) and kind not in LEAVES else LEAVES.get(kind, st.from_type(kind))


def instances(model: type[Any]) -> st.SearchStrategy[Any]:
    """Models with any values in them."""
    hints = get_type_hints(model)
    return st.builds(model, **{each.alias: values(hints[each.name]) for each in attrs.fields(model)})


def same(value: Any, plain: Any) -> bool:
    """Whether this is what is left of a value when it has become plain."""
    if isinstance(value, Mapping):
        return plain.keys() == {str(key) for key in value} and all(same(value[key], plain[str(key)]) for key in value)
    if isinstance(value, list | tuple):
        return len(value) == len(plain) and all(map(same, value, plain))
    if attrs.has(type(value)):
        return all(same(getattr(value, name), plain[name]) for name in plain)
    return same_leaf(value, plain)


def same_leaf(value: Any, plain: Any) -> bool:
    """The same for what holds nothing else."""
    if isinstance(value, enum.Enum):
        return bool(value.value == plain)
    if isinstance(value, dt.datetime):
        return dt.datetime.fromisoformat(plain) == value
    if isinstance(value, float) and not math.isfinite(value):
        return isinstance(plain, str) and repr(float(plain)) == repr(value)
    return type(value) is type(plain) and bool(value == plain)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_every_model_becomes_json(model: type[Any], data: st.DataObject) -> None:
    """Each attribute is there under its name, and each value is kept."""
    made = data.draw(instances(model))
    plain = to_dict(made)
    assert plain.keys() == {each.name for each in attrs.fields(model)} - {"schema"}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert same(made, plain)


def test_there_are_models_of_both_clients() -> None:
    """The list above is not empty by mistake."""
    assert {"Contact", "Tag", "Account", "WebhookEvent", "Brand", "MailResult", "DoiConfirmed"} <= {
        model.__name__ for model in MODELS
    }


class Colour(enum.Enum):
    GREEN = "grün"


@attrs.frozen
class Box:
    content: object
    helper: object = attrs.field(factory=object, metadata=left_out())
    _inner: object = attrs.field(factory=object)


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        (Decimal("19.90"), "19.90"),
        (dt.date(2026, 5, 8), "2026-05-08"),
        (dt.time(14, 30), "14:30:00"),
        (dt.datetime(2026, 5, 8, tzinfo=ZoneInfo("Europe/Berlin")), "2026-05-08T00:00:00+02:00"),
        (Colour.GREEN, "grün"),
        ({Colour.GREEN: 1, 2: (True, None)}, {"grün": 1, "2": [True, None]}),
        ([Box("Jörg; Käthe")], [{"content": "Jörg; Käthe"}]),
        (math.inf, "Infinity"),
    ],
)
def test_what_becomes_of_a_value(content: object, plain: object) -> None:
    """What is marked as no data is left out, and so is what is private."""
    assert to_dict(Box(content)) == {"content": plain}


@pytest.mark.parametrize("content", [Secret("kanarie"), b"kanarie", bytearray(b"kanarie"), {"kanarie"}, object()])
@pytest.mark.parametrize("wrapped", [lambda it: it, lambda it: [it], lambda it: {"a": Box(it)}])
def test_what_json_cannot_or_must_not_carry_is_refused(content: object, wrapped: Any) -> None:
    """The text names the type, and never shows the value."""
    with pytest.raises(ArgumentError, match=f"holds a {type(content).__name__}, which") as caught:
        to_dict(Box(wrapped(content)))
    assert "kanarie" not in str(caught.value)


@pytest.mark.parametrize("key", [Secret("kanarie"), b"kanarie", (1, 2)])
def test_a_key_that_is_no_text_is_refused(key: Any) -> None:
    """Ids and enums are."""
    with pytest.raises(ArgumentError, match=f"holds a {type(key).__name__}, which"):
        to_dict(Box({key: 1}))


@pytest.mark.parametrize("model", [None, {"id": 1}, Box, "kanarie"])
def test_what_is_no_model_is_refused(model: Any) -> None:
    """A class is none, either."""
    with pytest.raises(ArgumentError, match="must be a model of a client, not"):
        to_dict(model)
