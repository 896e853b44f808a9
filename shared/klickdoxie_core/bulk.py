"""Many calls at once, from any source, in flat memory: `async with bulk(call, items) as outcomes: async for …`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

import anyio
import attrs
from anyio.abc import TaskGroup

from klickdoxie_core.errors import ArgumentError

I = TypeVar("I")  # noqa: E741 - item
R = TypeVar("R")

_END = object()


@attrs.frozen(kw_only=True)
class Outcome(Generic[I, R]):
    """What became of one item: a result, or the error that its call raised."""

    item: I = attrs.field(repr=False)
    result: R | None = attrs.field(default=None, repr=False)
    error: Exception | None = None

    def unwrap(self) -> R:
        """The result; raises the error where there is one."""
        if self.error is not None:
            raise self.error
        return cast("R", self.result)


class bulk(Generic[I, R]):  # noqa: N801 - used like a function
    """Calls `call(item)` for every item, at most `concurrency` at a time, and hands out the outcomes as they come.

    The items may come from a list, an iterator, or an async iterator without end; they are pulled only as fast as
    the outcomes are taken. Outcomes come in no particular order. An error of a call is that item's outcome; an error
    of the source itself is raised. Leaving the block early cancels what is under way and leaves no task behind.
    """

    def __init__(
        self,
        call: Callable[[I], Awaitable[R]],
        items: Iterable[I] | AsyncIterable[I],
        *,
        concurrency: int = 16,
    ) -> None:
        if concurrency < 1:
            raise ArgumentError("concurrency must be a whole number from 1")
        self._call = call
        self._pull = _puller(items)
        self._workers = concurrency
        self._room = concurrency
        self._ready: deque[Outcome[I, R]] = deque()
        self._failure: Exception | None = None
        self._news = anyio.Event()
        self._space = anyio.Event()

    async def __aenter__(self) -> Self:
        self._group: TaskGroup = anyio.create_task_group()
        await self._group.__aenter__()
        for _ in range(self._workers):
            self._group.start_soon(self._work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._group.cancel_scope.cancel()
        # Without the caller's exception: the group would wrap it into an exception group.
        await self._group.__aexit__(None, None, None)

    def __aiter__(self) -> AsyncIterator[Outcome[I, R]]:
        return self

    async def __anext__(self) -> Outcome[I, R]:
        while not self._ready:
            if not self._workers:
                # Only now: what was under way when the source failed may have been carried out, and is told first.
                raise self._failure or StopAsyncIteration
            await self._wait_for_news()
        outcome = self._ready.popleft()
        if len(self._ready) < self._room:
            self._space.set()
        return outcome

    async def _work(self) -> None:
        try:
            while self._failure is None and (item := await self._pull()) is not _END:
                self._ready.append(await self._outcome(cast("I", item)))
                self._news.set()
                while len(self._ready) >= self._room:
                    await self._wait_for_space()
        except Exception as error:  # noqa: BLE001 - the source failed; raised to whoever takes the outcomes
            self._failure = error
        finally:
            self._workers -= 1
            self._news.set()

    # One event for all who wait: a new one for each would leave the earlier waiters behind for ever.

    async def _wait_for_news(self) -> None:
        if self._news.is_set():
            self._news = anyio.Event()
        await self._news.wait()

    async def _wait_for_space(self) -> None:
        if self._space.is_set():
            self._space = anyio.Event()
        await self._space.wait()

    async def _outcome(self, item: I) -> Outcome[I, R]:
        try:
            return Outcome(item=item, result=await self._call(item))
        except Exception as error:  # noqa: BLE001 - any error of a call belongs to its item
            return Outcome(item=item, error=error)


def _puller(items: Iterable[I] | AsyncIterable[I]) -> Callable[[], Awaitable[I | object]]:
    if isinstance(items, AsyncIterable):
        return _pull_async(aiter(items))
    iterator = iter(items)

    async def pull() -> I | object:
        return next(iterator, _END)

    return pull


def _pull_async(iterator: AsyncIterator[I]) -> Callable[[], Awaitable[I | object]]:
    # An async generator must not be entered by two tasks at once.
    lock = anyio.Lock(fast_acquire=True)
    ended = False

    async def pull() -> I | object:
        nonlocal ended
        async with lock:
            if ended:
                return _END
            # Until it has handed out another item, also when it raises.
            ended = True
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                return _END
            ended = False
            return item

    return pull
