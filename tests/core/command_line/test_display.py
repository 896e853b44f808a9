"""How a job shows that it is getting on."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest

from klickdoxie_core import command_line
from klickdoxie_core.command_line.display import Lines, described
from klickdoxie_core.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        """Claim to be one."""
        return True


def progress(done: int = 0, **figures: float | str | None) -> Progress:
    """The figures of a job of 2,000 items, all of them well."""
    given = {"ok": done, "skipped": 0, "failed": 0, "unknown": 0, "seconds": 0.0, "rate": 0.0, "left": None}
    return Progress(**{"done": done, "total": 2000, "paused": None, **given, **figures})  # type: ignore[arg-type] # a table of any of them


def test_a_line_is_written_every_ten_seconds() -> None:
    """Not for every item, and none before there is something to tell."""
    stream = io.StringIO()
    show = command_line.display_on(stream)
    for seconds, done in ((1.0, 100), (10.0, 1500), (11.0, 1600), (20.5, 1900)):
        show(progress(done, seconds=seconds))
    show.close()
    assert stream.getvalue() == "1,500 of 2,000: 1,500 ok\n1,900 of 2,000: 1,900 ok\n"


def test_a_pause_is_told_at_once() -> None:
    """Whoever watches wants to know why nothing moves, and that it moves again."""
    stream = io.StringIO()
    show = Lines(stream)
    for paused in (None, "kein Netz", "kein Netz", None):
        show(progress(7, seconds=1.0, paused=paused))
    assert stream.getvalue() == "7 of 2,000: 7 ok, waiting: kein Netz\n7 of 2,000: 7 ok\n"


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (progress(), "none yet"),
        (progress(9, ok=4, failed=2, unknown=1, skipped=2), "4 ok, 2 failed, 1 in doubt, 2 settled before"),
        (progress(1200, rate=99.6, left=8.0), "1,200 ok, 100/s, 0:08 left"),
        (progress(1, left=3725.0), "1 ok, 1:02:05 left"),
    ],
)
def test_only_what_happened_is_told(figures: Progress, said: str) -> None:
    """Counts of zero are left out."""
    assert described(figures) == said


def test_a_terminal_gets_a_bar() -> None:
    """The bar shows how many items are done, of how many, and what became of them."""
    stream = Terminal()
    bar = command_line.display_on(stream)
    bar(progress(30, failed=2))
    bar.close()
    assert "30/2000" in stream.getvalue()
    assert "2 failed" in stream.getvalue()


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        (progress(1400, ok=1388, failed=12, rate=100.0, left=6.0), "1400/2000 1,388 ok, 12 failed, 100/s, 0…"),
        (progress(1401, total=None), "━ 1401/? 1,401 ok"),
    ],
)
def test_on_a_narrow_terminal_the_bar_gives_way(monkeypatch: pytest.MonkeyPatch, figures: Progress, shown: str) -> None:
    """The figures are what one looks for."""
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    bar = command_line.display_on(stream)
    bar(figures)
    bar.close()
    assert shown in re.sub("\x1b[^a-zA-Z]*[a-zA-Z]", "", stream.getvalue())


def test_a_bar_tells_brackets_as_they_stand() -> None:
    """An error may name a path or a field in brackets: they are no markup, and break nothing."""
    stream = Terminal()
    bar = command_line.display_on(stream)
    bar(progress(0, paused="[/tag] [b]"))
    bar.close()
    assert "waiting: [/tag] [b]" in stream.getvalue()


def test_without_rich_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is an extra; the first line comes after a second, since somebody is watching."""
    monkeypatch.setitem(sys.modules, "klickdoxie_core.command_line.bar", None)
    stream = Terminal()
    show = command_line.display_on(stream)
    assert isinstance(show, Lines)
    for seconds, done in ((0.5, 10), (1.0, 100), (9.0, 800), (11.0, 1600)):
        show(progress(done, seconds=seconds))
    assert stream.getvalue() == "100 of 2,000: 100 ok\n1,600 of 2,000: 1,600 ok\n"


def test_machines_get_every_event() -> None:
    """One line of JSON each."""
    stream = Terminal()
    show = command_line.display_on(stream, as_json=True)
    show(progress(1))
    show(progress(2, rate=1.5))
    show.close()
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(event["event"], event["done"], event["total"], event["rate"]) for event in events] == [
        ("progress", 1, 2000, 0.0),
        ("progress", 2, 2000, 1.5),
    ]


def test_columns_stand_one_below_the_other() -> None:
    """The widest cell counts, and no line ends with spaces."""
    assert command_line.columns([["id", "name", "x"], ["1", "Blütenhonig", ""], ["23", "", "y"]]) == (
        "id  name         x\n1   Blütenhonig\n23               y"
    )
