"""A client of the sandbox, as the kit makes it, instead of the mocked one of the folder above."""

from __future__ import annotations

import pytest

from doxie_async import Doxie
from doxie_async.sandbox import Sandbox


@pytest.fixture
def doxie(doxie_sandbox: Sandbox) -> Doxie:
    """A client with both credentials, on the frozen clock."""
    return doxie_sandbox.client()
