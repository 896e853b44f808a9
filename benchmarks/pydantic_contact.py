"""The contact as a pydantic model of the same shape: what `klicktipp_async.Contact` is measured against."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_WORDS = {"opt-in pending": "pending", "not bounced": "nobounce"}


def _display(text: object) -> object:
    """A local display text, such as 28.12.2024 22:52:09."""
    if not isinstance(text, str) or not text:
        return None
    day, _, time = text.partition(" ")
    parts = [int(day[6:10]), int(day[3:5]), int(day[:2]), *(int(part) for part in time.split(":") if part)]
    return datetime(*parts)  # noqa: DTZ001 - the vendor names no zone


def _map(value: object) -> object:
    return {} if value == [] else value


def _word(text: object) -> object:
    return _WORDS.get(text.lower(), text.lower()) if isinstance(text, str) and text else None


Moment = Annotated[datetime | None, BeforeValidator(_display)]
Times = Annotated[dict[int, datetime], BeforeValidator(_map)]
Word = Annotated[str | None, BeforeValidator(_word)]


class PydanticContact(BaseModel):
    """Rich types, unknown keys kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: int
    email: str | None = None
    status: Word = None
    bounce: Word = None
    listid: int | None = None
    optin: Moment = None
    optin_ip: str | None = None
    date: Moment = None
    ip: str | None = None
    unsubscription: Moment = None
    unsubscription_ip: str | None = None
    referrer: str | None = None
    sms_phone: str | None = None
    sms_status: Word = None
    sms_bounce: Word = None
    sms_date: Moment = None
    sms_unsubscription: Moment = None
    sms_referrer: str | None = None
    tags: tuple[int, ...] = ()
    manual_tags: Times = Field(default_factory=dict)
    smart_tags: Times = Field(default_factory=dict)
    notification_emails_sent: Times = Field(default_factory=dict)
    notification_emails_opened: Times = Field(default_factory=dict)
    notification_emails_clicked: Times = Field(default_factory=dict)
    emails_sent: Times = Field(default_factory=dict)
    emails_opened: Times = Field(default_factory=dict)
    emails_clicked: Times = Field(default_factory=dict)
    campaigns_started: Times = Field(default_factory=dict)
    campaigns_finished: Times = Field(default_factory=dict)

    def model_post_init(self, _context: object) -> None:
        """Sort the data fields out, as the SDK's model does."""
        extra = self.__pydantic_extra__ or {}
        extra["fields"] = {key: extra.pop(key) or "" for key in [key for key in extra if key.startswith("field")]}
