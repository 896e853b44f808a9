"""A CSV file as rows: separators, quotes, lines, and everything a header can get wrong."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from klickdoxie_core.table.encoding import TableError
from klickdoxie_core.table.reader import Row, open_table


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """A file with this text."""
    path = folder / "file.csv"
    path.write_bytes(text.encode(encoding))
    return path


def cells(folder: Path, text: str) -> list[tuple[str, ...]]:
    """The cells of each row of a file with this text."""
    return [row.cells for row in open_table(written(folder, text)).rows()]


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a;b\n1;2\n", ";"),
        ("a,b\n1,2\n", ","),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("a;b\n1,5;2,5\n", ";"),
        ("a,b\n1;5,2;5\n", ","),
        ('"a;b",c\n"1;2",3\n', ","),
        ("Name, Vorname;E-Mail\nMüller, Anna;a@example.com\n", ";"),
        ("Name, Vorname;E-Mail\nMüller;a@example.com\n", ";"),
        ("a;b\n", ";"),
        ('a;b\n"1\n2;3\n4";5\n', ";"),
        ("sep=|\r\na|b\r\n1|2\r\n", "|"),
        ('"sep=,"\r\na,b;c\r\n1,2\r\n', ","),
    ],
)
def test_the_separator_is_found_out(tmp_path: Path, text: str, separator: str) -> None:
    """The separator is the one that cuts the rows as wide as the header; quoted ones do not count."""
    table = open_table(written(tmp_path, text))
    assert table.separator == separator
    assert {len(row.cells) for row in table.rows()} <= {len(table.header)}


@pytest.mark.parametrize("text", ["E-Mail\na@example.com\nb@example.com\n", "E-Mail\r\na;b@example.com\r\n"])
def test_a_single_column_needs_no_separator(tmp_path: Path, text: str) -> None:
    """A file of one column keeps it whole, whatever stands in it."""
    rows = cells(tmp_path, text)
    assert rows
    assert all(len(row) == 1 for row in rows)


def test_a_file_longer_than_the_sample_is_cut_right(tmp_path: Path) -> None:
    """The row in which the sample ends does not count."""
    rows = "".join(f'{i};"Zeile\n{i}; eins";{"x" * 50}\n' for i in range(3000))
    assert len(cells(tmp_path, "a;b;c\n" + rows)) == 3000


def test_half_a_row_at_the_end_of_the_sample_decides_nothing(tmp_path: Path) -> None:
    """What is cut off behind a comma speaks for the comma."""
    rows = f"Müller, {'x' * 1000};Köln\n" * 100
    assert cells(tmp_path, f"Name, Vorname;Ort\n{rows}")[0][1] == "Köln"


@pytest.mark.parametrize(("given", "separator"), [("tab", "\t"), ("\\t", "\t"), ("#", "#")])
def test_a_given_separator_wins(tmp_path: Path, given: str, separator: str) -> None:
    """A given separator is used, also one that is never guessed."""
    assert open_table(written(tmp_path, f"a;x{separator}b\n"), separator=given).header == ("a;x", "b")


@pytest.mark.parametrize("given", [";;", '"', "\n"])
def test_an_impossible_separator_is_refused(tmp_path: Path, given: str) -> None:
    """A separator is one character that is no quotation mark and no line end."""
    with pytest.raises(TableError, match="one character"):
        open_table(written(tmp_path, "a;b\n"), separator=given)


def test_rows_know_their_line(tmp_path: Path) -> None:
    """The line is the one in the file, although quoted line breaks and blank lines stand before."""
    text = 'a;b\r\n1;"x\r\ny"\r\n\r\n;\r\n ; \r\n2;"v ""w"""\r\n3;\r\n'
    assert list(open_table(written(tmp_path, text)).rows()) == [
        Row(2, ("1", "x\r\ny")),
        Row(7, ("2", 'v "w"')),
        Row(8, ("3", "")),
    ]


def test_rows_know_their_line_behind_a_sep_line(tmp_path: Path) -> None:
    """Excel's line that names the separator is a line of the file, and no row of it."""
    table = open_table(written(tmp_path, "sep=;\r\na;b\r\n1;2\r\n"))
    assert table.header == ("a", "b")
    assert list(table.rows()) == [Row(3, ("1", "2"))]


def test_only_the_first_line_tells_the_separator(tmp_path: Path) -> None:
    """Behind it, and with more beside it, the same letters are what somebody has written."""
    assert cells(tmp_path, "sep=;x\n1;2\nsep=;\n") == [("1", "2"), ("sep=", "")]


def test_nothing_is_stripped(tmp_path: Path) -> None:
    """Blanks around a cell stay, without and within quotes."""
    assert cells(tmp_path, 'a;b\n x ;" y "\n') == [(" x ", " y ")]


def test_the_guard_of_a_formula_goes_and_is_remembered(tmp_path: Path) -> None:
    """A cell is what it was before somebody guarded it; whoever writes the row back has it as it stood."""
    (row,) = open_table(written(tmp_path, "a;b;c\n'-x;''=1;'s ist\n")).rows()
    assert (row.cells, row.written) == (("-x", "'=1", "'s ist"), ("'-x", "''=1", "'s ist"))


def test_columns_at_the_end_without_a_name_may_be_empty(tmp_path: Path) -> None:
    """A spreadsheet writes them, where something has stood once; what stands there makes its row too wide."""
    table = open_table(written(tmp_path, "a;b;; \n1;2;;\n3;4\n5;; ;\n6;;;7\n8;9;;;\n10\n"))
    assert table.header == ("a", "b")
    assert [row.cells for row in table.rows()] == [
        ("1", "2"),
        ("3", "4"),
        ("5", ""),
        ("6", "", "", "7"),
        ("8", "9", "", "", ""),
        ("10",),
    ]


def test_a_row_of_another_width_keeps_its_cells(tmp_path: Path) -> None:
    """Short and long rows come as they are: nothing is filled up, cut or moved."""
    assert cells(tmp_path, "a;b;c\n1\n1;2;3;4\n1;2;3\n") == [("1",), ("1", "2", "3", "4"), ("1", "2", "3")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_every_kind_of_line_end_is_read(tmp_path: Path, end: str) -> None:
    """Unix, Windows and old Mac line ends are read, and a last line without one."""
    between = end or "\n"
    assert cells(tmp_path, f"a;b{between}1;2{between}3;4{end}") == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_umlauts_come_through_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    """Header and cells are the same in each encoding, and the mark of UTF-8 is no part of the first name."""
    table = open_table(written(tmp_path, "Straße;Ort\nGänsemarkt;Köln €\n", encoding))
    assert table.header == ("Straße", "Ort")
    assert [row.cells for row in table.rows()] == [("Gänsemarkt", "Köln €")]


def test_the_columns_of_an_error_file_are_no_data(tmp_path: Path) -> None:
    """Our own columns are passed over wherever they stand; only the state is remembered."""
    table = open_table(written(tmp_path, "_line;a;_state;_code;_reason;b\n7;1;duplicate;x;y;2\n8;1\n"))
    assert table.header == ("a", "b")
    assert list(table.rows()) == [Row(2, ("1", "2"), "duplicate"), Row(3, ("1",), "")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"file\.csv: the file is empty"),
        ("\n\n", "empty"),
        ("a;;c\n", "column 2 has no name"),
        (";;\n1;2;3\n", "column 1 has no name, column 2"),
        ("a;b; a;b\n", "'a', several columns are called 'b'"),
        ("anna@example.com;Anna\n", "must name the columns"),
        ("Anna <anna@example.com>;Anna <anna@example.com>\n", "several columns"),
    ],
)
def test_a_header_must_name_each_column_once(tmp_path: Path, text: str, said: str) -> None:
    """An empty file, empty and repeated names, and data in place of names are refused."""
    with pytest.raises(TableError, match=said) as caught:
        open_table(written(tmp_path, text))
    assert "anna@" not in str(caught.value)


def test_a_file_without_rows_has_a_header(tmp_path: Path) -> None:
    """A header alone is a table without rows."""
    assert cells(tmp_path, "E-Mail;Name") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a;b\n1;2\n3;"open\n5;6\n', r"file\.csv: line 3: a quotation mark is opened and never closed"),
        ('a;b\n1;"' + "x\n" * 100_000 + '"\n', "line 2: field larger than field limit"),
        ("a;b\n1;" + "x" * (1 << 20), "line 2 is longer"),
    ],
)
def test_a_text_that_runs_away_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A quotation mark that is never closed and a cell without end raise instead of swallowing the file."""
    table = open_table(written(tmp_path, text))
    with pytest.raises(TableError, match=said):
        list(table.rows())


def test_the_limit_of_cells_is_not_touched(tmp_path: Path) -> None:
    """The limit of the csv module belongs to the program."""
    before = csv.field_size_limit()
    cells(tmp_path, "a;b\n1;2\n")
    assert csv.field_size_limit() == before


def test_a_lower_limit_of_cells_is_obeyed(tmp_path: Path) -> None:
    """A program that sets the limit of the csv module lower gets an error of ours, not one of the module."""
    path = written(tmp_path, f"a;b\n1;{'x' * 100}\n")
    before = csv.field_size_limit(50)
    try:
        table = open_table(path)
        with pytest.raises(TableError, match="line 2: field larger"):
            list(table.rows())
    finally:
        csv.field_size_limit(before)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder and a missing file are refused by name."""
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(TableError, match="is not a file"):
            open_table(path)


def test_a_file_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    """What was found out about a file does not hold for another one in its place."""
    path = written(tmp_path, "a;b\n1;2\n")
    table = open_table(path)
    assert len(list(table.rows())) == 1
    path.write_text("a;b\n3;4\n")
    os.utime(path, ns=(1, 1))
    with pytest.raises(TableError, match=r"file\.csv: the file was changed"):
        list(table.rows())


def test_personal_data_stays_out_of_reprs(tmp_path: Path) -> None:
    """A row shows its line only."""
    (row,) = open_table(written(tmp_path, "a;b\nanna@example.com;2\n")).rows()
    assert "anna" not in repr(row)
