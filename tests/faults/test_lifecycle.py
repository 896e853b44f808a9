"""From the first call to after the last: crowds, outages, closing, other event loops, forks, clocks (rows 71 to 77)."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from email.utils import formatdate
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from doxie_async import ClientCredentials
from doxie_async.sandbox import Sandbox as DoxieSandbox
from klickdoxie_core import ApiClient, Clock, Effect, Limit, Retry
from klickdoxie_core.errors import ConfigError, Interrupted, RateLimited
from klickdoxie_core.wire.base import Request
from tests.core.support import (
    EPOCH,
    Client,
    FakeClock,
    ScriptedWire,
    Step,
    a_call,
    answer,
    failure_of,
    gathered,
    lost,
    settle,
    unsent,
)
from tests.core.wire.raw_server import GENERATORS_LEFT, Peer, answer_bytes, serving
from tests.core.wire.raw_server import answer as answering

pytestmark = GENERATORS_LEFT

on_both = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_left_over() -> Generator[None, None, None]:
    """Find sockets and tasks that nobody closed or awaited: their warnings are errors."""
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


def read(client: ApiClient) -> Awaitable[Any]:
    """A call that may be repeated."""
    return client.run(a_call())


def send(client: ApiClient) -> Awaitable[Any]:
    """A call that must not be repeated."""
    return client.run(a_call(Effect.ONCE))


@on_both
@pytest.mark.parametrize("concurrency", [1, 7, 50])
async def test_four_thousand_tasks_at_once(concurrency: int) -> None:
    """All succeed, and never are more under way than the limit says (row 71)."""
    wire = ScriptedWire(lambda _: answer())
    client = Client(wire, limit=Limit(concurrency=concurrency))
    assert await gathered(lambda _: read(client), 4000) == [{"ok": True}] * 4000
    assert (wire.most, len(wire.requests)) == (concurrency, 4000)


@on_both
async def test_a_crowd_over_sockets_uses_no_more_connections_than_the_limit() -> None:
    """Six hundred calls at once over our own pool: all succeed, and the server has seen eight connections."""
    async with serving(answering()) as server, ApiClient({}, base_url=server.url, limit=Limit(concurrency=8)) as client:
        results = await gathered(lambda _: read(client), 600)
        assert results == [{}] * 600
        assert server.accepted <= 8


OUTAGES: dict[str, tuple[Callable[[], Step], int]] = {
    "no connection": (unsent, 400),
    "answers lost": (lost, 400),
    "503": (lambda: answer(503), 400),
}


@on_both
@pytest.mark.parametrize("name", OUTAGES)
async def test_an_outage_is_not_multiplied(name: str) -> None:
    """Three hundred calls share a stock of a hundred retries; when the service is back, it fills again (row 72)."""
    step, most = OUTAGES[name]
    wire = ScriptedWire(lambda _: step())
    client = Client(wire)
    results = await gathered(lambda _: read(client), 300)
    assert all(isinstance(result, Exception) for result in results)
    assert len(wire.requests) == most
    results = await gathered(lambda _: send(client), 50)
    assert all(isinstance(result, Exception) for result in results)
    assert len(wire.requests) == most + 50
    wire._steps[:] = [lambda _: answer()]
    assert await gathered(lambda _: read(client), 300) == [{"ok": True}] * 300
    wire.requests.clear()
    wire._steps[:] = [lost(), lambda _: answer()]
    assert await read(client) == {"ok": True}


@on_both
async def test_one_is_told_to_wait_and_all_do() -> None:
    """Of twenty calls one gets a 429: until its time has come, nothing more is sent (row 73)."""
    time = FakeClock()
    sent: list[float] = []

    async def respond(_: Request) -> Step:
        sent.append(time.time)
        number = len(sent)
        await settle(3)
        return answer(429, headers={"retry-after": "30"}) if number == 3 else answer()

    client = Client(ScriptedWire(respond), time=time, limit=Limit(concurrency=4))
    assert await gathered(lambda _: read(client), 20) == [{"ok": True}] * 20
    assert len(sent) == 21
    assert {moment for moment in sent if moment < 1030} == {1000.0}
    assert sum(moment < 1030 for moment in sent) <= 4 + 2


@on_both
async def test_use_after_close() -> None:
    """Nothing is sent, and the error says what to do; closing twice is no mistake (row 74)."""
    async with serving(answering()) as server:
        client = ApiClient({}, base_url=server.url)
        view = client.with_options(timeout=5.0)
        await read(client)
        await view.aclose()
        await read(client)
        for _ in range(2):
            await client.aclose()
        await server.until_open(0)
        for closed in (client, view):
            caught = await failure_of(send(closed))
            assert (type(caught), caught.maybe_applied) == (ConfigError, False)
            assert "closed; make a new one" in str(caught)
        assert len(server.requests) == 2


@on_both
@pytest.mark.parametrize("given", [False, True], ids=["own pool", "given client"])
async def test_closing_with_calls_in_flight(given: bool) -> None:
    """Each ends: well, or saying that it may have been executed; those who wait hear that the client is closed."""
    go_on = anyio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await go_on.wait()
        await peer.send(answer_bytes())

    async with serving(play) as server, httpx.AsyncClient(trust_env=False) as http:
        options: dict[str, Any] = {"http": http} if given else {}
        client = ApiClient({}, base_url=server.url, limit=Limit(concurrency=4), **options)
        results: list[list[Any]] = []

        async def crowd() -> None:
            results.append(await gathered(lambda _: send(client), 6))

        async with anyio.create_task_group() as group:
            group.start_soon(crowd)
            await server.until_requests(4)
            await client.aclose()
            go_on.set()
        ((*outcomes,),) = results
        failed = [outcome for outcome in outcomes if outcome != {}]
        assert len(outcomes) == 6
        assert all(isinstance(outcome, ConfigError | Interrupted) for outcome in failed)
        unknown = sum(outcome.maybe_applied for outcome in failed)
        assert len(outcomes) - len(failed) + unknown >= 4
        assert len(server.requests) <= 6
    assert server.open == 0


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_a_second_event_loop(first: str, second: str) -> None:
    """The client says so, in the loop that is not its own, and closing it there does so too (row 75)."""
    clients: list[ApiClient] = []

    async def use() -> None:
        async with serving(answering()) as server:
            client = ApiClient({}, base_url=server.url)
            clients.append(client)
            assert await read(client) == {}
            await client._engine.wire.aclose()

    async def use_elsewhere() -> None:
        caught = await failure_of(send(clients[0]))
        assert (type(caught), caught.maybe_applied) == (ConfigError, False)
        assert "another event loop" in str(caught)
        with pytest.raises(ConfigError, match="another event loop"):
            await clients[0].aclose()

    anyio.run(use, backend=first)
    anyio.run(use_elsewhere, backend=second)


def test_threads_with_event_loops_of_their_own() -> None:
    """A client for each works, whatever they share; a client of another thread says that it is none of theirs."""
    together = threading.Barrier(4)
    strangers: list[ApiClient] = []
    outcomes: Counter[str] = Counter()

    async def use() -> None:
        async with serving(answering()) as server, ApiClient({}, base_url=server.url) as client:
            await read(client)
            strangers.append(client)
            await anyio.to_thread.run_sync(together.wait)
            stranger = next(each for each in strangers if each is not client)
            outcomes[type(await failure_of(read(stranger))).__name__] += 1
            results = await gathered(lambda _: read(client), 50)
            outcomes["ok"] += results.count({})
            await anyio.to_thread.run_sync(together.wait)

    def run(number: int) -> None:
        anyio.run(use, backend=("asyncio", "trio")[number % 2])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"ConfigError": 4, "ok": 200}


def said_by_a_child(*calls: Callable[[], Awaitable[object]]) -> list[str]:
    """Fork, begin each call in the child, and return what they raise at once."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        said: list[str] = []
        for call in calls:
            try:
                call().__await__().send(None)
            except BaseException as error:  # noqa: BLE001 - told to the parent
                said.append(f"{type(error).__name__}: {error}")
        os.write(sending, json.dumps(said).encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as told:
        answered_by_child = told.read()
    os.waitpid(child, 0)
    return list(json.loads(answered_by_child))


@on_both
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_fork_with_an_open_client() -> None:
    """The child can neither call nor close, and the parent goes on with the same connection (row 76)."""
    async with serving(answering()) as server, ApiClient({}, base_url=server.url) as client:
        await read(client)
        said = said_by_a_child(lambda: read(client), lambda: send(client), client.aclose)
        assert len(said) == 3
        assert all(text.startswith("ConfigError") and "made in another process" in text for text in said)
        assert await read(client) == {}
        assert (server.accepted, len(server.requests)) == (1, 2)


def jumping(time: FakeClock, hours: float) -> Clock:
    """A clock whose wall time jumps to and fro by hours each time it is looked at."""
    looks = 0

    def now() -> float:
        nonlocal looks
        looks += 1
        return EPOCH + time.time - 1000.0 + (3600.0 * hours if looks % 2 else 0.0)

    return Clock(monotonic=lambda: time.time, now=now, sleep=time.sleep, random=lambda: 0.5)


class JumpingClient(Client):
    """A client on a wire, with a clock that jumps."""

    def __init__(self, wire: ScriptedWire, hours: float, **options: Any) -> None:
        self.given_wire = wire
        self.time = FakeClock()
        ApiClient.__init__(self, {}, base_url="https://api.example.com", clock=jumping(self.time, hours), **options)


JUMPS = pytest.mark.parametrize("hours", [-1.0, 1.0])


@on_both
@JUMPS
async def test_a_clock_that_jumps_during_a_back_off(hours: float) -> None:
    """Pauses are measured by a clock that never jumps (row 77)."""
    client = JumpingClient(ScriptedWire(lost(), unsent(), answer()), hours)
    assert await read(client) == {"ok": True}
    assert client.time.slept == [0.25, 0.5]


@on_both
@JUMPS
@pytest.mark.parametrize("skew", [-86_400.0, 0.0, 86_400.0])
async def test_a_clock_that_jumps_and_a_date_to_wait_for(hours: float, skew: float) -> None:
    """A date counts against the date of its own answer, whatever the clocks of both sides show."""
    headers = {
        "date": formatdate(EPOCH + skew, usegmt=True),
        "retry-after": formatdate(EPOCH + skew + 7, usegmt=True),
    }
    client = JumpingClient(ScriptedWire(answer(503, headers=headers), answer()), hours)
    assert await read(client) == {"ok": True}
    assert client.time.slept == [7.0]


@on_both
@JUMPS
async def test_a_clock_that_jumps_and_a_limit(hours: float) -> None:
    """Neither the rate nor a pause of everybody gets longer or shorter."""
    wire = ScriptedWire(answer(429, headers={"retry-after": "5"}), lambda _: answer())
    client = JumpingClient(wire, hours, limit=Limit(rate=2))
    assert await gathered(lambda _: read(client), 5) == [{"ok": True}] * 5
    assert 1005.0 <= client.time.time <= 1008.0


@on_both
@JUMPS
async def test_a_clock_that_jumps_and_the_life_of_a_token(hours: float) -> None:
    """A token is renewed when its time has come, and not an hour before or after."""
    time = FakeClock()
    async with DoxieSandbox(clock=time.clock()) as box:
        box.token_lifetime = 600.0
        admin = ClientCredentials(box.client_id, box.client_secret, token_url=box.token_url)
        doxie = box.client(admin=admin, api_user=None, clock=jumping(time, hours))
        for seconds, tokens in ((0, 1), (300, 1), (239, 1), (1, 2), (539, 2), (1, 3)):
            time.time += seconds
            await doxie.admin.brands.all().first()
            assert box.count("Fetch Token") == tokens
        assert box.count(None, 401) == 0


@on_both
async def test_a_wait_that_is_too_long_is_not_waited_for() -> None:
    """Thirty years are told, not slept."""
    client = Client(ScriptedWire(answer(429, headers={"retry-after": "946080000"})), retry=Retry(attempts=5))
    caught = await failure_of(send(client))
    assert (type(caught), caught.retry_after, client.time.slept) == (RateLimited, 946_080_000.0, [])
