"""Lists that come in pages: when they end, what is asked for, and what must not go on for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

from doxie_async import ArgumentError, DecodeError, Doxie, Page, Pages, ServerError
from doxie_async.convert import Listing
from doxie_async.errors import DoxieError
from doxie_async.paging import goes_on
from tests.doxie_async.support import ok

pytestmark = pytest.mark.anyio

LISTS: dict[str, tuple[Callable[[Doxie, int], Pages[Any]], str, str]] = {
    "brands": (lambda d, n: d.admin.brands.all(page_size=n), "/api/ts/admin/brands", "brands"),
    "api_users": (lambda d, n: d.admin.api_users.all(page_size=n), "/api/ts/admin/api_users", "api_users"),
    "processes": (lambda d, n: d.admin.processes.all(page_size=n), "/api/ts/admin/shared/processes", "processes"),
    "endpoints": (
        lambda d, n: d.admin.webhook_endpoints.all(page_size=n),
        "/api/ts/admin/webhook/endpoints",
        "endpoints",
    ),
    "layouts": (
        lambda d, n: d.admin.layouts.all(page_size=n),
        "/api/ts/admin/pages/landing_page_layouts",
        "landing_page_layouts",
    ),
    "interactions": (
        lambda d, n: d.admin.webhook_endpoints.interactions(1, page_size=n),
        "/api/ts/admin/webhook/endpoints/1",
        "interactions",
    ),
}
BRANDS = LISTS["brands"][1]


def pages_of(key: str, *pages: int, **figures: object) -> list[httpx.Response]:
    """Answers with so many items each, counted through."""
    numbers = iter(range(1, 1000))
    return [
        httpx.Response(200, json=ok({key: [{"id": next(numbers)} for _ in range(size)], **figures})) for size in pages
    ]


@pytest.mark.parametrize("name", LISTS)
async def test_every_list_pages(doxie: Doxie, api: respx.MockRouter, name: str) -> None:
    """Each list asks for page after page with its size, and ends with the page that is not full."""
    pages, path, key = LISTS[name]
    route = api.get(path).mock(side_effect=pages_of(key, 2, 2, 1))
    assert [item.raw["id"] async for item in pages(doxie, 2)] == [1, 2, 3, 4, 5]
    assert [dict(call.request.url.params) for call in route.calls] == [
        {"limit": "2", "page": str(number)} for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("items", "figures", "number", "expected"),
    [
        (2, {}, 1, True),
        (1, {}, 1, False),
        (0, {}, 1, False),
        (3, {}, 1, True),
        (2, {"total_pages": 2}, 1, True),
        (2, {"total_pages": 2}, 2, False),
        (1, {"total_pages": 2}, 1, True),
        (0, {"total_pages": 2}, 1, False),
        (2, {"last_page": 1}, 1, False),
        (2, {"last_page": 3}, 2, True),
        (2, {"next_page": None}, 1, False),
        (2, {"next_page": 2}, 1, True),
        (1, {"next_page": 2}, 1, True),
        (0, {"next_page": 2}, 1, False),
        (2, {"next_page": None, "total_pages": 9}, 1, False),
        (2, {"total": 4}, 1, True),
        (2, {"total": 4}, 2, False),
        (1, {"total": 4}, 1, True),
        (1, {"total": 4}, 4, False),
        (2, {"total_count": 2}, 1, False),
        (2, {"total_count": 3}, 1, True),
        (2, {"total_pages": "2", "total": None}, 1, True),
    ],
)
def test_a_list_goes_on(items: int, figures: dict[str, object], number: int, expected: bool) -> None:
    """The page's own figures come first, even if it is shorter than asked for; an empty page is always the last."""
    assert goes_on(Listing(items=[object()] * items, figures=figures), number, 2) is expected


@pytest.mark.parametrize(
    ("sizes", "figures", "asked"),
    [
        ((2, 2, 0), {}, 3),
        ((2, 2), {"total_pages": 2}, 2),
        ((2, 2), {"meta": {"last_page": 2}}, 2),
        ((2, 2), {"pagination": {"total_count": 4}}, 2),
        ((1, 1, 1), {"total_pages": 3}, 3),
        ((2,), {"next_page": None}, 1),
        ((0,), {"total_pages": 9}, 1),
    ],
)
async def test_a_list_ends(
    doxie: Doxie, api: respx.MockRouter, sizes: tuple[int, ...], figures: dict[str, object], asked: int
) -> None:
    """No page is asked for that the figures say is not there, and none is left out."""
    route = api.get(BRANDS).mock(side_effect=pages_of("brands", *sizes, **figures))
    found = await doxie.admin.brands.all(page_size=2).to_list()
    assert [brand.id for brand in found] == list(range(1, sum(sizes) + 1))
    assert route.call_count == asked


@pytest.mark.parametrize("figures", [{}, {"total_pages": 5}, {"next_page": 2}])
async def test_a_page_that_repeats_ends_with_an_error(
    doxie: Doxie, api: respx.MockRouter, figures: dict[str, object]
) -> None:
    """A service that ignores the page is found out, instead of asked for ever."""
    route = api.get(BRANDS).respond(json=ok({"brands": [{"id": 1}, {"id": 2}], **figures}))
    brands = aiter(doxie.admin.brands.all(page_size=2))
    assert [(await anext(brands)).id for _ in range(2)] == [1, 2]
    with pytest.raises(DecodeError, match="a page repeats the one before it") as caught:
        await anext(brands)
    assert isinstance(caught.value, DoxieError)
    assert route.call_count == 2


async def test_what_differs_only_in_unknown_fields_is_no_repetition(doxie: Doxie, api: respx.MockRouter) -> None:
    """Records are told apart by all that they came with."""
    answers = [httpx.Response(200, json=ok({"brands": [{"zeile": n}]})) for n in (1, 2)]
    api.get(BRANDS).mock(side_effect=[*answers, httpx.Response(200, json=ok({"brands": []}))])
    assert [brand.raw for brand in await doxie.admin.brands.all(page_size=1).to_list()] == [{"zeile": 1}, {"zeile": 2}]


async def test_no_page_is_fetched_before_it_is_needed(doxie: Doxie, api: respx.MockRouter) -> None:
    """The first item, and a list with a bound, cost as many pages as they need."""
    route = api.get(BRANDS).mock(side_effect=pages_of("brands", 2, 2, 2) + pages_of("brands", 2))
    brands = doxie.admin.brands.all(page_size=2)
    assert route.call_count == 0
    assert [brand.id for brand in await brands.to_list(max_items=3)] == [1, 2, 3]
    assert route.call_count == 2
    first = await brands.first()
    assert (first is not None, route.call_count) == (True, 3)
    assert await brands.to_list(max_items=0) == []
    assert route.call_count == 3


async def test_the_first_of_nothing(doxie: Doxie, api: respx.MockRouter) -> None:
    """An empty list has no first item."""
    api.get(BRANDS).respond(json=ok({"brands": []}))
    assert await doxie.admin.brands.all().first() is None


async def test_the_pages_themselves(doxie: Doxie, api: respx.MockRouter) -> None:
    """Each page tells where the next one is."""
    api.get(BRANDS).mock(side_effect=pages_of("brands", 2, 1))
    pages: list[Page[Any]] = [page async for page in doxie.admin.brands.all(page_size=2).by_page()]
    assert [(len(page.items), page.next) for page in pages] == [(2, 2), (1, None)]


async def test_pages_are_fetched_ahead(doxie: Doxie, api: respx.MockRouter) -> None:
    """The items come in order, and stopping early leaves nothing behind."""
    api.get(BRANDS).mock(side_effect=pages_of("brands", 2, 2, 2, 1))
    async with doxie.admin.brands.all(page_size=2).ahead(3) as brands:
        assert [brand.id async for brand in brands] == [1, 2, 3, 4, 5, 6, 7]
    api.get(BRANDS).mock(side_effect=pages_of("brands", *[2] * 50))
    async with doxie.admin.brands.all(page_size=2).ahead(1) as brands:
        async for brand in brands:
            assert brand.id == 1
            break


async def test_an_error_ahead_comes_where_the_items_are_used(doxie: Doxie, api: respx.MockRouter) -> None:
    """The items before it are handed out first, and the error is itself, not a group."""
    api.get(BRANDS).mock(side_effect=[*pages_of("brands", 2), *[httpx.Response(500)] * 3])
    async with doxie.admin.brands.all(page_size=2).ahead(2) as brands:
        assert [(await anext(brands)).id for _ in range(2)] == [1, 2]
        with pytest.raises(ServerError) as caught:
            await anext(brands)
    assert caught.value.attempts == 3


@pytest.mark.parametrize("size", [0, -1])
@pytest.mark.parametrize("name", LISTS)
async def test_a_size_that_is_none(doxie: Doxie, name: str, size: int) -> None:
    """A page holds at least one item."""
    with pytest.raises(ArgumentError, match=r"^page_size must be a whole number from 1$") as caught:
        LISTS[name][0](doxie, size)
    assert isinstance(caught.value, DoxieError)


async def test_other_wrong_arguments(doxie: Doxie) -> None:
    """What the pages themselves refuse belongs to this package too."""
    brands = doxie.admin.brands.all()
    with pytest.raises(DoxieError, match="ahead takes a number of pages from 1") as ahead:
        brands.ahead(0)
    with pytest.raises(DoxieError, match="max_items must not be negative") as bound:
        await brands.to_list(max_items=-1)
    assert isinstance(ahead.value, ArgumentError)
    assert isinstance(bound.value, ArgumentError)


async def test_a_view_pages_with_its_own_options(doxie: Doxie, api: respx.MockRouter) -> None:
    """Pages that were made by a view go on with it."""
    api.get(BRANDS).mock(side_effect=[httpx.Response(503), *pages_of("brands", 1)])
    pages = doxie.with_options(timeout=1).admin.brands.all(page_size=2)
    assert len(await pages.to_list()) == 1
