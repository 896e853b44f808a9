"""An import from beginning to end: read and check everything, then send."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import attrs

from klickdoxie_core.errors import ConfigError
from klicktipp_async.client import KlickTipp
from klicktipp_async.csv_import.draft import Rules, is_tag_name
from klicktipp_async.csv_import.job import ImportJob
from klicktipp_async.csv_import.mapping import guess, read_wishes, resolve
from klicktipp_async.csv_import.progress import Progress
from klicktipp_async.csv_import.reasons import Language
from klicktipp_async.csv_import.report import ErrorFile, Summary
from klicktipp_async.csv_import.survey import Survey, survey
from klicktipp_async.csv_import.table import Table, open_table
from klicktipp_async.csv_import.triage import triage


@attrs.frozen(kw_only=True)
class ImportOptions:
    """What the user asks for.

    Attributes:
        path: The CSV file.
        opt_in_id: The opt-in process that new contacts go through; None for the account's default.
        maps: `COLUMN=TARGET` and paths of TOML files; none to guess from the names of the columns.
        tags: Names of tags that every contact gets.
        tag_separators: The characters that part names in a cell of tags.
        encoding: The encoding of the file; None to find it out.
        separator: What stands between two cells; None to find it out.
        timezone: The account's time zone; None for UTC days, and no times without a zone.
        limit: Rows to read at the most; None for all.
        concurrency: Rows under way at once.
        errors: Where the rows go that do not arrive.
        language: The language of their reasons.
    """

    path: Path
    opt_in_id: int | None
    maps: Sequence[str] = ()
    tags: Sequence[str] = ()
    tag_separators: str = ",|"
    encoding: str | None = None
    separator: str | None = None
    timezone: dt.tzinfo | None = None
    limit: int | None = None
    concurrency: int = 16
    errors: Path = Path("errors.csv")
    language: Language = "en"


@attrs.frozen(kw_only=True)
class Plan:
    """A file that was read to its end, and what is going to happen to it. Nothing was sent.

    Attributes:
        table: The file.
        rules: How its rows become contacts.
        survey: What reading it found.
        opt_in_name: The name of the opt-in process; empty for the account's default.
        new_tags: Tags that the account does not have yet.
        options: What the user asked for.
    """

    table: Table
    rules: Rules
    survey: Survey
    opt_in_name: str
    new_tags: tuple[str, ...]
    options: ImportOptions


async def prepare(kt: KlickTipp, options: ImportOptions) -> Plan:
    """Read the whole file and what the account has; sends nothing but reads.

    Raises:
        ConfigError: The file, the mapping, the opt-in process, a tag or the error file cannot be as asked for.
        SdkError: The account could not be read.
    """
    table = open_table(options.path, encoding=options.encoding, separator=options.separator)
    ErrorFile(options.errors, table).check()
    if wrong := [name for name in options.tags if not is_tag_name(name.strip())]:
        msg = (
            f"no tag can be called {', '.join(map(repr, wrong))}: a name is no mere number and has 1 to 250 characters"
        )
        raise ConfigError(msg)
    wishes = read_wishes(options.maps)
    opt_in_name = await _opt_in_name(kt, options.opt_in_id)
    fields = await kt.fields.all()
    rules = Rules(
        columns=resolve(wishes, table.header, fields) if options.maps else guess(table.header, fields),
        tags=tuple(options.tags),
        tag_separators=options.tag_separators,
        timezone=options.timezone,
    )
    found = survey(table, rules, limit=options.limit)
    known = set((await kt.tags.all()).values()) if found.tags else set[str]()
    return Plan(
        table=table,
        rules=rules,
        survey=found,
        opt_in_name=opt_in_name,
        new_tags=tuple(name for name in found.tags if name not in known),
        options=options,
    )


async def start(kt: KlickTipp, plan: Plan, progress: Progress | None = None) -> ImportJob:
    """Create the missing tags; the job is then ready to `run(items(plan))`."""
    tag_ids = await kt.tags.ensure(list(plan.survey.tags)) if plan.survey.tags else {}
    return ImportJob(
        kt,
        tag_ids=tag_ids,
        opt_in_id=plan.options.opt_in_id,
        errors=ErrorFile(plan.options.errors, plan.table, plan.options.language),
        concurrency=plan.options.concurrency,
        progress=progress,
        summary=Summary(tags_created=len(plan.new_tags)),
    )


async def run(job: ImportJob, plan: Plan) -> Summary:
    """Send the rows of the plan; see `ImportJob.run`."""
    return await job.run(triage(plan.table, plan.rules, limit=plan.options.limit), total=plan.survey.rows)


async def _opt_in_name(kt: KlickTipp, opt_in_id: int | None) -> str:
    if opt_in_id is None:
        return ""
    known = await kt.opt_ins.all()
    if opt_in_id not in known:
        names = ", ".join(f"{number} {name!r}" if name else f"{number} (default)" for number, name in known.items())
        msg = f"the account has no opt-in process {opt_in_id}; it has {names or 'none'}"
        raise ConfigError(msg)
    return known[opt_in_id]
