"""A sandbox whose clock never waits, and a file to import into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from klickdoxie_core import Clock
from klicktipp_async import KlickTipp
from klicktipp_async.csv_import import ImportOptions
from klicktipp_async.sandbox import Sandbox

Options = Callable[..., ImportOptions]


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    """An empty account."""
    async with Sandbox() as box:
        yield box


@pytest.fixture
async def kt(box: Sandbox, clock: Clock) -> KlickTipp:
    """A client of that account."""
    return box.client(clock=clock)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Write a file with the columns Mail, Mobil, Vorname and Tags, and say how it is imported."""

    def make(*rows: str, **changes: Any) -> ImportOptions:
        path = tmp_path / "input.csv"
        path.write_text("\n".join(["Mail;Mobil;Vorname;Tags", *rows]), encoding="utf-8")
        maps = ["Mail=email", "Mobil=sms", "Vorname=fieldFirstName", "Tags=tags"]
        given = {"path": path, "opt_in_id": None, "maps": maps, "errors": tmp_path / "errors.csv", **changes}
        return ImportOptions(**given)

    return make
