"""What holds for every operation: its request, its credential, and whether it is sent again, or at all."""

from __future__ import annotations

from base64 import b64encode

import httpx
import pytest
import respx

from doxie_async import Basic, Bearer, ConfigError, ConnectFailed, Doxie, Effect, ReadOnlyError, Rejected
from doxie_async.errors import DoxieError
from doxie_async.routes import Auth
from tests.core.support import failure_of
from tests.doxie_async.support import PASSWORD, TENANT, TOKEN, USER, accepted, body_of, ok, query_of, refused
from tests.doxie_async.uses import EVERY, FORM, ONCE, SAFE, Use

pytestmark = pytest.mark.anyio

SIGNED = {
    Auth.API_USER: "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
    Auth.ADMIN: f"Bearer {TOKEN}",
}
WRITES = [use for use in EVERY if use.effect is not SAFE]
NEVER_AGAIN = [use for use in EVERY if use.effect is ONCE]
AGAIN = [use for use in EVERY if use.effect is not ONCE]


def done(use: Use) -> dict[str, object]:
    """The service's word that the operation was carried out, with nothing in it."""
    return ok({}) if use.operation.auth is Auth.ADMIN else accepted(data={})


def lost(use: Use, api: respx.MockRouter, *outcomes: httpx.Response | Exception) -> respx.Route:
    """A route that comes to these ends, one after the other."""
    return api.request(use.method, use.path).mock(side_effect=list(outcomes))


@pytest.mark.parametrize("use", EVERY, ids=str)
async def test_what_is_sent(doxie: Doxie, api: respx.MockRouter, use: Use) -> None:
    """Method, path, query, body, root key, credential and `Accept` are those of the vendor's list."""
    route = api.request(use.method, use.path).respond(json=done(use))
    await use.call(doxie)
    headers = route.calls.last.request.headers
    assert (headers["authorization"], headers["accept"]) == (SIGNED[use.operation.auth], "application/json")
    assert query_of(route) == use.query
    if use.body is FORM:
        assert headers["content-type"].startswith("multipart/form-data; boundary=")
        return
    assert body_of(route) == use.body
    assert headers.get("content-type") == (None if use.body is None else "application/json")


@pytest.mark.parametrize("use", EVERY, ids=str)
async def test_a_missing_credential_is_named_before_anything_is_sent(api: respx.MockRouter, use: Use) -> None:
    """With the other credential alone the call fails, and says which one it needs."""
    admin = use.operation.auth is Auth.ADMIN
    client = Doxie(TENANT, api_user=Basic(USER, PASSWORD)) if admin else Doxie(TENANT, admin=Bearer(TOKEN))
    async with client:
        error = await failure_of(use.call(client))
    needed = r"needs an OAuth2 token: Doxie(..., admin=" if admin else r"needs an API user: Doxie(..., api_user="
    assert isinstance(error, ConfigError)
    assert isinstance(error, DoxieError)
    assert needed in str(error)
    assert (error.attempts, error.maybe_applied, api.calls.call_count) == (0, False, 0)


@pytest.mark.parametrize("use", WRITES, ids=str)
async def test_a_client_that_only_reads_refuses_every_write(api: respx.MockRouter, use: Use) -> None:
    """`read_only` stops a write before anything is sent."""
    async with Doxie(TENANT, api_user=Basic(USER, PASSWORD), admin=Bearer(TOKEN), read_only=True) as client:
        error = await failure_of(use.call(client))
    assert isinstance(error, ReadOnlyError)
    assert isinstance(error, DoxieError)
    assert (error.attempts, api.calls.call_count) == (0, 0)


@pytest.mark.parametrize("use", [use for use in EVERY if use.effect is SAFE], ids=str)
async def test_a_client_that_only_reads_reads(api: respx.MockRouter, use: Use) -> None:
    """`read_only` lets every read through."""
    api.request(use.method, use.path).respond(json=done(use))
    async with Doxie(TENANT, api_user=Basic(USER, PASSWORD), admin=Bearer(TOKEN), read_only=True) as client:
        await use.call(client)


@pytest.mark.parametrize("end", [httpx.ReadError("lost"), httpx.Response(502)], ids=["lost", "502"])
@pytest.mark.parametrize("use", NEVER_AGAIN, ids=str)
async def test_what_sends_or_creates_is_never_repeated(
    doxie: Doxie, api: respx.MockRouter, use: Use, end: httpx.Response | Exception
) -> None:
    """Once it may have been carried out it is not sent again, and the error says so."""
    route = lost(use, api, end)
    error = await failure_of(use.call(doxie))
    assert (route.call_count, error.attempts, error.maybe_applied) == (1, 1, True)
    assert "it may have been executed; it was not sent again because it is not repeatable" in str(error)


@pytest.mark.parametrize("use", AGAIN, ids=str)
async def test_all_other_calls_are_sent_again(doxie: Doxie, api: respx.MockRouter, use: Use) -> None:
    """A read, and a write that may be done twice, survives an answer that was lost and a service that failed."""
    route = lost(use, api, httpx.ReadError("lost"), httpx.Response(502), httpx.Response(200, json=done(use)))
    await use.call(doxie)
    assert route.call_count == 3


@pytest.mark.parametrize(
    "end",
    [
        httpx.ReadTimeout("slow"),
        httpx.WriteError("half"),
        httpx.RemoteProtocolError("gone"),
        *map(httpx.Response, (408, 500, 503, 504)),
        httpx.Response(503, headers={"retry-after": "1"}),
        httpx.Response(200, html="<html>Wartung</html>"),
        httpx.Response(200, content=b""),
        httpx.Response(200, json=[]),
        httpx.Response(204),
    ],
    ids=repr,
)
async def test_a_mail_is_never_sent_twice(doxie: Doxie, api: respx.MockRouter, end: httpx.Response | Exception) -> None:
    """However the answer went missing, one mail stays one mail, and the doubt is told."""
    route = api.post("/api/ts/mailer/willkommen").mock(side_effect=[end])
    error = await failure_of(doxie.mailer.send("willkommen", {}))
    assert (route.call_count, error.maybe_applied) == (1, True)


@pytest.mark.parametrize("before", [httpx.ConnectError("down"), httpx.Response(429)], ids=["connect", "429"])
async def test_a_mail_that_was_not_taken_is_sent_again(
    doxie: Doxie, api: respx.MockRouter, before: httpx.Response | Exception
) -> None:
    """A request that never left, or was turned away for now, cannot have sent a mail."""
    route = api.post("/api/ts/mailer/willkommen").mock(side_effect=[before, httpx.Response(200, json=accepted())])
    assert (await doxie.mailer.send("willkommen", {})).process_uuid == "9a5d"
    assert route.call_count == 2


async def test_a_mail_that_cannot_be_sent_at_all(doxie: Doxie, api: respx.MockRouter) -> None:
    """Without a connection nothing was changed, and the error says that too."""
    api.post("/api/ts/mailer/willkommen").mock(side_effect=httpx.ConnectError("down"))
    error = await failure_of(doxie.mailer.send("willkommen", {}))
    assert isinstance(error, ConnectFailed)
    assert (error.attempts, error.maybe_applied) == (3, False)
    assert "nothing was changed at the service" in str(error)


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("use", EVERY, ids=str)
async def test_a_refusal_is_an_error_at_any_status(doxie: Doxie, api: respx.MockRouter, use: Use, status: int) -> None:
    """`success: false` is never taken for a result, and the service's own words are kept."""
    api.request(use.method, use.path).respond(status, json=refused("Keine Rechte für Käthe"))
    error = await failure_of(use.call(doxie))
    assert isinstance(error, DoxieError)
    assert isinstance(error, Rejected) is (status == 200)
    assert (error.reason, error.status, error.attempts, error.maybe_applied) == (
        "Keine Rechte für Käthe",
        status,
        1,
        False,
    )
    assert "Keine Rechte für Käthe" in str(error)


def test_the_effects_are_those_of_the_issue() -> None:
    """Reads are safe; what sends, creates, publishes, sets up, tests or registers happens once."""
    once = {use.operation.summary.split()[0] for use in NEVER_AGAIN}
    assert once == {
        "Sends",
        "Creates",
        "Create",
        "Initiate",
        "Register",
        "Remove",
        "Trigger",
        "Test",
        "Publish",
        "Upload",
    }
    assert {use.operation.summary.split()[0] for use in AGAIN if use.effect is Effect.REPEATABLE} == {
        "Cancel",
        "Revoke",
        "Update",
        "Delete",
    }
    assert {use.method for use in EVERY if use.effect is SAFE} == {"GET"}
