"""The file of the rows that did not arrive."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from klickdoxie_core.errors import ConfigError
from klickdoxie_core.table import ErrorFile, Row, Table, error_file_of, open_table


def opened(folder: Path, text: str = 'a;b\r\n1;"x;y"\r\n', encoding: str = "cp1252") -> Table:
    """A file to import."""
    path = folder / "input.csv"
    path.write_bytes(text.encode(encoding))
    return open_table(path, encoding=encoding)


def refuse(file: ErrorFile, row: Row) -> None:
    """Write a row with a reason that not every encoding can hold."""
    file.add(row, state="failed", code="5", reason="ungültig → kaputt")


def test_rows_are_written_as_they_were_behind_our_columns(tmp_path: Path) -> None:
    """Separator, encoding, quotes and every cell stay; short and long rows keep their width."""
    table = opened(tmp_path, 'Größe;"b;c"\r\n" 1 ";"x\r\ny ""z"""\r\n\'-2\r\n3;4;€\r\n\'-x;1\r\n')
    file = ErrorFile(tmp_path / "errors.csv", table)
    for row in table.rows():
        refuse(file, row)
    assert file.close(complete=True) == tmp_path / "errors.csv"
    assert (tmp_path / "errors.csv").read_bytes().decode("cp1252") == (
        '_line;_state;_code;_reason;Größe;"b;c"\r\n'
        '2;failed;5;ungültig ? kaputt; 1 ;"x\r\ny ""z"""\r\n'
        "4;failed;5;ungültig ? kaputt;'-2\r\n"
        "5;failed;5;ungültig ? kaputt;3;4;€\r\n"
        "6;failed;5;ungültig ? kaputt;'-x;1\r\n"
    )


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("encoding", ["utf-16", "cp1250"])
def test_an_error_file_in_a_given_encoding_is_known_again(tmp_path: Path, encoding: str, named: bool) -> None:
    """What has to be told of the input is as true of its error file."""
    table = opened(tmp_path, "Größe;Imię ż\r\n1;2\r\n", encoding)
    path = tmp_path / "errors.csv" if named else None
    for earlier in (None, "replaced"):
        file = ErrorFile(path, table)
        file.check()
        refuse(file, next(table.rows()))
        assert file.close(complete=True)
        assert file.earlier == earlier


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_the_error_file_can_be_read_again(tmp_path: Path, encoding: str) -> None:
    """Read again it has the same header and cells, and gives the same file once more."""
    table = opened(tmp_path, 'Straße;b\r\n"1\r\n2";Köln\r\n3\r\n', encoding)
    first, second = tmp_path / "errors.csv", tmp_path / "again.csv"
    for source, target in ((table, first), (None, second)):
        current = source or open_table(first)
        file = ErrorFile(target, current)
        for row in current.rows():
            refuse(file, row)
        file.close(complete=True)
    again = open_table(second)
    assert again.header == table.header
    assert [row.cells for row in again.rows()] == [row.cells for row in table.rows()]
    assert first.read_bytes().startswith(b"\xef\xbb\xbf") is (encoding == "utf-8-sig")


def test_nothing_is_written_without_an_error(tmp_path: Path) -> None:
    """The file comes with its first row."""
    file = ErrorFile(tmp_path / "errors.csv", opened(tmp_path))
    assert file.close(complete=True) is None
    assert not (tmp_path / "errors.csv").exists()


@pytest.mark.parametrize(("complete", "left"), [(True, False), (False, True)])
def test_an_earlier_error_file_goes_when_all_is_well(tmp_path: Path, complete: bool, left: bool) -> None:
    """It would mislead after a complete import; a broken-off one has not replaced it."""
    path = tmp_path / "errors.csv"
    path.write_text("_line;_state;_code;_reason;a\n")
    file = ErrorFile(path, opened(tmp_path))
    file.close(complete=complete)
    assert path.exists() is left
    assert file.earlier == (None if left else "removed")


@pytest.mark.skipif(os.name != "posix", reason="other systems know no such modes")
def test_the_error_file_is_private(tmp_path: Path) -> None:
    """It holds personal data, so that others cannot read it, even in place of a file that they could."""
    path = tmp_path / "errors.csv"
    path.write_text("_line;_state;_code;_reason;a;b\n")
    path.chmod(0o644)
    table = opened(tmp_path)
    file = ErrorFile(path, table)
    file.check()
    refuse(file, next(iter(table.rows())))
    file.close(complete=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(csv.reader(path.read_text("cp1252").splitlines(), delimiter=";"))) == 2


@pytest.mark.skipif(os.name != "posix", reason="making links needs rights on other systems")
def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What a link leads to is left alone."""
    target = tmp_path / "elsewhere.csv"
    target.write_text("_line;_state;_code;_reason;a\n")
    (tmp_path / "errors.csv").symlink_to(target)
    table = opened(tmp_path)
    file = ErrorFile(tmp_path / "errors.csv", table)
    refuse(file, next(iter(table.rows())))
    file.close(complete=True)
    assert target.read_text() == "_line;_state;_code;_reason;a\n"


def test_rows_are_on_disk_at_once(tmp_path: Path) -> None:
    """What is known survives a crash."""
    table = opened(tmp_path)
    file = ErrorFile(tmp_path / "errors.csv", table)
    refuse(file, next(iter(table.rows())))
    assert b"x;y" in (tmp_path / "errors.csv").read_bytes()
    file.close(complete=True)


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    """An error file that is imported again needs another name for its own errors."""
    table = opened(tmp_path, "_line;_state;_code;_reason;a\n1;failed;5;x;y\n")
    with pytest.raises(ConfigError, match="is the file that is read"):
        ErrorFile(tmp_path / "input.csv", table).check()


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        ("kontakte.csv", "kontakte.csv.errors.csv"),
        ("größe.txt", "größe.txt.errors.csv"),
        ("kontakte.csv.errors.csv", "kontakte.csv.errors-2.csv"),
        ("kontakte.csv.errors-2.csv", "kontakte.csv.errors-3.csv"),
        ("kontakte.csv.errors-10.csv", "kontakte.csv.errors-11.csv"),
        ("errors.csv", "errors.csv.errors.csv"),
        ("errors-.csv", "errors-.csv.errors.csv"),
    ],
)
def test_each_file_has_an_error_file_of_its_own(tmp_path: Path, name: str, errors: str) -> None:
    """It stands beside the file, and is never the file itself."""
    assert error_file_of(tmp_path / name) == tmp_path / errors


def test_at_its_own_place_an_error_file_is_replaced_whatever_its_columns(tmp_path: Path) -> None:
    """A column more in the same file does not make it another file; at a named place it does."""
    table = opened(tmp_path)
    earlier = tmp_path / "input.csv.errors.csv"
    earlier.write_text("_line;_state;_code;_reason;a\n")
    with pytest.raises(ConfigError, match="of a file with other columns"):
        ErrorFile(earlier, table).check()
    file = ErrorFile(None, table)
    file.check()
    refuse(file, next(iter(table.rows())))
    assert (file.close(complete=True), file.earlier) == (earlier, "replaced")


def test_a_named_error_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    """Our columns somewhere in it do not make it ours."""
    table = opened(tmp_path)
    (tmp_path / "e.csv").write_bytes(b"_line;_state;_code;_reason;a;a\n")
    with pytest.raises(ConfigError, match="of a file with other columns"):
        ErrorFile(tmp_path / "e.csv", table).check()


def test_other_files_are_never_overwritten(tmp_path: Path) -> None:
    """Only an error file may be replaced, and only in a folder that is there."""
    table = opened(tmp_path)
    (tmp_path / "notes.csv").write_text("a;b\n")
    with pytest.raises(ConfigError, match="is not the error file of an earlier run"):
        ErrorFile(tmp_path / "notes.csv", table).check()
    with pytest.raises(ConfigError, match="is not the error file"):
        ErrorFile(tmp_path, table).check()
    with pytest.raises(ConfigError, match="is not a folder"):
        ErrorFile(tmp_path / "missing" / "errors.csv", table).check()
