"""One credential for all calls: obtained once, renewed once for all, never hammered for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from klickdoxie_core import Call, Clock, Effect, Grant, Limit, Scheme, recording
from klickdoxie_core.auth.scheme import Run
from klickdoxie_core.call import Stream
from klickdoxie_core.errors import (
    ConfigError,
    ConnectFailed,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    Interrupted,
    NotFound,
    RateLimited,
    ResponseError,
    SdkError,
    ServerError,
    Unauthorized,
)
from klickdoxie_core.wire.base import Request
from tests.core.support import (
    CANCELLATIONS,
    Client,
    ScriptedWire,
    Step,
    a_call,
    answer,
    cancelled_while_waiting,
    failure_of,
    gathered,
    hung,
    lost,
    settle,
    unsent,
)

pytestmark = pytest.mark.anyio

LOGIN: Call[dict[str, Any]] = a_call(
    operation="Login", method="POST", template="/login", into=dict[str, object], reread=False
)


@attrs.frozen
class Key(Scheme[str]):
    """Logs in for a key that goes into a header; 401 and 403 may mean that it is out of date."""

    async def obtain(self, run: Run, clock: Clock) -> Grant[str]:
        """Log in."""
        given = await run(LOGIN)
        return Grant(credential=str(given["key"]), lifetime=given.get("lifetime"), detail=given)

    def sign(self, credential: str) -> Mapping[str, str]:
        """The header."""
        return {"x-key": credential}

    def refused(self, status: int, payload: object) -> bool:
        """Whether another key may help."""
        return status in {401, 403}

    async def release(self, run: Run, credential: str) -> None:
        """Log out."""
        await run(a_call(Effect.SAFE, operation="Logout", template="/logout", headers=self.sign(credential)))


class Service(ScriptedWire):
    """A service with keys; every login makes the only one that is valid."""

    def __init__(self, *logins: Step, lifetime: float | None = None, forbidden: tuple[str, ...] = ()) -> None:
        super().__init__(self._respond)
        self.failing = list(logins)
        self.lifetime = lifetime
        self.forbidden = forbidden
        self.logins = 0
        self.valid = "none"
        self.seen: list[str] = []
        self.turns = 3

    async def _respond(self, request: Request) -> Step:
        await settle(self.turns)
        if request.url.endswith("/login"):
            self.logins += 1
            if self.failing:
                return self.failing.pop(0)
            self.valid = f"key-{self.logins}"
            return answer(200, {"key": self.valid} | ({"lifetime": self.lifetime} if self.lifetime else {}))
        key = request.headers["x-key"]
        self.seen.append(key)
        if key != self.valid or request.url.endswith(self.forbidden or "\n"):
            return answer(403)
        return answer()

    def client(self, **options: Any) -> Client:
        """A client of the service."""
        return Client(self, {"account": Key()}, **options)


THING: Call[Any] = a_call(auth="account")


def at(place: str) -> Call[Any]:
    """A call at another place."""
    return a_call(auth="account", template=place)


async def test_the_first_login_serves_all() -> None:
    """Fifty calls at once log in once."""
    service = Service()
    client = service.client()
    results = await gathered(lambda _: client.run(THING), 50)
    assert results == [{"ok": True}] * 50
    assert service.logins == 1


async def test_a_dead_session_is_renewed_once_for_all() -> None:
    """A session that ends under fifty calls costs one more login, and no call notices."""
    service = Service()
    client = service.client()
    await client.run(THING)
    service.valid = "none"
    results = await gathered(lambda _: client.run(THING), 50)
    assert results == [{"ok": True}] * 50
    assert service.logins == 2


async def test_a_late_refusal_is_compared_before_renewing() -> None:
    """A refusal of the session before the current one is no reason for another login."""
    service = Service()
    client = service.client()
    await client.run(THING)
    service.valid = "none"
    results: list[object] = []

    async def call(turns: int) -> None:
        service.turns = turns
        results.append(await client.run(THING))

    async with anyio.create_task_group() as group:
        for turns in (3, 30, 60, 90):
            group.start_soon(call, turns)
            await settle(2)
    assert results == [{"ok": True}] * 4
    assert service.seen.count("key-1") == 5
    assert service.logins == 2


@pytest.mark.parametrize("effect", Effect)
async def test_a_renewal_is_no_attempt(effect: Effect) -> None:
    """Attempts and renewals are two numbers, also for a call that must not be repeated."""
    service = Service()
    client = service.client()
    await client.run(THING)
    service.valid = "none"
    with recording() as seen:
        await client.run(a_call(effect, auth="account"))
    assert (seen.last.attempts, seen.last.renewals, seen.last.waited) == (1, 1, 0.0)
    assert "key-2" not in repr(await client.lease().get())
    assert [attempt.number for attempt in seen.attempts if attempt.operation == "Do Thing"] == [1, 1]


async def test_a_call_renews_once_at_the_most() -> None:
    """The second refusal ends the call, whatever its attempts."""
    service = Service(forbidden=("/thing",))
    caught = await failure_of(service.client().run(THING))
    assert (type(caught), caught.attempts, caught.renewals) == (Forbidden, 1, 1)
    assert service.seen == ["key-1", "key-2"]


async def test_a_body_that_is_spent_is_not_replayed() -> None:
    """The call ends with the refusal, and the next one finds the session renewed."""

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    service = Service()
    client = service.client()
    await client.run(THING)
    service.valid = "none"
    stream = Stream(open=nothing, content_type="text/csv", repeatable=False)
    caught = await failure_of(client.run(a_call(Effect.REPEATABLE, auth="account", stream=stream)))
    assert (type(caught), caught.attempts, caught.renewals) == (Forbidden, 1, 0)
    assert (service.seen, service.logins) == (["key-1", "key-1"], 2)


@pytest.mark.parametrize("together", [True, False])
async def test_forbidden_for_good_is_no_dead_session(together: bool) -> None:
    """Twenty refusals at one place cost three logins at the most."""
    service = Service(forbidden=("/thing",))
    client = service.client()
    if together:
        errors = await gathered(lambda _: client.run(THING), 20)
    else:
        errors = [await failure_of(client.run(THING)) for _ in range(20)]
    assert {type(error) for error in errors} == {Forbidden}
    assert service.logins <= 3


async def test_a_forbidden_place_is_remembered_for_a_minute() -> None:
    """Within a minute the place costs no login, after it one more."""
    service = Service(forbidden=("/admin",))
    client = service.client()
    await client.run(THING)
    for seconds, logins in ((0, 2), (59.5, 2), (0.5, 3), (59.5, 3)):
        client.time.time += seconds
        await client.run(THING)
        assert type(await failure_of(client.run(at("/admin")))) is Forbidden
        assert service.logins == logins


async def test_a_success_ends_the_memory_of_a_forbidden_place() -> None:
    """A place that has worked since may lose its session like any other."""
    service = Service(forbidden=("/admin",))
    client = service.client()
    await failure_of(client.run(at("/admin")))
    service.forbidden = ()
    await client.run(at("/admin"))
    service.valid = "none"
    await client.run(at("/admin"))
    assert service.logins == 3


async def test_a_fresh_credential_that_was_refused_is_remembered_at_that_place() -> None:
    """It grows older than the shortest age, and the place says no for a minute all the same."""
    client = Service().client()
    lease, place = client.lease(), "/admin"
    held = await lease.renew(await lease.get())
    for seconds, worth in ((5, False), (10, False), (49.5, False), (0.5, True)):
        client.time.time += seconds
        assert lease.worth_renewing(held, place) is worth


async def test_a_credential_that_was_replaced_is_worth_its_successor() -> None:
    """A late refusal of the old one says nothing about the new one, even where that was refused."""
    lease = Service().client().lease()
    old = await lease.get()
    new = await lease.renew(old)
    lease.forbidden("/admin")
    assert [lease.worth_renewing(held, "/admin") for held in (old, new)] == [True, False]


async def test_forbidden_places_are_not_remembered_without_end() -> None:
    """Paths that anybody calls may be many; the oldest is forgotten first."""
    lease = Service().client().lease()
    held = await lease.get()
    for number in range(1001):
        lease.forbidden(f"/thing/{number}")
    assert [lease.worth_renewing(held, f"/thing/{number}") for number in (0, 1, 1000)] == [True, False, False]


async def test_places_where_it_worked_are_not_remembered_without_end() -> None:
    """Raw calls have a place each; a client that runs for months must not grow with them."""
    lease = Service().client().lease()
    held = await lease.get()
    for number in range(1001):
        lease.accepted(held, f"/thing/{number}")
    assert held.places == {f"/thing/{number}" for number in range(1000)}


@pytest.mark.parametrize(("age", "logins"), [(9.9, 2), (10.0, 3)])
async def test_a_fresh_credential_that_never_worked_is_not_replaced(age: float, logins: int) -> None:
    """A refusal of a credential that was just renewed is about what it permits."""
    service = Service(forbidden=("/thing", "/other"))
    client = service.client()
    await failure_of(client.run(THING))
    client.time.time += age
    assert type(await failure_of(client.run(at("/other")))) is Forbidden
    assert service.logins == logins


@CANCELLATIONS
async def test_a_cancelled_leader_leaves_the_others_alone(native: bool) -> None:
    """When the call that logs in is cancelled, the next one in the queue takes over."""
    service = Service()
    client = service.client()
    gate = anyio.Event()
    real = service._respond

    async def slow(request: Request) -> Step:
        if request.url.endswith("/login") and not gate.is_set():
            gate.set()
            await anyio.sleep_forever()
        return await real(request)

    service._steps[:] = [slow]
    results: list[object] = []

    async def other() -> None:
        results.append(await client.run(THING))

    async with anyio.create_task_group() as group:

        async def leader() -> None:
            for _ in range(9):
                group.start_soon(other)
            await client.run(THING)

        await cancelled_while_waiting(leader, native=native)
    assert results == [{"ok": True}] * 9
    assert service.logins == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("point", range(0, 60, 4))
async def test_a_native_cancellation_at_any_point_loses_nothing(point: int) -> None:
    """Whenever calls are cancelled, no slot, no lock and no login is lost: all others and later ones succeed."""
    service = Service(lifetime=100)
    client = service.client(limit=Limit(concurrency=2))
    calls = [asyncio.ensure_future(client.run(THING)) for _ in range(6)]
    await settle(point)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert results[1::2] == [{"ok": True}] * 3
    client.time.time += 100
    assert await gathered(lambda _: client.run(THING), 10) == [{"ok": True}] * 10
    assert service.under_way == 0
    assert [client.engine.limiter.acquire_nowait() for _ in range(3)] == [True, True, False]


REFUSALS: list[tuple[Step, type[SdkError]]] = [
    (answer(401), Unauthorized),
    (answer(403, ["Wrong username or password."]), Forbidden),
    (answer(404), NotFound),
    (answer(200, b"<html>"), DecodeError),
    (answer(200, []), DecodeError),
]


@pytest.mark.parametrize(("step", "error"), REFUSALS)
async def test_a_wrong_password_is_tried_once(step: Step, error: type[SdkError]) -> None:
    """Fifty calls and five more make one login and no call, and all get the same class."""
    service = Service(*[step] * 3)
    client = service.client()
    errors = await gathered(lambda _: client.run(THING), 50)
    errors += await gathered(lambda _: client.run(THING), 5)
    assert {type(caught) for caught in errors} == {error}
    assert len({id(caught) for caught in errors}) == 55
    assert service.logins == 1
    assert service.seen == []


async def test_a_refused_login_is_not_tried_again_for_longer_and_longer() -> None:
    """A minute, then twice as long each time, up to an hour; a success starts anew."""
    service = Service(*(answer(401) for _ in range(9)))
    client = service.client()
    for number, pause in enumerate([60, 120, 240, 480, 960, 1920, 3600, 3600], start=1):
        assert type(await failure_of(client.run(THING))) is Unauthorized
        assert service.logins == number
        client.time.time += pause - 1
        assert type(await failure_of(client.run(THING))) is Unauthorized
        assert service.logins == number
        client.time.time += 1
    service.failing.clear()
    await client.run(THING)
    service.valid, service.failing = "none", [answer(401)]
    await failure_of(client.run(THING))
    client.time.time += 60
    await client.run(THING)


async def test_a_cached_refusal_is_about_the_call_that_gets_it() -> None:
    """The error names the login and says of the call itself that nothing was sent."""
    client = Service(answer(401)).client()
    for _ in range(2):
        caught = await failure_of(client.run(a_call(Effect.ONCE, auth="account")))
        assert (caught.operation, caught.facts.effect, caught.maybe_applied) == ("Login", Effect.ONCE, False)
        assert "nothing was changed at the service" in str(caught)


async def test_what_a_refusal_holds_back_was_not_sent() -> None:
    """The error says so, counts no attempt, and tells when the next login may be tried."""
    client = Service(answer(401)).client()
    first = await failure_of(client.run(THING))
    assert (first.attempts, first.retry_after) == (1, 60)
    client.time.time += 11.5
    caught = await failure_of(client.run(THING))
    assert (type(caught), caught.status, caught.attempts, caught.retry_after) == (Unauthorized, 401, 0, 49)
    assert str(caught) == (
        "POST /login (Login): not sent; the login was refused 12 s ago: the service answered 401; try again in 49 s"
    )


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (unsent, ConnectFailed),
        (lost, Interrupted),
        (hung, Interrupted),
        (lambda: answer(500), ServerError),
        (lambda: answer(503), ServerError),
        (lambda: answer(429), RateLimited),
        *((lambda status=status: answer(status), ResponseError) for status in (408, 421, 425)),
    ],
)
async def test_trouble_on_the_way_is_no_refusal(step: Any, error: type[SdkError]) -> None:
    """A login that could not be carried out fails those who wait for it, and the next call tries again."""
    service = Service(*(step() for _ in range(3)))
    client = service.client()
    errors = await gathered(lambda _: client.run(THING), 10)
    assert {type(caught) for caught in errors} == {type(errors[0])}
    assert isinstance(errors[0], error)
    assert service.logins <= 3
    service.failing.clear()
    await client.run(THING)
    service.valid, service.failing = "none", [step() for _ in range(3)]
    assert isinstance(await failure_of(client.run(THING)), error)
    await client.run(THING)


async def test_a_login_is_retried_like_a_read() -> None:
    """A gateway's error and a lost answer are waited out within the first call."""
    service = Service(answer(502), lost())
    assert await service.client().run(THING) == {"ok": True}
    assert service.logins == 3


async def test_doubt_survives_a_failed_renewal() -> None:
    """A write whose first attempt was lost stays in doubt when the session cannot be renewed."""
    service = Service()
    client = service.client()
    await client.run(THING)
    service._steps[:] = [lost(), service._steps[0]]
    service.valid, service.failing = "none", [answer(401)]
    caught = await failure_of(client.run(a_call(Effect.REPEATABLE, auth="account")))
    assert (type(caught), caught.maybe_applied, caught.attempts) == (Unauthorized, True, 2)


async def test_waiting_for_a_login_counts_against_the_deadline() -> None:
    """Whoever gets no credential in time is told so, and those who have more time get it."""
    service = Service()
    client = service.client()
    hurried = client.with_options(deadline=1e-6)
    async with anyio.create_task_group() as group:
        group.start_soon(client.run, THING)
        await settle(1)
        caught = await failure_of(hurried.run(a_call(Effect.ONCE, auth="account")))
    assert (type(caught), caught.maybe_applied, caught.attempts) == (DeadlineExceeded, False, 0)
    assert "waiting for a login" in str(caught)
    assert (service.logins, service.seen) == (1, ["key-1"])


async def test_a_call_beside_the_closing_does_not_log_in_again() -> None:
    """It would open a session that nobody ends."""
    service = Service()
    client = service.client()
    await client.run(THING)
    async with anyio.create_task_group() as group:
        group.start_soon(client.aclose)
        await settle(2)
        caught = await failure_of(client.run(THING))
    assert type(caught) is ConfigError
    assert "closed" in str(caught)
    assert (service.logins, len(service.sent_to("/logout"))) == (1, 1)


async def test_a_login_under_way_is_ended_by_the_closing() -> None:
    """Its session is known as soon as it is answered, and then logged out."""
    service = Service()
    client = service.client()
    async with anyio.create_task_group() as group:
        group.start_soon(gathered, lambda _: client.run(THING), 3)
        with anyio.fail_after(5):
            while not service.under_way:
                await anyio.lowlevel.checkpoint()
        assert service.logins == 0
        await client.aclose()
    assert (service.logins, service.closed) == (1, 1)
    assert [request.headers["x-key"] for request in service.sent_to("/logout")] == ["key-1"]


async def test_a_forced_login_asks_again_after_trouble() -> None:
    """Whoever forces a login has not waited through an earlier one, and does not get its error."""
    service = Service(unsent(), unsent(), unsent())
    lease = service.client().lease()
    assert type(await failure_of(lease.get())) is ConnectFailed
    assert (await lease.force()).credential == "key-4"
