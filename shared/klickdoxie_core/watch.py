"""Running the items of a job under the eyes of its breaker: going on, waiting out an outage, or stopping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import anyio

from klickdoxie_core.breaker import Breaker, Circuit, Stop, state_after, text_of
from klickdoxie_core.call import Effect
from klickdoxie_core.clock import Clock
from klickdoxie_core.entry import State
from klickdoxie_core.errors import JobStopped, JournalError, RateLimited
from klickdoxie_core.journaled import Journaled, Plain, Ran, called
from klickdoxie_core.progress import Tally

I = TypeVar("I")  # noqa: E741 - item
R = TypeVar("R")

# The longest sleep at a time: a signal handler that stops a waiting job can set a flag, but wake nobody.
_NAP: Final = 1.0
_UNPROBED: Final = "; given a safe read as Breaker(probe=…), a job waits until such an outage is over"


class Watch(Generic[I, R]):
    """Runs the items of a job, counts them, and lets the breaker learn how their calls end.

    Attributes:
        going: Items may start.
    """

    def __init__(
        self, runner: Plain[I, R] | Journaled[I, R], breaker: Breaker | None, effect: Effect, tally: Tally, clock: Clock
    ) -> None:
        self._runner = runner
        self._effect = effect
        self._tally = tally
        self._sleep = clock.sleep
        self._ask: Callable[[None], Awaitable[object]] | None = None
        self._circuit: Circuit | None = None
        if breaker is not None:
            once = effect is Effect.ONCE
            self._ask = _asking(breaker.probe) if once and breaker.probe is not None else None
            self._circuit = Circuit(breaker, clock.monotonic, probing=not once or self._ask is not None)
        self._probing = anyio.Lock()
        self._stop: Stop | None = None
        self.going = True

    async def run(self, item: I) -> Ran[R] | None:
        """What came of an item, after an outage if there is one; None when the job ended before it was tried."""
        ran: Ran[R] | None = None
        self._tally.starting()
        while self.going:
            go = self._attempt if self._outage() is None else self._wait
            tried: Ran[R] | None = await go(item, again=ran is not None)
            ran = tried or ran
            if tried is not None and not self._comes_again(tried):
                break
        if ran is not None:
            self._tally.add(ran.state)
            self._tally.tell()
        return ran

    async def wind_up(self) -> None:
        """The job is being left: what should not be broken off may finish."""
        await self._runner.wind_up()

    def error(self) -> JobStopped | None:
        """Why the job stopped itself; None when it did not."""
        if self._stop is None:
            return None
        figures = self._tally.figures()
        alike = state_after(self._stop.error, self._effect) if self._stop.alike else None
        text = (
            f"the job stopped because {self._stop.reason}: {text_of(self._stop.error)}; {figures.ok} done, "
            f"{figures.failed} failed, {figures.unknown} unknown, {figures.skipped} settled by an earlier run, "
            f"the rest is pending{self._runner.how_to_go_on(alike)}{_UNPROBED if self._stop.unprobed else ''}"
        )
        error = JobStopped(text)
        error.__cause__ = self._stop.error
        return error

    def _comes_again(self, tried: Ran[R]) -> bool:
        """Whether an item is tried once more in this run: after an outage, or where it was refused only for the rate.

        Then nothing was done, and the client keeps the pause. With nothing but such refusals that is an outage.
        """
        limited = self._circuit is not None and isinstance(tried.error, RateLimited)
        return tried.state is State.PENDING and (limited or self._outage() is not None)

    def _outage(self) -> Exception | None:
        return self._circuit.outage if self._circuit is not None else None

    async def _attempt(self, item: I, *, again: bool, probe: bool = False) -> Ran[R]:
        ran = await self._runner.run(item, again=again)
        self._learn(ran, probe=probe)
        return ran

    async def _wait(self, item: I, *, again: bool) -> Ran[R] | None:
        """Wait until the outage is over or may be, one at a time; where the item is the probe, what came of it."""
        async with self._probing:
            if self._circuit is None or self._circuit.outage is None:
                return None
            await self._nap(self._circuit.pause())
            if not self.going:
                return None
            if self._ask is None:
                return await self._attempt(item, again=again, probe=True)
            self._learn(await called(self._ask, None, Effect.SAFE), probe=True)
            return None

    async def _nap(self, seconds: float) -> None:
        while self.going and seconds > 0:
            self._tally.tell()
            nap = min(_NAP, seconds)
            await self._sleep(nap)
            seconds -= nap

    def _learn(self, ran: Ran[Any], *, probe: bool) -> None:
        if ran.broken is not None:
            disk = isinstance(ran.broken, JournalError)
            reason = "its journal cannot be written" if disk else "what `keep` gives of a result cannot be recorded"
            self._halt(Stop(reason=reason, error=ran.broken))
        circuit = self._circuit
        if circuit is None or not ran.called:
            return
        if probe:
            circuit.probed(ran.error)
        else:
            circuit.saw(ran.error)
        self._tally.paused = text_of(circuit.outage) if circuit.outage is not None else None
        if circuit.stop is not None and self.going:
            # After a stop by the caller, nothing is left to be stopped.
            self._halt(circuit.stop)

    def _halt(self, stop: Stop) -> None:
        self._stop = self._stop or stop
        self.going = False


def _asking(probe: Callable[[], Awaitable[object]]) -> Callable[[None], Awaitable[object]]:
    return lambda _: probe()
