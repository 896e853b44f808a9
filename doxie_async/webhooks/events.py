"""What the service reports, one class for each kind of webhook."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, TypeAlias

import attrs

from klickdoxie_core import wire_name

Payload: TypeAlias = Mapping[str, object]
"""What was sent for an event of the account; free in its shape, and written by strangers."""

IdLists: TypeAlias = tuple[tuple[str, ...], ...]


class MessageType(enum.StrEnum):
    """What kind of message it is."""

    EMAIL = "email"
    SMS = "sms"


class QrCodeStatus(enum.StrEnum):
    """What a QR code was when it was scanned."""

    ACTIVE = "active"
    EXPIRED = "expired"


@attrs.frozen(kw_only=True)
class Event:
    """What all kinds have. Personal data stays out of the repr.

    A field without a default tells the kind. Any other is None where the service does not send it, or sends it in a
    type that nobody promised. Ids are texts, also where they come as numbers.

    Attributes:
        timestamp: When it happened, with the offset that it came with; None where there is none, or no ISO 8601.
        timestamp_text: The same as it came.
        extra: What else the service sends.
        raw: The whole delivery as it came; an `Infinity` or `NaN` in it is a float.
    """

    timestamp: datetime | None = None
    timestamp_text: str | None = attrs.field(default=None, repr=False, metadata=wire_name("timestamp"))
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=lambda extra: f"<{len(extra)}>")
    raw: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False, metadata=wire_name(None))

    _identity: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> str:
        """The same for a repeated delivery, another one for anything else: 64 hexadecimal digits.

        It is made of what identifies the event, and of all that came where some of that is missing.
        """
        moment = self.timestamp_text if self.timestamp is None else self.timestamp.timestamp()
        identity = [moment, *(getattr(self, name) for name in self._identity)]
        incomplete = not self._identity or None in identity
        content = [type(self).__name__, identity, self.raw if incomplete else None]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@attrs.frozen(kw_only=True)
class MessageSent(Event):
    """A mail or an SMS was sent (Message sent Webhook).

    Attributes:
        message_type: What is not known stays the service's own word.
        recipient_specific_message_ids: The ids of the copies, in lists as they came.
        recipient: An e-mail address or a phone number.
        html: As it was sent; not safe to show as it is.
        original_brand_slug: The brand that sent it.
        original_tenant_slug: The tenant that sent it.
        original_event_slug: The event that it was sent for.
        original_payload: What was sent for that event.
    """

    message_id: str
    process_id: str | None = None
    message_type: MessageType | str | None = None
    recipient_specific_message_ids: IdLists | None = None
    recipient: str | None = attrs.field(default=None, repr=False)
    subject: str | None = attrs.field(default=None, repr=False)
    text: str | None = attrs.field(default=None, repr=False)
    html: str | None = attrs.field(default=None, repr=False)
    original_brand_slug: str | None = None
    original_tenant_slug: str | None = None
    original_event_slug: str | None = None
    original_payload: Payload | None = attrs.field(default=None, repr=False)

    _identity = ("message_type", "message_id", "recipient")


@attrs.frozen(kw_only=True)
class MessageStatus(Event):
    """The status of a message has changed (Message status update Webhook).

    Attributes:
        status: The service's own word; the reference does not list them.
        message_type: What is not known stays the service's own word.
        recipient_specific_message_id: The id of the one copy that this is about.
        recipient: An e-mail address or a phone number.
        original_payload: What was sent for the event.
    """

    message_id: str
    status: str
    process_id: str | None = None
    message_type: MessageType | str | None = None
    recipient_specific_message_id: str | None = None
    recipient: str | None = attrs.field(default=None, repr=False)
    original_payload: Payload | None = attrs.field(default=None, repr=False)

    _identity = ("message_type", "message_id", "recipient_specific_message_id", "recipient", "status")


@attrs.frozen(kw_only=True)
class DoiConfirmed(Event):
    """Somebody has confirmed a double opt-in (DOI confirmation Webhook).

    Attributes:
        identifier: The identifier of the consent; 'Infinity' where the service sends that instead of a text.
        ip_address: Where the confirmation came from (`ipAddress`).
    """

    identifier: str = attrs.field(repr=False)
    ip_address: str | None = attrs.field(default=None, repr=False, metadata=wire_name("ipAddress"))

    _identity = ("identifier", "ip_address")


@attrs.frozen(kw_only=True)
class ProcessCancelled(Event):
    """A process was cancelled (Process cancelled Webhook).

    Attributes:
        timestamp: When it was cancelled (`cancellation_timestamp`); otherwise as for every event.
        timestamp_text: The same as it came.
        original_payload: What was sent for the event.
    """

    process_uuid: str
    timestamp: datetime | None = attrs.field(default=None, metadata=wire_name("cancellation_timestamp"))
    timestamp_text: str | None = attrs.field(default=None, repr=False, metadata=wire_name("cancellation_timestamp"))
    original_payload: Payload | None = attrs.field(default=None, repr=False)

    _identity = ("process_uuid",)


@attrs.frozen(kw_only=True)
class QrCodeVisited(Event):
    """A QR code was scanned and opened in a browser (QR code visited Webhook).

    Scans of one code at the same `timestamp` cannot be told apart: they have the same key.

    Attributes:
        status: What is not known stays the service's own word.
        target_url: Where the code leads to.
        valid_until: When the code expires, with the offset that it came with; None also for one that does not.
        valid_until_text: The same as it came.
        original_payload: What was sent for the event.
    """

    qr_code_uuid: str
    process_id: str | None = None
    status: QrCodeStatus | str | None = None
    target_url: str | None = attrs.field(default=None, repr=False)
    valid_until: datetime | None = None
    valid_until_text: str | None = attrs.field(default=None, repr=False, metadata=wire_name("valid_until"))
    original_payload: Payload | None = attrs.field(default=None, repr=False)

    _identity = ("qr_code_uuid", "status")


@attrs.frozen(kw_only=True)
class RcsResponse(Event):
    """Somebody has answered an RCS message (RCS message response Webhook).

    Attributes:
        sender: The phone number of who answers.
        message_content: The answer, under one name that says what it is; the reference does not list the names.
        process_id: The last process that sent something to the sender.
        message_id: The message that was answered, most likely.
        agent_id: The agent of that message.
        original_payload: What was sent for the event.
    """

    sender: str = attrs.field(repr=False)
    message_content: Mapping[str, object] = attrs.field(repr=False)
    process_id: str | None = None
    message_id: str | None = None
    agent_id: str | None = None
    original_payload: Payload | None = attrs.field(default=None, repr=False)

    # Not the process and the message, which are guessed.
    _identity = ("sender", "message_content")


@attrs.frozen(kw_only=True)
class UnknownEvent(Event):
    """Something else: a kind of webhook that is not known here, or one without what tells its kind."""


AnyEvent: TypeAlias = (
    MessageSent | MessageStatus | DoiConfirmed | ProcessCancelled | QrCodeVisited | RcsResponse | UnknownEvent
)
"""What a delivery can be; a `match` over its classes is complete."""
