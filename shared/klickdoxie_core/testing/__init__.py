"""What the test kits of both clients share: a time that stands still, and questions to a sandbox. Needs no pytest.

`assert_no_repeats`, `fail` and `one_line` are for authors of a kit.
"""

from klickdoxie_core.testing.assertions import (
    assert_applied_once,
    assert_faults_met,
    assert_no_repeats,
    assert_not_called,
    fail,
    one_line,
)
from klickdoxie_core.testing.frozen_clock import FrozenClock

__all__ = [
    "FrozenClock",
    "assert_applied_once",
    "assert_faults_met",
    "assert_no_repeats",
    "assert_not_called",
    "fail",
    "one_line",
]
