"""All demonstrations run, one after the other, and a figure that is off in one of them fails the whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType

import anyio
import pytest

Example = Callable[[str], ModuleType]


def ending(code: int, ran: list[int]) -> Callable[..., Awaitable[int]]:
    """A demonstration that does nothing and ends like this."""

    async def main(*_: object) -> int:
        ran.append(code)
        return code

    return main


PARTS = ("klicktipp_demo", "crm_demo", "doxie_demo", "rows_demo")


@pytest.mark.parametrize("failing", [None, *PARTS])
def test_all_parts_run(example: Example, monkeypatch: pytest.MonkeyPatch, failing: str | None) -> None:
    """The later ones also after an earlier one has failed."""
    ran: list[int] = []
    demo = example("demo")
    for part in PARTS:
        monkeypatch.setattr(getattr(demo, part), "main", ending(int(part == failing), ran))
    assert anyio.run(demo.main) == int(failing is not None)
    assert ran == [int(part == failing) for part in PARTS]


def test_a_figure_that_is_off_is_a_failure(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    """A demonstration that cannot fail would show nothing."""
    figures = example("figures")
    good, missing = figures.Figure("contacts", 2, 2), figures.Figure("tags", None, 0)
    assert figures.show("counted", [good], "all is well") == 0
    told = capsys.readouterr().out
    assert "all is well" in told
    assert "WRONG" not in told
    for wrong in (missing, figures.Figure("contacts", 2, 3)):
        assert figures.show("counted", [good, wrong], "all is well") == 1
        told = capsys.readouterr().out
        assert told.count("WRONG") == 1
        assert "1 figures are off" in told
        assert "all is well" not in told
