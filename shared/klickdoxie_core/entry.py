"""An item of a job, as its journal keeps it."""

from __future__ import annotations

import enum
from typing import Final

import attrs


class State(enum.StrEnum):
    """Where an item of a job stands."""

    PENDING = "pending"
    IN_FLIGHT = "in flight"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


UNSETTLED: Final = (State.PENDING, State.IN_FLIGHT, State.UNKNOWN)
"""The states of items that still need something."""


@attrs.frozen(kw_only=True)
class Entry:
    """One item of a job.

    Attributes:
        key: What tells it from all others; may be personal data.
        place: Its number in the input; None for the next free one. An entry that was read always has it.
        kind: A word of the job's own, by which items are counted.
        state: Where it stands.
        attempts: How often it was in flight.
        payload: What the job wants to keep of it: anything JSON can hold.
        result: The essence of its result: likewise.
        error: Why it failed: likewise.
    """

    key: str = attrs.field(repr=False)
    place: int | None = None
    kind: str = ""
    state: State = State.PENDING
    attempts: int = 0
    payload: object = attrs.field(default=None, repr=False)
    result: object = attrs.field(default=None, repr=False)
    error: object = None
