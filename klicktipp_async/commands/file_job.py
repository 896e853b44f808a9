"""A file on its way into the account: shown, planned, sent, and told; what `import` and `sync` have in common."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from collections.abc import Mapping as Facts
from contextlib import asynccontextmanager, closing, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import attrs

from klickdoxie_core.command_line import FAILED, OK, STOPPED, complain, stopped_by_signal
from klickdoxie_core.errors import JobStopped, JournalError, RateLimited, SdkError
from klickdoxie_core.journal import fingerprint, read_header
from klickdoxie_core.options import Unset
from klickdoxie_core.table import ErrorFile, Table, TableError, open_table
from klickdoxie_core.table.overview import overview
from klickdoxie_core.table.sql import Query, answered
from klicktipp_async.client import KlickTipp
from klicktipp_async.commands.render import Shown, Summary, plan_json, plan_text, targets
from klicktipp_async.commands.showing import Showing
from klicktipp_async.commands.source import check_report, source_rows, write_errors, write_report
from klicktipp_async.commands.words import word
from klicktipp_async.crm import ContactSync, Mapping, Segments, SyncPlan, SyncReport
from klicktipp_async.crm.book import why_stopped
from klicktipp_async.crm.guess import guess
from klicktipp_async.crm.plan_page import check_page
from klicktipp_async.crm.reasons import Language
from klicktipp_async.errors import ConfigError

_BY_SIGNAL: Final = "a signal asked for it"


@attrs.frozen(kw_only=True)
class FileJob:
    """What the user asks for.

    Attributes:
        file: The CSV file; with a query what the job is called, since there is none.
        query: What a database is asked for the rows; None to read them from the file.
        encoding: Its encoding; None to find it out.
        separator: What stands between two cells; None to find it out.
        limit: Rows to take at the most; None for all.
        mapping: Where the columns go; None to guess from their names.
        overrides: Attributes that the mapping gets beside what it says.
        opt_in_id: The opt-in process of new contacts, by its id or name; None for the account's own, UNSET for that of
            the mapping.
        segments: The prefix of managed tags; None for the usual one.
        tags: Tags for every contact.
        look_up: Whether contacts are looked up and compared, or sent as they are.
        send: Whether the plan is carried out, too.
        resume: Whether to go on with a job that was broken off.
        retry_failed: Whether rows that failed in it are sent again.
        journal: Where the job keeps its record; None for nowhere, which is for plans that are not carried out.
        ids: What finds contacts by the CRM's id; None for beside the journal.
        errors: Where the rows go that do not arrive; None for beside the file.
        report: Where every row is told, or what is planned for it; None for nowhere.
        page: Where a plan that is not carried out goes as a page to look at; None for nowhere.
        page_language: The language that the page shows at first; None for that of the browser.
        concurrency: Rows under way at once.
        language: The language of all that is printed.
        as_json: Whether events are printed as lines of JSON.
    """

    file: Path
    query: Query | None = None
    encoding: str | None
    separator: str | None
    limit: int | None
    mapping: Mapping | None
    overrides: Facts[str, Any] = attrs.field(factory=dict[str, Any])
    opt_in_id: int | str | Unset | None
    segments: Segments | None = None
    tags: Sequence[str] = ()
    look_up: bool
    send: bool
    resume: bool
    retry_failed: bool = False
    journal: Path | None
    ids: Path | None = None
    errors: Path | None
    report: Path | None = None
    page: Path | None = None
    page_language: Language | None = None
    concurrency: int
    language: Language
    as_json: bool


async def run_file(kt: KlickTipp, job: FileJob) -> int:
    """Do what is asked for, tell about it, and return the exit code.

    Raises:
        ConfigError: The file or query, the mapping, the journal or a file beside it cannot be as asked for; nothing was
            sent.
        JobStopped: Going on was senseless; the summary was told before.
        SdkError: The account could not be read; or it could not be written, and the summary was told before.
    """
    async with _opened(kt, job) as table:
        errors = ErrorFile(job.errors, table)
        errors.check()
        if job.report:
            check_report(job.report, (table.path, errors.path))
        if job.page:
            check_page(job.page, (table.path, errors.path, *(path for path in (job.report, job.journal) if path)))
        mapping = job.mapping or guess(table.header, await kt.fields.all())
        with closing(_Run(kt, job, table, errors, attrs.evolve(mapping, **job.overrides))) as run:
            return await run.go()


@asynccontextmanager
async def _opened(kt: KlickTipp, job: FileJob) -> AsyncGenerator[Table]:
    """The rows; a query whose job goes on is not asked again, since the rows would be others."""
    if job.query is None:
        yield open_table(job.file, encoding=job.encoding, separator=job.separator)
        return
    again = False
    if job.journal:
        # What the columns are is not known yet; of the journal any mapping can tell.
        mapping = job.mapping or Mapping(email="email")
        sync = ContactSync(kt, mapping=mapping, opt_in_id=None, journal=job.journal, look_up=job.look_up)
        again = await _goes_on(job, job.journal, sync)
    async with answered(job.query, job.journal, again=again) as table:
        yield table


async def _goes_on(job: FileJob, path: Path, sync: ContactSync) -> bool:
    """Whether what the journal holds is carried out; refuse to begin anew what is half done, or go on with nothing."""
    exists = read_header(path) is not None
    if job.resume and not exists:
        raise ConfigError(f"there is nothing to resume: {path} is not there")
    if job.resume or not exists:
        return exists
    report = await sync.report()
    if _is_unfinished(report, look_up=job.look_up):
        raise ConfigError(
            f"{path} belongs to a job that did not come to its end; go on with it by --resume, or delete the file "
            "to begin anew, also with the rows that were sent"
        )
    # It came to its end, or is to be made once more; a plan that was looked at is carried out as it stands.
    return job.send and job.look_up and not report.begun


def _is_unfinished(report: SyncReport, *, look_up: bool) -> bool:
    """Whether rows arrived, and others are open; where all that was sent was refused, nothing is lost."""
    # What is in doubt is looked up by every new plan of a sync, and never by an import.
    return bool((report.left and report.arrived) or (report.unknown and not look_up))


class _Run:
    """One job from beginning to end."""

    def __init__(self, kt: KlickTipp, job: FileJob, table: Table, errors: ErrorFile, mapping: Mapping) -> None:
        self._job = job
        self._table = table
        self._errors = errors
        self._mapping = mapping
        asked = [job.query.fingerprint] if job.query else []
        self._source = fingerprint(table.path, table.encoding, table.separator, str(job.limit), *asked)
        self._stopped = False
        self._showing = Showing(job.language, as_json=job.as_json)
        self._sync = ContactSync(
            kt,
            mapping=mapping,
            opt_in_id=job.opt_in_id,
            segments=job.segments,
            tags=job.tags,
            journal=job.journal,
            crm_ids=job.ids,
            concurrency=job.concurrency,
            look_up=job.look_up,
            on_progress=self._showing.rows,
            on_reading=self._showing.reading,
        )

    def close(self) -> None:
        """Remove what a job without a journal keeps meanwhile."""
        self._sync.close()

    async def go(self) -> int:
        """Do it, and return the exit code."""
        await self._sync.check(self._table.header)
        if self._job.journal:
            await self._leave_another(self._job.journal)
            await self._go_on_or_begin(self._job.journal)
        job = self._job
        found = overview(self._table, limit=job.limit)
        shown = Shown(
            table=self._table,
            overview=found,
            targets=targets(self._mapping, self._table.header),
            opt_in_name=self._sync.opt_in_name or "",
        )
        if job.query:
            database, path = job.query.database, str(self._table.path)
            self._tell({"event": "query", "database": database, "rows_file": path}, f"{database} -> {path}")
        self._tell(shown.as_json(), shown.text(job.language))
        with stopped_by_signal(self._stop):
            plan = await self._plan(found.rows)
            if self._stopped:
                name = "stopped" if job.journal is None else "unfinished" if job.send else "plan_unfinished"
                self._tell({"event": "stopped", "stopped": _BY_SIGNAL}, word(name, job.language))
                return STOPPED
            self._tell(plan_json(plan), plan_text(plan, job.language, self._sync.field_labels))
            if not job.send:
                await self._write_plan()
                self._say("nothing_sent" if job.journal is None else "planned")
                return OK
            return await self._send(plan)

    async def _leave_another(self, journal: Path) -> None:
        """Begin anew where the journal was made otherwise and nothing can be lost; else raise ConfigError."""
        job, seen = self._job, _standing(journal)
        others = await self._sync.made_from_another()
        if not others:
            return
        report = await self._sync.report()
        made = f"was made with another {', another '.join(others)}"
        if report.arrived:
            if not job.resume and not _is_unfinished(report, look_up=job.look_up):
                return
            raise ConfigError(
                f"{journal} {made}, and rows were sent: --resume goes on once it is as it was. To begin anew, delete "
                "it; rows already sent go out again then"
            )
        if job.look_up and job.send:
            raise ConfigError(f"the plan in {journal} {made}; nothing of it has arrived: run --plan again")
        _remove(journal, seen)
        self._job = attrs.evolve(job, resume=False)

    async def _go_on_or_begin(self, journal: Path) -> None:
        """Let the journal be one of these rows, or gone; one that another run begins meanwhile stays."""
        seen = _standing(journal)
        if await _goes_on(self._job, journal, self._sync):
            await self._check_source(journal)
        else:
            _remove(journal, seen)

    async def _check_source(self, journal: Path) -> None:
        """Raise ConfigError where the rows are no longer those that the journal was made from."""
        job, header = self._job, read_header(journal)
        report = await self._sync.report()
        if header is None or header[1].get("source") in {"", self._source}:
            return
        name = "the query" if job.query else job.file.name
        how = "--limit" if job.query else "--limit, --encoding or --delimiter"
        changed = f"{name} has changed since the plan was made, or is taken with another {how}"
        if report.arrived:
            raise ConfigError(
                f"{changed}, and rows were sent: --resume goes on once it is as it was. To begin anew, delete "
                f"{journal}; rows already sent go out again then"
            )
        begin = "run --plan again" if job.look_up else "leave out --resume to begin anew"
        raise ConfigError(f"{changed}; nothing was sent: {begin}")

    async def _plan(self, rows: int) -> SyncPlan:
        job = self._job
        given = source_rows(self._table, limit=job.limit, in_doubt_again=job.look_up)
        # Only reading from the service takes time.
        with self._showing.on() if job.look_up else nullcontext():
            return await self._sync.plan(given, total=rows, source=self._source)

    async def _write_plan(self) -> None:
        """Write what is planned where somebody wants to look at it."""
        job = self._job
        if job.report:
            await write_report(job.report, (await self._sync.report()).rows(), job.language)
            self._tell(
                {"event": "report", "report": str(job.report)}, f"{word('planned_in', job.language)} {job.report}"
            )
        if job.page:
            await self._sync.write_page(job.page, title=job.file.name, language=job.page_language)
            self._tell({"event": "page", "page": str(job.page)}, f"{word('page', job.language)} {job.page}")

    async def _send(self, plan: SyncPlan) -> int:
        try:
            with self._showing.on():
                await self._sync.apply(plan, retry_failed=self._job.retry_failed)
        except SdkError as error:
            # Why the job stopped is of more interest than a journal that cannot be read now, either.
            with suppress(JournalError):
                code = await self._conclude(plan, error)
                if code != STOPPED:
                    return code
            if not isinstance(error, JobStopped):
                raise
            # The summary has told how to go on, in the words of the command line.
            raise JobStopped(why_stopped(error), error.facts) from error.__cause__
        return await self._conclude(plan)

    async def _conclude(self, plan: SyncPlan, error: SdkError | None = None) -> int:
        """Tell how it ended, and return the exit code; the journal goes when nothing is open."""
        job = self._job
        seen = None if job.journal is None else _standing(job.journal)
        report = await self._sync.report()
        errors, complaint = await self._write_files(report)
        summary = Summary(
            report=report,
            # They are made before the first row is sent.
            tags_created=len(plan.new_tags) if report.begun else 0,
            seconds=self._showing.last.seconds if self._showing.last else 0.0,
            errors=errors,
            earlier_errors=self._errors.earlier,
            rows_file=None if complaint else job.report,
            stopped=self._why_left(report, error),
            limited=_is_limited(report, error),
        )
        self._tell(summary.as_json(), summary.text(job.language))
        if complaint:
            complain("klicktipp", complaint, FAILED)
        if report.left:
            return STOPPED
        if job.journal and not (report.unknown or complaint):
            _remove(job.journal, seen)
        return FAILED if summary.troubled or complaint else OK

    async def _write_files(self, report: SyncReport) -> tuple[Path | None, str]:
        """Write the rows beside the file; returns the error file, and why that went wrong: the summary must come."""
        job = self._job
        try:
            errors = await write_errors(self._table, report, self._errors, job.language)
            if job.report:
                await write_report(job.report, report.rows(), job.language)
        except TableError:
            return None, "the rows that did not arrive could not be written beside the file: it was changed meanwhile"
        except OSError as error:
            return None, f"what became of the rows could not be written: {error}"
        return errors, ""

    def _stop(self) -> None:
        self._stopped = True
        self._sync.stop()

    def _why_left(self, report: SyncReport, error: SdkError | None) -> str:
        """Why rows are left, in English; empty if none are."""
        if not report.left:
            return ""
        if error is not None:
            return why_stopped(error)
        return _BY_SIGNAL if self._stopped else "; ".join(cause.english for cause in report.unsent)

    def _tell(self, facts: Facts[str, object], text: str) -> None:
        sys.stdout.write((json.dumps(facts) if self._job.as_json else text) + "\n")
        sys.stdout.flush()

    def _say(self, name: str) -> None:
        if not self._job.as_json:
            sys.stdout.write(word(name, self._job.language) + "\n")


def _is_limited(report: SyncReport, error: SdkError | None) -> bool:
    """Whether rows are left because the service wanted fewer requests."""
    cause = None if error is None else error.__cause__
    return bool(report.left) and (
        isinstance(cause, RateLimited) or any(reason.code == RateLimited.__name__ for reason in report.unsent)
    )


def _standing(journal: Path) -> os.stat_result | None:
    """Which file the journal is, to know it again; None while nothing stands in it, as in one that is being made."""
    with suppress(FileNotFoundError):
        return None if read_header(journal) is None else journal.stat()
    return None


def _remove(journal: Path, seen: os.stat_result | None) -> None:
    """Remove the journal that was looked at, and no other that stands in its place by now."""
    # The lock is on the file and not on its name, under which another run may have begun anew.
    with suppress(FileNotFoundError):
        if seen is not None and os.path.samestat(seen, journal.stat()):
            journal.unlink()
