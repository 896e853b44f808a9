"""Files that are a journal, or another one, or none, or damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from klickdoxie_core.errors import JournalError
from klickdoxie_core.journal import Entry, Journal, State, read_header
from klickdoxie_core.journal_check import explained

pytestmark = pytest.mark.anyio

ADDRESS = "anna.müller@example.org"
FRAME = 24 + 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a test is made."""
    return tmp_path / "a.journal"


def opening(path: Path, *, check: bool = True) -> Journal:
    """The same journal once more."""
    return Journal(path, job="test", facts={"input": "1", "mapping": "2"}, check=check)


def log_of(path: Path) -> Path:
    """The log beside a journal."""
    return path.with_name(f"{path.name}-wal")


async def killed(path: Path, folder: Path, times: int = 12) -> Path:
    """A journal as a killed job leaves it: items 0, 1, 2 … each begun by a commit of its own, most of it in the log."""
    copy = folder / "killed.journal"
    async with opening(path) as journal:
        for number in range(times):
            await journal.begin(str(number))
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    return copy


def flipped(path: Path, position: int) -> None:
    """Turn one bit round."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def carried_over(path: Path, pages: int) -> bool:
    """Break a checkpoint off: the file gets the first pages of the log, as SQLite writes them; whether it was all."""
    data = log_of(path).read_bytes()
    latest = {
        int.from_bytes(data[start : start + 4]): data[start + 24 : start + FRAME] for start, _ in frames(log_of(path))
    }
    with path.open("r+b") as file:
        for number in sorted(latest)[:pages]:
            file.seek((number - 1) * 4096)
            file.write(latest[number])
    return pages >= len(latest)


def frames(log: Path) -> list[tuple[int, bool]]:
    """Where each frame of the log's present use starts, and whether a commit ends with it."""
    data = log.read_bytes()
    salts = data[16:24]
    starts = range(32, len(data) - FRAME + 1, FRAME)
    return [
        (start, data[start + 4 : start + 8] != bytes(4)) for start in starts if data[start + 8 : start + 16] == salts
    ]


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """What is in a folder, and who may read it."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file: (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) for file in files}


def made(path: Path, content: bytes) -> None:
    """Put a file there that everybody can read."""
    path.write_bytes(content)
    path.chmod(0o644)


async def refusal(path: Path, folder: Path) -> str:
    """What is said when the journal is opened; whatever is in the folder must stay as it is."""
    before = contents(folder)
    with pytest.raises(JournalError) as raised:
        await opening(path).__aenter__()
    assert contents(folder) == before
    return str(raised.value)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """It is not made in silence."""
    assert await refusal(tmp_path / "fehlt" / "a.journal", tmp_path) == (
        f"{tmp_path / 'fehlt'} is not a folder, so that no journal can be made there"
    )


async def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    """Neither to be opened nor to be looked into."""
    assert "is not a journal" in await refusal(tmp_path, tmp_path)
    with pytest.raises(JournalError):
        read_header(tmp_path)


@pytest.mark.parametrize("content", [b"x", b"E-Mail;Name\r\n", b"\0" * 5000, b"SQLite format 3\0" + b"\0" * 5000])
async def test_another_file_is_left_alone(tmp_path: Path, path: Path, content: bytes) -> None:
    """The path may be a slip of the pen, and the file somebody's contacts."""
    made(path, content)
    assert (
        await refusal(path, tmp_path)
        == f"{path} is not a journal, and was left as it is; give the journal another name"
    )
    with pytest.raises(JournalError):
        read_header(path)


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_another_database_is_left_alone(tmp_path: Path, path: Path, mode: str) -> None:
    """A file of SQLite is not a journal for that."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE header (job TEXT)")
    assert (
        await refusal(path, tmp_path)
        == f"{path} is not a journal, and was left as it is; give the journal another name"
    )


async def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    """Such as one whose maker was killed at once."""
    made(path, b"")
    assert read_header(path) is None
    async with opening(path):
        assert read_header(path) == ("test", {"input": "1", "mapping": "2"}, {})


async def test_a_journal_becomes_private(tmp_path: Path, path: Path) -> None:
    """A copy that others can read holds the same addresses."""
    async with opening(path):
        pass
    made(path, contents(tmp_path)[path][0])
    async with opening(path):
        pass
    assert contents(tmp_path)[path][1] == 0o600


async def test_a_link_is_followed(tmp_path: Path, path: Path) -> None:
    """The log stands beside the file itself, and is found again by its own name."""
    link = tmp_path / "link.journal"
    link.symlink_to(path)
    async with opening(link) as journal:
        await journal.begin("a")
        assert log_of(path).exists()
    async with opening(path) as journal:
        assert await journal.find("a")


async def test_another_version_is_refused(tmp_path: Path, path: Path) -> None:
    """Its tables may mean something else."""
    async with opening(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE header SET format = 2")
    assert "another version" in await refusal(path, tmp_path)


@pytest.mark.parametrize(
    ("job", "facts", "text"),
    [
        ("other", {"input": "1", "mapping": "2"}, "is the journal of another job (test); give another journal"),
        ("test", {"input": "9", "mapping": "2"}, "was made from another input; give another journal, or delete this"),
        ("test", {"input": "9", "mapping": "8"}, "was made from another input, another mapping; give"),
        ("test", {"input": "1"}, "another mapping"),
        ("test", {"input": "1", "mapping": "2", "tags": ""}, "another tags"),
    ],
)
async def test_other_facts_are_named(path: Path, job: str, facts: dict[str, str], text: str) -> None:
    """Whoever changed the input is told so, and what to do."""
    async with opening(path) as journal:
        await journal.begin("a")
    with pytest.raises(JournalError, match=r"\.journal ") as raised:
        await Journal(path, job=job, facts=facts).__aenter__()
    assert text in str(raised.value)
    async with opening(path) as journal:
        assert await journal.counts() == {("", State.IN_FLIGHT): 1}


@pytest.mark.parametrize("cut", [1, FRAME - 1, FRAME, FRAME + 1])
async def test_a_torn_end_is_repaired(tmp_path: Path, path: Path, cut: int) -> None:
    """A power cut takes what was being written; what was on the disk before stays."""
    copy = await killed(path, tmp_path)
    log = log_of(copy)
    end = frames(log)[-1][0] + FRAME
    os.truncate(log, end - cut)
    whole = sum(commits for _, commits in frames(log))
    assert whole == 11
    async with opening(copy) as journal:
        assert await journal.counts() == {("", State.IN_FLIGHT): whole}


@pytest.mark.parametrize("length", [0, 31, 32, 33])
async def test_a_log_that_was_just_begun_is_no_damage(tmp_path: Path, path: Path, length: int) -> None:
    """Nothing was committed to it."""
    copy = await killed(path, tmp_path)
    os.truncate(log_of(copy), length)
    async with opening(copy) as journal:
        assert await journal.counts() == {}


@pytest.mark.parametrize("place", ["head", "salt", "checksum", "page", "header"])
async def test_damage_in_the_log_is_refused(tmp_path: Path, path: Path, place: str) -> None:
    """Or all that was committed behind it would be dropped in silence, and sent again."""
    copy = await killed(path, tmp_path)
    log = log_of(copy)
    start, _ = frames(log)[len(frames(log)) // 2]
    flipped(log, {"head": start, "salt": start + 9, "checksum": start + 17, "page": start + 400, "header": 13}[place])
    assert "is damaged, and work that was done would be forgotten" in await refusal(copy, tmp_path)


@pytest.mark.parametrize("frame", ["first", "commit"])
async def test_damage_just_before_the_last_transaction_is_refused(tmp_path: Path, path: Path, frame: str) -> None:
    """The one before was on the disk when the last one was begun."""
    copy = await killed(path, tmp_path)
    log = log_of(copy)
    ends = [number for number, (_, commits) in enumerate(frames(log)) if commits]
    start, _ = frames(log)[ends[-3] + 1 if frame == "first" else ends[-2]]
    flipped(log, start + 400)
    assert "is damaged" in await refusal(copy, tmp_path)


async def test_damage_in_the_last_transaction_is_a_torn_end(tmp_path: Path, path: Path) -> None:
    """It cannot be told from a power cut; the transaction goes as a whole."""
    copy = await killed(path, tmp_path)
    start, commits = frames(log_of(copy))[-1]
    assert commits
    flipped(log_of(copy), start + 400)
    async with opening(copy) as journal:
        assert await journal.counts() == {("", State.IN_FLIGHT): 11}


async def planned(journal: Journal) -> None:
    """List items, and note that they are all there."""
    await journal.add([Entry(key=str(number), payload=ADDRESS) for number in range(200)])
    await journal.note(planned=True, parts=["x" * 1000] * 12)


async def sent(journal: Journal) -> None:
    """Send items that are listed and some that are new."""
    for number in range(0, 50, 10):
        await journal.begin(str(number))
        await journal.settle(str(number), State.DONE, result="x" * 5000)


async def half_checkpointed(path: Path, folder: Path, phase: str, pages: int) -> Path | None:
    """A journal whose checkpoint was broken off after so many pages; None when there are no more."""
    copy = folder / f"{pages}.journal"
    before = folder / "before.journal"
    if not before.exists():
        async with opening(path) as journal:
            if phase == "sending":
                await planned(journal)
                await journal.begin("first")
            shutil.copy(path, before)
            await (planned if phase == "planning" else sent)(journal)
            shutil.copy(log_of(path), log_of(before))
    shutil.copy(before, copy)
    shutil.copy(log_of(before), log_of(copy))
    return None if carried_over(copy, pages) else copy


@pytest.mark.parametrize("first", ["header", "open"])
@pytest.mark.parametrize("phase", ["planning", "sending"])
async def test_a_checkpoint_that_was_broken_off_is_no_damage(
    tmp_path: Path, path: Path, phase: str, first: str
) -> None:
    """A full disk or a kill leaves a file that is whole only together with its log, whatever page was the last."""
    pages = 0
    while copy := await half_checkpointed(path, tmp_path, phase, pages):
        if first == "header":
            header = read_header(copy)
            assert header is not None
            assert (header[0], header[2]["planned"]) == ("test", True)
        async with opening(copy) as journal:
            counts = await journal.counts()
            assert journal.notes["planned"]
        assert sum(counts.values()) == (200 if phase == "planning" else 201)
        assert counts.get(("", State.DONE), 0) == (0 if phase == "planning" else 5)
        pages += 1
    assert pages > 5


@pytest.mark.parametrize("phase", ["planning", "sending"])
async def test_a_job_that_is_writing_is_no_damage(tmp_path: Path, path: Path, phase: str) -> None:
    """Whoever looks in the middle of its checkpoint is told the header, or that the journal is in use."""
    pages, told = 0, 0
    while copy := await half_checkpointed(path, tmp_path, phase, pages):
        with closing(sqlite3.connect(copy, isolation_level=None)) as job:
            job.execute("PRAGMA locking_mode = EXCLUSIVE")
            job.execute("SELECT * FROM header").fetchall()
            try:
                header = read_header(copy)
            except JournalError as error:
                assert "is in use by another job" in str(error)  # noqa: PT017 - at some pages only
                told += 1
            else:
                assert header is None or header[0] == "test"
        pages += 1
    assert 0 < told < pages


async def test_damage_in_the_file_shows_beside_a_log_too(tmp_path: Path, path: Path) -> None:
    """What no log brings back is damage."""
    copy = await half_checkpointed(path, tmp_path, "sending", 0)
    assert copy is not None
    os.truncate(copy, 4096)
    with pytest.raises(JournalError, match="is damaged"):
        read_header(copy)
    assert "is damaged" in await refusal(copy, tmp_path)


async def test_a_log_that_is_damaged_stays_so_when_the_header_is_read(tmp_path: Path, path: Path) -> None:
    """Reading must not let go of what opening would refuse to forget."""
    copy = await killed(path, tmp_path)
    flipped(log_of(copy), frames(log_of(copy))[3][0] + 400)
    before = contents(tmp_path)
    assert read_header(copy) == ("test", {"input": "1", "mapping": "2"}, {})
    assert contents(tmp_path) == before


async def test_frames_of_an_earlier_use_of_the_log_are_no_damage(tmp_path: Path, path: Path) -> None:
    """The log is written anew from its beginning once it has been taken over."""
    async with opening(path) as journal:
        for number in range(30):
            await journal.begin(str(number))
        await journal.note(planned=True)
        await journal.begin("last")
        copy = tmp_path / "copy.journal"
        shutil.copy(path, copy)
        shutil.copy(log_of(path), log_of(copy))
    assert 0 < len(frames(log_of(copy))) < log_of(copy).stat().st_size // FRAME
    async with opening(copy) as journal:
        assert await journal.counts() == {("", State.IN_FLIGHT): 31}


async def test_a_log_that_changes_while_it_is_read_is_no_damage(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another job is writing it at this moment, and opening the journal says so."""
    copy = await killed(path, tmp_path)
    found = iter([7, None])
    monkeypatch.setattr("klickdoxie_core.journal_check._break_in", lambda _: next(found))
    async with opening(copy):
        assert next(found, "read twice") == "read twice"


@pytest.mark.parametrize(("page", "position"), [(0, 16), (0, 105), (2, 0), (3, 3), (3, 4090)])
async def test_damage_in_the_file_is_refused(path: Path, page: int, position: int) -> None:
    """What cannot be relied on is not gone on with."""
    async with opening(path) as journal:
        await journal.add([Entry(key=f"anna{number}@example.org") for number in range(2000)])
    flipped(path, page * 4096 + position)
    with pytest.raises(JournalError, match=r"is damaged|is not a journal") as raised:
        await opening(path).__aenter__()
    assert "anna" not in str(raised.value)


async def test_one_that_was_checked_need_not_be_checked_again(path: Path) -> None:
    """Then damage is found where it stands in the way."""
    async with opening(path) as journal:
        await journal.add([Entry(key=str(number), place=number) for number in range(1, 4)])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE items SET state = 'lost' WHERE place = 3")
    with pytest.raises(JournalError, match="is damaged"):
        await opening(path).__aenter__()
    async with opening(path, check=False) as journal:
        entry = await journal.find("2")
        assert entry is not None
        with pytest.raises(JournalError, match="cannot be written or read any more"):
            await journal.find("3")


@pytest.mark.parametrize("pages", [1, 2])
async def test_a_file_that_was_cut_is_refused(tmp_path: Path, path: Path, pages: int) -> None:
    """Such as a copy that was broken off."""
    async with opening(path) as journal:
        await journal.begin("a")
    os.truncate(path, pages * 4096)
    assert "is damaged" in await refusal(path, tmp_path)


@pytest.mark.parametrize("notes", ["{", "", b"\xff"])
async def test_a_header_that_cannot_be_read_is_damage(tmp_path: Path, path: Path, notes: str | bytes) -> None:
    """What the journal is about is not guessed."""
    async with opening(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE header SET notes = ?", (notes,))
    assert "is damaged" in await refusal(path, tmp_path)


async def test_damage_that_shows_later_breaks_the_journal(path: Path) -> None:
    """An item that cannot be read ends the job, and its text stays out of the error's."""
    async with opening(path) as journal:
        await journal.add([Entry(key="a", payload={"to": ADDRESS})])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE items SET payload = CAST(x'ff' AS TEXT) || payload")
    async with opening(path) as journal:
        with pytest.raises(JournalError, match="cannot be written or read any more") as raised:
            await journal.find("a")
        assert "anna" not in repr(raised.value)
        assert (raised.value.__cause__, raised.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SQLITE_FULL", "cannot be written (SQLITE_FULL): the disk may be full"),
        ("SQLITE_IOERR", "cannot be written (SQLITE_IOERR): the disk may be full"),
        ("SQLITE_IOERR_WRITE", "cannot be written (SQLITE_IOERR_WRITE): the disk may be full"),
        ("SQLITE_CANTOPEN", "cannot be opened as a journal (SQLITE_CANTOPEN)"),
    ],
)
def test_a_disk_that_takes_no_more_is_told(path: Path, name: str, said: str) -> None:
    """By SQLite's own name for it, whatever its finer code, and without its text."""
    error = sqlite3.OperationalError(ADDRESS)
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
    assert str(explained(path, error)) == f"{path} {said}"


async def test_a_failure_of_the_operating_system_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left open by it."""

    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(JournalError, match=r"cannot be opened as a journal \(No space left on device\)"):
            await opening(path).__aenter__()
    async with opening(path):
        pass
