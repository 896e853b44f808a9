"""A CSV file as the rows of a job, and the files beside it: the rows that did not arrive, and what became of each."""

from __future__ import annotations

import csv
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from klickdoxie_core.entry import State
from klickdoxie_core.table import ErrorFile, Row, Table
from klicktipp_async.crm import Action, Reason, RowReport, SourceRow, SyncReport
from klicktipp_async.crm.findings import UNSUBSCRIBED
from klicktipp_async.crm.reasons import MARKED_DUPLICATE, MARKED_IN_DOUBT, Language, cells_extra, cells_missing
from klicktipp_async.errors import ConfigError

EVERYDAY: Final = (MARKED_DUPLICATE.code, UNSUBSCRIBED.code)
"""The codes of rows that were skipped and that nobody has to look at."""

_DUPLICATE, _IN_DOUBT = "duplicate", "in doubt"
# What the error file calls them, so that they are kept back when it is read again.
_STATES_OF_SKIPPED = {MARKED_DUPLICATE.code: _DUPLICATE, MARKED_IN_DOUBT.code: _IN_DOUBT}
_REPORT_COLUMNS = ("line", "crm_id", "klicktipp_id", "action", "state", "status", "code", "reason")
_SEPARATOR = ";"


def source_rows(table: Table, *, limit: int | None = None, in_doubt_again: bool) -> Iterator[SourceRow]:
    """The rows of a file under their line numbers, lazily.

    Args:
        table: The file.
        limit: Rows to read at the most; None for all.
        in_doubt_again: Whether rows that an earlier run marked as in doubt may be taken once more.
    """
    for row in islice(table.rows(), limit):
        kept_back = _kept_back(row, len(table.header), in_doubt_again=in_doubt_again)
        yield SourceRow(row.line, kept_back or dict(zip(table.header, row.cells, strict=True)))


def _kept_back(row: Row, width: int, *, in_doubt_again: bool) -> Reason | None:
    if len(row.cells) < width:
        return cells_missing(len(row.cells), width)
    if len(row.cells) > width:
        return cells_extra(len(row.cells), width)
    if row.state == _DUPLICATE:
        return MARKED_DUPLICATE
    return MARKED_IN_DOUBT if row.state == _IN_DOUBT and not in_doubt_again else None


async def write_errors(table: Table, report: SyncReport, file: ErrorFile, language: Language) -> Path | None:
    """Write every row that did not arrive into the error file, as it stands in the table; None if there is none.

    People who have unsubscribed are not among them: imported from there, they would be asked once more.

    Raises:
        TableError: The table was changed since it was opened.
        OSError: The file cannot be written.
    """
    rows = table.rows()
    try:
        async for told in report.rows(State.FAILED, State.UNKNOWN, State.IN_FLIGHT, State.SKIPPED):
            code, text = _code_and_text(told, language)
            if told.state is State.SKIPPED and code == UNSUBSCRIBED.code:
                continue
            row = next(row for row in rows if row.line == told.number)
            file.add(row, state=_word(told.state, code), code=code, reason=text)
    except BaseException:
        file.close(complete=False)
        raise
    return file.close(complete=not report.left)


def _word(state: State, code: str) -> str:
    if state is State.SKIPPED:
        return _STATES_OF_SKIPPED.get(code, State.FAILED.value)
    return State.FAILED.value if state is State.FAILED else _IN_DOUBT


def check_report(path: Path, others: Iterable[Path]) -> None:
    """Raise ConfigError if the report would take the place of something else than an earlier one.

    Args:
        path: Where it is to be written.
        others: Files that the same job reads or writes.
    """
    if not path.parent.is_dir():
        msg = f"{path.parent} is not a folder, so that no report can be written there"
        raise ConfigError(msg)
    if path.resolve() in {other.resolve() for other in others}:
        msg = f"{path} is a file of the same job; give the report another name with --report"
        raise ConfigError(msg)
    if path.exists() and not _is_report(path):
        msg = f"{path} exists and is not an earlier report; give another name with --report"
        raise ConfigError(msg)


async def write_report(path: Path, rows: AsyncIterator[RowReport], language: Language) -> None:
    """Write what became of each row, with the KlickTipp ids for the CRM to store, as UTF-8 with semicolons."""
    with _opened(path) as file:
        writer = csv.writer(file, delimiter=_SEPARATOR)
        writer.writerow(_REPORT_COLUMNS)
        async for row in rows:
            writer.writerow(_cells(row, language))


def _cells(row: RowReport, language: Language) -> tuple[object, ...]:
    action = Action.SKIPPED if row.state is State.SKIPPED else row.action
    told = _code_and_text(row, language)
    return row.number, row.crm_id, row.contact_id, action.value, row.state.value, row.status, *told


def _code_and_text(row: RowReport, language: Language) -> tuple[str, str]:
    return (row.reason.code, row.reason.text(language)) if row.reason else ("", "")


def _is_report(path: Path) -> bool:
    head = _SEPARATOR.join(_REPORT_COLUMNS).encode("utf-8-sig")
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(head)) == head


def _opened(path: Path) -> TextIO:
    # Made anew rather than emptied: an old file could be readable for others.
    path.unlink(missing_ok=True)
    return open(path, "x", encoding="utf-8-sig", newline="", opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
