"""One call under way: what is known of it, and how errors and observers are told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar
from urllib.parse import urljoin, urlsplit

import attrs

from klickdoxie_core.call import Call, Effect
from klickdoxie_core.clock import Clock
from klickdoxie_core.convert import Undecodable, parse_json
from klickdoxie_core.dialect import Explained
from klickdoxie_core.errors import Facts, SdkError
from klickdoxie_core.incoming import Collector
from klickdoxie_core.judge import Budget, Verdict, retry_after
from klickdoxie_core.observe import Attempt, Exchange, Observer
from klickdoxie_core.options import Options
from klickdoxie_core.redact import credentials_in, mask_payload, safe_headers, without
from klickdoxie_core.wire.base import Failure, Opened, Response, WireFailure

T = TypeVar("T")

# More than `mask` reads of a text, since what is cut may end in half an address.
_MAX_TEXT = 10_000
_TRUST = "to trust other certificates, hand in an HTTP client of your own: see docs/http-clients.md"
_HOST = re.compile(r"[a-z0-9.-]{1,253}", re.ASCII)
_MAY_ASK_TO_WAIT = frozenset({429, 503})
_UNCONNECTED = frozenset({Failure.CONNECT, Failure.TIMEOUT, Failure.CERTIFICATE, Failure.PROXY})


@attrs.define(eq=False, kw_only=True)
class Trip(Generic[T]):
    """What is known of one call while it is under way. A companion watches this call alone."""

    call: Call[T]
    options: Options
    started: float
    companion: Observer | None = None
    attempts: int = 0
    renewals: int = 0
    waited: float = 0.0
    in_doubt: bool = False
    transients: int = 0
    replayed: bool = False
    spent: bool = False
    quota_empty: bool = False
    paid: bool = False
    signed: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    status: int | None = None
    last: Response | Opened | None = None
    _collector: Collector | None = None

    @property
    def resends(self) -> int:
        """How often the request was sent once more, for whatever reason."""
        return max(0, self.attempts + self.renewals - 1)

    def time_left(self, now: float) -> float:
        """Seconds until the call's deadline."""
        return self.started + self.options.deadline - now

    def collector(self) -> Callable[[bytes], None] | None:
        """What takes the next attempt's answer while it comes in, where the call wants it read so."""
        if self.call.reader is None:
            return None
        self._collector = Collector(self.call.reader())
        return self._collector.feed

    @property
    def collected(self) -> Collector | None:
        """What has taken the answer while it came in."""
        return self._collector if self._collector is not None and self._collector.used else None

    def shown(self, body: bytes) -> bytes:
        """An answer that says no, without the credentials that it may repeat."""
        return without(body, credentials_in(self.signed, self.call.body, self.call.form))

    def asked_to_wait(self, clock: Clock) -> float | None:
        """Seconds that the last answer asks to wait, if its status may ask for that."""
        if self.last is None or self.last.status not in _MAY_ASK_TO_WAIT:
            return None
        return retry_after(self.last.headers, clock)

    def pay(self, budget: Budget) -> bool:
        """Take a retry out of the stock that all calls share; False when there is none."""
        self.quota_empty = not budget.take()
        self.paid = self.paid or not self.quota_empty
        return not self.quota_empty

    def payload(self, body: bytes) -> object:
        """The same in whatever form it comes: JSON, else text, else None."""
        if not body:
            return None
        body = self.shown(body)
        try:
            return parse_json(body)
        except Undecodable:
            return body[:_MAX_TEXT].decode("utf-8", "replace")

    def facts(self) -> Facts:
        """What an error says of the call so far."""
        call = self.call
        return Facts(
            operation=call.operation,
            method=call.method,
            template=call.template,
            effect=call.effect,
            status=self.status,
            attempts=self.attempts,
            renewals=self.renewals,
            waited=self.waited,
            maybe_applied=self.in_doubt,
            quota_empty=self.quota_empty,
        )

    def attempt(self, outcome: Response | Opened | WireFailure, seconds: float) -> Attempt:
        """What observers hear of the attempt that just ended."""
        call = self.call
        return Attempt(
            operation=call.operation,
            method=call.method,
            template=call.template,
            number=self.attempts,
            status=outcome.status,
            failure=outcome.failure.value if isinstance(outcome, WireFailure) else None,
            seconds=seconds,
        )

    def exchange(self, error: BaseException | None, now: float) -> Exchange:
        """What observers hear of the call when it has ended."""
        call, last = self.call, self.last
        return Exchange(
            operation=call.operation,
            method=call.method,
            template=call.template,
            status=self.status,
            headers=safe_headers(last.headers) if last is not None else {},
            attempts=self.attempts,
            renewals=self.renewals,
            waited=self.waited,
            seconds=now - self.started,
            error=type(error).__name__ if error is not None else None,
            replayed=self.replayed,
            maybe_applied=error is not None and (self.in_doubt or self._cut_off_by(error)),
        )

    def _cut_off_by(self, error: BaseException) -> bool:
        """Whether a write was left before anybody could judge its outcome, by cancellation for one."""
        return not isinstance(error, SdkError) and self.attempts > 0 and self.call.effect is not Effect.SAFE


@attrs.frozen(kw_only=True)
class Problem:
    """Why an attempt did not give a result, and what that means."""

    verdict: Verdict
    message: str
    explained: Explained | None = None
    payload: object = None
    paths: tuple[str, ...] = ()

    def facts(self, known: Facts, asked: float | None) -> Facts:
        """What is known of the call, and what its last answer said; `asked` is how long that wants us to wait."""
        explained = self.explained
        return attrs.evolve(
            known,
            body=mask_payload(self.payload),
            paths=self.paths,
            retry_after=asked,
            code=explained.code if explained else None,
            subcode=explained.subcode if explained else None,
            details=explained.details if explained else {},
        )


def explained_verdict(explained: Explained, by_status: Verdict | None, effect: Effect) -> Verdict:
    """What a vendor's explanation means, beside the say of its status; None where that is 2xx, which says nothing."""
    in_doubt = explained.in_doubt and effect is not Effect.SAFE
    again = explained.transient and effect is not Effect.ONCE
    if by_status is None or explained.final:
        return Verdict(error=explained.error, retry=again, once=again, in_doubt=in_doubt)
    return Verdict(
        error=explained.error,
        retry=by_status.retry or again,
        once=by_status.once or (again and not by_status.retry),
        in_doubt=by_status.in_doubt or in_doubt,
    )


def say_status(status: int) -> str:
    """What a status other than 2xx is called where nobody knows more."""
    said = f"the service answered {status}"
    return f"{said}; redirects are not followed" if 300 <= status < 400 and status != 304 else said


def say_page(status: int, payload: object) -> str:
    """What is added to that where the answer is a web page; empty where it is none."""
    if not is_page(payload):
        return ""
    # A proxy in front of the right service fails with a page, too.
    return f"; it sent a web page{'; check base_url' if status < 500 else ''}"


def is_page(payload: object) -> bool:
    """Whether an answer is a web page where JSON was asked for."""
    return isinstance(payload, str) and payload.lstrip("\ufeff \t\r\n").startswith("<")


def say_target(url: str, headers: Mapping[str, str]) -> str:
    """Where a redirect points to: the origin, since the rest may carry a key; nothing where it cannot be told."""
    try:
        parts = urlsplit(urljoin(url, headers.get("location", "")))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if "location" not in headers or parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        return ""
    return f"; it points to {parts.scheme}://{host}{f':{port}' if port else ''}"


def say_failure(failure: WireFailure, url: str, deadline: float | None = None) -> str:
    """Why there is no usable answer; where none could be asked for, of whom: the origin, never the path.

    A deadline in seconds is what has cut a timeout short.
    """
    kind, detail = failure.failure, failure.detail
    said = kind.value
    if deadline is not None:
        said, detail = f"the answer was not complete when the deadline of {deadline:g} s was over", ""
    if not failure.sent and kind in _UNCONNECTED:
        said, detail = _say_unconnected(failure, url)
    return f"{said} ({detail})" if detail else said


def _say_unconnected(failure: WireFailure, url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if failure.failure is Failure.CERTIFICATE:
        return failure.failure.value, f"{origin}: {failure.detail}; {_TRUST}" if failure.detail else origin
    to = f"the proxy {failure.proxy}" if failure.proxy else origin
    return f"no connection to {to} could be made", failure.detail or "timed out while connecting"
