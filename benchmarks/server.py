"""A server that answers from memory, in a process and on a core of its own, so that only the client is measured.

It knows no HTTP beyond what the clients here send: a head, a body of a told length, one request after the other.
`python benchmarks/server.py` prints its port; `GET /_busy` tells the CPU seconds that it has used.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures"
MANY = 1_000_000


def body_of(path: str) -> bytes:
    """What is answered at a path."""
    match path:
        case "/subscriber/search":
            return b"[155986456]"
        case "/subscriber":
            ids = [str(155_000_000 + number) for number in range(MANY)]
            return json.dumps(ids, separators=(",", ":")).encode()
        case "/models/m":
            return b'{"id":"m","created":1,"object":"model","owned_by":"b"}'
        case "/v1/customers/c":
            return b'{"id":"c","object":"customer","created":1,"email":null,"livemode":false}'
        case "/v1/users/me":
            return b'{"object":"user","id":"u","type":"bot","bot":{},"name":"b","avatar_url":null}'
        case _:
            return (FIXTURES / "contacts" / "full.json").read_bytes()


class Connection(asyncio.Protocol):
    """Answers every request, after the milliseconds that its query asks for: `?ms=20`."""

    answers: dict[str, bytes] = {}  # noqa: RUF012 - one process, one table

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            target = self._buffer.split(b" ", 2)[1].decode()
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(target)

    def _answer(self, target: str) -> None:
        path, _, query = target.partition("?")
        if path == "/_busy":
            self._transport.write(framed(json.dumps(time.process_time()).encode()))
            return
        if path not in self.answers:
            self.answers[path] = framed(body_of(path))
        answer = self.answers[path]
        if query.startswith("ms="):
            asyncio.get_running_loop().call_later(int(query[3:]) / 1000, self._transport.write, answer)
        else:
            self._transport.write(answer)


def framed(body: bytes) -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def main() -> None:
    """Serve until the parent goes."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextlib.contextmanager
def running() -> Generator[str]:
    """The server in a process of its own, on the last core if there are several; this process keeps to the others."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    command = [sys.executable, __file__, *([str(cores[-1])] if len(cores) > 1 else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[:-1])
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            if len(cores) > 1:
                os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(main())
