"""Sending an event for every row of a CSV file: each row once, with a journal by which a stopped job goes on.

job = RowJob(doxie, "mailer", "welcome_email", open_table(Path("rows.csv")))
report = await job.run()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from itertools import islice
from pathlib import Path
from typing import Final

import anyio
import attrs
from anyio import to_thread

from doxie_async.client import Doxie
from doxie_async.errors import ArgumentError, ConfigError
from doxie_async.models.record import Record
from doxie_async.models.sending import EventType
from doxie_async.resources.sending import Payload
from doxie_async.row_items import IN_DOUBT, Payloads, RowItem
from doxie_async.send_report import MOST_LINES, SendReport
from klickdoxie_core import Clock, Effect, bulk
from klickdoxie_core.breaker import Breaker, text_of
from klickdoxie_core.entry import Entry, State
from klickdoxie_core.errors import JournalError
from klickdoxie_core.journal import Journal, fingerprint, read_header, states_in
from klickdoxie_core.progress import OnProgress
from klickdoxie_core.table import ErrorFile, Row, Table

_JOB: Final = "doxie send "
_FAILED: Final = "failed"
_DOUBTFUL: Final = (State.UNKNOWN, State.IN_FLIGHT)
_PAGE: Final = 500
_UNDER_WAY = "the run ended while this row was being sent; it may have been carried out"


class RowJob:
    """Sends an event for each row of a file, once. Memory holds the rows under way, not those done or ahead.

    A row whose sending may have happened is in doubt and never sent again by itself. The error file is a table of its
    own: mended, its rows can be sent as another job.

    Args:
        doxie: A client of an API user; it stays the caller's.
        kind: mailer, injector, survey or qr_code.
        event: The slug of the event.
        table: The file; see `Payloads` for what becomes of its rows.
        base: What each row is laid over.
        keep_empty: Send empty cells, too.
        key: The column whose cells tell the rows apart, so that a row which is there twice is not sent twice; None
            tells them apart by their lines.
        source: What the table was made from, such as the fingerprint of a query; a job is resumed with the same only.
        journal: Where the job is recorded; None for the file's name with `.journal` behind it.
        resume: Go on with the job that is recorded there.
        retry_failed: Also send the rows again that failed in it, after their cause was mended.
        limit: Send the first so many rows of the file at the most; the others are left for a later run.
        concurrency: Rows under way at once.
        errors: Where the rows go that failed or are in doubt; None for the file's name with `.errors.csv` behind it.
        breaker: When the job stops by itself; None for the usual bounds.
        on_progress: Told of the figures.
        clock: For tests.

    Attributes:
        report: How the job has ended, also when `run` raised or was cancelled; None before that.

    Raises:
        ConfigError: There is no such kind, or the columns cannot become a payload.
    """

    def __init__(
        self,
        doxie: Doxie,
        kind: EventType | str,
        event: str,
        table: Table,
        *,
        base: Payload | None = None,
        keep_empty: bool = False,
        key: str | None = None,
        source: str = "",
        journal: Path | None = None,
        resume: bool = False,
        retry_failed: bool = False,
        limit: int | None = None,
        concurrency: int = 16,
        errors: Path | None = None,
        breaker: Breaker | None = None,
        on_progress: OnProgress | None = None,
        clock: Clock | None = None,
    ) -> None:
        if kind not in list(EventType):
            raise ArgumentError(f"kind must be one of {', '.join(EventType)}")
        self._doxie = doxie
        self._kind = EventType(kind)
        self._event = event
        self._table = table
        self._payloads = Payloads(table.header, base, keep_empty=keep_empty, key=key)
        self._key = key
        self._source = source
        self._path = journal or journal_of(table.path)
        self._resume = resume
        self._again = {State.FAILED} if retry_failed else set[State]()
        self._limit = limit
        self._errors = ErrorFile(errors, table)
        self._concurrency = concurrency
        self._breaker = breaker
        self._on_progress = on_progress
        self._clock = clock or Clock()
        self._bulk: bulk[RowItem, Record] | None = None
        self._stopped = False
        self._unsent = ""
        self.report: SendReport | None = None

    def stop(self) -> None:
        """Start no further row; those under way are finished. May be called from a signal handler."""
        self._stopped = True
        if self._bulk is not None:
            self._bulk.stop()

    async def run(self) -> SendReport:
        """Send what is to be sent and write the error file; a job runs once.

        Returns:
            The figures, when the job came to its end or was stopped by `stop()`.

        Raises:
            JobStopped: Going on was senseless: an outage, refused credentials, or every row refused alike. The job
                can be resumed.
            JournalError: The journal belongs to another job or another input, or cannot be used.
            ConfigError: There is an unfinished job and `resume` was not given, or the other way round; or the error
                file would take the place of another file; or two rows have the same key, or one has none.
            TableError: The file cannot be read, or was changed meanwhile.
        """
        self._errors.check()
        await self._clear_away()
        journal = await self._journal()
        self._check_input(journal)
        planning = False
        try:
            async with journal:
                # Only asked under the lock: another run may have begun the job meanwhile, or come to its end.
                planning = not _is_open(journal.notes)
                if planning and self._resume:
                    raise ConfigError(f"there is no unfinished job in {self._path}, so that nothing can be resumed")
                if not planning and not self._resume:
                    raise ConfigError(await self._said_of(journal))
                if planning:
                    await self._plan(journal)
                    planning = False
                return await self._carry_out(journal)
        finally:
            # A plan that broke off has sent nothing, and must not be in the way when the file is mended.
            if planning or (self.report is not None and self.report.journal is None):
                _remove(self._path)

    async def _clear_away(self) -> None:
        """Remove the journal of a job that is over, or has not sent anything yet."""
        header = read_header(self._path)
        if header is None:
            return
        job, facts, notes = header
        if not job.startswith(_JOB) or _is_open(notes):
            return
        # Looked at again under the lock: somebody may be about to start it.
        async with Journal(self._path, job=job, facts=facts) as old:
            still_open = _is_open(old.notes)
        if not still_open:
            _remove(self._path)

    async def _journal(self) -> Journal:
        facts = {
            "input": await to_thread.run_sync(fingerprint, self._table.path, *filter(None, [self._source])),
            "event": self._event,
            "tenant": self._doxie.tenant,
            "base URL": self._doxie.base_url,
            "settings": fingerprint(self._payloads.settings, self._table.encoding, self._table.separator),
        }
        return Journal(self._path, job=f"{_JOB}{self._kind}", facts=facts)

    def _check_input(self, journal: Journal) -> None:
        """Refuse a file that was changed while its job is open; every other difference is told by the journal."""
        header = read_header(self._path)
        if header is None or header[0] != journal.job or header[1].get("input") == journal.facts["input"]:
            return
        raise JournalError(
            f"{self._table.path.name} has changed since the job in {self._path} began, and rows were sent: resume it "
            "with the same rows. Where the journal is deleted, rows already sent go out again"
        )

    async def _said_of(self, journal: Journal) -> str:
        states = await states_in(journal)
        return (
            f"{self._path} records that this file was sent before: {states[State.DONE]} rows were sent, "
            f"{_in_doubt(states)} are in doubt, {states[State.PENDING]} are not sent yet; resume that job, or "
            "remove its journal to send every row, also those that were sent"
        )

    async def _plan(self, journal: Journal) -> None:
        """Enter every row in the order of the file, before any is sent."""
        rows = self._table.rows()
        while page := [self._payloads.item(row) for row in islice(rows, _PAGE)]:
            await self._refuse_twins(journal, page)
            await journal.add([item.entry for item in page])
        await journal.note(planned=True)

    async def _refuse_twins(self, journal: Journal, items: Sequence[RowItem]) -> None:
        """Refuse two rows with the same key: one of them would be sent, and nobody has said which."""
        named = [item for item in items if item.name is not None]
        earlier = await journal.claim([(item.line, [item.key]) for item in named])
        for item, line in zip(named, earlier, strict=True):
            if line is not None:
                raise ConfigError(
                    f"lines {line} and {item.line} have the same {self._key!r}, which must tell the rows apart (--key)"
                )

    async def _carry_out(self, journal: Journal) -> SendReport:
        try:
            await self._send(journal)
        except BaseException:
            # A journal that broke is why the job has stopped, and that is told by the error that is raised.
            with anyio.CancelScope(shield=True), suppress(JournalError):
                await self._conclude(journal)
            raise
        return await self._conclude(journal)

    async def _send(self, journal: Journal) -> None:
        total = await to_thread.run_sync(self._count)
        # Closed here: a job that stops early would leave the file open.
        with closing(self._table.rows()) as rows:
            async with bulk(
                self._send_one,
                self._sendable(rows),
                concurrency=self._concurrency,
                journal=journal,
                key=lambda item: item.key,
                effect=Effect.ONCE,
                again=self._again,
                keep=_process_of,
                breaker=self._breaker,
                on_progress=self._on_progress,
                total=total,
                clock=self._clock,
            ) as outcomes:
                self._bulk = outcomes
                if self._stopped:
                    outcomes.stop()
                async for outcome in outcomes:
                    if outcome.state is State.PENDING and outcome.error is not None:
                        self._unsent = text_of(outcome.error)

    async def _send_one(self, item: RowItem) -> Record:
        return await send_event(self._doxie, self._kind, self._event, item.payload)

    def _sendable(self, rows: Iterator[Row]) -> Iterator[RowItem]:
        items = map(self._payloads.item, islice(rows, self._limit))
        return (item for item in items if item.state is State.PENDING)

    def _count(self) -> int:
        with closing(self._table.rows()) as rows:
            return sum(1 for _ in self._sendable(rows))

    async def _conclude(self, journal: Journal) -> SendReport:
        """Write the error file and report; the figures are told even where the file cannot be written."""
        states = await states_in(journal)
        self.report = report = self._figures(states)
        reasons = Counter[str]()
        doubtful, errors = await self._write_errors(journal, reasons, complete=not report.pending)
        finished = not (report.pending or report.in_doubt)
        if finished:
            await journal.note(finished=True)
        self.report = report = attrs.evolve(
            report,
            doubtful=tuple(doubtful) if len(doubtful) <= MOST_LINES else (),
            reasons=reasons,
            errors=errors,
            earlier_errors=self._errors.earlier,
            journal=None if finished else self._path,
        )
        return report

    def _figures(self, states: Counter[State]) -> SendReport:
        progress = self._bulk.progress if self._bulk else None
        return SendReport(
            rows=states.total(),
            sent=states[State.DONE],
            failed=states[State.FAILED],
            in_doubt=_in_doubt(states),
            left_out=states[State.SKIPPED],
            pending=states[State.PENDING],
            unsent=self._unsent if states[State.PENDING] else "",
            settled_before=progress.skipped if progress else 0,
            stopped=progress is None or progress.done < (progress.total or 0),
            journal=self._path,
        )

    async def _write_errors(
        self, journal: Journal, reasons: Counter[str], *, complete: bool
    ) -> tuple[list[int], Path | None]:
        """Write the rows that were not sent for good, in the order of the file, which is that of the journal's places.

        Args:
            journal: The journal.
            reasons: Gets the codes.
            complete: Whether every row has had its turn.

        Returns:
            The first lines in doubt, one more than are told, and the file.
        """
        doubtful: list[int] = []
        rows = self._table.rows()
        # Closed here, whatever happens, and not at some time by the event loop.
        entries = journal.entries(State.FAILED, State.SKIPPED, *_DOUBTFUL)
        try:
            async with aclosing(entries):
                async for entry in entries:
                    row = next(row for row in rows if row.line == entry.place)
                    state = _FAILED if entry.state is State.FAILED else IN_DOUBT
                    code, reason = _told(entry)
                    reasons[code] += 1
                    self._errors.add(row, state=state, code=code, reason=reason)
                    if entry.state in _DOUBTFUL and len(doubtful) <= MOST_LINES:
                        doubtful.append(row.line)
        except BaseException:
            self._errors.close(complete=False)
            raise
        return doubtful, self._errors.close(complete=complete)


async def send_event(doxie: Doxie, kind: EventType, event: str, payload: Payload) -> Record:
    """Send one payload to an event, by the operation of its kind; never sent twice."""
    match kind:
        case EventType.MAILER:
            return await doxie.mailer.send(event, payload)
        case EventType.INJECTOR:
            return await doxie.injector.create(event, payload)
        case EventType.SURVEY:
            return await doxie.surveys.create_inquiry(event, payload)
        case EventType.QR_CODE:
            return await doxie.qr_codes.create(event, payload)


def journal_of(path: Path) -> Path:
    """Where the job of a file is recorded unless somebody names another place."""
    return path.with_name(f"{path.name}.journal")


def is_unfinished(journal: Path) -> bool:
    """Whether there is a job that may have sent something and is not at its end, or one of another kind.

    Raises:
        JournalError: The file is not a journal, or it is damaged.
    """
    header = read_header(journal)
    return header is not None and (not header[0].startswith(_JOB) or _is_open(header[2]))


def _process_of(result: Record) -> object:
    """The process that was started; what else an answer holds is not kept."""
    found = result.raw.get("process_uuid") or result.raw.get("uuid")
    return found if isinstance(found, str) else None


def _in_doubt(states: Counter[State]) -> int:
    return sum(states[state] for state in _DOUBTFUL)


def _is_open(notes: Mapping[str, object]) -> bool:
    """Whether a job may have sent something, and is not at its end."""
    return bool(notes.get("planned")) and not notes.get("finished")


def _told(entry: Entry) -> tuple[str, str]:
    match entry.error:
        case {"code": str(code), "message": str(message)}:
            return code, message
        case _:
            return IN_DOUBT, _UNDER_WAY


def _remove(path: Path) -> None:
    # The file itself last: without it, what stands beside it would be taken for part of the next one.
    for name in (f"{path.name}-wal", f"{path.name}-shm", path.name):
        path.with_name(name).unlink(missing_ok=True)
