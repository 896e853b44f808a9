"""Watching calls: attempts and exchanges as values, and nothing in them that must not be seen."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import anyio
import attrs
import pytest

from klickdoxie_core import (
    Attempt,
    Basic,
    ClientCredentials,
    Effect,
    Exchange,
    KeyPair,
    Recording,
    Retry,
    Scheme,
    SessionCookie,
    bulk,
    recording,
)
from klickdoxie_core.errors import ConfigError, SdkError
from klickdoxie_core.wire.base import Request
from tests.core.support import (
    Client,
    FakeClock,
    ScriptedWire,
    Step,
    a_call,
    answer,
    failure_of,
    lost,
    settle,
    unsent,
)

pytestmark = pytest.mark.anyio


class Faulty:
    """An observer that raises."""

    def __init__(self) -> None:
        self.told = 0

    def on_attempt(self, attempt: Attempt) -> None:
        """Fail."""
        self.told += 1
        raise ValueError(attempt)

    def on_exchange(self, exchange: Exchange) -> None:
        """Fail."""
        self.told += 1
        raise ValueError(exchange)


async def test_an_observer_hears_of_attempts_and_exchanges() -> None:
    """Each request is an attempt with its number, each call an exchange with the sums."""
    seen = Recording()
    time = FakeClock(chance=1.0)

    def slow(_: Request) -> Step:
        time.time += 2
        return answer(headers={"x-request-id": "r-1", "set-cookie": "SESS=1"})

    client = Client(ScriptedWire(unsent(), answer(503), slow), time=time, observers=[seen])
    await client.run(a_call(template="/thing/{id}", path={"id": 5}))
    assert [(attempt.number, attempt.status, attempt.failure, attempt.seconds) for attempt in seen.attempts] == [
        (1, None, "no connection could be made", 0.0),
        (2, 503, None, 0.0),
        (3, 200, None, 2.0),
    ]
    assert {(each.operation, each.method, each.template) for each in seen.attempts} == {
        ("Do Thing", "GET", "/thing/{id}")
    }
    assert seen.last == Exchange(
        operation="Do Thing",
        method="GET",
        template="/thing/{id}",
        status=200,
        headers={"x-request-id": "r-1"},
        attempts=3,
        renewals=0,
        waited=1.5,
        seconds=3.5,
    )


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([answer(404)], ("NotFound", 404, 1)),
        ([lost()], ("Interrupted", None, 1)),
        ([answer(200, b"<html>")], ("DecodeError", 200, 1)),
    ],
)
async def test_a_failed_call_is_an_exchange_too(steps: list[Step], told: tuple[str, int | None, int]) -> None:
    """The error is told by the name of its class."""
    with recording() as seen:
        await failure_of(Client(ScriptedWire(*steps), retry=Retry(attempts=1)).run(a_call()))
    assert (seen.last.error, seen.last.status, seen.last.attempts) == told


async def test_a_refused_and_a_cancelled_call_are_exchanges_too() -> None:
    """Whatever ends a call, it has ended."""
    with recording() as seen:
        caught = await failure_of(Client(ScriptedWire()).run(a_call(auth="account")))
        assert (type(caught), seen.last.error, seen.last.attempts) == (ConfigError, "ConfigError", 0)

        async def silence(_: Request) -> Step:
            await anyio.sleep_forever()
            raise AssertionError

        async with anyio.create_task_group() as group:
            group.start_soon(Client(ScriptedWire(silence)).run, a_call())
            await settle()
            group.cancel_scope.cancel()
    assert seen.last.error in {"CancelledError", "Cancelled"}
    assert (seen.last.status, seen.last.attempts, seen.attempts) == (None, 1, [])


async def test_an_observer_that_fails_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """The call goes on, the others are told, and the log has one line without what the observer was told."""
    faulty, seen = Faulty(), Recording()
    client = Client(ScriptedWire(lambda _: answer()), observers=[faulty, seen])
    for _ in range(3):
        assert await client.run(a_call(template="/geheim")) == {"ok": True}
    assert (faulty.told, len(seen.attempts), len(seen.exchanges)) == (6, 3, 3)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "an observer failed (ValueError); further failures are not logged"
    ]
    assert warnings[0].exc_info is None


async def test_nobody_listening_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Without observer, recording and DEBUG nothing is even made."""
    caplog.set_level(logging.INFO, "klickdoxie_core")
    client = Client(ScriptedWire(answer()))
    client.engine.announcer.attempt = client.engine.announcer.exchange = None
    assert await client.run(a_call()) == {"ok": True}
    assert caplog.records == []


async def test_the_log_names_attempts_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """Method, template, number, and what came of it."""
    caplog.set_level(logging.DEBUG, "klickdoxie_core")
    await Client(ScriptedWire(unsent(), answer())).run(a_call(template="/thing/{id}", path={"id": 5}))
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG] == [
        "GET /thing/{id} attempt 1: no connection could be made in 0.000 s",
        "GET /thing/{id} attempt 2: 200 in 0.000 s",
    ]


async def test_the_log_names_retries_at_info(caplog: pytest.LogCaptureFixture) -> None:
    """One line for each, with the pause and what the attempt before it came to."""
    caplog.set_level(logging.INFO, "klickdoxie_core")
    steps = (unsent(), answer(503, b"anna@example.com"), answer())
    await Client(ScriptedWire(*steps), time=FakeClock(chance=1.0)).run(a_call(template="/thing/{id}", path={"id": 5}))
    assert [record.getMessage() for record in caplog.records] == [
        "retrying in 0.5 s: GET /thing/{id} ConnectFailed, attempt 1",
        "retrying in 1 s: GET /thing/{id} 503, attempt 2",
    ]


def test_the_logger_is_left_to_the_application() -> None:
    """A library configures no logging, and silences nothing: Python itself prints warnings where nobody else does."""
    logger = logging.getLogger("klickdoxie_core")
    assert (logger.handlers, logger.level, logger.propagate) == ([], logging.NOTSET, True)


async def test_nothing_below_a_warning_is_printed_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    """Without any logging of the application's."""
    logger = logging.getLogger("klickdoxie_core")
    logger.propagate = False
    try:
        await Client(ScriptedWire(unsent(), answer()), observers=[Faulty()]).run(a_call())
    finally:
        logger.propagate = True
    assert capfd.readouterr() == ("", "an observer failed (ValueError); further failures are not logged\n")


async def test_recordings_nest() -> None:
    """The outer one sees everything, the inner one what happens inside of it, and after it nobody."""
    client = Client(ScriptedWire(lambda _: answer()))
    with recording() as outer:
        await client.run(a_call(operation="first"))
        with recording() as inner:
            await client.run(a_call(operation="second"))
        await client.run(a_call(operation="third"))
    await client.run(a_call(operation="fourth"))
    assert [exchange.operation for exchange in outer.exchanges] == ["first", "second", "third"]
    assert [exchange.operation for exchange in inner.exchanges] == ["second"]


async def test_a_recording_sees_the_tasks_started_in_it_and_no_others() -> None:
    """It follows the tasks, not the clock."""
    client = Client(ScriptedWire(lambda _: answer()))

    async def call(number: int) -> object:
        return await client.run(a_call(operation=str(number)))

    async with anyio.create_task_group() as group:
        group.start_soon(call, 0)
        with recording() as seen:
            async with anyio.create_task_group() as inner:
                inner.start_soon(call, 1)
            async with bulk(call, [2, 3], concurrency=1) as outcomes:
                assert [outcome.item async for outcome in outcomes] == [2, 3]
        group.start_soon(call, 4)
    assert sorted(exchange.operation for exchange in seen.exchanges) == ["1", "2", "3"]


def test_an_empty_recording_has_no_last() -> None:
    """Asking for it is an error that says so."""
    with recording() as seen, pytest.raises(LookupError, match="nothing was exchanged"):
        _ = seen.last


# What must never be seen, by kind. The service quotes all of it in its answers.
CANARIES = {
    "password": "pw-canary-ä€",
    "developer key": "c0ffee00c0ffee00",
    "customer key": "ck-canary",
    "session": "sess-canary",
    "token": "tok-canary",
    "secret": "cs-canary",
    "email": "anna.canary@example.com",
    "phone": "+49 170 5550123",
}
SESSION: SessionCookie[dict[str, str]] = SessionCookie(
    login=a_call(
        operation="Login",
        method="POST",
        template="/login",
        into=dict[str, str],
        body={"password": CANARIES["password"]},
    ),
    session=lambda given: ("SESS", given["sessid"]),
)
SCHEMES: dict[str, Scheme[Any]] = {
    "basic": Basic("anna", CANARIES["password"]),
    "keys": KeyPair("anna", CANARIES["developer key"], CANARIES["customer key"]),
    "session": SESSION,
    "token": ClientCredentials("app", CANARIES["secret"], "https://login.example.com/token"),
}


def derived() -> dict[str, str]:
    """The forms in which some of it is sent."""
    basic, keys = SCHEMES["basic"].sign(None), SCHEMES["keys"].sign(None)
    return {
        "Basic header": basic["authorization"].removeprefix("Basic "),
        "cipher": keys["x-ci"],
        "quoted email": "anna.canary%40",
        "quoted phone": "170+5550123",
    }


def shown(value: object) -> str:
    """Everything that a value or an error could show of itself."""
    texts = [str(value), repr(value), f"{value!r:>10}"]
    if isinstance(value, BaseException):
        texts.append(repr(pickle.dumps(value)))
        texts.extend(traceback.format_exception(value))
    return "\n".join(texts)


def quoting(status: int) -> Step:
    """An answer that quotes personal data, and carries credentials in its headers."""
    personal = {"message": f"bad: {CANARIES['email']}", CANARIES["phone"]: [CANARIES["phone"]]}
    headers = {"set-cookie": f"SESS={CANARIES['session']}", "location": f"/?token={CANARIES['token']}"}
    return answer(status, personal, headers)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("step", [lambda: quoting(400), lambda: quoting(200), lambda: quoting(302), lost, unsent])
async def test_no_canary_is_ever_seen(name: str, step: Callable[[], Step], caplog: pytest.LogCaptureFixture) -> None:
    """Neither errors nor logs nor what observers are told hold a credential or personal data."""
    caplog.set_level(logging.DEBUG)
    seen = Recording()

    def respond(request: Request) -> Step:
        if request.url.endswith("/login"):
            return answer(200, {"sessid": CANARIES["session"]})
        if request.url.endswith("/token"):
            return answer(200, {"access_token": CANARIES["token"]})
        return step()

    client = Client(ScriptedWire(respond), SCHEMES, observers=[seen])
    call = a_call(
        Effect.ONCE,
        auth=name,
        into=list[int],
        template="/thing/{email}",
        path={"email": CANARIES["email"]},
        query={"phone": CANARIES["phone"]},
        body={"email": CANARIES["email"], "password": CANARIES["password"]},
        headers={"x-extra": CANARIES["token"]},
    )
    caught: SdkError = await failure_of(client.run(call))
    held = await client.lease(name).get()
    everything = [caught, caught.facts, call, client, held, *SCHEMES.values(), *seen.attempts, *seen.exchanges]
    text = "\n".join(map(shown, everything)) + "\n".join(str(attrs.asdict(each)) for each in seen.exchanges)
    text += "\n".join(str(vars(record)) for record in caplog.records)
    assert [kind for kind, canary in (CANARIES | derived()).items() if canary in text] == []
