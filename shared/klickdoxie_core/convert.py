"""From payloads to models: strict scalars, open enums, unknown fields kept, and errors as paths."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs
import cattrs

from klickdoxie_core import hooks
from klickdoxie_core.containers import register_containers
from klickdoxie_core.generated import EXTRA, RAW, model_factory, wire_name
from klickdoxie_core.hooks import ShapeError, loose_int, loose_str
from klickdoxie_core.json_bytes import Undecodable, parse_json
from klickdoxie_core.redact import mask

if TYPE_CHECKING:
    from typing_extensions import TypeForm

__all__ = [
    "EXTRA",
    "RAW",
    "ShapeError",
    "Undecodable",
    "loose_int",
    "loose_str",
    "new_converter",
    "parse_json",
    "structure",
    "wire_name",
]

T = TypeVar("T")

_MAX_PATHS = 10


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
    converter.register_structure_hook(str, hooks.exactly(str))
    # The hook of a class holds for its subclasses too; without one of its own a word would stay a text.
    converter.register_structure_hook(enum.StrEnum, hooks.word)
    converter.register_structure_hook(bool, hooks.exactly(bool))
    converter.register_structure_hook(int, hooks.whole)
    converter.register_structure_hook(float, hooks.finite)
    converter.register_structure_hook(datetime, hooks.moment)
    converter.register_structure_hook_func(lambda kind: kind is object, hooks.anything)
    converter.register_structure_hook_factory(hooks.is_optional, hooks.optional(converter))
    converter.register_structure_hook_factory(hooks.is_open_enum, hooks.open_enum)
    converter.register_structure_hook_factory(attrs.has, model_factory(converter))
    register_containers(converter)
    return converter


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
