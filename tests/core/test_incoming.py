"""Answers that are read while they come in: sent again until answered, never after, and broken off with the facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from klickdoxie_core import Bearer, Call, Dialect, Effect, Explained, Incoming, Limit, Retry, recording
from klickdoxie_core.convert import Undecodable, parse_json
from klickdoxie_core.errors import (
    ConnectFailed,
    DecodeError,
    Interrupted,
    NotFound,
    RateLimited,
    ReadOnlyError,
    SdkError,
    ServerError,
    TooLarge,
    Unauthorized,
    Unprocessable,
)
from klickdoxie_core.incoming import Collector
from klickdoxie_core.wire.base import Failure, WireFailure
from tests.core.support import (
    CANCELLATIONS,
    HANGS,
    Client,
    FakeClock,
    Pieces,
    ScriptedWire,
    Step,
    a_call,
    answer,
    cancelled_while_waiting,
    failure_of,
    lost,
    settle,
    unsent,
)

pytestmark = pytest.mark.anyio

MAIL = "käthe@example.com"
WORDS = (b"eins\nzw", "ei\nfünf\n".encode(), b'{"sum": 3}')


class Lines:
    """Gives out whole lines; what is left in the end is JSON."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that are complete by now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if b"?" in lines:
            raise Undecodable("the answer has another shape than promised", ("expected a line @ $",))
        return [line.decode() for line in lines]

    def finish(self) -> object:
        """What follows the last line."""
        return parse_json(self._rest)


class Collected(Lines):
    """Keeps the lines of one attempt in a list that outlives it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        lines.clear()
        self._lines = lines

    def feed(self, chunk: bytes) -> list[str]:
        """Take a piece; nothing is given out."""
        self._lines += super().feed(chunk)
        return []


async def read(client: Client, call: Call[Any] | None = None) -> tuple[list[str], Any]:
    """All lines of an answer, and its rest."""
    async with client.stream(call or a_call(), Lines()) as incoming:
        lines = [line async for some in incoming for line in some]
    return lines, incoming.rest


async def broken(client: Client, call: Call[Any] | None = None) -> tuple[list[str], SdkError, Incoming[Any, Any]]:
    """The lines that came before the error, the error, and the answer that it broke off."""
    lines: list[str] = []
    async with client.stream(call or a_call(), Lines()) as incoming:
        with pytest.raises(SdkError) as caught:  # noqa: PT012 - it is the iteration that raises
            async for some in incoming:
                lines += some
    return lines, caught.value, incoming


async def test_pieces_come_as_the_reader_makes_them() -> None:
    """The iteration gives what each piece completes, and the rest is there after it."""
    pieces = Pieces(*WORDS)
    client = Client(ScriptedWire(pieces))
    async with client.stream(a_call(), Lines()) as incoming:
        assert [some async for some in incoming] == [["eins"], ["zwei", "fünf"], []]
        assert [some async for some in incoming] == []
        assert pieces.closed == 0
    assert (incoming.rest, incoming.error, pieces.closed) == ({"sum": 3}, None, 1)


async def test_it_is_sent_again_until_it_is_answered() -> None:
    """What may pass is waited out as for any other call, and the answer counts its attempts."""
    wire = ScriptedWire(answer(503), lost(), unsent(), Pieces(*WORDS))
    client = Client(wire, retry=Retry(attempts=4))
    with recording() as seen:
        assert await read(client) == (["eins", "zwei", "fünf"], {"sum": 3})
    assert (seen.last.attempts, len(wire.requests)) == (4, 4)


async def test_a_refused_credential_is_renewed_once() -> None:
    """The first 401 gets a new token, and the answer to it is read."""
    wire = ScriptedWire(answer(401), Pieces(*WORDS))
    client, call = signed(wire)
    with recording() as seen:
        await read(client, call)
    assert [request.headers["authorization"] for request in wire.requests] == ["Bearer a", "Bearer b"]
    assert (seen.last.attempts, seen.last.renewals) == (1, 1)


async def test_a_credential_that_is_refused_twice_is_wrong() -> None:
    """There is no third try."""
    wire = ScriptedWire(answer(401), answer(401))
    client, call = signed(wire)
    error = await failure_of(read(client, call))
    assert (type(error), error.renewals, len(wire.requests)) == (Unauthorized, 1, 2)


def signed(wire: ScriptedWire) -> tuple[Client, Call[Any]]:
    """A client that gets one token after the other, and a call that needs one."""
    tokens = iter("abc")

    async def source() -> str:
        return next(tokens)

    return Client(wire, {"admin": Bearer(source)}), a_call(auth="admin")


@pytest.mark.parametrize(
    ("steps", "kind", "attempts"),
    [
        ([answer(404)], NotFound, 1),
        ([answer(422)], Unprocessable, 1),
        ([answer(500)] * 3, ServerError, 3),
        ([answer(429)] * 3, RateLimited, 3),
        ([lost()] * 3, Interrupted, 3),
        ([unsent()] * 3, ConnectFailed, 3),
        ([answer(204)] * 3, DecodeError, 3),
        ([answer(201)], DecodeError, 1),
    ],
)
async def test_an_answer_that_says_no_is_the_usual_error(
    steps: list[Step], kind: type[SdkError], attempts: int
) -> None:
    """It is raised on entering the block, after as many attempts as ever."""
    wire = ScriptedWire(*steps)
    error = await failure_of(read(Client(wire)))
    assert (type(error), error.attempts, len(wire.requests)) == (kind, attempts, attempts)
    assert not error.maybe_applied


@pytest.mark.parametrize(("effect", "doubt"), [(Effect.SAFE, False), (Effect.REPEATABLE, True), (Effect.ONCE, True)])
async def test_a_break_half_way_ends_it(effect: Effect, doubt: bool) -> None:
    """What had come was given out; the error has the facts, and nothing is sent again."""
    pieces = Pieces(b"eins\nzw", lost())
    wire = ScriptedWire(unsent(), pieces)
    lines, error, incoming = await broken(Client(wire), a_call(effect))
    assert (lines, type(error), incoming.error) == (["eins"], Interrupted, error)
    assert (error.status, error.attempts, error.maybe_applied) == (200, 2, doubt)
    assert "the connection broke before the answer was complete (ReadError); what had come before was given out" in str(
        error
    )
    assert (len(wire.requests), pieces.closed) == (2, 1)


async def test_silence_is_a_break() -> None:
    """Each piece has the timeout of an attempt; longer than that nobody waits."""
    pieces = Pieces(b"eins\n", HANGS)
    lines, error, _ = await broken(Client(ScriptedWire(pieces), timeout=0.05))
    assert (lines, type(error), error.status, pieces.closed) == (["eins"], Interrupted, 200, 1)
    assert "nothing came for 0.05 s" in str(error)


async def test_reading_may_take_longer_than_the_deadline() -> None:
    """Who has got an answer may read for hours; silence after that is still a break, and not the deadline's doing."""
    time = FakeClock()
    client = Client(ScriptedWire(Pieces(b"eins\n", b"zwei\n", HANGS)), time=time, timeout=0.05, deadline=120.0)
    lines: list[str] = []
    async with client.stream(a_call(), Lines()) as incoming:
        with pytest.raises(Interrupted):  # noqa: PT012 - it is the iteration that raises
            async for some in incoming:
                lines += some
                time.time += 3600
    assert lines == ["eins", "zwei"]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (WireFailure(Failure.TOO_LARGE, sent=True, detail="more than 5 bytes", status=200), TooLarge),
        (WireFailure(Failure.ENCODING, sent=True, detail="damaged", status=200), DecodeError),
    ],
)
async def test_what_the_wire_refuses_has_its_own_error(failure: WireFailure, kind: type[SdkError]) -> None:
    """Too much of it, or packed in a way that does not unpack, is no broken connection."""
    lines, error, _ = await broken(Client(ScriptedWire(Pieces(b"eins\n", failure))))
    assert (lines, type(error), error.attempts) == (["eins"], kind, 1)


@pytest.mark.parametrize(
    ("pieces", "paths"),
    [
        pytest.param((b"eins\n", b"?\n", b"drei\n"), ("expected a line @ $",), id="in the middle"),
        pytest.param((b"eins\n", b"{"), (), id="at the end"),
        pytest.param((b"eins\n", b"[1]"), ("expected an object @ $",), id="another rest than promised"),
    ],
)
async def test_what_the_reader_does_not_understand(pieces: tuple[bytes, ...], paths: tuple[str, ...]) -> None:
    """It is a `DecodeError` with the reader's paths, and the same request is not made once more."""
    wire = ScriptedWire(Pieces(*pieces))
    lines, error, incoming = await broken(Client(wire))
    assert (lines, type(error), len(error.facts.paths)) == (["eins"], DecodeError, len(paths))
    assert (error.status, error.attempts, len(wire.requests)) == (200, 1, 1)
    with pytest.raises(LookupError):
        _ = incoming.rest


class Numbered(SdkError):
    """The error of a service that numbers its errors."""


class OwnBreak(Numbered, Interrupted):
    """The same service's own twin of a core error."""


class Numbers(Dialect):
    """Answers 200 with an error number."""

    family = {Interrupted: OwnBreak}  # noqa: RUF012 - as the base class has it

    def explain(self, call: Call[Any], status: int, payload: object) -> Explained | None:
        """A number is an error."""
        code = payload.get("error") if isinstance(payload, dict) else None
        return None if code is None else Explained(error=Numbered, message="refused", code=code)


class NumberedClient(Client):
    """A client of that service."""

    dialect = Numbers()


async def test_an_error_number_at_the_end_of_a_200_is_the_services_error() -> None:
    """What the reader leaves is judged as any other answer, without what it may repeat of the credentials."""
    wire = ScriptedWire(Pieces(b"eins\n", '{"error": 7, "said": "käthe@example.com"}'.encode()))
    lines, error, incoming = await broken(NumberedClient(wire))
    assert (lines, type(error), error.code, error.status) == (["eins"], Numbered, 7, 200)
    assert MAIL not in f"{error!r}{error.body!r}"
    with pytest.raises(LookupError, match="has not come to its end"):
        _ = incoming.rest


async def test_a_break_is_the_clients_own_error() -> None:
    """Errors of the iteration come from the client's family, as all others do."""
    _, error, _ = await broken(NumberedClient(ScriptedWire(Pieces(lost()))))
    assert type(error) is OwnBreak


async def test_the_rest_comes_last() -> None:
    """Before the end of the iteration there is none."""
    async with Client(ScriptedWire(Pieces(*WORDS))).stream(a_call(), Lines()) as incoming:
        with pytest.raises(LookupError, match="has not come to its end"):
            _ = incoming.rest
        await anext(incoming)
        with pytest.raises(LookupError, match="has not come to its end"):
            _ = incoming.rest


async def test_leaving_early_closes_the_answer() -> None:
    """It is closed once, and the call has ended well for who watches it."""
    pieces = Pieces(*WORDS)
    client = Client(ScriptedWire(pieces))
    with recording() as seen:
        async with client.stream(a_call(), Lines()) as incoming:
            async for some in incoming:
                assert some == ["eins"]
                break
            assert (pieces.closed, seen.exchanges) == (0, [])
    assert (pieces.closed, seen.last.error, seen.last.status) == (1, None, 200)


async def test_an_error_of_the_block_passes_as_it_is() -> None:
    """The answer is closed all the same."""
    pieces = Pieces(*WORDS)
    error = KeyError("its own")
    with recording() as seen, pytest.raises(KeyError) as caught:
        async with Client(ScriptedWire(pieces)).stream(a_call(), Lines()):
            raise error
    assert (caught.value, pieces.closed, len(seen.exchanges)) == (error, 1, 1)


async def test_there_is_room_for_calls_while_reading() -> None:
    """The limit counts what is asked, so that one slot serves a stream and what is done with its pieces."""
    wire = ScriptedWire(Pieces(*WORDS), answer(), answer(), answer())
    client = Client(wire, limit=Limit(concurrency=1))
    done = []
    with anyio.fail_after(2):
        async with client.stream(a_call(), Lines()) as incoming:
            async for some in incoming:
                done += [line for line in some if await client.run(a_call())]
    assert done == ["eins", "zwei", "fünf"]
    assert (wire.most, len(wire.requests)) == (1, 4)


@CANCELLATIONS
async def test_cancelled_in_the_middle(native: bool) -> None:
    """The answer is closed, and who watches hears that it was cancelled."""
    pieces = Pieces(b"eins\n", HANGS)
    lines: list[str] = []

    async def act() -> None:
        async with Client(ScriptedWire(pieces)).stream(a_call(), Lines()) as incoming:
            async for some in incoming:
                lines.extend(some)

    with recording() as seen:
        await cancelled_while_waiting(act, native=native)
    assert (lines, pieces.closed, len(seen.exchanges)) == (["eins"], 1, 1)
    assert seen.last.error in {"CancelledError", "Cancelled"}


@CANCELLATIONS
async def test_cancelled_while_asking(native: bool) -> None:
    """There is no answer yet to close; the slot is free again."""

    async def wait(_: object) -> Pieces:
        await anyio.sleep_forever()
        raise AssertionError

    wire = ScriptedWire(wait)
    client = Client(wire, limit=Limit(concurrency=1))
    await cancelled_while_waiting(lambda: read(client), native=native)
    assert wire.under_way == 0
    assert client.engine.limiter.acquire_nowait()


async def test_whoever_reads_on_after_a_break_hears_of_it_again() -> None:
    """A broken answer never looks like one that has come to its end."""
    _, error, incoming = await broken(Client(ScriptedWire(Pieces(b"eins\n", lost(), b"{}"))))
    with pytest.raises(Interrupted) as caught:
        await anext(incoming)
    assert caught.value is error


async def test_whoever_gives_up_on_a_piece_cannot_read_on() -> None:
    """A cancelled read takes the connection along: what follows is a break, and not the end."""
    async with Client(ScriptedWire(Pieces(HANGS, b"{}"))).stream(a_call(), Lines()) as incoming:
        with anyio.move_on_after(0.02):
            await anext(incoming)
        with pytest.raises(Interrupted, match="its reading was cancelled"):
            await anext(incoming)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(lambda: [Pieces(*WORDS)], id="read"),
        pytest.param(lambda: [answer(503), Pieces(*WORDS)], id="sent again"),
        pytest.param(lambda: [answer(404)], id="refused"),
        pytest.param(lambda: [Pieces(lost())], id="broken"),
    ],
)
async def test_one_call_is_one_exchange(steps: Callable[[], list[Step]]) -> None:
    """However it ends, and however often it was sent."""
    wire = ScriptedWire(*steps())
    with recording() as seen:
        try:
            await read(Client(wire))
            error = None
        except SdkError as raised:
            error = type(raised).__name__
    assert [exchange.error for exchange in seen.exchanges] == [error]
    assert len(seen.attempts) == seen.last.attempts == len(wire.requests)


async def test_the_answers_headers_are_told() -> None:
    """As for any other call, but for what may carry a credential."""
    headers = {"x-request-id": "r-1", "set-cookie": "sid=geheim"}
    with recording() as seen:
        await read(Client(ScriptedWire(Pieces(*WORDS, headers=headers))))
    assert "geheim" not in str(seen.last.headers)
    assert seen.last.headers["x-request-id"] == "r-1"


async def test_a_client_that_only_reads_streams_only_reads() -> None:
    """A write is refused before anything is sent, and told as a call."""
    wire = ScriptedWire(Pieces(*WORDS))
    client = Client(wire, read_only=True)
    with recording() as seen:
        error = await failure_of(read(client, a_call(Effect.ONCE)))
    assert (type(error), wire.requests, seen.last.error) == (ReadOnlyError, [], "ReadOnlyError")
    assert (await read(client))[0] == ["eins", "zwei", "fünf"]


async def test_a_read_as_a_whole_begins_anew_with_each_attempt() -> None:
    """A call with a reader is sent again after a break, and nothing of the broken answer stays."""
    wire = ScriptedWire(Pieces(b"null\neins\n", lost()), Pieces(b"?\n", b"x\n"), Pieces(*WORDS))
    lines: list[str] = []
    with recording() as seen:
        rest = await Client(wire).run(a_call(reader=lambda: Collected(lines)))
    assert (lines, rest, seen.last.attempts) == (["eins", "zwei", "fünf"], {"sum": 3}, 3)


async def test_a_read_as_a_whole_says_what_the_reader_says() -> None:
    """What it does not understand is a `DecodeError` with its paths, after as many attempts as ever."""
    lines: list[str] = []
    wire = ScriptedWire(*[Pieces(b"?\n", b"{}") for _ in range(3)])
    error = await failure_of(Client(wire).run(a_call(reader=lambda: Collected(lines))))
    assert (type(error), error.attempts, error.facts.paths) == (DecodeError, 3, ("expected a line @ $",))


async def test_nothing_runs_on_behind_a_stream() -> None:
    """A client is closed after a stream that was left, and nobody asks for more of it."""
    pieces = Pieces(*WORDS)
    wire = ScriptedWire(pieces)
    async with Client(wire) as client:
        async with client.stream(a_call(), Lines()) as incoming:
            await anext(incoming)
        await settle()
    assert (pieces.closed, wire.closed, wire.under_way) == (1, 1, 0)


class Refusing(Lines):
    """Can make sense of nothing."""

    def feed(self, chunk: bytes) -> list[str]:
        """Refuse it by its own words."""
        raise Undecodable(chunk.decode())


def test_a_collector_passes_over_what_follows_a_fault() -> None:
    """A reader whose answer makes no sense is asked no more, and the first fault is the one that is told."""
    collector = Collector(Refusing())
    collector.feed(b"first")
    collector.feed(b"second")
    with pytest.raises(Undecodable, match="first"):
        collector.finish()
