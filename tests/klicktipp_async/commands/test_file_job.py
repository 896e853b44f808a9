"""Jobs that are stopped, broken off, refused, resumed and mixed up; and what none of them may show."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from klickdoxie_core import JobStopped
from klickdoxie_core.entry import Entry
from klickdoxie_core.errors import ConnectFailed, Facts, JournalError, SdkError
from klickdoxie_core.journal import Journal, read_header
from klickdoxie_core.journal_store import Store, open_store
from klicktipp_async import ConnectFailed as KlickTippConnectFailed
from klicktipp_async import RateLimited as KlickTippRateLimited
from klicktipp_async import crm
from klicktipp_async.commands import file_job, showing
from klicktipp_async.commands.importing import add_import
from klicktipp_async.commands.syncing import add_sync
from klicktipp_async.crm import SourceRow, SyncPlan, SyncReport, planner, sync
from klicktipp_async.crm.apply import Writer
from klicktipp_async.crm.guess import guess
from klicktipp_async.crm.rows import Written
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Ran, Run
from tests.klicktipp_async.commands.support import (
    UPSERT,
    brief,
    events,
    exported,
    people,
    table,
    writes,
    written,
)

OPT_IN = ("--opt-in", "default")
JOURNAL = Path("kontakte.csv.journal")
Signal = Callable[..., None]


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Signal:
    """Arrange that signals come when so many rows have been written."""

    def arrange(*numbers: signal.Signals, after: int = 5) -> None:
        write, count = Writer.write, 0

        async def counting(writer: Writer, entry: Entry) -> Written:
            nonlocal count
            result = await write(writer, entry)
            count += 1
            if count == after:
                for number in numbers:
                    signal.raise_signal(number)
            return result

        monkeypatch.setattr(Writer, "write", counting)

    return arrange


def arrived_once(box: Sandbox, count: int) -> bool:
    """Whether so many people are in the account, each of them added by one request and mailed once."""
    carried_out = sum(request.applied for request in box.requests if request.operation == UPSERT)
    return (len(box.contacts), carried_out, set(box.confirmation_mails.values())) == (count, count, {1})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_in_good_order(
    box: Sandbox, run: Run, interrupt: Signal, number: signal.Signals
) -> None:
    """What is under way arrives, the summary comes, and --resume sends the others."""
    interrupt(number)
    before = signal.getsignal(number)
    arguments = (written("kaputt;;", *people(100)), *OPT_IN, "--concurrency", "2")
    ended = run(add_import, *arguments, "--language", "de")
    assert ended.code == 4
    assert re.search(r"^ +9\d  noch nicht gesendet$", ended.out, re.MULTILINE)
    assert "vor dem Ende angehalten: derselbe Befehl mit --resume macht weiter" in ended.out
    assert 5 <= len(box.contacts) < 12
    assert brief(table("kontakte.csv.errors.csv")) == [("2", "failed", "email_invalid")]
    assert signal.getsignal(number) is before
    ended = run(add_import, *arguments, "--resume", "--json")
    assert (ended.code, events(ended)[-1]["done"], events(ended)[-1]["pending"]) == (1, 100, 0)
    assert arrived_once(box, 100)
    assert not JOURNAL.exists()


def test_the_second_interrupt_breaks_off(box: Sandbox, run: Run, interrupt: Signal) -> None:
    """Ctrl-C twice does not wait for the rest; nothing is lost by it, and nothing sent twice."""
    interrupt(signal.SIGINT, signal.SIGINT)
    arguments = (written(*people(100)), *OPT_IN, "--concurrency", "4")
    ended = run(add_import, *arguments)
    assert ended.code == 4
    assert ended.out.endswith("100  add or update\n")
    assert ended.err.endswith("\nklicktipp: broken off; --resume goes on\n")
    assert 5 <= len(box.contacts) < 20
    assert run(add_import, *arguments, "--resume").code == 0
    assert arrived_once(box, 100)


@pytest.mark.parametrize("extra", [(), ("--dry-run",)])
def test_an_early_interrupt_leaves_nothing_to_resume(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, ...]
) -> None:
    """The account is still being read; the exit code and a line say that there is nothing to go on with."""

    def interrupted(header: Sequence[str], fields: Mapping[str, str]) -> crm.Mapping:
        signal.raise_signal(signal.SIGINT)
        return guess(header, fields)

    monkeypatch.setattr(file_job, "guess", interrupted)
    ended = run(add_import, written(*people(3)), *OPT_IN, *extra)
    assert (ended.code, writes(box)) == (130, 0)
    assert ended.err == "\nklicktipp: broken off; there is nothing to resume\n"


def test_a_sync_is_stopped_and_resumed(box: Sandbox, run: Run, interrupt: Signal) -> None:
    """The report tells of the rows whose turn has not come, too; the errors of an earlier job go with the last row."""
    interrupt(signal.SIGINT, after=2)
    written(name="crm.csv.errors.csv", header="_line;_state;_code;_reason;Mail")
    arguments = exported(box, *(f"K-{n};anna{n}@example.com;;Änne;VIP" for n in range(40)))
    ended = run(add_sync, *arguments, "--apply", "--concurrency", "1")
    assert ended.code == 4
    states = Counter(row["state"] for row in table("crm.csv.report.csv", "utf-8-sig"))
    assert states == {"done": len(box.contacts), "pending": 40 - len(box.contacts)}
    assert Path("crm.csv.errors.csv").exists()
    sent = len(box.contacts)
    assert run(add_sync, *arguments, "--apply").code == 2
    assert run(add_sync, *arguments, "--plan").code == 2
    resumed = run(add_sync, *arguments, "--resume")
    assert resumed.code == 0
    assert "tags created" not in resumed.out
    assert f"       40  create\n{sent:>9}  settled by an earlier run\n" in resumed.out
    assert "the error file of an earlier run was removed" in resumed.out
    assert not Path("crm.csv.errors.csv").exists()
    assert (len(box.contacts), box.count(UPSERT)) == (40, 40)


@pytest.mark.parametrize(("extra", "said"), [((), "--resume goes on"), (("--dry-run",), "stopped before the end\n")])
def test_a_plan_can_be_stopped(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, ...], said: str
) -> None:
    """Nothing was sent; also when the signal comes with the last rows, nothing is sent afterwards."""
    monkeypatch.setattr(planner, "_CHUNK", 20)
    read = planner.Planner._read

    def interrupted(self: planner.Planner, rows: Sequence[SourceRow]) -> object:
        signal.raise_signal(signal.SIGINT)
        return read(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(planner.Planner, "_read", interrupted)
        for rows in (50, 20):
            ended = run(add_import, written(*people(rows)), *OPT_IN, *extra)
            assert (ended.code, writes(box)) == (4, 0)
            assert ended.out.endswith(f"{said}\n" if not extra else said)
    assert JOURNAL.exists() is not bool(extra)
    if not extra:
        assert run(add_import, "kontakte.csv", *OPT_IN, "--resume").code == 0
        assert arrived_once(box, 20)


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        (1, "stopped before the end of the plan, and nothing was sent: --plan --resume goes on\n"),
        (2, "klicktipp: broken off; --plan --resume goes on\n"),
    ],
)
def test_a_plan_to_look_at_goes_on_as_one(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, signals: int, said: str
) -> None:
    """With --resume alone it would be carried out, and nobody has seen it."""
    monkeypatch.setattr(planner, "_CHUNK", 20)
    read = planner.Planner._read

    def interrupted(self: planner.Planner, rows: Sequence[SourceRow]) -> object:
        for _ in range(signals):
            signal.raise_signal(signal.SIGINT)
        return read(self, rows)

    arguments = exported(box, *(f"K-{n};anna{n}@example.com;;Änne;" for n in range(50)))
    with monkeypatch.context() as patch:
        patch.setattr(planner.Planner, "_read", interrupted)
        ended = run(add_sync, *arguments)
    assert (ended.code, writes(box)) == (4, 0)
    assert (ended.out + ended.err).endswith(said)
    ended = run(add_sync, *arguments, "--plan", "--resume", "--json")
    assert (ended.code, events(ended)[-1]["left"], writes(box)) == (0, 50, 0)


def test_credentials_refused_on_the_way_have_their_code(box: Sandbox, run: Run) -> None:
    """The summary and the error file come all the same, and nothing has to be sent twice afterwards."""
    box.fail(UPSERT, every=1, times=30, status=403, body=["API access denied."])
    arguments = (written("kaputt;;", *people(10)), *OPT_IN, "--concurrency", "1")
    ended = run(add_import, *arguments, "--json")
    summary = events(ended)[-1]
    assert ended.code == 3
    assert (summary["event"], summary["pending"], summary["failed"], summary["done"]) == ("summary", 10, 1, 0)
    assert brief(table("kontakte.csv.errors.csv")) == [("2", "failed", "email_invalid")]
    box._faults.clear()
    assert run(add_import, *arguments, "--resume").code == 1
    assert arrived_once(box, 10)


def test_a_tag_that_may_not_be_made_is_told_with_the_summary(box: Sandbox, run: Run) -> None:
    """No tag was created then, and no row was sent."""
    box.fail("Create Tag", every=1, status=403, body=["API access denied."])
    ended = run(add_import, written("kaputt;;", *people(2)), *OPT_IN, "--tag", "Neu", "--json")
    summary = events(ended)[-1]
    assert (ended.code, summary["event"], summary["pending"], summary["tags_created"]) == (3, "summary", 2, 0)
    assert Path("kontakte.csv.errors.csv").exists()


def test_a_job_that_stops_itself_can_be_resumed(box: Sandbox, run: Run) -> None:
    """Fifty refusals in a row are no accident; those rows have failed, the others wait."""
    box.fail(UPSERT, every=1, status=406, body={"error": 999})
    ended = run(add_import, written(*people(80)), *OPT_IN, "--concurrency", "1", "--json")
    summary = events(ended)[-1]
    assert (ended.code, summary["failed"], summary["pending"]) == (4, 50, 30)
    assert summary["reasons"] == {"999": 50}
    assert "50 items in a row were refused alike" in ended.err
    assert len(table("kontakte.csv.errors.csv")) == 50
    assert JOURNAL.exists()


REFUSAL = {"status": 406, "body": {"error": 999}}


@pytest.mark.parametrize("extra", [(), ("--resume",)])
def test_a_job_of_which_nothing_has_arrived_begins_anew(box: Sandbox, run: Run, extra: tuple[str, ...]) -> None:
    """A wrong mapping fails everything at once; mended, it needs neither --resume nor a file to be deleted."""
    box.fail(UPSERT, every=1, **REFUSAL)
    file = written(*people(60))
    ended = run(add_import, file, *OPT_IN, "--concurrency", "1", "--map", "E-Mail=email", "--map", "Notiz=fieldCity")
    assert ended.code == 4
    assert "nothing has arrived: once the cause is mended, the same command begins anew" in ended.out
    assert ended.err.startswith("klicktipp: the job stopped because 50 items in a row were refused alike")
    assert "bulk" not in ended.err
    box._faults.clear()
    assert run(add_import, file, *OPT_IN, "--map", "E-Mail=email", *extra).code == 0
    assert arrived_once(box, 60)


def test_failed_rows_are_sent_again_once_the_cause_is_mended(box: Sandbox, run: Run, interrupt: Signal) -> None:
    """--resume leaves them alone, and --retry-failed takes them along."""
    box.fail(UPSERT, times=1, **REFUSAL)
    interrupt(signal.SIGINT, after=3)
    ended = run(add_import, written(*people(20)), *OPT_IN, "--concurrency", "1")
    assert ended.code == 4
    assert "--resume goes on, with --retry-failed also with the failed rows" in ended.out
    ended = run(add_import, "kontakte.csv", *OPT_IN, "--retry-failed", "--json")
    assert (ended.code, events(ended)[-1]["done"], events(ended)[-1]["failed"]) == (0, 20, 0)
    assert arrived_once(box, 20)


def test_a_job_whose_rows_arrived_is_not_gone_on_with_otherwise(box: Sandbox, run: Run, interrupt: Signal) -> None:
    """The text says what is other, and what happens to those who decide to begin anew."""
    assert stopped_import(run, interrupt, *people(20)).code == 4
    sent = box.count(UPSERT)
    for extra in ((), ("--resume",)):
        ended = run(add_import, "kontakte.csv", "--opt-in", "Single-Opt-In", *extra)
        assert (ended.code, box.count(UPSERT)) == (2, sent)
        assert "was made with another opt-in process, and rows were sent: --resume goes on once it is" in ended.err
        assert "rows already sent go out again then" in ended.err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KlickTippRateLimited("slow down", Facts()), "--rate N sends N a second at the most"),
        (ConnectFailed("nobody there", Facts()), "nobody there"),
    ],
)
def test_a_job_that_ends_early_always_says_why(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, error: SdkError, said: str
) -> None:
    """On the screen and for machines; where the service wants fewer requests, also what to do."""

    async def stopped(self: sync.ContactSync, *_: object, **__: object) -> SyncReport:
        raise JobStopped("the job stopped because too many calls are failing") from error

    monkeypatch.setattr(sync.ContactSync, "apply", stopped)
    ended = run(add_import, written(*people(3)), *OPT_IN)
    assert ended.code == 4
    assert "the job stopped because too many calls are failing" in ended.err
    assert (said in ended.out) is isinstance(error, KlickTippRateLimited)
    ended = run(add_import, "kontakte.csv", *OPT_IN, "--json")
    assert events(ended)[-1]["stopped"] == "the job stopped because too many calls are failing"


def test_rows_that_only_had_to_wait_say_why(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has stopped the job, and yet they are left."""

    async def unreachable(*_: object) -> Written:
        raise KlickTippConnectFailed("nobody there", Facts())

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", unreachable)
        ended = run(add_import, written(*people(3)), *OPT_IN)
        assert ended.code == 4
        assert re.search(r"^why not yet:\n  .+: 3 rows$", ended.out, re.MULTILINE)
        assert events(run(add_import, "kontakte.csv", *OPT_IN, "--json"))[-1]["stopped"]
    assert run(add_import, "kontakte.csv", *OPT_IN).code == 0


def test_a_job_that_stops_itself_at_its_end_has_nothing_to_resume(box: Sandbox, run: Run) -> None:
    """Rows have failed, and that is all."""
    box.fail(UPSERT, every=1, status=406, body={"error": 999})
    ended = run(add_import, written(*people(50)), *OPT_IN, "--concurrency", "1")
    assert (ended.code, ended.err) == (1, "")
    assert not JOURNAL.exists()


def test_a_journal_that_breaks_stops_the_job(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be read afterwards either, the error still says what has happened."""

    async def broken(*_: object, **__: object) -> None:
        raise JobStopped("the disk may be full")

    async def unreadable(*_: object) -> None:
        raise JournalError("x")

    monkeypatch.setattr(sync.ContactSync, "apply", broken)
    monkeypatch.setattr(sync.ContactSync, "report", unreadable)
    ended = run(add_import, written(*people(2)), *OPT_IN)
    assert (ended.code, ended.err) == (4, "klicktipp: the disk may be full\n")


def stopped_import(run: Run, interrupt: Signal, *rows: str) -> Ran:
    """An import of which some rows were sent."""
    interrupt(signal.SIGINT)
    return run(add_import, written(*rows), *OPT_IN, "--concurrency", "1")


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ((), "did not come to its end; go on with it by --resume, or delete"),
        (("--resume",), "rows already sent go out again then"),
    ],
)
def test_an_unfinished_import_of_another_file_is_in_the_way(
    box: Sandbox, run: Run, interrupt: Signal, extra: tuple[str, ...], said: str
) -> None:
    """It would be forgotten what was sent."""
    assert stopped_import(run, interrupt, *people(20)).code == 4
    sent, journal = box.count(UPSERT), JOURNAL.read_bytes()
    ended = run(add_import, written(*people(20, start=100)), *OPT_IN, *extra)
    assert (ended.code, box.count(UPSERT)) == (2, sent)
    assert said in ended.err
    assert JOURNAL.exists()
    assert len(journal) == len(JOURNAL.read_bytes())


def test_a_row_that_was_under_way_is_in_doubt_until_it_is_looked_up(box: Sandbox, run: Run, interrupt: Signal) -> None:
    """Killed, a job leaves such rows; they stand in the error file, and --resume finds out whether they arrived."""
    assert stopped_import(run, interrupt, *people(20)).code == 4
    job, facts, _ = read_header(JOURNAL) or ("", {}, {})

    async def begin() -> None:
        async with Journal(JOURNAL, job=job, facts=facts) as journal:
            await journal.begin("21")

    anyio.run(begin)
    box.fail(UPSERT, every=1, status=403)
    ended = run(add_import, "kontakte.csv", *OPT_IN, "--concurrency", "1", "--resume", "--json")
    assert (ended.code, events(ended)[-1]["in_doubt"]) == (3, 1)
    assert brief(table("kontakte.csv.errors.csv")) == [("21", "in doubt", "interrupted")]
    box._faults.clear()
    assert run(add_import, "kontakte.csv", *OPT_IN, "--resume").code == 0
    assert arrived_once(box, 20)


def test_a_dry_run_leaves_an_unfinished_import_alone(box: Sandbox, run: Run, interrupt: Signal) -> None:
    """It keeps its own record elsewhere."""
    assert stopped_import(run, interrupt, *people(20)).code == 4
    journal = JOURNAL.read_bytes()
    ended = run(add_import, written(*people(30)), *OPT_IN, "--dry-run")
    assert ended.code == 0
    assert "30  add or update" in ended.out
    assert JOURNAL.read_bytes() == journal
    assert run(add_import, written(*people(20)), *OPT_IN, "--resume").code == 0
    assert arrived_once(box, 20)


def test_a_finished_journal_is_not_in_the_way(
    box: Sandbox, run: Run, interrupt: Signal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the last moment, a job leaves one in which nothing is open."""
    with monkeypatch.context() as patch:
        patch.setattr(file_job, "_remove", lambda *_: None)
        assert run(add_import, written(*people(2)), *OPT_IN).code == 0
    assert JOURNAL.exists()
    assert run(add_import, written(*people(2)), *OPT_IN, "--resume").code == 0
    assert box.count(UPSERT) == 2
    assert run(add_import, written(*people(2, start=10)), *OPT_IN).code == 0
    assert len(box.contacts) == 4


@pytest.fixture
def begin_another() -> Iterator[Callable[[], None]]:
    """Let another run begin in the place of the journal, and look in the end whether it still has its own."""
    others: list[Store] = []

    def begin() -> None:
        if JOURNAL.exists():
            # It lives on, as a file does that somebody has open.
            JOURNAL.rename("old.journal")
        others.append(open_store(JOURNAL, "klicktipp import", {"source": "another"}))

    yield begin
    others.pop().close()
    header = read_header(JOURNAL)
    assert header is not None
    assert header[1]["source"] == "another"


@pytest.mark.parametrize("finished", [True, False], ids=["in place of one", "first"])
def test_the_journal_of_a_run_that_begins_meanwhile_stays(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, begin_another: Callable[[], None], finished: bool
) -> None:
    """Two are started at the same moment: the one that is too late must not remove what the other writes."""
    if finished:
        with monkeypatch.context() as patch:
            patch.setattr(file_job, "_remove", lambda *_: None)
            assert run(add_import, written(*people(2)), *OPT_IN).code == 0
    sent, goes_on = writes(box), file_job._goes_on

    async def slowly(*arguments: Any) -> bool:
        again = await goes_on(*arguments)
        begin_another()
        return again

    monkeypatch.setattr(file_job, "_goes_on", slowly)
    ended = run(add_import, written(*people(3)), *OPT_IN)
    assert (ended.code, writes(box)) == (2, sent)
    assert "is in use by another job" in ended.err


def test_a_run_that_ends_leaves_the_journal_of_the_next_one(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, begin_another: Callable[[], None]
) -> None:
    """Which begins while the rows that did not arrive are being written."""
    write_errors = file_job.write_errors

    async def slowly(*arguments: Any) -> Path | None:
        errors = await write_errors(*arguments)
        begin_another()
        return errors

    monkeypatch.setattr(file_job, "write_errors", slowly)
    assert run(add_import, written(*people(3)), *OPT_IN).code == 0
    assert arrived_once(box, 3)


def test_a_journal_in_use_is_told(box: Sandbox, run: Run) -> None:
    """Two jobs must not send the same rows."""

    async def occupied() -> Ran:
        async with Journal(JOURNAL, job="klicktipp import", facts={"mapping": "x"}):
            return await to_thread.run_sync(run, add_import, written(*people(2)), *OPT_IN)

    ended = anyio.run(occupied)
    assert (ended.code, writes(box)) == (2, 0)
    assert "is in use by another job" in ended.err


def test_a_file_that_changes_meanwhile_spares_the_summary(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent is told, and the journal keeps what became of the rows."""
    apply = sync.ContactSync.apply

    async def edited(self: sync.ContactSync, plan: SyncPlan, *, retry_failed: bool) -> SyncReport:
        written("lea@example.com;;")
        return await apply(self, plan, retry_failed=retry_failed)

    monkeypatch.setattr(sync.ContactSync, "apply", edited)
    ended = run(add_import, written("kaputt;;", *people(2)), *OPT_IN, "--json")
    assert (ended.code, events(ended)[-1]["done"], events(ended)[-1]["errors"]) == (1, 2, None)
    assert "it was changed meanwhile" in ended.err
    assert JOURNAL.exists()


def test_a_report_that_cannot_be_written_spares_the_summary(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk does not hide what was sent."""

    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_job, "write_report", full)
    arguments = exported(box, "K-1;anna@example.com;;Änne;")
    ended = run(add_sync, *arguments, "--apply", "--json")
    assert (ended.code, events(ended)[-1]["created"], events(ended)[-1]["report"]) == (1, 1, None)
    assert "could not be written: [Errno 28] No space left" in ended.err


def test_a_bar_is_shown_while_the_service_works(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that reads nothing needs none; every bar is closed before anything is told, whatever ended the job."""
    opened: list[bool] = []
    closed: list[bool] = []

    class Display:
        def __call__(self, progress: object) -> None:
            """Show nothing."""

        def close(self) -> None:
            """Count."""
            closed.append(True)

    def display_on(_: object, *, as_json: bool) -> Display:
        opened.append(as_json)
        return Display()

    monkeypatch.setattr(showing, "display_on", display_on)
    tell = file_job._Run._tell

    def telling(job: Any, facts: Mapping[str, object], text: str) -> None:
        assert len(opened) == len(closed)
        tell(job, facts, text)

    monkeypatch.setattr(file_job._Run, "_tell", telling)
    run(add_import, written(*people(2)), *OPT_IN)
    assert (len(opened), len(closed)) == (1, 1)
    run(add_sync, *exported(box, "K-1;lea@example.com;;Lea;"), "--apply")
    assert (len(opened), len(closed)) == (3, 3)
    box.fail(UPSERT, every=1, status=403)
    assert run(add_import, written(*people(2, start=7)), *OPT_IN).code == 3
    assert (len(opened), len(closed)) == (4, 4)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("json", [(), ("--json",)])
@pytest.mark.parametrize(
    "trouble",
    [
        lambda box: None,
        lambda box: box.fail(UPSERT, every=1, status=403, body={"message": "anna.geheim@example.com"}),
        lambda box: box.fail(UPSERT, every=1, status=406, body={"error": 999, "reason": "anna.geheim@example.com"}),
        lambda box: box.fail("List Tags", every=1, status=401, body={"error": "Blütenhonig; 500 g"}),
        lambda box: box.block("anna.geheim@example.com"),
    ],
    ids=["well", "forbidden", "refused", "unauthorized", "blocked"],
)
def test_nobody_is_named(
    box: Sandbox,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[Sandbox], None],
    json: tuple[str, ...],
    language: str,
) -> None:
    """Neither screen nor log tells of the people in the file, nor of the password."""
    caplog.set_level(logging.DEBUG)
    trouble(box)
    rows = ["K-1;anna.geheim@example.com;+49 151 7777777;Gräfin;", "K-2;Anna.Geheim@example.com;;Gräfin;"]
    rows += ["K-3;gräfin.geheim@;;Gräfin;", "K-4;ole@example.com;4,91517777777E+12;Gräfin;"]
    ended = run(add_sync, *exported(box, *rows), "--apply", "--language", language, *json)
    assert ended.out or ended.err
    shown = "\n".join([ended.out, ended.err, caplog.text, *map(repr, caplog.records)])
    for secret in ("geheim", "gräfin", "7777777", "ole@", "blütenhonig", os.environ["KLICKTIPP_PASSWORD"].lower()):
        assert secret not in shown.lower()
