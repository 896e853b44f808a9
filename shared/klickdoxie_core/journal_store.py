"""The file behind a journal: what is asked of it, and how many tasks ask together."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import anyio
import anyio.to_thread
import attrs

from klickdoxie_core.errors import ArgumentError, JournalError, SdkError
from klickdoxie_core.journal_check import (
    APPLICATION,
    FORMAT,
    check_file,
    check_log,
    compare,
    connect,
    damaged,
    explained,
    followed,
    header_of,
    make_file,
    one,
    reason,
)

T = TypeVar("T")

Row = tuple[str, int | None, str, str, int, str | None, str | None, str | None]
"""An item: key, place, kind, state, attempts, payload, result, error; all but the numbers and the state as JSON."""

_PAGE = 500
_TABLES = (
    f"PRAGMA application_id = {APPLICATION}",
    "CREATE TABLE header (format INTEGER NOT NULL, runs INTEGER NOT NULL, job TEXT NOT NULL, facts TEXT NOT NULL,"
    " notes TEXT NOT NULL)",
    "CREATE TABLE items (place INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('pending', 'in flight', 'done', 'failed', 'unknown', 'skipped')),"
    " attempts INTEGER NOT NULL, run INTEGER, payload TEXT, result TEXT, error TEXT)",
    "CREATE INDEX items_by_state ON items (state)",
    "CREATE TABLE claims (name TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID",
)
_HEADER = "INSERT INTO header (format, runs, job, facts, notes) VALUES (?, 0, ?, ?, '{}')"
_ITEM = "key, place, kind, state, attempts, payload, result, error"
_ADD = f"INSERT INTO items ({_ITEM}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - the names of columns
_FIND = f"SELECT {_ITEM} FROM items WHERE key = ?"  # noqa: S608 - likewise
_READ = f"SELECT {_ITEM} FROM items WHERE place >= ? ORDER BY place LIMIT {_PAGE}"  # noqa: S608 - likewise
_READ_STATE = f"SELECT * FROM ({_READ.replace('WHERE', 'WHERE state = ? AND')})"  # noqa: S608 - likewise
_BEGIN = (
    "UPDATE items SET run = ?, attempts = attempts + (state IN ('pending', 'in flight', 'unknown')),"
    " state = CASE WHEN state IN ('pending', 'in flight', 'unknown') THEN 'in flight' ELSE state END WHERE key = ?"
)
_BEGIN_FAILED_TOO = _BEGIN.replace("'unknown'", "'unknown', 'failed'")
_SETTLE = "UPDATE items SET state = ?, result = ?, error = ? WHERE key = ?"
_CLAIM = "INSERT OR IGNORE INTO claims (name, place) VALUES (?, ?)"


def encoded(name: str, value: object) -> str:
    """A value as JSON in plain ASCII, which holds lone surrogates and NUL; ArgumentError if JSON cannot hold it."""
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        # Without the cause: its text may show the value.
        msg = f"{name} must be something that JSON can hold"
        raise ArgumentError(msg) from None


class Store:
    """An open journal file; one thread at a time may use it.

    Every method but `close` belongs into a `transaction`. One that raises an `SdkError` has changed nothing.
    """

    def __init__(self, path: Path, job: str, facts: Mapping[str, str], *, check: bool) -> None:
        self._connection = connect(path, "mode=rw")
        try:
            self.notes = self._open(path, job, facts, check=check)
        except BaseException:
            self._connection.close()
            raise
        self._unpublished = False

    def close(self) -> None:
        """Release the file; what is committed stays, whatever happens here."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All that is done inside is on the disk afterwards, or nothing of it is."""
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            # After some failures SQLite has rolled back by itself.
            with suppress(sqlite3.Error):
                self._execute("ROLLBACK")
            raise
        if self._unpublished:
            # Out of the log and into the file proper, where they can be read while the file is locked.
            self._execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._unpublished = False

    def note(self, notes: Mapping[str, object]) -> None:
        """Add to the notes."""
        self._write_notes({**self.notes, **notes})

    def add(self, rows: Sequence[Row]) -> None:
        """Make new items; JournalError if one of them exists."""
        self._execute("SAVEPOINT adding")
        try:
            self._connection.executemany(_ADD, rows).close()
        except sqlite3.IntegrityError:
            self._execute("ROLLBACK TO adding")
            msg = "an item has a key or a place that another one has already; nothing was added"
            raise JournalError(msg) from None
        self._execute("RELEASE adding")

    def claim(self, place: int, names: Sequence[str]) -> int | None:
        """Whose one of the names is already; None makes all of them this place's."""
        held = [self._one("SELECT place FROM claims WHERE name = ?", name) for name in names]
        others = [int(row[0]) for row in held if row is not None and row[0] != place]
        if others:
            # The first of them, so that the same claims get the same answer in a later run.
            return min(others)
        self._connection.executemany(_CLAIM, [(name, place) for name in names]).close()
        return None

    def find(self, key: str) -> Row | None:
        """The item of that key."""
        return cast("Row | None", self._one(_FIND, key))

    def begin(self, key: str, *, again: bool, failed: bool) -> Row:
        """Mark an item as in flight unless it is settled, and return it as it was; make it if it is new."""
        run = self._one("SELECT run FROM items WHERE key = ?", key)
        if run is None:
            self._execute(_ADD, key, None, encoded("kind", ""), "pending", 0, None, None, None)
        elif run[0] == self._run and not again:
            msg = (
                "key was given twice since the journal was opened: every item of a job needs a key of its own, and "
                "a further run of the job opens the journal anew"
            )
            raise ArgumentError(msg)
        row = cast("Row", self.find(key))
        self._execute(_BEGIN_FAILED_TOO if failed else _BEGIN, self._run, key)
        return row

    def settle(self, key: str, state: str, result: str | None, error: str | None) -> None:
        """Record what became of an item."""
        if self._execute(_SETTLE, state, result, error, key) < 1:
            raise ArgumentError("key is not in the journal; an item is added or begun before it is settled")

    def counts(self) -> list[tuple[str, str, int]]:
        """How many items there are of each kind and state."""
        return self._all("SELECT kind, state, count(*) FROM items GROUP BY kind, state")

    def page(self, states: Sequence[str], since: int) -> list[Row]:
        """The next items from a place on; no states: all of them."""
        if not states:
            return self._all(_READ, since)
        # One by one, so that each is read by the index, in order.
        parts = " UNION ALL ".join(_READ_STATE for _ in states)
        values = [value for state in states for value in (state, since)]
        return self._all(f"{parts} ORDER BY place LIMIT {_PAGE}", *values)

    def start_over(self) -> None:
        """Forget all items, claims and notes."""
        self._execute("DELETE FROM items")
        self._execute("DELETE FROM claims")
        self._write_notes({})

    def _open(self, path: Path, job: str, facts: Mapping[str, str], *, check: bool) -> dict[str, object]:
        for name, value in (("locking_mode", "EXCLUSIVE"), ("journal_mode", "WAL"), ("synchronous", "FULL")):
            self._execute(f"PRAGMA {name} = {value}")
        self._execute("BEGIN EXCLUSIVE")
        header = header_of(self._connection, path)
        if header is None:
            for statement in _TABLES:
                self._execute(statement)
            self._execute(_HEADER, FORMAT, encoded("job", job), encoded("facts", dict(facts)))
        elif check and self._all("PRAGMA integrity_check(1)") != [("ok",)]:
            raise damaged(path)
        else:
            compare(path, header, job, facts)
        self._execute("UPDATE header SET runs = runs + 1")
        ((self._run,),) = self._all("SELECT runs FROM header")
        self._execute("COMMIT")
        self._execute("PRAGMA wal_checkpoint(PASSIVE)")
        return {} if header is None else header[2]

    def _write_notes(self, notes: dict[str, object]) -> None:
        self._execute("UPDATE header SET notes = ?", encoded("notes", notes))
        self.notes = notes
        self._unpublished = True

    def _execute(self, statement: str, *values: object) -> int:
        with closing(self._connection.execute(statement, values)) as cursor:
            return cursor.rowcount

    def _one(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        return one(self._connection, statement, *values)

    def _all(self, statement: str, *values: object) -> list[Any]:
        with closing(self._connection.execute(statement, values)) as cursor:
            return cursor.fetchall()


def open_store(path: Path, job: str, facts: Mapping[str, str], *, check: bool = True) -> Store:
    """Make the file or open it, and lock it; JournalError if that cannot be done."""
    place = followed(path)
    try:
        make_file(place)
        # Before it is opened for writing: a file that is not a journal stays untouched.
        check_file(place)
        if place.stat().st_mode & 0o077:
            place.chmod(0o600)
        check_log(place)
        return Store(place, job, facts, check=check)
    except (sqlite3.Error, OSError) as error:
        raise explained(place, error) from None


@attrs.define(eq=False)
class _Work(Generic[T]):
    """What one caller wants done with the file, and what came of it."""

    do: Callable[[Store], T]
    result: T | None = None
    refusal: SdkError | None = None
    committed: bool = False

    def carry_out(self, store: Store) -> None:
        try:
            self.result = self.do(store)
        except SdkError as error:
            # It has changed nothing, and concerns nobody else in the transaction.
            self.refusal = error

    def outcome(self) -> T:
        if self.refusal is not None:
            raise self.refusal
        return cast("T", self.result)


class Desk:
    """Group commit: whoever gets its turn first carries out all that has gathered, in one transaction, in a thread.

    Whoever comes next finds its work done, or carries out what has gathered meanwhile. The work lies in the queue until
    a thread takes it, and the threads wait for each other: so it makes no difference when a caller is cancelled,
    even by asyncio itself, which leaves a thread to go on by itself.
    """

    def __init__(self, path: Path, opening: Callable[[], Store]) -> None:
        self._path = path
        self._opening = opening
        self._queue: deque[_Work[object]] = deque()
        self._turn = anyio.Lock(fast_acquire=True)
        self._one_thread = threading.Lock()
        # Of its own: threads of the caller's that wait for the journal must not keep it from getting one.
        self._threads = anyio.CapacityLimiter(2)
        self._store: Store | None = None
        self._closing = False
        self._broken = ""

    @property
    def notes(self) -> dict[str, object]:
        """The notes as they stand in the file."""
        return {} if self._store is None else self._store.notes

    async def open(self) -> None:
        """Make or open the file; JournalError if that cannot be done."""
        try:
            await self._in_thread(self._open)
        except BaseException:
            # A thread that was left alone may still open the file.
            await self.close()
            raise

    async def close(self) -> None:
        """Carry out what is still in the queue, and release the file."""
        self._closing = True
        # A task that asyncio itself cancels leaves its thread alone, but waits for other tasks: or the file would
        # still be locked when the caller opens it again.
        async with anyio.create_task_group() as group:
            group.start_soon(self._in_thread, self._close)

    async def submit(self, do: Callable[[Store], T]) -> T:
        """Have something done with the file, and wait until it is on the disk."""
        if self._closing:
            raise closed(self._path)
        work = _Work(do)
        self._queue.append(cast("_Work[object]", work))
        async with self._turn:
            if not work.committed:
                await self._in_thread(self._carry_out)
        if not work.committed:
            raise JournalError(self._broken)
        return work.outcome()

    async def _in_thread(self, function: Callable[[], None]) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(function, limiter=self._threads)

    def _open(self) -> None:
        with self._one_thread:
            if not self._closing:
                self._store = self._opening()

    def _close(self) -> None:
        self._carry_out()
        with self._one_thread:
            if self._store is not None:
                self._store.close()

    def _carry_out(self) -> None:
        with self._one_thread:
            batch = [self._queue.popleft() for _ in range(len(self._queue))]
            if self._store is None or self._broken or not batch:
                return
            try:
                with self._store.transaction():
                    for work in batch:
                        work.carry_out(self._store)
            except Exception as error:  # noqa: BLE001 - whatever it is, the file cannot be relied on to take more
                self._broken = (
                    f"{self._path} cannot be written or read any more ({reason(error)}): the disk may be full or "
                    "failing; what was recorded before stays, and the job can be resumed once there is room"
                )
                return
            for work in batch:
                work.committed = True


def closed(path: Path) -> JournalError:
    """What is said about a journal that is not open."""
    return JournalError(f"{path} is not open; use the journal inside `async with`")
