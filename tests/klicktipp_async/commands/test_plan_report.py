"""`klicktipp sync --plan --report plan.html`: the plan as a page, for people who have to say yes to it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from klicktipp_async.commands.syncing import add_sync
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Run
from tests.klicktipp_async.commands.support import events, exported, writes
from tests.klicktipp_async.crm.page_support import parsed

ROWS = ("K-1;anna@example.com;;Änne;Kunde", "K-2;jörg@example.com;;Jörg;Kunde,VIP", "K-3;kaputt;;;")
PAGE = Path("plan.html")


@pytest.mark.parametrize("mode", [[], ["--plan"]])
def test_the_plan_is_a_page_and_nothing_is_sent(box: Sandbox, run: Run, mode: list[str]) -> None:
    """It says what --apply then does, can be read by its owner only, and leaves the plan where it is."""
    arguments = exported(box, *ROWS)
    ended = run(add_sync, *arguments, *mode, "--report", "plan.html")
    assert ended.code == 0
    assert "the plan to look at is in plan.html\nthis is the plan, and it is kept" in ended.out
    assert (writes(box), stat.S_IMODE(PAGE.stat().st_mode)) == (0, 0o600)
    page = parsed(PAGE)
    assert "New contacts 2 Changed 0 Unchanged 0 Skipped 1" in " ".join(page.lines)
    assert "crm.csv" in page.lines
    assert [row.cells[2] for row in page.rows] == ["Mail: not an e-mail address"]
    before = PAGE.read_bytes()
    assert run(add_sync, *arguments, "--apply").code == 1
    assert (len(box.contacts), PAGE.read_bytes(), Path("crm.csv.report.csv").exists()) == (2, before, True)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ([], 'data-language="browser"'),
        (["--report-language", "de"], '<html lang="de" data-language="de">'),
        (["--report-language", "en", "--language", "de"], '<html lang="en" data-language="en">'),
    ],
)
def test_the_language_of_the_page_is_its_own(box: Sandbox, run: Run, wish: list[str], told: str) -> None:
    """Who runs the command and who reads the page are two people."""
    assert run(add_sync, *exported(box, *ROWS), "--report", "plan.HTM", *wish).code == 0
    assert told in Path("plan.HTM").read_text(encoding="utf-8")


def test_machines_are_told_where_the_page_is(box: Sandbox, run: Run) -> None:
    """After the plan, as an event of its own."""
    told = events(run(add_sync, *exported(box, *ROWS), "--plan", "--report", "plan.html", "--json"))
    assert [each["event"] for each in told[-2:]] == ["plan", "page"]
    assert told[-1] == {"event": "page", "page": "plan.html"}


def test_a_later_plan_replaces_the_page(box: Sandbox, run: Run) -> None:
    """What is looked at is what --apply would do now."""
    arguments = exported(box, *ROWS)
    run(add_sync, *arguments, "--report", "plan.html")
    exported(box, ROWS[0])
    assert run(add_sync, *arguments, "--plan", "--report", "plan.html").code == 0
    assert "New contacts 1 Changed 0 Unchanged 0 Skipped 0" in " ".join(parsed(PAGE).lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--apply", "--report", "plan.html"], "shows a plan before it is carried out"),
        (["--resume", "--report", "plan.html"], "shows a plan before it is carried out"),
        (["--report", "mine.html"], "is not the page of an earlier plan"),
        (["--report", "nirgends/plan.html"], "is not a folder"),
        (["--report", "plan.html", "--errors", "plan.html"], "is a file of the same job"),
        (["--report", "plan.html", "--journal", "plan.html"], "is a file of the same job"),
    ],
)
def test_wrong_wishes_are_told(box: Sandbox, run: Run, arguments: list[str], said: str) -> None:
    """Before the account is compared, and no file is made or replaced."""
    given = exported(box, *ROWS)
    Path("mine.html").write_text("<!doctype html>", encoding="utf-8")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    ended = run(add_sync, *given, *arguments)
    assert (ended.code, writes(box), box.count("Search Contact ID")) == (2, 0, 0)
    assert said in ended.err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_a_page_that_cannot_be_written_leaves_the_plan(box: Sandbox, run: Run) -> None:
    """Counting tags may fail; the command once more goes on from the plan, and --apply would, too."""
    box.add_tag("[CRM] Kunde")
    box.fail("Search Tagged Contacts", every=1, status=403)
    arguments = exported(box, *ROWS)
    assert run(add_sync, *arguments, "--plan", "--report", "plan.html").code == 3
    assert not PAGE.exists()
    assert Path("crm.csv.journal").exists()
    box._faults.clear()
    assert run(add_sync, *arguments, "--plan", "--resume", "--report", "plan.html").code == 0
    assert PAGE.exists()
