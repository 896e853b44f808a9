"""How far a job has come: figures that always add up, told to whoever wants to know, but not too often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from klickdoxie_core.clock import Clock
from klickdoxie_core.entry import State
from klickdoxie_core.observe import logger

_INTERVAL: Final = 0.1
_ENOUGH: Final = 10


@attrs.frozen(kw_only=True)
class Progress:
    """The figures of a job so far; `done` is the sum of `ok`, `skipped`, `failed` and `unknown`.

    Attributes:
        done: Items that need nothing more in this run.
        total: Items in all; None when the source does not say.
        ok: Items that were carried out.
        skipped: Items that an earlier run had settled; those that failed in it are among them, and
            `Journal.entries(State.FAILED)` lists them.
        failed: Items that failed for good in this run.
        unknown: Items that may or may not have been carried out.
        seconds: Since the job began; it stands still once the job is over.
        rate: Items a second in this run, without the skipped ones.
        left: Seconds until the end, by the calls since the first one or since the last skipped item; None when nobody
            knows, and until there were ten of them.
        paused: Why the job waits; None when it does not.
    """

    done: int
    total: int | None
    ok: int
    skipped: int
    failed: int
    unknown: int
    seconds: float
    rate: float
    left: float | None
    paused: str | None


OnProgress = Callable[[Progress], None]
"""Told of the figures, at most ten times a second and once at the end. Must be quick.

What it raises is logged once and goes no further.
"""


class Tally:
    """Counts what became of the items and tells about it."""

    def __init__(self, total: int | None, on_progress: OnProgress | None, clock: Clock) -> None:
        self._total = total
        self._on_progress = on_progress
        self._now = clock.monotonic
        self._started = self._due = self._now()
        self._ended: float | None = None
        # From when on calls are counted for the time left, and how many there were before.
        self._since: float | None = None
        self._before = 0
        self._complained = False
        self.ok = 0
        self.skipped = 0
        self.failed = 0
        self.unknown = 0
        self.paused: str | None = None

    def begin(self) -> None:
        """The time counts from now on."""
        self._started = self._due = self._now()

    def starting(self) -> None:
        """An item is about to be tried."""
        if self._since is None:
            self._since = self._now()

    def add(self, state: State) -> None:
        """One item more; it counts only once its state is final in this run."""
        match state:
            case State.DONE:
                self.ok += 1
            case State.SKIPPED:
                self.skipped += 1
                # Passing over what is settled takes no time worth mentioning, and calls before it say little.
                self._since, self._before = self._now(), self._run
            case State.FAILED:
                self.failed += 1
            case State.UNKNOWN:
                self.unknown += 1
            case _:
                pass

    def figures(self) -> Progress:
        """The figures at this moment."""
        now = self._now() if self._ended is None else self._ended
        seconds = now - self._started
        done = self._run + self.skipped
        return Progress(
            done=done,
            total=self._total,
            ok=self.ok,
            skipped=self.skipped,
            failed=self.failed,
            unknown=self.unknown,
            seconds=seconds,
            rate=self._run / seconds if seconds > 0 else 0.0,
            left=self._left(now, done),
            paused=self.paused,
        )

    @property
    def _run(self) -> int:
        return self.ok + self.failed + self.unknown

    def _left(self, now: float, done: int) -> float | None:
        if self._total is None or self.paused is not None:
            return None
        if done >= self._total:
            return 0.0
        calls = self._run - self._before
        seconds = now - (self._started if self._since is None else self._since)
        return (self._total - done) * seconds / calls if calls >= _ENOUGH and seconds > 0 else None

    def tell(self) -> None:
        """Tell how it is going on, unless that was told a moment ago."""
        if self._on_progress is not None and (now := self._now()) >= self._due:
            self._due = now + _INTERVAL
            self._say(self._on_progress)

    def end(self) -> None:
        """Tell for the last time; the time stands still from now on."""
        self._ended = self._now()
        self.paused = None
        if self._on_progress is not None:
            self._say(self._on_progress)

    def _say(self, on_progress: OnProgress) -> None:
        try:
            on_progress(self.figures())
        except Exception as error:  # noqa: BLE001 - a display never breaks the job that it shows
            if not self._complained:
                self._complained = True
                logger.warning("on_progress failed (%s); further failures are not logged", type(error).__name__)
