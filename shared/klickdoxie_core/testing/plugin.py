"""The pytest fixture that both clients' plugins share."""

from __future__ import annotations

import pytest

from klickdoxie_core.testing.frozen_clock import FrozenClock


@pytest.fixture
def frozen_clock() -> FrozenClock:
    """The time of the sandboxes and clients of this test: it stands still until the test moves it."""
    return FrozenClock()
