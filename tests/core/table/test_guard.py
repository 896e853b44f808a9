"""Cells that a spreadsheet would take for formulas: written with an apostrophe, read without it."""

from __future__ import annotations

import pytest

from klickdoxie_core.table.guard import guarded, unguarded


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1+1", "'＝1+1"),
        ("\t=1+1", "'\t=1+1"),
        ("\r=1+1", "'\r=1+1"),
        ("\n=1+1", "'\n=1+1"),
        ("+cmd", "'+cmd"),
        ("-x", "'-x"),
        ("'-x", "''-x"),
        ("-2+3+A1", "'-2+3+A1"),
        ("+49 170\n=1", "'+49 170\n=1"),
        ("''=1+1", "'''=1+1"),
        ("+49 (0)221/123-45", "+49 (0)221/123-45"),
        ("-12,50", "-12,50"),
        ("- ", "- "),
        ("'s Wirtshaus", "'s Wirtshaus"),
        ("'+49 170 123", "'+49 170 123"),
        ("Größe=38", "Größe=38"),
        ("'", "'"),
        ("", ""),
    ],
)
def test_what_is_written_is_read(text: str, there: str) -> None:
    """One apostrophe comes and goes, and one that is no guard stays."""
    assert guarded(text) == there
    assert unguarded(there) == text
