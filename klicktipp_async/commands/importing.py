"""`klicktipp import`: every row of a file is sent once, without reading the account's contacts first."""

from __future__ import annotations

import argparse

from klicktipp_async.commands import arguments
from klicktipp_async.commands.account import CREDENTIALS, add_account_options, client_from
from klicktipp_async.commands.file_job import FileJob, run_file
from klicktipp_async.crm import Mapping
from klicktipp_async.errors import ConfigError

_MAP_HELP = """\
where a column goes, such as "E-Mail=email", "Mobil=sms", "Segmente=tags", "Vorname=fieldFirstName", "Umsatz=field123",
or the label of a data field instead of its key; a field may say how its texts are read: ":date" (24.12.1980 or
1980-12-24), ":datetime", ":time", ":number", ":decimal" (1.234,50). A .toml file with such pairs is taken too.
Repeatable. Without it only columns with plain names such as E-Mail and Vorname are imported"""


def add_import(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of the command."""
    parser.description = (
        "Import contacts from a CSV file. An import that is broken off, however hard, goes on with --resume and sends "
        f"no row twice. {CREDENTIALS}"
    )
    parser.epilog = arguments.EXIT_CODES
    parser.set_defaults(command=_import, interrupted=arguments.after_ctrl_c)
    add = parser.add_argument
    arguments.add_file(parser)
    add("--map", action="append", default=[], metavar="COLUMN=TARGET", help=_MAP_HELP)
    add("--tag", action="append", default=[], metavar="NAME", help="a tag for every contact; repeatable")
    add("--tag-separator", metavar="CHARACTERS", type=arguments.not_empty, help="what parts tags in a cell")
    add("--timezone", type=arguments.timezone, metavar="ZONE", help="of the account, such as Europe/Berlin")
    add(
        "--country",
        type=arguments.country,
        metavar="CODE",
        help="the country of SMS numbers that do not name theirs, such as 49 for 0170 …; without it they fail",
    )
    add("--dry-run", action="store_true", help="read and check everything, send nothing")
    arguments.add_job(parser)
    add_account_options(parser)


async def _import(options: argparse.Namespace) -> int:
    if options.dry_run and arguments.goes_on(options):
        raise ConfigError(
            "--dry-run sends nothing, so that there is nothing to go on with; leave out --resume and --retry-failed"
        )
    mapping = Mapping.from_pairs(options.map) if options.map else None
    job = FileJob(
        **arguments.job_options(options),
        mapping=mapping,
        overrides=_overrides(options),
        opt_in_id=arguments.opt_in_id(options.opt_in, mapping),
        tags=options.tag,
        look_up=False,
        send=not options.dry_run,
        journal=None if options.dry_run else arguments.journal(options),
    )
    async with client_from(options) as kt:
        return await run_file(kt, job)


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    given = {
        "tag_separators": options.tag_separator,
        "timezone": options.timezone,
        "country": options.country,
    }
    return {name: value for name, value in given.items() if value is not None}
