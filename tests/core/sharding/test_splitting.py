"""From one journal to many and back: nothing is lost, nothing comes twice, the order stays."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

from klickdoxie_core import ArgumentError, ConfigError, Journal, JournalError, State
from klickdoxie_core.sharding import enlist, merge, reopened, split
from tests.core.sharding import jobs
from tests.core.sharding.jobs import entries_of, total_of

pytestmark = pytest.mark.anyio

WORK = "tests.core.sharding.jobs:count"


@pytest.fixture
def anyio_backend() -> str:
    """Files are the same on each event loop."""
    return "asyncio"


def a_journal(folder: Path, **facts: str) -> Journal:
    """The journal of the one job in this folder."""
    return Journal(folder / "job.journal", job="test", facts=facts)


def mode_of(path: Path) -> int:
    """Who may do what with it."""
    return stat.S_IMODE(path.stat().st_mode)


async def test_items_are_listed_once_and_in_order(tmp_path: Path) -> None:
    """An item with the key of an earlier one is skipped, also across chunks, and says whose it is."""
    rows = [{"email": f"k{number % 1100}@example.com", "name": "Jörg; Käthe"} for number in range(1203)]
    async with a_journal(tmp_path) as journal:
        counts = await enlist(journal, rows, key=lambda row: row["email"])
        skipped = [entry async for entry in journal.entries(State.SKIPPED)]
    assert total_of(counts) == {"pending": 1100, "skipped": 103}
    assert skipped[0].error == {"code": "duplicate", "message": "it has the same key as item 1"}
    assert [payload for payload, _ in await entries_of(tmp_path / "job.journal")] == rows


async def source(items: Iterable[int], error: Exception | None = None) -> AsyncIterator[int]:
    """Items that come one by one, and what happens after them."""
    for number in items:
        yield number
    if error:
        raise error


@pytest.mark.parametrize("got", [700, 500])
async def test_a_list_that_was_broken_off_goes_on(tmp_path: Path, got: int) -> None:
    """Whatever the source has raised, what it had handed out before is there once."""
    async with a_journal(tmp_path) as journal:
        with pytest.raises(OSError, match="gone"):
            await enlist(journal, source(range(got), OSError("gone")))
        assert total_of(await enlist(journal, source(range(900)))) == {"pending": 900}
        assert total_of(await enlist(journal, source(range(900)))) == {"pending": 900}
        assert [entry.payload async for entry in journal.entries()] == list(range(900))


OTHERS: list[list[int]] = [
    [],
    [*range(500)],
    [*range(1000)],
    [*range(1201)],
    [*range(1203)],
    [*range(1300)],
    [*range(2000)],
    [*range(1201), -1],
    [-1, *range(1, 1202)],
]
"""Fewer items, more, and others, than those from 0 to 1201."""


@pytest.mark.parametrize("items", OTHERS, ids=range(len(OTHERS)))
async def test_a_list_is_not_gone_on_with_from_other_items(tmp_path: Path, items: list[int]) -> None:
    """A wrong file is told, and items that were added to the right one are not lost in silence."""
    async with a_journal(tmp_path) as journal:
        await enlist(journal, range(1202))
        with pytest.raises(JournalError, match="was made from other items; give those that it was made from"):
            await enlist(journal, source(items))
        assert [entry.payload async for entry in journal.entries()] == list(range(1202))
        assert total_of(await enlist(journal, range(1202))) == {"pending": 1202}


async def test_a_list_is_not_gone_on_with_by_other_keys(tmp_path: Path) -> None:
    """What is one item to the one is two to the other."""
    async with a_journal(tmp_path) as journal:
        await enlist(journal, ["ä", "Ä"])
        with pytest.raises(JournalError, match="other items"):
            await enlist(journal, ["ä", "Ä"], key=str.casefold)


@pytest.mark.parametrize("items", [[], [-1, *range(1, 2000)], [*range(499)], [*range(999), -1], [*range(999)]])
async def test_a_list_that_was_broken_off_is_not_gone_on_with_from_other_items(
    tmp_path: Path, items: list[int]
) -> None:
    """It is no mixture of two sources."""
    async with a_journal(tmp_path) as journal:
        with pytest.raises(OSError, match="gone"):
            await enlist(journal, source(range(1000), OSError("gone")))
        with pytest.raises(JournalError, match="other items"):
            await enlist(journal, items)
        assert total_of(await enlist(journal, range(1001))) == {"pending": 1001}


@pytest.mark.parametrize("method", ["claim", "add", "note"])
async def test_a_list_can_be_broken_off_between_any_two_steps(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also within its last items, which are fewer; then more of them are other items."""
    async with a_journal(tmp_path) as journal:
        whole, calls = getattr(journal, method), 0

        async def breaking_off(*args: Any, **values: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise OSError("gone")
            return await whole(*args, **values)

        with monkeypatch.context() as patch:
            patch.setattr(journal, method, breaking_off)
            with pytest.raises(OSError, match="gone"):
                await enlist(journal, range(700))
        if method != "note":
            with pytest.raises(JournalError, match="other items"):
                await enlist(journal, range(800))
        assert total_of(await enlist(journal, range(700))) == {"pending": 700}
        assert [entry.payload async for entry in journal.entries()] == list(range(700))


@pytest.mark.parametrize(
    ("items", "shards", "sizes"), [(10, 3, [4, 4, 2]), (2, 5, [1, 1]), (1001, 2, [501, 500]), (0, 4, [])]
)
async def test_shards_share_the_items(tmp_path: Path, items: int, shards: int, sizes: list[int]) -> None:
    """Each item is in one shard; no shard is empty."""
    async with a_journal(tmp_path, mapping="abc") as journal:
        await enlist(journal, range(items))
        await journal.note(tags={"Kunde": 7})
        made = await split(journal, tmp_path / "teile", shards=shards, work=WORK, options={"opt_in": 7})
        assert [(shard.number, shard.of, shard.items) for shard in made] == [
            (number, len(sizes), size) for number, size in enumerate(sizes, start=1)
        ]
        seen: list[Any] = []
        for shard in made:
            async with reopened(shard.journal) as part:
                assert (part.job, dict(part.facts)) == ("test", {"mapping": "abc"})
                assert part.notes["tags"] == {"Kunde": 7}
                seen += [entry.payload async for entry in part.entries(State.PENDING)]
        assert seen == list(range(items))
        assert total_of(await merge(journal)) == ({"pending": items} if items else {})
    assert list((tmp_path / "teile").iterdir()) == []


async def test_what_is_in_a_shard_is_not_sent_by_anybody_else(tmp_path: Path) -> None:
    """To a run of the job itself the items are in flight, as after a crash; only its owner reads their files."""
    async with a_journal(tmp_path) as journal:
        await enlist(journal, range(5))
        await journal.settle("3", State.UNKNOWN)
        await split(journal, tmp_path / "teile", shards=1, work=WORK)
        assert total_of(await enlist(journal, range(5))) == {"in flight": 5}
    assert [mode_of(path) for path in (tmp_path / "teile", tmp_path / "teile" / "part-0001.journal")] == [0o700, 0o600]


async def test_shards_that_are_there_are_gone_on_with(tmp_path: Path) -> None:
    """Who calls again gets the same shards, however many are asked for now, with what they have done."""
    async with a_journal(tmp_path) as journal:
        await enlist(journal, range(6))
        first = await split(journal, tmp_path / "teile", shards=2, work=WORK)
        async with reopened(first[0].journal) as part:
            await part.settle("1", State.DONE, result={"id": 17})
    async with a_journal(tmp_path) as journal:
        assert await split(journal, tmp_path / "anderswo", shards=5, work=WORK) == first
        assert total_of(await merge(journal)) == {"done": 1, "pending": 5}
        entry = await journal.find("1")
        assert entry is not None
        assert entry.result == {"id": 17}
        (rest,) = await split(journal, tmp_path / "teile", shards=1, work=WORK)
        assert rest.items == 5


async def test_failed_and_unknown_items_come_back_in_the_order_of_the_input(tmp_path: Path) -> None:
    """Whatever shard they were in; and what is in doubt is handed out as such."""
    async with a_journal(tmp_path) as journal:
        await enlist(journal, range(4))
        for shard, state in zip(
            await split(journal, tmp_path, shards=4, work=WORK),
            (State.UNKNOWN, State.DONE, State.FAILED, State.IN_FLIGHT),
            strict=True,
        ):
            async with reopened(shard.journal) as part:
                await part.settle(str(shard.number), state, error={"code": state.value})
        await merge(journal)
        states = (State.FAILED, State.UNKNOWN, State.IN_FLIGHT)
        told = [(entry.payload, entry.state.value, entry.error) async for entry in journal.entries(*states)]
        assert told == [
            (number, state, {"code": state}) for number, state in [(0, "unknown"), (2, "failed"), (3, "in flight")]
        ]
        shards = await split(journal, tmp_path, shards=2, work=WORK)
        async with reopened(shards[0].journal) as part:
            assert [entry.state.value async for entry in part.entries()] == ["unknown"]


@pytest.mark.parametrize(
    ("again", "sent", "beside"),
    [
        ([], ["unknown", "in flight"], "failed"),
        ([State.FAILED], ["unknown", "pending", "in flight"], "in flight"),
        ({State.UNKNOWN, State.FAILED}, ["pending", "pending", "in flight"], "in flight"),
    ],
)
async def test_what_failed_can_be_sent_anew(
    tmp_path: Path, again: Collection[State], sent: list[str], beside: str
) -> None:
    """As if nobody had tried yet; meanwhile nobody else sends it, also when the shards are asked for once more."""
    async with a_journal(tmp_path) as journal:
        await enlist(journal, range(4))
        for key, state in (("1", State.UNKNOWN), ("2", State.DONE), ("3", State.FAILED), ("4", State.IN_FLIGHT)):
            await journal.settle(key, state, error={"code": state.value})
        (shard,) = await split(journal, tmp_path, shards=1, work=WORK, again=again)
        async with reopened(shard.journal) as part:
            entries = [entry async for entry in part.entries()]
        assert [entry.state.value for entry in entries] == sent
        assert [entry.error is None for entry in entries] == [state == "pending" for state in sent]
        assert await split(journal, tmp_path, shards=3, work=WORK, again=[State.FAILED]) == [shard]
        failed = await journal.find("3")
        assert failed is not None
        assert failed.state.value == beside
        await merge(journal)
        assert [entry.state.value async for entry in journal.entries()] == [
            *sent[:1],
            "done",
            *(["failed"] if beside == "failed" else sent[1:2]),
            "in flight",
        ]


async def test_nothing_is_merged_from_shards_that_are_run_or_gone(tmp_path: Path) -> None:
    """A shard in use is still worked on; one that is not there has done nobody knows what."""
    async with a_journal(tmp_path) as journal:
        await enlist(journal, range(4))
        _, two = await split(journal, tmp_path, shards=2, work=WORK)
        async with reopened(two.journal):
            with pytest.raises(JournalError, match="in use"):
                await merge(journal)
        (tmp_path / "part-0001.journal").unlink()
        with pytest.raises(ConfigError, match=r"no journal .*part-0001"):
            await merge(journal)
        assert len(await split(journal, tmp_path, shards=9, work=WORK)) == 2


async def test_leftovers_of_a_split_that_was_broken_off(tmp_path: Path) -> None:
    """They are written anew; the shards of another job are not."""
    async with Journal(tmp_path / "part-0001.journal", job="test") as leftover:
        await enlist(leftover, ["alt"])
    async with a_journal(tmp_path) as journal:
        await enlist(journal, ["neu"])
        (shard,) = await split(journal, tmp_path, shards=1, work=WORK)
        assert await entries_of(Path(shard.journal)) == [("neu", "pending")]
    async with Journal(tmp_path / "another.journal", job="another") as other:
        await enlist(other, ["neu"])
        with pytest.raises(JournalError, match="another job"):
            await split(other, tmp_path, shards=1, work=WORK)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"shards": 0}, ArgumentError, "from 1"),
        ({"concurrency": 0}, ArgumentError, "from 1"),
        ({"again": [State.DONE]}, ArgumentError, "State.FAILED and State.UNKNOWN only"),
        ({"work": "tests.core.sharding.jobs:nothing"}, ConfigError, "no function tests.core.sharding.jobs:nothing"),
        ({"work": "no.such.module:work"}, ConfigError, "No module named 'no'"),
        ({"work": ".jobs:count"}, ConfigError, "no function"),
        ({"work": "jobs"}, ConfigError, "package.module:function"),
        ({"work": lambda run: None}, ArgumentError, "top of a module"),
        ({"options": {"password": object()}}, ArgumentError, "no secrets and no live objects"),
    ],
)
async def test_what_cannot_be_is_refused(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], match: str
) -> None:
    """Before any shard goes out."""
    async with a_journal(tmp_path) as journal:
        await enlist(journal, range(2))
        with pytest.raises(error, match=match):
            await split(journal, tmp_path, **{"shards": 1, "work": jobs.count, **options})
