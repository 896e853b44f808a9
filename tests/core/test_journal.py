"""The journal of a bulk job: what is written down, and what is read back."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, aclosing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core.errors import ArgumentError, JournalError
from klickdoxie_core.journal import Entry, Journal, State, fingerprint, read_header
from klickdoxie_core.journal_store import Desk, Store

pytestmark = pytest.mark.anyio

ODD_KEYS = [
    "Jürgen Groß",
    "a;b;c",
    "nul\0nul",
    "\ud800",
    "\udcfc.csv",
    "",
    "'\"\\",
    "👩‍👩‍👧",
    "zeile\r\nzwei",
    "x" * 10_000,
]
SETTLED = [State.DONE, State.FAILED, State.SKIPPED]
OPEN = [State.PENDING, State.IN_FLIGHT, State.UNKNOWN]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a test is made."""
    return tmp_path / "versand für März.journal"


@pytest.fixture
def journal(path: Path) -> Journal:
    """A journal that is not open yet."""
    return opening(path)


def opening(path: Path) -> Journal:
    """The same journal once more."""
    return Journal(path, job="test", facts={"input": "1"})


async def found(journal: Journal, key: str) -> Entry:
    """The item of that key, which is there."""
    entry = await journal.find(key)
    assert entry is not None
    return entry


async def keys(journal: Journal, *states: State, since: int = 0) -> list[str]:
    """The keys of the items, as they are read."""
    return [entry.key async for entry in journal.entries(*states, since=since)]


def modes(folder: Path) -> dict[str, int]:
    """What is in a folder, and who may read it."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.mark.parametrize("state", OPEN)
async def test_an_item_that_is_not_settled_goes_in_flight(journal: Journal, state: State) -> None:
    """It is told as it was before, and counted as one attempt more."""
    async with journal:
        await journal.add([Entry(key="a", place=7, kind="mail", state=state, attempts=2, payload={"to": "ü"})])
        before = await journal.begin("a")
        assert before == Entry(key="a", place=7, kind="mail", state=state, attempts=2, payload={"to": "ü"})
        after = await found(journal, "a")
        assert (after.state, after.attempts, after.payload) == (State.IN_FLIGHT, 3, {"to": "ü"})


@pytest.mark.parametrize("state", SETTLED)
async def test_an_item_that_is_settled_stays_so(journal: Journal, state: State) -> None:
    """An earlier run has dealt with it."""
    entry = Entry(key="a", place=1, state=state, attempts=1, result=[1, None, "ß"], error={"code": "4"})
    async with journal:
        await journal.add([entry])
        assert await journal.begin("a") == entry
        assert await journal.find("a") == entry


@pytest.mark.parametrize(("state", "begins"), [(State.DONE, False), (State.FAILED, True), (State.SKIPPED, False)])
async def test_a_failed_item_goes_in_flight_where_that_is_wanted(path: Path, state: State, begins: bool) -> None:
    """On the disk before its call, and told as it was; what is settled otherwise stays so."""
    entry = Entry(key="a", place=1, state=state, attempts=1, error={"code": "4"})
    async with opening(path) as journal:
        await journal.add([entry])
        assert await journal.begin("a", failed=True) == entry
    async with opening(path) as journal:
        after = await found(journal, "a")
    assert (after.state, after.attempts) == ((State.IN_FLIGHT, 2) if begins else (state, 1))


async def test_a_new_key_becomes_an_item(journal: Journal) -> None:
    """A job that does not plan ahead has nothing to add."""
    async with journal:
        assert await journal.begin("a") == Entry(key="a", place=1)
        assert await journal.begin("b") == Entry(key="b", place=2)
        assert await journal.counts() == {("", State.IN_FLIGHT): 2}


@pytest.mark.parametrize("state", [*OPEN, *SETTLED])
async def test_a_key_is_begun_once_in_a_run(path: Path, state: State) -> None:
    """Two items with one key are told, unless the job says that it is the same item; the next run begins it anew."""
    async with opening(path) as journal:
        await journal.begin("anna@example.org")
        await journal.settle("anna@example.org", state)
        with pytest.raises(ArgumentError, match="key was given twice") as raised:
            await journal.begin("anna@example.org")
        assert "anna" not in repr(raised.value)
        assert (await journal.begin("anna@example.org", again=True)).state is state
    async with opening(path) as journal:
        await journal.begin("anna@example.org")


@pytest.mark.parametrize("state", State)
async def test_what_became_of_an_item_is_kept(path: Path, state: State) -> None:
    """State, result and error are there when the journal is opened again."""
    async with opening(path) as journal:
        await journal.begin("a")
        await journal.settle("a", state, result={"id": 7}, error={"code": "406/4", "message": "nö"})
    async with opening(path) as journal:
        assert await found(journal, "a") == Entry(
            key="a", place=1, state=state, attempts=1, result={"id": 7}, error={"code": "406/4", "message": "nö"}
        )


async def test_a_later_outcome_replaces_the_earlier_one(journal: Journal) -> None:
    """Nothing of the old one is left."""
    async with journal:
        await journal.begin("a")
        await journal.settle("a", State.UNKNOWN, error="lost")
        await journal.settle("a", State.DONE, result=5)
        assert await found(journal, "a") == Entry(key="a", place=1, state=State.DONE, attempts=1, result=5)


async def test_only_an_item_can_be_settled(journal: Journal) -> None:
    """A key that nobody knows is a mistake of the job's."""
    async with journal:
        with pytest.raises(ArgumentError, match="key is not in the journal") as raised:
            await journal.settle("anna@example.org", State.DONE)
        assert "anna" not in repr(raised.value)
        assert await journal.find("anna@example.org") is None


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_any_text_is_a_key(path: Path, key: str) -> None:
    """It comes back as it was, and stands for itself only."""
    async with opening(path) as journal:
        await journal.add([Entry(key="other"), Entry(key=key, kind=key, payload={key: [key]}, error=key)])
        await journal.begin(key)
        assert await journal.claim([(1, [key]), (2, [key])]) == [None, 1]
    async with opening(path) as journal:
        entry = await found(journal, key)
        assert (entry.key, entry.kind, entry.payload, entry.error, entry.attempts) == (key, key, {key: [key]}, key, 1)
        assert (await found(journal, "other")).attempts == 0


@pytest.mark.parametrize("value", [1j, {1, 2}, b"bytes", {("a",): 1}, [1j]], ids=repr)
async def test_what_json_cannot_hold_is_refused(journal: Journal, value: object) -> None:
    """The text names the argument, and the item stays as it was."""
    async with journal:
        await journal.begin("a")
        with pytest.raises(ArgumentError, match="result must be something that JSON can hold"):
            await journal.settle("a", State.DONE, result=value)
        with pytest.raises(ArgumentError, match="payload must"):
            await journal.add([Entry(key="b"), Entry(key="c", payload=value)])
        with pytest.raises(ArgumentError, match="notes must"):
            await journal.note(a=value)
        assert journal.notes == {}
        assert await journal.counts() == {("", State.IN_FLIGHT): 1}


@pytest.mark.parametrize("place", [-1, 1 << 53, 1 << 70])
async def test_a_place_is_a_number_that_is_not_negative(journal: Journal, place: int) -> None:
    """Anything else could not be read back in order."""
    async with journal:
        with pytest.raises(ArgumentError, match="place must"):
            await journal.add([Entry(key="a", place=place)])
        with pytest.raises(ArgumentError, match="place must"):
            await journal.claim([(1, ["a"]), (place, ["b"])])
        assert await journal.claim([(2, ["a"])]) == [None]


@pytest.mark.parametrize(
    "entries",
    [
        [Entry(key="new"), Entry(key="known")],
        [Entry(key="new"), Entry(key="other", place=3)],
        [Entry(key="new"), Entry(key="new")],
        [Entry(key="new", place=9), Entry(key="other", place=9)],
    ],
)
async def test_adding_is_all_or_nothing(journal: Journal, entries: list[Entry]) -> None:
    """A key or place that exists spoils the whole addition, but nothing that others do meanwhile."""
    async with journal:
        await journal.add([Entry(key="known", place=3)])
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(journal.begin, f"meanwhile {number}")
            with pytest.raises(JournalError, match="nothing was added"):
                await journal.add(entries)
        assert sorted(await keys(journal)) == ["known", *(f"meanwhile {number}" for number in range(5))]
        await journal.add([Entry(key="new"), Entry(key="other")])


async def test_entries_come_in_the_order_of_their_places(journal: Journal) -> None:
    """Whatever the order in which they were added, from any place on, in any states."""
    places = {"e": (5, State.DONE), "a": (0, State.FAILED), "c": (3, State.DONE), "d": (4, State.PENDING)}
    async with journal:
        await journal.add([Entry(key=key, place=place, state=state) for key, (place, state) in places.items()])
        assert await keys(journal) == ["a", "c", "d", "e"]
        assert await keys(journal, since=4) == ["d", "e"]
        assert await keys(journal, State.DONE) == ["c", "e"]
        assert await keys(journal, State.DONE, State.FAILED, State.DONE) == ["a", "c", "e"]
        assert await keys(journal, *State, since=1) == ["c", "d", "e"]
        assert await keys(journal, State.UNKNOWN) == []


@pytest.mark.parametrize("states", [[], [State.PENDING], [State.PENDING, State.DONE]], ids=len)
async def test_entries_are_read_while_others_write(journal: Journal, states: list[State]) -> None:
    """No item comes twice and none is passed over, whatever their number, and a reader may leave early."""
    async with journal:
        await journal.add([Entry(key=str(number), place=number) for number in range(1200)])
        seen = list[str]()
        async for entry in journal.entries(*states):
            seen.append(entry.key)
            if len(seen) % 300 == 1:
                await journal.begin(entry.key)
                await journal.settle(entry.key, State.DONE)
        assert seen == [str(number) for number in range(1200)]
        assert await journal.counts() == {("", State.PENDING): 1196, ("", State.DONE): 4}
        async with aclosing(journal.entries()) as reading:
            assert (await anext(reading)).key == "0"
        await journal.begin("1")


async def test_items_are_counted_by_kind_and_state(journal: Journal) -> None:
    """What there is none of is missing."""
    async with journal:
        assert await journal.counts() == {}
        await journal.add([Entry(key="a", kind="add"), Entry(key="b", kind="add"), Entry(key="c", kind="löschen")])
        await journal.begin("b")
        assert await journal.counts() == {
            ("add", State.PENDING): 1,
            ("add", State.IN_FLIGHT): 1,
            ("löschen", State.PENDING): 1,
        }


async def test_a_name_belongs_to_its_first_claimant(path: Path) -> None:
    """Whoever comes later gets that one's place and none of its own names; it is remembered from run to run."""
    claims = [(1, ["a", "b"]), (2, ["c", "b"]), (3, ["c"]), (1, ["b", "d"]), (4, ["d"]), (5, []), (6, ["e", "e"])]
    async with opening(path) as journal:
        assert await journal.claim(claims) == [None, 1, None, None, 1, None, None]
    async with opening(path) as journal:
        assert await journal.claim(claims) == [None, 1, None, None, 1, None, None]
        assert await journal.claim([(7, ["new", "c"]), (8, ["new"])]) == [3, None]


async def test_notes_are_kept(path: Path) -> None:
    """They are added to one by one, and there from the beginning of the next run."""
    async with opening(path) as journal:
        assert journal.notes == {}
        await journal.note(planned=True, separator=";")
        await journal.note(planned=False, names=["ä"])
        assert journal.notes == {"planned": False, "separator": ";", "names": ["ä"]}
    async with opening(path) as journal:
        assert journal.notes == {"planned": False, "separator": ";", "names": ["ä"]}


async def test_a_journal_can_start_over(path: Path) -> None:
    """Items, claims and notes are gone; job and facts stay."""
    async with opening(path) as journal:
        await journal.begin("a")
        await journal.claim([(1, ["a"])])
        await journal.note(planned=True)
        await journal.start_over()
        assert (journal.notes, await journal.counts()) == ({}, {})
        assert await journal.claim([(2, ["a"])]) == [None]
        assert (await journal.begin("a")).attempts == 0
    assert read_header(path) == ("test", {"input": "1"}, {})


async def test_the_header_can_be_read_at_any_time(path: Path) -> None:
    """No file has none; the one of a running job has the notes so far."""
    assert read_header(path) is None
    async with opening(path) as journal:
        assert read_header(str(path)) == ("test", {"input": "1"}, {})
        await journal.note(planned=True)
        assert read_header(path) == ("test", {"input": "1"}, {"planned": True})
    assert read_header(path) == ("test", {"input": "1"}, {"planned": True})


async def test_one_private_file_is_left(tmp_path: Path, path: Path, journal: Journal) -> None:
    """Nobody but its owner can read it, nor what stands beside it while it is open."""
    async with journal:
        await journal.begin("a")
        assert modes(tmp_path).pop("versand für März.journal-wal") == 0o600
    assert modes(tmp_path) == {path.name: 0o600}


async def test_a_journal_works_only_while_it_is_open(path: Path, journal: Journal) -> None:
    """Before and after, every method says so; it can be opened again."""
    everything: list[Callable[[], Awaitable[object]]] = [
        partial(journal.note, a=1),
        partial(journal.add, [Entry(key="a")]),
        partial(journal.claim, [(1, ["a"])]),
        partial(journal.find, "a"),
        partial(journal.begin, "a"),
        partial(journal.settle, "a", State.DONE),
        journal.counts,
        partial(keys, journal),
        journal.start_over,
    ]

    async def refused() -> None:
        for method in everything:
            with pytest.raises(JournalError, match="is not open; use the journal inside"):
                await method()

    await refused()
    async with journal:
        await journal.note(a=1)
    await refused()
    assert journal.notes == {"a": 1}
    async with journal:
        assert await journal.counts() == {}


class Door:
    """A lock that is shut at first, and counts who has come and who has gone."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.come = self.gone = 0

    def __enter__(self) -> None:
        self.come += 1
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
        self.gone += 1

    async def until(self, *, come: int = 0, gone: int = 0) -> None:
        """Wait until so many threads were there."""
        with anyio.fail_after(5):
            while self.come < come or self.gone < gone:
                await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_thread_that_was_left_alone_opens_nothing(path: Path) -> None:
    """A thread that asyncio leaves alone goes on; what it comes to after the cancellation must not lock the file."""
    opened: list[str] = []

    def open_it() -> Any:
        opened.append("opened")

    desk: Any = Desk(path, open_it)
    desk._one_thread = door = Door()
    task = asyncio.create_task(desk.open())
    await door.until(come=1)
    task.cancel()
    await door.until(come=2)
    door.lock.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The one that opens, and twice the one that closes.
    await door.until(gone=3)
    assert opened == []


async def test_what_is_asked_together_is_written_together(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen items take a few transactions, not sixteen."""
    transactions = list[Store]()
    transaction = Store.transaction

    def counted(store: Store) -> AbstractContextManager[None]:
        transactions.append(store)
        return transaction(store)

    monkeypatch.setattr(Store, "transaction", counted)
    async with journal:
        async with anyio.create_task_group() as group:
            for number in range(16):
                group.start_soon(journal.begin, str(number))
        assert len(transactions) <= 3
        assert await journal.counts() == {("", State.IN_FLIGHT): 16}


async def test_many_tasks_use_one_journal(journal: Journal) -> None:
    """Each gets what it asked for."""
    seen = list[tuple[str, str]]()

    async def work(number: int) -> None:
        for step in range(10):
            key = f"{number}/{step}"
            entry = await journal.begin(key)
            await journal.settle(key, State.DONE, result=key)
            seen.append((key, entry.key))

    async with journal:
        async with anyio.create_task_group() as group:
            for number in range(16):
                group.start_soon(work, number)
        assert len(seen) == 160
        assert all(asked == got for asked, got in seen)
        assert all([entry.result == entry.key async for entry in journal.entries(State.DONE)])


@pytest.mark.parametrize("facts", [None, {}, {"input": "ä", "mapping": ""}])
async def test_the_same_facts_fit(path: Path, facts: Mapping[str, str] | None) -> None:
    """Whatever they are, their order does not matter."""
    async with Journal(str(path), job="jöb", facts=facts) as journal:
        assert (journal.path, journal.job, journal.facts) == (path, "jöb", facts or {})
    async with Journal(path, job="jöb", facts=dict(reversed(list((facts or {}).items())))):
        pass


def test_a_fingerprint_tells_contents_apart(tmp_path: Path) -> None:
    """Files and texts count by what is in them, and by where one ends and the next begins."""
    file = tmp_path / "kontakte.csv"
    file.write_bytes("E-Mail;Größe\r\n".encode("cp1252") * 10_000)
    same = fingerprint(file)
    assert same == fingerprint(file.read_bytes()) == fingerprint(Path(str(file)))
    assert len(same) == 64
    others: list[tuple[Any, ...]] = [
        ("a", "b"),
        ("ab",),
        ("a", "b", ""),
        ("b", "a"),
        (),
        ("",),
        ("\ud800",),
        (str(file),),
    ]
    assert len({same, *(fingerprint(*parts) for parts in others)}) == len(others) + 1
    assert fingerprint("ü") == fingerprint("ü".encode())
    with pytest.raises(FileNotFoundError):
        fingerprint(tmp_path / "missing")
