"""Cells that a spreadsheet would take for formulas, and the apostrophe in front of them that keeps it from that.

What stands in a cell may come from strangers. One that starts with `=`, `@`, a tab or a line break gets an apostrophe
in front, and so does one that starts with `+` or `-` unless nothing but digits, spaces and `( ) / . , -` follow, as in
`+49 (0)221 123-45` and `-12,50`. Apostrophes in front of such a start get one more, so that reading takes off exactly
what writing has put there.
"""

from __future__ import annotations

import re

# Full-width signs count too: some spreadsheets read them as the plain ones.
_FORMULA = re.compile(r"'*(?:[=@＝＠\t\r\n]|[+\-＋－](?![0-9 ()/.,\-]*\Z))")


def guarded(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """The text without that apostrophe; one in front of anything else stays."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
