"""Where a client lives: one process, one event loop."""

from __future__ import annotations

import os
import sys

import anyio
import pytest

from klickdoxie_core.home import Home


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_the_first_event_loop_is_home(first: str, second: str) -> None:
    """A client works in the loop of its first use, and says so in any other one."""
    home = Home()

    async def twice() -> list[str | None]:
        return [home.stranger(), home.stranger()]

    async def once() -> str | None:
        return home.stranger()

    assert anyio.run(twice, backend=first) == [None, None]
    said = anyio.run(once, backend=second)
    assert said == "this client was first used in another event loop; make one client per event loop"


def test_trio_needs_no_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has imported asyncio, it is trio that runs; nothing is imported to find that out."""
    home = Home()

    async def twice() -> list[str | None]:
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "asyncio")
            found = [home.stranger(), home.stranger()]
            assert "asyncio" not in sys.modules
        return found

    assert anyio.run(twice, backend="trio") == [None, None]


@pytest.mark.anyio
async def test_another_process_is_not_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fork the child is told to make its own client."""
    home = Home()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert home.stranger() == "this client was made in another process; make one after the fork"


@pytest.mark.anyio
async def test_a_closed_client_says_so() -> None:
    """Closed comes before everything else."""
    home = Home()
    home.closed = True
    assert home.stranger() == "this client is closed; make a new one"
