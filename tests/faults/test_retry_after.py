"""Rows 46 to 48 and 50: each form in which a service asks to wait, with 429 and with 503, on the injected clock."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
import attrs
import pytest

from klickdoxie_core import Limit
from klickdoxie_core.errors import RateLimited, ServerError
from tests.core.support import EPOCH, FakeClock, settle
from tests.core.wire.raw_server import GENERATORS_LEFT, Peer, answer_bytes
from tests.faults.clients import ON_EACH_WIRE, ON_EACH_WIRE_OF_OURS, ON_EVERY_WIRE, READ, shop_on
from tests.faults.matrix import Row, check, row_ids
from tests.faults.server import OK, FaultServer, refuses

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

NOW = "Date: Tue, 14 Nov 2023 22:13:20 GMT"
YEARS = 30 * 365 * 86_400
BACKOFF = 0.25
"""Seconds of the first pause where the service says nothing: half of the bound, which is half a second."""
SERVICE = {"429 Too Many Requests": ("R2 W2 N2", "R1! W1! N1!", RateLimited),
           "503 Service Unavailable": ("R2 W2 N1?", "R1! W1? N1?", ServerError)}  # fmt: skip

# The number of the row, what the service says, and the seconds that are waited.
OBEYED = (
    (46, None, BACKOFF),
    (46, "1", 1.0),
    (46, "60", 60.0),
    (46, "007", 7.0),
    (46, "0", BACKOFF),
    (46, "Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
    (46, "Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
    (46, "Tue Nov 14 22:13:50 2023", 30.0),
    (46, "Tue, 14 Nov 2023 22:13:20 GMT", BACKOFF),
    (46, "Thu, 01 Jan 1970 00:00:00 GMT", BACKOFF),
    *((48, text, BACKOFF) for text in ("-5", "1.5", "nan", "inf", "1e9", "1_0", "abc", "", "0x10", "5s", "5, 10")),
    (48, "\u0665".encode().decode("latin-1"), BACKOFF),
    (48, "9" * 19, BACKOFF),
    (48, "9" * 10_240, BACKOFF),
)


def asks(number: int, status: str, text: str | None, seconds: float) -> Row:
    """The service asks once to wait, and then is good."""
    again, _, error = SERVICE[status]
    # A send is in doubt after a 503, whatever it asks for; the error then says what that was.
    wish = None if text is None or number == 48 else 0.0 if seconds == BACKOFF else seconds
    lines = [NOW] if text is None else [NOW, f"Retry-After: {text}"]
    play = refuses(status, b"{}", *lines)
    return Row(number, f"{status[:3]}, {text!r:.40}", play, again, error, pauses=(seconds,), retry_after=wish)


WAITS = tuple(asks(number, status, text, seconds) for status in SERVICE for number, text, seconds in OBEYED)
TOO_LONG = tuple(
    Row(47, f"{status[:3]}, {text}", refuses(status, b"{}", NOW, f"Retry-After: {text}"), stop, error, retry_after=wish)
    for status, (_, stop, error) in SERVICE.items()
    for text, wish in (
        (str(YEARS), float(YEARS)),
        ("61", 61.0),
        ("9" * 18, 1e18),
        ("Tue, 14 Nov 2023 23:13:20 GMT", 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp() - EPOCH),
    )
)
ONCE_MORE = (
    Row(50, "503 for ever, asking for one second", (refuses("503 Busy", b"{}", "Retry-After: 1"),) * 3, "R3! W3? N1?",
        ServerError, pauses=(1.0, 1.0), retry_after=1.0),
    Row(46, "429 for ever, asking for one second", (refuses("429 Slow", b"{}", "Retry-After: 1"),) * 3, "R3! W3! N3!",
        RateLimited, pauses=(1.0, 1.0), retry_after=1.0),
    # A wish is lost with a body that does not unpack; the status is not.
    Row(46, "429, damaged", refuses("429 Slow", b"{", "Retry-After: 30", "Content-Encoding: gzip"),
        "R2 W2 N2", pauses=(BACKOFF,)),
)  # fmt: skip


@row_ids(WAITS)
@ON_EACH_WIRE_OF_OURS
async def test_each_form_of_a_wish_is_understood(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Digits and dates are obeyed, on no clock but the service's own; what HTTP does not know is as good as nothing."""
    await check(row, wire, caplog)


@row_ids(TOO_LONG + ONCE_MORE)
@ON_EACH_WIRE
async def test_a_wish_is_obeyed_or_told(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is obeyed as often as it is made; too long a wait is raised at once, with its seconds."""
    await check(row, wire, caplog)


@ON_EVERY_WIRE
async def test_one_callers_pause_is_everybodys(wire: str) -> None:
    """Row 46: nobody who comes within the pause sends anything before its end."""
    time = FakeClock(chance=0.5)
    started, paused, all_there = time.time, anyio.Event(), anyio.Event()
    came: list[tuple[str, float]] = []

    async def sleep(seconds: float) -> None:
        paused.set()
        await all_there.wait()
        await time.sleep(seconds)

    async def good(peer: Peer) -> None:
        received = await peer.request()
        came.append((received.target[-1], time.time - started))
        await peer.send(answer_bytes(OK))

    server = FaultServer(refuses("429 Too Many Requests", b"{}", "Retry-After: 30"), good)
    clock = attrs.evolve(time.clock(), sleep=sleep)
    async with (
        server.listening(),
        shop_on(wire, server.url, clock=clock, limit=Limit(concurrency=3)) as shop,
        anyio.create_task_group() as group,
    ):
        group.start_soon(shop.call, READ, "0")
        await paused.wait()
        for number in range(1, 5):
            group.start_soon(shop.call, READ, str(number))
        await settle()
        assert len(server.requests) == 1
        all_there.set()
    assert sorted(came) == [(str(number), 30.0) for number in range(5)]
