"""What the columns of a file hold, found by reading all of it, and shown without naming anybody."""

from __future__ import annotations

from itertools import islice
from typing import Final

import attrs

from klickdoxie_core.table.reader import Table

_SAMPLES: Final = 3
_SAMPLE_LENGTH: Final = 24


@attrs.frozen
class Fill:
    """How a column is filled.

    Attributes:
        count: Rows in which it holds more than spaces.
        samples: The shapes of its first values.
    """

    count: int = 0
    samples: tuple[str, ...] = ()


@attrs.frozen
class Overview:
    """What a pass over a file found.

    Attributes:
        rows: Rows that are not blank.
        fills: How each column of the header is filled, in its order.
    """

    rows: int
    fills: tuple[Fill, ...]


def overview(table: Table, limit: int | None = None) -> Overview:
    """Read the rows and count what is filled; memory does not grow with the file.

    Args:
        table: The file.
        limit: Rows to read at the most; None for all.

    Raises:
        TableError: The file cannot be read to its end.
    """
    tallies = [_Tally() for _ in table.header]
    count = 0
    for row in islice(table.rows(), limit):
        count += 1
        for tally, cell in zip(tallies, row.cells, strict=False):
            tally.add(cell.strip())
    return Overview(count, tuple(Fill(tally.count, tuple(tally.samples)) for tally in tallies))


def shape(text: str) -> str:
    """What a text looks like without what it says: letters become x or X, digits 9, and all beyond 24 characters …."""
    drawn = "".join(map(_drawn, text[:_SAMPLE_LENGTH]))
    return drawn if len(text) <= _SAMPLE_LENGTH else drawn + "…"


class _Tally:
    """The figures of one column so far."""

    def __init__(self) -> None:
        self.count = 0
        self.samples: list[str] = []

    def add(self, value: str) -> None:
        if value:
            self.count += 1
            if len(self.samples) < _SAMPLES:
                self.samples.append(shape(value))


def _drawn(character: str) -> str:
    if character.isalpha():
        return "X" if character.isupper() else "x"
    # Numeric is more than digit: fractions and Roman numerals, too.
    return "9" if character.isnumeric() else " " if character.isspace() else character
