"""A client that the caller brings: used as it is, but for what must not speak for us; never closed."""

import gzip
import importlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from klickdoxie_core.client import ApiClient
from klickdoxie_core.errors import ConfigError
from klickdoxie_core.wire.base import Failure, Request, Response, WireFailure
from klickdoxie_core.wire.httpx_wire import HttpxWire
from klickdoxie_core.wire.pool import shared_ssl_context
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
    make_certificate,
    refusing_port,
    server_tls,
    serving,
)

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

ANYWHERE = "http://dienst.test/tag"


@pytest.fixture(params=[os.environ.get("KLICKDOXIE_HTTP", "httpx")])
def library(request: pytest.FixtureRequest) -> Any:
    """The HTTP library whose client is brought: httpx, or what KLICKDOXIE_HTTP says."""
    return importlib.import_module(request.param)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no system trusts."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def client_of(library: Any, **options: Any) -> httpx.AsyncClient:
    """A client as a user would bring it; whom it trusts is read only once, since that takes long."""
    client: httpx.AsyncClient = library.AsyncClient(**{"verify": shared_ssl_context(), **options})
    return client


async def send(client: httpx.AsyncClient, request: Request) -> Response:
    """Send through a wire over this client, which is closed after it; the wire comes and goes."""
    async with client:
        wire = HttpxWire(client, owned=False)
        try:
            return await wire.send(request)
        finally:
            await wire.aclose()
            assert not client.is_closed


async def fails(client: httpx.AsyncClient, request: Request) -> WireFailure:
    """The failure of one exchange through this client."""
    with pytest.raises(WireFailure) as caught:
        await send(client, request)
    return caught.value


def mocked(library: Any, handler: Callable[[Any], Any]) -> httpx.AsyncClient:
    """A client that has no network; its transport does not trace."""
    return client_of(library, transport=library.MockTransport(handler))


async def test_a_given_client_carries_calls_and_stays_open(library: Any) -> None:
    """It is the caller's: our closing leaves it and its connections alone."""
    async with serving(answer(b"[1]")) as server, client_of(library) as client:
        wire = HttpxWire(client, owned=False)
        assert (await wire.send(ask(server.url))).body == b"[1]"
        await wire.aclose()
        assert server.open == 1
        assert (await client.get(server.url)).json() == [1]
        assert (await wire.send(ask(server.url))).body == b"[1]"
        assert server.accepted == 1


async def test_a_subclass_is_as_good(library: Any) -> None:
    """Users wrap their clients."""
    own = type("OwnClient", (library.AsyncClient,), {})
    async with serving(answer()) as server:
        assert (await send(own(), ask(server.url))).status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(httpx.Client, id="synchronous"),
        pytest.param(lambda: httpx.AsyncClient, id="the class itself"),
        pytest.param(lambda: httpx, id="the module"),
        pytest.param(object, id="any object"),
    ],
)
def test_another_type_is_told_at_once(wrong: Callable[[], Any]) -> None:
    """A client of another kind, a class, a module: what it must be is in the text."""
    given = wrong()
    said = "must be an httpx.AsyncClient or an httpx2.AsyncClient, not"
    with pytest.raises(TypeError, match=said):
        HttpxWire(given, owned=False)
    with pytest.raises(ConfigError, match=said):
        ApiClient({}, base_url="http://127.0.0.1", http=given)
    if isinstance(given, httpx.Client):
        given.close()


async def test_a_client_that_was_closed_sends_nothing(library: Any) -> None:
    """The failure says so, and that nothing was sent."""
    async with serving(answer()) as server:
        client = client_of(library)
        await client.aclose()
        with pytest.raises(WireFailure) as caught:
            await HttpxWire(client, owned=False).send(ask(server.url))
        assert (caught.value.failure, caught.value.sent) == (Failure.CLOSED, False)
        assert server.accepted == 0


async def test_cookies_of_the_client_are_not_sent(library: Any) -> None:
    """Neither those that it came with nor those that answers set; only the request's own."""
    async with (
        serving(answer(headers=("Set-Cookie: SESS=evil; Path=/",))) as server,
        client_of(library, cookies={"a": "b"}, headers={"cookie": "c=d"}) as client,
    ):
        wire = HttpxWire(client, owned=False)
        for headers in ({}, {"cookie": "SESS=mine"}, {"Cookie": "SESS=mine"}, {}):
            await wire.send(ask(server.url, headers=headers))
        assert [seen.headers.get("cookie") for seen in server.requests] == [None, "SESS=mine", "SESS=mine", None]


async def test_auth_of_the_client_and_of_the_url_is_not_used(library: Any) -> None:
    """Only the headers of the request sign it."""
    async with serving(answer()) as server:
        url = server.url.replace("//", "//user:geheim@")
        await send(client_of(library, auth=("user", "geheim")), ask(url))
        assert "authorization" not in server.requests[0].headers


async def test_redirects_are_not_followed_even_if_the_client_does(library: Any) -> None:
    """The other place is never contacted."""
    async with serving(answer()) as elsewhere:
        play = answer(status="307 Temporary Redirect", headers=(f"Location: {elsewhere.url}/",))
        async with serving(play) as server:
            assert (await send(client_of(library, follow_redirects=True), ask(server.url))).status == 307
        assert elsewhere.accepted == 0


@pytest.mark.parametrize("seconds", [0.0001, None])
async def test_timeouts_of_the_client_do_not_count(library: Any, seconds: float | None) -> None:
    """The request's own timeout holds, whether the client's is shorter or there is none."""
    async with serving(after_request(b"", end="hang")) as server:
        failure = await fails(client_of(library, timeout=seconds), ask(server.url, timeout=0.15))
        assert (failure.failure, failure.sent) == (Failure.TIMEOUT, True)
        await server.until_open(0)


async def test_encodings_of_the_client_are_not_asked_for(library: Any) -> None:
    """What the request accepts is all that it accepts."""
    async with serving(answer()) as server:
        await send(client_of(library), ask(server.url, headers={"accept-encoding": "gzip"}))
        assert server.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("play", "failure"),
    [
        pytest.param(after_request(b"", end="close"), Failure.INTERRUPTED, id="no answer"),
        pytest.param(after_request(answer_bytes(b"x" * 9)[:-3], end="close"), Failure.INTERRUPTED, id="cut"),
        pytest.param(after_request(b"", end="hang"), Failure.TIMEOUT, id="silence"),
    ],
)
async def test_a_request_that_broke_off_was_sent(library: Any, play: Play, failure: Failure) -> None:
    """The same faults mean the same as in our own pool."""
    async with serving(play) as server:
        caught = await fails(client_of(library), ask(server.url, timeout=0.15))
        assert (caught.failure, caught.sent) == (failure, True)
        await server.until_open(0)


async def test_an_answer_with_a_location_that_is_no_url_was_not_our_mistake(library: Any) -> None:
    """A library may stumble over it, but the request was sent."""
    async with serving(answer(status="302 Found", headers=("Location: ftp:abc",))) as server:
        outcome: tuple[object, bool]
        try:
            outcome = (await send(client_of(library), ask(server.url))).status, True
        except WireFailure as failure:
            outcome = failure.failure, failure.sent
        assert outcome in {(302, True), (Failure.INTERRUPTED, True)}


async def test_a_refused_connection_was_never_sent(library: Any) -> None:
    """Nobody listens: no doubt about it."""
    failure = await fails(client_of(library), ask(f"http://127.0.0.1:{refusing_port()}/"))
    assert (failure.failure, failure.sent) == (Failure.CONNECT, False)


async def test_a_certificate_that_the_client_does_not_trust_was_never_sent(library: Any, certificate: Path) -> None:
    """The client decides whom it trusts; with its trust, the call works."""
    async with serving(answer(), tls=server_tls(certificate)) as server:
        failure = await fails(client_of(library), ask(server.url))
        assert (failure.failure, failure.sent) == (Failure.CERTIFICATE, False)
        assert (await send(client_of(library, verify=client_tls(certificate)), ask(server.url))).status == 200


async def test_a_handshake_that_hangs_was_never_sent_and_leaves_no_socket(library: Any) -> None:
    """Its socket is closed when the time is up, not when the garbage is collected."""
    async with serving(at_once(end="hang")) as server, client_of(library) as client:
        with pytest.raises(WireFailure) as caught:
            await HttpxWire(client, owned=False).send(ask(server.url.replace("http:", "https:"), timeout=0.15))
        assert (caught.value.failure, caught.value.sent) == (Failure.TIMEOUT, False)
        await server.until_open(0)


async def test_waiting_for_a_full_pool_was_never_sent(library: Any) -> None:
    """A queue in the caller's pool is told from an answer that does not come."""
    async with (
        serving(after_request(b"", end="hang")) as server,
        client_of(library, limits=library.Limits(max_connections=1)) as client,
        anyio.create_task_group() as group,
    ):
        wire = HttpxWire(client, owned=False)
        group.start_soon(wire.send, ask(server.url, timeout=30.0))
        await server.until_requests(1)
        with pytest.raises(WireFailure) as caught:
            await wire.send(ask(server.url, timeout=0.5))
        failure = caught.value
        assert (failure.failure, failure.sent, failure.detail) == (Failure.CONNECT, False, "none was free in time")
        group.cancel_scope.cancel()


def refuse_tunnel(status: str) -> Play:
    """A proxy that has no way to the service."""
    return answer(b"", status=status)


@pytest.mark.parametrize(
    ("play", "failure"),
    [
        pytest.param(refuse_tunnel("403 Forbidden"), Failure.PROXY, id="403"),
        pytest.param(refuse_tunnel("407 Proxy Authentication Required"), Failure.PROXY, id="407"),
        pytest.param(after_request(b"", end="close"), Failure.CONNECT, id="closed"),
        pytest.param(after_request(b"", end="hang"), Failure.TIMEOUT, id="silent"),
        pytest.param(after_request(b"HTTP/1.1 200 OK\r\n\r\n", end="hang"), Failure.TIMEOUT, id="tunnel to nowhere"),
    ],
)
async def test_a_tunnel_that_a_proxy_refuses_was_never_sent(library: Any, play: Play, failure: Failure) -> None:
    """The proxy's own request is not ours."""
    async with serving(play) as proxy:
        caught = await fails(client_of(library, proxy=proxy.url), ask("https://dienst.test/", timeout=0.5))
        assert (caught.failure, caught.sent) == (failure, False)
        assert failure is not Failure.PROXY or caught.detail.startswith(f"the proxy {proxy.url[7:]} answered 40")
        assert [seen.method for seen in proxy.requests] == ["CONNECT"]
        await proxy.until_open(0)


async def test_a_proxy_that_is_not_there_is_named(library: Any) -> None:
    """It is to blame, and not the service; its password stays out."""
    place = f"127.0.0.1:{refusing_port()}"
    for url in (ANYWHERE, "https://dienst.test/"):
        failure = await fails(client_of(library, proxy=f"http://anna:geheim@{place}"), ask(url))
        assert (failure.failure, failure.sent, failure.proxy) == (Failure.CONNECT, False, place)
        assert failure.detail == "connection refused"


async def test_a_failing_service_is_no_proxy(library: Any) -> None:
    """Also behind one that does its part, and whatever form its address has."""
    port = refusing_port()
    failure = await fails(client_of(library), ask(f"http://127.0.0.1:{port}/"))
    assert (failure.failure, failure.proxy) == (Failure.CONNECT, "")
    async with serving(refuse_tunnel("502 Bad Gateway")) as proxy:
        failure = await fails(client_of(library, proxy=proxy.url), ask("https://dienst.test/"))
        assert (failure.failure, failure.sent, failure.proxy) == (Failure.CONNECT, False, "")
        assert failure.detail == f"the proxy {proxy.url[7:]} answered 502"


@pytest.mark.parametrize("query", ["", "?tag=a&tag=b&q=%C3%A4+b"])
async def test_parameters_of_the_client_take_nobodys_place(library: Any, query: str) -> None:
    """They are not sent, and those of the call are."""
    async with serving(answer()) as server:
        await send(client_of(library, params={"q": "1", "own": "2"}), ask(f"{server.url}/x{query}"))
        assert server.requests[0].target == f"/x{query}"


async def test_a_request_in_a_tunnel_is_sent(library: Any, certificate: Path) -> None:
    """Once the tunnel stands, what breaks off is in doubt as ever."""

    async def tunnel(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await peer.start_tls(server_tls(certificate))
        await peer.request()
        await peer.close()

    async with serving(tunnel) as proxy:
        client = client_of(library, proxy=proxy.url, verify=client_tls(certificate))
        failure = await fails(client, ask("https://127.0.0.1:1/"))
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        assert [seen.method for seen in proxy.requests] == ["CONNECT", "POST"]


async def test_a_request_to_a_forwarding_proxy_is_sent(library: Any) -> None:
    """Without TLS the proxy gets the request itself."""
    async with serving(after_request(b"", end="close")) as proxy:
        failure = await fails(client_of(library, proxy=proxy.url), ask(ANYWHERE))
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        assert [seen.target for seen in proxy.requests] == [ANYWHERE]


@pytest.mark.parametrize(
    ("name", "failure", "sent"),
    [
        ("ConnectError", Failure.CONNECT, False),
        ("ConnectTimeout", Failure.CONNECT, False),
        ("PoolTimeout", Failure.CONNECT, False),
        ("ReadTimeout", Failure.INTERRUPTED, True),
        ("WriteTimeout", Failure.INTERRUPTED, True),
        ("ReadError", Failure.INTERRUPTED, True),
        ("WriteError", Failure.INTERRUPTED, True),
        ("CloseError", Failure.INTERRUPTED, True),
        ("ProxyError", Failure.INTERRUPTED, True),
        ("RemoteProtocolError", Failure.INTERRUPTED, True),
        ("DecodingError", Failure.INTERRUPTED, True),
        ("TooManyRedirects", Failure.INTERRUPTED, True),
        ("InvalidURL", Failure.INTERRUPTED, True),
        ("LocalProtocolError", Failure.INVALID, False),
        ("UnsupportedProtocol", Failure.INVALID, False),
    ],
)
async def test_an_untraced_error_counts_as_sent_unless_its_class_excludes_it(
    library: Any, name: str, failure: Failure, *, sent: bool
) -> None:
    """Only what found no connection, or could not be put on the wire, cannot have been carried out."""

    def handler(_request: object) -> None:
        raise getattr(library, name)("geheim")

    caught = await fails(mocked(library, handler), ask(ANYWHERE))
    assert (caught.failure, caught.sent) == (failure, sent)
    assert "geheim" not in str(caught)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionResetError(), Failure.INTERRUPTED),
        (socket.gaierror(), Failure.INTERRUPTED),
        (anyio.BrokenResourceError(), Failure.INTERRUPTED),
        (anyio.ClosedResourceError(), Failure.CLOSED),
        (RuntimeError("Event loop is closed"), Failure.CLOSED),
    ],
)
async def test_an_error_of_no_http_library_counts_as_sent(library: Any, error: Exception, failure: Failure) -> None:
    """What escapes from below a transport proves nothing."""

    def handler(_request: object) -> None:
        raise error

    caught = await fails(mocked(library, handler), ask(ANYWHERE))
    assert (caught.failure, caught.sent) == (failure, True)


async def test_an_untraced_silence_counts_as_sent(library: Any) -> None:
    """When the time is up, a transport that told nothing may have done anything."""

    async def handler(_request: object) -> None:
        await anyio.sleep_forever()

    caught = await fails(mocked(library, handler), ask(ANYWHERE, timeout=0.05))
    assert (caught.failure, caught.sent) == (Failure.TIMEOUT, True)


async def test_a_mistake_in_a_users_own_transport_or_hook_comes_through(library: Any) -> None:
    """It is raised as it is, not wrapped in a group and not taken for trouble of the network."""

    async def hook(_response: object) -> None:
        raise ZeroDivisionError

    transport = library.MockTransport(lambda _: library.Response(200))
    client = client_of(library, transport=transport, event_hooks={"response": [hook]})
    with pytest.raises(ZeroDivisionError):
        await send(client, ask(ANYWHERE))


async def test_a_runtime_error_of_a_users_own_is_no_closed_client(library: Any) -> None:
    """It comes out as it is; once the client is closed, that is what has happened."""

    def handler(_request: object) -> None:
        raise RuntimeError("no row was found")

    with pytest.raises(RuntimeError, match="no row was found"):
        await send(mocked(library, handler), ask(ANYWHERE))

    async def closing(_request: object) -> None:
        await client.aclose()
        raise RuntimeError("gone")

    client = mocked(library, closing)
    with pytest.raises(WireFailure) as caught:
        await HttpxWire(client, owned=False).send(ask(ANYWHERE))
    assert caught.value.failure is Failure.CLOSED


class Stream:
    """An answer's body in chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


PACKED = gzip.compress(b'{"ort": 1}')
GZIP = {"content-encoding": "gzip"}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"content": b'{"ort": 1}'}, id="ready-made"),
        pytest.param({"content": PACKED, "headers": GZIP}, id="ready-made gzip"),
        pytest.param({"content": Stream(b'{"ort"', b": 1}")}, id="streamed"),
        pytest.param({"content": Stream(PACKED[:9], PACKED[9:]), "headers": GZIP}, id="streamed gzip"),
    ],
)
async def test_a_mocked_answer_is_read_in_any_form(library: Any, fields: dict[str, Any]) -> None:
    """Tests of users bring answers that are read and unpacked already, or streams."""
    response = await send(mocked(library, lambda _: library.Response(201, **fields)), ask(ANYWHERE))
    assert (response.status, response.body) == (201, b'{"ort": 1}')


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        pytest.param({"content": bytes(1001)}, Failure.TOO_LARGE, id="ready-made"),
        pytest.param({"content": gzip.compress(bytes(1001)), "headers": GZIP}, Failure.TOO_LARGE, id="ready-made gzip"),
        pytest.param({"content": Stream(bytes(600), bytes(600))}, Failure.TOO_LARGE, id="streamed"),
        pytest.param({"content": Stream(PACKED[:-1]), "headers": GZIP}, Failure.ENCODING, id="streamed cut gzip"),
    ],
)
async def test_a_mocked_answer_obeys_the_same_rules(library: Any, fields: dict[str, Any], failure: Failure) -> None:
    """The limit and the demand for whole gzip hold for it as well."""
    client = mocked(library, lambda _: library.Response(200, **fields))
    caught = await fails(client, ask(ANYWHERE, max_body=1000))
    assert (caught.failure, caught.sent, caught.status) == (failure, True, 200)


async def test_calls_at_a_time_stay_within_the_clients_own_limit(library: Any) -> None:
    """Thirty calls through a client of three connections all succeed on three."""
    limits = library.Limits(max_connections=3)
    async with serving(answer()) as server, client_of(library, limits=limits) as client:
        wire = HttpxWire(client, owned=False)
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(wire.send, ask(server.url))
        assert (server.accepted, len(server.requests)) == (3, 30)
