"""What has become of the rows of a file that was sent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import attrs

from klickdoxie_core.table.rejects import Fate

MOST_LINES: Final = 20
"""Lines in doubt that a report names; with more of them the error file is the better list."""


@attrs.frozen(kw_only=True)
class SendReport:
    """What has become of all rows of the file, in this run and those before.

    Attributes:
        rows: Rows that are not blank.
        sent: Rows that were sent.
        failed: Rows that were not, for good.
        in_doubt: Rows that may or may not have been sent; they are not sent again.
        doubtful: The lines of those, or nothing when there are more than `MOST_LINES`.
        left_out: Rows that were not sent since the file itself says that they are in doubt.
        pending: Rows that were not sent yet.
        unsent: Why the last one of those that were tried was not sent; empty where none was tried.
        settled_before: Rows whose end an earlier run knew.
        stopped: This run has not come to all rows that it was to send; resumed, the job goes on with them.
        reasons: Why rows failed, are in doubt or were left out, by code.
        errors: The file with those rows; None where there are none.
        earlier_errors: What was done with the error file of an earlier run; None if nothing was.
        journal: By which the job can be resumed; None where it is gone, since nothing is open.
    """

    rows: int
    sent: int
    failed: int
    in_doubt: int
    doubtful: tuple[int, ...] = ()
    left_out: int
    pending: int
    unsent: str = ""
    settled_before: int
    stopped: bool
    reasons: Counter[str] = attrs.field(factory=Counter[str])
    errors: Path | None = None
    earlier_errors: Fate | None = None
    journal: Path | None

    @property
    def clean(self) -> bool:
        """Whether every row was sent that was to be."""
        return not (self.failed or self.in_doubt or self.left_out or self.stopped)
