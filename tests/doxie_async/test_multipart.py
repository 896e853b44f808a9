"""The form with a file in it: its bytes, its length, its names, and what cannot be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from doxie_async import ArgumentError
from doxie_async.errors import DoxieError
from doxie_async.multipart import form_with
from klickdoxie_core.call import Stream
from tests.doxie_async.support import Again, Pieces

pytestmark = pytest.mark.anyio

HEADER = 'Content-Disposition: form-data; name="file"; filename="'
KIND = "Content-Type: application/octet-stream"


@attrs.frozen
class Part:
    """One part of a form: the lines of its head, and its content."""

    head: list[str]
    content: bytes


async def body_of(stream: Stream) -> bytes:
    """The whole body of a stream."""
    return b"".join([piece async for piece in stream.open()])


async def parts_of(stream: Stream) -> list[Part]:
    """The parts of a form, read as RFC 2046 has it."""
    kind, _, boundary = stream.content_type.partition("; boundary=")
    assert kind == "multipart/form-data"
    body = await body_of(stream)
    assert stream.length in {None, len(body)}
    before, *parts, after = (b"\r\n" + body).split(f"\r\n--{boundary}".encode())
    assert (before, after) == (b"", b"--\r\n")
    found: list[Part] = []
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found.append(Part(head.decode().split("\r\n"), content))
    return found


@pytest.mark.parametrize("content", [b"", b"abc", b"\r\n--x--\r\n", bytes(200_000), "Grüße".encode("cp1252")], ids=len)
@pytest.mark.parametrize("kind", ["bytes", "path", "text of a path", "iterator"])
async def test_a_file_from_anywhere(tmp_path: Path, kind: str, content: bytes) -> None:
    """Bytes, a path and an async iterator all make the same two parts, and the length is told where it is known."""
    path = tmp_path / "logo.png"
    path.write_bytes(content)
    file: Any = {"bytes": content, "path": path, "text of a path": str(path), "iterator": Pieces(content)}[kind]
    stream = form_with(file, None if "path" in kind else "logo.png")
    assert (stream.length is None, stream.repeatable) == (kind == "iterator", kind != "iterator")
    name, sent = await parts_of(stream)
    assert (name.head, name.content) == (['Content-Disposition: form-data; name="filename"'], b"logo.png")
    assert (sent.head, sent.content) == ([f'{HEADER}logo.png"', KIND], content)


async def test_a_file_can_be_called_otherwise(tmp_path: Path) -> None:
    """The name that is given wins over that of the path."""
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    name, file = await parts_of(form_with(path, "b.png"))
    assert (name.content, file.head[0]) == (b"b.png", f'{HEADER}b.png"')


@pytest.mark.parametrize(
    ("name", "in_field", "in_header"),
    [
        ("Grüße – Süd.png", "Grüße – Süd.png", "Grüße – Süd.png"),
        ('Flyer "neu" 100%.png', 'Flyer "neu" 100%.png', "Flyer %22neu%22 100%.png"),
        ("a;b=c'd.png", "a;b=c'd.png", "a;b=c'd.png"),
        ("a\\b.png", "a\\b.png", "a\\b.png"),
        ('x"\r\nX-Evil: 1\r\n\r\nboo', 'x"%0D%0AX-Evil: 1%0D%0A%0D%0Aboo', "x%22%0D%0AX-Evil: 1%0D%0A%0D%0Aboo"),
        ('x"; name="admin', 'x"; name="admin', "x%22; name=%22admin"),
        ("x\ny", "x%0Ay", "x%0Ay"),
        ("x\ry", "x%0Dy", "x%0Dy"),
        ("x\x00y", "x%00y", "x%00y"),
        ("../../etc/passwd", "../../etc/passwd", "../../etc/passwd"),
        ("x\u2028y\x85z\x0b.png", "x\u2028y\x85z\x0b.png", "x\u2028y\x85z\x0b.png"),
    ],
    ids=ascii,
)
async def test_a_name_cannot_leave_its_place(name: str, in_field: str, in_header: str) -> None:
    """Whatever a name holds, there are two parts with their own lines, and no other header."""
    field, file = await parts_of(form_with(b"content", name))
    assert field == Part(['Content-Disposition: form-data; name="filename"'], in_field.encode())
    assert file == Part([f'{HEADER}{in_header}"', KIND], b"content")


@pytest.mark.parametrize("name", [None, "", "  "])
@pytest.mark.parametrize("file", [b"content", Pieces(b"content"), Again()], ids=["bytes", "iterator", "iterable"])
async def test_a_file_needs_a_name(file: Any, name: str | None) -> None:
    """What has no path has no name of its own."""
    with pytest.raises(ArgumentError, match=r"^filename must be given for a file that is not named by a path$"):
        form_with(file, name)


async def test_a_name_that_cannot_be_written() -> None:
    """A lone surrogate, as a file system may hold it, is refused by the name of the argument."""
    with pytest.raises(ArgumentError, match=r"^filename holds characters that UTF-8 cannot carry$") as caught:
        form_with(b"", "logo\udcff.png")
    assert isinstance(caught.value, DoxieError)


@pytest.mark.parametrize("place", ["missing.png", ".", "", "a\x00b"], ids=ascii)
async def test_a_path_without_a_file(tmp_path: Path, place: str) -> None:
    """What is not there, or is a folder, is refused before anything is sent; the path is not shown."""
    with pytest.raises(ArgumentError, match=r"^file names no file that can be read$"):
        form_with(tmp_path / place, None)


@pytest.mark.parametrize(
    "file", [None, 5, bytearray(b"x"), [b"x"], iter([b"x"]), object()], ids=lambda f: type(f).__name__
)
async def test_what_is_no_file(file: Any) -> None:
    """Anything else is refused by its type, before anything is sent."""
    with pytest.raises(
        ArgumentError, match=r"^file must be a path, bytes or an async iterator of bytes, not "
    ) as caught:
        form_with(file, "logo.png")
    assert isinstance(caught.value, DoxieError)


async def test_an_open_file_is_no_file(tmp_path: Path) -> None:
    """An ordinary open file would stop the event loop with every read."""
    path = tmp_path / "logo.png"
    path.write_bytes(b"")
    with path.open("rb") as opened, pytest.raises(ArgumentError, match=r"not BufferedReader$"):
        form_with(opened, "logo.png")  # type: ignore[arg-type]  # what a caller without types would do


@pytest.mark.parametrize("size", [1, 3])
async def test_what_can_be_read_again_is_read_again(tmp_path: Path, size: int) -> None:
    """Bytes, paths and iterables start anew with each attempt, under one boundary."""
    path = tmp_path / "logo.png"
    path.write_bytes(b"abc")
    for file in (b"abc", path, Again()):
        stream = form_with(file, "logo.png")
        bodies = [await body_of(stream) for _ in range(size)]
        assert stream.repeatable
        assert len(set(bodies)) == 1
        assert b"\r\n\r\nabc\r\n--" in bodies[0]


async def test_boundaries_are_never_the_same() -> None:
    """Nobody can write a boundary into a file beforehand."""
    assert len({form_with(b"", "x").content_type for _ in range(50)}) == 50


@pytest.mark.parametrize("kind", ["bytes", "path"])
async def test_a_file_goes_in_pieces(tmp_path: Path, kind: str) -> None:
    """No piece is larger than 64 KiB, however large the file is."""
    path = tmp_path / "gross.bin"
    path.write_bytes(bytes(1_000_000))
    stream = form_with(path if kind == "path" else path.read_bytes(), "gross.bin")
    sizes = [len(piece) async for piece in stream.open()]
    assert max(sizes) == 64 * 1024
    assert sum(sizes) == stream.length


async def test_a_file_that_goes_away(tmp_path: Path) -> None:
    """A file that cannot be read any more is told without its path."""
    path = tmp_path / "kanarie.png"
    path.write_bytes(b"abc")
    stream = form_with(path, None)
    path.unlink()
    with pytest.raises(ArgumentError, match=r"^file could not be read to its end \(FileNotFoundError\)$"):
        await body_of(stream)
