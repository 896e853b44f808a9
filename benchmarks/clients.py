"""The calls that are compared: HTTP libraries alone, this SDK on its wires, and peers where they are installed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Literal
from urllib.parse import urlsplit

import httpx
from measure import Call

from klicktipp_async import KeyPair, KlickTipp, Limit, Retry

EMAIL = "joerg@example.com"
WIDE = Limit(concurrency=1000)


def sdk(url: str, http: Literal["aiohttp"] | None = None) -> KlickTipp:
    """A client with a key pair, so that no login is measured."""
    keys = KeyPair("bench", "0123456789abcdef", "customer")
    return KlickTipp(keys, base_url=url, limit=WIDE, retry=Retry(attempts=3), timeout=300, deadline=600, http=http)


@contextlib.asynccontextmanager
async def searches(url: str) -> AsyncIterator[dict[str, Call]]:
    """The search for a contact's id, by everything that can make it; the names are those of the table."""
    async with AsyncExitStack() as stack:
        raw = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=300))
        ours = await stack.enter_async_context(sdk(url))

        async def by_httpx() -> object:
            return (await raw.post("/subscriber/search", json={"email": EMAIL})).json()

        calls: dict[str, Call] = {"httpx": by_httpx, "sdk": lambda: ours.contacts.find_id(EMAIL)}
        if find_spec("aiohttp"):
            import aiohttp  # noqa: PLC0415 - it need not be there

            session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
            fast = await stack.enter_async_context(sdk(url, http="aiohttp"))

            async def by_aiohttp() -> object:
                async with session.post(f"{url}/subscriber/search", json={"email": EMAIL}) as answer:
                    return await answer.json()

            calls |= {"aiohttp": by_aiohttp, "sdk on aiohttp": lambda: fast.contacts.find_id(EMAIL)}
        yield calls


@contextlib.asynccontextmanager
async def contacts(url: str) -> AsyncIterator[dict[str, Call]]:
    """One whole contact, as a dict by httpx and as a model by the SDK."""
    async with httpx.AsyncClient(base_url=url) as raw, sdk(url) as ours:

        async def by_httpx() -> object:
            return (await raw.get("/subscriber/1")).json()

        yield {"httpx": by_httpx, "sdk": lambda: ours.contacts.get(1)}


@contextlib.asynccontextmanager
async def peers(url: str) -> AsyncIterator[dict[str, tuple[Call, Call]]]:
    """Other SDKs, each with the same request by httpx alone, where they are installed."""
    async with httpx.AsyncClient(base_url=url) as raw:
        found: dict[str, tuple[Call, Call]] = {}

        def plain(path: str) -> Call:
            async def call() -> object:
                return (await raw.get(path)).json()

            return call

        for name, make in _PEERS.items():
            if find_spec(name):
                call, path = make(url)
                found[name] = (call, plain(path))
        yield found


def _openai(url: str) -> tuple[Call, str]:
    import openai  # noqa: PLC0415

    client = openai.AsyncOpenAI(api_key="bench", base_url=url)
    return lambda: client.models.retrieve("m"), "/models/m"


def _stripe(url: str) -> tuple[Call, str]:
    import stripe  # noqa: PLC0415

    client = stripe.StripeClient("sk_bench", base_addresses={"api": url}, http_client=stripe.HTTPXClient())
    return lambda: client.v1.customers.retrieve_async("c"), "/v1/customers/c"


def _notion(url: str) -> tuple[Call, str]:
    import notion_client  # noqa: PLC0415

    client = notion_client.AsyncClient(auth="bench", base_url=url)
    return client.users.me, "/v1/users/me"


_PEERS: dict[str, Callable[[str], tuple[Call, str]]] = {
    "openai": _openai,
    "stripe": _stripe,
    "notion_client": _notion,
}


class RawClient:
    """As little as a client can do: a socket each, a request of bytes, an answer cut out by its length."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str) -> object:
        """The parsed body of an answer."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        self._idle.append((reader, writer))
        return json.loads(body)

    async def close(self) -> None:
        """Close every socket."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()
