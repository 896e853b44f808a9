"""The session: which logins count as one, one cookie in one header, and a polite goodbye."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from klickdoxie_core import SessionCookie, recording
from klickdoxie_core.errors import DecodeError, Redirected, SdkError, Unauthorized
from klickdoxie_core.wire.base import Request
from tests.core.support import (
    Client,
    ScriptedWire,
    Step,
    a_call,
    answer,
    failure_of,
    hung,
    lost,
    unsent,
)

pytestmark = pytest.mark.anyio


def session_of(given: dict[str, str]) -> tuple[str, str]:
    """The cookie's name and value."""
    return given.get("name", ""), given.get("value", "")


def scheme(**changes: Any) -> SessionCookie[dict[str, str]]:
    """A login at `/login` and a logout at `/logout`."""
    given: dict[str, Any] = {
        "login": a_call(operation="Login", method="POST", template="/login", into=dict[str, str]),
        "session": session_of,
        "logout": a_call(operation="Logout", method="POST", template="/logout", empty_ok=True),
    }
    return SessionCookie(**(given | changes))


def client_of(*steps: Step | Callable[[Request], Any], **changes: Any) -> tuple[Client, ScriptedWire]:
    """A client that logs in on a scripted wire."""
    wire = ScriptedWire(*steps)
    return Client(wire, {"account": scheme(**changes)}), wire


LOGIN = answer(200, {"name": "SESSa1", "value": "Tok-1~%2B"})


async def test_the_session_is_one_cookie_that_we_build() -> None:
    """Whatever cookies the answers set, only the login's session is sent."""
    storm = {"set-cookie": "SESSa1=fixed; Domain=example.com, other=1"}
    client, wire = client_of(LOGIN, answer(headers=storm), answer(headers=storm))
    for _ in range(2):
        await client.run(a_call(auth="account"))
    assert "cookie" not in wire.requests[0].headers
    assert [request.headers["cookie"] for request in wire.requests[1:]] == ["SESSa1=Tok-1~%2B"] * 2


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"name": "SESS"},
        {"value": "x"},
        {"name": "", "value": "x"},
        {"name": "SESS", "value": ""},
        {"name": "SESS", "value": "x" * 257},
        {"name": "SESS", "value": "x\r\nSet-Cookie: a=b"},
        {"name": "SESS\n", "value": "x"},
        {"name": "SESS", "value": "x; Domain=example.com"},
        {"name": "SE;SS", "value": "x"},
        {"name": "SESS", "value": "x, y"},
        {"name": "SESS", "value": "a b"},
        {"name": "SESS", "value": "ü"},
        {"name": "SESS", "value": "٥"},
    ],
)
async def test_an_unusable_session_is_no_login(given: dict[str, str]) -> None:
    """Line breaks and attributes in a session are an attack; no call is sent with them, and none tries again."""
    client, wire = client_of(answer(200, given))
    for _ in range(2):
        caught = await failure_of(client.run(a_call(auth="account")))
        assert type(caught) is DecodeError
        assert "the login's answer holds no usable session" in str(caught)
        assert caught.operation == "Login"
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (answer(200, b"<html>Login</html>"), DecodeError),
        (answer(200, b""), DecodeError),
        (answer(200, []), DecodeError),
        (answer(200, ["Wrong username or password."]), DecodeError),
        (answer(200, {"name": None, "value": "x"}), DecodeError),
        (answer(302, b"", {"location": "https://evil.example"}), Redirected),
        (answer(401), Unauthorized),
    ],
)
async def test_an_answer_without_a_session_is_no_login(step: Step, error: type[SdkError]) -> None:
    """One login, no call, and the error's class says why."""
    client, wire = client_of(step)
    assert type(await failure_of(client.run(a_call(auth="account")))) is error
    assert [request.url for request in wire.requests] == ["https://api.example.com/login"]


@pytest.mark.parametrize(("status", "renewed"), [(401, 1), (403, 1), (404, 0), (406, 0)])
async def test_a_dead_session_is_told_by_401_or_403(status: int, renewed: int) -> None:
    """Any other refusal is about the call."""
    client, _ = client_of(LOGIN, answer(status), LOGIN, answer())
    with recording() as seen, contextlib.suppress(SdkError):
        await client.run(a_call(auth="account"))
    assert seen.last.renewals == renewed


async def test_a_vendor_decides_what_a_dead_session_is() -> None:
    """`expired` looks at the status and at the decoded body."""
    asked: list[tuple[int, object]] = []

    def expired(status: int, payload: object) -> bool:
        asked.append((status, payload))
        return False

    client, _ = client_of(LOGIN, answer(403, {"why": "plan"}), expired=expired)
    await failure_of(client.run(a_call(auth="account")))
    assert asked == [(403, {"why": "plan"})]


async def test_closing_logs_out_with_the_session() -> None:
    """The logout carries the cookie, and happens once."""
    client, wire = client_of(LOGIN, answer(), answer(204, b""))
    async with client:
        await client.run(a_call(auth="account"))
    await client.aclose()
    assert wire.requests[-1].url.endswith("/logout")
    assert wire.requests[-1].headers["cookie"] == "SESSa1=Tok-1~%2B"
    assert (len(wire.requests), wire.closed) == (3, 1)


@pytest.mark.parametrize(
    "steps",
    [
        [answer(500)] * 3,
        [answer(403)],
        [answer(200, b"<html>")] * 3,
        [lost(), lost(), lost()],
        [unsent(), unsent(), unsent()],
        [hung(), hung(), hung()],
    ],
)
async def test_a_failed_logout_does_not_matter(steps: list[Step]) -> None:
    """Closing never raises for it, and the wire is closed all the same."""
    client, wire = client_of(LOGIN, answer(), *steps)
    await client.run(a_call(auth="account"))
    await client.aclose()
    assert wire.closed == 1


async def test_a_logout_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The goodbye has its own small time limit."""
    monkeypatch.setattr("klickdoxie_core.auth.lease._GOODBYE", 0.01)

    async def silence(request: Request) -> Step:
        await anyio.sleep_forever()
        raise AssertionError

    client, wire = client_of(LOGIN, answer(), silence)
    await client.run(a_call(auth="account"))
    before = time.monotonic()
    await client.aclose()
    assert time.monotonic() - before < 1
    assert wire.closed == 1


async def test_without_a_login_there_is_no_logout() -> None:
    """A client that was never used, or has no logout, closes quietly."""
    unused, wire = client_of()
    await unused.aclose()
    assert (wire.requests, wire.closed) == ([], 1)
    client, wire = client_of(LOGIN, answer(), logout=None)
    await client.run(a_call(auth="account"))
    await client.aclose()
    assert (len(wire.requests), wire.closed) == (2, 1)


async def test_a_cancelled_close_closes_the_wire() -> None:
    """Who has no time for a goodbye leaves no connection behind."""
    client, wire = client_of(LOGIN, answer())
    await client.run(a_call(auth="account"))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await client.aclose()
    assert wire.closed == 1


async def test_a_login_can_be_forced() -> None:
    """A fresh session replaces a living one, the login's answer is at hand, and it is renewed like any other."""
    client, wire = client_of(LOGIN, answer(200, {"name": "SESSa1", "value": "Tok-2"}), answer(403), LOGIN, answer())
    await client.lease().get()
    held = await client.lease().force()
    assert held.detail == {"name": "SESSa1", "value": "Tok-2"}
    await client.run(a_call(auth="account"))
    assert wire.requests[2].headers["cookie"] == "SESSa1=Tok-2"
    assert wire.requests[4].headers["cookie"] == "SESSa1=Tok-1~%2B"
    assert "Tok-2" not in repr(held)
