"""Which contact has which id of the CRM: what is read, what is remembered, and what becomes of the file."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from klickdoxie_core import Clock
from klickdoxie_core.progress import Progress
from klicktipp_async import ArgumentError, BadRequest, ConfigError, KlickTipp
from klicktipp_async.crm.crm_ids import CrmIds, ReadingStopped
from klicktipp_async.sandbox import Bounce, Sandbox, Status

pytestmark = pytest.mark.anyio

Hook = Callable[[str], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is made."""
    return tmp_path / "journal.ids"


@pytest.fixture
def field(box: Sandbox) -> str:
    """The data field that keeps the CRM's id."""
    return box.add_field("CRM-Id")


@pytest.fixture
def contacts(box: Sandbox, field: str) -> list[int]:
    """Ten contacts, `K-0` to `K-9`."""
    ids = box.seed_contacts(10)
    give(box, field, {contact_id: f"K-{number}" for number, contact_id in enumerate(ids)})
    return ids


def give(box: Sandbox, field: str, crm_ids: Mapping[int, str]) -> None:
    """Let contacts have ids of the CRM."""
    for contact_id, crm_id in crm_ids.items():
        box.contacts[contact_id].fields[field] = crm_id


def read(path: Path) -> bytes:
    """What stands in a file."""
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Make a file."""
    path.write_bytes(content)


def change(path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Make something else of a file."""
    write(path, damage(read(path)))


def modes(folder: Path) -> dict[str, int]:
    """Every file of a folder and who may use it."""
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


def _database() -> bytes:
    """Somebody's database."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE contact (name TEXT)")
        return db.serialize()


class Meanwhile:
    """A job that runs while an answer is on its way."""

    def __init__(self) -> None:
        self.job: Hook | None = None
        self.box: Sandbox

    async def sleep(self, _: float) -> None:
        """The latency of the sandbox."""
        await anyio.lowlevel.checkpoint()
        if self.job:
            await self.job(self.box.requests[-1].operation)


@pytest.fixture
async def meanwhile() -> AsyncIterator[Meanwhile]:
    """An account of its own whose answers take a moment, in which a job can be done."""
    meanwhile = Meanwhile()
    async with Sandbox(clock=Clock(now=lambda: 0.0, sleep=meanwhile.sleep)) as box:
        meanwhile.box, box.latency = box, 1.0
        yield meanwhile


async def test_a_contact_is_found_by_its_crm_id(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """One list and one call for each contact, once for all that is asked for."""
    async with CrmIds(path, kt, field) as ids:
        assert await ids.find("K-3") == contacts[3]
        assert await ids.find("K-9") == contacts[9]
        assert await ids.find("k-9") is None
        assert ids.reads == 10
    assert (box.count("List Contacts"), box.count("Get Contact")) == (1, 10)


@pytest.mark.parametrize("crm_id", ["", "  "])
async def test_an_empty_id_is_nobodys(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int], crm_id: str
) -> None:
    """Contacts without an id are not found by none, and nothing is asked."""
    async with CrmIds(path, kt, field) as ids:
        await ids.put({contacts[0]: ""})
        assert await ids.find(crm_id) is None
    assert box.count() == 0


@pytest.mark.parametrize("crm_id", ["Ä;ß 1", "🎈", "\udce4", "a\x00b", "' OR 1=1 --"])
async def test_any_text_can_be_an_id(kt: KlickTipp, path: Path, field: str, crm_id: str) -> None:
    """An id is found as it was put, but for blanks around it."""
    async with CrmIds(path, kt, field) as ids:
        await ids.find("x")
        await ids.put({7: f" {crm_id} "})
        assert await ids.find(f"{crm_id}\t") == 7


async def test_an_empty_account_is_no_error(kt: KlickTipp, path: Path, field: str) -> None:
    """Nobody there, nobody found."""
    async with CrmIds(path, kt, field) as ids:
        assert await ids.find("K-1") is None


async def test_many_at_once_read_once(kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]) -> None:
    """Fifty tasks that look somebody up wait for one and the same reading."""
    found: list[int | None] = []

    async def find(ids: CrmIds, number: int) -> None:
        found.append(await ids.find(f"K-{number % 10}"))

    async with CrmIds(path, kt, field, concurrency=3) as ids, anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(find, ids, number)
    assert sorted(each for each in found if each) == sorted(contacts * 5)
    assert (box.count("List Contacts"), box.count("Get Contact")) == (1, 10)


async def test_contacts_of_every_state_are_found(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """Whoever has unsubscribed or cannot be reached must not be taken for new."""
    box.contacts[contacts[0]].status = Status.UNSUBSCRIBED
    box.contacts[contacts[1]].status = Status.PENDING
    box.contacts[contacts[2]].bounce = Bounce.HARD
    async with CrmIds(path, kt, field) as ids:
        assert [await ids.find(f"K-{number}") for number in range(3)] == contacts[:3]


async def test_of_two_contacts_with_one_id_the_lowest_is_found(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """The answer is the same each time; when it is gone, it is the next one's turn."""
    give(box, field, {contacts[7]: "doppelt", contacts[4]: "doppelt"})
    async with CrmIds(path, kt, field) as ids:
        assert await ids.find("doppelt") == contacts[4]
        await ids.forget(contacts[4])
        assert await ids.find("doppelt") == contacts[7]


async def test_the_key_of_the_field_needs_no_prefix(kt: KlickTipp, path: Path, field: str, contacts: list[int]) -> None:
    """As everywhere else; what is no key is refused at once."""
    async with CrmIds(path, kt, field.removeprefix("field")) as ids:
        assert await ids.find("K-1") == contacts[1]
    with pytest.raises(ArgumentError):
        CrmIds(path, kt, "CRM-Id")


async def test_what_is_known_is_not_read_again(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """The next job reads only who is new, also of those without an id, and drops who is gone."""
    give(box, field, {contacts[0]: ""})
    async with CrmIds(path, kt, field) as ids:
        await ids.find("K-1")
    await kt.contacts.delete(contacts[5])
    (new,) = box.seed_contacts(1)
    give(box, field, {new: "neu"})
    async with CrmIds(path, kt, field) as ids:
        assert [await ids.find(crm_id) for crm_id in ("neu", "K-5", "K-6")] == [new, None, contacts[6]]
        assert ids.reads == 1
    assert box.count("List Contacts") == 2


async def test_what_was_put_is_found_and_not_read(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """What the caller has seen need not be read; a second put replaces the first."""
    async with CrmIds(path, kt, field) as ids:
        await ids.put({})
        await ids.put({contacts[0]: "alt", contacts[1]: ""})
        assert await ids.find("alt") == contacts[0]
        await ids.put({contacts[0]: "neu"})
        assert [await ids.find("alt"), await ids.find("neu")] == [None, contacts[0]]
        assert ids.reads == 8


async def test_a_contact_that_is_deleted_meanwhile_is_left_out(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """A 404 of one contact is no error, and it is not taken for one without an id."""
    box.fail("Get Contact", status=404)
    async with CrmIds(path, kt, field, concurrency=1) as ids:
        assert await ids.find("K-0") is None
        assert await ids.find("K-1") == contacts[1]
    async with CrmIds(path, kt, field) as ids:
        assert await ids.find("K-0") == contacts[0]
        assert ids.reads == 1


async def test_an_error_leaves_the_rest_for_the_next_time(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """Half of it is not taken for all of it: the error is raised, and the next call reads what is missing."""
    box.fail("Get Contact", status=400, every=7, times=1)
    async with CrmIds(path, kt, field, concurrency=1) as ids:
        with pytest.raises(BadRequest):
            await ids.find("K-1")
        assert ids.reads == 7
        assert await ids.find("K-9") == contacts[9]
        assert ids.reads == 11


async def test_an_error_of_the_list_forgets_nothing(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """Without an answer nobody is gone."""
    async with CrmIds(path, kt, field) as ids:
        await ids.find("K-1")
    box.fail("List Contacts", status=400)
    async with CrmIds(path, kt, field) as ids:
        with pytest.raises(BadRequest):
            await ids.find("K-1")
        assert await ids.find("K-1") == contacts[1]
        assert ids.reads == 0


async def test_lost_answers_are_asked_for_again(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """Reading may be repeated, so one answer in five that is lost costs no contact."""
    box.drop("Get Contact", every=5)
    async with CrmIds(path, kt, field) as ids:
        assert [await ids.find(f"K-{number}") for number in range(10)] == contacts


async def test_what_was_read_before_a_cancellation_stays(meanwhile: Meanwhile, clock: Clock, path: Path) -> None:
    """Whoever breaks off the reading does not pay for it twice."""
    box = meanwhile.box
    field, contacts = box.add_field("CRM-Id"), box.seed_contacts(10)
    give(box, field, dict.fromkeys(contacts, "K"))
    kt = box.client(clock=clock)
    with anyio.CancelScope() as scope:

        async def cancel(_: str) -> None:
            if box.count("Get Contact") == 5:
                scope.cancel()

        meanwhile.job = cancel
        async with CrmIds(path, kt, field, concurrency=1) as ids:
            await ids.find("K")
    assert scope.cancelled_caught
    meanwhile.job = None
    async with CrmIds(path, kt, field) as ids:
        assert await ids.find("K") == contacts[0]
        assert ids.reads == 6


async def test_what_is_put_meanwhile_outlives_an_older_list(meanwhile: Meanwhile, clock: Clock, path: Path) -> None:
    """A contact that was made after the list was written is not dropped for its absence there."""
    box = meanwhile.box
    field = box.add_field("CRM-Id")
    box.seed_contacts(1)
    async with CrmIds(path, box.client(clock=clock), field) as ids:

        async def make(operation: str) -> None:
            if operation == "List Contacts":
                await ids.put({999: "gerade eben"})

        meanwhile.job = make
        assert await ids.find("gerade eben") == 999


async def test_what_is_put_meanwhile_is_newer_than_what_is_read(meanwhile: Meanwhile, clock: Clock, path: Path) -> None:
    """An answer that was written before the contact got its id does not take it away again."""
    box = meanwhile.box
    field, (contact_id,) = box.add_field("CRM-Id"), box.seed_contacts(1)
    async with CrmIds(path, box.client(clock=clock), field) as ids:

        async def write(operation: str) -> None:
            if operation == "Get Contact":
                await ids.put({contact_id: "neu"})

        meanwhile.job = write
        assert await ids.find("neu") == contact_id


async def test_more_contacts_than_a_page(
    kt: KlickTipp, path: Path, field: str, contacts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing, reading and keeping go page by page, and miss nobody at the edges."""
    monkeypatch.setattr("klicktipp_async.crm.crm_ids._PAGE", 3)
    async with CrmIds(path, kt, field) as ids:
        assert [await ids.find(f"K-{number}") for number in range(10)] == contacts
        assert ids.reads == 10


async def test_the_file_is_one_and_its_owners(kt: KlickTipp, path: Path, field: str, contacts: list[int]) -> None:
    """Nobody else may read it, and nothing stands beside it once it is closed."""
    async with CrmIds(path, kt, field) as ids:
        await ids.find("K-1")
    assert modes(path.parent) == {"journal.ids": 0o600}


async def test_a_file_is_used_by_one_job_at_a_time(kt: KlickTipp, path: Path, field: str) -> None:
    """A second job is told so."""
    async with CrmIds(path, kt, field):
        with pytest.raises(ConfigError, match="in use by another job"):
            await CrmIds(path, kt, field).__aenter__()


async def test_another_field_empties_the_file(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """What stood in one field says nothing of another."""
    async with CrmIds(path, kt, field) as ids:
        await ids.find("K-1")
    async with CrmIds(path, kt, box.add_field("Andere Id")) as ids:
        assert await ids.find("K-1") is None
        assert ids.reads == 10


async def test_a_job_that_was_killed_loses_nothing(kt: KlickTipp, path: Path, field: str, contacts: list[int]) -> None:
    """The files as they stand in the middle of a job are enough for the next one."""
    async with CrmIds(path, kt, field) as ids:
        await ids.find("K-1")
        killed = path.with_name("killed.ids")
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{killed}{suffix}")
    async with CrmIds(killed, kt, field) as ids:
        assert await ids.find("K-1") == contacts[1]
        assert ids.reads == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:4096] + b"\xff" * (len(content) - 4096),
        lambda content: content[:100] + b"\xff" * (len(content) - 100),
        lambda content: content[:5000],
        lambda content: content[:100],
    ],
    ids=["later pages overwritten", "first page overwritten", "cut off", "cut off early"],
)
async def test_a_damaged_file_is_made_anew(
    kt: KlickTipp, path: Path, field: str, contacts: list[int], damage: Callable[[bytes], bytes]
) -> None:
    """It only remembers what the service knows."""
    async with CrmIds(path, kt, field) as ids:
        await ids.find("K-1")
    change(path, damage)
    async with CrmIds(path, kt, field) as ids:
        assert await ids.find("K-1") == contacts[1]
        assert ids.reads == 10
    assert modes(path.parent) == {"journal.ids": 0o600}


async def test_an_empty_file_is_taken(kt: KlickTipp, path: Path, field: str, contacts: list[int]) -> None:
    """A temporary file that was made beforehand will do."""
    write(path, b"")
    async with CrmIds(path, kt, field) as ids:
        assert await ids.find("K-1") == contacts[1]


@pytest.mark.parametrize("content", ["Steuererklärung; Entwurf".encode(), _database()], ids=["text", "database"])
async def test_somebody_elses_file_is_left_alone(kt: KlickTipp, path: Path, field: str, content: bytes) -> None:
    """A file that we have not made is refused as it is."""
    write(path, content)
    with pytest.raises(ConfigError, match="no file of CRM ids"):
        await CrmIds(path, kt, field).__aenter__()
    assert read(path) == content


async def test_a_file_that_cannot_be_made_is_a_clear_error(kt: KlickTipp, tmp_path: Path, field: str) -> None:
    """The text names the file."""
    with pytest.raises(ConfigError, match=r"fehlt.journal\.ids cannot be used"):
        await CrmIds(tmp_path / "fehlt" / "journal.ids", kt, field).__aenter__()


async def test_a_full_disk_is_a_clear_error(kt: KlickTipp, path: Path, field: str) -> None:
    """The text says what to do, and the file stays usable."""
    async with CrmIds(path, kt, field) as ids:
        await ids.find("K-1")
        ids._file._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(ConfigError, match="the disk may be full"):
            await ids.put(dict.fromkeys(range(1000), "x" * 100))
        assert await ids.find("x" * 100) is None


async def test_a_closed_file_is_a_clear_error(kt: KlickTipp, path: Path, field: str) -> None:
    """Also for errors that have no number of SQLite's."""
    async with CrmIds(path, kt, field) as ids:
        pass
    with pytest.raises(ConfigError, match="closed"):
        await ids.put({1: "K-1"})


async def test_the_reading_tells_how_far_it_is(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """Of all contacts that the file does not know; where it knows them all, nothing is told."""
    told: list[Progress] = []
    async with CrmIds(path, kt, field, on_progress=told.append) as ids:
        await ids.find("K-3")
    assert (told[-1].done, told[-1].total) == (len(contacts), 10)
    told.clear()
    async with CrmIds(path, kt, field, on_progress=told.append) as ids:
        await ids.find("K-3")
    assert not told


async def test_a_reading_that_is_stopped_keeps_what_was_read(
    kt: KlickTipp, box: Sandbox, path: Path, field: str, contacts: list[int]
) -> None:
    """Nobody who waits for it gets an answer that is not to be relied on, and the next one reads the rest."""
    async with CrmIds(path, kt, field, concurrency=1, stopped=lambda: box.count("Get Contact") >= 4) as ids:
        for _ in range(2):
            with pytest.raises(ReadingStopped):
                await ids.find("K-3")
    assert 4 <= (read_first := box.count("Get Contact")) <= 6
    async with CrmIds(path, kt, field) as ids:
        assert await ids.find("K-9") == contacts[9]
        assert ids.reads == 10 - read_first
