"""Concurrency, rate and pauses: one limit for a client and all its views."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core import Effect, Limit, Retry, State, bulk, recording
from klickdoxie_core.errors import DeadlineExceeded, RateLimited
from klickdoxie_core.limiter import Limiter, LongPause
from klickdoxie_core.sharding.permits import SharedPermits
from klickdoxie_core.wire.base import Request
from tests.core.support import (
    CANCELLATIONS,
    Client,
    FakeClock,
    ScriptedWire,
    Step,
    a_call,
    answer,
    cancelled_while_waiting,
    failure_of,
    gathered,
    settle,
)

pytestmark = pytest.mark.anyio


async def entries(limiter: Limiter, time: FakeClock, times: int, hold: float = 0.0) -> list[float]:
    """When each of so many concurrent tasks got in, counted from now, in the order of asking."""
    start = time.time

    async def enter(_: int) -> float:
        if not limiter.acquire_nowait():
            await limiter.acquire()
        entered = time.time - start
        if hold:
            await time.sleep(hold)
        limiter.release()
        return entered

    return [entered for entered in await gathered(enter, times) if isinstance(entered, float)]


@pytest.mark.parametrize(("concurrency", "expected"), [(1, [0, 1, 2, 3]), (2, [0, 0, 1, 1]), (9, [0, 0, 0, 0])])
async def test_concurrency_is_bounded(concurrency: int, expected: list[float]) -> None:
    """Each slot is held by one at a time, and nobody is passed over."""
    time = FakeClock()
    assert sorted(await entries(Limiter(Limit(concurrency=concurrency), time.clock()), time, 4, hold=1.0)) == expected


@pytest.mark.parametrize(
    ("rate", "burst", "expected"),
    [
        (2, 1, [0, 0.5, 1, 1.5, 2, 2.5]),
        (2, 3, [0, 0, 0, 0.5, 1, 1.5]),
        (0.5, 1, [0, 2, 4, 6, 8, 10]),
        (None, 1, [0, 0, 0, 0, 0, 0]),
    ],
)
async def test_the_rate_holds_from_the_first_second(rate: float | None, burst: int, expected: list[float]) -> None:
    """After the burst the requests are evenly spaced; the first second is no exception."""
    time = FakeClock()
    limiter = Limiter(Limit(rate=rate, burst=burst), time.clock())
    assert sorted(await entries(limiter, time, 6)) == pytest.approx(expected)


async def test_those_who_wait_for_a_turn_keep_their_order() -> None:
    """Whoever asked first goes first."""
    time = FakeClock()
    limiter = Limiter(Limit(rate=10), time.clock())
    order: list[int] = []

    async def enter(number: int) -> None:
        await limiter.acquire()
        order.append(number)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(enter, number)
            await anyio.lowlevel.checkpoint()
    assert order == list(range(8))


async def test_a_burst_is_earned_by_a_quiet_time() -> None:
    """Time that nobody uses fills the burst up again, and not beyond it."""
    time = FakeClock()
    limiter = Limiter(Limit(rate=1, burst=2), time.clock())
    assert sorted(await entries(limiter, time, 3)) == [0, 0, 1]
    time.time += 100
    assert sorted(await entries(limiter, time, 4)) == [0, 0, 1, 2]
    time.time += 100
    assert [limiter.acquire_nowait() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("seconds", [5, 0.25])
async def test_a_pause_holds_everybody(seconds: float) -> None:
    """Nobody starts within a pause, a longer one wins, and a shorter one changes nothing."""
    time = FakeClock()
    limiter = Limiter(Limit(), time.clock())
    limiter.pause(seconds)
    limiter.pause(seconds / 2)
    assert not limiter.acquire_nowait()
    assert await entries(limiter, time, 5) == [seconds] * 5
    assert limiter.acquire_nowait()


async def test_a_pause_that_grows_while_they_wait() -> None:
    """Those who wait already wait for the longer pause too."""
    time = FakeClock()
    limiter = Limiter(Limit(), time.clock())
    limiter.pause(5)

    async def longer() -> None:
        await time.sleep(3)
        limiter.pause(7)

    async with anyio.create_task_group() as group:
        group.start_soon(longer)
        assert await entries(limiter, time, 3) == [10, 10, 10]


@pytest.mark.parametrize(("seconds", "expected"), [(10, [0, 1, 11.5, 12.5, 13.5]), (1, [0, 1, 3, 4, 5])])
async def test_the_rate_holds_after_a_pause_too(seconds: float, expected: list[float]) -> None:
    """Those whose turn came within the pause do not all start at its end, nor beside those who come after it."""
    time = FakeClock()
    limiter = Limiter(Limit(rate=1), time.clock())

    async def pause() -> None:
        await time.sleep(1.5)
        limiter.pause(seconds)

    async with anyio.create_task_group() as group:
        group.start_soon(pause)
        assert sorted(await entries(limiter, time, 5)) == pytest.approx(expected)


@CANCELLATIONS
async def test_a_cancelled_waiter_gives_back_its_slot_and_its_turn(native: bool) -> None:
    """Neither the slot nor the turn of a cancelled call is lost."""
    time = FakeClock()
    limiter = Limiter(Limit(concurrency=2, rate=1), time.clock())
    assert limiter.acquire_nowait()
    time.stuck = True
    await cancelled_while_waiting(limiter.acquire, native=native)
    time.time += 1
    assert limiter.acquire_nowait()


@CANCELLATIONS
async def test_a_cancelled_waiter_for_a_slot_takes_none(native: bool) -> None:
    """Whoever is cancelled in the queue leaves it as it was."""
    limiter = Limiter(Limit(concurrency=1), FakeClock().clock())
    assert limiter.acquire_nowait()
    await cancelled_while_waiting(limiter.acquire, native=native)
    limiter.release()
    assert limiter.acquire_nowait()
    assert not limiter.acquire_nowait()


@CANCELLATIONS
async def test_a_waiter_cancelled_within_a_pause_leaves_no_trace(native: bool) -> None:
    """A pause is no turn yet, so there is none to lose."""
    time = FakeClock()
    limiter = Limiter(Limit(concurrency=1, rate=1), time.clock())
    limiter.pause(5)
    time.stuck = True
    await cancelled_while_waiting(limiter.acquire, native=native)
    time.time += 5
    assert limiter.acquire_nowait()


async def test_4000_tasks_at_once() -> None:
    """A crowd passes in order of its size, and never more than the limit is under way."""
    wire = ScriptedWire(lambda _: answer())
    client = Client(wire, limit=Limit(concurrency=50))
    results = await gathered(lambda _: client.run(a_call()), 4000)
    assert results == [{"ok": True}] * 4000
    assert wire.most == 50


async def test_views_share_the_limit() -> None:
    """A view is another way to the same service, not another allowance."""
    wire = ScriptedWire(lambda _: answer())
    client = Client(wire, limit=Limit(concurrency=3))
    views: list[Any] = [client, client.with_options(timeout=1), client.with_options(retry=Retry(attempts=1))]
    await gathered(lambda number: views[number % 3].run(a_call()), 60)
    assert wire.most == 3


@pytest.mark.parametrize(
    ("status", "headers", "seconds"), [(429, {"retry-after": "30"}, 30), (429, {}, 0.5), (503, {"retry-after": "2"}, 2)]
)
async def test_one_wish_pauses_every_caller(status: int, headers: dict[str, str], seconds: float) -> None:
    """One of twenty is told to slow down, and nobody sends into the window; the waiting is told."""
    time = FakeClock(chance=1.0)
    sent_at: list[float] = []

    def respond(_: Request) -> Step:
        sent_at.append(time.time - 1000)
        return answer(status, headers=headers) if len(sent_at) == 1 else answer()

    client = Client(ScriptedWire(respond), time=time, limit=Limit(concurrency=4))
    with recording() as seen:
        results = await gathered(lambda _: client.run(a_call()), 20)
    assert results == [{"ok": True}] * 20
    assert [at for at in sent_at if at < seconds] == [0, 0, 0, 0]
    assert len(sent_at) == 21
    assert sorted(exchange.waited for exchange in seen.exchanges) == [0, 0, 0, *[seconds] * 17]


async def test_a_503_without_a_wish_pauses_nobody_else() -> None:
    """An outage of one call is not taken for a limit of all."""
    client = Client(ScriptedWire(answer(503), answer(), answer()), time=FakeClock(chance=1.0))
    await client.run(a_call())
    client.time.time -= 0.5
    assert client.engine.limiter.acquire_nowait()


async def test_waiting_for_the_limit_counts_against_the_deadline() -> None:
    """Whoever gets no slot in time is told so, and nothing was sent."""
    wire = ScriptedWire()
    client = Client(wire, limit=Limit(concurrency=1))
    assert client.engine.limiter.acquire_nowait()
    caught = await failure_of(client.with_options(deadline=1e-6).run(a_call()))
    assert (type(caught), caught.maybe_applied, caught.attempts) == (DeadlineExceeded, False, 0)
    assert "the client's own limit" in str(caught)
    assert wire.requests == []
    client.engine.limiter.release()
    assert client.engine.limiter.acquire_nowait()


def asks_to_wait(seconds: int) -> Step:
    """A service that wants to be left alone."""
    return answer(429, headers={"retry-after": str(seconds)})


async def test_a_pause_longer_than_a_call_is_told_at_once() -> None:
    """Whoever comes within it sends nothing and does not wait; whoever has the time for it waits it out."""
    wire = ScriptedWire(asks_to_wait(60), answer(), answer())
    client = Client(wire, retry=Retry(attempts=1))
    assert type(await failure_of(client.run(a_call()))) is RateLimited
    client.time.time += 10.5
    hasty, before = client.with_options(deadline=30), client.time.time
    caught = await failure_of(hasty.run(a_call()))
    assert (type(caught), caught.attempts, caught.retry_after, caught.maybe_applied) == (RateLimited, 0, 50, False)
    assert "the service asked this client to pause, for longer than this call may take; try again in 50 s" in str(
        caught
    )
    assert (client.time.time, len(wire.requests)) == (before, 1)
    await client.run(a_call())
    assert (client.time.time, len(wire.requests)) == (before + 49.5, 2)
    await hasty.run(a_call())


@pytest.mark.parametrize("status", [429, 503])
async def test_a_pause_beyond_a_callers_patience_is_never_shortened(status: int) -> None:
    """Nobody sends into it; a caller with enough patience waits it out, one with less is told at once what is left."""
    wire = ScriptedWire(answer(status, headers={"retry-after": "3600"}), answer())
    client = Client(wire)
    start = client.time.time
    assert (await failure_of(client.run(a_call()))).retry_after == 3600
    for passed in (0, 1, 61, 3539):
        client.time.time = start + passed
        caught = await failure_of(client.run(a_call()))
        assert (type(caught), caught.attempts, caught.retry_after) == (RateLimited, 0, 3600 - passed)
    assert (len(wire.requests), client.time.slept) == (1, [])
    patient = client.with_options(deadline=7200, retry=Retry(max_retry_after=3600))
    client.time.time = start
    await patient.run(a_call())
    assert (client.time.time - start, len(wire.requests)) == (3600, 2)


async def test_the_longest_wait_that_is_permitted_is_waited_by_all() -> None:
    """Also by who comes at the same moment."""
    wire = ScriptedWire(asks_to_wait(60), lambda _: answer())
    client = Client(wire, time=FakeClock(chance=1.0))
    client.time.time = start = 1e6 / 3
    await gathered(lambda _: client.run(a_call()), 3)
    assert client.time.time == start + 60


async def test_ones_own_pause_is_nobody_elses_lack_of_patience() -> None:
    """Where the service names no time, the others wait no longer than they would for a service that does."""
    wire = ScriptedWire(answer(429), lambda _: answer())
    client = Client(wire, time=FakeClock(chance=1.0), retry=Retry(base=8.0, max_retry_after=2.0))
    assert await gathered(lambda _: client.run(a_call()), 2) == [{"ok": True}] * 2


async def test_a_job_under_a_long_pause_sends_nothing() -> None:
    """Each further item is told at once, and none is sent into the pause."""
    wire = ScriptedWire(asks_to_wait(3600))
    client = Client(wire)
    async with bulk(lambda _: client.run(a_call(Effect.ONCE)), range(50), concurrency=1) as outcomes:
        found = [outcome async for outcome in outcomes]
    assert {type(outcome.error) for outcome in found} == {RateLimited}
    assert {outcome.state for outcome in found} == {State.PENDING}
    assert len(wire.requests) == 1


async def test_a_long_pause_reaches_those_who_wait_for_a_slot() -> None:
    """It was set after they had begun to wait; with the slot they hear of it, and give the slot back."""

    async def slow(_: Request) -> Step:
        await client.time.sleep(1)
        return asks_to_wait(60)

    wire = ScriptedWire(slow)
    client = Client(wire, limit=Limit(concurrency=1), deadline=30.0, retry=Retry(attempts=1))
    start = client.time.time
    errors = await gathered(lambda _: client.run(a_call()), 3)
    assert [type(error) for error in errors] == [RateLimited] * 3
    assert (client.time.time - start, len(wire.requests)) == (1, 1)
    client.time.time += 60
    assert type(await failure_of(client.run(a_call()))) is RateLimited
    assert len(wire.requests) == 2


async def test_a_pause_reaches_those_who_wait_for_a_shared_slot() -> None:
    """A slot that comes within the pause goes back to the others, who may use it meanwhile."""
    time, shared = FakeClock(), anyio.Semaphore(1)
    limiter = Limiter(Limit(), time.clock(), shared)
    others = Limiter(Limit(), time.clock(), shared)
    assert limiter.acquire_nowait()

    async def slow_down() -> None:
        await settle()
        limiter.release()
        limiter.pause(60)
        assert await entries(others, time, 1) == [0]

    async with anyio.create_task_group() as group:
        group.start_soon(slow_down)
        assert await entries(limiter, time, 3) == [60, 60, 60]
    assert shared.value == 1


async def test_a_long_pause_reaches_those_who_wait_for_a_shared_slot() -> None:
    """They hear of it with the slot, and give back all that they have."""
    time, shared = FakeClock(), anyio.Semaphore(1)
    limiter = Limiter(Limit(concurrency=2), time.clock(), shared)
    assert limiter.acquire_nowait()

    async def slow_down() -> None:
        await settle()
        limiter.release()
        limiter.pause(60)

    async with anyio.create_task_group() as group:
        group.start_soon(slow_down)
        with pytest.raises(LongPause):
            await limiter.acquire(time.time + 30)
    time.time += 60
    assert shared.value == 1
    shared.release()
    assert [limiter.acquire_nowait() for _ in range(3)] == [True, True, False]


async def test_a_slot_is_given_back_where_no_shared_one_is_free() -> None:
    """Who finds the others busy has taken nothing."""
    shared = anyio.Semaphore(1)
    limiter = Limiter(Limit(concurrency=1), FakeClock().clock(), shared)
    await shared.acquire()
    assert not limiter.acquire_nowait()
    shared.release()
    assert limiter.acquire_nowait()


async def test_a_long_pause_of_shared_permits_is_told_at_once() -> None:
    """Whichever process the service has told: nobody waits for its end only to learn that the time is up."""

    async def no_lease() -> None:
        pytest.fail("nobody asks for permits within a pause")

    time = FakeClock()
    permits = SharedPermits(no_lease, time.clock())
    limiter = Limiter(Limit(permits=permits), time.clock())
    permits.hold(3600)
    with anyio.fail_after(5), pytest.raises(LongPause) as caught:
        await limiter.acquire(time.clock().monotonic() + 120)
    assert (caught.value.left, permits.paused()) == (3600, 3600)


async def test_a_long_pause_is_told_before_a_slot_is_waited_for() -> None:
    """Whoever cannot sit out the pause need not stand in line for that."""
    time = FakeClock()
    limiter = Limiter(Limit(concurrency=1), time.clock())
    assert limiter.acquire_nowait()
    limiter.pause(60)
    with anyio.fail_after(5), pytest.raises(LongPause):
        await limiter.acquire(time.time + 30)
