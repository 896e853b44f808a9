"""A time that stands still until somebody moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import anyio
import pytest

from klickdoxie_core import Clock
from klickdoxie_core.testing import FrozenClock


def test_it_stands_still() -> None:
    """Asked again and again, it shows the same moment, and the same chance."""
    clock = FrozenClock()
    assert isinstance(clock, Clock)
    assert {clock.now() for _ in range(3)} == {1_735_689_600.0}
    assert {clock.monotonic() for _ in range(3)} == {0.0}
    assert clock.moment == datetime(2025, 1, 1, tzinfo=UTC)
    assert 0 <= clock.random() == clock.random() < 1


def test_it_starts_where_one_likes_and_moves_on() -> None:
    """The moment is told in UTC, whatever the offset of the start, and both times move together."""
    clock = FrozenClock(datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2))))
    clock.advance(90)
    clock.advance(0)
    assert clock.moment == datetime(2026, 3, 29, 0, 31, 30, tzinfo=UTC)
    assert clock.moment.tzinfo is UTC
    assert clock.now() == clock.moment.timestamp()
    assert clock.monotonic() == 90


@pytest.mark.anyio
async def test_a_pause_is_over_at_once_and_moves_the_time() -> None:
    """Whoever waits for a moment to come would otherwise wait for ever."""
    clock = FrozenClock()
    with anyio.fail_after(5):
        await clock.sleep(3600)
        await clock.sleep(0.5)
    assert clock.monotonic() == 3600.5
    assert clock.pauses == (3600, 0.5)


@pytest.mark.anyio
async def test_pauses_at_the_same_time_overlap() -> None:
    """Three tasks that pause for five seconds each have paused for five seconds together."""
    clock = FrozenClock()
    async with anyio.create_task_group() as tasks:
        for seconds in (5, 5, 3):
            tasks.start_soon(clock.sleep, seconds)
    assert clock.monotonic() == 5
    assert sorted(clock.pauses) == [3, 5, 5]


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_time_goes_one_way(seconds: float) -> None:
    """It is never turned back."""
    clock = FrozenClock()
    with pytest.raises(ValueError, match="0 seconds or more"):
        clock.advance(seconds)
    assert clock.monotonic() == 0


def test_a_start_needs_its_offset() -> None:
    """A time without one would mean another moment on each machine."""
    with pytest.raises(ValueError, match="offset"):
        FrozenClock(datetime(2025, 1, 1))  # noqa: DTZ001 - the mistake itself
