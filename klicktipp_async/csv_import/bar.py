"""The progress bar; needs rich."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from klicktipp_async.csv_import.progress import counts
from klicktipp_async.csv_import.report import Summary


class Bar:
    """Shows a bar, the figures so far and the time that is left."""

    def __init__(self, stream: TextIO) -> None:
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=Console(file=stream),
        )
        self._task = TaskID(0)

    def begin(self, total: int) -> None:
        """Show an empty bar."""
        self._task = self._progress.add_task("", total=total)
        self._progress.start()

    def step(self, summary: Summary) -> None:
        """Move on to the rows dealt with."""
        self._progress.update(self._task, completed=summary.rows, description=counts(summary))

    def end(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()
