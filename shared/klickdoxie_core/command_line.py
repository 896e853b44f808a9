"""What the command lines of the clients share: exit codes, running a command, serving a sandbox, plain columns."""

from __future__ import annotations

import argparse
import io
import logging
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

import anyio

from klickdoxie_core.errors import ConfigError, Forbidden, SdkError, Unauthorized

if TYPE_CHECKING:
    from klickdoxie_core.sandbox import SandboxBase

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
"""The credentials were refused."""
BROKEN_OFF: Final = 130
"""Ended by Ctrl-C."""

Command = Callable[[argparse.Namespace], Awaitable[int]]


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name, and return its exit code; what goes wrong is told on standard error.

    Args:
        parser: Sets two defaults for each command: `command`, a `Command`, and `interrupted`, its code after Ctrl-C.
        arguments: Those of the command line; None takes those of the process.
    """
    try:
        options = parser.parse_args(arguments)
    except KeyboardInterrupt:
        # An argument may be read from standard input, which can take its time.
        return BROKEN_OFF
    for stream in (sys.stdout, sys.stderr):
        # Names can hold what a console cannot show; that must not end a command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # It would write the address of every request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    command: Command = options.command
    try:
        return anyio.run(command, options)
    except KeyboardInterrupt:
        return int(options.interrupted)
    except (Unauthorized, Forbidden) as error:
        return complain(parser.prog, error, REFUSED)
    except (ConfigError, OSError) as error:
        return complain(parser.prog, error, USAGE)
    except SdkError as error:
        return complain(parser.prog, error, FAILED)


def complain(program: str, what: Exception | str, code: int) -> int:
    """Tell on standard error what is wrong, after the name of the program, and return the exit code."""
    sys.stderr.write(f"{program}: {what}\n")
    return code


async def serve(box: SandboxBase, service: str, port: int, variables: Callable[[str], Mapping[str, str]]) -> None:
    """Run a sandbox on a socket until the program is interrupted, and print what leads there.

    Args:
        box: The sandbox; it is closed in the end.
        service: What it is a fake of.
        port: The port; 0 takes a free one.
        variables: Makes of the base URL the environment variables to set.

    Raises:
        ConfigError: What serving needs is not installed.
        OSError: The port is taken.
    """
    try:
        async with box, box.serve(port=port) as url:
            exports = [f"export {name}={shlex.quote(value)}\n" for name, value in variables(url).items()]
            sys.stdout.writelines([f"a fake {service} listens on {url}; Ctrl-C ends it\n\n", *exports])
            sys.stdout.flush()
            await anyio.sleep_forever()
    except RuntimeError as error:
        raise ConfigError(str(error)) from None


def port_number(text: str) -> int:
    """The number of a port, as the type of an argument."""
    number = int(text)
    if not 0 <= number < 1 << 16:
        msg = "must be a number from 0 to 65535"
        raise argparse.ArgumentTypeError(msg)
    return number


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints the version of the package and exits."""
    parser.add_argument("--version", action="version", version=f"{parser.prog} {_version()}")


def columns(rows: Sequence[Sequence[str]]) -> str:
    """The rows as lines, with their cells one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ((cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def _version() -> str:
    try:
        return version("klickdoxie")
    except PackageNotFoundError:
        return "of unknown version"
