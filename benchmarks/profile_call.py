"""`python benchmarks/profile_call.py`: where the time of one call goes, by whose code it is spent in."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from collections import Counter
from typing import cast

from clients import searches
from measure import many
from server import running

CALLS = 2000
_OWNERS = ("klickdoxie_core/wire", "klickdoxie_core", "klicktipp_async", "cattrs", "attr", "orjson", "json")
_LIBRARIES = ("httpx", "httpcore", "h11", "anyio", "sniffio", "aiohttp", "yarl", "multidict", "asyncio")


async def main() -> None:
    """Print a table for each way to make the call."""
    with running() as url:
        async with searches(url) as calls:
            for name, call in calls.items():
                await many(call, CALLS // 2, 1)
                alone = await many(call, CALLS, 1) * 1e6
                profile = cProfile.Profile()
                profile.enable()
                await many(call, CALLS, 1)
                profile.disable()
                _print(name, alone, pstats.Stats(profile))


def _print(name: str, alone: float, stats: pstats.Stats) -> None:
    owners, functions = Counter[str](), Counter[str]()
    rows = cast("dict[tuple[str, int, str], tuple[int, int, float, float, object]]", stats.stats)  # type: ignore[attr-defined]  # not in the stubs
    for (file, _, function), (_, _, own, _, _) in rows.items():
        owner = _owner(file, function)
        owners[owner] += own
        functions[f"{owner}: {function}"] += own
    whole = owners.total()
    print(f"\n{name}: {alone:.0f} µs of the processor for a call")
    for owner, own in owners.most_common(12):
        print(f"  {own / whole:5.1%}  {owner}")
    print("  most of it in " + ", ".join(f"{each} ({own / whole:.1%})" for each, own in functions.most_common(8)))


def _owner(file: str, function: str) -> str:
    for owner in _OWNERS[:3]:
        if f"/{owner}/" in file:
            return "our wire" if owner.endswith("wire") else f"our {owner.removeprefix('klickdoxie_')}"
    for library in (*_LIBRARIES, *_OWNERS[3:]):
        if f"/{library}/" in file or f"{library}." in function:
            return library
    return "the interpreter and the system" if file.startswith(("~", "<")) else "the standard library"


if __name__ == "__main__":
    asyncio.run(main())
