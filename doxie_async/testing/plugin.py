"""Fixtures for pytest: `pytest_plugins = ["doxie_async.testing.plugin"]` in your `conftest.py` brings them.

They are synchronous and open no socket, so that they work with every runner of async tests: anyio's own plugin on
asyncio and trio, pytest-asyncio, or `anyio.run` inside of a plain test.
"""

from __future__ import annotations

import pytest

from doxie_async.client import Doxie
from doxie_async.sandbox import Sandbox
from klickdoxie_core.testing import FrozenClock

pytest_plugins = ("klickdoxie_core.testing.plugin",)


@pytest.fixture
def doxie_sandbox(frozen_clock: FrozenClock) -> Sandbox:
    """A new tenant in memory, on the frozen clock."""
    return Sandbox(clock=frozen_clock)


@pytest.fixture
def doxie(doxie_sandbox: Sandbox) -> Doxie:
    """A client of that tenant with both credentials, on the same clock. There is nothing to close."""
    return doxie_sandbox.client()
