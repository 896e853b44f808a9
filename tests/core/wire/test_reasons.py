"""Why there is no connection, in plain words: from the errors that the libraries chain, and what the caller reads."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
import httpx
import pytest

from klickdoxie_core import ApiClient
from klickdoxie_core.errors import ConnectFailed, DeadlineExceeded
from klickdoxie_core.wire.base import Failure, WireFailure
from klickdoxie_core.wire.reasons import why_unconnected
from tests.core.support import Client, FakeClock, ScriptedWire, a_call, failure_of
from tests.core.wire.raw_server import refusing_port


def chained(outer: Exception, *causes: BaseException) -> Exception:
    """An error as a library raises it from another one."""
    error: BaseException = outer
    for cause in causes:
        error.__cause__ = cause
        error = cause
    return outer


REFUSED = OSError(errno.ECONNREFUSED, "geheim")
UNREACHABLE = OSError(errno.ENETUNREACH, "geheim")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (chained(httpx.ConnectError("geheim"), OSError("all failed"), REFUSED), "connection refused"),
        (chained(httpx.ConnectError("x"), ExceptionGroup("two", [UNREACHABLE, REFUSED])), "connection refused"),
        (chained(httpx.ConnectError("x"), UNREACHABLE), "network unreachable"),
        (chained(httpx.ConnectError("x"), OSError(errno.EHOSTUNREACH, "")), "network unreachable"),
        (chained(httpx.ConnectError("x"), OSError(errno.ETIMEDOUT, "")), "timed out while connecting"),
        (chained(httpx.ConnectError("x"), socket.gaierror(socket.EAI_NONAME, "geheim")), "name not found"),
        (chained(httpx.ConnectError("x"), ssl.SSLError(1, "WRONG_VERSION_NUMBER")), "TLS failed"),
        (chained(httpx.ConnectError("x"), anyio.BrokenResourceError(), ssl.SSLError()), "TLS failed"),
        (chained(httpx.ConnectError("x"), anyio.EndOfStream()), "the other side hung up"),
        (chained(httpx.ConnectError("x"), ConnectionResetError(errno.ECONNRESET, "")), "the other side hung up"),
        (httpx.ConnectTimeout("x"), "timed out while connecting"),
        (httpx.PoolTimeout("x"), "none was free in time"),
        (httpx.ProxyError("407 geheim"), "the proxy refused"),
        (aiohttp.ConnectionTimeoutError(), "timed out while connecting"),
        (httpx.ConnectError("geheim"), "ConnectError"),
    ],
)
def test_reasons(error: Exception, reason: str) -> None:
    """The cause that says most wins; a library's own text is never quoted, and a class is better than nothing."""
    assert why_unconnected(error) == reason


def test_causes_that_go_round_come_to_an_end() -> None:
    """Two errors may name each other."""
    first, second = OSError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first
    assert why_unconnected(first) == "OSError"


@pytest.mark.anyio
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
async def test_the_error_names_the_origin_and_the_reason(library: str, given: bool, anyio_backend: str) -> None:
    """Where it was sent to and why that failed, but never the path."""
    if library == "aiohttp" and anyio_backend != "asyncio":
        pytest.skip("aiohttp needs asyncio")
    origin = f"http://127.0.0.1:{refusing_port()}"
    http: Any = (aiohttp.ClientSession if library == "aiohttp" else httpx.AsyncClient)() if given else library
    close: Callable[[], Any] = (
        getattr(http, "aclose", None) or getattr(http, "close", None) or anyio.lowlevel.checkpoint
    )
    try:
        async with ApiClient(
            {}, base_url=f"{origin}/geheim", http=None if http == "httpx" else http, clock=FakeClock().clock()
        ) as client:
            caught = await failure_of(client.run(a_call()))
    finally:
        await close()
    assert type(caught) is ConnectFailed
    assert caught.message == f"no connection to {origin} could be made (connection refused)"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            WireFailure(Failure.TIMEOUT, sent=False),
            "no connection to https://api.example.com could be made (timed out while connecting)",
        ),
        (
            WireFailure(Failure.CERTIFICATE, sent=False),
            "the server's certificate was not accepted (https://api.example.com)",
        ),
        (
            WireFailure(Failure.CERTIFICATE, sent=False, detail="certificate has expired"),
            "the server's certificate was not accepted (https://api.example.com: certificate has expired; to trust "
            "other certificates, hand in an HTTP client of your own: see docs/http-clients.md)",
        ),
        (
            WireFailure(Failure.CONNECT, sent=False, detail="name not found", proxy="proxy.example:3128"),
            "no connection to the proxy proxy.example:3128 could be made (name not found)",
        ),
        (
            WireFailure(Failure.PROXY, sent=False, detail="the proxy proxy.example:3128 answered 407"),
            "no connection to https://api.example.com could be made (the proxy proxy.example:3128 answered 407)",
        ),
        (WireFailure(Failure.TIMEOUT, sent=True), "the attempt took longer than its timeout"),
        (
            WireFailure(Failure.INTERRUPTED, sent=True, detail="ReadError"),
            "the connection broke before the answer was complete (ReadError)",
        ),
    ],
)
async def test_only_what_was_never_sent_names_the_origin(failure: WireFailure, said: str) -> None:
    """Behind a connection there is no doubt of where it led."""
    caught = await failure_of(Client(ScriptedWire(*[failure] * 3)).run(a_call()))
    assert caught.message == said


@pytest.mark.anyio
async def test_a_connection_that_takes_all_the_time() -> None:
    """The deadline ends the call, and the text says what the time was spent on."""
    client = Client(ScriptedWire(lambda _: late(client)), deadline=5.0)

    def late(client: Client) -> WireFailure:
        client.time.time += 5
        return WireFailure(Failure.TIMEOUT, sent=False)

    caught = await failure_of(client.run(a_call()))
    assert type(caught) is DeadlineExceeded
    assert "no connection to https://api.example.com could be made (timed out while connecting)" in str(caught)
