"""The one loop: how often a call is sent, what is raised, and what may have happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from klickdoxie_core import Call, Dialect, Effect, Explained, Limit, Retry, recording
from klickdoxie_core.errors import (
    BadRequest,
    CertificateRejected,
    ConfigError,
    Conflict,
    ConnectFailed,
    DeadlineExceeded,
    DecodeError,
    Forbidden,
    Interrupted,
    NotFound,
    RateLimited,
    Redirected,
    ResponseError,
    SdkError,
    ServerError,
    TooLarge,
    Unauthorized,
    Unprocessable,
)
from klickdoxie_core.wire.base import Failure, Request, WireFailure
from tests.core.support import (
    BASE_URL,
    Client,
    FakeClock,
    ScriptedWire,
    Step,
    a_call,
    answer,
    failure_of,
    gathered,
    hung,
    lost,
    unsent,
)

pytestmark = pytest.mark.anyio

SAFE, REPEATABLE, ONCE = Effect.SAFE, Effect.REPEATABLE, Effect.ONCE

# Requests in a lasting failure for the effects safe, repeatable, once; "?" where it may have been applied.
FINAL = ("1", "1", "1")
FINAL_IN_DOUBT = ("1", "1?", "1?")
UNSENT = ("3", "3", "3")
ANOTHER = ("2", "2", "2")
OUTAGE = ("3", "3?", "1?")
UNREADABLE = ("3", "1?", "1?")


def broken(failure: Failure, *, sent: bool, status: int | None = None) -> Callable[[], Step]:
    """A failure of the wire, made anew for each attempt."""
    return lambda: WireFailure(failure, sent=sent, status=status)


def says(status: int, payload: object = None, **headers: str) -> Callable[[], Step]:
    """An answer, made anew for each attempt."""
    return lambda: answer(status, payload, {name.replace("_", "-"): value for name, value in headers.items()})


TABLE: list[tuple[Callable[[], Step], type[SdkError], tuple[str, str, str]]] = [
    (unsent, ConnectFailed, UNSENT),
    (broken(Failure.TIMEOUT, sent=False), ConnectFailed, UNSENT),
    (broken(Failure.INTERRUPTED, sent=False), ConnectFailed, UNSENT),
    (broken(Failure.CERTIFICATE, sent=False), CertificateRejected, FINAL),
    (broken(Failure.INVALID, sent=False), ConfigError, FINAL),
    (broken(Failure.CLOSED, sent=False), ConfigError, FINAL),
    (broken(Failure.CLOSED, sent=True), ConfigError, FINAL_IN_DOUBT),
    (lost, Interrupted, OUTAGE),
    (hung, Interrupted, OUTAGE),
    (broken(Failure.ENCODING, sent=True, status=200), DecodeError, UNREADABLE),
    (broken(Failure.ENCODING, sent=True, status=404), NotFound, FINAL),
    (broken(Failure.ENCODING, sent=True, status=502), ServerError, OUTAGE),
    (broken(Failure.TOO_LARGE, sent=True, status=200), TooLarge, FINAL_IN_DOUBT),
    (broken(Failure.TOO_LARGE, sent=True, status=500), ServerError, OUTAGE),
    (says(200, b"<html>"), DecodeError, UNREADABLE),
    (says(200, b""), DecodeError, UNREADABLE),
    (says(200, b"  \r\n"), DecodeError, UNREADABLE),
    (says(200, b'{"ok":tr'), DecodeError, UNREADABLE),
    (says(200, b'{"ok":1}{"ok":2}'), DecodeError, UNREADABLE),
    (says(200, b'{"ok":NaN}'), DecodeError, UNREADABLE),
    (says(200, b'{"ok":true,"ok":false}'), DecodeError, UNREADABLE),
    (says(200, '{"name":"Größe"}'.encode("cp1252")), DecodeError, UNREADABLE),
    (says(200, b"null"), DecodeError, UNREADABLE),
    (says(201, [1]), DecodeError, UNREADABLE),
    (says(204, b""), DecodeError, UNREADABLE),
    (says(205, b""), DecodeError, UNREADABLE),
    (says(206), DecodeError, UNREADABLE),
    *((says(status, b""), Redirected, FINAL) for status in (300, 301, 302, 303, 307, 308)),
    (says(304, b""), DecodeError, FINAL_IN_DOUBT),
    (says(400), BadRequest, FINAL),
    (says(400, retry_after="1"), BadRequest, FINAL),
    (says(401), Unauthorized, FINAL),
    (says(403), Forbidden, FINAL),
    (says(404, b""), NotFound, FINAL),
    (says(409), Conflict, FINAL),
    (says(422, b"<html>"), Unprocessable, FINAL),
    *((says(status), ResponseError, FINAL) for status in (402, 405, 406, 410, 411, 412, 413, 415, 418)),
    (says(408), ResponseError, OUTAGE),
    (says(421), ResponseError, ANOTHER),
    (says(425), ResponseError, ANOTHER),
    (says(429), RateLimited, UNSENT),
    *((says(status, b"<html>"), ServerError, OUTAGE) for status in (500, 502, 503, 504)),
    (says(503, retry_after="1"), ServerError, OUTAGE),
    *((says(status), ServerError, FINAL_IN_DOUBT) for status in (501, 505, 507, 508, 511)),
    *((says(status), ServerError, ("3", "1?", "1?")) for status in (506, 509, 510, 520, 524, 529, 599)),
    *((says(status), DecodeError, FINAL_IN_DOUBT) for status in (99, 199, 600, 999)),
]


@pytest.mark.parametrize(("step", "error", "row"), TABLE)
async def test_what_follows_from_a_failure(
    step: Callable[[], Step], error: type[SdkError], row: tuple[str, str, str]
) -> None:
    """The number of requests, the class and the doubt follow from the table, and so does whether a retry helps."""
    for effect, cell in zip((SAFE, REPEATABLE, ONCE), row, strict=True):
        lasting = ScriptedWire(lambda _: step())
        caught = await failure_of(Client(lasting).run(a_call(effect)))
        assert f"{len(lasting.requests)}{'?' if caught.maybe_applied else ''}" == cell
        assert (type(caught), caught.attempts, caught.status) == (error, len(lasting.requests), step().status)
        assert (caught.operation, caught.facts.template, caught.facts.effect) == ("Do Thing", "/thing", effect)
        passing = ScriptedWire(step(), answer())
        if caught.attempts == 1:
            assert type(await failure_of(Client(passing).run(a_call(effect)))) is error
        else:
            assert await Client(passing).run(a_call(effect)) == {"ok": True}
        assert len(passing.requests) == min(2, caught.attempts)


@pytest.mark.parametrize(
    ("steps", "effect", "error", "doubt"),
    [
        ([lost(), answer(409)], REPEATABLE, Conflict, True),
        ([answer(500), answer(403)], REPEATABLE, Forbidden, True),
        ([hung(), unsent(), unsent()], REPEATABLE, ConnectFailed, True),
        ([lost(), answer(429, headers={"retry-after": "999"})], REPEATABLE, RateLimited, True),
        ([unsent(), answer(400)], REPEATABLE, BadRequest, False),
        ([answer(429), unsent(), answer(409)], ONCE, Conflict, False),
        ([answer(429), lost()], ONCE, Interrupted, True),
        ([unsent(), answer(504)], ONCE, ServerError, True),
        ([lost(), answer(500), answer(404)], SAFE, NotFound, False),
    ],
)
async def test_doubt_stays_over_all_attempts(
    steps: list[Step], effect: Effect, error: type[SdkError], doubt: bool
) -> None:
    """Once an attempt may have been applied, every later error of the call says so."""
    caught = await failure_of(Client(ScriptedWire(*steps)).run(a_call(effect)))
    assert (type(caught), caught.maybe_applied, caught.attempts) == (error, doubt, len(steps))


async def test_gone_after_doubt_is_done() -> None:
    """A deletion that finds nothing after an attempt in doubt has succeeded, and the recording says how."""
    client = Client(ScriptedWire(lost(), answer(404)))
    with recording() as seen:
        assert await client.run(a_call(REPEATABLE, method="DELETE", done_if=(NotFound,))) is None
    assert (seen.last.replayed, seen.last.error, seen.last.status, seen.last.attempts) == (True, None, 404, 2)


@pytest.mark.parametrize(
    ("steps", "done_if"),
    [
        ([answer(404)], (NotFound,)),
        ([unsent(), answer(404)], (NotFound,)),
        ([answer(429), answer(404)], (NotFound,)),
        ([lost(), answer(404)], ()),
        ([lost(), answer(404)], (Conflict,)),
    ],
)
async def test_gone_without_doubt_is_an_error(steps: list[Step], done_if: tuple[type[Exception], ...]) -> None:
    """What nobody can have deleted before was never there."""
    client = Client(ScriptedWire(*steps))
    with recording() as seen:
        assert type(await failure_of(client.run(a_call(REPEATABLE, done_if=done_if)))) is NotFound
    assert not seen.last.replayed


class NoSuchTag(NotFound):
    """A vendor's word."""


class TagsDialect(Dialect):
    """A vendor that says in the body what it means."""

    family = {ServerError: type("TagsDown", (ServerError,), {})}  # noqa: RUF012 - as an author writes it

    def explain(self, call: Call[Any], status: int, payload: object) -> Explained | None:
        """The body's word, if it has one."""
        if not isinstance(payload, dict) or "error" not in payload:
            return None
        given: dict[str, Any] = {"error": NoSuchTag, "message": "there is no such tag", "code": payload["error"]}
        return Explained(**given | payload.get("means", {}))


class TagsClient(Client):
    dialect = TagsDialect()


@pytest.mark.parametrize(
    ("means", "row"),
    [
        ({}, FINAL),
        ({"transient": True}, ("2", "2", "1")),
        ({"in_doubt": True}, FINAL_IN_DOUBT),
        ({"transient": True, "in_doubt": True}, ("2", "2?", "1?")),
    ],
)
@pytest.mark.parametrize("status", [200, 406, 429, 500])
async def test_a_vendors_last_word(status: int, means: dict[str, Any], row: tuple[str, str, str]) -> None:
    """A vendor's own decision counts whatever the status, and what it calls transient is tried once more."""
    assert await explained(status, {"final": True} | means) == row


async def explained(status: int, means: dict[str, Any]) -> tuple[str, ...]:
    """How often each effect is sent and whether it is in doubt, for an answer in the vendor's words."""
    seen: list[str] = []
    for effect in (SAFE, REPEATABLE, ONCE):
        wire = ScriptedWire(lambda _: answer(status, {"error": 12, "means": means}))
        caught = await failure_of(TagsClient(wire).run(a_call(effect)))
        seen.append(f"{len(wire.requests)}{'?' if caught.maybe_applied else ''}")
        assert (type(caught), caught.message, caught.code) == (NoSuchTag, "there is no such tag", 12)
        assert caught.status == status
    return tuple(seen)


@pytest.mark.parametrize(
    ("status", "means", "row"),
    [
        (200, {}, FINAL),
        (200, {"transient": True, "in_doubt": True}, ("2", "2?", "1?")),
        (302, {}, FINAL),
        (404, {}, FINAL),
        (404, {"transient": True}, ("2", "2", "1")),
        (404, {"in_doubt": True}, FINAL_IN_DOUBT),
        (429, {}, UNSENT),
        (429, {"transient": True}, UNSENT),
        (429, {"in_doubt": True}, ("3", "3?", "3?")),
        (500, {}, OUTAGE),
        (503, {"transient": True}, OUTAGE),
        (504, {}, OUTAGE),
        (504, {"transient": True, "in_doubt": True}, OUTAGE),
        (507, {}, FINAL_IN_DOUBT),
        (507, {"transient": True}, ("2", "2?", "1?")),
        (999, {}, FINAL_IN_DOUBT),
    ],
)
async def test_a_vendors_words_leave_the_decision_to_http(
    status: int, means: dict[str, Any], row: tuple[str, str, str]
) -> None:
    """Class and words are the vendor's, retries and doubt those of the status, to which the vendor only adds."""
    assert await explained(status, means) == row


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (302, "the service answered 302; redirects are not followed; it points to https://x"),
        (304, "the service answered 304"),
        (400, "the service answered 400"),
    ],
)
async def test_an_error_says_what_was_answered(status: int, text: str) -> None:
    """Of where a redirect points to only the origin is shown: the rest may carry a key."""
    headers = {"location": "https://anna:geheim@x/anna/?k#f"}
    caught = await failure_of(Client(ScriptedWire(answer(status, headers=headers))).run(a_call()))
    assert caught.message == text


@pytest.mark.parametrize(
    ("location", "origin"),
    [
        ("/other", BASE_URL),
        ("//EXAMPLE.org/?k", "https://example.org"),
        ("http://10.0.0.1:8080/x", "http://10.0.0.1:8080"),
        ("file:///etc/passwd", None),
        ("https://", BASE_URL),
        ("https://x:99999/", None),
        ("https://[", None),
        ("https://geheim@anna@x y/", None),
        (None, None),
    ],
)
async def test_a_redirect_names_the_origin(location: str | None, origin: str | None) -> None:
    """A path alone stays with the service; what is no origin is not shown, also beside a vendor's words."""
    headers = {} if location is None else {"location": location}
    said = f"; it points to {origin}" if origin else ""
    for payload in ({}, {"error": 12}):
        caught = await failure_of(TagsClient(ScriptedWire(answer(302, payload, headers))).run(a_call()))
        assert caught.message.endswith(said or ("not followed" if not payload else "no such tag"))
        assert "geheim" not in str(caught)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "the service answered 404; it sent a web page; check base_url"),
        (302, "the service answered 302; redirects are not followed; it sent a web page; check base_url"),
        (502, "the service answered 502; it sent a web page"),
    ],
)
async def test_a_web_page_is_named(status: int, said: str) -> None:
    """With a failure of the server it is no matter of the URL."""
    page = b"\xef\xbb\xbf\n<!DOCTYPE html>"
    assert (await failure_of(Client(ScriptedWire(lambda _: answer(status, page))).run(a_call()))).message == said


@pytest.mark.parametrize("before", [*range(19), 5000])
async def test_a_long_text_shows_no_half_address(before: int) -> None:
    """Many addresses become short when they are hidden; the one at which the text is cut is hidden, too."""
    text = "x" * before + " anna.maria.louise.mustermann@buero.example.com" * 400
    caught = await failure_of(Client(ScriptedWire(answer(400, text.encode()))).run(a_call()))
    assert "anna" not in str(caught.body)


@pytest.mark.parametrize(("password", "shown"), [("geheim99", False), ("20240815", False), ("4711", True)])
async def test_an_error_repeats_no_password(password: str, shown: bool) -> None:
    """Also one of digits alone, unless it is as short as the numbers that an answer is full of."""
    said = answer(400, {"error": 4711, "message": f"wrong password {password}"})
    caught = await failure_of(Client(ScriptedWire(said)).run(a_call(REPEATABLE, body={"password": password})))
    assert (password in str(caught.body)) is shown


async def test_an_error_shows_the_body_masked() -> None:
    """What the service said is kept for whoever debugs, without addresses, as text where it is no JSON."""
    steps = [
        answer(400, {"mail": "anna@example.com"}),
        answer(400, "Größe: anna@b.de".encode("cp1252")),
        answer(400, b""),
    ]
    client = Client(ScriptedWire(*steps))
    bodies = [(await failure_of(client.run(a_call()))).body for _ in steps]
    assert bodies == [{"mail": "[hidden]"}, "Gr\ufffd\ufffde: [hidden]", None]


@pytest.mark.parametrize(
    ("status", "empty_ok", "fine"), [(204, True, True), (205, True, True), (204, False, False), (206, True, False)]
)
async def test_no_content_where_none_is_needed(status: int, empty_ok: bool, fine: bool) -> None:
    """An answer without a body is one where the call says so."""
    client = Client(ScriptedWire(lambda _: answer(status, b"")))
    call = a_call(REPEATABLE, empty_ok=empty_ok)
    if fine:
        assert await client.run(call) is None
    else:
        assert type(await failure_of(client.run(call))) is DecodeError


async def test_an_outage_does_not_multiply_its_load() -> None:
    """300 calls of a client in an outage share one stock of retries."""
    wire = ScriptedWire(lambda _: unsent())
    client = Client(wire)
    errors = await gathered(lambda _: client.run(a_call()), 300)
    assert {type(error) for error in errors} == {ConnectFailed}
    assert any("retry budget empty" in str(error) for error in errors)
    assert len(wire.requests) == 400


async def test_an_error_tells_that_the_stock_of_retries_was_empty() -> None:
    """A job can tell one failure from a service that is gone; a call that was tried to its end says nothing."""
    client = Client(ScriptedWire(lambda _: unsent()), retry=Retry(attempts=2, budget=1))
    errors = [await failure_of(client.run(a_call())) for _ in range(2)]
    assert [(error.attempts, error.facts.quota_empty) for error in errors] == [(2, False), (1, True)]


async def test_being_asked_to_slow_down_costs_no_retry() -> None:
    """It is no failure of the service; neither does a success after it earn one."""
    slow = answer(429, headers={"retry-after": "1"})
    steps: list[Step] = [step for _ in range(20) for step in (slow, answer())]
    client = Client(ScriptedWire(*steps, unsent(), answer()), retry=Retry(budget=1))
    for _ in range(20):
        await client.run(a_call())
    await client.run(a_call())
    client = Client(ScriptedWire(unsent(), unsent(), slow, answer(), lambda _: unsent()), retry=Retry(budget=1))
    assert (await failure_of(client.run(a_call()))).facts.quota_empty
    await client.run(a_call())
    assert (await failure_of(client.run(a_call()))).attempts == 1


async def test_a_retry_that_helps_costs_nothing() -> None:
    """The stock is the same after a call that needed its retry."""
    steps: list[Step] = [step for _ in range(20) for step in (unsent(), answer())]
    client = Client(ScriptedWire(*steps, lambda _: unsent()), retry=Retry(budget=1))
    for _ in range(20):
        await client.run(a_call())
    assert "budget" in str(await failure_of(client.run(a_call())))


async def test_five_successes_earn_a_retry() -> None:
    """A success at once puts back a fifth of one; four are not enough."""
    steps = [unsent(), unsent(), *[answer()] * 4, unsent(), answer(), unsent(), answer()]
    client = Client(ScriptedWire(*steps), retry=Retry(budget=1, attempts=2))
    await failure_of(client.run(a_call()))
    for _ in range(4):
        await client.run(a_call())
    assert "budget" in str(await failure_of(client.run(a_call())))
    for _ in range(2):
        await client.run(a_call())


async def test_a_view_decides_how_often() -> None:
    """Attempts are an option of the call's view, the stock of retries is the client's."""
    wire = ScriptedWire(lambda _: unsent())
    client = Client(wire)
    await failure_of(client.with_options(retry=Retry(attempts=1)).run(a_call()))
    assert len(wire.requests) == 1
    await failure_of(client.with_options(retry=Retry(attempts=7)).run(a_call()))
    assert len(wire.requests) == 8


async def test_a_cancelled_call_is_not_sent_again() -> None:
    """Cancelling ends the call at once, gives the slot back, and counts as no failure."""

    async def never(_: Request) -> Step:
        await anyio.sleep_forever()
        raise AssertionError

    wire = ScriptedWire(never)
    client = Client(wire, limit=Limit(concurrency=1))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(client.run, a_call())
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert (len(wire.requests), wire.under_way) == (1, 0)
    assert client.engine.limiter.acquire_nowait()


def waiting_client(*steps: Step, **options: Any) -> tuple[Client, ScriptedWire]:
    """A client whose own pauses would be 0.5 and 1 seconds."""
    wire = ScriptedWire(*steps)
    return Client(wire, time=FakeClock(chance=1.0), **options), wire


@pytest.mark.parametrize(
    ("headers", "pauses"),
    [
        ({}, [0.5]),
        ({"retry-after": "30"}, [30.0]),
        ({"retry-after": "0.1"}, [0.5]),
        ({"retry-after": "0"}, [0.5]),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}, [10.0]),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}, [0.5]),
        *(({"retry-after": text}, [0.5]) for text in ("nan", "inf", "-5", "1e9", "1_0", "٥", "", "5, 6", "9" * 10_240)),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_the_service_says_how_long_to_wait(status: int, headers: dict[str, str], pauses: list[float]) -> None:
    """What it asks for is obeyed, never undercut, and a bad header is as good as none."""
    client, _ = waiting_client(answer(status, headers=headers), answer())
    with recording() as seen:
        await client.run(a_call())
    assert client.time.slept == pauses
    assert seen.last.waited == pauses[0]


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
async def test_only_429_and_503_may_ask_to_wait(status: int) -> None:
    """On any other status the header means nothing."""
    client, _ = waiting_client(answer(status, headers={"retry-after": "30"}), answer())
    await client.run(a_call())
    assert client.time.slept == [0.5]


@pytest.mark.parametrize("seconds", ["61", "946684800", "9" * 18])
@pytest.mark.parametrize("effect", Effect)
async def test_too_long_a_wait_is_raised_at_once(seconds: str, effect: Effect) -> None:
    """Nobody sleeps for a day and nobody ignores the service: the caller decides."""
    client, wire = waiting_client(answer(429, headers={"retry-after": seconds}))
    caught = await failure_of(client.run(a_call(effect)))
    assert (type(caught), caught.retry_after, caught.maybe_applied) == (RateLimited, float(seconds), False)
    assert "longer than the 60 s that this client would wait" in str(caught)
    assert (len(wire.requests), client.time.slept) == (1, [])


async def test_a_wait_beyond_the_deadline_is_raised_at_once() -> None:
    """A pause that would end after the deadline is not even begun."""
    client, wire = waiting_client(answer(503, headers={"retry-after": "30"}), deadline=30)
    caught = await failure_of(client.run(a_call()))
    assert (type(caught), caught.retry_after) == (ServerError, 30.0)
    assert "no time was left for another attempt" in str(caught)
    assert (len(wire.requests), client.time.slept) == (1, [])


async def test_pauses_grow_and_are_told() -> None:
    """Each pause has twice the bound of the one before, and the error adds them up."""
    client, _ = waiting_client(*(lost() for _ in range(5)), retry=Retry(attempts=5, base=1.0, cap=3.0))
    caught = await failure_of(client.run(a_call()))
    assert client.time.slept == [1.0, 2.0, 3.0, 3.0]
    assert caught.waited == 9.0


async def test_the_deadline_bounds_the_last_attempt() -> None:
    """An attempt gets what is left of the call's time, and its timeout then is the call's."""
    client, wire = waiting_client(deadline=40, timeout=30)

    def slow(request: Request) -> Step:
        client.time.time += request.timeout
        return hung()

    wire._steps.append(slow)
    caught = await failure_of(client.run(a_call(REPEATABLE)))
    assert (type(caught), caught.maybe_applied, caught.attempts) == (DeadlineExceeded, True, 2)
    assert [request.timeout for request in wire.requests] == [30.0, 9.5]
    assert caught.message == "the answer was not complete when the deadline of 40 s was over"


async def test_no_request_leaves_after_the_deadline() -> None:
    """Whoever waited too long for the client's own limit is told that nothing was sent."""
    client, wire = waiting_client(deadline=5, limit=Limit(rate=0.1))
    assert client.engine.limiter.acquire_nowait()
    caught = await failure_of(client.run(a_call(ONCE)))
    assert (type(caught), caught.maybe_applied, caught.attempts) == (DeadlineExceeded, False, 0)
    assert wire.requests == []
