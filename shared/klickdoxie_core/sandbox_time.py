"""What time does to a fake service: it dates what happens, and bounds how often."""

from __future__ import annotations

import math
from typing import Final

START: Final = 1_735_689_600
"""2025-01-01 00:00:00 UTC, where the time of a sandbox begins."""


class Ticks:
    """A wall clock that goes on by one second each time it is asked."""

    def __init__(self, start: float = START) -> None:
        self._next = start

    def __call__(self) -> float:
        """Seconds since 1970 UTC."""
        now, self._next = self._next, self._next + 1
        return now


class RateGate:
    """Lets so many requests through a second, and a burst after a quiet time."""

    def __init__(self, per_second: float, burst: int) -> None:
        if not (per_second > 0 and burst >= 1):
            msg = "per_second must be above 0 and burst at least 1"
            raise ValueError(msg)
        self._interval = 1 / per_second
        self._tolerance = (burst - 1) * self._interval
        self._due = -math.inf

    def wait(self, now: float) -> float:
        """Seconds until a request would be let through; 0 lets this one through."""
        due = max(self._due, now)
        if due - self._tolerance > now:
            return due - self._tolerance - now
        self._due = due + self._interval
        return 0.0
