"""OAuth2: a fixed token, a callable, client credentials; renewed ahead of the end, once for all, once after a 401."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from doxie_async import Basic, Bearer, ClientCredentials, Doxie, Tenant, Token, Unauthorized, recording
from doxie_async import errors as own
from doxie_async.errors import DoxieError
from tests.core.support import FakeClock, failure_of, gathered, settle
from tests.doxie_async.support import TENANT, ok, refused

pytestmark = pytest.mark.anyio

TOKEN_URL = "https://login.example.com/oauth/token"
SETTINGS = "/api/ts/admin/tenant"
CLIENT_ID, CLIENT_SECRET = "verwaltung süd", "Schlüssel & 100 %: +/="


class Vendor:
    """A token endpoint and a service that takes a token only until it ends or is withdrawn."""

    def __init__(self, api: respx.MockRouter, time: FakeClock, *, endpoint: bool = True) -> None:
        self.time = time
        self.lifetime = 3600.0
        self.tells_lifetime = True
        self.ends: dict[str, float] = {}
        self.refusals = 0
        if endpoint:
            self.tokens = api.post(TOKEN_URL).mock(side_effect=self._grant)
        self.calls = api.get(SETTINGS).mock(side_effect=self._serve)

    def new_token(self) -> str:
        """A token that holds from now."""
        token = f"token-{len(self.ends) + 1}"
        self.ends[token] = self.time.time + self.lifetime
        return token

    def withdraw(self) -> None:
        """End every token before its time."""
        self.ends = dict.fromkeys(self.ends, 0.0)

    async def _grant(self, request: httpx.Request) -> httpx.Response:
        await settle(3)
        answer: dict[str, Any] = {"access_token": self.new_token(), "token_type": "Bearer"}
        return httpx.Response(200, json=answer | ({"expires_in": self.lifetime} if self.tells_lifetime else {}))

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        await settle(3)
        if self.time.time < self.ends.get(token, 0.0):
            return httpx.Response(200, json=ok({"name": "Süd"}))
        self.refusals += 1
        return httpx.Response(401, json=refused("Zugriff verweigert"))


def over_an_expiry(client: Doxie, time: FakeClock, later: float) -> Callable[[int], Awaitable[Tenant]]:
    """Calls of which half start before so many seconds pass, some of them still under way, and half after."""

    async def call(number: int) -> Tenant:
        await settle(number // 10)
        if number == 100:
            time.time += later
        return await client.admin.tenant.get()

    return call


@pytest.fixture
def time() -> FakeClock:
    """Time that passes when it is told to."""
    return FakeClock()


@pytest.fixture
def vendor(api: respx.MockRouter, time: FakeClock) -> Vendor:
    """The service with its token endpoint."""
    return Vendor(api, time)


@pytest.fixture
async def doxie(vendor: Vendor) -> AsyncIterator[Doxie]:
    """A client with client credentials."""
    admin = ClientCredentials(CLIENT_ID, CLIENT_SECRET, TOKEN_URL, scope="read write")
    async with Doxie(TENANT, admin=admin, clock=vendor.time.clock()) as client:
        yield client


async def test_client_credentials_on_the_wire(doxie: Doxie, vendor: Vendor) -> None:
    """Name and secret go form-encoded into Basic, the grant into a form, and the token into the call."""
    await doxie.admin.tenant.get()
    asked = vendor.tokens.calls.last.request
    encoded = "verwaltung%20s%C3%BCd:Schl%C3%BCssel%20%26%20100%20%25%3A%20%2B%2F%3D"
    assert asked.headers["authorization"] == "Basic " + b64encode(encoded.encode()).decode()
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.content.decode()) == {"grant_type": ["client_credentials"], "scope": ["read write"]}
    assert vendor.calls.calls.last.request.headers["authorization"] == "Bearer token-1"


@pytest.mark.parametrize("later", [90.0, 110.0], ids=["due", "dead"])
async def test_200_calls_over_an_expiry(doxie: Doxie, vendor: Vendor, time: FakeClock, later: float) -> None:
    """While 200 calls are under way the token comes to its end: one renewal serves all, and no call fails."""
    vendor.lifetime = 100.0
    results = await gathered(over_an_expiry(doxie, time, later), 200)
    assert [result for result in results if not isinstance(result, Tenant)] == []
    assert vendor.tokens.call_count == 2
    assert vendor.calls.call_count == 200 + vendor.refusals
    # A token that is still good when it is replaced is never refused.
    assert (vendor.refusals == 0) is (later < vendor.lifetime)
    used = {call.request.headers["authorization"] for call in vendor.calls.calls}
    assert used == {"Bearer token-1", "Bearer token-2"}


async def test_200_calls_with_a_token_that_was_withdrawn(doxie: Doxie, vendor: Vendor) -> None:
    """A token that dies early is renewed once for all, and each call is sent once more and not twice."""
    await doxie.admin.tenant.get()
    vendor.withdraw()
    with recording() as seen:
        results = await gathered(lambda _: doxie.admin.tenant.get(), 200)
    assert [result for result in results if not isinstance(result, Tenant)] == []
    assert vendor.tokens.call_count == 2
    assert {(each.attempts, each.renewals) for each in seen.exchanges} <= {(1, 0), (1, 1)}
    assert vendor.refusals == sum(each.renewals for each in seen.exchanges)
    assert vendor.calls.call_count == 1 + 200 + vendor.refusals


@pytest.mark.parametrize(("later", "grants"), [(3600 - 61, 1), (3600 - 59, 2), (3600 + 1, 2)])
async def test_a_token_is_renewed_ahead_of_its_end(
    doxie: Doxie, vendor: Vendor, time: FakeClock, later: float, grants: int
) -> None:
    """A minute before the end a new one is fetched; the service never sees a dead one."""
    await doxie.admin.tenant.get()
    time.time += later
    await doxie.admin.tenant.get()
    assert (vendor.tokens.call_count, vendor.refusals) == (grants, 0)


async def test_a_token_without_a_lifetime_is_kept_for_a_while(doxie: Doxie, vendor: Vendor, time: FakeClock) -> None:
    """Where the endpoint does not tell, the token is used again, and not for ever."""
    vendor.tells_lifetime = False
    for later, grants in ((0, 1), (60, 1), (3600, 2)):
        time.time += later
        await doxie.admin.tenant.get()
        assert vendor.tokens.call_count == grants


async def test_a_token_that_is_never_taken(doxie: Doxie, vendor: Vendor) -> None:
    """After one renewal the second 401 is final, with the service's words."""
    vendor.lifetime = -1.0
    vendor.tells_lifetime = False
    with pytest.raises(Unauthorized, match="Zugriff verweigert") as caught:
        await doxie.admin.tenant.get()
    assert isinstance(caught.value, DoxieError)
    assert (caught.value.attempts, caught.value.renewals) == (1, 1)
    assert (vendor.tokens.call_count, vendor.refusals) == (2, 2)


async def test_a_renewal_that_fails_costs_nothing_while_the_token_holds(
    doxie: Doxie, vendor: Vendor, time: FakeClock
) -> None:
    """Ahead of the end the old token still serves; after it, the endpoint's failure is the call's."""
    await doxie.admin.tenant.get()
    vendor.tokens.mock(side_effect=lambda request: httpx.Response(503))
    time.time += 3600 - 30
    assert (await doxie.admin.tenant.get()).raw == {"name": "Süd"}
    time.time += 60
    error = await failure_of(doxie.admin.tenant.get())
    assert isinstance(error, DoxieError)
    assert (error.status, error.operation, error.maybe_applied) == (503, "Fetch Token", False)
    assert vendor.calls.call_count == 2


async def test_wrong_client_credentials(doxie: Doxie, vendor: Vendor, time: FakeClock) -> None:
    """The endpoint is asked once, however many calls wait for it, and each of them says so."""
    await doxie.admin.tenant.get()
    time.time += 3600
    vendor.tokens.mock(side_effect=lambda request: httpx.Response(401, json={"error": "invalid_client"}))
    errors = await gathered(lambda _: doxie.admin.tenant.get(), 50)
    assert {(type(error), "invalid_client" in str(error)) for error in errors} == {(own.Unauthorized, True)}
    assert (vendor.tokens.call_count, vendor.calls.call_count) == (2, 1)


async def test_a_fixed_token_is_not_renewed(api: respx.MockRouter) -> None:
    """Nobody can be asked for another one: the 401 is raised at once."""
    route = api.get(SETTINGS).respond(401, json=refused("Zugriff verweigert"))
    async with Doxie(TENANT, admin=Bearer("fest")) as client:
        error = await failure_of(client.admin.tenant.get())
    assert isinstance(error, Unauthorized)
    assert (route.call_count, error.attempts, error.renewals) == (1, 1, 0)


class Source:
    """The caller's own source of tokens."""

    def __init__(self, vendor: Vendor, *, tells: bool) -> None:
        self.vendor = vendor
        self.tells = tells
        self.asked = 0

    async def token(self) -> str | Token:
        """A new one, with its lifetime on request."""
        self.asked += 1
        await settle(3)
        token = self.vendor.new_token()
        return Token(value=token, expires_in=self.vendor.lifetime) if self.tells else token


@pytest.fixture
def issued(api: respx.MockRouter, time: FakeClock) -> Vendor:
    """The service alone: its tokens come from the caller's source."""
    return Vendor(api, time, endpoint=False)


async def test_a_source_is_asked_once_for_200_calls(issued: Vendor, time: FakeClock) -> None:
    """Over the end of a token with a known lifetime the source is asked twice, and no call is refused."""
    issued.lifetime = 100.0
    source = Source(issued, tells=True)
    async with Doxie(TENANT, admin=Bearer(source.token), clock=time.clock()) as client:
        results = await gathered(over_an_expiry(client, time, 90.0), 200)
    assert [result for result in results if not isinstance(result, Tenant)] == []
    assert (source.asked, issued.refusals, issued.calls.call_count) == (2, 0, 200)


async def test_a_source_that_does_not_tell_the_end(issued: Vendor, time: FakeClock) -> None:
    """Its token is used until it is refused; then the source is asked once for all."""
    source = Source(issued, tells=False)
    async with Doxie(TENANT, admin=Bearer(source.token), clock=time.clock()) as client:
        await client.admin.tenant.get()
        time.time += 3600
        results = await gathered(lambda _: client.admin.tenant.get(), 200)
    assert [result for result in results if not isinstance(result, Tenant)] == []
    assert source.asked == 2


async def test_a_write_is_sent_once_more_after_a_401(api: respx.MockRouter, time: FakeClock) -> None:
    """A refused credential has changed nothing, so a write that must not be repeated is sent with the new one."""
    tokens = iter(["alt", "neu"])

    async def source() -> str:
        return next(tokens)

    route = api.post("/api/ts/admin/brands").mock(
        side_effect=[httpx.Response(401), httpx.Response(200, json=ok({"id": 1}))]
    )
    with recording() as seen:
        async with Doxie(TENANT, admin=Bearer(source), clock=time.clock()) as client:
            assert (await client.admin.brands.create({"name": "Süd"})).id == 1
    assert (seen.last.attempts, seen.last.renewals) == (1, 1)
    assert [call.request.headers["authorization"] for call in route.calls] == ["Bearer alt", "Bearer neu"]


async def test_an_api_user_has_nothing_to_renew(api: respx.MockRouter, time: FakeClock) -> None:
    """A 401 of a sending call is final, and does not touch the admin's token."""
    route = api.post("/api/ts/mailer/x").respond(401)

    async def source() -> str:
        raise AssertionError("nobody asked for a token")

    async with Doxie(TENANT, api_user=Basic("u", "p"), admin=Bearer(source), clock=time.clock()) as client:
        error = await failure_of(client.mailer.send("x", {}))
    assert isinstance(error, Unauthorized)
    assert (route.call_count, error.attempts, error.renewals, error.maybe_applied) == (1, 1, 0, False)
