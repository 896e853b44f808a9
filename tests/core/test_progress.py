"""How far a job has come: figures that add up, told neither too often nor too late."""

from __future__ import annotations

import logging

import pytest

from klickdoxie_core import Clock
from klickdoxie_core.journal import State
from klickdoxie_core.progress import OnProgress, Progress, Tally


class Time:
    """Seconds that pass when the test says so, and a tally that counts by them."""

    def __init__(self, total: int | None = None, on_progress: OnProgress | None = None) -> None:
        self.now = 1000.0
        self.tally = Tally(total, on_progress, Clock(monotonic=lambda: self.now))
        self.tally.begin()


def test_the_figures_add_up() -> None:
    """What stays pending is not done."""
    tally = Time(total=10).tally
    for state in [*State, State.DONE]:
        tally.add(state)
    figures = tally.figures()
    assert (figures.done, figures.ok, figures.skipped, figures.failed, figures.unknown) == (5, 2, 1, 1, 1)
    assert figures.total == 10


def test_rate_and_time_left_are_of_this_run() -> None:
    """Items that an earlier run has settled cost no time."""
    time = Time(total=100)
    for state in [State.SKIPPED] * 60 + [State.DONE] * 15 + [State.FAILED] * 4 + [State.UNKNOWN]:
        time.tally.add(state)
    time.now += 10
    figures = time.tally.figures()
    assert (figures.done, figures.seconds, figures.rate, figures.left) == (80, 10, 2, 10)


def test_the_time_left_begins_with_the_first_call() -> None:
    """A source that takes a minute for its first item says nothing about the others."""
    time = Time(total=40)
    time.now += 60
    for _ in range(20):
        time.tally.starting()
        time.now += 1
        time.tally.add(State.DONE)
    figures = time.tally.figures()
    assert (figures.seconds, figures.rate, figures.left) == (80, 20 / 80, 20)


def test_calls_before_skipped_items_say_nothing_about_the_time_left() -> None:
    """A few items at the beginning were under way when the earlier run ended, and thousands were settled."""
    time = Time(total=12_000)
    seen: list[float | None] = []
    for state in [State.DONE] * 16 + [State.SKIPPED] * 11_000 + [State.DONE] * 100:
        time.tally.starting()
        time.now += 0.001 if state is State.SKIPPED else 0.1
        time.tally.add(state)
        seen.append(time.tally.figures().left)
    assert seen[9:16] == pytest.approx([(12_000 - done) / 10 for done in range(10, 17)])
    assert seen[16:11_025] == [None] * 11_009
    assert seen[11_025:] == pytest.approx([(12_000 - done) / 10 for done in range(11_026, 11_117)])


def test_a_few_calls_say_nothing_about_the_time_left() -> None:
    """As many are under way at once."""
    time = Time(total=100)
    time.now += 1
    for _ in range(9):
        time.tally.add(State.DONE)
    assert time.tally.figures().left is None
    time.tally.add(State.FAILED)
    assert time.tally.figures().left == 9


@pytest.mark.parametrize("total", [None, 100])
def test_nobody_knows_the_time_left_at_the_beginning(total: int | None) -> None:
    """There is no rate yet."""
    figures = Time(total).tally.figures()
    assert (figures.rate, figures.left, figures.total) == (0, None, total)


def test_nobody_knows_the_time_left_without_a_total_or_in_a_pause() -> None:
    """An outage may end at any time."""
    for time in (Time(total=None), Time(total=100)):
        for _ in range(20):
            time.tally.add(State.DONE)
        time.now += 1
        time.tally.paused = "no connection" if time.tally.figures().total else None
        assert time.tally.figures().left is None


def test_more_items_than_announced_leave_no_time() -> None:
    """A wrong total does not lead to a negative time."""
    time = Time(total=1)
    for _ in range(3):
        time.tally.add(State.DONE)
    time.now += 1
    assert time.tally.figures().left == 0


def test_it_is_told_ten_times_a_second_at_the_most_and_at_the_end() -> None:
    """Of 100 items in a second ten are told, and then the last figures."""
    told: list[Progress] = []
    time = Time(100, told.append)
    for _ in range(100):
        time.tally.add(State.DONE)
        time.tally.tell()
        time.now += 1 / 128
    assert len(told) <= 10
    time.tally.end()
    time.now += 1000
    assert (told[-1].done, told[-1].seconds) == (100, 100 / 128)
    assert time.tally.figures() == told[-1]


def test_a_pause_is_over_when_the_job_is() -> None:
    """Whoever looks afterwards is not told to wait."""
    told: list[Progress] = []
    tally = Time(None, told.append).tally
    tally.paused = "no connection"
    tally.tell()
    tally.end()
    assert [progress.paused for progress in told] == ["no connection", None]


def test_nobody_has_to_listen() -> None:
    """The figures are there anyway."""
    tally = Time().tally
    tally.tell()
    tally.end()
    assert tally.figures().done == 0


def test_a_display_that_fails_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its failure goes no further, it is told of the rest, and its text is not repeated."""
    calls = 0

    def fail(_: Progress) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("anna@example.com")

    time = Time(None, fail)
    with caplog.at_level(logging.WARNING, logger="klickdoxie_core"):
        for _ in range(3):
            time.tally.tell()
            time.now += 1
        time.tally.end()
    assert calls == 4
    assert [record.message for record in caplog.records] == [
        "on_progress failed (ValueError); further failures are not logged"
    ]
