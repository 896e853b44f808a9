"""An import into the sandbox: what arrives, what is written down, and how it ends early."""

from __future__ import annotations

import csv
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from klicktipp_async import ConfigError, Forbidden, KlickTipp, SdkError
from klicktipp_async.csv_import import ImportJob, ImportOptions, Summary, prepare, run, start
from klicktipp_async.csv_import.draft import Draft
from klicktipp_async.csv_import.report import ErrorFile
from klicktipp_async.csv_import.table import Row, open_table
from klicktipp_async.csv_import.triage import Item
from klicktipp_async.sandbox import Sandbox

Options = Callable[..., ImportOptions]

pytestmark = pytest.mark.anyio

UPSERT, TAG = "Add or Update Contact", "Tag Contact"


async def imported(kt: KlickTipp, options: ImportOptions) -> Summary:
    """The summary of a whole import."""
    plan = await prepare(kt, options)
    return await run(await start(kt, plan), plan)


def failures(summary: Summary) -> list[dict[str, str]]:
    """The rows of the error file."""
    assert summary.errors is not None
    with summary.errors.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


async def test_each_valid_row_arrives_once(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """Contacts arrive with their fields, number and tags; the others are written down with their reason."""
    summary = await imported(
        kt,
        options(
            "anna@example.com;+49 30 23125001;Änne;Kunde|VIP|Presse",
            "ANNA@example.com;;Anna;",
            ";0049 30 23125002;;Kunde",
            "kaputt;;Karl;Nie",
            "bernd@example.com;;;",
        ),
    )
    anna = box.contact("anna@example.com")
    names = {tag.id: tag.name for tag in box.tags.values()}
    assert anna is not None
    assert (anna.sms_number, anna.fields) == ("00493023125001", {"fieldFirstName": "Änne"})
    assert [names[tag] for tag in anna.tags] == ["Kunde", "VIP", "Presse"]
    assert len(box.contacts) == box.count(UPSERT) == 3
    assert box.count("Create Tag") == len(box.tags) == 3
    assert box.count(TAG) == 1
    assert {**summary.as_json(), "seconds": 0, "rows_per_second": 0, "errors": ""} == {
        "rows": 5,
        "imported": 3,
        "failed": 1,
        "duplicate": 1,
        "in_doubt": 0,
        "codes": {"duplicate": 1, "email_invalid": 1},
        "tags_created": 3,
        "seconds": 0,
        "rows_per_second": 0,
        "interrupted": False,
        "stopped": None,
        "errors": "",
    }
    assert {(row["_line"], row["_state"], row["_code"], row["Vorname"]) for row in failures(summary)} == {
        ("3", "duplicate", "duplicate", "Anna"),
        ("5", "failed", "email_invalid", "Karl"),
    }


async def test_a_clean_import_leaves_no_error_file(kt: KlickTipp, options: Options) -> None:
    """Without an error there is no file, not even that of an earlier import."""
    given = options("anna@example.com;;;")
    given.errors.write_text("_line;_state;_code;_reason;a\n")
    summary = await imported(kt, given)
    assert (summary.complete, summary.errors, given.errors.exists()) == (True, None, False)


async def test_the_error_file_can_be_repaired_and_imported(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """Repaired rows arrive, the duplicates in it stay back."""
    first = await imported(kt, options("anna@example.com;;;", "anna@example.com;;;", "bernd.example.com;;Bernd;"))
    assert first.errors is not None
    repaired = first.errors.rename(first.errors.with_name("repaired.csv"))
    repaired.write_text(repaired.read_text().replace("bernd.example", "bernd@example"))
    second = await imported(kt, options(path=repaired))
    assert (second.states.total(), second.as_json()["imported"], second.as_json()["duplicate"]) == (2, 1, 1)
    assert [contact.email for contact in box.contacts.values()] == ["anna@example.com", "bernd@example.com"]
    assert box.count(UPSERT) == 2


async def test_empty_cells_clear_nothing(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """A second import without a name leaves the stored one."""
    await imported(kt, options("anna@example.com;;Anna;"))
    await imported(kt, options("anna@example.com;;;"))
    contact = box.contact("anna@example.com")
    assert contact is not None
    assert contact.fields == {"fieldFirstName": "Anna"}


async def test_existing_tags_are_used(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """Only what is missing is created, once for all rows, whatever their number."""
    box.add_tag("Kunde")
    rows = [f"anna{number}@example.com;;;Kunde,Neu" for number in range(40)]
    summary = await imported(kt, options(*rows, tags=["Import"], concurrency=8))
    assert (summary.tags_created, box.count("Create Tag"), box.count(UPSERT), box.count(TAG)) == (2, 2, 40, 40)
    assert {len(contact.tags) for contact in box.contacts.values()} == {3}


async def test_the_opt_in_process_is_the_one_asked_for(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """A single opt-in sends no confirmation mail; the default double opt-in sends one each."""
    await imported(kt, options("anna@example.com;;;", opt_in_id=box.single_opt_in_id))
    await imported(kt, options("bernd@example.com;;;"))
    assert box.confirmation_mails == Counter({"bernd@example.com": 1})


async def test_lost_answers_and_an_expired_session_send_nothing_twice(
    box: Sandbox, kt: KlickTipp, options: Options
) -> None:
    """Half of the answers are lost and the session ends: each contact is there once, with one confirmation mail."""
    plan = await prepare(kt, options(*(f"anna{number}@example.com;;Anna;" for number in range(20))))
    box.drop(UPSERT, every=2, applied=True)
    job = await start(kt, plan)
    box.expire_sessions()
    summary = await run(job, plan)
    assert (summary.as_json()["imported"], len(box.contacts)) == (20, 20)
    assert set(box.confirmation_mails.values()) == {1}


async def test_a_row_without_a_clear_answer_is_in_doubt(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """A contact without an address cannot be looked up: when its answer is lost, the row is neither good nor bad."""
    box.drop(UPSERT, applied=True)
    summary = await imported(kt, options(";+493023125001;;"))
    (row,) = failures(summary)
    assert (row["_state"], row["_code"], row["Mobil"]) == ("in doubt", "Interrupted", "+493023125001")
    assert not summary.complete
    assert len(box.contacts) == 1


@pytest.mark.parametrize(("language", "said"), [("en", "blocked"), ("de", "gesperrt")])
async def test_the_reason_of_the_service_is_told(
    box: Sandbox, kt: KlickTipp, options: Options, language: str, said: str
) -> None:
    """A refusal stands in the file with the service's number, and in the language asked for."""
    box.block("anna@example.com")
    (row,) = failures(await imported(kt, options("anna@example.com;;Anna;", language=language)))
    assert (row["_state"], row["_code"]) == ("failed", "30")
    assert said in row["_reason"]


async def test_a_number_below_the_error_stands_behind_it(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """An error with a second number has both."""
    await imported(kt, options("anna@example.com;+493023125001;;", "bernd@example.com;;;"))
    (row,) = failures(await imported(kt, options("bernd@example.com;+493023125001;;")))
    assert row["_code"] == "10/9"


@pytest.mark.parametrize(("status", "state"), [(406, "failed"), (500, "in doubt")])
async def test_a_contact_without_all_its_tags_is_no_success(
    box: Sandbox, kt: KlickTipp, options: Options, status: int, state: str
) -> None:
    """The reason says that the contact is there and its tags are not."""
    box.fail(TAG, every=1, status=status, body={"error": 7} if status == 406 else None)
    (row,) = failures(await imported(kt, options("anna@example.com;;;a|b")))
    assert row["_state"] == state
    assert "the contact was imported, but not all of its tags" in row["_reason"]
    assert len(box.contacts) == 1


async def test_refused_credentials_end_the_job(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """After a refusal nothing further is sent, and the rows that were not tried are in no file."""
    plan = await prepare(kt, options(*(f"anna{number}@example.com;;;" for number in range(50)), concurrency=2))
    job = await start(kt, plan)
    box.fail(UPSERT, every=1, status=403, body=["API access denied."])
    summary = await run(job, plan)
    assert isinstance(job.refused, Forbidden)
    assert summary.stopped is not None
    assert summary.rows == len(failures(summary)) <= 4
    assert not box.contacts


class StopAfter:
    """A progress that stops the job after so many rows."""

    def __init__(self, rows: int) -> None:
        self.job: ImportJob | None = None
        self._rows = rows
        self.told: list[str] = []

    def begin(self, total: int) -> None:
        """Remember the total."""
        self.told.append(f"begin {total}")

    def step(self, summary: Summary) -> None:
        """Stop when it is time."""
        assert self.job is not None
        if summary.rows == self._rows:
            self.job.stop()

    def end(self) -> None:
        """Remember the end."""
        self.told.append("end")


async def test_a_stop_finishes_what_is_under_way(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """After a stop no row is started, and those that were not are in no file."""
    rows = [f"anna{number}@example.com;;;" for number in range(100)]
    plan = await prepare(kt, options("kaputt;;;", *rows, concurrency=4))
    progress = StopAfter(10)
    job = progress.job = await start(kt, plan, progress)
    summary = await run(job, plan)
    assert summary.interrupted
    assert 10 <= summary.rows <= 20
    assert summary.as_json()["imported"] == len(box.contacts) == summary.rows - 1
    assert [row["Mail"] for row in failures(summary)] == ["kaputt"]
    assert progress.told == ["begin 101", "end"]


class FakeContacts:
    """Contacts of an account that answers at once, never, or with a bug."""

    def __init__(self, answer: Any = None) -> None:
        self._answer = answer

    async def upsert(self, **_: Any) -> None:
        """Do as told."""
        await anyio.lowlevel.checkpoint()
        if self._answer == "never":
            await anyio.sleep_forever()
        if isinstance(self._answer, Exception):
            raise self._answer


class FakeAccount:
    """As much of a client as a job needs."""

    def __init__(self, answer: Any = None) -> None:
        self.contacts = FakeContacts(answer)


def fake_job(folder: Path, answer: Any = None) -> ImportJob:
    """A job into a fake account."""
    path = folder / "input.csv"
    path.write_text("Mail\nx\n")
    errors = ErrorFile(folder / "errors.csv", open_table(path))
    kt = cast("KlickTipp", FakeAccount(answer))
    return ImportJob(kt, tag_ids={}, opt_in_id=None, errors=errors, concurrency=4)


def items(count: int) -> Any:
    """So many rows to send."""
    for number in range(count):
        mail = f"anna{number}@example.com"
        yield Item(Row(number + 2, (mail,)), Draft(email=mail, sms_number=None, fields={}, tags=()))


async def test_rows_under_way_when_all_is_broken_off_are_in_doubt(tmp_path: Path) -> None:
    """They may have arrived; those that were not started are in no file."""
    job = fake_job(tmp_path, "never")
    with anyio.move_on_after(0.05):
        await job.run(items(100), total=100)
    rows = failures(job.summary)
    assert [(row["_state"], row["_code"]) for row in rows] == [("in doubt", "interrupted")] * 4
    assert [row["Mail"] for row in rows] == [f"anna{number}@example.com" for number in range(4)]


async def test_an_error_of_the_core_is_a_failed_row_too(tmp_path: Path) -> None:
    """An error without words for users tells what it is; its name is its code."""
    job = fake_job(tmp_path, SdkError("no luck"))
    (row,) = failures(await job.run(items(1), total=1))
    assert (row["_state"], row["_code"], row["_reason"]) == ("failed", "SdkError", "no luck")


async def test_a_bug_is_not_taken_for_a_failed_row(tmp_path: Path) -> None:
    """What is no error of the client ends the job; what was under way is in doubt."""
    job = fake_job(tmp_path, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await job.run(items(100), total=100)
    assert {row["_state"] for row in failures(job.summary)} == {"in doubt"}


async def test_a_job_that_breaks_off_leaves_an_earlier_error_file(tmp_path: Path) -> None:
    """Only a complete import may say that there is nothing left to repair."""
    (tmp_path / "errors.csv").write_text("_line;_state;_code;_reason;Mail\n")

    def broken() -> Iterator[Item]:
        raise ConfigError("the file was changed")
        yield

    with pytest.raises(ConfigError):
        await fake_job(tmp_path).run(broken(), total=1)
    assert (tmp_path / "errors.csv").exists()


async def test_memory_is_flat_in_the_number_of_rows(tmp_path: Path) -> None:
    """Ten times as many rows need no more memory."""

    async def peak(count: int) -> int:
        job = fake_job(tmp_path)
        tracemalloc.start()
        try:
            await job.run(items(count), total=count)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(100)
    assert await peak(5000) - await peak(500) < 50_000
