"""A kit to test what you build on the client: questions to the fake tenant, and a time that stands still.

In pytest, `pytest_plugins = ["doxie_async.testing.plugin"]` in your `conftest.py` brings the fixtures
`doxie_sandbox`, `doxie` and `frozen_clock`. Nothing here needs pytest.
"""

from doxie_async.testing.assertions import assert_messages, assert_nothing_applied_twice
from klickdoxie_core.testing import FrozenClock, assert_applied_once, assert_faults_met, assert_not_called

__all__ = [
    "FrozenClock",
    "assert_applied_once",
    "assert_faults_met",
    "assert_messages",
    "assert_not_called",
    "assert_nothing_applied_twice",
]
