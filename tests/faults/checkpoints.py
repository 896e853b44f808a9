"""Breaking a job off at its n-th checkpoint, for n = 1, 2, 3 … up to its end.

A checkpoint is a step of one of the job's tasks that ends in waiting: where a coroutine yields to the event loop. They
are counted from outside, over the task of the job and all tasks that it starts, which are told by a context variable.

On asyncio a task factory puts a shell around the coroutine of each such task; the shell hands `send` and `throw`
through and counts what comes back. On trio an instrument is called after each step of a task. Neither changes the order
in which things happen, and both call the cancellation from within the step that is counted, so that a number always
means the same moment. Only worker threads, sockets and the shuffling of trio may change what happens before it; the
last of them is seeded with the number.
"""

from __future__ import annotations

import asyncio
import enum
import os
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
import trio

_RUN: ContextVar[Run | None] = ContextVar("run", default=None)
_LAST = 5
_SECONDS = 10.0

Act = Callable[[], Awaitable[object]]


class How(enum.Enum):
    """How a job is broken off."""

    SCOPE = "scope"
    """A cancel scope around it is cancelled."""
    TASK = "task"
    """`task.cancel()`, just as the task begins to wait; asyncio only."""
    LATE = "late"
    """`task.cancel()`, just when what the task waited for has come, and before it runs again; asyncio only."""


WAYS = pytest.mark.parametrize(
    ("anyio_backend", "how"),
    [("asyncio", How.SCOPE), ("asyncio", How.TASK), ("asyncio", How.LATE), ("trio", How.SCOPE)],
    ids=lambda value: value.value if isinstance(value, How) else value,
)
"""Every way to break a job off, each on the event loops where there is such a thing."""


class Run:
    """One run of a job: call it with the job, once.

    Attributes:
        number: The checkpoint at which the job is broken off; None lets it run to its end.
        seen: How many checkpoints there were.
        finished: Whether the job came to its end.
    """

    def __init__(self, number: int | None, how: How) -> None:
        self.number = number
        self.how = how
        self.seen = 0
        self.finished = False
        self._cancel: Callable[[], object] = lambda: None

    async def __call__(self, act: Act) -> bool:
        """Run the job, and break it off where that is due; whether it came to its end."""
        token = _RUN.set(self)
        try:
            await (self._on_asyncio(act) if _is_asyncio() else self._on_trio(act))
        finally:
            _RUN.reset(token)
        return self.finished

    async def _on_asyncio(self, act: Act) -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._make_task)
        root = asyncio.ensure_future(self._job(act))
        if self.how is not How.SCOPE:
            self._cancel = root.cancel
        try:
            await asyncio.wait([root])
        finally:
            loop.set_task_factory(None)
            root.cancel()
        if not root.cancelled():
            root.result()
            assert not root.cancelling(), "the cancellation was swallowed"

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        ours = _RUN.get() is self
        return asyncio.Task(_Shell(coroutine, self) if ours else coroutine, loop=loop, **options)

    async def _on_trio(self, act: Act) -> None:
        instrument = _Counter(self)
        trio.lowlevel.add_instrument(instrument)
        trio._core._run._r.seed(self.number)  # what shuffles the tasks that can run
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._job, act)
        finally:
            trio.lowlevel.remove_instrument(instrument)

    async def _job(self, act: Act) -> None:
        with anyio.CancelScope() as scope:
            if self.how is How.SCOPE:
                self._cancel = scope.cancel
            await act()
            self.finished = True

    def step(self, waits_for: object = None) -> None:
        """Count a step that ended in waiting for something."""
        self.seen += 1
        if self.seen != self.number:
            return
        if self.how is not How.LATE:
            self._cancel()
        elif isinstance(waits_for, asyncio.Future):
            # Ahead of the callback by which the task itself is woken.
            waits_for.add_done_callback(lambda _: self._cancel())
        else:
            asyncio.get_running_loop().call_soon(self._cancel)


class _Shell(Coroutine[Any, Any, Any]):
    """Stands around the coroutine of a task, and counts its steps."""

    def __init__(self, inner: Coroutine[Any, Any, Any], run: Run) -> None:
        self._inner = inner
        self._run = run

    def send(self, value: Any) -> Any:
        waits_for = self._inner.send(value)
        self._run.step(waits_for)
        return waits_for

    def throw(self, *error: Any) -> Any:
        waits_for = self._inner.throw(*error)
        self._run.step(waits_for)
        return waits_for

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        # anyio looks whether a task's coroutine has begun.
        return getattr(self._inner, name)


class _Counter(trio.abc.Instrument):
    """Counts the steps of all tasks of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count it if it is one of ours."""
        if task.context.get(_RUN) is self._run:
            self._run.step()


async def at_each_checkpoint(
    how: How, trial: Callable[[Run], Awaitable[None]], *, first: int = 60, sample: int = 20
) -> None:
    """Try what a job leaves behind when it is broken off at each of its checkpoints.

    Of a job with many of them, all are tried at its beginning and the last five, and a sample between, another one for
    each way to break it off but always the same. All are tried where the environment says KLICKDOXIE_CHECKPOINTS=all.

    Args:
        how: How it is broken off.
        trial: Prepares everything anew, calls the run with the job, and looks at what is left. It is first given a run
            to the end.
        first: How many are the beginning.
        sample: The size of the sample.
    """
    whole = await _tried(Run(None, how), trial)
    assert whole.finished, "a job that nobody broke off has not finished"
    assert whole.seen, "a job without a checkpoint cannot be broken off"
    broken_off = 0
    for number in _numbers(whole.seen, first, sample, how):
        broken_off += not (await _tried(Run(number, how), trial)).finished
    assert broken_off, "no run was broken off"


def _numbers(seen: int, first: int, sample: int, how: How) -> list[int]:
    numbers = range(1, seen + 1)
    if os.environ.get("KLICKDOXIE_CHECKPOINTS") == "all":
        return list(numbers)
    middle = numbers[first:-_LAST]
    chosen = random.Random(how.value).sample(middle, min(sample, len(middle)))
    return sorted({*numbers[:first], *chosen, *numbers[-_LAST:]})


async def _tried(run: Run, trial: Callable[[Run], Awaitable[None]]) -> Run:
    try:
        with anyio.fail_after(_SECONDS):
            await trial(run)
    except BaseException as error:
        error.add_note(f"broken off at checkpoint {run.number} of {run.seen} ({run.how.value})")
        raise
    return run


def _is_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
