"""The program `klicktipp`: its commands, how it is called, and how it ends."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from klicktipp_async.cli import main
from klicktipp_async.sandbox import Sandbox

COMMANDS = ("import", "sync", "export", "tags", "fields", "opt-ins", "doctor", "sandbox")


def written(*rows: str) -> str:
    """A file of contacts as Excel writes it in Germany."""
    Path("kontakte.csv").write_bytes("\r\n".join(["E-Mail;Vorname;Notiz", *rows]).encode("cp1252"))
    return "kontakte.csv"


def test_every_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The program tells what it can do, and so does each command."""
    for arguments in [["--help"], *([command, "--help"] for command in COMMANDS)]:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        told = capsys.readouterr().out
        assert told.startswith(f"usage: {' '.join(['klicktipp', *arguments[:-1]])} ")
        if arguments == ["--help"]:
            assert [command for command in COMMANDS if not re.search(rf"^    {command} ", told, re.MULTILINE)] == []


def test_a_file_is_imported(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """From the command line to the account and out again."""
    assert main(["import", written("anna@example.com;Änne;x", "kaputt;;"), "--opt-in", "default"]) == 1
    assert re.search(r"^ +1  imported\n +1  failed$", capsys.readouterr().out, re.MULTILINE)
    assert [contact.email for contact in box.contacts.values()] == ["anna@example.com"]
    assert box.count("Logout from API") == 1


def test_a_file_is_synced(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """First to look at, then applied."""
    Path("m.toml").write_text('email = "E-Mail"\nopt_in = "default"\nfields = { Vorname = "fieldFirstName" }\n')
    arguments = ["sync", written("anna@example.com;Änne;x"), "--mapping", "m.toml"]
    assert main(arguments) == 0
    assert not box.contacts
    assert main([*arguments, "--apply", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["created"] == 1


def test_a_console_that_cannot_show_a_name_ends_nothing(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be shown becomes a question mark."""
    written_bytes = io.BytesIO()
    console = io.TextIOWrapper(written_bytes, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    assert main(["import", written("anna@example.com;;"), "--opt-in", "default", "--tag", "Größe"]) == 0
    console.flush()
    assert b"+ Gr??e" in written_bytes.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["verschicke"],
        ["import"],
        ["import", "x.csv", "--rate", "0"],
        ["import", "x.csv", "--language", "fr"],
        ["import", "x.csv", "--password", "geheim"],
        ["sync", "x.csv"],
        ["sync", "x.csv", "--mapping", "m.toml", "--plan", "--apply"],
        ["sandbox", "--port", "99999"],
    ],
)
def test_wrong_arguments_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the parser refuses exits with 2; a password is no argument."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: klicktipp" in capsys.readouterr().err


def test_missing_credentials_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the variables to set."""
    assert main(["import", written(), "--opt-in", "default"]) == 2
    assert "KLICKTIPP_USERNAME" in capsys.readouterr().err


def test_refused_credentials_have_an_exit_code(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong password is told from everything else."""
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "falsch")
    assert main(["import", written("anna@example.com;;"), "--opt-in", "default"]) == 3
    told = capsys.readouterr().err
    assert "check KLICKTIPP_USERNAME and KLICKTIPP_PASSWORD before you try again: every try counts" in told
    assert "minute" not in told
    assert not Path("kontakte.csv.journal").exists()


def test_a_service_that_fails_has_a_code_of_its_own(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """An account that cannot even be read imports nothing, which is another thing than rows that do not arrive."""
    box.fail("List Data Fields", every=1, status=406, body={"error": 999})
    assert main(["import", written("anna@example.com;;"), "--opt-in", "default"]) == 5
    assert "999" in capsys.readouterr().err


def test_a_password_is_asked_for_on_a_terminal(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """User name and service can be arguments; the password is asked for where the environment has none."""
    url, password = os.environ["KLICKTIPP_BASE_URL"], box.password
    for name in ("USERNAME", "PASSWORD", "BASE_URL"):
        monkeypatch.setenv(f"KLICKTIPP_{name}", "")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: password if "sandbox" in prompt else "")
    file = written("anna@example.com;;")
    assert main(["import", file, "--opt-in", "default", "--username", "sandbox", "--base-url", url]) == 0
    assert len(box.contacts) == 1


def test_httpx_does_not_log_addresses(box: Sandbox) -> None:
    """Its logger would write the address of every request."""
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    main(["import", written("anna@example.com;;"), "--opt-in", "default", "--dry-run"])
    assert logging.getLogger("httpx").level == logging.WARNING


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """After the name of the program."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("klicktipp ")


def test_the_sandbox_runs_until_it_is_interrupted() -> None:
    """`python -m klicktipp_async sandbox` prints where it is and how to get in, and ends with Ctrl-C."""
    command = [sys.executable, "-m", "klicktipp_async", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        try:
            assert re.fullmatch(r"export KLICKTIPP_BASE_URL=http://127\.0\.0\.1:\d+\n", lines[2])
            assert lines[3:] == [
                "export KLICKTIPP_USERNAME=sandbox\n",
                "export KLICKTIPP_PASSWORD='Blütenhonig; 500 g'\n",
            ]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_the_package_is_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It hands on its arguments and the exit code; a sandbox that has ended is no failure."""
    monkeypatch.setattr(sys, "argv", ["klicktipp", "sandbox", "--port", "0"])
    monkeypatch.setattr(anyio, "sleep_forever", anyio.lowlevel.checkpoint)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("klicktipp_async", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    assert "export KLICKTIPP_BASE_URL=http://127.0.0.1:" in capsys.readouterr().out


def test_a_port_in_use_is_told(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Two servers cannot share a port."""
    port = os.environ["KLICKTIPP_BASE_URL"].rpartition(":")[2]
    assert main(["sandbox", "--port", port]) == 2
    assert "in use" in capsys.readouterr().err


def test_the_sandbox_needs_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without uvicorn the message says what to install."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["sandbox", "--port", "0"]) == 2
    assert "klickdoxie[sandbox]" in capsys.readouterr().err
