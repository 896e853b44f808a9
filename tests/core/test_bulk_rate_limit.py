"""Jobs under a service that permits only so many requests a second."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from klickdoxie_core import ApiClient, Effect, State, bulk
from klickdoxie_core.breaker import Breaker
from klickdoxie_core.errors import ConnectFailed, Facts, JobStopped, RateLimited
from klickdoxie_core.journal import Journal
from klickdoxie_core.sandbox import Answer, Inbound, Route, SandboxBase
from klickdoxie_core.testing import FrozenClock

pytestmark = pytest.mark.anyio


class Service(SandboxBase):
    """Takes items and counts them."""

    def __init__(self) -> None:
        route = Route(operation="Send", method="POST", template="/send", handler=self._send)
        super().__init__([route], clock=FrozenClock())
        self.sent: Counter[int] = Counter()

    def _send(self, inbound: Inbound) -> Answer:
        self.sent[json.loads(inbound.body)["item"]] += 1
        return Answer.of({})


@pytest.fixture
async def box() -> AsyncIterator[Service]:
    """A service without a limit."""
    async with Service() as box:
        yield box


async def states_of(box: Service, items: int, effect: Effect, **options: Any) -> dict[State, int]:
    """What becomes of so many items in one run."""
    states = Counter[State]()
    async with ApiClient({}, base_url=box.base_url, http=box.http_client(), clock=box.clock) as client:

        async def call(item: int) -> None:
            await client.request("POST", "/send", body={"item": item}, effect=effect)

        async with bulk(call, range(items), clock=box.clock, effect=effect, **options) as outcomes:
            async for outcome in outcomes:
                states[outcome.state] += 1
    return states


@pytest.mark.parametrize(("items", "per_second", "burst"), [(200, 10, 5), (40, 1, 1)])
@pytest.mark.parametrize("effect", [Effect.ONCE, Effect.REPEATABLE])
@pytest.mark.parametrize("with_journal", [False, True])
async def test_all_items_arrive_once_at_the_rate_that_is_permitted(
    box: Service, tmp_path: Path, with_journal: bool, effect: Effect, items: int, per_second: float, burst: int
) -> None:
    """Who is told to slow down has done nothing, and comes again in the same run."""
    box.rate_limit(per_second, burst=burst)
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {"breaker": Breaker()}
        if with_journal:
            options["journal"] = await stack.enter_async_context(Journal(tmp_path / "a.journal", job="test"))
        assert await states_of(box, items, effect, **options) == {State.DONE: items}
    assert box.sent == Counter(range(items))
    assert box.clock.monotonic() < 4 * items / per_second


@pytest.mark.parametrize("effect", [Effect.ONCE, Effect.REPEATABLE])
async def test_a_service_that_takes_nothing_any_more_is_an_outage(box: Service, effect: Effect) -> None:
    """It costs few requests, and ends as any other."""
    box.fail("Send", status=429, every=1)
    with pytest.raises(JobStopped, match="the outage was not over after 300 s"):
        await states_of(box, 200, effect, breaker=Breaker())
    assert box.count("Send") < 3 * (16 + 10 + 10)


async def test_a_pause_beyond_the_clients_patience_is_waited_out_by_the_job(box: Service) -> None:
    """Nothing is sent meanwhile."""
    box.fail("Send", status=429, headers={"Retry-After": "200"})
    assert await states_of(box, 20, Effect.ONCE, breaker=Breaker(), concurrency=1) == {State.DONE: 20}
    assert (box.count("Send"), box.clock.monotonic() >= 200) == (21, True)


async def test_an_item_that_must_not_be_repeated_shows_only_that_the_limit_is_over() -> None:
    """Where it meets another failure, the job stops as it would without a limit."""

    async def call(item: int) -> None:
        calls.append(item)
        raise RateLimited("slower", Facts(retry_after=1)) if len(calls) <= 10 else ConnectFailed("no connection")

    calls: list[int] = []
    with pytest.raises(JobStopped, match="too many calls are failing: no connection"):
        async with bulk(call, range(99), clock=FrozenClock(), breaker=Breaker(), concurrency=1) as outcomes:
            assert [outcome.state async for outcome in outcomes] == []
    assert calls == [0] * 11


async def test_without_a_breaker_a_refusal_for_the_rate_is_an_outcome() -> None:
    """Nobody counts, so that nobody would end it."""

    async def call(item: int) -> None:
        raise RateLimited(f"slower, {item}")

    async with bulk(call, range(20), on_progress=lambda _: None) as outcomes:
        assert [outcome.state async for outcome in outcomes] == [State.PENDING] * 20
