"""Which encoding a file is in, found by reading all of it once in chunks."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from klickdoxie_core.errors import ConfigError

_CHUNK = 1 << 20
_UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TableError(ConfigError):
    """A file that cannot be read as a table; nothing was sent. The text names the line where there is one."""


def detect_encoding(path: Path) -> str:
    """`utf-8-sig`, `utf-8` or `cp1252`, the first that the whole file obeys; raises TableError for anything else."""
    scan = _Scan()
    with path.open("rb") as file:
        marked = _refuse_other_formats(file.read(4))
        file.seek(0)
        while chunk := file.read(_CHUNK):
            scan.feed(chunk)
    scan.finish()
    if scan.is_utf8:
        return "utf-8-sig" if marked else "utf-8"
    if marked:
        msg = "the file starts with the mark of UTF-8, but not all of it is UTF-8; save it again or give --encoding"
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
