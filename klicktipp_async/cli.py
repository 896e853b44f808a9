"""The command `klicktipp`: import and sync files, export contacts, look at the account, or run the sandbox.

Exit codes: 0 all is well; 1 some rows failed; 2 wrong usage; 3 the credentials were refused; 4 stopped before the end,
and `--resume` goes on; 5 the service refused what all else needs, or the service, a database or the disk failed; 130
broken off by Ctrl-C where there is nothing to resume; 141 nobody read the output any more.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from klickdoxie_core import command_line
from klickdoxie_core.command_line import OK
from klicktipp_async.commands.doctor import add_doctor
from klicktipp_async.commands.export import add_export
from klicktipp_async.commands.importing import add_import
from klicktipp_async.commands.listing import add_fields, add_opt_ins, add_tags
from klicktipp_async.commands.syncing import add_sync
from klicktipp_async.errors import InvalidCredentials

_LOGIN_REFUSED: Final = """\
the login was refused; check KLICKTIPP_USERNAME and KLICKTIPP_PASSWORD before you try again: every try counts, and too \
many of them lock the account"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; None takes the arguments of the process."""
    return command_line.run(_parser(), arguments, text_of=_text_of)


def _text_of(error: Exception) -> str:
    """What is told of an error; who types a password cannot do anything about when a program may try again."""
    return _LOGIN_REFUSED if isinstance(error, InvalidCredentials) else str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="klicktipp", description="Work with a KlickTipp account.")
    command_line.add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_import(commands.add_parser("import", help="import contacts from a CSV file"))
    add_sync(commands.add_parser("sync", help="keep contacts in step with a CRM's file"))
    add_export(commands.add_parser("export", help="write contacts into a CSV file"))
    add_tags(commands.add_parser("tags", help="list the tags"))
    add_fields(commands.add_parser("fields", help="list the data fields"))
    add_opt_ins(commands.add_parser("opt-ins", help="list the opt-in processes"))
    add_doctor(commands.add_parser("doctor", help="check credentials, plan, clock and network"))
    _add_sandbox(commands.add_parser("sandbox", help="run a fake KlickTipp on this machine, for trying things out"))
    return parser


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=command_line.port_number, default=8081, help="0 takes a free one (default: %(default)s)"
    )
    parser.set_defaults(command=_sandbox, interrupted=OK)


async def _sandbox(options: argparse.Namespace) -> int:
    from klicktipp_async.sandbox import Sandbox  # noqa: PLC0415 - for this command only

    box = Sandbox()
    account = {"KLICKTIPP_USERNAME": box.username, "KLICKTIPP_PASSWORD": box.password}
    await command_line.serve(box, "KlickTipp", options.port, lambda url: {"KLICKTIPP_BASE_URL": url, **account})
    return OK
