"""Rows 53 to 55, and 38 over TLS: handshakes that fail, and connections that break behind one."""

from __future__ import annotations

from typing import Any

import pytest

from klickdoxie_core.errors import CertificateRejected, ConnectFailed, DecodeError, Interrupted
from tests.core.wire.raw_server import GENERATORS_LEFT, Peer, Play, after_request, answer_bytes, at_once
from tests.faults.clients import ON_EVERY_WIRE
from tests.faults.matrix import SHORT, Row, check, row_ids
from tests.faults.server import GOOD, OK, certificates, headers_like, secured

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

LOST = "R2 W2 N1?"
FINE = "R1 W1 N1"
DISTRUSTED = "R1! W1! N1!"
UNSENT = "R3! W3! N3!"


async def a_record_that_does_not_decrypt(peer: Peer) -> None:
    """Answer with bytes that only look like TLS."""
    await peer.request()
    await peer.socket.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    await peer.gone()


async def nothing_behind_it(peer: Peer) -> None:
    """The handshake is all there is."""
    await peer.gone()


def row(*given: Any, **named: Any) -> Row:
    """A row on TLS; after its script the server has a good certificate."""
    return Row(*given, tls=True, then=behind("good", GOOD), **named)


def behind(name: str, play: Play) -> Play:
    """The play in TLS with the certificate of this name."""
    return secured(lambda: getattr(certificates(), name), play)


HANDSHAKES = (
    row(53, "a stranger's certificate", behind("stranger", GOOD), DISTRUSTED, CertificateRejected, unread=1),
    row(53, "a certificate for another host", behind("other_host", GOOD), DISTRUSTED, CertificateRejected, unread=1),
    row(53, "an expired certificate", behind("expired", GOOD), DISTRUSTED, CertificateRejected, unread=1),
    row(53, "no TLS", (at_once(answer_bytes(OK)),) * 3, UNSENT, ConnectFailed, unread=3),
    row(53, "no TLS, once", at_once(answer_bytes(OK)), "R2 W2 N2", unread=1),
    row(53, "closed in the handshake", (at_once(end="close"),) * 3, UNSENT, ConnectFailed, unread=3),
    row(53, "reset in the handshake", (at_once(end="reset"),) * 3, UNSENT, ConnectFailed, unread=3),
    row(53, "silence in the handshake", at_once(end="hang"), "R2 W2 N2", unread=1, timeout=SHORT),
)

BEHIND = (
    row(38, "ended by closing, cut", behind("good", after_request(headers_like(body=OK[:-3]), end="close")),
        "R2 W1? N1?", DecodeError),
    row(39, "ended by closing, whole", behind("good", after_request(headers_like(), end="close")), FINE),
    row(54, "a record that does not decrypt", behind("good", a_record_that_does_not_decrypt), LOST, Interrupted),
    row(54, "closed without an answer", behind("good", after_request(b"", end="close")), LOST, Interrupted),
    row(54, "reset without an answer", behind("good", after_request(b"", end="reset")), LOST, Interrupted),
    row(54, "silence behind the handshake", behind("good", nothing_behind_it), LOST, Interrupted, unread=1,
        timeout=SHORT),
    row(54, "the length not reached", behind("good", after_request(answer_bytes(OK)[:-3], end="close")), LOST,
        Interrupted),
    row(55, "a client certificate demanded", behind("demanding", GOOD), LOST, Interrupted, unread=1),
)  # fmt: skip


@row_ids(HANDSHAKES)
@ON_EVERY_WIRE
async def test_without_a_handshake_nothing_was_sent(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """What may pass is tried again; a server that cannot prove who it is never."""
    await check(row, wire, caplog)


@row_ids(BEHIND)
@ON_EVERY_WIRE
async def test_behind_the_handshake_it_is_as_without(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """What breaks off leaves a send in doubt, whatever the TLS library calls it."""
    await check(row, wire, caplog)
