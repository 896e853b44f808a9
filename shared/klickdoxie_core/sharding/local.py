"""Running shards in this process: as on many machines, but for the machines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from klickdoxie_core.bulk import bulk
from klickdoxie_core.errors import ArgumentError
from klickdoxie_core.progress import OnProgress
from klickdoxie_core.sharding.foreman import Foreman
from klickdoxie_core.sharding.reports import Overview, Reports
from klickdoxie_core.sharding.running import run_shard
from klickdoxie_core.sharding.shard import Shard, ShardReport


@asynccontextmanager
async def run_locally(
    shards: Sequence[Shard], *, rate: float | None = None, at_once: int = 4, on_progress: OnProgress | None = None
) -> AsyncGenerator[Reports]:
    """Run shards in this process, and hand out their reports as they end.

    `async with run_locally(shards) as reports: async for report in reports: …`

    Leaving the block early ends the shards in good order; they can be run again.

    Args:
        shards: What `split` returned.
        rate: Requests a second, over all shards; None for no bound.
        at_once: Shards under way at once.
        on_progress: Told of the figures of the whole job while the reports are waited for, at most ten times a second
            and once at the end.

    Raises:
        ArgumentError: The rate is no number above 0, or `at_once` no whole number from 1.
    """
    if at_once < 1:
        raise ArgumentError("at_once must be a whole number from 1")
    foreman, overview = Foreman(rate), Overview(shards, on_progress)

    async def run(shard: Shard) -> ShardReport:
        return await run_shard(shard, foreman)

    try:
        async with bulk(run, shards, concurrency=at_once) as outcomes:
            yield Reports(outcomes, foreman.figures, overview)
    finally:
        overview.end()
