"""The layer under both clients, and the toolbox for the next one: everything here knows HTTP and no vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klickdoxie_core.auth.basic import Basic
from klickdoxie_core.auth.bearer import Bearer, ClientCredentials, Token
from klickdoxie_core.auth.key_pair import KeyPair
from klickdoxie_core.auth.scheme import Grant, Scheme
from klickdoxie_core.auth.session_cookie import SessionCookie
from klickdoxie_core.breaker import Breaker
from klickdoxie_core.bulk import Outcome, bulk
from klickdoxie_core.call import Call, Effect, Reader, Stream
from klickdoxie_core.client import ApiClient, ClientOptions
from klickdoxie_core.clock import Clock
from klickdoxie_core.convert import ShapeError, Undecodable, new_converter, structure, wire_name
from klickdoxie_core.dialect import Dialect, Explained, family_of
from klickdoxie_core.entry import Entry, State
from klickdoxie_core.errors import (
    ArgumentError,
    BadRequest,
    CertificateRejected,
    ConfigError,
    Conflict,
    ConnectFailed,
    DeadlineExceeded,
    DecodeError,
    Facts,
    Forbidden,
    Interrupted,
    JobStopped,
    JournalError,
    NotFound,
    RateLimited,
    ReadOnlyError,
    Redirected,
    ResponseError,
    SdkError,
    ServerError,
    TooLarge,
    TransportError,
    Unauthorized,
    Unprocessable,
    WebhookError,
)
from klickdoxie_core.incoming import Incoming
from klickdoxie_core.observe import Attempt, Exchange, Observer, Recording, recording
from klickdoxie_core.options import UNSET, Limit, Options, Retry, Unset
from klickdoxie_core.pages import Page, Pages, by_cursor, by_number
from klickdoxie_core.plain import Json, left_out, to_dict
from klickdoxie_core.pool import Pool
from klickdoxie_core.progress import Progress
from klickdoxie_core.redact import Secret
from klickdoxie_core.resource import Resource

if TYPE_CHECKING:
    from klickdoxie_core.journal import Journal

__all__ = [
    "UNSET",
    "ApiClient",
    "ArgumentError",
    "Attempt",
    "BadRequest",
    "Basic",
    "Bearer",
    "Breaker",
    "Call",
    "CertificateRejected",
    "ClientCredentials",
    "ClientOptions",
    "Clock",
    "ConfigError",
    "Conflict",
    "ConnectFailed",
    "DeadlineExceeded",
    "DecodeError",
    "Dialect",
    "Effect",
    "Entry",
    "Exchange",
    "Explained",
    "Facts",
    "Forbidden",
    "Grant",
    "Incoming",
    "Interrupted",
    "JobStopped",
    "Journal",
    "JournalError",
    "Json",
    "KeyPair",
    "Limit",
    "NotFound",
    "Observer",
    "Options",
    "Outcome",
    "Page",
    "Pages",
    "Pool",
    "Progress",
    "RateLimited",
    "ReadOnlyError",
    "Reader",
    "Recording",
    "Redirected",
    "Resource",
    "ResponseError",
    "Retry",
    "Scheme",
    "SdkError",
    "Secret",
    "ServerError",
    "SessionCookie",
    "ShapeError",
    "State",
    "Stream",
    "Token",
    "TooLarge",
    "TransportError",
    "Unauthorized",
    "Undecodable",
    "Unprocessable",
    "Unset",
    "WebhookError",
    "bulk",
    "by_cursor",
    "by_number",
    "family_of",
    "left_out",
    "new_converter",
    "recording",
    "structure",
    "to_dict",
    "wire_name",
]


def __getattr__(name: str) -> object:
    # SQLite comes with the first journal, not with every program.
    if name == "Journal":
        from klickdoxie_core.journal import Journal  # noqa: PLC0415

        return Journal
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
