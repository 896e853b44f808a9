"""Bearer tokens: fixed, from a callable, by client credentials; renewed ahead of their end."""

from __future__ import annotations

import base64
import json
import math
import pickle
from typing import Any, cast
from urllib.parse import parse_qs

import pytest

from klickdoxie_core import Bearer, Call, ClientCredentials, Secret, Token, recording
from klickdoxie_core.errors import ArgumentError, BadRequest, ConnectFailed, DecodeError, SdkError, Unauthorized
from klickdoxie_core.wire.base import Request, Response
from tests.core.support import (
    Client,
    FakeClock,
    ScriptedWire,
    Step,
    a_call,
    answer,
    failure_of,
    gathered,
    settle,
    unsent,
)

pytestmark = pytest.mark.anyio

THING: Call[Any] = a_call(auth="admin")
TOKEN_URL = "https://login.example.com/oauth/token"
BAD_TOKENS = ["", " ", "a b", "a\r\nX: y", "tök", "a=b", "=", "٥", "a,b"]


def credentials(**changes: Any) -> ClientCredentials:
    """A client's own name and secret."""
    given: dict[str, Any] = {"client_id": "app", "client_secret": "geheim", "token_url": TOKEN_URL}
    return ClientCredentials(**(given | changes))


class Issuer(ScriptedWire):
    """A token endpoint and a service that takes the newest token only while it lives."""

    def __init__(self, time: FakeClock, **grant: Any) -> None:
        super().__init__(self._respond)
        self.time = time
        self.grant = {"token_type": "Bearer", "expires_in": 3600} | grant
        self.lives = math.inf
        self.failing: list[Step] = []
        self.grants = 0
        self.refusals = 0
        self._dies = -math.inf

    async def _respond(self, request: Request) -> Step:
        await settle(3)
        if request.url == TOKEN_URL:
            if self.failing:
                return self.failing.pop(0)
            self.grants += 1
            self._dies = self.time.time + self.lives
            return answer(200, {"access_token": f"token-{self.grants}"} | self.grant)
        valid = request.headers["authorization"] == f"Bearer token-{self.grants}" and self.time.time < self._dies
        self.refusals += not valid
        return answer() if valid else answer(401)

    def client(self, **options: Any) -> Client:
        """A client of both."""
        return Client(self, {"admin": credentials()}, time=self.time, **options)


@pytest.mark.parametrize("token", ["abc", "a.b-c_d~e+f/g==", Secret("abc")])
async def test_a_fixed_token_is_sent_as_it_is(token: str | Secret) -> None:
    """The header holds it, the repr does not, and a refusal is final."""
    bearer = Bearer(token)
    wire = ScriptedWire(answer(401))
    caught = await failure_of(Client(wire, {"admin": bearer}).run(THING))
    assert (type(caught), caught.renewals, len(wire.requests)) == (Unauthorized, 0, 1)
    text = token.reveal() if isinstance(token, Secret) else token
    assert wire.requests[0].headers["authorization"] == f"Bearer {text}"
    assert repr(bearer) == "Bearer()"
    with pytest.raises(TypeError):
        pickle.dumps(bearer)


@pytest.mark.parametrize("token", BAD_TOKENS)
async def test_what_is_no_token_is_refused(token: str) -> None:
    """When the scheme is made, or when the callable returns it; nothing is sent."""
    with pytest.raises(ArgumentError, match=r"^token must be a non-empty bearer token"):
        Bearer(token)

    async def source() -> str:
        return token

    wire = ScriptedWire()
    assert type(await failure_of(Client(wire, {"admin": Bearer(source)}).run(THING))) is ArgumentError
    assert wire.requests == []


async def test_a_callable_is_asked_once_for_all_and_again_after_a_refusal() -> None:
    """Fifty calls ask once; a 401 asks once more."""
    asked: list[int] = []

    async def source() -> str:
        asked.append(1)
        await settle(3)
        return f"token-{len(asked)}"

    wire = ScriptedWire(lambda request: answer(200 if request.headers["authorization"].endswith(dead) else 401))
    dead = "token-1"
    client = Client(wire, {"admin": Bearer(source)})
    assert await gathered(lambda _: client.run(THING), 50) == [{"ok": True}] * 50
    assert len(asked) == 1
    dead = "token-2"
    assert await gathered(lambda _: client.run(THING), 50) == [{"ok": True}] * 50
    assert len(asked) == 2


async def test_a_callable_may_tell_how_long_its_token_holds() -> None:
    """It is asked again ahead of that."""
    asked: list[int] = []

    async def source() -> Token:
        asked.append(1)
        return Token(value="abc", expires_in=1000)

    client = Client(ScriptedWire(lambda _: answer()), {"admin": Bearer(source)})
    for seconds, times in ((0, 1), (939, 1), (1, 2)):
        client.time.time += seconds
        await client.run(THING)
        assert len(asked) == times
    assert "abc" not in repr(Token(value="abc"))


@pytest.mark.parametrize("given", [None, 5, b"abc", Secret("abc"), Token(value=cast("Any", None)), ""], ids=repr)
@pytest.mark.parametrize("is_async", [True, False])
async def test_what_a_callable_returns_is_a_token(given: Any, *, is_async: bool) -> None:
    """Anything else is refused by the name of the argument, and nothing is sent."""

    async def source() -> Any:
        return given

    client = Client(ScriptedWire(), {"admin": Bearer(source if is_async else lambda: given)})
    caught = await failure_of(client.run(THING))
    assert type(caught) is ArgumentError
    assert "token must be" in str(caught)


async def test_what_a_callable_raises_comes_out() -> None:
    """The caller's own exception is the caller's, and the next call asks again."""

    async def source() -> str:
        raise LookupError("vault")

    client = Client(ScriptedWire(), {"admin": Bearer(source)})
    for _ in range(2):
        with pytest.raises(LookupError, match="vault"):
            await client.run(THING)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3540),
        (100, 70),
        (10.5, 7.35),
        *((value, 240) for value in cast("list[object]", [0, -1, "3600", None, True, [], -0.5])),
        *((value, 86_340) for value in (86_401, 1e12, 10**400)),
    ],
)
async def test_a_token_is_renewed_ahead_of_its_end(expires_in: object, seconds: float) -> None:
    """A minute before, or when less than a third is left; an absurd lifetime means five minutes, a day at most."""
    time = FakeClock()
    issuer = Issuer(time, expires_in=expires_in)
    client = issuer.client()
    await client.run(THING)
    time.time += seconds - 0.01
    await client.run(THING)
    assert issuer.grants == 1
    time.time += 0.02
    await client.run(THING)
    assert issuer.grants == 2


@pytest.mark.parametrize(
    ("expires_in", "lifetime"), [(math.nan, 300.0), (math.inf, 86_400.0), (-1, 300.0), (None, None)]
)
async def test_a_callable_is_no_more_trusted_than_a_server(expires_in: float | None, lifetime: float | None) -> None:
    """An absurd lifetime from the caller's own source is read the same way; None means that nobody knows."""

    async def source() -> Token:
        return Token(value="abc", expires_in=expires_in)

    client = Client(ScriptedWire(), {"admin": Bearer(source)})
    assert (await client.lease("admin").get()).lifetime == lifetime


async def test_a_token_that_dies_every_second_is_never_refused() -> None:
    """Three seconds of calls see no 401 and cost eight grants at the most."""
    time = FakeClock()
    issuer = Issuer(time, expires_in=1)
    issuer.lives = 1
    client = issuer.client()
    for _ in range(300):
        await client.run(THING)
        time.time += 0.01
    assert issuer.refusals == 0
    assert issuer.grants <= 8


@pytest.mark.parametrize("together", [1, 20])
@pytest.mark.parametrize(("failure", "pause"), [(unsent, 5), (lambda: answer(500), 5), (lambda: answer(400), 60)])
async def test_a_living_token_is_used_when_no_new_one_is_to_be_had(failure: Any, pause: float, together: int) -> None:
    """A renewal that fails costs the calls nothing, is not tried by each of them, and is tried again later."""
    time = FakeClock()
    issuer = Issuer(time, expires_in=1000)
    client = issuer.client()
    await client.run(THING)
    issuer.failing = [failure() for _ in range(3)]
    time.time += 940
    assert await gathered(lambda _: client.run(THING), together) == [{"ok": True}] * together
    asked = len(issuer.sent_to("/oauth/token"))
    issuer.failing.clear()
    time.time += min(pause, 59) - 0.5
    await client.run(THING)
    assert len(issuer.sent_to("/oauth/token")) == asked
    time.time += pause - min(pause, 59) + 0.5
    await client.run(THING)
    assert issuer.grants == 2


async def test_a_dead_token_is_not_used_and_trouble_is_not_remembered() -> None:
    """When the token has ended the failure is the call's, and the very next call asks again."""
    time = FakeClock()
    issuer = Issuer(time, expires_in=100)
    client = issuer.client()
    await client.run(THING)
    time.time += 99
    issuer.failing = [unsent() for _ in range(6)]
    await client.run(THING)
    time.time += 1
    assert type(await failure_of(client.run(THING))) is ConnectFailed
    await client.run(THING)
    assert issuer.grants == 2


async def test_a_withdrawn_token_is_replaced_once() -> None:
    """A 401 in spite of a living token costs one grant for all calls."""
    time = FakeClock()
    issuer = Issuer(time)
    client = issuer.client()
    await client.run(THING)
    issuer._dies = -math.inf
    with recording() as seen:
        assert await gathered(lambda _: client.run(THING), 20) == [{"ok": True}] * 20
    assert {exchange.renewals for exchange in seen.exchanges if exchange.operation == "Do Thing"} == {1}
    assert issuer.grants == 2


async def test_the_token_call() -> None:
    """Form-encoded, authenticated by quoted Basic, at the configured place and unsigned."""
    wire = ScriptedWire(answer(200, {"access_token": "abc"}), answer())
    scheme = credentials(client_id="a:b ü", client_secret="p%s", scope="read write", token_url=f"{TOKEN_URL}/v2")
    await Client(wire, {"admin": scheme}).run(THING)
    request = wire.requests[0]
    assert (request.method, request.url) == ("POST", f"{TOKEN_URL}/v2")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(cast("bytes", request.body).decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["read write"],
    }
    basic = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
    assert basic == "a%3Ab%20%C3%BC:p%25s"
    assert wire.requests[1].headers["authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"access_token": None},
        {"access_token": 5},
        {"access_token": "abc", "token_type": "mac"},
        {"access_token": "abc", "token_type": None},
        ["access_token", "abc"],
        *({"access_token": token} for token in BAD_TOKENS),
    ],
)
async def test_an_answer_without_a_token_is_no_grant(given: object) -> None:
    """The error names the token call, shows no token, and is not tried again at once."""
    wire = ScriptedWire(Response(status=200, headers={}, body=json.dumps(given).encode()))
    client = Client(wire, {"admin": credentials()})
    for _ in range(2):
        caught = await failure_of(client.run(THING))
        assert (type(caught), caught.operation) == (DecodeError, "Fetch Token")
    assert len(wire.requests) == 1


@pytest.mark.parametrize(("status", "error"), [(400, BadRequest), (401, Unauthorized)])
async def test_a_refused_client_is_not_tried_again_at_once(status: int, error: type[SdkError]) -> None:
    """Wrong credentials make one token call for fifty calls."""
    wire = ScriptedWire(answer(status, {"error": "invalid_client"}))
    client = Client(wire, {"admin": credentials()})
    assert {type(caught) for caught in await gathered(lambda _: client.run(THING), 50)} == {error}
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "changes",
    [
        *({"token_url": url} for url in ("", "/token", "ftp://a.example/t", "https://", "https://u@a.example/t")),
        {"token_url": f"{TOKEN_URL}?key=geheim"},
        {"token_url": "https://login.example.com/{tenant}/token"},
        {"client_id": ""},
        {"client_secret": ""},
        {"client_id": "a\r\nb"},
        {"client_secret": "geheim\ud800"},
    ],
)
def test_wrong_client_credentials_are_refused(changes: dict[str, str]) -> None:
    """The text names the argument and never shows the secret."""
    with pytest.raises(ArgumentError) as caught:
        credentials(**changes)
    assert "geheim" not in str(caught.value)


def test_client_credentials_show_no_secret() -> None:
    """Repr holds where the tokens come from, not for whom."""
    assert repr(credentials()) == f"ClientCredentials(token_url='{TOKEN_URL}', scope=None)"
