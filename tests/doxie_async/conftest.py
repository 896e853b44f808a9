"""A client over a mocked wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import respx

from doxie_async import Basic, Bearer, Doxie
from klickdoxie_core import Clock
from tests.doxie_async.support import PASSWORD, TENANT, TOKEN, USER


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
