"""One credential for all calls of a client: obtained once, renewed once for all, and never hammered for."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Generic, TypeVar

import anyio
import attrs

from klickdoxie_core.auth.scheme import Run, Scheme
from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import DecodeError, RateLimited, ResponseError, SdkError, ServerError, renewed

C = TypeVar("C")

MINIMUM_AGE = 10.0
"""Seconds within which a renewed credential that never worked is taken as a real refusal."""
MEMORY = 60.0
"""Seconds for which a path that said no to a fresh credential is not asked about by another login."""
FIRST_REFUSAL, LONGEST_REFUSAL = 60.0, 3600.0
"""Seconds for which a refused login is not tried again; they double up to the longest."""
_MARGIN, _SHARE = 60.0, 0.3
_PAUSE_AFTER_FAILURE = 5.0
_GOODBYE = 2.0
_MOST_PLACES = 1000
_PASSING = frozenset({408, 421, 425})


@attrs.define(eq=False, kw_only=True)
class Held(Generic[C]):
    """A credential in use. `renewal` says that it replaced a refused one; `accepted` that it has worked, and where."""

    credential: C = attrs.field(repr=False)
    detail: object = attrs.field(repr=False)
    since: float
    lifetime: float | None
    renewal: bool
    accepted: bool = False
    places: set[str] = attrs.field(factory=set[str], repr=False)

    def alive(self, now: float) -> bool:
        """Whether it still holds."""
        return self.lifetime is None or now < self.since + self.lifetime

    def due(self, now: float) -> bool:
        """Whether it is time to renew ahead of its end."""
        return self.lifetime is not None and now >= self.since + self.lifetime - min(_MARGIN, _SHARE * self.lifetime)


class Lease(Generic[C]):
    """The state of one scheme within one client.

    A single lock makes the renewal single-flight, and belongs to nobody: when the task that renews is cancelled, the
    next waiter takes over. Whoever waited through a failure gets that failure instead of trying again.
    """

    def __init__(self, scheme: Scheme[C], run: Run, clock: Clock) -> None:
        self._scheme = scheme
        self._run = run
        self._clock = clock
        self._lock = anyio.Lock(fast_acquire=True)
        self._held: Held[C] | None = None
        self._failures = 0
        self._failure: SdkError | None = None
        self._refused_at = 0.0
        self._refused_until = 0.0
        self._refusal_pause = FIRST_REFUSAL
        self._not_ahead_until = 0.0
        self._forbidden: dict[str, float] = {}

    def sign(self, held: Held[C]) -> Mapping[str, str]:
        """The headers that prove who is calling."""
        return self._scheme.sign(held.credential)

    def refused(self, status: int, payload: object) -> bool:
        """Whether an answer says that the credential does not hold any more."""
        return self._scheme.refused(status, payload)

    def usable(self) -> Held[C] | None:
        """The credential in use; None when one has to be obtained, or it is time for another one."""
        held, now = self._held, self._clock.monotonic()
        if held is None or not held.due(now) or (held.alive(now) and now < self._not_ahead_until):
            return held
        return None

    async def get(self) -> Held[C]:
        """The credential in use, obtained or renewed ahead of its end where needed."""
        failures = self._failures
        async with self._lock:
            if (held := self.usable()) is not None:
                return held
            try:
                return await self._obtain(failures, renewal=False)
            except SdkError:
                # A token that still holds is better than none; a later call tries again after a pause.
                now = self._clock.monotonic()
                if self._held is None or not self._held.alive(now):
                    raise
                self._not_ahead_until = now + _PAUSE_AFTER_FAILURE
                return self._held

    async def renew(self, refused: Held[C]) -> Held[C]:
        """A credential other than the refused one; renewed only if nobody else has done so meanwhile."""
        failures = self._failures
        async with self._lock:
            if self._held is not None and self._held is not refused:
                return self._held
            return await self._obtain(failures, renewal=True)

    async def force(self) -> Held[C]:
        """A fresh credential, whatever is in use."""
        async with self._lock:
            return await self._obtain(self._failures, renewal=False)

    def worth_renewing(self, held: Held[C], place: str) -> bool:
        """Whether a refusal at this place may be about the credential, rather than about what it permits."""
        now = self._clock.monotonic()
        if held is not self._held:
            return True
        if now < self._forbidden.get(place, 0.0):
            return False
        if held.renewal and not held.accepted and now - held.since < MINIMUM_AGE:
            self.forbidden(place)
            return False
        return True

    def forbidden(self, place: str) -> None:
        """Remember that this place said no to a fresh credential; one that has worked there has merely ended."""
        if self._held is not None and place in self._held.places:
            return
        self._forbidden[place] = self._clock.monotonic() + MEMORY
        if len(self._forbidden) > _MOST_PLACES:
            del self._forbidden[next(iter(self._forbidden))]

    def accepted(self, held: Held[C], place: str) -> None:
        """Note that the credential worked at this place."""
        held.accepted = True
        if len(held.places) < _MOST_PLACES:
            held.places.add(place)
        if self._forbidden:
            self._forbidden.pop(place, None)

    async def aclose(self) -> None:
        """Release the credential at the service, within two seconds; a failure of that changes nothing."""
        # Whoever wants a credential meanwhile waits, and then finds the client closed; a login under way ends first.
        # Otherwise there would be a session that nobody ends.
        with anyio.move_on_after(_GOODBYE), contextlib.suppress(SdkError):
            async with self._lock:
                held, self._held = self._held, None
                if held is not None:
                    await self._scheme.release(self._run, held.credential)

    async def _obtain(self, failures: int, *, renewal: bool) -> Held[C]:
        now = self._clock.monotonic()
        if self._failure is not None and self._failures != failures:
            raise renewed(self._failure)
        if self._failure is not None and now < self._refused_until:
            raise self._held_back(self._failure, now)
        try:
            grant = await self._scheme.obtain(self._run, self._clock)
        except SdkError as error:
            raise self._failed(error) from error.__cause__
        self._failure = None
        self._refusal_pause = FIRST_REFUSAL
        self._held = Held(
            credential=grant.credential,
            detail=grant.detail,
            since=now,
            lifetime=grant.lifetime,
            renewal=renewal,
        )
        return self._held

    def _held_back(self, failure: SdkError, now: float) -> SdkError:
        """The refusal once more, for a call that has not asked again."""
        left, ago = self._refused_until - now, now - self._refused_at
        facts = attrs.evolve(failure.facts, attempts=0, renewals=0, waited=0.0, retry_after=math.ceil(left))
        return type(failure)(f"not sent; the login was refused {ago:.0f} s ago: {failure.message}", facts)

    def _failed(self, error: SdkError) -> SdkError:
        """Take it down, and return it as it is told: a refusal says for how long no login is tried."""
        self._failures += 1
        if _is_refusal(error):
            self._refused_at = self._clock.monotonic()
            self._refused_until = self._refused_at + self._refusal_pause
            error = renewed(error, retry_after=math.ceil(self._refusal_pause))
            self._refusal_pause = min(LONGEST_REFUSAL, self._refusal_pause * 2)
        self._failure = error
        return error


def _is_refusal(error: SdkError) -> bool:
    """Whether the service said no to the credentials, rather than that something failed on the way."""
    if error.status in _PASSING:
        return False
    return isinstance(error, ResponseError | DecodeError) and not isinstance(error, RateLimited | ServerError)
