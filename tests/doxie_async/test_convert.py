"""From envelopes to models: where the thing stands, what is kept, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import attrs
import pytest

from doxie_async.convert import Done, Listed, Listing, Under, converter
from doxie_async.models.record import Record
from klickdoxie_core import new_converter
from klickdoxie_core.convert import Undecodable, loose_int, loose_str, structure, wire_name
from tests.doxie_async.support import accepted, ok, refused

SIMPLE: dict[str, Any] = {"id": 1, "name": "Süd"}


@attrs.frozen(kw_only=True)
class Thing(Record):
    """A model with every kind of field."""

    id: int | None = None
    name: str | None = None
    parts: Sequence[object] = ()
    more: Mapping[str, object] = attrs.field(factory=dict[str, object])


THING = Annotated[Thing, Under("thing")]
THINGS = Annotated[Listing[Thing], Listed("things")]
OWNED = Annotated[Listing[Thing], Listed("things", owner="owner")]


def read(payload: object, into: Any) -> Any:
    """The payload as the converter of every client makes it."""
    return structure(converter(), payload, into)


@pytest.mark.parametrize(
    "payload",
    [
        SIMPLE,
        ok(SIMPLE),
        ok({"thing": SIMPLE}),
        {"thing": SIMPLE},
        accepted(data=SIMPLE),
        {"success": True, "data": {"thing": {"name": "Süd"}, "id": 1}},
    ],
)
def test_a_thing_is_found(payload: object) -> None:
    """Bare, in `data`, and under its name, with or without something beside it."""
    assert read(payload, THING) == Thing(id=1, name="Süd", raw=SIMPLE)


@pytest.mark.parametrize("payload", [{}, ok(), ok({}), {"success": True}, ok({"thing": {}}), accepted()])
def test_nothing_is_a_thing_without_anything(payload: object) -> None:
    """A missing field is None and no error."""
    assert read(payload, THING) == Thing()


@pytest.mark.parametrize("thing", [None, 5, "x", []])
def test_what_is_no_object_is_not_the_thing(thing: object) -> None:
    """A field that only has the thing's name is a field."""
    assert read(ok({"thing": thing, "id": 1}), THING) == Thing(
        id=1, raw={"thing": thing, "id": 1}, extra={"thing": thing}
    )


def test_the_thing_wins_over_what_stands_beside_it() -> None:
    """The same name in both places is the thing's."""
    thing = read(ok({"thing": {"id": 1}, "id": 2, "neu": 3}), THING)
    assert (thing.id, thing.raw, thing.extra) == (1, {"id": 1, "neu": 3}, {"neu": 3})


def test_without_a_key_nothing_inside_is_taken() -> None:
    """The thing is `data`, or the bare answer."""
    for payload in (ok({"thing": SIMPLE}), {"thing": SIMPLE}):
        assert read(payload, Annotated[Thing, Under()]).raw == {"thing": SIMPLE}


@pytest.mark.parametrize(
    "payload",
    [
        [SIMPLE],
        ok([SIMPLE]),
        ok({"things": [SIMPLE]}),
        ok({"sonstige": [SIMPLE]}),
        ok({"things": [SIMPLE], "others": [1]}),
        {"things": [SIMPLE]},
        accepted(data={"things": [SIMPLE]}),
    ],
)
def test_a_list_is_found(payload: object) -> None:
    """Under its own key, as the only list, or as `data` itself."""
    assert read(payload, THINGS).items == [Thing(id=1, name="Süd", raw=SIMPLE)]


@pytest.mark.parametrize(
    "payload", [[], {}, ok(), ok([]), ok({}), ok({"things": []}), ok({"things": None, "total": 0})]
)
def test_an_empty_list(payload: object) -> None:
    """Nothing is an empty list."""
    assert read(payload, THINGS).items == []


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (ok({"a": [1], "b": [2]}), "expected a list named things, got: a, b"),
        (ok({"things": {}, "a": [1], "b": []}), "expected a list named things, got: a, b"),
        (ok({"things": {"1": {}}}), "expected a list named things, got none"),
        (ok({"total": 5}), "expected a list named things, got none"),
        (ok("things"), "expected a list of things, got str"),
        ("things", "expected a list of things, got str"),
        (ok([5]), "expected an object, got int"),
        (ok([SIMPLE, {"id": "x"}]), "expected a whole number, got str"),
    ],
)
def test_what_is_no_list_is_refused(payload: object, said: str) -> None:
    """Two candidates are named, and what is not there is not an empty list."""
    with pytest.raises(Undecodable) as caught:
        read(payload, THINGS)
    assert said in " ".join(caught.value.paths)


def test_one_of_several_lists() -> None:
    """The list of an owner is found inside of it and beside it, and never replaced by another one."""
    for payload in ({"owner": {"things": [SIMPLE]}}, {"owner": {}, "things": [SIMPLE], "others": []}):
        assert [thing.id for thing in read(ok(payload), OWNED).items] == [1]
    with pytest.raises(Undecodable):
        read(ok({"owner": {}, "others": [SIMPLE]}), OWNED)


@pytest.mark.parametrize(
    ("data", "figures"),
    [
        ({"things": [], "total_pages": 3, "total": 7}, {"total_pages": 3, "total": 7}),
        ({"things": [], "meta": {"last_page": 3, "neu": 1}}, {"last_page": 3}),
        ({"things": [], "pagination": {"next_page": None, "total_count": 9}}, {"next_page": None, "total_count": 9}),
        ({"things": [], "total": 1, "pagination": {"total": 2}}, {"total": 2}),
        ({"things": [], "meta": "x", "pagination": [1]}, {}),
        ([], {}),
    ],
)
def test_figures_are_read_in_each_of_their_places(data: object, figures: dict[str, object]) -> None:
    """In `data`, in its `meta` or in its `pagination`; the nearer to the list's own, the better."""
    assert read(ok(data), THINGS).figures == figures


@pytest.mark.parametrize("payload", [{"success": True}, ok(), ok({"id": 1}), accepted()])
def test_done(payload: object) -> None:
    """An envelope that says so is enough."""
    assert read(payload, Done) is None


@pytest.mark.parametrize("payload", [{}, None, [], "success", refused(), {"success": 1}, {"success": "true"}])
def test_not_done(payload: object) -> None:
    """Everything else is not."""
    with pytest.raises(Undecodable) as caught:
        read(payload, Done)
    assert caught.value.paths == ("expected an object with success: true @ $",)


def test_all_that_came_is_kept() -> None:
    """`raw` holds all of it, `extra` what has no attribute; neither can be sent by the service itself."""
    payload = {"id": 1, "neu": {"tief": [1]}, "raw": "r", "extra": "e"}
    thing = read(payload, Thing)
    assert (thing.raw, thing.extra) == (payload, {"neu": {"tief": [1]}, "raw": "r", "extra": "e"})
    assert repr(thing) == "Thing(id=1, name=None, parts=(), more={})"


def test_null_is_an_empty_collection() -> None:
    """A list or an object that is null is empty, and a wrong one is still refused."""
    assert read({"parts": None, "more": None}, Thing) == Thing(raw={"parts": None, "more": None})
    assert read({"parts": [1], "more": {"a": None}}, Thing).more == {"a": None}
    wrongs: list[object] = [{"parts": "text"}, {"parts": {}}, {"more": []}, {"more": "text"}]
    for wrong in wrongs:
        with pytest.raises(Undecodable):
            read(wrong, Thing)


@pytest.mark.parametrize(("value", "number"), [(7, 7), ("7", 7), ("007", 7), (-7, -7), (0, 0)])
def test_a_number_may_come_as_a_text(value: object, number: int) -> None:
    """Digits are a number, whichever way they are written."""
    assert loose_int(value, int) == number
    assert read({"id": value}, Thing).id == number


@pytest.mark.parametrize("value", [True, 7.0, "7.0", "", " 7", "-7", "٧", "sieben", [], {}, "1" * 19])
def test_what_is_no_number_is_refused(value: object) -> None:
    """Neither booleans nor texts in other signs pass."""
    with pytest.raises(Undecodable, match="another shape") as caught:
        read({"id": value}, Thing)
    assert str(value) not in caught.value.paths[0] or not str(value)


@pytest.mark.parametrize(("value", "text"), [("a", "a"), ("", ""), (7, "7"), (-7, "-7")])
def test_a_text_may_come_as_a_number(value: object, text: str) -> None:
    """A number is its digits."""
    assert loose_str(value, str) == text
    assert read({"name": value}, Thing).name == text


@pytest.mark.parametrize("value", [True, 7.5, [], {}])
def test_what_is_no_text_is_refused(value: object) -> None:
    """Nothing else is turned into a text."""
    with pytest.raises(Undecodable):
        read({"name": value}, Thing)


@attrs.frozen(kw_only=True)
class Renamed:
    """A model of another client, which keeps all of it and nothing else."""

    ours: int = attrs.field(metadata=wire_name("theirs"))
    raw: Mapping[str, object] = attrs.field(factory=dict[str, object])


def test_raw_is_for_every_client() -> None:
    """The core keeps all of it under the wire's own names, whether there is an `extra` or not."""
    model = new_converter().structure({"theirs": 1, "neu": 2}, Renamed)
    assert (model.ours, model.raw) == (1, {"theirs": 1, "neu": 2})
