"""Time limits on one timer: each holds by itself, and cancels nobody else."""

import asyncio
import contextlib
from collections.abc import Generator

import anyio
import anyio.lowlevel
import pytest

from klickdoxie_core.wire.deadlines import Deadlines

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, for which they are made."""
    return "asyncio"


@pytest.fixture
def deadlines() -> Generator[Deadlines, None, None]:
    """Time limits on a timer of their own."""
    deadlines = Deadlines()
    yield deadlines
    deadlines.close()


async def test_what_ends_in_time_is_left_alone(deadlines: Deadlines) -> None:
    """No error, no cancellation, and nothing more to watch over."""
    with deadlines.within(10.0) as limit:
        await anyio.lowlevel.checkpoint()
    assert (limit.expired, limit.cancelled) == (False, False)


async def test_what_takes_too_long_is_cancelled(deadlines: Deadlines) -> None:
    """It ends in TimeoutError, and the task is as if it had never been cancelled."""
    with pytest.raises(TimeoutError), deadlines.within(0.01) as limit:
        await anyio.sleep_forever()
    assert (limit.expired, limit.cancelled) == (True, False)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_each_limit_has_its_own_time(deadlines: Deadlines) -> None:
    """Shorter ones that come later are over earlier, all that are over at a time are, and the others go on."""
    over: list[float] = []

    async def wait(seconds: float) -> None:
        with deadlines.within(seconds):
            try:
                await anyio.sleep_forever()
            finally:
                over.append(seconds)

    waits = [asyncio.create_task(wait(seconds)) for seconds in (0.09, 0.03, 30.0, 0.03, 0.06)]
    outcomes = asyncio.gather(*waits[:2], *waits[3:], return_exceptions=True)
    assert [type(outcome) for outcome in await outcomes] == [TimeoutError] * 4
    assert over == [0.03, 0.03, 0.06, 0.09]
    assert not waits[2].done()
    waits[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits[2]


async def test_the_timer_serves_who_comes_later(deadlines: Deadlines) -> None:
    """It wakes for one that has long ended, and is set again for who is there now."""
    with deadlines.within(0.02):
        pass
    with pytest.raises(TimeoutError), deadlines.within(0.05):
        await anyio.sleep_forever()
    await anyio.sleep(0.03)
    with pytest.raises(TimeoutError), deadlines.within(0.01):
        await anyio.sleep_forever()


async def test_who_is_cleaning_up_is_cancelled_once(deadlines: Deadlines) -> None:
    """The end of another's time does not disturb who still has to let go of something."""
    cleaned: list[bool] = []

    async def wait(seconds: float, *, clean_up: float) -> None:
        with deadlines.within(seconds):
            try:
                await anyio.sleep_forever()
            finally:
                await anyio.sleep(clean_up)
                cleaned.append(True)

    waits = [wait(0.01, clean_up=0.05), wait(0.03, clean_up=0.0)]
    assert [type(outcome) for outcome in await asyncio.gather(*waits, return_exceptions=True)] == [TimeoutError] * 2
    assert cleaned == [True, True]


async def test_a_cancellation_by_somebody_else_is_theirs(deadlines: Deadlines) -> None:
    """It passes as it is, whether it comes alone or together with the end of the time."""

    async def wait(seconds: float) -> None:
        with deadlines.within(seconds) as limit:
            try:
                await anyio.sleep_forever()
            finally:
                seen.append((limit.expired, limit.cancelled))

    seen: list[tuple[bool, bool]] = []
    task = asyncio.create_task(wait(30.0))
    await anyio.lowlevel.checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [(False, True)]


async def test_an_end_of_time_beside_a_cancellation_does_not_hide_it(deadlines: Deadlines) -> None:
    """Whoever cancels a task gets to see it cancelled."""

    async def wait() -> None:
        with deadlines.within(0.01) as limit:
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                assert limit.expired
                task.cancel()
                await anyio.sleep_forever()

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_who_was_cancelled_before_still_has_time(deadlines: Deadlines) -> None:
    """A task that cleans up after its cancellation may call, and only new cancellations count."""

    async def clean_up() -> bool:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            with pytest.raises(TimeoutError), deadlines.within(0.01) as limit:
                await anyio.sleep_forever()
            return limit.cancelled
        return True

    task = asyncio.create_task(clean_up())
    await anyio.lowlevel.checkpoint()
    task.cancel()
    assert await task is False


async def test_who_ends_well_in_spite_of_it_is_not_cancelled_later(deadlines: Deadlines) -> None:
    """A cancellation that was caught is taken back."""
    with deadlines.within(0.01) as limit, contextlib.suppress(asyncio.CancelledError):
        await anyio.sleep_forever()
    assert limit.expired
    await anyio.lowlevel.checkpoint()
