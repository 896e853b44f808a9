"""Shards on a cluster of two processes: one rate for both, and either of them may be killed."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import dask
import pytest
from distributed import Client, LocalCluster

from klickdoxie_core import ConfigError, ConnectFailed, Journal
from klickdoxie_core.progress import Progress
from klickdoxie_core.sandbox import Answer
from klickdoxie_core.sharding import Shard, ShardReport, enlist, merge, run_on_dask, split
from tests.core.sharding import jobs
from tests.core.sharding.jobs import Service, entries_of, total_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """dask.distributed stands on asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    """A cluster of two processes, which starts a new one for each that is killed."""
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 2, "dashboard_address": "127.0.0.1:0"}
    async with (
        LocalCluster(**options, asynchronous=True, silence_logs=logging.CRITICAL) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        yield client


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service on a socket of this process."""
    async with Service() as service, service.serve() as service.base_url:
        yield service


async def shards_of(folder: Path, service: Service, items: int, shards: int, work: Any = jobs.send) -> list[Shard]:
    """The shards of the one job in this folder."""
    async with Journal(folder / "job.journal", job="test") as journal:
        await enlist(journal, [f"Bär {number}" for number in range(items)])
        options = {"url": service.base_url}
        return await split(journal, folder, shards=shards, work=work, options=options, concurrency=4)


async def merged(folder: Path) -> dict[str, int]:
    """What became of the job."""
    async with Journal(folder / "job.journal", job="test") as journal:
        return total_of(await merge(journal))


def _keys(dask_scheduler: Any) -> list[str]:
    return [str(key) for key in dask_scheduler.tasks]


async def left_on(client: Client) -> list[str]:
    """What the cluster still knows of us."""
    with anyio.move_on_after(2):
        # Another process gives no sign.
        while keys := await client.run_on_scheduler(_keys):  # noqa: ASYNC110
            await anyio.sleep(0.02)
        return []
    return keys


async def test_two_processes_share_one_rate(client: Client, service: Service, tmp_path: Path) -> None:
    """The service, which refuses whatever comes faster, refuses nothing; and one view shows the whole job."""
    service.rate_limit(250, burst=25)
    told: list[Progress] = []
    shards = await shards_of(tmp_path, service, 120, 4)
    async with run_on_dask(shards, client, rate=200, on_progress=told.append) as reports:
        ended = [report.number async for report in reports]
    assert sorted(ended) == [1, 2, 3, 4]
    assert len(service.senders) == 2
    assert (service.count("Send", 200), service.count("Send", 429)) == (120, 0)
    assert (told[-1].done, told[-1].ok, told[-1].total) == (120, 120, 120)
    assert await merged(tmp_path) == {"done": 120}
    assert await left_on(client) == []


async def test_a_429_in_one_process_slows_down_the_other(client: Client, service: Service, tmp_path: Path) -> None:
    """A moment later nobody sends any more, until the service's wish is over."""

    def refuse_one(_: int) -> Answer | None:
        wish = {"retry-after": "1"}
        return Answer.of(None, status=429, headers=wish) if len(service.times) == 20 else None

    service.hook = refuse_one
    shards = await shards_of(tmp_path, service, 60, 2)
    async with run_on_dask(shards, client, rate=100) as reports:
        assert [report.left async for report in reports] == [0, 0]
    after = [at - service.times[19] for at in service.times[20:]]
    assert not [at for at in after if 0.3 < at < 0.95]
    assert len(service.senders) == 2
    assert (len(service.sent), service.sent.total()) == (60, 60)


async def address_of_foreman(client: Client) -> str:
    """The worker that shares out the rate."""

    def find(dask_scheduler: Any) -> str:
        return next((address for address, worker in dask_scheduler.workers.items() if worker.actors), "")

    while not (address := await client.run_on_scheduler(find)):  # noqa: ASYNC110 - likewise
        await anyio.sleep(0.01)
    return str(address)


@pytest.mark.parametrize("with_the_foreman", [False, True])
async def test_a_killed_worker_sends_nothing_twice(
    client: Client, service: Service, tmp_path: Path, *, with_the_foreman: bool
) -> None:
    """Its shards go on elsewhere; each item has arrived once, or is listed as unknown."""
    await client.wait_for_workers(2)
    pids: dict[str, int] = await client.run(os.getpid)
    doomed: list[int] = []

    def kill(pid: int) -> None:
        if pid in doomed and service.senders[pid] >= 5:
            doomed.remove(pid)
            os.kill(pid, signal.SIGKILL)

    service.hook = kill
    shards = await shards_of(tmp_path, service, 60, 4)
    async with run_on_dask(shards, client, rate=100, patience=1.0) as reports:
        holder = await address_of_foreman(client)
        doomed += [pid for address, pid in pids.items() if (address == holder) is with_the_foreman]
        assert [report.left async for report in reports] == [0] * 4
    assert not doomed
    totals = await merged(tmp_path)
    listed = dict(await entries_of(tmp_path / "job.journal"))
    assert totals["done"] + totals["unknown"] == 60
    assert 1 <= totals["unknown"] <= 8
    assert set(service.sent.values()) == {1}
    assert {item for item in listed if item not in service.sent} <= {
        item for item, state in listed.items() if state == "unknown"
    }
    assert await left_on(client) == []


@pytest.mark.parametrize(("work", "error"), [("missing_variable", ConfigError), ("mistake", ZeroDivisionError)])
async def test_an_error_of_every_shard_is_raised_once(
    client: Client, service: Service, tmp_path: Path, work: str, error: type[Exception]
) -> None:
    """The first one ends the job, and nothing of it stays on the cluster."""
    shards = await shards_of(tmp_path, service, 20, 10, getattr(jobs, work))

    async def run() -> None:
        async with run_on_dask(shards, client, retries=1) as reports:
            async for _ in reports:
                pass

    with pytest.raises(error):
        await run()
    assert await merged(tmp_path) == {"pending": 20}
    assert await left_on(client) == []


async def test_leaving_early_leaves_nothing_behind(client: Client, service: Service, tmp_path: Path) -> None:
    """What is under way is finished, also far away; then the shards can be run again, or merged."""
    ten = anyio.Event()
    service.hook = lambda _: ten.set() if len(service.times) == 10 else None
    shards = await shards_of(tmp_path, service, 300, 8)
    async with run_on_dask(shards, client, rate=100) as reports:
        with anyio.fail_after(5):
            await ten.wait()
    assert reports.progress.total == 300
    sent = service.sent.copy()
    assert await left_on(client) == []
    assert await merged(tmp_path) == {"done": len(sent), "pending": 300 - len(sent)}
    assert service.sent == sent
    assert set(sent.values()) == {1}


async def test_a_cluster_can_be_named_by_its_address(client: Client, service: Service, tmp_path: Path) -> None:
    """A client that is made for the job goes with it."""
    shards = await shards_of(tmp_path, service, 4, 1)
    async with run_on_dask(shards, client.scheduler.address) as reports:
        assert [total_of(report.counts) async for report in reports] == [{"done": 4}]


async def test_a_scheduler_that_nobody_finds_is_named(free_tcp_port: int) -> None:
    """As with any other connection that cannot be made."""
    address = f"tcp://127.0.0.1:{free_tcp_port}"
    soon = dask.config.set({"distributed.comm.timeouts.connect": "200ms"})
    with soon, pytest.raises(ConnectFailed, match=f"no scheduler of dask answers at {address}"):
        async with run_on_dask([Shard(number=1, of=1, items=1, journal="x", work="x:x")], address):
            pass


class Done:
    """A future that is there already."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __await__(self) -> Any:
        yield from anyio.lowlevel.checkpoint().__await__()
        return self._value

    def done(self) -> bool:
        """It is."""
        return True

    def release(self) -> None:
        """Nobody else has it."""

    async def cancel(self) -> None:
        """It is too late for that."""


class Scattered:
    """A cluster whose workers cannot reach each other."""

    asynchronous = True

    def submit(self, function: Any, *args: Any, **options: Any) -> Done:
        """A foreman here, shards that do not find it there."""
        return Done(function(*args) if options.get("actor") else ShardReport(number=1, lost=True))


async def test_shards_that_never_find_a_foreman() -> None:
    """After some of them the job ends, rather than to try for ever."""
    given: Any = Scattered()
    shard = Shard(number=1, of=1, items=1, journal="x", work="x:x")
    async with run_on_dask([shard], given) as reports:
        with pytest.raises(ConnectFailed, match="cannot reach each other"):
            await anext(reports)
    async with run_on_dask([], given) as reports:
        assert [report async for report in reports] == []


class Closing(Scattered):
    """A cluster that is closed before the block is left."""

    def submit(self, function: Any, *args: Any, **options: Any) -> Done:
        """What can be had, and not be given back."""
        return Kept(function(*args) if options.get("actor") else ShardReport(number=1))


class Kept(Done):
    async def cancel(self) -> None:
        """There is nobody to tell."""
        raise OSError("the client is closed")


async def test_a_cluster_that_is_gone_is_no_error_of_a_job_that_is_done() -> None:
    """What cannot be given back to it any more is gone with it."""
    given: Any = Closing()
    async with run_on_dask([Shard(number=1, of=1, items=1, journal="x", work="x:x")], given) as reports:
        assert [report.number async for report in reports] == [1]


class NotAsynchronous:
    """A client that blocks."""

    asynchronous = False


@pytest.mark.parametrize(
    ("work", "without", "match"),
    [
        ("x:x", True, r"install klickdoxie\[dask\]"),
        ("x:x", False, "asynchronous=True"),
        ("__main__:work", False, "a module of its own"),
    ],
)
async def test_what_cannot_run_on_a_cluster(
    monkeypatch: pytest.MonkeyPatch, work: str, match: str, *, without: bool
) -> None:
    """Said before anything is sent."""
    if without:
        monkeypatch.setitem(sys.modules, "distributed", None)
    shard = Shard(number=1, of=1, items=1, journal="x", work=work)
    given: Any = NotAsynchronous()
    with pytest.raises(ConfigError, match=match):
        async with run_on_dask([shard], given):
            pass
