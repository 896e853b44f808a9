"""One exchange with aiohttp, watched closely: which connection it got, and whether it was written to it."""

from __future__ import annotations

import asyncio
import select
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import aiohttp
import anyio

from klickdoxie_core.wire.base import Failure, WireFailure
from klickdoxie_core.wire.outgoing import Outgoing
from klickdoxie_core.wire.reasons import unconnected, why_rejected

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client_middlewares import ClientHandlerType
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from multidict import istr

_CERTIFICATE = (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch)
_INVALID = (ValueError, aiohttp.NonHttpUrlClientError)
# With a proxy: it is the proxy that there is no connection to.
_UNREACHED = (aiohttp.ClientProxyConnectionError, aiohttp.ClientConnectorDNSError, aiohttp.ConnectionTimeoutError)
_NEVER_SENT = (*_INVALID, aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Connections:
    """A session, and which of its connections have carried a request before.

    Attributes:
        session: The session.
        used: What speaks HTTP on each of those connections.
    """

    __slots__ = ("session", "used")

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.used: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()


class Attempt:
    """What is known of one exchange, and the middleware through which aiohttp is listened to.

    Attributes:
        spoke: Whether aiohttp came as far as looking for a connection; a mocked session tells nothing.
        sent: Whether the request was written to a connection.
    """

    __slots__ = ("_connections", "_headers", "_kept", "_protocol", "_proxy", "_transport", "sent", "spoke")

    def __init__(self, connections: Connections, headers: Mapping[str, str]) -> None:
        self.spoke = False
        self.sent = False
        self._connections = connections
        self._headers = headers
        self._kept = False
        self._proxy = ""
        self._protocol: ResponseHandler | None = None
        self._transport: asyncio.Transport | None = None

    async def __call__(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        """Let the request go through aiohttp, at the most once."""
        self.spoke = True
        if request.proxy is not None:
            self._proxy = f"{request.proxy.host}:{request.proxy.port}"
        headers = request.headers
        headers.pop("User-Agent", None)  # aiohttp's own, and so is the type of the body
        headers.pop("Content-Type", None)
        headers.update(self._headers)
        cast("WatchedRequest", request).attempt = self
        while True:
            self._kept = False
            try:
                return await handler(request)
            except (aiohttp.ClientError, OSError) as error:
                if self._kept and not self.sent:
                    # A kept connection had ended before anything was written to it; aiohttp takes the next one.
                    continue
                # Already here, where aiohttp does not see it yet: it would send a GET again, written or not.
                raise self.failure(error) from None

    @property
    def may_have_left(self) -> bool:
        """Whether the request is sent for all that is known; silence proves nothing."""
        return self.sent or not self.spoke

    def connected(self, connection: Connection) -> None:
        """The request has this connection; raises ConnectionError where an answer is there before it was asked for."""
        self._protocol = protocol = connection.protocol
        self._kept = protocol in self._connections.used
        if protocol is None or protocol.should_close:
            raise ConnectionResetError
        self._transport = protocol.transport

    def begin(self) -> None:
        """The request is being written; raises ConnectionError, and it is not, where the connection has ended."""
        protocol, transport = self._protocol, self._transport
        if protocol is None or transport is None or transport.is_closing() or (self._kept and _is_readable(transport)):
            raise ConnectionResetError
        if not self._kept:
            self._connections.used.add(protocol)
        self.sent = True

    @property
    def was_reset(self) -> bool:
        """Whether the connection ended in an error, which aiohttp takes for the end of an answer without a length."""
        return self._protocol is not None and isinstance(self._protocol.exception(), OSError)

    def hang_up(self, *, if_closing: bool = False) -> None:
        """Break the connection off; to close it would be to wait for a peer that may never answer."""
        transport = self._transport
        if transport is not None and (transport.is_closing() or not if_closing):
            transport.abort()

    def failure(self, error: Exception) -> WireFailure:
        """What it means that aiohttp raised this."""
        if self.sent or not (self.spoke or isinstance(error, _NEVER_SENT)):
            # Only the class: the text may quote what the server sent.
            return WireFailure(Failure.INTERRUPTED, sent=True, detail=type(error).__name__)
        if isinstance(error, _CERTIFICATE):
            return WireFailure(Failure.CERTIFICATE, sent=False, detail=why_rejected(error))
        if isinstance(error, _INVALID):
            return WireFailure(Failure.INVALID, sent=False)
        if self._connections.session.closed:
            return WireFailure(Failure.CLOSED, sent=False)
        return unconnected(error, self._proxy, reached=not isinstance(error, _UNREACHED))


class WatchedRequest(aiohttp.ClientRequest):
    """A request that tells its attempt of its connection; the request for a tunnel through a proxy is none of these."""

    DEFAULT_HEADERS: dict[istr, str] = {}  # noqa: RUF012 - as the base class has it
    attempt: Attempt

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Write the request to a connection; with a body, the headers wait for its first bytes."""
        self.attempt.connected(conn)
        if not self.body:
            self.attempt.begin()
        return await super().send(conn)


class _Body(aiohttp.Payload):
    """A body that tells its attempt when it is written."""

    def __init__(self, body: object, length: int | None, attempt: Attempt) -> None:
        super().__init__(body)
        self._size = length
        self._attempt = attempt

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Nothing to be shown: personal data, or a stream that can be read but once."""
        raise TypeError(encoding, errors)


class Whole(_Body):
    """A body of bytes."""

    def __init__(self, body: bytes, attempt: Attempt) -> None:
        super().__init__(body, len(body), attempt)
        self._body = body

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write it in one piece."""
        self._attempt.begin()
        await writer.write(self._body)


class Streamed(_Body):
    """A body that is read while it is sent, and closed by the task that read it.

    Attributes:
        failure: Why it could not be read to its end, or not be closed.
    """

    def __init__(self, body: Outgoing, length: int | None, attempt: Attempt) -> None:
        super().__init__(body, length, attempt)
        self.failure: Exception | None = None
        self._body = body
        self._started = False
        self._ended = asyncio.Event()

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write it as it comes."""
        self._attempt.begin()
        self._started = True
        try:
            async for piece in self._body:
                await writer.write(piece)
        except WireFailure as failure:
            self._fail(failure)
            raise
        finally:
            await self._let_go()

    async def finish(self) -> None:
        """Wait until nobody reads it any more and it is closed."""
        with anyio.CancelScope(shield=True):
            if self._started:
                await self._ended.wait()
            else:
                await self._body.aclose()

    async def _let_go(self) -> None:
        try:
            await self._body.aclose()
        except Exception as error:
            self._fail(error)
            raise
        finally:
            self._ended.set()

    def _fail(self, error: Exception) -> None:
        self.failure = error
        # An answer may have begun, and wait for the rest.
        self._attempt.hang_up()


def _is_readable(transport: asyncio.Transport) -> bool:
    """Whether there is an end or an answer that the event loop has not come to yet.

    A new connection over TLS may have more to read than that.
    """
    handle = transport.get_extra_info("socket").fileno()
    if not hasattr(select, "poll"):
        return bool(select.select([handle], [], [], 0)[0])
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))
