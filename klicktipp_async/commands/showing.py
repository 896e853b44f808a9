"""How a job shows that it is getting on: its rows, and before them the reading of all contacts where that is needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import attrs

from klickdoxie_core.command_line import Display, display_on
from klickdoxie_core.command_line.display import described
from klickdoxie_core.progress import Progress
from klicktipp_async.commands.words import number, word
from klicktipp_async.crm.reasons import Language

_SECONDS_BETWEEN_LINES: Final = 10.0


class Showing:
    """Takes the figures of a job. They are shown within `on`, from the first ones on.

    Args:
        language: The language of the lines.
        as_json: Whether events are printed as lines of JSON.

    Attributes:
        last: The latest figures of the rows; None before the first.
    """

    def __init__(self, language: Language, *, as_json: bool) -> None:
        self._language: Language = language
        self._as_json = as_json
        self._shown = False
        self._display: Display | None = None
        self._due = 0.0
        self.last: Progress | None = None

    @contextmanager
    def on(self) -> Generator[None]:
        """Show the progress, and let go of the screen before anything else is told."""
        self.last, self._shown, self._due = None, True, 0.0
        try:
            yield
        finally:
            self._shown = False
            if self._display is not None:
                self._display.close()
                self._display = None

    def rows(self, progress: Progress) -> None:
        """Show how many rows are done."""
        self.last = progress
        if self._shown and self._display is None:
            # Only now: while contacts are read, there would be a bar of which nobody knows how far it has come.
            self._display = display_on(sys.stdout if self._as_json else sys.stderr, as_json=self._as_json)
        if self._display is not None:
            self._display(progress)

    def reading(self, progress: Progress) -> None:
        """Show how many contacts were read: at first, at the end, and every ten seconds."""
        if self._as_json:
            figures = {"done": progress.done, "total": progress.total, "left": progress.left}
            sys.stdout.write(json.dumps({"event": "reading", **figures}) + "\n")
            sys.stdout.flush()
        elif progress.seconds >= self._due or progress.done == progress.total:
            self._due = progress.seconds + _SECONDS_BETWEEN_LINES
            done, total = (number(figure or 0, self._language) for figure in (progress.done, progress.total))
            # Without the good ones, which are all that are read.
            speed = f": {described(attrs.evolve(progress, ok=0))}" if progress.rate else ""
            of = word("of", self._language)
            sys.stderr.write(f"{word('reading', self._language)} {done} {of} {total}{speed}\n")
            sys.stderr.flush()
