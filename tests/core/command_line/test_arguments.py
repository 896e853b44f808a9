"""Types of arguments, and the option that tells the version."""

from __future__ import annotations

import argparse

import pytest

from klickdoxie_core import command_line
from klickdoxie_core.version import VERSION


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("8082", 8082), ("65535", 65535)])
def test_ports(text: str, number: int) -> None:
    """Every port is taken, and 0 for a free one."""
    assert command_line.port_number(text) == number


@pytest.mark.parametrize(
    ("text", "error"), [("-1", argparse.ArgumentTypeError), ("65536", argparse.ArgumentTypeError), ("acht", ValueError)]
)
def test_what_is_no_port(text: str, error: type[Exception]) -> None:
    """Both are what a parser takes for a wrong argument."""
    with pytest.raises(error):
        command_line.port_number(text)


@pytest.mark.parametrize("text", ["0", "-1"])
def test_what_is_no_count(text: str) -> None:
    """Neither nothing nor less."""
    for type_ in (command_line.positive_int, command_line.positive_float):
        with pytest.raises(argparse.ArgumentTypeError):
            type_(text)


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_a_rate_is_a_number(text: str) -> None:
    """What floats can be besides numbers is refused."""
    with pytest.raises(argparse.ArgumentTypeError):
        command_line.positive_float(text)


def test_counts_and_rates() -> None:
    """A count is whole, a rate need not be."""
    assert (command_line.positive_int("7"), command_line.positive_float("0.5")) == (7, 0.5)


def test_a_text_is_printed_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever else is missing; its place in the namespace stays empty."""
    telling = argparse.ArgumentParser(prog="dienst")
    telling.add_argument("file")
    telling.add_argument("--example", action=command_line.PrintAndExit, text=lambda: "Größe = 1\n", help="an example")
    with pytest.raises(SystemExit) as caught:
        telling.parse_args(["--example"])
    assert (caught.value.code, capsys.readouterr().out) == (0, "Größe = 1\n")
    assert vars(telling.parse_args(["x"])) == {"file": "x"}


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The option prints it and ends the program."""
    telling = argparse.ArgumentParser(prog="dienst")
    command_line.add_version(telling)
    with pytest.raises(SystemExit) as caught:
        telling.parse_args(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"dienst {VERSION}\n"
