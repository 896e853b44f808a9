"""The journal of a sync between two runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from klickdoxie_core.errors import JournalError
from klicktipp_async import ConfigError, KlickTipp, KlickTippError, errors
from klicktipp_async.crm import Action, RowPlan
from klicktipp_async.crm.book import Book
from klicktipp_async.crm.rows import entry_of, plan_of
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import Row, anna, make_sync

pytestmark = pytest.mark.anyio


async def test_rows_are_read_a_page_at_a_time(tmp_path: Path) -> None:
    """All of them in their order, also where a page ends, and the journal is free between two rows."""
    book = Book(tmp_path / "j", "test")
    numbers = range(3, 4005)
    async with book.open({}) as journal:
        await journal.add([entry_of(RowPlan(number=number, action=Action.CREATE)) for number in numbers])
    read: list[int] = []
    async for plan in book.rows(plan_of):
        if plan.number in {3, 2003}:
            async with await book.reopen() as journal:
                assert journal.notes == {}
        read.append(plan.number)
    assert read == list(numbers)


async def test_the_whole_journal_is_checked_once_for_all_pages(tmp_path: Path) -> None:
    """Once for each page would take hours for a million rows."""
    book = Book(tmp_path / "j", "test")
    async with book.open({}) as journal:
        await journal.add([entry_of(RowPlan(number=number, action=Action.CREATE)) for number in range(3000)])
    rows = book.rows(plan_of)
    read = [(await anext(rows)).number]
    with closing(sqlite3.connect(book.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE items SET state = 'lost' WHERE place = 0")
    read += [plan.number async for plan in rows]
    assert read == list(range(3000))
    with pytest.raises(JournalError, match="is damaged"):
        await anext(book.rows(plan_of))


async def test_rows_of_a_journal_in_use_are_refused(tmp_path: Path) -> None:
    """Who applies a plan has it alone."""
    book = Book(tmp_path / "j", "test")
    async with book.open({}):
        with pytest.raises(JournalError):
            await anext(book.rows(plan_of))


async def test_nothing_is_made_where_there_is_no_journal(tmp_path: Path) -> None:
    """Looking for one leaves no file behind."""
    book = Book(tmp_path / "j", "test")
    assert await book.facts() is None
    with pytest.raises(ConfigError, match="no plan"):
        await book.reopen()
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize("kind", [errors.JournalError, errors.JobStopped])
async def test_an_error_of_the_rows_comes_as_it_is(box: Sandbox, kt: KlickTipp, kind: type[KlickTippError]) -> None:
    """Rows may come out of another job, whose error keeps its own cause."""
    own = kind("der andere Abgleich ist im Gange")

    def rows() -> Iterator[Row]:
        yield anna()
        raise own from ValueError("its own")

    with pytest.raises(kind) as caught:
        await make_sync(box, kt).plan(rows())
    assert caught.value is own
    assert isinstance(own.__cause__, ValueError)
