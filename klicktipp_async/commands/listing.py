"""`klicktipp tags`, `klicktipp fields` and `klicktipp opt-ins`: what the account has, with the ids that calls take."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from klickdoxie_core import command_line
from klickdoxie_core.command_line import BROKEN_OFF, OK
from klicktipp_async.client import KlickTipp
from klicktipp_async.commands.account import CREDENTIALS, add_account_options, client_from
from klicktipp_async.models.option import sorted_options
from klicktipp_async.resources.opt_ins import DEFAULT_LABEL

_Entry = Mapping[str, int | str | bool]
_Fetch = Callable[[KlickTipp], Awaitable[Sequence[_Entry]]]


def add_tags(parser: argparse.ArgumentParser) -> None:
    """Make the parser that of `klicktipp tags`."""
    _add(parser, "List the manual tags of the account, sorted by name.", _tags)


def add_fields(parser: argparse.ArgumentParser) -> None:
    """Make the parser that of `klicktipp fields`."""
    _add(parser, "List the data fields of the account, sorted by label.", _fields)


def add_opt_ins(parser: argparse.ArgumentParser) -> None:
    """Make the parser that of `klicktipp opt-ins`."""
    _add(parser, "List the opt-in processes of the account, sorted by name.", _opt_ins)


def _add(parser: argparse.ArgumentParser, what: str, fetch: _Fetch) -> None:
    parser.description = f"{what} {CREDENTIALS}"

    async def command(options: argparse.Namespace) -> int:
        async with client_from(options) as kt:
            entries = await fetch(kt)
        sys.stdout.write(f"{json.dumps(entries) if options.json else _table(entries)}\n")
        return OK

    parser.set_defaults(command=command, interrupted=BROKEN_OFF)
    add_account_options(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON, a list of objects")


async def _tags(kt: KlickTipp) -> Sequence[_Entry]:
    return [{"id": int(tag.value), "name": tag.label} for tag in await kt.tags.options()]


async def _fields(kt: KlickTipp) -> Sequence[_Entry]:
    return [{"key": field.value, "name": field.label} for field in await kt.fields.options()]


async def _opt_ins(kt: KlickTipp) -> Sequence[_Entry]:
    names = await kt.opt_ins.all()
    shown = sorted_options({number: name or DEFAULT_LABEL for number, name in names.items()})
    return [{"id": int(it.value), "name": it.label, "default": not names[int(it.value)]} for it in shown]


def _table(entries: Sequence[_Entry]) -> str:
    if not entries:
        return "none"
    # The name comes second and ends the line: whatever else there is, is for machines.
    head = list(entries[0])[:2]
    return command_line.columns([head, *([str(entry[name]) for name in head] for entry in entries)])
