"""How cost grows with size: each cost at each size, and the exponent of the fitted power; 1 is linear."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import statistics
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from clients import sdk
from measure import Row, many, row

from klickdoxie_core.convert import parse_json, structure
from klicktipp_async import Contact, bulk
from klicktipp_async.convert import converter
from klicktipp_async.crm.targets import Segments
from klicktipp_async.id_stream import IdStream

LINEAR = 1.1
_PIECE = 64 * 1024


async def growth(url: str) -> AsyncIterator[Row]:
    """The sizes that jobs have: calls at once, items, ids, tags."""
    async with sdk(url) as kt:

        async def call(_: int = 0) -> object:
            return await kt.contacts.find_id("a@example.com")

        costs = {at_once: await many(call, 4000, at_once) for at_once in (1, 10, 100, 1000)}
        yield _row("a call, by the calls at once", costs, 0.2, unit="ms per call")
        costs = {items: await _job(call, items) for items in (1000, 4000, 16_000)}
        yield _row("a bulk job of real calls, by its items", costs)
    costs = {items: await _job(_turn, items) for items in (1000, 10_000, 100_000, 1_000_000)}
    yield _row("a bulk job without a service, by its items", costs)
    yield _row("a list of ids, by its length", {many_: _ids(many_) for many_ in (1000, 10_000, 100_000, 1_000_000)})
    tags = (1, 10, 100, 1000, 10_000)
    yield _row("a contact, by its tags", {count: _contact(count) for count in tags})
    yield _row("tags looked up by name, by their number", {count: _tag_names(count) for count in tags})
    memory = {count: _tag_memory(count) for count in tags}
    yield _row("the memory of these names", memory, unit="bytes")


def _row(what: str, costs: Mapping[int, float], limit: float = LINEAR, *, unit: str = "ms") -> Row:
    scale = 1 if unit == "bytes" else 1000
    print(
        f"     {what} ({unit}): {', '.join(f'{size:,}: {cost * scale:,.3g}' for size, cost in costs.items())}",
        flush=True,
    )
    return row("", f"growth of {what} (exponent)", [exponent(costs)], limit)


async def _turn(_: int) -> None:
    await asyncio.sleep(0)


async def _job(call: Callable[[int], Awaitable[object]], items: int) -> float:
    gc.collect()
    before = time.process_time()
    async with bulk(call, range(items), concurrency=50) as outcomes:
        async for outcome in outcomes:
            outcome.unwrap()
    return time.process_time() - before


def _ids(count: int) -> float:
    body = json.dumps([str(155_000_000 + number) for number in range(count)], separators=(",", ":")).encode()
    stream, found = IdStream(), list[int]()
    before = time.process_time()
    for start in range(0, len(body), _PIECE):
        found += stream.feed(body[start : start + _PIECE])
    stream.finish()
    return time.process_time() - before


def _contact(tags: int) -> float:
    answer: dict[str, object] = {"id": "1", "email": "a@example.com", "tags": [str(number) for number in range(tags)]}
    answer["manual_tags"] = {str(number): str(1_700_000_000 + number) for number in range(tags)}
    body, made = json.dumps(answer).encode(), converter()
    structure(made, parse_json(body), Contact)
    return _repeated(lambda: structure(made, parse_json(body), Contact))


def _tag_names(count: int) -> float:
    segments = Segments()
    return _repeated(lambda: [segments.tag_name(f"Tag {number}") for number in range(count)])


def _tag_memory(count: int) -> float:
    segments = Segments()
    tracemalloc.start()
    names = {number: segments.tag_name(f"Tag {number}") for number in range(count)}
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del names
    return used


def _repeated(work: Callable[[], object]) -> float:
    """CPU seconds of one run, out of as many as take a measurable time."""
    runs, spent = 0, 0.0
    while spent < 0.05:
        before = time.process_time()
        work()
        spent += time.process_time() - before
        runs += 1
    return spent / runs


def exponent(costs: Mapping[int, float]) -> float:
    """The slope of the line through the logarithms of the three largest; small ones have what every size has."""
    sizes = [math.log(size) for size in costs][-3:]
    logs = [math.log(cost) for cost in costs.values()][-3:]
    return statistics.linear_regression(sizes, logs).slope
