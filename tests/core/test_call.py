"""Calls: what a method promises, and paths that cannot be left."""

from __future__ import annotations

from typing import Any

import pytest

from klickdoxie_core import Call, Effect
from klickdoxie_core.call import _names, check_json, default_effect, expand
from klickdoxie_core.redact import mask
from tests.core.support import BASE_URL, a_call

ANNA = "anna.maria.mustermann@example.com"


@pytest.mark.parametrize(
    ("method", "effect"),
    [
        ("GET", Effect.SAFE),
        ("HEAD", Effect.SAFE),
        ("OPTIONS", Effect.SAFE),
        ("PUT", Effect.REPEATABLE),
        ("DELETE", Effect.REPEATABLE),
        ("POST", Effect.ONCE),
        ("PATCH", Effect.ONCE),
        ("BREW", Effect.ONCE),
    ],
)
def test_a_method_promises_an_effect(method: str, effect: Effect) -> None:
    """What nobody knows must not be sent twice."""
    assert default_effect(method) is effect


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (4711, "4711"),
        ("abc", "abc"),
        ("a b", "a%20b"),
        ("anna@example.com", "anna%40example.com"),
        ("käthe", "k%C3%A4the"),
        ("a?b", "a%3Fb"),
        ("a#b", "a%23b"),
        ("a%2Fb", "a%252Fb"),
        ("%2e%2e", "%252e%252e"),
        ("...", "..."),
        ("a;b=c", "a%3Bb%3Dc"),
        ("{id}", "%7Bid%7D"),
        ("𝄞", "%F0%9D%84%9E"),
    ],
)
def test_a_value_is_quoted_into_its_place(value: str | int, place: str) -> None:
    """Whatever a value holds, it stays one segment."""
    assert expand("/thing/{id}/part", {"id": value}) == f"/thing/{place}/part"


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "/", "a/b", "../x", "\\", "a\\b", "a\r\nb", "a\x00", "\t", "\x7f", "\x85", "\ud800", "a\udfff"],
)
def test_a_value_that_would_leave_its_place_is_refused(value: str) -> None:
    """The error names the value's name and never shows the value."""
    with pytest.raises(ValueError, match=r"^id must be a non-empty text") as caught:
        expand("/thing/{id}", {"id": value})
    assert not value.strip("./\\") or value not in str(caught.value)


def test_the_target_is_an_absolute_url() -> None:
    """Base, path and query make the URL; another origin replaces the base."""
    call = a_call(template="/thing/{id}", path={"id": 5}, query={"q": "ä b", "n": 1})
    assert call.target(BASE_URL) == f"{BASE_URL}/thing/5?q=%C3%A4+b&n=1"
    assert a_call(origin="https://login.example.com").target(BASE_URL) == "https://login.example.com/thing"
    assert a_call(query={}).target(BASE_URL) == f"{BASE_URL}/thing"


@pytest.mark.parametrize(
    ("query", "url"),
    [
        ({"a": None}, "/thing"),
        ({"a": None, "b": "ä b"}, "/thing?b=%C3%A4+b"),
        ({"tag": ["a", "ö"], "n": (1, 2)}, "/thing?tag=a&tag=%C3%B6&n=1&n=2"),
        ({"tag": []}, "/thing"),
        ({"a": "", "b": 0}, "/thing?a=&b=0"),
    ],
)
def test_none_is_left_out_and_a_list_repeats_the_name(query: Any, url: str) -> None:
    """So that optional parameters need no filter."""
    assert a_call(query=query).target(BASE_URL) == f"{BASE_URL}{url}"


@pytest.mark.parametrize(
    "query",
    [
        {"a": True},
        {"a": [False]},
        {"a": 1.5},
        {"a": [None]},
        {"a": [["x"]]},
        {"a": {"b"}},
        {"a": b"x"},
        {1: "a"},
        "a=1",
    ],
    ids=repr,
)
def test_what_is_no_query(query: Any) -> None:
    """Each service writes truth and decimals in its own way, and PHP takes the text `false` for true."""
    with pytest.raises(ValueError, match="query must map texts"):
        a_call(query=query).target(BASE_URL)


def test_a_call_shows_nothing_personal() -> None:
    """The repr names the operation and leaves out every value that is sent."""
    call: Call[object] = a_call(
        path={"id": "canary-1"},
        query={"q": "canary-2"},
        body={"b": "canary-3"},
        form={"f": "canary-4"},
        headers={"authorization": "canary-5"},
    )
    assert "Do Thing" in repr(call)
    assert "canary" not in repr(call)


def test_paths_are_not_remembered_for_ever() -> None:
    """Each path that somebody calls is a template: a program that runs for months calls millions."""
    for number in range(1100):
        expand(f"/thing/{number}", {})
    assert _names.cache_info().currsize <= 1000


@pytest.mark.parametrize("before", [85, 90, 95, 1990, 3985, 3990, 3995])
@pytest.mark.parametrize("below", [True, False])
def test_the_place_of_a_fault_shows_no_half_address(before: int, *, below: bool) -> None:
    """Wherever it is cut, what is left of an address can be told and masked."""
    body = {"x" * before: {ANNA: object()}} if below else {f"{'x' * before} {ANNA}": object()}
    with pytest.raises(ValueError, match="JSON cannot carry, at x") as caught:
        check_json("body", body)
    assert "anna" not in mask(str(caught.value))
