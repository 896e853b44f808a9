"""The figures of a demonstration: what was counted beside what it must be."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen
class Figure:
    """A figure that was counted, and what it must be; None for one that must only not be zero."""

    what: str
    expected: int | None
    found: int

    @property
    def good(self) -> bool:
        """Whether it is as it must be."""
        return self.found > 0 if self.expected is None else self.found == self.expected

    def __str__(self) -> str:
        expected = "some" if self.expected is None else f"{self.expected:,}"
        return f"{self.what:58}{expected:>9}{self.found:>9,}  {'ok' if self.good else 'WRONG'}"


def show(title: str, figures: Sequence[Figure], conclusion: str) -> int:
    """Print the figures, and the conclusion if all of them are good; 1 if one of them is off."""
    print(f"\n{title:58}{'expected':>9}{'found':>9}")
    print("\n".join(map(str, figures)))
    wrong = sum(not figure.good for figure in figures)
    print(f"\n{wrong} figures are off" if wrong else f"\n{conclusion}")
    return 1 if wrong else 0
