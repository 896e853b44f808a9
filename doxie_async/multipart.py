"""A form with one file in it, sent piece by piece; the file's name cannot leave its place."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio

from doxie_async.errors import ArgumentError
from klickdoxie_core.call import Stream

_CHUNK = 64 * 1024
# Several times what file systems take; some servers give up at the head of a part that has no end.
_MAX_NAME = 1000

File = str | os.PathLike[str] | bytes | AsyncIterable[bytes]
"""A path, the bytes themselves, or pieces of them as they come."""


def form_with(file: File, filename: str | None) -> Stream:
    """The form as a stream; its length is known unless the file comes as an async iterator.

    Raises:
        ArgumentError: There is no such file, or no name for it.
    """
    size = _size(file)
    name = _name(file, filename)
    import secrets  # noqa: PLC0415 - it brings OpenSSL, which only uploads need

    boundary = secrets.token_hex(16)
    head, tail = _head(boundary, name), f"\r\n--{boundary}--\r\n".encode()

    async def read() -> AsyncIterator[bytes]:
        yield head
        async with aclosing(_pieces(file)) as pieces:
            async for piece in pieces:
                yield piece
        yield tail

    return Stream(
        open=read,
        content_type=f"multipart/form-data; boundary={boundary}",
        length=None if size is None else len(head) + size + len(tail),
        repeatable=not isinstance(file, AsyncIterator),
    )


def _name(file: File, filename: object) -> str:
    name: object = filename
    if filename is None:
        name = Path(file).name if isinstance(file, str | os.PathLike) else ""
    if not isinstance(name, str) or len(name) > _MAX_NAME:
        raise ArgumentError(f"filename must be a text of at most {_MAX_NAME} characters")
    if not name.strip():
        raise ArgumentError("filename must be given for a file that is not named by a path")
    try:
        name.encode()
    except UnicodeEncodeError:
        pass
    else:
        return name
    # Out here it has no context, which would hold the name, and which some who pickle errors take along.
    raise ArgumentError("filename holds characters that UTF-8 cannot carry")


def _head(boundary: str, name: str) -> bytes:
    # As browsers do it: what could end the line or the quotes is escaped, everything else goes as UTF-8.
    line = name.replace("\r", "%0D").replace("\n", "%0A").replace("\x00", "%00")
    quoted = line.replace('"', "%22")
    return (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="filename"\r\n\r\n'
        f"{line}\r\n"
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()


def _size(file: File) -> int | None:
    if isinstance(file, bytes):
        return len(file)
    if isinstance(file, str | os.PathLike):
        try:
            facts = Path(file).stat()
        except (OSError, ValueError, TypeError):
            facts = None
        if facts is None or not stat.S_ISREG(facts.st_mode):
            raise ArgumentError("file names no file that can be read")
        return facts.st_size
    if not isinstance(file, AsyncIterable):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise ArgumentError(f"file must be a path, bytes or an async iterator of bytes, not {type(file).__name__}")
    return None


async def _pieces(file: File) -> AsyncGenerator[bytes]:
    if isinstance(file, bytes):
        for start in range(0, len(file), _CHUNK):
            yield file[start : start + _CHUNK]
    elif isinstance(file, str | os.PathLike):
        try:
            async with await anyio.open_file(file, "rb") as opened:
                while piece := await opened.read(_CHUNK):
                    yield piece
        except OSError as error:
            raise ArgumentError(f"file could not be read to its end ({type(error).__name__})") from None
    else:
        async for piece in file:
            if not isinstance(piece, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
                raise ArgumentError(f"file must be an async iterator of bytes, not of {type(piece).__name__}")
            yield piece
