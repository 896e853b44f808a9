"""Many calls at once: bounded, lazy, and without a task left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core import Effect, Outcome, bulk, recording
from klickdoxie_core.errors import ArgumentError, ConfigError, ConnectFailed, Facts, Interrupted, JobStopped, NotFound
from klickdoxie_core.journal import State
from klickdoxie_core.progress import OnProgress
from tests.core.support import (
    CANCELLATIONS,
    Client,
    ScriptedWire,
    a_call,
    answer,
    cancelled_while_waiting,
    settle,
    tasks,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class Work:
    """A call that takes some turns, and remembers how many were under way at once."""

    def __init__(self, turns: int = 3) -> None:
        self.turns = turns
        self.started: list[int] = []
        self.under_way = 0
        self.most = 0

    async def __call__(self, item: int) -> int:
        """The square of the item."""
        self.started.append(item)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await settle(self.turns)
        finally:
            self.under_way -= 1
        return item * item


async def counted(times: int) -> AsyncGenerator[int]:
    """An asynchronous source."""
    for number in range(times):
        await anyio.lowlevel.checkpoint()
        yield number


class Endless:
    """A source without end, of either kind, that counts what was pulled."""

    def __init__(self) -> None:
        self.pulled = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.pulled += 1
            yield self.pulled

    async def generator(self) -> AsyncGenerator[int]:
        """The same asynchronously."""
        for number in self:
            await anyio.lowlevel.checkpoint()
            yield number


class Plain(AsyncIterator[int]):
    """An asynchronous iterator that is no generator, and that two tasks must not enter at once."""

    def __init__(self, times: int) -> None:
        self._left = times
        self._inside = False

    async def __anext__(self) -> int:
        assert not self._inside
        self._inside = True
        await anyio.lowlevel.checkpoint()
        self._inside = False
        self._left -= 1
        if self._left < 0:
            raise StopAsyncIteration
        return self._left


@pytest.mark.parametrize("concurrency", [1, 3, 16, 200])
@pytest.mark.parametrize(
    "source",
    [
        lambda: list(range(50)),
        lambda: iter(range(50)),
        lambda: (n for n in range(50)),
        lambda: counted(50),
        lambda: Plain(50),
    ],
)
async def test_every_item_has_one_outcome(source: Callable[[], Any], concurrency: int) -> None:
    """From any source, each item is called once, at most so many at a time."""
    work = Work(turns=60)
    async with bulk(work, source(), concurrency=concurrency) as outcomes:
        results = {outcome.item: outcome.unwrap() async for outcome in outcomes}
        assert [outcome async for outcome in outcomes] == []
    assert results == {number: number * number for number in range(50)}
    assert sorted(work.started) == list(range(50))
    assert min(16, concurrency) <= work.most <= concurrency


async def test_sixteen_at_a_time_unless_told_otherwise() -> None:
    """The default is polite."""
    work = Work(turns=60)
    async with bulk(work, range(50)) as outcomes:
        assert len([outcome async for outcome in outcomes]) == 50
    assert work.most == 16


@pytest.mark.parametrize("source", [list[int], lambda: counted(0)])
async def test_nothing_to_do(source: Callable[[], Any]) -> None:
    """An empty source ends at once."""
    async with bulk(Work(), source()) as outcomes:
        assert [outcome async for outcome in outcomes] == []


@pytest.mark.parametrize("concurrency", [0, -1, 2.0, "4", None])
def test_concurrency_is_a_whole_number_from_one(concurrency: Any) -> None:
    """Nobody would work otherwise; found out in the block, it would leave a task group behind that nobody leaves."""
    with pytest.raises(ArgumentError, match="concurrency"):
        bulk(Work(), [1], concurrency=concurrency)


async def test_a_job_that_was_not_entered_says_how_it_is_used() -> None:
    """Without `async with` nobody works, and the iteration must not wait for that for ever."""
    work = Work()
    job = bulk(work, range(3))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"use it as: async with bulk\(…\) as outcomes: async for outcome in"):
            await anext(job)
    assert work.started == []
    async with job as outcomes:
        assert len([outcome async for outcome in outcomes]) == 3


async def test_a_job_is_entered_once() -> None:
    """Inside its own block nothing is disturbed by the second time, and afterwards it is over."""
    job = bulk(Work(), range(3))
    async with job as outcomes:
        with pytest.raises(ConfigError, match="can be entered once"):
            await job.__aenter__()
        assert len([outcome async for outcome in outcomes]) == 3
    with pytest.raises(ConfigError, match="can be entered once"):
        await job.__aenter__()


@pytest.mark.parametrize("taken", [0, 1])
async def test_who_iterates_after_the_block_is_told_that_it_was_left_too_early(taken: int) -> None:
    """What is missing is never taken for the end of the job."""
    before = tasks()
    async with bulk(Work(), Endless(), concurrency=4) as outcomes:
        for _ in range(taken):
            await anext(outcomes)
    for _ in range(2):
        with pytest.raises(ConfigError, match="left before the job came to its end; use it as: async with"):
            [outcome async for outcome in outcomes]
    assert tasks() == before


async def test_what_was_finished_can_be_taken_after_the_block() -> None:
    """A job that came to its end has one, also outside."""
    async with bulk(Work(turns=1), range(3)) as outcomes:
        await settle(30)
    assert sorted([outcome.item async for outcome in outcomes]) == [0, 1, 2]
    assert [outcome async for outcome in outcomes] == []


async def test_workers_that_never_began_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when an event loop that ends cancels them before their first step."""

    async def never_begin(_: bulk[int, int]) -> None:
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(bulk, "_work", never_begin)
    async with bulk(Work(), range(3)) as outcomes:
        pass
    with pytest.raises(ConfigError, match="left before"):
        await anext(outcomes)


async def test_an_error_of_a_call_is_its_outcome() -> None:
    """One bad item stops nothing, and its error is raised by whoever unwraps it."""

    async def call(item: int) -> int:
        if item % 2:
            raise ValueError(item)
        return item

    async with bulk(call, range(10), concurrency=4) as outcomes:
        seen = sorted([outcome async for outcome in outcomes], key=lambda outcome: outcome.item)
    assert [outcome.result for outcome in seen if outcome.error is None] == [0, 2, 4, 6, 8]
    assert [str(outcome.error) for outcome in seen if outcome.error is not None] == ["1", "3", "5", "7", "9"]
    with pytest.raises(ValueError, match="3"):
        seen[3].unwrap()


@pytest.mark.parametrize(
    ("error", "shown"),
    [(None, "None"), (NotFound("gone"), "NotFound('gone')"), (ValueError("anna@example.com"), "ValueError")],
    ids=["none", "ours", "foreign"],
)
def test_an_outcome_shows_nothing_personal(error: Exception | None, shown: str) -> None:
    """Item and result may be, and so may the text of an error that is not the SDK's."""
    outcome = Outcome(item="anna@example.com", result="Anna", error=error)
    assert repr(outcome) == f"Outcome(error={shown}, state=<State.DONE: 'done'>)"


@pytest.mark.parametrize("concurrency", [1, 5])
@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
async def test_the_source_is_read_no_faster_than_the_outcomes(kind: str, concurrency: int) -> None:
    """Memory stays flat: at most twice the concurrency is pulled beyond what was taken."""
    source = Endless()
    async with aclosing(source.generator()) as generator:
        items: Any = generator if kind == "asynchronous" else source
        async with bulk(Work(), items, concurrency=concurrency) as outcomes:
            await settle(200)
            assert source.pulled <= 2 * concurrency
            taken = 0
            async for _ in outcomes:
                taken += 1
                await settle(20)
                assert source.pulled <= taken + 2 * concurrency
                if taken == 40:
                    break


@pytest.mark.parametrize("concurrency", [1, 2, 4, 16])
async def test_a_slow_consumer_gets_everything(concurrency: int) -> None:
    """Workers that wait for room all go on when there is room."""
    work = Work(turns=1)
    results: list[int] = []
    async with bulk(work, range(100), concurrency=concurrency) as outcomes:
        async for outcome in outcomes:
            await settle(3 * concurrency)
            results.append(outcome.item)
    assert sorted(results) == list(range(100))


async def test_two_consumers_share_the_outcomes() -> None:
    """Each outcome goes to one of them, and both come to the end."""
    results: list[int] = []

    async def consume(outcomes: bulk[int, int]) -> None:
        results.extend([outcome.item async for outcome in outcomes])

    async with bulk(Work(), range(60), concurrency=4) as outcomes, anyio.create_task_group() as group:
        group.start_soon(consume, outcomes)
        group.start_soon(consume, outcomes)
    assert sorted(results) == list(range(60))


async def test_leaving_early_leaves_no_task_behind() -> None:
    """A plain `break` cancels what is under way and waits for it."""
    before, work = tasks(), Work()
    async with bulk(work, Endless(), concurrency=8) as outcomes:
        async for _ in outcomes:
            break
    assert (tasks(), work.under_way) == (before, 0)


async def test_entering_and_leaving_leaves_no_task_behind() -> None:
    """Nobody has to iterate."""
    before = tasks()
    async with bulk(Work(), Endless()):
        pass
    assert tasks() == before


class OwnError(Exception):
    """The caller's own."""


async def test_the_callers_own_error_comes_out_as_it_is() -> None:
    """No group is wrapped around what the caller raises inside the block."""
    before, work = tasks(), Work()

    async def consume() -> None:
        async with bulk(work, Endless(), concurrency=8) as outcomes:
            async for _ in outcomes:
                raise OwnError

    with pytest.raises(OwnError):
        await consume()
    assert (tasks(), work.under_way) == (before, 0)


@CANCELLATIONS
async def test_cancelling_the_consumer_leaves_no_task_behind(native: bool) -> None:
    """A cancelled job ends as cancelled, with everything that was under way."""
    before, work = tasks(), Work(turns=100_000)

    async def consume() -> None:
        async with bulk(work, Endless(), concurrency=8) as outcomes:
            async for _ in outcomes:
                pass

    await cancelled_while_waiting(consume, native=native)
    assert (tasks(), work.under_way, len(work.started)) == (before, 0, 8)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("point", range(0, 40, 3))
async def test_a_native_cancellation_at_any_point_is_clean(point: int) -> None:
    """Whenever `task.cancel()` comes, it comes out, and nothing stays."""
    before, work = tasks(), Work()

    async def consume() -> None:
        async with bulk(work, counted(1000), concurrency=3) as outcomes:
            async for _ in outcomes:
                await anyio.lowlevel.checkpoint()

    task = asyncio.ensure_future(consume())
    await settle(point)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle()
    assert (tasks(), work.under_way) == (before, 0)


def plain_that_fails() -> Iterator[int]:
    """A source that breaks after three items."""
    yield from range(3)
    raise OwnError


async def generator_that_fails() -> AsyncGenerator[int]:
    """The same asynchronously."""
    for number in range(3):
        yield number
    raise OwnError


class IteratorThatFails(Plain):
    """A source that would go on after it broke."""

    async def __anext__(self) -> int:
        number = await super().__anext__()
        if number == 2:
            raise OwnError
        return number


def plain_that_would_go_on() -> Iterator[int]:
    """The same, and it does not end by that."""
    numbers = iter(range(9))

    def take() -> int:
        if (number := next(numbers)) == 3:
            raise OwnError
        return number

    return iter(take, None)


@pytest.mark.parametrize("error", [StopAsyncIteration, OwnError])
async def test_a_source_that_has_ended_is_not_asked_again(error: type[Exception]) -> None:
    """A queue that has handed out its last item would keep the other workers waiting for ever."""
    asked = 0

    class Queue(Plain):
        async def __anext__(self) -> int:
            nonlocal asked
            asked += 1
            await anyio.lowlevel.checkpoint()
            raise error

    with suppress(OwnError):
        async with bulk(Work(), Queue(9), concurrency=4) as outcomes:
            assert [outcome async for outcome in outcomes] == []
    assert asked == 1


@pytest.mark.parametrize(
    ("source", "items"),
    [
        (plain_that_fails, [0, 1, 2]),
        (plain_that_would_go_on, [0, 1, 2]),
        (generator_that_fails, [0, 1, 2]),
        (lambda: IteratorThatFails(6), [3, 4, 5]),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 2, 8])
async def test_a_failing_source_is_raised_to_the_consumer(
    source: Callable[[], Any], items: list[int], concurrency: int
) -> None:
    """First come the outcomes of all that was started, then the source's own error, unwrapped."""
    work = Work()
    seen: list[int] = []

    async def consume() -> None:
        async with bulk(work, source(), concurrency=concurrency) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome.item)  # noqa: PERF401 - kept when the source fails

    with pytest.raises(OwnError):
        await consume()
    assert sorted(seen) == items == sorted(work.started)


@pytest.mark.parametrize(
    ("effect", "state"),
    [(Effect.ONCE, State.UNKNOWN), (Effect.REPEATABLE, State.PENDING), (Effect.SAFE, State.PENDING)],
)
async def test_an_outcome_says_what_may_be_done_about_it(effect: Effect, state: State) -> None:
    """Done, refused for good, to be repeated, or in doubt; also when nobody keeps a record of it."""
    errors = [None, NotFound(), Interrupted("", Facts(maybe_applied=True))]

    async def call(item: int) -> None:
        if (error := errors[item]) is not None:
            raise error

    async with bulk(call, range(3), effect=effect) as outcomes:
        states = {outcome.item: outcome.state async for outcome in outcomes}
        figures = outcomes.progress
    assert states == {0: State.DONE, 1: State.FAILED, 2: state}
    assert (figures.ok, figures.failed, figures.unknown) == (1, 1, effect is Effect.ONCE)
    assert (figures.done, figures.total) == (2 + (effect is Effect.ONCE), 3)


@pytest.mark.parametrize("watched", [False, True])
async def test_a_stopped_job_finishes_what_is_under_way(watched: bool) -> None:
    """Nothing new starts, all outcomes of what was started are handed out, and the iteration ends."""
    before, work, seen = tasks(), Work(turns=5), list[int]()
    listener: OnProgress | None = (lambda _: None) if watched else None
    async with bulk(work, Endless(), concurrency=4, on_progress=listener) as outcomes:
        assert not outcomes.stopped
        async for outcome in outcomes:
            seen.append(outcome.item)
            if len(seen) == 10:
                outcomes.stop()
    assert outcomes.stopped
    assert 10 < len(seen) <= 14 + 4
    assert sorted(seen) == sorted(work.started)
    assert tasks() == before


async def test_calls_of_a_client_go_through_bulk_with_their_recording() -> None:
    """The outcomes hold the client's results and errors, and a recording outside sees every call."""
    wire = ScriptedWire(lambda request: answer(200 if int(request.url[-1]) % 2 else 400))
    client = Client(wire)

    async def call(number: int) -> object:
        return await client.run(a_call(template="/thing/{n}", path={"n": number}))

    with recording() as seen:
        async with bulk(call, range(10), concurrency=3) as outcomes:
            errors = [outcome async for outcome in outcomes if outcome.error is not None]
    assert (len(errors), len(seen.exchanges)) == (5, 10)
    assert wire.most == 3
    assert not any(isinstance(outcome.error, ConnectFailed) for outcome in errors)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("concurrency", "told"), [(1, [0]), (4, [0, 2, 3, 4])])
async def test_a_future_that_was_cancelled_ends_the_job_and_not_its_caller(concurrency: int, told: list[int]) -> None:
    """What else is under way is finished and told; the caller gets an error, and not a cancellation of nobody's."""
    gone = asyncio.get_running_loop().create_future()
    gone.cancel("by somebody else")

    async def call(item: int) -> int:
        await settle(item)
        return await gone if item == 1 else item

    async with bulk(call, range(10), concurrency=concurrency) as outcomes:
        assert [(await anext(outcomes)).unwrap() for _ in told] == told
        with pytest.raises(JobStopped, match="the job was cancelled before it came to its end"):
            await anext(outcomes)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
