"""Time and chance as one value that is handed in, so that tests neither wait nor guess."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable

import anyio
import attrs


@attrs.frozen(kw_only=True)
class Clock:
    """Where the engine takes time and chance from.

    Attributes:
        monotonic: Seconds that never jump, for ages, pauses and deadlines.
        now: Seconds since 1970 UTC, only to read dates in answers that bring no date of their own.
        sleep: Waits for so many seconds.
        random: A number from 0 up to 1, for jitter.
    """

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = random.random
