"""Answers that are left open: their pieces come at once, their connection comes back or goes, and none is lost."""

import asyncio
import contextlib
import gc
import gzip
import importlib.util
import random
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from klickdoxie_core.wire.base import Failure, Opened, Request, Response, Wire, WireFailure
from klickdoxie_core.wire.httpx_wire import HttpxWire
from tests.core.wire.raw_server import (
    GENERATORS_LEFT,
    End,
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

_AIOHTTP = pytest.mark.skipif(importlib.util.find_spec("aiohttp") is None, reason="aiohttp is an extra")

pytestmark = [
    pytest.mark.anyio,
    GENERATORS_LEFT,
    pytest.mark.parametrize(
        ("anyio_backend", "kind"),
        [
            ("asyncio", "httpx"),
            ("trio", "httpx"),
            ("asyncio", "given httpx"),
            ("trio", "given httpx"),
            pytest.param("asyncio", "aiohttp", marks=_AIOHTTP),
            pytest.param("asyncio", "given aiohttp", marks=_AIOHTTP),
        ],
    ),
]

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
GZIPPED = CHUNKED + b"Content-Encoding: gzip\r\n"
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def nothing_left_over() -> Generator[None, None, None]:
    """Find sockets and tasks that nobody closed or awaited: their warnings are errors."""
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


@pytest.fixture
async def wire(kind: str) -> AsyncGenerator[Wire, None]:
    """A wire of our own, and one over a client that is given and has a single connection."""
    async with contextlib.AsyncExitStack() as stack:
        match kind:
            case "httpx":
                made: Wire = HttpxWire.default(time.monotonic)
            case "given httpx":
                client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=1))
                made = HttpxWire(await stack.enter_async_context(client), owned=False)
            case "aiohttp":
                made = _aiohttp_wire()
            case _:
                made = _aiohttp_wire(await stack.enter_async_context(_session()))
        yield made
        await made.aclose()


def _session() -> Any:
    import aiohttp

    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))


def _aiohttp_wire(session: Any = None) -> Wire:
    from klickdoxie_core.wire.aiohttp_wire import AiohttpWire

    return AiohttpWire(session)


@contextlib.asynccontextmanager
async def opening(wire: Wire, request: Request) -> AsyncGenerator[Opened]:
    """The open answer to a request, closed at the end."""
    opened = await wire.open(request)
    assert isinstance(opened, Opened)
    try:
        yield opened
    finally:
        await opened.aclose()


async def rest_of(opened: Opened) -> bytes:
    """All that is still to come."""
    body = bytearray()
    while piece := await opened.read():
        body += piece
    return bytes(body)


async def read_to_the_end(wire: Wire, server: RawServer) -> bytes:
    """All of one answer."""
    async with opening(wire, ask(server.url)) as opened:
        return await rest_of(opened)


async def failure_of(call: Awaitable[object]) -> WireFailure:
    """The failure that a call ends in."""
    with anyio.fail_after(2), pytest.raises(WireFailure) as caught:
        await call
    return caught.value


async def is_as_good_as_new(wire: Wire, server: RawServer, *, connections: int) -> None:
    """The next call works, and so many connections were made in all; one of them is open."""
    assert (await wire.send(ask(server.url))).status == 200
    await server.until_open(1)
    assert server.accepted == connections


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; an empty one is its end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Slowly:
    """Answers with a head and pieces, each but the first when it is asked for."""

    def __init__(self, head: bytes, *pieces: bytes) -> None:
        self._head = head
        self._pieces = pieces
        self._asked = anyio.Semaphore(0)

    def ask(self) -> None:
        """Let one more piece come."""
        self._asked.release()

    async def play(self, peer: Peer) -> None:
        """Read a request and answer it."""
        await peer.request()
        await peer.send(self._head + self._pieces[0])
        for piece in self._pieces[1:]:
            await self._asked.acquire()
            await peer.send(piece)


@pytest.mark.parametrize(
    ("head", "framed"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n", bytes, id="with a length"),
        pytest.param(CHUNKED + b"\r\n", chunk, id="chunked"),
    ],
)
async def test_pieces_come_before_the_answer_is_complete(
    wire: Wire, head: bytes, framed: Callable[[bytes], bytes]
) -> None:
    """Each is there as soon as it was sent, and at the end the connection is kept."""
    end = chunk(b"") if framed is chunk else b""
    slowly = Slowly(head, framed(b'["1",'), framed(b'"2",'), framed(b'"3"]') + end)
    async with serving(slowly.play, answer()) as server:
        async with opening(wire, ask(server.url)) as opened:
            assert opened.status == 200
            assert await opened.read() == b'["1",'
            slowly.ask()
            assert await opened.read() == b'"2",'
            slowly.ask()
            assert await rest_of(opened) == b'"3"]'
            assert await opened.read() == b""
        await is_as_good_as_new(wire, server, connections=1)


async def test_the_end_of_the_connection_may_be_the_end_of_the_answer(wire: Wire) -> None:
    """An answer without a length goes on until then."""
    data = b"HTTP/1.1 200 OK\r\nX-One: 1\r\nX-One: 2\r\n\r\n[1, 2]"
    async with serving(after_request(data, end="close"), answer()) as server:
        async with opening(wire, ask(server.url)) as opened:
            assert opened.headers["x-one"] == "1, 2"
            assert await rest_of(opened) == b"[1, 2]"
        await is_as_good_as_new(wire, server, connections=2)


async def test_an_empty_answer_has_no_piece(wire: Wire) -> None:
    """Its end comes at once."""
    async with serving(answer(b""), answer()) as server:
        async with opening(wire, ask(server.url)) as opened:
            assert await opened.read() == b""
        await is_as_good_as_new(wire, server, connections=1)


async def test_gzip_is_unpacked_as_it_comes(wire: Wire) -> None:
    """What a packed piece holds is there before the next one was sent."""
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH) for text in ("Süd".encode(), b"West")]
    slowly = Slowly(GZIPPED + b"\r\n", *map(chunk, pieces), chunk(packer.flush()) + chunk(b""))
    async with serving(slowly.play, answer()) as server:
        async with opening(wire, ask(server.url)) as opened:
            assert await opened.read() == "Süd".encode()
            slowly.ask()
            assert await opened.read() == b"West"
            slowly.ask()
            assert await opened.read() == b""
        await is_as_good_as_new(wire, server, connections=1)


async def test_a_small_packed_piece_may_be_a_large_one(wire: Wire) -> None:
    """It is handed out in parts that are small in memory, and none of it is lost."""
    text = b'"29513792",' * 40_000
    packed = gzip.compress(text)
    assert len(packed) < 4096 < 6 * 65536 < len(text)
    data = answer_bytes(packed, headers=("Content-Encoding: gzip",))
    async with serving(after_request(data), answer()) as server:
        async with opening(wire, ask(server.url)) as opened:
            pieces = []
            while piece := await opened.read():
                pieces.append(piece)
        await is_as_good_as_new(wire, server, connections=1)
    assert b"".join(pieces) == text
    assert max(map(len, pieces)) <= 65536


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(answer_bytes(bytes(101)), id="as it says beforehand"),
        pytest.param(CHUNKED + b"\r\n" + chunk(bytes(60)) * 2 + chunk(b""), id="as it turns out"),
        pytest.param(
            answer_bytes(gzip.compress(bytes(MIB)), headers=("Content-Encoding: gzip",)), id="as it is unpacked"
        ),
    ],
)
async def test_more_than_is_allowed_is_not_read(wire: Wire, data: bytes) -> None:
    """It is a failure of the reading; the next call works."""
    async with serving(after_request(data), answer()) as server:
        async with opening(wire, ask(server.url, max_body=100)) as opened:
            failure = await failure_of(rest_of(opened))
        assert (failure.failure, failure.sent, failure.status) == (Failure.TOO_LARGE, True, 200)
        assert failure.detail == "more than 100 bytes"
        assert (await wire.send(ask(server.url))).status == 200
        await server.until_open(1)


async def test_another_packing_is_not_read(wire: Wire) -> None:
    """Nobody has asked for it."""
    data = answer_bytes(b"x", headers=("Content-Encoding: br",))
    async with serving(after_request(data), answer()) as server:
        async with opening(wire, ask(server.url)) as opened:
            failure = await failure_of(opened.read())
        assert (failure.failure, failure.status) == (Failure.ENCODING, 200)
        assert (await wire.send(ask(server.url))).status == 200


BROKEN: dict[str, tuple[bytes, End, Failure]] = {
    "too short": (answer_bytes(b"[1, 2, 3]")[:-4], "close", Failure.INTERRUPTED),
    "reset": (answer_bytes(b"[1, 2, 3]")[:-4], "reset", Failure.INTERRUPTED),
    "without its last chunk": (CHUNKED + b"\r\n" + chunk(b"[1, 2"), "close", Failure.INTERRUPTED),
    "no chunk": (CHUNKED + b"\r\n" + chunk(b"[1, 2") + b"zz\r\n", "hang", Failure.INTERRUPTED),
    "packed and cut": (
        GZIPPED + b"\r\n" + chunk(gzip.compress(b"[1, 2" * 9)[:-9]) + chunk(b""),
        "keep",
        Failure.ENCODING,
    ),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_an_answer_that_breaks_off(wire: Wire, case: str) -> None:
    """The failure knows that the request was sent, and the next call takes another connection."""
    data, end, kind = BROKEN[case]
    async with serving(after_request(data, end=end), answer()) as server:
        failure = await failure_of(read_to_the_end(wire, server))
        assert (failure.failure, failure.sent) == (kind, True)
        assert (await wire.send(ask(server.url))).status == 200
        await server.until_open(1)


@pytest.mark.parametrize("read", [0, 1])
async def test_an_answer_that_is_left_costs_its_connection(wire: Wire, read: int) -> None:
    """With more to come it is no use to anybody; its slot is free at once."""
    async with serving(after_request(CHUNKED + b"\r\n" + chunk(b"[1,"), end="hang"), answer()) as server:
        async with opening(wire, ask(server.url)) as opened:
            for _ in range(read):
                assert await opened.read() == b"[1,"
        await server.until_open(0)
        await is_as_good_as_new(wire, server, connections=2)


async def test_what_was_left_cannot_be_read_on(wire: Wire) -> None:
    """To whoever tries, it has broken off, and not come to its end; closing it once more does nothing."""
    async with serving(after_request(answer_bytes(b"[1, 2]")[:-3], end="hang"), answer()) as server:
        async with opening(wire, ask(server.url)) as opened:
            assert await opened.read() == b"[1,"
        failure = await failure_of(opened.read())
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        await opened.aclose()
        await is_as_good_as_new(wire, server, connections=2)


@pytest.mark.parametrize(
    ("status", "code"),
    [("404 Not Found", 404), ("503 Busy", 503), ("201 Created", 201)],
)
async def test_another_status_is_read_to_its_end(wire: Wire, status: str, code: int) -> None:
    """It is small, and tells what has happened; the connection is kept."""
    async with serving(answer("Größe".encode(), status=status), answer()) as server:
        response = await wire.open(ask(server.url))
        assert isinstance(response, Response)
        assert (response.status, response.body) == (code, "Größe".encode())
        await is_as_good_as_new(wire, server, connections=1)


@pytest.mark.parametrize(
    ("play", "failure", "sent"),
    [
        pytest.param(after_request(b"", end="hang"), Failure.TIMEOUT, True, id="silent"),
        pytest.param(
            after_request(b"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nx", end="hang"), Failure.TIMEOUT, True
        ),
        pytest.param(after_request(b"", end="close"), Failure.INTERRUPTED, True, id="closed"),
        pytest.param(at_once(b"nonsense\r\n\r\n"), Failure.INTERRUPTED, True, id="nonsense"),
    ],
)
async def test_an_answer_that_does_not_begin(wire: Wire, play: Play, failure: Failure, sent: bool) -> None:
    """It fails as every other call does, within its timeout."""
    async with serving(play) as server:
        caught = await failure_of(wire.open(ask(server.url, timeout=0.1)))
        assert (caught.failure, caught.sent) == (failure, sent)
        await server.until_open(0)


async def test_the_timeout_ends_with_the_headers(wire: Wire) -> None:
    """How long the reading takes is up to the reader."""
    slowly = Slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"[1,", b" 2]")
    async with serving(slowly.play) as server, opening(wire, ask(server.url, timeout=0.05)) as opened:
        assert await opened.read() == b"[1,"
        await anyio.sleep(0.1)
        slowly.ask()
        assert await rest_of(opened) == b" 2]"


async def test_a_wire_that_is_closed_lets_the_reader_come_to_the_end(wire: Wire) -> None:
    """What is under way is read first; then nothing is left open, and nothing more is sent by our own."""
    slowly = Slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"[1,", b" 2]")
    async with serving(slowly.play) as server, opening(wire, ask(server.url)) as opened:
        assert await opened.read() == b"[1,"
        await wire.aclose()
        slowly.ask()
        assert await rest_of(opened) == b" 2]"


async def test_a_wire_that_is_closed_lets_go_of_what_is_left(wire: Wire) -> None:
    """An answer that nobody reads to its end holds nothing open."""
    async with serving(after_request(answer_bytes(b"[1, 2]")[:-3], end="hang")) as server:
        async with opening(wire, ask(server.url)) as opened:
            assert await opened.read() == b"[1,"
            await wire.aclose()
        await server.until_open(0)


async def cancelled_natively(act: Callable[[], Coroutine[Any, Any, None]], ticks: int) -> None:
    """Cancel it after so many turns of the event loop by `task.cancel()`."""
    task = asyncio.ensure_future(act())
    for _ in range(ticks):
        await anyio.lowlevel.checkpoint()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def cancelled_by_scope(act: Callable[[], Coroutine[Any, Any, None]], ticks: int) -> None:
    """The same with a cancel scope."""
    async with anyio.create_task_group() as group:
        group.start_soon(act)
        for _ in range(ticks):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()


@pytest.mark.parametrize("left", [False, True])
async def test_cancelled_at_any_point(wire: Wire, anyio_backend: str, left: bool) -> None:
    """Asking, reading, or closing it: the only connection of a client is there for the next call."""
    ways = [cancelled_by_scope, *([cancelled_natively] if anyio_backend == "asyncio" else [])]
    slow, ends = random.Random(4), 0

    async def play(peer: Peer) -> None:
        await peer.request()
        for piece in (CHUNKED + b"\r\n", chunk(b"[1,"), chunk(b"2]") + chunk(b"")):
            await peer.send(piece)
            for _ in range(slow.randrange(3)):
                await anyio.lowlevel.checkpoint()

    async with serving(play) as server:

        async def act() -> None:
            nonlocal ends
            async with opening(wire, ask(server.url)) as opened:
                await (opened.read() if left else rest_of(opened))
            ends += 1

        for cancelled in ways:
            for ticks in range(60):
                await cancelled(act, ticks)
        assert 0 < ends < 60 * len(ways)
        await server.until(lambda: server.open <= 1)
        assert await read_to_the_end(wire, server) == b"[1,2]"


async def test_cancelled_just_as_the_answer_is_there(wire: Wire, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody gets to see is closed."""
    given: Any = wire
    if "httpx" in kind:
        place, name = given._client, "send"
    else:
        import aiohttp

        place, name = aiohttp.ClientSession, "request"
    ask_first = getattr(place, name)

    async def ask_and_cancel(*args: Any, **options: Any) -> Any:
        response = await ask_first(*args, **options)
        scope.cancel()
        return response

    async with serving(after_request(answer_bytes(b"[1, 2]")[:-3], end="hang"), answer()) as server:
        with anyio.CancelScope() as scope:
            monkeypatch.setattr(place, name, ask_and_cancel)
            await read_to_the_end(wire, server)
        monkeypatch.undo()
        assert scope.cancelled_caught
        await server.until_open(0)
        await is_as_good_as_new(wire, server, connections=2)


async def test_an_early_answer_to_a_body_that_does_not_end(wire: Wire) -> None:
    """When the time is up before the body is sent, the open answer goes with it."""

    async def endless() -> AsyncGenerator[bytes]:
        yield b"a"
        await anyio.sleep_forever()

    async def early(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer_bytes(b"[1, 2]")[:-3])
        await peer.gone()

    async with serving(early, answer()) as server:
        failure = await failure_of(wire.open(ask(server.url, body=endless, headers={}, timeout=0.1)))
        assert (failure.failure, failure.sent) == (Failure.TIMEOUT, True)
        await server.until_open(0)
        await is_as_good_as_new(wire, server, connections=2)
