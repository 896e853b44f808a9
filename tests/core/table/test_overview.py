"""What is told of the columns of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from klickdoxie_core.table import Table, TableError, open_table
from klickdoxie_core.table.overview import Fill, Overview, overview, shape

FILE = (
    "E-Mail;Straße;Umsatz\r\n"
    "anna@example.com;Größe 12;1.234,50\r\n"
    '\r\nBERT@example.com;"Am\r\nWall";\r\n'
    " ; ;9\r\n"
    ";zu kurz\r\n"
    "c@d.de;4;5;zu lang\r\n"
    "e@f.de\r\n"
)


def opened(folder: Path, text: str = FILE, encoding: str = "cp1252") -> Table:
    """A file with short, long, blank and quoted rows."""
    path = folder / "rows.csv"
    path.write_bytes(text.encode(encoding))
    return open_table(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_columns_are_counted_and_sampled(tmp_path: Path, encoding: str) -> None:
    """Spaces fill nothing, a missing cell neither, and what is beyond the header belongs to no column."""
    assert overview(opened(tmp_path, encoding=encoding)) == Overview(
        rows=6,
        fills=(
            Fill(4, ("xxxx@xxxxxxx.xxx", "XXXX@xxxxxxx.xxx", "x@x.xx")),
            Fill(4, ("Xxxxx 99", "Xx  Xxxx", "xx xxxx")),
            Fill(3, ("9.999,99", "9", "9")),
        ),
    )


@pytest.mark.parametrize(("limit", "rows", "filled"), [(1, 1, 1), (2, 2, 2), (100, 6, 4), (None, 6, 4)])
def test_only_so_many_rows_are_read(tmp_path: Path, limit: int | None, rows: int, filled: int) -> None:
    """A limit beyond the end is none."""
    found = overview(opened(tmp_path), limit)
    assert (found.rows, found.fills[0].count) == (rows, filled)


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    """Its columns are there and hold nothing."""
    assert overview(opened(tmp_path, "a;b\n")) == Overview(0, (Fill(), Fill()))


def test_the_columns_of_an_error_file_are_no_data(tmp_path: Path) -> None:
    """Only the columns of the file that it came from are told."""
    found = overview(opened(tmp_path, "_line;_state;_code;_reason;a\n7;failed;5;nein;x\n"))
    assert found == Overview(1, (Fill(1, ("x",)),))


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    """A quotation mark that is never closed is found before anything is sent."""
    table = opened(tmp_path, 'a;b\n1;2\n3;"4\n')
    with pytest.raises(TableError, match="line 3"):
        overview(table)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Änne-Lu 49 €", "Xxxx-Xx 99 €"),
        ("+49 151/123", "+99 999/999"),
        ("½ Ⅳ ²", "9 9 9"),
        ("a\nb", "x x"),
        ("x" * 24, "x" * 24),
        ("x" * 30, "x" * 24 + "…"),
        ("", ""),
    ],
)
def test_a_shape_names_nobody(text: str, drawn: str) -> None:
    """Letters and digits are replaced, so that a column can be recognised and no person."""
    assert shape(text) == drawn
