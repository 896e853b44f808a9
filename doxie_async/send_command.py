"""The command `doxie send`: one payload, or one for each row of a CSV file."""

from __future__ import annotations

import argparse
import hashlib
import json
import sqlite3
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from itertools import islice
from pathlib import Path
from typing import Final, NoReturn, cast

import anyio

from doxie_async.command_client import CommandClient
from doxie_async.errors import ConfigError
from doxie_async.models.record import Record
from doxie_async.models.sending import EventType, MailResult, ProcessResult
from doxie_async.row_items import Payloads, RowItem
from doxie_async.row_job import RowJob, is_unfinished, journal_of, send_event
from doxie_async.send_report import MOST_LINES, SendReport
from klickdoxie_core import JobStopped, Limit, SdkError, command_line
from klickdoxie_core.command_line import BROKEN_OFF, FAILED, OK, STOPPED, broken_off, complain
from klickdoxie_core.entry import State
from klickdoxie_core.journaled import ADVICE
from klickdoxie_core.table import Table, open_table
from klickdoxie_core.table.overview import Overview, overview
from klickdoxie_core.table.sql import Query, answered, given_query

_DESCRIPTION = """\
Send one payload (--data), or one for each row of a CSV file (--rows) or of a database (--sql). Nothing is ever sent
again by itself: what may have gone out without an answer is told as in doubt. With rows, a journal beside the file
keeps what became of each, so that a stopped job goes on with --resume, and the rows that failed or are in doubt go to
an error file, which is such a CSV file itself. A database is asked once: --resume goes on with the rows that it
returned then. Exit codes: 0 all sent, 1 some rows failed or something is in doubt, 2 wrong usage, 3 the credentials
were refused, 4 stopped before the end, and --resume goes on, 5 nothing was sent, since the service refused it, or the
service, the database or the disk failed, 130 broken off by Ctrl-C with nothing to resume."""

_IN_DOUBT: Final[Mapping[EventType, str]] = {
    EventType.MAILER: "the mail may have gone out",
    EventType.INJECTOR: "the injection may have been created",
    EventType.SURVEY: "the inquiry may have gone out",
    EventType.QR_CODE: "the QR code may have been created",
}
_FOR_ROWS: Final = (
    "key",
    "keep_empty",
    "journal",
    "resume",
    "retry_failed",
    "limit",
    "rate",
    "concurrency",
    "errors",
    "encoding",
    "delimiter",
    "dry_run",
)

_QUERY_JOURNAL: Final = Path("query.journal")
_QUERY_ERRORS: Final = Path("query.errors.csv")


def text_of(error: Exception) -> str:
    """What is told of an error; what a program can do to go on is not what an option can."""
    if not isinstance(error, JobStopped):
        return str(error)
    why = error.message.partition(ADVICE)[0]
    return f"{why}{ADVICE}mend the cause; --resume sends the rest, --retry-failed also the rows that failed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Make a parser that of this command."""
    parser.description = _DESCRIPTION
    parser.set_defaults(command=_send, interrupted=_after_ctrl_c)
    add = parser.add_argument
    add("kind", choices=("mailer", "injector", "survey", "qr-code", "qr_code"), help="the kind of the event")
    add("event", metavar="EVENT", help="the slug of the event")
    add("--data", type=_json_object, metavar="FILE", help="a JSON object in UTF-8; - reads it from here")
    add("--json", action="store_true", help="print the answer, or every event of a job, as one line of JSON")
    add = parser.add_argument_group("a payload for each row").add_argument
    add(
        "--rows",
        type=Path,
        metavar="FILE.csv",
        help="columns are keys, and a dot nests, as in customer.name; each row is laid over the object of --data",
    )
    add("--sql", metavar="URL", help="a database instead, named as by SQLAlchemy; env:NAME takes it from a variable")
    add("--query", metavar="SELECT", help="what to ask the database")
    add("--query-file", type=Path, metavar="FILE.sql", help="where that stands instead")
    add("--key", metavar="COLUMN", help="tells the rows apart: no cell may be empty or there twice; needed with --sql")
    add("--keep-empty", action="store_true", help="send empty cells as empty texts instead of leaving them out")
    add("--dry-run", action="store_true", help="show the columns, send nothing")
    add("--limit", type=command_line.positive_int, metavar="N", help="send the first N rows only, for now")
    add("--resume", action="store_true", help="go on with the job in the journal")
    add("--retry-failed", action="store_true", help="likewise, and send the rows again that failed in it")
    add("--journal", type=Path, metavar="PATH", help="default: the name of the file, or query, with .journal behind it")
    add(
        "--errors",
        type=Path,
        metavar="PATH",
        help="for the rows that failed or are in doubt (default: FILE.csv.errors.csv, or query.errors.csv)",
    )
    add("--rate", type=command_line.positive_float, metavar="N", help="requests a second at the most")
    add("--concurrency", type=command_line.positive_int, metavar="N", help="rows under way at once (default: 16)")
    add("--encoding", metavar="NAME", help="of the CSV file, instead of the one found out")
    add("--delimiter", metavar="CHARACTER", help="between cells, instead of the one found out; also: tab")


async def _send(options: argparse.Namespace) -> int:
    kind = EventType(options.kind.replace("-", "_"))
    query = given_query(options.sql, options.query, options.query_file)
    if query is not None or options.rows is not None:
        options.resume = options.resume or options.retry_failed
        async with _opened(query, options) as table:
            return await _send_rows(kind, options, table, query)
    if given := [f"--{name.replace('_', '-')}" for name in _FOR_ROWS if getattr(options, name)]:
        raise ConfigError(f"{', '.join(given)} can be given with --rows only, or with --sql")
    if options.data is None:
        raise ConfigError(
            "say what to send: --data FILE for one payload, --rows FILE.csv or --sql URL for one for each row, or both"
        )
    return await _send_one(kind, options)


def _after_ctrl_c(options: argparse.Namespace) -> tuple[int, str]:
    """The exit code of what Ctrl-C broke off, and what is told."""
    if not (options.rows or options.sql):
        # Of one payload it was told already, with what may have become of it.
        return BROKEN_OFF, ""
    usual = journal_of(options.rows) if options.rows else _QUERY_JOURNAL
    return broken_off(None if options.dry_run else options.journal or usual)


async def _send_one(kind: EventType, options: argparse.Namespace) -> int:
    async with CommandClient.from_env() as doxie:
        try:
            result = await send_event(doxie, kind, options.event, options.data)
        except SdkError as error:
            if not error.maybe_applied:
                raise
            return _in_doubt(str(error), kind)
        except anyio.get_cancelled_exc_class():
            _in_doubt("broken off", kind)
            raise
    _say(json.dumps(result.raw) if options.json else _sent_text(result))
    return OK


def _in_doubt(what: str, kind: EventType) -> int:
    return complain("doxie", f"{what}\n{_IN_DOUBT[kind]}; it was NOT sent again", FAILED)


def _sent_text(result: Record) -> str:
    match result:
        case MailResult():
            mails, messages = _words(result.sent_email_templates), _words(result.sent_sms_templates)
            return f"process: {result.process_uuid}\ne-mail templates: {mails}\nSMS templates: {messages}"
        case ProcessResult():
            return f"process: {result.process_uuid}"
        case _:
            return json.dumps(result.raw, indent=2, ensure_ascii=False)


def _words(templates: Sequence[object]) -> str:
    words = [name if isinstance(name, str) else json.dumps(name, ensure_ascii=False) for name in templates]
    return ", ".join(words) or "none"


@asynccontextmanager
async def _opened(query: Query | None, options: argparse.Namespace) -> AsyncGenerator[Table]:
    """The rows; a query whose job is not at its end is not asked again, since the rows would be others."""
    if query is None:
        yield open_table(options.rows, encoding=options.encoding, separator=options.delimiter)
        return
    if options.rows is not None:
        raise ConfigError("rows come either from a file (--rows) or from a database (--sql)")
    if options.encoding or options.delimiter:
        raise ConfigError("--encoding and --delimiter say how a file is written; a database needs neither")
    if options.key is None:
        raise ConfigError(
            "--sql needs --key COLUMN, which tells the rows apart: a join that returns a row twice would send it twice"
        )
    journal = None if options.dry_run else options.journal or _QUERY_JOURNAL
    again = journal is not None and (options.resume or is_unfinished(journal))
    async with answered(query, journal, again=again) as table:
        yield table


async def _send_rows(kind: EventType, options: argparse.Namespace, table: Table, query: Query | None) -> int:
    # What cannot become a payload is told before anything else is done.
    payloads = Payloads(table.header, options.data, keep_empty=options.keep_empty, key=options.key)
    found = overview(table, options.limit)
    _say(json.dumps(_columns_event(table, found, query)) if options.json else _columns_text(table, found, query))
    if not (options.resume or options.key):
        _warn_of_twins(payloads, table, options)
    if options.dry_run:
        if not options.json:
            _say("dry run: nothing was sent")
        return OK
    concurrency = options.concurrency or 16
    display = command_line.display_on(sys.stdout if options.json else sys.stderr, as_json=options.json)
    async with CommandClient.from_env(limit=Limit(concurrency=concurrency, rate=options.rate)) as doxie:
        job = RowJob(
            doxie,
            kind,
            options.event,
            table,
            base=options.data,
            keep_empty=options.keep_empty,
            key=options.key,
            source=query.fingerprint if query else "",
            journal=options.journal or (_QUERY_JOURNAL if query else None),
            resume=options.resume,
            retry_failed=options.retry_failed,
            limit=options.limit,
            concurrency=concurrency,
            errors=options.errors or (_QUERY_ERRORS if query else None),
            on_progress=display,
        )
        stop = None
        try:
            with command_line.stopped_by_signal(job.stop):
                report = await job.run()
        except SdkError as error:
            stop = text_of(error)
            raise
        finally:
            display.close()
            if job.report is not None:
                event = _summary_event(job.report, stop or job.report.unsent or None)
                _say(json.dumps(event) if options.json else _summary_text(job.report))
    return STOPPED if report.stopped else OK if report.clean else FAILED


def _warn_of_twins(payloads: Payloads, table: Table, options: argparse.Namespace) -> None:
    """Tell of rows that say the same as an earlier one: each of them is sent."""
    count, lines = _twins(map(payloads.item, islice(table.rows(), options.limit)))
    if options.json and count:
        _say(json.dumps({"event": "same_payload", "rows": count, "lines": lines}))
    elif count:
        named = ", ".join(map(str, lines)) + (", …" if count > len(lines) else "")
        _say(f"warning: {count:,} rows say the same as an earlier one, and each is sent (lines {named})")


def _twins(items: Iterable[RowItem]) -> tuple[int, list[int]]:
    """How many rows to be sent have the payload of an earlier one, and the lines of the first."""
    count, lines = 0, list[int]()
    # In a file that goes with it, so that memory does not grow with the rows.
    with closing(sqlite3.connect("")) as seen:
        seen.execute("CREATE TABLE seen (payload BLOB PRIMARY KEY) WITHOUT ROWID")
        for item in items:
            if item.state is not State.PENDING:
                continue
            digest = hashlib.sha256(json.dumps(item.payload, sort_keys=True).encode()).digest()
            if not seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount:
                count += 1
                lines += [item.line] if count <= MOST_LINES else []
    return count, lines


def _columns_event(table: Table, found: Overview, query: Query | None) -> Mapping[str, object]:
    columns = [
        {"column": name, "filled": fill.count, "looks_like": fill.samples}
        for name, fill in zip(table.header, found.fills, strict=True)
    ]
    return {
        "event": "columns",
        **({"database": query.database} if query else {}),
        "file": str(table.path),
        "encoding": table.encoding,
        "separator": table.separator,
        "rows": found.rows,
        "columns": columns,
    }


def _columns_text(table: Table, found: Overview, query: Query | None) -> str:
    separator = "tab" if table.separator == "\t" else repr(table.separator)
    said = f"{table.path.name}: {found.rows:,} rows, {table.encoding}, separator {separator}"
    if query:
        said = f"{query.database}: {found.rows:,} rows"
    rows = [
        (" ".join(name.split()), f"{fill.count:,}", "  ".join(fill.samples))
        for name, fill in zip(table.header, found.fills, strict=True)
    ]
    lines = command_line.columns([("column", "filled", "looks like"), *rows]).split("\n")
    return "\n".join([said, *(f"  {line}" for line in lines)])


def _summary_event(report: SendReport, reason: str | None) -> Mapping[str, object]:
    return {
        "event": "summary",
        "rows": report.rows,
        "sent": report.sent,
        "failed": report.failed,
        "in_doubt": report.in_doubt,
        "lines_in_doubt": report.doubtful,
        "left_out": report.left_out,
        "pending": report.pending,
        "settled_before": report.settled_before,
        "stopped": report.stopped,
        "stopped_because": reason,
        "reasons": dict(report.reasons.most_common()),
        "errors": str(report.errors) if report.errors else None,
        "earlier_errors": report.earlier_errors,
        "journal": str(report.journal) if report.journal else None,
    }


def _summary_text(report: SendReport) -> str:
    figures = {
        "rows": report.rows,
        "sent": report.sent,
        "failed": report.failed,
        "in doubt: they may have been sent, and were NOT sent again": report.in_doubt,
        "left out: the file says that an earlier run left them in doubt": report.left_out,
        "not sent yet": report.pending,
        "settled by an earlier run": report.settled_before,
    }
    always = ("rows", "sent", "failed")
    lines = [f"{count:>9,}  {name}" for name, count in figures.items() if count or name in always]
    if report.doubtful:
        lines.append(f"lines in doubt: {', '.join(map(str, report.doubtful))}")
    if report.reasons:
        lines.append("why not: " + ", ".join(f"{code} {count:,}" for code, count in report.reasons.most_common()))
    if report.unsent:
        lines.append(f"why not yet: {report.unsent}")
    if report.errors:
        lines.append(f"the rows that were not sent for good are in {report.errors}")
    if report.earlier_errors:
        lines.append(f"the error file of an earlier run was {report.earlier_errors}")
    if report.pending:
        lines.append(f"{report.journal} knows what was sent; the same command with --resume goes on")
    elif report.journal:
        lines.append(f"{report.journal} knows what was sent; it is kept for the rows in doubt")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _json_object(path: str) -> dict[str, object]:
    """The object in a file, or on the standard input for a dash; the type of an argument."""
    name = "the standard input" if path == "-" else path
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        payload: object = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_unique)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{name} is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{name} is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise argparse.ArgumentTypeError(f"{name} must hold a JSON object")
    return cast("dict[str, object]", payload)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no value")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
