"""Running a shard: the same coroutine in this process and on a machine far away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeVar

import anyio
import attrs

from klickdoxie_core.breaker import Breaker
from klickdoxie_core.bulk import bulk
from klickdoxie_core.call import Effect
from klickdoxie_core.clock import Clock
from klickdoxie_core.entry import UNSETTLED, Entry, State
from klickdoxie_core.errors import ConfigError, JournalError, SdkError
from klickdoxie_core.journal import states_in
from klickdoxie_core.options import Limit
from klickdoxie_core.progress import Progress
from klickdoxie_core.sharding.foreman import ForemanLike
from klickdoxie_core.sharding.permits import Lease, SharedPermits
from klickdoxie_core.sharding.shard import Shard, ShardReport, loaded
from klickdoxie_core.sharding.splitting import reopened

R = TypeVar("R")
T = TypeVar("T")

_INTERVAL: Final = 0.2
# To get at a journal: twice as long as somebody who has lost the foreman needs to notice it.
_ATTEMPTS: Final = 20


class ShardRun:
    """A shard while it is run: what its function gets to work with.

    Attributes:
        shard: The shard.
        limit: How much its client may send; hand it to the client, and the rate is shared with all other shards.
        progress: Its latest figures; None before there are any.
        stopped: Whether it shall end in good order.
        lost: Whether nobody answers how fast it may go; then it is stopped, too.
    """

    def __init__(self, shard: Shard, foreman: ForemanLike, patience: float, clock: Clock) -> None:
        self.shard = shard
        self._foreman = foreman
        self._patience = patience
        self._clock = clock
        self._permits = SharedPermits(self._lease, clock)
        self.limit = Limit(concurrency=shard.concurrency, permits=self._permits)
        self._settled = 0
        self._running: bulk[Entry, Any] | None = None
        self._on_stop: list[Callable[[], object]] = []
        self.progress: Progress | None = None
        self.stopped = False
        self.lost = False

    async def bulk(
        self,
        call: Callable[[Any], Awaitable[R]],
        *,
        effect: Effect = Effect.ONCE,
        reconcile: Callable[[Any], Awaitable[R]] | None = None,
        keep: Callable[[R], object] | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        """Call `call(item)` for every item of the shard that needs it, with the shard's journal.

        Args:
            call: What is done with each item, as it was listed.
            effect: Whether a call may be sent again.
            reconcile: Called instead for an item that an earlier run left in doubt.
            keep: What of a result goes into the journal.
            breaker: When the shard waits or stops by itself.

        Raises:
            JobStopped: Going on was senseless.
            JournalError: The journal is damaged, or in use by another worker.
        """
        find_out = None if reconcile is None else _with_payload(reconcile)
        async with reopened(self.shard.journal) as journal, aclosing(journal.entries(*UNSETTLED)) as entries:
            running = self._running = bulk(
                _with_payload(call),
                entries,
                concurrency=self.shard.concurrency,
                journal=journal,
                key=_key_of,
                effect=effect,
                reconcile=find_out,
                keep=keep,
                breaker=breaker,
                on_progress=self.tell,
                clock=self._clock,
            )
            self.when_stopped(running.stop)
            async with running as outcomes:
                async for _ in outcomes:
                    pass

    def tell(self, progress: Progress) -> None:
        """Tell how far the items are that this run has found unsettled; hand it over as `on_progress`."""
        before = self._settled
        done, skipped = progress.done + before, progress.skipped + before
        self.progress = attrs.evolve(progress, done=done, skipped=skipped, total=self.shard.items)

    def when_stopped(self, stop: Callable[[], object]) -> None:
        """Say what is to be called when the shard shall end in good order."""
        self._on_stop.append(stop)
        if self.stopped:
            stop()

    async def take_over(self) -> None:
        """Wait until whoever ran the shard before has let go of its journal, and raise JournalError in the end."""
        left = _ATTEMPTS
        while True:
            try:
                async with reopened(self.shard.journal) as journal:
                    counts = await states_in(journal)
                    self._settled = sum(number for state, number in counts.items() if state not in UNSETTLED)
                    return
            except JournalError:
                left -= 1
                if not left:
                    raise
            await self._clock.sleep(2 * self._patience / _ATTEMPTS)

    async def report(self) -> None:
        """Tell how far it is, and do what one is told."""
        if self._running is not None:
            # What it told last may be a while ago.
            self.tell(self._running.progress)
        wish = self._permits.take_wish()
        word = await self._answer(self._foreman.report(self.shard.number, self.progress, wish))
        if word is not None:
            self._permits.hold(word.pause)
            if word.stop:
                self._stop()

    async def keep_reporting(self) -> None:
        """Tell how far it is, again and again, and at once what the service wishes."""
        while True:
            with anyio.move_on_after(_INTERVAL):
                await self._permits.wait_for_wish()
            await self.report()

    async def _lease(self) -> Lease | None:
        # Without an answer the few calls that are under way may end.
        return await self._answer(self._foreman.lease())

    def _stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            for stop in self._on_stop:
                stop()

    async def _answer(self, answer: Awaitable[T]) -> T | None:
        try:
            with anyio.fail_after(self._patience):
                return await answer
        except Exception:  # noqa: BLE001 - whatever it is called, the foreman is gone; told by the report
            self.lost = True
            # Nobody says any more how fast it may go, so that no other item may start.
            self._stop()
            return None


async def run_shard(
    shard: Shard,
    foreman: ForemanLike,
    *,
    patience: float = 10.0,
    clock: Clock = Clock(),  # noqa: B008 - a frozen value
) -> ShardReport:
    """Run a shard to its end, or go on with one that was broken off, wherever that was.

    Args:
        shard: The shard.
        foreman: Who shares out the rate and says when to stop.
        patience: Seconds to wait for an answer of the foreman, and twice that for a journal that is still in use.
        clock: Time, for pauses.

    Returns:
        What became of it, also when it stopped by itself.

    Raises:
        Exception: What the shard's function raises, unless it is an error of the SDK, which is reported.
    """
    run = ShardRun(shard, foreman, patience, clock)
    await run.report()
    if run.stopped:
        return ShardReport(number=shard.number, lost=run.lost)
    error: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(run.keep_reporting)
        error = await _worked(run)
        group.cancel_scope.cancel()
    if error is not None and not isinstance(error, SdkError):
        raise error
    return await _report(run, error)


async def _worked(run: ShardRun) -> Exception | None:
    """Do the work, and return the error that ended it: the group would wrap it into an exception group."""
    try:
        work = loaded(run.shard.work)
        await run.take_over()
        await work(run)
    except Exception as error:  # noqa: BLE001 - raised or reported by the caller
        return error
    return None


async def _report(run: ShardRun, error: SdkError | None) -> ShardReport:
    cause = None if error is None else error.__cause__
    return ShardReport(
        number=run.shard.number,
        counts=await _counts(run.shard, error),
        progress=run.progress,
        error=error,
        cause=cause if isinstance(cause, SdkError) else None,
        lost=run.lost,
    )


async def _counts(shard: Shard, error: SdkError | None) -> Mapping[State, int]:
    try:
        async with reopened(shard.journal) as journal:
            return dict(await states_in(journal))
    except ConfigError:
        if error is None:
            raise
        # Why it cannot be opened was told by the error.
        return {}


def _with_payload(call: Callable[[Any], Awaitable[R]]) -> Callable[[Entry], Awaitable[R]]:
    return lambda entry: call(entry.payload)


def _key_of(entry: Entry) -> str:
    return entry.key
