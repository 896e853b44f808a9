"""From bytes to models: strict JSON, strict scalars, open enums, unknown fields, and errors as paths."""

from __future__ import annotations

import contextlib
import enum
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klickdoxie_core import ShapeError, new_converter, wire_name
from klickdoxie_core.convert import Undecodable, loose_int, loose_str, parse_json, structure


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "grün"


@attrs.frozen(kw_only=True)
class Person:
    id: int
    name: str | None = None
    colour: Colour | str | None = None
    tags: list[str] = attrs.field(factory=list[str])
    born: datetime | None = attrs.field(default=None, metadata=wire_name("Geburtstag"))
    local: str = attrs.field(default="ours", metadata=wire_name(None))
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object])


@attrs.frozen(kw_only=True)
class Team:
    people: list[Person]
    by_name: dict[str, Person] = attrs.field(factory=dict[str, Person])


class Corner(TypedDict):
    x: int


def made(payload: object, into: Any) -> Any:
    """The payload as a type, by a converter of its own."""
    return structure(new_converter(), payload, into)


def refused(payload: object, into: Any) -> Undecodable:
    """Why the payload is not of that type."""
    with pytest.raises(Undecodable) as caught:
        made(payload, into)
    return caught.value


@pytest.mark.parametrize(
    ("payload", "into", "value"),
    [
        ("", str, ""),
        ("null", str, "null"),
        (0, int, 0),
        (10**30, int, 10**30),
        (1, float, 1.0),
        (-0.5, float, -0.5),
        (False, bool, False),
        (None, str | None, None),
        (None, Person | None, None),
        ("2023-11-14T22:13:20Z", datetime, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ([1, 2], list[int], [1, 2]),
        ([1, 2], Sequence[int], (1, 2)),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, "a"], tuple[int, str], (1, "a")),
        (["a", "a"], set[str], {"a"}),
        ({"a": 1}, dict[str, int], {"a": 1}),
        ({"a": [1]}, Mapping[str, list[int]], {"a": [1]}),
        ({"a": {"x": 1}}, dict[str, Corner], {"a": {"x": 1}}),
        ({"a": None}, dict[str, object], {"a": None}),
        ([None, "x"], object, [None, "x"]),
        ("red", Colour, Colour.RED),
        ({"a": "red"}, dict[str, Colour], {"a": Colour.RED}),
        (["a", "grün"], tuple[str, Colour], ("a", Colour.GREEN)),
        ("red", Colour | str, Colour.RED),
        ("blau", Colour | str, "blau"),
        ("blau", Colour | str | None, "blau"),
        (None, Colour | str | None, None),
    ],
)
def test_what_fits_is_taken(payload: object, into: Any, value: object) -> None:
    """The result has the promised type and the value that was sent."""
    result = made(payload, into)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("payload", "into", "said"),
    [
        (None, str, "expected str, got null"),
        (5, str, "expected str, got int"),
        ("false", bool, "expected bool, got str"),
        (0, bool, "expected bool, got int"),
        (True, int, "expected int, got bool"),
        (1.0, int, "expected int, got float"),
        ("1", int, "expected int, got str"),
        (None, int, "expected int, got null"),
        (True, float, "expected a number, got bool"),
        ("1.5", float, "expected a number, got str"),
        (float("inf"), float, "expected a number that is not beyond all bounds"),
        (10**400, float, "expected a number that is not beyond all bounds"),
        (1700000000, datetime, "expected an ISO 8601 text, got int"),
        ("14.11.2023", datetime, "expected an ISO 8601 text, got another one"),
        ("abc", list[str], "expected a list, got str"),
        ({"a": 1}, list[str], "expected a list, got dict"),
        (None, list[int], "expected a list, got null"),
        ("a", tuple[str], "expected a list, got str"),
        ("ab", tuple[str, ...], "expected a list, got str"),
        ("ab", set[str], "expected a list, got str"),
        ("ab", Sequence[str], "expected a list, got str"),
        ([], dict[str, int], "expected an object, got list"),
        ("a", dict[str, int], "expected an object, got str"),
        ([["a", "b"]], Mapping[str, str], "expected an object, got list"),
        (None, Corner, "expected an object, got null"),
        ([], Person, "expected an object, got list"),
        ("x", Person, "expected an object, got str"),
        ("blau", Colour, "expected one of the known words, got another value"),
        (5, Colour, "expected one of the known words, got another value"),
        (5, Colour | str, "expected str, got int"),
        (None, Colour | str, "expected str, got null"),
        ("x", complex, "unexpected (StructureHandlerNotFoundError)"),
    ],
)
def test_what_does_not_fit_is_refused(payload: object, into: Any, said: str) -> None:
    """Nothing is bent into shape, and the text names types only."""
    error = refused(payload, into)
    assert error.reason == "the answer has another shape than promised"
    assert error.paths == (f"{said} @ $",)


@pytest.mark.parametrize(
    ("payload", "into", "said"),
    [
        ([], tuple[int], "expected a list of 1, got one of 0"),
        ([1, 2], tuple[int], "expected a list of 1, got one of 2"),
        (["x"], tuple[int, int], "expected a list of 2, got one of 1"),
    ],
)
def test_a_tuple_has_its_length(payload: object, into: Any, said: str) -> None:
    """A list of another length is another answer."""
    assert refused(payload, into).paths == (f"{said} @ $",)


def test_a_model_takes_what_it_knows_and_keeps_the_rest() -> None:
    """Unknown fields end up in `extra`, missing ones keep their default, names on the wire are translated."""
    person = made({"id": 5, "Geburtstag": "2023-11-14", "born": "nie", "local": "theirs", "größe": 1.8}, Person)
    assert person == Person(id=5, born=datetime(2023, 11, 14), extra={"born": "nie", "local": "theirs", "größe": 1.8})  # noqa: DTZ001 - without a zone
    assert made({"id": 5}, Person) == Person(id=5)


@attrs.frozen(kw_only=True)
class Kept:
    id: int
    raw: Mapping[str, object] = attrs.field(factory=dict[str, object])
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object])


def test_a_model_may_keep_all_that_was_sent() -> None:
    """`raw` is the object as it came, and neither name is one of the wire."""
    payload = {"id": 5, "raw": 1, "extra": 2, "neu": None}
    assert made(payload, Kept) == Kept(id=5, raw=payload, extra={"raw": 1, "extra": 2, "neu": None})


def test_a_model_without_room_drops_what_it_does_not_know() -> None:
    """A new field of the vendor breaks nobody."""
    assert made({"people": [], "neu": 1}, Team) == Team(people=[])


def test_errors_name_the_paths_and_never_a_value() -> None:
    """Each place that does not fit is listed; what stands there is not."""
    payload = {
        "people": [{"id": 1}, {"id": "geheim-1", "tags": ["a", {"geheim-2": 1}]}, {"name": "geheim-3"}, "geheim-4"],
        "by_name": {"anna@example.com": {"id": "geheim-5"}},
    }
    error = refused(payload, Team)
    assert set(error.paths) == {
        "expected int, got str @ $.people[1].id",
        "expected str, got dict @ $.people[1].tags[1]",
        "missing @ $.people[2].id",
        "expected an object, got str @ $.people[3]",
        "expected int, got str @ $.by_name['[hidden]'].id",
    }
    assert error.__suppress_context__


def test_a_long_list_of_paths_is_cut() -> None:
    """Ten paths say enough; the rest is counted."""
    error = refused(["x"] * 25, list[int])
    assert len(error.paths) == 11
    assert error.paths[-1] == "and 15 more"


def test_a_hook_of_an_author_wins() -> None:
    """A vendor's oddity goes on top of the strict hooks, also inside of containers and models."""
    converter = new_converter()

    def lenient(value: object, _: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            return int(value)
        raise ShapeError("expected digits")

    converter.register_structure_hook(int, lenient)
    assert structure(converter, {"id": "7"}, Person) == Person(id=7)
    assert structure(converter, ["1", "2"], list[int]) == [1, 2]
    assert structure(converter, True, bool) is True


NO_INT: list[object] = [True, 1.0, "", "-1", "1.0", "1_0", "٥", "9" * 19, "abc", None, []]
NO_STR: list[object] = [True, 1.5, None, [], {}]


@pytest.mark.parametrize(
    ("hook", "value", "result"),
    [
        (loose_int, 5, 5),
        (loose_int, "0123", 123),
        (loose_int, "9" * 18, 10**18 - 1),
        *((loose_int, wrong, None) for wrong in NO_INT),
        (loose_str, "ä", "ä"),
        (loose_str, 5, "5"),
        *((loose_str, wrong, None) for wrong in NO_STR),
    ],
)
def test_loose_hooks_take_numbers_as_texts_and_back(hook: Any, value: object, result: object) -> None:
    """Only where it cannot be anything else; truth is neither number nor text."""
    if result is None:
        with pytest.raises(ShapeError, match="expected a"):
            hook(value, object)
    else:
        assert hook(value, object) == result


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"null", None),
        (b" [1] \r\n", [1]),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        ('{"ä":"€"}'.encode(), {"ä": "€"}),
        (b'"\\u00e4"', "ä"),
    ],
)
def test_json_is_read(body: bytes, payload: object) -> None:
    """UTF-8 with or without a byte order mark, and any value as the document."""
    assert parse_json(body) == payload


NOT_STRICT = "the answer is not strict JSON"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the answer is empty"),
        (b" \r\n\t ", "the answer is empty"),
        (b"<!DOCTYPE html><html></html>", "the answer is a web page, not JSON"),
        (b"\n <br />\n<b>Notice</b>: {}", "the answer is a web page, not JSON"),
        ('{"a":"ü"}'.encode("latin-1"), "the answer is not UTF-8"),
        ('{"a":"€"}'.encode("cp1252"), "the answer is not UTF-8"),
        ('{"a":1}'.encode("utf-16"), "the answer is not UTF-8"),
        (b'"\xc3\x28"', "the answer is not UTF-8"),
        (b'{"a":NaN}', NOT_STRICT),
        (b"[Infinity]", NOT_STRICT),
        (b"[-Infinity]", NOT_STRICT),
        (b'{"ok":true,"ok":false}', NOT_STRICT),
        (b'[{"a":{"ok":true,"b":1,"ok":true}}]', NOT_STRICT),
        (b'{"a":1', NOT_STRICT),
        (b'{"a":"', NOT_STRICT),
        (b'{"a":1}{"a":2}', NOT_STRICT),
        (b'{"a":1}x', NOT_STRICT),
        (b"{'a':1}", NOT_STRICT),
        (b'{"a":1,}', NOT_STRICT),
        (b'"a\nb"', NOT_STRICT),
        (b"9" * 100_000, NOT_STRICT),
        (b'{"a":-' + b"9" * 100_000 + b"}", NOT_STRICT),
        (b"[" * 100_000 + b"]" * 100_000, "the answer is nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "the answer is nested too deeply"),
        (b"[" * 100_000, "the answer is nested too deeply"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_hostile_json_is_refused_quickly(body: bytes, reason: str) -> None:
    """Whatever a service sends, the one error comes out, without the body in it."""
    before = time.process_time()
    with pytest.raises(Undecodable) as caught:
        parse_json(body)
    assert caught.value.reason == reason
    assert time.process_time() - before < 0.5


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.one_of(st.binary(max_size=50), st.text(max_size=50).map(str.encode)))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    """Bytes are a payload or undecodable, nothing third."""
    try:
        payload = parse_json(body)
    except Undecodable:
        return
    assert json.loads(body) == payload


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "people", "x"]), inner),
    max_leaves=8,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    payload=JSON, into=st.sampled_from([int, float, datetime, Colour | str, Person, Team, list[str], dict[str, int]])
)
def test_no_payload_raises_anything_else(payload: object, into: Any) -> None:
    """A payload becomes the type or is undecodable, nothing third."""
    with contextlib.suppress(Undecodable):
        made(payload, into)
