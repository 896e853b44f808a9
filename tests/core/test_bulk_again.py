"""Items that an earlier run has settled, called anew because somebody said so; and what is said where they wait."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core import Effect, Outcome, bulk
from klickdoxie_core.breaker import Breaker
from klickdoxie_core.errors import (
    ArgumentError,
    ConnectFailed,
    Facts,
    Interrupted,
    JobStopped,
    NotFound,
)
from klickdoxie_core.journal import Entry, Journal, State
from klickdoxie_core.progress import Progress

pytestmark = pytest.mark.anyio

REFUSED = NotFound("gone", Facts(code=404))
LOST = Interrupted("lost", Facts(maybe_applied=True))
EMAIL = "käthe@example.com"


class Service:
    """Counts what it is asked to do; some items fail."""

    def __init__(self, errors: dict[int, Exception] | None = None) -> None:
        self.errors = errors or {}
        self.calls: Counter[int] = Counter()

    async def call(self, item: int) -> int:
        """The square of the item."""
        self.calls[item] += 1
        await anyio.lowlevel.checkpoint()
        if item in self.errors:
            raise self.errors[item]
        return item * item


def a_journal(folder: Path) -> Journal:
    """The journal of the one job in this folder."""
    return Journal(folder / "again.journal", job="test")


async def entries_of(folder: Path) -> dict[str, Entry]:
    """What the journal says, by key."""
    async with a_journal(folder) as journal:
        return {entry.key: entry async for entry in journal.entries()}


async def states_of(folder: Path) -> dict[str, str]:
    """Where each item stands, by key."""
    return {key: entry.state.value for key, entry in (await entries_of(folder)).items()}


async def run(
    folder: Path, service: Service, items: Any, **options: Any
) -> tuple[dict[int, Outcome[int, int]], Progress]:
    """The outcomes of a job from beginning to end, by item, and its figures."""
    options.setdefault("concurrency", 1)
    async with a_journal(folder) as journal, bulk(service.call, items, journal=journal, **options) as outcomes:
        seen = {outcome.item: outcome async for outcome in outcomes}
    return seen, outcomes.progress


async def a_first_run(folder: Path) -> None:
    """Leave a done, a refused, an unknown and an interrupted item behind."""
    await run(folder, Service({1: REFUSED, 2: LOST}), [0, 1, 2])
    async with a_journal(folder) as journal:
        await journal.begin("3")


@pytest.mark.parametrize(
    ("again", "effect", "called", "skipped"),
    [
        ([], Effect.ONCE, [4], 2),
        ([State.FAILED], Effect.ONCE, [1, 4], 1),
        ((State.UNKNOWN,), Effect.ONCE, [2, 4], 2),
        ({State.FAILED, State.UNKNOWN}, Effect.ONCE, [1, 2, 4], 1),
        ({State.FAILED}, Effect.REPEATABLE, [1, 2, 3, 4], 1),
        (frozenset({State.UNKNOWN}), Effect.SAFE, [2, 3, 4], 2),
    ],
)
async def test_only_what_is_named_is_called_anew(
    tmp_path: Path, again: Collection[State], effect: Effect, called: list[int], skipped: int
) -> None:
    """Done items never are; what was in flight was told to nobody yet, and is unknown first where it must be."""
    await a_first_run(tmp_path)
    service = Service()
    seen, figures = await run(tmp_path, service, range(5), again=again, effect=effect)
    assert service.calls == Counter(called)
    unknown = sum(outcome.state is State.UNKNOWN for outcome in seen.values())
    assert (figures.ok, figures.skipped, figures.failed, figures.unknown) == (len(called), skipped, 0, unknown)
    assert (figures.done, figures.total) == (5, 5)
    states = await states_of(tmp_path)
    assert {key for key, state in states.items() if state == "done"} == {"0", *map(str, called)}


async def test_it_is_in_flight_on_the_disk_before_it_is_called(tmp_path: Path) -> None:
    """A run that is killed meanwhile leaves it in doubt, and not as refused."""
    await a_first_run(tmp_path)
    seen: list[Entry | None] = []
    async with a_journal(tmp_path) as journal:

        async def call(item: int) -> None:
            seen.append(await journal.find(str(item)))

        async with bulk(call, [1, 2], journal=journal, again=[State.FAILED, State.UNKNOWN]) as outcomes:
            assert [outcome.error async for outcome in outcomes] == [None, None]
    assert [(entry.state, entry.attempts) for entry in seen if entry] == [(State.IN_FLIGHT, 2)] * 2


async def test_a_refusal_that_a_killed_run_was_trying_again_is_no_more_its_reason(tmp_path: Path) -> None:
    """The refusal is over, and what became of the second call nobody knows."""
    await a_first_run(tmp_path)
    async with a_journal(tmp_path) as journal:
        await journal.begin("1", failed=True)
    service = Service()
    seen, _ = await run(tmp_path, service, [1], again={State.FAILED, State.UNKNOWN})
    assert (seen[1].state, service.calls) == (State.UNKNOWN, {})
    assert "broken off" in str((await entries_of(tmp_path))["1"].error)


@pytest.mark.parametrize(
    ("item", "error", "state"),
    [
        (1, REFUSED, "failed"),
        (1, ConnectFailed("no connection"), "pending"),
        (1, LOST, "unknown"),
        (1, KeyError(EMAIL), "unknown"),
        (2, REFUSED, "failed"),
        (2, ConnectFailed("no connection"), "unknown"),
        (2, LOST, "unknown"),
    ],
    ids=repr,
)
async def test_a_second_failure_is_recorded(tmp_path: Path, item: int, error: Exception, state: str) -> None:
    """What was in doubt stays so until it is done or refused."""
    await a_first_run(tmp_path)
    seen, figures = await run(tmp_path, Service({item: error}), [item], again=[State.FAILED, State.UNKNOWN])
    assert (seen[item].error, seen[item].state.value) == (error, state)
    assert (figures.failed, figures.unknown) == (state == "failed", state == "unknown")
    assert (await states_of(tmp_path))[str(item)] == state


async def test_a_reconciler_goes_before(tmp_path: Path) -> None:
    """Who can find out needs not to do it twice; what was refused there is nothing to find out about."""
    await a_first_run(tmp_path)
    service, found = Service(), list[int]()

    async def reconcile(item: int) -> int:
        found.append(item)
        return item

    again = {State.FAILED, State.UNKNOWN}
    seen, _ = await run(tmp_path, service, range(4), again=again, reconcile=reconcile)
    assert (service.calls, found) == ({1: 1}, [2, 3])
    assert [outcome.state for outcome in seen.values()] == [State.DONE] * 3


async def test_a_key_that_comes_twice_is_refused_as_ever(tmp_path: Path) -> None:
    """An item is called anew once in a run."""
    await a_first_run(tmp_path)
    service = Service({1: REFUSED})
    async with a_journal(tmp_path) as journal:
        job = bulk(service.call, [1, 1], journal=journal, again={State.FAILED}, concurrency=1)
        async with job as outcomes:
            errors = [outcome.error async for outcome in outcomes]
    assert (errors[0], type(errors[1])) == (REFUSED, ArgumentError)
    assert service.calls == {1: 1}


@pytest.mark.parametrize("again", [[State.DONE], {State.FAILED, State.PENDING}, [State.SKIPPED], State.FAILED])
def test_only_what_failed_or_is_unknown_can_be_named(tmp_path: Path, again: Any) -> None:
    """Whatever else is called anyway, or must never be."""
    with pytest.raises(ArgumentError, match=r"again can hold State\.FAILED and State\.UNKNOWN only"):
        bulk(Service().call, [1], journal=a_journal(tmp_path), again=again)


def test_it_needs_a_journal() -> None:
    """Without one there was no earlier run."""
    with pytest.raises(ArgumentError, match="again needs a journal"):
        bulk(Service().call, [1], again={State.FAILED})


async def stopped_by(folder: Path, error: Exception, effect: Effect) -> JobStopped:
    """Why a job stopped in which every call raises this."""
    service = Service(dict.fromkeys(range(9), error))
    with pytest.raises(JobStopped) as caught:
        await run(folder, service, range(9), effect=effect, breaker=Breaker(same=3))
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    ("error", "effect", "why", "again"),
    [
        (REFUSED, Effect.ONCE, "3 items in a row were refused alike: gone; 0 done, 3 failed", State.FAILED),
        (KeyError(EMAIL), Effect.SAFE, "its function raises the same error for every item", State.FAILED),
        (KeyError(EMAIL), Effect.ONCE, "its function raises the same error for every item", State.UNKNOWN),
    ],
    ids=repr,
)
async def test_a_job_that_failed_alike_says_how_these_items_are_tried_again(
    tmp_path: Path, error: Exception, effect: Effect, why: str, again: State
) -> None:
    """The same journal alone passes over them; and doing as the text says does all of them."""
    text = str(await stopped_by(tmp_path, error, effect))
    assert text.startswith(f"the job stopped because {why}")
    assert "mend the cause and run it again with the same journal" in text
    assert f"again={{State.{again.name}}}" in text
    assert EMAIL not in text
    _, figures = await run(tmp_path, Service(), range(9), effect=effect, again={again})
    assert (figures.ok, figures.skipped) == (9, 0)


async def test_a_mistake_in_the_function_is_found_at_once(tmp_path: Path) -> None:
    """The error with the line that raised it is the cause; nobody is said to have refused anything."""
    stopped = await stopped_by(tmp_path, KeyError(EMAIL), Effect.ONCE)
    assert "3 in a row: KeyError; 0 done, 0 failed, 3 unknown" in str(stopped)
    assert "refused" not in str(stopped)
    assert stopped.__cause__ is not None
    assert traceback.extract_tb(stopped.__cause__.__traceback__)[-1].name == "call"


async def test_a_later_run_says_that_the_call_has_raised(tmp_path: Path) -> None:
    """Each time, with the name of its class and nothing of its text; nothing is sent."""
    await run(tmp_path, Service({1: KeyError(EMAIL)}), [1])
    service = Service()
    for _ in range(2):
        seen, _ = await run(tmp_path, service, [1])
        assert isinstance(seen[1].error, Interrupted)
        assert seen[1].error.maybe_applied
        assert "in an earlier run its call raised KeyError; it may have been carried out" in str(seen[1].error)
    assert service.calls == {}
    record = (await entries_of(tmp_path))["1"].error
    assert record == {"code": "KeyError", "message": "its call raised KeyError"}
    assert EMAIL.encode() not in (tmp_path / "again.journal").read_bytes()
