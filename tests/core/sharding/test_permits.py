"""One rate for many processes: who shares it out, and how each uses what it was given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from klickdoxie_core import ArgumentError, Limit
from klickdoxie_core.limiter import Limiter
from klickdoxie_core.sharding import Foreman
from klickdoxie_core.sharding.permits import Bucket, Lease, SharedPermits
from tests.core.support import CANCELLATIONS, FakeClock, cancelled_while_waiting, settle

pytestmark = pytest.mark.anyio


def asking(bucket: Bucket) -> Callable[[], Awaitable[Lease | None]]:
    """A way to the bucket, as from another process."""

    async def lease() -> Lease | None:
        await anyio.lowlevel.checkpoint()
        return bucket.lease()

    return lease


async def sent_at(time: FakeClock, processes: list[Limiter], times: int) -> list[float]:
    """When so many requests of each process went out, counted from now."""
    start, sent = time.time, list[float]()

    async def run(limiter: Limiter) -> None:
        for _ in range(times):
            if not limiter.acquire_nowait():
                await limiter.acquire()
            sent.append(time.time - start)
            limiter.release()

    async with anyio.create_task_group() as group:
        for limiter in processes:
            group.start_soon(run, limiter)
    return sorted(sent)


def processes(time: FakeClock, bucket: Bucket, number: int) -> list[tuple[SharedPermits, Limiter]]:
    """So many clients in processes of their own."""
    each = [SharedPermits(asking(bucket), time.clock()) for _ in range(number)]
    return [(permits, Limiter(Limit(permits=permits), time.clock())) for permits in each]


@pytest.mark.parametrize(
    ("rate", "size"), [(100, 50), (1000, 50), (50, 25), (3, 1), (0.5, 1)], ids=["100", "1000", "50", "3", "0.5"]
)
def test_a_lease_is_for_half_a_second_or_fifty(rate: float, size: int) -> None:
    """What a process does not use is no great loss; and leases follow each other without a gap."""
    time = FakeClock()
    bucket = Bucket(rate, lambda: time.time)
    leases = [bucket.lease() for _ in range(3)]
    assert [lease.permits for lease in leases] == [size] * 3
    assert [lease.wait for lease in leases] == pytest.approx([0, size / rate, 2 * size / rate])
    assert leases[0].interval == pytest.approx(1 / rate)


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), float("inf")])
def test_a_rate_is_a_number_above_zero(rate: float) -> None:
    """Below it time would run backwards, and nobody would wait; no bound is None."""
    with pytest.raises(ArgumentError, match="rate must be a number above 0"):
        Foreman(rate)


@pytest.mark.parametrize("number", [1, 2, 5])
async def test_all_processes_together_keep_the_rate(number: int) -> None:
    """However many there are, nothing goes out faster; what is lost is at most the end of each one's last lease."""
    time = FakeClock()
    limiters = [limiter for _, limiter in processes(time, Bucket(20, lambda: time.time), number)]
    sent = await sent_at(time, limiters, 60 // number)
    assert len(sent) == 60
    for start in range(0, 40, 5):
        assert sent[start + 20] - sent[start] >= 0.9
    assert 59 / 20 - 0.1 <= sent[-1] <= 59 / 20 + 0.5 * number


async def test_without_a_rate_nobody_waits() -> None:
    """No bound is a bound that nobody reaches; only pauses are shared then."""
    time = FakeClock()
    ((permits, limiter),) = processes(time, Bucket(None, lambda: time.time), 1)
    assert await sent_at(time, [limiter], 200) == [0.0] * 200
    assert permits.take_wish() == 0.0


@pytest.mark.parametrize("seconds", [5, 0.5])
async def test_a_pause_voids_what_was_given_out(seconds: float) -> None:
    """After a pause the processes do not start together, each with what it had in hand."""
    time = FakeClock()
    bucket = Bucket(20, lambda: time.time)
    (first, one), (second, other) = processes(time, bucket, 2)
    assert len(await sent_at(time, [one, other], 2)) == 4
    one.pause(seconds)
    await first.wait_for_wish()
    bucket.pause(first.take_wish())
    assert first.take_wish() == 0.0
    assert bucket.paused() == seconds
    second.hold(bucket.paused())
    paused_at = time.time
    sent = await sent_at(time, [one, other], 10)
    assert sent[0] >= seconds
    assert sent[-1] - sent[0] >= 0.9
    assert time.time - paused_at < seconds + 2


def test_a_shorter_pause_ends_no_longer_one() -> None:
    """Neither where it is shared out nor where it is asked for, and nobody's turn comes before its end."""
    time = FakeClock()
    bucket = Bucket(20, lambda: time.time)
    permits = SharedPermits(asking(bucket), time.clock())
    permits._receive(bucket.lease())
    for seconds in (3.0, 1.0):
        permits.pause(seconds)
        bucket.pause(seconds)
    assert not permits.take_nowait()
    assert permits.take_wish() == bucket.paused() == bucket.lease().wait == 3.0


def test_a_pause_that_is_told_again_is_the_same_pause() -> None:
    """Two clocks do not agree to the millisecond; permits for the time behind the pause stay good."""
    time = FakeClock()
    bucket = Bucket(None, lambda: time.time)
    permits = SharedPermits(asking(bucket), time.clock())
    permits.hold(1.0)
    time.time += 1.0
    permits._receive(bucket.lease())
    permits.hold(0.01)
    assert permits.take_nowait()
    time.time += 0.5
    permits.hold(0.0)
    assert permits.take_nowait()
    permits.hold(0.5)
    assert not permits.take_nowait()


def test_a_lease_does_not_keep() -> None:
    """Who comes much later than its permits does not send all of them at once."""
    time = FakeClock()
    permits = SharedPermits(asking(Bucket(None, lambda: time.time)), time.clock())
    permits._receive(Lease(permits=10, wait=0.0, interval=0.1))
    time.time += 1.5
    # A twentieth of a second is made up for, and no more.
    assert [permits.take_nowait() for _ in range(3)] == [True, False, False]
    time.time += 0.6
    assert not permits.take_nowait()


@CANCELLATIONS
async def test_a_cancelled_waiter_loses_no_permit(native: bool) -> None:
    """Nor does it keep the others from theirs."""
    time = FakeClock()
    permits = SharedPermits(asking(Bucket(2, lambda: time.time)), time.clock())
    await permits.take()
    time.stuck = True
    await cancelled_while_waiting(permits.take, native=native)
    time.stuck = False
    start = time.time
    await permits.take()
    assert time.time - start == pytest.approx(0.5)


async def test_the_first_to_wait_goes_first() -> None:
    """Nobody who comes later takes the permit that somebody waits for."""
    time = FakeClock()
    ((_, limiter),) = processes(time, Bucket(10, lambda: time.time), 1)
    order: list[int] = []

    async def enter(number: int) -> None:
        if not limiter.acquire_nowait():
            await limiter.acquire()
        order.append(number)
        limiter.release()

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(enter, number)
            await anyio.lowlevel.checkpoint()
    assert order == list(range(8))


async def test_nobody_overtakes_who_waits() -> None:
    """A permit that is there at once is for who has waited for it."""
    time = FakeClock()
    permits = SharedPermits(asking(Bucket(2, lambda: time.time)), time.clock())
    permits._receive(Lease(permits=1, wait=0.5, interval=0.5))
    time.stuck = True
    async with anyio.create_task_group() as group:
        group.start_soon(permits.take)
        await settle()
        time.time += 0.5
        assert not permits.take_nowait()
        group.cancel_scope.cancel()
    assert permits.take_nowait()


async def test_nobody_waits_for_a_foreman_that_is_gone() -> None:
    """The calls that are under way may end; that no other begins is the shard's business."""

    async def gone() -> Lease | None:
        await anyio.lowlevel.checkpoint()
        return None

    permits = SharedPermits(gone, FakeClock().clock())
    await permits.take()
    assert [permits.take_nowait() for _ in range(3)] == [True] * 3


async def test_a_slot_that_finds_no_permit_is_given_back() -> None:
    """A client that may not send keeps nothing."""
    time = FakeClock()
    ((_, limiter),) = processes(time, Bucket(1, lambda: time.time), 1)
    assert [limiter.acquire_nowait() for _ in range(60)] == [False] * 60
    assert limiter._slots.value == 50


@pytest.mark.parametrize("value", [5, "20/s", object()], ids=["number", "text", "object"])
def test_permits_are_no_number(value: object) -> None:
    """What cannot be asked for a turn is refused when the limit is made."""
    with pytest.raises(ValueError, match="permits of Limit must be shared permits"):
        Limit(permits=value)  # type: ignore[arg-type] - that is the point
