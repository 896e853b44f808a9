"""The goals, one function for each group: what is measured, against what, and what it must be."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from importlib.util import find_spec
from typing import Literal

import httpx
from alone import cpu_of, every_id, in_fresh_process
from clients import RawClient, contacts, peers, sdk, searches
from growth import growth
from measure import ROUNDS, Call, Row, compare, many, ratios, row
from server import FIXTURES

from klicktipp_async import bulk

MILLION = 1_000_000


async def one_call(url: str) -> AsyncIterator[Row]:
    """P1, P3, P4: one call through the whole SDK."""
    async with searches(url) as calls:
        for concurrent in (1, 10):
            figures = await compare(calls, calls=1000, concurrent=concurrent)
            yield row("P1", f"a search, {concurrent} at once, against httpx", ratios(figures, "sdk", "httpx"), 0.95)
            if "aiohttp" in calls:
                limit = 0.25 if concurrent == 1 else 0.16
                fast = ratios(figures, "sdk on aiohttp", "httpx")
                yield row("P4", f"the same on the aiohttp wire, {concurrent} at once, against httpx", fast, limit)
                fast = ratios(figures, "sdk on aiohttp", "aiohttp")
                yield row("P4", f"the same, {concurrent} at once, against aiohttp alone", fast, 1.15)
        crowd = {name: calls[name] for name in ("httpx", "sdk")}
        figures = await compare(crowd, calls=400, concurrent=50)
        yield row(
            "P3", "calls per CPU second, 50 at once, against httpx", ratios(figures, "httpx", "sdk"), 2.3, at_least=True
        )
    async with contacts(url) as calls:
        figures = await compare(calls, calls=600)
        yield row("P1", "a contact as a model, against httpx and a dict", ratios(figures, "sdk", "httpx"), 1.0)


async def flatness(url: str) -> AsyncIterator[Row]:
    """P2: what a call costs among many."""
    async with sdk(url) as kt:
        crowds = {1: 1500, 50: 1500, 200: 2000, 1000: 4000}
        for concurrent, calls in crowds.items():
            await many(lambda: kt.contacts.find_id("a@example.com"), calls // 4, concurrent)
        figures: dict[int, list[float]] = {concurrent: [] for concurrent in crowds}
        for _ in range(ROUNDS):
            for concurrent, calls in crowds.items():
                figures[concurrent].append(await many(lambda: kt.contacts.find_id("a@example.com"), calls, concurrent))
    for concurrent, limit in ((50, 1.15), (200, 1.4), (1000, 1.6)):
        shares = [one / alone for one, alone in zip(figures[concurrent], figures[1], strict=True)]
        yield row("P2", f"CPU per call, {concurrent} at once, against one at a time", shares, limit)


async def bulk_jobs(url: str) -> AsyncIterator[Row]:
    """P5: how much of what the wire permits a bulk job gets, against a server that takes its time."""
    wires: dict[str, Literal["aiohttp"] | None] = {"httpx": None}
    if find_spec("aiohttp"):
        wires["aiohttp"] = "aiohttp"
    for delay, limits in ((20, (0.60, 0.95)), (100, (0.94, 0.97))):
        for (wire, http), limit in zip(wires.items(), limits, strict=False):
            shares = [await _share(url, delay, http) for _ in range(3)]
            yield row(
                "P5",
                f"bulk on the {wire} wire, answers after {delay} ms, of a raw socket's pace",
                shares,
                limit,
                at_least=True,
            )


async def _share(
    url: str, delay: int, http: Literal["aiohttp"] | None, *, calls: int = 1500, concurrent: int = 50
) -> float:
    raw = RawClient(url)
    path = f"/subscriber/1?ms={delay}"
    async with sdk(url, http) as kt:

        async def ours(_: int) -> object:
            return await kt.request("GET", "/subscriber/1", query={"ms": delay})

        async def run(call: Callable[[int], Awaitable[object]], count: int) -> float:
            before = time.perf_counter()
            async with bulk(call, range(count), concurrency=concurrent) as outcomes:
                async for outcome in outcomes:
                    outcome.unwrap()
            return time.perf_counter() - before

        async def theirs(_: int) -> object:
            return await raw.get(path)

        await run(ours, concurrent * 2)
        await run(theirs, concurrent * 2)
        slow, fast = await run(ours, calls), await run(theirs, calls)
    await raw.close()
    return fast / slow


async def scheduling(_: str) -> AsyncIterator[Row]:
    """P6: what bulk adds to a call, against what gather and a semaphore add.

    A call lets the event loop turn once, as every call does that waits for an answer. For those that never wait, which
    no call to a service is, each item is handed over by itself; that is told without a goal.
    """

    async def wait(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def answer(number: int) -> int:
        return number

    for call, named, limits in ((wait, "", (0.5, 0.2)), (answer, " (calls that never wait)", (None, None))):
        streamed, plain = await _scheduling(call)
        what = f"bulk's own cost per item, async source, against gather and a semaphore{named}"
        yield row("P6", what, streamed, limits[0])
        yield row("P6", what.replace("async", "plain"), plain, limits[1])


async def _scheduling(call: Callable[[int], Awaitable[int]]) -> tuple[list[float], list[float]]:
    async def slowly(count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    async def by_bulk(items: Iterable[int] | AsyncIterable[int]) -> float:
        before = time.process_time()
        async with bulk(call, items, concurrency=50) as outcomes:
            async for _ in outcomes:
                pass
        return time.process_time() - before

    async def by_gather(count: int) -> float:
        permits = asyncio.Semaphore(50)

        async def one(number: int) -> int:
            async with permits:
                return await call(number)

        before = time.process_time()
        await asyncio.gather(*map(one, range(count)))
        return time.process_time() - before

    count, plain, streamed = 20_000, list[float](), list[float]()
    for _ in range(ROUNDS):
        gc.collect()
        bare = await many(partial(call, 0), count, 50) * count
        base = await by_gather(count) - bare
        plain.append((await by_bulk(range(count)) - bare) / base)
        streamed.append((await by_bulk(slowly(count)) - bare) / base)
    return streamed, plain


async def memory(url: str) -> AsyncIterator[Row]:
    """P7 and the memory of P9, each in a fresh process."""
    grown = [in_fresh_process("bulk_memory", str(MILLION)) for _ in range(3)]
    yield row("P7", "a million items through bulk, 200 at once: growth of the peak", grown, 4, unit=" MB")
    grown = [in_fresh_process("journal_memory", str(MILLION))]
    yield row("P7", "the same with a journal", grown, 16, unit=" MB")
    grown = [in_fresh_process("ids_memory", url) for _ in range(3)]
    yield row("P9", "a million ids as a list: growth of the peak", grown, 45, unit=" MB")
    grown = [in_fresh_process("iter_ids_memory", url) for _ in range(3)]
    yield row("P9", "a million ids one by one: growth of the peak", grown, 12, unit=" MB")


async def million_ids(url: str) -> AsyncIterator[Row]:
    """P9: the list of a million ids."""
    async with httpx.AsyncClient(base_url=url, timeout=300) as raw, sdk(url) as kt:

        async def by_httpx() -> object:
            return (await raw.get("/subscriber")).json()

        ways: dict[str, Call] = {"httpx": by_httpx, "list": kt.contacts.ids, "one by one": partial(every_id, kt)}
        figures = await compare(ways, calls=1, rounds=ROUNDS)
    for way in ("list", "one by one"):
        what = f"a million ids as whole numbers, {way}, against httpx and texts"
        yield row("P9", what, ratios(figures, way, "httpx"), 0.9 if way == "list" else None)


async def structuring(_: str) -> AsyncIterator[Row]:
    """P8: from the bytes of an answer to a contact."""
    if not find_spec("pydantic"):
        return
    from pydantic_contact import PydanticContact  # noqa: PLC0415 - pydantic need not be there

    from klickdoxie_core.convert import parse_json, structure  # noqa: PLC0415
    from klicktipp_async import Contact  # noqa: PLC0415
    from klicktipp_async.convert import converter  # noqa: PLC0415

    content = json.dumps(json.loads((FIXTURES / "contacts" / "full.json").read_bytes())).encode()
    made = converter()

    async def ours() -> object:
        return [structure(made, parse_json(content), Contact) for _ in range(20)]

    async def theirs() -> object:
        return [PydanticContact.model_validate_json(content) for _ in range(20)]

    figures = await compare({"pydantic": theirs, "sdk": ours}, calls=100)
    fast = find_spec("orjson") or find_spec("msgspec")
    limit = 1.0 if fast else 1.7
    yield row("P8", "bytes to a contact, against pydantic", ratios(figures, "sdk", "pydantic"), limit)


async def imports(_: str) -> AsyncIterator[Row]:
    """P10: what it costs to begin."""
    for what, ours, base, limit in (
        ("import klicktipp_async, against import httpx", "import klicktipp_async", "import httpx", 1.45),
        (
            "import and a client, against httpx and its client",
            "import klicktipp_async as k; k.KlickTipp(k.KeyPair('a', '00', 'b'))",
            "import httpx; httpx.AsyncClient()",
            1.5,
        ),
    ):
        shares: list[float] = []
        for _ in range(ROUNDS):
            bare = cpu_of("pass")
            shares.append((cpu_of(ours) - bare) / (cpu_of(base) - bare))
        yield row("P10", what, shares, limit)


async def others(url: str) -> AsyncIterator[Row]:
    """Peers, each against httpx with the same request; no goals of ours."""
    async with peers(url) as calls:
        for name, (call, base) in calls.items():
            figures = await compare({"httpx": base, "peer": call}, calls=300)
            yield row("", f"a call of {name}, against httpx", ratios(figures, "peer", "httpx"))


GROUPS = (one_call, flatness, bulk_jobs, scheduling, memory, million_ids, structuring, imports, others, growth)
