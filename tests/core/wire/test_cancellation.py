"""Cancelled calls: they end at once, take only their own connection along, and leave the wire as good as new."""

import asyncio
import gc
import importlib
import os
import random
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from klickdoxie_core.wire import pool
from klickdoxie_core.wire.base import Response, WireFailure
from klickdoxie_core.wire.httpx_wire import HttpxWire
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
    client_tls,
    make_certificate,
    server_tls,
    serving,
)

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
CONNECTIONS = 10


@pytest.fixture(params=[os.environ.get("KLICKDOXIE_HTTP", "httpx")])
def library(request: pytest.FixtureRequest) -> Any:
    """The HTTP library whose client is brought: httpx, or what KLICKDOXIE_HTTP says."""
    return importlib.import_module(request.param)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no system trusts, which every wire here trusts."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["own pool", "given client"])
async def wire(
    request: pytest.FixtureRequest, library: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[HttpxWire, None]:
    """A wire on our own pool, and one on a given client that has ten connections."""
    trust = client_tls(certificate)
    if request.param == "own pool":
        monkeypatch.setattr(pool, "shared_ssl_context", lambda: trust)
        wire = HttpxWire.default(time.monotonic)
        yield wire
        await wire.aclose()
    else:
        limits = library.Limits(max_connections=CONNECTIONS)
        async with library.AsyncClient(limits=limits, verify=trust) as client:
            yield HttpxWire(client, owned=False)


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, certificate: Path) -> ssl.SSLContext | None:
    """What a server needs to speak TLS, and None to speak in clear."""
    return server_tls(certificate) if request.param == "https" else None


@pytest.fixture(autouse=True)
def nothing_left_over() -> Generator[None, None, None]:
    """Find sockets and tasks that nobody closed or awaited: their warnings are errors."""
    gc.freeze()  # what was there before does not have to be looked through again
    yield
    gc.collect()
    gc.unfreeze()


class Crowd:
    """A service that answers at once, or only when ten requests wait for an answer at a time."""

    def __init__(self) -> None:
        self._waiting = 0
        self._complete = anyio.Event()
        self._complete.set()

    async def play(self, peer: Peer) -> None:
        """Read a request and answer it, perhaps later."""
        await peer.request()
        self._waiting += 1
        if self._waiting == CONNECTIONS:
            self._complete.set()
        await self._complete.wait()
        await peer.send(answer_bytes())

    async def must_come(self, wire: HttpxWire, server: RawServer) -> None:
        """Send thirty calls at a time; all must succeed, and ten of them must be under way at once."""
        self._waiting = 0
        self._complete = anyio.Event()
        statuses: list[int] = []

        async def call() -> None:
            statuses.append((await wire.send(ask(server.url))).status)

        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(call)
        assert statuses == [200] * 30


async def cancelled_natively(wire: HttpxWire, url: str, ticks: int) -> bool:
    """Whether a call was still under way when its task was cancelled after so many turns of the event loop."""
    task = asyncio.create_task(wire.send(ask(url)))
    for _ in range(ticks):
        await checkpoint()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


async def cancelled_by_scope(wire: HttpxWire, url: str, ticks: int) -> bool:
    """The same with a cancel scope."""
    responses: list[Response] = []

    async def call() -> None:
        responses.append(await wire.send(ask(url)))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        for _ in range(ticks):
            await checkpoint()
        group.cancel_scope.cancel()
    return not responses


Cancelled = Callable[[HttpxWire, str, int], Awaitable[bool]]


async def at_every_point(wire: HttpxWire, tls: ssl.SSLContext | None, cancelled: Cancelled) -> None:
    """Cancel a call after 0 to 79 turns, on new and on kept connections."""
    crowd = Crowd()
    async with serving(crowd.play, tls=tls) as server:
        outcomes = [await cancelled(wire, server.url, ticks) for ticks in range(80)]
        await server.until(lambda: server.open <= 1)
        assert outcomes[0]
        assert not outcomes[-1]
        await crowd.must_come(wire, server)
        assert len(server.requests) <= 80 + 30


@on_asyncio
async def test_a_native_cancellation_at_any_point_costs_no_slot(wire: HttpxWire, tls: ssl.SSLContext | None) -> None:
    """Afterwards all ten connections of the client can be used, and none of a cancelled call is left."""
    await at_every_point(wire, tls, cancelled_natively)


async def test_a_cancel_scope_at_any_point_costs_no_slot(wire: HttpxWire, tls: ssl.SSLContext | None) -> None:
    """The same on both event loops."""
    await at_every_point(wire, tls, cancelled_by_scope)


@on_asyncio
async def test_a_full_house_survives_random_native_cancellations(wire: HttpxWire) -> None:
    """Ten callers until two hundred calls were cancelled, some twice: then every call works."""
    chance = random.Random(20)
    crowd = Crowd()
    cancelled = 0

    async def play(peer: Peer) -> None:
        if cancelled >= 200:
            await crowd.play(peer)
            return
        await peer.request()
        await anyio.sleep(chance.random() * 0.002)
        data = answer_bytes(b"[1, 2, 3]" * 100)
        await peer.send(data[:500])
        await anyio.sleep(chance.random() * 0.001)
        await peer.send(data[500:])
        if chance.random() < 0.2:
            await peer.close()

    async def caller(server: RawServer) -> None:
        nonlocal cancelled
        while cancelled < 200:
            task = asyncio.create_task(wire.send(ask(server.url)))
            if chance.random() < 0.7:
                for _ in range(chance.randrange(40)):
                    await checkpoint()
                task.cancel()
                if chance.random() < 0.3:
                    await checkpoint()
                    task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            cancelled += isinstance(outcome, asyncio.CancelledError)
            assert isinstance(outcome, Response | asyncio.CancelledError)

    async with serving(play) as server:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(caller(server))
        await server.until(lambda: server.open <= CONNECTIONS)
        await crowd.must_come(wire, server)


HANGING: dict[str, Play] = {
    "before a word": at_once(end="hang"),
    "before the answer": after_request(b"", end="hang"),
    "in the headers": after_request(b"HTTP/1.1 200 OK\r\nContent-Le", end="hang"),
    "in the body": after_request(answer_bytes(b"x" * 50)[:-20], end="hang"),
    "in a handshake": at_once(end="hang"),
}


@pytest.fixture(params=HANGING)
async def hanging(request: pytest.FixtureRequest) -> AsyncGenerator[tuple[RawServer, str], None]:
    """A server on which every call hangs, and the URL to call."""
    async with serving(HANGING[request.param]) as server:
        yield server, server.url.replace("http:", "https:" if request.param == "in a handshake" else "http:")


async def until_hanging(server: RawServer) -> None:
    """Wait until a call cannot get on any more."""
    await server.until(lambda: server.accepted == 1)
    for _ in range(50):
        await checkpoint()


@on_asyncio
async def test_a_hanging_call_ends_at_once_when_its_task_is_cancelled(
    wire: HttpxWire, hanging: tuple[RawServer, str]
) -> None:
    """Within half a second it is over, its socket is gone, and it was not sent again."""
    server, url = hanging
    task = asyncio.create_task(wire.send(ask(url, timeout=30.0)))
    await until_hanging(server)
    task.cancel()
    with anyio.fail_after(0.5), pytest.raises(asyncio.CancelledError):
        await task
    await server.until_open(0)
    assert server.accepted == 1
    assert len(server.requests) <= 1


async def test_a_hanging_call_ends_at_once_when_its_scope_is_cancelled(
    wire: HttpxWire, hanging: tuple[RawServer, str]
) -> None:
    """The same on both event loops."""
    server, url = hanging
    with anyio.fail_after(5.0):
        async with anyio.create_task_group() as group:
            group.start_soon(wire.send, ask(url, timeout=30.0))
            await until_hanging(server)
            started = time.monotonic()
            group.cancel_scope.cancel()
    assert time.monotonic() - started < 0.5
    await server.until_open(0)
    assert server.accepted == 1
    assert len(server.requests) <= 1


async def under_timeout(call: Coroutine[Any, Any, Response]) -> None:
    """Await it for a moment under `asyncio.timeout`."""
    async with asyncio.timeout(0.05):
        await call


async def under_wait_for(call: Coroutine[Any, Any, Response]) -> None:
    """Await it for a moment under `asyncio.wait_for`."""
    await asyncio.wait_for(call, 0.05)


@on_asyncio
@pytest.mark.parametrize("limited", [under_timeout, under_wait_for])
async def test_the_time_limits_of_asyncio_work(
    wire: HttpxWire, limited: Callable[[Coroutine[Any, Any, Response]], Awaitable[None]]
) -> None:
    """They end in their own TimeoutError, the connection is closed, and the next call works."""
    async with serving(after_request(b"", end="hang"), answer()) as server:
        with pytest.raises(TimeoutError):
            await limited(wire.send(ask(server.url)))
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).status == 200


@on_asyncio
async def test_cancelling_one_call_leaves_the_others_alone(wire: HttpxWire) -> None:
    """Of five that wait for their answers one is cancelled; four come, and one connection closes."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await go_on.wait()
        await peer.send(answer_bytes())

    async with serving(play) as server:
        tasks = [asyncio.create_task(wire.send(ask(server.url))) for _ in range(5)]
        await server.until_requests(5)
        tasks[2].cancel()
        go_on.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await server.until_open(4)
        assert [type(outcome) for outcome in outcomes].count(Response) == 4
        assert isinstance(outcomes[2], asyncio.CancelledError)


async def test_an_attempt_that_times_out_is_no_cancellation(wire: HttpxWire) -> None:
    """It fails as an error of its own, and a scope around it knows nothing of it."""
    async with serving(after_request(b"", end="hang"), answer()) as server:
        with anyio.CancelScope() as scope, pytest.raises(WireFailure):
            await wire.send(ask(server.url, timeout=0.05))
        assert not scope.cancelled_caught
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).status == 200
