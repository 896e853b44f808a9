"""Rows as what the CRM wants of a contact, or the reason why one cannot be taken."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import cast

import attrs

from klicktipp_async.contact_details import normalise_phone
from klicktipp_async.crm import reasons, values
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.crm.targets import TAG_SEPARATORS, Collision, Segments
from klicktipp_async.errors import ArgumentError
from klicktipp_async.field_schema import FieldSchema, FieldType, FieldValue


@attrs.frozen(kw_only=True)
class Wanted:
    """What the CRM wants of a contact. Personal data stays out of its repr.

    Attributes:
        contact: The id of the contact in KlickTipp or its contact key; None without one.
        crm_id: The CRM's own id; None without one.
        email: The e-mail address; None without one.
        sms_number: The SMS number as the service stores it; None without one.
        fields: The data fields that the row gives, full key to the text to send, that of the CRM's id included;
            "" clears a field.
        segments: The names of the tags that are managed, with their prefix, each once.
        tags: The names of the tags that are only added, each once, those of every contact first.
        keeps_segments: Whether managed tags stay that are not named, because the row does not tell all of them.
    """

    contact: str | None = attrs.field(default=None, repr=False)
    crm_id: str | None = attrs.field(default=None, repr=False)
    email: str | None = attrs.field(default=None, repr=False)
    sms_number: str | None = attrs.field(default=None, repr=False)
    fields: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    segments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    keeps_segments: bool = False

    @property
    def names(self) -> list[str]:
        """Digests of all that says who the contact is; two rows that share one of them mean the same contact.

        Letter case does not tell two addresses apart, nor the way to write it two numbers.
        """
        said = {
            "contact": self.contact,
            "crm": self.crm_id,
            "email": self.email and self.email.lower(),
            "sms": self.sms_number and normalise_phone(self.sms_number),
        }
        return [hashlib.sha256(f"{kind}:{name}".encode()).hexdigest() for kind, name in said.items() if name]


@attrs.frozen(kw_only=True)
class FieldColumn:
    """A column on its way to a data field.

    Attributes:
        column: Its name.
        key: The full key of the field.
        type: What the field holds; None where nobody said so.
        collision: Which value stays when the contact has another one.
        clear_if_empty: An empty cell empties the field.
    """

    column: str
    key: str
    type: FieldType | None = None
    collision: Collision = Collision.OVERWRITE
    clear_if_empty: bool = False


@attrs.frozen(kw_only=True)
class Rules:
    """A mapping whose names were looked up: how rows become what is wanted.

    Attributes:
        email: The column with the e-mail address.
        sms_number: The column with the SMS number.
        contact_id: The column with the contact's id in KlickTipp.
        crm_column: The column with the CRM's own id.
        crm_field: The full key of the data field that keeps the CRM's id; None without one.
        fields: The columns that go to data fields.
        segments: The prefix of the tags that stand for segments.
        segment_columns: The columns with segments.
        tag_columns: The columns with tags that are only added.
        tags: Names of tags that every contact gets.
        tag_separators: The characters that part names in a cell.
        timezone: Where days begin and times are meant that do not name their zone; None is UTC for days only.
        unmapped: The columns of the header that go nowhere.
    """

    email: str | None = None
    sms_number: str | None = None
    contact_id: str | None = None
    crm_column: str | None = None
    crm_field: str | None = None
    fields: tuple[FieldColumn, ...] = ()
    segments: Segments = attrs.field(factory=Segments)
    segment_columns: tuple[str, ...] = ()
    tag_columns: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tag_separators: str = TAG_SEPARATORS
    timezone: dt.tzinfo | None = None
    unmapped: tuple[str, ...] = ()

    @cached_property
    def schema(self) -> FieldSchema:
        """The types of the data fields."""
        types = {field.key: field.type for field in self.fields if field.type is not None}
        return FieldSchema(types, timezone=self.timezone or dt.UTC)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that something is read from, each once."""
        identities = (self.email, self.sms_number, self.contact_id, self.crm_column)
        fields = (field.column for field in self.fields)
        named = (*identities, *fields, *self.segment_columns, *self.tag_columns)
        return tuple(dict.fromkeys(column for column in named if column is not None))

    @property
    def manages_segments(self) -> bool:
        """Whether segments are mapped, so that tags under their prefix are removed as well as added."""
        return bool(self.segment_columns)

    def collision(self, key: str) -> Collision:
        """Which value of a data field stays; the field is named by its full key."""
        return self._collisions.get(key, Collision.OVERWRITE)

    @cached_property
    def _collisions(self) -> Mapping[str, Collision]:
        return {field.key: field.collision for field in self.fields}

    def wanted(self, row: Mapping[str, object]) -> Wanted | Reason:
        """What a row wants, or why it cannot be taken.

        An empty cell leaves the stored value alone unless the mapping says that it clears; a column that is not there
        always does, and one of segments that is not there takes no tags off. `CLEAR` clears a data field; an address
        or an id cannot be cleared and is left alone.

        Args:
            row: Values by column: the texts of a file, or Python values.
        """
        try:
            return self._wanted(row)
        except _Refused as refused:
            return refused.reason

    def _wanted(self, row: Mapping[str, object]) -> Wanted:
        crm_id = _identity(row, self.crm_column, values.read_crm_id, reasons.crm_id_invalid)
        fields = self._fields(row)
        if crm_id is not None and self.crm_field is not None:
            fields[self.crm_field] = crm_id
        wanted = Wanted(
            contact=_identity(row, self.contact_id, values.read_contact, reasons.contact_id_invalid),
            crm_id=crm_id,
            email=_identity(row, self.email, values.read_email, reasons.email_invalid),
            sms_number=_identity(row, self.sms_number, values.read_phone, reasons.sms_invalid),
            fields=fields,
            segments=tuple(dict.fromkeys(self._tag_names(row, self.segment_columns, self.segments.tag_name))),
            tags=tuple(dict.fromkeys((*self.tags, *self._tag_names(row, self.tag_columns, str)))),
            keeps_segments=not set(self.segment_columns) <= row.keys(),
        )
        _check(wanted)
        return wanted

    def _fields(self, row: Mapping[str, object]) -> dict[str, str]:
        given = (field for field in self.fields if field.column in row)
        texts = {field.key: self._text(field, values.plain(row[field.column])) for field in given}
        return {key: text for key, text in texts.items() if text is not None}

    def _text(self, field: FieldColumn, value: object) -> str | None:
        """The text to send for a value; None leaves the field alone."""
        if value is None:
            return "" if field.clear_if_empty else None
        if not isinstance(value, str):
            return self._text_of_object(field, value)
        try:
            meant = values.read_text(value, field.type, self.timezone)
            return self.schema.to_wire({field.key: meant})[field.key]
        except ValueError:
            raise _Refused(reasons.form_invalid(field.column, field.type)) from None

    def _text_of_object(self, field: FieldColumn, value: object) -> str:
        meant = cast("FieldValue", values.in_zone(value, self.timezone))
        try:
            return self.schema.to_wire({field.key: meant})[field.key]
        except ArgumentError as error:
            raise _Refused(reasons.field_invalid(field.column, error.message)) from None

    def _tag_names(
        self, row: Mapping[str, object], columns: Iterable[str], tag_name: Callable[[str], str]
    ) -> Iterator[str]:
        for column in columns:
            try:
                names = values.read_names(row.get(column), self.tag_separators)
            except ValueError:
                raise _Refused(reasons.tag_invalid(column)) from None
            for name in map(tag_name, names):
                if not values.is_tag_name(name):
                    raise _Refused(reasons.tag_invalid(column))
                yield name


class _Refused(Exception):
    """A cell that cannot be taken, on its way out of the row."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


def _identity(
    row: Mapping[str, object], column: str | None, read: Callable[[object], str], reason: Callable[[str], Reason]
) -> str | None:
    value = None if column is None else values.given(row.get(column))
    if column is None or value is None:
        return None
    try:
        return read(value)
    except values.Damaged:
        raise _Refused(reasons.sms_damaged(column)) from None
    except ValueError:
        raise _Refused(reason(column)) from None


def _check(wanted: Wanted) -> None:
    if not wanted.names:
        raise _Refused(reasons.NO_IDENTITY)
    # A contact that is found by an id may well have an address in the account.
    found_by_id = wanted.contact is not None or wanted.crm_id is not None
    if wanted.email is None and not found_by_id and len(wanted.segments) + len(wanted.tags) > 1:
        raise _Refused(reasons.TAGS_NEED_EMAIL)
