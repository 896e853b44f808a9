"""One exchange on our own client: what is an answer, what is a failure, and what may have been sent."""

import gzip
import socket
import ssl
import sys
import time
from collections.abc import AsyncGenerator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import pytest

from klickdoxie_core.wire import pool
from klickdoxie_core.wire.base import Failure, Response, WireFailure
from klickdoxie_core.wire.httpx_wire import HttpxWire, _on_trio
from tests.core.wire.raw_server import (
    GENERATORS_LEFT,
    Peer,
    Play,
    after_request,
    answer,
    answer_bytes,
    ask,
    at_once,
    client_tls,
    drip,
    make_certificate,
    refusing_port,
    server_tls,
    serving,
)

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SHORT = 0.15
"""Seconds, where the fault is that nothing comes."""


@pytest.fixture
async def wire() -> AsyncGenerator[HttpxWire, None]:
    """A wire on a client of our own."""
    wire = HttpxWire.default(time.monotonic)
    yield wire
    await wire.aclose()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no system trusts."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server needs; our pool trusts it."""
    context = client_tls(certificate)
    monkeypatch.setattr(pool, "shared_ssl_context", lambda: context)
    return server_tls(certificate)


async def fails(wire: HttpxWire, url: str, *, seconds: float = 2.0, max_body: int = 1024 * 1024) -> WireFailure:
    """The failure of one exchange, which comes within its timeout."""
    with anyio.fail_after(seconds + 0.5), pytest.raises(WireFailure) as caught:
        await wire.send(ask(url, timeout=seconds, max_body=max_body))
    return caught.value


async def test_a_refused_connection_was_never_sent(wire: HttpxWire) -> None:
    """Nobody listens: no doubt about it."""
    failure = await fails(wire, f"http://127.0.0.1:{refusing_port()}/")
    assert (failure.failure, failure.sent, failure.detail) == (Failure.CONNECT, False, "connection refused")


async def test_a_name_that_does_not_resolve_was_never_sent(wire: HttpxWire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up fails before there is anything to send to."""

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    failure = await fails(wire, "http://nirgends.test/")
    assert (failure.failure, failure.sent) == (Failure.CONNECT, False)


async def test_a_self_signed_certificate_is_named_as_the_reason(wire: HttpxWire, certificate: Path) -> None:
    """It is not a connection that may work the next time."""
    async with serving(answer(), tls=server_tls(certificate)) as server:
        failure = await fails(wire, server.url)
        assert (failure.failure, failure.sent) == (Failure.CERTIFICATE, False)
        assert failure.detail.startswith("self-signed")
        await server.until_open(0)
        assert server.requests == []


async def test_a_certificate_for_another_host_is_refused(
    wire: HttpxWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate does not help a server that it does not name."""
    other = make_certificate(tmp_path, "anderswo.test")
    context = client_tls(other)
    monkeypatch.setattr(pool, "shared_ssl_context", lambda: context)
    async with serving(answer(), tls=server_tls(other)) as server:
        failure = await fails(wire, server.url)
        assert (failure.failure, failure.sent) == (Failure.CERTIFICATE, False)
        assert failure.detail == "IP address mismatch, certificate is not valid for '127.0.0.1'"


@pytest.mark.parametrize(
    ("play", "failure"),
    [
        pytest.param(at_once(answer_bytes()), Failure.CONNECT, id="plaintext"),
        pytest.param(at_once(end="close"), Failure.CONNECT, id="closed"),
        pytest.param(at_once(end="reset"), Failure.CONNECT, id="reset"),
        pytest.param(at_once(end="hang"), Failure.TIMEOUT, id="silent"),
    ],
)
async def test_a_handshake_that_fails_was_never_sent(wire: HttpxWire, play: Play, failure: Failure) -> None:
    """Without TLS there is no request, and no socket stays open."""
    async with serving(play) as server:
        caught = await fails(wire, server.url.replace("http:", "https:"), seconds=SHORT)
        assert (caught.failure, caught.sent) == (failure, False)
        await server.until_open(0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"headers": {"x-ci": "a\r\nx-evil: 1"}}, id="line break in a header"),
        pytest.param({"headers": {"x-ci": "Schlüssel"}}, id="umlaut in a header"),
        pytest.param({"headers": {"x ci": "1"}}, id="blank in a header's name"),
        pytest.param({"method": "GET /evil"}, id="blank in the method"),
        pytest.param({"url": "ftp://127.0.0.1/"}, id="unknown scheme"),
        pytest.param({"url": "http:///path"}, id="no host"),
        pytest.param({"url": "http://[::1/"}, id="broken host"),
        pytest.param({"url": "http://xn--/"}, id="broken punycode"),
        pytest.param({"url": "http://127.0.0.1/\x00"}, id="control character"),
    ],
)
async def test_what_cannot_be_put_on_the_wire_is_our_mistake(wire: HttpxWire, change: dict[str, Any]) -> None:
    """Nothing of it arrives anywhere, and it is no trouble of the network."""
    async with serving(answer()) as server:
        with pytest.raises(WireFailure) as caught:
            await wire.send(ask(**{"url": server.url, **change}))
        assert (caught.value.failure, caught.value.sent) == (Failure.INVALID, False)
        assert server.requests == []


async def test_a_closed_wire_sends_nothing(wire: HttpxWire) -> None:
    """Neither after the first closing nor after the second."""
    async with serving(answer()) as server:
        await wire.send(ask(server.url))
        await wire.aclose()
        await wire.aclose()
        failure = await fails(wire, server.url)
        assert (failure.failure, failure.sent) == (Failure.CLOSED, False)
        assert len(server.requests) == 1


async def read_head_and_close(peer: Peer) -> None:
    """Go away with the body unread."""
    await peer.head()
    await peer.close()


def headers_like(*lines: bytes, body: bytes = b"{}") -> bytes:
    """An answer of 200 with these header lines."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""]) + body


BROKEN = {
    "closed at once": at_once(end="close"),
    "answer missing, closed": after_request(b"", end="close"),
    "answer missing, reset": after_request(b"", end="reset"),
    "closed with the body unread": read_head_and_close,
    "half a status line": after_request(b"HTTP/1.1 20", end="close"),
    "half the headers": after_request(b"HTTP/1.1 200 OK\r\nContent-Ty", end="close"),
    "headers, reset": after_request(headers_like(b"Content-Length: 5", body=b""), end="reset"),
    "body cut": after_request(headers_like(b"Content-Length: 50"), end="close"),
    "body reset": after_request(headers_like(b"Content-Length: 50"), end="reset"),
    "Content-Length negative": after_request(headers_like(b"Content-Length: -1"), end="close"),
    "Content-Length a word": after_request(headers_like(b"Content-Length: abc"), end="close"),
    "Content-Length twice": after_request(headers_like(b"Content-Length: 2", b"Content-Length: 3"), end="close"),
    "chunks without end": after_request(CHUNKED + b"2\r\n{}\r\n", end="close"),
    "chunk of no size": after_request(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", end="close"),
    "chunk of absurd size": after_request(CHUNKED + b"f" * 40 + b"\r\n{}\r\n", end="close"),
    "chunk longer than said": after_request(CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", end="close"),
    "garbage": after_request(bytes(range(256)) * 2, end="close"),
    "body without a head": after_request(b'{"success": true}', end="close"),
    "status of two digits": after_request(b"HTTP/1.1 20 OK\r\n\r\n", end="close"),
    "status 099": after_request(b"HTTP/1.1 099 OK\r\n\r\n", end="close"),
    "101": after_request(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tea\r\n\r\n", end="close"),
    "20,000 headers": after_request(headers_like(*[b"X-A: b"] * 20_000), end="close"),
    "a header of 1 MiB": after_request(headers_like(b"X-A: " + b"b" * 1024 * 1024), end="close"),
    "NUL in a header": after_request(headers_like(b"X-A: \x00"), end="close"),
}


@pytest.mark.parametrize("play", BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_breaks_off_leaves_the_request_in_doubt(wire: HttpxWire, play: Play) -> None:
    """The request was sent, the next one works, and the failure quotes nothing of the server."""
    async with serving(play, answer()) as server:
        failure = await fails(wire, server.url)
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        assert failure.detail.isidentifier()
        assert failure.__cause__ is None
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).body == b"{}"


@pytest.mark.parametrize("location", ["http://[::1", "ftp:abc", "https://elsewhere.example/x"])
async def test_where_an_answer_points_to_is_not_looked_at(wire: HttpxWire, location: str) -> None:
    """No redirect is followed, so that a place that makes no sense does no harm."""
    async with serving(answer(status="302 Found", headers=(f"Location: {location}",))) as server:
        told = await wire.send(ask(server.url))
        assert (told.status, told.headers["location"], len(server.requests)) == (302, location, 1)


async def test_a_connection_reset_at_once_may_or_may_not_have_carried_the_request(wire: HttpxWire) -> None:
    """It depends on who is faster; either way it is told correctly, and no request arrived."""
    async with serving(at_once(end="reset")) as server:
        failure = await fails(wire, server.url)
        assert (failure.failure, failure.sent) in {(Failure.CONNECT, False), (Failure.INTERRUPTED, True)}
        assert server.requests == []


async def storm_of_103(peer: Peer) -> None:
    """Early hints for ever."""
    await peer.request()
    while True:
        await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await anyio.sleep(0.01)


SILENT = {
    "no word": at_once(end="hang"),
    "another protocol": at_once(b"220 mail.test ESMTP\r\n", end="hang"),
    "no answer": after_request(b"", end="hang"),
    "half the headers": after_request(b"HTTP/1.1 200 OK\r\nContent-Ty", end="hang"),
    "half the body": after_request(headers_like(b"Content-Length: 50"), end="hang"),
    "no last chunk": after_request(CHUNKED + b"2\r\n{}\r\n", end="hang"),
    "body drips": drip(headers_like(b"Content-Length: 50", body=b"x" * 50), pause=0.02),
    "103 for ever": storm_of_103,
}


@pytest.mark.parametrize("play", SILENT.values(), ids=SILENT)
async def test_an_answer_that_takes_too_long_leaves_the_request_in_doubt(wire: HttpxWire, play: Play) -> None:
    """The timeout covers the exchange to its last byte, however many bytes come meanwhile; the socket is closed."""
    async with serving(play, answer()) as server:
        failure = await fails(wire, server.url, seconds=SHORT)
        assert (failure.failure, failure.sent) == (Failure.TIMEOUT, True)
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).body == b"{}"


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(answer(b"x" * 1001), id="by its length"),
        pytest.param(after_request(headers_like(b"Content-Length: 268435456"), end="hang"), id="256 MiB announced"),
        pytest.param(after_request(CHUNKED + b"3e9\r\n" + b"x" * 1001, end="hang"), id="as it comes"),
        pytest.param(after_request(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001, end="hang"), id="without a length"),
        pytest.param(answer(gzip.compress(b"x" * 1001), headers=("Content-Encoding: gzip",)), id="unpacked"),
    ],
)
async def test_an_answer_beyond_the_limit_is_refused_at_once(wire: HttpxWire, play: Play) -> None:
    """Nobody waits for the rest; the failure has the status."""
    async with serving(play) as server:
        failure = await fails(wire, server.url, max_body=1000)
        assert (failure.failure, failure.sent, failure.status) == (Failure.TOO_LARGE, True, 200)
        await server.until_open(0)


async def test_tls_works_with_a_trusted_certificate(wire: HttpxWire, trusted: ssl.SSLContext) -> None:
    """Calls in a row share the one connection."""
    async with serving(answer(), tls=trusted) as server:
        for _ in range(3):
            assert (await wire.send(ask(server.url))).status == 200
        assert (server.accepted, len(server.requests)) == (1, 3)


async def send_below_tls(peer: Peer) -> None:
    """Answer with a record that does not decrypt."""
    await peer.request()
    await peer.socket.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    await peer.gone()


@pytest.mark.parametrize("play", [send_below_tls, after_request(answer_bytes(b"x" * 50)[:-9], end="close")])
async def test_tls_that_breaks_after_the_request_leaves_it_in_doubt(
    wire: HttpxWire, trusted: ssl.SSLContext, play: Play
) -> None:
    """A damaged record and a connection closed without a word are interruptions."""
    async with serving(play, tls=trusted) as server:
        failure = await fails(wire, server.url)
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        assert len(server.requests) == 1
        await server.until_open(0)


async def test_a_client_certificate_asked_for_after_the_handshake_leaves_the_request_in_doubt(
    wire: HttpxWire, trusted: ssl.SSLContext
) -> None:
    """TLS 1.3 refuses when the request may be on its way already."""
    trusted.verify_mode = ssl.CERT_REQUIRED
    async with serving(answer(), tls=trusted) as server:
        failure = await fails(wire, server.url)
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        assert server.requests == []


async def test_the_request_arrives_as_it_was_asked(wire: HttpxWire) -> None:
    """Method, target, headers and body are those of the request, and gzip is all that is accepted."""
    body = "Grüße; an Jürgen".encode()
    headers = {"accept-encoding": "gzip", "content-type": "application/json", "x-ci": "a;b", "Cookie": "S=1"}
    async with serving(answer()) as server:
        await wire.send(ask(f"{server.url}/tag/a%2Fb?q=%C3%A4;", method="PUT", headers=headers, body=body))
        (seen,) = server.requests
        assert (seen.method, seen.target, seen.body) == ("PUT", "/tag/a%2Fb?q=%C3%A4;", body)
        assert {"x-ci": "a;b", "cookie": "S=1", "content-length": str(len(body))}.items() <= seen.headers.items()
        assert seen.headers["accept-encoding"] == "gzip"
        await wire.send(ask(server.url, method="GET", headers={}, body=None))
        assert server.requests[1].headers["accept-encoding"] == "gzip"
        assert "content-length" not in server.requests[1].headers


ANSWERS: dict[str, tuple[Play, int, bytes]] = {
    "chunk extensions and a trailer": (
        after_request(CHUNKED + b"2;a=b\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n"),
        200,
        b"{}",
    ),
    "103, then 200": (after_request(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer_bytes(b"[]")), 200, b"[]"),
    "ended by closing": (after_request(b"HTTP/1.1 200 OK\r\n\r\n[1]", end="close"), 200, b"[1]"),
    "half-closed": (after_request(b"HTTP/1.1 200 OK\r\n\r\n[2]", end="half"), 200, b"[2]"),
    "status 999": (answer(b"?", status="999 Huh"), 999, b"?"),
    "204": (after_request(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b""),
    "304 with an encoding": (after_request(b"HTTP/1.1 304 X\r\nContent-Encoding: gzip\r\n\r\n"), 304, b""),
    "gzip": (answer(gzip.compress(b"[3]"), headers=("Content-Encoding: gzip",)), 200, b"[3]"),
    "empty gzip": (answer(b"", headers=("Content-Encoding: gzip",)), 200, b""),
    "Windows-1252": (answer("Köln; 5 €".encode("cp1252")), 200, b"K\xf6ln; 5 \x80"),
    "a slow drip": (drip(answer_bytes(b"[4]"), pause=0.001), 200, b"[4]"),
    "406": (answer(b'{"error": 4}', status="406 Not Acceptable"), 406, b'{"error": 4}'),
    "500": (answer(b"<html>", status="500 Oops"), 500, b"<html>"),
}


@pytest.mark.parametrize(("play", "status", "body"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_is_read_to_its_end(wire: HttpxWire, play: Play, status: int, body: bytes) -> None:
    """Unusual is not broken: the wire has no opinion about a status or a text."""
    async with serving(play) as server:
        response = await wire.send(ask(server.url))
        assert (response.status, response.body) == (status, body)


async def test_headers_come_in_lower_case_and_joined(wire: HttpxWire) -> None:
    """A repeated header is one, with commas; a header beyond ASCII is no reason to fail."""
    headers = ("X-ONE: 1", "X-Two: a", "x-two: b", "X-Ort: K\xf6ln", "Retry-After: 7")
    async with serving(answer(headers=headers)) as server:
        response = await wire.send(ask(server.url))
    expected = {"x-one": "1", "x-two": "a, b", "x-ort": "K\xf6ln", "retry-after": "7", "content-length": "2"}
    assert response.headers == expected


async def test_an_answer_does_not_show_its_content() -> None:
    """Neither headers nor body are in the repr, nor are those of a request."""
    response = Response(status=200, headers={"set-cookie": "SESS=geheim"}, body=b"geheim")
    request = ask("http://geheim/", headers={"x-ci": "geheim"}, body=b"geheim")
    assert "geheim" not in repr(response) + repr(request)


async def test_a_cookie_never_comes_back(wire: HttpxWire) -> None:
    """However many are set, no request carries one and none is kept."""
    storm = tuple(f"Set-Cookie: name{number}={'x' * 60}; Path=/" for number in range(300))
    async with serving(answer(headers=storm)) as server:
        for _ in range(3):
            await wire.send(ask(server.url))
        assert all("cookie" not in seen.headers for seen in server.requests)


async def test_the_one_cookie_is_that_of_the_request(wire: HttpxWire) -> None:
    """An answer cannot replace the session that a request carries."""
    async with serving(answer(headers=("Set-Cookie: SESS=evil; Path=/",))) as server:
        for _ in range(2):
            await wire.send(ask(server.url, headers={"cookie": "SESS=mine"}))
        assert [seen.headers["cookie"] for seen in server.requests] == ["SESS=mine"] * 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_nothing_else(wire: HttpxWire, status: int) -> None:
    """The place that it points to is never contacted."""
    async with serving(answer()) as elsewhere:
        location = f"Location: {elsewhere.url}/fang"
        play = answer(b"", status=f"{status} {HTTPStatus(status).phrase}", headers=(location,))
        async with serving(play) as server:
            response = await wire.send(ask(server.url))
            assert (response.status, response.headers["location"]) == (status, f"{elsewhere.url}/fang")
            assert len(server.requests) == 1
        assert elsewhere.accepted == 0


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_no_proxy_is_taken_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials do not go to whom an environment variable names."""
    async with serving(answer()) as proxy, serving(answer()) as server:
        monkeypatch.setenv(name, proxy.url)
        wire = HttpxWire.default(time.monotonic)
        await wire.send(ask(server.url))
        await wire.aclose()
        assert (proxy.accepted, len(server.requests)) == (0, 1)


async def test_no_certificate_is_taken_from_the_environment(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom we trust does not change by SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    pool.shared_ssl_context.cache_clear()
    wire = HttpxWire.default(time.monotonic)
    async with serving(answer(), tls=server_tls(certificate)) as server:
        assert (await fails(wire, server.url)).failure is Failure.CERTIFICATE
    await wire.aclose()


async def test_a_user_name_in_the_url_is_no_credential(wire: HttpxWire) -> None:
    """Only the headers of the request sign it."""
    async with serving(answer()) as server:
        await wire.send(ask(server.url.replace("//", "//user:geheim@")))
        assert "authorization" not in server.requests[0].headers


async def test_an_exchange_is_one_request(wire: HttpxWire) -> None:
    """The wire itself never sends anything again."""
    async with serving(after_request(b"", end="close")) as server:
        await fails(wire, server.url)
        assert (server.accepted, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio_is_known_without_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has imported asyncio, nothing is imported to find that out."""
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "asyncio")
        found = _on_trio(), "asyncio" in sys.modules
    assert found == (True, False)
