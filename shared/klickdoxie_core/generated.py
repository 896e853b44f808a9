"""One generated function for each model: a contact in 0.4 of the time that cattrs' own function needs.

The functions are written out of the templates below. What comes in its own class already is taken by one check of the
class, only the rest calls a hook; a class without code of its own is filled without its `__init__`. Errors are those of
cattrs, in the same places. Tracebacks show the source.
"""

from __future__ import annotations

import inspect
import linecache
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import CodeType, NoneType
from typing import Any, TypeAlias, TypeVar, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import AttributeValidationNote, ClassValidationError

from klickdoxie_core.hooks import Hook, ShapeError, name_of, traits_of

EXTRA = "extra"
"""The attribute of a model that keeps what its vendor sends beyond the known fields."""
RAW = "raw"
"""The attribute of a model that keeps all of what its vendor sent."""
_WIRE_NAME = "klickdoxie_wire_name"
_DEFAULT_MAKER = cast("type[Any]", attrs.Factory)
_OWN_INIT = ("__attrs_init__", "__attrs_pre_init__", "__attrs_post_init__")

_Field: TypeAlias = "attrs.Attribute[Any]"

_START = """\
def structure(payload, _):
    if payload.__class__ is not dict:
        expect_object(payload)
    get, missing, errors = payload.get, 0, []
"""
_FIELD = """\
    its_{name} = get({wire!r}, ABSENT)
    if {odd}:
        if its_{name} is ABSENT:
            {absent}
            missing += {counts}
        else:
            try:
                its_{name} = hook_{name}(its_{name}, kind_{name})
            except Exception as error:
                errors.append(placed(error, {name!r}, kind_{name}))
"""
_REQUIRED = "errors.append(placed(KeyError({wire!r}), {name!r}, kind_{name}))"
_DEFAULT = "its_{name} = default_{name}"
_FACTORY = "its_{name} = default_{name}()"
_RAW = "its_raw = payload"
_EXTRA = """\
if len(payload) > {known} - missing:
        its_extra = {{name: payload[name] for name in payload if name not in known}}
    else:
        {absent}"""
_ERRORS = """\
    if errors:
        raise broken(errors)
"""
_CALL = """\
    try:
        return model({arguments})
    except Exception as error:
        raise broken([error])
"""
_FILL = """\
    made = new(model)
    {sets}
    return made
"""


def wire_name(name: str | None) -> dict[str, str | None]:
    """Metadata for a model's field whose name on the wire is another one; None for a field that is never there."""
    return {_WIRE_NAME: name}


def known_names(model: type[Any]) -> frozenset[str]:
    """The names on the wire that a model has an attribute for."""
    return frozenset(wire for field in _fields(model) if (wire := _wire(field)) is not None)


def model_factory(converter: cattrs.Converter) -> Callable[[type[Any]], Hook]:
    """The factory of structure hooks for attrs classes."""
    under_way = threading.local()

    def factory(model: type[Any]) -> Hook:
        models: set[object] = vars(under_way).setdefault("models", set())
        if model in models:
            # A class that holds itself; this is how cattrs says so, and what its own factories expect.
            raise RecursionError
        models.add(model)
        try:
            return _generate(converter, model)
        finally:
            models.discard(model)

    return factory


def _generate(converter: cattrs.Converter, model: type[Any]) -> Hook:
    fields = [field for field in _fields(model) if field.init]
    # A generic class with its parameters given is another object than the class.
    own_class = get_origin(model) or model
    scope = _common_scope(own_class)
    for field in fields:
        scope[f"default_{field.name}"] = _factory(field) or (attrs.NOTHING if _takes_self(field) else field.default)
        if _wire(field) is not None:
            scope[f"kind_{field.name}"] = kind = _type(model, field)
            scope[f"hook_{field.name}"] = _hook(converter, kind)
    code = _compiled(f"{own_class.__module__}.{own_class.__qualname__}", _source(own_class, fields, scope))
    exec(code, scope)  # noqa: S102 - our own templates, with nothing in them but the names of a class
    return cast("Hook", scope["structure"])


def _common_scope(model: type[Any]) -> dict[str, object]:
    def expect_object(payload: object) -> None:
        if not isinstance(payload, Mapping):
            raise ShapeError(f"expected an object, got {name_of(payload)}")

    def placed(error: Exception, name: str, kind: Any) -> Exception:  # noqa: ANN401 - any type form
        text = f"Structuring class {model.__qualname__} @ attribute {name}"
        error.add_note(AttributeValidationNote(text, name, kind))
        return error

    error_class = cast("Callable[[str, Sequence[Exception], type[Any]], Exception]", ClassValidationError)

    def broken(errors: Sequence[Exception]) -> Exception:
        return error_class(f"While structuring {model.__qualname__}", errors, model)

    return {
        "ABSENT": object(),
        "expect_object": expect_object,
        "placed": placed,
        "broken": broken,
        "known": known_names(model),
        "model": model,
        "new": object.__new__,
    }


def _source(model: type[Any], fields: Sequence[_Field], scope: dict[str, object]) -> str:
    bare = _is_bare(model)
    sent = [field for field in fields if _wire(field) is not None]
    ours = [field for field in fields if _wire(field) is None and (bare or field.name in {EXTRA, RAW})]
    # Two attributes of one name on the wire are one name that is missing.
    first = {_wire(field): field.name for field in reversed(sent)}
    parts = [_START]
    for field in sent:
        wire = _wire(field)
        odd = _odd(field.name, cast("Hook", scope[f"hook_{field.name}"]), scope)
        absent = _absent(field).format(name=field.name, wire=wire)
        counts = int(first[wire] == field.name)
        parts.append(_FIELD.format(name=field.name, wire=wire, odd=odd, absent=absent, counts=counts))
    parts.append(_ERRORS)
    parts += [f"    {_own_line(field, len(first))}\n" for field in ours]
    if bare:
        scope.update({f"set_{field.name}": getattr(model, field.name).__set__ for field in fields})
        parts.append(_FILL.format(sets="\n    ".join(f"set_{field.name}(made, its_{field.name})" for field in fields)))
    else:
        parts.append(_CALL.format(arguments=", ".join(f"{field.alias}=its_{field.name}" for field in (*sent, *ours))))
    return "".join(parts)


def _own_line(field: _Field, known: int) -> str:
    """What an attribute gets that has no name on the wire."""
    if field.name == RAW:
        return _RAW
    absent = _absent(field).format(name=field.name)
    return _EXTRA.format(known=known, absent=absent) if field.name == EXTRA else absent


def _absent(field: _Field) -> str:
    """What is done where a name is missing."""
    if field.default is attrs.NOTHING:
        return _REQUIRED
    return _DEFAULT if _factory(field) is None else _FACTORY


def _odd(name: str, hook: Hook, scope: dict[str, object]) -> str:
    """The check that finds what has to go through a hook."""
    passes = traits_of(hook).passes
    if object in passes:
        return f"its_{name} is ABSENT"
    checks = [f"its_{name} is not None"] if NoneType in passes else []
    for number, native in enumerate(passes - {NoneType}):
        scope[f"native_{name}_{number}"] = native
        checks.append(f"its_{name}.__class__ is not native_{name}_{number}")
    return " and ".join(checks) or "True"


def _is_bare(model: type[Any]) -> bool:
    """Whether making one does nothing but set slots; that alone is a tenth of a contact's time."""
    return (
        "__attrs_attrs__" in vars(model)
        and not any(hasattr(model, name) for name in _OWN_INIT)
        and cast("object", model.__new__) is object.__new__
        and "_attrs_cached_hash" not in getattr(model, "__slots__", ())
        and all(_is_bare_field(model, field) for field in attrs.fields(model))
    )


def _is_bare_field(model: type[Any], field: _Field) -> bool:
    unnamed = _wire(field) is None and field.default is attrs.NOTHING
    does_more = field.validator or cast("Any", field).converter
    is_slot = inspect.ismemberdescriptor(getattr(model, field.name, None))
    return field.init and is_slot and not (unnamed or _takes_self(field) or does_more)


def _takes_self(field: _Field) -> bool:
    """Whether the default is made by a look at the model, which only its own `__init__` can do."""
    default: Any = field.default
    return isinstance(default, _DEFAULT_MAKER) and bool(default.takes_self)


def _factory(field: _Field) -> Callable[[], object] | None:
    """What makes the default anew each time."""
    default: Any = field.default
    return default.factory if isinstance(default, _DEFAULT_MAKER) and not default.takes_self else None


def _fields(model: type[Any]) -> tuple[_Field, ...]:
    attrs.resolve_types(get_origin(model) or model)
    return cast("tuple[_Field, ...]", attrs.fields(model))


def _wire(field: _Field) -> str | None:
    return None if field.name in {EXTRA, RAW} else cast("str | None", field.metadata.get(_WIRE_NAME, field.name))


def _type(model: type[Any], field: _Field) -> object:
    """The field's type, with what a generic class or its base was given for its parameters."""
    given: dict[object, object] = {}
    for each in (*getattr(model, "__orig_bases__", ()), model):
        given.update(zip(getattr(get_origin(each), "__parameters__", ()), get_args(each), strict=False))
    kind: Any = field.type
    if isinstance(kind, TypeVar):
        return given.get(kind, kind)
    parameters = getattr(kind, "__parameters__", ())
    return kind[tuple(given.get(each, each) for each in parameters)] if parameters else kind


def _hook(converter: cattrs.Converter, kind: object) -> Hook:
    try:
        return converter.get_structure_hook(cast("Any", kind))
    except RecursionError:
        return converter.structure


@cache
def _compiled(name: str, source: str) -> CodeType:
    """The code, compiled once, with its source where tracebacks look for it."""
    file = f"<structure {name} {len(linecache.cache)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    return compile(source, file, "exec")
