"""Where a client's connections come from: its own, a client of the caller's, or a pool that many clients share."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import anyio

from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import ArgumentError, ConfigError
from klickdoxie_core.home import Home
from klickdoxie_core.wire.base import Failure, Opened, Request, Response, Wire, WireFailure
from klickdoxie_core.wire.httpx_wire import HttpxWire

if TYPE_CHECKING:
    import aiohttp
    import httpx
    from typing_extensions import TypeIs

    Http: TypeAlias = "httpx.AsyncClient | aiohttp.ClientSession | Pool | Literal['aiohttp'] | None"


class Pool:
    """Connections that several clients share: `async with Pool() as pool: kt = KlickTipp(auth, http=pool)`.

    A client on a pool costs little more than an object: no connection, no certificates. Credentials, logins, limits,
    retries and options stay its own; connections know nothing of whom they served. Closing a client logs it out and
    leaves the pool open; close the clients first, then the pool.

    Args:
        connections: How many requests of all clients may be under way at once, from 1; who comes later waits in line,
            up to the deadline of its call. An answer that is read while it comes in does not count.
        http: `"aiohttp"` sends through aiohttp, which takes less of the processor and works on asyncio only.

    Attributes:
        connections: As given.
        slots: What each client takes one of for each request.

    Raises:
        ArgumentError: `connections` is no whole number from 1.
        ConfigError: `http` is another word, or aiohttp is not installed.
    """

    def __init__(self, connections: int = 50, *, http: Literal["aiohttp"] | None = None) -> None:
        _check_connections(connections)
        if http not in {None, "aiohttp"}:
            raise ConfigError('http must be "aiohttp" or None; a client of your own needs no pool of ours')
        self.connections = connections
        self.slots = anyio.Semaphore(connections, fast_acquire=True)
        self._home = Home("pool")
        self._wire = wire_for(http, Clock(monotonic=time.monotonic))

    def lend(self) -> Wire:
        """A wire on these connections for one client, whose closing leaves them open."""
        return _Lent(self._wire, self._home)

    async def aclose(self) -> None:
        """Close every connection; those under way as soon as their answer is read."""
        if not self._home.closed:
            self._home.closed = True
            await self._wire.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Pool of {self.connections} connections>"


def _check_connections(connections: object) -> None:
    if isinstance(connections, bool) or not isinstance(connections, int) or connections < 1:
        raise ArgumentError("connections must be a whole number from 1")


class _Lent:
    """The wire of a pool in the hands of one client."""

    def __init__(self, wire: Wire, home: Home) -> None:
        self._wire = wire
        self._home = home

    async def send(self, request: Request) -> Response:
        self._check()
        return await self._wire.send(request)

    async def open(self, request: Request) -> Response | Opened:
        self._check()
        return await self._wire.open(request)

    async def aclose(self) -> None:
        """Nothing: the pool is closed by who has made it."""

    def _check(self) -> None:
        if (said := self._home.stranger()) is not None:
            raise WireFailure(Failure.CLOSED, sent=False, detail=said)


def wire_for(http: Http, clock: Clock) -> Wire:
    """The wire that a client's `http` stands for.

    Raises:
        ConfigError: It is something else, or needs aiohttp, which is not installed.
    """
    if http is None:
        return HttpxWire.default(clock.monotonic)
    if isinstance(http, Pool):
        return http.lend()
    try:
        if http == "aiohttp":
            return _aiohttp_wire(None)
        return _aiohttp_wire(http) if _is_session(http) else HttpxWire(http, owned=False)
    except ModuleNotFoundError:
        raise ConfigError('http="aiohttp" needs aiohttp: install klickdoxie[aiohttp]') from None
    except TypeError as error:
        raise ConfigError(f'{error}; "aiohttp", an aiohttp.ClientSession or a Pool would do as well') from None


def _is_session(http: object) -> TypeIs[aiohttp.ClientSession]:
    """Whether it comes from aiohttp, which need not be installed."""
    kinds = ((kind.__module__.partition(".")[0], kind.__name__) for kind in type(http).__mro__)
    return ("aiohttp", "ClientSession") in kinds


def _aiohttp_wire(session: aiohttp.ClientSession | None) -> Wire:
    from klickdoxie_core.wire.aiohttp_wire import AiohttpWire  # noqa: PLC0415 - an extra, needed only here

    return AiohttpWire(session)
