"""Answers to the calls of API users: mails, injections, inquiries, QR codes, events, consents."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import attrs

from doxie_async.models.record import Record


class EventType(enum.StrEnum):
    """The kinds of events."""

    MAILER = "mailer"
    SURVEY = "survey"
    QR_CODE = "qr_code"
    INJECTOR = "injector"


@attrs.frozen(kw_only=True)
class MailResult(Record):
    """A mail that was sent.

    Attributes:
        process_uuid: The process that it started.
        sent_email_templates: What went out by e-mail.
        sent_sms_templates: What went out by SMS.
    """

    process_uuid: str | None = None
    sent_email_templates: Sequence[object] = attrs.field(default=(), repr=False)
    sent_sms_templates: Sequence[object] = attrs.field(default=(), repr=False)


@attrs.frozen(kw_only=True)
class ProcessResult(Record):
    """A process that was started or cancelled.

    Attributes:
        process_uuid: The process.
        data: What else the service says; None for nothing.
    """

    process_uuid: str | None = None
    data: object = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class EventDetails(Record):
    """An event's configuration.

    Attributes:
        type: Its kind; what is not known stays the vendor's own word.
        event: All about it.
    """

    type: EventType | str | None = None
    event: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)


@attrs.frozen(kw_only=True)
class QrCode(Record):
    """A QR code; the reference shows an empty object, so all of it is in `raw`."""


@attrs.frozen(kw_only=True)
class Consent(Record):
    """A consent of a customer, asked for or revoked.

    Attributes:
        customer_id: The customer's id in your system.
        consent_slug: What the consent is for.
        contact_channel: How the customer is reached.
        process_uuid: The process behind it.
    """

    customer_id: str | None = attrs.field(default=None, repr=False)
    consent_slug: str | None = None
    contact_channel: str | None = None
    process_uuid: str | None = None
