"""How an import shows that it is getting on."""

from __future__ import annotations

import io
import sys

import pytest

from klicktipp_async.csv_import.progress import Lines, Silence, counts, progress_on
from klicktipp_async.csv_import.report import Summary
from klicktipp_async.csv_import.triage import Finding, State


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        """Claim to be one."""
        return True


def after(rows: int) -> Summary:
    """A summary of so many imported rows."""
    summary = Summary()
    for _ in range(rows):
        summary.add(Finding(State.IMPORTED))
    return summary


def test_a_line_is_written_every_few_seconds() -> None:
    """Not for every row, and none before there is something to tell."""
    stream, times = io.StringIO(), iter([0.0, 1.0, 5.0, 5.0, 6.0, 12.0, 12.0])
    lines = Lines(stream, lambda: next(times))
    lines.begin(2000)
    for rows in (100, 1500, 1600, 1900):
        lines.step(after(rows))
    lines.end()
    assert stream.getvalue() == "1,500 of 2,000 rows: 1,500 imported\n1,900 of 2,000 rows: 1,900 imported\n"


def test_only_what_happened_is_told() -> None:
    """States without a row are left out."""
    summary = after(2)
    summary.add(Finding(State.IN_DOUBT))
    assert counts(summary) == "2 imported, 1 in doubt"
    assert counts(Summary()) == "none"


def test_a_terminal_gets_a_bar() -> None:
    """The bar shows how many rows are done, of how many, and what became of them."""
    stream = Terminal()
    bar = progress_on(stream)
    bar.begin(40)
    bar.step(after(30))
    bar.end()
    assert "30/40" in stream.getvalue()
    assert "30 imported" in stream.getvalue()


def test_what_is_no_terminal_gets_lines() -> None:
    """A log file is not filled with bars."""
    assert isinstance(progress_on(io.StringIO()), Lines)


def test_a_terminal_gets_lines_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is an extra."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.delitem(sys.modules, "klicktipp_async.csv_import.bar", raising=False)
    assert isinstance(progress_on(Terminal()), Lines)


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to be told."""
    silence = Silence()
    silence.begin(1)
    silence.step(after(1))
    silence.end()
    assert capsys.readouterr() == ("", "")
