"""When a list of Doxie goes on: its own figures where it has some, else whether the page was full."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from doxie_async.convert import Listing
from klickdoxie_core import Dialect, Page, Pages, by_number

T = TypeVar("T")


def pages(fetch: Callable[[int], Awaitable[Listing[T]]], *, size: int, dialect: Dialect) -> Pages[T]:
    """All items of a list that is fetched by the number of its page, from 1."""

    async def page(number: int) -> Page[T]:
        listing = await fetch(number)
        return Page(items=listing.items, next=number + 1 if goes_on(listing, number, size) else None)

    return by_number(page, dialect=dialect)


def goes_on(listing: Listing[T], number: int, size: int) -> bool:
    """Whether a page follows. The figures come first: a service may hold its pages shorter than was asked for."""
    figures = listing.figures
    if not listing.items:
        return False
    if "next_page" in figures:
        return bool(figures["next_page"])
    for name in ("total_pages", "last_page"):
        if isinstance(last := figures.get(name), int):
            return number < last
    for name in ("total", "total_count"):
        if isinstance(total := figures.get(name), int):
            # By what this page holds: where pages are kept short, the total alone is to be believed.
            return number * len(listing.items) < total
    return len(listing.items) >= size
