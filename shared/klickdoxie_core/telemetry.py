"""OpenTelemetry: one span for each call of a client, and three metrics. Imported only where its API is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import attrs
from opentelemetry import context, metrics, trace

from klickdoxie_core.call import Call, Effect
from klickdoxie_core.observe import Attempt, Exchange
from klickdoxie_core.trip import Trip

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.util.types import AttributeValue

# https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and .../general/recording-errors/
_METHOD, _TEMPLATE, _STATUS = "http.request.method", "url.template", "http.response.status_code"
_RESENDS, _ERROR = "http.request.resend_count", "error.type"
_SERVER, _PORT = "server.address", "server.port"

_KNOWN_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_MOST_KINDS = 1000
# The convention for the durations of HTTP clients, and what the retries of a call may take beyond it. The default of
# the SDK is made for milliseconds.
_BOUNDARIES: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120)


@attrs.frozen(eq=False)
class _Kind:
    """What all calls of one operation have in common."""

    name: str
    attributes: Mapping[str, AttributeValue]


@attrs.frozen
class _Meters:
    duration: metrics.Histogram
    resends: metrics.Counter
    waits: metrics.Counter


class CallSpan:
    """The span of one call, and an observer of it. It is current inside of its `with` block, and ends with the call."""

    __slots__ = ("_context", "_span", "_token")
    _token: Token[context.Context]

    def __init__(self, span: trace.Span, effect: Effect) -> None:
        span.set_attribute("klickdoxie.effect", effect.value)
        self._span = span
        self._context = trace.set_span_in_context(span)

    def __enter__(self) -> Self:
        self._token = context.attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context.detach(self._token)

    def on_attempt(self, attempt: Attempt) -> None:
        """Add the attempt as an event."""
        told: dict[str, AttributeValue] = {
            "klickdoxie.attempt.number": attempt.number,
            "klickdoxie.attempt.duration": attempt.seconds,
        }
        if attempt.status is not None:
            told[_STATUS] = attempt.status
        if attempt.failure is not None:
            told["klickdoxie.attempt.failure"] = attempt.failure
        self._span.add_event("klickdoxie.attempt", told)

    def on_exchange(self, exchange: Exchange) -> None:
        """End the span."""
        self._span.set_attributes(_told_at_the_end(exchange))
        if exchange.error is not None:
            self._span.set_status(trace.StatusCode.ERROR, exchange.error)
        self._span.end()


class Telemetry:
    """What OpenTelemetry is told about one client's calls.

    A provider that is set later than the client was made is used from then on; without one, next to nothing is done.

    Args:
        product: How the client introduces itself in `User-Agent`.
        version: Its version there.
        base_url: Where its calls go.
        complain: Told of what OpenTelemetry raises, which goes no further.
    """

    def __init__(self, product: str, version: str, base_url: str, complain: Callable[[Exception], None]) -> None:
        self._product = product.removesuffix("-async")
        self._base_url = base_url
        self._complain = complain
        self._start_span = trace.get_tracer(product, version).start_span
        self._meters = _meters(metrics.get_meter_provider(), product, version)

    def begin(self, call: Call[Any]) -> CallSpan | None:
        """Start the span of a call; None where there is nobody to tell."""
        try:
            server = call.origin or self._base_url
            kind = _kind(self._product, server, call.operation, call.method, call.template)
            span = self._start_span(kind.name, None, trace.SpanKind.INTERNAL, kind.attributes)
            # Also one that was not sampled becomes current, so that the spans below it are not sampled either.
            return None if span is trace.INVALID_SPAN else CallSpan(span, call.effect)
        except Exception as error:  # noqa: BLE001 - what watches a call never breaks it
            self._complain(error)
            return None

    def measure(self, trip: Trip[Any], error: BaseException | None, now: float) -> None:
        """Count a call that has ended."""
        try:
            call, server = trip.call, trip.call.origin or self._base_url
            kind = _kind(self._product, server, call.operation, call.method, call.template)
            name = None if error is None else type(error).__name__
            self._meters.duration.record(now - trip.started, _outcome(kind, trip.status, name))
            if trip.attempts + trip.renewals > 1:
                self._meters.resends.add(trip.resends, kind.attributes)
            if trip.waited:
                self._meters.waits.add(trip.waited, kind.attributes)
        except Exception as fault:  # noqa: BLE001 - what watches a call never breaks it
            self._complain(fault)


@lru_cache(_MOST_KINDS)
def _kind(product: str, server: str, operation: str, method: str, template: str) -> _Kind:
    known = method in _KNOWN_METHODS
    parts = urlsplit(server)
    attributes: dict[str, AttributeValue] = {
        _METHOD: method if known else "_OTHER",
        _SERVER: parts.hostname or "",
        _PORT: parts.port or (443 if parts.scheme == "https" else 80),
    }
    name = method if known else "HTTP"
    if operation != f"{method} {template}":
        attributes |= {_TEMPLATE: template, "klickdoxie.operation": operation}
        name = operation
    # Else it is any path that somebody called: it may hold anything, and each one is another.
    return _Kind(f"{product} {name}", attributes)


@lru_cache(_MOST_KINDS)
def _outcome(kind: _Kind, status: int | None, error: str | None) -> Mapping[str, AttributeValue]:
    told = {_STATUS: status, _ERROR: error}
    return {**kind.attributes, **{name: value for name, value in told.items() if value is not None}}


@cache
def _meters(provider: metrics.MeterProvider, product: str, version: str) -> _Meters:
    # Once for all clients: a provider keeps what it has made for ever.
    meter = provider.get_meter(product, version)
    return _Meters(
        duration=_histogram(meter),
        resends=meter.create_counter(
            "klickdoxie.client.resends", "{request}", "Requests that were sent again, for whatever reason."
        ),
        waits=meter.create_counter(
            "klickdoxie.client.wait.time", "s", "Time spent in pauses and in waiting for the client's own limit."
        ),
    )


def _histogram(meter: metrics.Meter) -> metrics.Histogram:
    name, description = "klickdoxie.client.operation.duration", "Duration of calls, with all their attempts and pauses."
    try:
        return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=_BOUNDARIES)
    except TypeError:
        # Before 1.30 of the API there was no such advice.
        return meter.create_histogram(name, "s", description)


def _told_at_the_end(exchange: Exchange) -> dict[str, AttributeValue]:
    told: dict[str, AttributeValue | None] = {
        _STATUS: exchange.status,
        _RESENDS: exchange.resends or None,
        _ERROR: exchange.error,
        "klickdoxie.renewals": exchange.renewals or None,
        "klickdoxie.wait.duration": exchange.waited or None,
        "klickdoxie.replayed": exchange.replayed or None,
        "klickdoxie.maybe_applied": exchange.maybe_applied or None,
    }
    return {name: value for name, value in told.items() if value is not None}
