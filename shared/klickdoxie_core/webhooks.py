"""Receiving webhooks: credentials in constant time, bounded bodies, and an ASGI app that answers before the work."""

from __future__ import annotations

import base64
import binascii
import hmac
import inspect
import json
import logging
import string
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import PurePath
from typing import Generic, TypeAlias, TypeVar

import attrs

from klickdoxie_core.asgi import Receive, Scope, Send
from klickdoxie_core.auth.basic import Basic, basic_header
from klickdoxie_core.errors import ConfigError, SdkError, WebhookError
from klickdoxie_core.redact import Secret, secret

E = TypeVar("E")
Handler: TypeAlias = Callable[[E], Awaitable[object] | None]
"""What a receiver does with an event: an async function, or a plain one that does not block."""

DEFAULT_MAX_BODY = 1024 * 1024
"""Bytes of a delivery beyond which it is refused."""

_MAX_CREDENTIAL = 4096
_MAX_CREDENTIALS = 2
_MAX_FRAMES = 5
_POLICY_VIOLATION = 1008
_BASIC = b'Basic realm="webhook", charset="UTF-8"'
_BEARER = b"Bearer"
_LOG = logging.getLogger(__name__)


class BodyTooLarge(WebhookError):
    """The body of a delivery is beyond the limit."""


class SenderLeft(WebhookError):
    """The sender went away before its delivery was complete."""


class NotAuthentic(WebhookError):
    """The credential of a delivery is missing or wrong."""


class WrongMethod(WebhookError):
    """The request of a delivery has a method that is not taken."""


class WrongPath(WebhookError):
    """The request of a delivery has a path that is not taken."""


class TokenCheck:
    """Accepts one static token; compares bytes in constant time, so any text works.

    Args:
        token: What the sender was told to send. White space around it does not count.

    Raises:
        ConfigError: The token is empty, which would let everybody in, or longer than a credential may be.
    """

    __slots__ = ("_token",)

    def __init__(self, token: str | Secret) -> None:
        text = secret(token).reveal()
        if not _is_filled(text):
            raise ConfigError("the token of a webhook receiver must not be empty")
        # What is given is bytes, which have no other white space.
        self._token = Secret(text.strip(string.whitespace))
        if len(_as_bytes(self._token.reveal())) > _MAX_CREDENTIAL:
            raise ConfigError(f"the token of a webhook receiver must not be longer than {_MAX_CREDENTIAL} bytes")

    def accepts(self, given: str | bytes | None) -> bool:
        """Whether this is the token; never raises, whatever is given."""
        raw = _as_bytes(given).strip()
        return len(raw) <= _MAX_CREDENTIAL and hmac.compare_digest(raw, _as_bytes(self._token.reveal()))


class BasicCheck:
    """Accepts HTTP Basic credentials; compares bytes in constant time, so non-ASCII passwords work.

    Args:
        credentials: What the sender was told to send; two while one replaces the other.

    Raises:
        ConfigError: There are no credentials, or more than two, or one is longer than a header may be.
    """

    __slots__ = ("_accepted",)

    def __init__(self, credentials: Iterable[Basic]) -> None:
        self._accepted = tuple(credentials)
        if not 1 <= len(self._accepted) <= _MAX_CREDENTIALS:
            raise ConfigError("a webhook receiver takes one credential, or two while one replaces the other")
        # Callers without types hand over pairs.
        if not all(isinstance(basic, Basic) for basic in self._accepted):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError("the credentials of a webhook receiver must be Basic(user, password)")
        headers = [basic_header(basic.username, basic.password.reveal()) for basic in self._accepted]
        if max(map(len, headers)) > _MAX_CREDENTIAL:
            raise ConfigError(f"the header of a credential must not be longer than {_MAX_CREDENTIAL} bytes")

    def accepts(self, header: str | bytes | None) -> bool:
        """Whether this `Authorization` header has one of the credentials; never raises, whatever is given."""
        given = _basic_pair(_as_bytes(header))
        pairs = [f"{basic.username}:{basic.password.reveal()}".encode() for basic in self._accepted]
        # Each pair is compared, so that the time does not tell which one was right.
        matches = [hmac.compare_digest(given, pair) for pair in pairs]
        return any(matches)


def _is_filled(text: object) -> bool:
    return isinstance(text, str) and text.strip() != ""


def _as_bytes(given: str | bytes | None) -> bytes:
    # Lone surrogates must not raise here: they are in environment variables of another encoding.
    return given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given or b""


def _basic_pair(header: bytes) -> bytes:
    """The user and password of a header as they came, joined by the colon; empty for anything odd."""
    scheme, _, value = header.partition(b" ")
    if len(header) > _MAX_CREDENTIAL or scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        return b""


def read_json(body: bytes) -> object:
    """A JSON body, decoded; `Infinity` and `NaN` pass, since senders write them.

    Raises:
        WebhookError: It is not JSON in UTF-8, a name comes twice in an object, or it nests too deep.
    """
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        # The decoder's own error quotes the body.
        raise WebhookError("the body is not readable JSON") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    decoded = dict(pairs)
    if len(decoded) != len(pairs):
        raise WebhookError("the body has a name twice in one object")
    return decoded


async def read_body(receive: Receive, *, max_body: int = DEFAULT_MAX_BODY) -> bytes:
    """The body of a request, read from an ASGI server; it is counted as it comes.

    Args:
        receive: The server's `receive`.
        max_body: Bytes beyond which reading stops.

    Raises:
        BodyTooLarge: There is more.
        SenderLeft: The sender went away before the end.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise SenderLeft("the sender left before the end of the body")
        body += message.get("body", b"")
        if len(body) > max_body:
            raise _too_large(max_body)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(max_body: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {max_body} bytes")


@attrs.frozen(kw_only=True)
class Delivery:
    """One request of a sender, read to its end.

    Attributes:
        method: The HTTP method.
        path: The path below where the receiver is mounted, decoded.
        query: The query string as it came.
        headers: Names in lower case; a header that came more than once is left out, since no answer would be right.
        body: The body as it came.
    """

    method: str
    path: str = attrs.field(default="", repr=False)
    query: bytes = attrs.field(default=b"", repr=False)
    headers: Mapping[str, bytes] = attrs.field(factory=dict[str, bytes], repr=False)
    body: bytes = attrs.field(default=b"", repr=False)

    @property
    def content_type(self) -> str:
        """The `Content-Type` header; empty when there is none."""
        return self.headers.get("content-type", b"").decode("latin-1")


class Receiver(Generic[E]):
    """An ASGI app that checks a delivery, reads it, answers, and hands the event to a handler after that.

    It answers 200 for an event, 400 for a delivery that cannot be read, 401 for a wrong credential, 404 for a wrong
    path, 405 for another method and 413 for a body over the limit. The handler runs inside the request that is
    answered already: long work belongs into a queue. What it raises is logged without the event, and the sender
    never learns of it.
    How long a slow sender may take is the server's to bound.

    Args:
        handler: Called with each event.
        read: Turns a delivery into an event, or raises a `WebhookError`, whose text goes to the log: `NotAuthentic`
            for a wrong credential, `WrongPath` for a wrong path, any other for what cannot be read. Another exception
            is answered like the last, and logged without its text.
        basic: Credentials that the `Authorization` header must have; they are checked before the body is read.
        methods: The HTTP methods that are taken.
        max_body: Bytes of a body beyond which it is refused, before it is parsed.
    """

    def __init__(
        self,
        handler: Handler[E],
        *,
        read: Callable[[Delivery], E],
        basic: BasicCheck | None = None,
        methods: Sequence[str] = ("POST",),
        max_body: int = DEFAULT_MAX_BODY,
    ) -> None:
        self._handler = handler
        self._read = read
        self._basic = basic
        self._methods = tuple(methods)
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of an ASGI server."""
        match scope["type"]:
            case "http":
                await self._serve(_head(scope), receive, send)
            case "lifespan":
                await _live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            case other:
                raise WebhookError(f"a webhook receiver cannot serve the ASGI protocol {other!r}")

    async def _serve(self, head: Delivery, receive: Receive, send: Send) -> None:
        try:
            event = await self._take(head, receive)
        except SenderLeft as left:
            _LOG.info("a webhook delivery was given up: %s", left.message)
        except WebhookError as refusal:
            status = _status(refusal)
            _LOG.info("a webhook delivery was refused with %d: %s", status, refusal.message)
            await self._answer(send, status)
        else:
            await self._answer(send, HTTPStatus.OK)
            await self._handle(event)

    async def _take(self, head: Delivery, receive: Receive) -> E:
        if head.method not in self._methods:
            raise WrongMethod("the delivery's method is not taken here")
        if self._basic is not None and not self._basic.accepts(head.headers.get("authorization")):
            raise NotAuthentic("the delivery's credentials are missing or wrong")
        if _announced(head.headers.get("content-length", b"")) > self._max_body:
            raise _too_large(self._max_body)
        body = await read_body(receive, max_body=self._max_body)
        try:
            return self._read(attrs.evolve(head, body=body))
        except WebhookError:
            raise
        except Exception as error:  # noqa: BLE001 - a mistake of the client's author, told like one of the handler
            _LOG.error("reading a webhook delivery failed: %s", _told(error))
        raise WebhookError("the delivery cannot be read")

    async def _answer(self, send: Send, status: HTTPStatus) -> None:
        text = status.phrase.encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
        if status is HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", _BEARER if self._basic is None else _BASIC))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append((b"allow", ", ".join(self._methods).encode()))
        try:
            await send({"type": "http.response.start", "status": int(status), "headers": headers})
            await send({"type": "http.response.body", "body": text, "more_body": False})
        except OSError:
            # A delivery that was taken is complete all the same; a sender that repeats it sends the same event again.
            _LOG.info("the sender of a webhook delivery left before the answer")

    async def _handle(self, event: E) -> None:
        try:
            outcome = self._handler(event)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception as error:  # noqa: BLE001 - the answer is out, so the log is all that is left
            _LOG.error("the handler of a webhook failed: %s", _told(error))


def _head(scope: Scope) -> Delivery:
    headers: dict[str, bytes] = {}
    repeated: set[str] = set()
    for raw_name, value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in headers:
            repeated.add(name)
        headers[name] = value
    once = {name: value for name, value in headers.items() if name not in repeated}
    return Delivery(method=scope["method"], path=_path(scope), query=scope.get("query_string", b""), headers=once)


def _path(scope: Scope) -> str:
    path, mount = str(scope.get("path", "")), str(scope.get("root_path", "")).rstrip("/")
    # A server may also leave the mount out of the path, and another path may just begin like it.
    return path[len(mount) :] if path == mount or path.startswith(f"{mount}/") else path


def _status(refusal: WebhookError) -> HTTPStatus:
    match refusal:
        case NotAuthentic():
            return HTTPStatus.UNAUTHORIZED
        case WrongPath():
            return HTTPStatus.NOT_FOUND
        case WrongMethod():
            return HTTPStatus.METHOD_NOT_ALLOWED
        case BodyTooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case _:
            return HTTPStatus.BAD_REQUEST


def _announced(content_length: bytes) -> int:
    """The length that a header claims; 0 where it claims nothing readable, since the body is counted anyway."""
    # Ten digits are beyond every limit, and an endless row of them is more than int() reads.
    return int(content_length[:10]) if content_length.isdigit() else 0


async def _live(receive: Receive, send: Send) -> None:
    """Agree to the start and the end of the server."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _told(error: Exception) -> str:
    """An error's class and its place; its text may quote the event, unless it is that of a call of a client."""
    said = f": {error}" if isinstance(error, SdkError) and error.operation else ""
    return f"{type(error).__name__}{said} at {_place(error)}"


def _place(error: BaseException) -> str:
    """Where an error was raised, innermost call last, without the source's text."""
    frames = list(traceback.walk_tb(error.__traceback__))[-_MAX_FRAMES:]
    return " > ".join(f"{PurePath(frame.f_code.co_filename).name}:{line}" for frame, line in frames)
