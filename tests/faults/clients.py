"""The three kinds of calls, the client that makes them, and the wires that they run on."""

from __future__ import annotations

import contextlib
import importlib
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib.util import find_spec
from typing import Any

import attrs
import cattrs
import pytest

from klickdoxie_core import ApiClient, Call, Clock, Effect, Grant, Scheme
from klickdoxie_core.convert import new_converter
from klickdoxie_core.wire import pool
from tests.core.support import FakeClock
from tests.faults import canaries

READ, WRITE, SEND = Effect.SAFE, Effect.REPEATABLE, Effect.ONCE
KINDS: Mapping[str, Effect] = {"R": READ, "W": WRITE, "N": SEND}
"""A safe read, a repeatable write, and a write that must not be sent twice; by the letters of the matrix."""

_METHODS = {READ: "GET", WRITE: "PUT", SEND: "POST"}


class Everything(Scheme[None]):
    """Signs with a password, a key, a cookie and a token at once."""

    async def obtain(self, run: object, clock: Clock) -> Grant[None]:
        """Nothing to obtain."""
        return Grant(credential=None)

    def sign(self, credential: None) -> Mapping[str, str]:
        """Four headers, each with a canary."""
        return {
            "authorization": f"Basic {canaries.BASIC}",
            "x-ci": canaries.KEY,
            "cookie": f"SESS={canaries.COOKIE}",
            "x-token": canaries.TOKEN,
        }


SIGNED = Everything().sign(None)
"""What each request must carry."""


class Shop(ApiClient):
    """A client whose every call carries all that must not be shown."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__({"account": Everything()}, base_url=base_url, **options)

    def _make_converter(self) -> cattrs.Converter:
        return _converter()

    async def call(self, effect: Effect, reference: str = "call", **changes: Any) -> object:
        """Make a call of this kind; the reference tells the server whose request it is."""
        return await self.run(a_call(effect, reference, **changes))


@cache
def _converter() -> cattrs.Converter:
    """One for all clients: making it is much of the work of making a client."""
    return new_converter()


def a_call(effect: Effect, reference: str, **changes: Any) -> Call[object]:
    """A call with an e-mail address in its path, a phone number in its query, and both in its body."""
    given: dict[str, Any] = {
        "operation": "Do Thing",
        "method": _METHODS[effect],
        "template": "/contacts/{email}",
        "into": dict[str, bool],
        "path": {"email": canaries.EMAIL},
        "query": {"phone": canaries.PHONE, "reference": reference},
        "body": None if effect is READ else {"email": canaries.EMAIL, "phone": canaries.PHONE, "note": "Grüße; 5 €"},
        "effect": effect,
    }
    return Call(**(given | changes))


# What a client takes as `http`: opened with the context that it is to trust, and closed by whom it belongs to.
Http = Callable[[ssl.SSLContext | None], AbstractAsyncContextManager[Any]]


@attrs.frozen
class OnWire:
    """A wire that calls run on, and the event loops that it knows; it is ours where nobody brings a client."""

    http: Http
    ours: bool = False
    backends: tuple[str, ...] = ("asyncio", "trio")


def _default(http: object = None) -> Http:
    @contextlib.asynccontextmanager
    async def opened(trust: ssl.SSLContext | None) -> AsyncGenerator[object, None]:
        with pytest.MonkeyPatch.context() as patch:
            if trust is not None:
                patch.setattr(pool, "shared_ssl_context", lambda: trust)
            yield http

    return opened


def _given(library: str) -> Http:
    @contextlib.asynccontextmanager
    async def opened(trust: ssl.SSLContext | None) -> AsyncGenerator[object, None]:
        client = importlib.import_module(library).AsyncClient(verify=trust or pool.shared_ssl_context())
        async with client:
            yield client

    return opened


@contextlib.asynccontextmanager
async def _given_session(trust: ssl.SSLContext | None) -> AsyncGenerator[object, None]:
    import aiohttp

    # Without a resolver it would start a thread of its own where aiodns is installed.
    connector = aiohttp.TCPConnector(ssl=trust or pool.shared_ssl_context(), resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


WIRES = {"httpx": OnWire(_default(), ours=True), "given httpx": OnWire(_given("httpx"))}
if find_spec("httpx2"):
    WIRES["given httpx2"] = OnWire(_given("httpx2"))
if find_spec("aiohttp") and find_spec("klickdoxie_core.wire.aiohttp_wire"):
    WIRES["aiohttp"] = OnWire(_default("aiohttp"), ours=True, backends=("asyncio",))
    WIRES["given aiohttp"] = OnWire(_given_session, backends=("asyncio",))


def _on(names: Iterable[str], *, loops: int = 2) -> pytest.MarkDecorator:
    pairs = [(backend, name) for name in names for backend in WIRES[name].backends[:loops]]
    return pytest.mark.parametrize(("anyio_backend", "wire"), pairs, ids=[f"{name}-{loop}" for loop, name in pairs])


ON_EVERY_WIRE = _on(WIRES)
"""Run a test on each wire, and each of them on the event loops that it knows."""
ON_EACH_WIRE = _on(WIRES, loops=1)
"""Each wire on one event loop: for the many rows that are about what is read, not how."""
_OURS = [name for name, wire in WIRES.items() if wire.ours]
ON_OUR_WIRES = _on(_OURS)
"""Those wires only that the client makes itself, on each event loop."""
ON_EACH_WIRE_OF_OURS = _on(_OURS, loops=1)
"""The same on one event loop."""


@contextlib.asynccontextmanager
async def shop_on(
    wire: str, url: str, *, trust: ssl.SSLContext | None = None, **options: Any
) -> AsyncGenerator[Shop, None]:
    """A client on this wire, closed at the end with all that it stands on."""
    options.setdefault("clock", FakeClock(chance=0.5).clock())
    async with WIRES[wire].http(trust) as http, Shop(url, http=http, **options) as shop:
        yield shop
