"""A client over a mocked wire, whose clock never really waits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import respx

from klickdoxie_core import Clock
from klicktipp_async import KeyPair, KlickTipp, SessionLogin

FIXTURES = Path(__file__).parents[1] / "fixtures"


class Load(Protocol):
    """Reads a sample answer by its name."""

    def __call__(self, name: str) -> Any: ...  # noqa: D102 - the class says it


@pytest.fixture
def load() -> Load:
    """Read a sample answer by its name, such as `contacts/full`."""

    def read(name: str) -> Any:
        return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))

    return read


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    """The mocked service; every route must be called, and nothing else."""
    with respx.mock(base_url="https://api.klicktipp.com", assert_all_called=True, assert_all_mocked=True) as router:
        yield router


@pytest.fixture
async def kt(clock: Clock) -> AsyncIterator[KlickTipp]:
    """A client with a key pair: no login stands between the test and its call."""
    async with KlickTipp(KeyPair("partner", "00", "customer"), clock=clock) as client:
        yield client


@pytest.fixture
async def session_kt(api: respx.MockRouter, clock: Clock, load: Load) -> AsyncIterator[KlickTipp]:
    """A client that logs in, with both routes mocked."""
    api.post("/account/login", name="login").respond(json=load("account/login"))
    api.post("/account/logout", name="logout").respond(json=[True])
    async with KlickTipp(SessionLogin("konto", "geheim"), clock=clock) as client:
        yield client
