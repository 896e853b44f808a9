"""Rows 25 and 27 to 51: whole answers that are not what was promised, and answers that say no."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from klickdoxie_core.errors import (
    BadRequest,
    Conflict,
    DecodeError,
    NotFound,
    ResponseError,
    ServerError,
    Unprocessable,
)
from tests.core.wire.raw_server import GENERATORS_LEFT, after_request, answer
from tests.faults.canaries import EMAIL
from tests.faults.clients import ON_EACH_WIRE
from tests.faults.matrix import Row, check, row_ids
from tests.faults.server import CHUNKED, OK, headers_like, packed, refuses, says

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

FINE = "R1 W1 N1"
UNREADABLE = "R2 W1? N1?"
REFUSED = "R1! W1! N1!"
LOST = "R2 W2 N1?"
GUESS = "R1! W1? N1?"

HTML = f"<html><body>Please log in as {EMAIL}</body></html>".encode()
PACKED = gzip.compress(OK)
JSON = "Content-Type: application/json"
NOTICE = b"<br />\n<b>Notice</b>: Undefined index: x in <b>/srv/index.php</b> on line <b>7</b><br />\n"
LAYERS = OK
for _ in range(50):
    LAYERS = gzip.compress(LAYERS, 1)

SUCCESSES = (
    Row(25, "status 999", says("999 Huh"), GUESS, DecodeError),
    Row(
        27,
        "chunk extensions and a trailer",
        after_request(CHUNKED + b"c;a=b\r\n" + OK + b"\r\n0\r\nX-T: 1\r\n\r\n"),
        FINE,
    ),
    Row(
        27,
        "103, then 200",
        after_request(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + headers_like(b"Content-Length: 12")),
        FINE,
    ),
    Row(27, "a header beyond ASCII", answer(OK, headers=("X-Ort: K\xf6ln",)), FINE),
    Row(28, "a web page", answer(HTML), UNREADABLE, DecodeError),
    Row(28, "a web page called JSON", answer(HTML, headers=(JSON,)), UNREADABLE, DecodeError),
    Row(28, "a web page for ever", (answer(HTML),) * 3, "R3! W1? N1?", DecodeError),
    Row(28, "nothing", answer(b""), UNREADABLE, DecodeError),
    Row(28, "blanks", answer(b" \r\n\t "), UNREADABLE, DecodeError),
    Row(29, "Windows-1252", answer('{"Köln": true}'.encode("cp1252")), UNREADABLE, DecodeError),
    Row(29, "broken UTF-8", answer(b'{"\xff\xfe\xed\xa0\x80": true}'), UNREADABLE, DecodeError),
    Row(30, "NaN", answer(b'{"ok": NaN}'), UNREADABLE, DecodeError),
    Row(30, "Infinity", answer(b'{"ok": -Infinity}'), UNREADABLE, DecodeError),
    Row(31, "truncated", answer(OK[:-3]), UNREADABLE, DecodeError),
    Row(31, "junk after it", answer(OK + b"}"), UNREADABLE, DecodeError),
    Row(31, "two documents", answer(OK + b"\n" + OK), UNREADABLE, DecodeError),
    Row(31, "a notice of PHP before it", answer(NOTICE + OK), UNREADABLE, DecodeError),
    Row(32, "null", answer(b"null"), UNREADABLE, DecodeError),
    Row(32, "a number", answer(b"7"), UNREADABLE, DecodeError),
    Row(32, "a text", answer(json.dumps(EMAIL).encode()), UNREADABLE, DecodeError),
    Row(32, "a list", answer(b"[]"), UNREADABLE, DecodeError),
    Row(32, "another shape", answer(json.dumps({EMAIL: EMAIL, "ok": 1}).encode()), UNREADABLE, DecodeError),
    Row(33, "lists 100,000 deep", answer(b"[" * 100_000 + b"]" * 100_000), UNREADABLE, DecodeError),
    Row(33, "objects 100,000 deep", answer(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), UNREADABLE, DecodeError),
    Row(34, "a number of 100,000 digits", answer(b'{"ok": ' + b"7" * 100_000 + b"}"), UNREADABLE, DecodeError),
    Row(35, "not packed at all", after_request(packed(OK)), UNREADABLE, DecodeError),
    Row(35, "a wrong checksum", after_request(packed(PACKED[:-8] + bytes(4) + PACKED[-4:])), UNREADABLE, DecodeError),
    Row(36, "packed and cut", after_request(packed(PACKED[:-1])), UNREADABLE, DecodeError),
    Row(36, "packed and junk", after_request(packed(PACKED + b"junk")), UNREADABLE, DecodeError),
    Row(36, "packed 50 times", after_request(packed(LAYERS, ", ".join(["gzip"] * 50))), UNREADABLE, DecodeError),
    Row(37, "an unknown encoding", after_request(packed(OK, "tea")), UNREADABLE, DecodeError),
    Row(
        37,
        "brotli, which nobody asked for",
        after_request(packed(b"\x0b\x05\x80" + OK + b"\x03", "br")),
        UNREADABLE,
        DecodeError,
    ),
    Row(
        37,
        "deflate, which nobody asked for",
        after_request(packed(zlib.compress(OK), "deflate")),
        UNREADABLE,
        DecodeError,
    ),
    Row(38, "ended by closing, cut", after_request(headers_like(body=OK[:-3]), end="close"), UNREADABLE, DecodeError),
    Row(39, "a byte order mark", answer(b"\xef\xbb\xbf" + OK), FINE),
    Row(39, "packed", after_request(packed(PACKED)), FINE),
    Row(39, "ended by closing, whole", after_request(headers_like(), end="close"), FINE),
    Row(40, "success true, then false", answer(b'{"success": true, "success": false}'), UNREADABLE, DecodeError),
    Row(40, "success false, then true", answer(b'{"success": false, "success": true}'), UNREADABLE, DecodeError),
    Row(41, "204 where data is needed", after_request(b"HTTP/1.1 204 No Content\r\n\r\n"), UNREADABLE, DecodeError),
    Row(
        41, "204 where none is needed", after_request(b"HTTP/1.1 204 No Content\r\n\r\n"), FINE, call={"empty_ok": True}
    ),
    Row(41, "206", answer(OK, status="206 Partial Content"), UNREADABLE, DecodeError),
    Row(41, "304", after_request(b"HTTP/1.1 304 Not Modified\r\n\r\n"), GUESS, DecodeError),
)

REFUSALS = (
    Row(42, "400", refuses("400 Bad Request"), REFUSED, BadRequest),
    Row(42, "404", refuses("404 Not Found"), REFUSED, NotFound),
    Row(42, "409", refuses("409 Conflict"), REFUSED, Conflict),
    Row(42, "422", refuses("422 Unprocessable Content"), REFUSED, Unprocessable),
    Row(42, "418", refuses("418 I'm a teapot"), REFUSED, ResponseError),
    Row(42, "400, 100,000 deep", refuses("400 Bad Request", b"[" * 100_000), REFUSED, BadRequest),
    Row(
        42,
        "400, packed and cut",
        refuses("400 Bad Request", PACKED[:-1], "Content-Encoding: gzip"),
        REFUSED,
        BadRequest,
    ),
    Row(
        42, "400, Windows-1252", refuses("400 Bad Request", f"Ungültig: {EMAIL}".encode("cp1252")), REFUSED, BadRequest
    ),
    Row(45, "408", refuses("408 Request Timeout"), LOST, ResponseError),
    Row(45, "425", refuses("425 Too Early"), "R2 W2 N2", ResponseError),
    Row(45, "425 again", (refuses("425 Too Early"),) * 2, "R2! W2! N2!", ResponseError),
    Row(45, "421", refuses("421 Misdirected Request"), "R2 W2 N2", ResponseError),
    Row(49, "500", says("500 Oops"), LOST, ServerError),
    Row(49, "502", says("502 Bad Gateway"), LOST, ServerError),
    Row(49, "503", says("503 Service Unavailable"), LOST, ServerError),
    Row(49, "504", says("504 Gateway Timeout"), LOST, ServerError),
    Row(49, "501, which will not change", says("501 Not Implemented"), GUESS, ServerError),
    Row(49, "511, a captive portal", says("511 Network Authentication Required", HTML), GUESS, ServerError),
    Row(50, "502 with a web page", says("502 Bad Gateway", HTML, "Content-Type: text/html"), LOST, ServerError),
    Row(50, "500 for ever", (says("500 Oops"),) * 3, "R3! W3? N1?", ServerError),
    Row(51, "400 with Retry-After", refuses("400 Bad Request", b"{}", "Retry-After: 1"), REFUSED, BadRequest),
)


@row_ids(SUCCESSES)
@ON_EACH_WIRE
async def test_a_success_proves_nothing_until_it_is_read(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Only a read is worth another try; a write was done, for all that is known."""
    await check(row, wire, caplog)


@row_ids(REFUSALS)
@ON_EACH_WIRE
async def test_a_status_says_whether_to_come_again(row: Row, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """A decision of the service is final; an outage may be waited out, unless a send may have been carried out."""
    await check(row, wire, caplog)
