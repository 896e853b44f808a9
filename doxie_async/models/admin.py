"""What the admin API keeps: brands, users, processes, pages, webhook endpoints, assets."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from doxie_async.models.record import Record


@attrs.frozen(kw_only=True)
class Brand(Record):
    """A sender. Secret fields come masked; they must never be sent back."""

    id: int | None = None
    name: str | None = None
    mail_provider: str | None = None


@attrs.frozen(kw_only=True)
class NotificationWebhook(Record):
    """Whether a provider reports back to Doxie for a brand; what it says is in `raw`."""


@attrs.frozen(kw_only=True)
class ProviderCheck(Record):
    """What a provider said to a set-up or a test, such as the settings in use; all of it is in `raw`."""


@attrs.frozen(kw_only=True)
class ApiUser(Record):
    """A user of the sending calls. A password is told once, when it is created, in `raw`."""

    id: int | None = None


@attrs.frozen(kw_only=True)
class Tenant(Record):
    """The tenant's settings; all of them are in `raw`."""


@attrs.frozen(kw_only=True)
class Dashboard(Record):
    """Figures for a dashboard; all of them are in `raw`."""


@attrs.frozen(kw_only=True)
class Process(Record):
    """A process.

    Attributes:
        uuid: Its id.
        status: How far it is; the vendor's own word.
    """

    uuid: str | None = None
    status: str | None = None


class Collection(enum.StrEnum):
    """What belongs to a process, each a list of its own."""

    SUCCESSFUL_EMAILS = "successful_emails"
    UNSUCCESSFUL_EMAILS = "unsuccessful_emails"
    SUCCESSFUL_SMS_MESSAGES = "successful_sms_messages"
    UNSUCCESSFUL_SMS_MESSAGES = "unsuccessful_sms_messages"
    SUCCESSFUL_RCS_MESSAGES = "successful_rcs_messages"
    UNSUCCESSFUL_RCS_MESSAGES = "unsuccessful_rcs_messages"
    SCHEDULED_MESSAGES = "scheduled_messages"
    CONFIRMED_CONSENTS = "confirmed_consents"
    UNCONFIRMED_CONSENTS = "unconfirmed_consents"
    WEBHOOK_INTERACTIONS = "webhook_interactions"
    SURVEY_RESPONSES = "survey_responses"


@attrs.frozen(kw_only=True)
class ProcessRecord(Record):
    """One mail, message, consent, delivery or response of a process; all of it is in `raw`."""


@attrs.frozen(kw_only=True)
class MessagingSchedule(Record):
    """A plan of when messages go out."""

    id: int | None = None


@attrs.frozen(kw_only=True)
class LandingPage(Record):
    """A landing page."""

    id: int | None = None
    name: str | None = None


@attrs.frozen(kw_only=True)
class Layout(Record):
    """A layout of landing pages."""

    id: int | None = None
    name: str | None = None


@attrs.frozen(kw_only=True)
class Editor(Record):
    """What the visual editor needs.

    Attributes:
        content_state: The document that is edited; empty where there is none yet.
    """

    content_state: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)


@attrs.frozen(kw_only=True)
class Asset(Record):
    """A file for the visual editor."""

    uuid: str | None = None
    filename: str | None = None
    url: str | None = None


@attrs.frozen(kw_only=True)
class WebhookEndpoint(Record):
    """Where Doxie reports to."""

    id: str | None = None
    url: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Interaction(Record):
    """One delivery to a webhook endpoint; all of it is in `raw`."""
