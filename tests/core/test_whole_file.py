"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from klickdoxie_core.whole_file import whole_file


def test_a_whole_file_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    """Until then the earlier one is there; nothing else stays behind."""
    path = tmp_path / "köln.csv"
    path.write_text("früher")
    with whole_file(path, encoding="utf-8-sig", newline="") as file:
        file.write("Größe;\r\n")
        assert path.read_text() == "früher"
    assert path.read_bytes() == "Größe;\r\n".encode("utf-8-sig")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="other systems know no such modes")
def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the mode of the earlier one was."""
    path = tmp_path / "page.html"
    path.touch(mode=0o644)
    with whole_file(path) as file:
        file.write("x")
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_breaks_off_leaves_the_earlier_one(tmp_path: Path) -> None:
    """And no half of the new one."""
    path = tmp_path / "page.html"
    path.write_text("früher")
    with pytest.raises(UnicodeEncodeError), whole_file(path, encoding="cp1252") as file:
        file.write("halb" * 10_000 + "Ш")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("früher", [path])
