"""Logins that are broken off at any of their checkpoints: whoever waits for them, or comes later, gets a session."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from doxie_async import ClientCredentials
from doxie_async.sandbox import Sandbox as DoxieSandbox
from klickdoxie_core import ApiClient, Limit
from klicktipp_async import KlickTipp, SessionLogin
from klicktipp_async.sandbox import Sandbox
from tests.core.support import settle
from tests.core.wire.raw_server import GENERATORS_LEFT, Peer, answer_bytes, serving
from tests.faults.checkpoints import WAYS, How, Run, at_each_checkpoint
from tests.faults.crowd import Aftermath, Crowd, QuickTime

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

LIMIT = 3
OTHERS = 4


def a_sandbox(crowd: Crowd) -> Sandbox:
    """An account whose answers wait for the crowd."""
    box = Sandbox(clock=crowd.clock())
    box.latency = 1.0
    return box


async def with_others(run: Run, client: ApiClient, call: Callable[[], Awaitable[object]]) -> bool:
    """Run a call, while others wait for the login that it makes; they all must succeed."""
    (lease,) = client._leases.values()
    over = anyio.Event()
    done = 0

    async def other() -> None:
        nonlocal done
        while not (lease._lock.locked() or over.is_set()):
            await anyio.lowlevel.checkpoint()
        await call()
        done += 1

    async with anyio.create_task_group() as group:
        for _ in range(OTHERS):
            group.start_soon(other)
        finished = await run(call)
        over.set()
    assert done == OTHERS
    return finished


@WAYS
@pytest.mark.parametrize("renewal", [False, True], ids=["first", "renewal"])
async def test_a_login_that_others_wait_for(how: How, renewal: bool) -> None:
    """The next in the queue takes over: at most one login more than if nobody had been cancelled."""

    async def trial(run: Run) -> None:
        crowd = Crowd()
        async with a_sandbox(crowd) as box:
            kt = box.client(clock=QuickTime().clock(), limit=Limit(concurrency=LIMIT))
            if renewal:
                await kt.tags.all()
                box.expire_sessions()
            after = Aftermath(kt, LIMIT, kt.tags.all, crowd)
            finished = await with_others(run, kt, kt.tags.all)
            assert box.count("Login") - renewal <= (1 if finished else 2)
            before = box.count("Login")
            await after.is_clean()
            assert box.count("Login") == before

    await at_each_checkpoint(how, trial)


@WAYS
async def test_a_login_in_trouble(how: How) -> None:
    """A login that is asked to wait, and then loses its answer, holds no lock when it is broken off in a pause."""

    async def trial(run: Run) -> None:
        crowd = Crowd()
        async with a_sandbox(crowd) as box:
            kt = box.client(clock=QuickTime().clock(), limit=Limit(concurrency=LIMIT))
            box.fail("Login", status=503, headers={"retry-after": "2"})
            box.drop("Login")
            after = Aftermath(kt, LIMIT, kt.tags.all, crowd)
            await run(kt.tags.all)
            box._faults.clear()
            await after.is_clean()
            assert box.count("Login") <= 4

    await at_each_checkpoint(how, trial)


@WAYS
async def test_a_token_that_is_renewed_ahead_of_its_end(how: How) -> None:
    """The token in use is neither lost nor taken for a new one."""

    async def trial(run: Run) -> None:
        crowd, time = Crowd(), QuickTime()
        async with DoxieSandbox(clock=crowd.clock()) as box:
            box.token_lifetime = 100.0
            admin = ClientCredentials(box.client_id, box.client_secret, token_url=box.token_url)
            doxie = box.client(admin=admin, api_user=None, clock=time.clock(), limit=Limit(concurrency=LIMIT))

            async def call() -> None:
                await doxie.admin.brands.all().first()

            await call()
            time.time += 80.0
            after = Aftermath(doxie, LIMIT, call, crowd)
            box.latency = 1.0
            finished = await with_others(run, doxie, call)
            assert box.count("Fetch Token") <= (2 if finished else 3)
            before = box.count("Fetch Token")
            await after.is_clean()
            assert (box.count("Fetch Token"), box.count(None, 401)) == (before, 0)

    await at_each_checkpoint(how, trial)


@WAYS
async def test_a_client_that_closes_while_it_is_broken_off(how: How) -> None:
    """The goodbye may be cut short, but the client is closed, once and for all."""

    async def trial(run: Run) -> None:
        async with a_sandbox(Crowd()) as box:
            kt = box.client(clock=QuickTime().clock())
            await kt.tags.all()
            await run(kt.aclose)
            await kt.aclose()
            assert box.count("Logout from API") <= 1
            assert kt._engine.home.closed

    await at_each_checkpoint(how, trial)


@WAYS
async def test_a_login_over_a_socket(how: How) -> None:
    """Login, expiry and renewal over real connections, which all are usable afterwards."""

    async def trial(run: Run) -> None:
        crowd = Crowd()
        logins: list[str] = []

        async def play(peer: Peer) -> None:
            request = await peer.request()
            if request.target == "/account/login":
                logins.append(f"s{len(logins)}")
                said = json.dumps({"sessid": logins[-1], "session_name": "SSESSa"}).encode()
                await peer.send(answer_bytes(said))
            elif request.target == "/account/logout":
                await peer.send(answer_bytes(b"[true]"))
            elif request.headers["cookie"] != f"SSESSa={logins[-1]}" or len(logins) < 2:
                await peer.send(answer_bytes(b'["Access denied"]', status="403 Forbidden"))
            else:
                await crowd.meet()
                await peer.send(answer_bytes(b'{"1": "Kunde"}'))

        options: dict[str, Any] = {"clock": QuickTime().clock(), "limit": Limit(concurrency=LIMIT)}
        async with (
            serving(play) as server,
            KlickTipp(SessionLogin("konto", "geheim"), base_url=server.url, **options) as kt,
        ):
            await settle()
            after = Aftermath(kt, LIMIT, kt.tags.all, crowd, others=lambda: server.open)
            await run(kt.tags.all)
            await server.until(lambda: server.open <= 1)
            await settle()
            await after.is_clean()
            assert len(logins) <= 3

    await at_each_checkpoint(how, trial, first=15, sample=10)
