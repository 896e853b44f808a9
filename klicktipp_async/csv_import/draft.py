"""A row of the file as what is sent for it, or the reason why it cannot be."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property

import attrs

from klickdoxie_core.errors import ArgumentError
from klicktipp_async.contact_details import check_email, check_phone, normalise_phone
from klicktipp_async.csv_import import reasons
from klicktipp_async.csv_import.mapping import Assignment, ColumnMap, Form, Kind
from klicktipp_async.csv_import.reasons import Reason
from klicktipp_async.csv_import.table import Row
from klicktipp_async.field_schema import FieldSchema, FieldType

_TYPES = {Form.DATE: FieldType.DATE, Form.DATETIME: FieldType.DATETIME, Form.DECIMAL: FieldType.DECIMAL}
_MAX_TAG = 250
_GERMAN_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", re.ASCII)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# A dot with one or two digits behind it can only be a decimal point; with three it parts thousands, as in Germany.
_DECIMAL = re.compile(
    r"([+-]?)([0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,([0-9]{1,2}))?|([+-]?[0-9]+\.[0-9]{1,2})", re.ASCII
)


@attrs.frozen(kw_only=True)
class Draft:
    """What is sent for one row.

    Attributes:
        email: The e-mail address; None without one.
        sms_number: The SMS number; None without one.
        fields: Values by key as the service keeps them; what the row leaves empty is absent, so that nothing stored
            is cleared.
        tags: Names of the tags, each once.
    """

    email: str | None = attrs.field(repr=False)
    sms_number: str | None = attrs.field(repr=False)
    fields: Mapping[str, str] = attrs.field(repr=False)
    tags: tuple[str, ...]

    @property
    def identity(self) -> str:
        """What two rows of the same contact have in common; letter case does not tell two apart."""
        return (self.email or "").lower() or normalise_phone(self.sms_number or "")


@attrs.frozen(kw_only=True)
class Rules:
    """How rows become drafts.

    Attributes:
        columns: Where each column goes.
        tags: Names of tags that every contact gets.
        tag_separators: The characters that part names in a cell of tags.
        timezone: The account's time zone, in which its days begin and times are meant that do not name theirs; None
            lets days begin in UTC and refuses such times.
    """

    columns: ColumnMap
    tags: tuple[str, ...] = ()
    tag_separators: str = ",|"
    timezone: dt.tzinfo | None = None

    @cached_property
    def schema(self) -> FieldSchema:
        """The types that the forms of the columns promise."""
        types = {column.key: _TYPES[column.form] for column in self.columns.assignments if column.form in _TYPES}
        return FieldSchema(types, timezone=self.timezone or dt.UTC)

    def tag_names(self, row: Row) -> tuple[str, ...]:
        """Every tag of a row as wide as the header, each once, those of every contact first."""
        names = list(self.tags)
        for column in self.columns.assignments:
            if column.kind is Kind.TAGS:
                names += re.split(f"[{re.escape(self.tag_separators)}]", row.cells[column.place])
        return tuple(dict.fromkeys(bare for name in names if (bare := name.strip())))

    def misfit(self, row: Row) -> Reason | None:
        """Why the cells of a row cannot be told apart; None if they can."""
        if len(row.cells) < self.columns.width:
            return reasons.cells_missing(len(row.cells), self.columns.width)
        if len(row.cells) > self.columns.width:
            return reasons.cells_extra(len(row.cells), self.columns.width)
        return None

    def draft(self, row: Row) -> Draft | Reason:
        """What is sent for a row, or why nothing is."""
        if misfit := self.misfit(row):
            return misfit
        found: dict[Kind, str] = {}
        fields: dict[str, str] = {}
        for column in self.columns.assignments:
            text = row.cells[column.place].strip()
            if not text or column.kind is Kind.TAGS:
                continue
            value = self._read(column, text)
            if isinstance(value, Reason):
                return value
            if column.kind is Kind.FIELD:
                fields[column.key] = value
            else:
                found[column.kind] = text
        draft = Draft(
            email=found.get(Kind.EMAIL), sms_number=found.get(Kind.SMS), fields=fields, tags=self.tag_names(row)
        )
        return _problem(draft) or draft

    def _read(self, column: Assignment, text: str) -> str | Reason:
        if column.kind is Kind.EMAIL:
            return text if _passes(check_email, text) else reasons.email_invalid(column.column)
        if column.kind is Kind.SMS:
            return text if _passes(_check_international, text) else reasons.sms_invalid(column.column)
        try:
            return self.schema.to_wire({column.key: self._converted(text, column.form)})[column.key]
        except ArgumentError as error:
            return reasons.field_invalid(column.column, error.message)
        except ValueError:
            return reasons.form_invalid(column.column, column.form.value)

    def _converted(self, text: str, form: Form) -> str | dt.date | Decimal:
        match form:
            case Form.TEXT:
                return text
            case Form.DATE:
                return read_date(text)
            case Form.DATETIME:
                return read_datetime(text, self.timezone)
            case Form.DECIMAL:
                return read_decimal(text)


def read_date(text: str) -> dt.date:
    """A date written as 24.12.1980 or 1980-12-24; raises ValueError for anything else."""
    if german := _GERMAN_DATE.fullmatch(text):
        day, month, year = map(int, german.groups())
        return dt.date(year, month, day)
    if _ISO_DATE.fullmatch(text):
        return dt.date.fromisoformat(text)
    msg = "not a date"
    raise ValueError(msg)


def read_datetime(text: str, timezone: dt.tzinfo | None) -> dt.datetime:
    """A moment written as 24.12.2025 18:30 or in ISO form, in its own zone or the given one; raises ValueError."""
    day, _, time = text.replace("T", " ", 1).partition(" ")
    moment = dt.datetime.combine(read_date(day), dt.time.fromisoformat(time.strip()))
    if moment.tzinfo is None:
        if timezone is None:
            msg = "a time without a zone"
            raise ValueError(msg)
        return moment.replace(tzinfo=timezone)
    return moment


def read_decimal(text: str) -> Decimal:
    """A number with a German comma, or with a dot that cannot part thousands; raises ValueError for anything else."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        msg = "not a decimal number"
        raise ValueError(msg)
    sign, whole, decimals, dotted = match.groups()
    return Decimal(dotted or f"{sign}{whole.replace('.', '')}.{decimals or '0'}")


def is_tag_name(name: str) -> bool:
    """Whether a tag may be called so: not empty, no mere number, at most 250 characters."""
    return 0 < len(name) <= _MAX_TAG and not name.isdecimal()


def _passes(check: Callable[[str, str], None], text: str) -> bool:
    try:
        check("value", text)
    except ArgumentError:
        return False
    return True


def _check_international(name: str, text: str) -> None:
    """Refuse a number without its country too: nothing in the file says which one is meant."""
    check_phone(name, text)
    if not normalise_phone(text).startswith("00"):
        msg = f"{name} must start with the country"
        raise ArgumentError(msg)


def _problem(draft: Draft) -> Reason | None:
    if draft.email is None and draft.sms_number is None:
        return reasons.NO_ADDRESS
    if draft.email is None and len(draft.tags) > 1:
        return reasons.TAGS_NEED_EMAIL
    if not all(map(is_tag_name, draft.tags)):
        return reasons.TAG_INVALID
    return None
