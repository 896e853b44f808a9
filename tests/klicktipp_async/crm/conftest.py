"""An empty account, and a client of it whose clock never waits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from klickdoxie_core import Clock
from klicktipp_async import KlickTipp
from klicktipp_async.sandbox import Sandbox


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    """An empty account."""
    async with Sandbox() as box:
        yield box


@pytest.fixture
async def kt(box: Sandbox, clock: Clock) -> KlickTipp:
    """A client of that account."""
    return box.client(clock=clock)
