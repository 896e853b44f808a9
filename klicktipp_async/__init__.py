"""Async client for the KlickTipp API: contacts, tags, data fields, opt-in processes, listbuilding, webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klickdoxie_core import (
    UNSET,
    ArgumentError,
    BadRequest,
    Breaker,
    CertificateRejected,
    ConfigError,
    Conflict,
    ConnectFailed,
    DeadlineExceeded,
    DecodeError,
    Effect,
    Exchange,
    Forbidden,
    Interrupted,
    JobStopped,
    JournalError,
    KeyPair,
    Limit,
    NotFound,
    Observer,
    Outcome,
    Progress,
    RateLimited,
    ReadOnlyError,
    Redirected,
    ResponseError,
    Retry,
    SdkError,
    Secret,
    ServerError,
    State,
    TooLarge,
    TransportError,
    Unauthorized,
    Unprocessable,
    Unset,
    WebhookError,
    bulk,
    recording,
)
from klicktipp_async.auth import SessionLogin, grant_url
from klicktipp_async.client import KlickTipp
from klicktipp_async.errors import (
    AddressBlocked,
    AddressUnsubscribed,
    AlreadyLoggedIn,
    BusinessError,
    ConfirmationMailFailed,
    ContactNotFound,
    ContactUpdateFailed,
    EmailChangeRefused,
    EmailTaken,
    FieldNotFound,
    FieldValidationError,
    InternalError,
    InvalidApiKey,
    InvalidCredentials,
    InvalidEmail,
    InvalidPhone,
    KlickTippError,
    MissingArgument,
    MissingIdentifier,
    NotLoggedIn,
    NotSubscribed,
    OptInNotFound,
    SmartTagProtected,
    SmsNumberTaken,
    SmsNumberUnsubscribed,
    SubscriptionFailed,
    TagNotFound,
)
from klicktipp_async.field_schema import CLEAR, FieldSchema, FieldType
from klicktipp_async.listbuilding import Listbuilding
from klicktipp_async.models.account import Account
from klicktipp_async.models.contact import Bounce, Contact, ContactStatus
from klicktipp_async.models.field import DataField
from klicktipp_async.models.opt_in import OptInProcess
from klicktipp_async.models.option import Option
from klicktipp_async.models.tag import Tag

if TYPE_CHECKING:
    from klickdoxie_core.journal import Journal

__all__ = [
    "CLEAR",
    "UNSET",
    "Account",
    "AddressBlocked",
    "AddressUnsubscribed",
    "AlreadyLoggedIn",
    "ArgumentError",
    "BadRequest",
    "Bounce",
    "Breaker",
    "BusinessError",
    "CertificateRejected",
    "ConfigError",
    "ConfirmationMailFailed",
    "Conflict",
    "ConnectFailed",
    "Contact",
    "ContactNotFound",
    "ContactStatus",
    "ContactUpdateFailed",
    "DataField",
    "DeadlineExceeded",
    "DecodeError",
    "Effect",
    "EmailChangeRefused",
    "EmailTaken",
    "Exchange",
    "FieldNotFound",
    "FieldSchema",
    "FieldType",
    "FieldValidationError",
    "Forbidden",
    "InternalError",
    "Interrupted",
    "InvalidApiKey",
    "InvalidCredentials",
    "InvalidEmail",
    "InvalidPhone",
    "JobStopped",
    "Journal",
    "JournalError",
    "KeyPair",
    "KlickTipp",
    "KlickTippError",
    "Limit",
    "Listbuilding",
    "MissingArgument",
    "MissingIdentifier",
    "NotFound",
    "NotLoggedIn",
    "NotSubscribed",
    "Observer",
    "OptInNotFound",
    "OptInProcess",
    "Option",
    "Outcome",
    "Progress",
    "RateLimited",
    "ReadOnlyError",
    "Redirected",
    "ResponseError",
    "Retry",
    "SdkError",
    "Secret",
    "ServerError",
    "SessionLogin",
    "SmartTagProtected",
    "SmsNumberTaken",
    "SmsNumberUnsubscribed",
    "State",
    "SubscriptionFailed",
    "Tag",
    "TagNotFound",
    "TooLarge",
    "TransportError",
    "Unauthorized",
    "Unprocessable",
    "Unset",
    "WebhookError",
    "bulk",
    "grant_url",
    "recording",
]


def __getattr__(name: str) -> object:
    # SQLite comes with the first journal, not with every program.
    if name == "Journal":
        from klickdoxie_core.journal import Journal  # noqa: PLC0415

        return Journal
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
