"""The one loop that every call goes through: sign, send, judge, then pause, raise or decode."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import anyio
import attrs
import cattrs

from klickdoxie_core.auth.lease import Held, Lease
from klickdoxie_core.call import Call, Effect, Reader, checked_headers, encoded
from klickdoxie_core.clock import Clock
from klickdoxie_core.convert import Undecodable, parse_json, structure
from klickdoxie_core.dialect import Dialect
from klickdoxie_core.errors import (
    ArgumentError,
    ConfigError,
    DeadlineExceeded,
    DecodeError,
    RateLimited,
    ReadOnlyError,
    Redirected,
    SdkError,
)
from klickdoxie_core.home import Home
from klickdoxie_core.incoming import Incoming
from klickdoxie_core.judge import Budget, Verdict, backoff, judge_failure, judge_status, judge_undecodable
from klickdoxie_core.limiter import Limiter, LongPause
from klickdoxie_core.observe import Announcer
from klickdoxie_core.options import Options
from klickdoxie_core.redact import mask
from klickdoxie_core.trip import Problem, Trip, explained_verdict, say_failure, say_page, say_status, say_target
from klickdoxie_core.wire.base import Failure, Opened, Request, Response, Wire, WireFailure

if TYPE_CHECKING:
    from klickdoxie_core.telemetry import Telemetry

T = TypeVar("T")

P = TypeVar("P")
_Send: TypeAlias = "Callable[[Request], Awaitable[Response | Opened]]"

_NO_BODY = frozenset({204, 205})
_WITHOUT_ANSWER = _NO_BODY | {206}
_NO_SPAN = contextlib.nullcontext()


@attrs.define(eq=False, kw_only=True)
class Engine:
    """Runs calls. One engine serves a client and all its views."""

    base_url: str
    headers: Mapping[str, str]
    read_only: bool
    wire: Wire
    converter: cattrs.Converter
    dialect: Dialect
    leases: Mapping[str, Lease[Any]]
    missing: Mapping[str, str]
    limiter: Limiter
    budget: Budget
    announcer: Announcer
    telemetry: Telemetry | None
    clock: Clock
    home: Home

    async def run(self, call: Call[T], options: Options) -> T:
        """The call's result, or the error that says what happened."""
        span = self.telemetry.begin(call) if self.telemetry is not None else None
        trip = Trip(call=call, options=options, started=self.clock.monotonic(), companion=span)
        with span or _NO_SPAN:
            result = await self._set_out(trip, self.wire.send)
            self._announce(trip, None)
            return cast("T", result)

    @contextlib.asynccontextmanager
    async def stream(self, call: Call[T], options: Options, reader: Reader[P]) -> AsyncGenerator[Incoming[P, T]]:
        """The call's answer while it comes in. It is sent again until it is answered, and not any more after that.

        The limiter counts the asking and not the reading, so that whoever reads may make calls with what is read.
        """
        span = self.telemetry.begin(call) if self.telemetry is not None else None
        trip = Trip(call=call, options=options, started=self.clock.monotonic(), companion=span)
        # The span stays open, but what is done with the answer is not a part of this call.
        with span or _NO_SPAN:
            opened = await self._set_out(trip, self.wire.open)
        if not isinstance(opened, Opened):
            said = f"the service answered {trip.status} where an answer to read was promised"
            error = self._error(trip, DecodeError, said)
            self._announce(trip, error)
            raise error
        incoming = Incoming(
            opened,
            reader,
            timeout=options.timeout,
            explain=partial(self._broken_off, trip),
            end=partial(self._rest, trip),
        )
        try:
            async with contextlib.aclosing(opened):
                yield incoming
        finally:
            self._announce(trip, incoming.error)

    async def _set_out(self, trip: Trip[T], send: _Send) -> T | Opened:
        try:
            self._check(trip)
            return await self._travel(trip, self._request(trip), send)
        except BaseException as error:
            self._announce(trip, error)
            raise

    def _announce(self, trip: Trip[Any], error: BaseException | None) -> None:
        now = self.clock.monotonic()
        if self.telemetry is not None:
            self.telemetry.measure(trip, error, now)
        if trip.companion is not None or self.announcer.listening():
            self.announcer.exchange(trip.exchange(error, now), trip.companion)

    async def _travel(self, trip: Trip[T], request: Request, send: _Send) -> T | Opened:
        lease = self.leases[trip.call.auth] if trip.call.auth is not None else None
        held: Held[Any] | None = None
        while True:
            if lease is not None and held is None:
                held = lease.usable() or await self._credential(trip, lease.get)
            if not self.limiter.acquire_nowait():
                await self._queue(trip)
            try:
                outcome = await self._attempt(trip, request, lease, held, send)
            finally:
                self.limiter.release()
            if isinstance(outcome, Response) and not 200 <= outcome.status < 300:
                payload = trip.payload(outcome.body)
                if lease is not None and held is not None and lease.refused(outcome.status, payload):
                    held, renewed_it = await self._renew(trip, lease, held)
                    if renewed_it:
                        continue
                result: T | Opened | Problem = self._refusal(trip, outcome, payload)
            else:
                result = self._result(trip, outcome)
            if not isinstance(result, Problem):
                self._succeeded(trip, lease, held)
                return result
            if self._done_already(trip, result):
                return cast("T", None)
            await self._pause_or_raise(trip, result)
            held = None

    def _check(self, trip: Trip[Any]) -> None:
        call = trip.call
        if (said := self.home.stranger()) is not None:
            raise self._error(trip, ConfigError, said)
        if self.read_only and call.effect is not Effect.SAFE:
            raise self._error(trip, ReadOnlyError, "this client only reads; nothing was sent")
        if call.auth is not None and call.auth not in self.leases:
            raise self._error(trip, ConfigError, self.missing.get(call.auth, f"no credential named {call.auth!r}"))

    def _request(self, trip: Trip[Any]) -> Request:
        call = trip.call
        try:
            headers = {**self.headers, **checked_headers("headers", call.headers or {})}
            url = call.target(self.base_url)
            body = encoded(call, headers)
            return Request(
                method=call.method,
                url=url,
                headers=headers,
                body=body,
                timeout=trip.options.timeout,
                max_body=call.max_body,
            )
        except UnicodeEncodeError:
            said = "a value holds characters that UTF-8 cannot carry"
        except (ValueError, TypeError, RecursionError) as error:
            said = mask(str(error))
        # Out here it has no context, which would hold the value, and which some who pickle errors take along.
        raise self._error(trip, ArgumentError, said)

    async def _credential(self, trip: Trip[Any], get: Callable[[], Any]) -> Held[Any]:
        with anyio.move_on_after(trip.time_left(self.clock.monotonic())):
            try:
                return cast("Held[Any]", await get())
            except SdkError as error:
                facts = attrs.evolve(
                    error.facts,
                    effect=trip.call.effect,
                    maybe_applied=trip.in_doubt,
                    attempts=max(trip.attempts, error.attempts),
                    renewals=trip.renewals,
                )
                raise self.dialect.own(type(error))(error.message, facts) from None
        raise self._error(trip, DeadlineExceeded, "no time was left after waiting for a login or a token")

    async def _renew(self, trip: Trip[Any], lease: Lease[Any], held: Held[Any]) -> tuple[Held[Any], bool]:
        place = trip.call.template
        if trip.renewals:
            lease.forbidden(place)
            return held, False
        if not lease.worth_renewing(held, place):
            return held, False
        fresh = await self._credential(trip, lambda: lease.renew(held))
        if trip.spent:
            # It serves the calls to come.
            return fresh, False
        trip.renewals += 1
        # The replay is part of the attempt that was refused.
        trip.attempts -= 1
        return fresh, True

    async def _queue(self, trip: Trip[Any]) -> None:
        before = self.clock.monotonic()
        with anyio.move_on_after(trip.time_left(before)):
            try:
                deadline = trip.started + trip.options.deadline
                await self.limiter.acquire(deadline, patience=trip.options.retry.max_retry_after)
            except LongPause as pause:
                facts = attrs.evolve(trip.facts(), retry_after=pause.left)
                raise self.dialect.own(RateLimited)(str(pause), facts) from None
            trip.waited += self.clock.monotonic() - before
            return
        raise self._error(trip, DeadlineExceeded, f"no time was left after waiting for {self.limiter.bottleneck}")

    async def _attempt(
        self, trip: Trip[Any], request: Request, lease: Lease[Any] | None, held: Held[Any] | None, send: _Send
    ) -> Response | Opened | WireFailure:
        before = self.clock.monotonic()
        left = trip.time_left(before)
        if left <= 0:
            raise self._error(trip, DeadlineExceeded, "no time was left to send the request")
        trip.signed = request.headers if lease is None or held is None else self._signed(trip, request, lease, held)
        # One after the other, since a copy by name takes three times as long.
        signed = Request(
            method=request.method,
            url=request.url,
            headers=trip.signed,
            body=request.body,
            timeout=min(request.timeout, left),
            max_body=request.max_body,
            sink=trip.collector(),
        )
        trip.attempts += 1
        outcome: Response | Opened | WireFailure
        try:
            outcome = trip.last = await send(signed)
        except WireFailure as failure:
            outcome, trip.last = failure, None
        if trip.call.stream is not None and not trip.call.stream.repeatable:
            trip.spent = not isinstance(outcome, WireFailure) or outcome.sent
        trip.status = outcome.status
        if trip.companion is not None or self.announcer.listening():
            self.announcer.attempt(trip.attempt(outcome, self.clock.monotonic() - before), trip.companion)
        return outcome

    def _signed(self, trip: Trip[Any], request: Request, lease: Lease[Any], held: Held[Any]) -> Mapping[str, str]:
        try:
            return {**request.headers, **checked_headers("what the credential's sign() returns", lease.sign(held))}
        except ValueError as error:
            said = str(error)
        raise self._error(trip, ConfigError, said)

    def _result(self, trip: Trip[T], outcome: Response | Opened | WireFailure) -> T | Opened | Problem:
        if isinstance(outcome, Response):
            return self._decode(trip, outcome)
        return outcome if isinstance(outcome, Opened) else self._failure(trip, outcome)

    def _decode(self, trip: Trip[T], response: Response) -> T | Problem:
        call, status = trip.call, response.status
        if status in _NO_BODY and call.empty_ok:
            return cast("T", None)
        if status in _WITHOUT_ANSWER:
            return self._unreadable(trip, Undecodable(f"the service answered {status} where an answer was promised"))
        try:
            collected = trip.collected
            payload = parse_json(response.body) if collected is None else collected.finish()
            return self._understood(trip, status, payload)
        except Undecodable as fault:
            return self._unreadable(trip, fault)

    def _understood(self, trip: Trip[T], status: int, payload: object) -> T | Problem:
        """What an answer with status 2xx says; raises `Undecodable` where it is not what was promised."""
        call = trip.call
        if (explained := self.dialect.explain(call, status, payload)) is None:
            return structure(self.converter, payload, call.into)
        payload = parse_json(trip.shown(json.dumps(payload).encode()))
        explained = self.dialect.explain(call, status, payload) or explained
        verdict = explained_verdict(explained, None, call.effect)
        return Problem(verdict=verdict, message=explained.message, explained=explained, payload=payload)

    def _unreadable(self, trip: Trip[Any], fault: Undecodable) -> Problem:
        verdict = judge_undecodable(trip.call.effect, reread=trip.call.reread)
        return Problem(verdict=verdict, message=f"{fault.reason} (status {trip.status})", paths=fault.paths)

    def _broken_off(self, trip: Trip[Any], failure: WireFailure | Undecodable) -> SdkError:
        """The error that ends a stream, whose first part somebody has already."""
        if isinstance(failure, Undecodable):
            return self._final(trip, self._unreadable(trip, failure))
        return self._final(trip, self._failure(trip, failure), "; what had come before was given out")

    def _rest(self, trip: Trip[T], payload: object) -> T:
        try:
            result = self._understood(trip, 200, payload)
        except Undecodable as fault:
            result = self._unreadable(trip, fault)
        if isinstance(result, Problem):
            raise self._final(trip, result)
        return result

    def _final(self, trip: Trip[Any], problem: Problem, more: str = "") -> SdkError:
        trip.in_doubt = trip.in_doubt or problem.verdict.in_doubt
        return self._problem(trip, problem, problem.message + more, None)

    def _refusal(self, trip: Trip[Any], response: Response, payload: object) -> Problem:
        explained = self.dialect.explain(trip.call, response.status, payload)
        verdict = judge_status(response.status, trip.call.effect)
        to = say_target(trip.call.target(self.base_url), response.headers) if verdict.error is Redirected else ""
        if explained is None:
            message = say_status(response.status) + say_page(response.status, payload) + to
        else:
            message, verdict = explained.message + to, explained_verdict(explained, verdict, trip.call.effect)
        return Problem(verdict=verdict, message=message, explained=explained, payload=payload)

    def _failure(self, trip: Trip[Any], failure: WireFailure) -> Problem:
        effect = trip.call.effect
        if failure.status is not None and not 200 <= failure.status < 300:
            verdict = judge_status(failure.status, effect)
            return Problem(verdict=verdict, message=say_status(failure.status))
        verdict = judge_failure(failure.failure, sent=failure.sent, effect=effect)
        deadline: float | None = None
        if failure.failure is Failure.TIMEOUT and trip.time_left(self.clock.monotonic()) <= 0:
            verdict, deadline = attrs.evolve(verdict, error=DeadlineExceeded, retry=False), trip.options.deadline
        return Problem(verdict=verdict, message=say_failure(failure, trip.call.target(self.base_url), deadline))

    def _succeeded(self, trip: Trip[Any], lease: Lease[Any] | None, held: Held[Any] | None) -> None:
        self.budget.succeeded(after_retry=trip.paid)
        if lease is not None and held is not None:
            lease.accepted(held, trip.call.template)

    def _done_already(self, trip: Trip[Any], problem: Problem) -> bool:
        """Whether the thing is gone because an earlier attempt of this very call did it."""
        trip.replayed = trip.in_doubt and issubclass(problem.verdict.error, trip.call.done_if)
        return trip.replayed

    async def _pause_or_raise(self, trip: Trip[Any], problem: Problem) -> None:
        verdict, retry = problem.verdict, trip.options.retry
        trip.in_doubt = trip.in_doubt or verdict.in_doubt
        asked = trip.asked_to_wait(self.clock)
        pause = max(asked or 0.0, backoff(retry, trip.attempts, self.clock))
        if trip.last is not None and (asked or trip.last.status == 429):
            # One caller was told to slow down: everybody does, for as long as was asked.
            self.limiter.pause(max(asked or 0.0, min(pause, retry.max_retry_after)))
        stop = self._why_stop(trip, verdict, asked, pause)
        if stop is not None:
            raise self._problem(trip, problem, f"{problem.message}{stop}", asked)
        trip.transients += verdict.once
        trip.waited += pause
        self.announcer.retrying(trip.call, trip.status or verdict.error.__name__, trip.attempts, pause)
        await self.clock.sleep(pause)

    def _why_stop(self, trip: Trip[Any], verdict: Verdict, asked: float | None, pause: float) -> str | None:
        """Why the call is not sent again, as the end of a sentence; None when it is."""
        retry = trip.options.retry
        if not verdict.retry or (verdict.once and trip.transients) or trip.attempts >= retry.attempts:
            return ""
        if trip.spent:
            return "; not sent again because its body can be read only once"
        if asked is not None and asked > retry.max_retry_after:
            return f"; that is longer than the {retry.max_retry_after:g} s that this client would wait"
        if pause >= trip.time_left(self.clock.monotonic()):
            return "; no time was left for another attempt"
        # Being asked to slow down is no failure of the service.
        if trip.status != 429 and not trip.pay(self.budget):
            return "; not sent again because too many calls of this client are failing (retry budget empty)"
        return None

    def _problem(self, trip: Trip[Any], problem: Problem, message: str, asked: float | None) -> SdkError:
        return self.dialect.own(problem.verdict.error)(message, problem.facts(trip.facts(), asked))

    def _error(self, trip: Trip[Any], error: type[SdkError], message: str) -> SdkError:
        return self.dialect.own(error)(message, trip.facts())
