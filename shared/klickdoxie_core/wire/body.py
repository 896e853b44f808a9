"""Reading an answer's body: bounded while it is unpacked, one layer of gzip at the most."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from klickdoxie_core.wire.base import Failure, WireFailure

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 64 * 1024


async def read_body(
    chunks: AsyncIterator[bytes],
    *,
    encoding: str,
    limit: int,
    status: int,
    sink: Callable[[bytes], object] | None = None,
) -> bytes:
    """The unpacked body, or nothing where a sink takes it piece by piece.

    Raises `WireFailure` when it grows beyond the limit or does not unpack to its end.
    """
    body = bytearray()
    take = body.extend if sink is None else sink
    async for piece in unpacked(chunks, encoding=encoding, limit=limit, status=status):
        take(piece)
    return bytes(body)


def unpacked(chunks: AsyncIterator[bytes], *, encoding: str, limit: int, status: int) -> AsyncGenerator[bytes]:
    """The body in pieces that are never empty, as `read_body` reads it."""
    match encoding.strip().lower():
        case "" | "identity":
            return _plain(chunks, limit, status)
        case "gzip" | "x-gzip":
            return _gunzipped(chunks, limit, status)
        case _:
            raise WireFailure(Failure.ENCODING, sent=True, detail="only one layer of gzip is accepted", status=status)


def is_too_long(headers: Mapping[str, str], limit: int) -> bool:
    """Whether an answer announces a body beyond the limit."""
    declared = headers.get("content-length", "")
    return declared.isdecimal() and len(declared) < 19 and int(declared) > limit


def check_length(headers: Mapping[str, str], limit: int, status: int) -> None:
    """Raise `WireFailure` for an answer that announces a body beyond the limit."""
    if is_too_long(headers, limit):
        raise _too_large(limit, status)


def was_left() -> WireFailure:
    """What whoever reads on hears after an open answer was closed: never that it has come to its end."""
    return WireFailure(Failure.INTERRUPTED, sent=True, detail="it was left before its end")


async def _plain(chunks: AsyncIterator[bytes], limit: int, status: int) -> AsyncGenerator[bytes]:
    left = limit
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise _too_large(limit, status)
        if chunk:
            yield chunk


async def _gunzipped(chunks: AsyncIterator[bytes], limit: int, status: int) -> AsyncGenerator[bytes]:
    # The bound goes into the decompressor itself: unpacking a chunk first and counting after is how bombs work.
    unpack = zlib.decompressobj(_GZIP)
    left, seen = limit, False
    async for chunk in chunks:
        seen, packed, more = True, chunk, False
        while packed or more:
            if unpack.eof:
                raise _damaged("bytes follow the end of the compressed body", status)
            room = min(_PIECE, left + 1)
            try:
                piece = unpack.decompress(packed, room)
            except zlib.error:
                raise _damaged("the compressed body is damaged", status) from None
            left -= len(piece)
            if left < 0:
                raise _too_large(limit, status)
            if piece:
                yield piece
            packed = unpack.unconsumed_tail or unpack.unused_data
            # What is read may hold more than was asked for, with nothing left to read.
            more = len(piece) == room and not unpack.eof
    if seen and not unpack.eof:
        raise _damaged("the compressed body is cut short", status)


def _too_large(limit: int, status: int) -> WireFailure:
    return WireFailure(Failure.TOO_LARGE, sent=True, detail=f"more than {limit} bytes", status=status)


def _damaged(detail: str, status: int) -> WireFailure:
    return WireFailure(Failure.ENCODING, sent=True, detail=detail, status=status)
