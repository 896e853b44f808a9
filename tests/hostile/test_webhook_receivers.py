"""Receivers of webhooks, and whatever strangers send: always an answer of 200 or 4xx, never more than the limit."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import tracemalloc
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import doxie_async.webhooks
import klickdoxie_core.webhooks as core
import klicktipp_async.webhooks
from klickdoxie_core import Basic, ConfigError, Secret, WebhookError
from klickdoxie_core.webhooks import BasicCheck, Receiver, TokenCheck
from tests.hostile import strategies as s

pytestmark = pytest.mark.anyio

Header = tuple[bytes, bytes]
TOKEN, USER, PASSWORD = "pä$$ wört", "anna", "geh:eim;ß"
LIMIT = 100_000
OK = {200, 400, 401, 404, 405, 413}


def basic(pair: str) -> bytes:
    """An `Authorization` header."""
    return b"Basic " + base64.b64encode(pair.encode("utf-8", "surrogatepass"))


AUTHORIZED: dict[str, Header] = {
    "klicktipp": (b"authorization", b"Bearer " + TOKEN.encode()),
    "doxie": (b"authorization", basic(f"{USER}:{PASSWORD}")),
    "doxie with paths": (b"authorization", basic(f"{USER}:{PASSWORD}")),
    "core": (b"authorization", basic(f"{USER}:{PASSWORD}")),
}
EVENT = json.dumps({"message_id": "1", "status": "opened", "recipient": s.ADDRESS}).encode()
BODIES: dict[str, tuple[bytes, bytes]] = {
    "klicktipp": (b"application/x-www-form-urlencoded", b"email=k%C3%A4the%40example.org&id=5"),
    "doxie": (b"application/json", EVENT),
    "doxie with paths": (b"application/json", EVENT),
    "core": (b"text/plain", b"anything"),
}
APPS = pytest.mark.parametrize("name", list(BODIES))


def app_of(name: str, handler: Callable[[Any], Any] = lambda _: None, **options: Any) -> Any:
    """One of the receivers, with a small limit."""
    options.setdefault("max_body", LIMIT)
    credentials = [Basic(USER, PASSWORD)]
    if name == "klicktipp":
        return klicktipp_async.webhooks.WebhookApp(handler, token=TOKEN, **options)
    if name == "core":
        return Receiver(handler, read=lambda delivery: delivery.body, basic=BasicCheck(credentials), **options)
    paths = {"/status": doxie_async.webhooks.MessageStatus} if "paths" in name else None
    return doxie_async.webhooks.WebhookApp(handler, credentials=credentials, paths=paths, **options)


@attrs.define
class Sender:
    """The other side of a receiver: plays a body in pieces, then has gone; keeps what is answered."""

    pieces: list[bytes]
    complete: bool = True
    sent: list[Any] = attrs.field(factory=list)
    received: int = 0

    async def receive(self) -> dict[str, Any]:
        """The next piece."""
        await anyio.lowlevel.checkpoint()
        if self.received >= len(self.pieces):
            return {"type": "http.disconnect"}
        piece = self.pieces[self.received]
        self.received += 1
        return {
            "type": "http.request",
            "body": piece,
            "more_body": not self.complete or self.received < len(self.pieces),
        }

    async def send(self, message: Any) -> None:
        """Keep a part of the answer."""
        self.sent.append(message)

    async def deliver(
        self, app: Any, headers: Iterable[Header], *, method: str = "POST", query: bytes = b"", path: str = "/status"
    ) -> int | None:
        """Serve one request; its status, or None when it was not answered."""
        scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "query_string": query}
        await app(scope, self.receive, self.send)
        if not self.sent:
            return None
        start, end = self.sent
        assert dict(start["headers"])[b"content-length"] == b"%d" % len(end["body"])
        assert not end["more_body"]
        return int(start["status"])


async def deliver(name: str, body: bytes | None = None, *more: Header, app: Any = None, **options: Any) -> int | None:
    """The status of one good delivery, changed as told."""
    kind, fine = BODIES[name]
    headers = (
        [AUTHORIZED[name], *more]
        if any(key == b"content-type" for key, _ in more)
        else [AUTHORIZED[name], (b"content-type", kind), *more]
    )
    return await Sender([fine if body is None else body]).deliver(app or app_of(name), headers, **options)


@APPS
async def test_a_good_delivery_is_taken(name: str) -> None:
    """All that follows starts from a delivery that is taken."""
    events: list[Any] = []
    assert await deliver(name, app=app_of(name, events.append)) == 200
    assert len(events) == 1


names = st.sampled_from(
    (b"authorization", b"Authorization", b"content-type", b"content-length", b"x", b"", b"transfer-encoding")
)
credentials = st.sampled_from(
    (
        b"Basic",
        b"basic ",
        b"Basic =",
        b"Basic \xff",
        basic(":"),
        basic("anna"),
        b"Bearer",
        b"Bearer  x",
        b"\x00",
        b"Basic " * 999,
    )
)
lengths = st.sampled_from(
    (b"-1", b"0", b"abc", b"1e9", b"9" * 5000, b"", b" 5", b"5,5", "٥".encode(), b"+5", b"100001", b"5")
)
kinds = st.sampled_from(
    (
        *(
            b"application/json",
            b"application/x-www-form-urlencoded",
            b"text/plain",
            b"",
            b";",
            b"application/vnd.x+json",
        ),
        *(b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=x", b"\xff\xfe"),
        *(
            b'multipart/form-data; boundary="\xe4"',
            b"application/json; charset=\x00",
            b"MULTIPART/FORM-DATA;BOUNDARY=x",
        ),
    )
)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | s.texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(s.texts, inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    *("message_id", "status", "timestamp", "qr_code_uuid", "valid_until", "sender", "message_content", "process_uuid"),
    *(
        "cancellation_timestamp",
        "identifier",
        "ipAddress",
        "original_event_slug",
        "recipient_specific_message_ids",
        "raw",
    ),
    *("extra", "timestamp_text", "email", "id", "PhoneNumber", "Authorization", "fieldFirstName", "CustomField5"),
)
events = st.dictionaries(st.sampled_from(KEYS) | s.texts, json_like, max_size=6)
parts = st.lists(
    st.sampled_from(
        (
            *(
                b"--x",
                b"\r\n--x\r\n",
                b"\r\n--x--\r\n",
                b"Content-Disposition: form-data; name=",
                b'"email"',
                b"\r\n\r\n",
            ),
            *(b"&", b"=", b"%", b"%E4", b"%ff", b"+", b"{", b"}", b'"', b"[", b"]", b":", b",", b"\\u0000", b"\\ud800"),
            *(
                b"email",
                b"id=5",
                b"NaN",
                b"1e999",
                b"9" * 5000,
                b"\xef\xbb\xbf",
                b"null",
                b"true",
                b"\xff",
                b"Authorization",
            ),
        )
    ),
    max_size=12,
).map(b"".join)
bodies = st.binary(max_size=60) | parts | events.map(lambda event: json.dumps(event).encode())
header_lists = st.lists(
    st.tuples(names, credentials | lengths | kinds | st.binary(max_size=20))
    | st.tuples(st.binary(max_size=9), st.binary(max_size=9)),
    max_size=5,
)
methods = st.sampled_from(("POST", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "", "post", "BREW\r\n", "ü"))


@APPS
@s.checked(60)
@given(
    method=methods,
    headers=header_lists,
    body=st.lists(bodies, min_size=1, max_size=3),
    query=bodies,
    path=s.texts,
    known=st.booleans(),
    complete=st.booleans(),
)
async def test_strangers_get_an_answer(
    name: str,
    method: str,
    headers: list[Header],
    body: list[bytes],
    query: bytes,
    path: str,
    known: bool,
    complete: bool,
) -> None:
    """With or without the right credential, the answer is 200 or one of the refusals, or nobody is left to answer."""
    sender = Sender(body, complete=complete)
    given_headers = [AUTHORIZED[name], *headers] if known else headers
    status = await sender.deliver(app_of(name), given_headers, method=method, query=query, path=path)
    assert status in OK or (status is None and not complete)
    if not known:
        assert status != 200


@APPS
@s.checked(60)
@given(event=events, kind=kinds)
async def test_friends_send_odd_things(name: str, event: dict[str, Any], kind: bytes) -> None:
    """Every name that has a meaning, with anything in it, in every type; what is taken has a key and a repr."""
    taken: list[Any] = []
    body = json.dumps(event).encode()
    assert await deliver(name, body, (b"content-type", kind), app=app_of(name, taken.append)) in {200, 400}
    for each in taken:
        assert isinstance(each, bytes) or len(each.key) == 64
        repr(each)


EVIL = {
    "deep JSON": (b"application/json", b"[" * 40_000 + b"]" * 40_000),
    "deep objects": (b"application/json", b'{"a":' * 10_000),
    "a long number": (b"application/json", b'{"id": ' + b"9" * 90_000 + b"}"),
    "a huge exponent": (b"application/json", b'{"id": 1e99999, "email": -1e999}'),
    "many names": (b"application/json", b"{" + b",".join(b'"%d":1' % number for number in range(9000)) + b"}"),
    "escapes": (b"application/json", b'{"a":"' + b"\\u0041" * 16_000 + b'"}'),
    "ampersands": (b"", b"&" * 99_999),
    "equals": (b"", b"=" * 99_999),
    "percents": (b"", b"%" * 99_999),
    "plus": (b"", b"+" * 99_999),
    "parts": (b"multipart/form-data; boundary=x", b"\r\n--x" * 19_000),
    "heads": (
        b"multipart/form-data; boundary=x",
        b"--x\r\n" + b"\r\n--x".join([b"content-disposition:" + b";  " * 300] * 90) + b"\r\n--x--",
    ),
    "blank heads": (b"multipart/form-data; boundary=x", (b"--x\r\ncontent-disposition:;" + b" " * 900 + b"\r\n") * 90),
    "a boundary of one": (b"multipart/form-data; boundary=-", b"-" * 99_999),
    "a long content type": (b"multipart/form-data;" + b" boundary" * 9999, b"x"),
    "quotes": (b'multipart/form-data; boundary="' + b'"' * 50_000, b"x"),
    "UTF-16": (b"application/json", '{"email":"a"}'.encode("utf-16")),
    "a mark": (b"application/json", b'\xef\xbb\xbf{"email":"a@b"}'),
    "surrogates": (b"application/json", b'{"\\ud800":"\\udfff"}'),
    "NUL": (b"", b"email=%00"),
    "gzip": (b"application/json", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
}


@APPS
@pytest.mark.parametrize("evil", EVIL)
async def test_bodies_that_are_meant_to_hurt(name: str, evil: str) -> None:
    """They are answered, and quickly."""
    kind, body = EVIL[evil]
    assert await deliver(name, body, (b"content-type", kind)) in {200, 400}


@pytest.mark.parametrize("evil", EVIL)
async def test_queries_that_are_meant_to_hurt(evil: str) -> None:
    """The query is read like a form."""
    body = EVIL[evil][1]
    assert await deliver("klicktipp", b"", method="GET", query=body) in {200, 400}


@APPS
async def test_no_more_than_the_limit_is_held(name: str) -> None:
    """An endless body is given up right behind the limit, and never held beyond it."""
    piece = bytes(10_000)
    sender = Sender([piece] * 1000, complete=False)
    tracemalloc.start()
    try:
        status = await sender.deliver(app_of(name), [AUTHORIZED[name]])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status == 413
    assert sender.received == LIMIT // len(piece) + 1
    assert peak < 20 * LIMIT


@APPS
@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
async def test_the_limit_is_exact(name: str, size: int) -> None:
    """The last byte that is allowed is allowed."""
    assert (await deliver(name, b"x" * size, (b"content-type", b"")) == 413) == (size > LIMIT)


@APPS
@pytest.mark.parametrize(
    ("lengths", "statuses", "reads"),
    [
        ([b"100001"], {413}, False),
        ([b"9" * 5000], {413}, False),
        ([b"5"], {200}, True),
        ([b"99999"], {200}, True),
        ([b"-1"], {200}, True),
        ([b"many"], {200}, True),
        ([b""], {200}, True),
        ([b"1e9"], {200}, True),
        (["٩٩٩٩٩٩٩".encode()], {200}, True),
        ([b"\xff"], {200}, True),
        ([b"5", b"100001"], {200}, True),
        ([b"100001", b"100001"], {200}, True),
        ([b"000000000000005"], {200}, True),
    ],
    ids=ascii,
)
async def test_a_length_that_lies(name: str, lengths: list[bytes], statuses: set[int], reads: bool) -> None:
    """A length beyond the limit is refused unread; any other claim is nothing to go by: the body itself is counted."""
    kind, body = BODIES[name]
    sender = Sender([body])
    headers = [AUTHORIZED[name], (b"content-type", kind), *((b"content-length", length) for length in lengths)]
    assert await sender.deliver(app_of(name), headers) in statuses
    assert (sender.received > 0) is reads


@APPS
async def test_a_body_that_comes_byte_by_byte(name: str) -> None:
    """Pieces of a byte, and empty ones between them, make the same delivery."""
    kind, body = BODIES[name]
    pieces = [piece for number in range(len(body)) for piece in (body[number : number + 1], b"")]
    assert await Sender(pieces).deliver(app_of(name), [AUTHORIZED[name], (b"content-type", kind)]) == 200


@APPS
@pytest.mark.parametrize("share", [0, 1, 5])
async def test_a_sender_that_leaves(name: str, share: int) -> None:
    """A body without an end is no delivery: there is no answer and no event."""
    taken: list[Any] = []
    kind, body = BODIES[name]
    sender = Sender([body[:share]] if share else [], complete=False)
    assert await sender.deliver(app_of(name, taken.append), [AUTHORIZED[name], (b"content-type", kind)]) is None
    assert not taken


@APPS
async def test_a_sender_that_stops_can_be_cancelled(name: str) -> None:
    """How long to wait is the server's to say; once it cancels, nothing is answered, and no event comes of it."""
    taken: list[Any] = []
    waiting = anyio.Event()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        waiting.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/status", "headers": [AUTHORIZED[name]], "query_string": b""}
    async with anyio.create_task_group() as group:
        group.start_soon(app_of(name, taken.append), scope, receive, send)
        await waiting.wait()
        group.cancel_scope.cancel()
    assert (taken, sent) == ([], [])


@APPS
async def test_the_same_delivery_again_and_again(name: str) -> None:
    """Each is an event of its own with the same key, so that repetitions can be told."""
    taken: list[Any] = []
    app = app_of(name, taken.append)
    assert [await deliver(name, app=app) for _ in range(5)] == [200] * 5
    assert len({each if isinstance(each, bytes) else each.key for each in taken}) == 1
    assert len(taken) == 5


@APPS
async def test_deliveries_at_once_do_not_mix(name: str) -> None:
    """Twenty senders whose pieces come in turns make twenty events."""
    taken: list[Any] = []
    app = app_of(name, taken.append)
    kind, body = BODIES[name]
    senders = [Sender([bytes([byte]) for byte in body]) for _ in range(20)]
    async with anyio.create_task_group() as group:
        for sender in senders:
            group.start_soon(sender.deliver, app, [AUTHORIZED[name], (b"content-type", kind)])
    assert len(taken) == 20
    assert all(sender.sent[0]["status"] == 200 for sender in senders)


FAILURES: tuple[Exception, ...] = (
    *(ValueError(s.ADDRESS), KeyError(s.ADDRESS), StopIteration(s.ADDRESS), TimeoutError(), RecursionError()),
    *(
        ExceptionGroup(s.ADDRESS, [ValueError(s.PHONE)]),
        WebhookError(s.ADDRESS),
        UnicodeEncodeError("utf-8", "ä", 0, 1, "x"),
    ),
)


@APPS
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("waits", [True, False])
async def test_a_handler_that_fails(
    caplog: pytest.LogCaptureFixture, name: str, failure: Exception, waits: bool
) -> None:
    """The sender has its answer already, and the log shows neither the event nor the error's words."""

    async def fail_later(_: object) -> None:
        await anyio.lowlevel.checkpoint()
        raise failure

    def fail(_: object) -> None:
        raise failure

    with caplog.at_level(logging.DEBUG):
        assert await deliver(name, app=app_of(name, fail_later if waits else fail)) == 200
    assert type(failure).__name__ in caplog.text or isinstance(failure, StopIteration)
    assert s.CANARY not in caplog.text
    assert "5550123" not in caplog.text


@pytest.mark.parametrize("result", [None, 5, "x", 1j, [1]], ids=repr)
async def test_a_handler_may_return_anything(result: object) -> None:
    """What it returns is of no interest."""
    assert await deliver("core", app=app_of("core", lambda _: result)) == 200


HEADERS: tuple[bytes | None, ...] = (
    *(
        None,
        b"",
        b" ",
        b"Basic",
        b"Basic ",
        b"Basic !",
        b"Basic \xff\xfe",
        b"basic" + b" " * 5000,
        b"Bearer",
        b"Bearer ",
    ),
    *(basic(f"{USER}:{PASSWORD} "), basic(f"{USER}:"), basic(PASSWORD), basic(f"{USER}:{PASSWORD}")[:-1], b"Digest x"),
    *(basic("ü" * 5000), basic("\ud800:\ud800"), basic(f"{USER.upper()}:{PASSWORD}"), TOKEN.encode()[:-1], b"\x00" * 9),
    *(basic(f"{USER}:{PASSWORD}") + b"\xc3\xa4", TOKEN.encode("latin-1"), b"Bearer " * 2 + TOKEN.encode("cp1252")),
)


@APPS
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: ascii(header)[:20])
async def test_what_is_no_credential(name: str, header: bytes | None) -> None:
    """Missing, wrong, malformed, endless and non-ASCII: 401 each, without an exception."""
    kind, body = BODIES[name]
    sender = Sender([body])
    headers = [(b"content-type", kind)] + ([] if header is None else [(b"authorization", header)])
    assert await sender.deliver(app_of(name), headers) == 401
    assert dict(sender.sent[0]["headers"])[b"www-authenticate"]
    if name != "klicktipp":
        assert sender.received == 0, "the body was read before the credential was checked"


@APPS
async def test_two_credentials_are_none(name: str) -> None:
    """A header that comes twice says nothing, even when one of them is right."""
    kind, body = BODIES[name]
    headers = [AUTHORIZED[name], (b"Authorization", b"x"), (b"content-type", kind)]
    assert await Sender([body]).deliver(app_of(name), headers) == 401


@APPS
@pytest.mark.parametrize("known", [True, False])
async def test_credentials_are_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, name: str, known: bool
) -> None:
    """By `hmac.compare_digest`, on bytes, on every way to an answer."""
    compared: list[tuple[object, object]] = []
    original = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return original(one, other)

    monkeypatch.setattr(core, "hmac", SimpleNamespace(compare_digest=spy))
    kind, body = BODIES[name]
    header = AUTHORIZED[name] if known else (b"authorization", "Bearer fälsch".encode())
    status = await Sender([body]).deliver(app_of(name), [header, (b"content-type", kind)])
    assert status == (200 if known else 401)
    assert compared
    assert all(isinstance(each, bytes) for pair in compared for each in pair)


@APPS
async def test_the_life_of_a_server(name: str) -> None:
    """Start and end are agreed to."""
    sent: list[Any] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        await anyio.lowlevel.checkpoint()
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app_of(name)({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@APPS
async def test_a_websocket_is_closed(name: str) -> None:
    """It is no webhook."""
    sender = Sender([b""])
    await app_of(name)({"type": "websocket", "headers": [], "path": "/"}, sender.receive, sender.send)
    assert [message["type"] for message in sender.sent] == ["websocket.close"]


@APPS
async def test_a_protocol_that_is_none(name: str) -> None:
    """The server is told."""
    sender = Sender([])
    with pytest.raises(WebhookError, match="ASGI protocol"):
        await app_of(name)({"type": "carrier pigeon"}, sender.receive, sender.send)


@pytest.mark.parametrize(
    "token", ["", " ", "\r\n", None, 5, b"token", ["x"], "x" * 5000, "ü" * 2500, s.Thing()], ids=lambda t: ascii(t)[:9]
)
def test_tokens_that_could_never_be_right(token: Any) -> None:
    """Empty ones would let everybody in; others nobody, which must be told at once. None of them is shown."""
    for act in (lambda: TokenCheck(token), lambda: klicktipp_async.webhooks.WebhookApp(print, token=token)):
        with pytest.raises(ConfigError, match="token") as caught:
            act()
        s.check_quiet(caught.value, token)
    with pytest.raises(klicktipp_async.errors.KlickTippError):
        klicktipp_async.webhooks.WebhookApp(print, token=token)


@pytest.mark.parametrize(
    "given_credentials",
    [[], [Basic("a", "b")] * 3, [("a", "b")], [None], ["a:b"], [Basic("a", "x" * 4000)], [Basic("ü" * 2000, "x")]],
    ids=lambda each: str(len(each)),
)
def test_credentials_that_could_never_be_right(given_credentials: Any) -> None:
    """None, too many, other things, and what is longer than a header may be."""
    for act in (
        lambda: BasicCheck(given_credentials),
        lambda: doxie_async.webhooks.WebhookApp(print, credentials=given_credentials),
    ):
        with pytest.raises(ConfigError, match="credential"):
            act()


@s.checked(100)
@given(token=s.texts | st.text(st.characters(), max_size=20), other=st.binary(max_size=20) | st.none() | s.texts)
def test_any_token(token: str, other: bytes | str | None) -> None:
    """Itself is accepted in any form, and nothing else is; nothing raises."""
    try:
        check = TokenCheck(Secret(token))
    except ConfigError:
        assert not token.strip()
        return
    raw = token.encode("utf-8", "surrogatepass").strip()
    assert check.accepts(token)
    assert check.accepts(raw)
    assert not check.accepts(raw + b"x")
    given_bytes = other.encode("utf-8", "surrogatepass") if isinstance(other, str) else other or b""
    if check.accepts(other):
        assert given_bytes.strip() == raw.strip()


@s.checked(100)
@given(
    header=st.binary(max_size=40)
    | s.texts
    | st.none()
    | st.binary(max_size=40).map(lambda raw: b"Basic " + base64.b64encode(raw))
)
def test_any_header(header: bytes | str | None) -> None:
    """No header raises, and none but the right one is accepted."""
    assert not BasicCheck([Basic(USER, PASSWORD)]).accepts(header)
