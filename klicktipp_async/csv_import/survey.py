"""What a file holds, found by reading all of it and sending nothing."""

from __future__ import annotations

from collections import Counter

import attrs

from klickdoxie_core.errors import ConfigError
from klicktipp_async.csv_import.draft import Draft, Rules
from klicktipp_async.csv_import.table import Table
from klicktipp_async.csv_import.triage import State, triage

MAX_TAGS = 1000
"""Different tags in one file beyond which the column is taken for the wrong one."""

_SAMPLES = 3
_SAMPLE_LENGTH = 24


@attrs.define
class Fill:
    """How a column is filled.

    Attributes:
        count: Rows in which it holds something.
        samples: The shape of its first values: letters as x, digits as 9, so that nobody is named.
    """

    count: int = 0
    samples: list[str] = attrs.field(factory=list[str])

    def add(self, cell: str) -> None:
        """Count a cell, and keep the shape of the first ones."""
        bare = cell.strip()
        if bare:
            self.count += 1
            if len(self.samples) < _SAMPLES:
                self.samples.append(shape(bare))


@attrs.define
class Survey:
    """What a pass over the whole file found; nothing was sent.

    Attributes:
        rows: Rows that are not blank.
        valid: Rows that would be sent.
        invalid: Why other rows would not, by code.
        duplicates: Rows whose address stands further up.
        tags: Every tag that a valid row asks for, each once, in the order of the file.
        fills: How each column is filled, by its place.
    """

    rows: int = 0
    valid: int = 0
    invalid: Counter[str] = attrs.field(factory=Counter[str])
    duplicates: int = 0
    tags: dict[str, None] = attrs.field(factory=dict[str, None])
    fills: list[Fill] = attrs.field(factory=list[Fill])


def survey(table: Table, rules: Rules, *, limit: int | None = None) -> Survey:
    """Read and check every row without sending any.

    Raises:
        TableError: The file cannot be read to its end.
        ConfigError: It asks for more than `MAX_TAGS` different tags.
    """
    found = Survey(fills=[Fill() for _ in table.header])
    for item in triage(table, rules, limit=limit):
        found.rows += 1
        for fill, cell in zip(found.fills, item.row.cells, strict=False):
            fill.add(cell)
        if isinstance(item.plan, Draft):
            found.valid += 1
            found.tags.update(dict.fromkeys(item.plan.tags))
            _refuse_too_many(found.tags)
        elif item.plan.state is State.DUPLICATE:
            found.duplicates += 1
        elif item.plan.reason:
            found.invalid[item.plan.reason.code] += 1
    return found


def shape(text: str) -> str:
    """What a text looks like without what it says."""
    drawn = "".join(_drawn(character) for character in text[:_SAMPLE_LENGTH])
    return drawn if len(text) <= _SAMPLE_LENGTH else drawn + "…"


def _drawn(character: str) -> str:
    if character.isalpha():
        return "X" if character.isupper() else "x"
    return "9" if character.isdigit() else " " if character.isspace() else character


def _refuse_too_many(tags: dict[str, None]) -> None:
    if len(tags) > MAX_TAGS:
        msg = f"the file asks for more than {MAX_TAGS:,} different tags; is the right column mapped to tags?"
        raise ConfigError(msg)
