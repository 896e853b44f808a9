"""Fixtures for pytest: `pytest_plugins = ["klicktipp_async.testing.plugin"]` in your `conftest.py` brings them.

They are synchronous and open no socket, so that they work with every runner of async tests: anyio's own plugin on
asyncio and trio, pytest-asyncio, or `anyio.run` inside of a plain test.
"""

from __future__ import annotations

import pytest

from klickdoxie_core.testing import FrozenClock
from klicktipp_async.client import KlickTipp
from klicktipp_async.sandbox import Sandbox

pytest_plugins = ("klickdoxie_core.testing.plugin",)


@pytest.fixture
def klicktipp_sandbox(frozen_clock: FrozenClock) -> Sandbox:
    """A new account in memory, on the frozen clock."""
    return Sandbox(clock=frozen_clock)


@pytest.fixture
def klicktipp(klicktipp_sandbox: Sandbox) -> KlickTipp:
    """A client of that account, on the same clock. There is nothing to close."""
    return klicktipp_sandbox.client()
