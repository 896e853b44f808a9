"""What the shards of the tests do, here and in other processes, and the service that they do it with."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from klickdoxie_core import ApiClient, ConfigError, Effect, Forbidden, Journal, NotFound, State
from klickdoxie_core.sandbox import Answer, Inbound, Route, SandboxBase
from klickdoxie_core.sharding import ShardRun

CALLS: Counter[str] = Counter()
"""How often each item was sent, in this process."""
HOOKS: list[Callable[[str], Awaitable[None]]] = []
"""What happens besides when an item is sent, in this process."""


TURNS: list[tuple[str, float]] = []
"""Who got a turn and when, in this process."""


class Service(SandboxBase):
    """Takes items and counts them.

    Attributes:
        sent: How often each item has come.
        senders: How many came from each process.
        times: When each came, and when one was refused.
        hook: Told of the process that has sent an item; what it returns is answered instead.
    """

    def __init__(self) -> None:
        route = Route(operation="Send", method="POST", template="/send", handler=self._send)
        super().__init__([route])
        self.sent: Counter[str] = Counter()
        self.senders: Counter[int] = Counter()
        self.times: list[float] = []
        self.hook: Callable[[int], Answer | None] = lambda pid: None

    def _send(self, inbound: Inbound) -> Answer:
        sent = json.loads(inbound.body)
        self.times.append(anyio.current_time())
        if (answer := self.hook(sent["pid"])) is not None:
            return answer
        self.sent[sent["item"]] += 1
        self.senders[sent["pid"]] += 1
        return Answer.of({"ok": True})


async def send(run: ShardRun) -> None:
    """Send each item to the service, at most once."""
    async with ApiClient({}, base_url=str(run.shard.options["url"]), limit=run.limit) as client:

        async def call(item: str) -> None:
            await client.request("POST", "/send", body={"item": item, "pid": os.getpid()})

        await run.bulk(call)


async def count(run: ShardRun) -> None:
    """Count each item in this process; what its name says goes wrong."""

    async def call(item: str) -> str:
        CALLS[item] += 1
        await anyio.lowlevel.checkpoint()
        for hook in HOOKS:
            await hook(item)
        if item.startswith("gibt es nicht"):
            raise NotFound("there is no such item")
        if item.startswith("verboten"):
            raise Forbidden("the permission is missing")
        return f"<{item}>"

    await run.bulk(call, keep=str)


async def count_again(run: ShardRun) -> None:
    """Count each item, and what an earlier run left in doubt under another name."""

    async def call(item: str) -> None:
        CALLS[item] += 1

    async def look(item: str) -> None:
        CALLS[f"{item}?"] += 1

    await run.bulk(call, effect=Effect.ONCE, reconcile=look)


async def take_turns(run: ShardRun) -> None:
    """Take a turn for each item, a hundred a second; one of them is told to slow down."""
    permits = run.limit.permits
    assert permits is not None

    async def call(item: str) -> None:
        await permits.take()
        TURNS.append((item, anyio.current_time()))
        if item == "429":
            permits.pause(0.5)
        await anyio.sleep(0.01)

    await run.bulk(call)


async def missing_variable(run: ShardRun) -> None:
    """Find that this machine does not know the password."""
    raise ConfigError("the environment lacks SERVICE_PASSWORD")


async def lose(run: ShardRun) -> None:
    """Lose the journal, as when a folder is not there any more."""
    await anyio.Path(run.shard.journal).unlink()


async def mistake(run: ShardRun) -> None:
    """Be wrong, also on the second try."""
    CALLS["mistake"] += 1
    raise ZeroDivisionError


async def entries_of(path: Path) -> list[tuple[Any, str]]:
    """What a journal says of its items, in their order."""
    async with Journal(path, job="test") as journal:
        return [(entry.payload, entry.state.value) async for entry in journal.entries()]


def total_of(counts: Any) -> dict[str, int]:
    """Counts by the words of the states."""
    return {State(state).value: number for state, number in counts.items()}
