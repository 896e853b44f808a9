"""The wire over aiohttp, called directly: for asyncio only, and much cheaper per call than httpx."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from typing import TypeAlias, TypeVar

import aiohttp
import anyio
import yarl
from aiohttp.http import HttpProcessingError

from klickdoxie_core.wire import pool
from klickdoxie_core.wire.aiohttp_attempt import Attempt, Connections, Streamed, WatchedRequest, Whole
from klickdoxie_core.wire.base import Failure, Opened, Request, Response, WireFailure
from klickdoxie_core.wire.body import check_length, is_too_long, unpacked, was_left
from klickdoxie_core.wire.deadlines import Deadlines
from klickdoxie_core.wire.outgoing import Outgoing
from klickdoxie_core.wire.reasons import is_of_another_loop

CONNECT_TIMEOUT = 10.0
"""Seconds for a connection, where the attempt's own timeout is not shorter."""

_HEADERS = 1024
_HEADER_BYTES = 16 * 1024

_NO_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_UNQUOTED = re.compile(r"[^\x21-\x7e]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNTYPED = ("Content-Type",)
_WITHOUT_BODY = frozenset({204, 304})

R = TypeVar("R")

_Read: TypeAlias = "Callable[[aiohttp.ClientResponse, Request, Attempt], Awaitable[R]]"


class AiohttpWire:
    """Sends requests through one aiohttp session.

    Of a session that is given, the connector and the proxy are used. Its cookies, headers, credentials, timeouts,
    middlewares and traces never speak for us.
    """

    def __init__(self, given: aiohttp.ClientSession | None = None) -> None:
        self._given = given
        self._connections: Connections | None = None
        self._deadlines = Deadlines()
        self._under_way = 0
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Send one request and read its answer to the end, within the request's timeout."""
        return await self._run(request, _read_whole)

    async def open(self, request: Request) -> Response | Opened:
        """Send one request, within its timeout, and leave the body of a 200 to the caller."""
        opened: list[Opened] = []

        async def begin(response: aiohttp.ClientResponse, request: Request, attempt: Attempt) -> Opened | Response:
            if response.status != 200:
                return await _read_whole(response, request, attempt)
            self._under_way += 1
            opened.append(_AiohttpOpened(response, request.max_body, attempt, self._ended))
            return opened[0]

        try:
            return await self._run(request, begin)
        except BaseException:
            # Its time was up on the way from there to here: nobody else will close it.
            for answer in opened:
                await answer.aclose()
            raise

    async def _run(self, request: Request, read: _Read[R]) -> R:
        connections = self._connections
        if self._closed or connections is None or connections.session.closed:
            connections = self._open()
        attempt = Attempt(connections, _checked(request.headers))
        limit = self._deadlines.within(request.timeout)
        self._under_way += 1
        try:
            with limit:
                if callable(request.body):
                    return await _feed(connections.session, request, attempt, request.body, read)
                body = None if request.body is None else Whole(request.body, attempt)
                return await _exchange(connections.session, request, attempt, body, read)
        except TimeoutError:
            if not limit.expired:
                raise
            raise WireFailure(Failure.TIMEOUT, sent=attempt.may_have_left) from None
        except asyncio.CancelledError:
            # A cancellation may have been asked for before the call began, and only arrive in it: by Ctrl-C for one.
            if limit.cancelled or not connections.session.closed:
                raise
            # Nobody has cancelled this call: its connector was closed.
            raise WireFailure(Failure.CLOSED, sent=attempt.may_have_left) from None
        finally:
            await self._ended()

    async def _ended(self) -> None:
        self._under_way -= 1
        if self._closed and not self._under_way:
            await self._close()

    def _open(self) -> Connections:
        given = self._given
        if self._closed or (given is not None and given.closed):
            raise WireFailure(Failure.CLOSED, sent=False)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            detail = "the aiohttp wire needs asyncio; leave http= out under trio"
            raise WireFailure(Failure.INVALID, sent=False, detail=detail) from None
        session = _own_session() if given is None else _session_beside(given)
        if given is not None:
            # It holds nothing that would have to be closed, so nobody needs to be warned that it was not.
            weakref.finalize(self, session.detach)
        self._connections = Connections(session)
        return self._connections

    async def aclose(self) -> None:
        """Close our own connections, but for those under way, whose answers are read first."""
        self._closed = True
        if not self._under_way:
            await self._close()

    async def _close(self) -> None:
        self._deadlines.close()
        connections, self._connections = self._connections, None
        if connections is not None:
            with anyio.CancelScope(shield=True):
                await connections.session.close()


def _own_session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0,  # the limiter in front says how many calls are under way
        keepalive_timeout=pool.IDLE_SECONDS,
        ssl=pool.shared_ssl_context(),
        resolver=aiohttp.ThreadedResolver(),
    )
    return _new_session(connector, timeout=aiohttp.ClientTimeout(connect=CONNECT_TIMEOUT))


def _session_beside(given: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """A session on the connections of the given one, whose cookies and headers could not be put off otherwise."""
    return _new_session(
        given.connector,
        connector_owner=False,
        # The time in the queue of a foreign connector is the attempt's own.
        timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT),
        # A proxy is part of the way to the service; there is no public way to read it.
        proxy=getattr(given, "_default_proxy", None),
        proxy_auth=getattr(given, "_default_proxy_auth", None),
    )


def _new_session(
    connector: aiohttp.BaseConnector | None,
    *,
    timeout: aiohttp.ClientTimeout,
    connector_owner: bool = True,
    proxy: yarl.URL | str | None = None,
    proxy_auth: aiohttp.BasicAuth | None = None,
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=connector_owner,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=timeout,
        proxy=proxy,
        proxy_auth=proxy_auth,
        request_class=WatchedRequest,
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
        max_headers=_HEADERS,
    )


class _AiohttpOpened(Opened):
    """An answer of aiohttp whose body is still to come."""

    def __init__(
        self, response: aiohttp.ClientResponse, limit: int, attempt: Attempt, ended: Callable[[], Awaitable[None]]
    ) -> None:
        self.status, self.headers = response.status, _lowered(response.headers)
        self._response = response
        self._attempt = attempt
        self._ended = ended
        self._limit = limit
        self._pieces: AsyncGenerator[bytes] | None = None
        self._closed = False

    async def read(self) -> bytes:
        """The next piece, unpacked; empty at the end."""
        if self._closed:
            raise was_left()
        try:
            if self._pieces is None:
                self._pieces = _pieces(self._response, self.headers, self._limit, self._attempt)
            return await anext(self._pieces, b"")
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            raise self._attempt.failure(error) from None

    async def aclose(self) -> None:
        """Give the connection back, or throw it away where there is more to come."""
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            if self._pieces is not None:
                await self._pieces.aclose()
            self._response.close()
            self._attempt.hang_up(if_closing=True)
            await self._ended()


async def _feed(
    session: aiohttp.ClientSession,
    request: Request,
    attempt: Attempt,
    start: Callable[[], AsyncIterable[bytes]],
    read: _Read[R],
) -> R:
    """The answer, or what the body's own source has raised, as it was."""
    declared = request.headers.get("content-length")
    length = None if declared is None else int(declared)
    body = Outgoing(start(), length)
    streamed = Streamed(body, length, attempt)
    try:
        return await _exchange(session, request, attempt, streamed, read)
    except Exception as error:  # noqa: BLE001 - raised below, where it gets no other context
        failure = body.error or streamed.failure or error
    finally:
        await streamed.finish()
    raise failure


async def _exchange(
    session: aiohttp.ClientSession, request: Request, attempt: Attempt, body: aiohttp.Payload | None, read: _Read[R]
) -> R:
    try:
        response = await session.request(
            request.method,
            _url(request.url),
            data=body,
            skip_auto_headers=None if request.method == "GET" or "content-type" in request.headers else _UNTYPED,
            allow_redirects=False,
            middlewares=(attempt,),
        )
        try:
            return await read(response, request, attempt)
        except BaseException:
            response.close()
            raise
    except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        raise attempt.failure(error) from None
    except RuntimeError as error:
        # aiohttp says so in plain words only, and so may a connector of the caller's.
        if not (session.closed or is_of_another_loop(error)):
            raise
        raise WireFailure(Failure.CLOSED, sent=attempt.may_have_left) from None
    finally:
        attempt.hang_up(if_closing=True)


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    values = "".join(headers.values())
    if "" in headers or _NO_TOKEN.search("".join(headers)) or not (values.isascii() and values.isprintable()):
        raise WireFailure(Failure.INVALID, sent=False, detail="a header cannot be put on the wire")
    return headers


def _url(text: str) -> yarl.URL:
    if not _UNQUOTED.search(text):
        url = yarl.URL(text, encoded=True)
    elif not _CONTROL.search(text):
        url = yarl.URL(text)
    else:
        raise WireFailure(Failure.INVALID, sent=False)
    # aiohttp would take a user name for a credential.
    return url.with_user(None) if "@" in text else url


async def _read_whole(response: aiohttp.ClientResponse, request: Request, attempt: Attempt) -> Response:
    status = response.status
    if status < 200:
        raise WireFailure(Failure.INTERRUPTED, sent=True, detail="NoFinalStatus")
    headers = _lowered(response.headers)
    take = request.sink if status == 200 else None
    is_plain = "content-length" in headers and "content-encoding" not in headers
    if take is None and is_plain and not is_too_long(headers, request.max_body) and response.content.is_eof():
        # All of it has come with the headers.
        return Response(status=status, headers=headers, body=response.content.read_nowait())
    body = bytearray()
    take = take or body.extend
    async for piece in _pieces(response, headers, request.max_body, attempt):
        take(piece)
    return Response(status=status, headers=headers, body=bytes(body))


async def _pieces(
    response: aiohttp.ClientResponse, headers: Mapping[str, str], limit: int, attempt: Attempt
) -> AsyncGenerator[bytes]:
    """The unpacked body piece by piece."""
    status = response.status
    check_length(headers, limit, status)
    encoding = headers.get("content-encoding", "")
    async for piece in unpacked(response.content.iter_any(), encoding=encoding, limit=limit, status=status):
        yield piece
    framed = headers.get("content-length") or "transfer-encoding" in headers or status in _WITHOUT_BODY
    if not framed and attempt.was_reset:
        raise WireFailure(Failure.INTERRUPTED, sent=True, detail=ConnectionResetError.__name__)


def _lowered(given: Mapping[str, str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in given.items():
        key = name.lower()
        text = value if value.isascii() else _legible(value)
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _legible(value: str) -> str:
    """What aiohttp has read as UTF-8, or as Latin-1 where it is none."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
