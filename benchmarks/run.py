"""`nox -s bench`: every goal measured against its base in the same run, as a table and as results.json.

`python benchmarks/run.py one_call flatness` measures only these groups.
"""

from __future__ import annotations

import asyncio
import json
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import attrs
import httpx
from goals import GROUPS
from measure import Row, table
from server import running

RESULTS = Path(__file__).with_name("results.json")
LIBRARIES = (
    "httpx",
    "aiohttp",
    "attrs",
    "cattrs",
    "anyio",
    "orjson",
    "msgspec",
    "pydantic",
    "openai",
    "stripe",
    "notion-client",
)


async def main(wanted: list[str]) -> int:
    """Measure, print, and write; 0 also when a goal is missed, which the table says."""
    rows: list[Row] = []
    with running() as url:
        for group in GROUPS:
            if wanted and group.__name__ not in wanted:
                continue
            started, busy = time.perf_counter(), await _busy(url)
            async for one in group(url):
                rows.append(one)
                print(table([one]).splitlines()[1], flush=True)
            share = (await _busy(url) - busy) / (time.perf_counter() - started)
            print(f"     ({group.__name__}: the server was busy {share:.0%} of the time)", flush=True)
    print(f"\n{table(rows)}\n\n{_where()}")
    missed = [one for one in rows if one.reached is False]
    print(f"{len(missed)} goals are missed" if missed else "every goal is reached")
    results = {"where": _where(), "rows": [attrs.asdict(one) | {"reached": one.reached} for one in rows]}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


async def _busy(url: str) -> float:
    async with httpx.AsyncClient() as client:
        return float((await client.get(f"{url}/_busy")).json())


def _where() -> str:
    found: list[str] = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, {platform.system()}, {', '.join(found)}"


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
