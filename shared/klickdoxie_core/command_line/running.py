"""Running a command: exit codes, streams, signals, a served sandbox."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import logging
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import anyio

from klickdoxie_core.errors import ConfigError, Forbidden, JobStopped, JournalError, SdkError, Unauthorized
from klickdoxie_core.table import SourceFailed

if TYPE_CHECKING:
    from klickdoxie_core.sandbox import SandboxBase

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
"""The credentials were refused."""
STOPPED: Final = 4
"""The job stopped, or was stopped, before its end; it can be resumed."""
UNAVAILABLE: Final = 5
"""The service, a database or the disk failed, or the service refused what nothing else can be done without."""
BROKEN_OFF: Final = 130
"""Ended by Ctrl-C."""
PIPE_CLOSED: Final = 141
"""Nobody reads any more what the command writes; a shell says so of programs that the signal SIGPIPE ends."""

_OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})

Command = Callable[[argparse.Namespace], Awaitable[int]]
AfterCtrlC = Callable[[argparse.Namespace], tuple[int, str]]


def run(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, *, text_of: Callable[[Exception], str] = str
) -> int:
    """Run the command that the arguments name, and return its exit code; what goes wrong is told on standard error.

    Where nobody reads the output any more, the command ends without a word.

    Args:
        parser: Sets defaults for each command: `command`, a `Command`, and `interrupted`, what Ctrl-C makes of it: an
            exit code, or an `AfterCtrlC` that finds it out, and what is told; an empty text tells nothing.
        arguments: Those of the command line; None takes those of the process.
        text_of: What is told of an error.
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
    try:
        code = _run(parser.prog, options, text_of)
    except BrokenPipeError:
        code = PIPE_CLOSED
    return PIPE_CLOSED if _is_unread() and code == OK else code


def _run(program: str, options: argparse.Namespace, text_of: Callable[[Exception], str]) -> int:
    command: Command = options.command
    try:
        code = anyio.run(command, options)
        # What cannot be written must not be found out after the exit code.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _broken_off(program, options)
    except BrokenPipeError:
        raise
    except (SdkError, OSError) as error:
        return complain(program, text_of(error), _code_of(error))
    return code


def _is_unread() -> bool:
    """Whether what is written goes nowhere; the rest is made to, or the interpreter would complain of it in the end."""
    unread = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            unread = True
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
    return unread


def _broken_off(program: str, options: argparse.Namespace) -> int:
    interrupted: int | AfterCtrlC = options.interrupted
    if isinstance(interrupted, int):
        return interrupted
    code, text = interrupted(options)
    # The terminal shows ^C without a line break.
    return complain(f"\n{program}", text, code) if text else code


def broken_off(journal: Path | None, goes_on: str = "--resume") -> tuple[int, str]:
    """The exit code of a job that Ctrl-C broke off, and what is told.

    Args:
        journal: Where the job is recorded, if anything is; None for a job that keeps no record.
        goes_on: The options that go on with it.
    """
    if journal is not None and journal.exists():
        return STOPPED, f"broken off; {goes_on} goes on"
    return BROKEN_OFF, "broken off; there is nothing to resume"


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
        case ConfigError() | OSError() if not _is_outage(error):
            return USAGE
        case _:
            return UNAVAILABLE


def _is_outage(error: SdkError | OSError) -> bool:
    """Whether it is no fault of the one who asks, and may be over later."""
    return isinstance(error, SourceFailed) or (isinstance(error, OSError) and error.errno in _OF_THE_DISK)


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
