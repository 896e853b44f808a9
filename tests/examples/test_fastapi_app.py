"""The example app in front of both fakes: sign-ups, deliveries, errors, health, and what is finished at its end."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import pytest

pytest.importorskip("fastapi", reason="FastAPI is no dependency; the example is for those who have it")

import doxie_async.sandbox
import doxie_async.testing
import klickdoxie_core
import klicktipp_async.sandbox
from doxie_async import Basic, Doxie
from doxie_async.testing import assert_messages
from examples import fastapi_app
from examples.fastapi_app import Clients, create_app
from klickdoxie_core.asgi import AsgiApp, Receive, Scope, Send
from klicktipp_async import KlickTipp
from klicktipp_async.testing import (
    assert_applied_once,
    assert_contact,
    assert_not_called,
    assert_nothing_applied_twice,
    assert_tagged,
)

pytest_plugins = ["klicktipp_async.testing.plugin", "doxie_async.testing.plugin"]
pytestmark = pytest.mark.anyio

SAMPLES = Path(__file__).parents[1] / "fixtures" / "doxie_webhooks"
EMAIL = "jörg.kanarie@example.com"
PERSON = {"email": EMAIL, "first_name": "Jörg"}
ENVIRON = {
    "KLICKTIPP_WEBHOOK_TOKEN": "pä$$ wört",
    "DOXIE_WEBHOOK_USER": "doxie",
    "DOXIE_WEBHOOK_PASSWORD": "pä$$:wört",
}
UPSERT, SEND = "Add or Update Contact", "Mailer: Sends a mail"


class Gate:
    """A client of Doxie whose mails wait until the gate is open."""

    def __init__(self) -> None:
        self.opened = anyio.Event()
        self.sent = 0
        self.mailer = self

    async def send(self, _slug: str, _payload: object) -> None:
        """Send a mail."""
        await self.opened.wait()
        self.sent += 1


def app_with(kt: KlickTipp, doxie: object) -> Any:
    """The app with these clients, which stay open."""

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Clients]:
        yield Clients(kt, cast("Doxie", doxie))

    return create_app(connect, ENVIRON)


@contextlib.asynccontextmanager
async def running(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app, which runs from its start to its end as under a server."""
    async with app.router.lifespan_context(app) as state, reaching(app, state) as web:
        yield web


def reaching(app: AsgiApp, state: Any) -> httpx.AsyncClient:
    """A client of an app that has started; as a server does, each request gets a copy of the lifespan's state."""

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://app.example")


async def report(web: httpx.AsyncClient, **contact: str) -> int:
    """Deliver a contact as KlickTipp does."""
    form = {**contact, "Authorization": ENVIRON["KLICKTIPP_WEBHOOK_TOKEN"]}
    return (await web.post("/webhooks/klicktipp/", data=form)).status_code


async def tell(web: httpx.AsyncClient, kind: str, body: bytes, password: str = "pä$$:wört") -> int:
    """Deliver an event as Doxie does."""
    path = f"/webhooks/doxie/{kind.replace('_', '-')}"
    return (await web.post(path, content=body, headers=Basic("doxie", password).sign(None))).status_code


@pytest.fixture
def app(klicktipp: KlickTipp, doxie: Doxie) -> Any:
    """The app in front of both fakes."""
    return app_with(klicktipp, doxie)


@pytest.fixture
def gate() -> Gate:
    """A closed one."""
    return Gate()


async def test_a_sign_up_becomes_a_contact(app: Any, klicktipp_sandbox: klicktipp_async.sandbox.Sandbox) -> None:
    """Through the account's double opt-in; a lost answer and a second click change nothing."""
    klicktipp_sandbox.drop(UPSERT)
    async with running(app) as web:
        answer = await web.post("/sign-up", json=PERSON)
        assert (answer.status_code, answer.json()) == (201, {"status": "pending"})
        assert_applied_once(klicktipp_sandbox, UPSERT, email=EMAIL)
        assert_contact(klicktipp_sandbox, EMAIL, status="pending", fields={"fieldFirstName": "Jörg"})
        assert (await web.post("/sign-up", json={"email": EMAIL})).status_code == 201
    assert len(klicktipp_sandbox.contacts) == 1


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("unsubscribe", "Diese E-Mail-Adresse wurde abgemeldet und kann nicht wieder eingetragen werden."),
        ("block", "Diese E-Mail-Adresse ist gesperrt."),
    ],
)
async def test_a_refusal_is_told_in_german(
    app: Any, klicktipp: KlickTipp, klicktipp_sandbox: klicktipp_async.sandbox.Sandbox, trouble: str, said: str
) -> None:
    """In the SDK's own sentence for people who use a form."""
    await klicktipp.contacts.upsert(email=EMAIL)
    getattr(klicktipp_sandbox, trouble)(EMAIL)
    async with running(app) as web:
        answer = await web.post("/sign-up", json=PERSON)
    assert (answer.status_code, answer.json()) == (409, {"detail": said})


@pytest.mark.parametrize(
    ("fault", "email", "status", "headers", "applied"),
    [
        ({"status": 429, "headers": {"Retry-After": "29"}}, EMAIL, 503, {"retry-after": "29"}, False),
        ({"status": 429}, EMAIL, 503, {"retry-after": "1"}, False),
        ({"status": 406, "body": {"error": 8, "field": "KANARIE", "reason": "KANARIE"}}, EMAIL, 422, {}, False),
        ({"status": 403, "body": ["KANARIE"]}, EMAIL, 502, {}, False),
        ({"status": 500, "body": "KANARIE"}, EMAIL, 502, {}, True),
        ({"status": 200, "body": "KANARIE"}, EMAIL, 502, {}, True),
        ({"status": 200}, "KANARIE ohne At", 422, {}, False),
    ],
)
async def test_an_error_becomes_an_answer_without_the_service_s_text(
    app: Any,
    klicktipp_sandbox: klicktipp_async.sandbox.Sandbox,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
    email: str,
    status: int,
    headers: dict[str, str],
    applied: bool,
) -> None:
    """Slow down is 503, wrong values are 422, all else is 502; whether it may have happened is told."""
    klicktipp_sandbox.fail(UPSERT, times=20, **fault)
    klicktipp_sandbox.fail("Search Contact ID", times=20)
    async with running(app) as web:
        answer = await web.post("/sign-up", json={"email": email})
    assert answer.status_code == status
    assert headers.items() <= dict(answer.headers).items()
    assert answer.json()["maybe_applied"] is applied
    assert answer.json()["detail"].endswith(".")
    assert not any("kanarie" in text.casefold() for text in (answer.text, str(dict(answer.headers))))
    ours = [record.getMessage() for record in caplog.records if record.name == fastapi_app.__name__]
    assert len(ours) == 1
    assert EMAIL not in ours[0]


async def test_a_lost_survey_is_told_to_have_maybe_gone_out(
    app: Any, doxie_sandbox: doxie_async.sandbox.Sandbox
) -> None:
    """Nobody should send it again by himself; one that is answered names its process."""
    doxie_sandbox.drop("Survey: Creates an inquiry for a survey response")
    async with running(app) as web:
        lost = await web.post("/feedback", json=PERSON)
        assert (lost.status_code, lost.json()["maybe_applied"]) == (502, True)
        assert_messages(doxie_sandbox, 1, event_slug="survey", to=EMAIL)
        done = await web.post("/feedback", json={"email": "jutta@example.com"})
    assert (done.status_code, done.json()["process_uuid"] in doxie_sandbox.processes) == (202, True)


async def test_a_reported_contact_gets_its_mail_once(app: Any, doxie_sandbox: doxie_async.sandbox.Sandbox) -> None:
    """However often it is delivered, and however; contacts without an address get none."""
    async with running(app) as web:
        for _ in range(2):
            assert await report(web, email=EMAIL, id="7", CustomFieldFirstName="Jörg") == 200
        assert await report(web, email="jutta@example.com") == 200
        assert await report(web, PhoneNumber="00491701234567") == 200
    assert_messages(doxie_sandbox, 1, event_slug="welcome_email", to=EMAIL)
    assert_applied_once(doxie_sandbox, SEND, email=EMAIL, name="Jörg")
    assert_messages(doxie_sandbox, 2)
    doxie_async.testing.assert_nothing_applied_twice(doxie_sandbox)


async def test_an_address_out_of_reach_gets_a_tag(
    app: Any,
    klicktipp: KlickTipp,
    klicktipp_sandbox: klicktipp_async.sandbox.Sandbox,
    doxie: Doxie,
    doxie_sandbox: doxie_async.sandbox.Sandbox,
) -> None:
    """What Doxie tells of a mail that came back, through the app, into the account at KlickTipp."""
    for email in (EMAIL, "jutta@example.com"):
        await klicktipp.contacts.upsert(email=email)
    doxie_sandbox.make_undeliverable(EMAIL)
    for email in (EMAIL, "jutta@example.com"):
        sent = await doxie.mailer.send("welcome_email", {"email": email})
        await doxie_sandbox.advance(str(sent.process_uuid))
    async with running(app) as web:
        for webhook in [*doxie_sandbox.webhooks, *doxie_sandbox.webhooks]:
            assert await tell(web, webhook.kind, webhook.body) == 200
    assert_tagged(klicktipp_sandbox, EMAIL, fastapi_app.UNREACHABLE)
    assert_applied_once(klicktipp_sandbox, "Tag Contact", email=EMAIL)
    assert_not_called(klicktipp_sandbox, "Tag Contact", email="jutta@example.com")
    assert_nothing_applied_twice(klicktipp_sandbox)


async def test_every_kind_of_event_is_taken(
    app: Any, klicktipp_sandbox: klicktipp_async.sandbox.Sandbox, doxie_sandbox: doxie_async.sandbox.Sandbox
) -> None:
    """Those that need nothing done, those of no known kind, and none at a path that is not there."""
    async with running(app) as web:
        for path in fastapi_app.DOXIE_PATHS:
            body = (SAMPLES / path.strip("/").replace("-", "_")).with_suffix(".json").read_bytes()
            assert await tell(web, path.strip("/"), body) == 200
        assert await tell(web, "message-sent", b'{"neu": 1}') == 200
        assert await tell(web, "elsewhere", b"{}") == 404
    assert_not_called(klicktipp_sandbox)
    assert_not_called(doxie_sandbox)


async def test_strangers_are_refused(app: Any, doxie_sandbox: doxie_async.sandbox.Sandbox) -> None:
    """Neither receiver takes what has not its own proof."""
    async with running(app) as web:
        assert (await web.post("/webhooks/klicktipp/", data={"email": EMAIL})).status_code == 401
        assert await tell(web, "message-status", b"{}", "falsch") == 401
    assert_not_called(doxie_sandbox)


async def test_one_failure_ends_nothing(
    app: Any, doxie_sandbox: doxie_async.sandbox.Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are worked off; the log says what failed, and nobody's address."""
    doxie_sandbox.fail(SEND, status=422, body={"success": False, "error_message": EMAIL})
    async with running(app) as web:
        for number in range(9):
            await report(web, email=f"{number}{EMAIL}")
    assert_messages(doxie_sandbox, 8)
    (said,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "WebhookEvent was not handled: POST" in said.getMessage()
    assert "kanarie" not in said.getMessage()


async def test_a_mistake_ends_nothing(klicktipp: KlickTipp, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """Also not one in the program: it is named by its kind, and the next event is handled."""
    gate.opened.set()
    send = gate.send

    async def stumble(slug: str, payload: object) -> None:
        if not gate.sent:
            gate.sent += 1
            raise KeyError(EMAIL)
        await send(slug, payload)

    gate.send = stumble  # type: ignore[method-assign]
    async with running(app_with(klicktipp, gate)) as web:
        for number in range(9):
            await report(web, email=f"{number}{EMAIL}")
    assert gate.sent == 9
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "WebhookEvent was not handled: KeyError"
    ]


async def test_what_was_taken_is_finished_at_the_end(klicktipp: KlickTipp, gate: Gate) -> None:
    """The sender has its answer at once, and the app ends only when the work is done."""
    async with running(app_with(klicktipp, gate)) as web:
        for number in range(10):
            assert await report(web, email=f"{number}{EMAIL}") == 200
        waiting = 10 - fastapi_app.WORKERS
        assert (await web.get("/readyz")).json() == {"clients_open": True, "deliveries_waiting": waiting}
        assert gate.sent == 0
        gate.opened.set()
    assert gate.sent == 10


async def test_the_end_is_not_put_off_for_ever(
    klicktipp: KlickTipp, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After its time the app ends, and says how much was left."""
    monkeypatch.setattr(fastapi_app, "SECONDS_TO_FINISH", 0)
    with anyio.fail_after(5):
        async with running(app_with(klicktipp, gate)) as web:
            for number in range(10):
                await report(web, email=f"{number}{EMAIL}")
    assert gate.sent == 0
    assert f"nobody had begun with: {10 - fastapi_app.WORKERS}" in caplog.text


async def test_a_full_queue_makes_the_app_unready(
    klicktipp: KlickTipp, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It should get no more requests for a while; what comes nevertheless waits, and nothing is lost."""
    monkeypatch.setattr(fastapi_app, "QUEUE_SIZE", 1)
    number = fastapi_app.WORKERS + 3
    async with running(app_with(klicktipp, gate)) as web, anyio.create_task_group() as tasks:
        assert (await web.get("/readyz")).status_code == 200
        for each in range(number):
            tasks.start_soon(partial(report, web, email=f"{each}{EMAIL}"))
        await anyio.wait_all_tasks_blocked()
        answer = await web.get("/readyz")
        assert (answer.status_code, answer.json()["deliveries_waiting"]) == (503, 1)
        gate.opened.set()
    assert gate.sent == number


async def test_the_memory_of_deliveries_is_bounded(
    klicktipp: KlickTipp, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is forgotten first, so that it would count as new."""
    monkeypatch.setattr(fastapi_app, "REMEMBERED", 2)
    gate.opened.set()
    async with running(app_with(klicktipp, gate)) as web:
        for number in (1, 2, 3, 3, 2, 1):
            await report(web, email=f"{number}{EMAIL}")
    assert gate.sent == 4


async def test_health_costs_nothing(
    app: Any, klicktipp_sandbox: klicktipp_async.sandbox.Sandbox, doxie_sandbox: doxie_async.sandbox.Sandbox
) -> None:
    """Neither question reaches a service; after the end the app is not ready."""
    async with app.router.lifespan_context(app) as state, reaching(app, state) as web:
        assert (await web.get("/healthz")).json() == {"status": "ok"}
        assert (await web.get("/readyz")).status_code == 200
    async with reaching(app, state) as web:
        answer = await web.get("/readyz")
    assert (answer.status_code, answer.json()["clients_open"]) == (503, False)
    assert_not_called(klicktipp_sandbox)
    assert_not_called(doxie_sandbox)


async def test_a_test_can_replace_one_client(app: Any, klicktipp_sandbox: klicktipp_async.sandbox.Sandbox) -> None:
    """As everywhere in FastAPI."""
    other = klicktipp_async.sandbox.Sandbox()
    kt = other.client()
    app.dependency_overrides[fastapi_app.get_kt] = lambda: kt
    async with other, running(app) as web:
        assert (await web.post("/sign-up", json=PERSON)).status_code == 201
        assert_contact(other, EMAIL)
    assert_not_called(klicktipp_sandbox)


@pytest.mark.parametrize("name", ENVIRON)
@pytest.mark.parametrize("empty", [False, True])
async def test_the_app_does_not_start_without_its_credentials(
    klicktipp: KlickTipp, doxie: Doxie, name: str, empty: bool
) -> None:
    """An empty one is as bad as none."""
    environ = {key: value for key, value in ENVIRON.items() if key != name} | ({name: ""} if empty else {})
    app = create_app(lambda: contextlib.nullcontext(Clients(klicktipp, doxie)), environ)
    with pytest.raises(klickdoxie_core.ConfigError if empty else KeyError):
        async with running(app):
            pytest.fail("the app started")
