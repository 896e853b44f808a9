"""What a sync is going to do and what it did: figures, and the rows as far as one looks at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import aclosing
from typing import Final, Self, cast

import attrs

from klickdoxie_core.entry import UNSETTLED, State
from klickdoxie_core.journal import Journal, states_in
from klicktipp_async.crm.book import Book
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.crm.rows import WRITING, Action, RowPlan, RowReport, plan_of, recorded, report_of
from klicktipp_async.errors import ConfigError

"""The states of rows that are still to be sent."""
MAX_NEW_TAGS: Final = 1000
"""New tags in one sync beyond which a column is taken for the wrong one."""


@attrs.define
class Figures:
    """What is counted while a plan is made; it is kept in the notes of the journal.

    Attributes:
        last: The number of the last row.
        total: How many there were.
        reasons: Why rows are skipped, by code.
        causes: The same in brief; a row with several faults counts for each of them.
        changes: How many contacts each field changes of, by its key.
        new_tags: Tags that the account does not have yet.
        unseen: Columns of the mapping that no row has had so far.
    """

    last: int = 0
    total: int = 0
    reasons: Counter[str] = attrs.field(factory=Counter[str])
    causes: Counter[Reason] = attrs.field(factory=Counter[Reason])
    changes: Counter[str] = attrs.field(factory=Counter[str])
    new_tags: dict[str, None] = attrs.field(factory=dict[str, None])
    unseen: set[str] = attrs.field(factory=set[str])

    @classmethod
    def of(cls, notes: Mapping[str, object], columns: Iterable[str] = ()) -> Self:
        """The figures in the notes of a journal; in a new one none of the mapping's columns was seen."""
        return cls(
            last=cast("int", notes.get("last", 0)),
            total=cast("int", notes.get("total", 0)),
            reasons=Counter(cast("Mapping[str, int]", notes.get("reasons", {}))),
            causes=_causes(cast("Iterable[tuple[int, str, str, str, str | None]]", notes.get("causes", ()))),
            changes=Counter(cast("Mapping[str, int]", notes.get("changes", {}))),
            new_tags=dict.fromkeys(cast("Iterable[str]", notes.get("new_tags", ()))),
            unseen=set(cast("Iterable[str]", notes.get("unseen", columns))),
        )

    def saw(self, columns: Iterable[str]) -> None:
        """Note the columns of a row."""
        if self.unseen:
            self.unseen.difference_update(columns)

    def add(self, plan: RowPlan, missing: Iterable[str]) -> None:
        """Count a row and the tags that it needs and nobody has made.

        Raises:
            ConfigError: There are more new tags than anybody can mean.
        """
        self.last = plan.number
        self.total += 1
        if plan.action is Action.SKIPPED and plan.reason is not None:
            self.reasons[plan.reason.code] += 1
            self.causes.update(plan.reason.in_brief())
        self.changes.update(change.field for change in plan.changes)
        self.new_tags.update(dict.fromkeys(missing))
        if len(self.new_tags) > MAX_NEW_TAGS:
            raise ConfigError(
                f"the rows ask for more than {MAX_NEW_TAGS:,} new tags; is the right column mapped to tags or segments?"
            )

    def as_notes(self) -> dict[str, object]:
        """The figures as the journal keeps them."""
        return {
            "last": self.last,
            "total": self.total,
            "reasons": dict(self.reasons),
            "causes": [(n, why.code, why.english, why.german, why.column) for why, n in self.causes.items()],
            "changes": dict(self.changes),
            "new_tags": list(self.new_tags),
            "unseen": sorted(self.unseen),
        }


@attrs.frozen(kw_only=True)
class SyncPlan:
    """What a sync is going to do. Memory holds figures only; the rows stand in the journal.

    Attributes:
        counts: Rows by what is going to happen; 0 for an action that no row needs.
        reasons: Why rows are skipped, by code.
        causes: The same in a few words, with the column; a row with several faults counts for each of them.
        changes: How many known contacts change in a data field, in their `email` or `sms_number`.
        new_tags: Tags that are going to be created.
        unseen: Columns of the mapping that no row has; perhaps their names are misspelled.
        total: All rows.
        left: Rows that are still to be sent; fewer than at first once some were.
        complete: Whether all rows were planned; a plan that was stopped has to be made to its end before it is applied.
    """

    counts: Mapping[Action, int]
    reasons: Counter[str]
    causes: Counter[Reason] = attrs.field(factory=Counter[Reason])
    changes: Counter[str]
    new_tags: tuple[str, ...] = attrs.field(repr=False)
    unseen: tuple[str, ...]
    total: int
    left: int
    complete: bool
    _book: Book = attrs.field(repr=False, eq=False, alias="book")

    @property
    def empty(self) -> bool:
        """Whether nothing is to be written."""
        return self.left == 0

    def made_in(self, book: Book) -> bool:
        """Whether the plan stands in this journal."""
        return self._book.path == book.path

    def rows(self, *actions: Action) -> AsyncIterator[RowPlan]:
        """The rows with one of these actions in their order; without actions all of them.

        Raises:
            JournalError: The journal is in use, because the plan is being applied.
        """
        return self._book.rows(lambda entry: plan_of(entry) if not actions or entry.kind in actions else None)


@attrs.frozen(kw_only=True)
class SyncReport:
    """What a sync did. Memory holds figures only; the rows stand in the journal.

    Attributes:
        counts: Rows by what was planned and what became of it; 0 for what did not happen.
        reasons: Why rows were skipped, refused, or may or may not have arrived, by code.
        causes: The same in a few words, with the column; a row with several faults counts for each of them.
        unsent: Why rows are left although their turn has come in this run: what may pass, such as too many requests.
        total: All rows.
        stopped: Whether it was stopped before its end; applying once more goes on.
    """

    counts: Mapping[tuple[Action, State], int]
    reasons: Counter[str]
    causes: Counter[Reason] = attrs.field(factory=Counter[Reason])
    unsent: Counter[Reason] = attrs.field(factory=Counter[Reason])
    total: int
    stopped: bool
    _book: Book = attrs.field(repr=False, eq=False, alias="book")

    @property
    def created(self) -> int:
        """New contacts."""
        return self.counts[Action.CREATE, State.DONE]

    @property
    def updated(self) -> int:
        """Contacts that were changed, their address or anything else."""
        return self.counts[Action.UPDATE, State.DONE] + self.counts[Action.CHANGE_ADDRESS, State.DONE]

    @property
    def upserted(self) -> int:
        """Contacts that were added or updated without having been looked up."""
        return self.counts[Action.UPSERT, State.DONE]

    @property
    def unchanged(self) -> int:
        """Contacts that were as wanted already."""
        return self.counts[Action.UNCHANGED, State.DONE]

    @property
    def begun(self) -> bool:
        """Whether any row was sent, or may have been."""
        return self._any_of(State.DONE, State.FAILED, State.UNKNOWN, State.IN_FLIGHT)

    @property
    def arrived(self) -> bool:
        """Whether any row was carried out, or may have been: what was sent was not all refused."""
        return self._any_of(State.DONE, State.UNKNOWN, State.IN_FLIGHT)

    @property
    def skipped(self) -> int:
        """Rows for which nothing was sent."""
        return self._in(State.SKIPPED)

    @property
    def failed(self) -> int:
        """Rows that the service refused."""
        return self._in(State.FAILED)

    @property
    def unknown(self) -> int:
        """Rows that may or may not have arrived; applying once more finds out."""
        return self._in(State.UNKNOWN, State.IN_FLIGHT)

    @property
    def left(self) -> int:
        """Rows whose turn has not come; applying once more goes on with them."""
        return self._in(State.PENDING)

    @property
    def complete(self) -> bool:
        """Whether every row is settled and none was refused."""
        return not (self.failed or self.unknown or self.left)

    def rows(self, *states: State) -> AsyncIterator[RowReport]:
        """The rows in one of these states in their order; without states all of them.

        Raises:
            JournalError: The journal is in use, because the plan is being applied.
        """
        return self._book.rows(report_of, *states)

    def _any_of(self, *states: State) -> bool:
        return any(self.counts[action, state] for action in WRITING for state in states)

    def _in(self, *states: State) -> int:
        return sum(number for (_, state), number in self.counts.items() if state in states)


async def plan_in(journal: Journal, book: Book) -> SyncPlan:
    """The plan that stands in an open journal."""
    figures, found = Figures.of(journal.notes), await journal.counts()
    counts: Counter[Action] = Counter()
    for (kind, _), number in found.items():
        counts[Action(kind)] += number
    return SyncPlan(
        counts=counts,
        reasons=figures.reasons,
        causes=figures.causes,
        changes=figures.changes,
        new_tags=tuple(figures.new_tags),
        unseen=tuple(sorted(figures.unseen)),
        total=counts.total(),
        left=sum(number for (_, state), number in found.items() if state in UNSETTLED),
        complete=is_planned(journal),
        book=book,
    )


async def unsent_plan_in(journal: Journal, book: Book) -> SyncPlan:
    """The plan that stands in an open journal, as long as nothing of it was carried out.

    Raises:
        ConfigError: It was not made to its end, or rows of it were sent already.
    """
    plan = await plan_in(journal, book)
    if not plan.complete:
        raise ConfigError("the plan was not made to its end; call plan() again with the same rows")
    if (await report_in(journal, book, stopped=False)).begun:
        raise ConfigError("rows of the plan were sent already; a page shows a plan before that")
    return plan


async def report_in(
    journal: Journal, book: Book, *, stopped: bool, unsent: Mapping[Reason, int] | None = None
) -> SyncReport:
    """What has become of the plan in an open journal."""
    found, figures = await journal.counts(), Figures.of(journal.notes)
    async with aclosing(journal.entries(State.FAILED, State.UNKNOWN)) as entries:
        async for entry in entries:
            reason = recorded(entry)
            figures.reasons[reason.code] += 1
            figures.causes.update(reason.in_brief())
    counts = Counter({(Action(kind), state): number for (kind, state), number in found.items()})
    return SyncReport(
        counts=counts,
        reasons=figures.reasons,
        causes=figures.causes,
        unsent=Counter(unsent),
        total=counts.total(),
        stopped=stopped,
        book=book,
    )


async def rows_in(journal: Journal, states: Collection[State]) -> int:
    """How many rows of an open journal are in one of these states."""
    return sum(number for state, number in (await states_in(journal)).items() if state in states)


def is_planned(journal: Journal) -> bool:
    """Whether the plan in a journal was made to its end."""
    return journal.notes.get("planned") is True


async def is_outdated(journal: Journal, source: str, *, look_up: bool, private: bool) -> bool:
    """Whether the plan in an open journal was made to its end and is of no use any more.

    Args:
        journal: The journal.
        source: What tells the rows from any other; empty if nothing does.
        look_up: Whether contacts are looked up, or added or updated without.
        private: Whether the journal goes with the sync.
    """
    if not is_planned(journal):
        return False
    counts, left = await journal.counts(), await rows_in(journal, UNSETTLED)
    added = {state: number for (kind, state), number in counts.items() if kind == Action.UPSERT}
    if look_up:
        # A contact without an address that is in doubt stays so for good; a new plan adds or updates it once more.
        return not source or left == added.get(State.UNKNOWN, 0)
    was_sent = bool(added.keys() - {State.PENDING})
    return (not was_sent and not source) or (private and not left)


def _causes(noted: Iterable[tuple[int, str, str, str, str | None]]) -> Counter[Reason]:
    return Counter({Reason(code, english, german, column): n for n, code, english, german, column in noted})
