"""A row of the fault matrix, and how it is played: a read, a write and a send against a server of their own each.

What a row comes to is written as in the matrix: `R2` is a read that succeeds on its second attempt, `W1!` a write that
fails after one attempt and changed nothing, `N1?` a send that fails after one attempt and may have been carried out;
`N1?|N2` is either.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any

import attrs
import pytest

from klickdoxie_core import Clock, Recording, Retry, recording
from klickdoxie_core.errors import SdkError
from tests.core.support import FakeClock, gathered, settle, tasks
from tests.core.wire.raw_server import Play
from tests.faults.canaries import shown_by, shown_by_logs, shown_by_recording, spilled
from tests.faults.clients import KINDS, READ, SIGNED, shop_on
from tests.faults.server import GOOD, FaultServer, certificates, free_port

SHORT = 0.15
"""Seconds for an attempt, where the fault is that nothing comes and the next attempt succeeds."""
HOPELESS = 0.1
"""Seconds for an attempt, where no attempt can succeed."""
PATIENT = 10.0
_LATE = 0.75


def _as_script(script: Play | tuple[Play, ...]) -> tuple[Play, ...]:
    return script if isinstance(script, tuple) else (script,)


@attrs.frozen
class Row:
    """A row of the matrix, or one of the faults that it names.

    Attributes:
        number: Of the row.
        fault: What the server does.
        script: How it does it; after that it is a good server, unless `then` says otherwise.
        comes_to: What becomes of a read, a write and a send.
        error: The class of what is raised, exactly.
        on: Where a wire differs: its name, and what the row comes to there.
        then: What the server does in the end, for ever.
        unread: Attempts, from the first, that no complete request of arrives.
        warm: Calls before, on the connection that the fault then meets; they may fail.
        gone: The server closes all connections before the call comes.
        host: The name or address in the URL; None for where the server listens.
        listens: The address at which the server listens.
        absent: What stands at the port instead of the server, until the call is over.
        tls: The server speaks TLS.
        timeout: Seconds for an attempt.
        deadline: Seconds for a call in real time; None leaves it to a clock that nobody waits for.
        pauses: Seconds that the call waits; None for any.
        retry_after: What the error knows of the wish of the service.
        call: What is special about the call, and about those before it.
    """

    number: int
    fault: str
    script: tuple[Play, ...] = attrs.field(converter=_as_script)
    comes_to: str
    error: type[SdkError] | None = None
    on: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)
    then: Play = attrs.field(default=GOOD, kw_only=True)
    unread: int = attrs.field(default=0, kw_only=True)
    warm: int = attrs.field(default=0, kw_only=True)
    gone: bool = attrs.field(default=False, kw_only=True)
    host: str | None = attrs.field(default=None, kw_only=True)
    listens: str = attrs.field(default="127.0.0.1", kw_only=True)
    absent: Callable[[int], AbstractContextManager[None]] | None = attrs.field(default=None, kw_only=True)
    tls: bool = attrs.field(default=False, kw_only=True)
    timeout: float = attrs.field(default=PATIENT, kw_only=True)
    deadline: float | None = attrs.field(default=None, kw_only=True)
    pauses: tuple[float, ...] | None = attrs.field(default=None, kw_only=True)
    retry_after: float | None = attrs.field(default=None, kw_only=True)
    call: Mapping[str, Any] = attrs.field(factory=dict[str, Any], kw_only=True)


def row_ids(rows: tuple[Row, ...]) -> pytest.MarkDecorator:
    """The rows as parameters of a test, by their numbers and faults."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.number} {row.fault}") for row in rows])


@attrs.frozen(kw_only=True)
class Played:
    """What one kind of call came to."""

    error: SdkError | None
    attempts: int
    received: int
    applied: int
    unequal: bool
    slept: tuple[float, ...]
    seconds: float
    seen: Recording

    def cell(self, kind: str) -> str:
        """The same as the matrix writes it."""
        doubt = "" if self.error is None else "?" if self.error.maybe_applied else "!"
        return f"{kind}{self.attempts}{doubt}"


async def check(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Play the row with each kind of call and see that nothing is lost, doubled or leaked."""
    await settle()
    before = handles(), tasks()
    kinds = list(KINDS)
    results = await gathered(lambda number: play(row, wire, kinds[number]), len(kinds))
    played = dict(zip(kinds, _unraised(results), strict=True))
    await settle()
    assert (handles(), tasks()) == before
    expected = row.on.get(wire, row.comes_to).split()
    cells = [one.cell(kind) for kind, one in played.items()]
    assert cells == [
        cell if cell in allowed.split("|") else allowed for cell, allowed in zip(cells, expected, strict=True)
    ]
    for kind, one in played.items():
        _check_counts(row, kind, one)
        _check_error(row, one)
        assert not spilled(shown_by_recording(one.seen))
    assert not spilled(shown_by_logs(caplog.records))


def _unraised(results: list[Played | Exception]) -> list[Played]:
    for result in results:
        if isinstance(result, Exception):
            raise result
    return [result for result in results if isinstance(result, Played)]


async def play(row: Row, wire: str, kind: str) -> Played:
    """Make one call against the row's server and then another one, which must succeed; close and count."""
    time_ = FakeClock(chance=0.5)
    server = FaultServer(*row.script, row.then, port=free_port() if row.absent else 0)
    clock = time_.clock() if row.deadline is None else attrs.evolve(time_.clock(), monotonic=time.monotonic)
    async with AsyncExitStack() as stack, AsyncExitStack() as closing:
        if row.absent is None:
            await stack.enter_async_context(server.listening(row.listens))
        shop = await closing.enter_async_context(_shop(row, wire, server, clock))
        with recording() as seen:
            for number in range(row.warm):
                await error_of(shop.call(READ, f"warm {number}", **row.call))
            if row.gone:
                await server.until_open(0)
            slept, started = len(time_.slept), time.monotonic()
            with row.absent(server.port) if row.absent else nullcontext():
                error = await error_of(shop.call(KINDS[kind], **row.call))
            seconds = time.monotonic() - started
            pauses = tuple(time_.slept[slept:])
            server.heal()
            # The pause that was asked for holds for every call.
            time_.time += (error.retry_after if error is not None else None) or 0.0
            if row.absent is not None:
                await stack.enter_async_context(server.listening(row.listens))
            await shop.with_options(timeout=PATIENT, deadline=120.0).call(READ, "next")
        await closing.aclose()
        await server.until_open(0)
        received = server.received("call")
        return Played(
            error=error,
            attempts=seen.exchanges[row.warm].attempts,
            received=len(received),
            applied=server.applied("call"),
            unequal=any(one.body != received[0].body or not SIGNED.items() <= one.headers.items() for one in received),
            slept=pauses,
            seconds=seconds,
            seen=seen,
        )


def _shop(row: Row, wire: str, server: FaultServer, clock: Clock) -> Any:
    url = server.url if row.host is None else f"http://{row.host}:{server.port}"
    url = url.replace("http:", "https:") if row.tls else url
    trust: ssl.SSLContext | None = certificates().trust if row.tls else None
    deadline = row.deadline or 120.0
    return shop_on(wire, url, trust=trust, clock=clock, timeout=row.timeout, deadline=deadline, retry=Retry(base=0.5))


async def error_of(awaitable: Awaitable[object]) -> SdkError | None:
    """The error of a call; None when it succeeds."""
    try:
        await awaitable
    except SdkError as error:
        return error
    return None


def _check_counts(row: Row, kind: str, one: Played) -> None:
    """The server saw as many requests as were made, the same each time, and errors do not lie about what it did."""
    assert (kind, one.received) == (kind, max(0, one.attempts - row.unread))
    assert not one.unequal
    if kind == "N":
        assert one.applied <= 1
    if kind != "R" and one.error is not None and not one.error.maybe_applied:
        assert one.applied == 0
    if one.error is None:
        assert one.applied >= 1
    if row.pauses is not None and one.attempts > 1:
        assert one.slept == row.pauses
    if row.deadline is not None:
        assert one.seconds < row.deadline + _LATE


def _check_error(row: Row, one: Played) -> None:
    """It is of its class, knows what happened, holds nothing of the HTTP library and shows no canary."""
    if one.error is None:
        return
    assert type(one.error) is row.error, repr(one.error)
    assert one.error.attempts == one.attempts
    assert one.error.retry_after == row.retry_after
    assert one.error.__cause__ is None
    assert not spilled(shown_by(one.error))


def handles() -> int:
    """How many files and sockets this process has open; 0 where nobody can say."""
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0
