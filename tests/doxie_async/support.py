"""What the tests of the client share: the names in them, the service's envelopes, what a request carried, files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import respx

TENANT = "ts"
USER = "kanarie-benutzer"
PASSWORD = "kanarie; Blütenhonig"
TOKEN = "kanarie-token"


def ok(data: object = None, *, message: str | None = None) -> dict[str, object]:
    """The envelope of an admin operation that was carried out."""
    return {"success": True, "message": message, "error": None, "data": data}


def refused(error: str = "No read permission") -> dict[str, object]:
    """The envelope of an admin operation that was not carried out."""
    return {"success": False, "message": None, "error": error, "data": None}


def accepted(**more: object) -> dict[str, object]:
    """The envelope of an operation of an API user that was carried out."""
    return {"success": True, "error_message": None, "process_uuid": "9a5d", **more}


def body_of(route: respx.Route) -> Any:
    """What the last request of a route carried as JSON; None for nothing."""
    content = route.calls.last.request.content
    return json.loads(content) if content else None


def query_of(route: respx.Route) -> Mapping[str, str]:
    """The query parameters of the last request of a route."""
    return dict(route.calls.last.request.url.params)


class Pieces:
    """An async iterator over some bytes, which can be read once."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


class Again:
    """Some bytes that can be read as often as one likes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return Pieces(b"ab", b"c")
