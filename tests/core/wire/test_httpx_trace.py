"""What the wire makes of what httpx says on the way, and of an answer that nobody reads to its end."""

from __future__ import annotations

from typing import Any, Self

import httpx
import pytest

from klickdoxie_core.wire.base import Failure, WireFailure
from klickdoxie_core.wire.httpx_wire import _MOST_PIECES_LEFT, HttpxWire, _end
from tests.core.wire.raw_server import ask

pytestmark = pytest.mark.anyio


async def failure_after(event: str, info: dict[str, Any], error: Exception) -> WireFailure:
    """The failure of a request whose transport tells this, after its headers were started, and then raises."""

    async def handler(request: httpx.Request) -> httpx.Response:
        trace = request.extensions["trace"]
        if event.startswith("http"):
            await trace(f"{event.partition('.')[0]}.send_request_headers.started", {"request": None})
        await trace(event, info)
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler), trust_env=False) as client:
        with pytest.raises(WireFailure) as caught:
            await HttpxWire(client, owned=False).send(ask("http://dienst.test/tag"))
    return caught.value


@pytest.mark.parametrize(
    ("protocol", "told", "status"),
    [("http11", (b"HTTP/1.1", 302, b"Found", []), 302), ("http2", (302, [(b"location", b"/x")]), None)],
)
async def test_a_status_is_known_where_the_protocol_tells_it(protocol: str, told: object, status: int | None) -> None:
    """HTTP/2 tells the same event in another form, which is not taken for a status."""
    event, error = f"{protocol}.receive_response_headers.complete", httpx.RemoteProtocolError("x")
    failure = await failure_after(event, {"return_value": told}, error)
    assert (failure.failure, failure.sent, failure.status) == (Failure.INTERRUPTED, True, status)


async def test_a_handshake_over_a_connection_that_was_not_seen() -> None:
    """A transport of the caller's own may tell of the handshake alone; there is no socket to close, then."""
    failure = await failure_after("connection.start_tls.failed", {}, httpx.ConnectError("x"))
    assert (failure.failure, failure.sent) == (Failure.CONNECT, False)


class Endless:
    """An answer that always has one piece more, at once."""

    def __init__(self) -> None:
        self.read = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self.read += 1
        return b"x"


async def test_an_answer_without_an_end_is_left_after_some_pieces() -> None:
    """What never waits is never cancelled."""
    endless = Endless()
    await _end(endless)
    assert endless.read == _MOST_PIECES_LEFT
