"""Jobs with a journal that are cancelled or left: what is under way, and what the next run does with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import aclosing, suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core import Effect, bulk
from klickdoxie_core.errors import JournalError
from klickdoxie_core.journal import Entry, Journal, State
from klickdoxie_core.journaled import Journaled
from tests.core.support import CANCELLATIONS, settle, tasks

pytestmark = pytest.mark.anyio


class Service:
    """Answers some items at once and lets the others wait until they are released."""

    def __init__(self, *slow: int) -> None:
        self.slow = set(slow)
        self.calls: Counter[int] = Counter()
        self.done: list[int] = []
        self.waiting = anyio.Event()
        self.released = anyio.Event()

    async def call(self, item: int) -> int:
        """The square of the item."""
        self.calls[item] += 1
        await anyio.lowlevel.checkpoint()
        if item in self.slow:
            if all(self.calls[slow] for slow in self.slow):
                self.waiting.set()
            await self.released.wait()
        self.done.append(item)
        return item * item


class Slow(Journal):
    """A journal that can be caught in the middle: an item is begun, or about to be settled."""

    begun: anyio.Event

    async def begin(self, key: str, *, again: bool = False, failed: bool = False) -> Entry:
        """Take some turns after it is written."""
        entry = await super().begin(key, again=again, failed=failed)
        self.begun.set()
        await settle(15)
        return entry

    async def settle(self, key: str, state: State, *, result: object = None, error: object = None) -> None:
        """Take some turns before it is written."""
        await settle(15)
        await super().settle(key, state, result=result, error=error)


class Job:
    """One run of a job in a folder."""

    def __init__(self, folder: Path, service: Service, effect: Effect, *, journal: type[Journal] = Slow) -> None:
        Slow.begun = anyio.Event()
        self.items = iter(range(10))
        self._journal = journal(folder / "send.journal", job="test")
        self._service = service
        self._effect = effect
        self.seen: list[State] = []
        self.entries: list[Entry] = []
        self.reconcile: Callable[[int], Awaitable[int]] | None = None
        self.again: Collection[State] = ()

    async def run(self, then: Callable[[bulk[int, int]], None] = lambda _: None) -> None:
        """Run it to its end, or until what is done after each outcome raises."""
        async with self._journal as journal:
            try:
                async with bulk(
                    self._service.call,
                    self.items,
                    journal=journal,
                    concurrency=3,
                    effect=self._effect,
                    reconcile=self.reconcile,
                    again=self.again,
                ) as outcomes:
                    async for outcome in outcomes:
                        self.seen.append(outcome.state)
                        then(outcomes)
            finally:
                with anyio.CancelScope(shield=True):
                    self.entries = [entry async for entry in journal.entries()]

    def states(self) -> dict[int, str]:
        """Where each item stood when it ended."""
        return {int(entry.key): entry.state.value for entry in self.entries}


async def broken_off(
    act: Callable[[], Awaitable[object]], when: anyio.Event, *, native: bool, then: Callable[[], object] = bool
) -> None:
    """Cancel it at some moment, do something else a little later, and see that it ends by the cancellation."""

    async def run() -> None:
        await act()
        raise AssertionError("it was not cancelled")

    if native:
        task = asyncio.ensure_future(run())
        await when.wait()
        task.cancel()
        await settle()
        then()
        with pytest.raises(asyncio.CancelledError):
            await task
        return
    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await when.wait()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await settle()
            then()


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for calls that are under way when a job is left."""
    monkeypatch.setattr("klickdoxie_core.journaled._GRACE", 0.0)


@CANCELLATIONS
async def test_a_call_that_must_not_be_repeated_may_finish(tmp_path: Path, native: bool) -> None:
    """What would be unknown is done, nothing else starts meanwhile, and the next run does the rest."""
    before, service = tasks(), Service(4, 5, 6)
    first = Job(tmp_path, service, Effect.ONCE)
    await broken_off(first.run, service.waiting, native=native, then=service.released.set)
    assert first.states() == dict.fromkeys(range(7), "done")
    assert next(first.items) == 7
    second = Job(tmp_path, service, Effect.ONCE)
    await second.run()
    assert (service.calls, len(second.seen)) == (Counter(range(10)), 3)
    assert tasks() == before


@pytest.mark.usefixtures("no_grace")
@CANCELLATIONS
async def test_one_that_does_not_finish_is_unknown(tmp_path: Path, native: bool) -> None:
    """After its time it is broken off, and never sent again."""
    before, service = tasks(), Service(4, 5, 6)
    first = Job(tmp_path, service, Effect.ONCE)
    await broken_off(first.run, service.waiting, native=native)
    assert first.states() == {**dict.fromkeys(range(4), "done"), **dict.fromkeys([4, 5, 6], "unknown")}
    assert "broken off" in str(first.entries[-1].error)
    second = Job(tmp_path, service, Effect.ONCE)
    await second.run()
    assert service.calls == Counter(range(10))
    assert sorted(second.seen) == [State.DONE] * 3 + [State.UNKNOWN] * 3
    assert tasks() == before


@CANCELLATIONS
@pytest.mark.parametrize("effect", [Effect.REPEATABLE, Effect.SAFE])
async def test_one_that_may_be_repeated_is_broken_off_at_once(tmp_path: Path, effect: Effect, native: bool) -> None:
    """It is as pending as if it had never begun."""
    before, service = tasks(), Service(4, 5, 6)
    first = Job(tmp_path, service, effect)
    await broken_off(first.run, service.waiting, native=native)
    assert first.states() == {**dict.fromkeys(range(4), "done"), **dict.fromkeys([4, 5, 6], "pending")}
    service.slow.clear()
    second = Job(tmp_path, service, effect)
    await second.run()
    assert second.states() == dict.fromkeys(range(10), "done")
    assert sorted(service.done) == list(range(10))
    assert tasks() == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_cancellation_ends_the_grace(tmp_path: Path) -> None:
    """Who insists does not wait, and still every item is recorded."""
    before, service = tasks(), Service(0, 1, 2)
    job = Job(tmp_path, service, Effect.ONCE)

    async def insist() -> None:
        await settle()
        task.cancel()

    task = asyncio.ensure_future(job.run())
    await service.waiting.wait()
    task.cancel()
    await insist()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert job.states() == dict.fromkeys(range(3), "unknown")
    await settle()
    assert tasks() == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_workers_that_are_cancelled_themselves_leave_a_record(tmp_path: Path) -> None:
    """An event loop that ends cancels every task, also the shielded ones."""
    service = Service(0, 1, 2)
    job = Job(tmp_path, service, Effect.ONCE)
    others = asyncio.all_tasks()
    task = asyncio.ensure_future(job.run())
    await service.waiting.wait()
    for its_own in asyncio.all_tasks() - others:
        its_own.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert job.states() == dict.fromkeys(range(3), "unknown")


class OwnError(Exception):
    """The caller's own."""


@pytest.mark.usefixtures("no_grace")
@pytest.mark.parametrize(("effect", "state"), [(Effect.ONCE, "unknown"), (Effect.REPEATABLE, "pending")])
async def test_leaving_the_block_is_like_a_cancellation(tmp_path: Path, effect: Effect, state: str) -> None:
    """What is under way is recorded before the block is left, by the caller's own error."""
    before, service = tasks(), Service(2, 3)

    def fail(outcomes: bulk[int, int]) -> None:
        if service.waiting.is_set():
            raise OwnError

    job = Job(tmp_path, service, effect)
    with pytest.raises(OwnError):
        await job.run(fail)
    expected = {item: "done" if item in service.done else state for item in service.calls}
    assert (expected[2], expected[3]) == (state, state)
    assert {item: job.states()[item] for item in service.calls} == expected
    assert all(job.states()[item] == "pending" for item in job.states() if item not in service.calls)
    assert tasks() == before


async def test_the_grace_is_five_seconds(tmp_path: Path) -> None:
    """As long as a usual answer takes."""
    service = Service()
    runner = Journaled(
        service.call, Effect.ONCE, Journal(tmp_path / "j", job="test"), key=None, reconcile=None, keep=None
    )
    assert runner._grace == 5


@CANCELLATIONS
async def test_an_item_that_was_begun_and_not_sent_is_pending(tmp_path: Path, native: bool) -> None:
    """A cancellation while the journal is written starts no call, and leaves no doubt where there is none."""
    service = Service()
    job = Job(tmp_path, service, Effect.ONCE)
    await broken_off(job.run, Slow.begun, native=native)
    assert service.calls == {}
    assert set(job.states().values()) == {"pending"}


@CANCELLATIONS
async def test_one_that_is_in_doubt_stays_so(tmp_path: Path, native: bool) -> None:
    """With what was known of it, when nobody got round to finding out."""
    service, known = Service(), {"code": "Interrupted", "message": "lost"}
    async with Journal(tmp_path / "send.journal", job="test") as journal:
        await journal.begin("0")
        await journal.settle("0", State.UNKNOWN, error=known)
    job = Job(tmp_path, service, Effect.ONCE)
    job.reconcile = service.call
    await broken_off(job.run, Slow.begun, native=native)
    assert service.calls == {}
    assert (job.entries[0].state, job.entries[0].error) == (State.UNKNOWN, known)


@CANCELLATIONS
@pytest.mark.parametrize(
    ("before", "after"), [(State.FAILED, State.PENDING), (State.UNKNOWN, State.UNKNOWN)], ids=["failed", "unknown"]
)
async def test_one_that_should_be_called_anew_and_was_not_is_no_more_in_doubt_than_before(
    tmp_path: Path, before: State, after: State, native: bool
) -> None:
    """Somebody has asked for what was refused, so that it is to be sent; what was in doubt is so still."""
    service = Service()
    async with Journal(tmp_path / "send.journal", job="test") as journal:
        await journal.begin("0")
        await journal.settle("0", before, error={"code": "404", "message": "gone"})
    job = Job(tmp_path, service, Effect.ONCE)
    job.again = {State.FAILED, State.UNKNOWN}
    await broken_off(job.run, Slow.begun, native=native)
    assert service.calls == {}
    assert job.entries[0].state is after


class Broken(Journal):
    """A journal that can be read only."""

    async def settle(self, key: str, state: State, *, result: object = None, error: object = None) -> None:
        """Refuse."""
        raise JournalError("the disk is full")


@pytest.mark.usefixtures("no_grace")
@CANCELLATIONS
@pytest.mark.parametrize("effect", [Effect.ONCE, Effect.REPEATABLE])
async def test_a_cancellation_comes_out_also_when_nothing_can_be_recorded(
    tmp_path: Path, effect: Effect, native: bool
) -> None:
    """The journal says that it is in flight, which the next run takes for what it is."""
    service = Service(0, 1, 2)
    job = Job(tmp_path, service, effect, journal=Broken)
    await broken_off(job.run, service.waiting, native=native)
    assert job.states() == dict.fromkeys(range(3), "in flight")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("point", range(0, 60, 4))
async def test_whenever_a_job_is_cancelled_nothing_is_done_twice(tmp_path: Path, point: int) -> None:
    """Broken off at any point and run again, each item was called once, and none is in doubt without need."""
    service = Service()
    first = Job(tmp_path, service, Effect.ONCE)
    task = asyncio.ensure_future(first.run())
    await settle(point)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    second = Job(tmp_path, service, Effect.ONCE)
    await second.run()
    assert service.calls == Counter(range(10))
    assert second.states() == dict.fromkeys(range(10), "done")


async def test_a_source_that_waits_holds_nothing_up(tmp_path: Path) -> None:
    """What is shielded is the call alone."""
    service = Service()

    async def source() -> AsyncGenerator[int]:
        yield 1
        await anyio.sleep_forever()

    async with (
        Journal(tmp_path / "send.journal", job="test") as journal,
        aclosing(source()) as items,
        bulk(service.call, items, journal=journal) as outcomes,
    ):
        assert (await anext(outcomes)).unwrap() == 1
