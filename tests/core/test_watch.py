"""Jobs that wait out an outage, or stop because going on is senseless."""

from __future__ import annotations

import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core import Effect, Outcome, bulk
from klickdoxie_core.breaker import Breaker
from klickdoxie_core.errors import (
    ConnectFailed,
    Facts,
    Interrupted,
    JobStopped,
    NotFound,
    SdkError,
    Unauthorized,
)
from klickdoxie_core.journal import State
from klickdoxie_core.progress import Progress
from tests.core.support import CANCELLATIONS, FakeClock, cancelled_while_waiting, settle, tasks

pytestmark = pytest.mark.anyio


class Service:
    """A service that is out of reach from one moment of a clock to another."""

    def __init__(self, *, down: float = 0.0, up: float = float("inf"), error: Exception | None = None) -> None:
        self.time = FakeClock()
        self.down = self.time.time + down
        self.up = self.time.time + up
        self.error = error or ConnectFailed("no connection")
        self.calls: list[int] = []
        self.probes: list[float] = []
        self.under_way = 0

    async def call(self, item: int) -> int:
        """The square of the item, a second later."""
        self.calls.append(item)
        self.under_way += 1
        try:
            await settle(2)
            self._answer()
        finally:
            self.under_way -= 1
        return item * item

    async def probe(self) -> None:
        """A read."""
        self.probes.append(self.time.time)
        await settle(2)
        self._answer()

    def _answer(self) -> None:
        if self.down <= self.time.time < self.up:
            raise self.error

    def job(self, items: Any, **options: Any) -> bulk[int, int]:
        """A job that calls it by this clock."""
        options.setdefault("breaker", Breaker())
        options.setdefault("effect", Effect.REPEATABLE)
        return bulk(self.call, items, clock=self.time.clock(), **options)


async def all_of(job: bulk[int, int]) -> tuple[list[Outcome[int, int]], JobStopped | None]:
    """The outcomes of a job, and why it stopped itself if it did."""
    seen: list[Outcome[int, int]] = []
    try:
        async with job as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)  # noqa: PERF401 - kept when the job stops
    except JobStopped as error:
        return seen, error
    return seen, None


@pytest.mark.parametrize("effect", [Effect.REPEATABLE, Effect.SAFE])
async def test_an_outage_is_waited_out(effect: Effect) -> None:
    """One item at a time tries whether it is over; then every item is done, and told of once."""
    service = Service(up=20)
    before = tasks()
    seen, stopped = await all_of(service.job(range(100), effect=effect))
    assert stopped is None
    assert tasks() == before
    assert sorted(outcome.item for outcome in seen) == list(range(100))
    pending = [outcome for outcome in seen if outcome.state is State.PENDING]
    assert len(pending) == 9, "only those that came back before it was known"
    assert all(isinstance(outcome.error, ConnectFailed) for outcome in pending)
    # After 1, 2, 4, 8 and 16 seconds.
    assert len(service.calls) == 100 + 16 + 4
    assert service.time.time == 1000 + 31


async def test_items_that_must_not_be_repeated_are_not_the_probe() -> None:
    """A read is; what was provably not sent waits and is sent afterwards, what is in doubt is told as it is."""
    service = Service(up=6, error=Interrupted("lost", Facts(maybe_applied=True)))
    breaker = Breaker(probe=service.probe, outages=3)
    seen, stopped = await all_of(service.job(range(40), breaker=breaker, effect=Effect.ONCE, concurrency=4))
    assert stopped is None
    assert service.probes == [1001, 1003, 1007]
    assert sorted(service.calls) == list(range(40))
    states = [outcome.state for outcome in seen]
    assert (states.count(State.UNKNOWN), states.count(State.DONE)) == (6, 34)

    unsent = Service(up=6)
    breaker = Breaker(probe=unsent.probe, outages=3)
    seen, stopped = await all_of(unsent.job(range(40), breaker=breaker, effect=Effect.ONCE, concurrency=4))
    assert (stopped, len(unsent.probes)) == (None, 3)
    assert len(unsent.calls) == 40 + 4
    assert sorted(outcome.item for outcome in seen) == list(range(40))


async def test_without_a_probe_such_a_job_stops_at_once() -> None:
    """It cannot find out when to go on."""
    service = Service()
    seen, stopped = await all_of(service.job(range(100), effect=Effect.ONCE))
    assert isinstance(stopped and stopped.__cause__, ConnectFailed)
    assert str(stopped).endswith("; given a safe read as Breaker(probe=…), a job waits until such an outage is over")
    assert len(service.calls) == len(seen) <= 16 + 10
    assert service.time.slept == []


@pytest.mark.parametrize("probing", [False, True])
async def test_a_dead_network_costs_few_calls(probing: bool) -> None:
    """10,000 items cost as many calls as there are workers, and ten, and the probes until the patience ends."""
    service = Service()
    options: dict[str, Any] = {}
    if probing:
        options = {"breaker": Breaker(probe=service.probe), "effect": Effect.ONCE}
    seen, stopped = await all_of(service.job(range(10_000), **options))
    assert stopped is not None
    assert "the outage was not over after 300 s: no connection; 0 done, 0 failed, 0 unknown, " in str(stopped)
    assert service.time.time == 1300
    assert len(service.calls) + len(service.probes) <= 16 + 10 + 10
    assert len(service.probes) == 10 * probing
    assert {outcome.state for outcome in seen} == {State.PENDING}
    assert len({outcome.item for outcome in seen}) == len(seen)


async def test_an_answer_to_the_probe_ends_the_outage_also_when_it_is_a_refusal() -> None:
    """The item that was the probe is refused, and the others go on."""

    async def call(item: int) -> int:
        calls.append(item)
        if len(calls) <= 3:
            raise ConnectFailed
        if len(calls) == 4:
            raise NotFound("there is no such thing")
        return item

    calls: list[int] = []
    breaker = Breaker(outages=3)
    clock = FakeClock().clock()
    async with bulk(call, range(9), concurrency=1, breaker=breaker, effect=Effect.SAFE, clock=clock) as outcomes:
        states = [outcome.state async for outcome in outcomes]
    assert states == [State.PENDING, State.PENDING, State.FAILED, *[State.DONE] * 6]


async def test_a_refusal_of_the_credentials_stops_the_job() -> None:
    """What is under way finishes and is handed out; the text says why and how far it came."""
    refused = Unauthorized("wrong key")
    others = anyio.Event()

    async def call(item: int) -> int:
        if item == 5:
            await others.wait()
            raise refused
        if item == 7:
            others.set()
        if item > 5:
            await settle(30)
        return item

    items = iter(range(1000))
    job = bulk(call, items, concurrency=3, breaker=Breaker())
    seen, stopped = await all_of(job)
    assert stopped is not None
    assert stopped.__cause__ is refused
    assert "wrong key; 7 done, 0 failed, 0 unknown, 0 settled by an earlier run, the rest is pending" in str(stopped)
    assert "journal" not in str(stopped)
    assert sorted(outcome.item for outcome in seen) == list(range(8))
    assert next(items) == 8
    assert [outcome.state for outcome in seen if outcome.item == 5] == [State.PENDING]
    with pytest.raises(JobStopped):
        await anext(job)


async def test_a_function_that_raises_for_every_item_stops_the_job() -> None:
    """Of its error the text tells nothing but the class, since it may hold anything; where it arose is the cause's."""

    async def call(_: int) -> int:
        raise ValueError("anna@example.com")

    job = bulk(call, range(1000), concurrency=1, breaker=Breaker(same=5), effect=Effect.REPEATABLE)
    seen, stopped = await all_of(job)
    assert stopped is not None
    assert stopped.__cause__ is seen[-1].error
    assert traceback.extract_tb(stopped.__cause__.__traceback__)[-1].name == "call"
    assert "its function raises the same error for every item, 5 in a row: ValueError; 0 done, 5 failed" in str(stopped)
    assert "refused" not in str(stopped)
    assert "anna" not in str(stopped)
    assert "again" not in str(stopped)
    assert len(seen) == 5


async def test_without_a_breaker_nothing_stops() -> None:
    """Whoever did not ask for it gets an outcome for every item."""
    seen, stopped = await all_of(Service().job(range(100), breaker=None, on_progress=lambda _: None))
    assert (len(seen), stopped) == (100, None)


async def counted(times: int) -> AsyncGenerator[int]:
    """A source that does not say how much it has."""
    for number in range(times):
        await anyio.lowlevel.checkpoint()
        yield number


@pytest.mark.parametrize(
    ("source", "total", "told"),
    [
        (lambda: range(5), None, 5),
        (lambda: range(5), 9, 9),
        (lambda: counted(5), None, None),
        (lambda: iter(range(5)), 5, 5),
    ],
)
async def test_the_figures_are_told(source: Callable[[], Any], total: int | None, told: int | None) -> None:
    """Also the total, where the source or the caller knows it; the last ones come when the block is left."""
    seen: list[Progress] = []
    job = Service(up=0).job(source(), total=total, breaker=None, on_progress=seen.append)
    assert len((await all_of(job))[0]) == 5
    assert (seen[-1].done, seen[-1].ok, seen[-1].total) == (5, 5, told)
    assert seen[-1] == job.progress


async def test_a_display_that_fails_breaks_nothing() -> None:
    """The job goes on, and so does the caller."""

    def fail(_: Progress) -> None:
        raise LookupError

    seen, stopped = await all_of(Service(up=0).job(range(20), on_progress=fail))
    assert (len(seen), stopped) == (20, None)


async def test_a_waiting_job_tells_why() -> None:
    """Every second, with figures that add up; afterwards it does not wait any more."""
    told: list[Progress] = []
    await all_of(Service(up=20).job(range(100), on_progress=told.append))
    waiting = [progress for progress in told if progress.paused is not None]
    assert {progress.paused for progress in waiting} == {"no connection"}
    assert len(waiting) >= 30
    assert all(p.done == p.ok + p.skipped + p.failed + p.unknown for p in told)
    assert (told[-1].paused, told[-1].done, told[-1].ok) == (None, 91, 91)


async def test_a_waiting_job_can_be_stopped() -> None:
    """Within a second it ends as any stopped job, and tells what it held back."""
    service = Service()

    def stop(progress: Progress) -> None:
        if progress.seconds >= 30:
            job.stop()

    job = service.job(range(100), on_progress=stop)
    seen, stopped = await all_of(job)
    assert stopped is None
    assert service.time.time == 1031
    assert {outcome.state for outcome in seen} == {State.PENDING}
    assert len(seen) == 9 + 16


@pytest.mark.parametrize("watched", [False, True])
async def test_what_a_source_hands_out_after_a_stop_is_not_started(watched: bool) -> None:
    """The source was already asked for it."""
    service, asked = Service(up=0), anyio.Event()

    async def source() -> AsyncGenerator[int]:
        yield 1
        await asked.wait()
        yield 2

    breaker = Breaker() if watched else None
    async with aclosing(source()) as items, service.job(items, breaker=breaker, concurrency=2) as outcomes:
        async for _ in outcomes:
            outcomes.stop()
            asked.set()
    assert service.calls == [1]


async def test_an_item_that_was_never_tried_has_no_outcome() -> None:
    """It waited for the service when the job was stopped, or gave up; the journal or the input still has it."""
    service = Service(error=Interrupted("lost", Facts(maybe_applied=True)))
    breaker = Breaker(probe=service.probe, outages=3)
    seen, stopped = await all_of(service.job(range(100), breaker=breaker, effect=Effect.ONCE, concurrency=4))
    assert stopped is not None
    assert "0 done, 0 failed, 6 unknown" in str(stopped)
    assert sorted(outcome.item for outcome in seen) == sorted(service.calls) == list(range(6))


async def test_a_failure_after_a_stop_does_not_stop_it_again() -> None:
    """The caller has decided already."""
    service = Service(error=Unauthorized("wrong key"))
    job = service.job(range(100), concurrency=2)
    async with job as outcomes:
        await settle(1)
        job.stop()
        assert len([outcome async for outcome in outcomes]) <= 2


@pytest.mark.parametrize("error", [ConnectFailed("no connection"), Unauthorized("wrong key")])
async def test_the_sources_own_error_comes_first(error: SdkError) -> None:
    """What was held back by the outage is done before, and what else stopped the job is in the outcomes."""
    service = Service(up=3, error=error)

    def source() -> Any:
        yield from range(4)
        raise LookupError

    seen: list[int] = []
    failed = False
    async with service.job(source(), concurrency=5, breaker=Breaker(outages=2)) as outcomes:
        try:
            async for outcome in outcomes:
                seen.append(outcome.item)  # noqa: PERF401 - kept when the source fails
        except LookupError:
            failed = True
    assert failed
    assert sorted(seen) == [0, 1, 2, 3]


async def test_a_slow_consumer_gets_everything_after_an_outage() -> None:
    """Workers that wait for room and workers that wait for the service come all to the end."""
    service = Service(down=0, up=5)
    seen: list[int] = []
    async with service.job(range(60), concurrency=4, breaker=Breaker(outages=2)) as outcomes:
        async for outcome in outcomes:
            await settle(12)
            seen.append(outcome.item)
    assert sorted(seen) == list(range(60))


def leave(_: bulk[int, int]) -> None:
    """The caller loses interest."""
    raise LookupError


@pytest.mark.parametrize("act", [leave, lambda _: None])
async def test_leaving_a_waiting_job_leaves_no_task_behind(act: Callable[[bulk[int, int]], None]) -> None:
    """Whoever waits for the service or for room is cancelled."""
    service = Service()
    service.time.stuck = True
    before = tasks()
    try:
        async with service.job(range(100)) as outcomes:
            await settle(50)
            act(outcomes)
    except LookupError:
        pass
    assert (tasks(), service.under_way) == (before, 0)


@CANCELLATIONS
async def test_cancelling_a_waiting_job_leaves_no_task_behind(native: bool) -> None:
    """The cancellation comes out."""
    service = Service()
    service.time.stuck = True
    before = tasks()

    async def run() -> None:
        await all_of(service.job(range(100)))

    await cancelled_while_waiting(run, native=native)
    assert (tasks(), service.under_way) == (before, 0)
