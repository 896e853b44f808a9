"""How an import shows that it is getting on: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from klicktipp_async.csv_import.triage import State

if TYPE_CHECKING:
    from klicktipp_async.csv_import.report import Summary

_SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """What an import tells about its progress."""

    def begin(self, total: int) -> None:
        """The import starts; so many rows are ahead."""

    def step(self, summary: Summary) -> None:
        """One more row was dealt with."""

    def end(self) -> None:
        """The import is over, whatever ended it."""


class Silence:
    """Shows nothing."""

    def begin(self, total: int) -> None:
        """Show nothing."""

    def step(self, summary: Summary) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


class Lines:
    """Writes a line every few seconds."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now = now
        self._total = 0
        self._due = 0.0

    def begin(self, total: int) -> None:
        """Note how many rows are ahead."""
        self._total = total
        self._due = self._now() + _SECONDS_BETWEEN_LINES

    def step(self, summary: Summary) -> None:
        """Write a line if it is time for one."""
        if self._now() >= self._due:
            self._due = self._now() + _SECONDS_BETWEEN_LINES
            self._stream.write(f"{summary.rows:,} of {self._total:,} rows: {counts(summary)}\n")
            self._stream.flush()

    def end(self) -> None:
        """Write nothing; the summary follows."""


def counts(summary: Summary) -> str:
    """The figures so far, those that are not zero."""
    return ", ".join(f"{summary.states[state]:,} {state.value}" for state in State if summary.states[state]) or "none"


def progress_on(stream: TextIO) -> Progress:
    """A bar where the stream is a terminal and rich is installed, else lines."""
    if not stream.isatty():
        return Lines(stream)
    try:
        from klicktipp_async.csv_import.bar import Bar  # noqa: PLC0415 - rich is an extra
    except ImportError:
        return Lines(stream)
    return Bar(stream)
