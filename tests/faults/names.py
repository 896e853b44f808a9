"""A name that only the tests know, so that none is ever looked up in the world."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from typing import Any

NAME = "laden.test"

_lost: set[int] = set()


@contextlib.contextmanager
def unknown(port: int) -> Generator[None, None, None]:
    """Nobody knows the name, for those who ask for this port."""
    _lost.add(port)
    try:
        yield
    finally:
        _lost.discard(port)


def resolver(*addresses: str) -> Any:
    """A `socket.getaddrinfo` that knows the name, in this order of addresses, and otherwise what the real one knows."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str | bytes | None, port: int, *given: Any, **named: Any) -> list[Any]:
        if (host.decode() if isinstance(host, bytes) else host) != NAME:
            return real(host, port, *given, **named)
        flags = named.get("flags", given[3] if len(given) > 3 else 0)
        if port in _lost or flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {NAME}")
        return [_entry(address, port) for address in addresses]

    return getaddrinfo


def _entry(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
