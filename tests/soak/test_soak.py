"""A short soak in this process is good, and each verdict would be bad if its figures were."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import anyio
import attrs
import pytest

from soak import soak as script
from soak.load import FETCH_TOKEN, KINDS, LOGIN, Kind, Outcome, Told
from soak.service import Fault, Ledger
from soak.verdict import GROWTH, Seen, Verdict, verdicts
from soak.vitals import Vitals

MEBI = 1024 * 1024
READ, WRITE, UPSERT, MAIL = (
    next(kind for kind in KINDS if kind.name == name)
    for name in (
        "KlickTipp: read a contact",
        "KlickTipp: change a contact",
        "KlickTipp: add a contact",
        "Doxie: send a mail",
    )
)
CALLS = (READ, WRITE, UPSERT, MAIL)
QUIET = Vitals(memory=80 * MEBI, handles=9, threads=2, tasks=1)


@pytest.fixture
def anyio_backend() -> str:
    """The services need asyncio."""
    return "asyncio"


@pytest.mark.anyio
async def test_a_short_soak_is_good() -> None:
    """Twenty calls at once for two seconds, a tenth of the requests faulty, one end of all sessions and tokens."""
    wish = script.Wish(
        seconds=1.6, warm_up=0.4, concurrency=20, faults=0.1, timeout=0.3, pace=0.05, lifetime=1.0, apart=False
    )
    report = await script.soak(wish)
    assert report.good, str(report)
    assert report.seen.told.outcomes.count(Outcome.DONE) > 100
    assert report.seen.told.outcomes.count(Outcome.CANCELLED) > 0
    assert sum(report.seen.ledger.faults.values()) > 10
    assert report.seen.figures["retries"] > 0
    assert report.seen.figures["renewals"] > 0
    assert str(report).endswith("all figures are good")


def told(*calls: tuple[Kind, Outcome, int]) -> Told:
    """What calls were told, and how many of their requests went beyond the timeout."""
    made = Told()
    for kind, outcome, timeouts in calls:
        made.end(made.begin(KINDS.index(kind)), outcome, timeouts)
    return made


def ledger(*times: tuple[Kind, int, int], mails: Mapping[int, int] | None = None) -> Ledger:
    """What the services know: how often the call with a number was carried out."""
    carried: dict[str, dict[int, int]] = {}
    for kind, number, count in times:
        carried.setdefault(kind.operation, {})[number] = count
    ended = {"sessions": 1, "tokens": 1}
    return Ledger(carried=carried, mails=dict(mails or {}), faults=dict.fromkeys(Fault, 1), ended=ended, requests=9)


ALL_DONE = told(*((kind, Outcome.DONE, 0) for kind in CALLS))
ALL_ONCE = ledger((WRITE, 1, 1), (UPSERT, 2, 1), (MAIL, 3, 1), mails={2: 1})
GOOD = Seen(
    told=ALL_DONE,
    ledger=ALL_ONCE,
    mixed_up=0,
    failed_after=0,
    figures={LOGIN: 2, FETCH_TOKEN: 2},
    before=QUIET,
    warm=attrs.evolve(QUIET, handles=30, tasks=3),
    hot=attrs.evolve(QUIET, handles=30, tasks=3),
    after=QUIET,
    peak=40,
    sockets=40,
)


def one_in_four(kind: Kind, outcome: Outcome, timeouts: int = 0) -> Told:
    """All calls are done, but for that of this kind."""
    return told(*((each, *((outcome, timeouts) if each is kind else (Outcome.DONE, 0))) for each in CALLS))


def wrong(seen: Seen) -> list[str]:
    """What is off, by its first word or two."""
    return [verdict.what for verdict in verdicts(seen) if not verdict.good]


NO_WRITE = ledger((UPSERT, 2, 1), (MAIL, 3, 1))
NO_MAIL = ledger((WRITE, 1, 1), (UPSERT, 2, 1))
MAIL_TWICE = ledger((WRITE, 1, 1), (UPSERT, 2, 1), (MAIL, 3, 2))
UPSERT_TWICE = ledger((WRITE, 1, 1), (UPSERT, 2, 2), (MAIL, 3, 1), mails={2: 2})
WRITE_TWICE = ledger((WRITE, 1, 2), (UPSERT, 2, 1), (MAIL, 3, 1))

STILL_GOOD: dict[str, dict[str, Any]] = {
    "as it should be": {},
    "a repeatable write that was repeated": {"ledger": WRITE_TWICE},
    "a doubt about what was carried out": {"told": one_in_four(MAIL, Outcome.IN_DOUBT)},
    "a doubt about what was not": {"told": one_in_four(MAIL, Outcome.IN_DOUBT), "ledger": NO_MAIL},
    "a failure that changed nothing": {"told": one_in_four(MAIL, Outcome.NOT_DONE), "ledger": NO_MAIL},
    "a cancelled call that was carried out": {"told": one_in_four(MAIL, Outcome.CANCELLED)},
    "a second mail that only a key could prevent": {
        "told": one_in_four(UPSERT, Outcome.DONE, timeouts=1),
        "ledger": UPSERT_TWICE,
    },
    "a system that does not tell": {
        "before": attrs.evolve(QUIET, memory=None, handles=None),
        "warm": attrs.evolve(QUIET, memory=None, handles=None),
        "hot": attrs.evolve(QUIET, memory=None, handles=None),
        "after": attrs.evolve(QUIET, memory=None, handles=None),
    },
    "less memory than before": {"hot": attrs.evolve(QUIET, memory=MEBI)},
}


@pytest.mark.parametrize("case", STILL_GOOD)
def test_what_may_be_is_good(case: str) -> None:
    """A verdict that is always bad would show nothing either."""
    assert wrong(attrs.evolve(GOOD, **STILL_GOOD[case])) == []


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a call that hangs": ({"told": one_in_four(READ, Outcome.OPEN)}, ["never ended"]),
    "an error of somebody else": ({"told": one_in_four(READ, Outcome.BROKEN)}, ["no error of the SDK"]),
    "the answer to another call": ({"mixed_up": 1}, ["another call"]),
    "a success that was none": ({"ledger": NO_WRITE}, ["lost"]),
    "a mail that went out twice": ({"ledger": MAIL_TWICE}, ["doubled"]),
    "a cancelled mail that went out twice": (
        {"told": one_in_four(MAIL, Outcome.CANCELLED), "ledger": MAIL_TWICE},
        ["doubled"],
    ),
    "a mail sent again after a timeout": (
        {"told": one_in_four(MAIL, Outcome.DONE, timeouts=1), "ledger": MAIL_TWICE},
        ["doubled"],
    ),
    "a contact added twice": ({"ledger": UPSERT_TWICE}, ["doubled", "confirmation mails"]),
    "a second confirmation mail": ({"ledger": attrs.evolve(ALL_ONCE, mails={2: 2})}, ["confirmation mails"]),
    "a denial of what was done": ({"told": one_in_four(MAIL, Outcome.NOT_DONE)}, ["untrue"]),
    "a denial of a change": ({"told": one_in_four(WRITE, Outcome.NOT_DONE)}, ["untrue"]),
    "failures everywhere": (
        {"told": told(*((READ, Outcome.NOT_DONE, 0) for _ in CALLS)), "ledger": ledger()},
        ["share of calls"],
    ),
    "a client that is worn out": ({"failed_after": 1}, ["after the faults"]),
    "a login too many": ({"figures": {LOGIN: 3, FETCH_TOKEN: 2}}, ["Login"]),
    "a token too many": ({"figures": {LOGIN: 2, FETCH_TOKEN: 3}}, ["Fetch Token"]),
    "memory that grows": ({"hot": attrs.evolve(QUIET, memory=int((81 + GROWTH) * MEBI))}, ["MiB of memory"]),
    "too many sockets": ({"peak": 9 + 40 + 17}, ["handles at the most"]),
    "a socket left open": ({"after": attrs.evolve(QUIET, handles=10)}, ["left open"]),
    "a thread too many": ({"hot": attrs.evolve(GOOD.hot, threads=3)}, ["threads"]),
    "a task that stays": ({"hot": attrs.evolve(GOOD.hot, tasks=4)}, ["tasks more"]),
    "a task that is left": ({"after": attrs.evolve(QUIET, tasks=2)}, ["tasks left"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_must_not_be_is_bad(case: str) -> None:
    """Each verdict notices the one figure that is off, and no other does."""
    changes, expected = BAD[case]
    found = wrong(attrs.evolve(GOOD, **changes))
    assert len(found) == len(expected)
    assert all(words in what for words, what in zip(expected, found, strict=True))


def test_every_verdict_can_be_bad() -> None:
    """A verdict without a case here would be one that nobody has seen fail."""
    failed = {what for changes, _ in BAD.values() for what in wrong(attrs.evolve(GOOD, **changes))}
    assert failed == {verdict.what for verdict in verdicts(GOOD)}


def test_a_verdict_tells_its_bound() -> None:
    """What was found, what may be, and whether that is so."""
    assert str(Verdict("handles", 5, most=4)).split() == ["handles", "5", "at", "most", "4", "WRONG"]
    assert str(Verdict("share", 0.9, least=0.75, most=1)).split() == ["share", "0.9", "0.75", "to", "1", "ok"]


@pytest.mark.parametrize(("seen", "code"), [(GOOD, 0), (attrs.evolve(GOOD, mixed_up=1), 1)])
def test_a_figure_that_is_off_is_a_failure(
    seen: Seen, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says so, and the last line too."""
    monkeypatch.setattr(anyio, "run", lambda *_: script.Report(seen, Counter(), Counter()))
    assert script.main(["--seconds", "1"]) == code
    assert capsys.readouterr().out.endswith(("all figures are good\n", "1 figures are off\n")[code])


@pytest.mark.parametrize(
    "arguments",
    [["--seconds", "0"], ["--seconds", "nan"], ["--faults", "1.1"], ["--concurrency", "0"], ["--http", "curl"]],
)
def test_wrong_wishes_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is started for them."""
    with pytest.raises(SystemExit, match="2"):
        script.main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_a_ledger_survives_its_way() -> None:
    """JSON makes texts of numbers, and reading makes numbers of them again."""
    assert Ledger.read(json.dumps(attrs.asdict(ALL_ONCE)).encode()) == ALL_ONCE
