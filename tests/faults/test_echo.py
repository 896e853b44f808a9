"""A service that repeats what it was sent, credentials and all, as debug pages do: nobody else gets to see it."""

from __future__ import annotations

import html
import json
from collections.abc import Callable

import pytest

from doxie_async import Basic, Bearer, Doxie
from doxie_async.errors import Rejected
from klickdoxie_core import Retry, recording
from klickdoxie_core.errors import SdkError, error_for_status
from klicktipp_async import KlickTipp, SessionLogin, errors
from tests.core.support import failure_of
from tests.core.wire.raw_server import GENERATORS_LEFT, Peer, Play, Received, answer_bytes
from tests.faults import canaries
from tests.faults.canaries import shown_by, shown_by_logs, shown_by_recording, spilled
from tests.faults.clients import KINDS, shop_on
from tests.faults.server import FaultServer

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

Say = Callable[[Received], bytes]


def as_json(seen: Received) -> bytes:
    """A map, as frameworks in debug mode write it."""
    return json.dumps({"error": "no", "headers": seen.headers, "body": seen.body.decode()}).encode()


def as_php(seen: Received) -> bytes:
    """The same with every slash escaped."""
    return as_json(seen).replace(b"/", b"\\/")


def as_sentences(seen: Received) -> bytes:
    """A list of texts, as Drupal writes it."""
    return json.dumps([f"{seen.headers} {seen.body.decode()} nicht erlaubt"]).encode()


def as_page(seen: Received) -> bytes:
    """A page for people."""
    return f"<pre>{html.escape(str(seen.headers), quote=False)}\n{seen.body.decode()}</pre>".encode()


def echo(status: str, say: Say) -> Play:
    """Read a request and say it all back, in the body and in the headers."""

    async def play(peer: Peer) -> None:
        seen = await peer.request()
        headers = [f"{name}: {value}" for name, value in seen.headers.items() if name.startswith("x-")]
        await peer.send(answer_bytes(say(seen), status=status, headers=tuple(headers)))

    return play


def nothing_of(error: SdkError, caplog: pytest.LogCaptureFixture) -> bool:
    """Whether neither the error nor any log shows a canary; the error still has something to say."""
    assert error.body is not None
    return not spilled(shown_by(error) | shown_by_logs(caplog.records))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("say", [as_json, as_php, as_sentences, as_page])
@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "500 Oops"])
async def test_what_a_service_repeats_is_hidden(
    status: str, say: Say, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In whatever form it comes, an error shows no credential, no address and no number."""
    server = FaultServer(echo(status, say))
    async with server.listening(), shop_on("httpx", server.url, retry=Retry(attempts=1)) as shop:
        with recording() as seen:
            error = await failure_of(shop.call(KINDS[kind]))
    assert type(error) is error_for_status(int(status[:3]))
    assert nothing_of(error, caplog)
    assert not spilled(shown_by_recording(seen))


@pytest.mark.parametrize("say", [as_json, as_php, as_sentences, as_page])
async def test_a_refused_login_does_not_tell_the_password(say: Say, caplog: pytest.LogCaptureFixture) -> None:
    """It was in the body, and the service quotes it."""
    server = FaultServer(echo("401 Unauthorized", say))
    login = SessionLogin(canaries.USERNAME, canaries.PASSWORD)
    async with server.listening(), KlickTipp(login, base_url=server.url) as kt:
        error = await failure_of(kt.tags.all())
    assert type(error) is errors.InvalidCredentials
    assert nothing_of(error, caplog)


@pytest.mark.parametrize("status", ["200 OK", "422 Unprocessable Content"])
async def test_a_refusal_of_doxie_does_not_tell_the_credentials(status: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the Basic credentials nor the token, though the service's own words are part of the error."""

    def say(seen: Received) -> bytes:
        return json.dumps({"success": False, "error_message": f"{seen.headers['authorization']} is invalid"}).encode()

    server = FaultServer(echo(status, say))
    user, admin = Basic(canaries.USERNAME, canaries.PASSWORD), Bearer(canaries.TOKEN)
    async with server.listening(), Doxie("ts", api_user=user, admin=admin, base_url=server.url) as doxie:
        for act in (lambda: doxie.mailer.send("rechnung", {}), lambda: doxie.admin.brands.delete(1)):
            error = await failure_of(act())
            assert isinstance(error, Rejected) == (status == "200 OK")
            assert "[hidden] is invalid" in str(error)
            assert nothing_of(error, caplog)
