"""From one journal to many and back: listing items, cutting them into shards, taking in what became of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import anyio.to_thread
import attrs

from klickdoxie_core.bulk import bulk
from klickdoxie_core.entry import UNSETTLED, Entry, State
from klickdoxie_core.errors import ArgumentError, ConfigError, JournalError
from klickdoxie_core.journal import Journal, fingerprint, read_header, states_in
from klickdoxie_core.journal_store import encoded
from klickdoxie_core.journaled import check_again
from klickdoxie_core.sharding.shard import Shard, Work, path_of

T = TypeVar("T")

_CHUNK: Final = 500
# What so many tasks ask of a journal is written together.
_TOGETHER: Final = 200
_PARTS: Final = "parts"


@attrs.frozen(kw_only=True)
class _Listed:
    """What a journal notes about its list.

    Attributes:
        items: How many are listed, or were about to be when the list was broken off.
        digest: What tells them from all others, with their keys.
        whole: There are no more.
    """

    items: int = 0
    digest: str = ""
    whole: bool = False


@asynccontextmanager
async def reopened(path: str | Path) -> AsyncGenerator[Journal]:
    """Open a journal that is there, whatever job it belongs to.

    Raises:
        ConfigError: There is none.
        JournalError: It is damaged, or in use.
    """
    header = await anyio.to_thread.run_sync(read_header, path)
    if header is None:
        msg = (
            f"there is no journal {path} on this machine; shards need a folder that every machine has at the same place"
        )
        raise ConfigError(msg)
    job, facts, _ = header
    async with Journal(path, job=job, facts=facts) as journal:
        yield journal


async def enlist(
    journal: Journal, items: Iterable[T] | AsyncIterable[T], *, key: Callable[[T], str] = str
) -> Mapping[State, int]:
    """Write the items of a job into its journal, in flat memory.

    A list that was broken off goes on; one that is there is compared with the items. Within the journal an item is
    known by its number in the input, from 1, and not by what `key` says.

    Args:
        journal: The job's journal, opened.
        items: What the job is about, each something that JSON can hold, in the same order each time.
        key: What tells an item from all others. An item with the key of an earlier one is `SKIPPED`.

    Returns:
        How many items stand where.

    Raises:
        ArgumentError: JSON cannot hold an item.
        JournalError: The journal was made from other items, or it cannot be written.
    """
    listed = _listed(journal.notes)
    known = sum((await journal.counts()).values())
    number, digest = 0, ""
    async with aclosing(_chunks(items)) as chunks:
        async for first, chunk in chunks:
            number, keys = first + len(chunk) - 1, [key(item) for item in chunk]
            digest = _digest(digest, keys, chunk)
            if first > listed.items and not listed.whole:
                # Before the items, so that those of a run that is broken off are never without it.
                listed = _Listed(items=number, digest=digest)
                await journal.note(enlisted=attrs.asdict(listed))
            _compare(journal, listed, number, digest)
            if first > known:
                await _add(journal, first, chunk, keys)
    if number != listed.items:
        raise _made_from_others(journal)
    if not listed.whole:
        await journal.note(enlisted=attrs.asdict(attrs.evolve(listed, whole=True)))
    return dict(await states_in(journal))


async def split(
    journal: Journal,
    folder: str | Path,
    *,
    shards: int,
    work: Work | str,
    options: Mapping[str, object] | None = None,
    concurrency: int = 16,
    again: Collection[State] = (),
) -> list[Shard]:
    """Cut what is left of a job into shards, each with a journal of its own.

    Until `merge`, the items count as in flight in the job's own journal. Called again for a job whose shards were not
    merged yet, it returns the same shards, whatever became of them.

    Args:
        journal: The job's journal, opened.
        folder: Where the journals of the shards go; every machine has it at the same place. It is made if it is not
            there, and holds what the job's journal holds, personal data too.
        shards: How many to make at the most.
        work: What is done with a shard: a function at the top of a module, or its import path.
        options: What the function has to know besides; nothing secret.
        concurrency: How many items of a shard are under way at once.
        again: States whose items are sent anew, as if nobody had tried yet: FAILED after the cause was mended; UNKNOWN
            only where doing it twice is harmless or was ruled out by hand. Shards that are there already stay as they
            are.

    Returns:
        The shards; none if nothing is left.

    Raises:
        ArgumentError: `shards` or `concurrency` is below 1, `again` holds another state, JSON cannot hold the options,
            or the function cannot be imported.
        ConfigError: There is no function under the import path.
        JournalError: A journal cannot be written, or one of another job is in its place.
    """
    if shards < 1 or concurrency < 1:
        raise ArgumentError("shards and concurrency must be whole numbers from 1")
    check_again(again)
    path = path_of(work)
    if journal.notes.get(_PARTS) is None:
        await _cut(journal, _made(folder), shards, again)
    # In flight elsewhere: a run of the job itself would not send them again, just as after a crash.
    waiting = journal.entries(*_taken(journal.notes))
    await _each(waiting, lambda entry: journal.begin(entry.key, again=True, failed=True))
    parts = _parts(journal)
    return [
        Shard(
            number=number,
            of=len(parts),
            items=items,
            journal=str(part),
            work=path,
            options=dict(options or {}),
            concurrency=concurrency,
        )
        for number, (part, items) in enumerate(parts.items(), start=1)
    ]


async def merge(journal: Journal) -> Mapping[State, int]:
    """Take in what became of the shards, and remove their journals. Broken off, it can be called again.

    Args:
        journal: The job's journal, opened, from which the shards were cut. What failed or may have arrived stands
            in it in the order of the input: `journal.entries(State.FAILED, State.UNKNOWN, State.IN_FLIGHT)`.

    Returns:
        How many items of the job stand where.

    Raises:
        ConfigError: The journal of a shard is not there.
        JournalError: A journal is damaged, or in use by a shard that is still run.
    """
    parts = _parts(journal)
    for part in parts:
        async with reopened(part) as source:
            await _each(source.entries(), partial(_take_in, journal))
    await journal.note(**{_PARTS: None})
    await anyio.to_thread.run_sync(_remove, list(parts))
    return dict(await states_in(journal))


def _listed(notes: Mapping[str, object]) -> _Listed:
    return _Listed(**cast("Mapping[str, Any]", notes.get("enlisted") or {}))


def _digest(before: str, keys: Sequence[object], chunk: Sequence[object]) -> str:
    """A digest of all items so far: of those before, and of a chunk with its keys."""
    return fingerprint(before, *(encoded("item", pair) for pair in zip(keys, chunk, strict=True)))


def _compare(journal: Journal, listed: _Listed, number: int, digest: str) -> None:
    """Raise JournalError if the first items, so many, are not those of the list."""
    if number > listed.items or (number == listed.items and digest != listed.digest):
        raise _made_from_others(journal)


def _made_from_others(journal: Journal) -> JournalError:
    return JournalError(
        f"{journal.path} was made from other items; give those that it was made from, in the same order, or another "
        "journal"
    )


async def _add(journal: Journal, first: int, chunk: list[T], keys: Sequence[str]) -> None:
    earlier = await journal.claim([(place, [key]) for place, key in enumerate(keys, start=first)])
    await journal.add(
        [_entry(place, item, twin) for place, (item, twin) in enumerate(zip(chunk, earlier, strict=True), start=first)]
    )


def _entry(place: int, item: object, twin: int | None) -> Entry:
    if twin is None:
        return Entry(key=str(place), place=place, payload=item)
    error = {"code": "duplicate", "message": f"it has the same key as item {twin}"}
    return Entry(key=str(place), place=place, payload=item, state=State.SKIPPED, error=error)


async def _cut(journal: Journal, folder: Path, shards: int, again: Collection[State]) -> None:
    states = {*UNSETTLED, *again}
    left = sum(number for state, number in (await states_in(journal)).items() if state in states)
    size = -(-left // shards)
    sizes: list[int] = []
    async with aclosing(_anew(journal.entries(*states), again)) as entries:
        for start in range(0, left, size or 1):
            sizes.append(min(size, left - start))
            await _fill(journal, folder / _name(len(sizes)), entries, sizes[-1])
    if sizes:
        await journal.note(**{_PARTS: {"folder": str(folder), "sizes": sizes, "again": sorted(again)}})


async def _anew(entries: AsyncGenerator[Entry], again: Collection[State]) -> AsyncGenerator[Entry]:
    """The entries, and those in some states as if nobody had tried yet."""
    async with aclosing(entries):
        async for entry in entries:
            yield attrs.evolve(entry, state=State.PENDING, error=None) if entry.state in again else entry


async def _fill(journal: Journal, part: Path, entries: AsyncGenerator[Entry], size: int) -> None:
    """Write the next entries into the journal of a shard, which is otherwise as the job's."""
    async with Journal(part, job=journal.job, facts=journal.facts) as made:
        # Left over from a run that was broken off before it had shards.
        await made.start_over()
        chunk: list[Entry] = []
        while size:
            chunk.append(await anext(entries))
            size -= 1
            if len(chunk) == _CHUNK or not size:
                await made.add(chunk)
                chunk = []
        await made.note(**journal.notes)


def _parts(journal: Journal) -> Mapping[Path, int]:
    """The journals of the shards, and how many items each has."""
    parts = cast("Mapping[str, Any]", journal.notes.get(_PARTS) or {"folder": "", "sizes": ()})
    return {Path(parts["folder"], _name(number)): size for number, size in enumerate(parts["sizes"], start=1)}


def _taken(notes: Mapping[str, object]) -> Collection[State]:
    """The states of items that are in a shard, but not yet in flight in the job's own journal."""
    parts = cast("Mapping[str, Any]", notes.get(_PARTS) or {})
    return {State.PENDING, State.UNKNOWN, *map(State, parts.get("again", ()))}


def _made(folder: str | Path) -> Path:
    place = Path(folder).absolute()
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _remove(parts: Sequence[Path]) -> None:
    for part in parts:
        # With all that the work has put beside it.
        for file in part.parent.glob(f"{part.name}*"):
            file.unlink()


def _name(number: int) -> str:
    return f"part-{number:04}.journal"


async def _take_in(journal: Journal, entry: Entry) -> None:
    await journal.settle(entry.key, entry.state, result=entry.result, error=entry.error)


async def _each(entries: AsyncGenerator[Entry], do: Callable[[Entry], Awaitable[object]]) -> None:
    """Do something with each entry, many at a time; the first error is raised."""
    async with aclosing(entries), bulk(do, entries, concurrency=_TOGETHER) as outcomes:
        async for outcome in outcomes:
            outcome.unwrap()


async def _chunks(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[tuple[int, list[T]]]:
    """The items, some at a time, with the number of the first."""
    chunk: list[T] = []
    first = 1
    async with aclosing(_one_by_one(items)) as source:
        async for item in source:
            chunk.append(item)
            if len(chunk) == _CHUNK:
                yield first, chunk
                first, chunk = first + _CHUNK, []
    if chunk:
        yield first, chunk


async def _one_by_one(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
