"""What goes wrong in a sandbox on purpose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from klickdoxie_core.sandbox import Answer


@attrs.define(kw_only=True)
class Fault:
    """Something that goes wrong on purpose.

    Attributes:
        operation: The vendor's name of the operation; None for any.
        answer: What is answered instead; None loses the connection.
        applied: Whether the request is carried out nevertheless.
        left: How often it still happens.
        every: Only each so-many-th matching request is hit.
        seen: Matching requests so far.
        happened: How often it has happened.
    """

    operation: str | None
    answer: Answer | None
    applied: bool
    left: float
    every: int
    seen: int = 0
    happened: int = 0

    @property
    def unmet(self) -> bool:
        """Whether it was planned for more than has come."""
        return not self.happened or (self.left > 0 and self.left != math.inf)

    def hits(self, operation: str) -> bool:
        """Whether it happens to this request."""
        if self.operation not in {None, operation}:
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.left -= 1
        self.happened += 1
        return True
