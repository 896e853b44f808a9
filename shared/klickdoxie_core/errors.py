"""Errors that explain themselves: plain data, picklable, without secrets.

SdkError
├── ConfigError                 wrong or missing configuration, before anything is sent
│   ├── ArgumentError           a value that cannot be sent as it is (also a ValueError)
│   └── JournalError            a journal that cannot be used
├── JobStopped                  a bulk job that stopped itself; it can be resumed
├── ReadOnlyError               a write on a read-only client
├── TransportError              no usable answer
│   ├── ConnectFailed           never sent
│   │   └── CertificateRejected the server could not prove who it is; never retried
│   ├── Interrupted             sent; the effect is unknown
│   └── DeadlineExceeded        no time left
├── ResponseError               the service answered no
│   ├── BadRequest  Unauthorized  Forbidden  NotFound  Conflict  Unprocessable
│   └── RateLimited  ServerError  Redirected
├── DecodeError                 a 2xx that is not what the vendor promises
│   └── TooLarge                an answer beyond the size limit
└── WebhookError                a delivery that cannot be accepted
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar, cast

import attrs

from klickdoxie_core.call import Effect
from klickdoxie_core.redact import mask_payload


@attrs.frozen(kw_only=True)
class Facts:
    """What is known about a failed call. Nothing in it is a live object, a credential or a URL.

    Attributes:
        operation: The vendor's name of the operation.
        method: The HTTP method.
        template: The path with names instead of values.
        effect: Whether the call may be sent again.
        status: The HTTP status of the last answer, if there was one.
        code: The vendor's own number or word for the error.
        subcode: The vendor's number below the code.
        body: The answer, masked and cut.
        paths: Where an answer was not as promised, as JSON paths.
        details: Further fields that the vendor gives, by name.
        attempts: How often the call was sent or tried.
        renewals: How often it was sent once more after a login or a token renewal, beside the attempts.
        waited: Seconds spent in pauses.
        maybe_applied: False only when nothing can have happened at the service.
        retry_after: Seconds that the service asks to wait, or that the client holds a call back for its sake.
        quota_empty: It was not sent again because the retries that all calls of the client share were used up.
    """

    operation: str = ""
    method: str = ""
    template: str = ""
    effect: Effect | None = None
    status: int | None = None
    code: int | str | None = None
    subcode: int | None = None
    body: object = attrs.field(default=None, repr=False)
    paths: tuple[str, ...] = ()
    details: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    attempts: int = 0
    renewals: int = 0
    waited: float = 0.0
    maybe_applied: bool = False
    retry_after: float | None = None
    quota_empty: bool = False

    def masked(self) -> Facts:
        """The same without personal data in what the vendor sent back."""
        details = {name: str(mask_payload(value)) for name, value in self.details.items()}
        return attrs.evolve(self, body=mask_payload(self.body), details=details)


_NOTHING = Facts()


class SdkError(Exception):
    """Base of every error; `str(error)` says what happened, what was sent, and what to do.

    Class attributes that the base of a family of errors sets:
        service: The service's name in `user_message`; None calls it "the service".
        messages: By the names of its classes, their sentences in English and in German, where they are others.
    """

    service: ClassVar[str | None] = None
    messages: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def __init__(self, message: str = "", facts: Facts = _NOTHING) -> None:
        super().__init__(message, facts)
        self.message = message
        self.facts = facts

    @property
    def operation(self) -> str:
        """The vendor's name of the operation that failed."""
        return self.facts.operation

    @property
    def status(self) -> int | None:
        """The HTTP status of the last answer; None when there was none."""
        return self.facts.status

    @property
    def code(self) -> int | str | None:
        """The vendor's own number or word for the error."""
        return self.facts.code

    @property
    def subcode(self) -> int | None:
        """The vendor's number below the code."""
        return self.facts.subcode

    @property
    def body(self) -> object:
        """The answer, masked and cut."""
        return self.facts.body

    @property
    def details(self) -> Mapping[str, str]:
        """Further fields that the vendor gives, by name; they may hold personal data, and a pickled copy masks them."""
        return self.facts.details

    @property
    def attempts(self) -> int:
        """How often the call was sent or tried; the renewals are counted apart."""
        return self.facts.attempts

    @property
    def renewals(self) -> int:
        """How often the call was sent once more after a login or a token renewal."""
        return self.facts.renewals

    @property
    def waited(self) -> float:
        """Seconds spent in pauses."""
        return self.facts.waited

    @property
    def maybe_applied(self) -> bool:
        """False only when nothing can have happened at the service."""
        return self.facts.maybe_applied

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait, if it said so, or that the client holds a call back for its sake."""
        return self.facts.retry_after

    def user_message(self, language: Literal["en", "de"] = "en") -> str:
        """What happened, as a sentence for people who use a form, in English or German; it names nobody."""
        from klickdoxie_core.messages import message_of  # noqa: PLC0415 - only who shows one to people needs it

        names = (kind.__name__ for kind in type(self).__mro__)
        return message_of(names, language, self.service, self.messages)

    def __str__(self) -> str:
        return "; ".join(_sentences(self.message, self.facts))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.facts.masked())


def _sentences(message: str, facts: Facts) -> list[str]:
    where = f"{facts.method} {facts.template}".strip()
    named = f"{where} ({facts.operation})" if facts.operation not in {"", where} else where
    said = [f"{named}: {message}" if named else message]
    if facts.paths:
        said.append(f"at {', '.join(map(_place, facts.paths))}")
    if facts.effect in {Effect.REPEATABLE, Effect.ONCE}:
        said.append(_effect(facts))
    if facts.retry_after is not None:
        wait = "the service asks to wait" if facts.status in _ASK_TO_WAIT else "try again in"
        said.append(f"{wait} {facts.retry_after:g} s")
    if facts.attempts:
        said.append(f"attempts: {facts.attempts}")
    if facts.renewals:
        said.append(f"renewals: {facts.renewals}")
    if facts.waited:
        said.append(f"waited {facts.waited:.1f} s")
    return said


def _place(path: str) -> str:
    """Where an answer is not as promised, and in brackets how."""
    how, at, where = path.rpartition(" @ ")
    if not at:
        return path
    return f"{'the top level' if where == '$' else where} ({how})"


def _effect(facts: Facts) -> str:
    if not facts.maybe_applied:
        return "nothing was changed at the service"
    if facts.effect is Effect.ONCE:
        # What was sent before had not been executed for sure.
        then = "once more" if facts.attempts > 1 else "again"
        return f"it may have been executed; it was not sent {then} because it is not repeatable"
    return "it may have been executed; it is safe to send it again"


_ASK_TO_WAIT = frozenset({429, 503})

E_ = TypeVar("E_", bound=SdkError)


def renewed(error: E_, **changes: object) -> E_:
    """The same error once more, without its traceback, so that it can be raised for another caller."""
    return type(error)(error.message, attrs.evolve(error.facts, **cast("dict[str, Any]", changes)))


class ConfigError(SdkError):
    """Wrong or missing configuration; nothing was sent."""


class ArgumentError(ConfigError, ValueError):
    """A value that cannot be sent as it is; nothing was sent. The text names the argument."""


class JournalError(ConfigError):
    """A journal that cannot be used: damaged, in use, made from another input, or on a full disk; nothing was sent."""


class JobStopped(SdkError):
    """A bulk job stopped itself because going on was senseless; the text says why, and how to go on later."""


class ReadOnlyError(SdkError):
    """A write on a client that was made with `read_only=True`; nothing was sent."""


class TransportError(SdkError):
    """There is no usable answer."""


class ConnectFailed(TransportError):
    """No connection could be made; the request was never sent."""


class CertificateRejected(ConnectFailed):
    """The server could not prove who it is; the request was never sent and is not retried."""


class Interrupted(TransportError):
    """The request was sent and its answer was lost; `maybe_applied` says whether that matters."""


class DeadlineExceeded(TransportError):
    """No time was left for the call."""


class ResponseError(SdkError):
    """The service answered, and the answer is no."""


class BadRequest(ResponseError):
    """400: the service could not read the request."""


class Unauthorized(ResponseError):
    """401: the credentials are missing, wrong or expired."""


class Forbidden(ResponseError):
    """403: the credentials do not permit this."""


class NotFound(ResponseError):
    """404, or a vendor's own way to say that there is no such thing."""


class Conflict(ResponseError):
    """409: the thing is not in a state that permits this."""


class Unprocessable(ResponseError):
    """422: understood and refused."""


class RateLimited(ResponseError):
    """429: too many requests; `retry_after` has the seconds to wait if the service said so."""


class ServerError(ResponseError):
    """5xx: the service failed."""


class Redirected(ResponseError):
    """3xx: the service points elsewhere; redirects are never followed, since they would carry credentials along."""


class DecodeError(SdkError):
    """An answer that is not what the vendor promises: of another shape, or not the vendor's own, such as a web page."""


class TooLarge(DecodeError):
    """An answer beyond the size limit."""


class WebhookError(SdkError):
    """A webhook delivery that cannot be accepted."""


_BY_STATUS: Mapping[int, type[ResponseError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Unprocessable,
    429: RateLimited,
}


def error_for_status(status: int) -> type[SdkError]:
    """The class that stands for an HTTP status other than 2xx."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    match status // 100:
        case 3 if status != 304:
            return Redirected
        case 4:
            return ResponseError
        case 5:
            return ServerError
        case _:
            return DecodeError
