"""Calls that are broken off at any of their checkpoints: the next ones never notice."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from klickdoxie_core import Limit
from klickdoxie_core.wire.base import Request, Response, Wire
from klickdoxie_core.wire.pool import shared_ssl_context
from klicktipp_async import KeyPair, KlickTipp
from klicktipp_async.sandbox import Sandbox
from tests.core.support import FakeClock, gathered, settle
from tests.core.wire.raw_server import GENERATORS_LEFT, Peer, RawServer, answer_bytes, serving
from tests.faults.checkpoints import WAYS, How, Run, at_each_checkpoint
from tests.faults.crowd import Aftermath, Crowd, QuickTime

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

LIMIT = 3
KEYS = KeyPair("partner", "00", "kunde")


@pytest.fixture(autouse=True)
def nothing_left_over() -> Generator[None, None, None]:
    """Find sockets and tasks that nobody closed or awaited: their warnings are errors."""
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


def a_sandbox(crowd: Crowd) -> Sandbox:
    """An account whose answers wait for the crowd."""
    box = Sandbox(clock=crowd.clock())
    box.latency = 1.0
    return box


def keys_of(box: Sandbox) -> KeyPair:
    """What signs without a login."""
    return KeyPair(box.username, box.developer_key, box.customer_key)


CALLS: dict[str, tuple[str, Callable[[KlickTipp, int], Awaitable[object]]]] = {
    "read": ("List Tags", lambda kt, _: kt.tags.all()),
    "write": ("Tag Contact", lambda kt, tag_id: kt.contacts.tag("kontakt1@example.com", tag_id)),
    "send": ("Create Tag", lambda kt, _: kt.tags.create("Größe; neu")),
}


@WAYS
@pytest.mark.parametrize("kind", CALLS)
async def test_a_call_with_its_retries_and_pauses(how: How, kind: str) -> None:
    """A server that asks to wait, then loses an answer: wherever the call breaks off, all others work."""
    operation, call = CALLS[kind]

    async def trial(run: Run) -> None:
        crowd = Crowd()
        async with a_sandbox(crowd) as box:
            box.seed_contacts(1)
            tag_id = box.add_tag("Kunde")
            kt = box.client(keys_of(box), clock=QuickTime().clock(), limit=Limit(concurrency=LIMIT, rate=5))
            box.fail(operation, status=429, headers={"retry-after": "2"})
            box.drop(operation)
            after = Aftermath(kt, LIMIT, kt.tags.all, crowd)
            finished = await run(lambda: call(kt, tag_id))
            assert box.count(operation) <= 3
            assert [tag.name for tag in box.tags.values()].count("Größe; neu") <= 1
            assert not finished or box.count(operation) >= 2
            box._faults.clear()
            await after.is_clean()

    await at_each_checkpoint(how, trial)


class CountingWire:
    """Counts what is handed to a wire."""

    def __init__(self, wire: Wire) -> None:
        self.sent = 0
        self.aclose = wire.aclose
        self._wire = wire

    async def send(self, request: Request) -> Response:
        """Hand it on."""
        self.sent += 1
        return await self._wire.send(request)


@WAYS
async def test_calls_that_queue_for_each_other(how: How) -> None:
    """Seven calls for two slots and a slow rate: who still waits gives back the slot and the turn."""

    async def trial(run: Run) -> None:
        crowd, time = Crowd(), FakeClock()
        async with a_sandbox(crowd) as box:
            kt = box.client(keys_of(box), clock=time.clock(), limit=Limit(concurrency=2, rate=4))
            kt._engine.wire = wire = CountingWire(kt._engine.wire)
            after = Aftermath(kt, 2, kt.tags.all, crowd)
            began = time.time
            await run(lambda: gathered(lambda _: kt.tags.all(), 7))
            assert not wire.sent or kt._engine.limiter._due == began + wire.sent / 4
            time.time += 60
            await after.is_clean()

    await at_each_checkpoint(how, trial)


@asynccontextmanager
async def a_client(server: RawServer, *, given: bool) -> AsyncGenerator[KlickTipp, None]:
    """A client of the server, with our own pool or with a given client that has as many connections as it needs."""
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {"base_url": server.url, "clock": QuickTime().clock()}
        if given:
            limits = httpx.Limits(max_connections=LIMIT)
            http = httpx.AsyncClient(limits=limits, verify=shared_ssl_context())
            options["http"] = await stack.enter_async_context(http)
        yield await stack.enter_async_context(KlickTipp(KEYS, limit=Limit(concurrency=LIMIT), **options))


@WAYS
@pytest.mark.parametrize("given", [False, True], ids=["own pool", "given client"])
async def test_a_call_over_a_socket(how: How, given: bool) -> None:
    """No connection is lost to the pool, neither to our own nor to that of a client with three connections."""

    async def trial(run: Run) -> None:
        crowd = Crowd()
        faults = [b"", answer_bytes(status="503 Busy", headers=("Retry-After: 1",))]

        async def play(peer: Peer) -> None:
            await peer.request()
            await crowd.meet()
            said = faults.pop(0) if faults else answer_bytes(b'{"1": "Kunde"}')
            await (peer.send(said) if said else peer.close())

        async with serving(play) as server, a_client(server, given=given) as kt:
            await settle()
            after = Aftermath(kt, LIMIT, kt.tags.all, crowd, others=lambda: server.open)
            finished = await run(kt.tags.all)
            assert not finished or len(server.requests) == 3
            faults.clear()
            await server.until(lambda: server.open <= 1)
            await settle()
            await after.is_clean()

    await at_each_checkpoint(how, trial, first=15, sample=10)
