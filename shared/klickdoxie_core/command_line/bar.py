"""The progress bar; needs rich."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress

from klickdoxie_core.command_line.display import described
from klickdoxie_core.progress import Progress


class Bar:
    """Shows a bar and the figures so far."""

    def __init__(self, stream: TextIO) -> None:
        self._bar = RichProgress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=Console(file=stream)
        )
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def __call__(self, progress: Progress) -> None:
        """Move on to the items dealt with."""
        self._bar.update(self._task, completed=progress.done, total=progress.total, description=described(progress))

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()
