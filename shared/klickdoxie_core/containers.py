"""Lists and maps: nothing that only looks like one, and plain contents at once instead of one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, cast, get_args, get_origin

import cattrs
import cattrs.gen
from cattrs.errors import IterableValidationNote

from klickdoxie_core.hooks import Hook, ShapeError, Traits, name_of, read_together, traits_of

_OF_ONE_TYPE = (list, tuple, set, frozenset)
_PLAIN_MAPS: tuple[object, ...] = (dict, Mapping, MutableMapping)
_PIECE = 100

_Make = Callable[[Iterable[object]], object]
_AtOnce = Callable[[Any], object]


def register_containers(converter: cattrs.Converter) -> None:
    """Make a list of a list and a map of an object only; cattrs would also make a list of a text's letters."""
    asking: set[object] = set()

    def factory(kind: Any) -> Hook:  # noqa: ANN401 - any type form
        # What the converter would do without this factory.
        asking.add(kind)
        try:
            build = converter.get_structure_hook(kind, cache_result=False)
        finally:
            asking.discard(kind)
        if _is_kind_of(kind, Mapping):
            return _strict(kind, build, Mapping, "an object")
        make = _maker(kind, build)
        return _strict(kind, build, list, "a list", make, _list_at_once(converter, kind, make))

    def plain_map(kind: Any) -> Hook:  # noqa: ANN401 - any type form
        # Not asked of the converter, which would put its own hook for the type in the place of this one.
        build = cast("Any", cattrs.gen).make_mapping_structure_fn(kind, converter, dict, detailed_validation=True)
        make = cast("_Make", dict)
        return _strict(kind, build, Mapping, "an object", make, _map_at_once(converter, kind))

    converter.register_structure_hook_factory(
        lambda kind: kind not in asking and _is_kind_of(kind, Sequence, AbstractSet, Mapping), factory
    )
    converter.register_structure_hook_factory(
        lambda kind: get_origin(kind) in _PLAIN_MAPS and len(get_args(kind)) == 2, plain_map
    )


def _is_kind_of(kind: object, *families: type[Any]) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, families) and not issubclass(origin, str | bytes)


def _strict(
    kind: object,
    build: Hook,
    expected: type[Any],
    name: str,
    make: _Make | None = None,
    at_once: _AtOnce | None = None,
) -> Hook:
    """Many at once where that can be; one by one, with each error in its place, where it cannot."""
    size = _size(kind)

    def hook(payload: Any, _: object) -> object:  # noqa: ANN401 - whatever has come
        if not isinstance(payload, expected):
            raise ShapeError(f"expected {name}, got {name_of(payload)}")
        if size is not None and len(payload) != size:
            raise ShapeError(f"expected a list of {size}, got one of {len(payload)}")
        if at_once is not None and (made := at_once(payload)) is not None:
            return made
        if make is not None and len(payload) > _PIECE:
            return make(_in_pieces(kind, build, payload))
        return cast("object", build(payload, kind))

    return hook


def _size(kind: object) -> int | None:
    """How many items `tuple[int, str]` has; None for what may have any number."""
    of = get_args(kind)
    return len(of) if get_origin(kind) is tuple and of and of[-1] is not ... else None


def _in_pieces(kind: object, build: Hook, payload: Any) -> Iterator[object]:  # noqa: ANN401 - a list or a map
    """What a long list or map holds, up to the first piece in which something is wrong.

    cattrs keeps an error for each item, and each takes kilobytes: a small answer could fill the memory with them.
    """
    is_map = issubclass(type(payload), Mapping)
    items = iter(payload.items() if is_map else payload)
    for start in range(0, len(payload), _PIECE):
        piece = islice(items, _PIECE)
        try:
            built = build(dict(piece) if is_map else list(piece), kind)
        except cattrs.IterableValidationError as error:
            for inner in error.exceptions:
                _move(inner, start)
            raise
        yield from built.items() if is_map else built


def _move(error: BaseException, start: int) -> None:
    """Make the place of an error in its piece the place in the whole."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, IterableValidationNote) and isinstance(note.index, int):
            note.index += start


def _maker(kind: object, build: Hook) -> _Make | None:
    """What makes a container of this type; None for one whose items have types of their own."""
    of = get_args(kind)
    if not of or of[1:] != ((...,) if get_origin(kind) is tuple else ()):
        return None
    # What cattrs makes of an empty one tells what it makes of any.
    made = type(cast("object", build([], kind)))
    return cast("_Make", made) if made in _OF_ONE_TYPE else None


def _list_at_once(converter: cattrs.Converter, kind: object, make: _Make | None) -> _AtOnce | None:
    if make is None:
        return None
    known = traits_of(converter.get_structure_hook(get_args(kind)[0]))
    if known == Traits():
        return None

    def at_once(payload: Collection[object]) -> object:
        values = read_together(known, payload)
        return None if values is None else make(values)

    return at_once


def _map_at_once(converter: cattrs.Converter, kind: object) -> _AtOnce:
    of_keys, of_values = (traits_of(converter.get_structure_hook(part)) for part in get_args(kind))
    return lambda payload: map_together(of_keys, of_values, payload)


def map_together(of_keys: Traits, of_values: Traits, payload: Mapping[Any, object]) -> dict[object, object] | None:
    """A map as the hooks of its keys and values would make it; None where one of them needs its hook."""
    as_sent = payload.keys(), payload.values()
    keys = read_together(of_keys, as_sent[0])
    values = None if keys is None else read_together(of_values, as_sent[1])
    if keys is None or values is None:
        return None
    return dict(payload) if keys is as_sent[0] and values is as_sent[1] else dict(zip(keys, values, strict=True))
