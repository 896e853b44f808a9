"""What the shards of a job share while they run: one rate, one pause, one end, and figures for one view."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from typing import Protocol

import attrs

from klickdoxie_core.progress import Progress
from klickdoxie_core.sharding.permits import Bucket, Lease


@attrs.frozen(kw_only=True)
class Word:
    """What a shard is told whenever it reports.

    Attributes:
        pause: Seconds for which nothing may be sent.
        stop: Whether it shall end in good order.
    """

    pause: float = 0.0
    stop: bool = False


class ForemanLike(Protocol):
    """A foreman, or what stands for one that lives in another process."""

    def lease(self) -> Awaitable[Lease]:
        """The next permits that nobody has."""
        ...

    def report(self, number: int, progress: Progress | None, pause: float) -> Awaitable[Word]:
        """Take in how far a shard is and what the service asked it for, and tell what it has to know."""
        ...

    def figures(self) -> Awaitable[Mapping[int, Progress]]:
        """How far each shard is, by its number."""
        ...

    def stop(self) -> Awaitable[None]:
        """Let every shard end."""
        ...


class Foreman:
    """Shares out the rate of a job and hears how its shards get on. It keeps nothing that a job could not lose.

    Args:
        rate: Requests a second over all shards; None for no bound.

    Raises:
        ArgumentError: The rate is no number above 0.
    """

    def __init__(self, rate: float | None) -> None:
        self._bucket = Bucket(rate, time.monotonic)
        self._figures: dict[int, Progress] = {}
        self._stopped = False

    async def lease(self) -> Lease:
        """The next permits that nobody has."""
        return self._bucket.lease()

    async def report(self, number: int, progress: Progress | None, pause: float) -> Word:
        """Take in how far a shard is and what the service asked it for, and tell what it has to know.

        Args:
            number: The number of the shard.
            progress: Its figures; None before it begins.
            pause: Seconds for which the service wants to be left alone.
        """
        if progress is not None:
            self._figures[number] = progress
        self._bucket.pause(pause)
        return Word(pause=self._bucket.paused(), stop=self._stopped)

    async def figures(self) -> Mapping[int, Progress]:
        """How far each shard is, by its number."""
        return dict(self._figures)

    async def stop(self) -> None:
        """Let every shard end in good order the next time it reports."""
        self._stopped = True
