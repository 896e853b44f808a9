"""The vendor-neutral half of a sandbox: routes, log, faults, rate limit, latency, socket."""

import logging
import sys
from typing import Any

import anyio
import httpx
import pytest

from klickdoxie_core.asgi import Message, Receive, Scope, Send
from klickdoxie_core.clock import Clock
from klickdoxie_core.sandbox import (
    LOST,
    MAX_REQUESTS,
    Answer,
    Inbound,
    Received,
    Route,
    Router,
    SandboxBase,
    form_parts,
)
from klickdoxie_core.sandbox_time import RateGate, Ticks
from klickdoxie_core.wire.in_process import InProcessTransport

pytestmark = pytest.mark.anyio


class Shelf(SandboxBase):
    """A service of one shelf: put something on it, look at it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.things: list[bytes] = []
        routes = [
            Route(operation="Look", method="GET", template="/things/{number}", handler=self._look),
            Route(operation="Look at Last", method="GET", template="/things/last", handler=self._last),
            Route(operation="Put", method="POST", template="/things", handler=self._put),
        ]
        super().__init__(routes, clock=clock)

    def _look(self, inbound: Inbound) -> Answer:
        number = int(inbound.values["number"])
        return Answer(body=self.things[number]) if number < len(self.things) else Answer(status=404)

    def _last(self, _inbound: Inbound) -> Answer:
        return Answer(body=self.things[-1])

    def _put(self, inbound: Inbound) -> Answer:
        self.things.append(inbound.body)
        return Answer.of({"number": len(self.things) - 1}, status=201)


class HeldClock:
    """Time that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def clock(self) -> Clock:
        """The clock that shows this time."""
        return Clock(monotonic=lambda: self.time, now=lambda: self.time, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await anyio.lowlevel.checkpoint()


async def test_requests_find_their_route_and_a_literal_path_wins() -> None:
    """`/things/last` is not taken for the thing with the number "last", and values in paths are decoded."""
    async with Shelf() as shelf:
        http = shelf.http_client()
        assert (await http.post("/things", content="Bücher; Äpfel".encode())).json() == {"number": 0}
        assert (await http.get("/things/0")).text == "Bücher; Äpfel"
        assert (await http.get("/things/last")).text == "Bücher; Äpfel"
        assert [seen.operation for seen in shelf.requests] == ["Put", "Look", "Look at Last"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/things", 405)])
async def test_what_no_route_takes_is_refused_and_logged(method: str, path: str, status: int) -> None:
    """An unknown path is 404, a known one with another method 405; both are in the log, without an operation."""
    async with Shelf() as shelf:
        assert (await shelf.http_client().request(method, path)).status_code == status
        assert list(shelf.requests) == [Received(operation="", method=method, path=path, status=status, applied=False)]


async def test_a_failure_happens_as_often_as_planned_and_carries_nothing_out() -> None:
    """`fail` answers instead of the service, in the order of planning, and then things are as before."""
    async with Shelf() as shelf:
        http = shelf.http_client()
        shelf.fail("Put", times=2)
        shelf.fail("Put", status=429, body={"error": "zu schnell"}, headers={"Retry-After": "7"})
        answers = [await http.post("/things") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [503, 503, 429, 201]
        assert answers[2].json() == {"error": "zu schnell"}
        assert answers[2].headers["retry-after"] == "7"
        assert len(shelf.things) == 1


@pytest.mark.parametrize(
    ("body", "content", "kind"),
    [
        (None, b"", "application/json"),
        ("<html>Wartung</html>", b"<html>Wartung</html>", "text/html; charset=utf-8"),
        (b"\xe4", b"\xe4", "application/octet-stream"),
        ([], b"[]", "application/json"),
    ],
)
async def test_a_failure_can_have_any_body(body: object, content: bytes, kind: str) -> None:
    """None is empty, texts and bytes go out as they are, all else becomes JSON; also with status 200."""
    async with Shelf() as shelf:
        shelf.fail(None, status=200, body=body)
        answer = await shelf.http_client().get("/things/0")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, content, kind)


async def test_a_failure_can_come_after_the_effect() -> None:
    """With `applied=True` the request is carried out, and the log says so beside the status that was answered."""
    async with Shelf() as shelf:
        shelf.fail("Put", status=504, applied=True)
        assert (await shelf.http_client().post("/things")).status_code == 504
        assert len(shelf.things) == 1
        assert shelf.requests[-1].applied
        assert shelf.requests[-1].status == 504


@pytest.mark.parametrize("applied", [True, False])
async def test_a_dropped_connection_is_a_read_error_of_a_sent_request(applied: bool) -> None:
    """The client is told that the request was sent; whether it was carried out is the plan's choice."""
    events: list[str] = []

    async def trace(event: str, _info: object) -> None:
        events.append(event)

    async with Shelf() as shelf:
        shelf.drop("Put", applied=applied)
        with pytest.raises(httpx.ReadError):
            await shelf.http_client().post("/things", extensions={"trace": trace})
        assert events == ["http11.send_request_headers.started"]
        assert len(shelf.things) == int(applied)
        assert shelf.requests[-1] == Received(
            operation="Put", method="POST", path="/things", status=LOST, applied=applied
        )


@pytest.mark.parametrize(("times", "lost"), [(None, 5), (2, 2)])
async def test_every_so_many_th_answer_can_be_lost(times: int | None, lost: int) -> None:
    """`every` counts the matching requests only and goes on without end, unless `times` says otherwise."""
    async with Shelf() as shelf:
        http = shelf.http_client()
        shelf.drop("Put", every=4, times=times)
        for number in range(20):
            await http.get("/nowhere")
            if number % 4 == 3 and number // 4 < lost:
                with pytest.raises(httpx.ReadError):
                    await http.post("/things")
            else:
                await http.post("/things")
        assert shelf.count("Put", LOST) == lost
        assert len(shelf.things) == 20


@pytest.mark.parametrize(("operation", "times", "every"), [("Putt", None, None), ("Put", 0, None), (None, None, 0)])
async def test_a_plan_that_cannot_happen_is_refused(
    operation: str | None, times: int | None, every: int | None
) -> None:
    """A misspelt operation or a count below 1 would make a test pass that tests nothing."""
    async with Shelf() as shelf:
        with pytest.raises(ValueError, match=r"no operation|at least 1"):
            shelf.drop(operation, times=times, every=every)


@pytest.mark.parametrize("status", ["x", 99, 100, 600, None])
async def test_a_status_that_no_answer_has_is_refused(status: Any) -> None:
    """At once, and not in the middle of the call that meets it."""
    async with Shelf() as shelf:
        with pytest.raises(ValueError, match="status must be a whole number from 200 to 599"):
            shelf.fail("Put", status=status)


async def test_the_rate_limit_refuses_and_says_how_long() -> None:
    """What comes too fast gets 429 with whole seconds in Retry-After, is not carried out, and None lifts the limit."""
    held = HeldClock()
    async with Shelf(held.clock()) as shelf:
        http = shelf.http_client()
        shelf.rate_limit(0.4, burst=2)
        answers = [await http.post("/things") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert answers[2].headers["retry-after"] == "3"
        held.time += 2.5
        assert (await http.post("/things")).status_code == 201
        shelf.rate_limit(None)
        assert (await http.post("/things")).status_code == 201
        assert len(shelf.things) == 4
        assert shelf.count(status=429) == 1


async def test_a_service_can_recover() -> None:
    """Planned faults without end, the rate limit and the latency are all gone at once; what was counted stays."""
    held = HeldClock()
    async with Shelf(held.clock()) as shelf:
        shelf.fail("Put", every=1)
        shelf.rate_limit(0.001)
        shelf.latency = 7
        shelf.recover()
        assert [(await shelf.http_client().post("/things")).status_code for _ in range(2)] == [201, 201]
        assert held.slept == []
        assert shelf.count("Put", 201) == 2


def test_the_rate_gate_lets_its_rate_through() -> None:
    """Over ten seconds at five a second and a burst of three, 52 of the requests that come pass."""
    gate = RateGate(5, 3)
    passed = sum(gate.wait(tick / 100) == 0 for tick in range(1000))
    assert passed == 52
    with pytest.raises(ValueError, match="above 0"):
        RateGate(0, 1)


async def test_latency_comes_after_the_effect() -> None:
    """The request is carried out and logged, then the answer takes its time on the clock of the sandbox."""
    held = HeldClock()
    async with Shelf(held.clock()) as shelf:
        shelf.latency = 1.5
        await shelf.http_client().post("/things")
        await shelf.http_client().get("/_sandbox/state")
        assert held.slept == [1.5]


async def test_an_answer_later_than_the_read_timeout_is_a_timeout() -> None:
    """The client's read timeout holds in this process, too, and the effect has happened."""
    async with Shelf() as shelf:
        shelf.latency = 60
        with pytest.raises(httpx.ReadTimeout):
            await shelf.http_client().post("/things", timeout=0.001)
        assert len(shelf.things) == 1


async def test_the_log_is_bounded_and_the_counters_are_exact() -> None:
    """The log forgets the oldest requests; counts by operation and status know of all."""
    shelf = Shelf()
    for _ in range(MAX_REQUESTS + 3):
        shelf._exchange(Inbound(method="GET", path="/things/7"))
    assert len(shelf.requests) == MAX_REQUESTS
    assert shelf.count() == shelf.count("Look") == shelf.count("Look", 404) == MAX_REQUESTS + 3
    assert shelf.count("Put") == shelf.count("Look", 200) == 0


def test_the_log_shows_no_path_and_no_body() -> None:
    """A path may hold an id or an address, so neither the log nor a request shows more than the operation."""
    received = Received(operation="Look", method="GET", path="/things/jürgen@example.com", status=200, applied=True)
    inbound = Inbound(method="GET", path="/things/jürgen@example.com", body=b"geheim", headers={"cookie": "geheim"})
    assert repr(received) == "Received(operation='Look', method='GET', status=200, applied=True)"
    assert repr(inbound) == "Inbound(method='GET')"


def _form(content_type: str, body: bytes) -> dict[str, tuple[str | None, bytes]]:
    parts = form_parts(Inbound(method="POST", path="/", headers={"content-type": content_type}, body=body))
    return {name: (part.filename, bytes(part.content)) for name, part in parts.items()}


@pytest.mark.parametrize("boundary", ["grenze", '"grenze"', "grenze; charset=utf-8"])
def test_a_form_comes_apart_into_its_fields(boundary: str) -> None:
    """Names may hold umlauts and semicolons, and a file anything but the delimiter, even what looks like it."""
    content = b"\r\n--grenz\r\n\r\n\xff--grenze"
    body = (
        b'Vorwort\r\n--grenze\r\nContent-Disposition: form-data; name="leer"\r\n\r\n\r\n'
        b'--grenze\r\nContent-Disposition: form-data; name="file"; filename="'
        + "Größe;1.png".encode()
        + b'"\r\nContent-Type: image/png\r\n\r\n'
        + content
        + b"\r\n--grenze--\r\n"
    )
    expected = {"leer": (None, b""), "file": ("Größe;1.png", content)}
    assert _form(f"multipart/form-data; boundary={boundary}", body) == expected


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"--x\r\n\r\n\r\n--x--"),
        ("multipart/form-data", b"--x\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nabgebrochen'),
    ],
)
def test_what_is_no_whole_form_has_no_fields(content_type: str, body: bytes) -> None:
    """Another type, a missing boundary, and a body that breaks off."""
    assert _form(content_type, body) == {}


async def test_another_process_can_ask_for_the_counters_whatever_is_planned() -> None:
    """`/_sandbox/state` is neither counted, nor limited, nor hit by faults."""
    async with Shelf() as shelf:
        http = shelf.http_client()
        shelf.rate_limit(0.001)
        shelf.drop(None, every=1)
        with pytest.raises(httpx.ReadError):
            await http.post("/things")
        assert (await http.get("/_sandbox/state")).json() == {"requests": 1, "operations": {"Put": {"lost": 1}}}


async def test_clients_are_closed_with_the_sandbox() -> None:
    """What `http_client` made cannot be used any more."""
    async with Shelf() as shelf:
        http = shelf.http_client()
    assert http.is_closed


async def test_only_http_is_spoken() -> None:
    """A server that asks for a lifespan is told that there is none."""
    shelf = Shelf()
    with pytest.raises(NotImplementedError, match="lifespan"):
        await shelf.app({"type": "lifespan"}, _receive_nothing, _send_nothing)


async def test_a_mistake_of_the_application_reaches_the_caller() -> None:
    """An exception out of the application is not turned into an answer."""

    async def broken(*_args: object) -> None:
        raise LookupError

    async with httpx.AsyncClient(transport=InProcessTransport(broken)) as http:
        with pytest.raises(LookupError):
            await http.get("https://sandbox.test/")


async def test_after_its_body_a_request_is_at_its_end() -> None:
    """An application that goes on listening hears that nothing more will come."""

    async def listening(_scope: Scope, receive: Receive, send: Send) -> None:
        heard = [await receive(), await receive()]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": ",".join(each["type"] for each in heard).encode()})

    async with httpx.AsyncClient(transport=InProcessTransport(listening)) as http:
        assert (await http.get("https://sandbox.test/")).text == "http.request,http.disconnect"


async def test_an_answer_without_an_end_is_a_lost_connection() -> None:
    """An application that returns before its answer is complete has lost the connection."""

    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"halb", "more_body": True})

    async with httpx.AsyncClient(transport=InProcessTransport(half)) as http:
        with pytest.raises(httpx.ReadError):
            await http.get("https://sandbox.test/")


def test_time_goes_on_by_a_second_each_time() -> None:
    """The default wall clock is the same in each run."""
    ticks = Ticks(10)
    assert [ticks(), ticks(), ticks()] == [10, 11, 12]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_socket_serves_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """Over a real socket answers arrive, dropped ones break the connection, and nothing is logged or left behind."""
    caplog.set_level(logging.DEBUG)
    async with Shelf() as shelf:
        async with shelf.serve() as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
            assert (await http.post("/things", content=b"eins")).json() == {"number": 0}
            shelf.drop("Put")
            with pytest.raises(httpx.RemoteProtocolError):
                await http.post("/things", content=b"zwei")
            assert (await http.get("/things/last")).text == "zwei"
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(url)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
    assert not logging.getLogger("uvicorn.error").filters


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_mistake_behind_a_socket_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong in the sandbox itself is a 500, and its traceback is not swallowed."""
    async with Shelf() as shelf, shelf.serve() as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        assert (await http.get("/things/last")).status_code == 500
    assert ["IndexError" in caplog.text, len(caplog.records)] == [True, 1]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_socket_without_uvicorn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(RuntimeError, match=r"klickdoxie\[sandbox\]"):
        async with Shelf().serve():
            pass


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_socket_outside_asyncio_is_refused() -> None:
    """The server knows asyncio only, and the error says so."""
    with pytest.raises(RuntimeError, match="asyncio only"):
        async with Shelf().serve():
            pass


async def test_a_request_that_breaks_off_is_not_carried_out() -> None:
    """Half a body is no request: it changes nothing, is not counted, and is not answered."""
    shelf = Shelf()
    messages: list[Message] = [
        {"type": "http.request", "body": b"B\xc3\xbc", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    scope: Scope = {"type": "http", "method": "POST", "path": "/things", "query_string": b"", "headers": []}
    await shelf(scope, receive, _send_nothing)
    assert (shelf.things, shelf.count()) == ([], 0)


def test_a_template_stands_for_itself() -> None:
    """Nothing in it but its holes is a pattern."""
    router = Router([Route(operation="Look", method="GET", template="/v1.0/a+b/{id}.json", handler=lambda _: Answer())])
    found = router.find("GET", "/v1.0/a+b/7.json")
    assert found is not None
    assert found[1] == {"id": "7"}
    assert router.find("GET", "/v1x0/a+b/7.json") is None


async def _receive_nothing() -> Message:
    raise AssertionError


async def _send_nothing(_message: Message) -> None:
    raise AssertionError


@pytest.mark.parametrize("ask", ["count", "fail", "drop"])
@pytest.mark.parametrize(
    ("operation", "hint"),
    [("look", "; did you mean 'Look'"), ("Lokk at last", "; did you mean 'Look at Last'"), ("xyz", "$")],
)
def test_a_misspelt_operation_is_a_mistake(ask: str, operation: str, hint: str) -> None:
    """It is named with those that are close to it; a count of nothing would always pass."""
    box = Shelf()
    with pytest.raises(ValueError, match=f"there is no operation '{operation}'{hint}"):
        getattr(box, ask)(operation)


async def test_requests_that_no_operation_answers_are_counted_by_an_empty_name() -> None:
    """They have no other."""
    async with Shelf() as box:
        await box.http_client().get("/nowhere")
        assert (box.count(""), box.count(), box.count("Look")) == (1, 1, 0)
    with pytest.raises(ValueError, match="there is no operation ''"):
        box.fail("")
