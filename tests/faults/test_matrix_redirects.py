"""Row 52: an answer that points elsewhere is an error, and elsewhere never hears of it."""

from __future__ import annotations

import pytest

from klickdoxie_core.errors import Redirected
from tests.core.wire.raw_server import GENERATORS_LEFT
from tests.faults.clients import ON_EACH_WIRE
from tests.faults.matrix import Row, check
from tests.faults.server import GOOD, FaultServer, refuses

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

STATUSES = (
    "300 Choices",
    "301 Moved",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
)
ELSEWHERE = "http://{there}/fang"

# What the answer says, and where it points; `{there}` is another server.
ROWS = (
    *((status, ELSEWHERE) for status in STATUSES),
    ("307 Temporary Redirect", "//{there}/fang"),
    ("307 Temporary Redirect", "http://localhost:{port}/fang"),
    ("307 Temporary Redirect", "http://user:geheim@{there}/fang"),
    ("307 Temporary Redirect", "/contacts/1?reference=call"),
    ("307 Temporary Redirect", "file:///etc/passwd"),
    ("307 Temporary Redirect", ""),
    ("307 Temporary Redirect", None),
    # httpx stumbles over what is no URL, before it hands over an answer.
    ("307 Temporary Redirect", "http://[::1"),
    ("307 Temporary Redirect", "ftp:abc"),
)


@pytest.mark.parametrize(("status", "location"), ROWS)
@ON_EACH_WIRE
async def test_a_redirect_is_not_followed(
    status: str, location: str | None, wire: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 52: it was not carried out, and the credentials go nowhere else, not even to another port."""
    there = FaultServer(GOOD)
    async with there.listening():
        place = None if location is None else location.format(there=f"127.0.0.1:{there.port}", port=there.port)
        play = refuses(status, b"", *([] if place is None else [f"Location: {place}"]))
        await check(Row(52, f"{status}: {location}", play, "R1! W1! N1!", Redirected), wire, caplog)
    assert there.accepted == 0
