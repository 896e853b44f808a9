"""What is measured in a fresh process each time: memory, and what an import costs."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from clients import sdk

from klicktipp_async import Effect, Journal, KlickTipp, bulk


def in_fresh_process(name: str, *arguments: str) -> float:
    """The figure that a function of this module prints."""
    command = [sys.executable, __file__, name, *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def cpu_of(code: str) -> float:
    """CPU seconds of a Python process that runs this and nothing else."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _memory_mb(name: str) -> float:
    # Not ru_maxrss: a process inherits the peak of the one that has started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def _used_mb() -> float:
    gc.collect()
    return _memory_mb("VmRSS")


def _peak_mb() -> float:
    return _memory_mb("VmHWM")


async def _growth(items: int, journal: Journal | None) -> float:
    async def source(count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    async def call(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def run(count: int, offset: str) -> None:
        options: dict[str, Any] = {"concurrency": 200}
        if journal is not None:
            options |= {"journal": journal, "key": lambda number: f"{offset}{number}", "effect": Effect.REPEATABLE}
        async with bulk(call, source(count), **options) as outcomes:
            async for _ in outcomes:
                pass

    await run(2000, "warm")
    before = _used_mb()
    await run(items, "")
    return _peak_mb() - before


def bulk_memory(items: str) -> float:
    """Megabytes by which a bulk job's peak grows."""
    return asyncio.run(_growth(int(items), None))


def journal_memory(items: str) -> float:
    """The same with a journal."""

    async def main() -> float:
        with tempfile.TemporaryDirectory() as folder:
            async with Journal(Path(folder, "journal"), job="bench") as journal:
                return await _growth(int(items), journal)

    return asyncio.run(main())


def ids_memory(url: str) -> float:
    """Megabytes by which a list of a million ids makes the peak grow."""
    return asyncio.run(_ids_growth(url, lambda kt: kt.contacts.ids()))


def iter_ids_memory(url: str) -> float:
    """The same where each is used as it comes."""
    return asyncio.run(_ids_growth(url, every_id))


async def every_id(kt: KlickTipp) -> int:
    """How many ids there are, none of which is kept."""
    count = 0
    async with kt.contacts.iter_ids() as ids:
        async for _ in ids:
            count += 1
    return count


async def _ids_growth(url: str, read: Callable[[KlickTipp], Awaitable[object]]) -> float:
    async with sdk(url) as kt:
        await kt.contacts.find_id("a@example.com")
        before = _used_mb()
        await read(kt)
        return _peak_mb() - before


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    function: Callable[..., float] = globals()[sys.argv[1]]
    print(function(*sys.argv[2:]))
