"""Rows as what the CRM wants of a contact, or the reason why one cannot be taken."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
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
        """Digests of all that says who the contact is; two rows that share one of them cannot both be sent."""
        return list(self.digests.values())

    @property
    def digests(self) -> dict[str, str]:
        """The same by `contact_id`, `crm_id`, `email` and `sms_number`.

        Letter case does not tell two addresses apart, nor the way to write it two numbers.
        """
        said = {
            "contact_id": self.contact,
            "crm_id": self.crm_id,
            "email": self.email and self.email.lower(),
            "sms_number": self.sms_number and normalise_phone(self.sms_number),
        }
        return {kind: _digest(f"{kind}:{name}") for kind, name in said.items() if name}

    @property
    def content(self) -> str:
        """A digest that two rows share if they want the same of the same contact."""
        fields = sorted(self.fields.items())
        tags = [sorted(self.segments), sorted(self.tags), self.keeps_segments]
        return _digest(f"row:{json.dumps([self.digests, fields, tags])}")


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
        country: The calling code of SMS numbers without one; None refuses them.
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
    country: str | None = None
    unmapped: tuple[str, ...] = ()

    @cached_property
    def schema(self) -> FieldSchema:
        """The types of the data fields."""
        types = {field.key: field.type for field in self.fields if field.type is not None}
        return FieldSchema(types, timezone=self.timezone or dt.UTC)

    @property
    def identities(self) -> Mapping[str, str | None]:
        """The columns that say who a contact is, by what they hold; None for those that are not mapped."""
        return {
            "email": self.email,
            "sms_number": self.sms_number,
            "contact_id": self.contact_id,
            "crm_id": self.crm_column,
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that something is read from, each once."""
        fields = (field.column for field in self.fields)
        named = (*self.identities.values(), *fields, *self.segment_columns, *self.tag_columns)
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
        reading = _Reading(self, row)
        wanted = reading.wanted()
        if reading.faults:
            return reasons.all_of(reading.faults)
        return _contradiction(wanted) or wanted


class _Reading:
    """A row on its way to what is wanted. A cell that cannot be taken is noted, and the others are read all the same.

    Attributes:
        faults: What is wrong with the cells.
    """

    def __init__(self, rules: Rules, row: Mapping[str, object]) -> None:
        self._rules = rules
        self._row = row
        self.faults: list[Reason] = []

    def wanted(self) -> Wanted:
        rules = self._rules
        crm_id = self._identity(rules.crm_column, values.read_crm_id, reasons.crm_id_invalid)
        fields = self._fields()
        if crm_id is not None and rules.crm_field is not None:
            fields[rules.crm_field] = crm_id
        return Wanted(
            contact=self._identity(rules.contact_id, values.read_contact, reasons.contact_id_invalid),
            crm_id=crm_id,
            email=self._identity(rules.email, values.read_email, reasons.email_invalid),
            sms_number=self._identity(
                rules.sms_number, partial(values.read_phone, country=rules.country), reasons.sms_invalid
            ),
            fields=fields,
            segments=tuple(dict.fromkeys(self._tag_names(rules.segment_columns, rules.segments.tag_name))),
            tags=tuple(dict.fromkeys((*rules.tags, *self._tag_names(rules.tag_columns, str)))),
            keeps_segments=not set(rules.segment_columns) <= self._row.keys(),
        )

    def _identity(
        self, column: str | None, read: Callable[[object], str], fault: Callable[[str], Reason]
    ) -> str | None:
        value = None if column is None else values.given(self._row.get(column))
        if column is None or value is None:
            return None
        try:
            return read(value)
        except values.Damaged:
            self.faults.append(reasons.sms_damaged(column))
        except ValueError:
            self.faults.append(fault(column))
        return None

    def _fields(self) -> dict[str, str]:
        given = (field for field in self._rules.fields if field.column in self._row)
        texts = {field.key: self._text(field, values.plain(self._row[field.column])) for field in given}
        return {key: text for key, text in texts.items() if text is not None}

    def _text(self, field: FieldColumn, value: object) -> str | None:
        """The text to send for a value; None leaves the field alone."""
        if value is None or values.is_no_date(value, field.type):
            return "" if field.clear_if_empty else None
        if not isinstance(value, str):
            return self._text_of_object(field, value)
        try:
            meant = values.read_text(value, field.type, self._rules.timezone)
            return self._rules.schema.to_wire({field.key: meant})[field.key]
        except ValueError:
            self.faults.append(reasons.form_invalid(field.column, field.type))
            return None

    def _text_of_object(self, field: FieldColumn, value: object) -> str | None:
        meant = cast("FieldValue", values.in_zone(value, self._rules.timezone))
        try:
            return self._rules.schema.to_wire({field.key: meant})[field.key]
        except ArgumentError as error:
            self.faults.append(reasons.field_invalid(field.column, error.message))
            return None

    def _tag_names(self, columns: Iterable[str], tag_name: Callable[[str], str]) -> Iterator[str]:
        for column in columns:
            try:
                names = list(map(tag_name, values.read_names(self._row.get(column), self._rules.tag_separators)))
            except ValueError:
                self.faults.append(reasons.tag_invalid(column))
                continue
            if not all(map(values.is_tag_name, names)):
                self.faults.append(reasons.tag_invalid(column))
            yield from names


def _contradiction(wanted: Wanted) -> Reason | None:
    """What is wrong with a row whose cells are all in order."""
    if not wanted.names:
        return reasons.NO_IDENTITY
    # A contact that is found by an id may well have an address in the account.
    found_by_id = wanted.contact is not None or wanted.crm_id is not None
    if wanted.email is None and not found_by_id and len(wanted.segments) + len(wanted.tags) > 1:
        return reasons.TAGS_NEED_EMAIL
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
