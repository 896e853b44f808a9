"""The file of the rows that did not arrive, ready to be read again."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TextIO

from klickdoxie_core.errors import ConfigError
from klickdoxie_core.table.reader import OWN_COLUMNS, Row, Table

_HEAD = 1 << 12


class ErrorFile:
    """The rows that did not arrive, cell for cell as they were, behind columns that say where and why.

    Those columns come first, so that a row with too few or too many cells keeps its own order; read again, they are
    passed over. The file is written like the input, made when there is something to write, and readable for its
    owner only.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path
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
        self._write(file, (str(row.line), state, code, fitting, *row.cells))
        # What is written survives whatever ends the program.
        file.flush()

    def close(self, *, complete: bool) -> Path | None:
        """The file, if there is one; after a complete run without errors the one of an earlier run goes."""
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
