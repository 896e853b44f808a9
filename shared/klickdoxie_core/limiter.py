"""How much may be under way at once and how often; one pause holds for every caller."""

from __future__ import annotations

import math

import anyio

from klickdoxie_core.clock import Clock
from klickdoxie_core.options import Limit


class LongPause(Exception):
    """The pause that holds for everybody is longer than a caller may or will wait.

    Attributes:
        left: Whole seconds until it is over.
    """

    def __init__(self, left: int) -> None:
        super().__init__("the service asked this client to pause, for longer than this call may take")
        self.left = left


class Limiter:
    """Concurrency and rate of one client, shared by all its views; with `shared`, one of those slots as well.

    The rate is a leaky bucket kept as one number (GCRA): the time at which the next request would be due if all
    had come evenly spaced. A cancelled waiter gives its turn back.
    """

    def __init__(self, limit: Limit, clock: Clock, shared: anyio.Semaphore | None = None) -> None:
        self._clock = clock
        self._slots = anyio.Semaphore(limit.concurrency, fast_acquire=True)
        self._shared = shared
        self._permits = limit.permits
        self._interval = 0.0 if limit.rate is None else 1.0 / limit.rate
        self._tolerance = self._interval * (limit.burst - 1)
        self._due = 0.0
        self._paused_until = 0.0

    def acquire_nowait(self) -> bool:
        """Take a slot and a turn if both are free right now."""
        now = self._clock.monotonic()
        if now < self._paused_until or (self._interval and max(self._due, now) - self._tolerance > now):
            return False
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            return False
        if self._shared is not None:
            try:
                self._shared.acquire_nowait()
            except anyio.WouldBlock:
                self._slots.release()
                return False
        if self._permits is not None and not self._permits.take_nowait():
            self.release()
            return False
        if self._interval:
            self._due = max(self._due, now) + self._interval
        return True

    async def acquire(self, until: float = math.inf, *, patience: float = math.inf) -> None:
        """Wait for a slot and a turn.

        Raises:
            LongPause: At once, where a pause ends after `until`, or lasts for more seconds than the caller's patience.
        """
        self._check_pause(until, patience)
        await self._slots.acquire()
        try:
            await self._wait_for_turn(until, patience)
            # Last: who waits for a turn keeps none of the others' slots.
            while self._shared is not None:
                await self._shared.acquire()
                if self._clock.monotonic() >= self._paused_until:
                    return
                # The slot came within a pause, which it cannot be kept for.
                self._shared.release()
                await self._wait_for_turn(until, patience)
        except BaseException:
            self._slots.release()
            raise

    @property
    def bottleneck(self) -> str:
        """What whoever waits now waits for, in words."""
        busy = self._shared is not None and self._shared.value == 0
        return "a connection of the pool" if busy else "the client's own limit"

    def release(self) -> None:
        """Give the slot back; the turn is used up."""
        self._slots.release()
        if self._shared is not None:
            self._shared.release()

    def pause(self, seconds: float) -> None:
        """Let nobody start for so many seconds; a longer pause that is already set stays."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)
        if self._permits is not None:
            self._permits.pause(seconds)

    async def _wait_for_turn(self, until: float, patience: float) -> None:
        await self._wait_for_rate(until, patience)
        if self._permits is not None:
            await self._permits.take()

    async def _wait_for_rate(self, until: float, patience: float) -> None:
        await self._wait_out_pause(until, patience)
        while self._interval:
            now = self._clock.monotonic()
            self._due = max(self._due, now) + self._interval
            wait = self._due - self._interval - self._tolerance - now
            if wait <= 0:
                return
            try:
                await self._clock.sleep(wait)
            except BaseException:
                self._due -= self._interval
                raise
            if self._clock.monotonic() >= self._paused_until:
                return
            # The turn came within a pause and is lost: queue up anew, or all of them would start together at its end.
            await self._wait_out_pause(until, patience)

    async def _wait_out_pause(self, until: float, patience: float) -> None:
        if self._permits is not None:
            # What another process was told holds here, too.
            self._paused_until = max(self._paused_until, self._clock.monotonic() + self._permits.paused())
        while (left := self._paused_until - self._clock.monotonic()) > 0:
            self._check_pause(until, patience)
            await self._clock.sleep(left)

    def _check_pause(self, until: float, patience: float) -> None:
        now = self._clock.monotonic()
        # Nothing is subtracted: seconds that were asked for must not grow by a rounding.
        if self._paused_until > now and (self._paused_until >= until or self._paused_until > now + patience):
            raise LongPause(math.ceil(self._paused_until - now))
