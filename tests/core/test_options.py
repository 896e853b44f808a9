"""Options: checked when they are made, frozen, and replaced one by one."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import attrs
import pytest

from klickdoxie_core import UNSET, ArgumentError, Limit, Options, Retry, Unset
from klickdoxie_core.options import given

NO_SECONDS = [0, -1, -0.5, math.nan, math.inf, -math.inf, "3", None]
NO_COUNT = [0, -1, 0.5, 2.0, True, math.nan, "3", None]


@pytest.mark.parametrize("value", NO_SECONDS)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Options, "timeout"),
        (Options, "deadline"),
        (Retry, "base"),
        (Retry, "cap"),
        (Retry, "max_retry_after"),
    ],
)
def test_seconds_are_a_number_above_zero(kind: type[Any], name: str, value: object) -> None:
    """What is no time span is refused, and the text names the option."""
    with pytest.raises(ArgumentError, match=f"{name} of {kind.__name__} must be a number above 0"):
        kind(**{name: value})


@pytest.mark.parametrize("value", NO_COUNT)
@pytest.mark.parametrize(
    ("kind", "name"), [(Retry, "attempts"), (Retry, "budget"), (Limit, "concurrency"), (Limit, "burst")]
)
def test_counts_are_whole_numbers_from_one(kind: type[Any], name: str, value: object) -> None:
    """Half a request does not exist, and none at a time would wait for ever."""
    with pytest.raises(ArgumentError, match=f"{name} of {kind.__name__} must be a whole number from 1"):
        kind(**{name: value})


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, "3"])
def test_a_rate_is_a_number_above_zero_or_none(rate: Any) -> None:
    """None means no bound, zero would mean never."""
    assert Limit(rate=None).rate is None
    with pytest.raises(ArgumentError, match="rate of Limit"):
        Limit(rate=rate)


def test_the_defaults() -> None:
    """What holds when nothing is said is part of what users rely on."""
    retry = Retry(attempts=3, base=0.5, cap=8.0, max_retry_after=60.0, budget=100)
    assert Options() == Options(timeout=30.0, deadline=120.0, retry=retry)
    assert Limit() == Limit(concurrency=50, rate=None, burst=1)


def test_replacing_keeps_what_is_not_given() -> None:
    """Each option is replaced alone."""
    before = Options(timeout=1, deadline=2, retry=Retry(attempts=5))
    assert before.replace() == before
    assert before.replace(timeout=9) == Options(timeout=9, deadline=2, retry=Retry(attempts=5))
    assert before.replace(deadline=9) == Options(timeout=1, deadline=9, retry=Retry(attempts=5))
    assert before.replace(retry=Retry(attempts=1)) == Options(timeout=1, deadline=2, retry=Retry(attempts=1))


@pytest.mark.parametrize("options", [Options(), Retry(), Limit()])
def test_options_are_frozen(options: Any) -> None:
    """A value that several views share cannot change under them."""
    name = attrs.fields(type(options))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(options, name, 1)


def test_unset_is_one_value_that_stays_itself() -> None:
    """Not given is not None, is false, and survives copying and pickling."""
    assert repr(UNSET) == "UNSET"
    assert not UNSET
    assert UNSET is Unset.UNSET
    assert copy.deepcopy(UNSET) is UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert given(UNSET, 3) == 3
    assert given(None, 3) is None
