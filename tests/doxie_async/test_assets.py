"""Assets: files of any size, from anywhere, sent once and whole."""

from __future__ import annotations

import contextlib
import re
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import respx
from anyio.abc import SocketAttribute, SocketStream

from doxie_async import (
    ArgumentError,
    Asset,
    Bearer,
    ConfigError,
    ConnectFailed,
    Doxie,
    Interrupted,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
)
from doxie_async.errors import DoxieError
from klickdoxie_core import Clock
from tests.core.support import failure_of, settle
from tests.core.wire.raw_server import GENERATORS_LEFT, refusing_port
from tests.doxie_async.support import TENANT, TOKEN, Again, Pieces, ok, refused

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

URL = "/api/ts/admin/editor/assets"
STORED = {"uuid": "a1b2", "filename": "logo.png", "url": "https://assets.example.com/a1b2", "size": 3}
ANSWER = b'{"success":true,"data":{"asset":{"uuid":"a1b2"}}}'
PIECE, PIECES = 64 * 1024, 1024
MIB = 1024 * 1024

Handle = Callable[[SocketStream], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(handle: Handle, admin: Bearer | None = None) -> AsyncIterator[Doxie]:
    """A client of a server that does this on each connection."""

    async def serve(stream: SocketStream) -> None:
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            async with stream:
                await handle(stream)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)
        async with Doxie(TENANT, admin=admin or Bearer(TOKEN), base_url=f"http://127.0.0.1:{port}") as client:
            yield client
        group.cancel_scope.cancel()


class Counting:
    """A server that counts what it gets, keeps nothing, and answers when the body is complete."""

    def __init__(self) -> None:
        self.head = b""
        self.received = 0
        self.complete = False

    async def serve(self, stream: SocketStream) -> None:
        """Read one request and answer it."""
        while b"\r\n\r\n" not in self.head:
            self.head += await stream.receive()
        self.head, _, rest = self.head.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", self.head)
        self.received, end = len(rest), rest[-8:]
        while (self.received < int(length[1])) if length else not end.endswith(b"0\r\n\r\n"):
            chunk = await stream.receive()
            self.received += len(chunk)
            end = (end + chunk)[-8:]
        self.complete = True
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)


async def fresh_pieces() -> AsyncIterator[bytes]:
    """64 MiB that are nowhere at once."""
    for number in range(PIECES):
        yield bytes([number % 256]) * PIECE


async def peak_of(upload: Awaitable[object]) -> int:
    """The most memory that was held beyond what was held before, in bytes."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await upload
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


async def test_64_mib_of_an_iterator_in_flat_memory() -> None:
    """A file that nobody holds is sent in chunks, and never held here either."""
    server = Counting()
    async with listening(server.serve) as doxie:
        peak = await peak_of(doxie.admin.assets.upload(fresh_pieces(), filename="film.mp4"))
    assert peak < 3 * MIB
    assert server.received > PIECES * PIECE
    assert b"transfer-encoding: chunked" in server.head.lower()
    assert b"content-length" not in server.head.lower()


async def test_a_large_file_in_flat_memory(tmp_path: Path) -> None:
    """A file at a path is sent piece by piece, with its length told beforehand."""
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    server = Counting()
    async with listening(server.serve) as doxie:
        peak = await peak_of(doxie.admin.assets.upload(path))
    assert peak < 3 * MIB
    assert 16 * MIB < server.received < 16 * MIB + 1000
    assert b"transfer-encoding" not in server.head.lower()


@pytest.mark.parametrize("data", [STORED, {"asset": STORED}])
async def test_an_upload(doxie: Doxie, api: respx.MockRouter, data: dict[str, Any]) -> None:
    """The asset comes back, under its name or not."""
    route = api.post(URL).respond(json=ok(data, message="Erfolgreich erstellt"))
    asset = await doxie.admin.assets.upload(b"abc", filename="logo.png")
    assert (asset.uuid, asset.filename, asset.url, asset.extra) == ("a1b2", "logo.png", STORED["url"], {"size": 3})
    request = route.calls.last.request
    assert request.headers["accept"] == "application/json"
    assert request.headers["content-length"] == str(len(request.content))
    assert b'name="file"; filename="logo.png"\r\n' in request.content


async def test_an_upload_without_permission(doxie: Doxie, api: respx.MockRouter) -> None:
    """The envelope of the vendor's own sample is an error."""
    api.post(URL).respond(json=refused("No write permission"))
    with pytest.raises(Rejected, match="No write permission") as caught:
        await doxie.admin.assets.upload(b"abc", filename="logo.png")
    assert not caught.value.maybe_applied


async def test_assets_are_deleted(doxie: Doxie, api: respx.MockRouter) -> None:
    """A delete of what is not there is an error."""
    api.delete(f"{URL}/a1b2").respond(json=ok())
    api.delete(f"{URL}/weg").respond(404)
    await doxie.admin.assets.delete(uuid="a1b2")
    with pytest.raises(NotFound):
        await doxie.admin.assets.delete("weg")


BEFORE: Any = [httpx.ConnectError("down"), httpx.Response(429)]


@pytest.mark.parametrize("kind", ["bytes", "path", "iterable"])
@pytest.mark.parametrize("before", BEFORE, ids=["connect", "429"])
async def test_what_was_not_taken_is_sent_again_whole(
    doxie: Doxie, api: respx.MockRouter, tmp_path: Path, kind: str, before: httpx.Response | Exception
) -> None:
    """A second attempt carries the file from its first byte."""
    path = tmp_path / "logo.png"
    path.write_bytes(b"abc")
    file: Any = {"bytes": b"abc", "path": path, "iterable": Again()}[kind]
    route = api.post(URL).mock(side_effect=[before, httpx.Response(200, json=ok(STORED))])
    await doxie.admin.assets.upload(file, filename="logo.png")
    assert route.call_count == 2
    assert b"\r\n\r\nabc\r\n--" in route.calls.last.request.content


async def test_an_iterator_that_was_not_read_is_sent_again(clock: Clock) -> None:
    """Without a connection nothing was read: the next attempt may still send all of it."""
    async with Doxie(
        TENANT, admin=Bearer(TOKEN), base_url=f"http://127.0.0.1:{refusing_port()}", clock=clock
    ) as client:
        pieces = Pieces(b"abc")
        error = await failure_of(client.admin.assets.upload(pieces, filename="logo.png"))
    assert isinstance(error, ConnectFailed)
    assert error.attempts == 3
    assert await anext(aiter(pieces)) == b"abc"


async def test_an_iterator_that_was_read_is_never_sent_again(doxie: Doxie, api: respx.MockRouter) -> None:
    """An empty file must not take the place of the one that was read: the service's answer is raised instead."""
    route = api.post(URL).respond(429, headers={"retry-after": "1"})
    with pytest.raises(RateLimited, match="not sent again because its body can be read only once") as caught:
        await doxie.admin.assets.upload(Pieces(b"abc"), filename="logo.png")
    assert (caught.value.attempts, caught.value.maybe_applied, caught.value.retry_after) == (1, False, 1)
    assert route.call_count == 1


async def test_a_refused_token_is_renewed_for_the_next_iterator(api: respx.MockRouter, clock: Clock) -> None:
    """A 401 does not send an iterator again, and the next upload has the new token."""
    tokens = iter(["alt", "neu"])

    async def source() -> str:
        return next(tokens)

    route = api.post(URL).mock(
        side_effect=lambda request: (
            httpx.Response(401)
            if request.headers["authorization"] == "Bearer alt"
            else httpx.Response(200, json=ok(STORED))
        )
    )
    async with Doxie(TENANT, admin=Bearer(source), clock=clock) as client:
        with pytest.raises(Unauthorized) as caught:
            await client.admin.assets.upload(Pieces(b"abc"), filename="logo.png")
        assert (caught.value.attempts, caught.value.renewals, route.call_count) == (1, 0, 1)
        assert (await client.admin.assets.upload(Pieces(b"abc"), filename="logo.png")).uuid == "a1b2"
    assert b"abc" in route.calls.last.request.content


async def test_a_refused_token_is_renewed_within_an_upload(api: respx.MockRouter, clock: Clock) -> None:
    """What can be read again is sent again with the new token."""
    tokens = iter(["alt", "neu"])

    async def source() -> str:
        return next(tokens)

    route = api.post(URL).mock(side_effect=[httpx.Response(401), httpx.Response(200, json=ok(STORED))])
    async with Doxie(TENANT, admin=Bearer(source), clock=clock) as client:
        await client.admin.assets.upload(b"abc", filename="logo.png")
    assert b"\r\n\r\nabc\r\n--" in route.calls.last.request.content


class Failing(Pieces):
    """An iterator that ends with an error of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"abc")
        self._error = error

    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            raise self._error from None


@pytest.mark.parametrize(
    "error", [ValueError("mein"), RuntimeError("mein"), OSError("mein"), httpx.ReadError("mein"), anyio.EndOfStream()]
)
async def test_an_iterators_own_error_comes_as_it_is(error: Exception) -> None:
    """What goes wrong at the caller's is not taken for a failure of the connection."""
    server = Counting()
    async with listening(server.serve) as doxie:
        with pytest.raises(type(error)) as caught:
            await doxie.admin.assets.upload(Failing(error), filename="logo.png")
    assert caught.value is error
    assert not server.complete


async def uploaded_while(path: Path, change: Callable[[], object]) -> Exception:
    """What an upload raises when the file is changed after it was looked at, and before it is read."""

    async def source() -> str:
        change()
        return TOKEN

    server = Counting()
    async with listening(server.serve, Bearer(source)) as doxie:
        error = await failure_of(doxie.admin.assets.upload(path))
    assert not server.complete
    return error


async def test_a_file_that_goes_away(tmp_path: Path) -> None:
    """A file that is gone when it is read is told as such."""
    path = tmp_path / "logo.png"
    path.write_bytes(b"abc")
    error = await uploaded_while(path, path.unlink)
    assert isinstance(error, ArgumentError)
    assert "could not be read to its end (FileNotFoundError)" in str(error)


@pytest.mark.parametrize(("content", "how"), [(b"ab", "shorter"), (bytes(100_000), "longer")])
async def test_a_file_that_changes(tmp_path: Path, content: bytes, how: str) -> None:
    """A file that is not as long as it was is never taken for whole, and the error says so."""
    path = tmp_path / "logo.png"
    path.write_bytes(b"abc")
    error = await uploaded_while(path, lambda: path.write_bytes(content))
    assert isinstance(error, ConfigError)
    assert isinstance(error, DoxieError)
    assert f"the body is {how} than it said" in str(error)
    assert error.maybe_applied


async def hang_up(stream: SocketStream) -> None:
    """Read the beginning of a request, and go."""
    await stream.receive()


async def stay_silent(stream: SocketStream) -> None:
    """Read the beginning of a request, and nothing more."""
    await stream.receive()
    await anyio.sleep_forever()


def is_open(path: Path) -> bool:
    """Whether this process holds the file open."""
    return any(link.resolve() == path for link in Path("/proc/self/fd").iterdir())


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that no socket takes at once."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not tell which files are open")
    path = tmp_path.resolve() / "film.mp4"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    return path


async def test_a_connection_that_breaks_leaves_no_file_open(large: Path) -> None:
    """The file is closed when the upload ends, not some time later; the upload stays in doubt."""
    async with listening(hang_up) as doxie:
        error = await failure_of(doxie.admin.assets.upload(large))
        assert not is_open(large)
    assert isinstance(error, Interrupted)
    assert error.maybe_applied


async def test_a_cancelled_upload_leaves_no_file_open(large: Path) -> None:
    """Whoever cancels an upload gets the file closed at once."""
    async with listening(stay_silent) as doxie, anyio.create_task_group() as group:
        group.start_soon(doxie.admin.assets.upload, large)
        with anyio.fail_after(5):
            while not is_open(large):
                await settle()
        group.cancel_scope.cancel()
    assert not is_open(large)


async def test_the_repr_of_an_asset() -> None:
    """An asset shows what it is, and not all that came with it."""
    assert repr(Asset(uuid="a1b2", raw={"von": "kanarie"})) == "Asset(uuid='a1b2', filename=None, url=None)"
