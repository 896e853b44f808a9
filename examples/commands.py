"""Running the commands as a user would, in a process of their own, and killing them on the way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

import anyio


async def run(module: str, arguments: Sequence[str], env: Mapping[str, str], *, quiet: bool = False) -> int:
    """Run `python -m module arguments` and return its exit code; its output is shown unless it is to be quiet."""
    command = [sys.executable, "-m", module, *arguments]
    stream = -3 if quiet else None  # subprocess.DEVNULL
    done = await anyio.run_process(command, env=os.environ | env, check=False, stdout=stream, stderr=None)
    return done.returncode


async def kill(module: str, arguments: Sequence[str], env: Mapping[str, str], when: Callable[[], bool]) -> int:
    """Run it, end it with SIGKILL as soon as something is the case, and return its exit code: -9."""
    command = [sys.executable, "-m", module, *arguments]
    async with await anyio.open_process(command, env=os.environ | env, stdout=-3, stderr=None) as process:
        while not when() and process.returncode is None:  # noqa: ASYNC110 - what happens in another process tells nothing
            await anyio.sleep(0.002)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        return await process.wait()
