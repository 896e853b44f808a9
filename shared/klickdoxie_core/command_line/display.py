"""How a job shows that it is getting on: a bar on a terminal, a line now and then elsewhere, or JSON; and columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol, TextIO

import attrs

from klickdoxie_core.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0
_SOON = 1.0


class Display(Protocol):
    """Shows the figures of a job as they come."""

    def __call__(self, progress: Progress) -> None:
        """Show these figures."""

    def close(self) -> None:
        """The job is over, whatever ended it."""


def display_on(stream: TextIO, *, as_json: bool = False) -> Display:
    """JSON lines where asked for; a bar where the stream is a terminal and rich is installed; else plain lines."""
    if as_json:
        return JsonLines(stream)
    if not stream.isatty():
        return Lines(stream)
    try:
        from klickdoxie_core.command_line.bar import Bar  # noqa: PLC0415 - rich is an extra
    except ImportError:
        # Somebody is watching, and wants to see at once that something moves.
        return Lines(stream, first=_SOON)
    return Bar(stream)


class Lines:
    """Writes a line every ten seconds of the job.

    Args:
        stream: Where to.
        first: The second of the job at which the first line is due.
    """

    def __init__(self, stream: TextIO, *, first: float = _SECONDS_BETWEEN_LINES) -> None:
        self._stream = stream
        self._due = first
        self._paused: str | None = None

    def __call__(self, progress: Progress) -> None:
        """Write a line if it is time for one, and whenever the job starts to wait."""
        if progress.seconds < self._due and progress.paused == self._paused:
            return
        self._due = progress.seconds + _SECONDS_BETWEEN_LINES
        self._paused = progress.paused
        of = f" of {progress.total:,}" if progress.total is not None else ""
        self._stream.write(f"{progress.done:,}{of}: {described(progress)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Write nothing; a summary follows."""


class JsonLines:
    """Writes every event as a line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, progress: Progress) -> None:
        """Write the figures."""
        self._stream.write(json.dumps({"event": "progress", **attrs.asdict(progress)}) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Write nothing."""


def described(progress: Progress) -> str:
    """The figures as a sentence, without those that are zero."""
    counts = {
        "ok": progress.ok,
        "failed": progress.failed,
        "in doubt": progress.unknown,
        "settled before": progress.skipped,
    }
    said = [f"{count:,} {name}" for name, count in counts.items() if count]
    if progress.rate:
        said.append(f"{progress.rate:,.0f}/s")
    if progress.left is not None:
        said.append(f"{_duration(progress.left)} left")
    if progress.paused:
        said.append(f"waiting: {progress.paused}")
    return ", ".join(said) or "none yet"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """The rows as lines, with their cells one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ((cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
