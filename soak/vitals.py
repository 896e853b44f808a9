"""How this process is: its memory, file handles, threads and tasks."""  # noqa: INP001 - a folder of scripts

from __future__ import annotations

import asyncio
import gc
import mmap
import threading
from pathlib import Path

import anyio
import attrs

_STATM = Path("/proc/self/statm")
_HANDLES = (Path("/proc/self/fd"), Path("/dev/fd"))
_LOOK_EVERY = 0.2


@attrs.frozen(kw_only=True)
class Vitals:
    """Figures of one moment; None where this system does not tell.

    Attributes:
        memory: Bytes of memory in use.
        handles: Open files and sockets.
    """

    memory: int | None
    handles: int | None
    threads: int
    tasks: int


def measure(*, tidy: bool = True) -> Vitals:
    """How this process is now, without its garbage if tidy."""
    if tidy:
        gc.collect()
    folder = next(filter(Path.is_dir, _HANDLES), None)
    return Vitals(
        memory=int(_STATM.read_text("ascii").split()[1]) * mmap.PAGESIZE if _STATM.exists() else None,
        # Looking into the folder is a handle itself.
        handles=None if folder is None else sum(1 for _ in folder.iterdir()) - 1,
        threads=threading.active_count(),
        tasks=len(asyncio.all_tasks()),
    )


class Peak:
    """Remembers the highest number of handles while it looks."""

    def __init__(self) -> None:
        self.handles = 0

    async def look(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.handles = max(self.handles, measure(tidy=False).handles or 0)
            await anyio.sleep(_LOOK_EVERY)


async def measure_when_quiet(before: Vitals, patience: float = 2.0) -> Vitals:
    """How this process is when it has let go of what it had, or has not done so for some seconds.

    Args:
        before: What it had; without file handles only the tasks are waited for.
        patience: Seconds.
    """
    with anyio.move_on_after(patience):
        while True:
            now = measure()
            if now.tasks <= before.tasks and (before.handles is None or (now.handles or 0) <= before.handles):
                return now
            await anyio.sleep(0.05)
    return measure()
