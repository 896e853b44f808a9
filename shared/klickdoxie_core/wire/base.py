"""What the engine asks of an HTTP library: our own two values and one exception."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterable, Callable, Mapping
from typing import Protocol

import attrs


@attrs.frozen(kw_only=True)
class Request:
    """One request, complete.

    Attributes:
        body: Bytes, or what opens a stream of them for each time that the request is sent.
        timeout: Seconds from connecting to the last byte of the answer.
        max_body: Bytes of the answer, unpacked, beyond which it is refused.
    """

    method: str
    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes | Callable[[], AsyncIterable[bytes]] | None = attrs.field(default=None, repr=False)
    timeout: float
    max_body: int


@attrs.frozen(kw_only=True)
class Response:
    """One answer, read to its end. Header names are in lower case; a repeated header is joined by commas."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


class Failure(enum.Enum):
    """Why there is no usable answer."""

    CONNECT = "no connection could be made"
    CERTIFICATE = "the server's certificate was not accepted"
    INVALID = "the request could not be put on the wire"
    CLOSED = "the HTTP client is closed"
    TIMEOUT = "the attempt took longer than its timeout"
    INTERRUPTED = "the connection broke before the answer was complete"
    ENCODING = "the answer's compression is damaged or of an unknown kind"
    TOO_LARGE = "the answer is larger than allowed"


class WireFailure(Exception):
    """No usable answer. `sent` is False only where the request provably never left; `detail` is safe to show."""

    def __init__(self, failure: Failure, *, sent: bool, detail: str = "", status: int | None = None) -> None:
        super().__init__(failure, sent, detail, status)
        self.failure = failure
        self.sent = sent
        self.detail = detail
        self.status = status


class Wire(Protocol):
    """Sends one request and reads the whole answer; raises `WireFailure` and nothing else of its own."""

    async def send(self, request: Request) -> Response:
        """Send one request and read its answer to the end."""
        ...

    async def aclose(self) -> None:
        """Close what this wire opened itself."""
        ...
