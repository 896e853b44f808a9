"""The encoding of a file: found by reading all of it, or checked where it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from klickdoxie_core.table import encoding
from klickdoxie_core.table.encoding import TableError, check_encoding, detect_encoding


def written(folder: Path, content: bytes) -> Path:
    """A file with this content."""
    path = folder / "file.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"Name\r\nAnna\r\n", "utf-8"),
        ("Straße;Größe\n".encode(), "utf-8"),
        ("Straße;Größe\n".encode("utf-8-sig"), "utf-8-sig"),
        ("Straße;Größe; 49 €; „so“\n".encode("cp1252"), "cp1252"),
        (b"cut within a character \xc3", "cp1252"),
        ("SÃO PAULO\nŠkoda; Tomáš; 5”; a…b; „Anna“; § 7; L’HAŸ\n".encode("cp1252"), "cp1252"),
        (b"", "utf-8"),
    ],
)
def test_the_encoding_is_found_out(tmp_path: Path, content: bytes, name: str) -> None:
    """UTF-8 with and without its mark and Windows-1252 are told apart."""
    assert detect_encoding(written(tmp_path, content)) == name


def test_a_late_byte_decides(tmp_path: Path) -> None:
    """A file is Windows-1252 even if its first umlaut stands behind megabytes of plain text."""
    assert detect_encoding(written(tmp_path, b"Anna;Berlin\n" * 200_000 + b"J\xf6rg;K\xf6ln\n")) == "cp1252"


def test_a_character_across_two_chunks_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting the file in chunks cuts no character."""
    monkeypatch.setattr(encoding, "_CHUNK", 3)
    assert detect_encoding(written(tmp_path, "ab€ü€".encode())) == "utf-8"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Name;Straße\n".encode("utf-16"), "UTF-16"),
        ("Name;Straße\n".encode("utf-16-le"), "NUL bytes"),
        (b"PK\x03\x04 and so on", "workbook"),
        (b"a;b\n1;\x00\n", "NUL bytes"),
        (b"Name\nAnna\nJ\x81rg\n\x81\n", "line 3 "),
        (b"\xef\xbb\xbfName\nJ\xf6rg\n", "mark of UTF-8, but line 2 "),
        ("Name\nŁuka\nOndřej\n".encode() + b"S\xf8ren\n", "line 4 is not UTF-8, though most of the file is; .*--enc"),
        (b"Name\nJ\xf6rg\n\xc4nne\nAnna\n" + "Jörg\n".encode(), "line 5 holds letters in UTF-8, line 2 .*--encoding"),
        ("Name\nJörg".encode() + b" M\xfcller\n", "mixes encodings: line 2 .* line 2 .*--encoding"),
        (b"Preis\n10 \x80\n" + "10 €\n".encode(), "mixes encodings: line 3 .* line 2 "),
        (
            "Name\nJörg\n".encode("cp850"),
            "line 2 is neither UTF-8 nor, by its looks, Windows-1252; .*--encoding, .*cp850",
        ),
        ("Name\nB\nKäthe\n".encode("cp850"), "line 3 is neither UTF-8 nor, by"),
        ("Name\nMüller\n".encode("mac_roman"), "line 2 is neither UTF-8 nor, by"),
        ("Straße\n".encode("mac_roman"), "line 1 is neither UTF-8 nor, by .*mac_roman"),
    ],
)
def test_what_is_no_such_text_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Other encodings and other files are named as what they are, with the line where that helps."""
    with pytest.raises(TableError, match=said):
        detect_encoding(written(tmp_path, content))


def test_a_given_encoding_is_checked(tmp_path: Path) -> None:
    """A given encoding gets its usual name, and must fit the whole file."""
    path = written(tmp_path, "Jörg\n".encode("latin-1"))
    assert check_encoding(path, "latin1") == "iso8859-1"
    with pytest.raises(TableError, match="not UTF-8"):
        check_encoding(path, "UTF-8")


@pytest.mark.parametrize(
    ("text", "given", "name"),
    [("\ufeffGröße\n", "UTF8", "utf-8-sig"), ("Größe\n", "UTF8", "utf-8"), ("\ufeffa", "cp1252", "cp1252")],
)
def test_the_mark_of_utf8_is_no_part_of_the_text(tmp_path: Path, text: str, given: str, name: str) -> None:
    """Who says UTF-8 need not know whether a spreadsheet has put its mark in front."""
    assert check_encoding(written(tmp_path, text.encode()), given) == name


@pytest.mark.parametrize("name", ["klingon", "rot13", "base64"])
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """Names that stand for no encoding of texts are refused."""
    with pytest.raises(TableError, match=name):
        check_encoding(written(tmp_path, b"a"), name)


def test_nul_characters_are_refused_in_a_given_encoding_too(tmp_path: Path) -> None:
    """Naming the wrong encoding does not let a binary file through."""
    with pytest.raises(TableError, match="NUL"):
        check_encoding(written(tmp_path, b"a\x00b"), "latin-1")
