"""A hostile server: the plays of `raw_server` and some more, counted by call and by what was carried out."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import attrs
import pytest
import trustme
from anyio.abc import SocketAttribute

from tests.core.wire.raw_server import Peer, Play, RawServer, Received, answer, answer_bytes
from tests.faults.canaries import COOKIE, EMAIL, PHONE

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b'{"ok": true}'
GOOD = answer(OK)
"""Read a request, carry it out, say so."""

SAID = f'{{"error": "{EMAIL} and {PHONE} are not welcome"}}'.encode()
"""What services say when they refuse: they repeat what they were told."""
_TOLD = (f"Set-Cookie: SESS={COOKIE}; Path=/", f"Server: {EMAIL}", f"X-Request-Id: {PHONE}")


class FaultServer(RawServer):
    """Plays its script, and knows which request belongs to which call and which were not carried out.

    Attributes:
        refused: The requests that were read and turned down.
    """

    def __init__(self, *plays: Play, port: int = 0) -> None:
        super().__init__(plays, None, port)
        self.refused: list[Received] = []

    @contextlib.asynccontextmanager
    async def listening(self, host: str = "127.0.0.1") -> AsyncGenerator[None, None]:
        """Listen on the port, or on a free one."""
        async with (
            await anyio.create_tcp_listener(local_host=host, local_port=self.port) as listener,
            anyio.create_task_group() as group,
        ):
            self.port = listener.extra(SocketAttribute.local_port)
            self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
            group.start_soon(listener.serve, self.serve)
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    def heal(self) -> None:
        """Skip what is left of the script but for its last play, which goes on for ever."""
        self._played = len(self._plays)

    def received(self, reference: str) -> list[Received]:
        """The complete requests of one call."""
        return [seen for seen in self.requests if _reference(seen) == reference]

    def applied(self, reference: str) -> int:
        """How often a call was carried out."""
        return len(self.received(reference)) - sum(_reference(seen) == reference for seen in self.refused)


def _reference(seen: Received) -> str:
    return parse_qs(urlsplit(seen.target).query)["reference"][0]


def refusing(play: Play) -> Play:
    """The same, but what is read meanwhile is not carried out."""

    async def run(peer: Peer) -> None:
        server = peer._server
        assert isinstance(server, FaultServer)
        before = len(server.requests)
        try:
            await play(peer)
        finally:
            server.refused += server.requests[before:]

    return run


def says(status: str, body: bytes = SAID, *headers: str) -> Play:
    """Carry out the request and answer with this status, repeating the personal data that came with it."""
    return answer(body, status=status, headers=(*_TOLD, *headers))


def refuses(status: str, body: bytes = SAID, *headers: str) -> Play:
    """Answer with this status, and carry out nothing."""
    return refusing(says(status, body, *headers))


def headers_like(*lines: bytes, body: bytes = OK) -> bytes:
    """An answer of 200 with these header lines and no others."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""]) + body


def packed(body: bytes, encoding: str = "gzip") -> bytes:
    """An answer of 200 whose body is said to be packed."""
    return answer_bytes(body, headers=(f"Content-Encoding: {encoding}",))


async def read_head_and_close(peer: Peer) -> None:
    """Go away with the body unread."""
    await peer.head()
    await peer.close()


async def storm_of_103(peer: Peer) -> None:
    """Early hints for ever."""
    await peer.request()
    while True:
        await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await anyio.sleep(0.01)


def endless(start: bytes, piece: bytes) -> Play:
    """Read a request, send the start and then the piece over and over, until the client goes away."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(start)
        while True:
            await peer.send(piece)

    return play


@contextlib.contextmanager
def nobody(port: int) -> Generator[None, None, None]:
    """Nobody listens on the port."""
    del port
    yield


@contextlib.contextmanager
def full_backlog(port: int) -> Generator[None, None, None]:
    """Somebody listens on the port, but never looks: connecting takes for ever."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
        yield


@attrs.frozen
class Certificates:
    """What servers may show, and whom the client trusts."""

    trust: ssl.SSLContext
    good: ssl.SSLContext
    expired: ssl.SSLContext
    other_host: ssl.SSLContext
    stranger: ssl.SSLContext
    demanding: ssl.SSLContext


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


def authority_file(folder: Path) -> Path:
    """The authority that the clients trust, as a file."""
    file = folder / "authority.pem"
    _authority().cert_pem.write_to_path(str(file))
    return file


@cache
def certificates() -> Certificates:
    """One authority that the clients trust, and servers with certificates of every kind."""
    ours, theirs = _authority(), trustme.CA()
    trust = ssl.create_default_context()
    ours.configure_trust(trust)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    expired = ours.issue_cert("127.0.0.1", not_before=long_ago, not_after=long_ago + timedelta(days=1))
    demanding = _server_side(ours.issue_cert("127.0.0.1"))
    demanding.verify_mode = ssl.CERT_REQUIRED
    return Certificates(
        trust=trust,
        good=_server_side(ours.issue_cert("127.0.0.1")),
        expired=_server_side(expired),
        other_host=_server_side(ours.issue_cert("anderswo.test")),
        stranger=_server_side(theirs.issue_cert("127.0.0.1")),
        demanding=demanding,
    )


def _server_side(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def secured(context: Callable[[], ssl.SSLContext], play: Play) -> Play:
    """The same within TLS, which the first play on a connection starts."""

    async def run(peer: Peer) -> None:
        if peer._stream is peer.socket:
            await peer.start_tls(context())
        await play(peer)

    return run


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def has_ipv6() -> bool:
    """Whether the machine has the other loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


NEEDS_IPV6 = pytest.mark.skipif(not has_ipv6(), reason="the machine has no ::1")
