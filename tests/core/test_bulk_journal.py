"""Jobs that can be broken off at any point and run again, so that nothing is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core import Clock, Effect, Outcome, bulk
from klickdoxie_core.breaker import Breaker
from klickdoxie_core.errors import (
    ArgumentError,
    ConnectFailed,
    Facts,
    Forbidden,
    Interrupted,
    JobStopped,
    JournalError,
    NotFound,
)
from klickdoxie_core.journal import Entry, Journal, State
from klickdoxie_core.progress import Progress
from tests.core.support import FakeClock, settle

pytestmark = pytest.mark.anyio

DOUBT = Facts(maybe_applied=True)
RAISED = {"code": "ValueError", "message": "its call raised ValueError"}


def a_journal(folder: Path) -> Journal:
    """The journal of the one job in this folder."""
    return Journal(folder / "send.journal", job="test")


async def entries_of(folder: Path) -> dict[str, Entry]:
    """What the journal says, by key."""
    async with a_journal(folder) as journal:
        return {entry.key: entry async for entry in journal.entries()}


async def states_of(folder: Path) -> dict[str, str]:
    """Where each item stands, by key."""
    return {key: entry.state.value for key, entry in (await entries_of(folder)).items()}


class Service:
    """Counts what it is asked to do; some items fail, others wait until they are released."""

    def __init__(self, errors: dict[int, Exception] | None = None, *, slow: set[int] | None = None) -> None:
        self.errors = errors or {}
        self.slow = slow or set()
        self.calls: Counter[int] = Counter()
        self.released = anyio.Event()

    async def call(self, item: int) -> int:
        """The square of the item."""
        self.calls[item] += 1
        await anyio.lowlevel.checkpoint()
        if item in self.slow:
            await self.released.wait()
        if item in self.errors:
            raise self.errors[item]
        return item * item


async def run(folder: Path, service: Service, items: Any, **options: Any) -> list[Outcome[int, int]]:
    """The outcomes of a job from beginning to end."""
    async with a_journal(folder) as journal, bulk(service.call, items, journal=journal, **options) as outcomes:
        seen = [outcome async for outcome in outcomes]
        figures = outcomes.progress
    pending = sum(outcome.state is State.PENDING for outcome in seen)
    assert figures.done == figures.ok + figures.skipped + figures.failed + figures.unknown
    assert len(seen) + figures.skipped == figures.done + pending
    return seen


async def leave_in_flight(folder: Path, *keys: str) -> None:
    """As if a run had been killed after it began these items."""
    async with a_journal(folder) as journal:
        for key in keys:
            await journal.begin(key)


@pytest.mark.parametrize("effect", list(Effect))
async def test_a_second_run_does_what_is_left(tmp_path: Path, effect: Effect) -> None:
    """Done and refused items stay as they are and have no outcome; what may pass is tried again."""
    service = Service({1: ConnectFailed("no connection"), 2: NotFound("gone", Facts(code=404))})
    first = await run(tmp_path, service, range(4), effect=effect)
    assert {outcome.item: outcome.state.value for outcome in first} == {0: "done", 1: "pending", 2: "failed", 3: "done"}
    service.errors.clear()
    second = await run(tmp_path, service, range(5), effect=effect)
    assert sorted((outcome.item, outcome.unwrap()) for outcome in second) == [(1, 1), (4, 16)]
    assert service.calls == {0: 1, 1: 2, 2: 1, 3: 1, 4: 1}
    assert await run(tmp_path, service, range(5), effect=effect) == []


async def test_an_item_is_in_the_journal_before_it_is_called(tmp_path: Path) -> None:
    """Whatever kills the program during the call, the next run knows of it."""
    async with a_journal(tmp_path) as journal:

        async def call(item: str) -> None:
            entry = await journal.find(item)
            assert entry is not None
            assert (entry.state, entry.attempts) == (State.IN_FLIGHT, 1)

        async with bulk(call, ["Käthe; Müller"], journal=journal) as outcomes:
            assert [outcome.error async for outcome in outcomes] == [None]


@pytest.mark.parametrize(
    ("error", "effect", "state", "record"),
    [
        (NotFound("gone", Facts(code=10, subcode=5)), Effect.ONCE, "failed", {"code": "10/5", "message": "gone"}),
        (ConnectFailed("down"), Effect.ONCE, "pending", {"code": "ConnectFailed", "message": "down"}),
        (Interrupted("lost", DOUBT), Effect.ONCE, "unknown", {"code": "Interrupted", "message": "lost"}),
        (Interrupted("lost", DOUBT), Effect.REPEATABLE, "pending", {"code": "Interrupted", "message": "lost"}),
        (ValueError("anna@example.com"), Effect.ONCE, "unknown", RAISED),
        (ValueError("anna@example.com"), Effect.SAFE, "failed", RAISED),
    ],
)
async def test_an_error_is_recorded(
    tmp_path: Path, error: Exception, effect: Effect, state: str, record: dict[str, str]
) -> None:
    """With what it means to the item, and without what may be personal."""
    (outcome,) = await run(tmp_path, Service({7: error}), [7], effect=effect)
    assert (outcome.error, outcome.state.value) == (error, state)
    entry = (await entries_of(tmp_path))["7"]
    assert (entry.state.value, entry.error) == (state, record)


async def test_what_is_to_be_kept_of_a_result(tmp_path: Path) -> None:
    """Nothing, unless the caller says what."""
    await run(tmp_path, Service(), [3], keep=lambda result: {"id": result})
    await run(tmp_path, Service(), [4])
    entries = await entries_of(tmp_path)
    assert (entries["3"].result, entries["4"].result) == ({"id": 9}, None)


async def test_what_was_kept_of_an_earlier_result_stays(tmp_path: Path) -> None:
    """An item that is refused now, or still in doubt, takes nothing away."""
    kept = [
        Entry(key="1", state=State.PENDING, result={"id": 7}),
        Entry(key="2", state=State.UNKNOWN, result={"id": 8}),
    ]
    async with a_journal(tmp_path) as journal:
        await journal.add(kept)
    await run(tmp_path, Service({1: NotFound("gone")}), [1, 2])
    entries = await entries_of(tmp_path)
    assert [(entry.state, entry.result) for entry in entries.values()] == [
        (State.FAILED, {"id": 7}),
        (State.UNKNOWN, {"id": 8}),
    ]


@pytest.mark.parametrize(
    ("keep", "said"),
    [(lambda _: object(), "result must be something that JSON can hold"), (lambda _: {}["id"], "KeyError")],
)
async def test_a_keep_that_fails_stops_the_job_and_takes_nothing_back(
    tmp_path: Path, keep: Callable[[Any], object], said: str
) -> None:
    """What was done is done, and is told."""
    seen: list[Outcome[int, int]] = []
    service = Service()
    async with a_journal(tmp_path) as journal:
        job = bulk(service.call, range(100), journal=journal, keep=keep, concurrency=1)
        async with job as outcomes:
            seen.append(await anext(outcomes))
            with pytest.raises(JobStopped, match=f"what `keep` gives of a result cannot be recorded: {said}"):
                await anext(outcomes)
    assert [(outcome.item, outcome.state) for outcome in seen] == [(0, State.DONE)]
    assert await states_of(tmp_path) == {"0": "done"}


async def test_what_an_earlier_run_left_under_way_is_repeated_where_that_is_allowed(tmp_path: Path) -> None:
    """Writing twice is the same as writing once."""
    await leave_in_flight(tmp_path, "1")
    service = Service()
    (outcome,) = await run(tmp_path, service, [1], effect=Effect.REPEATABLE)
    assert (outcome.unwrap(), service.calls) == (1, {1: 1})
    assert (await entries_of(tmp_path))["1"].attempts == 2


async def test_what_must_not_be_repeated_is_unknown_and_listed(tmp_path: Path) -> None:
    """It is told in every run, never sent, and what was known of it stays."""
    await run(tmp_path, Service({1: Interrupted("lost", DOUBT)}), [1])
    await leave_in_flight(tmp_path, "2")
    service = Service()
    for _ in range(2):
        # More of them than an outage has failures: they say nothing of the service.
        seen = await run(tmp_path, service, [1, 2, 3], breaker=Breaker(outages=1))
        listed = {outcome.item: outcome for outcome in seen if outcome.state is State.UNKNOWN}
        assert sorted(listed) == [1, 2]
        for outcome in listed.values():
            assert isinstance(outcome.error, Interrupted)
            assert outcome.error.maybe_applied
            assert "was not sent again" in str(outcome.error)
    assert service.calls == {3: 1}
    entries = await entries_of(tmp_path)
    assert entries["1"].error == {"code": "Interrupted", "message": "lost"}
    assert "earlier run" in str(entries["2"].error)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, "done"),
        (Interrupted("lost", DOUBT), "unknown"),
        (ConnectFailed("no connection"), "unknown"),
        (ValueError(), "unknown"),
        (NotFound("refused"), "failed"),
    ],
    ids=repr,
)
async def test_a_reconciler_finds_out(tmp_path: Path, error: Exception | None, state: str) -> None:
    """It takes the place of the call; as long as it does not know, the item stays unknown and is never called."""
    await leave_in_flight(tmp_path, "1")
    service = Service()

    async def reconcile(item: int) -> int:
        if error is not None:
            raise error
        return item + 100

    seen = await run(tmp_path, service, [1, 2], reconcile=reconcile)
    outcome = next(outcome for outcome in seen if outcome.item == 1)
    assert (outcome.state.value, outcome.error, outcome.result) == (state, error, None if error else 101)
    assert await states_of(tmp_path) == {"1": state, "2": "done"}
    assert service.calls == {2: 1}


async def test_an_outage_is_waited_out_with_a_journal(tmp_path: Path) -> None:
    """What came back pending meanwhile is put in again, and the journal says what became of it in the end."""
    service, time = Service({n: ConnectFailed("no connection") for n in range(30)}), FakeClock()

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        if time.time >= 1007:
            service.errors.clear()

    clock = Clock(monotonic=lambda: time.time, sleep=sleep)
    options: dict[str, Any] = {"effect": Effect.REPEATABLE, "concurrency": 4, "clock": clock}
    seen = await run(tmp_path, service, range(30), breaker=Breaker(outages=3), **options)
    pending = {outcome.item for outcome in seen if outcome.state is State.PENDING}
    assert len(pending) == 2
    assert sorted(outcome.item for outcome in seen) == list(range(30))
    assert time.time == 1007
    entries = await entries_of(tmp_path)
    assert {int(key) for key, entry in entries.items() if entry.state is State.PENDING} == pending
    assert all(entry.attempts == service.calls[int(key)] for key, entry in entries.items())
    assert {outcome.item for outcome in await run(tmp_path, service, range(30), **options)} == pending


async def test_items_that_need_no_call_make_no_outage_longer(tmp_path: Path) -> None:
    """They pass when a pause is over; only a call tells whether the service is there."""
    await run(tmp_path, Service(), range(50))
    service, time = Service({-1: ConnectFailed("no connection")}), FakeClock()

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        if time.time >= 1007:
            service.errors.clear()

    clock = Clock(monotonic=lambda: time.time, sleep=sleep)
    options: dict[str, Any] = {"effect": Effect.SAFE, "concurrency": 2, "clock": clock}
    seen = await run(tmp_path, service, [-1, *range(51)], breaker=Breaker(outages=1), **options)
    assert sorted(outcome.item for outcome in seen) == [-1, 50]
    assert (time.time, service.calls) == (1007, {-1: 4, 50: 1})


async def test_a_stopped_job_says_how_to_go_on(tmp_path: Path) -> None:
    """With the figures of this run, and what an earlier one had settled."""
    await run(tmp_path, Service(), range(3))
    service = Service({4: Forbidden("not allowed")})
    with pytest.raises(JobStopped) as caught:
        await run(tmp_path, service, range(9), concurrency=1)
    assert str(caught.value).endswith(
        "not allowed; 1 done, 0 failed, 0 unknown, 3 settled by an earlier run, the rest is pending; "
        "to go on, run it again with the same journal"
    )
    assert await states_of(tmp_path) == {"0": "done", "1": "done", "2": "done", "3": "done", "4": "pending"}


class FullDisk(Journal):
    """A journal that cannot be written any more when the first item is begun, or when it is settled."""

    def __init__(self, folder: Path, method: str) -> None:
        super().__init__(folder / "send.journal", job="test")
        self._method = method

    async def begin(self, key: str, *, again: bool = False, failed: bool = False) -> Entry:
        """Fail if that is asked for."""
        if self._method == "begin":
            raise JournalError("the disk is full")
        return await super().begin(key, again=again, failed=failed)

    async def settle(self, key: str, state: State, *, result: object = None, error: object = None) -> None:
        """Fail if that is asked for."""
        if self._method == "settle":
            raise JournalError("the disk is full")
        await super().settle(key, state, result=result, error=error)


@pytest.mark.parametrize(
    ("method", "left", "called", "told"),
    [("begin", False, {}, []), ("settle", False, {0: 1}, [State.DONE]), ("settle", True, {}, [State.UNKNOWN])],
)
async def test_nothing_is_sent_that_cannot_be_recorded(
    tmp_path: Path, method: str, left: bool, called: dict[int, int], told: list[State]
) -> None:
    """What was sent before that was known is told; a job that is being stopped says so, too."""
    if left:
        await leave_in_flight(tmp_path, "0")
    service, seen, stopped = Service(), list[State](), ""

    def stop(progress: Progress) -> None:
        if progress.done == 1:
            job.stop()

    async with FullDisk(tmp_path, method) as journal:
        job = bulk(service.call, range(100), journal=journal, concurrency=1, on_progress=stop)
        async with job as outcomes:
            try:
                async for outcome in outcomes:
                    seen.append(outcome.state)
            except JobStopped as error:
                stopped = str(error)
    assert "its journal cannot be written: the disk is full" in stopped
    assert (service.calls, seen) == (called, told)


async def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    """The second one is not sent, and the record of the first one stays."""
    async with (
        a_journal(tmp_path) as journal,
        bulk(Service().call, [1, 2, 11], journal=journal, key=lambda item: str(item % 10), concurrency=1) as outcomes,
    ):
        seen = {outcome.item: outcome async for outcome in outcomes}
    assert isinstance(seen[11].error, ArgumentError)
    assert [outcome.state for outcome in seen.values()] == [State.DONE, State.DONE, State.FAILED]
    assert await states_of(tmp_path) == {"1": "done", "2": "done"}


async def test_a_journal_that_is_still_open_is_no_second_run(tmp_path: Path) -> None:
    """It could not tell a further run from a key that comes twice; it says so, and sends and changes nothing."""
    service = Service()
    async with a_journal(tmp_path) as journal:
        for _ in range(2):
            async with bulk(service.call, [1], journal=journal) as outcomes:
                seen = [outcome async for outcome in outcomes]
    assert "opens the journal anew" in str(seen[0].error)
    assert service.calls == {1: 1}
    assert await states_of(tmp_path) == {"1": "done"}


@pytest.mark.parametrize(("items", "key"), [([1.5], None), ([None], None), ([1], lambda item: item)])
async def test_an_item_needs_a_key(tmp_path: Path, items: list[Any], key: Callable[[Any], Any] | None) -> None:
    """Texts and whole numbers are their own; nothing is sent without one."""
    service = Service()
    async with a_journal(tmp_path) as journal:
        job: bulk[Any, int] = bulk(service.call, items, journal=journal, key=key)
        with pytest.raises(ArgumentError, match="key"):
            async with job as outcomes:
                await anext(outcomes)
    assert service.calls == {}


def test_a_reconciler_needs_a_journal() -> None:
    """Without one there is nothing to reconcile."""
    with pytest.raises(ArgumentError, match="reconcile"):
        bulk(Service().call, [1], reconcile=Service().call)


async def test_a_slow_consumer_gets_everything(tmp_path: Path) -> None:
    """Also of a job that skips much of it."""
    await run(tmp_path, Service(), range(0, 60, 2))
    seen: list[int] = []
    async with (
        a_journal(tmp_path) as journal,
        bulk(Service().call, range(60), journal=journal, concurrency=3) as outcomes,
    ):
        async for outcome in outcomes:
            await settle()
            seen.append(outcome.item)
        assert outcomes.progress.skipped == 30
    assert sorted(seen) == list(range(1, 60, 2))
