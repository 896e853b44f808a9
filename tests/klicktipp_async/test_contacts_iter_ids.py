"""The ids of all contacts while they come in: every shape, every page, and what becomes of a list that breaks off."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
import respx

from klickdoxie_core import Clock
from klicktipp_async import (
    ArgumentError,
    Bounce,
    ContactStatus,
    DecodeError,
    Forbidden,
    Interrupted,
    KeyPair,
    KlickTipp,
    ServerError,
    bulk,
    recording,
)
from klicktipp_async.errors import InternalError
from klicktipp_async.sandbox import Sandbox
from tests.core.wire.raw_server import Peer, answer, answer_bytes, serving

pytestmark = pytest.mark.anyio


async def read(kt: KlickTipp, **filters: Any) -> list[int]:
    """All ids that come."""
    async with kt.contacts.iter_ids(**filters) as ids:
        return [each async for each in ids]


async def broken(kt: KlickTipp, error: type[Exception]) -> tuple[list[int], Any]:
    """The ids that came before this error, and the error."""
    found: list[int] = []
    async with kt.contacts.iter_ids() as ids:
        with pytest.raises(error) as caught:  # noqa: PT012 - it is the iteration that raises
            async for each in ids:
                found.append(each)  # noqa: PERF401 - all that came before the error
    return found, caught.value


def cut(body: bytes) -> httpx.Response:
    """An answer that begins like this, and then the connection breaks."""

    async def pieces() -> AsyncIterator[bytes]:
        yield body
        raise httpx.ReadError("gone")

    return httpx.Response(200, content=pieces())


@pytest.mark.parametrize("contact_list", ["flat", "subscribers"])
@pytest.mark.parametrize("number", [0, 1, 1000])
async def test_all_contacts_of_an_account(number: int, contact_list: Any) -> None:
    """They are those of `ids()`, in the same order; an account without any has none."""
    async with Sandbox() as box:
        box.wire_format.contact_list = contact_list
        seeded = box.seed_contacts(number)
        kt = box.client()
        assert await read(kt) == await kt.contacts.ids() == seeded
        assert box.count("List Contacts") == 2


async def test_filters_are_those_of_ids() -> None:
    """Words and several of them, as there."""
    async with Sandbox() as box:
        box.seed_contacts(3)
        kt = box.client()
        pending = await kt.contacts.upsert(email="käthe@example.com")
        filters = {"status": ["pending", ContactStatus.UNSUBSCRIBED], "bounce": Bounce.NONE}
        assert await read(kt, **filters) == await kt.contacts.ids(**filters) == [pending.id]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (["29513792", "29513793"], [29513792, 29513793]),
        ([1], [1]),
        ({"subscribers": ["123", "456"]}, [123, 456]),
        ({"subscriberIds": ["1"], "nextCursor": None}, [1]),
        ({"0": "7", "5": "8"}, [7, 8]),
        ([], []),
        ({"subscribers": []}, []),
        ({"of": {"all": 1}, "subscribers": ["7"]}, [7]),
    ],
)
async def test_every_shape(kt: KlickTipp, api: respx.MockRouter, body: Any, ids: list[int]) -> None:
    """The same shapes as a list that is read as a whole."""
    api.get("/subscriber").respond(json=body)
    assert await read(kt) == ids


async def test_pages_follow_the_cursor(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Each page names the next one, is asked for once, and with the same filters."""
    pages = [
        {"subscriberIds": ["1", "2"], "nextCursor": "b"},
        {"nextCursor": "c", "subscriberIds": []},
        {"subscriberIds": ["3"], "nextCursor": None},
    ]
    route = api.get("/subscriber").mock(side_effect=[httpx.Response(200, json=page) for page in pages])
    assert await read(kt, status="pending") == [1, 2, 3]
    assert [dict(call.request.url.params) for call in route.calls] == [
        {"status": "pending"},
        {"status": "pending", "cursor": "b"},
        {"status": "pending", "cursor": "c"},
    ]


@pytest.mark.parametrize("cursor", [None, "b"])
async def test_ids_behind_what_cannot_be_skipped(kt: KlickTipp, api: respx.MockRouter, cursor: str | None) -> None:
    """An escaped text before the list is no reason to lose its ids, nor the pages after it."""
    pages = [{"note": 'größer als "sonst"', "subscriberIds": ["1", 2], "nextCursor": cursor}]
    pages += [{"subscriberIds": ["3"]}] if cursor else []
    api.get("/subscriber").mock(side_effect=[httpx.Response(200, json=page) for page in pages])
    assert await read(kt) == ([1, 2, 3] if cursor else [1, 2])


async def test_the_next_page_waits_until_it_is_needed(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Nothing is asked for before the first id, nor the second page before the end of the first."""
    page = {"subscriberIds": ["1", "2"], "nextCursor": "b"}
    route = api.get("/subscriber").respond(json=page)
    async with kt.contacts.iter_ids() as ids:
        assert route.call_count == 0
        assert [await anext(ids), await anext(ids)] == [1, 2]
        assert route.call_count == 1


async def test_a_page_that_names_itself(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Its ids are given out, and then it is an error instead of going round for ever."""
    pages = [{"subscriberIds": [number], "nextCursor": "b"} for number in (1, 2)]
    api.get("/subscriber").mock(side_effect=[httpx.Response(200, json=page) for page in pages])
    found, error = await broken(kt, DecodeError)
    assert found == [1, 2]
    assert "names itself as the next one" in str(error)


async def test_pages_that_name_each_other(kt: KlickTipp, api: respx.MockRouter) -> None:
    """That is noticed, too, and no page is asked for a third time."""
    pages = [{"subscriberIds": [number], "nextCursor": cursor} for number, cursor in enumerate("bcb", start=1)]
    api.get("/subscriber").mock(side_effect=[httpx.Response(200, json=page) for page in pages])
    found, error = await broken(kt, DecodeError)
    assert found == [1, 2, 3]
    assert "names an earlier one as the next one" in str(error)


async def test_an_empty_cursor_is_none(kt: KlickTipp, api: respx.MockRouter) -> None:
    """There is no page after it."""
    route = api.get("/subscriber").respond(json={"subscriberIds": ["1"], "nextCursor": ""})
    assert await read(kt) == [1]
    assert route.call_count == 1


async def test_a_404_is_an_empty_list(kt: KlickTipp, api: respx.MockRouter) -> None:
    """So says an account without contacts."""
    api.get("/subscriber").respond(404, json=["Es existieren keine Kontakte."])
    assert await read(kt) == []


@pytest.mark.parametrize(
    ("response", "kind", "requests"),
    [
        (httpx.Response(403, json=["Zugriff verweigert"]), Forbidden, 1),
        (httpx.Response(503), ServerError, 3),
        (httpx.Response(200, json={"error": 12}), InternalError, 1),
        (httpx.Response(200, json=["1", "zwei"]), DecodeError, 1),
    ],
)
async def test_what_is_no_list_is_the_usual_error(
    kt: KlickTipp, api: respx.MockRouter, response: httpx.Response, kind: type[Exception], requests: int
) -> None:
    """Errors come out of the iteration, after as many attempts as an answer needs."""
    route = api.get("/subscriber").mock(return_value=response)
    found, error = await broken(kt, kind)
    assert (found, error.maybe_applied, route.call_count) == ([], False, requests)


async def test_an_answer_is_asked_for_again(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Until there is one, what may pass is waited out."""
    api.get("/subscriber").mock(side_effect=[httpx.Response(503), httpx.ReadError, httpx.Response(200, json=["1"])])
    with recording() as seen:
        assert await read(kt) == [1]
    assert (seen.last.attempts, len(seen.exchanges)) == (3, 1)


async def test_a_break_half_way(kt: KlickTipp, api: respx.MockRouter) -> None:
    """What had come by then was given out, and the page is not asked for again."""
    first = httpx.Response(200, json={"subscriberIds": ["1", "2"], "nextCursor": "b"})
    route = api.get("/subscriber").mock(side_effect=[first, cut(b'{"subscriberIds":["3","4","5')])
    found, error = await broken(kt, Interrupted)
    assert found == [1, 2, 3, 4]
    assert (error.operation, error.status, error.attempts, error.maybe_applied) == ("List Contacts", 200, 1, False)
    assert route.call_count == 2


async def test_ids_begin_anew_after_a_break(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A list that is wanted as a whole is asked for again, and has no id twice."""
    whole = httpx.Response(200, json=["1", "2", "3"])
    route = api.get("/subscriber").mock(side_effect=[cut(b'["1","2"'), cut(b'["9","8","7",'), whole])
    with recording() as seen:
        assert await kt.contacts.ids() == [1, 2, 3]
    assert (route.call_count, seen.last.attempts) == (3, 3)


@pytest.mark.parametrize(
    ("filters", "name"),
    [
        ({"status": "weg"}, "status"),
        ({"status": []}, "status"),
        ({"status": 1}, "status"),
        ({"bounce": ["hardbounce", "weg"]}, "bounce"),
    ],
)
async def test_wrong_filters_are_refused_at_once(kt: KlickTipp, filters: dict[str, Any], name: str) -> None:
    """Before the block is entered, and before anything is sent."""
    with recording() as seen, pytest.raises(ArgumentError, match=name):
        kt.contacts.iter_ids(**filters)
    assert seen.exchanges == []


async def test_leaving_early_leaves_nothing_behind(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The rest is not read, the next page not asked for, and there is nothing to be had after the block."""
    page = {"subscriberIds": [*range(1, 100)], "nextCursor": "b"}
    route = api.get("/subscriber").respond(json=page)
    with recording() as seen:
        async with kt.contacts.iter_ids() as ids:
            async for each in ids:
                assert each == 1
                break
    assert [each async for each in ids] == []
    assert (route.call_count, [exchange.error for exchange in seen.exchanges]) == (1, [None])


async def test_a_list_that_is_left_leaves_nothing_open() -> None:
    """Not even a generator of the HTTP library, of which trio would warn."""
    async with Sandbox() as box:
        first, *_ = box.seed_contacts(3)
        async with box.client().contacts.iter_ids() as ids:
            assert await anext(ids) == first
        gc.collect()


async def test_it_is_a_source_for_bulk() -> None:
    """Contacts are read one by one while their list comes in."""
    async with Sandbox() as box:
        seeded = box.seed_contacts(20)
        kt = box.client()
        async with kt.contacts.iter_ids() as ids, bulk(kt.contacts.get, ids, concurrency=4) as outcomes:
            found = [outcome.unwrap().id async for outcome in outcomes]
        assert sorted(found) == seeded


async def test_ids_come_before_the_list_is_complete(clock: Clock) -> None:
    """On a real socket: the service sends the rest of its list only after the first ids were seen."""
    seen = anyio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        whole = answer_bytes(b'["1","2","3","4"]')
        await peer.send(whole[:-7])
        await seen.wait()
        await peer.send(whole[-7:])

    async with (
        serving(play, answer(b"[5]")) as server,
        KlickTipp(KeyPair("partner", "00", "customer"), base_url=server.url, clock=clock) as kt,
    ):
        with anyio.fail_after(5):
            async with kt.contacts.iter_ids() as ids:
                assert [await anext(ids), await anext(ids)] == [1, 2]
                seen.set()
                assert [each async for each in ids] == [3, 4]
        assert await kt.contacts.ids() == [5]
        assert server.accepted == 1


async def test_a_list_that_is_left_takes_only_its_connection(clock: Clock) -> None:
    """The next call has another one."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer_bytes(b'["1","2","3","4"]')[:-7])
        await peer.gone()

    async with (
        serving(play, answer(b"[5]")) as server,
        KlickTipp(KeyPair("partner", "00", "customer"), base_url=server.url, clock=clock) as kt,
    ):
        async with kt.contacts.iter_ids() as ids:
            assert await anext(ids) == 1
        await server.until_open(0)
        assert await kt.contacts.ids() == [5]
        assert (server.accepted, server.open) == (2, 1)
