"""The pool of single connections: kept and reused, the last one first, closed in time, never given back broken."""

import gzip
import time
from collections.abc import AsyncGenerator

import anyio
import httpx
import pytest

from klickdoxie_core.wire.base import Failure, WireFailure
from klickdoxie_core.wire.httpx_wire import HttpxWire
from klickdoxie_core.wire.pool import IDLE_SECONDS
from tests.core.wire.raw_server import (
    GENERATORS_LEFT,
    Peer,
    Play,
    RawServer,
    after_request,
    answer,
    answer_bytes,
    ask,
    at_once,
    serving,
)

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]


class HeldTime:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


@pytest.fixture
def held() -> HeldTime:
    """The time of the pool under test."""
    return HeldTime()


@pytest.fixture
async def wire(held: HeldTime) -> AsyncGenerator[HttpxWire, None]:
    """A wire on a pool of our own."""
    wire = HttpxWire.default(held)
    yield wire
    await wire.aclose()


async def send_together(wire: HttpxWire, server: RawServer, number: int) -> None:
    """Send so many requests at a time and wait for all of them."""
    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(wire.send, ask(server.url))


async def test_calls_in_a_row_share_one_connection(wire: HttpxWire) -> None:
    """Twenty calls, one connection."""
    async with serving(answer()) as server:
        for _ in range(20):
            await wire.send(ask(server.url))
        assert (server.accepted, len(server.requests)) == (1, 20)


async def test_calls_at_a_time_have_a_connection_each_and_keep_it(wire: HttpxWire) -> None:
    """Eight at once open eight connections; the next eight open none."""
    together = anyio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        if len(server.requests) % 8 == 0:
            together.set()
        await together.wait()
        await peer.send(answer_bytes())

    async with serving(play) as server:
        await send_together(wire, server, 8)
        assert server.accepted == 8
        together = anyio.Event()
        await send_together(wire, server, 8)
        assert (server.accepted, server.open) == (8, 8)


async def test_the_connection_used_last_is_used_first(wire: HttpxWire) -> None:
    """Of three that rest, the one whose answer came last carries all further calls."""
    gates = [anyio.Event() for _ in range(3)]

    async def gated(peer: Peer) -> None:
        await peer.request()
        await gates[peer.number - 1].wait()
        await peer.send(answer_bytes())

    async def call(done: anyio.Event) -> None:
        await wire.send(ask(server.url))
        done.set()

    async with serving(gated) as server, anyio.create_task_group() as group:
        done = [anyio.Event() for _ in gates]
        for number, event in enumerate(done, start=1):
            group.start_soon(call, event)
            await server.until_requests(number)
        for number in (1, 3, 2):
            gates[number - 1].set()
            await done[number - 1].wait()
        for _ in range(3):
            await wire.send(ask(server.url))
        assert [seen.connection for seen in server.requests] == [1, 2, 3, 2, 2, 2]


async def test_idle_connections_are_closed_after_a_while(wire: HttpxWire, held: HeldTime) -> None:
    """The next call that ends closes those that have rested too long, and keeps the one it used."""
    async with serving(answer()) as server:
        await open_connections(wire, server, 4)
        held.now += IDLE_SECONDS
        await wire.send(ask(server.url))
        assert server.open == 4
        held.now += 0.1
        await wire.send(ask(server.url))
        await server.until_open(1)
        assert server.accepted == 4


async def open_connections(wire: HttpxWire, server: RawServer, number: int) -> None:
    """Make so many connections that rest; the server answers none before all have asked."""
    before = server.accepted
    hold_back = anyio.Event()
    send = Peer.send

    async def held_back(peer: Peer, data: bytes) -> None:
        await hold_back.wait()
        await send(peer, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Peer, "send", held_back)
        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(wire.send, ask(server.url))
            await server.until(lambda: server.accepted == before + number)
            hold_back.set()


async def test_closing_idle_connections_does_not_disturb_other_calls(
    wire: HttpxWire, held: HeldTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one call closes what is old, another may borrow the last that rests."""
    closing, go_on, gate = anyio.Event(), anyio.Event(), anyio.Event()
    aclose = httpx.AsyncHTTPTransport.aclose

    async def slow_aclose(transport: httpx.AsyncHTTPTransport) -> None:
        closing.set()
        await go_on.wait()
        await aclose(transport)

    async def gated(peer: Peer) -> None:
        await peer.request()
        await gate.wait()
        await peer.send(answer_bytes())

    async with serving(answer(), answer(), answer(), gated, answer()) as server:
        await open_connections(wire, server, 2)
        held.now += 2 * IDLE_SECONDS
        monkeypatch.setattr(httpx.AsyncHTTPTransport, "aclose", slow_aclose)
        async with anyio.create_task_group() as group:
            group.start_soon(wire.send, ask(server.url))
            await closing.wait()
            group.start_soon(wire.send, ask(server.url))
            await server.until_requests(4)
            go_on.set()
            await server.until_open(1)
            gate.set()
        await wire.send(ask(server.url))
        assert server.accepted == 2


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_connection_that_the_server_closed_is_replaced(wire: HttpxWire, end: str) -> None:
    """A server may close what rests; the next call opens a new one and does not fail."""
    goodbye = anyio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer_bytes())
        await goodbye.wait()
        await (peer.close() if end == "close" else peer.reset())

    async with serving(play, answer()) as server:
        await wire.send(ask(server.url))
        goodbye.set()
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).status == 200
        assert [seen.connection for seen in server.requests] == [1, 2]


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(answer(headers=("Connection: close",)), id="Connection: close"),
        pytest.param(after_request(b"HTTP/1.0 200 OK\r\n\r\n{}", end="close"), id="ended by closing"),
    ],
)
async def test_an_answer_that_ends_its_connection_leaves_nothing_open(wire: HttpxWire, play: Play) -> None:
    """The answer is whole, and the next call has a new connection."""
    async with serving(play, answer(b"[]")) as server:
        assert (await wire.send(ask(server.url))).body == b"{}"
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).body == b"[]"
        assert server.accepted == 2


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(after_request(answer_bytes(b"{}" * 50)[:-20], end="close"), id="cut body"),
        pytest.param(after_request(answer_bytes(b"{}" * 50)[:-20], end="reset"), id="reset in the body"),
        pytest.param(after_request(answer_bytes(b"{}" * 50)[:-20], end="hang"), id="silence in the body"),
        pytest.param(after_request(b"", end="hang"), id="no answer"),
        pytest.param(
            after_request(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nhm\r\n", end="hang"),
            id="bad chunk",
        ),
        pytest.param(answer(b"x" * 2000), id="too large by its length"),
        pytest.param(
            after_request(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5dc\r\n" + b"x" * 1500, end="hang"),
            id="too large as it comes",
        ),
        pytest.param(answer(b"no gzip" * 100, headers=("Content-Encoding: gzip",)), id="damaged gzip"),
        pytest.param(answer(gzip.compress(b"{}") + b"junk", headers=("Content-Encoding: gzip",)), id="gzip and junk"),
        pytest.param(answer(headers=("Content-Encoding: br",)), id="unknown encoding"),
        pytest.param(at_once(b"220 mail.test ESMTP\r\n", end="hang"), id="another protocol"),
    ],
)
async def test_a_broken_exchange_never_returns_to_the_pool(wire: HttpxWire, play: Play) -> None:
    """Its connection is closed at once, and the next call has a new one."""
    async with serving(play, answer()) as server:
        with pytest.raises(WireFailure):
            await wire.send(ask(server.url, timeout=0.1, max_body=1000))
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).body == b"{}"
        assert (server.accepted, server.open) == (2, 1)


async def test_closing_leaves_no_connection_open() -> None:
    """All that rest are closed, and closing again does nothing."""
    wire = HttpxWire.default(time.monotonic)
    async with serving(answer()) as server:
        await open_connections(wire, server, 6)
        assert server.open == 6
        await wire.aclose()
        await server.until_open(0)
        await wire.aclose()


async def test_closing_lets_a_call_under_way_finish_and_keeps_nothing() -> None:
    """Its answer still comes, its connection is closed after it, and no further call is taken."""
    wire = HttpxWire.default(time.monotonic)
    go_on = anyio.Event()
    statuses: list[int] = []

    async def slow(peer: Peer) -> None:
        await peer.request()
        await go_on.wait()
        await peer.send(answer_bytes())

    async def call() -> None:
        statuses.append((await wire.send(ask(server.url))).status)

    async with serving(slow) as server:
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await server.until_requests(1)
            await wire.aclose()
            go_on.set()
        await server.until_open(0)
        assert statuses == [200]
        with pytest.raises(WireFailure) as caught:
            await wire.send(ask(server.url))
        assert (caught.value.failure, caught.value.sent) == (Failure.CLOSED, False)
        assert server.accepted == 1


async def test_hundreds_of_calls_at_a_time_all_succeed(wire: HttpxWire) -> None:
    """The pool has no queue and no bound of its own."""
    async with serving(answer()) as server:
        await send_together(wire, server, 200)
        assert len(server.requests) == 200
