"""What the command lines of the clients share; the only part of the core that talks to people."""

from __future__ import annotations

from klickdoxie_core.command_line.arguments import PrintAndExit, add_version, port_number, positive_float, positive_int
from klickdoxie_core.command_line.display import Display, columns, display_on
from klickdoxie_core.command_line.running import (
    BROKEN_OFF,
    FAILED,
    OK,
    PIPE_CLOSED,
    REFUSED,
    STOPPED,
    UNAVAILABLE,
    USAGE,
    Command,
    broken_off,
    complain,
    run,
    serve,
    stopped_by_signal,
)

__all__ = [
    "BROKEN_OFF",
    "FAILED",
    "OK",
    "PIPE_CLOSED",
    "REFUSED",
    "STOPPED",
    "UNAVAILABLE",
    "USAGE",
    "Command",
    "Display",
    "PrintAndExit",
    "add_version",
    "broken_off",
    "columns",
    "complain",
    "display_on",
    "port_number",
    "positive_float",
    "positive_int",
    "run",
    "serve",
    "stopped_by_signal",
]
