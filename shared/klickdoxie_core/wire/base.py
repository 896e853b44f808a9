"""What the engine asks of an HTTP library: our own two values and one exception."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
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
        sink: Takes the body of a 200 piece by piece, as it comes, instead of `Response.body`. Must not raise.
    """

    method: str
    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes | Callable[[], AsyncIterable[bytes]] | None = attrs.field(default=None, repr=False)
    timeout: float
    max_body: int
    sink: Callable[[bytes], object] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Response:
    """One answer, read to its end. Header names are in lower case; a repeated header is joined by commas."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


class Opened(ABC):
    """An answer with status 200 whose body is still to come.

    Attributes:
        status: Its status.
        headers: As `Response.headers`.
    """

    status: int
    headers: Mapping[str, str]

    @abstractmethod
    async def read(self) -> bytes:
        """The next piece, unpacked; empty at the end. Raises `WireFailure`."""

    @abstractmethod
    async def aclose(self) -> None:
        """Give the connection back, or throw it away where there is more to come."""


class Failure(enum.Enum):
    """Why there is no usable answer."""

    CONNECT = "no connection could be made"
    CERTIFICATE = "the server's certificate was not accepted"
    PROXY = "the proxy wants no connection to be made"
    INVALID = "the request could not be put on the wire"
    CLOSED = "the HTTP client is closed"
    TIMEOUT = "the attempt took longer than its timeout"
    INTERRUPTED = "the connection broke before the answer was complete"
    ENCODING = "the answer's compression is damaged or of an unknown kind"
    TOO_LARGE = "the answer is larger than allowed"


class WireFailure(Exception):
    """No usable answer. `sent` is False only where the request provably never left; `detail` is safe to show.

    `proxy` is the host and port of the proxy that could not be reached, if it was one.
    """

    def __init__(
        self, failure: Failure, *, sent: bool, detail: str = "", status: int | None = None, proxy: str = ""
    ) -> None:
        super().__init__(failure, sent, detail, status, proxy)
        self.failure = failure
        self.sent = sent
        self.detail = detail
        self.status = status
        self.proxy = proxy


class Wire(Protocol):
    """Sends one request and reads the whole answer; raises `WireFailure` and nothing else of its own."""

    async def send(self, request: Request) -> Response:
        """Send one request and read its answer to the end."""
        ...

    async def open(self, request: Request) -> Response | Opened:
        """Send one request, and leave the body of a 200 to the caller; any other answer is read to its end."""
        ...

    async def aclose(self) -> None:
        """Close what this wire opened itself."""
        ...
