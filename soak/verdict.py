"""Whether it went well: what the clients were told beside what the services know."""  # noqa: INP001 - a folder of scripts

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from klickdoxie_core import Effect
from soak.load import FETCH_TOKEN, KINDS, LOGIN, UPSERT, Kind, Outcome, Told
from soak.service import Ledger
from soak.vitals import Vitals

GROWTH: Final = 15.0
"""Mebibytes by which the memory may grow after the warm-up."""
_SUCCEEDED = 0.75
_MEBI = 1024 * 1024
_SPARE = 16


@attrs.frozen
class Verdict:
    """A figure, and the bounds that it must keep."""

    what: str
    found: float
    most: float = attrs.field(default=0, kw_only=True)
    least: float = attrs.field(default=0, kw_only=True)

    @property
    def good(self) -> bool:
        """Whether it is within its bounds."""
        return self.least <= self.found <= self.most

    def __str__(self) -> str:
        bound = f"{self.least:,g} to {self.most:,g}" if self.least else f"at most {self.most:,g}"
        return f"{self.what:72}{self.found:>10,g}{bound:>18}  {'ok' if self.good else 'WRONG'}"


@attrs.frozen(kw_only=True)
class Seen:
    """All that a run has brought.

    Attributes:
        mixed_up: Answers that belong to another call.
        failed_after: Calls that failed when nothing went wrong any more.
        figures: What the clients have counted.
        before: How the process was before the clients were made.
        warm: How it was after the warm-up, with no call under way.
        hot: How it was after all calls, with none under way.
        after: How it was when the clients were closed.
        peak: The highest number of file handles.
        sockets: The highest number of sockets that there may be.
    """

    told: Told
    ledger: Ledger
    mixed_up: int
    failed_after: int
    figures: Mapping[str, int]
    before: Vitals
    warm: Vitals
    hot: Vitals
    after: Vitals
    peak: int
    sockets: int


def verdicts(seen: Seen) -> list[Verdict]:
    """Every figure that must keep its bounds."""
    return [*_about_calls(seen), *_about_credentials(seen), *_about_the_process(seen)]


def _about_calls(seen: Seen) -> Iterator[Verdict]:
    told, ledger, outcomes = seen.told, seen.ledger, seen.told.outcomes
    succeeded = outcomes.count(Outcome.DONE) / max(1, len(outcomes) - outcomes.count(Outcome.CANCELLED))
    yield Verdict("calls that never ended", outcomes.count(Outcome.OPEN))
    yield Verdict("calls that raised what is no error of the SDK", outcomes.count(Outcome.BROKEN))
    yield Verdict("answers that belong to another call", seen.mixed_up)
    yield Verdict("lost: told that it was done, and it was not", lost(told, ledger))
    yield Verdict("doubled: not repeatable, and carried out twice", doubled(told, ledger))
    yield Verdict("confirmation mails that went out again", mailed_again(ledger), most=mails_beyond_our_reach(told))
    yield Verdict("untrue: told that nothing was changed, and it was", untrue(told, ledger))
    yield Verdict("share of calls that succeeded, cancelled ones aside", round(succeeded, 3), least=_SUCCEEDED, most=1)
    yield Verdict("calls that failed after the faults had ended", seen.failed_after)


def _about_credentials(seen: Seen) -> Iterator[Verdict]:
    for what, operation in (("sessions", LOGIN), ("tokens", FETCH_TOKEN)):
        most = 1 + seen.ledger.ended[what]
        yield Verdict(
            f"{operation}: the first, and one for each time that all {what} ended", seen.figures[operation], most=most
        )


def _about_the_process(seen: Seen) -> Iterator[Verdict]:
    if seen.warm.memory is not None and seen.hot.memory is not None:
        growth = round((seen.hot.memory - seen.warm.memory) / _MEBI, 1)
        yield Verdict("MiB of memory more than after the warm-up", max(0.0, growth), most=GROWTH)
    if seen.before.handles is not None and seen.after.handles is not None:
        yield Verdict("file handles at the most", seen.peak, most=seen.before.handles + seen.sockets + _SPARE)
        yield Verdict("file handles left open", max(0, seen.after.handles - seen.before.handles))
    yield Verdict("threads more than after the warm-up", max(0, seen.hot.threads - seen.warm.threads))
    yield Verdict("tasks more than after the warm-up", max(0, seen.hot.tasks - seen.warm.tasks))
    yield Verdict("tasks left", max(0, seen.after.tasks - seen.before.tasks))


def lost(told: Told, ledger: Ledger) -> int:
    """Writes that succeeded, as their callers were told, and were not carried out."""
    return sum(
        told.outcomes[number] == Outcome.DONE and not times
        for kind in _writes()
        for number, times in _times(kind, told, ledger)
    )


def untrue(told: Told, ledger: Ledger) -> int:
    """Writes that changed nothing, as their callers were told, and were carried out."""
    return sum(
        told.outcomes[number] == Outcome.NOT_DONE and times > 0
        for kind in _writes()
        for number, times in _times(kind, told, ledger)
    )


def doubled(told: Told, ledger: Ledger) -> int:
    """Writes that must not be repeated and were carried out more than once, without a reason beyond our reach."""
    return sum(
        times > 1 + (told.timeouts[number] if kind.looks_up else 0)
        for kind in _writes()
        if kind.effect is Effect.ONCE
        for number, times in _times(kind, told, ledger)
    )


def mailed_again(ledger: Ledger) -> int:
    """Confirmation mails beyond the first to each contact."""
    return sum(ledger.mails.values()) - len(ledger.mails)


def mails_beyond_our_reach(told: Told) -> int:
    """Requests to add a contact that may be carried out after their caller has looked for it and not found it.

    The service knows no key by which it could tell that the second request is the first one again.
    """
    return sum(told.timeouts[number] for kind in KINDS if kind.operation == UPSERT for number in told.of(kind))


def _writes() -> list[Kind]:
    return [kind for kind in KINDS if kind.operation]


def _times(kind: Kind, told: Told, ledger: Ledger) -> Iterator[tuple[int, int]]:
    """How often each call of a kind was carried out."""
    carried = ledger.carried.get(kind.operation, {})
    return ((number, carried.get(number, 0)) for number in told.of(kind))
