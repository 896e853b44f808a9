"""Rows 4 to 24 and 26: connections that break, hang or speak nonsense once the request may be on its way."""

from __future__ import annotations

import pytest

from klickdoxie_core.errors import DeadlineExceeded, Interrupted
from tests.core.wire.raw_server import GENERATORS_LEFT, after_request, answer_bytes, at_once, drip
from tests.faults.clients import ON_EVERY_WIRE
from tests.faults.matrix import HOPELESS, SHORT, Row, check, row_ids
from tests.faults.server import CHUNKED, GOOD, OK, endless, headers_like, read_head_and_close, storm_of_103

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

LOST = "R2 W2 N1?"
FINE = "R1 W1 N1"
# aiohttp does not keep a connection on which something came that nobody had asked for.
NOT_KEPT = {"aiohttp": FINE, "given aiohttp": FINE}
BIG = {"body": {"note": "ü" * 2_000_000}}
NO_BODY = b"HTTP/1.1 204 No Content\r\n\r\n"
CUT = headers_like(b"Content-Length: 50", body=b'{"ok": ')
CUT_OFF, RESET, SILENT = (after_request(CUT, end=end) for end in ("close", "reset", "hang"))
VANISHED = after_request(b"", end="close")

ROWS = (
    Row(4, "closed at once", at_once(end="close"), LOST, Interrupted, unread=1),
    Row(5, "reset at once", at_once(end="reset"), "R2 W2 N1?|N2", Interrupted, unread=1),
    Row(6, "silence", at_once(end="hang"), LOST, Interrupted, unread=1, timeout=SHORT),
    Row(7, "it speaks first", at_once(b"220 mail.test\r\n", end="hang"), LOST, Interrupted, unread=1, timeout=SHORT),
    Row(8, "closed without an answer", VANISHED, LOST, Interrupted),
    Row(9, "closed with the body unread", read_head_and_close, LOST, Interrupted, unread=1),
    Row(9, "closed while a large body comes", read_head_and_close, LOST, Interrupted, unread=1, call=BIG),
    Row(10, "reset without an answer", after_request(b"", end="reset"), LOST, Interrupted),
    Row(11, "no answer", after_request(b"", end="hang"), LOST, Interrupted, timeout=SHORT),
    Row(12, "half-closed", after_request(b"", end="half"), LOST, Interrupted),
    Row(13, "closed in the status line", after_request(b"HTTP/1.1 20", end="close"), LOST, Interrupted),
    Row(13, "closed in the headers", after_request(b"HTTP/1.1 200 OK\r\nServer: x", end="close"), LOST, Interrupted),
    Row(13, "closed in the body", CUT_OFF, LOST, Interrupted),
    Row(14, "reset in the body", RESET, LOST, Interrupted),
    Row(14, "silence in the headers", after_request(CUT[:20], end="hang"), LOST, Interrupted, timeout=SHORT),
    Row(14, "silence in the body", SILENT, LOST, Interrupted, timeout=SHORT),
    Row(15, "the body drips", drip(CUT + b" " * 50, pause=0.02), LOST, Interrupted, timeout=SHORT),
    Row(16, "the headers drip", drip(b"HTTP/1.1 200 OK\r\nServer: " + b"x" * 50, pause=0.02), LOST, Interrupted,
        timeout=SHORT),
    Row(17, "early hints for ever", storm_of_103, LOST, Interrupted, timeout=SHORT),
    Row(18, "every answer lost", (VANISHED,) * 3, "R3! W3? N1?", Interrupted),
    Row(18, "no answer ever", (after_request(b"", end="hang"),) * 3, "R3! W3? N1?", Interrupted, timeout=HOPELESS),
    Row(18, "no time for the call", after_request(b"", end="hang"), "R1! W1? N1?", DeadlineExceeded, deadline=HOPELESS),
    Row(19, "kept, closed as the request is read", (GOOD, VANISHED), LOST, Interrupted, warm=1),
    Row(19, "kept, reset as the request is read", (GOOD, after_request(b"", end="reset")), LOST, Interrupted, warm=1),
    Row(19, "kept, closed unread", (GOOD, at_once(end="close")), LOST, Interrupted, warm=1, unread=1),
    Row(19, "kept, reset unread", (GOOD, at_once(end="reset")), LOST, Interrupted, warm=1, unread=1),
    Row(19, "kept, closed before", after_request(answer_bytes(OK), end="close"), FINE, warm=1, gone=True),
    Row(20, "less than the length, closed", CUT_OFF, LOST, Interrupted),
    Row(20, "less than the length, silence", SILENT, LOST, Interrupted, timeout=SHORT),
    Row(21, "more than the length", after_request(answer_bytes(OK) + b'{"ok": false}'), LOST, Interrupted, warm=1,
        on=NOT_KEPT),
    Row(21, "bytes after a 204", after_request(NO_BODY + OK), LOST, Interrupted, warm=1, on=NOT_KEPT,
        call={"empty_ok": True}),
    Row(21, "bytes after a 304", after_request(b"HTTP/1.1 304 X\r\n\r\n" + OK), LOST, Interrupted, warm=1,
        on=NOT_KEPT),
    # Neither httpx nor we can tell it from the answer: it is handed to the next call on the connection.
    Row(21, "a second answer", after_request(answer_bytes(OK) + answer_bytes(b'{"smuggled": true}')), FINE, warm=1),
    Row(22, "a negative length", after_request(headers_like(b"Content-Length: -1"), end="close"), LOST, Interrupted),
    Row(22, "a length in words", after_request(headers_like(b"Content-Length: abc"), end="close"), LOST, Interrupted),
    Row(22, "two lengths", after_request(headers_like(b"Content-Length: 12", b"Content-Length: 3"), end="close"),
        LOST, Interrupted),
    Row(23, "chunks without an end", after_request(CHUNKED + b"c\r\n" + OK + b"\r\n", end="close"), LOST, Interrupted),
    Row(23, "a chunk of no size", after_request(CHUNKED + b"zz\r\n" + OK + b"\r\n0\r\n\r\n", end="close"), LOST,
        Interrupted),
    Row(23, "a chunk of absurd size", after_request(CHUNKED + b"f" * 40 + b"\r\n{}\r\n", end="close"), LOST,
        Interrupted),
    Row(24, "garbage", after_request(bytes(range(256)) * 2, end="close"), LOST, Interrupted),
    Row(24, "a body without a head", after_request(OK, end="close"), LOST, Interrupted),
    Row(24, "a status of two digits", after_request(b"HTTP/1.1 20 OK\r\n\r\n", end="close"), LOST, Interrupted),
    Row(24, "status 099", after_request(b"HTTP/1.1 099 OK\r\n\r\n", end="close"), LOST, Interrupted),
    Row(26, "20,000 headers", after_request(headers_like(*[b"X-A: b"] * 20_000), end="close"), LOST, Interrupted),
    Row(26, "a header of 10 MiB", endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 65_536), LOST, Interrupted),
    Row(26, "NUL in a header", after_request(headers_like(b"X-A: \x00"), end="close"), LOST, Interrupted),
    Row(26, "101", after_request(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tea\r\n\r\n", end="close"), LOST,
        Interrupted),
)  # fmt: skip


@row_ids(ROWS)
@ON_EVERY_WIRE
async def test_what_breaks_off_leaves_a_send_in_doubt(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """The request may be on its way: a read and a repeatable write are sent again, a send never is."""
    await check(row, wire, caplog)
