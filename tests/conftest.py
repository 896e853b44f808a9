"""What every test stands on: loopback only, both event loops."""

from __future__ import annotations

import ipaddress
import sys
from typing import Any

import pytest


def _is_loopback(host: object) -> bool:
    if host is None or isinstance(host, bytes | int):
        return True
    if str(host) in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host).split("%", 1)[0]).is_loopback
    except ValueError:
        return False


def _guard(event: str, args: tuple[Any, ...]) -> None:
    """Refuse every connection and look-up that leaves this machine."""
    if event == "socket.connect":
        address = args[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            msg = f"a test tried to connect to {address[0]!r}; only loopback is allowed"
            raise RuntimeError(msg)
    elif event == "socket.getaddrinfo" and not _is_loopback(args[0]):
        msg = f"a test tried to look up {args[0]!r}; only loopback is allowed"
        raise RuntimeError(msg)


sys.addaudithook(_guard)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run an asynchronous test on each event loop."""
    return str(request.param)
