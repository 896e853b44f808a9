"""Time limits of many exchanges in one asyncio event loop, on one timer.

A timer for each exchange costs more than all else that a wire does around the HTTP library: almost every one is thrown
away unused, and the event loop has to sort them all.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, cast


class Deadlines:
    """The time limits that are running.

    Attributes:
        running: All of them.
    """

    def __init__(self) -> None:
        self.running: dict[TimeLimit, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> TimeLimit:
        """A context in which the running task is cancelled after so many seconds; it then ends in TimeoutError."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        # The timer of one that has ended stays: it is most likely right for the next one.
        if self._timer is None or when < self._timer.when():
            self._wake_at(when)
        # Whoever awaits is in a task.
        return TimeLimit(self, when, cast("asyncio.Task[object]", asyncio.current_task(loop)))

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_at(self, when: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_at(when, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for limit in self.running:
            if limit.when <= now and not limit.expired:
                limit.expire()
        if ahead := [limit.when for limit in self.running if not limit.expired]:
            self._wake_at(min(ahead))


class TimeLimit:
    """The time limit of one exchange, as `asyncio.timeout` would set it.

    Attributes:
        when: In the event loop's time.
        expired: Whether the time was up before the exchange was over.
    """

    __slots__ = ("_before", "_deadlines", "_task", "expired", "when")

    def __init__(self, deadlines: Deadlines, when: float, task: asyncio.Task[object]) -> None:
        self.when = when
        self.expired = False
        self._deadlines = deadlines
        self._task = task
        self._before = task.cancelling()

    def __enter__(self) -> Self:
        self._deadlines.running[self] = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del self._deadlines.running[self]
        if self.expired:
            self._task.uncancel()
            if kind is asyncio.CancelledError and not self.cancelled:
                raise TimeoutError from error

    @property
    def cancelled(self) -> bool:
        """Whether somebody else has cancelled the task since."""
        return self._task.cancelling() > self._before

    def expire(self) -> None:
        """Cancel the exchange."""
        self.expired = True
        self._task.cancel()
