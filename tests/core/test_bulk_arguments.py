"""What a job says about arguments that cannot be meant."""

from __future__ import annotations

import operator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from klickdoxie_core import Clock, Effect, bulk
from klickdoxie_core.breaker import Breaker
from klickdoxie_core.errors import ArgumentError, ConfigError, Interrupted, JobStopped
from klickdoxie_core.journal import Journal, State

pytestmark = pytest.mark.anyio


async def call(item: int) -> int:
    """An item."""
    return item


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"call": None}, "call must be a function, not NoneType"),
        ({"call": 7}, "call must be a function, not int"),
        ({"items": None}, "items must be a list, an iterator or an async iterator, not NoneType"),
        ({"items": 7}, "items must be a list, an iterator or an async iterator, not int"),
        ({"journal": "anna.journal"}, "journal must be an open journal: async with Journal"),
        ({"journal": Path("anna.journal")}, "journal must be an open journal: async with Journal"),
        ({"concurrency": "3"}, "concurrency must be a whole number from 1"),
        ({"key": "email"}, "key must be a function, not str"),
        ({"keep": "id"}, "keep must be a function, not str"),
        ({"reconcile": 7}, "reconcile must be a function, not int"),
        ({"on_progress": "bar"}, "on_progress must be a function, not str"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named(change: dict[str, Any], text: str) -> None:
    """At once, with what to give, and without what may be personal."""
    with pytest.raises(ArgumentError) as raised:
        bulk(**{"call": call, "items": [1], **change})
    assert text in str(raised.value)
    assert "anna" not in str(raised.value)


def test_a_probe_is_a_function() -> None:
    """Or it would be found out in the middle of an outage."""
    probe: Any = 5
    with pytest.raises(ArgumentError, match="probe must be an async function that reads something, not int"):
        Breaker(probe=probe)


class OldSequence:
    """What could be iterated before there were iterators."""

    def __getitem__(self, index: int) -> int:
        return [10, 20][index]


async def test_whatever_can_be_iterated_is_a_source() -> None:
    """Also without saying so."""
    items: Any = OldSequence()
    async with bulk(call, items) as outcomes:
        assert sorted([outcome.unwrap() async for outcome in outcomes]) == [10, 20]


@pytest.mark.parametrize("how", ["plain", "on_progress", "breaker", "journal"])
@pytest.mark.parametrize("effect", [Effect.ONCE, Effect.REPEATABLE])
async def test_a_function_that_is_not_async_ends_the_job(tmp_path: Path, how: str, effect: Effect) -> None:
    """It would fail every item alike; nothing of the kind is told of an item, and nothing is held against it later."""
    plain: Any = lambda item: item  # noqa: E731 - as its author has written it
    options: dict[str, Any] = {"on_progress": {"on_progress": lambda _: None}, "breaker": {"breaker": Breaker()}}
    async with AsyncExitStack() as stack:
        if how == "journal":
            journal = await stack.enter_async_context(Journal(tmp_path / "a.journal", job="test"))
            options["journal"] = {"journal": journal}
        async with bulk(plain, range(100), effect=effect, **options.get(how, {})) as outcomes:
            with pytest.raises(ConfigError, match=r"call must be an async function, .* it returned int") as raised:
                await anext(outcomes)
        assert isinstance(raised.value, TypeError)
    assert outcomes.progress.done == 0
    async with Journal(tmp_path / "a.journal", job="test") as journal:
        assert {entry.state async for entry in journal.entries()} <= {State.PENDING}


async def test_a_probe_that_is_not_async_ends_the_job(clock: Clock) -> None:
    """Just as any other answer that says that going on is senseless."""

    async def lost(item: int) -> int:
        raise Interrupted(f"{item}")

    probe: Any = lambda: 5  # noqa: E731 - likewise
    with pytest.raises(JobStopped, match=r"must be an async function, .* it returned int"):
        async with bulk(lost, range(100), breaker=Breaker(probe=probe, outages=1), clock=clock) as outcomes:
            [outcome async for outcome in outcomes]


async def test_a_function_that_returns_something_to_wait_for_is_async() -> None:
    """However it was made."""
    async with bulk(partial(operator.call, call), range(3)) as outcomes:
        assert sorted([outcome.unwrap() async for outcome in outcomes]) == [0, 1, 2]
