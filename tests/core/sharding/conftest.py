"""Nothing that another test has counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.sharding import jobs


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Forget what was counted."""
    yield
    jobs.CALLS.clear()
    jobs.HOOKS.clear()
    jobs.TURNS.clear()
