"""Calls: what a method promises, and paths that cannot be left."""

from __future__ import annotations

import pytest

from klickdoxie_core import Call, Effect
from klickdoxie_core.call import default_effect, expand
from tests.core.support import BASE_URL, a_call


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
