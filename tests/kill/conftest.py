"""A service on a socket of this process; the commands run in processes of their own, and only there are signals."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from klickdoxie_core.wire.in_process import serving
from tests.kill.support import Executioner


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Sockets are served on asyncio only."""
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these tests out where no process can be killed."""
    here = Path(__file__).parent
    skip = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
    for item in items:
        if here in item.path.parents:
            item.add_marker(skip)


@pytest.fixture(scope="module")
async def executioner() -> AsyncIterator[Executioner]:
    """What stands between the commands and a service."""
    executioner = Executioner()
    async with serving(executioner, "127.0.0.1", 0) as executioner.url:
        yield executioner
