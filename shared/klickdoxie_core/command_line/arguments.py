"""Types of arguments, and the one option that every command has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from klickdoxie_core.version import VERSION


def port_number(text: str) -> int:
    """The number of a port."""
    number = int(text)
    if not 0 <= number < 1 << 16:
        msg = "must be a number from 0 to 65535"
        raise argparse.ArgumentTypeError(msg)
    return number


def positive_int(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        msg = "must be a whole number from 1"
        raise argparse.ArgumentTypeError(msg)
    return number


def positive_float(text: str) -> float:
    """A number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        msg = "must be a number above 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints the version of the package and exits."""
    parser.add_argument("--version", action="version", version=f"{parser.prog} {VERSION}")


class PrintAndExit(argparse.Action):
    """An option that prints what a function returns and exits, whatever else is given or missing."""

    def __init__(self, option_strings: Sequence[str], dest: str, *, text: Callable[[], str], help: str) -> None:  # noqa: A002 - argparse names it
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)
        self._text = text

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the text as it stands."""
        sys.stdout.write(self._text())
        parser.exit()
