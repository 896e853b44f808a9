"""`ContactSync`: from the rows of a CRM to a plan, and from the plan to the account."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from klickdoxie_core.breaker import Breaker
from klickdoxie_core.bulk import bulk
from klickdoxie_core.clock import Clock
from klickdoxie_core.entry import Entry, State
from klickdoxie_core.journal import Journal, fingerprint
from klickdoxie_core.options import UNSET, Unset
from klickdoxie_core.progress import OnProgress, Tally
from klicktipp_async.client import KlickTipp
from klicktipp_async.crm.apply import Writer, put_of, reason_of
from klicktipp_async.crm.book import Book, our_errors
from klicktipp_async.crm.crm_ids import CrmIds
from klicktipp_async.crm.identity import Identity
from klicktipp_async.crm.mapping import Mapping as ColumnMapping
from klicktipp_async.crm.mapping import MappingError, Segments
from klicktipp_async.crm.planner import Planner, Rows
from klicktipp_async.crm.reasons import Language
from klicktipp_async.crm.reference import Reference
from klicktipp_async.crm.report import (
    UNSETTLED,
    Figures,
    SyncPlan,
    SyncReport,
    is_planned,
    plan_in,
    report_in,
    unsent_plan_in,
)
from klicktipp_async.crm.rows import Action, Written, error_of, essence, plan_of
from klicktipp_async.errors import ArgumentError, ConfigError

if TYPE_CHECKING:
    from klicktipp_async.crm.wanted import Rules

_JOBS: Final = {True: "klicktipp sync", False: "klicktipp import"}
_BATCH: Final = 250


@attrs.frozen
class _Account:
    """What was read of the account, and what the mapping means there."""

    reference: Reference
    rules: Rules
    opt_in_id: int | None


class ContactSync:
    """Brings the contacts of a CRM into a KlickTipp account: a plan that only reads, then its application.

    `plan` finds the contact of each row (by its id in KlickTipp, then by the CRM's own id, then by its address) and
    compares it with what the CRM wants; `apply` writes what differs. Both may be broken off at any point and called
    again, also by another process with the same journal and arguments. Contacts that have unsubscribed are reported
    and left alone. Of the contacts' tags only those under the prefix of the segments are taken off. Memory is the same
    for any number of rows.

    Args:
        kt: A client of the account; it stays the caller's.
        mapping: Where the columns of the rows go.
        opt_in_id: The opt-in process of new contacts, by its id or name; it has no default, and must be named here or
            in the mapping. None for the account's own double opt-in, which sends mails.
        segments: The prefix of the tags that are managed; None for that of the mapping, or else of `Segments()`.
        tags: Names of tags that every contact gets.
        journal: The file in which plan and results are kept, readable for its owner only; beside it lies a file with
            the ending `.ids`, which finds contacts by the CRM's id and is worth keeping. It holds personal data. None
            for a private folder that goes with this object.
        concurrency: Rows under way at once.
        look_up: False adds or updates every contact without looking for it first, as an import does: no contact is
            read, and whatever is wanted overwrites what is there.
        find_crm_ids: False finds no contacts by the CRM's id, which spares the reading of all contacts the first time.
        breaker: When `apply` stops by itself; None for `Breaker()`. It is probed with the list of tags unless it says
            otherwise.
        on_progress: Told of the progress of `plan` and `apply`.

    Raises:
        ArgumentError: `concurrency` is below 1, `tags` is a text, or nobody has named the opt-in process.
    """

    def __init__(
        self,
        kt: KlickTipp,
        *,
        mapping: ColumnMapping,
        opt_in_id: int | str | Unset | None = UNSET,
        segments: Segments | None = None,
        tags: Sequence[str] = (),
        journal: str | os.PathLike[str] | None = None,
        concurrency: int = 16,
        look_up: bool = True,
        find_crm_ids: bool = True,
        breaker: Breaker | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        if concurrency < 1:
            raise ArgumentError("concurrency must be a whole number from 1")
        if isinstance(tags, str):
            raise ArgumentError("tags must be a list of names, not one text")
        if isinstance(opt_in_id, Unset) and mapping.opt_in is None:
            raise ArgumentError(
                "opt_in_id must name the opt-in process of new contacts, or be None for the account's own, which sends "
                "a confirmation mail; it has no default, since it is about their consent"
            )
        self._kt = kt
        self._mapping = mapping
        self._opt_in = mapping.opt_in if isinstance(opt_in_id, Unset) else opt_in_id
        self._segments = segments or (Segments() if mapping.prefix is None else Segments(mapping.prefix))
        self._tags = tuple(tags)
        self._concurrency = concurrency
        self._look_up = look_up
        self._find_crm_ids = find_crm_ids and look_up
        chosen = breaker or Breaker()
        self._breaker = chosen if chosen.probe else attrs.evolve(chosen, probe=kt.tags.all)
        self._on_progress = on_progress
        self._book = Book(journal, _JOBS[look_up])
        self._account: _Account | None = None
        self._writing: bulk[Entry, Written] | None = None
        self._stopped = False

    async def check(self, header: Sequence[str] | None = None) -> None:
        """Read the account's tags, data fields and opt-in processes, and check everything against them.

        `plan` and `apply` do so themselves the first time.

        Args:
            header: The columns that the rows have; None checks the data fields only.

        Raises:
            MappingError: Columns or data fields that are not there, and whatever else is wrong; all in one text.
            ConfigError: The account does not have the opt-in process.
            SdkError: The account could not be read.
        """
        self._account = await self._load(header)

    @property
    def opt_in_name(self) -> str | None:
        """The name of the opt-in process, empty for the account's own; None before the account was read."""
        account = self._account
        if account is None:
            return None
        return "" if account.opt_in_id is None else account.reference.opt_ins[account.opt_in_id]

    async def plan(self, rows: Rows, *, total: int | None = None, source: str = "") -> SyncPlan:
        """Find out what has to be written for each row. Only reads.

        A plan that was broken off is gone on with: rows that stand in the journal are passed over. One that was made
        to its end is made anew, unless rows of the same `source` are left to apply: then it is the plan that stands in
        the journal. Without `look_up` a journal of your own keeps its plan once rows of it were sent, since they must
        not be sent again; take another journal for other rows.

        Args:
            rows: Values by column, or `SourceRow` with numbers that go up.
            total: How many rows there are, for the progress; None if nobody knows.
            source: What tells this input from any other, such as a fingerprint of the file; a journal takes no other
                one. Empty if nothing does. Ignored without a journal of your own.

        Returns:
            The plan; not `complete` after `stop`.

        Raises:
            MappingError, ConfigError: As from `check`; also for more than 1,000 new tags.
            JournalError: The journal is damaged, in use, or made with other arguments or from another source.
            SdkError: The account could not be read.
        """
        account = await self._ready()
        source = "" if self._book.private else source
        tally = Tally(total, self._on_progress, Clock())
        try:
            with our_errors():
                return await self._plan(account, rows, source, tally)
        finally:
            tally.end()
            self._stopped = False

    async def apply(self, plan: SyncPlan | None = None) -> SyncReport:
        """Write what is planned; rows that are settled are left alone, those in doubt are looked up first.

        Args:
            plan: The plan to apply; None for the one that stands in the journal.

        Raises:
            ConfigError: There is no plan, or it was not made to its end.
            JournalError: The journal is damaged, in use, or made with other arguments.
            JobStopped: Going on was senseless; `report` tells how far it came.
            SdkError: The account could not be read.
        """
        if plan is not None and not plan.made_in(self._book):
            raise ConfigError("the plan was made with another journal; apply it with the sync that made it")
        try:
            with our_errors():
                return await self._apply()
        finally:
            self._stopped = False

    async def report(self) -> SyncReport:
        """What has become of the plan that stands in the journal so far.

        Raises:
            ConfigError: There is none.
        """
        with our_errors():
            async with await self._book.reopen() as journal:
                return await report_in(journal, self._book, stopped=False)

    async def write_page(
        self, path: str | os.PathLike[str], *, title: str = "", language: Language | None = None
    ) -> None:
        """Write the plan that stands in the journal as an HTML page, for people who have to say yes to it.

        The page is one file that loads nothing, in English and German, and readable for its owner only: it holds
        personal data. Tags are counted in the account, with one call for each of the 30 that change most.

        Args:
            path: The file; the page of an earlier plan is replaced as a whole.
            title: What the rows are from, such as the name of a file.
            language: The language that is shown at first; None for that of the browser.

        Raises:
            ConfigError: There is no plan, it was not made to its end, or rows of it were sent already; or the file is
                something else than the page of an earlier plan.
            JournalError: The journal is damaged, or in use.
            SdkError: The account could not be read.
            OSError: The file cannot be written.
        """
        # What makes pages is not for every sync.
        from klicktipp_async.crm.plan_page import Page, check_page, write_page  # noqa: PLC0415
        from klicktipp_async.crm.plan_page_facts import digest_of  # noqa: PLC0415

        check_page(Path(path))
        account = await self._ready()
        with our_errors():
            async with await self._book.reopen() as journal:
                plan = await unsent_plan_in(journal, self._book)
                page = Page(
                    plan=plan,
                    title=title,
                    language=language,
                    opt_in_name=self.opt_in_name or "",
                    fields=account.reference.fields,
                    digest=await digest_of(journal, account.rules.schema, self._kt, account.reference),
                )
                await write_page(Path(path), page, journal)

    def stop(self) -> None:
        """End a running `plan` or `apply` in good order; what is under way is finished. May be called by a signal."""
        self._stopped = True
        if self._writing is not None:
            self._writing.stop()

    def close(self) -> None:
        """Remove the private folder; a journal of your own stays."""
        self._book.close()

    async def _plan(self, account: _Account, rows: Rows, source: str, tally: Tally) -> SyncPlan:
        async with self._book.open(self._facts(source)) as journal:
            if await self._outdated(journal, source):
                await journal.start_over()
            if not is_planned(journal):
                await self._make(journal, account, rows, tally)
            return await plan_in(journal, self._book)

    async def _apply(self) -> SyncReport:
        facts = await self._book.facts()
        if facts is None:
            raise ConfigError("there is no plan; make one with plan()")
        async with self._book.open(self._facts(facts.get("source", ""))) as journal:
            if not is_planned(journal):
                raise ConfigError("the plan was not made to its end; call plan() again with the same rows")
            if left := await _left(journal):
                await self._write(journal, left)
            return await report_in(journal, self._book, stopped=self._stopped)

    async def _load(self, header: Sequence[str] | None) -> _Account:
        reference = Reference(self._kt)
        await reference.load()
        try:
            rules = self._mapping.resolve(
                header=header, fields=reference.fields, segments=self._segments, tags=self._tags
            )
        except MappingError as error:
            # All problems at once.
            with _told_with(error):
                reference.opt_in_id(self._opt_in)
            raise
        return _Account(reference, rules, reference.opt_in_id(self._opt_in))

    async def _ready(self) -> _Account:
        if self._account is None:
            self._account = await self._load(None)
        return self._account

    def _facts(self, source: str) -> Mapping[str, str]:
        options = [self._opt_in, self._segments.prefix, self._tags, self._find_crm_ids]
        return {
            "account": self._kt.account_fingerprint,
            "mapping": fingerprint(self._mapping.fingerprint),
            "options": fingerprint(json.dumps(options)),
            "source": source,
        }

    async def _outdated(self, journal: Journal, source: str) -> bool:
        """Whether the plan in the journal was made to its end and is of no use any more."""
        if not is_planned(journal):
            return False
        counts, left = await journal.counts(), await _left(journal)
        added = {state: number for (kind, state), number in counts.items() if kind == Action.UPSERT}
        if self._look_up:
            # A contact without an address that is in doubt stays so for good; a new plan adds or updates it once more.
            return not source or left == added.get(State.UNKNOWN, 0)
        was_sent = bool(added.keys() - {State.PENDING})
        return (not was_sent and not source) or (self._book.private and not left)

    async def _make(self, journal: Journal, account: _Account, rows: Rows, tally: Tally) -> None:
        async with self._ids(account.rules) as ids:
            identity = Identity(self._kt, account.rules, ids) if self._look_up else None
            planner = Planner(journal, account.rules, account.reference, identity, self._concurrency)
            await planner.run(rows, tally, lambda: self._stopped)

    async def _write(self, journal: Journal, left: int) -> None:
        account = await self._ready()
        new_tags = Figures.of(journal.notes).new_tags
        await account.reference.tag_ids(new_tags)
        async with AsyncExitStack() as stack:
            ids = await stack.enter_async_context(self._ids(account.rules))
            writer = Writer(self._kt, account.rules, account.reference, account.opt_in_id, ids)
            entries = await stack.enter_async_context(aclosing(journal.entries(*UNSETTLED)))
            self._writing = bulk(
                writer.write,
                entries,
                concurrency=self._concurrency,
                journal=journal,
                key=lambda entry: entry.key,
                reconcile=writer.finish,
                keep=essence,
                breaker=self._breaker,
                on_progress=self._on_progress,
                total=left,
            )
            if self._stopped:
                self._writing.stop()
            await self._run(self._writing, journal, ids)

    async def _run(self, writing: bulk[Entry, Written], journal: Journal, ids: CrmIds | None) -> None:
        """Let it run; reasons go into the journal in both languages, new contacts into the file of the CRM's ids."""
        made: dict[int, str] = {}
        try:
            async with writing as outcomes:
                async for outcome in outcomes:
                    plan = plan_of(outcome.item)
                    if outcome.error is None:
                        made.update(put_of(plan, outcome.unwrap()))
                    elif outcome.state is not State.PENDING and (reason := reason_of(plan, outcome.error)):
                        await journal.settle(outcome.item.key, outcome.state, error=error_of(reason))
                    if ids is None or len(made) >= _BATCH:
                        made = await _put(ids, made)
        finally:
            self._writing = None
        await _put(ids, made)

    @asynccontextmanager
    async def _ids(self, rules: Rules) -> AsyncGenerator[CrmIds | None]:
        if rules.crm_field is None or not self._find_crm_ids:
            yield None
            return
        async with CrmIds(self._book.ids, self._kt, rules.crm_field, concurrency=self._concurrency) as ids:
            yield ids


@contextmanager
def _told_with(first: MappingError) -> Generator[None]:
    """Add what is wrong besides to the first error."""
    try:
        yield
    except ConfigError as second:
        raise MappingError(f"{first.message}\n  - {second.message}") from None


async def _left(journal: Journal) -> int:
    """How many rows are still to be sent."""
    return sum(number for (_, state), number in (await journal.counts()).items() if state in UNSETTLED)


async def _put(ids: CrmIds | None, made: Mapping[int, str]) -> dict[int, str]:
    """Let them be found by the CRM's id, and return an empty map for the next ones."""
    if ids is not None:
        await ids.put(made)
    return {}
