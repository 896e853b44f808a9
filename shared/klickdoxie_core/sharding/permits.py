"""One rate for many processes: who shares it out, and how a process uses what it was given."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import attrs

from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import ArgumentError

_MOST: Final = 50
# No lease is for longer, so that what a process does not use is no great loss.
_SECONDS: Final = 0.5
# A lease that is older than its permits by so much was for a time that has passed.
_LATE: Final = 1.0
# Nobody wakes up in time to the millisecond: what was missed by no more than this is made up for.
_CATCH_UP: Final = 0.05
# Two clocks never agree on when the same pause is over.
_SAME_PAUSE: Final = 0.1


@attrs.frozen(kw_only=True)
class Lease:
    """Permits for some requests, one after the other.

    Attributes:
        permits: How many.
        wait: Seconds until the first may go.
        interval: Seconds from one to the next.
    """

    permits: int
    wait: float
    interval: float


class Bucket:
    """Shares out a rate, evenly spaced; kept as one number (GCRA), the time at which the next request is due.

    Args:
        rate: Requests a second; None for no bound, so that only pauses are shared.
        now: Seconds that never jump.

    Raises:
        ArgumentError: The rate is no number above 0.
    """

    def __init__(self, rate: float | None, now: Callable[[], float]) -> None:
        if rate is not None and not 0 < rate < math.inf:
            raise ArgumentError("rate must be a number above 0")
        self._interval = 0.0 if rate is None else 1.0 / rate
        self._size = _MOST if rate is None else max(1, min(_MOST, int(rate * _SECONDS)))
        self._now = now
        self._due = 0.0
        self._paused_until = 0.0

    def lease(self) -> Lease:
        """The next permits that nobody has."""
        now = self._now()
        start = max(self._due, self._paused_until, now)
        self._due = start + self._size * self._interval
        return Lease(permits=self._size, wait=start - now, interval=self._interval)

    def pause(self, seconds: float) -> None:
        """Let nobody start for so many seconds; a longer pause that is already set stays."""
        self._paused_until = max(self._paused_until, self._now() + seconds)

    def paused(self) -> float:
        """Seconds until the pause is over."""
        return max(0.0, self._paused_until - self._now())


class SharedPermits:
    """Uses leases, in the place of a rate of its own: `Limit(permits=…)`. Who waits first goes first.

    Args:
        lease: Asks for the next lease; None says that there are none any more, and everybody may go.
        clock: Time.
    """

    def __init__(self, lease: Callable[[], Awaitable[Lease | None]], clock: Clock) -> None:
        self._lease = lease
        self._clock = clock
        self._turn = anyio.Lock(fast_acquire=True)
        self._left = 0
        self._due = 0.0
        self._interval = 0.0
        self._good_until = 0.0
        self._paused_until = 0.0
        self._open = False
        self._wish = 0.0
        self._wished = anyio.Event()

    def take_nowait(self) -> bool:
        """Take a permit if there is one for right now, and nobody waits for it."""
        return not self._turn.locked() and self._take()

    async def take(self) -> None:
        """Wait for a permit."""
        async with self._turn:
            while not self._take():
                await self._wait()

    def pause(self, seconds: float) -> None:
        """The service wants to be left alone: everybody waits, here at once."""
        self._wish = max(self._wish, seconds)
        self._wished.set()
        self.hold(seconds)

    def paused(self) -> float:
        """Seconds for which the service wants to be left alone, whoever was told; 0 when it does not."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    async def wait_for_wish(self) -> None:
        """Wait until the service wants to be left alone."""
        await self._wished.wait()

    def take_wish(self) -> float:
        """Seconds for which the service wants to be left alone; 0 once that was asked."""
        wish, self._wish = self._wish, 0.0
        if self._wished.is_set():
            self._wished = anyio.Event()
        return wish

    def hold(self, seconds: float) -> None:
        """Wait for so many seconds. Permits of before are void: or all processes would start together at the end."""
        until = self._clock.monotonic() + seconds
        if seconds > 0 and until > self._paused_until + _SAME_PAUSE:
            self._paused_until = until
            self._left = 0

    def _take(self) -> bool:
        if self._open:
            return True
        now = self._clock.monotonic()
        if not self._left or not max(self._due, self._paused_until) <= now <= self._good_until:
            return False
        self._left -= 1
        self._due = max(self._due, now - _CATCH_UP) + self._interval
        return True

    async def _wait(self) -> None:
        now = self._clock.monotonic()
        if now < self._paused_until:
            await self._clock.sleep(self._paused_until - now)
        elif self._left and now < self._due:
            await self._clock.sleep(self._due - now)
        else:
            self._receive(await self._lease())

    def _receive(self, lease: Lease | None) -> None:
        if lease is None:
            self._open = True
            return
        self._left = lease.permits
        self._interval = lease.interval
        self._due = self._clock.monotonic() + lease.wait
        self._good_until = self._due + lease.permits * lease.interval + _LATE
