"""The tenant behind the fake: events, processes, messages, consents, and what administrators keep."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import attrs

from doxie_async.models.admin import Collection
from doxie_async.models.sending import EventType
from doxie_async.sandbox.records import Attributes, BrandRecord, EndpointRecord, PageRecord, Record, Table

MAX_WEBHOOKS: Final = 10_000
"""Webhooks that a sandbox remembers."""

_FIRST_EVENT = 1_234_567_001
_FIRST_MESSAGE = 9_000_001


class Status(StrEnum):
    """How far a process is."""

    CREATED = "created"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class Channel(StrEnum):
    """How a message goes out."""

    EMAIL = "email"
    SMS = "sms"
    RCS = "rcs"


class WebhookKind(StrEnum):
    """What the service tells a receiver; no body says which it is."""

    MESSAGE_SENT = "message_sent"
    MESSAGE_STATUS = "message_status"
    DOI_CONFIRMED = "doi_confirmed"
    PROCESS_CANCELLED = "process_cancelled"
    QR_CODE_VISITED = "qr_code_visited"
    RCS_RESPONSE = "rcs_response"


@attrs.frozen(kw_only=True)
class StoredEvent:
    """What can be sent.

    Attributes:
        templates: What goes out by each channel.
        required: The payload keys that must not be missing.
    """

    id: int
    slug: str
    type: EventType
    templates: Mapping[Channel, tuple[str, ...]]
    required: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Sent:
    """One message that went out.

    Attributes:
        event_slug: The event; for the request of a consent, its slug.
        template: What was sent.
        payload: What the request that started the process carried.
        delivered: Whether it reached somebody.
    """

    message_id: int
    process_uuid: str
    event_slug: str
    channel: Channel
    template: str
    recipient: str = attrs.field(repr=False)
    payload: Mapping[str, object] = attrs.field(repr=False)
    delivered: bool = True


@attrs.define(kw_only=True)
class StoredConsent:
    """A consent of a customer; `contact_channel` is `email` or `phone`."""

    customer_id: str = attrs.field(repr=False)
    consent_slug: str
    contact_channel: str
    process_uuid: str
    confirmed: bool = False
    revoked: bool = False

    @property
    def shown(self) -> Attributes:
        """What answers tell of it."""
        return {
            "customer_id": self.customer_id,
            "consent_slug": self.consent_slug,
            "contact_channel": self.contact_channel,
            "process_uuid": self.process_uuid,
        }


@attrs.frozen(kw_only=True)
class StoredQrCode:
    """A QR code; `valid_until` is as it was given, None for ever."""

    uuid: str
    target_url: str | None
    valid_until: str | None


@attrs.define(kw_only=True)
class StoredProcess:
    """What one request set going; times are seconds since 1970 UTC.

    Attributes:
        type: The type of the event, or `consent`.
        records: The eleven collections that belong to a process.
    """

    uuid: str
    type: str
    event_slug: str
    payload: Mapping[str, object] = attrs.field(repr=False)
    status: Status = Status.CREATED
    created: int
    ended: int | None = None
    messages: list[Sent] = attrs.field(factory=list[Sent], repr=False)
    consent: StoredConsent | None = None
    qr_code: StoredQrCode | None = None
    records: Mapping[str, list[Attributes]] = attrs.field(
        factory=lambda: {str(name): list[Attributes]() for name in Collection}, repr=False
    )

    @property
    def ongoing(self) -> bool:
        """Whether it can still move."""
        return self.status in {Status.CREATED, Status.RUNNING}


@attrs.frozen(kw_only=True)
class Webhook:
    """Something to tell the receivers: its kind, its body as it goes over the wire, the process that it is about."""

    kind: WebhookKind
    body: bytes = attrs.field(repr=False)
    process_uuid: str | None = None

    @classmethod
    def of(cls, kind: WebhookKind, body: Mapping[str, object], process_uuid: str | None = None) -> Webhook:
        """A webhook with a JSON body."""
        return cls(kind=kind, body=json.dumps(body, separators=(",", ":")).encode(), process_uuid=process_uuid)


class Store:
    """One tenant. Each look-up by id, slug or customer is a dictionary's."""

    def __init__(self, tenant: str, now: Callable[[], float]) -> None:
        self.tenant = tenant
        self._now = now
        self._made: Counter[str] = Counter()
        self.events: dict[tuple[EventType, str], StoredEvent] = {}
        self.processes: dict[str, StoredProcess] = {}
        self.consents: dict[str, list[StoredConsent]] = {}
        self.sent: list[Sent] = []
        self.undeliverable: set[str] = set()
        self._sent_by_reference: Counter[str] = Counter()
        self._sent_alike: Counter[str] = Counter()
        self.outbox: deque[Webhook] = deque()
        self.webhooks: deque[Webhook] = deque(maxlen=MAX_WEBHOOKS)
        self.brands = Table(BrandRecord, self.now)
        self.api_users = Table(Record, self.now)
        self.schedules = Table(Record, self.now)
        self.landing_pages = Table(PageRecord, self.now)
        self.layouts = Table(PageRecord, self.now)
        self.endpoints = Table(EndpointRecord, self.now)
        self.assets: dict[str, Attributes] = {}
        self.settings: Attributes = {
            "slug": tenant,
            "name": "Blütenhonig GmbH",
            "language": "de",
            "double_opt_in": True,
        }

    def now(self) -> int:
        """Seconds since 1970 UTC."""
        return int(self._now())

    def number(self, kind: str, first: int = 1) -> int:
        """The next number of its kind."""
        self._made[kind] += 1
        return first + self._made[kind] - 1

    def token(self, kind: str) -> str:
        """A text as random as it looks is not: the first, second, third of its kind."""
        return hashlib.sha256(f"{kind} {self.number(kind)}".encode()).hexdigest()

    def uuid(self, kind: str) -> str:
        """A UUID in the form of version 4: the first, second, third of its kind."""
        return str(uuid.UUID(self.token(kind)[:32], version=4))

    def add_event(
        self, slug: str, kind: EventType, templates: Mapping[Channel, tuple[str, ...]], required: tuple[str, ...]
    ) -> StoredEvent:
        """A new event; one of the same type and slug is replaced."""
        number = self.number("event", _FIRST_EVENT)
        event = StoredEvent(id=number, slug=slug, type=kind, templates=templates, required=required)
        self.events[kind, slug] = event
        return event

    def add_process(self, kind: str, slug: str, payload: Mapping[str, object]) -> StoredProcess:
        """A new process that has done nothing yet."""
        process = StoredProcess(
            uuid=self.uuid("process"), type=kind, event_slug=slug, payload=payload, created=self.now()
        )
        self.processes[process.uuid] = process
        return process

    def add_message(self, process: StoredProcess, channel: Channel, template: str, recipient: str) -> Sent:
        """A message that goes out."""
        message = Sent(
            message_id=self.number("message", _FIRST_MESSAGE),
            process_uuid=process.uuid,
            event_slug=process.event_slug,
            channel=channel,
            template=template,
            recipient=recipient,
            payload=process.payload,
            delivered=recipient.casefold() not in self.undeliverable,
        )
        self.sent.append(message)
        process.messages.append(message)
        self._sent_by_reference.update({process.uuid, *_references(process.payload)})
        alike = json.dumps([process.event_slug, channel, template, process.payload], sort_keys=True)
        self._sent_alike[alike] += 1
        return message

    def count_sent(self, reference: str | int) -> int:
        """Messages of the process with this UUID, or whose payload has this value under any key."""
        return self._sent_by_reference[str(reference)]

    @property
    def duplicates(self) -> int:
        """Messages beyond the first with the same event, channel, template and payload."""
        return len(self.sent) - len(self._sent_alike)

    def tell(self, webhook: Webhook) -> None:
        """Put a webhook into the outbox."""
        self.outbox.append(webhook)
        self.webhooks.append(webhook)


def _references(payload: Mapping[str, object]) -> set[str]:
    return {str(value) for value in payload.values() if isinstance(value, str | int)}


def moment(seconds: int | None) -> str | None:
    """A time as the service writes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
