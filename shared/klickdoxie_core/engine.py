"""The one loop that every call goes through: sign, send, judge, then pause, raise or decode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import anyio
import attrs
import cattrs

from klickdoxie_core.auth.lease import Held, Lease
from klickdoxie_core.call import Call, Effect, encoded
from klickdoxie_core.clock import Clock
from klickdoxie_core.convert import Undecodable, parse_json, structure
from klickdoxie_core.dialect import Dialect, Explained
from klickdoxie_core.errors import (
    ArgumentError,
    ConfigError,
    DeadlineExceeded,
    ReadOnlyError,
    SdkError,
)
from klickdoxie_core.home import Home
from klickdoxie_core.judge import Budget, Verdict, backoff, judge_failure, judge_status, judge_undecodable, retry_after
from klickdoxie_core.limiter import Limiter
from klickdoxie_core.observe import Announcer
from klickdoxie_core.options import Options
from klickdoxie_core.redact import mask, mask_payload
from klickdoxie_core.trip import Problem, Trip
from klickdoxie_core.wire.base import Failure, Request, Response, Wire, WireFailure

T = TypeVar("T")

_NO_BODY = frozenset({204, 205})
_MAY_ASK_TO_WAIT = frozenset({429, 503})


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
    clock: Clock
    home: Home

    async def run(self, call: Call[T], options: Options) -> T:
        """The call's result, or the error that says what happened."""
        trip = Trip(call=call, options=options, started=self.clock.monotonic())
        error: BaseException | None = None
        try:
            self._check(trip)
            return await self._travel(trip, self._request(trip))
        except BaseException as raised:
            error = raised
            raise
        finally:
            if self.announcer.listening():
                self.announcer.exchange(trip.exchange(error, self.clock.monotonic()))

    async def _travel(self, trip: Trip[T], request: Request) -> T:
        lease = self.leases[trip.call.auth] if trip.call.auth is not None else None
        held: Held[Any] | None = None
        while True:
            if lease is not None and held is None:
                held = await self._credential(trip, lease.get)
            await self._enter(trip)
            try:
                outcome = await self._attempt(trip, request, lease, held)
            finally:
                self.limiter.release()
            if isinstance(outcome, Response) and 200 <= outcome.status < 300:
                result = self._decode(trip, outcome)
            elif isinstance(outcome, Response):
                payload = _loose_payload(trip.shown(outcome.body))
                if lease is not None and held is not None and lease.refused(outcome.status, payload):
                    held, renewed_it = await self._renew(trip, lease, held)
                    if renewed_it:
                        continue
                result = self._refusal(trip, outcome, payload)
            else:
                result = self._failure(trip, outcome)
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
        headers = {**self.headers, **(call.headers or {})}
        try:
            url = call.target(self.base_url)
            body = encoded(call, headers)
        except UnicodeEncodeError:
            raise self._error(trip, ArgumentError, "a value holds characters that UTF-8 cannot carry") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise self._error(trip, ArgumentError, mask(str(error))) from None
        return Request(
            method=call.method,
            url=url,
            headers=headers,
            body=body,
            timeout=trip.options.timeout,
            max_body=call.max_body,
        )

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

    async def _enter(self, trip: Trip[Any]) -> None:
        if self.limiter.acquire_nowait():
            return
        before = self.clock.monotonic()
        with anyio.move_on_after(trip.time_left(before)):
            await self.limiter.acquire()
            trip.waited += self.clock.monotonic() - before
            return
        raise self._error(trip, DeadlineExceeded, "no time was left after waiting for the client's own limit")

    async def _attempt(
        self, trip: Trip[Any], request: Request, lease: Lease[Any] | None, held: Held[Any] | None
    ) -> Response | WireFailure:
        before = self.clock.monotonic()
        left = trip.time_left(before)
        if left <= 0:
            raise self._error(trip, DeadlineExceeded, "no time was left to send the request")
        headers = request.headers
        if lease is not None and held is not None:
            headers = {**headers, **lease.sign(held)}
        trip.signed = headers
        signed = attrs.evolve(request, headers=headers, timeout=min(request.timeout, left))
        trip.attempts += 1
        outcome: Response | WireFailure
        try:
            outcome = trip.last = await self.wire.send(signed)
        except WireFailure as failure:
            outcome, trip.last = failure, None
        if trip.call.stream is not None and not trip.call.stream.repeatable:
            trip.spent = isinstance(outcome, Response) or outcome.sent
        trip.status = outcome.status
        if self.announcer.listening():
            self.announcer.attempt(trip.attempt(outcome, self.clock.monotonic() - before))
        return outcome

    def _decode(self, trip: Trip[T], response: Response) -> T | Problem:
        call = trip.call
        if response.status in _NO_BODY and call.empty_ok:
            return cast("T", None)
        unreadable = judge_undecodable(call.effect, reread=call.reread)
        if response.status in _NO_BODY or response.status == 206:
            message = f"the service answered {response.status} where an answer was promised"
            return Problem(verdict=unreadable, message=message)
        try:
            payload = parse_json(response.body)
            if (explained := self.dialect.explain(call, response.status, payload)) is not None:
                payload = parse_json(trip.shown(response.body))
                explained = self.dialect.explain(call, response.status, payload) or explained
                return self._explained(trip, explained, payload)
            return structure(self.converter, payload, call.into)
        except Undecodable as error:
            message = f"{error.reason} (status {response.status})"
            return Problem(verdict=unreadable, message=message, paths=error.paths)

    def _refusal(self, trip: Trip[Any], response: Response, payload: object) -> Problem:
        explained = self.dialect.explain(trip.call, response.status, payload)
        if explained is not None and explained.final:
            return self._explained(trip, explained, payload)
        verdict = judge_status(response.status, trip.call.effect)
        message = _say_status(response.status) if explained is None else explained.message
        return Problem(verdict=verdict, message=message, explained=explained, payload=payload)

    def _explained(self, trip: Trip[Any], explained: Explained, payload: object) -> Problem:
        effect = trip.call.effect
        verdict = Verdict(
            error=explained.error,
            retry=explained.transient and effect is not Effect.ONCE,
            once=explained.transient,
            in_doubt=explained.in_doubt and effect is not Effect.SAFE,
        )
        return Problem(verdict=verdict, message=explained.message, explained=explained, payload=payload)

    def _failure(self, trip: Trip[Any], failure: WireFailure) -> Problem:
        effect = trip.call.effect
        if failure.status is not None and not 200 <= failure.status < 300:
            verdict = judge_status(failure.status, effect)
            return Problem(verdict=verdict, message=_say_status(failure.status))
        verdict = judge_failure(failure.failure, sent=failure.sent, effect=effect)
        if failure.failure is Failure.TIMEOUT and trip.time_left(self.clock.monotonic()) <= 0:
            verdict = attrs.evolve(verdict, error=DeadlineExceeded, retry=False)
        detail = f" ({failure.detail})" if failure.detail else ""
        return Problem(verdict=verdict, message=failure.failure.value + detail)

    def _succeeded(self, trip: Trip[Any], lease: Lease[Any] | None, held: Held[Any] | None) -> None:
        self.budget.succeeded(after_retry=trip.attempts > 1)
        if lease is not None and held is not None:
            lease.accepted(held, trip.call.template)

    def _done_already(self, trip: Trip[Any], problem: Problem) -> bool:
        """Whether the thing is gone because an earlier attempt of this very call did it."""
        trip.replayed = trip.in_doubt and issubclass(problem.verdict.error, trip.call.done_if)
        return trip.replayed

    async def _pause_or_raise(self, trip: Trip[Any], problem: Problem) -> None:
        verdict, retry = problem.verdict, trip.options.retry
        trip.in_doubt = trip.in_doubt or verdict.in_doubt
        asked = self._asked(trip)
        pause = max(asked or 0.0, backoff(retry, trip.attempts, self.clock))
        if trip.last is not None and trip.last.status in _MAY_ASK_TO_WAIT and (asked or trip.last.status == 429):
            # One caller was told to slow down: everybody does.
            self.limiter.pause(min(pause, retry.max_retry_after))
        stop = self._why_stop(trip, verdict, asked, pause)
        if stop is not None:
            raise self._problem(trip, problem, f"{problem.message}{stop}", asked)
        trip.transients += verdict.once
        trip.waited += pause
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
        trip.quota_empty = not self.budget.take()
        if trip.quota_empty:
            return "; not sent again because too many calls of this client are failing (retry budget empty)"
        return None

    def _asked(self, trip: Trip[Any]) -> float | None:
        response = trip.last
        if response is None or response.status not in _MAY_ASK_TO_WAIT:
            return None
        return retry_after(response.headers, self.clock)

    def _problem(self, trip: Trip[Any], problem: Problem, message: str, asked: float | None) -> SdkError:
        explained = problem.explained
        facts = attrs.evolve(
            trip.facts(),
            body=mask_payload(problem.payload),
            paths=problem.paths,
            retry_after=asked,
            code=explained.code if explained else None,
            subcode=explained.subcode if explained else None,
            details=explained.details if explained else {},
        )
        return self.dialect.own(problem.verdict.error)(message, facts)

    def _error(self, trip: Trip[Any], error: type[SdkError], message: str) -> SdkError:
        return self.dialect.own(error)(message, trip.facts())


def _loose_payload(body: bytes) -> object:
    """The body of an error in whatever form it comes: JSON, else text, else None."""
    if not body:
        return None
    try:
        return parse_json(body)
    except Undecodable:
        return body[:1000].decode("utf-8", "replace")


def _say_status(status: int) -> str:
    if 300 <= status < 400 and status != 304:
        return f"the service answered {status}; redirects are not followed"
    return f"the service answered {status}"
