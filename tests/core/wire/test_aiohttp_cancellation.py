"""Cancelled calls on the aiohttp wire: the tests of the other wire, on a session of our own and on a given one."""

import asyncio
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from klickdoxie_core.wire import pool
from klickdoxie_core.wire.base import Response
from tests.core.wire.raw_server import Peer, answer_bytes, ask, client_tls, make_certificate, serving
from tests.core.wire.test_cancellation import (  # noqa: F401 - the same tests, run with the fixtures of this file
    CONNECTIONS,
    Crowd,
    hanging,
    nothing_left_over,
    test_a_cancel_scope_at_any_point_costs_no_slot,
    test_a_hanging_call_ends_at_once_when_its_scope_is_cancelled,
    test_a_hanging_call_ends_at_once_when_its_task_is_cancelled,
    test_a_native_cancellation_at_any_point_costs_no_slot,
    test_an_attempt_that_times_out_is_no_cancellation,
    test_cancelling_one_call_leaves_the_others_alone,
    test_the_time_limits_of_asyncio_work,
    tls,
)

aiohttp = pytest.importorskip("aiohttp")
from klickdoxie_core.wire.aiohttp_wire import AiohttpWire  # noqa: E402 - only where aiohttp is installed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, since aiohttp runs nowhere else."""
    return "asyncio"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no system trusts, which every wire here trusts."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["own session", "given session"])
async def wire(
    request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[AiohttpWire, None]:
    """A wire on a session of our own, and one on a given session that has ten connections."""
    trust = client_tls(certificate)
    monkeypatch.setattr(pool, "shared_ssl_context", lambda: trust)
    if request.param == "own session":
        wire = AiohttpWire()
        yield wire
        await wire.aclose()
    else:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=trust)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield AiohttpWire(session)


async def test_a_full_house_survives_random_native_cancellations(wire: AiohttpWire) -> None:
    """Ten callers until two hundred calls were cancelled, some twice: then every call works."""
    chance = random.Random(20)
    crowd = Crowd()
    cancelled = 0

    async def play(peer: Peer) -> None:
        if cancelled >= 200:
            await crowd.play(peer)
            return
        await peer.request()
        # A server that closes without a word may do so as the next request leaves: no fault of anybody's here.
        last = chance.random() < 0.2
        data = answer_bytes(b"[1, 2, 3]" * 100, headers=("Connection: close",) if last else ())
        await anyio.sleep(chance.random() * 0.002)
        await peer.send(data[:500])
        await anyio.sleep(chance.random() * 0.001)
        await peer.send(data[500:])
        if last:
            await peer.close()

    async def caller(url: str) -> None:
        nonlocal cancelled
        while cancelled < 200:
            task = asyncio.create_task(wire.send(ask(url)))
            if chance.random() < 0.7:
                for _ in range(chance.randrange(40)):
                    await checkpoint()
                task.cancel()
                if chance.random() < 0.3:
                    await checkpoint()
                    task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            cancelled += isinstance(outcome, asyncio.CancelledError)
            assert isinstance(outcome, Response | asyncio.CancelledError)

    async with serving(play) as server:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(caller(server.url))
        await server.until(lambda: server.open <= CONNECTIONS)
        await crowd.must_come(wire, server)


async def test_a_cancellation_that_was_asked_for_before_the_call_is_one(wire: AiohttpWire) -> None:
    """As by Ctrl-C between two calls: it arrives in the call, and is not taken for a closed session."""

    async def call(url: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await wire.send(ask(url))

    async with serving(Crowd().play) as server:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(call(server.url))
        assert (await wire.send(ask(server.url))).status == 200
