"""The demonstration of a file of rows shows what it says, and would show it if it were otherwise."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import anyio
import pytest

from doxie_async.sandbox import Sandbox


@pytest.fixture
def demo(example: Callable[[str], ModuleType]) -> ModuleType:
    """The demonstration."""
    return example("rows_demo")


def test_the_demonstration_succeeds(demo: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    """With fewer rows; the command is killed in the middle and resumed."""
    assert anyio.run(demo.main, 80) == 0
    told = capfd.readouterr().out
    assert "no row was sent twice" in told
    assert "WRONG" not in told


@pytest.mark.anyio
async def test_a_row_that_was_sent_twice_is_seen(demo: ModuleType) -> None:
    """Whatever the command says, the sandbox has counted."""
    async with Sandbox() as box:
        for name in ("R-1", "R-2", "R-2"):
            await box.client().mailer.send("welcome_email", {"reference": name})
        wrong = {figure.what for figure in demo.counted(box, ["R-1", "R-2"], set()) if not figure.good}
    assert wrong == {
        "rows that went out more than once",
        "rows that are not in doubt and went out once",
        "rows in doubt",
    }
