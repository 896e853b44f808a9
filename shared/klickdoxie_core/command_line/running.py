"""Running a command: exit codes, streams, signals, a served sandbox."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Final

import anyio

from klickdoxie_core.errors import ConfigError, Forbidden, JobStopped, JournalError, SdkError, Unauthorized

if TYPE_CHECKING:
    from klickdoxie_core.sandbox import SandboxBase

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
"""The credentials were refused."""
STOPPED: Final = 4
"""The job stopped, or was stopped, before its end; it can be resumed."""
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
    except (SdkError, OSError) as error:
        return complain(parser.prog, error, _code_of(error))


def _code_of(error: BaseException | None) -> int:
    match error:
        case JobStopped(__cause__=Unauthorized() | Forbidden() | ConfigError() as cause) if not isinstance(
            cause, JournalError
        ):
            return _code_of(cause)
        case JobStopped():
            return STOPPED
        case Unauthorized() | Forbidden():
            return REFUSED
        case ConfigError() | OSError():
            return USAGE
        case _:
            return FAILED


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


@contextlib.contextmanager
def stopped_by_signal(stop: Callable[[], None]) -> Generator[None]:
    """Let Ctrl-C and SIGTERM end a job in good order: the first calls `stop`, a second one breaks off.

    Args:
        stop: Called from a signal handler; must only take note.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stop()
        # Not print(): the handler may come in the middle of another one.
        os.write(2, b"\nfinishing what is under way; once more breaks off\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
