"""Walking through what a service hands out page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast

import anyio
import anyio.lowlevel
import attrs

from klickdoxie_core.dialect import Dialect
from klickdoxie_core.errors import ArgumentError, DecodeError, Interrupted, SdkError

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream

T = TypeVar("T")

Fetch = Callable[[object], Awaitable["Page[T]"]]


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """One page.

    Attributes:
        items: What is on it.
        next: What fetches the page after it: a number or a cursor; None on the last page.
    """

    items: Sequence[T] = attrs.field(repr=False)
    next: object = None


class Pages(Generic[T]):
    """All items of a list that comes in pages; nothing is fetched before it is asked for.

    `async for item in pages`, `async for page in pages.by_page()`, `await pages.first()`,
    `await pages.to_list(max_items=…)`, and `async with pages.ahead(3) as items` to fetch while you work.
    A page that repeats the one before, or leads back to an earlier one, raises `DecodeError` instead of going round
    for ever.
    """

    def __init__(self, fetch: Fetch[T], start: object, *, dialect: Dialect | None = None) -> None:
        self._fetch = fetch
        self._start = start
        self._dialect = dialect or Dialect()

    def __aiter__(self) -> AsyncIterator[T]:
        return _Items(self.by_page())

    def by_page(self) -> AsyncIterator[Page[T]]:
        """The pages themselves; `page.next` is where a later run could resume."""
        return _Walk(self._fetch, self._start, self._dialect.own(DecodeError))

    async def first(self) -> T | None:
        """The first item; None when there is none."""
        async for item in self:
            return item
        return None

    async def to_list(self, *, max_items: int | None = None) -> list[T]:
        """The items as a list, not more than `max_items`; no further page is fetched than that needs."""
        if max_items is not None and not _is_whole(max_items, 0):
            raise self._dialect.own(ArgumentError)("max_items must not be negative: a whole number, or None for all")
        items: list[T] = []
        if max_items == 0:
            return items
        async for page in self.by_page():
            items.extend(page.items)
            if max_items is not None and len(items) >= max_items:
                return items[:max_items]
        return items

    def ahead(self, pages: int) -> AbstractAsyncContextManager[AsyncIterator[T]]:
        """Fetch up to so many pages in the background while the items of an earlier one are in use."""
        if not _is_whole(pages, 1):
            raise self._dialect.own(ArgumentError)("ahead takes a number of pages from 1")
        return self._ahead(pages)

    @asynccontextmanager
    async def _ahead(self, pages: int) -> AsyncGenerator[AsyncIterator[T]]:
        send, receive = anyio.create_memory_object_stream["Page[T] | Exception | None"](pages - 1)

        async def fetch() -> None:
            async with send:
                try:
                    async for page in self.by_page():
                        await send.send(page)
                    await send.send(None)
                except Exception as error:  # noqa: BLE001 - raised where the items are used
                    await send.send(error)

        # The group is entered and left by hand: leaving it with the caller's exception would wrap that in a group.
        group = anyio.create_task_group()
        with receive:
            await group.__aenter__()
            group.start_soon(fetch)
            try:
                yield _Items(_Fetched(receive, self._dialect.own(Interrupted)))
            finally:
                group.cancel_scope.cancel()
                await group.__aexit__(None, None, None)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


# The walks are classes: a generator would have to be closed by whoever stops half-way, and nobody does.


class _Walk(Generic[T]):
    """From page to page."""

    def __init__(self, fetch: Fetch[T], start: object, error: type[SdkError]) -> None:
        self._fetch = fetch
        self._at = start
        self._trail = Trail(start, error)
        self._before: Page[T] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[T]:
        if self._at is None:
            raise StopAsyncIteration
        page = await self._fetch(self._at)
        self._trail.go_on(page.next)
        if self._before is not None and page.items and list(self._before.items) == list(page.items):
            raise self._trail.error("a page repeats the one before it")
        self._before, self._at = page, page.next
        return page


class Trail:
    """The way from page to page. It notices when it leads back, and remembers one page for that (Brent's algorithm).

    Args:
        start: What fetches the first page.
        error: What is raised.
    """

    def __init__(self, start: object, error: type[SdkError]) -> None:
        self._error = error
        self._at = start
        self._mark = start
        self._stride = self._left = 1

    def go_on(self, to: object) -> None:
        """Go to the next page; raises the error if that is the same again, or one that was there before."""
        if to == self._at:
            raise self.error("a page names itself as the next one")
        if to == self._mark:
            raise self.error("a page names an earlier one as the next one")
        self._at = to
        self._left -= 1
        if not self._left:
            self._mark = to
            self._stride = self._left = 2 * self._stride

    def error(self, said: str) -> SdkError:
        """The error for pages without an end."""
        return self._error(f"{said}; stopped instead of going round for ever")


class _Fetched(Generic[T]):
    """The pages that were fetched ahead, then None, or the error that came instead of one."""

    def __init__(
        self, stream: MemoryObjectReceiveStream[Page[T] | Exception | None], interrupted: type[SdkError]
    ) -> None:
        self._stream = stream
        self._interrupted = interrupted
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[T]:
        if self._over:
            raise StopAsyncIteration
        try:
            page = await self._stream.receive()
        except anyio.EndOfStream:
            # Who fetches was cancelled, and its user is about to be: nobody may take that for the end of the list.
            await anyio.lowlevel.checkpoint()
            raise self._interrupted("the pages were not fetched to their end, because that was cancelled") from None
        if isinstance(page, Page):
            return page
        self._over = True
        raise page or StopAsyncIteration


class _Items(Generic[T]):
    """From item to item."""

    def __init__(self, pages: AsyncIterator[Page[T]]) -> None:
        self._pages = pages
        self._items: Iterator[T] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            for item in self._items:
                return item
            page = await anext(self._pages)
            self._items = iter(page.items)


def by_number(
    fetch: Callable[[int], Awaitable[Page[T]]], *, start: int = 1, dialect: Dialect | None = None
) -> Pages[T]:
    """Pages that are told by number; `Page.next` is the number of the next one, or None."""
    return Pages(cast("Fetch[T]", fetch), start, dialect=dialect)


def by_cursor(
    fetch: Callable[[str], Awaitable[Page[T]]], *, start: str = "", dialect: Dialect | None = None
) -> Pages[T]:
    """Pages that each name the next one by a cursor; the first is fetched with `start`."""
    return Pages(cast("Fetch[T]", fetch), start, dialect=dialect)
