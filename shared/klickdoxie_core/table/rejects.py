"""The file of the rows that did not arrive, ready to be read again."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Final, Literal, TextIO, TypeAlias

from klickdoxie_core.errors import ConfigError
from klickdoxie_core.table.encoding import TableError
from klickdoxie_core.table.reader import OWN_COLUMNS, Row, Table, open_table

Fate: TypeAlias = Literal["replaced", "removed"]

_HEAD: Final = 1 << 12
_ENDING: Final = re.compile(r"\.errors(?:-([0-9]{1,9}))?\.csv\Z")


def error_file_of(path: Path) -> Path:
    """Where the rows of a file go that do not arrive, unless somebody names another place: beside it.

    `contacts.csv` has `contacts.csv.errors.csv`. Read again, that one has `contacts.csv.errors-2.csv`, and so on: what
    is read is never written.
    """
    found = _ENDING.search(path.name)
    if found is None:
        return path.with_name(f"{path.name}.errors.csv")
    return path.with_name(f"{path.name[: found.start()]}.errors-{int(found[1] or 1) + 1}.csv")


class ErrorFile:
    """The rows that did not arrive, cell for cell as they were, behind columns that say where and why.

    Those columns come first, so that a row with too few or too many cells keeps its own order; read again, they are
    passed over. The file is written like the input, made when there is something to write, and readable for its
    owner only.

    Args:
        path: Where it is; None for the place that `error_file_of` says, where whatever error file is there belongs to
            this very input. At any other place only one with the same columns is replaced.
        table: The input.

    Attributes:
        path: Where it is.
        earlier: What was done with the file of an earlier run; None where there was none, or it was left alone.
    """

    def __init__(self, path: Path | None, table: Table) -> None:
        self.path = path or error_file_of(table.path)
        self.earlier: Fate | None = None
        self._named = path is not None
        self._table = table
        self._file: TextIO | None = None

    def check(self) -> None:
        """Raise ConfigError if the file would take the place of something else than an earlier error file."""
        if not self.path.parent.is_dir():
            msg = f"{self.path.parent} is not a folder, so that no error file can be written there"
            raise ConfigError(msg)
        if not self.path.exists():
            return
        if self.path.samefile(self._table.path):
            msg = f"{self.path} is the file that is read; give the error file another name with --errors"
            raise ConfigError(msg)
        if not self._is_ours():
            msg = f"{self.path} exists and is not the error file of an earlier run; give another name with --errors"
            raise ConfigError(msg)
        if self._named and not self._has_these_columns():
            msg = f"{self.path} is the error file of a file with other columns; give another name with --errors"
            raise ConfigError(msg)

    def add(self, row: Row, *, state: str, code: str, reason: str) -> None:
        """Write a row that did not arrive.

        Args:
            row: The row as it was read.
            state: What became of it.
            code: A word or number for the reason.
            reason: The reason as a sentence; what the file's encoding cannot hold becomes a question mark.
        """
        file = self._file or self._open()
        encoding = self._table.encoding
        fitting = reason.encode(encoding, "replace").decode(encoding)
        self._write(file, (str(row.line), state, code, fitting, *row.written))
        # What is written survives whatever ends the program.
        file.flush()

    def close(self, *, complete: bool) -> Path | None:
        """The file, if there is one; after a complete run without errors the one of an earlier run goes."""
        if self._file is not None:
            self._file.close()
            return self.path
        if complete and self._unlink():
            self.earlier = "removed"
        return None

    def _open(self) -> TextIO:
        # Made anew rather than emptied: an old file could be readable for others, or lead elsewhere.
        if self._unlink():
            self.earlier = "replaced"
        self._file = open(  # noqa: SIM115 - Path.open knows no opener; close() closes it
            self.path, "x", encoding=self._table.encoding, newline="", opener=_private
        )
        self._write(self._file, (*OWN_COLUMNS, *self._table.header))
        return self._file

    def _write(self, file: TextIO, cells: tuple[str, ...]) -> None:
        csv.writer(file, delimiter=self._table.separator).writerow(cells)

    def _unlink(self) -> bool:
        """Whether there was a file to remove."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _has_these_columns(self) -> bool:
        # It is written like its input, whose encoding may have been given since it cannot be found out.
        return any(self._header_in(encoding) == self._table.header for encoding in (None, self._table.encoding))

    def _header_in(self, encoding: str | None) -> tuple[str, ...] | None:
        try:
            return open_table(self.path, encoding=encoding, separator=self._table.separator).header
        except TableError:
            return None

    def _is_ours(self) -> bool:
        if not self.path.is_file():
            return False
        with self.path.open("rb") as file:
            # In UTF-16 each letter of our names has a NUL beside it.
            head = file.read(_HEAD).replace(b"\0", b"")
        return all(name.encode() in head for name in OWN_COLUMNS)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
