"""From bytes to models: strict JSON, strict scalars, open enums, unknown fields kept, and errors as paths."""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from klickdoxie_core.redact import mask

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")

EXTRA = "extra"
"""The attribute of a model that keeps what its vendor sends beyond the known fields."""
RAW = "raw"
"""The attribute of a model that keeps all of what its vendor sent."""
_WIRE_NAME = "klickdoxie_wire_name"
_MAX_PATHS = 10
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


class Undecodable(Exception):
    """An answer that is not what was promised; `paths` says where, and never shows a value."""

    def __init__(self, reason: str, paths: tuple[str, ...] = ()) -> None:
        super().__init__(reason, paths)
        self.reason = reason
        self.paths = paths


class ShapeError(ValueError):
    """Raised by structure hooks; the text names types only, since values may be personal."""


def wire_name(name: str | None) -> dict[str, str | None]:
    """Metadata for a model's field whose name on the wire is another one; None for a field that is never there."""
    return {_WIRE_NAME: name}


def parse_json(body: bytes) -> object:
    """Decode strict JSON: UTF-8, one document, no NaN, no key twice, no depth that the interpreter cannot hold."""
    try:
        text = body.decode("utf-8-sig")
        return cast("object", json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique))
    except RecursionError:
        raise Undecodable("the answer is nested too deeply") from None
    except UnicodeDecodeError:
        raise Undecodable("the answer is not UTF-8") from None
    except ValueError:
        raise Undecodable(_what_it_is(body)) from None


def structure(converter: cattrs.Converter, payload: object, into: TypeForm[T]) -> T:
    """The payload as the type that was promised."""
    try:
        return cast("T", converter.structure(payload, cast("Any", into)))
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError, ValueError, TypeError, KeyError) as error:
        paths = cattrs.transform_error(error, path="$", format_exception=_say)
        raise Undecodable("the answer has another shape than promised", _shorten(paths)) from None


def new_converter() -> cattrs.Converter:
    """A converter of your own with the strict hooks; register your vendor's oddities on it."""
    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(str, _exactly(str))
    # The hook of a class holds for its subclasses too; without one of its own a word would stay a text.
    converter.register_structure_hook(enum.StrEnum, _word)
    converter.register_structure_hook(bool, _exactly(bool))
    converter.register_structure_hook(int, _int)
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook(datetime, _datetime)
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    converter.register_structure_hook_func(_is_open_enum, _open_enum)

    def model(kind: type[Any]) -> Callable[[Any, Any], Any]:
        return _model_hook(converter, kind)

    converter.register_structure_hook_factory(attrs.has, model)
    _refuse_lookalikes(converter)
    return converter


def _refuse_lookalikes(converter: cattrs.Converter) -> None:
    """Make a list of a list and a map of an object only; cattrs would also make a list of a text's letters."""
    asking: set[object] = set()

    def factory(kind: Any) -> Callable[[object, object], object]:  # noqa: ANN401 - any type form
        # What the converter would do without this factory.
        asking.add(kind)
        try:
            build = converter.get_structure_hook(kind, cache_result=False)
        finally:
            asking.discard(kind)
        expected, name = (Mapping, "an object") if _is_kind_of(kind, Mapping) else (list, "a list")

        def hook(payload: object, _: object) -> object:
            if not isinstance(payload, expected):
                raise ShapeError(f"expected {name}, got {_name_of(payload)}")
            return cast("object", build(payload, kind))

        return hook

    converter.register_structure_hook_factory(
        lambda kind: kind not in asking and _is_kind_of(kind, Sequence, AbstractSet, Mapping), factory
    )


def _is_kind_of(kind: object, *families: type[Any]) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, families) and not issubclass(origin, str | bytes)


def _model_hook(converter: cattrs.Converter, kind: type[Any]) -> Callable[[Any, Any], Any]:
    names: dict[str, str | None] = {
        field.name: None if field.name in {EXTRA, RAW} else field.metadata.get(_WIRE_NAME, field.name)
        for field in attrs.fields(kind)
    }
    overrides: dict[str, Any] = {
        name: override(omit=True) if wire is None else override(rename=wire) for name, wire in names.items()
    }
    build = make_dict_structure_fn(kind, converter, **overrides)
    known = frozenset(names.values())
    keeps_extra, keeps_raw = EXTRA in names, RAW in names

    def hook(payload: object, _: object) -> object:
        if not isinstance(payload, Mapping):
            raise ShapeError(f"expected an object, got {_name_of(payload)}")
        values = cast("Mapping[str, object]", payload)
        model = build(values, kind)
        kept: dict[str, object] = {RAW: values} if keeps_raw else {}
        if keeps_extra and (unknown := {key: value for key, value in values.items() if key not in known}):
            kept[EXTRA] = unknown
        return attrs.evolve(model, **kept) if kept else model

    return hook


def _exactly(kind: type[T]) -> Callable[[object, object], T]:
    def hook(value: object, _: object) -> T:
        if not isinstance(value, kind):
            raise ShapeError(f"expected {kind.__name__}, got {_name_of(value)}")
        return value

    return hook


def _int(value: object, _: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ShapeError(f"expected int, got {_name_of(value)}")
    return value


def loose_int(value: object, _: object) -> int:
    """A hook for services that write numbers now as numbers, now as digits in a text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    raise ShapeError(f"expected a whole number, got {_name_of(value)}")


def loose_str(value: object, _: object) -> str:
    """A hook for services that write texts that look like numbers as numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ShapeError(f"expected a text, got {_name_of(value)}")


def _float(value: object, _: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ShapeError(f"expected a number, got {_name_of(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ShapeError("expected a number that is not beyond all bounds")
    return number


def _datetime(value: object, _: object) -> datetime:
    if not isinstance(value, str):
        raise ShapeError(f"expected an ISO 8601 text, got {_name_of(value)}")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ShapeError("expected an ISO 8601 text, got another one") from None


def _word(value: object, kind: Callable[[object], object]) -> object:
    try:
        return kind(value)
    except ValueError:
        raise ShapeError("expected one of the known words, got another value") from None


def _is_open_enum(kind: object) -> bool:
    """`SomeEnum | str` (or with None): a word that we do not know yet stays a word."""
    if get_origin(kind) not in {Union, UnionType}:
        return False
    parts = [part for part in get_args(kind) if part is not type(None)]
    return len(parts) == 2 and str in parts and any(_is_str_enum(part) for part in parts)


def _is_str_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.StrEnum)


def _open_enum(value: object, kind: object) -> object:
    parts = get_args(kind)
    if value is None and type(None) in parts:
        return None
    if not isinstance(value, str):
        raise ShapeError(f"expected str, got {_name_of(value)}")
    known = next(part for part in parts if _is_str_enum(part))
    try:
        return known(value)
    except ValueError:
        return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ShapeError("a key stands twice")
    return mapping


def _no_constant(name: str) -> None:
    raise ShapeError(f"{name} is not JSON")


def _what_it_is(body: bytes) -> str:
    start = body[:256].lstrip().lower()
    if not start:
        return "the answer is empty"
    return "the answer is a web page, not JSON" if start.startswith(b"<") else "the answer is not strict JSON"


def _name_of(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _say(error: BaseException, _: object) -> str:
    if isinstance(error, ShapeError):
        return str(error)
    if isinstance(error, KeyError):
        return "missing"
    return f"unexpected ({type(error).__name__})"


def _shorten(paths: list[str]) -> tuple[str, ...]:
    shown = [mask(path) for path in paths[:_MAX_PATHS]]
    more = len(paths) - len(shown)
    return (*shown, f"and {more} more") if more else tuple(shown)
