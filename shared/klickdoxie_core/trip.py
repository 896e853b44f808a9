"""One call under way: what is known of it, and how errors and observers are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import attrs

from klickdoxie_core.call import Call, Effect
from klickdoxie_core.convert import Undecodable, parse_json
from klickdoxie_core.dialect import Explained
from klickdoxie_core.errors import Facts, SdkError
from klickdoxie_core.incoming import Collector
from klickdoxie_core.judge import Verdict
from klickdoxie_core.observe import Attempt, Exchange, Observer
from klickdoxie_core.options import Options
from klickdoxie_core.redact import credentials_in, safe_headers, without
from klickdoxie_core.wire.base import Failure, Opened, Response, WireFailure

T = TypeVar("T")

_UNCONNECTED = frozenset({Failure.CONNECT, Failure.TIMEOUT, Failure.CERTIFICATE})


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

    def payload(self, body: bytes) -> object:
        """The same in whatever form it comes: JSON, else text, else None."""
        if not body:
            return None
        body = self.shown(body)
        try:
            return parse_json(body)
        except Undecodable:
            return body[:1000].decode("utf-8", "replace")

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


def say_status(status: int) -> str:
    """What a status other than 2xx is called where nobody knows more."""
    if 300 <= status < 400 and status != 304:
        return f"the service answered {status}; redirects are not followed"
    return f"the service answered {status}"


def say_failure(failure: WireFailure, url: str) -> str:
    """Why there is no usable answer; where none could be asked for, of whom: the origin, never the path."""
    kind, detail = failure.failure, failure.detail
    said = kind.value
    if not failure.sent and kind in _UNCONNECTED:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if kind is Failure.CERTIFICATE:
            detail = origin
        else:
            said = f"no connection to {origin} could be made"
            detail = detail or "timed out while connecting"
    return f"{said} ({detail})" if detail else said
