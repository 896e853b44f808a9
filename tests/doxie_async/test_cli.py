"""The command line: what it prints, what it sends, and how it exits."""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from doxie_async.cli import main
from doxie_async.models.admin import Collection
from doxie_async.routes import (
    CREATE_INJECTION,
    CREATE_INQUIRY,
    CREATE_QR_CODE,
    LIST_BRANDS,
    SEND_MAIL,
    Operation,
    Routes,
)
from doxie_async.sandbox import Channel, Sandbox, Status
from klickdoxie_core import Clock
from tests.doxie_async.served import led_to, served_boxes

PAYLOAD = {"email": "jörg@example.com", "phone": "+4915112345678", "anrede": "Frau Größe; Blüte"}
PROCESS = "[0-9a-f-]{36}"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[list[Sandbox], str]]:
    """A socket that leads to the latest sandbox in a list."""
    with served_boxes() as served:
        yield served


@pytest.fixture
def box(served: tuple[list[Sandbox], str], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A tenant behind the socket, and the environment that leads to it."""
    return led_to(Sandbox(), served, monkeypatch)


def written(content: object = PAYLOAD, *, encoding: str = "utf-8") -> str:
    """A file with this as JSON, or with this text."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    Path("daten.json").write_text(text, encoding=encoding)
    return "daten.json"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_mail_is_sent(box: Sandbox, capsys: pytest.CaptureFixture[str], encoding: str) -> None:
    """The process and the templates are told; the payload arrives as it is in the file, marked as UTF-8 or not."""
    templates = {Channel.EMAIL: ["begrüßung", "anlage"], Channel.SMS: ["kurz"]}
    box.add_event("welcome_email", templates=templates)
    assert main(["send", "mailer", "welcome_email", "--data", written(encoding=encoding)]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"process: {next(iter(box.processes))}",
        "e-mail templates: begrüßung, anlage",
        "SMS templates: kurz",
    ]
    assert told.err == ""
    assert [message.payload for message in box.sent] == [PAYLOAD] * 3


def test_a_payload_can_come_from_standard_input(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As bytes in UTF-8, whatever the terminal speaks."""
    given = io.TextIOWrapper(io.BytesIO(json.dumps(PAYLOAD, ensure_ascii=False).encode()), encoding="cp1252")
    monkeypatch.setattr(sys, "stdin", given)
    assert main(["send", "mailer", "welcome_email", "--data", "-"]) == 0
    assert box.sent[0].payload == PAYLOAD


def test_templates_that_are_no_texts_are_told_all_the_same(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The reference does not tell what is in the lists; they may be empty too."""
    answer = {"success": True, "sent_email_templates": [{"name": "Größe"}], "sent_sms_templates": []}
    box.fail(SEND_MAIL.name, status=200, body=answer)
    assert main(["send", "mailer", "welcome_email", "--data", written()]) == 0
    told = capsys.readouterr().out
    assert 'e-mail templates: {"name": "Größe"}\nSMS templates: none\n' in told


@pytest.mark.parametrize(
    ("kind", "event", "told"),
    [
        ("injector", "journey", rf"process: {PROCESS}\n"),
        ("survey", "survey", rf"process: {PROCESS}\n"),
        ("qr-code", "qr_code", rf'\{{\n  "uuid": "{PROCESS}",\n  "url": "https://[^"]+",(.|\n)+\}}\n'),
    ],
)
def test_other_events_can_be_sent_too(
    box: Sandbox, capsys: pytest.CaptureFixture[str], kind: str, event: str, told: str
) -> None:
    """Each kind has its own operation, and tells what there is to tell."""
    assert main(["send", kind, event, "--data", written()]) == 0
    assert re.fullmatch(told, capsys.readouterr().out)
    assert [(it.event_slug, it.payload) for it in box.processes.values()] == [(event, PAYLOAD)]


def test_machines_get_the_answer_as_it_came(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON, and nothing else on standard output."""
    assert main(["send", "mailer", "welcome_email", "--data", written(), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["process_uuid"] in box.processes
    assert told["sent_email_templates"] == ["welcome_email"]


@pytest.mark.parametrize(
    ("kind", "event", "operation", "said"),
    [
        ("mailer", "welcome_email", SEND_MAIL, "the mail may have gone out; it was NOT sent again"),
        ("injector", "journey", CREATE_INJECTION, "the injection may have been created; it was NOT sent again"),
        ("survey", "survey", CREATE_INQUIRY, "the inquiry may have gone out; it was NOT sent again"),
        ("qr-code", "qr_code", CREATE_QR_CODE, "the QR code may have been created; it was NOT sent again"),
    ],
)
@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_leaves_a_doubt(
    box: Sandbox,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    event: str,
    operation: Operation,
    said: str,
    applied: bool,
) -> None:
    """It is told as what it is, whether the service has done it or not, and nothing is sent twice."""
    box.drop(operation.name, applied=applied)
    assert main(["send", kind, event, "--data", written()]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[-1] == said
    assert len(box.requests) == 1
    assert len(box.processes) == applied


def test_what_was_not_sent_leaves_no_doubt(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """An event that does not exist has sent nothing."""
    assert main(["send", "mailer", "gibt_es_nicht", "--data", written()]) == 5
    told = capsys.readouterr().err
    assert "Event nicht gefunden" in told
    assert "may have" not in told


def test_ctrl_c_while_sending_leaves_a_doubt(
    box: Sandbox, served: tuple[list[Sandbox], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever breaks off is told that the mail may be on its way."""

    async def interrupt(_: float) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    slow = Sandbox(clock=Clock(sleep=interrupt))
    slow.latency = 1.0
    served[0].append(slow)
    assert main(["send", "mailer", "welcome_email", "--data", written()]) == 130
    assert capsys.readouterr() == ("", "doxie: broken off\nthe mail may have gone out; it was NOT sent again\n")
    assert len(slow.sent) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "daten.json is not JSON: Expecting value: line 1 column 1"),
        ('{"email": }', "daten.json is not JSON: Expecting value: line 1 column 11"),
        ('{"preis": NaN}', "daten.json is not JSON: NaN is no value"),
        ('{"email": "a", "email": "b"}', "daten.json is not JSON: a key stands twice"),
        ("[" * 100_000, "daten.json is not JSON: "),
        ("[]", "daten.json must hold a JSON object"),
    ],
)
def test_wrong_data_is_told(box: Sandbox, capsys: pytest.CaptureFixture[str], content: str, said: str) -> None:
    """Where it is wrong, before anything is sent."""
    with pytest.raises(SystemExit) as caught:
        main(["send", "mailer", "welcome_email", "--data", written(content)])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
    assert not box.requests


def test_data_in_another_encoding_is_told(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Windows-1252 would garble names; the message shows none of them."""
    with pytest.raises(SystemExit):
        main(["send", "mailer", "welcome_email", "--data", written(encoding="cp1252")])
    told = capsys.readouterr().err
    assert "daten.json is not UTF-8" in told
    assert "Bl" not in told


def test_missing_data_is_told(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there."""
    with pytest.raises(SystemExit):
        main(["send", "mailer", "welcome_email", "--data", "fehlt.json"])
    assert "fehlt.json: No such file" in capsys.readouterr().err


def test_a_survey_without_an_address_is_wrong_usage(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The client refuses it before anything is sent."""
    assert main(["send", "survey", "survey", "--data", written({"frage": 1})]) == 2
    assert "email or a phone" in capsys.readouterr().err
    assert not box.requests


def test_something_must_be_sent(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A payload, or rows; the message names both."""
    assert main(["send", "mailer", "welcome_email"]) == 2
    assert "--data FILE for one payload, --rows FILE.csv" in capsys.readouterr().err
    assert not box.requests


def test_a_process_is_shown(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Its status, and how much there is in each collection, over all its pages."""
    (uuid,) = box.seed_processes(1)
    box.seed_records(uuid, Collection.UNSUCCESSFUL_EMAILS, 45)
    box.seed_records(uuid, Collection.SURVEY_RESPONSES, 1)
    assert main(["process", uuid]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:3] == [f"process: {uuid}", "status: created", ""]
    counts = dict(re.split(r" {2,}", line) for line in told[3:])
    assert list(counts) == [name.value.replace("_", " ") for name in Collection]
    assert {name: count for name, count in counts.items() if count != "0"} == {
        "unsuccessful emails": "45",
        "survey responses": "1",
    }


def test_a_process_is_cancelled_once(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Its status is then told; a second time fails with the service's own words."""
    (uuid,) = box.seed_processes(1)
    assert main(["process", uuid, "--cancel", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["uuid"], told["status"], set(told["counts"])) == (uuid, "cancelled", set(Collection))
    assert box.processes[uuid].status is Status.CANCELLED
    assert main(["process", uuid, "--cancel"]) == 5
    assert "bereits abgebrochen" in capsys.readouterr().err


def test_an_unknown_process_fails(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to show."""
    assert main(["process", "00000000-0000-4000-8000-000000000000"]) == 5
    assert "Prozess nicht gefunden" in capsys.readouterr().err


@pytest.fixture
def brands(box: Sandbox) -> None:
    """Two brands, one without a provider that the reference names."""
    rows = [
        {"id": 1, "name": "Blütenhonig", "mail_provider": "mailjet"},
        {"id": 23, "name": "Äpfel & Söhne GmbH", "mail_provider": None},
    ]
    answer = {"success": True, "message": None, "error": None, "data": {"brands": rows}}
    box.fail(LIST_BRANDS.name, status=200, body=answer)


@pytest.mark.usefixtures("brands")
def test_brands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each, in columns."""
    assert main(["brands"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "id  name                mail provider",
        "1   Blütenhonig         mailjet",
        "23  Äpfel & Söhne GmbH",
    ]


@pytest.mark.usefixtures("brands")
def test_brands_are_listed_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON with the same three facts."""
    assert main(["brands", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"id": 1, "name": "Blütenhonig", "mail_provider": "mailjet"},
        {"id": 23, "name": "Äpfel & Söhne GmbH", "mail_provider": None},
    ]


@pytest.mark.parametrize(
    ("variable", "arguments"),
    [
        ("DOXIE_API_PASSWORD", ["send", "mailer", "welcome_email", "--data"]),
        ("DOXIE_CLIENT_SECRET", ["brands"]),
    ],
)
def test_refused_credentials_have_an_exit_code(
    box: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    arguments: list[str],
) -> None:
    """A wrong password is told from everything else, and not shown."""
    monkeypatch.setenv(variable, "falsch")
    assert main([*arguments, written()] if "--data" in arguments else arguments) == 3
    told = capsys.readouterr().err
    assert "401" in told
    assert "falsch" not in told


@pytest.mark.parametrize(
    ("prefix", "arguments", "said"),
    [
        ("API_", ["send", "mailer", "welcome_email", "--data"], "set DOXIE_API_USER and DOXIE_API_PASSWORD"),
        ("CLIENT_", ["brands"], "set DOXIE_TOKEN, or DOXIE_CLIENT_ID"),
        ("TENANT", ["brands"], "DOXIE_TENANT"),
    ],
)
def test_missing_credentials_are_named(
    box: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prefix: str,
    arguments: list[str],
    said: str,
) -> None:
    """The message names the variables to set, and nothing is sent."""
    for name in list(os.environ):
        if name.startswith(f"DOXIE_{prefix}"):
            monkeypatch.delenv(name)
    if prefix == "CLIENT_":
        monkeypatch.delenv("DOXIE_TOKEN_URL")
    assert main([*arguments, written()] if "--data" in arguments else arguments) == 2
    assert said in capsys.readouterr().err
    assert not box.requests


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["send"],
        ["send", "brief", "welcome_email", "--data", "x.json"],
        ["process"],
        ["brands", "--token", "geheim"],
        ["send", "mailer", "welcome_email", "--password", "geheim"],
        ["sandbox", "--port", "99999"],
        ["routes"],
        ["routes", "check"],
    ],
)
def test_wrong_arguments_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the parser refuses exits with 2; a password or a token is no argument."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: doxie" in capsys.readouterr().err


def test_the_routes_in_use_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """They need no credential; without a document all of them are assumed."""
    assert main(["routes", "show"]) == 0
    told = capsys.readouterr().out
    assert "/api/{tenant}/mailer/{event_slug}" in told
    assert f"0 confirmed, {len(Routes.assumed())} assumed" in told


def test_routes_are_written_and_never_over_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """What was written can be read again; a file that is there stays as it is."""
    assert main(["routes", "export"]) == 0
    printed = capsys.readouterr().out
    assert main(["routes", "export", "tabelle.json"]) == 0
    assert Path("tabelle.json").read_text(encoding="utf-8") == printed
    assert capsys.readouterr().out == ""
    assert list(Routes.from_openapi("tabelle.json")) == list(Routes.assumed())
    assert main(["routes", "export", "tabelle.json"]) == 2
    assert "tabelle.json is there already, and is not replaced; give another name" in capsys.readouterr().err


def test_routes_are_checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A difference is a failure; the document in use is the one that the environment names."""
    operation = {"tags": ["Mailer"], "summary": "Sends a mail", "responses": {}}
    paths = {"/v2/{tenant}/mails/{event_slug}": {"post": operation}}
    document = {"openapi": "3.0.0", "info": {"title": "Doxie", "version": "1"}, "paths": paths}
    file = written(document)
    assert main(["routes", "check", file]) == 1
    assert "1 different" in capsys.readouterr().out
    monkeypatch.setenv("DOXIE_OPENAPI", file)
    main(["routes", "check", file])
    assert "1 confirmed, 0 different" in capsys.readouterr().out


def test_a_document_that_cannot_be_read_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no difference."""
    assert main(["routes", "check", "fehlt.json"]) == 2
    assert "fehlt.json" in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """And the program that it is the version of."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("doxie ")


def test_the_sandbox_runs_until_it_is_interrupted() -> None:
    """`python -m doxie_async sandbox` prints where it is and how to get in, and ends with Ctrl-C."""
    command = [sys.executable, "-m", "doxie_async", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(9)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    found = re.fullmatch(r"export DOXIE_BASE_URL=(http://127\.0\.0\.1:\d+)\n", lines[2])
    assert found is not None
    assert lines[3:] == [
        "export DOXIE_TENANT=ts\n",
        "export DOXIE_API_USER=sandbox\n",
        "export DOXIE_API_PASSWORD='Blütenhonig; 500 g'\n",
        "export DOXIE_CLIENT_ID=sandbox-verwaltung\n",
        "export DOXIE_CLIENT_SECRET='Schlüssel & 100 % geheim: +/='\n",
        f"export DOXIE_TOKEN_URL={found[1]}/oauth/token\n",
    ]


def test_the_package_is_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It hands on its arguments and the exit code; a sandbox that has ended is no failure."""
    monkeypatch.setattr(sys, "argv", ["doxie", "sandbox", "--port", "0"])
    monkeypatch.setattr(anyio, "sleep_forever", anyio.lowlevel.checkpoint)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("doxie_async", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    assert "export DOXIE_BASE_URL=http://127.0.0.1:" in capsys.readouterr().out


def test_a_port_in_use_is_told(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Two servers cannot share a port."""
    port = os.environ["DOXIE_BASE_URL"].rpartition(":")[2]
    assert main(["sandbox", "--port", port]) == 2
    assert "in use" in capsys.readouterr().err
