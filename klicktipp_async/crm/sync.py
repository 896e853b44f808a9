"""`ContactSync`: from the rows of a CRM to a plan, and from the plan to the account."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from klickdoxie_core.breaker import Breaker
from klickdoxie_core.clock import Clock
from klickdoxie_core.entry import UNSETTLED, State
from klickdoxie_core.journal import Journal
from klickdoxie_core.options import UNSET, Unset
from klickdoxie_core.progress import OnProgress, Progress, Tally
from klicktipp_async.client import KlickTipp
from klicktipp_async.crm.apply import Writer
from klicktipp_async.crm.book import Book, our_errors
from klicktipp_async.crm.crm_ids import CrmIds
from klicktipp_async.crm.identity import Identity
from klicktipp_async.crm.made_from import SOURCE, differing, facts_of
from klicktipp_async.crm.mapping import Mapping as ColumnMapping
from klicktipp_async.crm.mapping import MappingError, Segments
from klicktipp_async.crm.planner import Planner, Rows
from klicktipp_async.crm.reasons import Language, Reason
from klicktipp_async.crm.reference import Reference
from klicktipp_async.crm.report import (
    Figures,
    SyncPlan,
    SyncReport,
    is_outdated,
    is_planned,
    plan_in,
    report_in,
    rows_in,
    unsent_plan_in,
)
from klicktipp_async.crm.sending import Sending
from klicktipp_async.crm.targets import tag_names
from klicktipp_async.errors import ArgumentError, ConfigError
from klicktipp_async.resources.base import check_concurrency

if TYPE_CHECKING:
    from klicktipp_async.crm.wanted import Rules

_JOBS: Final = {True: "klicktipp sync", False: "klicktipp import"}


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
        crm_ids: Another place for that file, such as one for all journals of an account: what it knows of the contacts
            is not read again. It belongs to one account and one data field, and to one job at a time.
        concurrency: Rows under way at once.
        look_up: False adds or updates every contact without looking for it first, as an import does: no contact is
            read, and whatever is wanted overwrites what is there.
        find_crm_ids: False finds no contacts by the CRM's id, which spares the reading of all contacts the first time.
        breaker: When `apply` stops by itself; None for `Breaker()`. It is probed with the list of tags unless it says
            otherwise.
        on_progress: Told of the progress of `plan` and `apply`.
        on_reading: Told of the reading of all contacts, which comes with the first plan that needs the CRM's ids.

    Raises:
        ArgumentError: `concurrency` is below 1, `tags` is no list of texts, or nobody has named the opt-in process.
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
        crm_ids: str | os.PathLike[str] | None = None,
        concurrency: int = 16,
        look_up: bool = True,
        find_crm_ids: bool = True,
        breaker: Breaker | None = None,
        on_progress: OnProgress | None = None,
        on_reading: OnProgress | None = None,
    ) -> None:
        check_concurrency(concurrency)
        if isinstance(opt_in_id, Unset) and mapping.opt_in is None:
            raise ArgumentError(
                "opt_in_id must name the opt-in process of new contacts, or be None for the account's own, which sends "
                "a confirmation mail; it has no default, since it is about their consent"
            )
        self._kt = kt
        self._mapping = mapping
        self._opt_in = mapping.opt_in if isinstance(opt_in_id, Unset) else opt_in_id
        self._segments = segments or (Segments() if mapping.prefix is None else Segments(mapping.prefix))
        self._tags = tag_names(tags)
        self._concurrency = concurrency
        self._look_up = look_up
        self._find_crm_ids = find_crm_ids and look_up
        chosen = breaker or Breaker()
        self._breaker = chosen if chosen.probe else attrs.evolve(chosen, probe=kt.tags.all)
        self._on_progress = on_progress
        self._on_reading = on_reading
        self._book = Book(journal, _JOBS[look_up], crm_ids)
        self._unsent: Counter[Reason] = Counter()
        self._account: _Account | None = None
        self._sending: Sending | None = None
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

    @property
    def field_labels(self) -> Mapping[str, str]:
        """The data fields of the account, key to label; empty before the account was read."""
        return {} if self._account is None else self._account.reference.fields

    async def made_from_another(self) -> list[str]:
        """In what the plan that stands in the journal was made otherwise: `mapping`, `account` and so on.

        Empty where nothing differs, or there is no plan. The source of the rows is left out.

        Raises:
            JournalError: The file is not a journal, or it is damaged.
        """
        with our_errors():
            facts = await self._book.facts()
        return [] if facts is None else differing(facts, self._facts(""))

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

    async def apply(self, plan: SyncPlan | None = None, *, retry_failed: bool = False) -> SyncReport:
        """Write what is planned; rows that are settled are left alone, those in doubt are looked up first.

        Args:
            plan: The plan to apply; None for the one that stands in the journal.
            retry_failed: Whether rows that the service refused are sent again, as they were planned: after the cause
                was mended in the account.

        Raises:
            ConfigError: There is no plan, or it was not made to its end.
            JournalError: The journal is damaged, in use, or made with other arguments.
            JobStopped: Going on was senseless; `report` tells how far it came.
            SdkError: The account could not be read.
        """
        self._unsent = Counter()
        if plan is not None and not plan.made_in(self._book):
            raise ConfigError("the plan was made with another journal; apply it with the sync that made it")
        try:
            with our_errors():
                return await self._apply(retry_failed=retry_failed)
        finally:
            self._stopped = False

    async def report(self) -> SyncReport:
        """What has become of the plan that stands in the journal so far.

        Raises:
            ConfigError: There is none.
        """
        with our_errors():
            async with await self._book.reopen() as journal:
                return await report_in(journal, self._book, stopped=False, unsent=self._unsent)

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
        if self._sending is not None:
            self._sending.stop()

    def close(self) -> None:
        """Remove the private folder; a journal of your own stays."""
        self._book.close()

    async def _plan(self, account: _Account, rows: Rows, source: str, tally: Tally) -> SyncPlan:
        async with self._book.open(self._facts(source)) as journal:
            if await is_outdated(journal, source, look_up=self._look_up, private=self._book.private):
                await journal.start_over()
            if not is_planned(journal):
                await self._make(journal, account, rows, tally)
            plan = await plan_in(journal, self._book)
            # An earlier run may have made tags that were new to the plan.
            return attrs.evolve(plan, new_tags=tuple(account.reference.missing(plan.new_tags)))

    async def _apply(self, *, retry_failed: bool) -> SyncReport:
        facts = await self._book.facts()
        if facts is None:
            raise ConfigError("there is no plan; make one with plan()")
        async with self._book.open(self._facts(facts.get(SOURCE, ""))) as journal:
            if not is_planned(journal):
                raise ConfigError("the plan was not made to its end; call plan() again with the same rows")
            states = (*UNSETTLED, State.FAILED) if retry_failed else UNSETTLED
            if await rows_in(journal, states):
                await self._write(journal, states)
            return await report_in(journal, self._book, stopped=self._stopped, unsent=self._unsent)

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
        return facts_of(
            account=self._kt.account_fingerprint,
            mapping=self._mapping.fingerprint,
            opt_in=self._opt_in,
            prefix=self._segments.prefix,
            tags=self._tags,
            find_crm_ids=self._find_crm_ids,
            source=source,
        )

    async def _make(self, journal: Journal, account: _Account, rows: Rows, tally: Tally) -> None:
        def reading(progress: Progress) -> None:
            if self._on_reading is not None:
                self._on_reading(progress)
            if not tally.ok:
                # What reading takes says nothing about how long the rows will.
                tally.begin()

        async with self._ids(account.rules, reading) as ids:
            identity = Identity(self._kt, account.rules, ids) if self._look_up else None
            planner = Planner(journal, account.rules, account.reference, identity, self._concurrency)
            await planner.run(rows, tally, lambda: self._stopped)

    async def _write(self, journal: Journal, states: Collection[State]) -> None:
        account = await self._ready()
        await account.reference.tag_ids(Figures.of(journal.notes).new_tags)
        async with self._ids(account.rules) as ids:
            writer = Writer(self._kt, account.rules, account.reference, account.opt_in_id, ids)
            sending = Sending(
                journal,
                writer,
                ids,
                concurrency=self._concurrency,
                breaker=self._breaker,
                on_progress=self._on_progress,
            )
            self._sending, self._unsent = sending, sending.unsent
            if self._stopped:
                sending.stop()
            try:
                await sending.run(states)
            finally:
                self._sending = None

    @asynccontextmanager
    async def _ids(self, rules: Rules, reading: OnProgress | None = None) -> AsyncGenerator[CrmIds | None]:
        if rules.crm_field is None or not self._find_crm_ids:
            yield None
            return
        async with CrmIds(
            self._book.ids,
            self._kt,
            rules.crm_field,
            concurrency=self._concurrency,
            on_progress=reading,
            stopped=lambda: self._stopped,
        ) as ids:
            yield ids


@contextmanager
def _told_with(first: MappingError) -> Generator[None]:
    """Add what is wrong besides to the first error."""
    try:
        yield
    except ConfigError as second:
        raise MappingError(f"{first.message}\n  - {second.message}") from None
