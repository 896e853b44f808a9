"""What every test stands on: loopback only, both event loops."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

import anyio.lowlevel
import pytest

from klickdoxie_core import Clock


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


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the environment says about our services."""
    for name in [name for name in os.environ if name.startswith(("KLICKTIPP_", "DOXIE_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def clock() -> Clock:
    """A clock whose pauses are over at once."""

    async def sleep(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    return Clock(sleep=sleep, random=lambda: 0.0)
