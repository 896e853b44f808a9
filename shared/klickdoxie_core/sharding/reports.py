"""How a sharded job is followed: the reports of its shards as they come, and one view of the progress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

import anyio

from klickdoxie_core.bulk import bulk
from klickdoxie_core.clock import Clock
from klickdoxie_core.progress import OnProgress, Progress, Tally
from klickdoxie_core.sharding.shard import Shard, ShardReport

Figures: TypeAlias = Callable[[], Awaitable[Mapping[int, Progress]]]

_INTERVAL: Final = 0.1


class Overview:
    """Sums up how far the shards are."""

    def __init__(self, shards: Sequence[Shard], on_progress: OnProgress | None) -> None:
        self._shards: dict[int, Progress] = {}
        self._ended: dict[int, Progress] = {}
        self._tally = Tally(sum(shard.items for shard in shards), on_progress, Clock())

    def figures(self) -> Progress:
        """The figures of the whole job."""
        return self._tally.figures()

    def take_in(self, figures: Mapping[int, Progress]) -> None:
        """Take in how far some shards are, and tell about it."""
        # What was said while a shard was under way may arrive after its end.
        self._shards = {**self._shards, **figures, **self._ended}
        known, tally = self._shards.values(), self._tally
        tally.ok = sum(each.ok for each in known)
        tally.skipped = sum(each.skipped for each in known)
        tally.failed = sum(each.failed for each in known)
        tally.unknown = sum(each.unknown for each in known)
        waiting = [each.paused for each in known if each.total is None or each.done < each.total]
        # One shard that goes on is enough for the job to go on.
        tally.paused = waiting[0] if waiting and all(waiting) else None
        tally.tell()

    def ended(self, report: ShardReport) -> None:
        """Take in the last word of a shard."""
        if report.progress is not None:
            self._ended[report.number] = report.progress
            self.take_in({})

    def end(self) -> None:
        """Tell for the last time."""
        self._tally.end()


class Reports:
    """What becomes of the shards, in the order in which they end: `async for report in reports`.

    The iteration raises the error of the first shard that ended before its end, since what stopped it would stop the
    others: JobStopped, ConfigError, or whatever its function raised.
    """

    def __init__(self, outcomes: bulk[Shard, ShardReport], figures: Figures, overview: Overview) -> None:
        self._outcomes = outcomes
        self._figures = figures
        self._overview = overview

    @property
    def progress(self) -> Progress:
        """The figures of the whole job so far."""
        return self._overview.figures()

    def __aiter__(self) -> AsyncIterator[ShardReport]:
        return self

    async def __anext__(self) -> ShardReport:
        while True:
            with anyio.move_on_after(_INTERVAL):
                report = (await anext(self._outcomes)).unwrap()
                return self._checked(report)
            self._overview.take_in(await self._figures())

    def _checked(self, report: ShardReport) -> ShardReport:
        self._overview.ended(report)
        if report.error is not None:
            raise report.error from report.cause
        return report
