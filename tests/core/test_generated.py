"""The generated functions give what cattrs' own functions give: the same models, the same errors, the same places."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType, ModuleType
from typing import Any, ClassVar, Generic, Self, TypeVar

import attrs
import cattrs
import pytest
from cattrs.gen import make_dict_structure_fn, override
from hypothesis import given, settings
from hypothesis import strategies as st

import doxie_async.convert
import doxie_async.models.admin
import doxie_async.models.record
import doxie_async.models.sending
import doxie_async.webhooks.events
import doxie_async.webhooks.reading
import klickdoxie_core.containers
import klickdoxie_core.convert
import klicktipp_async.convert
import klicktipp_async.models.account
import klicktipp_async.models.contact
import klicktipp_async.models.field
import klicktipp_async.models.opt_in
import klicktipp_async.models.option
import klicktipp_async.models.tag
from klickdoxie_core import ShapeError, new_converter, wire_name
from klickdoxie_core.convert import Undecodable, structure
from klickdoxie_core.generated import known_names

T = TypeVar("T")


def stock_factory(converter: cattrs.Converter) -> Callable[[type[Any]], Callable[[Any, Any], Any]]:
    """Models by cattrs' own function, with what is unknown and what was sent put in afterwards."""

    def factory(kind: type[Any]) -> Callable[[Any, Any], Any]:
        names = {field.name: field.metadata.get("klickdoxie_wire_name", field.name) for field in attrs.fields(kind)}
        names |= dict.fromkeys({"extra", "raw"} & names.keys())
        overrides: Any = {
            name: override(omit=True) if to is None else override(rename=to) for name, to in names.items()
        }
        build = make_dict_structure_fn(kind, converter, **overrides)

        def hook(payload: Any, _: object) -> object:
            if not isinstance(payload, Mapping):
                raise ShapeError(f"expected an object, got {'null' if payload is None else type(payload).__name__}")
            kept: dict[str, object] = {"raw": payload} if "raw" in names else {}
            unknown = {key: value for key, value in payload.items() if key not in names.values()}
            if "extra" in names and unknown:
                kept["extra"] = unknown
            made = build(payload, kind)
            return attrs.evolve(made, **kept) if kept else made

        return hook

    return factory


def stock(make: Callable[[], cattrs.Converter]) -> cattrs.Converter:
    """The same converter without anything generated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(klickdoxie_core.convert, "model_factory", stock_factory)
        converter = make()
        # Hooks are built when they are asked for.
        for model in (*KLICKTIPP, *DOXIE, *EVENTS):
            converter.get_structure_hook(model)
    return converter


def models_of(*modules: ModuleType) -> list[type[Any]]:
    """The attrs classes of some modules."""
    found = [kind for module in modules for kind in vars(module).values() if inspect.isclass(kind) and attrs.has(kind)]
    return [kind for kind in dict.fromkeys(found) if kind.__name__ != "FieldSchema"]


KLICKTIPP = models_of(
    klicktipp_async.models.account,
    klicktipp_async.models.contact,
    klicktipp_async.models.field,
    klicktipp_async.models.opt_in,
    klicktipp_async.models.option,
    klicktipp_async.models.tag,
)
DOXIE = models_of(doxie_async.models.admin, doxie_async.models.record, doxie_async.models.sending)
EVENTS = models_of(doxie_async.webhooks.events)
MAKERS: list[tuple[Callable[[], cattrs.Converter], list[type[Any]]]] = [
    (klicktipp_async.convert.converter.__wrapped__, KLICKTIPP),
    (doxie_async.convert.converter.__wrapped__, DOXIE),
    (doxie_async.webhooks.reading._converter.__wrapped__, EVENTS),
    (new_converter, KLICKTIPP),
]

SCALARS: st.SearchStrategy[object] = st.sampled_from(
    [
        *(None, True, 0, -5, 7, 10**25, 1.5, "", "0", "4711", "007", " 7", "1_0", "٥", "9" * 18, "9" * 19, "ä€", "neu"),
        *("Subscribed", "OPT-IN PENDING", "Not Bounced", "Soft bounce", "email", "active", "Infinity", "24.12.2025"),
        *(" 24.12.2025 18:05:09 ", "24.12.2025 18:05", "31.02.2025", "24.12.25", "2025-12-24T00:00:00Z"),
    ]
)
CONTAINERS = (
    st.lists(SCALARS, max_size=3)
    | st.dictionaries(st.sampled_from(["1", "21", "x", "01", "id"]), SCALARS, max_size=3)
    | st.sampled_from([["1", "2"], {"21": "1759753677"}, {"6": 1759753677, "7": "0"}, {"a": "b"}, [["a", "b"], ["c"]]])
)


@st.composite
def payloads(draw: st.DrawFn, model: type[Any]) -> object:
    """What may come for a model: mostly its names, with values that fit or do not."""
    names = [*sorted(known_names(model)), "fieldFirstName", "fields", "neu", "extra", "raw"]
    if draw(st.integers(0, 20)) == 0:
        return draw(SCALARS | CONTAINERS)
    fitting = {name: draw(st.sampled_from(["a", "5", 5, None])) for name in names if draw(st.integers(0, 5))}
    odd = draw(st.dictionaries(st.sampled_from(names), SCALARS | CONTAINERS, max_size=6))
    return fitting | odd


def outcome(converter: cattrs.Converter, payload: object, into: Any) -> tuple[str, object]:
    """The model, or the places and texts of the errors."""
    try:
        made = structure(converter, payload, into)
    except Undecodable as error:
        return "refused", error.paths
    if attrs.has(type(made)):
        return repr(attrs.astuple(made, recurse=False)), made
    return repr(sorted(made, key=repr) if isinstance(made, set | frozenset) else made), made


def outcome_one_by_one(converter: cattrs.Converter, payload: object, into: Any) -> tuple[str, object]:
    """The same with each value of a list or a map through its own hook."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(klickdoxie_core.containers, "read_together", lambda *_: None)
        patch.setattr(klicktipp_async.convert, "read_together", lambda *_: None)
        patch.setattr(klicktipp_async.convert, "_times", lambda _: None)
        return outcome(converter, payload, into)


@pytest.mark.parametrize("number", range(len(MAKERS)), ids=["klicktipp", "doxie", "webhooks", "core"])
@settings(max_examples=120, derandomize=True, deadline=None)
@given(data=st.data())
def test_every_model_is_as_cattrs_makes_it(number: int, data: st.DataObject) -> None:
    """Value by value, type by type, error by error, for every model and every converter."""
    fast, slow, models = CONVERTERS[number]
    model = data.draw(st.sampled_from(models))
    payload = data.draw(payloads(model))
    assert outcome(fast, payload, model) == outcome_one_by_one(slow, payload, model)


@pytest.mark.parametrize("number", range(len(MAKERS)), ids=["klicktipp", "doxie", "webhooks", "core"])
@settings(max_examples=80, derandomize=True, deadline=None)
@given(data=st.data())
def test_lists_and_maps_are_as_one_by_one(number: int, data: st.DataObject) -> None:
    """What is read together gives what each value's own hook gives."""
    fast, slow, _ = CONVERTERS[number]
    kind = data.draw(st.sampled_from(KINDS))
    payload = data.draw(CONTAINERS | SCALARS)
    assert outcome(fast, [payload, payload], list[kind]) == outcome_one_by_one(slow, [payload, payload], list[kind])
    assert outcome(fast, payload, kind) == outcome_one_by_one(slow, payload, kind)


KINDS: list[Any] = [
    list[int],
    list[object],
    tuple[int, ...],
    tuple[int, str],
    Sequence[str],
    set[int],
    frozenset[str],
    dict[int, str],
    dict[int, datetime],
    dict[str, object],
    Mapping[str, list[str]],
    Mapping[str, int | None],
]
CONVERTERS = [(make(), stock(make), models) for make, models in MAKERS]


@attrs.frozen(kw_only=True)
class Leaf:
    size: int
    note: str | None = None


@attrs.frozen(kw_only=True)
class Tree:
    name: str
    leaf: Leaf | None = None
    branches: list[Tree] = attrs.field(factory=list["Tree"])
    roots: Mapping[str, Tree] = attrs.field(factory=dict[str, "Tree"])


@attrs.frozen
class Box(Generic[T]):
    content: T
    more: Sequence[T] = ()


@attrs.frozen
class Numbers(Box[int]):
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object])


@attrs.define
class Checked:
    size: int = attrs.field(validator=attrs.validators.gt(0))
    doubled: int = attrs.field(init=False)
    tags: list[str] = attrs.field(factory=list[str], converter=sorted)
    _hidden: int = 1
    twice: int = attrs.Factory(lambda self: self.size * 2, takes_self=True)

    def __attrs_post_init__(self) -> None:
        self.doubled = self.size * 2


@attrs.define(init=False)
class OwnInit:
    size: int

    def __init__(self, size: int) -> None:
        self.size = -size


@attrs.define(slots=False)
class WithDict:
    size: int
    raw: Mapping[str, object] = attrs.field(factory=dict[str, object])


class Inherits(Leaf):
    """No attrs class by itself."""

    def __init__(self, size: int, note: str | None = None) -> None:
        super().__init__(size=size + 1, note=note)


@attrs.frozen
class Same:
    text: str = attrs.field(metadata=wire_name("at"))
    moment: datetime | None = attrs.field(default=None, metadata=wire_name("at"))
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object])


@attrs.frozen
class Counted:
    size: int
    made: ClassVar[int] = 0

    def __new__(cls, *_: object, **__: object) -> Self:
        """Count what is made."""
        Counted.made += 1
        return super().__new__(cls)


@attrs.frozen(cache_hash=True)
class Hashed:
    size: int


OWN: list[tuple[type[Any], object]] = [
    (Leaf, {"size": 1}),
    (Leaf, {"size": 1, "note": "x", "neu": 1}),
    (Leaf, {"size": "1", "note": 1}),
    (Leaf, {}),
    (Tree, {"name": "a", "branches": [{"name": "b", "leaf": {"size": 5}}], "roots": {"r": {"name": "c"}}}),
    (Tree, {"name": 1, "branches": [{"leaf": {"size": "x"}}, 5], "roots": {"r": {"branches": [None]}}}),
    (Numbers, {"content": 1, "more": [1, 2], "neu": 3}),
    (Numbers, {"content": "x", "more": [1, "x"]}),
    (Checked, {"size": 5, "hidden": 3, "_hidden": 4, "tags": ["b", "a"]}),
    (Checked, {"size": 0}),
    (Checked, {"size": 1, "doubled": 7, "twice": 1}),
    (OwnInit, {"size": 5}),
    (WithDict, {"size": 5, "neu": 1}),
    (Inherits, {"size": 5}),
    (Same, {"at": "2025-12-24", "b": 1}),
    (Same, {"at": "nie"}),
    (Same, {"b": 1}),
    (Hashed, {"size": 5}),
    (Counted, {"size": 5}),
]


@pytest.mark.parametrize(("model", "payload"), OWN, ids=lambda value: getattr(value, "__name__", repr(value)[:40]))
def test_models_of_every_make(model: type[Any], payload: object) -> None:
    """Classes that hold themselves, generic ones, and those with code of their own in the making."""
    converter = new_converter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(klickdoxie_core.convert, "model_factory", stock_factory)
        slow = new_converter()
        slow.get_structure_hook(model)
    assert outcome(converter, payload, model) == outcome(slow, payload, model)


def test_a_generic_model_is_read_as_what_it_is_asked_for() -> None:
    """The parameter stands for the type that was given."""
    box = structure(new_converter(), {"content": {"size": 1}, "more": [{"size": 2}]}, Box[Leaf])
    assert (box.content, list(box.more)) == (Leaf(size=1), [Leaf(size=2)])
    with pytest.raises(Undecodable):
        structure(new_converter(), {"content": "x"}, Box[int])


def test_any_mapping_is_an_object() -> None:
    """A hook of a client package may hand on another kind of mapping than the one that was parsed."""
    payload = MappingProxyType({"name": "Äste", "leaf": MappingProxyType({"size": 3})})
    assert structure(new_converter(), payload, Tree) == Tree(name="Äste", leaf=Leaf(size=3))


def test_a_made_model_is_whole() -> None:
    """It is frozen, hashable and its defaults are its own."""
    first, second = (structure(new_converter(), {"name": "a"}, Tree) for _ in range(2))
    assert first == second
    assert first.branches is not second.branches
    assert hash(structure(new_converter(), {"size": 5}, Hashed)) == hash(Hashed(5))
    assert structure(new_converter(), {"size": 1}, Counted).made > 0
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.name = "b"  # type: ignore[misc]


def test_a_map_stays_strict_after_other_maps_were_read() -> None:
    """What is no object is refused for every type of map, in whatever order they were asked for first."""
    converter = new_converter()
    kinds: list[Any] = [dict[str, int], Mapping[str, object], dict[str, str], dict[str, int]]
    for kind in kinds * 2:
        with pytest.raises(Undecodable) as caught:
            structure(converter, 5, kind)
        assert caught.value.paths == ("expected an object, got int @ $",)


def test_a_long_answer_is_read_up_to_the_first_piece_that_is_wrong() -> None:
    """Errors have the places of the whole, and there are never more of them than a piece has items."""
    converter = new_converter()
    leaves: list[object] = [{"size": size} for size in range(250)]
    assert structure(converter, leaves, list[Leaf]) == [Leaf(size=size) for size in range(250)]
    assert len(structure(converter, leaves, tuple[Leaf, ...])) == 250
    named = {str(number): leaf for number, leaf in enumerate(leaves)}
    assert structure(converter, named, dict[str, Leaf])["249"] == Leaf(size=249)
    for number in (130, 140, 205):
        leaves[number] = named[str(number)] = {"size": "x"}
    for payload, kind, places in (
        (leaves, list[Leaf], ("$[130].size", "$[140].size")),
        (named, dict[str, Leaf], ("$['130'].size", "$['140'].size")),
        (["x"] * 10_000, list[int], tuple(f"$[{number}]" for number in range(10))),
    ):
        with pytest.raises(Undecodable) as caught:
            structure(converter, payload, kind)
        said = tuple(f"expected int, got str @ {place}" for place in places)
        assert caught.value.paths in (said, (*said, "and 90 more"))


def test_a_hook_that_says_nothing_of_itself_sees_every_value() -> None:
    """A value of the right class is no reason to pass by the hook of an author."""
    converter = new_converter()
    converter.register_structure_hook(int, lambda value, _: value + 1)
    assert structure(converter, {"size": 1}, Leaf) == Leaf(size=2)
    assert structure(converter, [1, 2], list[int]) == [2, 3]
    assert structure(converter, {"a": 1}, dict[str, int]) == {"a": 2}


def test_tracebacks_show_the_source() -> None:
    """What was generated can be read where it fails."""
    converter = new_converter()

    def broken(_: object, __: object) -> None:
        raise SystemExit

    converter.register_structure_hook(int, broken)
    with pytest.raises(SystemExit) as caught:
        converter.structure({"size": 1}, Leaf)
    shown = "".join(traceback.format_exception(caught.value))
    assert "its_size = hook_size(its_size, kind_size)" in shown
    assert "test_generated.Leaf" in shown
