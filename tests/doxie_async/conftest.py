"""A client over a mocked wire, whose clock never really waits and whose environment says nothing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import anyio.lowlevel
import pytest
import respx

from doxie_async import Basic, Bearer, Doxie
from klickdoxie_core import Clock
from tests.doxie_async.support import PASSWORD, TENANT, TOKEN, USER


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the environment says about Doxie."""
    for name in [name for name in os.environ if name.startswith("DOXIE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def clock() -> Clock:
    """A clock whose pauses are over at once."""

    async def sleep(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    return Clock(sleep=sleep, random=lambda: 0.0)


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    """The mocked service; every route must be called, and nothing else."""
    with respx.mock(base_url="https://app.doxie.energy", assert_all_called=True, assert_all_mocked=True) as router:
        yield router


@pytest.fixture
async def doxie(clock: Clock) -> AsyncIterator[Doxie]:
    """A client with both credentials."""
    async with Doxie(TENANT, api_user=Basic(USER, PASSWORD), admin=Bearer(TOKEN), clock=clock) as client:
        yield client
