"""Page by page: nothing fetched before it is asked for, nothing twice, and no task left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core import Page, Pages, by_cursor, by_number
from klickdoxie_core.errors import ArgumentError, DecodeError
from tests.core.support import CANCELLATIONS, cancelled_while_waiting, settle, tasks

pytestmark = pytest.mark.anyio


class Shelf:
    """Ten things on pages of three, by number or by cursor; remembers what was fetched."""

    def __init__(self, *, broken_at: object = None, stuck_at: object = None) -> None:
        self.fetched: list[object] = []
        self.broken_at = broken_at
        self.stuck_at = stuck_at

    async def _fetch(self, at: object, number: int) -> list[int]:
        self.fetched.append(at)
        await anyio.lowlevel.checkpoint()
        if at == self.stuck_at:
            await anyio.sleep_forever()
        if at == self.broken_at:
            raise OwnError
        return list(range(10))[3 * number - 3 : 3 * number]

    async def by_number(self, number: int) -> Page[int]:
        """A page by its number."""
        return Page(items=await self._fetch(number, number), next=number + 1 if number < 4 else None)

    async def by_cursor(self, cursor: str) -> Page[int]:
        """A page by its cursor."""
        number = int(cursor or "1")
        return Page(items=await self._fetch(cursor, number), next=str(number + 1) if number < 4 else None)

    def pages(self) -> Pages[int]:
        """All things, by number."""
        return by_number(self.by_number)


class OwnError(Exception):
    """What goes wrong while fetching or while using."""


async def test_items_by_number() -> None:
    """Every item in order, each page once; a second walk starts anew."""
    shelf = Shelf()
    pages = shelf.pages()
    assert shelf.fetched == []
    for _ in range(2):
        assert [item async for item in pages] == list(range(10))
    assert shelf.fetched == [1, 2, 3, 4] * 2


async def test_items_by_cursor() -> None:
    """The first page has the start's cursor, every other one that of the page before."""
    shelf = Shelf()
    assert await by_cursor(shelf.by_cursor).to_list() == list(range(10))
    assert shelf.fetched == ["", "2", "3", "4"]
    assert await by_cursor(shelf.by_cursor, start="3").to_list() == [6, 7, 8, 9]
    assert await by_number(shelf.by_number, start=4).to_list() == [9]


async def test_pages_themselves() -> None:
    """Each page says what comes next, so that a later run can resume there."""
    pages = [page async for page in Shelf().pages().by_page()]
    assert [len(page.items) for page in pages] == [3, 3, 3, 1]
    assert [page.next for page in pages] == [2, 3, 4, None]


@pytest.mark.parametrize(
    ("max_items", "fetched"), [(None, 4), (0, 0), (1, 1), (3, 1), (4, 2), (9, 3), (10, 4), (99, 4)]
)
async def test_a_list_fetches_no_more_than_it_needs(max_items: int | None, fetched: int) -> None:
    """As many items as asked for, and not one page beyond."""
    shelf = Shelf()
    assert await shelf.pages().to_list(max_items=max_items) == list(range(10))[:max_items]
    assert len(shelf.fetched) == fetched


@pytest.mark.parametrize("max_items", [-1, 2.5, "3", True])
async def test_a_number_of_items_that_is_none_is_refused(max_items: Any) -> None:
    """A negative one would be a silent cut from the end."""
    with pytest.raises(ArgumentError, match="max_items"):
        await Shelf().pages().to_list(max_items=max_items)


async def test_the_first_item() -> None:
    """One page is enough, and None says that there is none."""
    shelf = Shelf()
    assert await shelf.pages().first() == 0
    assert shelf.fetched == [1]

    async def nothing(_: int) -> Page[int]:
        return Page(items=[])

    assert await by_number(nothing).first() is None


async def test_empty_pages_are_passed_over() -> None:
    """A page without items is not the end, and not a repetition of another empty one."""

    async def fetch(number: int) -> Page[int]:
        return Page(items=[number] if number == 4 else [], next=number + 1 if number < 4 else None)

    assert await by_number(fetch).first() == 4
    assert await by_number(fetch).to_list() == [4]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (lambda _: Page(items=[1, 2], next="same"), "names itself as the next one"),
        (lambda at: Page(items=[1, 2], next=f"{at}x"), "repeats the one before it"),
    ],
)
async def test_going_round_in_circles_is_an_error(page: Callable[[str], Page[int]], said: str) -> None:
    """A service that hands out the same page for ever does not keep the caller for ever."""
    fetched: list[str] = []

    async def fetch(cursor: str) -> Page[int]:
        fetched.append(cursor)
        assert len(fetched) < 5
        return page(cursor)

    with pytest.raises(DecodeError, match=said):
        await by_cursor(fetch).to_list()


@pytest.mark.parametrize(("before", "around"), [(0, 2), (0, 7), (1, 2), (2, 3), (20, 2), (3, 40)])
async def test_going_round_over_several_pages_is_an_error(before: int, around: int) -> None:
    """However many pages lie before the circle or in it, it is noticed, and soon."""
    fetched: list[str] = []

    async def fetch(cursor: str) -> Page[str]:
        fetched.append(cursor)
        number = len(fetched)
        assert number <= 5 * (before + around)
        return Page(items=[str(number)], next=str(number if number <= before else before + 1 + number % around))

    with pytest.raises(DecodeError, match="names an earlier one as the next one"):
        await by_cursor(fetch, start="anfang").to_list()


async def test_stopping_early_leaves_nothing_to_close() -> None:
    """A plain `break` out of a loop over items or pages fetches no more and leaves no task."""
    before, shelf = tasks(), Shelf()
    async for item in shelf.pages():
        if item == 4:
            break
    async for page in shelf.pages().by_page():
        assert page.items == [0, 1, 2]
        break
    assert (tasks(), shelf.fetched) == (before, [1, 2, 1])


async def test_a_walk_goes_on_after_a_failed_fetch() -> None:
    """The error comes out as it is, and whoever asks again gets the page that failed."""
    shelf = Shelf(broken_at=2)
    walk = shelf.pages().by_page()
    assert (await anext(walk)).items == [0, 1, 2]
    with pytest.raises(OwnError):
        await anext(walk)
    shelf.broken_at = None
    assert [list(page.items) async for page in walk] == [[3, 4, 5], [6, 7, 8], [9]]


@pytest.mark.parametrize("pages", [1, 2, 3, 9])
async def test_ahead_gives_the_same_items(pages: int) -> None:
    """Fetching ahead changes when, not what."""
    before, shelf = tasks(), Shelf()
    async with shelf.pages().ahead(pages) as items:
        assert [item async for item in items] == list(range(10))
    assert (tasks(), shelf.fetched) == (before, [1, 2, 3, 4])


@pytest.mark.parametrize(("pages", "fetched"), [(1, [1, 2, 3, 4]), (2, [2, 3, 4, 4]), (3, [3, 4, 4, 4])])
async def test_ahead_fetches_no_more_than_so_many_pages(pages: int, fetched: list[int]) -> None:
    """While the items of one page are in use, at most so many further ones wait."""
    shelf = Shelf()
    seen: list[int] = []
    async with shelf.pages().ahead(pages) as items:
        for first_of_page in (0, 3, 6):
            await settle(50)
            seen.append(len(shelf.fetched))
            assert await anext(items) == first_of_page
            assert [await anext(items), await anext(items)] == [first_of_page + 1, first_of_page + 2]
        await settle(50)
        seen.append(len(shelf.fetched))
    assert seen == fetched


@pytest.mark.parametrize("pages", [0, -1, 2.5, "3", True, None])
def test_ahead_takes_a_number_from_one(pages: Any) -> None:
    """Nothing ahead is no ahead."""
    with pytest.raises(ArgumentError, match="ahead"):
        Shelf().pages().ahead(pages)


async def test_leaving_ahead_early_leaves_no_task_behind() -> None:
    """A `break`, or never looking at an item, cancels the fetching."""
    before, shelf = tasks(), Shelf(stuck_at=3)
    async with shelf.pages().ahead(5) as items:
        async for _ in items:
            break
    async with shelf.pages().ahead(5):
        pass
    assert tasks() == before


async def test_the_callers_own_error_comes_out_of_ahead_as_it_is() -> None:
    """No group is wrapped around it, and the fetching ends."""
    before, shelf = tasks(), Shelf(stuck_at=3)

    async def use() -> None:
        async with shelf.pages().ahead(5) as items:
            async for _ in items:
                raise OwnError

    with pytest.raises(OwnError):
        await use()
    assert tasks() == before


async def test_a_failed_fetch_is_raised_where_the_items_are_used() -> None:
    """First come the items of the pages before it."""
    before, shelf = tasks(), Shelf(broken_at=3)
    seen: list[int] = []

    async def use() -> None:
        async with shelf.pages().ahead(5) as items:
            async for item in items:
                seen.append(item)  # noqa: PERF401 - kept when the fetch fails

    with pytest.raises(OwnError):
        await use()
    assert (tasks(), seen) == (before, [0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize(("broken_at", "items"), [(None, 10), (3, 6)])
async def test_the_end_of_ahead_stays_the_end(broken_at: int | None, items: int) -> None:
    """Whoever asks again after the last item, or after an error, gets no item and does not wait for one."""
    async with Shelf(broken_at=broken_at).pages().ahead(2) as ahead:
        assert [await anext(ahead) for _ in range(items)] == list(range(items))
        with pytest.raises(StopAsyncIteration if broken_at is None else OwnError):
            await anext(ahead)
        assert [item async for item in ahead] == []


@CANCELLATIONS
async def test_cancelling_ahead_leaves_no_task_behind(native: bool) -> None:
    """The fetching ends with whoever waits for it."""
    before, shelf = tasks(), Shelf(stuck_at=2)

    async def use() -> None:
        async with shelf.pages().ahead(5) as items:
            async for _ in items:
                pass

    await cancelled_while_waiting(use, native=native)
    await settle()
    assert (tasks(), shelf.fetched) == (before, [1, 2])


def test_a_page_shows_no_item() -> None:
    """Items may be personal."""
    assert repr(Page(items=["anna@example.com"], next=2)) == "Page(next=2)"
