"""A kit to test what you build on the client: questions to the fake account, and a time that stands still.

In pytest, `pytest_plugins = ["klicktipp_async.testing.plugin"]` in your `conftest.py` brings the fixtures
`klicktipp_sandbox`, `klicktipp` and `frozen_clock`. Nothing here needs pytest.
"""

from klickdoxie_core.testing import FrozenClock, assert_applied_once, assert_faults_met, assert_not_called
from klicktipp_async.testing.assertions import (
    assert_contact,
    assert_not_tagged,
    assert_nothing_applied_twice,
    assert_tagged,
)

__all__ = [
    "FrozenClock",
    "assert_applied_once",
    "assert_contact",
    "assert_faults_met",
    "assert_not_called",
    "assert_not_tagged",
    "assert_nothing_applied_twice",
    "assert_tagged",
]
