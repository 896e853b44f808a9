"""A file as rows of a job, and the files that are written beside it."""

from __future__ import annotations

import csv
import stat
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from klickdoxie_core import ConfigError
from klickdoxie_core.table import open_table
from klickdoxie_core.table.overview import overview
from klicktipp_async.commands.source import check_report, source_rows, write_report
from klicktipp_async.crm import Action, Reason, RowReport, State

HEADER = "line;crm_id;klicktipp_id;action;state;status;code;reason"


def given(text: str, *, limit: int | None = None, in_doubt_again: bool = False) -> list[tuple[int, object]]:
    """The number of each row of a file, and its values or the code of the reason against it."""
    Path("x.csv").write_bytes(text.encode("cp1252"))
    rows = source_rows(open_table(Path("x.csv")), limit=limit, in_doubt_again=in_doubt_again)
    return [(row.number, row.values.code if isinstance(row.values, Reason) else dict(row.values)) for row in rows]


def test_rows_have_the_numbers_of_their_lines() -> None:
    """Blank lines and line breaks within cells count, as an editor counts them."""
    text = 'Mail;Notiz\nänne@x.de;"eins\nzwei"\n\n;\njörg@x.de;\n'
    assert given(text) == [(2, {"Mail": "änne@x.de", "Notiz": "eins\nzwei"}), (6, {"Mail": "jörg@x.de", "Notiz": ""})]
    assert [number for number, _ in given(text, limit=1)] == [2]


def test_rows_of_another_width_are_told() -> None:
    """It cannot be known which cells are whose."""
    assert given("Mail;Notiz\na\na;b;c\n") == [(2, "cells_missing"), (3, "cells_extra")]


@pytest.mark.parametrize(
    ("in_doubt_again", "found"),
    [
        (False, ["taken", "taken", "duplicate", "in_doubt", "cells_missing"]),
        (True, ["taken", "taken", "duplicate", "taken", "cells_missing"]),
    ],
)
def test_what_an_earlier_run_has_marked_is_kept_back(in_doubt_again: bool, found: list[str]) -> None:
    """A sync looks up what is in doubt and may take it once more; an import must not."""
    states = ["", "failed", "duplicate", "in doubt"]
    rows = [f"{line};{state};c;r;a{line}@x.de;" for line, state in enumerate(states)]
    text = "\n".join(["_line;_state;_code;_reason;Mail;Notiz", *rows, "9;duplicate;c;r;a9@x.de"])
    told = given(text, in_doubt_again=in_doubt_again)
    assert [value if isinstance(value, str) else "taken" for _, value in told] == found


def test_memory_does_not_grow_with_the_file() -> None:
    """Twenty thousand rows need no more than two thousand."""

    def peak(count: int) -> int:
        with Path("x.csv").open("w", encoding="cp1252", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(["Mail", "Vorname", "Umsatz"])
            writer.writerows([f"anna{n}@example.com", f"Änne {n}", "1.234,56"] for n in range(count))
        table = open_table(Path("x.csv"))
        tracemalloc.start()
        assert overview(table).rows == count
        assert sum(1 for _ in source_rows(table, in_doubt_again=False)) == count
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    few = peak(2000)
    assert peak(20_000) < few + 100_000


async def reports() -> AsyncIterator[RowReport]:
    """What became of some rows."""
    yield RowReport(number=2, action=Action.CREATE, state=State.DONE, contact_id=7, crm_id="K;1", status="pending")
    reason = Reason("999", "no", "nein, größer")
    yield RowReport(number=5, action=Action.UPDATE, state=State.FAILED, contact_id=8, reason=reason)
    yield RowReport(number=6, action=Action.UPDATE, state=State.IN_FLIGHT)


def test_the_report_is_a_table_that_excel_opens() -> None:
    """With a mark and semicolons; an older one that others could read is made anew."""
    report = Path("r.csv")
    report.write_text("alt")
    report.chmod(0o644)
    anyio.run(write_report, report, reports(), "de")
    assert report.read_bytes().decode("utf-8-sig").splitlines() == [
        HEADER,
        '2;"K;1";7;create;done;pending;;',
        "5;;8;update;failed;;999;nein, größer",
        "6;;;update;in flight;;;",
    ]
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nirgends/r.csv", "nirgends is not a folder"),
        ("./eingabe.csv", "is a file of the same job"),
        ("link.csv", "is a file of the same job"),
        ("eingabe.csv/../errors.csv", "is not a folder"),
        ("fremd.csv", "is not an earlier report"),
        ("leer.csv", "is not an earlier report"),
        ("ordner", "is not an earlier report"),
    ],
)
def test_a_report_takes_the_place_of_no_other_file(path: str, said: str) -> None:
    """It is checked before anything is sent."""
    Path("eingabe.csv").write_text(f"\ufeff{HEADER}\r\n", encoding="utf-8")
    Path("fremd.csv").write_text(f"{HEADER}\r\n")
    Path("leer.csv").touch()
    Path("ordner").mkdir()
    Path("link.csv").symlink_to("eingabe.csv")
    with pytest.raises(ConfigError, match=said):
        check_report(Path(path), (Path("eingabe.csv"), Path("errors.csv")))


def test_an_earlier_report_is_replaced() -> None:
    """As is none at all."""
    check_report(Path("r.csv"), ())
    Path("r.csv").write_text(f"\ufeff{HEADER}\r\n2;x", encoding="utf-8")
    check_report(Path("r.csv"), (Path("eingabe.csv"),))
