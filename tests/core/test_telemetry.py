"""OpenTelemetry: one span for each call, current while it runs, three metrics, and nothing personal in any of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from klickdoxie_core import (
    Attempt,
    ClientCredentials,
    Effect,
    Exchange,
    NotFound,
    Retry,
    SessionCookie,
)
from klickdoxie_core.version import VERSION
from klickdoxie_core.wire.base import Request
from tests.core.collector import Collector, collecting, current_name, story, told
from tests.core.support import (
    CANCELLATIONS,
    HANGS,
    Client,
    FakeClock,
    Pieces,
    ScriptedWire,
    Step,
    a_call,
    answer,
    cancelled_while_waiting,
    failure_of,
    gathered,
    lost,
    unsent,
)
from tests.faults import canaries

pytestmark = pytest.mark.anyio

SPAN_NAME = "klickdoxie Do Thing"
CANCELLED = {"CancelledError", "Cancelled"}
DURATION = "klickdoxie.client.operation.duration"
RESENDS = "klickdoxie.client.resends"
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


class Reader:
    """Gives a body out as it comes."""

    def feed(self, chunk: bytes) -> bytes:
        """The piece itself."""
        return chunk

    def finish(self) -> object:
        """Nothing is left."""
        return {}


async def test_a_call_is_one_span(collector: Collector) -> None:
    """Named by the operation, with the attributes of the conventions, and nothing that is not so."""
    await Client(ScriptedWire(answer())).run(a_call(template="/thing/{id}", path={"id": 5}))
    span = collector.span
    assert (span.name, span.kind, span.status.status_code, span.parent) == (
        SPAN_NAME,
        SpanKind.INTERNAL,
        StatusCode.UNSET,
        None,
    )
    assert span.attributes == {**ALWAYS, "klickdoxie.effect": "safe", "http.response.status_code": 200}
    assert story(span) == [{"klickdoxie.attempt.number": 1, "http.response.status_code": 200}]
    scope = span.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("klickdoxie", VERSION)


async def test_a_client_of_ones_own_has_its_own_version(collector: Collector) -> None:
    """The scope is the package that makes the calls, not what it stands on."""
    own = type("Own", (Client,), {"product": "kiosk", "version": "7.1"})
    await own(ScriptedWire(answer())).run(a_call())
    scope = collector.span.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("kiosk", "7.1")


async def test_attempts_are_events(collector: Collector) -> None:
    """One for each, with what came of it and how long it took; the span has the sums."""
    time = FakeClock(chance=1.0)

    def slow(_: Request) -> Step:
        time.time += 2
        return answer()

    client = Client(ScriptedWire(unsent(), answer(503), slow), time=time)
    await client.run(a_call())
    span = collector.span
    assert story(span) == [
        {"klickdoxie.attempt.number": 1, "klickdoxie.attempt.failure": "no connection could be made"},
        {"klickdoxie.attempt.number": 2, "http.response.status_code": 503},
        {"klickdoxie.attempt.number": 3, "http.response.status_code": 200},
    ]
    assert [(event.attributes or {})["klickdoxie.attempt.duration"] for event in span.events] == [0, 0, 2]
    assert told(span)["http.request.resend_count"] == 2
    assert told(span)["klickdoxie.wait.duration"] == 1.5
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("steps", "changes", "error", "status", "maybe_applied"),
    [
        ([answer(404)], {}, "NotFound", 404, False),
        ([answer(200, b"<html>")], {}, "DecodeError", 200, False),
        ([unsent()], {"effect": Effect.ONCE}, "ConnectFailed", None, False),
        ([lost()], {"effect": Effect.ONCE}, "Interrupted", None, True),
        ([], {"auth": "account"}, "ConfigError", None, False),
        ([], {"path": {"id": "a/b"}, "template": "/thing/{id}"}, "ArgumentError", None, False),
    ],
)
async def test_a_call_that_raises(
    collector: Collector,
    steps: list[Step],
    changes: dict[str, Any],
    error: str,
    status: int | None,
    maybe_applied: bool,
) -> None:
    """The class of the error and no other word about it; no exception is recorded, since its text may say anything."""
    await failure_of(Client(ScriptedWire(*steps), retry=Retry(attempts=1)).run(a_call(**changes)))
    span = collector.span
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, error)
    assert told(span)["error.type"] == error
    assert told(span).get("http.response.status_code") == status
    assert told(span).get("klickdoxie.maybe_applied", False) is maybe_applied
    assert len(span.events) == len(steps)
    assert {event.name for event in span.events} <= {"klickdoxie.attempt"}
    assert collector.point(DURATION).attributes["error.type"] == error


async def test_what_an_earlier_attempt_has_done(collector: Collector) -> None:
    """A "gone already" that this call itself has brought about is no error, and told."""
    call = a_call(Effect.REPEATABLE, done_if=(NotFound,))
    await Client(ScriptedWire(lost(), answer(404))).run(call)
    assert collector.span.status.status_code is StatusCode.UNSET
    assert told(collector.span)["klickdoxie.replayed"] is True


async def test_a_login_is_a_span_below_the_call_that_needs_it(collector: Collector) -> None:
    """The one at the start as well as the renewal, which is no attempt but sends the request once more."""
    login = a_call(operation="Login", method="POST", template="/login", into=dict[str, str])
    scheme = SessionCookie(login=login, session=lambda given: ("SESS", given["sessid"]))
    time = FakeClock()

    def respond(request: Request) -> Step:
        if request.url.endswith("/login"):
            time.time += 60
            return answer(200, {"sessid": f"s-{time.time:.0f}"})
        return answer() if request.headers["cookie"] == "SESS=s-1120" else answer(403)

    await Client(ScriptedWire(respond), {"account": scheme}, time=time, deadline=1000).run(a_call(auth="account"))
    first, second, call = collector.spans
    assert [span.name for span in collector.spans] == ["klickdoxie Login", "klickdoxie Login", SPAN_NAME]
    assert [first.parent, second.parent] == [call.get_span_context()] * 2
    assert told(call)["klickdoxie.renewals"] == told(call)["http.request.resend_count"] == 1
    assert collector.point(RESENDS).value == 1


@pytest.mark.parametrize(
    ("origin", "port"), [("http://login.example.com:8080", 8080), ("http://login.example.com", 80)]
)
async def test_another_host_is_named(collector: Collector, origin: str, port: int) -> None:
    """A token comes from where it comes from."""
    scheme = ClientCredentials("app", "geheim", f"{origin}/token")
    wire = ScriptedWire(answer(200, {"access_token": "tok"}), answer())
    await Client(wire, {"account": scheme}).run(a_call(auth="account"))
    token, call = (told(span) for span in collector.spans)
    assert (token["server.address"], token["server.port"]) == ("login.example.com", port)
    assert call["server.address"] == "api.example.com"
    measured = {point.attributes["server.address"] for point in collector.points(DURATION)}
    assert measured == {"login.example.com", "api.example.com"}


async def test_the_span_is_current_while_the_call_runs_and_only_then(collector: Collector) -> None:
    """What the HTTP library starts is below it, it is below the caller's, and the caller's is current again."""
    tracer = trace.get_tracer("application")
    within: list[str | None] = []

    def respond(_: Request) -> Step:
        within.append(current_name())
        with tracer.start_as_current_span("GET"):
            return answer(503 if len(within) == 1 else 200)

    with tracer.start_as_current_span("job"):
        await Client(ScriptedWire(respond)).run(a_call())
        assert current_name() == "job"
    assert current_name() is None
    first, second, call, job = collector.spans
    assert within == [SPAN_NAME, SPAN_NAME]
    assert [first.parent, second.parent] == [call.get_span_context()] * 2
    assert call.parent == job.get_span_context()


async def test_the_callers_span_is_current_again_after_an_error(collector: Collector) -> None:
    """However a call ends."""
    with trace.get_tracer("application").start_as_current_span("job"):
        await failure_of(Client(ScriptedWire(answer(404))).run(a_call()))
        assert current_name() == "job"


async def test_concurrent_calls_do_not_mix(collector: Collector) -> None:
    """Each sees its own span, and their parent is the same."""
    seen: list[tuple[str, str | None]] = []

    async def respond(request: Request) -> Step:
        await anyio.lowlevel.checkpoint()
        seen.append((request.url.rpartition("/")[2], current_name()))
        return answer()

    client = Client(ScriptedWire(respond))

    async def call(number: int) -> object:
        return await client.run(a_call(operation=f"Call {number}", template=f"/{number}"))

    with trace.get_tracer("application").start_as_current_span("job"):
        await gathered(call, 5)
    assert sorted(seen) == [(str(number), f"klickdoxie Call {number}") for number in range(5)]
    *calls, job = collector.spans
    assert [span.parent for span in calls] == [job.get_span_context()] * 5


async def test_observers_find_the_span_open(collector: Collector) -> None:
    """So that they can note which it is, at each attempt and at the end."""
    found: list[tuple[str | None, bool]] = []

    class Noting:
        def on_attempt(self, attempt: Attempt) -> None:
            found.append((current_name(), trace.get_current_span().is_recording()))

        def on_exchange(self, exchange: Exchange) -> None:
            found.append((current_name(), trace.get_current_span().is_recording()))

    await Client(ScriptedWire(answer()), observers=[Noting()]).run(a_call())
    await failure_of(Client(ScriptedWire(answer(404)), observers=[Noting()]).run(a_call()))
    assert found == [(SPAN_NAME, True)] * 4


@CANCELLATIONS
@pytest.mark.parametrize("effect", [Effect.SAFE, Effect.ONCE])
async def test_cancellation_ends_the_span(collector: Collector, native: bool, effect: Effect) -> None:
    """By the name that the event loop gives it; a write that was under way may have been carried out."""

    async def never(_: Request) -> Step:
        await anyio.sleep_forever()
        raise AssertionError

    client = Client(ScriptedWire(never))
    await cancelled_while_waiting(lambda: client.run(a_call(effect)), native=native)
    span = collector.span
    assert told(span)["error.type"] in CANCELLED
    assert told(span).get("klickdoxie.maybe_applied", False) is (effect is Effect.ONCE)
    assert span.status.status_code is StatusCode.ERROR
    assert collector.point(DURATION).attributes["error.type"] == told(span)["error.type"]
    assert current_name() is None


async def test_a_stream_has_its_span_open_until_its_block_is_left(collector: Collector) -> None:
    """It is not current in the block: what is done with the answer is not a part of it."""
    within: list[str | None] = []

    def respond(_: Request) -> Step:
        within.append(current_name())
        return Pieces(b"a", b"b")

    async with Client(ScriptedWire(respond)).stream(a_call(), Reader()) as incoming:
        assert [piece async for piece in incoming] == [b"a", b"b"]
        assert (current_name(), collector.spans) == (None, ())
    assert within == [SPAN_NAME]
    assert collector.span.status.status_code is StatusCode.UNSET
    assert collector.point(DURATION).count == 1


@pytest.mark.parametrize(
    ("step", "error"), [(lambda: Pieces(b"a", lost()), "Interrupted"), (lambda: answer(404), "NotFound")]
)
async def test_a_stream_that_breaks_off(collector: Collector, step: Callable[[], Step], error: str) -> None:
    """Whether it was not opened or broke half-way."""

    async def read() -> None:
        async with Client(ScriptedWire(step())).stream(a_call(), Reader()) as incoming:
            async for _ in incoming:
                pass

    await failure_of(read())
    assert told(collector.span)["error.type"] == error
    assert collector.span.status.status_code is StatusCode.ERROR


@CANCELLATIONS
async def test_a_stream_whose_reading_is_cancelled(collector: Collector, native: bool) -> None:
    """Its span ends by the name of the cancellation."""

    async def read() -> None:
        async with Client(ScriptedWire(Pieces(b"a", HANGS))).stream(a_call(), Reader()) as incoming:
            async for _ in incoming:
                pass

    await cancelled_while_waiting(read, native=native)
    assert told(collector.span)["error.type"] in CANCELLED


async def test_a_stream_that_its_reader_leaves(collector: Collector) -> None:
    """What the reader raises is no error of the call."""

    async def read() -> None:
        async with Client(ScriptedWire(Pieces(b"a", b"b"))).stream(a_call(), Reader()) as incoming:
            await anext(incoming)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()
    assert collector.span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(("method", "known"), [("post", "POST"), ("purge", None)])
async def test_a_path_that_somebody_calls_is_not_told(collector: Collector, method: str, known: str | None) -> None:
    """`request()` has no template: what stands in its path may be anybody, and each one would be a name of its own."""
    await Client(ScriptedWire(answer())).request(method, f"/who/{canaries.EMAIL}", effect=Effect.SAFE)
    assert collector.span.name == f"klickdoxie {known or 'HTTP'}"
    assert told(collector.span)["http.request.method"] == (known or "_OTHER")
    assert not {"url.template", "klickdoxie.operation"} & set(told(collector.span))
    assert canaries.spilled({"telemetry": collector.text()}) == []


async def test_a_span_that_is_not_sampled_stays_current() -> None:
    """So that those below it are not sampled either, instead of each becoming a trace of its own."""
    within: list[trace.SpanContext] = []

    def respond(_: Request) -> Step:
        within.append(trace.get_current_span().get_span_context())
        return answer()

    with collecting(ALWAYS_OFF) as collector:
        await Client(ScriptedWire(respond)).run(a_call())
        assert collector.spans == ()
        assert collector.point(DURATION).count == 1
    assert within[0].is_valid
    assert not within[0].trace_flags.sampled


@pytest.mark.parametrize("installed", [True, False])
async def test_opentelemetry_need_not_be_installed(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """Calls are made all the same, and nobody is told."""
    with monkeypatch.context() as patch:
        if not installed:
            patch.delitem(sys.modules, "klickdoxie_core.telemetry", raising=False)
            for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
                patch.setitem(sys.modules, name, None)
        assert await Client(ScriptedWire(answer(200, {"id": 5}))).run(a_call()) == {"id": 5}
    assert len(collector.spans) == int(installed)
