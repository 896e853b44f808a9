"""Doxie's envelopes on top of the core's strict converter: the thing itself, wherever in the answer it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Generic, NewType, TypeVar, cast, get_args, get_origin

import attrs
import cattrs

from klickdoxie_core import ShapeError, new_converter
from klickdoxie_core.convert import loose_int, loose_str

T = TypeVar("T")

Done = NewType("Done", object)
"""An envelope that says `success: true` and nothing else that matters."""


@attrs.frozen
class Under:
    """Mark for `Annotated`: the thing stands under this key in `data`, or is `data`, or is the bare answer.

    What stands beside it belongs to it. Without a key it is not looked for inside of `data`.
    """

    key: str | None = None


@attrs.frozen
class Listed:
    """Mark for `Annotated`: the items stand under this key in `data`, or are the only list in `data`, or are `data`.

    With the key of an owner they are one of several lists that belong to it, so that no other list will do.
    """

    key: str
    owner: str | None = None


@attrs.frozen(kw_only=True)
class Listing(Generic[T]):
    """One page as it came.

    Attributes:
        items: What is on it.
        figures: What the page says about the pages, such as `total_pages`.
    """

    items: list[T]
    figures: Mapping[str, object] = attrs.field(factory=dict[str, object])


@cache
def converter() -> cattrs.Converter:
    """The converter of every Doxie client."""
    made = new_converter()
    made.register_structure_hook(int, loose_int)
    made.register_structure_hook(str, loose_str)
    _null_is_empty(made, Mapping[str, object], dict[str, object])
    _null_is_empty(made, Sequence[object], tuple[object, ...])
    made.register_structure_hook_func(lambda kind: kind is Done, _done)
    made.register_structure_hook_func(_is_marked, _marked(made))
    return made


def _null_is_empty(made: cattrs.Converter, kind: object, make: Callable[[], object]) -> None:
    strict = made.get_structure_hook(cast("Any", kind))

    def hook(value: object, _: object) -> object:
        return make() if value is None else strict(value, cast("Any", kind))

    made.register_structure_hook_func(lambda asked: asked == kind, hook)


def _is_marked(kind: object) -> bool:
    return get_origin(kind) is Annotated and isinstance(get_args(kind)[1], Under | Listed)


def _marked(made: cattrs.Converter) -> Callable[[object, Any], object]:
    def hook(payload: object, kind: Any) -> object:  # noqa: ANN401 - cattrs hands over what was asked for
        inner, mark = get_args(kind)
        if isinstance(mark, Under):
            return made.structure(_under(payload, mark.key), inner)
        (item,) = get_args(inner)
        items, figures = _listed(payload, mark)
        return Listing(items=made.structure(items, cast("Any", list)[item]), figures=figures)

    return hook


def _done(payload: object, _: object) -> object:
    if (_mapping(payload) or {}).get("success") is not True:
        raise ShapeError("expected an object with success: true")
    return None


def _mapping(payload: object) -> Mapping[str, object] | None:
    return cast("Mapping[str, object]", payload) if isinstance(payload, Mapping) else None


def _list(payload: object) -> list[object] | None:
    return cast("list[object]", payload) if isinstance(payload, list) else None


def data_of(payload: object) -> object:
    """What an envelope carries; an answer without an envelope is all there is."""
    envelope = _mapping(payload)
    return envelope.get("data") if envelope is not None and "success" in envelope else payload


def _under(payload: object, key: str | None) -> object:
    data = data_of(payload)
    if data is None:
        return {}
    body = _mapping(data) or {}
    inner = None if key is None else _mapping(body.get(key))
    return data if inner is None else {name: body[name] for name in body if name != key} | dict(inner)


def _listed(payload: object, mark: Listed) -> tuple[list[object], Mapping[str, object]]:
    data = data_of(payload) if mark.owner is None else _under(payload, mark.owner)
    if data is None:
        return [], {}
    if (items := _list(data)) is not None:
        return items, {}
    if (body := _mapping(data)) is None:
        raise ShapeError(f"expected a list of {mark.key}, got {type(data).__name__}")
    # Figures beside several lists do not say which one they are about.
    return _only_list(body, mark), _figures(body) if mark.owner is None else {}


def _only_list(data: Mapping[str, object], mark: Listed) -> list[object]:
    lists = {name: items for name, value in data.items() if (items := _list(value)) is not None}
    if mark.key in lists:
        return lists[mark.key]
    if len(lists) == 1 and mark.owner is None:
        return next(iter(lists.values()))
    if lists:
        raise ShapeError(f"expected a list named {mark.key}, got: {', '.join(sorted(lists))}")
    if data and (mark.key not in data or data[mark.key] is not None):
        raise ShapeError(f"expected a list named {mark.key}, got none")
    return []


def _figures(data: Mapping[str, object]) -> Mapping[str, object]:
    """What the page says about the pages, beside the items or one level down."""
    found: dict[str, object] = {}
    for place in (data, data.get("meta"), data.get("pagination")):
        found.update(_mapping(place) or {})
    names = ("total_pages", "last_page", "next_page", "total", "total_count")
    return {name: found[name] for name in names if name in found}
