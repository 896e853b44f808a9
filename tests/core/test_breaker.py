"""When a job waits and when it stops: the rules alone."""

from __future__ import annotations

from typing import Any

import pytest

from klickdoxie_core import Effect, SdkError
from klickdoxie_core.breaker import Breaker, Circuit, Stop, code_of, state_after, text_of
from klickdoxie_core.errors import (
    ArgumentError,
    BadRequest,
    CertificateRejected,
    ConfigError,
    ConnectFailed,
    DecodeError,
    Facts,
    Forbidden,
    Interrupted,
    JournalError,
    NotFound,
    RateLimited,
    ReadOnlyError,
    Redirected,
    ResponseError,
    ServerError,
    Unauthorized,
    Unprocessable,
)
from klickdoxie_core.journal import State

DOUBT = Facts(maybe_applied=True)
REFUSED = NotFound("no", Facts(code=404))


class Time:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def a_circuit(breaker: Breaker | None = None, time: Time | None = None, *, probing: bool = True) -> Circuit:
    """A circuit that has seen nothing yet."""
    return Circuit(breaker or Breaker(), time or Time(), probing=probing)


def in_outage(breaker: Breaker | None = None, time: Time | None = None, error: Exception | None = None) -> Circuit:
    """A circuit whose outage began this moment."""
    circuit = a_circuit(breaker, time)
    while circuit.outage is None:
        circuit.saw(error or ConnectFailed())
    return circuit


@pytest.mark.parametrize(
    ("error", "once", "repeatable"),
    [
        (ConnectFailed(), State.PENDING, State.PENDING),
        (CertificateRejected(), State.PENDING, State.PENDING),
        (Interrupted("", DOUBT), State.UNKNOWN, State.PENDING),
        (ServerError("", DOUBT), State.UNKNOWN, State.PENDING),
        (ServerError(), State.PENDING, State.PENDING),
        (RateLimited(), State.PENDING, State.PENDING),
        (Unauthorized(), State.PENDING, State.PENDING),
        (Forbidden(), State.PENDING, State.PENDING),
        (ReadOnlyError(), State.PENDING, State.PENDING),
        (DecodeError("", DOUBT), State.UNKNOWN, State.PENDING),
        (ConfigError(), State.PENDING, State.PENDING),
        (ResponseError("", Facts(status=408)), State.PENDING, State.PENDING),
        (ResponseError("", Facts(status=408, maybe_applied=True)), State.UNKNOWN, State.PENDING),
        (ResponseError("", Facts(status=418)), State.FAILED, State.FAILED),
        (ArgumentError(), State.FAILED, State.FAILED),
        (BadRequest(), State.FAILED, State.FAILED),
        (NotFound(), State.FAILED, State.FAILED),
        (Unprocessable(), State.FAILED, State.FAILED),
        (Redirected(), State.FAILED, State.FAILED),
        (NotFound("", DOUBT), State.UNKNOWN, State.FAILED),
        (ValueError(), State.UNKNOWN, State.FAILED),
    ],
    ids=repr,
)
def test_what_an_error_means_to_its_item(error: Exception, once: State, repeatable: State) -> None:
    """In doubt stays in doubt where nothing may be repeated; what may pass is pending, and the rest failed."""
    assert state_after(error, Effect.ONCE) is once
    assert state_after(error, Effect.REPEATABLE) is repeatable
    assert state_after(error, Effect.SAFE) is repeatable


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NotFound("gone", Facts(code=404)), "404", "gone"),
        (BadRequest("bad", Facts(code=10, subcode=5)), "10/5", "bad"),
        (ConnectFailed("no connection"), "ConnectFailed", "no connection"),
        (ValueError("anna@example.com"), "ValueError", "ValueError"),
    ],
)
def test_what_is_told_of_an_error(error: Exception, code: str, text: str) -> None:
    """The vendor's code where there is one; nothing of a foreign error but its class."""
    assert (code_of(error), text_of(error)) == (code, text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outages", 0),
        ("outages", True),
        ("outages", 2.5),
        ("share", 0),
        ("share", 1.1),
        ("share", float("nan")),
        ("same", 0),
        ("max_outage", -1),
        ("max_outage", float("nan")),
    ],
)
def test_a_value_out_of_its_range_is_named(name: str, value: object) -> None:
    """Wrong options are refused when they are made."""
    options: dict[str, Any] = {name: value}
    with pytest.raises(ArgumentError, match=name):
        Breaker(**options)


def test_without_refusals_that_count() -> None:
    """None and the bounds themselves are fine."""
    assert Breaker(same=None, share=1.0, outages=1, max_outage=0).same is None


@pytest.mark.parametrize(
    "error",
    [Unauthorized(), Forbidden(), CertificateRejected(), ConfigError(), JournalError(), ReadOnlyError()],
    ids=repr,
)
@pytest.mark.parametrize("outage", [False, True])
def test_what_is_hopeless_stops_at_once(error: SdkError, outage: bool) -> None:
    """Every further item would fail in the same way; a probe shows it too, or a call still under way."""
    circuit = in_outage() if outage else a_circuit()
    circuit.saw(error)
    assert circuit.stop is not None
    assert circuit.stop.error is error
    probed = in_outage()
    probed.probed(error)
    assert probed.stop is not None


@pytest.mark.parametrize("error", [ConnectFailed(), Interrupted("", DOUBT), ServerError(), RateLimited()], ids=repr)
def test_failures_in_a_row_are_an_outage(error: SdkError) -> None:
    """The tenth makes it, whatever each of them was; the job is not stopped by that."""
    circuit = a_circuit()
    for _ in range(9):
        circuit.saw(error)
    assert circuit.outage is None
    circuit.saw(ServerError())
    assert isinstance(circuit.outage, ServerError)
    assert circuit.stop is None


@pytest.mark.parametrize("answer", [None, REFUSED, ValueError()], ids=repr)
def test_a_service_that_answers_is_there(answer: Exception | None) -> None:
    """A success or a refusal between the failures begins the row anew."""
    circuit = a_circuit()
    for _ in range(9):
        circuit.saw(ConnectFailed())
    circuit.saw(answer)
    for _ in range(9):
        circuit.saw(ConnectFailed())
    assert circuit.outage is None


def test_many_failures_among_the_last_ones_are_an_outage() -> None:
    """Half of the last 50, but not half of the first few."""
    circuit = a_circuit()
    for number in range(49):
        circuit.saw(ConnectFailed() if number % 2 == 1 else None)
        assert circuit.outage is None
    circuit.saw(ConnectFailed())
    assert circuit.outage is not None
    circuit.probed(None)
    circuit.saw(ConnectFailed())
    assert circuit.outage is None, "they count anew"


def test_few_failures_are_no_outage() -> None:
    """A third of all calls may fail for as long as it likes."""
    circuit = a_circuit()
    for number in range(300):
        circuit.saw(ConnectFailed() if number % 3 == 0 else None)
    assert (circuit.outage, circuit.stop) == (None, None)


def test_an_empty_stock_of_retries_is_an_outage() -> None:
    """The client has seen enough failures already."""
    circuit = a_circuit()
    circuit.saw(ConnectFailed("", Facts(quota_empty=True)))
    assert circuit.outage is not None


def test_without_a_probe_an_outage_stops_the_job() -> None:
    """Nothing could tell that it is over."""
    circuit = a_circuit(Breaker(outages=2), probing=False)
    circuit.saw(ConnectFailed())
    circuit.saw(ConnectFailed("gone"))
    assert circuit.outage is None
    assert circuit.stop is not None
    assert str(circuit.stop.error) == "gone"


@pytest.mark.parametrize("same", [3, None])
def test_refusals_alike_stop_the_job(same: int | None) -> None:
    """A wrong mapping fails everything; another code, or a success, is another story."""
    circuit = a_circuit(Breaker(same=same))
    for error in [
        REFUSED,
        REFUSED,
        None,
        REFUSED,
        REFUSED,
        NotFound("", Facts(code=7)),
        ValueError(),
        REFUSED,
        REFUSED,
    ]:
        circuit.saw(error)
    assert circuit.stop is None
    circuit.saw(ConnectFailed())
    circuit.saw(REFUSED)
    assert (circuit.stop is None) == (same is None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (REFUSED, "2 items in a row were refused alike"),
        (ArgumentError("address must not be empty"), "2 items in a row were refused alike"),
        (KeyError("anna@example.com"), "its function raises the same error for every item, 2 in a row"),
    ],
    ids=repr,
)
def test_nobody_but_the_service_refuses(error: Exception, reason: str) -> None:
    """An error of the function's own is called by what it is."""
    circuit = a_circuit(Breaker(same=2))
    circuit.saw(error)
    circuit.saw(error)
    assert circuit.stop == Stop(reason=reason, error=error, alike=True)


def test_pauses_double_up_to_a_minute_until_time_is_up() -> None:
    """The last probe goes at the very end of the time, and then the job stops."""
    time = Time()
    circuit = in_outage(Breaker(max_outage=300), time)
    pauses: list[float] = []
    while circuit.stop is None:
        pauses.append(circuit.pause())
        time.now += circuit.pause()
        circuit.probed(ServerError("still down"))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 57]
    assert sum(pauses) == 300
    assert str(circuit.stop.error) == "still down"
    assert "300 s" in circuit.stop.reason


def test_the_next_outage_begins_with_short_pauses_again() -> None:
    """How long the last one took says nothing about it."""
    circuit = in_outage(Breaker(outages=1))
    for error in (ConnectFailed(), ConnectFailed(), None):
        circuit.probed(error)
    circuit.saw(ConnectFailed())
    assert circuit.pause() == 1


def test_the_pause_is_counted_from_the_last_probe() -> None:
    """What has passed meanwhile is not waited for again."""
    time = Time()
    circuit = in_outage(time=time)
    time.now += 0.75
    assert circuit.pause() == 0.25
    time.now += 10
    assert circuit.pause() == 0


def test_the_service_may_ask_for_a_longer_pause() -> None:
    """It is never asked again sooner than it said."""
    circuit = in_outage(error=RateLimited("", Facts(retry_after=45)))
    assert circuit.pause() == 45
    circuit.probed(RateLimited("", Facts(retry_after=0)))
    assert circuit.pause() == 2


@pytest.mark.parametrize(
    ("error", "over"), [(None, True), (REFUSED, True), (ConnectFailed(), False), (ValueError(), False)], ids=repr
)
def test_what_a_probe_shows(error: Exception | None, over: bool) -> None:
    """An answer ends the outage, also a refusal; a failure does not, nor does an error that is not the SDK's."""
    circuit = in_outage()
    circuit.probed(error)
    assert (circuit.outage is None) == over


def test_a_refused_probe_counts_among_the_refusals() -> None:
    """It was an item as any other."""
    circuit = in_outage(Breaker(same=2))
    circuit.saw(REFUSED)
    circuit.probed(REFUSED)
    assert circuit.stop is not None


def test_calls_under_way_neither_end_an_outage_nor_begin_the_next() -> None:
    """They were sent before it was known, and the count starts anew afterwards."""
    circuit = in_outage()
    for error in [None, ConnectFailed(), REFUSED]:
        circuit.saw(error)
    assert circuit.outage is not None
    circuit.probed(None)
    for _ in range(9):
        circuit.saw(ConnectFailed())
    assert circuit.outage is None


def test_calls_under_way_do_not_begin_an_outage_anew() -> None:
    """Its pauses and its time are counted from the failure that began it."""
    time = Time()
    circuit = in_outage(Breaker(max_outage=1.5), time)
    time.now += 0.75
    for _ in range(10):
        circuit.saw(ConnectFailed())
    assert circuit.pause() == 0.25
    time.now += 0.75
    circuit.probed(ConnectFailed())
    assert circuit.stop is not None


def test_the_first_reason_stays() -> None:
    """What comes after it is told as the outcome of its item."""
    circuit = a_circuit()
    circuit.saw(Unauthorized("first"))
    circuit.saw(Forbidden("second"))
    assert circuit.stop is not None
    assert str(circuit.stop.error) == "first"
