"""Which encoding a file is in, found by reading all of it once in chunks."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import attrs

from klickdoxie_core.errors import ConfigError

_CHUNK = 1 << 20
_UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FORCE = "save it as UTF-8 again, or give --encoding cp1252 to read all of it as Windows-1252"


class TableError(ConfigError):
    """A file that cannot be read as a table; nothing was sent. The text names the line where there is one."""


def detect_encoding(path: Path) -> str:
    """`utf-8-sig`, `utf-8` or `cp1252`, the first that the whole file obeys; raises TableError for anything else.

    A file that is UTF-8 but for a few lines is none of them: read as Windows-1252, its other lines would be garbled.
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
    lines = _utf8_lines(path)
    if marked:
        msg = f"the file starts with the mark of UTF-8, but line {lines.first_bad} is not UTF-8; {_FORCE}"
        raise TableError(msg)
    if lines.good > lines.bad:
        msg = f"line {lines.first_bad} is not UTF-8, though most of the file is; {_FORCE}"
        raise TableError(msg)
    if scan.undefined_line is not None:
        msg = (
            f"line {scan.undefined_line} holds bytes that are neither UTF-8 nor Windows-1252; "
            "save the file as UTF-8 or give --encoding"
        )
        raise TableError(msg)
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
    return name


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
        first_bad: The first of those.
    """

    good: int = 0
    bad: int = 0
    first_bad: int = 0


def _utf8_lines(path: Path) -> _Lines:
    lines = _Lines()
    with path.open("rb") as file:
        # No longer than a chunk: a file without line breaks is read in pieces, too.
        for number, line in enumerate(iter(lambda: file.readline(_CHUNK), b""), 1):
            if line.isascii():
                continue
            if _is_utf8(line):
                lines.good += 1
            else:
                lines.bad += 1
                lines.first_bad = lines.first_bad or number
    return lines


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


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
