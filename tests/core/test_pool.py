"""Connections that clients share: each client's own affairs stay its own, and closing one closes nobody else's."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from klickdoxie_core import ApiClient, ArgumentError, Basic, ConfigError, DeadlineExceeded, Limit, Pool, Retry
from tests.core.support import a_call, failure_of, settle
from tests.core.test_incoming import WORDS, Lines
from tests.core.wire.raw_server import answer, serving

pytestmark = pytest.mark.anyio

ONCE = Retry(attempts=1)


def client_of(url: str, pool: Pool, user: str = "anna", **options: Any) -> ApiClient:
    """A client on the pool."""
    return ApiClient({"account": Basic(user, f"password-of-{user}")}, base_url=url, http=pool, **options)


async def test_clients_take_turns_on_one_connection() -> None:
    """What one has done with goes to the next, and each signs for itself."""
    async with serving(answer(b"[1]")) as server, Pool() as pool:
        for user in ("anna", "jörg", "anna"):
            async with client_of(server.url, pool, user) as client:
                assert await client.request("GET", "/x", into=list[int]) == [1]
        assert (server.accepted, server.open) == (1, 1)
        signed = [request.headers["authorization"] for request in server.requests]
        assert signed[0] == signed[2] != signed[1]


async def test_closing_the_pool_closes_its_connections_and_ends_its_clients() -> None:
    """A client of a closed pool says so and sends nothing; closing twice is closing once."""
    async with serving(answer(b"[1]")) as server:
        pool = Pool()
        client = client_of(server.url, pool)
        await client.request("GET", "/x")
        await pool.aclose()
        await pool.aclose()
        await server.until_open(0)
        error = await failure_of(client.request("POST", "/x"))
        assert isinstance(error, ConfigError)
        assert "this pool is closed" in str(error)
        assert (error.maybe_applied, len(server.requests)) == (False, 1)


async def read(client: ApiClient) -> list[str]:
    """All lines of an answer that is read while it comes in."""
    async with client.stream(a_call(), Lines()) as incoming:
        return [line async for some in incoming for line in some]


async def test_a_stream_takes_its_turn_on_the_pool() -> None:
    """Its connection comes back, and after the end of the pool it says so instead of being sent."""
    async with serving(answer(b"".join(WORDS))) as server:
        async with Pool(connections=1) as pool:
            clients = [client_of(server.url, pool, user) for user in ("anna", "jörg")]
            assert [await read(client) for client in clients] == [["eins", "zwei", "fünf"]] * 2
            assert server.accepted == 1
        error = await failure_of(read(clients[0]))
        assert isinstance(error, ConfigError)
        assert "this pool is closed" in str(error)
        assert len(server.requests) == 2


async def test_no_more_requests_are_under_way_than_the_pool_has_connections() -> None:
    """Whatever the clients' own limits say; whoever waits is served in the order of coming."""
    held, arrived = anyio.Event(), list[str]()

    async def hold(peer: Any) -> None:
        request = await peer.request()
        arrived.append(request.target)
        await held.wait()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]")

    async with serving(hold) as server, Pool(connections=3) as pool, anyio.create_task_group() as group:
        clients = [client_of(server.url, pool, limit=Limit(concurrency=4)) for _ in range(3)]
        for number in range(9):
            group.start_soon(clients[number % 3].request, "GET", f"/{number}")
        await settle()
        with anyio.fail_after(5):
            while len(arrived) < 3:
                await anyio.lowlevel.checkpoint()
        await settle()
        assert (len(arrived), server.accepted) == (3, 3)
        held.set()
    assert sorted(arrived) == [f"/{number}" for number in range(9)]


async def test_who_waits_in_line_waits_up_to_its_deadline() -> None:
    """Nothing was sent; the slot of its own is free again."""
    async with serving(answer(b"[1]")) as server, Pool(connections=1) as pool:
        client = client_of(server.url, pool, deadline=0.05, timeout=0.05, retry=ONCE)
        await pool.slots.acquire()
        error = await failure_of(client.request("GET", "/x"))
        assert isinstance(error, DeadlineExceeded)
        assert (error.maybe_applied, server.accepted) == (False, 0)
        assert "after waiting for a connection of the pool" in str(error)
        pool.slots.release()
        assert await client.request("GET", "/x", into=list[int]) == [1]


async def test_one_client_that_fills_its_own_limit_leaves_the_rest_to_the_others() -> None:
    """Waiting for its own slot takes none of the pool's."""
    async with serving(answer(b"[1]")) as server, Pool(connections=2) as pool:
        slow = client_of(server.url, pool, limit=Limit(rate=0.001, burst=1, concurrency=5))
        quick = client_of(server.url, pool, "jörg")
        await slow.request("GET", "/x")
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(slow.request, "GET", "/late")
            await settle()
            assert await quick.request("GET", "/x", into=list[int]) == [1]
            group.cancel_scope.cancel()
        assert pool.slots.value == 2


@pytest.mark.parametrize("connections", [0, -1, True, 1.5, "50", None], ids=repr)
def test_a_pool_has_a_whole_number_of_connections(connections: Any) -> None:
    """It is refused by its name."""
    with pytest.raises(ArgumentError, match="connections must be a whole number from 1"):
        Pool(connections)


@pytest.mark.parametrize("http", ["httpx", 1, object], ids=["another word", "a number", "a class"])
def test_a_pool_is_one_of_ours(http: Any) -> None:
    """A client of the caller's own is handed to each of our clients instead."""
    with pytest.raises(ConfigError, match='http must be "aiohttp" or None'):
        Pool(http=http)


def test_a_pool_shows_its_size_alone() -> None:
    """For logs."""
    assert repr(Pool(7)) == "<Pool of 7 connections>"
