"""Measuring variants against a base in the same run: interleaved, in CPU seconds, as ratios with their spread."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

import attrs

ROUNDS = 9
Call = Callable[[], Awaitable[object]]


@attrs.frozen(kw_only=True)
class Row:
    """One figure of the table.

    Attributes:
        goal: The row of the goals that it belongs to.
        what: What was measured, and against what.
        figure: The median.
        low: The least of all rounds.
        high: The most of all rounds.
        limit: What the figure must not exceed (or fall below); None for one that is only told.
        at_least: The limit is a lower one.
        unit: What it counts; empty for a ratio.
    """

    goal: str
    what: str
    figure: float
    low: float
    high: float
    limit: float | None = None
    at_least: bool = False
    unit: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.limit is None:
            return None
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


def row(
    goal: str, what: str, figures: list[float], limit: float | None = None, *, at_least: bool = False, unit: str = ""
) -> Row:
    """A row out of the figures of all rounds."""
    return Row(
        goal=goal,
        what=what,
        figure=statistics.median(figures),
        low=min(figures),
        high=max(figures),
        limit=limit,
        at_least=at_least,
        unit=unit,
    )


async def many(call: Call, calls: int, concurrent: int) -> float:
    """CPU seconds per call, so many of them under way at once."""
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            await call()

    gc.collect()
    before = time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrent)))
    return (time.process_time() - before) / calls


async def compare(
    variants: Mapping[str, Call], *, calls: int, concurrent: int = 1, rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """CPU seconds per call of each variant in each round; every round runs all of them, after one to warm up."""
    for call in variants.values():
        await many(call, max(concurrent, calls // 10), concurrent)
    figures: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, call in variants.items():
            figures[name].append(await many(call, calls, concurrent))
    return figures


def ratios(figures: Mapping[str, list[float]], name: str, base: str) -> list[float]:
    """A variant as a share of its base, round by round."""
    return [one / other for one, other in zip(figures[name], figures[base], strict=True)]


def table(rows: list[Row]) -> str:
    """The rows for people; one that misses its goal says so."""
    lines = [f"{'':4} {'what':76} {'figure':>9} {'goal':>9} {'spread':>17}"]
    for one in rows:
        goal = "" if one.limit is None else f"{'>=' if one.at_least else '<='} {one.limit:g}"
        missed = "  MISSED" if one.reached is False else ""
        shown = f"{one.figure:.2f}{one.unit}"
        lines.append(f"{one.goal:4} {one.what:76} {shown:>9} {goal:>9} {one.low:8.2f} {one.high:8.2f}{missed}")
    return "\n".join(lines)
