"""Rows 1 to 3, 78 to 80 and 85: what goes wrong before a request leaves, and what is never sent at all."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from klickdoxie_core import Basic, KeyPair
from klickdoxie_core.errors import ArgumentError, CertificateRejected, ConfigError, ConnectFailed
from klickdoxie_core.wire import pool
from tests.core.support import FakeClock, failure_of
from tests.core.wire.raw_server import GENERATORS_LEFT
from tests.faults import names
from tests.faults.clients import KINDS, ON_EACH_WIRE, ON_EVERY_WIRE, ON_OUR_WIRES, READ, SEND, shop_on
from tests.faults.matrix import HOPELESS, Row, check, row_ids
from tests.faults.server import (
    GOOD,
    NEEDS_IPV6,
    FaultServer,
    authority_file,
    certificates,
    free_port,
    full_backlog,
    nobody,
    secured,
)

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

FINE = "R1 W1 N1"
UNSENT = "R3! W3! N3!"
INVALID = "R0! W0! N0!"

UNREACHABLE = (
    Row(1, "refused", (), UNSENT, ConnectFailed, absent=nobody, unread=3),
    Row(2, "a black hole", (), UNSENT, ConnectFailed, absent=full_backlog, unread=3, timeout=HOPELESS),
    Row(3, "an unknown name", (), UNSENT, ConnectFailed, absent=names.unknown, host=names.NAME, unread=3),
)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the shop a name."""
    monkeypatch.setattr(socket, "getaddrinfo", names.resolver("127.0.0.1"))


@pytest.mark.usefixtures("resolved")
@row_ids(UNREACHABLE)
@ON_EVERY_WIRE
async def test_what_finds_no_connection_was_never_sent(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Every kind of call is tried again, and the error says that nothing was changed."""
    if row.number == 2 and sys.platform != "linux":
        pytest.skip("elsewhere a full backlog refuses instead of keeping silent")
    await check(row, wire, caplog)


@pytest.mark.parametrize("kind", KINDS)
@ON_EVERY_WIRE
async def test_a_server_that_comes_back_gets_each_call_once(kind: str, wire: str) -> None:
    """Rows 1 and 2, the good end: what was never sent is sent again, a send like a read."""
    server = FaultServer(GOOD, port=free_port())
    time = FakeClock(chance=0.5)
    listening = server.listening()

    async def back_after_the_first_pause(seconds: float) -> None:
        if not time.slept:
            await listening.__aenter__()
        await FakeClock.sleep(time, seconds)

    time.sleep = back_after_the_first_pause  # type: ignore[method-assign]
    async with shop_on(wire, f"http://127.0.0.1:{server.port}", clock=time.clock()) as shop:
        await shop.call(KINDS[kind])
    await listening.__aexit__(None, None, None)
    assert (len(server.received("call")), server.applied("call"), len(time.slept)) == (1, 1, 1)


IPV6 = (
    Row(78, "only IPv6", (), FINE, listens="::1"),
    Row(78, "a name with both, only IPv6 listens", (), FINE, host=names.NAME, listens="::1"),
    Row(78, "a name with both, IPv6 refused", (), FINE, host=names.NAME),
)


@NEEDS_IPV6
@row_ids(IPV6)
@ON_EVERY_WIRE
async def test_either_kind_of_address_will_do(
    row: Row, wire: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt finds the address that answers."""
    monkeypatch.setattr(socket, "getaddrinfo", names.resolver("::1", "127.0.0.1"))
    await check(row, wire, caplog)


IMPOSSIBLE = ("..", ".", "a/b", "../mail", "a\\b", "a\r\nX-Evil: 1", "a\x00b", "", "\ud800")
SEGMENTS = tuple(
    Row(79, f"segment {segment!r}", (), INVALID, ArgumentError, call={"path": {"email": segment}})
    for segment in IMPOSSIBLE
)
HEADERS = (
    *(
        Row(80, f"header {value!r}", (), INVALID, ArgumentError, call={"headers": {"x-note": value}})
        for value in ("a\r\nX-Evil: 1", "a\nb", "a\x00b")
    ),
    Row(80, "header 'ü'", (), "R1! W1! N1!", ConfigError, unread=1, call={"headers": {"x-note": "ü"}}),
)


@row_ids(SEGMENTS + HEADERS)
@ON_EACH_WIRE
async def test_what_would_leave_its_place_is_not_sent(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """A value that could change the path or the headers is our own mistake; nobody hears of it."""
    await check(row, wire, caplog)


@pytest.mark.parametrize(
    ("segment", "sent"),
    [
        ("%2e%2e", "%252e%252e"),
        ("%2F", "%252F"),
        ("a?b#c", "a%3Fb%23c"),
        ("a;b=c&d", "a%3Bb%3Dc%26d"),
        ("...", "..."),
        ("Grüße @ Köln", "Gr%C3%BC%C3%9Fe%20%40%20K%C3%B6ln"),
        ("~a+b", "~a%2Bb"),
    ],
)
@ON_EACH_WIRE
async def test_a_segment_arrives_quoted_and_in_its_place(segment: str, sent: str, wire: str) -> None:
    """Row 79: what can be quoted is, once, and no library tidies the path up."""
    server = FaultServer(GOOD)
    async with server.listening(), shop_on(wire, f"{server.url}/mandant") as shop:
        await shop.call(SEND, path={"email": segment})
    (seen,) = server.requests
    assert seen.target.partition("?")[0] == f"/mandant/contacts/{sent}"


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1", "a\x00b", "a\x7f"], ids=ascii)
@pytest.mark.parametrize(
    "make", [lambda name: Basic(name, "p"), lambda name: KeyPair(name, "00", "c"), lambda name: Basic("u", name)]
)
def test_a_user_name_with_control_characters_is_refused_when_it_is_given(
    make: Callable[[str], object], name: str
) -> None:
    """Row 80: there is not even a client."""
    with pytest.raises(ArgumentError, match=r"username|password"):
        make(name)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"])
@ON_OUR_WIRES
async def test_no_proxy_comes_from_the_environment(name: str, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 85: credentials do not go to whom a variable names; who wants a proxy brings a client that has one."""
    server, proxy = FaultServer(GOOD), FaultServer(GOOD)
    async with server.listening(), proxy.listening():
        monkeypatch.setenv(name, proxy.url)
        async with shop_on(wire, server.url) as shop:
            await shop.call(SEND)
    assert (proxy.accepted, len(server.requests)) == (0, 1)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@ON_OUR_WIRES
async def test_no_trust_comes_from_the_environment(
    name: str, wire: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Row 85: whom we trust never changes silently."""
    file = authority_file(tmp_path)
    monkeypatch.setenv(name, str(file if name == "SSL_CERT_FILE" else tmp_path))
    pool.shared_ssl_context.cache_clear()
    server = FaultServer(secured(lambda: certificates().good, GOOD))
    async with server.listening(), shop_on(wire, server.url.replace("http:", "https:")) as shop:
        assert type(await failure_of(shop.call(READ))) is CertificateRejected
    assert server.requests == []
