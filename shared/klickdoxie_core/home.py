"""Where a client lives: one process and one event loop. Its connections and locks work nowhere else."""

from __future__ import annotations

import os
import sys


class Home:
    """Remembers where a client (or what `name` says) was first used, and whether it was closed."""

    def __init__(self, name: str = "client") -> None:
        self._name = name
        self._process = os.getpid()
        self._loop: object | None = None
        self.closed = False

    def stranger(self) -> str | None:
        """What is wrong with being used here and now; None when nothing is."""
        if self.closed:
            return f"this {self._name} is closed; make a new one"
        if os.getpid() != self._process:
            return f"this {self._name} was made in another process; make one after the fork"
        loop = _running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            return f"this {self._name} was first used in another event loop; make one {self._name} per event loop"
        return None


def _running_loop() -> object:
    # Whoever awaits us has imported what runs; asyncio, too, is no small thing to import for nothing.
    asyncio = sys.modules.get("asyncio")
    try:
        if asyncio is not None:
            return asyncio.get_running_loop()
    except RuntimeError:
        pass
    return sys.modules["trio"].lowlevel.current_trio_token()
