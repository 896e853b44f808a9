"""Our own pool of httpx connections: single-connection transports, the last used one first.

httpx's pool scans all of its connections at every request and every release; above some twenty concurrent calls that
is most of the work. A stack of transports that hold one connection each costs the same at one call and at a thousand.
It has no bound of its own: the limiter in front says how many calls are under way.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import cast

import anyio
import attrs
import httpx

IDLE_SECONDS = 5.0
"""How long a connection may rest. Short, since a server may close it just as the next request leaves."""


@cache
def shared_ssl_context() -> ssl.SSLContext:
    """The context that all default pools share: reading the CA bundle is half the cost of making a client."""
    return httpx.create_ssl_context(trust_env=False)


class LifoTransport(httpx.AsyncBaseTransport):
    """Lends out single-connection transports; one whose exchange failed or was cancelled never comes back."""

    def __init__(self, now: Callable[[], float], *, idle: float = IDLE_SECONDS) -> None:
        self._now = now
        self._idle = idle
        self._resting: deque[tuple[httpx.AsyncHTTPTransport, float]] = deque()
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request on the connection used last, or on a new one."""
        transport = self._resting.pop()[0] if self._resting else _single()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await _discard(transport)
            raise
        response.stream = _Lent(cast("httpx.AsyncByteStream", response.stream), transport, self)
        return response

    async def give_back(self, transport: httpx.AsyncHTTPTransport) -> None:
        """Take a transport back, and close those that have rested too long."""
        if self._closed:
            await _discard(transport)
            return
        now = self._now()
        self._resting.append((transport, now))
        # Closing lets other tasks in, which may meanwhile borrow all that rest.
        while self._resting and self._resting[0][1] < now - self._idle:
            await _discard(self._resting.popleft()[0])

    async def aclose(self) -> None:
        """Close every connection that rests, and those under way as soon as their answer is read."""
        self._closed = True
        while self._resting:
            await _discard(self._resting.pop()[0])


def _single() -> httpx.AsyncHTTPTransport:
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_SECONDS)
    return httpx.AsyncHTTPTransport(verify=shared_ssl_context(), trust_env=False, limits=one)


async def _discard(transport: httpx.AsyncHTTPTransport) -> None:
    with anyio.CancelScope(shield=True):
        await transport.aclose()


@attrs.define(eq=False)
class _Lent(httpx.AsyncByteStream):
    """A body that gives its transport back at the end, and throws it away when it breaks off."""

    stream: httpx.AsyncByteStream
    transport: httpx.AsyncHTTPTransport
    home: LifoTransport
    whole: bool = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.stream:
            yield chunk
        self.whole = True

    async def aclose(self) -> None:
        if not self.whole:
            await _discard(self.transport)
            return
        try:
            await self.stream.aclose()
        except BaseException:
            await _discard(self.transport)
            raise
        await self.home.give_back(self.transport)
