"""The command `klicktipp`: import a CSV file, or run the sandbox.

Exit codes: 0 all is well; 1 some rows failed; 2 wrong usage; 3 the credentials were refused; 130 broken off by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import signal
import sys
import zoneinfo
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType

from klickdoxie_core import command_line
from klickdoxie_core.command_line import BROKEN_OFF, FAILED, OK, REFUSED
from klicktipp_async import ConfigError, KlickTipp, Limit, SessionLogin
from klicktipp_async.client import BASE_URL
from klicktipp_async.csv_import import ImportJob, ImportOptions, prepare, run, start
from klicktipp_async.csv_import.progress import progress_on
from klicktipp_async.csv_import.render import dry_run_text, plan_json, plan_text, summary_text

_OPT_IN_NEEDED = """\
say which opt-in process new contacts go through; there is no silent default, since it is about their consent:
  --opt-in ID       a process of the account, which may or may not ask them to confirm
  --opt-in default  the account's own double opt-in, which may send each of them a confirmation mail"""

_MAP_HELP = """\
where a column goes, such as "E-Mail=email", "Mobil=sms", "Segmente=tags", "Vorname=fieldFirstName", "Umsatz=field123",
or the label of a data field instead of its key; a field may say how its texts are read: ":date" (24.12.1980 or
1980-12-24), ":datetime", ":decimal" (1.234,50). A .toml file with such pairs is taken too. Repeatable. Without it only
columns with plain names such as E-Mail and Vorname are imported"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; None takes the arguments of the process."""
    return command_line.run(_parser(), arguments)


async def _import(options: argparse.Namespace) -> int:
    wanted = _import_options(options)
    async with _client(options) as kt:
        plan = await prepare(kt, wanted)
        if not options.json:
            print(plan_text(plan, wanted.language))
        if options.dry_run:
            print(json.dumps(plan_json(plan)) if options.json else dry_run_text(wanted.language))
            return OK
        job = await start(kt, plan, progress_on(sys.stderr))
        try:
            with _stopped_by_interrupt(job):
                await run(job, plan)
        finally:
            facts = {**plan_json(plan), **job.summary.as_json()}
            print(json.dumps(facts) if options.json else summary_text(job.summary, wanted.language))
    return _exit_code(job)


def _exit_code(job: ImportJob) -> int:
    if job.refused:
        return REFUSED
    if job.summary.interrupted:
        return BROKEN_OFF
    return OK if job.summary.complete else FAILED


@contextlib.contextmanager
def _stopped_by_interrupt(job: ImportJob) -> Generator[None, None, None]:
    """Ctrl-C ends the job in good order; a second one breaks it off."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        job.stop()
        # Not print(): the handler may come in the middle of another one.
        os.write(2, b"\nfinishing the rows under way; Ctrl-C again breaks off\n")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def _sandbox(options: argparse.Namespace) -> int:
    from klicktipp_async.sandbox import Sandbox  # noqa: PLC0415 - for this command only

    box = Sandbox()
    account = {"KLICKTIPP_USERNAME": box.username, "KLICKTIPP_PASSWORD": box.password}
    await command_line.serve(box, "KlickTipp", options.port, lambda url: {"KLICKTIPP_BASE_URL": url, **account})
    return OK


def _client(options: argparse.Namespace) -> KlickTipp:
    """A client with the credentials of the environment; a missing password is asked for on a terminal."""
    # The environment of this process is ours; `from_env` reads it.
    if options.username:
        os.environ["KLICKTIPP_USERNAME"] = options.username
    if options.base_url:
        os.environ["KLICKTIPP_BASE_URL"] = options.base_url
    limit = Limit(concurrency=options.concurrency, rate=options.rate)
    username = os.environ.get("KLICKTIPP_USERNAME")
    secrets = ("KLICKTIPP_PASSWORD", "KLICKTIPP_DEVELOPER_KEY", "KLICKTIPP_CUSTOMER_KEY")
    if username and not any(os.environ.get(name) for name in secrets) and sys.stdin.isatty():
        login = SessionLogin(username, getpass.getpass(f"KlickTipp password of {username}: "))
        return KlickTipp(login, base_url=os.environ.get("KLICKTIPP_BASE_URL") or BASE_URL, limit=limit)
    return KlickTipp.from_env(limit=limit)


def _import_options(options: argparse.Namespace) -> ImportOptions:
    return ImportOptions(
        path=options.file,
        opt_in_id=_opt_in_id(options.opt_in),
        maps=options.map,
        tags=options.tag,
        tag_separators=options.tag_separator,
        encoding=options.encoding,
        separator=options.delimiter,
        timezone=options.timezone,
        limit=options.limit,
        concurrency=options.concurrency,
        errors=options.errors,
        language=options.language,
    )


def _opt_in_id(text: str | None) -> int | None:
    if text is None:
        raise ConfigError(_OPT_IN_NEEDED)
    if text == "default":
        return None
    if not (text.isascii() and text.isdigit()):
        msg = f"--opt-in takes the number of an opt-in process or the word default, not {text!r}"
        raise ConfigError(msg)
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="klicktipp", description="Work with a KlickTipp account.")
    command_line.add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_import(commands.add_parser("import", help="import contacts from a CSV file"))
    sandbox = commands.add_parser("sandbox", help="run a fake KlickTipp on this machine, for trying things out")
    sandbox.add_argument(
        "--port", type=command_line.port_number, default=8081, help="0 takes a free one (default: %(default)s)"
    )
    sandbox.set_defaults(command=_sandbox, interrupted=OK)
    return parser


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Import contacts from a CSV file. The credentials come from the environment: KLICKTIPP_USERNAME, and either "
        "KLICKTIPP_PASSWORD or KLICKTIPP_DEVELOPER_KEY with KLICKTIPP_CUSTOMER_KEY."
    )
    parser.set_defaults(command=_import, interrupted=BROKEN_OFF)
    add = parser.add_argument
    add("file", metavar="FILE.csv", type=Path, help="separator and encoding are found out")
    add("--map", action="append", default=[], metavar="COLUMN=TARGET", help=_MAP_HELP)
    add("--opt-in", metavar="ID|default", help="the opt-in process of new contacts; must be given")
    add("--tag", action="append", default=[], metavar="NAME", help="a tag for every contact; repeatable")
    add("--tag-separator", default=",|", metavar="CHARACTERS", type=_not_empty, help="what parts tags in a cell")
    add("--dry-run", action="store_true", help="read and check everything, send nothing")
    add("--limit", type=_count, metavar="N", help="take the first N rows only")
    add("--concurrency", type=_count, default=16, metavar="N", help="rows under way at once (default: %(default)s)")
    add("--rate", type=_rate, metavar="N", help="requests a second at the most")
    add("--errors", type=Path, default=Path("errors.csv"), metavar="PATH", help="for the rows that do not arrive")
    add("--language", choices=("en", "de"), default="en", help="of the plan, the reasons and the summary")
    add("--encoding", metavar="NAME", help="of the file, instead of the one found out")
    add("--delimiter", metavar="CHARACTER", help="between cells, instead of the one found out; also: tab")
    add("--timezone", type=_timezone, metavar="ZONE", help="of the account, such as Europe/Berlin, for dates and times")
    add("--username", metavar="NAME", help="instead of KLICKTIPP_USERNAME; the password is never an argument")
    add("--base-url", metavar="URL", help="another service, such as the sandbox")
    add("--json", action="store_true", help="print the figures as one line of JSON")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = "must be a whole number from 1"
        raise argparse.ArgumentTypeError(msg)
    return number


def _rate(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        msg = "must be a number above 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def _not_empty(text: str) -> str:
    if not text:
        msg = "must not be empty"
        raise argparse.ArgumentTypeError(msg)
    return text


def _timezone(text: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        msg = f"there is no time zone {text!r}"
        raise argparse.ArgumentTypeError(msg) from None
