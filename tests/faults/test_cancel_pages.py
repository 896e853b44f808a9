"""Lists that are broken off at any checkpoint while they are walked through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from doxie_async import Doxie, Interrupted
from doxie_async.routes import LIST_PROCESSES
from doxie_async.sandbox import Sandbox
from klickdoxie_core import Limit
from tests.core.support import settle
from tests.faults.checkpoints import WAYS, How, Run, at_each_checkpoint
from tests.faults.crowd import Aftermath, Crowd, QuickTime

pytestmark = pytest.mark.anyio

LIMIT = 3
PROCESSES = 9


async def plain(doxie: Doxie, seen: list[str | None]) -> None:
    """Every item, page after page."""
    async for process in doxie.admin.processes.all(page_size=2):
        seen.append(process.uuid)
        await settle(1)


async def ahead(doxie: Doxie, seen: list[str | None]) -> None:
    """Every item, while the next pages are fetched."""
    async with doxie.admin.processes.all(page_size=2).ahead(3) as processes:
        async for process in processes:
            seen.append(process.uuid)
            await settle(2)


async def ahead_of_nobody(doxie: Doxie, seen: list[str | None]) -> None:
    """Some items only: the pages that are fetched then are wanted by nobody."""
    async with doxie.admin.processes.all(page_size=2).ahead(3) as processes:
        seen += [(await anext(processes)).uuid for _ in range(3)]


async def listed(doxie: Doxie, seen: list[str | None]) -> None:
    """All at once."""
    seen += [process.uuid for process in await doxie.admin.processes.all(page_size=2).to_list()]


@WAYS
@pytest.mark.parametrize("walk", [plain, ahead, ahead_of_nobody, listed])
async def test_a_walk_through_pages(how: How, walk: Callable[[Doxie, list[str | None]], Awaitable[Any]]) -> None:
    """Items come in order as long as they come, nothing is left, and the next walk sees them all."""

    async def trial(run: Run) -> None:
        crowd = Crowd()
        async with Sandbox(clock=crowd.clock()) as box:
            box.latency = 1.0
            newest_first = box.seed_processes(PROCESSES)[::-1]
            doxie = box.client(clock=QuickTime().clock(), limit=Limit(concurrency=LIMIT))
            box.fail(LIST_PROCESSES.name, every=2, times=2)
            seen: list[str | None] = []

            async def call() -> None:
                await doxie.admin.processes.all().first()

            after = Aftermath(doxie, LIMIT, call, crowd)
            finished = await run(lambda: walk(doxie, seen))
            assert seen == newest_first[: len(seen)]
            assert not finished or len(seen) == (3 if walk is ahead_of_nobody else PROCESSES)
            box._faults.clear()
            await after.is_clean()
            again: list[str | None] = []
            await ahead(doxie, again)
            assert again == newest_first

    await at_each_checkpoint(how, trial)


async def test_who_is_shielded_hears_that_the_list_has_not_ended() -> None:
    """A cancellation that ends the fetching, but not its user, is an error and no end of the list."""
    async with Sandbox() as box:
        box.seed_processes(PROCESSES)
        doxie = box.client(clock=QuickTime().clock())
        seen: list[str | None] = []

        async def take(scope: anyio.CancelScope) -> None:
            async for process in processes:
                seen.append(process.uuid)
                scope.cancel()

        with anyio.CancelScope() as scope:
            async with doxie.admin.processes.all(page_size=2).ahead(1) as processes:
                with anyio.CancelScope(shield=True), pytest.raises(Interrupted, match="not fetched to their end"):
                    await take(scope)
        assert 0 < len(seen) < PROCESSES
