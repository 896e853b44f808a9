"""Many calls at once, from any source, in flat memory: `async with bulk(call, items) as outcomes: async for …`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Iterable, Sized
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast

import anyio
import anyio.lowlevel
import attrs

from klickdoxie_core.breaker import Breaker, state_after
from klickdoxie_core.call import Effect
from klickdoxie_core.clock import Clock
from klickdoxie_core.entry import State
from klickdoxie_core.errors import ArgumentError, ConfigError, JobStopped, SdkError
from klickdoxie_core.journaled import Journaled, NotAsync, Plain, awaitable
from klickdoxie_core.progress import OnProgress, Progress, Tally
from klickdoxie_core.watch import Watch

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    # SQLite comes with the first journal, not with every program.
    from klickdoxie_core.journal import Journal

I = TypeVar("I")  # noqa: E741 - item
R = TypeVar("R")

_END = object()
_USE = "use it as: async with bulk(…) as outcomes: async for outcome in outcomes"


def _error_shown(error: Exception | None) -> str:
    """The text of an error that is not the SDK's may be personal."""
    return repr(error) if error is None or isinstance(error, SdkError) else type(error).__name__


@attrs.frozen(kw_only=True)
class Outcome(Generic[I, R]):
    """What became of one item: a result, or the error that its call raised.

    Attributes:
        item: What was handed in.
        result: What the call returned.
        error: What it raised; None when it is done.
        state: DONE; FAILED when it was refused for good; UNKNOWN when it may have been carried out and must not be
            sent again; PENDING when it may succeed another time. After an error that is not the SDK's it is UNKNOWN
            with `Effect.ONCE`, since nobody knows what was done before, and FAILED otherwise.
    """

    item: I = attrs.field(repr=False)
    result: R | None = attrs.field(default=None, repr=False)
    error: Exception | None = attrs.field(default=None, repr=_error_shown)
    state: State = State.DONE

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

    With a journal the job can be broken off at any point and run again with the same journal, opened anew: what an
    earlier run settled is skipped and has no outcome; what it left under way is called again if `effect` permits that,
    else handed to `reconcile`, else it is UNKNOWN and not sent again. Calls with `Effect.ONCE` that are under way when
    the block is left or cancelled have five seconds to finish.

    Args:
        call: What is done with each item.
        items: Where they come from.
        concurrency: Calls under way at once, from 1.
        journal: Where the job keeps what became of the items; opened and closed by the caller. None keeps nothing.
        key: What tells an item from all others, in the journal; not needed for texts and whole numbers.
        effect: Whether a call may be sent again.
        reconcile: Called instead of `call` for an item that an earlier run left in doubt; finds out what became of it,
            does what is missing, and returns the result.
        again: States of an earlier run whose items are called anew: FAILED after the cause was mended; UNKNOWN only
            where doing it twice is harmless or was ruled out by hand. What is UNKNOWN goes to `reconcile` if there is
            one.
        keep: What of a result goes into the journal, as JSON can hold it; None keeps nothing of it.
        breaker: When the job waits or stops by itself; None for `Breaker()` with a journal, and never without.
        on_progress: Told of the figures, at most ten times a second and once when the block is left.
        total: How many items there are; None asks the source, which may not know.
        clock: Time, for the pauses in an outage and the figures.

    Raises:
        ArgumentError: An argument is out of its range; an item has no key of its own and none is given.
        ConfigError: `call` is no async function, which is found out at the first item; it is iterated before it is
            entered, or after it was left before its end; or it is entered twice.
        JobStopped: Raised by the iteration, after the outcomes of all that was under way: going on was senseless, or
            the job was cancelled and who takes the outcomes was not.
    """

    def __init__(
        self,
        call: Callable[[I], Awaitable[R]],
        items: Iterable[I] | AsyncIterable[I],
        *,
        concurrency: int = 16,
        journal: Journal | None = None,
        key: Callable[[I], str] | None = None,
        effect: Effect = Effect.ONCE,
        reconcile: Callable[[I], Awaitable[R]] | None = None,
        again: Collection[State] = (),
        keep: Callable[[R], object] | None = None,
        breaker: Breaker | None = None,
        on_progress: OnProgress | None = None,
        total: int | None = None,
        clock: Clock = Clock(),  # noqa: B008 - a frozen value
    ) -> None:
        _check_kinds(items, concurrency, journal)
        _check_functions(call=call, key=key, reconcile=reconcile, keep=keep, on_progress=on_progress)
        if reconcile is not None and journal is None:
            raise ArgumentError("reconcile needs a journal: without one nothing is known of an earlier run")
        if again and journal is None:
            raise ArgumentError("again needs a journal: without one nothing is known of an earlier run")
        self._call = call
        self._effect = effect
        # A plain iterator is asked without a coroutine: half of what an item costs.
        self._waits = isinstance(items, AsyncIterable)
        self._next = _puller(items) if isinstance(items, AsyncIterable) else partial(next, iter(items), _END)
        self._workers = 0
        self._room = concurrency
        self._ready: deque[Outcome[I, R]] = deque()
        self._failure: Exception | None = None
        self._going = True
        self._stopped = False
        self._entered = False
        self._left = False
        self._left_early = False
        self._cut_short = False
        self._news = _Signal()
        self._space = _Signal()
        self._tally = Tally(len(items) if total is None and isinstance(items, Sized) else total, on_progress, clock)
        self._watch: Watch[I, R] | None = None
        if journal is not None:
            runner = Journaled(call, effect, journal, key=key, reconcile=reconcile, keep=keep, again=again)
            self._watch = Watch(runner, breaker or Breaker(), effect, self._tally, clock)
        elif breaker is not None or on_progress is not None:
            self._watch = Watch(Plain(call, effect), breaker, effect, self._tally, clock)

    @property
    def progress(self) -> Progress:
        """The figures so far."""
        return self._tally.figures()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """Start no further item; what is under way is finished, and then the iteration ends.

        May be called from a signal handler. A source that has nothing to hand out yet is waited for; what it then
        hands out is not started.
        """
        self._stopped = True
        self._going = False
        if self._watch is not None:
            self._watch.going = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ConfigError(f"a bulk job can be entered once; {_USE}")
        self._entered = True
        self._group: TaskGroup = anyio.create_task_group()
        await self._group.__aenter__()
        self._tally.begin()
        self._workers = self._room
        for _ in range(self._workers):
            self._group.start_soon(self._work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._going = False
        self._left = True
        self._left_early = self._workers > 0
        self._group.cancel_scope.cancel()
        try:
            if self._watch is not None:
                await self._watch.wind_up()
        finally:
            try:
                # Without the caller's exception: the group would wrap it into an exception group.
                await self._group.__aexit__(None, None, None)
            finally:
                # A worker that an event loop has cancelled before its first step has not counted itself out.
                self._workers = 0
                self._news.give()
                self._tally.end()

    def __aiter__(self) -> AsyncIterator[Outcome[I, R]]:
        return self

    async def __anext__(self) -> Outcome[I, R]:
        while not self._ready:
            if not self._workers:
                if self._cut_short:
                    # Who works was cancelled, and who takes the outcomes is about to be: that is no end of the job.
                    await anyio.lowlevel.checkpoint()
                # Only now: what was under way may have been carried out, and is told first.
                raise self._end()
            await self._news.wait()
        outcome = self._ready.popleft()
        if self._space.awaited and len(self._ready) < self._room:
            self._space.give()
        return outcome

    async def _work(self) -> None:
        try:
            await self._work_off()
        except Exception as error:  # noqa: BLE001 - the source failed; raised to whoever takes the outcomes
            self._failure = error
            self._going = False
        except BaseException as error:
            self._cut_short = not self._left
            self._going = False
            if not isinstance(error, anyio.get_cancelled_exc_class()):
                raise
            # Who was cancelled by a scope ends here. What a cancelled future raises ends the job; raised further, it
            # would cancel the group, and with it a caller whom nobody has cancelled.
            await anyio.lowlevel.checkpoint_if_cancelled()
        finally:
            self._workers -= 1
            self._news.give()

    async def _work_off(self) -> None:
        call, watch, ready = self._call, self._watch, self._ready
        outcome: Outcome[I, R] | None
        while self._going:
            found = self._next()
            item = cast("I", await cast("Awaitable[I]", found) if self._waits else found)
            if item is _END or not self._going:
                return
            if watch is not None:
                outcome = await self._watched(watch, item)
            else:
                # Who wants no watch pays for none of it, not even for another coroutine.
                try:
                    outcome = Outcome(item=item, result=await awaitable(call(item)))
                    self._tally.ok += 1
                except NotAsync:
                    raise
                except Exception as error:  # noqa: BLE001 - any error of a call belongs to its item
                    outcome = self._failed(item, error)
            if outcome is not None:
                ready.append(outcome)
                if self._news.awaited:
                    self._news.give()
            while len(ready) >= self._room:
                await self._space.wait()

    def _failed(self, item: I, error: Exception) -> Outcome[I, R]:
        state = state_after(error, self._effect)
        self._tally.add(state)
        return Outcome(item=item, error=error, state=state)

    async def _watched(self, watch: Watch[I, R], item: I) -> Outcome[I, R] | None:
        """Run an item with everything that was asked for; None when there is nothing to tell of it."""
        ran = await watch.run(item)
        if not watch.going:
            self._going = False
        if ran is not None and isinstance(ran.error, NotAsync):
            raise ran.error
        if ran is None or (ran.state is not State.DONE and ran.error is None):
            return None
        return Outcome(item=item, result=ran.result, error=ran.error, state=ran.state)

    def _end(self) -> Exception:
        if not self._entered:
            return ConfigError(_USE)
        stopped = self._watch.error() if self._watch is not None else None
        if self._cut_short and stopped is None:
            stopped = JobStopped("the job was cancelled before it came to its end")
        known = self._failure or stopped
        if known is None and self._left_early:
            return ConfigError(f"the block was left before the job came to its end; {_USE}")
        return known or StopAsyncIteration()


def _check_kinds(items: object, concurrency: object, journal: object) -> None:
    """Raise ArgumentError for what callers without types hand over, such as half of a number of processors."""
    if not (isinstance(items, Iterable | AsyncIterable) or hasattr(items, "__getitem__")):
        msg = f"items must be a list, an iterator or an async iterator, not {type(items).__name__}"
        raise ArgumentError(msg)
    if not isinstance(concurrency, int) or concurrency < 1:
        raise ArgumentError("concurrency must be a whole number from 1")
    if isinstance(journal, str | PathLike):
        raise ArgumentError("journal must be an open journal: async with Journal(path, job=…) as journal")


def _check_functions(call: object, **others: object) -> None:
    for name, function in {"call": call, **others}.items():
        if not callable(function) and (function is not None or name == "call"):
            msg = f"{name} must be a function, not {type(function).__name__}"
            raise ArgumentError(msg)


class _Signal:
    """One event for all who wait: a new one for each would leave the earlier waiters behind for ever.

    Attributes:
        awaited: Whether anybody may be waiting; asking that costs less than setting an event for nobody.
    """

    __slots__ = ("_event", "awaited")

    def __init__(self) -> None:
        self.awaited = False

    async def wait(self) -> None:
        if not self.awaited:
            self.awaited = True
            self._event = anyio.Event()
        await self._event.wait()

    def give(self) -> None:
        if self.awaited:
            self.awaited = False
            self._event.set()


def _puller(items: AsyncIterable[I]) -> Callable[[], Awaitable[I | object]]:
    # An async generator must not be entered by two tasks at once.
    lock = anyio.Lock(fast_acquire=True)
    iterator = aiter(items)
    ended = False

    async def pull() -> I | object:
        nonlocal ended
        try:
            lock.acquire_nowait()
        except anyio.WouldBlock:
            await lock.acquire()
        try:
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
        finally:
            lock.release()

    return pull
