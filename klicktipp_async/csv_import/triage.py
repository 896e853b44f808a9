"""What becomes of each row before anything is sent: a draft, or a finding that keeps it back."""

from __future__ import annotations

import enum
import hashlib
import secrets
from collections.abc import Iterator
from itertools import islice

import attrs

from klicktipp_async.csv_import.draft import Draft, Rules
from klicktipp_async.csv_import.reasons import MARKED_DUPLICATE, Reason, duplicate_of
from klicktipp_async.csv_import.table import Row, Table


class State(enum.Enum):
    """What became of a row."""

    IMPORTED = "imported"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    IN_DOUBT = "in doubt"


@attrs.frozen
class Finding:
    """What became of a row, and why it was not imported; the reason is None for one that was."""

    state: State
    reason: Reason | None = None


@attrs.frozen
class Item:
    """A row and what is to be done with it: a draft is sent, a finding is only written down."""

    row: Row = attrs.field(repr=False)
    plan: Draft | Finding


def triage(table: Table, rules: Rules, *, limit: int | None = None) -> Iterator[Item]:
    """Each row with its draft or with what keeps it back, lazily; of several with one address the first is taken."""
    seen = _Seen()
    for row in islice(table.rows(), limit):
        draft = rules.draft(row)
        if isinstance(draft, Reason):
            yield Item(row, Finding(State.FAILED, draft))
        elif row.state == State.DUPLICATE.value:
            yield Item(row, Finding(State.DUPLICATE, MARKED_DUPLICATE))
        elif earlier := seen.earlier(draft.identity, row.line):
            yield Item(row, Finding(State.DUPLICATE, duplicate_of(earlier)))
        else:
            yield Item(row, draft)


class _Seen:
    """The addresses so far and where they stood: digests under a key of this run, about 130 bytes for each."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._lines: dict[bytes, int] = {}

    def earlier(self, identity: str, line: int) -> int | None:
        """The line on which the address stood before; remembers this one if it is new."""
        digest = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()
        first = self._lines.setdefault(digest, line)
        return None if first == line else first
