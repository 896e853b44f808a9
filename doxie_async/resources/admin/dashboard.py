"""Figures for dashboards."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Under
from doxie_async.errors import ArgumentError
from doxie_async.models.admin import Dashboard
from doxie_async.resources.base import DoxieResource
from klickdoxie_core import Effect

FIGURES = Annotated[Dashboard, Under("dashboard")]


class Dashboards(DoxieResource):
    """Figures for dashboards."""

    async def overview(self) -> Dashboard:
        """The main dashboard (Show main dashboard statistics)."""
        return await self._run(routes.SHOW_OVERVIEW, Effect.SAFE, FIGURES)

    async def statistics(
        self, *, month: date | None = None, start: date | None = None, end: date | None = None
    ) -> Dashboard:
        """The figures of a month or a range (Show dashboard statistics); without arguments, of the current month.

        Args:
            month: Any day of the month.
            start: The first day of a range, together with `end`, and not with `month`.
            end: The last day of a range.
        """
        return await self._run(routes.SHOW_STATISTICS, Effect.SAFE, FIGURES, query=_range(month, start, end))


def _range(month: date | None, start: date | None, end: date | None) -> dict[str, str | int] | None:
    if (start is None) != (end is None) or (month is not None and start is not None):
        raise ArgumentError("give a month, or start and end together, or nothing")
    if month is not None:
        return {"time_range": _day("month", month).replace(day=1).isoformat()}
    if start is None or end is None:
        return None
    first, last = _day("start", start), _day("end", end)
    if last < first:
        raise ArgumentError("end must not be before start")
    return {"time_range": "custom", "start_date": first.isoformat(), "end_date": last.isoformat()}


def _day(name: str, value: object) -> date:
    """The day, also of a datetime, which is a date that compares with no other date."""
    if not isinstance(value, date):
        raise ArgumentError(f"{name} must be a date")
    return value.date() if isinstance(value, datetime) else value
