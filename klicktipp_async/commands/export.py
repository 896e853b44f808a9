"""`klicktipp export`: contacts as a CSV file that a German Excel opens, and that `klicktipp import` reads back."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import csv
import datetime as dt
import enum
import io
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from klickdoxie_core import Effect, bulk, command_line
from klickdoxie_core.command_line import BROKEN_OFF, OK
from klickdoxie_core.redact import mask
from klickdoxie_core.table.guard import guarded
from klicktipp_async.client import KlickTipp
from klicktipp_async.commands import arguments
from klicktipp_async.commands.account import CREDENTIALS, add_account_options, client_from
from klicktipp_async.commands.export_fields import Fields, chosen, wishes
from klicktipp_async.errors import ConfigError, NotFound
from klicktipp_async.models.contact import Bounce, Contact, ContactStatus

_OWN: Final[Mapping[str, Callable[[Contact], object]]] = {
    "id": lambda contact: contact.id,
    "email": lambda contact: contact.email,
    "sms_number": lambda contact: contact.sms_phone,
    "status": lambda contact: contact.status,
    "bounce": lambda contact: contact.bounce,
    "opt_in_id": lambda contact: contact.opt_in_id,
    "optin": lambda contact: contact.optin,
    "subscribed": lambda contact: contact.date,
    "unsubscription": lambda contact: contact.unsubscription,
}
_TAGS: Final = "tags"

_DESCRIPTION = f"""\
Write contacts as CSV: id, address, number, status and dates, data fields, and the names of the manual tags, parted by
"|". Rows come in no particular order; a contact that is deleted meanwhile is left out. Cells that a spreadsheet would
take for formulas get an apostrophe in front, which import takes off again. The service does not tell what a data field
of your own holds: name a form, as in "Termin:datetime", or its dates are seconds since 1970. {CREDENTIALS}"""
_FIELDS_HELP = """\
the data fields to write, by key or label; or all (default). A field of your own may say how its values are written, and
how import --map reads them: ":date", ":datetime", ":time", ":decimal", ":number", as in "all,Termin:datetime\""""


def add_export(parser: argparse.ArgumentParser) -> None:
    """Make the parser that of `klicktipp export`."""
    parser.description = _DESCRIPTION
    parser.set_defaults(command=_export, interrupted=BROKEN_OFF)
    add = parser.add_argument
    add("--out", type=Path, metavar="FILE.csv", help="made anew, for its owner only (default: standard output)")
    add("--force", action="store_true", help="replace FILE.csv, and what a broken-off export left of it")
    add("--status", type=_words(ContactStatus), metavar="WORD,WORD", help=_choices(ContactStatus, "subscribed"))
    add("--bounce", type=_words(Bounce), metavar="WORD,WORD", help=_choices(Bounce, "all but hardbounce"))
    add("--tag", metavar="NAME|ID", help="only contacts with this tag; SmartTags by their id")
    add("--fields", type=wishes, default="all", metavar="FIELD,FIELD", help=_FIELDS_HELP)
    add("--raw", action="store_true", help="write data fields as the service keeps them, dates as seconds since 1970")
    add("--timezone", type=arguments.timezone, metavar="ZONE", help="of the account (default: UTC)")
    add("--labels", action="store_true", help="head data fields with their labels instead of their keys")
    separators = (";", ",", "|", "tab")
    add("--separator", choices=separators, default=";", metavar="CHARACTER", help=f"one of {' '.join(separators)}")
    encodings = ("utf-8-sig", "utf-8", "cp1252")
    add("--encoding", choices=encodings, help="of the file (default: utf-8-sig, and utf-8 into a pipe)")
    add_account_options(parser)


async def _export(options: argparse.Namespace) -> int:
    with _output(options.out, force=options.force) as stream:
        async with client_from(options) as kt:
            tags = await kt.tags.all()
            timezone = options.timezone or dt.UTC
            fields = chosen(options.fields, await kt.fields.all(), timezone=timezone, raw=options.raw)
            layout = Layout(fields=fields, tags=tags, labels=options.labels)
            encoding = options.encoding or ("utf-8-sig" if _is_file(stream) else "utf-8")
            ids = await _ids(kt, options, tags)
            sheet = Sheet(stream, layout, options.separator, encoding)
            await _write(kt, ids, sheet, options)
    _tell(sheet, options, len(ids), timezone)
    return OK


def _tell(sheet: Sheet, options: argparse.Namespace, total: int, timezone: dt.tzinfo) -> None:
    """Say on standard error what is not for the file."""
    if not total and options.status is None:
        sys.stderr.write("0 subscribed contacts; --status all takes the others, too\n")
    for key, count in sheet.kept.items():
        sys.stderr.write(
            f"{count:,} values of {key} are no such dates or times in {timezone}, and stay as the service keeps them; "
            "--timezone names the account's zone\n"
        )
    if options.out is not None:
        sys.stderr.write(f"{sheet.rows:,} of {total:,} contacts are in {options.out}\n")


async def _ids(kt: KlickTipp, options: argparse.Namespace, tags: Mapping[int, str]) -> Sequence[int]:
    if options.tag is None:
        return await kt.contacts.ids(status=options.status, bounce=options.bounce)
    tag_id = _tag_id(options.tag, tags)
    return list(await kt.contacts.tagged(tag_id, status=options.status, bounce=options.bounce))


def _tag_id(text: str, tags: Mapping[int, str]) -> int:
    """The tag with this name; without one, the text is an id."""
    by_name = {name: tag_id for tag_id, name in tags.items()}
    if text in by_name:
        return by_name[text]
    if text.isascii() and text.isdigit():
        return int(text)
    msg = f"the account has no tag {mask(text)!r}; `klicktipp tags` lists them"
    raise ConfigError(msg)


async def _write(kt: KlickTipp, ids: Sequence[int], sheet: Sheet, options: argparse.Namespace) -> None:
    """Write every contact that is still there."""

    async def get(contact_id: int) -> Contact | None:
        try:
            return await kt.contacts.get(contact_id)
        except NotFound:
            return None

    display = command_line.display_on(sys.stderr, as_json=False)
    # Safe reads: whoever breaks off does not wait for those under way.
    reading = bulk(get, ids, concurrency=options.concurrency, effect=Effect.SAFE, on_progress=display)
    try:
        async with reading as outcomes:
            async for outcome in outcomes:
                if (contact := outcome.unwrap()) is not None:
                    sheet.add(contact)
    finally:
        display.close()


@attrs.frozen(kw_only=True)
class Layout:
    """What stands in which column.

    Attributes:
        fields: The data fields.
        tags: The manual tags, id to name.
        labels: Whether data fields are headed by their labels.
    """

    fields: Fields
    tags: Mapping[int, str]
    labels: bool = False

    @property
    def names(self) -> list[str]:
        """What each column is called when something is said about it."""
        return [*_OWN, *self.fields.labels, _TAGS]

    def head(self) -> list[str]:
        """The first row; a label that would stand there twice is followed by its key."""
        if not self.labels:
            return self.names
        fields = self.fields.labels
        taken = Counter([*_OWN, *fields.values(), _TAGS, ""])
        labels = (label if taken[label] == 1 else f"{label} ({key})".strip() for key, label in fields.items())
        return [*_OWN, *labels, _TAGS]

    def row(self, contact: Contact) -> list[str]:
        """The cells of a contact."""
        own = (_text(read(contact)) for read in _OWN.values())
        fields = (self.fields.text(key, contact.fields.get(key, "")) for key in self.fields.labels)
        tags = sorted(self.tags[tag_id] for tag_id in {*contact.tags, *contact.manual_tags} if tag_id in self.tags)
        return [*own, *fields, "|".join(tags)]


class Sheet:
    """Writes contacts into a stream, after a row that heads the columns.

    Attributes:
        rows: How many contacts were written.
        kept: How many dates and times of a field were written as the service keeps them, by its key.

    Raises:
        ConfigError: The encoding cannot hold a label.
    """

    def __init__(self, stream: BinaryIO, layout: Layout, separator: str, encoding: str) -> None:
        self._stream = stream
        self._layout = layout
        self._encoding = encoding
        # One for the whole stream: it is the first text only that gets the mark of utf-8-sig.
        self._encoder = codecs.getincrementalencoder(encoding)()
        self._line = io.StringIO(newline="")
        delimiter = "\t" if separator == "tab" else separator
        self._writer = csv.writer(self._line, delimiter=delimiter, lineterminator="\r\n")
        self.rows = 0
        self.kept = Counter[str]()
        self._write(layout.head(), "the heading of {}")

    def add(self, contact: Contact) -> None:
        """Write a contact; raises ConfigError where the encoding cannot hold one of its cells."""
        self._write(self._layout.row(contact), f"{{}} of contact {contact.id}")
        self.rows += 1
        fields = self._layout.fields
        self.kept.update(key for key in fields.labels if fields.is_kept(key, contact.fields.get(key, "")))

    def _write(self, cells: Sequence[str], place: str) -> None:
        self._writer.writerow(list(map(guarded, cells)))
        try:
            self._stream.write(self._encoder.encode(self._line.getvalue()))
        except UnicodeEncodeError:
            raise self._unfit(cells, place) from None
        self._line.seek(0)
        self._line.truncate()

    def _unfit(self, cells: Sequence[str], place: str) -> ConfigError:
        named = zip(self._layout.names, cells, strict=True)
        name, cell = next((name, cell) for name, cell in named if not _fits(cell, self._encoding))
        advice = (
            "give --encoding utf-8" if _fits(cell, "utf-8") else "it is damaged and has to be set anew in KlickTipp"
        )
        return ConfigError(f"{self._encoding} cannot hold {place.format(name)}; {advice}")


def _fits(text: str, encoding: str) -> bool:
    """Whether the encoding can hold the text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _text(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return "" if value is None else str(value)


def _output(path: Path | None, *, force: bool) -> contextlib.AbstractContextManager[BinaryIO]:
    return _standard_output() if path is None else _new_file(path, force=force)


@contextlib.contextmanager
def _standard_output() -> Generator[BinaryIO]:
    sys.stdout.flush()
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _is_file(stream: BinaryIO) -> bool:
    """Whether somebody opens it later; in a pipe, the mark of UTF-8 would stand in the name of the first column."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False


@contextlib.contextmanager
def _new_file(path: Path, *, force: bool) -> Generator[BinaryIO]:
    """A file that gets its name only when it is whole, and that nobody but its owner can read."""
    if path.is_dir():
        msg = f"{path} is a folder"
        raise ConfigError(msg)
    part = path.with_name(f"{path.name}.part")
    if force:
        part.unlink(missing_ok=True)
    elif taken := [str(it) for it in (path, part) if it.exists()]:
        msg = f"{taken[0]} exists; give another name, or --force to replace it"
        raise ConfigError(msg)
    part.touch(mode=0o600, exist_ok=False)
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _words(known: type[enum.StrEnum]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        words = list(known) if text == "all" else text.split(",")
        if not set(words) <= set(known):
            msg = f"must be of {', '.join(known)}, parted by commas, or all"
            raise argparse.ArgumentTypeError(msg)
        return [str(word) for word in words]

    return read


def _choices(known: type[enum.StrEnum], default: str) -> str:
    return f"of {', '.join(known)}, or all (default: {default})"
