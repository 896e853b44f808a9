"""What the client raises: each error is a `DoxieError`, and also the core's error of the same name.

The package's top level hands on the core's general classes and the vendor's vocabulary, so that
`except doxie_async.NotFound` and `except doxie_async.DoxieError` both catch what is raised here.

DoxieError
├── ConfigError ─ ArgumentError         before anything is sent
├── ReadOnlyError
├── TransportError ─ ConnectFailed ─ CertificateRejected; Interrupted; DeadlineExceeded
├── DecodeError ─ TooLarge
├── WebhookError
└── ResponseError
    ├── BadRequest  Unauthorized  Forbidden  NotFound  Conflict  RateLimited  ServerError  Redirected
    ├── Unprocessable ─ AlreadyCancelled
    ├── MethodNotAllowed                405
    └── Rejected                        a 2xx whose envelope says `success: false`
"""

from __future__ import annotations

import klickdoxie_core as core
from klickdoxie_core.dialect import family_of


class DoxieError(core.SdkError):
    """Base of every error of this client."""

    service = "Doxie"

    @property
    def reason(self) -> str | None:
        """What Doxie says about it, mostly in German; may name people, so it is masked in the error's text."""
        return self.facts.details.get("reason")


class ConfigError(DoxieError, core.ConfigError):
    """Wrong or missing configuration; nothing was sent."""


class ArgumentError(ConfigError, core.ArgumentError):
    """A value that cannot be sent as it is; nothing was sent. The text names the argument."""


class JournalError(ConfigError, core.JournalError):
    """A journal that cannot be used: damaged, in use, made from another input, or on a full disk; nothing was sent."""


class JobStopped(DoxieError, core.JobStopped):
    """A job stopped itself because going on was senseless; the text says why, and how to go on later."""


class ReadOnlyError(DoxieError, core.ReadOnlyError):
    """A write on a client that was made with `read_only=True`; nothing was sent."""


class TransportError(DoxieError, core.TransportError):
    """There is no usable answer."""


class ConnectFailed(TransportError, core.ConnectFailed):
    """No connection could be made; the request was never sent."""


class CertificateRejected(ConnectFailed, core.CertificateRejected):
    """The server could not prove who it is; the request was never sent and is not retried."""


class Interrupted(TransportError, core.Interrupted):
    """The request was sent and its answer was lost; `maybe_applied` says whether that matters."""


class DeadlineExceeded(TransportError, core.DeadlineExceeded):
    """No time was left for the call."""


class DecodeError(DoxieError, core.DecodeError):
    """A 2xx answer that is not what the vendor promises; the text lists the paths that failed."""


class TooLarge(DecodeError, core.TooLarge):
    """An answer beyond the size limit."""


class WebhookError(DoxieError, core.WebhookError):
    """A webhook delivery that cannot be accepted."""


class ResponseError(DoxieError, core.ResponseError):
    """The service answered, and the answer is no."""


class BadRequest(ResponseError, core.BadRequest):
    """400: the service could not read the request."""


class Unauthorized(ResponseError, core.Unauthorized):
    """401: the API user or the token is wrong, or a new token did not help."""


class Forbidden(ResponseError, core.Forbidden):
    """403: not permitted."""


class NotFound(ResponseError, core.NotFound):
    """404: there is no such thing, or no such route."""


class MethodNotAllowed(ResponseError):
    """405: the route is there, but not with this method."""


class Conflict(ResponseError, core.Conflict):
    """409: the thing is not in a state that permits this."""


class Unprocessable(ResponseError, core.Unprocessable):
    """422: understood and refused."""


class AlreadyCancelled(Unprocessable):
    """422 of a cancellation: the process was cancelled before, or cannot be any more."""


class RateLimited(ResponseError, core.RateLimited):
    """429: too many requests; `retry_after` has the seconds to wait if the service said so."""


class ServerError(ResponseError, core.ServerError):
    """5xx: the service failed."""


class Redirected(ResponseError, core.Redirected):
    """3xx: the service points elsewhere; redirects are never followed."""


class Rejected(ResponseError):
    """The service took the call and answered `success: false`, such as for a missing permission."""


FAMILY = family_of(DoxieError)
"""For each class of the core its own subclass here."""
