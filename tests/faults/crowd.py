"""What the tests of broken off jobs share: time that nobody waits for, and calls that are answered only together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

from klickdoxie_core import ApiClient, Clock
from klickdoxie_core.entry import Entry
from klickdoxie_core.journal import Journal
from tests.core.support import gathered, tasks


class QuickTime:
    """Time that moves on by what is slept, at once."""

    def __init__(self) -> None:
        self.time = 1000.0

    def clock(self) -> Clock:
        """The clock as it is handed to a client."""
        return Clock(monotonic=lambda: self.time, sleep=self._sleep, random=lambda: 0.5)

    async def _sleep(self, seconds: float) -> None:
        until = self.time + max(0.0, seconds)
        await anyio.lowlevel.checkpoint()
        self.time = max(self.time, until)


class Crowd:
    """Lets those go on who wait, as soon as there are so many of them; by default everybody at once.

    Attributes:
        size: How many must wait.
        most: How many have ever waited together.
    """

    def __init__(self) -> None:
        self.size = 1
        self.most = 0
        self._waiting = 0
        self._complete = anyio.Event()

    def clock(self) -> Clock:
        """A clock for a sandbox, whose latency is the crowd."""
        return Clock(sleep=self.meet)

    async def meet(self, _: float = 0.0) -> None:
        """Wait for the others."""
        self._waiting += 1
        self.most = max(self.most, self._waiting)
        complete = self._complete
        if self._waiting >= self.size:
            complete.set()
            self._waiting, self._complete = 0, anyio.Event()
        await complete.wait()
        await anyio.lowlevel.checkpoint()


class Aftermath:
    """Looks whether a client is as good as before a job was broken off.

    Args:
        client: The client.
        limit: How many calls it may have under way.
        call: A call that succeeds.
        crowd: What holds the answers back until so many are asked for.
        others: How many tasks a server has now.
    """

    def __init__(
        self,
        client: ApiClient,
        limit: int,
        call: Callable[[], Awaitable[object]],
        crowd: Crowd,
        *,
        others: Callable[[], int] = lambda: 0,
    ) -> None:
        self._client = client
        self._limit = limit
        self._call = call
        self._crowd = crowd
        self._others = others
        self._tasks = tasks() - others()

    async def is_clean(self) -> None:
        """No task is left, every permit is back, one call works, and as many as may be under way at once do so."""
        assert tasks() - self._others() == self._tasks, "a task is left"
        assert free_slots(self._client) == self._limit, "a permit of the limiter is lost"
        await self._call()
        self._crowd.size, self._crowd.most = self._limit, 0
        results = await gathered(lambda _: self._call(), 2 * self._limit)
        failed = [result for result in results if isinstance(result, Exception)]
        assert not failed, failed[0]
        assert self._crowd.most == self._limit, "a connection is lost"
        self._crowd.size = 1
        assert free_slots(self._client) == self._limit


def free_slots(client: ApiClient) -> int:
    """How many calls the limiter would let start now."""
    limiter: Any = client._engine.limiter
    return int(limiter._slots.value)


async def entries_in(journal: Journal) -> dict[str, Entry]:
    """What a journal says, by key."""
    async with journal:
        return {entry.key: entry async for entry in journal.entries()}
