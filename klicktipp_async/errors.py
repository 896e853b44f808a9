"""What the client raises: each error is a `KlickTippError`, and also the core's error of the same name.

The package's top level hands on the core's general classes and the vendor's vocabulary, so that
`except klicktipp_async.NotFound` and `except klicktipp_async.KlickTippError` both catch what is raised here.

KlickTippError
├── ConfigError ─ ArgumentError, JournalError       before anything is sent
├── JobStopped
├── ReadOnlyError
├── TransportError ─ ConnectFailed ─ CertificateRejected; Interrupted; DeadlineExceeded
├── DecodeError ─ TooLarge
├── WebhookError
└── ResponseError
    ├── BadRequest ─ MissingArgument, MissingIdentifier
    ├── Unauthorized ─ InvalidCredentials, InvalidApiKey
    ├── Forbidden  Conflict  Unprocessable  RateLimited  ServerError  Redirected
    ├── NotFound ─ ContactNotFound, TagNotFound, FieldNotFound, OptInNotFound
    └── BusinessError                   406: understood, and refused by a rule of the account
        ├── AddressUnsubscribed  AddressBlocked  InvalidEmail  EmailTaken  EmailChangeRefused
        ├── InvalidPhone  SmsNumberTaken  SmsNumberUnsubscribed
        ├── FieldValidationError        with `field`, `name`, `reason`, `value`
        ├── NotSubscribed  SubscriptionFailed  ContactUpdateFailed  ConfirmationMailFailed
        ├── SmartTagProtected  AlreadyLoggedIn  NotLoggedIn
        └── InternalError
"""

from __future__ import annotations

from typing import Literal

import klickdoxie_core as core
from klickdoxie_core.dialect import family_of
from klicktipp_async.messages import MESSAGES, with_reason

AMBIGUOUS_CODES = frozenset({4, 7, 9, 30, 401})


class KlickTippError(core.SdkError):
    """Base of every error of this client; `code` and `subcode` are the vendor's own numbers."""

    service = "KlickTipp"
    messages = MESSAGES

    @property
    def ambiguous(self) -> bool:
        """Whether the vendor's pages disagree on the code; the class follows the operation then."""
        return self.code in AMBIGUOUS_CODES

    def user_message(self, language: Literal["en", "de"] = "en") -> str:
        """What happened, as a sentence for people who use a form, in English or German; may name a field."""
        return with_reason(super().user_message(language), self.facts.details)


class ConfigError(KlickTippError, core.ConfigError):
    """Wrong or missing configuration; nothing was sent."""


class ArgumentError(ConfigError, core.ArgumentError):
    """A value that cannot be sent as it is; nothing was sent. The text names the argument."""


class JournalError(ConfigError, core.JournalError):
    """A journal that cannot be used: damaged, in use, made from another input, or on a full disk; nothing was sent."""


class JobStopped(KlickTippError, core.JobStopped):
    """A job stopped itself because going on was senseless; the text says why, and how to go on later."""


class ReadOnlyError(KlickTippError, core.ReadOnlyError):
    """A write on a client that was made with `read_only=True`; nothing was sent."""


class TransportError(KlickTippError, core.TransportError):
    """There is no usable answer."""


class ConnectFailed(TransportError, core.ConnectFailed):
    """No connection could be made; the request was never sent."""


class CertificateRejected(ConnectFailed, core.CertificateRejected):
    """The server could not prove who it is; the request was never sent and is not retried."""


class Interrupted(TransportError, core.Interrupted):
    """The request was sent and its answer was lost; `maybe_applied` says whether that matters."""


class DeadlineExceeded(TransportError, core.DeadlineExceeded):
    """No time was left for the call."""


class DecodeError(KlickTippError, core.DecodeError):
    """An answer that is not what the vendor promises: of another shape, or not the vendor's own, such as a web page."""


class TooLarge(DecodeError, core.TooLarge):
    """An answer beyond the size limit."""


class WebhookError(KlickTippError, core.WebhookError):
    """A webhook delivery that cannot be accepted."""


class ResponseError(KlickTippError, core.ResponseError):
    """The service answered, and the answer is no."""


class BadRequest(ResponseError, core.BadRequest):
    """400: the service could not read the request."""


class MissingArgument(BadRequest):
    """The service says that a required argument is missing; it answers 401 to that."""


class MissingIdentifier(BadRequest):
    """Code 32: neither an e-mail address nor an SMS number was given."""


class Unauthorized(ResponseError, core.Unauthorized):
    """401: the credentials are missing, wrong or expired, and a new login did not help."""


class InvalidCredentials(Unauthorized):
    """The login was refused. It is not tried again for a minute at least, so that the account is not locked."""


class InvalidApiKey(Unauthorized):
    """Code 100: the listbuilding key is not valid."""


class Forbidden(ResponseError, core.Forbidden):
    """403: not permitted, or the plan has no API access, or the keys are wrong."""


class NotFound(ResponseError, core.NotFound):
    """There is no such thing."""


class ContactNotFound(NotFound):
    """There is no such contact."""


class TagNotFound(NotFound):
    """There is no such tag."""


class FieldNotFound(NotFound):
    """There is no such data field."""


class OptInNotFound(NotFound):
    """There is no such opt-in process."""


class Conflict(ResponseError, core.Conflict):
    """409: the thing is not in a state that permits this, such as a name that is taken."""


class Unprocessable(ResponseError, core.Unprocessable):
    """422: understood and refused."""


class RateLimited(ResponseError, core.RateLimited):
    """429: too many requests; `retry_after` has the seconds to wait if the service said so."""


class ServerError(ResponseError, core.ServerError):
    """5xx: the service failed."""


class Redirected(ResponseError, core.Redirected):
    """3xx: the service points elsewhere; redirects are never followed."""


class BusinessError(ResponseError):
    """406: the service understood the call and a rule of the account refuses it."""


class AddressUnsubscribed(BusinessError):
    """Code 4: the address has unsubscribed; it cannot be subscribed again through the API."""


class AddressBlocked(BusinessError):
    """Codes 30 and 10/30: the address is blocked."""


class InvalidEmail(BusinessError):
    """Codes 5 and 10/5: not a valid e-mail address."""


class EmailTaken(BusinessError):
    """Code 507: the address belongs to another contact."""


class EmailChangeRefused(BusinessError):
    """Code 30 of an update: the address cannot be changed to this one."""


class InvalidPhone(BusinessError):
    """Codes 11 and 10/11: not a valid phone number."""


class SmsNumberTaken(BusinessError):
    """Code 10/9: the SMS number belongs to another contact."""


class SmsNumberUnsubscribed(BusinessError):
    """Code 10/10: the SMS number has unsubscribed."""


class FieldValidationError(BusinessError):
    """Code 8, and code 7 of a write: a value does not fit its data field."""

    @property
    def field(self) -> str | None:
        """The field's label in the user interface."""
        return self.facts.details.get("field")

    @property
    def name(self) -> str | None:
        """The field's key as it was sent, such as `fieldLeadValue`."""
        return self.facts.details.get("name")

    @property
    def reason(self) -> str | None:
        """Why the value does not fit, in the account's language."""
        return self.facts.details.get("reason")

    @property
    def value(self) -> str | None:
        """The value as it was sent; never part of the error's text, and masked in a pickled copy."""
        return self.facts.details.get("value")


class NotSubscribed(BusinessError):
    """Code 9 of an unsubscription: the contact is not subscribed."""


class SubscriptionFailed(BusinessError):
    """Code 9 of a subscription: not subscribed; the vendor also names a taken SMS number as the cause."""


class ContactUpdateFailed(BusinessError):
    """Code 10 without a known subcode: the contact could not be updated."""


class ConfirmationMailFailed(BusinessError):
    """Codes 6 and 10/6: the confirmation mail was not sent; the contact may exist all the same."""


class SmartTagProtected(BusinessError):
    """Code 31: SmartTags are set and removed by the system only."""


class AlreadyLoggedIn(BusinessError):
    """A login on top of a live session."""


class NotLoggedIn(BusinessError):
    """A logout without a session."""


class InternalError(BusinessError):
    """Code 12: an internal error of the service."""


FAMILY = family_of(KlickTippError)
"""For each class of the core its own subclass here."""
