"""What OpenTelemetry measures of each call; how it is switched off; that it breaks nothing and tells nobody's data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from opentelemetry.sdk.metrics import Meter as SdkMeter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from klickdoxie_core import (
    Attempt,
    Basic,
    ClientCredentials,
    ConfigError,
    Effect,
    Exchange,
    Limit,
    Scheme,
    SessionCookie,
)
from klickdoxie_core.wire.base import Request
from tests.core.collector import Collector, collecting, current_name, no_providers, told
from tests.core.support import Client, FakeClock, ScriptedWire, Step, a_call, answer, failure_of, lost, unsent
from tests.faults import canaries

pytestmark = pytest.mark.anyio

SPAN_NAME = "klickdoxie Do Thing"
DURATION = "klickdoxie.client.operation.duration"
RESENDS = "klickdoxie.client.resends"
WAITS = "klickdoxie.client.wait.time"
ALWAYS = {
    "http.request.method": "GET",
    "url.template": "/thing/{id}",
    "server.address": "api.example.com",
    "server.port": 443,
    "klickdoxie.operation": "Do Thing",
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    """The providers of the process."""
    with collecting() as collector:
        yield collector


async def test_a_call_is_measured(collector: Collector) -> None:
    """Its duration in seconds, with buckets made for it; what was sent again, and how long was waited."""
    time = FakeClock(chance=1.0)

    def slow(_: Request) -> Step:
        time.time += 2
        return answer(404)

    client = Client(ScriptedWire(unsent(), answer(503), slow), time=time)
    await failure_of(client.run(a_call(template="/thing/{id}", path={"id": 5})))
    duration = collector.point(DURATION)
    assert (duration.count, duration.sum) == (1, 3.5)
    assert duration.attributes == {**ALWAYS, "http.response.status_code": 404, "error.type": "NotFound"}
    assert (duration.explicit_bounds[0], duration.explicit_bounds[-1]) == (0.005, 120)
    assert (collector.point(RESENDS).value, collector.point(RESENDS).attributes) == (2, ALWAYS)
    assert (collector.point(WAITS).value, collector.point(WAITS).attributes) == (1.5, ALWAYS)
    assert collector.units() == {DURATION: "s", RESENDS: "{request}", WAITS: "s"}


async def test_waiting_for_the_clients_own_limit_is_measured(collector: Collector) -> None:
    """As is every other pause."""
    client = Client(ScriptedWire(lambda _: answer()), limit=Limit(rate=1))
    await client.run(a_call())
    assert collector.points(WAITS) == []
    await client.run(a_call())
    assert collector.point(WAITS).value == told(collector.spans[1])["klickdoxie.wait.duration"] == 1


async def test_clients_share_their_instruments(collector: Collector) -> None:
    """A provider keeps every instrument for ever, so that one for each client would be a leak."""
    clients = [Client(ScriptedWire(answer())) for _ in range(3)]
    assert len({id(client.engine.telemetry._meters) for client in clients}) == 1
    for client in clients:
        await client.run(a_call())
    assert collector.point(DURATION).count == 3


async def test_providers_that_come_later_are_told() -> None:
    """A client may be made before the application sets up its telemetry."""
    with no_providers():
        client, collector = Client(ScriptedWire(answer(), answer())), Collector()
        await client.run(a_call(operation="Too Early"))
        collector.install()
        await client.run(a_call())
    assert collector.span.name == SPAN_NAME
    assert collector.point(DURATION).count == 1
    collector.close()


async def test_without_providers_nothing_is_made() -> None:
    """Nobody is told, so there is no span, no attempt and no exchange."""
    with no_providers():
        client = Client(ScriptedWire(answer()))
        client.engine.announcer.attempt = client.engine.announcer.exchange = None
        assert client.engine.telemetry.begin(a_call()) is None
        assert await client.run(a_call()) == {"ok": True}


@pytest.mark.parametrize("value", ["true", " True "])
async def test_the_environment_switches_it_off(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """By the variable that OpenTelemetry itself knows."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", value)
    await Client(ScriptedWire(answer())).run(a_call())
    assert (collector.spans, collector.points(DURATION)) == ((), [])


async def test_a_client_can_do_without(collector: Collector) -> None:
    """`telemetry=False` holds for the client and its views, and leaves observers alone."""
    seen: list[Exchange] = []
    client = Client(ScriptedWire(answer(), answer()), telemetry=False, observers=[Watching(seen.append)])
    await client.run(a_call())
    await client.with_options(timeout=3).run(a_call())
    assert (collector.spans, collector.points(DURATION), len(seen)) == ((), [], 2)


def test_the_option_is_checked() -> None:
    """Neither a text nor a provider switches anything."""
    with pytest.raises(ConfigError, match="telemetry must be a bool"):
        Client(ScriptedWire(), telemetry="off")


class Watching:
    """An observer of exchanges."""

    def __init__(self, told: Callable[[Exchange], object]) -> None:
        self._told = told

    def on_attempt(self, attempt: Attempt) -> None:
        """Nothing."""

    def on_exchange(self, exchange: Exchange) -> None:
        """Pass it on."""
        self._told(exchange)


class BrokenProcessor(SpanProcessor):
    """Raises, with what must not be seen, at the beginning or at the end of a span."""

    def __init__(self, at: str) -> None:
        self._at = at

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Fail."""
        if self._at == "start":
            raise ValueError(canaries.EMAIL)

    def on_end(self, span: ReadableSpan) -> None:
        """Fail."""
        if self._at == "end":
            raise ValueError(canaries.EMAIL)


class BrokenSampler(Sampler):
    """Raises."""

    def should_sample(self, *args: Any, **kwargs: Any) -> Any:
        """Fail."""
        raise ValueError(canaries.EMAIL)

    def get_description(self) -> str:
        """Its name."""
        return "broken"


def fail(*_: object) -> None:
    """An instrument that raises."""
    raise ValueError(canaries.EMAIL)


@pytest.mark.parametrize("broken", ["start", "end", "sampler", "meter"])
async def test_telemetry_never_breaks_a_call(caplog: pytest.LogCaptureFixture, broken: str) -> None:
    """What OpenTelemetry raises is logged once, by its class, and the call ends as it would have."""
    with collecting(BrokenSampler() if broken == "sampler" else ALWAYS_ON) as collector:
        collector.watch(BrokenProcessor(broken))
        client = Client(ScriptedWire(answer(), answer()))
        if broken == "meter":
            telemetry = client.engine.telemetry
            telemetry._meters = attrs.evolve(telemetry._meters, duration=SimpleNamespace(record=fail))
        for _ in range(2):
            assert await client.run(a_call()) == {"ok": True}
        assert current_name() is None
    warnings = [record.getMessage() for record in caplog.records if record.name == "klickdoxie_core"]
    assert warnings == ["an observer failed (ValueError); further failures are not logged"]


async def test_an_api_that_takes_no_advice_on_buckets(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.30 histograms could not be told their boundaries; calls are measured all the same."""
    create = SdkMeter.create_histogram

    def older(self: Any, name: str, unit: str = "", description: str = "") -> Any:
        return create(self, name, unit, description)

    monkeypatch.setattr(SdkMeter, "create_histogram", older)
    await Client(ScriptedWire(answer())).run(a_call())
    assert collector.point(DURATION).count == 1


SCHEMES: dict[str, Scheme[Any]] = {
    "basic": Basic(canaries.USERNAME, canaries.PASSWORD),
    "session": SessionCookie(
        login=a_call(
            operation="Login",
            method="POST",
            template="/login",
            into=dict[str, str],
            body={"username": canaries.USERNAME, "password": canaries.PASSWORD},
        ),
        session=lambda given: ("SESS", given["sessid"]),
    ),
    "token": ClientCredentials("app", canaries.KEY, "https://login.example.com/token"),
}
QUOTING = {"message": f"bad: {canaries.EMAIL}", canaries.PHONE: [canaries.PASSWORD, canaries.KEY]}
COOKIE = {"set-cookie": f"SESS={canaries.COOKIE}", "location": f"/?token={canaries.TOKEN}&mail={canaries.EMAIL}"}


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(
    "step",
    [
        *(lambda status=status: answer(status, QUOTING, COOKIE) for status in (200, 302, 400, 404, 500)),
        lambda: answer(200, canaries.EMAIL.encode()),
        lost,
        unsent,
    ],
)
async def test_no_canary_is_told(
    collector: Collector, caplog: pytest.LogCaptureFixture, name: str, step: Callable[[], Step]
) -> None:
    """No span, metric or log line holds a credential, an address or a number, sent or answered."""
    caplog.set_level(logging.DEBUG)

    def respond(request: Request) -> Step:
        if request.url.endswith("/login"):
            return answer(200, {"sessid": canaries.COOKIE})
        if request.url.endswith("/token"):
            return answer(200, {"access_token": canaries.TOKEN})
        return step()

    call = a_call(
        Effect.REPEATABLE,
        auth=name,
        into=list[int],
        template="/thing/{email}",
        path={"email": canaries.EMAIL},
        query={"phone": canaries.PHONE},
        body={"email": canaries.EMAIL, "password": canaries.PASSWORD},
        headers={"x-extra": canaries.TOKEN},
    )
    await failure_of(Client(ScriptedWire(respond), SCHEMES).run(call))
    assert SPAN_NAME in {span.name for span in collector.spans}
    assert collector.points(DURATION)
    places = canaries.shown_by_logs(caplog.records) | {"telemetry": collector.text()}
    assert canaries.spilled(places) == []
