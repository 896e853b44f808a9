"""As much of an httpx client as our wire needs, over our own pool.

No jar, no hooks, no redirects, no defaults of headers: what an `AsyncClient` does around its transport costs as much
again as a third of the whole call, and our wire wants none of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from functools import lru_cache

import httpx

from klickdoxie_core.wire.pool import LifoTransport

# Most calls of a client go to few addresses, and reading one costs as much as all else in a request.
_url = lru_cache(maxsize=256)(httpx.URL)


class OwnClient:
    """Builds requests and sends them through a pool of our own; proxies and certificates come from no environment."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._transport = LifoTransport(now)
        self.is_closed = False

    def build_request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | AsyncIterable[bytes] | None,
        timeout: httpx.Timeout,
        extensions: Mapping[str, object],
    ) -> httpx.Request:
        """A request with just these headers, those that frame it, and gzip as the one packing.

        Raises:
            InvalidURL: It has no host.
        """
        address = _url(url)
        if not address.host:
            raise httpx.InvalidURL("the URL has no host")
        return httpx.Request(
            method,
            address,
            headers={"accept-encoding": "gzip", **headers},
            content=content,
            extensions={"timeout": timeout.as_dict(), **extensions},
        )

    async def send(self, request: httpx.Request, **_: object) -> httpx.Response:
        """The answer, whose body is still to be read."""
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection that rests, and those under way as soon as their answer is read."""
        self.is_closed = True
        await self._transport.aclose()
