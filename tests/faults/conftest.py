"""Every log at any level is looked at, and nothing is left over."""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator

import pytest

from tests.faults.canaries import OF_THE_APPLICATION


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Turn on every log but those of the HTTP libraries, of which only warnings are kept."""
    for name in OF_THE_APPLICATION:
        caplog.set_level(logging.WARNING, name)
    caplog.set_level(logging.DEBUG)  # last, since it is also the level of what catches all of them


@pytest.fixture(autouse=True)
def nothing_left_over() -> Generator[None, None, None]:
    """Find sockets and tasks that nobody closed or awaited: their warnings are errors."""
    gc.freeze()  # what was there before does not have to be looked through again
    yield
    gc.collect()
    gc.unfreeze()
