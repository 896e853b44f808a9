"""The command line: what it prints, what it sends, and how it exits."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from klickdoxie_core import command_line
from klickdoxie_core.asgi import Receive, Scope, Send
from klickdoxie_core.wire.in_process import serving
from klicktipp_async.cli import main
from klicktipp_async.csv_import import ImportJob
from klicktipp_async.csv_import.report import Summary
from klicktipp_async.csv_import.triage import Finding, Item
from klicktipp_async.sandbox import Sandbox

NAMES = ("USERNAME", "PASSWORD", "DEVELOPER_KEY", "CUSTOMER_KEY", "BASE_URL")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without any credentials."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.setenv(f"KLICKTIPP_{name}", "")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[list[Sandbox], str]]:
    """A socket, served in another thread, that leads to the latest sandbox in a list; starting one takes its time."""
    boxes: list[Sandbox] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await boxes[-1].app(scope, receive, send)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving(app, "127.0.0.1", 0)) as url:
        yield boxes, url


@pytest.fixture
def box(served: tuple[list[Sandbox], str], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """An empty account behind a socket, and the environment that leads to it."""
    boxes, url = served
    boxes.append(Sandbox())
    monkeypatch.setenv("KLICKTIPP_BASE_URL", url)
    monkeypatch.setenv("KLICKTIPP_USERNAME", boxes[-1].username)
    monkeypatch.setenv("KLICKTIPP_PASSWORD", boxes[-1].password)
    return boxes[-1]


def written(*rows: str) -> str:
    """A file of contacts as Excel writes it in Germany."""
    Path("kontakte.csv").write_bytes("\r\n".join(["E-Mail;Vorname;Notiz", *rows]).encode("cp1252"))
    return "kontakte.csv"


def test_a_file_is_imported(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan comes first, then the summary; the exit code says that all is well."""
    file = written("anna@example.com;Änne;x", "jörg@example.com;Jörg;")
    assert main(["import", file, "--opt-in", "default", "--tag", "Import", "--map", "E-Mail=email"]) == 0
    printed = capsys.readouterr()
    assert "columns that are not imported: Vorname, Notiz" in printed.out
    assert "kontakte.csv: 2 rows, cp1252, separator ';'" in printed.out
    assert re.search(r"^ +2  imported$", printed.out, re.MULTILINE)
    assert {contact.email for contact in box.contacts.values()} == {"anna@example.com", "jörg@example.com"}
    assert [tag.name for tag in box.tags.values()] == ["Import"]
    assert not Path("errors.csv").exists()
    assert box.count("Logout from API") == 1


def test_failed_rows_are_written_beside(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code tells, and the file has the row with its reason in the language asked for."""
    file = written("anna@example.com;Änne;", "kaputt;Größe;")
    assert main(["import", file, "--opt-in", "default", "--language", "de"]) == 1
    assert "1  fehlgeschlagen" in capsys.readouterr().out
    assert Path("errors.csv").read_bytes().decode("cp1252").splitlines() == [
        "_line;_state;_code;_reason;E-Mail;Vorname;Notiz",
        "3;failed;email_invalid;E-Mail: keine E-Mail-Adresse;kaputt;Größe;",
    ]
    assert len(box.contacts) == 1


def test_a_dry_run_sends_nothing(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is checked, and the account is only read."""
    assert main(["import", written("anna@example.com;Änne;", "kaputt;;"), "--opt-in", "default", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "1 valid, 1 invalid" in printed
    assert "dry run: nothing was sent" in printed
    assert "anna" not in printed
    assert not box.contacts
    assert not Path("errors.csv").exists()


def test_a_console_that_cannot_show_a_name_ends_nothing(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be shown becomes a question mark."""
    written_bytes = io.BytesIO()
    console = io.TextIOWrapper(written_bytes, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    assert main(["import", written("anna@example.com;;"), "--opt-in", "default", "--tag", "Größe"]) == 0
    console.flush()
    assert b"+ Gr??e" in written_bytes.getvalue()


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_machines_get_one_line_of_json(box: Sandbox, capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    """Nothing else stands on the standard output."""
    main(["import", written("anna@example.com;Änne;"), "--opt-in", "default", "--json", *more])
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["unmapped"], facts.get("imported")) == (1, ["Notiz"], None if more else 1)


def test_all_the_options_go_together(box: Sandbox) -> None:
    """Encoding, separator, limit, rate, zone and the place of the errors are as asked for."""
    file = written("anna@example.com;Änne;24.12.2025 18:30,VIP#Kunde", "kaputt;;", "bernd@example.com;;")
    options = ["--encoding", "latin-1", "--delimiter", ";", "--limit", "2", "--rate", "1000", "--concurrency", "1"]
    options += ["--timezone", "Europe/Berlin", "--errors", "fehler.csv", "--tag-separator", "#,"]
    options += ["--opt-in", str(box.single_opt_in_id), "--map", "E-Mail=email", "--map", "Notiz=tags"]
    assert main(["import", file, *options]) == 1
    assert sorted(tag.name for tag in box.tags.values()) == ["24.12.2025 18:30", "Kunde", "VIP"]
    assert len(box.contacts) == 1
    assert not box.confirmation_mails
    assert Path("fehler.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say which opt-in process"),
        (["--opt-in", "maybe"], "not 'maybe'"),
        (["--opt-in", "999"], "no opt-in process 999"),
        (["--opt-in", "default", "--map", "Nix=email"], "no column 'Nix'"),
        (["--opt-in", "default", "--errors", "kontakte.csv"], "is the file to import"),
    ],
)
def test_wrong_wishes_are_told(
    box: Sandbox, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """A wish that cannot be fulfilled ends with what to do, before anything is sent."""
    assert main(["import", written("anna@example.com;;"), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not box.contacts


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["import"],
        ["import", "x.csv", "--limit", "0"],
        ["import", "x.csv", "--rate", "0"],
        ["import", "x.csv", "--tag-separator", ""],
        ["import", "x.csv", "--timezone", "Mond/Krater"],
        ["import", "x.csv", "--password", "geheim"],
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


def test_a_missing_file_is_named(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the usage that is wrong."""
    assert main(["import", "fehlt.csv", "--opt-in", "default"]) == 2
    assert "fehlt.csv is not a file" in capsys.readouterr().err


def test_refused_credentials_have_an_exit_code(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong password is told from everything else."""
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "falsch")
    assert main(["import", written("anna@example.com;;"), "--opt-in", "default"]) == 3
    assert "Login" in capsys.readouterr().err


def test_credentials_refused_on_the_way_have_the_same_code(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary comes all the same."""
    box.fail("Add or Update Contact", every=1, status=403, body=["API access denied."])
    assert main(["import", written("anna@example.com;;"), "--opt-in", "default"]) == 3
    assert "given up: " in capsys.readouterr().out


def test_a_service_that_fails_has_the_code_of_failures(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """An account that cannot even be read imports nothing."""
    box.fail("List Data Fields", every=1, status=406, body={"error": 999})
    assert main(["import", written("anna@example.com;;"), "--opt-in", "default"]) == 1
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


def test_the_first_interrupt_stops_in_good_order(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C lets what is under way arrive, prints the summary, and writes no other row down."""
    conclude = ImportJob._conclude

    def interrupt_once(job: ImportJob, item: Item, finding: Finding) -> None:
        conclude(job, item, finding)
        if job.summary.rows == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ImportJob, "_conclude", interrupt_once)
    before = signal.getsignal(signal.SIGINT)
    rows = [f"anna{number}@example.com;;" for number in range(200)]
    assert main(["import", written(*rows), "--opt-in", "default", "--concurrency", "2"]) == 130
    printed = capfd.readouterr()
    assert "broken off" in printed.out
    assert "finishing the rows under way" in printed.err
    assert 5 <= len(box.contacts) < 20
    assert not Path("errors.csv").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_breaks_off(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C twice does not wait; the rows under way are written down as in doubt."""
    summaries: list[Summary] = []
    conclude = ImportJob._conclude

    def interrupt_twice(job: ImportJob, item: Item, finding: Finding) -> None:
        conclude(job, item, finding)
        summaries[:] = [job.summary]
        if job.summary.rows == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ImportJob, "_conclude", interrupt_twice)
    rows = [f"anna{number}@example.com;;" for number in range(200)]
    assert main(["import", written(*rows), "--opt-in", "default", "--concurrency", "4"]) == 130
    assert summaries[0].interrupted
    assert ";in doubt;interrupted;" in Path("errors.csv").read_text()


def test_httpx_does_not_log_addresses(box: Sandbox) -> None:
    """Its logger would write the address of every request."""
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    main(["import", written("anna@example.com;;"), "--opt-in", "default", "--dry-run"])
    assert logging.getLogger("httpx").level == logging.WARNING


@pytest.mark.parametrize("found", [True, False])
def test_the_version_is_told(found: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The version is that of the installed package, if it is installed."""

    def version(_: str) -> str:
        if not found:
            raise PackageNotFoundError
        return "1.2.3"

    monkeypatch.setattr(command_line, "version", version)
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == ("klicktipp 1.2.3\n" if found else "klicktipp of unknown version\n")


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
