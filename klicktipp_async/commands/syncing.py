"""`klicktipp sync`: a file of a CRM is compared with the account, and what differs is written."""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path
from typing import Final

from klickdoxie_core.command_line import PrintAndExit, broken_off
from klicktipp_async.commands import arguments
from klicktipp_async.commands.account import CREDENTIALS, add_account_options, client_from
from klicktipp_async.commands.file_job import FileJob, run_file
from klicktipp_async.crm import Mapping, Segments
from klicktipp_async.errors import ConfigError

_PAGES: Final = frozenset({".html", ".htm"})
_REPORT_HELP: Final = """\
what became of each row (default: FILE.csv.report.csv). Without --apply it tells what is planned for each, where it is
named; a name such as plan.html gets the plan as a page for people who have to say yes to it. Both hold personal data"""
_IDS_HELP: Final = """\
the file that finds contacts by the CRM's id (default: beside the journal, with the ending .ids). The first plan reads
every contact of the account for it. Name the same one in each sync, or the same --journal, where FILE.csv has another
name each time: or every contact is read again"""


def add_sync(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of the command."""
    parser.description = (
        "Keep contacts in step with a CRM. Without --apply nothing is written: the plan is shown and kept, and --apply "
        f"carries it out. A sync that is broken off, however hard, goes on with --resume. {CREDENTIALS}"
    )
    parser.epilog = arguments.EXIT_CODES
    parser.set_defaults(command=_sync, interrupted=_after_ctrl_c)
    add = parser.add_argument
    arguments.add_file(parser)
    add("--mapping", required=True, type=Path, metavar="FILE.toml", help="where the columns go")
    add(
        "--example-mapping",
        action=PrintAndExit,
        text=_example_mapping,
        help="print such a file to start from, and exit",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--plan", action="store_true", help="read, compare and show; write nothing (the default)")
    mode.add_argument("--apply", action="store_true", help="carry out the plan; makes one first where there is none")
    add(
        "--prefix",
        metavar="TEXT",
        help='what the tags of segments begin with (default: that of the mapping, or "[CRM] ")',
    )
    add("--tag", action="append", default=[], metavar="NAME", help="a tag for every contact; repeatable")
    add("--report", type=Path, metavar="PATH", help=_REPORT_HELP)
    add("--ids", type=Path, metavar="PATH", help=_IDS_HELP)
    add("--report-language", choices=("en", "de"), help="of plan.html at first (default: the browser's)")
    arguments.add_job(parser)
    add_account_options(parser)


def _example_mapping() -> str:
    return resources.files("klicktipp_async.commands").joinpath("example_mapping.toml").read_text(encoding="utf-8")


def _sends(options: argparse.Namespace) -> bool:
    return bool(options.apply or (arguments.goes_on(options) and not options.plan))


def _after_ctrl_c(options: argparse.Namespace) -> tuple[int, str]:
    # --resume alone would carry out a plan that nobody has looked at.
    return broken_off(arguments.journal(options), "--resume" if _sends(options) else "--plan --resume")


async def _sync(options: argparse.Namespace) -> int:
    if options.plan and options.retry_failed:
        raise ConfigError("--plan sends nothing, so that nothing can be sent again; leave out --retry-failed")
    mapping = Mapping.from_toml(options.mapping)
    send = _sends(options)
    report, page = _report_and_page(options, send=send)
    job = FileJob(
        **arguments.job_options(options),
        mapping=mapping,
        opt_in_id=arguments.opt_in_id(options.opt_in, mapping),
        segments=None if options.prefix is None else Segments(options.prefix),
        tags=options.tag,
        look_up=True,
        send=send,
        journal=arguments.journal(options),
        report=report,
        page=page,
        page_language=options.report_language,
        ids=options.ids,
    )
    async with client_from(options) as kt:
        return await run_file(kt, job)


def _report_and_page(options: argparse.Namespace, *, send: bool) -> tuple[Path | None, Path | None]:
    """Where the rows are told, and where the plan goes as a page; None for nowhere.

    Raises:
        ConfigError: A page is asked for of a plan that is carried out at once.
    """
    named: Path | None = options.report
    usual = Path(f"{options.file}.report.csv")
    if named is None or named.suffix.lower() not in _PAGES:
        return named or (usual if send else None), None
    if send:
        raise ConfigError(
            f"{named} is the name of a page, which shows a plan before it is carried out; write it with --plan, and "
            "give the report of --apply another name, such as report.csv"
        )
    return None, named
