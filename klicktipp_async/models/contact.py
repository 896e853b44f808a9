"""Contacts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime

import attrs

from klickdoxie_core import wire_name
from klickdoxie_core.plain import left_out
from klicktipp_async.field_schema import FieldSchema, ParsedValue, field_key


class ContactStatus(enum.StrEnum):
    """Whether a contact gets mails (or messages). The words are those of the filters."""

    PENDING = "pending"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"


class Bounce(enum.StrEnum):
    """Whether mails come back. The words are those of the filters."""

    HARD = "hardbounce"
    SOFT = "softbounce"
    SPAM = "spambounce"
    NONE = "nobounce"


Times = Mapping[int, datetime]
"""An id to the moment something happened with it (UTC)."""


_NO_TYPES = FieldSchema({})


def _times() -> Times:
    return {}


@attrs.frozen(kw_only=True)
class Contact:
    """A contact as KlickTipp knows it. Personal data stays out of its repr.

    Times in maps are aware and in UTC. The contact's own times (`optin`, `date`, `unsubscription`, `sms_date`,
    `sms_unsubscription`) come as local display texts without a zone, so they are naive; None where they are unset.

    Attributes:
        status: What is not known stays the vendor's own word.
        bounce: Likewise.
        fields: Every data field by its key, as the service sends it: texts, "" for an empty one.
        tags: The ids of all tags, manual and smart.
        manual_tags: When each manual tag was set.
        smart_tags: When each SmartTag was set.
        extra: What else the service sends.
    """

    id: int
    email: str | None = attrs.field(default=None, repr=False)
    status: ContactStatus | str | None = None
    bounce: Bounce | str | None = attrs.field(default=None, repr=False)
    opt_in_id: int | None = attrs.field(default=None, repr=False, metadata=wire_name("listid"))
    optin: datetime | None = attrs.field(default=None, repr=False)
    optin_ip: str | None = attrs.field(default=None, repr=False)
    date: datetime | None = attrs.field(default=None, repr=False)
    ip: str | None = attrs.field(default=None, repr=False)
    unsubscription: datetime | None = attrs.field(default=None, repr=False)
    unsubscription_ip: str | None = attrs.field(default=None, repr=False)
    referrer: str | None = attrs.field(default=None, repr=False)
    sms_phone: str | None = attrs.field(default=None, repr=False)
    sms_status: ContactStatus | str | None = attrs.field(default=None, repr=False)
    sms_bounce: Bounce | str | None = attrs.field(default=None, repr=False)
    sms_date: datetime | None = attrs.field(default=None, repr=False)
    sms_unsubscription: datetime | None = attrs.field(default=None, repr=False)
    sms_referrer: str | None = attrs.field(default=None, repr=False)
    fields: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    tags: tuple[int, ...] = attrs.field(default=(), repr=False)
    manual_tags: Times = attrs.field(factory=_times, repr=False)
    smart_tags: Times = attrs.field(factory=_times, repr=False)
    notification_emails_sent: Times = attrs.field(factory=_times, repr=False)
    notification_emails_opened: Times = attrs.field(factory=_times, repr=False)
    notification_emails_clicked: Times = attrs.field(factory=_times, repr=False)
    emails_sent: Times = attrs.field(factory=_times, repr=False)
    emails_opened: Times = attrs.field(factory=_times, repr=False)
    emails_clicked: Times = attrs.field(factory=_times, repr=False)
    campaigns_started: Times = attrs.field(factory=_times, repr=False)
    campaigns_finished: Times = attrs.field(factory=_times, repr=False)
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)
    schema: FieldSchema = attrs.field(default=_NO_TYPES, repr=False, eq=False, metadata=wire_name(None) | left_out())

    def field(self, key: str) -> ParsedValue:
        """A data field's value by its key, with or without the prefix `field`, as its type says.

        Dates and times of day become `date`, `datetime` (aware) and `time`, numbers `int` and `Decimal`; texts stay
        texts. None for a field that is empty or not there.
        """
        name = field_key(key)
        text = self.fields.get(name)
        return None if text is None else self.schema.from_wire(name, text)


@attrs.frozen(kw_only=True)
class ContactIds:
    """One answer of the contact list: ids, and the cursor of the next answer where there is one."""

    ids: list[int]
    cursor: str | None = None
