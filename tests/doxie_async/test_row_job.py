"""A job over the rows of a file: what is sent, what is not, and that nothing is sent twice."""

from __future__ import annotations

import asyncio
import csv
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from doxie_async import ArgumentError, ConfigError, Doxie, EventType, Unauthorized, row_job
from doxie_async.routes import SEND_MAIL
from doxie_async.row_job import MOST_LINES, RowJob, SendReport
from doxie_async.sandbox import Sandbox
from klickdoxie_core import Breaker, Clock
from klickdoxie_core.errors import JobStopped, JournalError
from klickdoxie_core.journal import Journal, read_header
from klickdoxie_core.progress import Progress
from klickdoxie_core.table import Table, TableError, open_table

pytestmark = pytest.mark.anyio

CANARY = "kanarie.größe@example.com"
MAIL = SEND_MAIL.name
CANCELLATIONS = pytest.mark.parametrize(
    ("anyio_backend", "native"), [("asyncio", False), ("asyncio", True), ("trio", False)], ids=str
)


@pytest.fixture
async def box(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """A tenant in this process."""
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def doxie(box: Sandbox, clock: Clock) -> Doxie:
    """Its client."""
    return box.client(clock=clock)


@pytest.fixture
def job(tmp_path: Path, doxie: Doxie, clock: Clock) -> Callable[..., RowJob]:
    """Makes jobs over `rows.csv`, after writing it where a text is given; few rows at a time, to have an order."""

    def make(text: str | None = None, kind: str = "mailer", event: str = "welcome_email", **options: Any) -> RowJob:
        path = tmp_path / "rows.csv"
        if text is not None:
            path.write_text(text, encoding="utf-8", newline="")
        table = open_table(path)
        options.setdefault("errors", tmp_path / "errors.csv")
        options.setdefault("concurrency", 4)
        return RowJob(doxie, kind, event, table, clock=clock, **options)

    return make


def rows(count: int) -> str:
    """A file with so many rows; the reference tells them apart."""
    return "ref;email\n" + "".join(f"R{number};anna{number}@example.com\n" for number in range(1, count + 1))


def times_sent(box: Sandbox, count: int) -> list[int]:
    """How often each of those rows went out."""
    return [box.count_sent(f"R{number}") for number in range(1, count + 1)]


def rejected(folder: Path) -> list[dict[str, str]]:
    """The rows of the error file."""
    with (folder / "errors.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def files_in(folder: Path) -> list[str]:
    """What is there."""
    return sorted(path.name for path in folder.iterdir())


async def test_each_row_is_sent_once(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """The payloads arrive as the file has them; nothing is left behind when all is well."""
    made = job('ref;kunde.name;n\nR1;Jörg "Blüte";01\n\nR2;"Ä;\nB";\n', base={"quelle": "größe"})
    assert made.report is None
    report = await made.run()
    assert report is made.report
    assert report == SendReport(
        rows=2,
        sent=2,
        failed=0,
        in_doubt=0,
        left_out=0,
        pending=0,
        settled_before=0,
        stopped=False,
        journal=None,
    )
    assert report.clean
    assert sorted((message.payload for message in box.sent), key=lambda payload: str(payload["ref"])) == [
        {"quelle": "größe", "ref": "R1", "kunde": {"name": 'Jörg "Blüte"'}, "n": "01"},
        {"quelle": "größe", "ref": "R2", "kunde": {"name": "Ä;\nB"}},
    ]
    assert files_in(tmp_path) == ["rows.csv"]


@pytest.mark.parametrize(
    ("kind", "event"),
    [("mailer", "welcome_email"), ("injector", "journey"), ("survey", "survey"), (EventType.QR_CODE, "qr_code")],
)
async def test_every_kind_can_be_sent(box: Sandbox, job: Callable[..., RowJob], kind: str, event: str) -> None:
    """By the operation of its own."""
    assert (await job(rows(3), kind, event).run()).sent == 3
    assert {process.event_slug for process in box.processes.values()} == {event}
    assert len(box.processes) == 3


async def test_another_kind_is_refused(job: Callable[..., RowJob]) -> None:
    """By its name."""
    with pytest.raises(ArgumentError, match="mailer, survey, qr_code, injector"):
        job(rows(1), "brief")


async def test_the_journal_keeps_the_process_and_nobodys_name(
    box: Sandbox, job: Callable[..., RowJob], tmp_path: Path
) -> None:
    """Its keys are lines and digests; of an answer only the process is kept, of an error what may be shown."""
    box.fail(MAIL, status=422, body={"success": False, "error_message": f"ungültig: {CANARY}"})
    box.drop(MAIL, times=1)
    report = await job(f"ref;email\nR1;{CANARY}\nR2;{CANARY}\nR3;{CANARY}\n", concurrency=1).run()
    assert (report.sent, report.failed, report.in_doubt) == (1, 1, 1)
    path = tmp_path / "rows.csv.journal"
    content = path.read_bytes()
    assert b"kanarie" not in content
    header = read_header(path)
    assert header is not None
    async with Journal(path, job=header[0], facts=header[1]) as journal:
        results = [entry.result async for entry in journal.entries()]
    assert results == [None, None, list(box.processes)[-1]]


async def test_nobody_is_named_outside_of_the_error_file(
    box: Sandbox, job: Callable[..., RowJob], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by logs, the report, the job, nor the error that ends it."""
    caplog.set_level(logging.DEBUG)
    answer = {"success": False, "error_message": f"ungültig: {CANARY}"}
    box.fail(MAIL, times=2, status=422, body=answer)
    box.fail(MAIL, times=9, status=401, body=answer)
    told: list[Progress] = []
    made = job("email\n" + f"{CANARY}\n" * 9, concurrency=1, on_progress=told.append)
    with pytest.raises(JobStopped) as caught:
        await made.run()
    assert "kanarie" not in f"{caught.value!r} {caught.value.__cause__!r} {made.report!r} {told!r} {caplog.text}"
    assert [row["email"] for row in rejected(tmp_path)] == [CANARY] * 2
    assert "kanarie" not in rejected(tmp_path)[0]["_reason"]


async def test_rows_that_cannot_be_sent_are_told_in_the_order_of_the_file(
    box: Sandbox, job: Callable[..., RowJob], tmp_path: Path
) -> None:
    """Too short and too long rows never reach the service; what it refuses stands among them, blank rows nowhere."""
    box.add_event("welcome_email", required=["ref"])
    text = "ref;email\nR1\n;b@example.com\nR3;c;d\nR4;d@example.com\n ; \n;f@example.com\n"
    report = await job(text).run()
    assert (report.rows, report.sent, report.failed, report.journal) == (5, 1, 4, None)
    assert [(row["_line"], row["_state"], row["_code"]) for row in rejected(tmp_path)] == [
        ("2", "failed", "row_invalid"),
        ("3", "failed", "Unprocessable"),
        ("4", "failed", "row_invalid"),
        ("7", "failed", "Unprocessable"),
    ]
    assert rejected(tmp_path)[0]["_reason"] == "the row has 1 cells, but there are 2 columns"
    assert "ref muss angegeben werden" in rejected(tmp_path)[1]["_reason"]
    assert box.count(MAIL) == 3


async def test_rows_that_the_client_refuses_are_failed(box: Sandbox, job: Callable[..., RowJob]) -> None:
    """A survey without an address sends nothing."""
    report = await job("email;frage\n;1\na@example.com;2\n", "survey", "survey").run()
    assert (report.sent, report.failed, report.clean) == (1, 1, False)
    assert len(box.requests) == 1


@pytest.mark.parametrize("applied", [True, False])
async def test_a_lost_answer_leaves_a_doubt_for_ever(
    box: Sandbox, job: Callable[..., RowJob], tmp_path: Path, applied: bool
) -> None:
    """The row is told by its line, and neither a second start nor a resumed job sends it again."""
    box.drop(MAIL, times=1, applied=applied)
    report = await job(rows(3), concurrency=1).run()
    assert (report.sent, report.in_doubt, report.doubtful, report.clean) == (2, 1, (2,), False)
    assert report.journal == tmp_path / "rows.csv.journal"
    assert [(row["_line"], row["_state"], row["ref"]) for row in rejected(tmp_path)] == [("2", "in doubt", "R1")]
    with pytest.raises(ConfigError, match="2 rows were sent, 1 are in doubt, 0 are not sent yet"):
        await job().run()
    resumed = await job(resume=True).run()
    assert (resumed.sent, resumed.in_doubt, resumed.settled_before, resumed.stopped) == (2, 1, 2, False)
    assert box.count(MAIL) == 3
    assert times_sent(box, 3) == [int(applied), 1, 1]


async def test_many_doubts_are_left_to_the_error_file(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """Their lines would fill the screen."""
    box.drop(MAIL, every=2)
    count = 2 * (MOST_LINES + 1)
    report = await job(rows(count), concurrency=1).run()
    assert (report.in_doubt, report.doubtful) == (MOST_LINES + 1, ())
    assert len(rejected(tmp_path)) == MOST_LINES + 1


async def test_rows_marked_as_in_doubt_are_left_out(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """The error file of one job is the input of another: only what somebody has decided about is sent."""
    box.drop(MAIL, times=2)
    box.fail(MAIL, status=422)
    await job(rows(4), concurrency=1).run()
    mended = (tmp_path / "errors.csv").read_text(encoding="utf-8").replace("3;in doubt;", "3;;")
    (tmp_path / "rows.csv.journal").unlink()
    report = await job(mended).run()
    assert (report.rows, report.sent, report.left_out, report.in_doubt, report.clean) == (3, 2, 1, 0, False)
    assert report.journal is None
    assert times_sent(box, 4) == [1, 2, 1, 1]
    (row,) = rejected(tmp_path)
    assert (row["_line"], row["_state"], row["ref"]) == ("2", "in doubt", "R1")
    assert "only once its cell _state is empty" in row["_reason"]


async def test_a_stopped_job_goes_on_where_it_was(box: Sandbox, job: Callable[..., RowJob]) -> None:
    """What is under way is finished; resumed, it sends the others, and no row twice."""
    made = job(rows(30))
    made._on_progress = lambda progress: made.stop() if progress.ok else None
    report = await made.run()
    assert report.stopped
    assert 0 < report.sent < 30
    assert report.sent + report.pending == 30
    with pytest.raises(ConfigError, match=f"{report.pending} are not sent yet; resume"):
        await job().run()
    resumed = await job(resume=True).run()
    assert (resumed.sent, resumed.settled_before, resumed.stopped) == (30, report.sent, False)
    assert times_sent(box, 30) == [1] * 30


async def test_a_job_can_be_stopped_before_it_starts(box: Sandbox, job: Callable[..., RowJob]) -> None:
    """A signal may come while the file is still read."""
    made = job(rows(3))
    made.stop()
    report = await made.run()
    assert (report.sent, report.pending, report.stopped) == (0, 3, True)
    assert not box.requests


@CANCELLATIONS
async def test_a_cancelled_job_goes_on_and_sends_nothing_twice(tmp_path: Path, clock: Clock, native: bool) -> None:
    """Rows that are under way are finished and recorded before the job ends."""
    reached, released = anyio.Event(), anyio.Event()

    async def hold(_: float) -> None:
        if len(slow.requests) >= 6:
            reached.set()
            await released.wait()

    async with Sandbox(clock=Clock(sleep=hold)) as slow:
        slow.latency = 1.0
        table = written(tmp_path, rows(20))
        made = a_job(slow.client(clock=clock), table, tmp_path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancelled, made, reached, released, native)
        assert made.report is not None
        assert made.report.sent + made.report.pending == 20
        assert 6 <= made.report.sent < 20
        slow.latency = 0.0
        report = await a_job(slow.client(clock=clock), table, tmp_path, resume=True).run()
        assert (report.sent, report.clean) == (20, True)
        assert times_sent(slow, 20) == [1] * 20


async def cancelled(made: RowJob, reached: anyio.Event, released: anyio.Event, native: bool) -> None:
    """Run a job and cancel it as soon as that many requests are under way, which are answered only afterwards."""
    if native:
        task = asyncio.ensure_future(made.run())
        await reached.wait()
        task.cancel()
        await anyio.lowlevel.checkpoint()
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.run)
        await reached.wait()
        tasks.cancel_scope.cancel()
        released.set()


def written(folder: Path, text: str, encoding: str = "utf-8") -> Table:
    """A file with this text."""
    path = folder / "rows.csv"
    path.write_text(text, encoding=encoding, newline="")
    return open_table(path)


def a_job(doxie: Doxie, table: Table, folder: Path, **options: Any) -> RowJob:
    """A job with few rows at a time."""
    return RowJob(doxie, "mailer", "welcome_email", table, errors=folder / "errors.csv", concurrency=4, **options)


async def test_a_row_that_a_dead_run_left_under_way_is_in_doubt(
    box: Sandbox, job: Callable[..., RowJob], tmp_path: Path
) -> None:
    """Nobody knows whether it was sent, so it is not sent again."""
    first = job(rows(3))
    first.stop()
    await first.run()
    header = read_header(tmp_path / "rows.csv.journal")
    assert header is not None
    async with Journal(tmp_path / "rows.csv.journal", job=header[0], facts=header[1]) as journal:
        keys = [entry.key async for entry in journal.entries()]
        await journal.begin(keys[1])
    for limit, sent, said in ((1, 1, "the run ended while this row was being sent"), (None, 2, "an earlier run was")):
        report = await job(resume=True, limit=limit).run()
        assert (report.sent, report.in_doubt, report.doubtful) == (sent, 1, (3,))
        (row,) = rejected(tmp_path)
        assert said in row["_reason"]
    assert times_sent(box, 3) == [1, 0, 1]


async def test_an_outage_stops_the_job(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """What the service has not taken is not sent yet, and goes out when the job is resumed."""
    box.fail(MAIL, times=1000, status=429)
    made = job(rows(30), concurrency=1, breaker=Breaker(max_outage=0))
    with pytest.raises(JobStopped, match="the outage was not over after 0 s"):
        await made.run()
    box.recover()
    assert made.report is not None
    assert (made.report.sent, made.report.pending, made.report.stopped) == (0, 30, True)
    assert "429" in made.report.unsent
    assert not (tmp_path / "errors.csv").exists()
    assert (await job(resume=True).run()).sent == 30
    assert times_sent(box, 30) == [1] * 30


async def test_refused_credentials_stop_the_job(box: Sandbox, job: Callable[..., RowJob]) -> None:
    """At once, and nothing is lost."""
    box.fail(MAIL, status=401)
    made = job(rows(9), concurrency=1)
    with pytest.raises(JobStopped) as caught:
        await made.run()
    assert isinstance(caught.value.__cause__, Unauthorized)
    assert made.report is not None
    assert (made.report.sent, made.report.pending) == (0, 9)


async def test_a_job_that_is_refused_to_its_end_leaves_nothing_to_resume(
    box: Sandbox, job: Callable[..., RowJob], tmp_path: Path
) -> None:
    """Every row alike stops the job, but there the last one is told, too, and the mended file can be sent at once."""
    box.fail(MAIL, times=50, status=422)
    with pytest.raises(JobStopped, match="50 items in a row were refused alike"):
        await job(rows(50)).run()
    assert len(rejected(tmp_path)) == 50
    assert (await job(rows(3)).run()).sent == 3


async def test_a_limit_leaves_the_rest_for_later(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """A first try with few rows is not a stopped job, and what it has sent is not sent again."""
    report = await job(rows(9), limit=2).run()
    assert (report.rows, report.sent, report.pending, report.stopped, report.clean) == (9, 2, 7, False, True)
    assert times_sent(box, 9) == [1] * 2 + [0] * 7
    assert (await job(limit=5, resume=True).run()).sent == 5
    assert (await job(resume=True).run()).settled_before == 5
    assert times_sent(box, 9) == [1] * 9
    assert not (tmp_path / "rows.csv.journal").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"text": rows(3)},
        {"event": "other"},
        {"kind": "injector", "event": "journey"},
        {"base": {"a": 1}},
        {"keep_empty": True},
    ],
)
async def test_another_job_is_told_from_the_one_in_the_journal(
    job: Callable[..., RowJob], change: dict[str, Any]
) -> None:
    """Other rows, another event or other payloads are another job."""
    await job(rows(4), limit=1).run()
    for resume in (True, False):
        with pytest.raises(JournalError):
            await job(resume=resume, **change).run()


async def test_another_tenant_or_reading_of_the_file_is_another_job(doxie: Doxie, clock: Clock, tmp_path: Path) -> None:
    """Rows that one tenant was sent are not sent for another, nor those that went to a service for trials."""
    table = written(tmp_path, rows(4))
    await a_job(doxie, table, tmp_path, limit=1).run()
    async with Sandbox(tenant="andere") as other:
        with pytest.raises(JournalError):
            await a_job(other.client(clock=clock), table, tmp_path, resume=True).run()
        elsewhere = other.client(clock=clock, base_url="https://staging.example.com")
        with pytest.raises(JournalError, match="another base URL"):
            await a_job(elsewhere, table, tmp_path, resume=True).run()
    with pytest.raises(JournalError):
        await a_job(doxie, open_table(table.path, separator="@"), tmp_path, resume=True).run()


async def test_an_earlier_error_file_goes_only_with_a_job_at_its_end(
    box: Sandbox, job: Callable[..., RowJob], tmp_path: Path
) -> None:
    """Until then, its rows may not have been looked at."""
    earlier = tmp_path / "errors.csv"
    earlier.write_text("_line;_state;_code;_reason;ref;email\n2;failed;5;nein;R9;x\n")
    report = await job(rows(2), limit=1).run()
    assert (report.earlier_errors, earlier.exists()) == (None, True)
    report = await job(resume=True).run()
    assert (report.earlier_errors, earlier.exists()) == ("removed", False)


async def test_a_changed_file_is_told_with_what_deleting_the_journal_means(
    box: Sandbox, job: Callable[..., RowJob]
) -> None:
    """Mails that went out would go out again."""
    await job(rows(4), limit=1).run()
    with pytest.raises(JournalError, match=r"rows\.csv has changed.*rows already sent go out again"):
        await job(rows(3), resume=True).run()
    assert len(box.sent) == 1


async def test_the_error_file_stands_beside_the_rows(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """Unless another place is named; why rows failed is counted."""
    report = await job(rows(1) + "R2\nR3\n", errors=None).run()
    assert report.errors == tmp_path / "rows.csv.errors.csv"
    assert (report.reasons, report.earlier_errors) == ({"row_invalid": 2}, None)
    assert (await job(rows(1) + "R2\n", errors=None).run()).earlier_errors == "replaced"


async def test_nothing_can_be_resumed_without_a_journal(job: Callable[..., RowJob], tmp_path: Path) -> None:
    """It would start over what may have been sent by another journal."""
    with pytest.raises(ConfigError, match=r"no unfinished job in .*rows\.csv\.journal"):
        await job(rows(1), resume=True).run()
    assert not (tmp_path / "rows.csv.journal").exists()


@pytest.mark.parametrize("notes", [{"planned": True, "finished": True}, {}], ids=["finished", "not begun"])
async def test_a_journal_with_nothing_open_gives_way(
    box: Sandbox, job: Callable[..., RowJob], tmp_path: Path, notes: dict[str, object]
) -> None:
    """A run that died just before it removed its journal, or before it sent anything, is in nobody's way."""
    facts = {"input": "another"}
    async with Journal(tmp_path / "rows.csv.journal", job="doxie send mailer", facts=facts) as journal:
        await journal.note(**notes)
    assert (await job(rows(2)).run()).sent == 2


async def test_a_run_that_dies_at_its_end_has_said_so(
    box: Sandbox, job: Callable[..., RowJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it removes its journal; or the same rows would be taken for unfinished ever after."""
    with monkeypatch.context() as dying:
        dying.setattr(row_job, "_remove", lambda _: None)
        assert (await job(rows(2)).run()).clean
    with pytest.raises(ConfigError, match="nothing can be resumed"):
        await job(resume=True).run()
    assert (await job().run()).sent == 2


async def test_the_journal_of_another_program_stays(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """Whatever it says of itself."""
    async with Journal(tmp_path / "rows.csv.journal", job="something else") as journal:
        await journal.note(finished=True)
    with pytest.raises(JournalError):
        await job(rows(2)).run()
    assert read_header(tmp_path / "rows.csv.journal") is not None
    assert not box.requests


async def test_a_broken_file_leaves_no_journal(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """Nothing was sent, and the mended file is not taken for another one."""
    with pytest.raises(TableError, match="line 4"):
        await job(rows(2) + 'R3;"offen\n').run()
    assert not box.requests
    assert files_in(tmp_path) == ["rows.csv"]
    assert (await job(rows(3)).run()).sent == 3


async def test_a_file_that_changes_meanwhile_is_told(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """What was sent is in the journal; the figures are told all the same."""
    box.fail(MAIL, status=422)
    made = job(rows(3), on_progress=lambda _: (tmp_path / "rows.csv").write_text("anders"))
    with pytest.raises(TableError, match="changed while it was read"):
        await made.run()
    assert made.report is not None
    assert (made.report.sent, made.report.failed) == (2, 1)
    assert (tmp_path / "rows.csv.journal").exists()


async def test_a_foreign_error_file_is_refused(box: Sandbox, job: Callable[..., RowJob], tmp_path: Path) -> None:
    """Before anything is sent, and without a journal."""
    (tmp_path / "errors.csv").write_text("wichtig")
    with pytest.raises(ConfigError, match="give another name"):
        await job(rows(1)).run()
    assert files_in(tmp_path) == ["errors.csv", "rows.csv"]
    assert not box.requests


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig"])
async def test_files_are_read_as_people_have_them(box: Sandbox, doxie: Doxie, tmp_path: Path, encoding: str) -> None:
    """Umlauts and semicolons arrive, whatever the spreadsheet has made of them, and come back in the error file."""
    box.add_event("welcome_email", required=["Größe"])
    table = written(tmp_path, 'Größe;Straße\r\n"groß; größer";Äußere\r\n;Köln\r\n', encoding)
    report = await a_job(doxie, table, tmp_path).run()
    assert [message.payload for message in box.sent] == [{"Größe": "groß; größer", "Straße": "Äußere"}]
    assert report.failed == 1
    again = open_table(tmp_path / "errors.csv")
    assert (again.header, [row.cells for row in again.rows()]) == (("Größe", "Straße"), [("", "Köln")])
