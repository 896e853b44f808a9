"""A record of a bulk job that survives whatever ends the program: what was begun, and what became of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar, cast

from klickdoxie_core import journal_check
from klickdoxie_core.entry import Entry, State
from klickdoxie_core.errors import ArgumentError
from klickdoxie_core.journal_store import Desk, Row, Store, closed, encoded, open_store

T = TypeVar("T")

_HIGHEST_PLACE = 1 << 53
_CHUNK = 1 << 16


class Journal:
    """The journal of one job, in one file: `async with Journal("send.journal", job="doxie send") as journal: …`.

    What a method has recorded is on the disk when it returns. Many tasks may use it at once: what they ask for while
    the disk is busy is written together. It never holds a secret, but the keys and payloads of the job; the file can
    be read by its owner only.

    Every method raises JournalError before the journal is opened, after it was closed, and for good once it could not
    be written or read: what the file then says is still true, and the job can be resumed with it.

    Args:
        path: Where it is, or is to be made.
        job: What kind of job it is.
        facts: What must be the same when the journal is opened again, by name, such as the input's fingerprint.
        check: False opens it without looking for damage everywhere in the file, which takes the longer the larger it
            is: for one that this process has checked before.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, job: str, facts: Mapping[str, str] | None = None, check: bool = True
    ) -> None:
        self.path = Path(path)
        self.job = job
        self.facts: Mapping[str, str] = MappingProxyType(dict(facts or {}))
        self._check = check
        self._desk: Desk | None = None

    async def __aenter__(self) -> Self:
        """Make the file, or open an existing one.

        Raises:
            JournalError: It is damaged, in use, made by another job or from other facts, or not a journal at all.
        """
        desk = Desk(self.path, partial(open_store, self.path, self.job, self.facts, check=self._check))
        await desk.open()
        self._desk = desk
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._desk is not None:
            await self._desk.close()

    @property
    def notes(self) -> Mapping[str, object]:
        """The job's own notes."""
        notes = {} if self._desk is None else self._desk.notes
        return MappingProxyType(notes)

    async def note(self, **notes: object) -> None:
        """Add to the notes, or replace some: anything JSON can hold."""
        await self._submit(lambda store: store.note(notes))

    async def add(self, entries: Sequence[Entry]) -> None:
        """Add new items, all or none.

        Raises:
            JournalError: One of the keys or places exists already.
        """
        await self._submit(lambda store: store.add([_row(entry) for entry in entries]))

    async def claim(self, claims: Sequence[tuple[int, Sequence[str]]]) -> list[int | None]:
        """Find items that share a name.

        Args:
            claims: Places, each with the names that it wants for itself.

        Returns:
            For each in order: the lowest other place that has claimed one of the names before, and then none of them
            is recorded for this one; or None, and then all of them are this place's from now on.
        """

        def work(store: Store) -> list[int | None]:
            encoded_claims = [(_checked(place), [encoded("name", name) for name in names]) for place, names in claims]
            return [store.claim(place, names) for place, names in encoded_claims]

        return await self._submit(work)

    async def find(self, key: str) -> Entry | None:
        """The item of that key; None if there is none."""

        def work(store: Store) -> Entry | None:
            row = store.find(encoded("key", key))
            return None if row is None else _entry(row)

        return await self._submit(work)

    async def begin(self, key: str, *, again: bool = False, failed: bool = False) -> Entry:
        """Write down that an item is about to be sent.

        An item that is pending, in flight or unknown is in flight from now on, once more; one that is done, failed or
        skipped stays as it is. A key that is not in the journal yet becomes an item.

        Args:
            key: The item's key.
            again: Permits a key that was begun since the journal was opened.
            failed: An item that is failed goes in flight, too.

        Returns:
            The item as it was before, which tells what an earlier run has done with it.

        Raises:
            ArgumentError: The key was begun since the journal was opened: two items have the same one, or the job is
                run again without opening the journal anew.
        """
        return await self._submit(lambda store: _entry(store.begin(encoded("key", key), again=again, failed=failed)))

    async def settle(self, key: str, state: State, *, result: object = None, error: object = None) -> None:
        """Write down what became of an item.

        Args:
            key: The item's key.
            state: Where it stands now.
            result: What is to be kept of its result: anything JSON can hold.
            error: Why it failed: likewise.

        Raises:
            ArgumentError: There is no such item, or JSON cannot hold the result or the error.
        """
        await self._submit(
            lambda store: store.settle(
                encoded("key", key), state.value, _optional("result", result), _optional("error", error)
            )
        )

    async def counts(self) -> Mapping[tuple[str, State], int]:
        """How many items there are, by kind and state; what there is none of is missing."""
        rows = await self._submit(lambda store: store.counts())
        return {(json.loads(kind), State(state)): number for kind, state, number in rows}

    async def entries(self, *states: State, since: int = 0) -> AsyncGenerator[Entry, None]:
        """The items in these states, in the order of their places; no states: all items.

        They are read bit by bit, so that an item is told as it stands when its turn comes.

        Args:
            states: Where the items stand.
            since: The first place.
        """
        names = [state.value for state in dict.fromkeys(states)]
        while page := await self._submit(partial(_page, names, since)):
            for entry in page:
                yield entry
            since = cast("int", page[-1].place) + 1

    async def start_over(self) -> None:
        """Forget all items, claims and notes."""
        await self._submit(lambda store: store.start_over())

    async def _submit(self, do: Callable[[Store], T]) -> T:
        if self._desk is None:
            raise closed(self.path)
        return await self._desk.submit(do)


async def states_in(journal: Journal) -> Counter[State]:
    """How many items of an open journal are in each state, of whatever kind."""
    states = Counter[State]()
    for (_, state), number in (await journal.counts()).items():
        states[state] += number
    return states


def fingerprint(*parts: Path | str | bytes) -> str:
    """A number in hexadecimal that is the same for the same contents of files and the same texts only.

    Args:
        parts: A path stands for what is in the file; a text or bytes stand for themselves.

    Raises:
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as file:
                digest.update(os.fstat(file.fileno()).st_size.to_bytes(8))
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        else:
            data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8))
            digest.update(data)
    return digest.hexdigest()


def read_header(path: str | os.PathLike[str]) -> tuple[str, Mapping[str, str], Mapping[str, object]] | None:
    """What a journal is about, read also while a job is using it; reads the disk.

    After a kill, or when the disk was full, the file is mended first, as by opening the journal.

    Returns:
        The job, the facts that it was made from, and its notes; None if there is no file, or nothing in it yet.

    Raises:
        JournalError: The file is not a journal, it is damaged, or a job is using it and has it half written.
    """
    return journal_check.read_header(path)


def _page(states: Sequence[str], since: int, store: Store) -> list[Entry]:
    return [_entry(row) for row in store.page(states, since)]


def _entry(row: Row) -> Entry:
    key, place, kind, state, attempts, *values = row
    payload, result, error = (None if value is None else json.loads(value) for value in values)
    return Entry(
        key=json.loads(key),
        place=place,
        kind=json.loads(kind),
        state=State(state),
        attempts=attempts,
        payload=payload,
        result=result,
        error=error,
    )


def _row(entry: Entry) -> Row:
    return (
        encoded("key", entry.key),
        None if entry.place is None else _checked(entry.place),
        encoded("kind", entry.kind),
        entry.state.value,
        entry.attempts,
        _optional("payload", entry.payload),
        _optional("result", entry.result),
        _optional("error", entry.error),
    )


def _optional(name: str, value: object) -> str | None:
    return None if value is None else encoded(name, value)


def _checked(place: int) -> int:
    if not 0 <= place < _HIGHEST_PLACE:
        msg = f"place must be a whole number from 0 to {_HIGHEST_PLACE - 1}"
        raise ArgumentError(msg)
    return place
