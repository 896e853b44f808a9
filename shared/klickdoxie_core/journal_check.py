"""Whether a file can serve as a journal: what it is, what it is about, and whether it is damaged."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from klickdoxie_core.errors import JournalError

APPLICATION = 0x6B646A6C
"""The mark of a journal among the databases of SQLite."""
FORMAT = 1
"""How the tables are laid out."""

Header = tuple[str, dict[str, str], dict[str, object]]
"""Job, facts, notes."""

# https://www.sqlite.org/fileformat2.html#the_write_ahead_log
_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_WORD_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
_LOW_32_BITS = 0xFFFFFFFF


def read_header(path: str | os.PathLike[str]) -> Header | None:
    """The header of a journal, whether it is in use or not; None if there is no file, or nothing in it yet."""
    place = followed(path)
    if not place.exists():
        return None
    try:
        log = log_of(place)
        # One that is damaged is left as it is.
        if not log.exists() or _is_broken(log):
            return _header_alone(place)
        check_file(place)
        return _header_with_log(place)
    except (sqlite3.Error, OSError) as error:
        raise explained(place, error) from None


def check_file(place: Path) -> None:
    """Raise JournalError if the file is something else than a journal, or is damaged; it is left as it is."""
    if not log_of(place).exists():
        _header_alone(place)
        return
    try:
        with closing(connect(place, "immutable=1")) as connection:
            _is_journal(connection, place)
    except sqlite3.DatabaseError as error:
        # A checkpoint that was broken off leaves a file that is whole only together with its log.
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise


def _header_alone(place: Path) -> Header | None:
    # By SQLite itself: whatever else closes a file ends all locks that this process has on it.
    with closing(connect(place, "immutable=1")) as connection:
        return header_of(connection, place)


def _header_with_log(place: Path) -> Header | None:
    """The header that the log gives; while a job has both, the one in the file."""
    try:
        with closing(connect(place, "mode=rw")) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").close()
            return header_of(connection, place)
    except sqlite3.OperationalError as error:
        try:
            return _header_alone(place)
        except (sqlite3.Error, JournalError):
            # It was read in the middle of a checkpoint.
            raise error from None


def check_log(database: Path) -> None:
    """Raise JournalError if the database's write-ahead log is damaged before its end.

    SQLite takes the first frame that does not fit for the end of the log, and drops in silence what stands behind it.
    That is right for the torn end that a power cut leaves, and wrong for damage in the middle.
    """
    log = log_of(database)
    if _is_broken(log):
        msg = (
            f"{log} is damaged, and work that was done would be forgotten; the journal is left as it is: "
            "take both files from a backup, or start again with another journal after finding out what arrived"
        )
        raise JournalError(msg)


def _is_broken(log: Path) -> bool:
    try:
        frame = _break_in(log)
        # Read again, since a log that is being written may show halves; that it is in use is found out by opening it.
        return frame is not None and _break_in(log) == frame
    except FileNotFoundError:
        # Whoever closes a journal in good order takes the log into the file.
        return False


def _break_in(log: Path) -> int | None:
    """The number of the first frame that does not fit, if it is not the end of what was committed."""
    with log.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        magic, _, page_size, _, *salts, first, second = _HEADER.unpack(header)
        order, sums = _WORD_ORDERS.get(magic, "<"), (first, second)
        if _checksum(header[:24], order, (0, 0)) != sums:
            # It is on the disk before the first frame is written: with a frame behind it, it is not torn.
            return 0 if file.read(1) else None
        number, broken, commits = 0, False, 0
        while len(frame := file.read(_FRAME.size + page_size)) == _FRAME.size + page_size:
            _, size_after_commit, *marks = _FRAME.unpack_from(frame)
            if not broken:
                sums = _checksum(frame[_FRAME.size :], order, _checksum(frame[:8], order, sums))
                broken = marks != [*salts, *sums]
                number += 1
            # Frames of an earlier use of the log have other salts.
            if broken and size_after_commit and marks[:2] == salts:
                commits += 1
    # The torn transaction may have written its own commit; another one is begun only when it is on the disk.
    return number if commits > 1 else None


def _checksum(data: bytes, order: str, seed: tuple[int, int]) -> tuple[int, int]:
    first, second = seed
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _LOW_32_BITS
        second = (second + odd + first) & _LOW_32_BITS
    return first, second


def reason(error: Exception) -> str:
    """What went wrong, without what was being written: some of SQLite's texts show it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(getattr(error, "sqlite_errorname", type(error).__name__))


def followed(path: str | os.PathLike[str]) -> Path:
    """The file itself: its log stands beside it, not beside a link to it."""
    return Path(os.path.realpath(path))


def log_of(database: Path) -> Path:
    """Where SQLite keeps what is committed and not yet in the file itself."""
    return database.with_name(f"{database.name}-wal")


def make_file(path: Path) -> None:
    """Make an empty file that only its owner can read; what is there already stays."""
    if not path.parent.is_dir():
        msg = f"{path.parent} is not a folder, so that no journal can be made there"
        raise JournalError(msg)
    if path.exists():
        if not path.is_file():
            raise _foreign(path)
        return
    # Never one that another job made meanwhile: see `_header_alone`.
    _sync(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    if os.name == "posix":
        # Or the file's name may be gone after a power cut.
        _sync(path.parent, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags, 0o600)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(path: Path, options: str) -> sqlite3.Connection:
    """A connection that waits for nobody and may be used by one thread after another."""
    return sqlite3.connect(
        f"{path.as_uri()}?{options}", uri=True, timeout=0, isolation_level=None, check_same_thread=False
    )


def one(connection: sqlite3.Connection, statement: str, *values: object) -> tuple[Any, ...] | None:
    """The first row of what a statement finds."""
    with closing(connection.execute(statement, values)) as cursor:
        return cast("tuple[Any, ...] | None", cursor.fetchone())


def header_of(connection: sqlite3.Connection, path: Path) -> Header | None:
    """The header of a journal; None if the database is empty, JournalError if it is something else."""
    if not _is_journal(connection, path):
        return None
    if one(connection, "SELECT format FROM header") != (FORMAT,):
        msg = f"{path} was written by another version of this library; go on with that one, or give another journal"
        raise JournalError(msg)
    texts = one(connection, "SELECT job, facts, notes FROM header") or ()
    try:
        job, facts, notes = (json.loads(text) for text in texts)
    except (TypeError, ValueError):
        raise damaged(path) from None
    return job, facts, notes


def _is_journal(connection: sqlite3.Connection, path: Path) -> bool:
    """False if the database is empty, JournalError if it is something else."""
    if one(connection, "PRAGMA application_id") == (APPLICATION,):
        return True
    # SQLite takes a file of a single byte for an empty one.
    if one(connection, "SELECT count(*) FROM sqlite_master") == (0,) and path.stat().st_size != 1:
        return False
    raise _foreign(path)


def compare(path: Path, header: Header, job: str, facts: Mapping[str, str]) -> None:
    """Raise JournalError if the journal is about something else."""
    its_job, its_facts, _ = header
    if its_job != job:
        msg = f"{path} is the journal of another job ({its_job}); give another journal, or delete this one"
        raise JournalError(msg)
    differing = [name for name in sorted({*its_facts, *facts}) if its_facts.get(name) != facts.get(name)]
    if differing:
        others = ", ".join(f"another {name}" for name in differing)
        msg = f"{path} was made from {others}; give another journal, or delete this one to start from the beginning"
        raise JournalError(msg)


def explained(path: Path, error: sqlite3.Error | OSError) -> JournalError:
    """What is said about a journal that cannot be opened."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY:
            return JournalError(f"{path} is in use by another job")
        case sqlite3.SQLITE_NOTADB:
            return _foreign(path)
        case sqlite3.SQLITE_CORRUPT:
            return damaged(path)
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return JournalError(f"{path} cannot be written ({reason(error)}): the disk may be full")
        case _:
            return JournalError(f"{path} cannot be opened as a journal ({reason(error)})")


def _foreign(path: Path) -> JournalError:
    return JournalError(f"{path} is not a journal, and was left as it is; give the journal another name")


def damaged(path: Path) -> JournalError:
    """What is said about a journal with damage that no crash explains."""
    return JournalError(
        f"{path} is damaged: take it from a backup, or start again with another journal after finding out what arrived"
    )
