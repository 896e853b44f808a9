"""Which account a command works with, and with which credentials."""

from __future__ import annotations

import argparse
import os

import pytest

from klicktipp_async.commands.account import add_account_options, client_from
from klicktipp_async.commands.listing import add_tags
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Run


def test_the_environment_names_the_account(box: Sandbox, run: Run) -> None:
    """User name, password and service come from variables, and the session is ended."""
    assert run(add_tags).code == 0
    assert (box.count("Login", 200), box.count("Logout from API", 200)) == (1, 1)


def test_a_key_pair_needs_no_login(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two keys stand in for the password."""
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "")
    monkeypatch.setenv("KLICKTIPP_DEVELOPER_KEY", box.developer_key)
    monkeypatch.setenv("KLICKTIPP_CUSTOMER_KEY", box.customer_key)
    assert run(add_tags).code == 0
    assert box.count("Login") == 0


def test_arguments_win_over_the_environment(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """User name and service may be arguments."""
    url = os.environ["KLICKTIPP_BASE_URL"]
    monkeypatch.setenv("KLICKTIPP_USERNAME", "niemand")
    monkeypatch.setenv("KLICKTIPP_BASE_URL", "https://127.0.0.1:1")
    assert run(add_tags, "--username", box.username, "--base-url", url, "--rate", "1000").code == 0
    assert box.count("List Tags", 200) == 1


def test_a_password_is_asked_for_on_a_terminal(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for once the user is known and the environment has none."""
    password = box.password
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: password if box.username in prompt else "")
    assert run(add_tags).code == 0
    assert box.count("Login", 200) == 1


def test_missing_variables_are_named(run: Run) -> None:
    """Without a terminal nobody is asked; the message names what to set."""
    ended = run(add_tags)
    assert ended.code == 2
    assert "KLICKTIPP_USERNAME, KLICKTIPP_PASSWORD" in ended.err


def test_refused_credentials_have_an_exit_code(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password is told from everything else, and shown nowhere."""
    monkeypatch.setenv("KLICKTIPP_PASSWORD", "kanarienvogel")
    ended = run(add_tags)
    assert ended.code == 3
    assert "Login" in ended.err
    assert "kanarienvogel" not in ended.out + ended.err


@pytest.mark.parametrize(
    "arguments", [["--concurrency", "0"], ["--rate", "0"], ["--rate", "inf"], ["--password", "geheim"]]
)
def test_wrong_options_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be is refused by the parser; a password is no argument."""
    parser = argparse.ArgumentParser(prog="klicktipp")
    add_account_options(parser)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.anyio
async def test_the_limits_are_those_asked_for(box: Sandbox) -> None:
    """Concurrency and rate are those of the client."""
    parser = argparse.ArgumentParser()
    add_account_options(parser)
    async with client_from(parser.parse_args(["--concurrency", "3", "--rate", "50"])) as kt:
        limiter = kt._engine.limiter
    assert (limiter._slots.value, limiter._interval) == (3, 1 / 50)
