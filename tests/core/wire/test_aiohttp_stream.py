"""Bodies that are read while the aiohttp wire sends them: the tests of the other wire, and whose task reads them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from klickdoxie_core.wire.base import Failure, WireFailure
from tests.core import test_stream
from tests.core.test_stream import (  # noqa: F401 - the same tests, on the wire of this file
    WHOLE,
    Source,
    streamed,
    test_a_cancelled_call_closes_the_source,
    test_a_length_that_is_wrong,
    test_the_source_is_closed_however_it_ends,
    test_the_sources_own_error_comes_as_it_is,
    test_what_arrives,
    test_without_a_connection_nothing_is_started,
)
from tests.core.wire.raw_server import Peer, Play, after_request, answer, answer_bytes, ask, serving

aiohttp = pytest.importorskip("aiohttp")
from klickdoxie_core.wire.aiohttp_wire import AiohttpWire  # noqa: E402 - only where aiohttp is installed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, since aiohttp runs nowhere else."""
    return "asyncio"


@contextlib.asynccontextmanager
async def a_wire(*, given: bool = False) -> AsyncIterator[AiohttpWire]:
    """A wire on a session of its own; on request over one that is given."""
    async with aiohttp.ClientSession() as session:
        wire = AiohttpWire(session if given else None)
        try:
            yield wire
        finally:
            await wire.aclose()


@pytest.fixture(autouse=True)
def wires(monkeypatch: pytest.MonkeyPatch) -> None:
    """The imported tests make theirs with the function of this file."""
    monkeypatch.setattr(test_stream, "a_wire", a_wire)


async def _reset(peer: Peer) -> None:
    await peer.head()
    await peer.reset()


@pytest.mark.parametrize("play", [_reset, after_request(b"", end="hang"), answer()])
async def test_the_source_is_read_and_closed_by_one_task(play: Play) -> None:
    """What belongs to a task, as a cancel scope does, can be held from the first piece to the last."""
    tasks: list[object] = []

    async def source() -> AsyncIterator[bytes]:
        tasks.append(asyncio.current_task())
        try:
            while True:
                yield bytes(65536)
        finally:
            tasks.append(asyncio.current_task())

    async with serving(play) as server, a_wire() as wire:
        with contextlib.suppress(WireFailure):
            await wire.send(ask(server.url, body=source, headers={}, timeout=0.2))
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


async def test_a_source_that_cannot_be_closed_says_so() -> None:
    """What it raises comes as it is, and nobody waits for ever."""

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"a"
        finally:
            msg = "its own"
            raise ValueError(msg)

    async with serving(after_request(b"", end="hang")) as server, a_wire() as wire:
        with pytest.raises(ValueError, match="its own"):
            await wire.send(streamed(server.url, source))


async def test_a_source_that_is_left_and_fails_says_so() -> None:
    """It has more than it said, and cannot be closed either."""

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"ab"
        finally:
            msg = "its own"
            raise ValueError(msg)

    async with serving(after_request(b"", end="hang")) as server, a_wire() as wire:
        with anyio.fail_after(1.5), pytest.raises(ValueError, match="its own"):
            await wire.send(ask(server.url, body=source, headers={"content-length": "1"}))
        await server.until_open(0)


async def test_a_source_that_fails_after_an_early_answer_began_is_heard() -> None:
    """Nobody waits for the rest of an answer that needs the rest of the body."""

    async def begin_an_answer(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer_bytes(b"x" * 50)[:-40])
        started.set()
        await peer.gone()

    started = anyio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        await started.wait()
        await anyio.sleep(0.01)
        msg = "its own"
        raise ValueError(msg)

    async with serving(begin_an_answer) as server, a_wire() as wire:
        with anyio.fail_after(1.5), pytest.raises(ValueError, match="its own"):
            await wire.send(streamed(server.url, source))
        await server.until_open(0)


@pytest.mark.parametrize("error", [TimeoutError("its own"), RuntimeError("its own")], ids=repr)
async def test_a_source_that_ran_out_of_time_is_not_the_attempt(error: Exception) -> None:
    """Its own TimeoutError comes as it is."""
    source = Source(b"a", error=error)
    async with serving(after_request(b"", end="hang")) as server, a_wire() as wire:
        with pytest.raises(type(error), match="its own"):
            await wire.send(streamed(server.url, source.open))


async def test_a_kept_connection_that_has_ended_costs_nothing_of_the_body() -> None:
    """The source is started once, for the connection that the body is really sent on."""

    async def answer_and_close(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer_bytes())
        await peer.close()

    bodies: list[bytes] = []

    async def read(peer: Peer) -> None:
        await peer.head()
        bodies.append(await test_stream.read_chunked(peer))
        await peer.send(answer_bytes())

    source = Source()
    async with serving(answer_and_close, read) as server, a_wire() as wire:
        await wire.send(ask(server.url))
        await server.until_open(0)
        await wire.send(streamed(server.url, source.open))
    assert (bodies, source.started, source.closed) == ([WHOLE], 1, 1)


async def test_an_attempt_is_over_in_time_however_slow_the_source() -> None:
    """The source is cancelled, and closed before the call returns."""
    closed: list[bool] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    async with serving(after_request(b"", end="hang"), answer()) as server, a_wire() as wire:
        request: Any = streamed(server.url, source)
        with pytest.raises(WireFailure) as caught:
            await wire.send(ask(server.url, body=request.body, headers={}, timeout=0.05))
        assert (caught.value.failure, caught.value.sent, closed) == (Failure.TIMEOUT, True, [True])
        await server.until_open(0)
