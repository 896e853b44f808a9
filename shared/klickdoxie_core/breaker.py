"""When a job waits or stops by itself, and what an error means to its item: pure rules."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs

from klickdoxie_core.call import Effect
from klickdoxie_core.entry import State
from klickdoxie_core.errors import (
    ArgumentError,
    CertificateRejected,
    ConfigError,
    Forbidden,
    RateLimited,
    ReadOnlyError,
    ResponseError,
    SdkError,
    ServerError,
    Unauthorized,
)

_WINDOW: Final = 50
_LONGEST_PAUSE: Final = 60.0
_FAILING: Final = "too many calls are failing"
# The service did not take the request, or not in this way at this time; every other 4xx is a decision.
_PASSING_STATUSES: Final = frozenset({408, 421, 425})


def _whole(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ANN401 - checked here
    del instance
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        msg = f"{attribute.name} must be a whole number from 1, not {value!r}"
        raise ArgumentError(msg)


def _whole_or_none(instance: object, attribute: attrs.Attribute[Any], value: int | None) -> None:
    if value is not None:
        _whole(instance, attribute, value)


def _share(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    del instance
    if not 0 < value <= 1:
        msg = f"{attribute.name} must be above 0 and at most 1, not {value!r}"
        raise ArgumentError(msg)


def _seconds(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    del instance
    if math.isnan(value) or value < 0:
        msg = f"{attribute.name} must be seconds from 0, not {value!r}"
        raise ArgumentError(msg)


def _function_or_none(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    del instance
    if value is not None and not callable(value):
        msg = f"{attribute.name} must be an async function that reads something, not {type(value).__name__}"
        raise ArgumentError(msg)


@attrs.frozen(kw_only=True)
class Breaker:
    """When a job waits or stops by itself.

    Refused credentials, missing permissions, a certificate or a configuration that is wrong, and a journal that
    cannot be written stop it at once, since every further item would fail in the same way. In an outage no item
    starts; after 1 s, 2 s, 4 s and so on up to 60 s, or when the service asked to come back, one probe goes, and a
    success ends the outage. The probe is the next item, or `probe` for items that must not be repeated; a job of such
    items stops instead of waiting when there is no `probe`, unless they were only refused for the rate: then nothing
    was done, and the next item is the probe. Such an item (429) is tried again in the same run, after the client's own
    pause. A value out of its range raises ArgumentError.

    Attributes:
        outages: Failures in a row that may pass (no answer, 5xx, 429) make an outage.
        share: So do they with this share of the last 50 outcomes.
        same: Refusals in a row with the same code, or errors in a row of one class that is not the SDK's, that stop the
            job: a wrong mapping, or a mistake in the function, fails everything. None for never.
        max_outage: Seconds that an outage may last before the job stops.
        probe: A safe read that tells whether the service is there.
    """

    outages: int = attrs.field(default=10, validator=_whole)
    share: float = attrs.field(default=0.5, validator=_share)
    same: int | None = attrs.field(default=50, validator=_whole_or_none)
    max_outage: float = attrs.field(default=300.0, validator=_seconds)
    probe: Callable[[], Awaitable[object]] | None = attrs.field(default=None, validator=_function_or_none)


def state_after(error: Exception, effect: Effect) -> State:
    """What becomes of an item whose call raised this."""
    once = effect is Effect.ONCE
    if not isinstance(error, SdkError):
        return State.UNKNOWN if once else State.FAILED
    if once and error.maybe_applied:
        return State.UNKNOWN
    return State.PENDING if may_pass(error) else State.FAILED


def may_pass(error: SdkError) -> bool:
    """Whether the same call may succeed another time; every other error is the service's or the caller's last word."""
    if isinstance(error, ResponseError):
        passing = isinstance(error, RateLimited | ServerError | Unauthorized | Forbidden)
        return passing or error.status in _PASSING_STATUSES
    return not isinstance(error, ArgumentError)


def code_of(error: Exception) -> str:
    """What an error is counted under: the vendor's code, or the name of its class."""
    if not isinstance(error, SdkError) or error.code is None:
        return type(error).__name__
    return str(error.code) if error.subcode is None else f"{error.code}/{error.subcode}"


def text_of(error: Exception) -> str:
    """What may be told of an error: of one that is not the SDK's only its class, since its text may be personal."""
    return str(error) if isinstance(error, SdkError) else type(error).__name__


@attrs.frozen(kw_only=True)
class Stop:
    """Why a job must stop.

    Attributes:
        reason: In words.
        error: The error that showed it.
        alike: Item after item has ended with this error, and is settled by it.
        unprobed: There was no safe read that could have told when the outage is over.
    """

    reason: str
    error: Exception
    alike: bool = False
    unprobed: bool = False


class Circuit:
    """Learns how the calls of a job end, and says whether to go on, to wait or to stop.

    Attributes:
        outage: The error that began the outage; None while there is none.
        stop: Why the job must stop; None while it may go on.
    """

    def __init__(self, breaker: Breaker, now: Callable[[], float], *, probing: bool) -> None:
        self._breaker = breaker
        self._now = now
        self._probing = probing
        self._failures = 0
        self._recent: deque[bool] = deque(maxlen=_WINDOW)
        self._refusal = ""
        self._refusals = 0
        self._began = 0.0
        self._due = 0.0
        self._probes = 0
        self.outage: Exception | None = None
        self.stop: Stop | None = None

    def saw(self, error: Exception | None) -> None:
        """A call ended with this error, or well; the calls under way when an outage begins say no more about it."""
        if error is None:
            self._refusals = 0
        elif _hopeless(error):
            self._halt("going on would fail in the same way", error)
            return
        passing = isinstance(error, SdkError) and may_pass(error)
        if error is not None and not passing:
            self._refused(error)
        if self.outage is None:
            self._count(error if passing else None)

    def probed(self, error: Exception | None) -> None:
        """The probe of an outage ended; a refusal too is an answer, and shows that the service is there."""
        if error is not None and _hopeless(error):
            self._halt("going on would fail in the same way", error)
        elif error is None or (isinstance(error, SdkError) and not may_pass(error)):
            self._over()
            self.saw(error)
        elif not self._may_wait_for(error):
            self._halt(_FAILING, error, unprobed=True)
        elif self._now() - self._began >= self._breaker.max_outage:
            self._halt(f"the outage was not over after {self._breaker.max_outage:g} s", error)
        else:
            self._probes += 1
            self._set_due(error)

    def pause(self) -> float:
        """Seconds until the next probe of the outage."""
        return max(0.0, self._due - self._now())

    def _count(self, failure: Exception | None) -> None:
        failed = failure is not None
        self._failures = self._failures + 1 if failed else 0
        self._recent.append(failed)
        if failure is None:
            return
        emptied = isinstance(failure, SdkError) and failure.facts.quota_empty
        many = len(self._recent) == _WINDOW and sum(self._recent) >= self._breaker.share * _WINDOW
        if emptied or many or self._failures >= self._breaker.outages:
            self._begin(failure)

    def _begin(self, error: Exception) -> None:
        if not self._may_wait_for(error):
            self._halt(_FAILING, error, unprobed=True)
            return
        self.outage = error
        self._began = self._now()
        self._probes = 0
        self._set_due(error)

    def _may_wait_for(self, error: Exception) -> bool:
        """Whether something may be sent to find out if it is over; what was refused for the rate was not done."""
        return self._probing or isinstance(error, RateLimited)

    def _set_due(self, error: Exception) -> None:
        asked = (error.retry_after if isinstance(error, SdkError) else None) or 0.0
        pause = max(asked, min(_LONGEST_PAUSE, 2.0 ** min(self._probes, 16)))
        # The last probe goes when the time is up, and not a pause later.
        self._due = min(self._now() + pause, self._began + self._breaker.max_outage)

    def _over(self) -> None:
        self.outage = None
        self._failures = 0
        self._recent.clear()

    def _refused(self, error: Exception) -> None:
        code = code_of(error)
        self._refusals = self._refusals + 1 if code == self._refusal else 1
        self._refusal = code
        if self._breaker.same is not None and self._refusals >= self._breaker.same:
            self._halt(_alike(self._refusals, error), error, alike=True)

    def _halt(self, reason: str, error: Exception, *, alike: bool = False, unprobed: bool = False) -> None:
        if self.stop is None:
            self.stop = Stop(reason=reason, error=error, alike=alike, unprobed=unprobed)


def _alike(times: int, error: Exception) -> str:
    if isinstance(error, SdkError):
        return f"{times} items in a row were refused alike"
    return f"its function raises the same error for every item, {times} in a row"


def _hopeless(error: Exception) -> bool:
    """Whether every further item would fail in the same way."""
    if isinstance(error, ConfigError):
        return not isinstance(error, ArgumentError)
    return isinstance(error, Unauthorized | Forbidden | CertificateRejected | ReadOnlyError)
