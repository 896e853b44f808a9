"""The wire over httpx, or over an httpx2 client that the caller brings: the same calls, the same exceptions by name."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

import anyio
import anyio.lowlevel
import httpx

from klickdoxie_core.wire.base import Failure, Request, Response, WireFailure
from klickdoxie_core.wire.body import read_body
from klickdoxie_core.wire.outgoing import Outgoing
from klickdoxie_core.wire.own_client import OwnClient

CONNECT_TIMEOUT = 10.0
"""Seconds for a connection, where the attempt's own timeout is not shorter."""

_QUEUE_SHARE = 0.9


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
        if self._client.is_closed:
            raise WireFailure(Failure.CLOSED, sent=False)
        trace = _Trace()
        body = _outgoing(request)
        built = self._build(request, body, trace)
        exchange = partial(self._exchange, built, request.max_body, trace)
        if isinstance(body, Outgoing):
            exchange = partial(_feed, body, exchange)
        with anyio.move_on_after(request.timeout):
            # A foreign pool of httpx 0.28 loses a slot for good when a native cancellation reaches into it; in a task
            # of its own the exchange only ever meets a cancel scope. Our pool throws the one connection away instead.
            return await (exchange() if self._owned else _in_own_task(exchange))
        raise WireFailure(Failure.TIMEOUT, sent=trace.may_have_left)

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
        if "cookie" not in map(str.lower, request.headers):
            # A jar that the given client brings must not speak for us.
            built.headers.pop("cookie", None)
        return built

    async def _exchange(self, built: httpx.Request, limit: int, trace: _Trace) -> Response:
        library = self._library
        try:
            return await self._send(built, limit)
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
        except (anyio.ClosedResourceError, RuntimeError):
            # httpx says so in plain words only: a closed client, or one whose event loop is gone.
            raise WireFailure(Failure.CLOSED, sent=trace.may_have_left) from None

    async def _send(self, built: httpx.Request, limit: int) -> Response:
        # An auth that does nothing; None would still take a user name out of the URL.
        auth = self._library.Auth()
        response = await self._client.send(built, stream=True, auth=auth, follow_redirects=False)
        try:
            return await _read(response, limit)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    def _failure(self, error: Exception, trace: _Trace) -> WireFailure:
        sent = trace.sent or not (trace.spoke or isinstance(error, self._never_sent()))
        if not sent and _is_certificate(error):
            return WireFailure(Failure.CERTIFICATE, sent=False)
        failure = Failure.INTERRUPTED if sent else Failure.CONNECT
        # httpx fails over a Location that is no URL, but the answer as such is known.
        status = trace.status if sent and 300 <= trace.status < 400 else None
        # Only the class: the text may quote what the server sent.
        return WireFailure(failure, sent=sent, detail=type(error).__name__, status=status)

    def _never_sent(self) -> tuple[type[Exception], ...]:
        """Proof where nothing was traced: what found no connection cannot have sent anything."""
        library = self._library
        return library.ConnectError, library.ConnectTimeout, library.PoolTimeout

    async def aclose(self) -> None:
        """Close the client if it is ours; one that was given stays open."""
        if self._owned:
            await self._client.aclose()


class _Trace:
    """Listens to the HTTP library: the request is on its way once its headers were started.

    Attributes:
        spoke: Whether the transport traces at all; a mocked one does not, whichever pool it stands in for.
        sent: Whether the headers were started.
        status: Of the answer, once its headers were read; 0 until then.
    """

    __slots__ = ("_tcp", "sent", "spoke", "status")

    def __init__(self) -> None:
        self.spoke = False
        self.sent = False
        self.status = 0
        self._tcp: Any = None

    @property
    def may_have_left(self) -> bool:
        """Whether the request is sent for all that is known; silence proves nothing."""
        return self.sent or not self.spoke

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.spoke = True
        if event.endswith("send_request_headers.started"):
            self.sent = self.sent or not _is_connect(info)
        elif event == "http11.receive_response_headers.complete":
            # Version, status, reason, headers.
            self.status = info["return_value"][1]
        elif event.endswith("connect_tcp.complete"):
            self._tcp = info.get("return_value")
            await self._last_exit()
        elif event.endswith("start_tls.complete"):
            await self._last_exit()
        elif event.endswith("start_tls.failed"):
            # The HTTP libraries leave the socket open when a handshake is cancelled.
            await self._hang_up()

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


def _is_connect(info: Mapping[str, Any]) -> bool:
    """Whether the headers are those of the tunnel through a proxy, not of our request."""
    return getattr(info.get("request"), "method", b"") == b"CONNECT"


def _outgoing(request: Request) -> bytes | Outgoing | None:
    if not callable(request.body):
        return request.body
    length = request.headers.get("content-length")
    return Outgoing(request.body(), None if length is None else int(length))


async def _feed(body: Outgoing, exchange: Callable[[], Awaitable[Response]]) -> Response:
    """The answer, or what the body's own source has raised, as it was."""
    try:
        return await exchange()
    except Exception as error:  # noqa: BLE001 - raised below, where it gets no other context
        failure = error if body.error is None else body.error
    finally:
        await body.aclose()
    raise failure


async def _read(response: httpx.Response, limit: int) -> Response:
    status = response.status_code
    headers = {name.lower(): value for name, value in response.headers.items()}
    declared = headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 19 and int(declared) > limit:
        raise WireFailure(Failure.TOO_LARGE, sent=True, detail=f"more than {limit} bytes", status=status)
    if response.is_stream_consumed:
        # A mocked answer may come ready-made, already unpacked.
        body = await response.aread()
        if len(body) > limit:
            raise WireFailure(Failure.TOO_LARGE, sent=True, detail=f"more than {limit} bytes", status=status)
    else:
        encoding = headers.get("content-encoding", "")
        body = await read_body(response.aiter_raw(), encoding=encoding, limit=limit, status=status)
    return Response(status=status, headers=headers, body=body)


async def _in_own_task(exchange: Callable[[], Awaitable[Response]]) -> Response:
    responses: list[Response] = []
    errors: list[Exception] = []

    async def run() -> None:
        try:
            responses.append(await exchange())
        except Exception as error:  # noqa: BLE001 - raised below, where no task group wraps it
            errors.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    if errors:
        raise errors.pop()
    return responses.pop()


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
