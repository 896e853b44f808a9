"""One exchange on the aiohttp wire: the same answers, failures and doubts as on the other one."""

import gzip
import socket
import ssl
from collections.abc import AsyncGenerator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import pytest

from klickdoxie_core.wire import pool
from klickdoxie_core.wire.base import Failure, WireFailure
from tests.core.wire import test_httpx_wire as other
from tests.core.wire.raw_server import (
    Play,
    after_request,
    answer,
    answer_bytes,
    ask,
    at_once,
    client_tls,
    make_certificate,
    refusing_port,
    server_tls,
    serving,
)
from tests.core.wire.test_httpx_wire import SHORT, fails, headers_like

aiohttp = pytest.importorskip("aiohttp")
from klickdoxie_core.wire import aiohttp_wire  # noqa: E402 - only where aiohttp is installed
from klickdoxie_core.wire.aiohttp_wire import AiohttpWire  # noqa: E402

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, since aiohttp runs nowhere else."""
    return "asyncio"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no system trusts."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server needs; our sessions trust it."""
    context = client_tls(certificate)
    monkeypatch.setattr(pool, "shared_ssl_context", lambda: context)
    return server_tls(certificate)


@pytest.fixture
async def wire() -> AsyncGenerator[AiohttpWire, None]:
    """A wire on a session of our own."""
    wire = AiohttpWire()
    yield wire
    await wire.aclose()


def doubt(failure: WireFailure) -> tuple[Failure, bool]:
    """What a failure says of the request."""
    return failure.failure, failure.sent


async def test_a_refused_connection_was_never_sent(wire: AiohttpWire) -> None:
    """Nobody listens: no doubt about it, and no address in the text."""
    failure = await fails(wire, f"http://127.0.0.1:{refusing_port()}/")
    assert doubt(failure) == (Failure.CONNECT, False)
    assert failure.detail == "connection refused"


async def test_a_name_that_does_not_resolve_was_never_sent(wire: AiohttpWire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up fails before there is anything to send to."""

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    failure = await fails(wire, "http://nirgends.test/")
    assert (doubt(failure), failure.detail) == ((Failure.CONNECT, False), "name not found")


async def test_a_connection_that_takes_too_long_was_never_sent(
    wire: AiohttpWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connecting has a time of its own, shorter than a patient attempt's."""
    monkeypatch.setattr(aiohttp_wire, "CONNECT_TIMEOUT", 0.05)
    async with serving(at_once(end="hang")) as server:
        failure = await fails(wire, server.url.replace("http:", "https:"))
        assert (doubt(failure), failure.detail) == ((Failure.CONNECT, False), "timed out while connecting")
        await server.until_open(0)


async def test_a_self_signed_certificate_is_named_as_the_reason(wire: AiohttpWire, certificate: Path) -> None:
    """It is not a connection that may work the next time."""
    async with serving(answer(), tls=server_tls(certificate)) as server:
        failure = await fails(wire, server.url)
        assert (doubt(failure), failure.detail[:11]) == ((Failure.CERTIFICATE, False), "self-signed")
        await server.until_open(0)
        assert server.requests == []


async def test_a_certificate_for_another_host_is_refused(
    wire: AiohttpWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate does not help a server that it does not name."""
    stranger = make_certificate(tmp_path, "anderswo.test")
    context = client_tls(stranger)
    monkeypatch.setattr(pool, "shared_ssl_context", lambda: context)
    async with serving(answer(), tls=server_tls(stranger)) as server:
        failure = await fails(wire, server.url)
        assert doubt(failure) == (Failure.CERTIFICATE, False)
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
async def test_a_handshake_that_fails_was_never_sent(wire: AiohttpWire, play: Play, failure: Failure) -> None:
    """Without TLS there is no request, and no socket stays open."""
    async with serving(play) as server:
        caught = await fails(wire, server.url.replace("http:", "https:"), seconds=SHORT)
        assert doubt(caught) == (failure, False)
        await server.until_open(0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"headers": {"x-ci": "a\r\nx-evil: 1"}}, id="line break in a header"),
        pytest.param({"headers": {"x-ci": "Schlüssel"}}, id="umlaut in a header"),
        pytest.param({"headers": {"x ci": "1"}}, id="blank in a header's name"),
        pytest.param({"headers": {"x\nci": "1"}}, id="line break in a header's name"),
        pytest.param({"method": "GET /evil"}, id="blank in the method"),
        pytest.param({"url": "ftp://127.0.0.1/"}, id="unknown scheme"),
        pytest.param({"url": "http:///path"}, id="no host"),
        pytest.param({"url": "http://[::1/"}, id="broken host"),
        pytest.param({"url": f"http://{'a' * 64}.test/"}, id="host that is too long"),
        pytest.param({"url": "http://127.0.0.1/\x00"}, id="control character"),
    ],
)
async def test_what_cannot_be_put_on_the_wire_is_our_mistake(wire: AiohttpWire, change: dict[str, Any]) -> None:
    """Nothing of it arrives anywhere, and it is no trouble of the network."""
    async with serving(answer()) as server:
        with pytest.raises(WireFailure) as caught:
            await wire.send(ask(**{"url": server.url, **change}))
        assert doubt(caught.value) == (Failure.INVALID, False)
        assert server.requests == []


async def test_a_closed_wire_sends_nothing(wire: AiohttpWire) -> None:
    """Neither after the first closing nor after the second."""
    async with serving(answer()) as server:
        await wire.send(ask(server.url))
        await wire.aclose()
        await wire.aclose()
        assert doubt(await fails(wire, server.url)) == (Failure.CLOSED, False)
        assert len(server.requests) == 1


ONLY_THERE = {"closed at once", "a Location that is no URL", "a Location without a place"}
BROKEN = {name: play for name, play in other.BROKEN.items() if name not in ONLY_THERE}


@pytest.mark.parametrize("play", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_breaks_off_leaves_the_request_in_doubt(
    wire: AiohttpWire, play: Play, method: str
) -> None:
    """The request was sent once, the next one works, and the failure quotes nothing of the server."""
    async with serving(play, answer()) as server:
        with anyio.fail_after(2.5), pytest.raises(WireFailure) as caught:
            await wire.send(ask(server.url, method=method))
        failure = caught.value
        assert doubt(failure) == (Failure.INTERRUPTED, True)
        assert failure.detail.isidentifier()
        assert failure.__cause__ is None
        assert failure.__context__ is None or failure.__suppress_context__
        await server.until_open(0)
        assert server.accepted == 1
        assert (await wire.send(ask(server.url))).body == b"{}"


async def test_a_connection_that_ends_at_once_is_told_correctly(wire: AiohttpWire) -> None:
    """It depends on who is faster; no request arrived, and where none was written the failure says so."""
    for play in (at_once(end="close"), at_once(end="reset")):
        async with serving(play) as server:
            failure = await fails(wire, server.url)
            assert doubt(failure) in {(Failure.CONNECT, False), (Failure.INTERRUPTED, True)}
            assert server.requests == []


@pytest.mark.parametrize("play", other.SILENT.values(), ids=other.SILENT)
async def test_an_answer_that_takes_too_long_leaves_the_request_in_doubt(wire: AiohttpWire, play: Play) -> None:
    """The timeout covers the exchange to its last byte, however many bytes come meanwhile; the socket is closed."""
    async with serving(play, answer()) as server:
        failure = await fails(wire, server.url, seconds=SHORT)
        if play is other.SILENT["another protocol"]:
            # What is there before the request is written may be noticed in time.
            assert doubt(failure) in {(Failure.CONNECT, False), (Failure.INTERRUPTED, True)}
        else:
            assert doubt(failure) == (Failure.TIMEOUT, True)
        await server.until_open(0)
        assert (await wire.send(ask(server.url))).body == b"{}"


TOO_LARGE: dict[str, tuple[Play, int]] = {
    "by its length": (after_request(answer_bytes(b"x" * 1001)[:-1], end="hang"), 0),
    "256 MiB announced": (after_request(headers_like(b"Content-Length: 268435456"), end="hang"), 0),
    "as it comes": (after_request(other.CHUNKED + b"3e9\r\n" + b"x" * 1001, end="hang"), 0),
    "without a length": (after_request(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001, end="hang"), 0),
    "unpacked": (answer(gzip.compress(b"x" * 1001, mtime=0), headers=("Content-Encoding: gzip",)), 1),
}


@pytest.mark.parametrize(("play", "left"), TOO_LARGE.values(), ids=TOO_LARGE)
async def test_an_answer_beyond_the_limit_is_refused_at_once(wire: AiohttpWire, play: Play, left: int) -> None:
    """Nobody waits for the rest; the failure has the status, and what was not read to its end is closed."""
    async with serving(play) as server:
        failure = await fails(wire, server.url, max_body=1000)
        assert (*doubt(failure), failure.status) == (Failure.TOO_LARGE, True, 200)
        await server.until_open(left)


@pytest.mark.parametrize(("play", "status", "body"), other.ANSWERS.values(), ids=other.ANSWERS)
async def test_an_answer_is_read_to_its_end(wire: AiohttpWire, play: Play, status: int, body: bytes) -> None:
    """Unusual is not broken: the wire has no opinion about a status or a text."""
    async with serving(play) as server:
        response = await wire.send(ask(server.url))
        assert (response.status, response.body) == (status, body)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("deflate", b"x"), ("br", b"x"), ("gzip, gzip", b"x"), ("gzip", gzip.compress(b"[1, 2]", mtime=0)[:-4])],
)
async def test_nothing_is_unpacked_but_one_layer_of_gzip(wire: AiohttpWire, encoding: str, body: bytes) -> None:
    """What was not asked for is damaged, and so is gzip that is cut short."""
    async with serving(answer(body, headers=(f"Content-Encoding: {encoding}",))) as server:
        assert doubt(await fails(wire, server.url)) == (Failure.ENCODING, True)


async def test_tls_works_with_a_trusted_certificate(wire: AiohttpWire, trusted: ssl.SSLContext) -> None:
    """Calls in a row share the one connection."""
    async with serving(answer(), tls=trusted) as server:
        for _ in range(3):
            assert (await wire.send(ask(server.url))).status == 200
        assert (server.accepted, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("play", [other.send_below_tls, after_request(answer_bytes(b"x" * 50)[:-9], end="close")])
async def test_tls_that_breaks_after_the_request_leaves_it_in_doubt(
    wire: AiohttpWire, trusted: ssl.SSLContext, play: Play
) -> None:
    """A damaged record and a connection closed without a word are interruptions."""
    async with serving(play, tls=trusted) as server:
        assert doubt(await fails(wire, server.url)) == (Failure.INTERRUPTED, True)
        assert len(server.requests) == 1
        await server.until_open(0)


async def test_a_client_certificate_asked_for_after_the_handshake_leaves_the_request_in_doubt(
    wire: AiohttpWire, trusted: ssl.SSLContext
) -> None:
    """TLS 1.3 refuses when the request may be on its way already."""
    trusted.verify_mode = ssl.CERT_REQUIRED
    async with serving(answer(), tls=trusted) as server:
        assert doubt(await fails(wire, server.url)) == (Failure.INTERRUPTED, True)
        assert server.requests == []


async def test_an_answer_without_a_length_that_is_reset_is_not_complete(wire: AiohttpWire) -> None:
    """Only an orderly end is the end of such an answer."""
    async with serving(after_request(b"HTTP/1.1 200 OK\r\n\r\n[1, 2", end="reset")) as server:
        assert doubt(await fails(wire, server.url)) == (Failure.INTERRUPTED, True)


async def test_the_request_arrives_as_it_was_asked(wire: AiohttpWire) -> None:
    """Method, target, headers and body are those of the request, and aiohttp adds nothing that is not needed."""
    body = "Grüße; an Jürgen".encode()
    headers = {"accept-encoding": "gzip", "content-type": "application/json", "x-ci": "a;b", "Cookie": 'S="1"'}
    async with serving(answer()) as server:
        host = server.url.removeprefix("http://")
        await wire.send(ask(f"{server.url}/tag/a%2Fb%2e?q=%C3%A4;+", method="PUT", headers=headers, body=body))
        (seen,) = server.requests
        assert (seen.method, seen.target, seen.body) == ("PUT", "/tag/a%2Fb%2e?q=%C3%A4;+", body)
        lowered = {name.lower(): value for name, value in headers.items()}
        assert seen.headers == lowered | {"host": host, "content-length": str(len(body))}
        await wire.send(ask(server.url, method="GET", headers={}, body=None))
        assert server.requests[1].headers == {"host": host}
        await wire.send(ask(server.url, headers={}, body=None))
        assert server.requests[2].headers == {"host": host, "content-length": "0"}
        await wire.send(ask(server.url, headers={}, body=b""))
        assert server.requests[3].headers == {"host": host, "content-length": "0"}


async def test_a_url_that_is_not_quoted_is(wire: AiohttpWire) -> None:
    """A base URL may have been written as people read it."""
    async with serving(answer()) as server:
        await wire.send(ask(f"{server.url}/köln am rhein"))
        assert server.requests[0].target == "/k%C3%B6ln%20am%20rhein"


async def test_a_large_body_is_sent_without_a_warning(wire: AiohttpWire) -> None:
    """That aiohttp would rather have a file is nothing that a caller can change."""
    body = bytes(2 * 1024 * 1024)
    async with serving(answer()) as server:
        await wire.send(ask(server.url, body=body))
        assert len(server.requests[0].body) == len(body)


async def test_headers_come_in_lower_case_and_joined(wire: AiohttpWire) -> None:
    """A repeated header is one, with commas; a header beyond ASCII is read as UTF-8, or else as Latin-1."""
    utf8 = "Köln".encode().decode("latin-1")
    headers = ("X-ONE: 1", "X-Two: a", "x-two: b", "X-Ort: K\xf6ln", f"X-City: {utf8}", "Retry-After: 7")
    async with serving(answer(headers=headers)) as server:
        response = await wire.send(ask(server.url))
    expected = {"x-one": "1", "x-two": "a, b", "x-ort": "Köln", "x-city": "Köln", "retry-after": "7"}
    assert response.headers == expected | {"content-length": "2"}


async def test_a_cookie_never_comes_back(wire: AiohttpWire) -> None:
    """However many are set, no request carries one; the one cookie is that of the request."""
    storm = tuple(f"Set-Cookie: name{number}={'x' * 60}; Path=/" for number in range(300))
    async with serving(answer(headers=(*storm, "Set-Cookie: SESS=evil; Path=/"))) as server:
        for headers in ({}, {"cookie": "SESS=mine"}, {}):
            await wire.send(ask(server.url, headers=headers))
        assert [seen.headers.get("cookie") for seen in server.requests] == [None, "SESS=mine", None]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_nothing_else(wire: AiohttpWire, status: int) -> None:
    """The place that it points to is never contacted."""
    async with serving(answer()) as elsewhere:
        location = f"Location: {elsewhere.url}/fang"
        play = answer(b"", status=f"{status} {HTTPStatus(status).phrase}", headers=(location,))
        async with serving(play) as server:
            response = await wire.send(ask(server.url))
            assert (response.status, response.headers["location"]) == (status, f"{elsewhere.url}/fang")
            assert len(server.requests) == 1
        assert elsewhere.accepted == 0


@pytest.mark.parametrize("location", ["http://[::1", "ftp:abc", ""])
async def test_a_redirect_to_nowhere_is_an_answer_too(wire: AiohttpWire, location: str) -> None:
    """Nobody looks at where it points."""
    async with serving(answer(status="302 Found", headers=(f"Location: {location}",))) as server:
        assert (await wire.send(ask(server.url))).status == 302


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_no_proxy_is_taken_from_the_environment(
    wire: AiohttpWire, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials do not go to whom an environment variable names."""
    async with serving(answer()) as proxy, serving(answer()) as server:
        monkeypatch.setenv(name, proxy.url)
        await wire.send(ask(server.url))
        assert (proxy.accepted, len(server.requests)) == (0, 1)


async def test_no_credential_is_taken_from_the_url_or_the_environment(
    wire: AiohttpWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the headers of the request sign it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password geheim")
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(answer()) as server:
        await wire.send(ask(server.url.replace("//", "//user:geheim@")))
        await wire.send(ask(server.url.replace("//", "//user:geheim@"), headers={"authorization": "Bearer a"}))
        assert [seen.headers.get("authorization") for seen in server.requests] == [None, "Bearer a"]
