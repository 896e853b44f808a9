"""What the command lines share: exit codes, streams, signals, the served sandbox."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

import anyio
import httpx
import pytest

from klickdoxie_core import command_line
from klickdoxie_core.errors import (
    ArgumentError,
    ConfigError,
    ConnectFailed,
    Forbidden,
    Interrupted,
    JobStopped,
    JournalError,
    NotFound,
    SdkError,
    Unauthorized,
)
from klickdoxie_core.sandbox import Answer, Inbound, Route, SandboxBase
from klickdoxie_core.table import SourceFailed, TableError


class Enough(Exception):
    """Ends a server that would run for ever."""


def parser(outcome: int | BaseException = 0) -> argparse.ArgumentParser:
    """A program with one command that returns or raises this."""

    async def command(options: argparse.Namespace) -> int:
        sys.stdout.write(f"{options.word}\n")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    made = argparse.ArgumentParser(prog="dienst")
    made.add_argument("word")
    made.set_defaults(command=command, interrupted=130)
    return made


def test_a_command_decides_about_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """It gets what the parser has read."""
    assert command_line.run(parser(7), ["Größe"]) == 7
    assert capsys.readouterr() == ("Größe\n", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unauthorized("kaputt"), 3),
        (Forbidden("kaputt"), 3),
        (ConfigError("kaputt"), 2),
        (ArgumentError("kaputt"), 2),
        (TableError("kaputt"), 2),
        (OSError("kaputt"), 2),
        (FileNotFoundError(errno.ENOENT, "kaputt"), 2),
        (OSError(errno.ENOSPC, "kaputt"), 5),
        (SourceFailed("kaputt"), 5),
        (ConnectFailed("kaputt"), 5),
        (NotFound("kaputt"), 5),
        (SdkError("kaputt"), 5),
    ],
)
def test_an_error_has_an_exit_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """What happened is told on standard error, without a traceback."""
    assert command_line.run(parser(error), ["x"]) == code
    assert capsys.readouterr().err == f"dienst: {error}\n"
    assert "kaputt" in str(error)


def closed_pipe() -> io.TextIOWrapper:
    """A stream that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return open(write, "w", encoding="utf-8")  # noqa: PTH123 - there is no path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@pytest.mark.parametrize(
    ("outcome", "code"), [(0, 141), (BrokenPipeError(errno.EPIPE, "x"), 141), (SdkError("kaputt"), 5)]
)
def test_a_pipe_that_nobody_reads_ends_it_silently(
    monkeypatch: pytest.MonkeyPatch, outcome: int | Exception, code: int
) -> None:
    """With the code of a program that the signal ends; nothing is left that the interpreter would stumble over."""
    with closed_pipe() as out, closed_pipe() as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        assert command_line.run(parser(outcome), ["x"]) == code
        out.flush()
        err.flush()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_a_full_disk_is_found_out_before_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is left in the buffer is written while the exit code can still say that it was not."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert command_line.run(parser(), ["x"]) == 5
    assert "No space left" in capsys.readouterr().err


def test_a_mistake_of_ours_is_not_hidden() -> None:
    """Any other exception has its traceback."""
    with pytest.raises(ZeroDivisionError):
        command_line.run(parser(ZeroDivisionError()), ["x"])


def test_ctrl_c_has_the_code_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Some commands can only be ended that way, which is no failure then."""
    assert command_line.run(parser(KeyboardInterrupt()), ["x"]) == 130
    forever = parser(KeyboardInterrupt())
    forever.set_defaults(interrupted=0)
    assert command_line.run(forever, ["x"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("exists", "code", "said"),
    [(True, 4, "broken off; --resume goes on"), (False, 130, "broken off; there is nothing to resume")],
)
def test_a_job_tells_whether_it_can_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], exists: bool, code: int, said: str
) -> None:
    """By its code and by a line of its own, since the terminal shows ^C."""
    journal = tmp_path / "x.journal"
    if exists:
        journal.touch()
    job = parser(KeyboardInterrupt())
    job.set_defaults(interrupted=lambda _: command_line.broken_off(journal))
    assert command_line.run(job, ["x"]) == code
    assert capsys.readouterr().err == f"\ndienst: {said}\n"
    assert command_line.broken_off(None) == (130, "broken off; there is nothing to resume")


def test_what_is_told_of_an_error_may_be_other_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A program knows better than a library what its user can do."""
    assert command_line.run(parser(Unauthorized("kaputt")), ["x"], text_of=lambda _: "nachsehen") == 3
    assert capsys.readouterr().err == "dienst: nachsehen\n"


def test_ctrl_c_while_an_argument_is_read() -> None:
    """It can come from standard input, where somebody is typing."""

    def typed(_: str) -> NoReturn:
        raise KeyboardInterrupt

    reading = parser()
    reading.add_argument("data", type=typed)
    assert command_line.run(reading, ["x", "-"]) == 130


def test_wrong_arguments_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """The parser exits by itself."""
    with pytest.raises(SystemExit) as caught:
        command_line.run(parser(), [])
    assert caught.value.code == 2
    assert "usage: dienst" in capsys.readouterr().err


def test_a_console_that_cannot_show_a_name_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be shown becomes a question mark, on both streams."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert command_line.run(parser(SdkError("Blüte")), ["Größe"]) == 5
    for stream in streams:
        stream.seek(0)
    assert [stream.read() for stream in streams] == ["Gr??e\n", "dienst: Bl?te\n"]


def test_httpx_does_not_log_addresses() -> None:
    """Its logger would write the address of every request."""
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    command_line.run(parser(), ["x"])
    assert logging.getLogger("httpx").level == logging.WARNING


def test_a_sandbox_is_served_with_the_way_to_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variables are told as a shell takes them, as soon as it answers."""
    answers: list[int] = []

    def hello(_: Inbound) -> Answer:
        return Answer.of("Guten Tag")

    async def ask_once() -> NoReturn:
        told.append(capsys.readouterr().out)
        url = told[0].splitlines()[0].split()[5].rstrip(";")
        async with httpx.AsyncClient(base_url=url) as client:
            answers.append((await client.get("/")).status_code)
        raise Enough

    told: list[str] = []
    monkeypatch.setattr(anyio, "sleep_forever", ask_once)
    box = SandboxBase([Route(operation="Grüßen", method="GET", template="/", handler=hello)])
    with pytest.raises(Enough):
        anyio.run(command_line.serve, box, "Dienst", 0, lambda url: {"URL": url, "PASSWORT": "Blüte; 5 g"})
    first, empty, exported, password = told[0].splitlines()
    url = exported.removeprefix("export URL=")
    assert (first, empty, password) == (
        f"a fake Dienst listens on {url}; Ctrl-C ends it",
        "",
        "export PASSWORT='Blüte; 5 g'",
    )
    assert answers == [200]


def test_a_taken_port_is_told() -> None:
    """Two servers cannot share one."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        anyio.run(command_line.serve, SandboxBase([]), "Dienst", taken.getsockname()[1], lambda _: {})


def test_serving_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uvicorn the message says what to install."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigError, match=r"klickdoxie\[sandbox\]"):
        anyio.run(command_line.serve, SandboxBase([]), "Dienst", 0, lambda _: {})


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (Unauthorized("kaputt"), 3),
        (Forbidden("kaputt"), 3),
        (ArgumentError("x"), 2),
        (JournalError("x"), 4),
        (None, 4),
        (Interrupted("x"), 4),
    ],
)
def test_a_job_that_stopped_can_be_resumed(cause: Exception | None, code: int) -> None:
    """The code tells refused credentials from an outage."""
    error = JobStopped("kaputt")
    error.__cause__ = cause
    assert command_line.run(parser(error), ["x"]) == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_in_good_order(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    """The second one would find what was there before, as does everything after the job."""
    stopped: list[bool] = []
    both = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.getsignal(each) for each in both}
    with command_line.stopped_by_signal(lambda: stopped.append(True)):
        signal.raise_signal(number)
        assert signal.getsignal(number) is before[number]
    assert {each: signal.getsignal(each) for each in both} == before
    assert stopped == [True]
    assert "once more breaks off" in capfd.readouterr().err
