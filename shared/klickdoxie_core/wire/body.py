"""Reading an answer's body: bounded while it is unpacked, one layer of gzip at the most."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from klickdoxie_core.wire.base import Failure, WireFailure

_GZIP = 16 + zlib.MAX_WBITS


async def read_body(chunks: AsyncIterator[bytes], *, encoding: str, limit: int, status: int) -> bytes:
    """The unpacked body; raises `WireFailure` when it grows beyond the limit or does not unpack to its end."""
    match encoding.strip().lower():
        case "" | "identity":
            return await _read_plain(chunks, limit, status)
        case "gzip" | "x-gzip":
            return await _read_gzip(chunks, limit, status)
        case _:
            raise WireFailure(Failure.ENCODING, sent=True, detail="only one layer of gzip is accepted", status=status)


async def _read_plain(chunks: AsyncIterator[bytes], limit: int, status: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise _too_large(limit, status)
    return bytes(body)


async def _read_gzip(chunks: AsyncIterator[bytes], limit: int, status: int) -> bytes:
    # The bound goes into the decompressor itself: unpacking a chunk first and counting after is how bombs work.
    unpack = zlib.decompressobj(_GZIP)
    body = bytearray()
    seen = False
    async for chunk in chunks:
        seen = True
        if unpack.eof:
            raise _damaged("bytes follow the end of the compressed body", status)
        try:
            body += unpack.decompress(chunk, limit + 1 - len(body))
        except zlib.error:
            raise _damaged("the compressed body is damaged", status) from None
        if len(body) > limit:
            raise _too_large(limit, status)
        if unpack.unused_data:
            raise _damaged("bytes follow the end of the compressed body", status)
    if seen and not unpack.eof:
        raise _damaged("the compressed body is cut short", status)
    return bytes(body)


def _too_large(limit: int, status: int) -> WireFailure:
    return WireFailure(Failure.TOO_LARGE, sent=True, detail=f"more than {limit} bytes", status=status)


def _damaged(detail: str, status: int) -> WireFailure:
    return WireFailure(Failure.ENCODING, sent=True, detail=detail, status=status)
