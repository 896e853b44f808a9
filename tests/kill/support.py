"""Commands in processes of their own, and how they are killed when they least expect it."""

from __future__ import annotations

import enum
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import attrs
from anyio.abc import Process

from klickdoxie_core.asgi import AsgiApp, Message, Receive, Scope, Send

ROOT = Path(__file__).parents[2]
KILLED = -9
"""What the process of a command returns that was killed."""

_DEADLINE = 40


class Moment(enum.StrEnum):
    """When a command is killed: a request has come and is never carried out, or it was and its answer is never sent."""

    NOT_CARRIED_OUT = "instead of"
    CARRIED_OUT = "before"


class Executioner:
    """Hands requests to a service, and kills the process that they come from when their number has come.

    Attributes:
        url: Where it listens.
        app: The service.
        seen: Requests of the running process so far.
    """

    def __init__(self) -> None:
        self.url = ""
        self.app: AsgiApp
        self.seen = 0
        self._process: Process | None = None
        self._at = 0
        self._moment = Moment.NOT_CARRIED_OUT

    async def run(
        self, module: str, arguments: Sequence[object], env: Mapping[str, str], folder: Path, death: Death | None = None
    ) -> int:
        """Run `python -m module arguments` in a folder and return its exit code; its output is kept there, too."""
        self.seen, self._at, self._moment = 0, *((death.at, death.moment) if death else (0, Moment.NOT_CARRIED_OUT))
        command = [sys.executable, "-m", module, *map(str, arguments)]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "shared")])
        with (folder / "output.txt").open("wb") as output, anyio.fail_after(_DEADLINE):
            self._process = await anyio.open_process(
                command, stdout=output, stderr=output, cwd=folder, env=os.environ | env | {"PYTHONPATH": paths}
            )
            try:
                return await self._process.wait()
            finally:
                if self._process.returncode is None:
                    self._process.kill()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless somebody dies."""
        self.seen += 1
        if self.seen != self._at:
            await self.app(scope, receive, send)
        elif self._moment is Moment.NOT_CARRIED_OUT:
            self._kill()
            await _nothing(send)
        else:
            await self.app(scope, receive, self._killing(send))

    def _killing(self, send: Send) -> Send:
        async def killing(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._kill()
            await send(message)

        return killing

    def _kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)


@attrs.frozen
class Death:
    """When a process is killed: at which of its requests, counted from 1."""

    at: int
    moment: Moment


@attrs.frozen
class End:
    """When a run is killed: the share of its requests that have come by then."""

    share: float
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} the answer at {self.share:.0%}"

    def of(self, requests: int) -> Death:
        """The death in a run of so many requests, which comes before its end."""
        return Death(max(1, min(requests - 2, round(self.share * requests))), self.moment)


def ends(cases: int, seed: int) -> list[End]:
    """So many ends, spread over a whole run."""
    chance = random.Random(seed)
    return [End((number + chance.random()) / cases, chance.choice([*Moment])) for number in range(cases)]


def said(folder: Path) -> str:
    """What the latest command wrote."""
    return (folder / "output.txt").read_text(encoding="utf-8", errors="replace")


async def _nothing(send: Send) -> None:
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
