"""Connections of the aiohttp wire: kept, never asked twice, never heard unasked, never left open."""

import asyncio
import gc
import select
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Generator
from pathlib import Path
from typing import Literal

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute

from klickdoxie_core.wire import pool
from klickdoxie_core.wire.base import Failure, Response, WireFailure
from tests.core.wire.raw_server import (
    Peer,
    after_request,
    answer,
    answer_bytes,
    ask,
    client_tls,
    make_certificate,
    server_tls,
    serving,
)

pytest.importorskip("aiohttp")
from klickdoxie_core.wire.aiohttp_wire import AiohttpWire

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, since aiohttp runs nowhere else."""
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_left_over() -> Generator[None, None, None]:
    """Find sockets and tasks that nobody closed or awaited: their warnings are errors."""
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no system trusts."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext | None:
    """What a server needs to speak TLS, which our sessions trust, and None to speak in clear."""
    context = client_tls(certificate)
    monkeypatch.setattr(pool, "shared_ssl_context", lambda: context)
    return server_tls(certificate) if request.param == "https" else None


@pytest.fixture
async def wire() -> AsyncGenerator[AiohttpWire, None]:
    """A wire on a session of our own."""
    wire = AiohttpWire()
    yield wire
    await wire.aclose()


async def failure_of(call: Awaitable[object]) -> WireFailure:
    """The failure that a call ends in."""
    with pytest.raises(WireFailure) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_kept_connection_that_ends_as_the_request_arrives_is_not_asked_again(
    wire: AiohttpWire, tls: ssl.SSLContext | None, method: str, end: Literal["close", "reset"]
) -> None:
    """Not even a GET: whether a request is sent again is decided elsewhere, and that it was sent is told."""
    async with serving(answer(), after_request(b"", end=end), answer(), tls=tls) as server:
        await wire.send(ask(server.url))
        failure = await failure_of(wire.send(ask(server.url, method=method)))
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        assert [seen.connection for seen in server.requests] == [1, 1]
        assert (await wire.send(ask(server.url))).status == 200
        assert server.accepted == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_has_ended_is_not_used(
    wire: AiohttpWire, tls: ssl.SSLContext | None, method: str
) -> None:
    """Even where the event loop has not come to its end yet; nothing is lost and nothing in doubt."""
    peers: list[Peer] = []

    async def answer_and_wait(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer_bytes())
        peers.append(peer)

    async with serving(answer_and_wait, tls=tls) as server:
        for number in range(1, 6):
            await wire.send(ask(server.url, method=method))
            await server.until(lambda number=number: len(peers) == number)
            # At once, so that the event loop has no turn before the next request.
            peers[-1].socket.extra(SocketAttribute.raw_socket).shutdown(socket.SHUT_WR)
        assert (server.accepted, len(server.requests)) == (5, 5)


async def test_where_there_is_no_poll_the_end_of_a_connection_is_seen_too(
    wire: AiohttpWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has another function for it."""
    monkeypatch.delattr(select, "poll")
    await test_a_kept_connection_that_has_ended_is_not_used(wire, None, "POST")


async def test_all_kept_connections_may_have_ended(wire: AiohttpWire) -> None:
    """Each is left, and a new one made; where nobody listens any more, that is what fails."""
    end = anyio.Event()

    async def answer_and_close_later(peer: Peer) -> None:
        await peer.request()
        if end.is_set():
            await peer.send(answer_bytes(b"[1]"))
            return
        everybody.append(peer)
        await peer.send(answer_bytes())
        await end.wait()
        await peer.close()

    everybody: list[Peer] = []
    async with serving(answer_and_close_later) as server:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(wire.send, ask(server.url))
        assert len(everybody) == 5
        end.set()
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).body == b"[1]"
        assert server.accepted == 6
        url = server.url
    failure = await failure_of(wire.send(ask(url)))
    assert (failure.failure, failure.sent) == (Failure.CONNECT, False)


SMUGGLED = answer_bytes(b"smuggled")


@pytest.mark.parametrize("at_the_same_time", [True, False])
async def test_an_answer_that_nobody_asked_for_goes_to_nobody(
    wire: AiohttpWire, tls: ssl.SSLContext | None, *, at_the_same_time: bool
) -> None:
    """What follows a complete answer, at once or on the resting connection, is not taken for the next answer."""

    async def answer_twice(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer_bytes() + SMUGGLED if at_the_same_time else answer_bytes())
        if not at_the_same_time:
            await anyio.lowlevel.checkpoint()
            await peer.send(SMUGGLED)
        await peer.gone()

    async with serving(answer_twice, answer(b"[1]"), tls=tls) as server:
        assert (await wire.send(ask(server.url))).body == b"{}"
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert (await wire.send(ask(server.url))).body == b"[1]"
        assert len(server.requests) == 2


async def test_a_resting_connection_is_closed_after_a_while(wire: AiohttpWire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may close it just as the next request leaves."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.05)
    async with serving(answer()) as server:
        await wire.send(ask(server.url))
        await server.until_open(0)
        await wire.send(ask(server.url))
        assert server.accepted == 2


async def test_closing_closes_every_resting_connection(tls: ssl.SSLContext | None) -> None:
    """Nothing is open and nothing warns, even if the other side never says goodbye."""
    wire = AiohttpWire()

    async def answer_and_sleep(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer_bytes())
        await anyio.sleep_forever()

    async with serving(answer(), answer(), answer_and_sleep, tls=tls) as server:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wire.send, ask(server.url))
        await wire.aclose()
        await server.until_open(1)


def has_hung_up(peer: Peer) -> bool:
    """Whether the client's side of a connection is really gone, below TLS."""
    poll = select.poll()
    poll.register(peer.socket.extra(SocketAttribute.raw_socket), select.POLLRDHUP)
    return bool(poll.poll(0))


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="only Linux tells who has hung up")
@pytest.mark.parametrize("headers", [(), ("Connection: close",)])
async def test_a_peer_that_sleeps_cannot_keep_a_socket_open(
    wire: AiohttpWire, tls: ssl.SSLContext | None, headers: tuple[str, ...]
) -> None:
    """A call that has failed, and an answer that was the last, leave nothing that waits for a goodbye."""
    peers: list[Peer] = []

    async def answer_and_sleep(peer: Peer) -> None:
        peers.append(peer)
        await peer.request()
        await peer.send(answer_bytes(headers=headers) if headers else b"HTTP/1.1 200 OK\r\n")
        await anyio.sleep_forever()

    async with serving(answer_and_sleep, tls=tls) as server:
        if headers:
            assert (await wire.send(ask(server.url))).status == 200
        else:
            failure = await failure_of(wire.send(ask(server.url, timeout=0.1)))
            assert (failure.failure, failure.sent) == (Failure.TIMEOUT, True)
        with anyio.fail_after(2.0):
            while not has_hung_up(peers[0]):
                await anyio.lowlevel.checkpoint()


def test_an_event_loop_may_end_with_the_wire() -> None:
    """Whoever runs the event loop by hand, and closes it at once, finds nothing left of a call that failed."""

    async def fail() -> None:
        wire = AiohttpWire()
        failure = await failure_of(wire.send(ask(url, timeout=0.05)))
        assert (failure.failure, failure.sent) == (Failure.TIMEOUT, True)
        await wire.aclose()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        loop = asyncio.new_event_loop()
        loop.run_until_complete(fail())
        loop.close()


async def test_closing_lets_those_under_way_end(wire: AiohttpWire) -> None:
    """Their answers are read; then their connections close, and nothing is sent any more."""
    go_on = anyio.Event()
    answers: list[Response] = []

    async def wait_and_answer(peer: Peer) -> None:
        await peer.request()
        await go_on.wait()
        await peer.send(answer_bytes())

    async def call(url: str) -> None:
        answers.append(await wire.send(ask(url)))

    async with serving(wait_and_answer) as server:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call, server.url)
            await server.until_requests(3)
            await wire.aclose()
            failure = await failure_of(wire.send(ask(server.url)))
            assert (failure.failure, failure.sent) == (Failure.CLOSED, False)
            go_on.set()
        assert [response.status for response in answers] == [200] * 3
        await server.until_open(0)


async def test_hundreds_of_calls_at_a_time_all_succeed(wire: AiohttpWire) -> None:
    """How many are under way at once is decided by the limiter in front, not here."""
    async with serving(answer()) as server:
        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(wire.send, ask(server.url, timeout=20.0))
        assert len(server.requests) == 200
