"""The progress bar; needs rich."""

from __future__ import annotations

from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

from klickdoxie_core.command_line.display import described
from klickdoxie_core.progress import Progress

_BAR_WIDTH: Final = 40


class Bar:
    """Shows a bar and the figures so far."""

    def __init__(self, stream: TextIO) -> None:
        self._bar = RichProgress(
            # On a narrow terminal it is the bar that gives way, not the figures.
            BarColumn(bar_width=None, table_column=Column(ratio=1, max_width=_BAR_WIDTH)),
            # Why a job waits may be told in brackets, which are no markup.
            TextColumn("{task.description}", markup=False),
            console=Console(file=stream),
        )
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def __call__(self, progress: Progress) -> None:
        """Move on to the items dealt with."""
        of = "?" if progress.total is None else progress.total
        figures = f"{progress.done}/{of} {described(progress)}"
        self._bar.update(self._task, completed=progress.done, total=progress.total, description=figures)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()
