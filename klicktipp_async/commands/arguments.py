"""The arguments that `import` and `sync` have in common."""

from __future__ import annotations

import argparse
import zoneinfo
from pathlib import Path
from typing import Any, Final

from klickdoxie_core.command_line import broken_off, positive_int
from klickdoxie_core.options import UNSET, Unset
from klickdoxie_core.table.sql import given_query
from klicktipp_async.crm import Mapping
from klicktipp_async.crm.targets import is_country
from klicktipp_async.errors import ConfigError

_NO_FILE: Final = Path("query")
"""What a job without a file is called."""
EXIT_CODES: Final = (
    "Exit codes: 0 all is well, 1 some rows did not arrive, 2 wrong usage, 3 the credentials were refused, 4 stopped "
    "before the end, and --resume goes on, 5 the service, a database or the disk failed, 130 broken off by Ctrl-C with "
    "nothing to resume."
)
"""For the end of a command's help."""
_OPT_IN_NEEDED: Final = """\
say which opt-in process new contacts go through; there is no silent default, since it is about their consent:
  --opt-in ID       a process of the account by its number or name, as `klicktipp opt-ins` lists them; it may or may
                    not ask them to confirm
  --opt-in default  the account's own double opt-in, which may send each of them a confirmation mail
a mapping in a file may name it as opt_in, too"""


def add_file(parser: argparse.ArgumentParser) -> None:
    """The file, and how it is written; or the query whose rows are taken instead."""
    source = parser.add_mutually_exclusive_group(required=True).add_argument
    source(
        "file", nargs="?", metavar="FILE.csv", type=Path, default=_NO_FILE, help="separator and encoding are found out"
    )
    source("--sql", metavar="URL", help="a database instead, named as by SQLAlchemy; env:NAME takes it from a variable")
    add = parser.add_argument
    add("--query", metavar="SELECT", help="what to ask the database")
    add("--query-file", type=Path, metavar="FILE.sql", help="where that stands instead")
    add("--encoding", metavar="NAME", help="of the file, instead of the one found out")
    add("--delimiter", metavar="CHARACTER", help="between cells, instead of the one found out; also: tab")
    add("--limit", type=positive_int, metavar="N", help="take the first N rows only")


def add_job(parser: argparse.ArgumentParser) -> None:
    """What is done with it, and where that is written down."""
    add = parser.add_argument
    add(
        "--opt-in",
        metavar="ID|NAME|default",
        help="the opt-in process of new contacts, as `klicktipp opt-ins` lists them; must be named here or in the "
        "mapping",
    )
    add("--resume", action="store_true", help="go on with a job that was broken off")
    add(
        "--retry-failed",
        action="store_true",
        help="go on as --resume does, and send the failed rows again, once the cause was mended in the account",
    )
    add(
        "--journal",
        type=Path,
        metavar="PATH",
        help="where the job keeps its record (default: FILE.csv.journal, or query.journal)",
    )
    add(
        "--errors",
        type=Path,
        metavar="PATH",
        help="for the rows that do not arrive (default: FILE.csv.errors.csv, or query.errors.csv)",
    )
    add("--language", choices=("en", "de"), default="en", help="of the plan, the reasons and the summary")
    add("--json", action="store_true", help="print one line of JSON for each event")


def job_options(options: argparse.Namespace) -> dict[str, Any]:
    """What these arguments say of a `FileJob`, but for the opt-in process and the journal.

    Raises:
        ConfigError: The query cannot be, or is to be read as a file is.
    """
    # A dot with three digits behind it would part thousands.
    query = given_query(options.sql, options.query, options.query_file, decimal=",")
    if query is not None and (options.encoding or options.delimiter):
        raise ConfigError("--encoding and --delimiter say how a file is written; a database needs neither")
    return {
        "file": options.file,
        "query": query,
        "encoding": options.encoding,
        "separator": options.delimiter,
        "limit": options.limit,
        "resume": goes_on(options),
        "retry_failed": options.retry_failed,
        "errors": options.errors or (None if query is None else Path(f"{options.file}.errors.csv")),
        "concurrency": options.concurrency,
        "language": options.language,
        "as_json": options.json,
    }


def goes_on(options: argparse.Namespace) -> bool:
    """Whether an earlier job is to be gone on with."""
    return bool(options.resume or options.retry_failed)


def journal(options: argparse.Namespace) -> Path:
    """Where the job keeps its record."""
    return options.journal or Path(f"{options.file}.journal")


def after_ctrl_c(options: argparse.Namespace) -> tuple[int, str]:
    """The exit code of a job that Ctrl-C broke off, and what is told."""
    dry_run: bool = getattr(options, "dry_run", False)
    return broken_off(None if dry_run else journal(options))


def opt_in_id(text: str | None, mapping: Mapping | None) -> int | str | Unset | None:
    """The opt-in process that is asked for.

    Args:
        text: The argument; None where it was not given.
        mapping: What may name the process as well; None where there is none.

    Returns:
        Its id or name; None for the account's own, UNSET for the one that the mapping names.

    Raises:
        ConfigError: Nobody names one.
    """
    if text is None:
        if mapping is None or mapping.opt_in is None:
            raise ConfigError(_OPT_IN_NEEDED)
        return UNSET
    if text == "default":
        return None
    if not text.strip():
        raise ConfigError("--opt-in takes the number or name of an opt-in process, or the word default")
    return int(text) if text.isascii() and text.isdigit() else text


def not_empty(text: str) -> str:
    """A text of at least one character, as the type of an argument."""
    if not text:
        msg = "must not be empty"
        raise argparse.ArgumentTypeError(msg)
    return text


def country(text: str) -> str:
    """The calling code of a country, as the type of an argument."""
    if not is_country(text):
        msg = "must be a calling code without + or zeros, such as 49"
        raise argparse.ArgumentTypeError(msg)
    return text


def timezone(text: str) -> zoneinfo.ZoneInfo:
    """A time zone by its name, as the type of an argument."""
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        msg = f"there is no time zone {text!r}"
        raise argparse.ArgumentTypeError(msg) from None
