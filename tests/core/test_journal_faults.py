"""The journal when something goes wrong around it: kills, other users, full disks, cancelled callers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import klickdoxie_core
from klickdoxie_core.errors import ConfigError, JournalError
from klickdoxie_core.journal import Entry, Journal, State, read_header
from klickdoxie_core.journal_store import Store
from tests.core.support import CANCELLATIONS, settle

pytestmark = pytest.mark.anyio

ADDRESS = "anna.müller@example.org"
Act = Callable[[], Coroutine[Any, Any, object]]
PRELUDE = """
import sys, anyio
from klickdoxie_core.journal import *
from klickdoxie_core.errors import JournalError
path = sys.argv[1]
journal = Journal(path, job="test", facts={"input": "1", "mapping": "2"})
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a test is made."""
    return tmp_path / "a.journal"


def opening(path: Path) -> Journal:
    """The same journal once more."""
    return Journal(path, job="test", facts={"input": "1", "mapping": "2"})


class Gate:
    """Keeps the disk busy until it is opened."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    async def hold(self, journal: Journal) -> None:
        """Have a thread wait at the gate, and a caller for the thread."""
        await journal._submit(self._wait)

    def _wait(self, _: Store) -> None:
        self._reached.set()
        self._opened.wait(20)

    async def reached(self) -> None:
        """Wait until a thread is there."""
        while not self._reached.is_set():
            await anyio.lowlevel.checkpoint()

    def open(self) -> None:
        """Let it go on."""
        self._opened.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that no thread outlives."""
    gate = Gate()
    yield gate
    gate.open()


def program(text: str, path: Path) -> subprocess.Popen[str]:
    """Another process that uses the journal."""
    environment = {**os.environ, "PYTHONPATH": str(Path(klickdoxie_core.__file__).parent.parent)}
    command = [sys.executable, "-c", PRELUDE + text, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def said_by(text: str, path: Path) -> str:
    """What another process prints."""
    with program(text, path) as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    return output


TRYING = """
async def main():
    async with journal:
        print("open")
try:
    anyio.run(main)
except JournalError as error:
    print(error)
"""


async def test_a_journal_has_one_user(path: Path) -> None:
    """A second one, here or in another process, is refused at once, whatever was looked at meanwhile."""
    async with opening(path) as journal:
        for _ in range(2):
            with pytest.raises(JournalError, match="is in use by another job"):
                await opening(path).__aenter__()
            with pytest.raises(JournalError, match="is in use by another job"):
                await journal.__aenter__()
            assert read_header(path) is not None
            assert "is in use by another job" in await anyio.to_thread.run_sync(said_by, TRYING, path)
        await journal.begin("a")
    assert await anyio.to_thread.run_sync(said_by, TRYING, path) == "open\n"


KILLED = """
async def main():
    async with journal:
        await journal.add([Entry(key=str(number)) for number in range(1000)])
        async with anyio.create_task_group() as group:
            for start in range(4):
                group.start_soon(work, range(start, 1000, 4))
async def work(numbers):
    for number in numbers:
        await journal.begin(str(number))
        print("begun", number, flush=True)
        await journal.settle(str(number), State.DONE, result=number)
        print("done", number, flush=True)
anyio.run(main)
"""


@pytest.mark.parametrize("lines", [1, 57])
async def test_a_kill_loses_nothing(path: Path, lines: int) -> None:
    """What was told to be begun or done is so when the job is resumed, and the lock is gone with the process."""
    with program(KILLED, path) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
    log = path.with_name(f"{path.name}-wal")
    assert log.exists()
    async with opening(path) as journal:
        for word, number in (line.split() for line in told if line.endswith("\n")):
            entry = await journal.find(number)
            assert entry is not None
            assert entry.attempts == 1
            assert entry.state in ({State.DONE} if word == "done" else {State.IN_FLIGHT, State.DONE})
        assert sum((await journal.counts()).values()) == 1000
    assert not log.exists()


async def test_every_commit_is_forced_to_the_disk(path: Path) -> None:
    """A power cut takes nothing that a caller was told of."""
    async with opening(path) as journal:
        settings = [
            await journal._submit(partial(Store._one, statement=f"PRAGMA {name}"))
            for name in ("synchronous", "journal_mode", "locking_mode")
        ]
    assert settings == [(2,), ("wal",), ("exclusive",)]


async def full(journal: Journal) -> None:
    """Let there be no room for another page."""
    await journal._submit(lambda store: store._execute("PRAGMA max_page_count = 1"))


async def test_a_full_disk_stops_the_job(path: Path) -> None:
    """Whatever does not fit, and all that comes after it, is refused; with room again, the earlier things are there."""
    big = [Entry(key=f"{number}", payload="x" * 100) for number in range(500)]
    async with opening(path) as journal:
        await journal.begin("done")
        await journal.settle("done", State.DONE)
        await journal.begin("in flight")
        await full(journal)
        for act in (
            partial(journal.add, big),
            partial(journal.begin, "new"),
            journal.counts,
            partial(journal.note, a=1),
        ):
            with pytest.raises(
                JournalError, match=r"\(SQLITE_FULL\): the disk may be full .* can be resumed once there"
            ):
                await act()
    async with opening(path) as journal:
        assert [(entry.key, entry.state) async for entry in journal.entries()] == [
            ("done", State.DONE),
            ("in flight", State.IN_FLIGHT),
        ]
        await journal.add(big)


async def test_a_failed_commit_fails_all_who_share_it(path: Path, gate: Gate) -> None:
    """None of them may go on as if its intent was on the disk."""
    big = [Entry(key=f"{number}", payload="x" * 100) for number in range(500)]
    failed = list[JournalError]()

    async def fail(act: Act) -> None:
        with pytest.raises(JournalError, match="SQLITE_FULL") as raised:
            await act()
        failed.append(raised.value)

    async with opening(path) as journal:
        await full(journal)
        async with anyio.create_task_group() as group:
            group.start_soon(gate.hold, journal)
            await gate.reached()
            for act in (partial(journal.begin, "a"), partial(journal.add, big), journal.counts):
                group.start_soon(fail, act)
            await settle()
            gate.open()
        assert len({id(error) for error in failed}) == 3
    async with opening(path) as journal:
        assert await journal.counts() == {}


LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
"""
FULL = """
async def main():
    async with journal:
        limit(200_000)
        for number in range(1000):
            await journal.begin(str(number))
            print(number)
try:
    anyio.run(main)
except JournalError as error:
    print(error)
"""


async def test_a_file_that_cannot_grow_stops_the_job(path: Path) -> None:
    """What the operating system refuses to write was not begun; all that was is there."""
    *begun, error = (await anyio.to_thread.run_sync(said_by, LIMIT + FULL, path)).splitlines()
    assert "the disk may be full" in error
    assert 10 < len(begun) < 1000
    async with opening(path) as journal:
        in_flight = [entry.key async for entry in journal.entries(State.IN_FLIGHT)]
        assert in_flight[: len(begun)] == begun
        assert len(in_flight) <= len(begun) + 1


GROWING = """
async def main():
    async with journal:
        await journal.add([Entry(key=str(number), payload="x" * 100) for number in range(1000)])
        await journal.begin("0")
    limit(os.path.getsize(path) + 1)
    async with journal:
        try:
            for number in range(1000, 100_000, 100):
                await act(number)
                print(number)
        except JournalError as error:
            print(error)
async def planning(number):
    await journal.add([Entry(key=str(number + each), payload="x" * 100) for each in range(100)])
async def sending(number):
    await journal.begin(str(number))
    await journal.settle(str(number), State.DONE, result="x" * 5000)
act = {phase}
anyio.run(main)
"""


@pytest.mark.parametrize("phase", ["planning", "sending"])
async def test_a_disk_that_was_full_is_no_damage(path: Path, phase: str) -> None:
    """With room again all that was told is there, though the file had not taken in all of the log."""
    text = LIMIT + "import os\n" + GROWING.replace("{phase}", phase)
    *told, error = (await anyio.to_thread.run_sync(said_by, text, path)).splitlines()
    assert "the disk may be full" in error
    assert path.with_name(f"{path.name}-wal").exists()
    header = read_header(path)
    assert header is not None
    assert header[0] == "test"
    async with opening(path) as journal:
        found = [await journal.find(number) for number in told]
        state = State.PENDING if phase == "planning" else State.DONE
        assert [entry.state for entry in found if entry] == [state] * len(told)
        assert len(told) > 1


async def test_no_room_for_a_new_journal(path: Path) -> None:
    """It is told before anything is sent, and the file that was made is no hindrance later."""
    said = await anyio.to_thread.run_sync(said_by, f"{LIMIT}limit(0){TRYING}", path)
    assert "cannot be written (SQLITE_IOERR_WRITE): the disk may be full" in said
    async with opening(path) as journal:
        assert await journal.counts() == {}


async def cancelled(
    act: Act,
    gate: Gate,
    *,
    native: bool,
    meanwhile: Act,
) -> None:
    """Start it, do something else, cancel it, and let the disk go on."""
    if native:
        task = asyncio.ensure_future(act())
        await meanwhile()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        async with anyio.create_task_group() as group:
            group.start_soon(act)
            await meanwhile()
            group.cancel_scope.cancel()
            gate.open()
    gate.open()


@CANCELLATIONS
@pytest.mark.parametrize("leads", [True, False], ids=["leader", "waiter"])
async def test_a_cancelled_caller_leaves_nobody_behind(path: Path, gate: Gate, leads: bool, native: bool) -> None:
    """The others get what they asked for, even if it was the one who was about to write for all of them."""
    async with opening(path) as journal, anyio.create_task_group() as others:

        async def meanwhile() -> None:
            await gate.reached()
            for key in "abc":
                others.start_soon(journal.begin, key)
            await settle()

        if leads:
            await cancelled(partial(gate.hold, journal), gate, native=native, meanwhile=meanwhile)
        else:
            others.start_soon(gate.hold, journal)
            await gate.reached()
            await cancelled(partial(journal.begin, "cancelled"), gate, native=native, meanwhile=meanwhile)
    async with opening(path) as journal:
        begun = {entry.key: entry.state async for entry in journal.entries()}
        assert begun | {"cancelled": State.IN_FLIGHT} == dict.fromkeys(["a", "b", "c", "cancelled"], State.IN_FLIGHT)


@CANCELLATIONS
async def test_closing_leaves_nothing_undone(path: Path, gate: Gate, native: bool) -> None:
    """What a cancelled caller has asked for is written down, even if nobody comes after it."""
    async with opening(path) as journal:
        await journal.begin("a")
        async with anyio.create_task_group() as others:
            others.start_soon(gate.hold, journal)
            await gate.reached()
            await cancelled(partial(journal.settle, "a", State.DONE), gate, native=native, meanwhile=settle)
    async with opening(path) as journal:
        assert await journal.counts() == {("", State.DONE): 1}


@CANCELLATIONS
@pytest.mark.parametrize("act", ["use", "open"])
async def test_a_journal_can_be_cancelled_at_any_moment(path: Path, act: str, native: bool) -> None:
    """It stays usable, or the file is free again; whatever was done is done as a whole."""

    async def use() -> None:
        await journal.begin("a", again=True)
        await journal.settle("a", State.DONE)

    async def open_and_close() -> None:
        async with opening(path) as other:
            await other.begin("a")

    for turns in range(12):
        journal = opening(path)
        if act == "use":
            async with journal:
                await cancelled_after(turns, use, native=native)
                await journal.begin("a", again=True)
        else:
            await cancelled_after(turns, open_and_close, native=native)
            async with journal:
                await journal.begin("a")


async def cancelled_after(turns: int, act: Act, *, native: bool) -> None:
    """Start it, give it some turns, cancel it, and see that it ends."""
    if native:
        task = asyncio.ensure_future(act())
        await settle(turns)
        task.cancel()
        await asyncio.wait([task])
        return
    async with anyio.create_task_group() as group:
        group.start_soon(act)
        await settle(turns)
        group.cancel_scope.cancel()


async def test_no_address_is_shown(path: Path) -> None:
    """Neither in a text nor in a repr, whatever goes wrong with a key."""
    async with opening(path) as journal:
        entry = Entry(key=ADDRESS, payload={"to": ADDRESS}, result=[ADDRESS])
        await journal.add([entry])
        await journal.begin(ADDRESS)
        shown = [repr(entry), repr(journal), repr(await journal.find(ADDRESS)), repr(journal.notes)]
        acts: list[Act] = [
            partial(journal.begin, ADDRESS),
            partial(journal.add, [entry]),
            partial(journal.settle, f"another {ADDRESS}", State.DONE),
            partial(journal.settle, ADDRESS, State.DONE, result={ADDRESS: object()}),
            partial(journal.add, [Entry(key=ADDRESS, place=-1)]),
        ]
        for act in acts:
            with pytest.raises(ConfigError) as raised:
                await act()
            shown += [str(raised.value), repr(raised.value), repr(raised.value.__cause__)]
    assert not [text for text in shown if "anna" in text or "example.org" in text]
