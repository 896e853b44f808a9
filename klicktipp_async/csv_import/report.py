"""What an import tells: a summary with figures, and a file with the rows that did not arrive."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import attrs

from klickdoxie_core.errors import ConfigError
from klicktipp_async.csv_import.reasons import Language
from klicktipp_async.csv_import.table import OWN_COLUMNS, Row, Table
from klicktipp_async.csv_import.triage import Finding, State

_HEAD = 1 << 12


@attrs.define
class Summary:
    """The figures of an import, kept up to date while it runs.

    Attributes:
        rows: Rows that were dealt with.
        states: How many of them were imported, failed, are in doubt, or were duplicates.
        codes: Why rows were not imported, by code.
        tags_created: Tags that the account did not have before.
        seconds: How long the sending took.
        interrupted: The user broke it off.
        stopped: Why it was given up; None if it was not.
        errors: The error file; None if every row arrived.
    """

    rows: int = 0
    states: Counter[State] = attrs.field(factory=Counter[State])
    codes: Counter[str] = attrs.field(factory=Counter[str])
    tags_created: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    stopped: str | None = None
    errors: Path | None = None

    def add(self, finding: Finding) -> None:
        """Count a row."""
        self.rows += 1
        self.states[finding.state] += 1
        if finding.reason:
            self.codes[finding.reason.code] += 1

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def complete(self) -> bool:
        """Whether every row was dealt with and none failed or is in doubt; duplicates do no harm."""
        troubled = self.states[State.FAILED] + self.states[State.IN_DOUBT]
        return not (troubled or self.interrupted or self.stopped)

    def as_json(self) -> Mapping[str, object]:
        """The figures for a machine."""
        return {
            "rows": self.rows,
            **{state.value.replace(" ", "_"): self.states[state] for state in State},
            "codes": dict(self.codes.most_common()),
            "tags_created": self.tags_created,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rate, 1),
            "interrupted": self.interrupted,
            "stopped": self.stopped,
            "errors": str(self.errors) if self.errors else None,
        }


class ErrorFile:
    """The rows that did not arrive, cell for cell as they were, behind columns that say where and why.

    Those columns come first, so that a row with too few or too many cells keeps its own order; read again, they are
    passed over. The file is written like the input, made when there is something to write, and readable for its
    owner only.
    """

    def __init__(self, path: Path, table: Table, language: Language = "en") -> None:
        self.path = path
        self._table = table
        self._language: Language = language
        self._file: TextIO | None = None

    def check(self) -> None:
        """Raise ConfigError if the file would take the place of something else than an earlier error file."""
        if not self.path.parent.is_dir():
            msg = f"{self.path.parent} is not a folder, so that no error file can be written there"
            raise ConfigError(msg)
        if not self.path.exists():
            return
        if self.path.samefile(self._table.path):
            msg = f"{self.path} is the file to import; give the error file another name with --errors"
            raise ConfigError(msg)
        if not self._is_ours():
            msg = f"{self.path} exists and is not the error file of an earlier import; give another name with --errors"
            raise ConfigError(msg)

    def add(self, row: Row, finding: Finding) -> None:
        """Write a row that was not imported."""
        reason = finding.reason
        file = self._file or self._open()
        code, text = (reason.code, reason.text(self._language)) if reason else ("", "")
        encoding = self._table.encoding
        fitting = text.encode(encoding, "replace").decode(encoding)
        self._write(file, (str(row.line), finding.state.value, code, fitting, *row.cells))
        # What is written survives whatever ends the program.
        file.flush()

    def close(self, *, complete: bool) -> Path | None:
        """The file, if there is one; after a complete import without errors the one of an earlier import goes."""
        if self._file is not None:
            self._file.close()
            return self.path
        if complete:
            self.path.unlink(missing_ok=True)
        return None

    def _open(self) -> TextIO:
        # Made anew rather than emptied: an old file could be readable for others, or lead elsewhere.
        self.path.unlink(missing_ok=True)
        self._file = open(  # noqa: SIM115 - Path.open knows no opener; close() closes it
            self.path, "x", encoding=self._table.encoding, newline="", opener=_private
        )
        self._write(self._file, (*OWN_COLUMNS, *self._table.header))
        return self._file

    def _write(self, file: TextIO, cells: tuple[str, ...]) -> None:
        csv.writer(file, delimiter=self._table.separator).writerow(cells)

    def _is_ours(self) -> bool:
        if not self.path.is_file():
            return False
        with self.path.open("rb") as file:
            head = file.read(_HEAD)
        return all(name.encode() in head for name in OWN_COLUMNS)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
