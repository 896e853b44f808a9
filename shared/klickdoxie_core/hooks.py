"""Strict hooks for single values, and what they say of themselves so that many values need not go through them."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Collection
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import attrs
import cattrs

T = TypeVar("T")
H = TypeVar("H", bound=Callable[..., object])

Hook = Callable[[Any, Any], Any]
"""What cattrs calls with a value and its type."""

_TRAITS = "klickdoxie_traits"
_MAX_DIGITS = 18


class ShapeError(ValueError):
    """Raised by structure hooks; the text names types only, since values may be personal."""


@attrs.frozen
class Traits:
    """What is known of a hook.

    Attributes:
        passes: Values of exactly these classes come back as they are; `object` for all values.
        at_once: Reads many values together; None for one that needs the hook itself.
    """

    passes: frozenset[type] = frozenset()
    at_once: Callable[[Collection[object]], Collection[object] | None] | None = None


_NONE = Traits()


def traits(
    *passes: type, at_once: Callable[[Collection[object]], Collection[object] | None] | None = None
) -> Callable[[H], H]:
    """Say of a hook that it gives back values of these classes as they are, and how it reads many at once."""

    def mark(hook: H) -> H:
        setattr(hook, _TRAITS, Traits(frozenset(passes), at_once))
        return hook

    return mark


def traits_of(hook: Hook) -> Traits:
    """What a hook says of itself; nothing for one that was never asked."""
    return cast("Traits", getattr(hook, _TRAITS, _NONE))


def read_together(known: Traits, values: Collection[object]) -> Collection[object] | None:
    """Values as the hook would give them back one by one; None where one of them needs it."""
    if object in known.passes or known.passes.issuperset(map(type, values)):
        return values
    return known.at_once(values) if known.at_once is not None else None


def name_of(value: object) -> str:
    """A value's type in the words of JSON."""
    return "null" if value is None else type(value).__name__


@traits(object)
def anything(value: object, _: object) -> object:
    """The hook of `object`: the value as it came."""
    return value


def exactly(kind: type[T]) -> Callable[[object, object], T]:
    """A hook that takes values of one type only."""

    @traits(kind)
    def hook(value: object, _: object) -> T:
        if not isinstance(value, kind):
            raise ShapeError(f"expected {kind.__name__}, got {name_of(value)}")
        return value

    return hook


@traits(int)
def whole(value: object, _: object) -> int:
    """The hook of `int`; truth is no number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ShapeError(f"expected int, got {name_of(value)}")
    return value


def _whole_numbers(values: Collection[Any]) -> list[int] | None:
    """Digits in texts as numbers; None where one is anything else."""
    numbers = [
        int(each)
        for each in values
        if each.__class__ is str and each.isdigit() and each.isascii() and len(each) <= _MAX_DIGITS
    ]
    return numbers if len(numbers) == len(values) else None


@traits(int, at_once=_whole_numbers)
def loose_int(value: object, _: object) -> int:
    """A hook for services that write numbers now as numbers, now as digits in a text."""
    if isinstance(value, str) and value.isdigit() and value.isascii() and len(value) <= _MAX_DIGITS:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ShapeError(f"expected a whole number, got {name_of(value)}")


@traits(str)
def loose_str(value: object, _: object) -> str:
    """A hook for services that write texts that look like numbers as numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ShapeError(f"expected a text, got {name_of(value)}")


def finite(value: object, _: object) -> float:
    """The hook of `float`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ShapeError(f"expected a number, got {name_of(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ShapeError("expected a number that is not beyond all bounds")
    return number


def moment(value: object, _: object) -> datetime:
    """The hook of `datetime`."""
    if not isinstance(value, str):
        raise ShapeError(f"expected an ISO 8601 text, got {name_of(value)}")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ShapeError("expected an ISO 8601 text, got another one") from None


def word(value: object, kind: Callable[[object], object]) -> object:
    """The hook of enums: one of the known words."""
    try:
        return kind(value)
    except ValueError:
        raise ShapeError("expected one of the known words, got another value") from None


def is_open_enum(kind: object) -> bool:
    """`SomeEnum | str` (or with None): a word that we do not know yet stays a word."""
    parts = _parts(kind)
    return len(parts) == 2 and str in parts and any(_is_str_enum(part) for part in parts)


def open_enum(kind: Any) -> Hook:  # noqa: ANN401 - any type form
    """The hook of such a union."""
    known = cast("type[enum.StrEnum]", next(part for part in _parts(kind) if _is_str_enum(part)))
    may_be_none = NoneType in get_args(kind)

    @traits(known, *([NoneType] if may_be_none else []))
    def hook(value: object, _: object) -> object:
        if value is None and may_be_none:
            return None
        if not isinstance(value, str):
            raise ShapeError(f"expected str, got {name_of(value)}")
        try:
            return known(value)
        except ValueError:
            return value

    return hook


def is_optional(kind: object) -> bool:
    """One type or None."""
    return len(get_args(kind)) == 2 and NoneType in get_args(kind) and len(_parts(kind)) == 1


def optional(converter: cattrs.Converter) -> Callable[[Any], Hook]:
    """The factory of hooks for one type or None; they know what the type's own hook knows."""

    def factory(kind: Any) -> Hook:  # noqa: ANN401 - any type form
        (wanted,) = _parts(kind)
        read = converter.get_structure_hook(cast("Any", wanted))

        @traits(NoneType, *traits_of(read).passes)
        def hook(value: object, _: object) -> object:
            return None if value is None else read(value, wanted)

        return hook

    return factory


def _parts(kind: object) -> list[object]:
    """What a union is of, without None; nothing for what is no union."""
    if get_origin(kind) not in {Union, UnionType}:
        return []
    return [part for part in get_args(kind) if part is not NoneType]


def _is_str_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.StrEnum)
