"""A server of bare sockets: it plays what a script says, byte for byte, and counts what really arrived.

A script is a row of plays. A play is an `async` function of one `Peer`; each exchange takes the next one, over all
connections together, and the last one serves for ever. A new connection starts its play at once, so that a play may
close or speak before any request came; on a connection that was kept, the next play starts with the next byte.

    async with serving(after_request(b"HTTP/1.1 2", end="close"), answer(b"{}")) as server:
        ...  # talk to server.url: the first exchange breaks off, all others succeed
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import anyio
import attrs
import pytest
import trustme
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

from klickdoxie_core.wire.base import Request

GENERATORS_LEFT = pytest.mark.filterwarnings("ignore:Async generator '(httpx|httpcore|klickdoxie):ResourceWarning")
"""For tests on trio, which warns when httpx leaves its generators before their end; nobody but httpx can end them."""

_GONE = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


@attrs.frozen
class Received:
    """One complete request, and the number (from 1) of the connection that it came on."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Peer:
    """The server's end of one connection.

    Attributes:
        number: Of the connection, from 1.
        socket: The connection below TLS.
        closed: Whether the server has closed it.
    """

    def __init__(self, server: RawServer, stream: SocketStream, number: int) -> None:
        self.number = number
        self.socket = stream
        self.closed = False
        self._server = server
        self._stream: ByteStream = stream
        self._buffer = b""

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from here on."""
        self._stream = await TLSStream.wrap(
            self._stream, server_side=True, ssl_context=context, standard_compatible=False
        )

    async def next_byte(self) -> None:
        """Wait until there is something to read."""
        if not self._buffer:
            self._buffer = await self._stream.receive()

    async def head(self) -> tuple[str, str, dict[str, str]]:
        """Read a request up to its blank line: method, target, headers in lower case."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += await self._stream.receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        return method, target, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    async def request(self) -> Received:
        """Read one request to its end, and count it."""
        method, target, headers = await self.head()
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._buffer += await self._stream.receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        received = Received(method, target, headers, body, self.number)
        self._server.requests.append(received)
        self._server.notify()
        return received

    async def send(self, data: bytes) -> None:
        """Send these bytes, and nothing else."""
        await self._stream.send(data)

    async def gone(self) -> None:
        """Stay silent until the client has closed the connection."""
        while True:
            await self._stream.receive()

    async def close(self) -> None:
        """Close the connection in an orderly way."""
        self.closed = True
        await self.socket.aclose()

    async def reset(self) -> None:
        """Break the connection off."""
        raw = self.socket.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close()


Play = Callable[[Peer], Awaitable[None]]
End = Literal["keep", "close", "reset", "hang", "half"]


class RawServer:
    """What the server has seen so far.

    Attributes:
        port: Where it listens on 127.0.0.1.
        url: The same as a URL without a path.
        accepted: Connections that were ever made.
        open: Connections that are open now.
        requests: The complete requests, in order.
    """

    def __init__(self, plays: tuple[Play, ...], tls: ssl.SSLContext | None, port: int) -> None:
        self.port = port
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self.accepted = 0
        self.open = 0
        self.requests: list[Received] = []
        self._plays = plays
        self._played = 0
        self._tls = tls
        self._changed = anyio.Event()

    def notify(self) -> None:
        """Wake those that wait in `until`."""
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool], *, seconds: float = 2.0) -> None:
        """Wait until something has happened here; TimeoutError when it does not within so many seconds."""
        with anyio.fail_after(seconds):
            while not condition():
                await self._changed.wait()

    async def until_open(self, number: int) -> None:
        """Wait until so many connections are open."""
        await self.until(lambda: self.open == number)

    async def until_requests(self, number: int) -> None:
        """Wait until so many complete requests have come."""
        await self.until(lambda: len(self.requests) >= number)

    async def serve(self, stream: SocketStream) -> None:
        """Play on one connection until it ends."""
        self.accepted += 1
        self.open += 1
        self.notify()
        try:
            async with stream:
                await self._play_on(Peer(self, stream, self.accepted))
        except _GONE:
            return
        finally:
            self.open -= 1
            self.notify()

    async def _play_on(self, peer: Peer) -> None:
        if self._tls is not None:
            await peer.start_tls(self._tls)
        while not peer.closed:
            await self._next_play()(peer)
            if not peer.closed:
                await peer.next_byte()

    def _next_play(self) -> Play:
        play = self._plays[min(self._played, len(self._plays) - 1)]
        self._played += 1
        return play


@contextlib.asynccontextmanager
async def serving(*plays: Play, tls: ssl.SSLContext | None = None) -> AsyncGenerator[RawServer, None]:
    """Run a server with this script on a free port of 127.0.0.1; at the end it drops what is still open."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        server = RawServer(plays, tls, listener.extra(SocketAttribute.local_port))
        group.start_soon(listener.serve, server.serve)
        try:
            yield server
        finally:
            group.cancel_scope.cancel()


def answer_bytes(body: bytes = b"{}", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    """A whole answer, with its Content-Length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def answer(body: bytes = b"{}", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> Play:
    """Read a request, answer it, keep the connection."""
    return after_request(answer_bytes(body, status=status, headers=headers))


def after_request(data: bytes, *, end: End = "keep") -> Play:
    """Read a request and send these bytes; then `end` the connection.

    The end is one of: `keep` it, `close` it, `reset` it, `hang` without a word, `half`-close it and then hang.
    """

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await _end(peer, end)

    return play


def at_once(data: bytes = b"", *, end: End = "close") -> Play:
    """Send these bytes without waiting for a request; then end as `after_request` does."""

    async def play(peer: Peer) -> None:
        if data:
            await peer.send(data)
        await _end(peer, end)

    return play


def drip(data: bytes, *, pause: float) -> Play:
    """Read a request and answer byte by byte, with so many seconds before each."""

    async def play(peer: Peer) -> None:
        await peer.request()
        for byte in data:
            await anyio.sleep(pause)
            await peer.send(bytes([byte]))

    return play


async def _end(peer: Peer, end: End) -> None:
    match end:
        case "keep":
            return
        case "close":
            await peer.close()
        case "reset":
            await peer.reset()
        case "hang":
            await peer.gone()
        case "half":
            await peer.socket.send_eof()
            await peer.gone()


def refusing_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificate(folder: Path, name: str = "127.0.0.1") -> Path:
    """Make a certificate for a host, by an authority of its own; the PEM file holds the key and both certificates."""
    authority = trustme.CA()
    leaf = authority.issue_cert(name)
    file = folder / "certificate.pem"
    file.write_bytes(leaf.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes())
    return file


def server_tls(certificate: Path) -> ssl.SSLContext:
    """What a server needs to show this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def client_tls(certificate: Path) -> ssl.SSLContext:
    """What a client needs to trust this certificate, and no other."""
    return ssl.create_default_context(cafile=certificate)


def ask(url: str, *, timeout: float = 2.0, max_body: int = 1024 * 1024, **fields: Any) -> Request:
    """A POST of a few bytes, unless the fields say otherwise; timeout in seconds."""
    given = {"method": "POST", "headers": {"accept-encoding": "gzip"}, "body": b"{}", **fields}
    return Request(url=url, timeout=timeout, max_body=max_body, **given)
