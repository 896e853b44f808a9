"""Watching calls: observers for telemetry, `recording()` for the raw exchange of a single call, a quiet logger."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import attrs

from klickdoxie_core.call import Call

logger = logging.getLogger("klickdoxie_core")


@attrs.frozen(kw_only=True)
class Attempt:
    """One request on the wire.

    Attributes:
        number: Which attempt of its call it was, from 1; a replay after a renewal has the number of the attempt before.
        status: The answer's HTTP status; None without a usable answer.
        failure: What went wrong on the way; None with an answer.
        seconds: From the first byte sent to the last one received.
    """

    operation: str
    method: str
    template: str
    number: int
    status: int | None = None
    failure: str | None = None
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class Exchange:
    """One call from beginning to end.

    Attributes:
        status: The HTTP status of the last answer; None when there was none.
        headers: The last answer's headers but for those that may carry a credential; names in lower case.
        attempts: How often it was sent or tried, renewals apart.
        renewals: How often it was sent once more after a login or a token renewal.
        waited: Seconds spent in pauses.
        seconds: The whole call.
        error: The name of the error's class; None for success.
        replayed: The answer said "gone already", and an earlier attempt of this call is why.
        maybe_applied: It failed, and something may have happened at the service all the same.
    """

    operation: str
    method: str
    template: str
    status: int | None
    headers: Mapping[str, str] = attrs.field(repr=False)
    attempts: int
    renewals: int
    waited: float
    seconds: float
    error: str | None = None
    replayed: bool = False
    maybe_applied: bool = False

    @property
    def resends(self) -> int:
        """How often the request was sent once more, for whatever reason: a retry or a renewal."""
        return max(0, self.attempts + self.renewals - 1)


class Observer(Protocol):
    """Told of each attempt and each call, as values. Must be quick: it runs between two requests.

    What it raises is logged once and goes no further.
    """

    def on_attempt(self, attempt: Attempt) -> None:
        """One request was answered or failed."""

    def on_exchange(self, exchange: Exchange) -> None:
        """A call ended."""


class Recording:
    """What was exchanged while it was open."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.attempts: list[Attempt] = []

    @property
    def last(self) -> Exchange:
        """The call that ended last; raises LookupError when there was none."""
        if not self.exchanges:
            raise LookupError("nothing was exchanged while recording")
        return self.exchanges[-1]

    def on_attempt(self, attempt: Attempt) -> None:
        """Keep an attempt."""
        self.attempts.append(attempt)

    def on_exchange(self, exchange: Exchange) -> None:
        """Keep a call."""
        self.exchanges.append(exchange)


_recordings: ContextVar[tuple[Recording, ...]] = ContextVar("klickdoxie_recordings", default=())


@contextmanager
def recording() -> Generator[Recording]:
    """Record the calls made inside the block, in this task and in those it starts.

    Yields a `Recording`: `seen.last.status`, `.headers`, `.attempts`, `.renewals` of the call that ended last.
    """
    seen = Recording()
    token = _recordings.set((*_recordings.get(), seen))
    try:
        yield seen
    finally:
        _recordings.reset(token)


class Announcer:
    """Tells observers, recordings and the log; costs next to nothing when nobody listens."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self._complained = False

    def listening(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._observers or _recordings.get()) or logger.isEnabledFor(logging.DEBUG)

    def attempt(self, attempt: Attempt, companion: Observer | None = None) -> None:
        """Tell of one request; the companion watches this call alone."""
        logger.debug(
            "%s %s attempt %d: %s in %.3f s",
            attempt.method,
            attempt.template,
            attempt.number,
            attempt.status or attempt.failure,
            attempt.seconds,
            extra={"operation": attempt.operation, "status": attempt.status},
        )
        for listener in self._listeners(companion):
            try:
                listener.on_attempt(attempt)
            except Exception as error:  # noqa: BLE001 - an observer never breaks the call that it watches
                self.complain(error)

    def retrying(self, call: Call[Any], outcome: int | str, attempt: int, pause: float) -> None:
        """Log that a call is sent again after so many seconds, and what its last attempt came to."""
        logger.info(
            "retrying in %.3g s: %s %s %s, attempt %d",
            pause,
            call.method,
            call.template,
            outcome,
            attempt,
            extra={"operation": call.operation},
        )

    def exchange(self, exchange: Exchange, companion: Observer | None = None) -> None:
        """Tell of one call; the companion watches it alone."""
        for listener in self._listeners(companion):
            try:
                listener.on_exchange(exchange)
            except Exception as error:  # noqa: BLE001 - an observer never breaks the call that it watches
                self.complain(error)

    def _listeners(self, companion: Observer | None) -> tuple[Observer, ...]:
        everybody = (*self._observers, *_recordings.get())
        # Last, so that the others still find the span of the call open.
        return everybody if companion is None else (*everybody, companion)

    def complain(self, error: Exception) -> None:
        """Log that something which watches has failed, once."""
        if not self._complained:
            self._complained = True
            # Without the traceback: its frames may hold what the observer was told about.
            logger.warning("an observer failed (%s); further failures are not logged", type(error).__name__)
