"""Rows 56 to 59: answers that are too large, in bytes, unpacked or not, in things, in words or in cookies."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zlib
from typing import Any

import pytest

from klickdoxie_core.errors import BadRequest, DecodeError, TooLarge
from tests.core.wire.raw_server import GENERATORS_LEFT, after_request, answer
from tests.faults.clients import ON_EACH_WIRE, ON_EACH_WIRE_OF_OURS, SEND, SIGNED, shop_on
from tests.faults.matrix import Row, check, play, row_ids
from tests.faults.server import CHUNKED, OK, FaultServer, endless, headers_like, packed, refuses

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

MIB = 1024 * 1024
FINE = "R1 W1 N1"
TOO_MUCH = "R1! W1? N1?"
UNREADABLE = "R2 W1? N1?"
REFUSED = "R1! W1! N1!"

LIMIT = 64 * 1024
SMALL = {"max_body": LIMIT}


def in_chunks(piece: bytes) -> bytes:
    """A piece of a body as a chunk."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


_packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
START = b"\x1f\x8b\x08" + bytes(7)
ZEROS = _packer.compress(bytes(MIB)) + _packer.flush(zlib.Z_FULL_FLUSH)
"""A MiB of zeros, packed so that it can be repeated without end."""
BOMB = START + ZEROS * 1024

PACKED_CHUNKS = headers_like(b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", body=in_chunks(START))
A_LOT = headers_like(b"Content-Length: 268435456", body=b"")
ABSURD = headers_like(b"Content-Length: " + b"9" * 18, body=b"")

SIZES = (
    Row(57, "256 MiB announced", after_request(A_LOT, end="hang"), TOO_MUCH, TooLarge),
    Row(57, "a length of 18 digits", after_request(ABSURD, end="hang"), TOO_MUCH, TooLarge),
    Row(57, "endless chunks", endless(CHUNKED, in_chunks(b" " * 9999)), TOO_MUCH, TooLarge, call=SMALL),
    Row(57, "endless without a length", endless(headers_like(), b" " * 9999), TOO_MUCH, TooLarge, call=SMALL),
    Row(57, "endless and packed", endless(PACKED_CHUNKS, in_chunks(ZEROS)), TOO_MUCH, TooLarge, call=SMALL),
    Row(57, "one byte too many", answer(OK.rjust(LIMIT + 1)), TOO_MUCH, TooLarge, call=SMALL),
    Row(57, "one byte too many in chunks", after_request(CHUNKED + in_chunks(OK.rjust(LIMIT + 1)) + in_chunks(b"")),
        TOO_MUCH, TooLarge, call=SMALL),
    Row(57, "exactly the limit in chunks", after_request(CHUNKED + in_chunks(OK.rjust(LIMIT)) + in_chunks(b"")), FINE,
        call=SMALL),
    Row(57, "exactly the limit", answer(OK.rjust(LIMIT)), FINE, call=SMALL),
    Row(57, "packed, one byte too many", after_request(packed(gzip.compress(OK.rjust(LIMIT + 1)))), TOO_MUCH, TooLarge,
        call=SMALL),
    Row(57, "packed, exactly the limit", after_request(packed(gzip.compress(OK.rjust(LIMIT)))), FINE, call=SMALL),
    Row(57, "400, too much to say", refuses("400 Bad Request", b"x" * (LIMIT + 1)), REFUSED, BadRequest, call=SMALL),
    Row(58, "too many small things", answer(b"[" + b"{}," * 30_000 + b"{}]"), TOO_MUCH, TooLarge, call=SMALL),
    Row(58, "20,000 small things of another kind", answer(b"[" + b"{}," * 20_000 + b"{}]"), UNREADABLE, DecodeError),
    Row(58, "20,000 values of another kind", answer(json.dumps(dict.fromkeys(map(str, range(20_000)))).encode()),
        UNREADABLE, DecodeError),
    Row(58, "100,000 keys", answer(json.dumps(dict.fromkeys(map(str, range(100_000)), True)).encode()), FINE),
)  # fmt: skip


@row_ids(SIZES)
@ON_EACH_WIRE
async def test_an_answer_is_bounded(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the limit of the call nothing is read, and the connection is closed; a write may have been done."""
    await check(row, wire, caplog)


BOMBS = (
    Row(56, "one layer", after_request(packed(BOMB)), "N1?", TooLarge),
    Row(56, "one layer in a refusal", refuses("400 Bad Request", BOMB, "Content-Encoding: gzip"), "N1!", BadRequest),
    # Nobody asked for a second layer, so it is not even begun.
    Row(56, "two layers", after_request(packed(gzip.compress(BOMB), "gzip, gzip")), "N1?", DecodeError),
    Row(56, "two layers, one of them named", after_request(packed(gzip.compress(BOMB))), "N1?", DecodeError),
    Row(58, "100,000 things of another kind", answer(b"[" + b"{}," * 100_000 + b"{}]"), "N1?", DecodeError,
        call={"into": list[int]}),
)  # fmt: skip


@row_ids(BOMBS)
@ON_EACH_WIRE
async def test_a_bomb_costs_no_more_than_the_limit(row: Row, wire: str) -> None:
    """A GiB of zeros, packed into a MiB or into kilobytes, takes less than 48 MiB."""
    tracemalloc.start()
    try:
        played = await play(row, wire, "N")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (played.cell("N"), type(played.error)) == (row.comes_to, row.error)
    assert peak < 48 * MIB


HOSTILE_TEXTS = {"one number": "0" + "1" * 12 * MIB, "addresses": "a@" * 6 * MIB, "numbers": "0 " * 6 * MIB}


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
@ON_EACH_WIRE_OF_OURS
async def test_a_long_refusal_is_told_quickly(text: str, wire: str) -> None:
    """Row 58: looking for what must not be shown does not keep everybody else waiting."""
    row = Row(58, "a long refusal", refuses("400 Bad Request", json.dumps({"error": text}).encode()), "N1!", BadRequest)
    started = time.process_time()
    played = await play(row, wire, "N")
    assert type(played.error) is BadRequest
    assert time.process_time() - started < 1


STORM = tuple(f"Set-Cookie: name{{number}}x{each}={'k' * 60}; Path=/" for each in range(100))
FIXATION = ("Set-Cookie: SESS=evil; Path=/", "Set-Cookie: SESS=evil; Domain=127.0.0.1", "Set-Cookie: SESS=; Max-Age=0")


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("cookies", [STORM, FIXATION], ids=["a storm", "another session"])
@ON_EACH_WIRE
async def test_no_answer_sets_a_cookie(cookies: tuple[str, ...], wire: str, *, signed: bool) -> None:
    """Row 59: each request carries the session that the client has, if any, and no other cookie, however many came."""
    call: dict[str, Any] = {} if signed else {"auth": None}
    server = FaultServer(
        *(answer(OK, headers=tuple(line.format(number=each) for line in cookies)) for each in range(4))
    )
    async with server.listening(), shop_on(wire, server.url) as shop:
        for _ in range(5):
            await shop.call(SEND, **call)
    assert [seen.headers.get("cookie") for seen in server.requests] == [SIGNED["cookie"] if signed else None] * 5
