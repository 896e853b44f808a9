"""What is measured in a fresh process each time: memory, and what an import costs."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from clients import sdk

from klicktipp_async import Effect, Journal, bulk


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


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
    gc.collect()
    before = _peak_mb()
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

    async def main() -> float:
        async with sdk(url) as kt:
            await kt.contacts.find_id("a@example.com")
            gc.collect()
            before = _peak_mb()
            await kt.contacts.ids()
            return _peak_mb() - before

    return asyncio.run(main())


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    function: Callable[..., float] = globals()[sys.argv[1]]
    print(function(*sys.argv[2:]))
