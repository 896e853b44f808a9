"""The rules of sending again, as a table: what happened, what the call does, and what follows."""

from __future__ import annotations

import pytest

from klickdoxie_core import Clock, Effect, Retry
from klickdoxie_core.errors import (
    BadRequest,
    CertificateRejected,
    ConfigError,
    Conflict,
    ConnectFailed,
    DecodeError,
    Forbidden,
    Interrupted,
    NotFound,
    RateLimited,
    Redirected,
    ResponseError,
    SdkError,
    ServerError,
    TooLarge,
    Unauthorized,
    Unprocessable,
)
from klickdoxie_core.judge import (
    Budget,
    Verdict,
    backoff,
    judge_failure,
    judge_status,
    judge_undecodable,
    retry_after,
)
from klickdoxie_core.wire.base import Failure
from tests.core.support import FakeClock

SAFE, REPEATABLE, ONCE = Effect.SAFE, Effect.REPEATABLE, Effect.ONCE
NOW = "Tue, 14 Nov 2023 22:13:20 GMT"

# For each effect: is it sent again, and may it have been carried out? In the order safe, repeatable, once.
NEVER = "final,final,final"
ALWAYS = "again,again,again"
WRITES_IN_DOUBT = "final,doubt,doubt"
LOST = "again,again+doubt,doubt"
UNREADABLE = "again,doubt,doubt"


def expected(row: str, effect: Effect) -> tuple[bool, bool]:
    """Whether to send again and whether in doubt, for one effect of a row."""
    cell = row.split(",")[[SAFE, REPEATABLE, ONCE].index(effect)]
    return "again" in cell, "doubt" in cell


def seen(verdict: Verdict) -> tuple[type[SdkError], tuple[bool, bool]]:
    """The part of a verdict that the tables show."""
    return verdict.error, (verdict.retry, verdict.in_doubt)


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize(
    ("failure", "sent", "error", "row"),
    [
        (Failure.CONNECT, False, ConnectFailed, ALWAYS),
        (Failure.TIMEOUT, False, ConnectFailed, ALWAYS),
        (Failure.INTERRUPTED, False, ConnectFailed, ALWAYS),
        (Failure.CERTIFICATE, False, CertificateRejected, NEVER),
        (Failure.PROXY, False, ConnectFailed, NEVER),
        (Failure.INVALID, False, ConfigError, NEVER),
        (Failure.CLOSED, False, ConfigError, NEVER),
        (Failure.CLOSED, True, ConfigError, WRITES_IN_DOUBT),
        (Failure.CONNECT, True, Interrupted, LOST),
        (Failure.TIMEOUT, True, Interrupted, LOST),
        (Failure.INTERRUPTED, True, Interrupted, LOST),
        (Failure.ENCODING, True, DecodeError, UNREADABLE),
        (Failure.TOO_LARGE, True, TooLarge, WRITES_IN_DOUBT),
    ],
)
def test_what_follows_from_a_failure(
    failure: Failure, sent: bool, error: type[SdkError], row: str, effect: Effect
) -> None:
    """What never left is sent again whatever it does; what may have arrived only if that does no harm."""
    assert seen(judge_failure(failure, sent=sent, effect=effect)) == (error, expected(row, effect))


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize(
    ("status", "error", "row"),
    [
        *((status, Redirected, NEVER) for status in (300, 301, 302, 303, 305, 307, 308, 399)),
        (304, DecodeError, WRITES_IN_DOUBT),
        (400, BadRequest, NEVER),
        (401, Unauthorized, NEVER),
        (403, Forbidden, NEVER),
        (404, NotFound, NEVER),
        (409, Conflict, NEVER),
        (422, Unprocessable, NEVER),
        *((status, ResponseError, NEVER) for status in (402, 405, 406, 410, 411, 412, 413, 415, 418, 451, 499)),
        (408, ResponseError, LOST),
        (421, ResponseError, ALWAYS),
        (425, ResponseError, ALWAYS),
        (429, RateLimited, ALWAYS),
        *((status, ServerError, LOST) for status in (500, 502, 503, 504)),
        *((status, ServerError, WRITES_IN_DOUBT) for status in (501, 505, 507, 508, 511)),
        *((status, ServerError, UNREADABLE) for status in (506, 509, 510, 520, 524, 529, 599)),
        *((status, DecodeError, WRITES_IN_DOUBT) for status in (0, 20, 99, 101, 199, 600, 999)),
    ],
)
def test_what_follows_from_a_status(status: int, error: type[SdkError], row: str, effect: Effect) -> None:
    """A decision of the service ends the call; an outage may be waited out."""
    verdict = judge_status(status, effect)
    assert seen(verdict) == (error, expected(row, effect))
    assert verdict.once == (status in {421, 425})


@pytest.mark.parametrize("effect", Effect)
def test_what_follows_from_an_unreadable_success(effect: Effect) -> None:
    """A 2xx says that it was done, so only a read is tried again."""
    assert seen(judge_undecodable(effect)) == (DecodeError, expected(UNREADABLE, effect))


def waits(text: str, **more: str) -> float | None:
    """What a `Retry-After` of an answer from NOW asks for."""
    return retry_after({"retry-after": text, "date": NOW} | more, FakeClock().clock())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("007", 7.0),
        ("  120 ", 120.0),
        ("946684800", 946684800.0),
        ("9" * 18, 1e18),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
        ("Tue Nov 14 22:13:50 2023", 30.0),
        ("Sun Nov  5 22:13:50 2023", 0.0),
        ("Tue, 14 Nov 2023 22:13:20 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read(text: str, seconds: float) -> None:
    """Seconds as digits, or a date in any of the three forms of HTTP; what lies in the past asks for nothing."""
    assert waits(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-5", "+5", "1.5", "nan", "inf", "1e9", "1_0", "0x10", "5s", "abc", "٥", "５", "5\x00"),
        *("5, 10", "5,10", "5 10", "9" * 19, "9" * 10_240, "x" * 10_240),
        f"{NOW}, {NOW}",
        f"5, {NOW}",
        f"{NOW}, 5",
        "Tue, 14 Nov 2023 22:13:50 +0100",
        "Tue, 14 Nov ٢٠٢٣ 22:13:50 GMT",
        "Tue, 99 Nov 2023 22:13:50 GMT",
        "Tue, 14 Foo 2023 22:13:50 GMT",
        "Tue, 14 Nov 2023 99:99:99 GMT",
        "14 Nov 2023",
        "2023-11-14T22:13:50Z",
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_a_bad_retry_after_is_as_good_as_none(text: str) -> None:
    """A header that HTTP does not know never hides the status."""
    assert waits(text) is None


def test_no_retry_after_is_none() -> None:
    """An answer that does not ask to wait says nothing about it."""
    assert retry_after({}, Clock()) is None


@pytest.mark.parametrize("clock", [0.0, 4_102_444_800.0])
def test_a_date_counts_from_the_date_of_the_answer(clock: float) -> None:
    """With a date in the answer it does not matter how wrong the local clock is."""
    headers = {"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT", "date": NOW}
    assert retry_after(headers, Clock(now=lambda: clock)) == 60.0


@pytest.mark.parametrize("date", [{}, {"date": "yesterday"}, {"date": f"{NOW}, {NOW}"}])
def test_without_a_usable_date_the_local_clock_counts(date: dict[str, str]) -> None:
    """Only an answer without a date of its own is held against the local clock."""
    headers = {"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"} | date
    assert retry_after(headers, Clock(now=lambda: 1_700_000_050.0)) == 10.0


@pytest.mark.parametrize(
    ("number", "bound"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, 8.0), (100, 8.0), (100_000, 8.0)]
)
@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_backoff_is_anywhere_below_a_bound_that_doubles(number: int, bound: float, chance: float) -> None:
    """The whole span is used (full jitter), and the bound stops at the cap."""
    retry = Retry(base=0.5, cap=8.0)
    assert backoff(retry, number, Clock(random=lambda: chance)) == pytest.approx(chance * bound)


def test_the_budget_runs_out_and_fills_up() -> None:
    """A retry that helped is paid back, any other success earns a fifth of one, and never beyond the size."""
    budget = Budget(2)
    budget.succeeded(after_retry=True)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    budget.succeeded(after_retry=True)
    assert [budget.take() for _ in range(2)] == [True, False]
    for _ in range(4):
        budget.succeeded(after_retry=False)
    assert not budget.take()
    for _ in range(2):
        budget.succeeded(after_retry=False)
    assert budget.take()
