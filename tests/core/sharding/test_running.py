"""Shards run in this process: what they share, how they end, and who may run one."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core import ArgumentError, Clock, ConfigError, Forbidden, JobStopped, Journal, JournalError, State
from klickdoxie_core.progress import Progress
from klickdoxie_core.sharding import (
    Foreman,
    Shard,
    ShardReport,
    ShardRun,
    enlist,
    merge,
    reopened,
    run_locally,
    run_shard,
    split,
)
from klickdoxie_core.sharding.foreman import Word
from klickdoxie_core.sharding.permits import Lease
from klickdoxie_core.sharding.reports import Overview
from tests.core.sharding import jobs
from tests.core.sharding.jobs import entries_of, total_of

pytestmark = pytest.mark.anyio


BOTH = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


@pytest.fixture
def anyio_backend() -> str:
    """A cluster stands on asyncio; that shards also run on trio is seen where something can differ."""
    return "asyncio"


async def shards_of(folder: Path, items: Any, work: Any = jobs.count, shards: int = 3, **options: Any) -> list[Shard]:
    """The shards of the one job in this folder."""
    async with Journal(folder / "job.journal", job="test") as journal:
        await enlist(journal, items)
        return await split(journal, folder / "teile", shards=shards, work=work, **options)


async def merged(folder: Path) -> dict[str, int]:
    """What became of the job."""
    async with Journal(folder / "job.journal", job="test") as journal:
        return total_of(await merge(journal))


async def reports_of(shards: list[Shard], **options: Any) -> dict[int, ShardReport]:
    """What became of each shard."""
    async with run_locally(shards, **options) as reports:
        return {report.number: report async for report in reports}


@BOTH
async def test_every_item_once_and_one_report_for_each_shard(tmp_path: Path) -> None:
    """Reports say what became of the items, and the job's journal says it in the order of the input."""
    items = [f"Bär{number}" for number in range(8)] + ["gibt es nicht; nie", "Öl"]
    reports = await reports_of(await shards_of(tmp_path, items))
    assert {number: total_of(report.counts) for number, report in reports.items()} == {
        1: {"done": 4},
        2: {"done": 4},
        3: {"done": 1, "failed": 1},
    }
    assert dict.fromkeys(items, 1) == jobs.CALLS
    assert all(report.left == 0 and report.error is None for report in reports.values())
    assert await merged(tmp_path) == {"done": 9, "failed": 1}
    assert await entries_of(tmp_path / "job.journal") == [
        (item, "failed" if item.startswith("gibt") else "done") for item in items
    ]
    async with Journal(tmp_path / "job.journal", job="test") as journal:
        kept = await journal.find("1")
        assert kept is not None
        assert kept.result == "<Bär0>"


async def test_one_progress_for_the_whole_job(tmp_path: Path) -> None:
    """The figures of all shards in one, that add up, the last of them complete."""
    told: list[Progress] = []
    shards = await shards_of(tmp_path, [*map(str, range(20)), "gibt es nicht"])
    async with run_locally(shards, on_progress=told.append) as reports:
        async for _ in reports:
            pass
    assert reports.progress == told[-1]
    assert (told[-1].total, told[-1].done, told[-1].ok, told[-1].failed) == (21, 21, 20, 1)
    assert [figures.done for figures in told] == sorted(figures.done for figures in told)
    again: list[Progress] = []
    await reports_of(shards, on_progress=again.append)
    assert (again[-1].done, again[-1].skipped, again[-1].ok) == (21, 21, 0)


async def test_progress_comes_while_one_waits(tmp_path: Path) -> None:
    """Also when no shard has come to its end yet."""
    told: list[Progress] = []
    released = anyio.Event()

    async def hold(item: str) -> None:
        if item == "2":
            await released.wait()

    def listen(progress: Progress) -> None:
        told.append(progress)
        if progress.done == 5:
            released.set()

    jobs.HOOKS.append(hold)
    with anyio.fail_after(5):
        reports = await reports_of(await shards_of(tmp_path, map(str, range(6)), shards=1), on_progress=listen)
    assert reports[1].left == 0
    assert {figures.done for figures in told} >= {5, 6}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("outage", "outage", "outage"), ("outage", None, None), (None, None, None)],
)
def test_the_job_waits_when_every_shard_waits(first: str | None, second: str | None, expected: str | None) -> None:
    """One that goes on is enough, and one that is done is not asked."""
    parts = [Shard(number=number, of=3, items=2, journal="x", work="x:x") for number in (1, 2, 3)]
    overview = Overview(parts, None)
    overview.take_in({1: figures_of(1, 2, first), 2: figures_of(0, 2, second), 3: figures_of(2, 2, None)})
    assert (overview.figures().paused, overview.figures().done) == (expected, 3)


def test_a_late_word_of_a_shard_changes_nothing() -> None:
    """What it said on its way may arrive after its report."""
    overview = Overview([Shard(number=1, of=1, items=9, journal="x", work="x:x")], None)
    overview.ended(ShardReport(number=1, progress=figures_of(9, 9, None)))
    overview.take_in({1: figures_of(5, 9, None)})
    assert overview.figures().done == 9


def figures_of(ok: int, total: int, paused: str | None) -> Progress:
    """The figures of a shard."""
    return Progress(
        done=ok, total=total, ok=ok, skipped=0, failed=0, unknown=0, seconds=1, rate=ok, left=None, paused=paused
    )


@pytest.mark.parametrize(
    ("work", "error", "cause"),
    [("count", JobStopped, Forbidden), ("missing_variable", ConfigError, None), ("mistake", ZeroDivisionError, None)],
)
async def test_an_error_that_would_stop_every_shard_is_raised(
    tmp_path: Path, work: str, error: type[Exception], cause: type[Exception] | None
) -> None:
    """The first one ends the job, and says why; the items that were not tried are still to be sent."""
    shards = await shards_of(
        tmp_path, [f"verboten {number}" for number in range(9)], getattr(jobs, work), concurrency=1
    )
    with pytest.raises(error) as caught:
        await reports_of(shards, at_once=1)
    assert type(caught.value.__cause__) is (cause or type(None))
    assert jobs.CALLS.total() <= 1
    assert await merged(tmp_path) == {"pending": 9}


async def test_what_is_no_error_of_ours_is_raised_by_its_shard(tmp_path: Path) -> None:
    """As it is, and not reported: a cluster runs only those shards again that have raised something."""
    (shard,) = await shards_of(tmp_path, ["Ä; Ö"], jobs.mistake, shards=1)
    with pytest.raises(ZeroDivisionError):
        await run_shard(shard, Foreman(None))


async def test_at_once_is_named_by_its_own_name() -> None:
    """Who has never heard of a concurrency is not told of one."""
    with pytest.raises(ArgumentError, match="at_once must be a whole number from 1"):
        await reports_of([], at_once=0)


@BOTH
async def test_leaving_early_ends_the_shards_in_good_order(tmp_path: Path) -> None:
    """What is under way is finished, nothing else begins, and the next run does the rest."""
    begun, released = anyio.Event(), anyio.Event()

    async def hold(item: str) -> None:
        if item == "4":
            begun.set()
            await released.wait()

    jobs.HOOKS.append(hold)
    shards = await shards_of(tmp_path, map(str, range(8)), shards=2, concurrency=1)
    async with run_locally(shards, at_once=2) as reports:
        async for report in reports:
            assert report.number == 1
            await begun.wait()
            released.set()
            break
    assert jobs.CALLS["4"] == 1
    assert "7" not in jobs.CALLS
    await reports_of(shards)
    assert {str(number): 1 for number in range(8)} == jobs.CALLS
    assert await merged(tmp_path) == {"done": 8}


async def test_a_stopped_foreman_lets_nobody_begin(tmp_path: Path) -> None:
    """A shard whose turn comes after the end does nothing, and one under way starts no other item."""
    (shard,) = await shards_of(tmp_path, map(str, range(6)), shards=1, concurrency=1)
    foreman = Foreman(None)

    async def stop(item: str) -> None:
        if item == "2":
            await foreman.stop()
            await anyio.sleep(0.3)

    jobs.HOOKS.append(stop)
    report = await run_shard(shard, foreman)
    assert (total_of(report.counts), report.left, report.lost) == ({"done": 3, "pending": 3}, 3, False)
    assert await run_shard(shard, foreman) == ShardReport(number=1)


@BOTH
async def test_a_shard_without_a_foreman_ends_and_says_so(tmp_path: Path) -> None:
    """Nobody tells it how fast it may go; it does not guess."""

    class Gone(Foreman):
        async def report(self, number: int, progress: Progress | None, pause: float) -> Word:
            if jobs.CALLS:
                raise OSError("connection refused")
            return await super().report(number, progress, pause)

    async def pause(_: str) -> None:
        await anyio.sleep(0.15)

    jobs.HOOKS.append(pause)
    (shard,) = await shards_of(tmp_path, map(str, range(6)), shards=1, concurrency=1)
    report = await run_shard(shard, Gone(None))
    assert report.lost
    assert report.error is None
    assert 0 < report.left < 6
    jobs.CALLS.clear()
    jobs.CALLS["x"] += 1
    assert await run_shard(shard, Gone(None)) == ShardReport(number=1, lost=True)


async def test_two_workers_do_not_run_one_shard(tmp_path: Path) -> None:
    """The second waits for a while, and refuses; it takes over when the first is gone."""
    (shard,) = await shards_of(tmp_path, ["Käthe"], shards=1)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await anyio.lowlevel.checkpoint()

    async with reopened(shard.journal):
        report = await run_shard(shard, Foreman(None), clock=Clock(sleep=sleep), patience=5.0)
    assert isinstance(report.error, JournalError)
    assert "in use" in str(report.error)
    assert waits == [0.5] * 19
    assert not jobs.CALLS

    async with anyio.create_task_group() as group:

        async def in_the_way(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with reopened(shard.journal):
                task_status.started()
                while len(waits) < 22:
                    await anyio.lowlevel.checkpoint()

        await group.start(in_the_way)

        async def nap(seconds: float) -> None:
            waits.append(seconds)
            await anyio.sleep(0.02)

        report = await run_shard(shard, Foreman(None), clock=Clock(sleep=nap), patience=5.0)
    assert total_of(report.counts) == {"done": 1}


@pytest.mark.parametrize(
    ("work", "counts", "calls"),
    [
        (jobs.count, {"done": 2, "unknown": 1}, {"1": 1, "2": 1}),
        (jobs.count_again, {"done": 3}, {"0?": 1, "1": 1, "2": 1}),
    ],
)
async def test_what_a_lost_worker_left_in_doubt(
    tmp_path: Path, work: Any, counts: dict[str, int], calls: dict[str, int]
) -> None:
    """It is never sent again: it is found out what became of it, or it is listed as unknown."""
    (shard,) = await shards_of(tmp_path, ["0", "1", "2"], work, shards=1)
    async with reopened(shard.journal) as journal:
        await journal.begin("1")
    (report,) = (await reports_of([shard])).values()
    assert total_of(report.counts) == counts
    assert Counter(calls) == jobs.CALLS
    assert await merged(tmp_path) == counts


async def test_a_machine_without_the_folder_says_so(tmp_path: Path) -> None:
    """A journal that is not there is not taken for one in which nothing is left."""
    shard = Shard(number=1, of=1, items=3, journal=str(tmp_path / "nowhere"), work="tests.core.sharding.jobs:count")
    with pytest.raises(ConfigError, match="a folder that every machine has"):
        await reports_of([shard])
    assert not (tmp_path / "nowhere").exists()


async def test_a_journal_that_is_gone_afterwards(tmp_path: Path) -> None:
    """Nobody can say any more what became of the items, and that is no success."""
    with pytest.raises(ConfigError, match="there is no journal"):
        await reports_of(await shards_of(tmp_path, ["Käthe"], jobs.lose))


async def test_who_asks_late_is_told_of_the_end_at_once() -> None:
    """A function that takes long to get ready does not miss it, and is told once."""
    foreman = Foreman(None)
    run = ShardRun(Shard(number=1, of=1, items=1, journal="x", work="x:x"), foreman, 1.0, Clock())
    await foreman.stop()
    await run.report()
    told: list[str] = []
    run.when_stopped(lambda: told.append("stop"))
    await run.report()
    assert told == ["stop"]


@BOTH
async def test_a_429_in_one_shard_slows_down_all(tmp_path: Path) -> None:
    """The others hear of it within a quarter of a second, and nobody sends before its end."""
    items = ["429", *map(str, range(59))]
    await reports_of(await shards_of(tmp_path, items, jobs.take_turns, shards=2, concurrency=1))
    ((_, paused_at),) = [turn for turn in jobs.TURNS if turn[0] == "429"]
    after = sorted(at - paused_at for _, at in jobs.TURNS if at > paused_at)
    assert not [at for at in after if 0.25 < at < 0.5]
    assert [at for at in after if at >= 0.5]


async def test_a_shard_travels_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither credentials of the environment nor items are in what goes over the network, or in a repr."""
    canaries = ("geheimes-kennwort", "joerg@example.com")
    monkeypatch.setenv("SERVICE_PASSWORD", canaries[0])
    (shard,) = await shards_of(tmp_path, [canaries[1]], shards=1, options={"opt_in_id": 7})
    (report,) = (await reports_of([shard])).values()
    for value in (shard, report):
        sent = pickle.dumps(value)
        assert pickle.loads(sent) == value
        for canary in canaries:
            assert canary.encode() not in sent
            assert canary not in repr(value)
    assert "opt_in_id" not in repr(shard)


def test_an_error_travels_with_its_cause() -> None:
    """What stopped a shard far away can be told here."""
    report = ShardReport(number=2, error=JobStopped("stopped"), cause=Forbidden("no"), counts={State.PENDING: 4})
    copy = pickle.loads(pickle.dumps(report))
    assert (str(copy.error), str(copy.cause), copy.left) == ("stopped", "no", 4)


async def test_a_lease_that_fails_lets_the_calls_under_way_end() -> None:
    """A request that waits for its turn gets it; the shard starts no further item."""

    class Exhausted(Foreman):
        async def lease(self) -> Lease:
            raise OSError("connection refused")

    run = ShardRun(Shard(number=1, of=1, items=1, journal="x", work="x:x"), Exhausted(None), 1.0, Clock())
    assert run.limit.permits is not None
    await run.limit.permits.take()
    assert (run.lost, run.stopped) == (True, True)


async def test_one_lease_that_fails_is_enough_to_end_a_shard(tmp_path: Path) -> None:
    """One that can still be told how things are going shares out no rate: what is left is not sent without one."""

    class Hiccup(Foreman):
        leases = 0

        async def lease(self) -> Lease:
            self.leases += 1
            if self.leases == 2:
                raise OSError("connection refused")
            return await super().lease()

    (shard,) = await shards_of(tmp_path, map(str, range(9)), jobs.take_turns, shards=1, concurrency=1)
    report = await run_shard(shard, Hiccup(2))
    assert report.lost
    # A lease of one, and the call that waited for the next one.
    assert total_of(report.counts) == {"done": 2, "pending": 7}
