"""The command `doxie send --rows`: what it prints, what it sends, and how it exits."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import anyio
import pytest

from doxie_async import Limit, send_command
from doxie_async.cli import main
from doxie_async.command_client import CommandClient
from doxie_async.routes import SEND_MAIL
from doxie_async.sandbox import Sandbox
from klickdoxie_core import Clock
from tests.doxie_async.served import Served, led_to, served_boxes

MAIL = SEND_MAIL.name
CANARY = "kanarie.größe@example.com"
SEND = ["send", "mailer", "welcome_email", "--rows", "rows.csv"]
QUERY = ["send", "mailer", "welcome_email", "--sql", "sqlite:///x.db", "--query", "SELECT 1"]
RESUME = "\ndoxie: broken off; --resume goes on\n"
NOTHING = "\ndoxie: broken off; there is nothing to resume\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A socket that leads to the latest sandbox in a list."""
    with served_boxes() as served:
        yield served


@pytest.fixture
def box(served: Served, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A tenant behind the socket, and the environment that leads to it."""
    return led_to(Sandbox(), served, monkeypatch)


def write(text: str, encoding: str = "utf-8") -> None:
    """The file that is sent."""
    Path("rows.csv").write_text(text, encoding=encoding, newline="")


def rows(count: int) -> str:
    """A file with so many rows; the reference tells them apart."""
    return "ref;email\n" + "".join(f"R{number};anna{number}@example.com\n" for number in range(1, count + 1))


def times_sent(box: Sandbox, count: int) -> list[int]:
    """How often each of those rows went out."""
    return [box.count_sent(f"R{number}") for number in range(1, count + 1)]


def rejected(name: str = "rows.csv.errors.csv") -> list[dict[str, str]]:
    """The rows of an error file; cells beyond its header are passed over."""
    with Path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def test_rows_are_shown_and_sent(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of a German spreadsheet: its columns are shown without anybody's name, and each row goes out."""
    write('E-Mail;kunde.name;Größe\r\njörg@example.com;"Blüte; Äpfel";1,5\r\nanna@example.com;Ö;\r\n', "cp1252")
    assert main(SEND) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "rows.csv: 2 rows, cp1252, separator ';'",
        "  column      filled  looks like",
        "  E-Mail      2       xxxx@xxxxxxx.xxx  xxxx@xxxxxxx.xxx",
        "  kunde.name  2       Xxxxx; Xxxxx  X",
        "  Größe       1       9,9",
        "        2  rows",
        "        2  sent",
        "        0  failed",
    ]
    assert told.err == ""
    assert sorted((message.payload for message in box.sent), key=len) == [
        {"E-Mail": "anna@example.com", "kunde": {"name": "Ö"}},
        {"E-Mail": "jörg@example.com", "kunde": {"name": "Blüte; Äpfel"}, "Größe": "1,5"},
    ]
    assert [path.name for path in Path().iterdir()] == ["rows.csv"]


@pytest.mark.parametrize("kind", ["qr-code", "qr_code"])
def test_both_spellings_of_a_kind_are_taken(box: Sandbox, kind: str) -> None:
    """The word of the command line and the vendor's."""
    write(rows(2))
    assert main(["send", kind, "qr_code", "--rows", "rows.csv"]) == 0
    assert len(box.processes) == 2


def test_rows_are_laid_over_an_object_from_standard_input(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row wins, and empty cells are kept where that is asked for."""
    write("kunde.name;note\nJörg;\n")
    base = {"kunde": {"name": "niemand", "ort": "Köln"}, "note": "n"}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(base).encode())))
    assert main([*SEND, "--data", "-", "--keep-empty"]) == 0
    assert box.sent[0].payload == {"kunde": {"name": "Jörg", "ort": "Köln"}, "note": ""}


def test_the_guard_of_a_formula_is_not_sent(box: Sandbox) -> None:
    """An export puts an apostrophe before what a spreadsheet would calculate; the recipient shall not see it."""
    write("email;note\nanna@example.com;'-x\njörg@example.com;'s ist\n")
    assert main([*SEND, "--concurrency", "1"]) == 0
    assert [message.payload["note"] for message in box.sent] == ["-x", "'s ist"]


def test_a_dry_run_needs_no_account(capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the columns of the rows that would be sent, and touches nothing."""
    write("a\tb\n1\tx\n2\ty\n", "utf-8-sig")
    assert main([*SEND, "--dry-run", "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rows.csv: 1 rows, utf-8-sig, separator tab",
        "  column  filled  looks like",
        "  a       1       9",
        "  b       1       x",
        "dry run: nothing was sent",
    ]
    assert [path.name for path in Path().iterdir()] == ["rows.csv"]


def test_a_dry_run_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON."""
    write("a;b\n1;Ü\n")
    assert main([*SEND, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "event": "columns",
        "file": "rows.csv",
        "encoding": "utf-8",
        "separator": ";",
        "rows": 1,
        "columns": [
            {"column": "a", "filled": 1, "looks_like": ["9"]},
            {"column": "b", "filled": 1, "looks_like": ["X"]},
        ],
    }


def test_machines_get_events(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is one line of JSON on standard output, and standard error stays empty."""
    write(rows(4) + "R5\n")
    box.drop(MAIL, times=1)
    assert main([*SEND, "--json", "--concurrency", "1"]) == 1
    told = capsys.readouterr()
    events: list[dict[str, Any]] = [json.loads(line) for line in told.out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds == ["columns", *["progress"] * (len(events) - 2), "summary"]
    assert (events[-2]["done"], events[-2]["total"], events[-2]["unknown"]) == (4, 4, 1)
    assert events[-1] == {
        "event": "summary",
        "rows": 5,
        "sent": 3,
        "failed": 1,
        "in_doubt": 1,
        "lines_in_doubt": [2],
        "left_out": 0,
        "pending": 0,
        "settled_before": 0,
        "stopped": False,
        "stopped_because": None,
        "reasons": {"Interrupted": 1, "row_invalid": 1},
        "errors": "rows.csv.errors.csv",
        "earlier_errors": None,
        "journal": "rows.csv.journal",
    }
    assert told.err == ""


def test_what_did_not_arrive_is_told(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """By figures and lines, and in the error file; nobody is named but there."""
    write(f"email\n{CANARY}\n{CANARY}\n{CANARY};x\n{CANARY}\n")
    box.fail(MAIL, status=422, body={"success": False, "error_message": f"ungültig: {CANARY}"})
    box.drop(MAIL, times=1)
    assert main([*SEND, "--concurrency", "1", "--errors", "fehler.csv", "--delimiter", ";"]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[3:] == [
        "warning: 2 rows say the same as an earlier one, and each is sent (lines 3, 5)",
        "        4  rows",
        "        1  sent",
        "        2  failed",
        "        1  in doubt: they may have been sent, and were NOT sent again",
        "lines in doubt: 3",
        "why not: Unprocessable 1, Interrupted 1, row_invalid 1",
        "the rows that were not sent for good are in fehler.csv",
        "rows.csv.journal knows what was sent; it is kept for the rows in doubt",
    ]
    assert "kanarie" not in told.out + told.err
    assert [(row["_line"], row["_state"], row["_code"], row["email"]) for row in rejected("fehler.csv")] == [
        ("2", "failed", "Unprocessable", CANARY),
        ("3", "in doubt", "Interrupted", CANARY),
        ("4", "failed", "row_invalid", CANARY),
    ]


def test_rows_that_the_file_marks_are_left_out(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """An error file can be sent as it is: only what was refused goes out again."""
    write("_line;_state;_code;_reason;ref\n7;failed;422;nein;R1\n9;in doubt;Interrupted;?;R2\n")
    assert main(SEND) == 1
    assert "1  left out: the file says that an earlier run left them in doubt" in capsys.readouterr().out
    assert times_sent(box, 2) == [1, 0]
    assert [row["ref"] for row in rejected()] == ["R2"]


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("a;a.b\n1;2\n", [], "columns 'a' and 'a.b' cannot both be in one object"),
        ("a;a.b\n1;2\n", ["--dry-run"], "columns 'a' and 'a.b' cannot both be in one object"),
        ('a;b\n1;"2\n', [], "line 2"),
        ("", [], "the file is empty"),
        ("a;b\n1;2\n", ["--resume"], "no unfinished job in rows.csv.journal"),
        ("a;b\n1;2\n", ["--errors", "rows.csv"], "is the file that is read"),
        ("a;b\n1;2\n", ["--encoding", "klingonisch"], "no text encoding"),
    ],
)
def test_wrong_files_are_told_before_anything_is_sent(
    box: Sandbox, capsys: pytest.CaptureFixture[str], text: str, arguments: list[str], said: str
) -> None:
    """As wrong usage, and nothing is left behind."""
    write(text)
    assert main([*SEND, *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not box.requests
    assert [path.name for path in Path().iterdir()] == ["rows.csv"]


@pytest.mark.parametrize(
    "arguments",
    [["--dry-run"], ["--resume"], ["--keep-empty"], ["--limit", "1"], ["--journal", "j"], ["--rate", "5"]],
)
def test_options_for_rows_are_nothing_for_one_payload(
    box: Sandbox, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Above all a dry run must not send."""
    Path("daten.json").write_text('{"a": 1}')
    assert main(["send", "mailer", "welcome_email", "--data", "daten.json", *arguments]) == 2
    assert f"{arguments[0]} can be given with --rows only" in capsys.readouterr().err
    assert not box.requests


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--rate", "-1"], ["--concurrency", "viele"]])
def test_numbers_are_checked(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """By the parser."""
    with pytest.raises(SystemExit) as caught:
        main([*SEND, *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_rate_and_concurrency_are_the_clients(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They bound the requests."""
    limits: list[object] = []

    class Recorded(CommandClient):
        """Remembers its limit."""

        def __init__(self, tenant: str, **options: Any) -> None:
            limits.append(options["limit"])
            super().__init__(tenant, **options)

    monkeypatch.setattr(send_command, "CommandClient", Recorded)
    write(rows(1))
    assert main([*SEND, "--rate", "1000", "--concurrency", "3"]) == 0
    assert main(SEND) == 0
    assert limits == [Limit(rate=1000.0, concurrency=3), Limit(concurrency=16)]


def test_refused_credentials_have_an_exit_code(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job has stopped, and goes on once the password is right."""
    write(rows(3))
    with monkeypatch.context() as wrong:
        wrong.setenv("DOXIE_API_PASSWORD", "falsch")
        assert main(SEND) == 3
    told = capsys.readouterr()
    assert "        3  not sent yet" in told.out
    assert "401" in told.err
    assert "falsch" not in told.err
    assert main([*SEND, "--resume"]) == 0
    assert times_sent(box, 3) == [1] * 3


def test_an_outage_stops_the_job(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """After the figures and the error file are written; resumed, it sends what was not sent, and nothing twice."""
    write(rows(30))
    box.drop(MAIL, times=10)
    command = [*SEND, "--concurrency", "1"]
    assert main(command) == 4
    told = capsys.readouterr()
    assert "       20  not sent yet\n" in told.out
    assert told.out.endswith("rows.csv.journal knows what was sent; the same command with --resume goes on\n")
    assert "doxie: the job stopped because too many calls are failing" in told.err
    assert [row["_state"] for row in rejected()] == ["in doubt"] * 10
    assert main(command) == 2
    assert "0 rows were sent, 10 are in doubt, 20 are not sent yet; resume that job" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 1
    assert times_sent(box, 30) == [1] * 30
    assert "lines in doubt: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n" in capsys.readouterr().out


def test_why_a_job_has_stopped_is_told_to_machines(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """In its last event, as people find it on standard error."""
    write(rows(30))
    box.drop(MAIL, times=10)
    assert main([*SEND, "--concurrency", "1", "--json"]) == 4
    told = capsys.readouterr()
    summary = json.loads(told.out.splitlines()[-1])
    assert summary["stopped"]
    assert "too many calls are failing" in summary["stopped_because"]
    assert told.err == f"doxie: {summary['stopped_because']}\n"


@pytest.mark.parametrize("count", [2, 23])
def test_rows_that_say_the_same_are_told(box: Sandbox, capsys: pytest.CaptureFixture[str], count: int) -> None:
    """Each is sent, for two people may say the same; what is no row to send does not count."""
    write("ref;email\n" + f"R1;{CANARY}\n" * count + "R2;\nR2;\nR1\nR1\n")
    assert main([*SEND, "--dry-run", "--json"]) == 0
    told = capsys.readouterr().out
    lines = [*range(3, count + 2), count + 3][:20]
    assert json.loads(told.splitlines()[-1]) == {"event": "same_payload", "rows": count, "lines": lines}
    assert main([*SEND, "--dry-run"]) == 0
    told = capsys.readouterr().out
    named = ", ".join(map(str, lines)) + (", …" if count > 20 else "")
    assert f"warning: {count} rows say the same as an earlier one, and each is sent (lines {named})\n" in told
    assert main([*SEND, "--dry-run", "--limit", "1"]) == 0
    assert "warning" not in capsys.readouterr().out
    assert CANARY not in told


def test_rows_that_are_refused_alike_stop_the_job(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The error file is there nevertheless, and named."""
    write(rows(60))
    assert main(["send", "mailer", "gibt_es_nicht", "--rows", "rows.csv", "--concurrency", "1"]) == 4
    told = capsys.readouterr()
    assert "       50  failed\n       10  not sent yet\n" in told.out
    assert "are in rows.csv.errors.csv" in told.out
    assert "50 items in a row were refused alike" in told.err
    assert len(rejected()) == 50


def test_rows_that_failed_are_sent_again_once_the_cause_is_mended(
    box: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only where that is asked for; those that were sent are not."""
    write(rows(60))
    box.fail(MAIL, times=50, status=422)
    command = [*SEND, "--concurrency", "1"]
    assert main(command) == 4
    assert capsys.readouterr().err.endswith(
        "; to go on, mend the cause; --resume sends the rest, --retry-failed also the rows that failed\n"
    )
    box.recover()
    assert main([*command, "--retry-failed"]) == 0
    assert times_sent(box, 60) == [1] * 60
    assert main(["send", "mailer", "welcome_email", "--retry-failed"]) == 2
    assert "--retry-failed can be given with --rows only" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_job_in_good_order(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """What is under way is finished, and the rest can be sent later."""

    async def interrupt(_: float) -> None:
        if len(slow.requests) == 3:
            signal.pthread_kill(threading.main_thread().ident or 0, number)

    slow = led_to(Sandbox(clock=Clock(sleep=interrupt)), served, monkeypatch)
    slow.latency = 1.0
    write(rows(20))
    command = [*SEND, "--concurrency", "1"]
    assert main(command) == 4
    told = capsys.readouterr().out
    sent = re.search(r"(\d+)  sent\n", told)
    assert sent is not None
    assert 3 <= int(sent[1]) < 20
    assert len(slow.sent) == int(sent[1])
    assert main([*command, "--resume"]) == 0
    assert f"{sent[1]}  settled by an earlier run" in capsys.readouterr().out
    assert times_sent(slow, 20) == [1] * 20


@pytest.mark.parametrize(
    ("arguments", "journal", "code", "said"),
    [
        (SEND, "rows.csv.journal", 4, RESUME),
        (SEND, None, 130, NOTHING),
        ([*SEND, "--dry-run"], "rows.csv.journal", 130, NOTHING),
        ([*SEND, "--journal", "eigenes.journal"], "eigenes.journal", 4, RESUME),
        ([*SEND, "--journal", "eigenes.journal"], "rows.csv.journal", 130, NOTHING),
        (QUERY, "query.journal", 4, RESUME),
        (QUERY, "rows.csv.journal", 130, NOTHING),
        (SEND[:3], "query.journal", 130, ""),
    ],
)
def test_ctrl_c_tells_whether_there_is_something_to_resume(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    journal: str | None,
    code: int,
    said: str,
) -> None:
    """By the journal of this very job; of a single mail it was told already."""

    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    if journal is not None:
        Path(journal).touch()
    monkeypatch.setattr(anyio, "run", interrupted)
    assert main(arguments) == code
    assert capsys.readouterr().err == said


def test_a_killed_job_goes_on_and_sends_nothing_twice(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever was under way is in doubt: it is told by its line, and never sent again."""
    started: list[subprocess.Popen[bytes]] = []

    async def kill(_: float) -> None:
        if len(slow.requests) == 5:
            started[0].kill()

    slow = led_to(Sandbox(clock=Clock(sleep=kill)), served, monkeypatch)
    slow.latency = 1.0
    write(rows(20))
    command = [*SEND, "--concurrency", "2"]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", "from doxie_async.cli import main; import sys; sys.exit(main())", *command],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
    ) as process:
        started.append(process)
        assert process.wait(20) == -signal.SIGKILL
    assert main([*command, "--resume"]) == 1
    told = capsys.readouterr().out
    lines = re.search(r"lines in doubt: ([\d, ]+)", told)
    assert lines is not None
    doubtful = {int(line) - 1 for line in lines[1].split(", ")}
    assert 1 <= len(doubtful) <= 2
    times = times_sent(slow, 20)
    assert all(count == 1 for number, count in enumerate(times, 1) if number not in doubtful)
    assert max(times) == 1
    assert {int(row["_line"]) - 1 for row in rejected()} == doubtful
