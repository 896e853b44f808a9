"""Which encoding a file is in, found by reading all of it once in chunks."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import attrs

from klickdoxie_core.errors import ConfigError

_CHUNK = 1 << 20
_UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
# A letter with an accent, or the sign of the euro. Read as Windows-1252 they would be an Ã or â before signs.
_SURELY_UTF8 = re.compile(rb"\xc3[\x80-\xbf]|\xe2\x82\xac")
# Quotation marks or a § within a word, or a capital Ÿ there: the ä, ö and ß or ü of DOS and of old Macs.
_SURELY_NOT_CP1252 = re.compile(rb"[A-Za-z](?:[\x84\x94\xa7]|\x9f(?=[a-z]))[A-Za-z]")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FORCE = "save it as UTF-8 again, or give --encoding cp1252 to read all of it as Windows-1252"


class TableError(ConfigError):
    """A file that cannot be read as a table; nothing was sent. The text names the line where there is one."""


class SourceFailed(TableError):
    """Where the rows come from has failed, such as a database that is down; later it may be up again."""


def detect_encoding(path: Path) -> str:
    """`utf-8-sig`, `utf-8` or `cp1252`, the first that the whole file obeys; raises TableError for anything else.

    A file that is UTF-8 in some of its lines is none of them: read as Windows-1252, these lines would be garbled. Nor
    is one with marks within words that are letters in other encodings.
    """
    scan = _Scan()
    with path.open("rb") as file:
        marked = _refuse_other_formats(file.read(4))
        file.seek(0)
        while chunk := file.read(_CHUNK):
            scan.feed(chunk)
    scan.finish()
    if scan.is_utf8:
        return "utf-8-sig" if marked else "utf-8"
    if why_not := _why_not_cp1252(_utf8_lines(path), scan.undefined_line, marked=marked):
        raise TableError(why_not)
    return "cp1252"


def check_encoding(path: Path, encoding: str) -> str:
    """The normalised name of a given encoding that the whole file obeys; raises TableError where it does not."""
    try:
        name = codecs.lookup(encoding).name
        with path.open(encoding=name, newline="") as file:
            while chunk := file.read(_CHUNK):
                _refuse_nul("\0" in chunk)
    except LookupError:
        msg = f"there is no text encoding called {encoding!r}"
        raise TableError(msg) from None
    except UnicodeError:
        msg = f"the file is not {encoding}: it holds bytes which that encoding does not know"
        raise TableError(msg) from None
    # The mark would become a part of the first column's name.
    return "utf-8-sig" if name == "utf-8" and _has_mark(path) else name


class _Scan:
    """What a pass over the bytes of a file finds out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._lines = 1
        self.is_utf8 = True
        self.undefined_line: int | None = None

    def feed(self, chunk: bytes) -> None:
        _refuse_nul(b"\0" in chunk)
        self._decode(chunk, final=False)
        if self.undefined_line is None and (found := _UNDEFINED_IN_CP1252.search(chunk)):
            self.undefined_line = self._lines + chunk.count(b"\n", 0, found.start())
        self._lines += chunk.count(b"\n")

    def finish(self) -> None:
        self._decode(b"", final=True)

    def _decode(self, chunk: bytes, *, final: bool) -> None:
        if not self.is_utf8:
            return
        try:
            self._decoder.decode(chunk, final=final)
        except UnicodeDecodeError:
            self.is_utf8 = False


@attrs.define
class _Lines:
    """The lines with more than ASCII in them.

    Attributes:
        good: How many are UTF-8.
        bad: How many are not.
        first_bad: The first of those; 0 for none, as below.
        first_surely_good: The first line with letters that can only be UTF-8.
        first_foreign: The first line that is not UTF-8, and that can hardly be Windows-1252.
    """

    good: int = 0
    bad: int = 0
    first_bad: int = 0
    first_surely_good: int = 0
    first_foreign: int = 0

    def add(self, number: int, line: bytes) -> None:
        """Count a line."""
        if _SURELY_UTF8.search(line):
            self.first_surely_good = self.first_surely_good or number
        if _is_utf8(line):
            self.good += 1
            return
        self.bad += 1
        self.first_bad = self.first_bad or number
        if _SURELY_NOT_CP1252.search(line):
            self.first_foreign = self.first_foreign or number


def _utf8_lines(path: Path) -> _Lines:
    lines = _Lines()
    with path.open("rb") as file:
        # No longer than a chunk: a file without line breaks is read in pieces, too.
        for number, line in enumerate(iter(lambda: file.readline(_CHUNK), b""), 1):
            if not line.isascii():
                lines.add(number, line)
    return lines


def _why_not_cp1252(lines: _Lines, undefined_line: int | None, *, marked: bool) -> str:
    """Why a file that is not UTF-8 is not to be read as Windows-1252, either; empty where nothing speaks against it."""
    if marked:
        return f"the file starts with the mark of UTF-8, but line {lines.first_bad} is not UTF-8; {_FORCE}"
    if lines.first_surely_good:
        return (
            f"the file mixes encodings: line {lines.first_surely_good} holds letters in UTF-8, line {lines.first_bad} "
            f"others that are not; {_FORCE}"
        )
    if lines.good > lines.bad:
        return f"line {lines.first_bad} is not UTF-8, though most of the file is; {_FORCE}"
    if undefined_line is not None:
        return (
            f"line {undefined_line} holds bytes that are neither UTF-8 nor Windows-1252; "
            "save the file as UTF-8 or give --encoding"
        )
    if lines.first_foreign:
        return (
            f"line {lines.first_foreign} is neither UTF-8 nor, by its looks, Windows-1252; give --encoding, such as "
            "cp850 for a file of DOS, mac_roman for one of an old Mac, or cp1252 if it is right all the same"
        )
    return ""


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_mark(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8


def _refuse_other_formats(head: bytes) -> bool:
    """Whether the file starts with the mark of UTF-8."""
    if head.startswith(_UTF16_MARKS):
        msg = "the file is UTF-16 (Excel calls it Unicode text); save it as CSV UTF-8 instead"
        raise TableError(msg)
    if head.startswith(b"PK\x03\x04"):
        msg = "the file is a workbook or a ZIP archive; save the sheet as CSV first"
        raise TableError(msg)
    return head.startswith(codecs.BOM_UTF8)


def _refuse_nul(found: bool) -> None:  # noqa: FBT001 - one flag is all there is to say
    if found:
        msg = "the file holds NUL bytes: it is not a text, or it is UTF-16; save it as CSV UTF-8"
        raise TableError(msg)
