"""Receiving webhooks: credentials, bounded bodies, and an answer that comes before the work."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klickdoxie_core import Basic, ConfigError, Facts, NotFound, WebhookError
from klickdoxie_core.webhooks import (
    BasicCheck,
    BodyTooLarge,
    Delivery,
    NotAuthentic,
    Receiver,
    SenderLeft,
    TokenCheck,
    WrongPath,
    read_body,
    read_json,
)

FAST = settings(max_examples=50, derandomize=True, deadline=None)
Headers = Iterable[tuple[bytes, bytes]]


def basic(pair: str, encoding: str = "utf-8") -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(pair.encode(encoding)).decode()


def chunk(body: bytes, *, more: bool = False) -> dict[str, Any]:
    """One piece of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


GONE: dict[str, Any] = {"type": "http.disconnect"}


class Server:
    """The other side of an ASGI app: plays messages, keeps what is sent."""

    def __init__(self, *messages: dict[str, Any], broken: bool = False) -> None:
        self.incoming = list(messages)
        self.sent: list[Any] = []
        self.broken = broken

    async def receive(self) -> dict[str, Any]:
        """The next message to the app."""
        await anyio.lowlevel.checkpoint()
        return self.incoming.pop(0)

    async def send(self, message: Any) -> None:
        """Keep a message of the app."""
        await anyio.lowlevel.checkpoint()
        if self.broken:
            raise OSError("the connection is closed")
        self.sent.append(message)

    async def run(self, app: Any, *, method: str = "POST", headers: Headers = ()) -> int | None:
        """Serve one request and return its status; None when it was not answered."""
        scope = {"type": "http", "method": method, "headers": list(headers), "query_string": b""}
        await app(scope, self.receive, self.send)
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the answer."""
        return dict(self.sent[0]["headers"])


def receiver(handler: Callable[[bytes], Any] = lambda _: None, **options: Any) -> Receiver[bytes]:
    """A receiver whose events are the bodies themselves; some bodies are refused."""

    def read(delivery: Delivery) -> bytes:
        if delivery.body == b"bad":
            raise WebhookError("the body cannot be read")
        if delivery.body == b"wrong":
            raise NotAuthentic("the token is wrong")
        if delivery.body == b"astray":
            raise WrongPath("nothing comes here")
        return delivery.body

    return Receiver(handler, read=read, **options)


@pytest.mark.parametrize("token", ["geheim", "pä$$ wört", " geheim\n", "a:b;c", "geheim\xa0"])
def test_the_right_token_is_accepted_as_text_and_as_bytes(token: str) -> None:
    """White space around a token does not count, and any character works."""
    check = TokenCheck(token)
    assert check.accepts(token)
    assert check.accepts(token.strip(" \n").encode())


@pytest.mark.parametrize(
    "given", [None, "", b"", " ", "geheim2", "Geheim", "gehei", "ü" * 5000, "\ud800", b"\xff\xfe", "\x00"]
)
def test_anything_else_is_no_token(given: str | bytes | None) -> None:
    """Odd input is refused and never an error."""
    assert not TokenCheck("geheim").accepts(given)


@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_an_empty_token_is_a_configuration_error(token: str) -> None:
    """An empty secret would let everybody in."""
    with pytest.raises(ConfigError, match="must not be empty"):
        TokenCheck(token)


@pytest.mark.parametrize(
    "header",
    [
        basic("anna:pä$$:wort"),
        basic("anna:pä$$:wort").encode(),
        basic("anna:pä$$:wort").replace("Basic", "bAsIc  "),
        basic("old:alt"),
    ],
)
def test_either_of_two_basic_credentials_is_accepted(header: str | bytes) -> None:
    """Passwords may hold colons and umlauts, and two work while they are changed."""
    assert BasicCheck([Basic("anna", "pä$$:wort"), Basic("old", "alt")]).accepts(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YW5uYTpnZWhlaW0",
        "Bearer " + base64.b64encode(b"anna:geheim").decode(),
        base64.b64encode(b"anna:geheim").decode(),
        basic("anna:falsch"),
        basic("anna"),
        basic(""),
        basic(":geheim"),
        basic("anna:geheim "),
        basic("anna:geheim") + "!",
        basic("anna:geheim") + " " * 5000,
        "Basic " + "QUFB" * 2000,
        "Basic ä\ud800",
        b"Basic \xff",
        basic("anna:ü", "latin-1"),
    ],
)
def test_any_other_basic_header_is_refused_without_an_error(header: str | bytes | None) -> None:
    """Missing, wrong, huge and damaged headers are all just wrong."""
    assert not BasicCheck([Basic("anna", "geheim"), Basic("anna", "ü")]).accepts(header)


@FAST
@given(st.binary(max_size=60))
def test_no_basic_header_raises(raw: bytes) -> None:
    """Whatever comes, the answer is yes or no."""
    check = BasicCheck([Basic("anna", "geheim")])
    assert not check.accepts(raw)
    assert not check.accepts(b"Basic " + raw)
    assert not check.accepts(b"Basic " + base64.b64encode(raw))


@pytest.mark.parametrize("make", [TokenCheck, lambda text: BasicCheck([Basic("old", "alt"), Basic("anna", text)])])
def test_a_credential_that_no_header_can_carry_is_a_configuration_error(make: Callable[[str], object]) -> None:
    """Nobody could ever send it."""
    make("ü" * 1400)
    with pytest.raises(ConfigError, match="longer than 4096 bytes"):
        make("ü" * 2100)


@pytest.mark.parametrize("count", [0, 3])
def test_a_basic_check_takes_one_or_two_credentials(count: int) -> None:
    """Without any it would have to let everybody in."""
    with pytest.raises(ConfigError, match="one credential, or two"):
        BasicCheck([Basic("anna", "geheim")] * count)


def test_the_checks_do_not_show_what_they_accept() -> None:
    """A repr in a log tells no secret."""
    assert "geheim" not in repr(TokenCheck("geheim"))
    assert "geheim" not in repr(BasicCheck([Basic("anna", "geheim")]))


@pytest.mark.parametrize(
    ("body", "decoded"),
    [
        ('{"a": "ä;"}'.encode(), {"a": "ä;"}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"Infinity", float("inf")),
    ],
)
def test_json_is_read(body: bytes, decoded: object) -> None:
    """A byte order mark and an infinity are what senders write."""
    assert read_json(body) == decoded


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"geheim",
        b'"\xe4"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":1,"a":1}',
        b'[{"a":{"b":1,"b":2}}]',
        b"9" * 5000,
    ],
    ids=range(8),
)
def test_unreadable_json_is_a_webhook_error_without_the_body(body: bytes) -> None:
    """Damage, depth, repeated names and endless numbers are all the same error."""
    with pytest.raises(WebhookError) as caught:
        read_json(body)
    assert "geheim" not in str(caught.value)


@pytest.mark.anyio
async def test_a_body_is_read_in_pieces_up_to_its_limit() -> None:
    """The limit itself is allowed."""
    server = Server(chunk(b"ab", more=True), chunk(b"", more=True), {"type": "http.request"})
    assert await read_body(server.receive, max_body=2) == b"ab"


@pytest.mark.anyio
async def test_reading_stops_at_the_limit() -> None:
    """What comes after it is not even fetched."""
    server = Server(chunk(b"ab", more=True), chunk(b"c", more=True), chunk(b"d"))
    with pytest.raises(BodyTooLarge, match="larger than 2 bytes"):
        await read_body(server.receive, max_body=2)
    assert len(server.incoming) == 1


@pytest.mark.anyio
async def test_a_sender_that_leaves_in_the_middle_is_told_apart() -> None:
    """Half a body is never taken for a whole one."""
    with pytest.raises(SenderLeft):
        await read_body(Server(chunk(b"ab", more=True), GONE).receive)


@pytest.mark.anyio
async def test_the_answer_is_complete_before_the_handler_starts() -> None:
    """The sender does not wait for the work."""
    server = Server(chunk(b"event"))
    seen: list[tuple[bytes, int]] = []

    async def handler(event: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append((event, len(server.sent)))

    assert await server.run(receiver(handler)) == 200
    assert seen == [(b"event", 2)]
    assert server.sent[1] == {"type": "http.response.body", "body": b"OK", "more_body": False}


@pytest.mark.anyio
async def test_a_plain_handler_works_too() -> None:
    """A handler need not be async."""
    seen: list[bytes] = []
    assert await Server(chunk(b"event")).run(receiver(seen.append)) == 200
    assert seen == [b"event"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("messages", "request_", "status"),
    [
        ([chunk(b"bad")], {}, 400),
        ([chunk(b"wrong")], {}, 401),
        ([chunk(b"astray")], {}, 404),
        ([], {"method": "GET"}, 405),
        ([], {"method": "HEAD"}, 405),
        ([], {"headers": [(b"content-length", b"11")]}, 413),
        ([], {"headers": [(b"content-length", b"9" * 5000)]}, 413),
        ([chunk(b"0123456789")], {"headers": [(b"content-length", b"10")]}, 200),
        ([chunk(b"0123456789"), chunk(b"0")], {"headers": [(b"content-length", b"5")]}, 200),
        ([chunk(b"0123456789", more=True), chunk(b"0")], {"headers": [(b"content-length", b"5")]}, 413),
        ([chunk(b"0123456789", more=True), chunk(b"0")], {"headers": [(b"content-length", b"-5")]}, 413),
        ([chunk(b"x" * 11)], {}, 413),
        ([chunk(b"x")], {"headers": [(b"content-length", b"\xb2")]}, 200),
    ],
)
async def test_each_refusal_has_its_status(messages: list[Any], request_: dict[str, Any], status: int) -> None:
    """The body is counted, whatever its length is said to be, and no refusal reaches the handler."""
    seen: list[bytes] = []
    assert await Server(*messages).run(receiver(seen.append, max_body=10), **request_) == status
    assert bool(seen) == (status == 200)


@pytest.mark.anyio
async def test_a_wrong_method_is_told_the_right_ones() -> None:
    """The header Allow says what works."""
    server = Server()
    await server.run(receiver(methods=("POST", "GET")), method="PUT")
    assert server.headers[b"allow"] == b"POST, GET"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"Authorization", basic("anna:pä$$").encode())], 200),
        ([(b"authorization", basic("anna:falsch").encode())], 401),
        ([(b"authorization", basic("anna:pä$$").encode())] * 2, 401),
        ([], 401),
    ],
)
async def test_basic_credentials_are_checked_before_the_body_is_read(headers: Headers, status: int) -> None:
    """A stranger cannot make the receiver read; two headers at once are nobody's."""
    server = Server(chunk(b"event"))
    assert await server.run(receiver(basic=BasicCheck([Basic("anna", "pä$$")])), headers=headers) == status
    assert (len(server.incoming) == 0) == (status == 200)
    assert (server.headers.get(b"www-authenticate", b"").startswith(b"Basic")) == (status == 401)


@pytest.mark.anyio
async def test_a_sender_that_leaves_gets_no_answer_and_no_event() -> None:
    """There is nobody to answer, and half a delivery is none."""
    seen: list[bytes] = []
    assert await Server(chunk(b"ev", more=True), GONE).run(receiver(seen.append)) is None
    assert seen == []


@pytest.mark.anyio
async def test_a_sender_that_leaves_before_the_answer_has_still_delivered() -> None:
    """The event is complete, so it is handled."""
    seen: list[bytes] = []
    assert await Server(chunk(b"event"), broken=True).run(receiver(seen.append)) is None
    assert seen == [b"event"]


@pytest.mark.anyio
async def test_a_failing_handler_is_logged_without_the_event(caplog: pytest.LogCaptureFixture) -> None:
    """The class and the place of the error are shown, its text is not, and the server does not notice."""

    def handler(event: bytes) -> None:
        int(event)

    with caplog.at_level(logging.DEBUG):
        assert await Server(chunk(b"anna@example.com")).run(receiver(handler)) == 200
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "ValueError at webhooks.py:" in record.getMessage()
    assert "test_webhooks.py:" in record.getMessage()
    assert "anna" not in caplog.text


@pytest.mark.anyio
async def test_an_error_of_the_sdk_in_a_handler_is_logged_with_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """It says what was wrong with the call, and holds nothing personal."""

    def handler(_: bytes) -> None:
        raise NotFound("no such tag", Facts(operation="Tag Contact", method="POST", template="/subscriber/tag"))

    assert await Server(chunk(b"anna@example.com")).run(receiver(handler)) == 200
    (told,) = caplog.messages
    assert "failed: NotFound: POST /subscriber/tag (Tag Contact): no such tag at webhooks.py:" in told
    assert "anna" not in caplog.text


@pytest.mark.anyio
async def test_a_mistake_in_reading_a_delivery_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The author of a client learns of it, and the sender that it cannot be read."""
    app = Receiver(lambda _: None, read=lambda delivery: int(delivery.body))
    with caplog.at_level(logging.DEBUG):
        assert await Server(chunk(b"anna@example.com")).run(app) == 400
    assert caplog.records[0].levelno == logging.ERROR
    assert "reading a webhook delivery failed: ValueError at webhooks.py:" in caplog.messages[0]
    assert caplog.messages[1] == "a webhook delivery was refused with 400: the delivery cannot be read"
    assert "anna" not in caplog.text


@pytest.mark.anyio
async def test_a_cancelled_handler_stays_cancelled() -> None:
    """Only errors are kept from the server."""

    async def handler(_: bytes) -> None:
        await anyio.sleep_forever()

    server = Server(chunk(b"event"))
    finished = False
    async with anyio.create_task_group() as tasks:

        async def serve() -> None:
            nonlocal finished
            await server.run(receiver(handler))
            finished = True

        tasks.start_soon(serve)
        while len(server.sent) < 2:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert not finished


@pytest.mark.anyio
async def test_a_refusal_is_logged_without_the_delivery(caplog: pytest.LogCaptureFixture) -> None:
    """The log says why, not what."""
    with caplog.at_level(logging.DEBUG):
        await Server(chunk(b"wrong")).run(receiver(), headers=[(b"authorization", b"geheim")])
    assert caplog.messages == ["a webhook delivery was refused with 401: the token is wrong"]


@pytest.mark.anyio
async def test_the_start_and_the_end_of_the_server_are_agreed_to() -> None:
    """A server that insists on the lifespan protocol starts."""
    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await receiver()({"type": "lifespan"}, server.receive, server.send)
    assert server.sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


@pytest.mark.anyio
async def test_a_websocket_is_closed() -> None:
    """It is refused as the protocol says."""
    server = Server({"type": "websocket.connect"})
    await receiver()({"type": "websocket"}, server.receive, server.send)
    assert server.sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.anyio
async def test_an_unknown_protocol_is_an_error() -> None:
    """That is what the specification asks for."""
    server = Server()
    with pytest.raises(WebhookError, match="ASGI protocol 'carrier-pigeon'"):
        await receiver()({"type": "carrier-pigeon"}, server.receive, server.send)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/hook", "", "/hook"),
        ("/mount/hook", "/mount", "/hook"),
        ("/mount/hook", "/mount/", "/hook"),
        ("/mount/", "/mount", "/"),
        ("/mount", "/mount", ""),
        ("/hook", "/mount", "/hook"),
        ("/mounted", "/mount", "/mounted"),
        ("/", "/", "/"),
    ],
)
async def test_a_delivery_knows_its_path_below_the_mount(path: str, root: str, below: str) -> None:
    """Servers differ in whether the path has the mount in it."""
    seen: list[str] = []
    server = Server(chunk(b""))
    scope = {"type": "http", "method": "POST", "path": path, "root_path": root, "headers": []}
    await Receiver(seen.append, read=lambda delivery: delivery.path)(scope, server.receive, server.send)
    assert seen == [below]


def test_a_delivery_does_not_show_its_content() -> None:
    """Its repr has the method only."""
    delivery = Delivery(method="POST", path="anna", query=b"anna", headers={"authorization": b"anna"}, body=b"anna")
    assert repr(delivery) == "Delivery(method='POST')"
    assert delivery.content_type == ""
