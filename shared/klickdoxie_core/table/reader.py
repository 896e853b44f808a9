"""A CSV file as rows: separator and encoding found out, read lazily, nothing changed but what guards formulas."""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TextIO

import attrs

from klickdoxie_core.redact import mask
from klickdoxie_core.table.encoding import TableError, check_encoding, detect_encoding
from klickdoxie_core.table.guard import unguarded

OWN_COLUMNS = ("_line", "_state", "_code", "_reason")
"""What the error file adds; read back, these columns are no data."""

# In the order of trust when several fit equally well: a comma stands in names, a tab hardly ever.
_SEPARATORS = ("\t", ";", "|", ",")
_NAMED_SEPARATORS = {"tab": "\t", "\\t": "\t"}
_SAMPLE = 1 << 16
_MAX_LINE = 1 << 20
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
_ADDRESS = re.compile(r"\S+@\S+\.\S+")


def _cells_of(row: Row) -> tuple[str, ...]:
    return row.cells


@attrs.frozen
class Row:
    """One row of the file.

    Attributes:
        line: The line of the file on which it starts, counted from 1.
        cells: What stands in the cells, without the apostrophe that keeps a spreadsheet from taking one for a formula.
        state: What an earlier import wrote about it into its error file; empty for any other file.
        written: The cells as they stand in the file, apostrophes included; without the columns of an error file.
    """

    line: int
    cells: tuple[str, ...] = attrs.field(repr=False)
    state: str = ""
    written: tuple[str, ...] = attrs.field(repr=False, default=attrs.Factory(_cells_of, takes_self=True))


@attrs.frozen(kw_only=True)
class Table:
    """A CSV file that can be read as often as needed.

    Attributes:
        path: Where it is.
        encoding: The encoding it is in.
        separator: What stands between two cells.
        header: The names of the columns, without those of an error file, and without columns at the end that have none.
    """

    path: Path
    encoding: str
    separator: str
    header: tuple[str, ...]
    _own: frozenset[int] = attrs.field(alias="own", repr=False)
    _nameless: int = attrs.field(alias="nameless", repr=False)
    _state: int | None = attrs.field(alias="state", repr=False)
    _stamp: tuple[int, int] = attrs.field(alias="stamp", repr=False)

    def rows(self) -> Generator[Row]:
        """Each row but the blank ones; a row may have more or fewer cells than the header has names.

        Empty cells of columns at the end that have no name are left out. One with something in it makes its row wider
        than the header.

        Raises TableError when a quotation mark is never closed, a cell is too long, or the file was changed since it
        was opened.
        """
        with _naming(self.path):
            if _stamp(self.path) != self._stamp:
                msg = "the file was changed while it was read; start again"
                raise TableError(msg)
            with self.path.open(encoding=self.encoding, newline="") as file:
                records = _records(file, self.separator)
                next(records)
                for line, record in records:
                    written = self._written(record)
                    if any(cell.strip() for cell in written):
                        yield Row(line, tuple(map(unguarded, written)), self._state_of(record), written)

    def _written(self, record: Sequence[str]) -> tuple[str, ...]:
        cells = tuple(cell for place, cell in enumerate(record) if place not in self._own)
        width = len(self.header)
        ending = cells[width:]
        # A header that ends with a separator; a spreadsheet writes it behind an empty column.
        empty = len(ending) <= self._nameless and not any(cell.strip() for cell in ending)
        return cells[:width] if empty else cells

    def _state_of(self, record: Sequence[str]) -> str:
        return record[self._state] if self._state is not None and self._state < len(record) else ""


def open_table(path: Path, *, encoding: str | None = None, separator: str | None = None) -> Table:
    """Find out how a CSV file is written and read its header.

    Args:
        path: A regular file; it is read several times.
        encoding: None to find it out.
        separator: One character or `tab`; None to find it out.

    Raises:
        TableError: The file is missing, empty, no text, or its header does not name each column once.
    """
    if not _is_file(path):
        msg = f"{path} is not a file"
        raise TableError(msg)
    given = _given_separator(separator) if separator else None
    stamp = _stamp(path)
    with _naming(path):
        encoding = check_encoding(path, encoding) if encoding else detect_encoding(path)
        separator = given or _find_separator(path, encoding)
        with path.open(encoding=encoding, newline="") as file:
            names = next((record for _, record in _records(file, separator)), list[str]())
        named = _without_nameless_end(names)
        _check_header(named)
    own = {place: name for place, name in enumerate(named) if name in OWN_COLUMNS}
    return Table(
        path=path,
        encoding=encoding,
        separator=separator,
        header=tuple(name for place, name in enumerate(named) if place not in own),
        own=frozenset(own),
        nameless=len(names) - len(named),
        state=next((place for place, name in own.items() if name == "_state"), None),
        stamp=stamp,
    )


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Let a TableError say which file is meant."""
    try:
        yield
    except TableError as error:
        raise TableError(f"{path}: {error.message}") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A name that no system takes.
        return False


class _Lines:
    """The lines of a file, counted, and none of them without end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.read = 0
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(_MAX_LINE)
        if not line:
            self.ended = True
            raise StopIteration
        self.read += 1
        if len(line) == _MAX_LINE:
            msg = f"line {self.read} is longer than {_MAX_LINE:,} characters; this is no table"
            raise TableError(msg)
        return line


def _records(file: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that has cells, with the line on which it starts; a leading `sep=` line is passed over."""
    lines = _Lines(file)
    reader = csv.reader(lines, delimiter=separator)
    while True:
        start = lines.read + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            msg = f"line {start}: {error}; perhaps a quotation mark is never closed"
            raise TableError(msg) from None
        # The reader hands out a whole record before it asks for the next line, unless a quotation mark is open.
        if lines.ended:
            msg = f"line {start}: a quotation mark is opened and never closed"
            raise TableError(msg)
        if record and not (start == 1 and _is_sep_line(record)):
            yield start, record


def _is_sep_line(record: Sequence[str]) -> bool:
    """A line such as `sep=;`, by which Excel is told the separator; cut at that separator it has an empty rest."""
    return record[0].lower() in {"sep=", *(f"sep={separator}" for separator in _SEPARATORS)} and not any(record[1:])


def _find_separator(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding, newline="") as file:
        sample = file.read(_SAMPLE)
        complete = not file.read(1)
    if told := _SEP_LINE.match(sample):
        return told[1]
    fits = {separator: _fit(sample, separator, complete=complete) for separator in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda separator: fits[separator])
    if fits[best] > (0, 0):
        return best
    return next((separator for separator in (";", ",", "\t", "|") if separator not in sample), ";")


def _fit(sample: str, separator: str, *, complete: bool) -> tuple[float, int]:
    """How well a separator cuts the sample: the share of rows as wide as the header, and that width."""
    try:
        records = [record for record in csv.reader(StringIO(sample, newline=""), delimiter=separator) if record]
    except csv.Error:
        return 0, 0
    if not complete:
        # The sample ends where it ends, perhaps within a row.
        records = records[:-1]
    width = len(records[0]) if records else 0
    if width < 2:
        return 0, 0
    return sum(len(record) == width for record in records) / len(records), width


def _given_separator(text: str) -> str:
    separator = _NAMED_SEPARATORS.get(text.lower(), text)
    if len(separator) != 1 or separator in '"\r\n':
        msg = "the separator is one character or the word tab"
        raise TableError(msg)
    return separator


def _without_nameless_end(names: Sequence[str]) -> Sequence[str]:
    """The names up to the last one that says something; all of them where none does."""
    named = [place for place, name in enumerate(names, 1) if name.strip()]
    return names[: named[-1]] if named else names


def _check_header(names: Sequence[str]) -> None:
    if not names:
        msg = "the file is empty"
        raise TableError(msg)
    bare = [name.strip() for name in names]
    if any(_ADDRESS.fullmatch(name) for name in bare):
        msg = "the first line holds an e-mail address; it must name the columns"
        raise TableError(msg)
    problems = [f"column {place} has no name" for place, name in enumerate(bare, 1) if not name]
    problems += [
        f"several columns are called {mask(name)!r}" for name in dict.fromkeys(bare) if name and bare.count(name) > 1
    ]
    if problems:
        raise TableError("the header must name each column once: " + ", ".join(problems))


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns
