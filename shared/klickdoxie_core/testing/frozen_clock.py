"""A time that stands still until it is moved, so that tests neither wait nor guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import anyio.lowlevel

from klickdoxie_core.clock import Clock
from klickdoxie_core.sandbox_time import START

_MIDDLE: Final = 0.5


class FrozenClock(Clock):
    """A clock that is moved by `advance` and by the pauses that are made on it, and by nothing else.

    Hand it to a sandbox and to its clients: `Sandbox(clock=clock)`. Every pause is over at once and moves the time by
    its length; pauses that run at the same time overlap. Chance always takes the middle, so that pauses before retries
    are the same in each run.

    Args:
        start: The moment at which it stands first, with its offset; by default 2025-01-01 00:00 UTC.

    Raises:
        ValueError: The start has no offset.
    """

    _time: _Time

    def __init__(self, start: datetime | None = None) -> None:
        time = _Time(datetime.fromtimestamp(START, UTC) if start is None else start)
        super().__init__(monotonic=time.monotonic, now=time.now, sleep=time.sleep, random=lambda: _MIDDLE)
        # A clock is a frozen value, and this is what moves behind it.
        object.__setattr__(self, "_time", time)

    @property
    def moment(self) -> datetime:
        """What time it is, in UTC."""
        return self._time.moment

    @property
    def pauses(self) -> tuple[float, ...]:
        """The seconds of each pause that was made so far, oldest first."""
        return tuple(self._time.pauses)

    def advance(self, seconds: float) -> None:
        """Move the time on by so many seconds.

        Raises:
            ValueError: The seconds are below 0.
        """
        if not seconds >= 0:
            msg = "a clock is moved on by 0 seconds or more"
            raise ValueError(msg)
        self._time.passed += seconds


class _Time:
    """The moving part of a frozen clock."""

    def __init__(self, start: datetime) -> None:
        if start.utcoffset() is None:
            msg = "the start of a clock needs an offset, such as tzinfo=UTC"
            raise ValueError(msg)
        self._start = start.astimezone(UTC)
        self.passed = 0.0
        self.pauses: list[float] = []

    @property
    def moment(self) -> datetime:
        return self._start + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        until = self.passed + seconds
        await anyio.lowlevel.checkpoint()
        self.passed = max(self.passed, until)
