"""Bodies that are read while they are sent: what is said about them, when they are read again, how they end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from klickdoxie_core import Bearer, Call, Effect, Retry, recording
from klickdoxie_core.call import Stream
from klickdoxie_core.errors import (
    ConfigError,
    Interrupted,
    RateLimited,
    ServerError,
    Unauthorized,
)
from klickdoxie_core.wire.base import Failure, Request, Response, WireFailure
from klickdoxie_core.wire.httpx_wire import HttpxWire
from klickdoxie_core.wire.outgoing import Outgoing
from tests.core.support import Client, ScriptedWire, a_call, answer, failure_of, lost, unsent
from tests.core.wire.raw_server import GENERATORS_LEFT, Peer, answer_bytes, ask, refusing_port, serving

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

PIECES = (b"ab", b"", "Süd".encode(), bytes(100_000))
WHOLE = b"".join(PIECES)


class Source:
    """Where a body comes from: counts how often it was started and how often closed."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces or PIECES
        self.error = error
        self.started = 0
        self.closed = 0

    async def open(self) -> AsyncGenerator[bytes]:
        """Start the stream."""
        self.started += 1
        try:
            for piece in self.pieces:
                yield piece
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1

    def call(self, effect: Effect = Effect.ONCE, **stream: Any) -> Call[Any]:
        """A call that sends it."""
        return a_call(effect, stream=Stream(open=self.open, content_type="text/plain", **stream))


def reading(*steps: Response | WireFailure) -> tuple[ScriptedWire, list[bytes]]:
    """A wire that reads each body to its end before its next step, and the bodies that it has read."""
    rest = list(steps)
    bodies: list[bytes] = []

    async def step(request: Request) -> Response | WireFailure:
        following = rest.pop(0)
        if isinstance(following, Response) or following.sent:
            assert callable(request.body)
            bodies.append(b"".join([piece async for piece in request.body()]))
        return following

    return ScriptedWire(step), bodies


def test_a_stream_shows_only_what_it_is() -> None:
    """Its repr, and that of its call, tell the type and the length."""
    stream = Stream(open=Source().open, content_type="text/plain", length=3)
    assert repr(stream) == "Stream(content_type='text/plain', length=3, repeatable=True)"
    assert repr(stream) in repr(a_call(stream=stream))


@pytest.mark.parametrize(("length", "headers"), [(None, {}), (len(WHOLE), {"content-length": str(len(WHOLE))})])
async def test_the_engine_says_what_comes(length: int | None, headers: dict[str, str]) -> None:
    """Type and length go into the headers, the stream goes on as it is; nothing is read on the way."""
    source = Source()
    wire = ScriptedWire(answer())
    await Client(wire).run(source.call(length=length))
    (request,) = wire.requests
    assert callable(request.body)
    assert {name: request.headers[name] for name in request.headers if name.startswith("content")} == {
        "content-type": "text/plain"
    } | headers
    assert source.started == 0


async def test_each_attempt_starts_anew() -> None:
    """A stream that can be started again is sent whole with every attempt."""
    wire, bodies = reading(answer(503), lost(), answer())
    with recording() as seen:
        await Client(wire).run(Source().call(Effect.REPEATABLE))
    assert (bodies, seen.last.attempts) == ([WHOLE] * 3, 3)


async def test_a_write_that_must_not_be_repeated_is_not() -> None:
    """A stream changes nothing about when a call is sent again."""
    wire, bodies = reading(lost())
    error = await failure_of(Client(wire).run(Source().call()))
    assert isinstance(error, Interrupted)
    assert (bodies, error.maybe_applied) == ([WHOLE], True)


@pytest.mark.parametrize(
    ("step", "effect", "error"),
    [
        (answer(429), Effect.ONCE, RateLimited),
        (answer(503), Effect.REPEATABLE, ServerError),
        (lost(), Effect.REPEATABLE, Interrupted),
        (lost(), Effect.SAFE, Interrupted),
    ],
)
async def test_what_can_be_read_once_is_sent_once(
    step: Response | WireFailure, effect: Effect, error: type[Exception]
) -> None:
    """After it was read, the next attempt would carry nothing: there is none, and the error says why."""
    wire, bodies = reading(step)
    caught = await failure_of(Client(wire).run(Source().call(effect, repeatable=False)))
    assert type(caught) is error
    assert (bodies, caught.attempts) == ([WHOLE], 1)
    assert "not sent again because its body can be read only once" in str(caught)


@pytest.mark.parametrize("step", [answer(404), answer(200, b"x")])
async def test_what_would_not_be_sent_again_anyway(step: Response) -> None:
    """Where nothing was to be sent again, the body is not the reason."""
    wire, _ = reading(step)
    error = await failure_of(Client(wire).run(Source().call(repeatable=False)))
    assert "only once" not in str(error)


async def test_what_was_not_read_is_sent_again() -> None:
    """A connection that could not be made has read nothing."""
    wire, bodies = reading(unsent(), unsent(), answer())
    await Client(wire).run(Source().call(repeatable=False))
    assert bodies == [WHOLE]


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_refused_credential(*, repeatable: bool) -> None:
    """It is renewed in both cases; only what can be read again goes out with the new one at once."""
    tokens = iter(["a", "b"])

    async def source() -> str:
        return next(tokens)

    wire, bodies = reading(answer(401), answer(), answer())
    client = Client(wire, {"admin": Bearer(source)})
    call = Source().call(repeatable=repeatable)
    calling = client.run(Call(**_fields(call), auth="admin"))
    if repeatable:
        await calling
    else:
        error = await failure_of(calling)
        assert isinstance(error, Unauthorized)
        assert (error.attempts, error.renewals) == (1, 0)
        await client.run(Call(**_fields(call), auth="admin"))
    assert bodies == [WHOLE] * 2
    assert [request.headers["authorization"] for request in wire.requests] == ["Bearer a", "Bearer b"]


def _fields(call: Call[Any]) -> dict[str, Any]:
    return {name: getattr(call, name) for name in ("operation", "method", "template", "into", "effect", "stream")}


async def read_chunked(peer: Peer) -> bytes:
    """The body of a request without a length."""
    body = bytearray()
    while (size := int(await _line(peer), 16)) > 0:
        body += await _exactly(peer, size)
        await _line(peer)
    await _line(peer)
    return bytes(body)


async def _exactly(peer: Peer, size: int) -> bytes:
    while len(peer._buffer) < size:
        peer._buffer += await peer._stream.receive()
    data, peer._buffer = peer._buffer[:size], peer._buffer[size:]
    return data


async def _line(peer: Peer) -> bytes:
    while b"\r\n" not in peer._buffer:
        peer._buffer += await peer._stream.receive()
    line, _, peer._buffer = peer._buffer.partition(b"\r\n")
    return line


@contextlib.asynccontextmanager
async def a_wire(*, given: bool = False) -> AsyncIterator[HttpxWire]:
    """The wire of every client; on request over an HTTP client that is given."""
    async with httpx.AsyncClient(trust_env=False) as client:
        wire = HttpxWire(client, owned=False) if given else HttpxWire.default(anyio.current_time)
        try:
            yield wire
        finally:
            await wire.aclose()


def streamed(url: str, source: Callable[[], AsyncIterable[bytes]], **headers: str) -> Request:
    """A request with a stream."""
    return ask(url, body=source, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("known", [False, True])
async def test_what_arrives(*, known: bool, given: bool) -> None:
    """With a length or in chunks, the body arrives as it was, and the source is closed."""
    bodies: list[bytes] = []

    async def play(peer: Peer) -> None:
        _, _, headers = await peer.head()
        assert ("content-length" in headers, headers.get("transfer-encoding")) == (known, None if known else "chunked")
        bodies.append(await (_exactly(peer, int(headers["content-length"])) if known else read_chunked(peer)))
        await peer.send(answer_bytes())

    source = Source()
    headers = {"content_length": str(len(WHOLE))} if known else {}
    async with serving(play) as server, a_wire(given=given) as wire:
        response = await wire.send(streamed(server.url, source.open, **headers))
    assert (response.status, bodies) == (200, [WHOLE])
    assert (source.started, source.closed) == (1, 1)


@pytest.mark.parametrize(("length", "how"), [(len(WHOLE) - 1, "longer"), (len(WHOLE) + 1, "shorter"), (0, "longer")])
async def test_a_length_that_is_wrong(length: int, how: str) -> None:
    """More or fewer bytes than were said are found out before the request is complete, and may have arrived."""

    async def play(peer: Peer) -> None:
        await peer.head()
        await peer.gone()

    source = Source()
    async with serving(play) as server, a_wire() as wire:
        with pytest.raises(WireFailure, match=f"the body is {how} than it said") as caught:
            await wire.send(streamed(server.url, source.open, content_length=str(length)))
        assert source.closed == 1
        await server.until_open(0)
    assert (caught.value.failure, caught.value.sent) == (Failure.INVALID, True)


async def test_a_wrong_length_is_an_error_of_the_configuration() -> None:
    """The engine tells it with its doubt."""
    failure = WireFailure(Failure.INVALID, sent=True, detail="the body is longer than it said")
    error = await failure_of(Client(ScriptedWire(failure)).run(Source().call()))
    assert type(error) is ConfigError
    assert error.maybe_applied


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("error", [ValueError("its own"), RuntimeError("its own"), OSError(5, "its own")], ids=repr)
async def test_the_sources_own_error_comes_as_it_is(error: Exception, *, given: bool) -> None:
    """What the source raises is neither wrapped nor taken for a failure of the wire, and keeps its cause."""
    error.__cause__ = KeyError("cause")

    async def play(peer: Peer) -> None:
        await peer.head()
        await peer.gone()

    source = Source(b"a", error=error)
    async with serving(play) as server, a_wire(given=given) as wire:
        with pytest.raises(type(error)) as caught:
            await Client(wire, base_url=server.url).run(source.call())
    assert caught.value is error
    assert (type(caught.value.__cause__), caught.value.__context__) == (KeyError, None)
    assert source.closed == 1


async def _hang_up(peer: Peer) -> None:
    await peer.head()
    await peer.reset()


async def _refuse_early(peer: Peer) -> None:
    await peer.head()
    await peer.send(answer_bytes(b"{}", status="413 Content Too Large"))
    await peer.gone()


@pytest.mark.parametrize("play", [_hang_up, _refuse_early])
async def test_the_source_is_closed_however_it_ends(play: Callable[[Peer], Awaitable[None]]) -> None:
    """A connection that breaks, or an answer before the end, closes the source before the call returns."""
    source = Source(*[bytes(65536)] * 200)
    async with serving(play) as server, a_wire() as wire:
        with contextlib.suppress(WireFailure):
            assert (await wire.send(streamed(server.url, source.open))).status == 413
        assert (source.started, source.closed) == (1, 1)


async def test_a_cancelled_call_closes_the_source() -> None:
    """Whoever stops waiting for an answer leaves nothing open."""

    async def play(peer: Peer) -> None:
        await peer.head()
        await anyio.sleep_forever()

    source = Source(*[bytes(65536)] * 200)
    async with serving(play) as server, a_wire() as wire, anyio.create_task_group() as group:
        group.start_soon(wire.send, streamed(server.url, source.open))
        with anyio.fail_after(5):
            while not source.started:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert (source.started, source.closed) == (1, 1)


async def test_without_a_connection_nothing_is_started() -> None:
    """The source is only asked once there is somebody to send to."""
    source = Source()
    async with a_wire() as wire:
        with pytest.raises(WireFailure) as caught:
            await wire.send(streamed(f"http://127.0.0.1:{refusing_port()}", source.open))
    assert (caught.value.sent, source.started) == (False, 0)


async def test_what_cannot_be_closed_needs_no_closing() -> None:
    """A source may be any async iterator."""

    class Plain:
        def __init__(self) -> None:
            self._pieces = iter((b"a", b"b"))

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            for piece in self._pieces:
                return piece
            raise StopAsyncIteration

    outgoing = Outgoing(Plain(), 2)
    assert [piece async for piece in outgoing] == [b"a", b"b"]
    await outgoing.aclose()
    assert outgoing.error is None


async def test_retries_are_paid_for_as_ever() -> None:
    """One attempt is one attempt, with a stream too."""
    wire, bodies = reading(answer(503), answer(503))
    error = await failure_of(Client(wire, retry=Retry(attempts=2)).run(Source().call(Effect.REPEATABLE)))
    assert (len(bodies), error.attempts) == (2, 2)


class Opened(Source):
    """A source that holds something from its start on, before anything is read."""

    def open(self) -> Opened:
        """Start the stream."""
        self.started += 1
        return self

    def __aiter__(self) -> Opened:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let it go."""
        self.closed += 1


@pytest.mark.parametrize("given", [False, True], ids=["own pool", "given client"])
async def test_a_source_is_closed_where_the_request_cannot_be_put_on_the_wire(given: bool) -> None:
    """A header without an encoding is found after the source was started."""
    source = Opened()
    call = a_call(headers={"x-name": "Ж"}, stream=Stream(open=source.open, content_type="text/plain"))
    async with httpx.AsyncClient(trust_env=False) as http:
        wire = HttpxWire(http, owned=False) if given else HttpxWire.default(time.monotonic)
        error = await failure_of(Client(wire).run(call))
        await wire.aclose()
    assert (type(error), source.started, source.closed) == (ConfigError, 1, 1)
