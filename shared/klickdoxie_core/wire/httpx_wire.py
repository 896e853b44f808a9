"""The wire over httpx, or over an httpx2 client that the caller brings: the same calls, the same exceptions by name."""

from __future__ import annotations

import contextlib
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
import httpx

from klickdoxie_core.wire.base import Failure, Opened, Request, Response, WireFailure
from klickdoxie_core.wire.body import check_length, read_body, unpacked, was_left
from klickdoxie_core.wire.outgoing import Outgoing
from klickdoxie_core.wire.own_client import OwnClient

CONNECT_TIMEOUT = 10.0
"""Seconds for a connection, where the attempt's own timeout is not shorter."""

_PORTS = {"http": 80, "https": 443}
_QUEUE_SHARE = 0.9
_MOST_PIECES_LEFT = 1024

R = TypeVar("R")

_Run: TypeAlias = "Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]"
_Read: TypeAlias = "Callable[[httpx.Response, Request], Awaitable[R]]"


class HttpxWire:
    """Sends requests through one httpx client."""

    def __init__(self, client: httpx.AsyncClient | OwnClient, *, owned: bool) -> None:
        self._client = client
        self._owned = owned
        self._library: ModuleType = httpx if isinstance(client, OwnClient) else _library_of(client)

    @classmethod
    def default(cls, now: Callable[[], float]) -> HttpxWire:
        """A wire on a client and a pool of our own; proxies and certificates come from no environment variable."""
        return cls(OwnClient(now), owned=True)

    async def send(self, request: Request) -> Response:
        """Send one request and read its answer to the end, within the request's timeout."""
        return await self._exchange(request, _Trace(), _read_whole)

    async def open(self, request: Request) -> Response | Opened:
        """Send one request, within its timeout, and leave the body of a 200 to the caller."""
        trace = _Trace()
        opened: list[Opened] = []

        async def begin(response: httpx.Response, request: Request) -> Response | Opened:
            if response.status_code != 200:
                return await _read_whole(response, request)
            opened.append(_HttpxOpened(response, request.max_body, self._alone, partial(self._guarded, trace)))
            return opened[0]

        try:
            return await self._exchange(request, trace, begin)
        except BaseException:
            # Cancelled on the way from there to here: nobody else will close it.
            for answer in opened:
                await answer.aclose()
            raise

    async def _exchange(self, request: Request, trace: _Trace, read: _Read[R]) -> R:
        if self._client.is_closed:
            raise WireFailure(Failure.CLOSED, sent=False)
        body = _outgoing(request)
        exchange = partial(self._guarded, trace, partial(self._send, request, body, trace, read))
        with anyio.move_on_after(request.timeout):
            return await self._alone(partial(_feed, body, exchange) if isinstance(body, Outgoing) else exchange)
        raise WireFailure(Failure.TIMEOUT, sent=trace.may_have_left)

    async def _alone(self, work: Callable[[], Awaitable[R]]) -> R:
        # A foreign pool of httpx 0.28 loses a slot for good when a native cancellation reaches into it; in a task
        # of its own the work only ever meets a cancel scope. Our pool throws the one connection away instead.
        return await (work() if self._owned else _in_own_task(work))

    def _build(self, request: Request, body: bytes | Outgoing | None, trace: _Trace) -> httpx.Request:
        # A queue in a foreign pool ends a little before the attempt: it then says itself that nothing was sent.
        timeout = self._library.Timeout(
            None, connect=min(CONNECT_TIMEOUT, request.timeout), pool=_QUEUE_SHARE * request.timeout
        )
        try:
            built = self._client.build_request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=body,
                timeout=timeout,
                extensions={"trace": trace},
            )
        except (self._library.InvalidURL, self._library.CookieConflict):
            raise WireFailure(Failure.INVALID, sent=False) from None
        except UnicodeError:
            raise WireFailure(Failure.INVALID, sent=False, detail="the host or a header cannot be encoded") from None
        if not self._owned:
            # Parameters that the given client brings would take the place of ours.
            built.url = self._library.URL(request.url)
        trace.destination = _place(built.url)
        if "cookie" not in map(str.lower, request.headers):
            # A jar that the given client brings must not speak for us.
            built.headers.pop("cookie", None)
        return built

    async def _guarded(self, trace: _Trace, work: Callable[[], Awaitable[R]]) -> R:
        """What the work gives, or a `WireFailure` for what the HTTP library has raised."""
        library = self._library
        try:
            return await work()
        except WireFailure:
            raise
        except (library.LocalProtocolError, library.UnsupportedProtocol):
            raise WireFailure(Failure.INVALID, sent=False) from None
        except (
            library.HTTPError,
            library.InvalidURL,  # the Location of an answer
            library.StreamError,
            ssl.SSLError,
            UnicodeError,
            OSError,
            anyio.BrokenResourceError,
        ) as error:
            raise self._failure(error, trace) from None
        except anyio.ClosedResourceError:
            raise WireFailure(Failure.CLOSED, sent=trace.may_have_left) from None
        except RuntimeError as error:
            from klickdoxie_core.wire.reasons import is_of_another_loop  # noqa: PLC0415 - needed only here

            # httpx says so in plain words only, and so does whoever made a transport, an application or a hook.
            if not (self._client.is_closed or is_of_another_loop(error)):
                raise
            raise WireFailure(Failure.CLOSED, sent=trace.may_have_left) from None

    async def _send(self, request: Request, body: bytes | Outgoing | None, trace: _Trace, read: _Read[R]) -> R:
        built = self._build(request, body, trace)
        # An auth that does nothing; None would still take a user name out of the URL.
        auth = self._library.Auth()
        response = await self._client.send(built, stream=True, auth=auth, follow_redirects=False)
        return await read(response, request)

    def _failure(self, error: Exception, trace: _Trace) -> WireFailure:
        sent = trace.sent or not (trace.spoke or isinstance(error, self._never_sent()))
        if not sent:
            from klickdoxie_core.wire.reasons import unconnected, why_rejected  # noqa: PLC0415 - needed only here

            if _is_certificate(error):
                return WireFailure(Failure.CERTIFICATE, sent=False, detail=why_rejected(error))
            return unconnected(error, trace.proxy, reached=trace.connected)
        # httpx fails over a Location that is no URL, but the answer as such is known.
        status = trace.status if 300 <= trace.status < 400 else None
        # Only the class: the text may quote what the server sent.
        return WireFailure(Failure.INTERRUPTED, sent=True, detail=type(error).__name__, status=status)

    def _never_sent(self) -> tuple[type[Exception], ...]:
        """Proof where nothing was traced: what found no connection cannot have sent anything."""
        library = self._library
        return library.ConnectError, library.ConnectTimeout, library.PoolTimeout

    async def aclose(self) -> None:
        """Close the client if it is ours; one that was given stays open."""
        if self._owned:
            await self._client.aclose()


class _HttpxOpened(Opened):
    """An answer of httpx whose body is still to come."""

    def __init__(self, response: httpx.Response, limit: int, alone: _Run, guarded: _Run) -> None:
        self.status, self.headers = response.status_code, _headers_of(response)
        self._response = response
        self._limit = limit
        self._alone = alone
        self._guarded = guarded
        self._chunks: AsyncIterator[bytes] | None = None
        self._pieces: AsyncGenerator[bytes] | None = None
        self._closed = False

    async def read(self) -> bytes:
        """The next piece, unpacked; empty at the end."""
        if self._closed:
            raise was_left()
        piece: bytes = await self._alone(partial(self._guarded, self._next))
        return piece

    async def _next(self) -> bytes:
        if self._pieces is None:
            self._chunks, encoding = _chunks_of(self._response, self.headers, self._limit)
            self._pieces = unpacked(self._chunks, encoding=encoding, limit=self._limit, status=self.status)
        return await anext(self._pieces, b"")

    async def aclose(self) -> None:
        """Give the connection back, or throw it away where there is more to come."""
        self._closed = True
        await self._alone(self._close)

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            if self._pieces is not None:
                await self._pieces.aclose()
            # asyncio sees to them itself.
            if self._chunks is not None and _on_trio():
                await _end(self._chunks)
            await self._response.aclose()


class _Trace:
    """Listens to the HTTP library: the request is on its way once its headers were started.

    Attributes:
        spoke: Whether the transport traces at all; a mocked one does not, whichever pool it stands in for.
        sent: Whether the headers were started.
        status: Of the answer, once its headers were read; 0 until then.
        destination: Host and port of the service.
    """

    __slots__ = ("_tcp", "_to", "destination", "sent", "spoke", "status")

    def __init__(self) -> None:
        self.destination = ""
        self._to = ""
        self.spoke = False
        self.sent = False
        self.status = 0
        self._tcp: Any = None

    @property
    def may_have_left(self) -> bool:
        """Whether the request is sent for all that is known; silence proves nothing."""
        return self.sent or not self.spoke

    @property
    def connected(self) -> bool:
        """Whether there was a connection, to the service or to a proxy."""
        return self._tcp is not None

    @property
    def proxy(self) -> str:
        """Host and port of the proxy on the way; empty where there is none."""
        return "" if self._to == self.destination else self._to

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.spoke = True
        # Behind the name of the layer: http11, http2, connection, proxy, socks.
        match event.partition(".")[2]:
            case "send_request_headers.started":
                self.sent = self.sent or not _is_connect(info)
            case "receive_response_headers.complete":
                if event.startswith("http11."):
                    # Version, status, reason, headers.
                    self.status = info["return_value"][1]
            case "connect_tcp.started":
                self._to = f"{info['host']}:{info['port']}"
            case "connect_tcp.complete":
                self._tcp = info.get("return_value")
                await self._last_exit()
            case "start_tls.complete":
                await self._last_exit()
            case "start_tls.failed":
                # The HTTP libraries leave the socket open when a handshake is cancelled.
                await self._hang_up()
            case _:
                pass

    async def _last_exit(self) -> None:
        # A cancellation that waits for the first moment after connecting costs a pool the connection for good.
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            await self._hang_up()
            raise

    async def _hang_up(self) -> None:
        if self._tcp is not None:
            with anyio.CancelScope(shield=True):
                await self._tcp.aclose()


def _place(url: httpx.URL) -> str:
    return f"{url.raw_host.decode('ascii')}:{url.port or _PORTS.get(url.scheme)}"


def _is_connect(info: Mapping[str, Any]) -> bool:
    """Whether the headers are those of the tunnel through a proxy, not of our request."""
    return getattr(info.get("request"), "method", b"") == b"CONNECT"


def _outgoing(request: Request) -> bytes | Outgoing | None:
    if not callable(request.body):
        return request.body
    length = request.headers.get("content-length")
    return Outgoing(request.body(), None if length is None else int(length))


async def _feed(body: Outgoing, exchange: Callable[[], Awaitable[R]]) -> R:
    """The answer, or what the body's own source has raised, as it was."""
    try:
        return await exchange()
    except Exception as error:  # noqa: BLE001 - raised below, where it gets no other context
        failure = error if body.error is None else body.error
    finally:
        await body.aclose()
    raise failure


async def _read_whole(response: httpx.Response, request: Request) -> Response:
    status, headers = response.status_code, _headers_of(response)
    try:
        chunks, encoding = _chunks_of(response, headers, request.max_body)
        sink = request.sink if status == 200 else None
        body = await read_body(chunks, encoding=encoding, limit=request.max_body, status=status, sink=sink)
        return Response(status=status, headers=headers, body=body)
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()


async def _end(chunks: AsyncIterator[bytes]) -> None:
    """Bring generators of the HTTP library to their end, of which each waits for the next one.

    Closed from outside, the first would leave all others to the garbage collector, and trio warns of that. What has
    come already is read; a cancellation then goes through all of them, from the last to the first.
    """
    # Whatever goes wrong on the way: nobody wants this answer any more.
    with anyio.CancelScope(shield=True) as scope, contextlib.suppress(Exception):
        scope.cancel()
        for _ in range(_MOST_PIECES_LEFT):
            if await anext(chunks, None) is None:
                return


def _on_trio() -> bool:
    # Whoever runs asyncio has imported it, and on trio it is no small thing to import for nothing.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _headers_of(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _chunks_of(response: httpx.Response, headers: Mapping[str, str], limit: int) -> tuple[AsyncIterator[bytes], str]:
    """The body as it comes, and how it is packed; raises `WireFailure` where it says to be too large."""
    check_length(headers, limit, response.status_code)
    if response.is_stream_consumed:
        # A mocked answer may come ready-made, already unpacked.
        return response.aiter_bytes(), ""
    return response.aiter_raw(), headers.get("content-encoding", "")


async def _in_own_task(work: Callable[[], Awaitable[R]]) -> R:
    results: list[R] = []
    errors: list[Exception] = []

    async def run() -> None:
        try:
            results.append(await work())
        except Exception as error:  # noqa: BLE001 - raised below, where no task group wraps it
            errors.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    if errors:
        raise errors.pop()
    return results.pop()


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _library_of(client: object) -> ModuleType:
    """The package that the client's class comes from: httpx, or its successor under another name."""
    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if base.__name__ == "AsyncClient" and package in {"httpx", "httpx2"}:
            return sys.modules[package]
    msg = f"http must be an httpx.AsyncClient or an httpx2.AsyncClient, not {type(client).__name__}"
    raise TypeError(msg)
