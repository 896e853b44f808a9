"""Which contact has which id of the CRM: the service cannot search by a data field, so a small file remembers."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from klickdoxie_core.bulk import bulk
from klickdoxie_core.progress import OnProgress
from klicktipp_async.client import KlickTipp
from klicktipp_async.errors import ConfigError, NotFound
from klicktipp_async.field_schema import field_key
from klicktipp_async.models.contact import Bounce, ContactStatus

T = TypeVar("T")
A = TypeVarTuple("A")

_PAGE = 500
# "ktid", where every SQLite file says whose it is; a damaged file of ours is still known by it.
_APPLICATION: Final = 0x6B746964
_MAGIC: Final = b"SQLite format 3\0"
_APPLICATION_AT: Final = slice(68, 72)
_VERSION: Final = "1"
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

# A contact's id of the CRM is NULL until the contact was read, and empty if it has none.
_TABLES = """
CREATE TABLE IF NOT EXISTS contact (id INTEGER PRIMARY KEY, crm_id BLOB);
CREATE INDEX IF NOT EXISTS by_crm_id ON contact (crm_id, id);
CREATE TEMPORARY TABLE listed (id INTEGER PRIMARY KEY);
"""


class ReadingStopped(Exception):
    """The reading of contacts was stopped by whoever asked for it."""


class CrmIds:
    """Finds contacts by the id that a CRM gave them, which stands in one of their data fields.

    `async with CrmIds(path, kt, "field12345") as ids: contact_id = await ids.find("K-4711")`. The first `find` brings
    the file up to date: it lists all contacts, and reads those that the file does not know yet. What the file knows is
    not read again, so a value that somebody else has changed meanwhile shows only in the contact itself.

    Args:
        path: The file; it is made (for its owner only) if it is not there, and made anew if it is damaged. It holds
            one account and one data field; another account or field empties it.
        kt: A client of the account; it stays the caller's.
        field: The key of the data field, with or without the prefix `field`.
        concurrency: How many contacts are read at once.
        on_progress: Told of the reading of contacts that the file does not know.
        stopped: Asked while contacts are read; once it is True, what is under way is finished and kept, and `find`
            raises ReadingStopped.

    Attributes:
        reads: How many contacts were read to bring the file up to date.

    Raises:
        ArgumentError: `field` is no key.
        ConfigError: From every method: the file is none of these, in use by another job, or on a full disk.
    """

    def __init__(
        self,
        path: Path,
        kt: KlickTipp,
        field: str,
        *,
        concurrency: int = 16,
        on_progress: OnProgress | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._path = path
        self._kt = kt
        self._field = field_key(field)
        self._concurrency = concurrency
        self._on_progress = on_progress
        self._stopped = stopped
        self._file = _File(path, self._field, kt.account_fingerprint)
        self._turn = anyio.Lock()
        self._updating = anyio.Lock()
        self._up_to_date = False
        self.reads = 0

    async def __aenter__(self) -> Self:
        await self._run(self._file.open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A task that asyncio itself cancels leaves its thread alone, but waits for other tasks: or the file would still
        # be locked when the caller opens it again.
        async with anyio.create_task_group() as group:
            group.start_soon(self._close)

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._run(self._file.close)

    async def find(self, crm_id: str) -> int | None:
        """The contact with this id of the CRM, the lowest of several; None if there is none.

        Blanks around an id do not count. Letter case does.

        Raises:
            SdkError: The file could not be brought up to date. What was read stays, and the next call goes on.
            ReadingStopped: It was stopped before the file was up to date; likewise.
        """
        if not crm_id.strip():
            return None
        if not self._up_to_date:
            await self._bring_up_to_date()
        return await self._run(self._file.find, _plain(crm_id))

    async def put(self, pairs: Mapping[int, str]) -> None:
        """Remember contacts that were made or seen: contact id to id of the CRM, empty for one without."""
        if pairs:
            await self._run(self._file.put, [(contact_id, _plain(crm_id)) for contact_id, crm_id in pairs.items()])

    async def forget(self, contact_id: int) -> None:
        """Forget a contact that is gone."""
        await self._run(self._file.forget, contact_id)

    async def _bring_up_to_date(self) -> None:
        async with self._updating:
            # Once more: the task that had the lock before may have done it.
            if not self._up_to_date:
                self._check_going()
                await self._list()
                await self._read()
                self._check_going()
                self._up_to_date = True

    def _check_going(self) -> None:
        if self._stopped():
            raise ReadingStopped

    async def _list(self) -> None:
        """Take new contacts into the file and those that are gone out of it."""
        await self._run(self._file.begin_list)
        # Left to itself, the service would list only those who are subscribed.
        ids = await self._kt.contacts.ids(status=list(ContactStatus), bounce=list(Bounce))
        for start in range(0, len(ids), _PAGE):
            await self._run(self._file.add_to_list, ids[start : start + _PAGE])
        await self._run(self._file.end_list)

    async def _read(self) -> None:
        """Read the contacts that the file does not know; what was read is kept, whatever happens then."""
        total = await self._run(self._file.count_unread)
        if not total:
            return
        done: list[tuple[int, bytes | None]] = []
        try:
            async with aclosing(self._unread()) as unread, self._reading(unread, total) as outcomes:
                async for outcome in outcomes:
                    done.append((outcome.item, outcome.unwrap()))
                    if self._stopped():
                        outcomes.stop()
                    if len(done) >= _PAGE:
                        await self._run(self._file.keep, done)
                        done = []
        finally:
            with anyio.CancelScope(shield=True):
                await self._run(self._file.keep, done)

    def _reading(self, unread: AsyncGenerator[int], total: int) -> bulk[int, bytes | None]:
        return bulk(self._read_one, unread, concurrency=self._concurrency, on_progress=self._on_progress, total=total)

    async def _unread(self) -> AsyncGenerator[int]:
        last = 0
        while page := await self._run(self._file.unread_after, last):
            for contact_id in page:
                yield contact_id
            last = page[-1]

    async def _read_one(self, contact_id: int) -> bytes | None:
        """The contact's id of the CRM; None for a contact that was deleted meanwhile."""
        try:
            contact = await self._kt.contacts.get(contact_id)
        except NotFound:
            return None
        finally:
            self.reads += 1
        return _plain(contact.fields.get(self._field, ""))

    async def _run(self, work: Callable[[*A], T], *args: *A) -> T:
        async with self._turn:
            try:
                return await anyio.to_thread.run_sync(work, *args)
            except sqlite3.Error as error:
                raise ConfigError(f"{self._path} cannot be used: {_explained(error)}") from error


class _Damaged(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class _File:
    """The file itself. Each method is one transaction and may run in any thread."""

    def __init__(self, path: Path, field: str, account: str) -> None:
        self._path = path
        self._facts = {"version": _VERSION, "field": field, "account": account}
        # A task that is cancelled in the way of plain asyncio does not wait for its thread.
        self._turn = threading.Lock()

    def open(self) -> None:
        """Open the file; make it if it is not there, and anew if it is damaged."""
        with self._turn:
            self._create()
            try:
                self._db = self._connect()
            except sqlite3.DatabaseError as error:
                if _code(error) not in _DAMAGED:
                    raise
                # Only a memory of what the service knows.
                for suffix in ("", "-wal", "-shm", "-journal"):
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
                self._create()
                self._db = self._connect()

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._db.close()

    def find(self, crm_id: bytes) -> int | None:
        """The lowest contact id with this id of the CRM."""
        lowest = "SELECT min(id) FROM contact WHERE crm_id = ?"
        with self._turn:
            row: tuple[int | None] = self._db.execute(lowest, (crm_id,)).fetchone()
            return row[0]

    def put(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Remember contacts, also as listed: a list that is under way may have been made before them."""
        known = "INSERT INTO contact VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET crm_id = excluded.crm_id"
        with self._turn, self._db:
            self._db.execute("BEGIN")
            self._db.executemany(known, rows)
            self._db.executemany("INSERT OR IGNORE INTO listed VALUES (?)", [row[:1] for row in rows])

    def forget(self, contact_id: int) -> None:
        """Forget a contact."""
        with self._turn:
            self._db.execute("DELETE FROM contact WHERE id = ?", (contact_id,))

    def begin_list(self) -> None:
        """Start with an empty list of the contacts that there are."""
        with self._turn:
            self._db.execute("DELETE FROM listed")

    def add_to_list(self, ids: Sequence[int]) -> None:
        """Add a page to the list."""
        with self._turn, self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO listed VALUES (?)", [(each,) for each in ids])

    def end_list(self) -> None:
        """Keep those that are listed, and mark the new ones as not yet read."""
        with self._turn, self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM contact WHERE id NOT IN (SELECT id FROM listed)")
            self._db.execute("INSERT OR IGNORE INTO contact SELECT id, NULL FROM listed")

    def count_unread(self) -> int:
        """How many contacts were not read."""
        with self._turn:
            row: tuple[int] = self._db.execute("SELECT count(*) FROM contact WHERE crm_id IS NULL").fetchone()
            return row[0]

    def unread_after(self, contact_id: int) -> list[int]:
        """The next page of contacts that were not read."""
        rows = "SELECT id FROM contact WHERE crm_id IS NULL AND id > ? ORDER BY id LIMIT ?"
        with self._turn:
            return [row[0] for row in self._db.execute(rows, (contact_id, _PAGE))]

    def keep(self, rows: Sequence[tuple[int, bytes | None]]) -> None:
        """Remember what was read; None was not there. What was put meanwhile is newer and stays."""
        read = [(crm_id, contact_id) for contact_id, crm_id in rows if crm_id is not None]
        gone = [(contact_id,) for contact_id, crm_id in rows if crm_id is None]
        with self._turn, self._db:
            self._db.execute("BEGIN")
            self._db.executemany("UPDATE contact SET crm_id = ? WHERE id = ? AND crm_id IS NULL", read)
            self._db.executemany("DELETE FROM contact WHERE id = ? AND crm_id IS NULL", gone)

    def _create(self) -> None:
        """Make the file if it is not there, for its owner only; refuse one that is somebody else's."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            with self._path.open("rb") as file:
                head = file.read(_APPLICATION_AT.stop)
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be used: {error.strerror}") from error
        ours = head.startswith(_MAGIC) and head[_APPLICATION_AT] == _APPLICATION.to_bytes(4, "big")
        if head and not ours:
            raise ConfigError(f"{self._path} is no file of CRM ids; move it away, or name another")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise _Damaged
        with db:
            db.execute("BEGIN IMMEDIATE")
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute("CREATE TABLE IF NOT EXISTS header (name TEXT PRIMARY KEY, value TEXT)")
            if dict(db.execute("SELECT name, value FROM header")) != self._facts:
                db.execute("DROP TABLE IF EXISTS contact")
                db.execute("DELETE FROM header")
                db.executemany("INSERT INTO header VALUES (?, ?)", self._facts.items())
            for statement in filter(str.strip, _TABLES.split(";")):
                db.execute(statement)
        # Only now: the file must say whose it is before any of it stands in a second one.
        db.execute("PRAGMA journal_mode = WAL")
        # After a power failure the latest contacts may have to be read again; nothing else is lost.
        db.execute("PRAGMA synchronous = NORMAL")


def _plain(crm_id: str) -> bytes:
    # Bytes, because no text of SQLite holds half a surrogate pair, which a JSON answer may hold.
    return crm_id.strip().encode("utf-8", "surrogatepass")


def _code(error: sqlite3.Error) -> int:
    """SQLite's number without what its upper bytes add; 0 for an error that has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _explained(error: sqlite3.Error) -> str:
    code = _code(error)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "it is in use by another job"
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        return "the disk may be full; once there is room, the job can go on"
    return str(error)
