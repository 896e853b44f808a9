"""Both event loops, in a form that examples by the dozen can share."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["asyncio", "trio"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run an asynchronous test on each event loop; one loop for all tests of a module."""
    return str(request.param)
