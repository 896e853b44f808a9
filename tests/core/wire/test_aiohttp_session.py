"""A session that the caller brings: its connections and its proxy are used, nothing else of it; it is never closed."""

import gc
import weakref
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from klickdoxie_core.wire.base import Failure, Request, Response, WireFailure
from klickdoxie_core.wire.pool import shared_ssl_context
from tests.core.wire.raw_server import (
    Peer,
    Play,
    after_request,
    answer,
    ask,
    client_tls,
    make_certificate,
    refusing_port,
    server_tls,
    serving,
)

aiohttp = pytest.importorskip("aiohttp")
from klickdoxie_core.wire.aiohttp_attempt import Whole  # noqa: E402 - only where aiohttp is installed
from klickdoxie_core.wire.aiohttp_wire import AiohttpWire  # noqa: E402

pytestmark = pytest.mark.anyio

ANYWHERE = "http://dienst.test/tag"


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, since aiohttp runs nowhere else."""
    return "asyncio"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no system trusts."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def session() -> AsyncGenerator[Any, None]:
    """A session as a user would bring it."""
    async with aiohttp.ClientSession() as session:
        yield session


async def send(request: Request, **options: Any) -> Response:
    """Send through a wire over a session with these options, which is closed after it; the wire comes and goes."""
    async with aiohttp.ClientSession(**options) as session:
        wire = AiohttpWire(session)
        try:
            return await wire.send(request)
        finally:
            await wire.aclose()
            assert not session.closed


async def fails(request: Request, **options: Any) -> WireFailure:
    """The failure of one exchange through such a session."""
    with pytest.raises(WireFailure) as caught:
        await send(request, **options)
    return caught.value


async def test_a_given_session_carries_calls_and_stays_open(session: Any) -> None:
    """It is the caller's: our closing leaves it and its connections alone, and both share them."""
    async with serving(answer(b"[1]")) as server:
        wire = AiohttpWire(session)
        assert (await wire.send(ask(server.url))).body == b"[1]"
        await wire.aclose()
        assert server.open == 1
        async with session.get(server.url) as response:
            assert await response.read() == b"[1]"
        assert (await AiohttpWire(session).send(ask(server.url))).body == b"[1]"
        assert server.accepted == 1


async def test_a_wire_that_nobody_closes_warns_nobody(session: Any) -> None:
    """It holds nothing of its own."""
    async with serving(answer()) as server:
        wire = AiohttpWire(session)
        await wire.send(ask(server.url))
        gone = weakref.ref(wire)
        del wire
        gc.collect()
        assert gone() is None


async def test_a_session_that_was_closed_sends_nothing(session: Any) -> None:
    """Neither before the first call nor after it; the failure says so."""
    async with serving(answer()) as server:
        wire, unused = AiohttpWire(session), AiohttpWire(session)
        await wire.send(ask(server.url))
        await session.close()
        for closed in (wire, unused):
            with pytest.raises(WireFailure) as caught:
                await closed.send(ask(server.url))
            assert (caught.value.failure, caught.value.sent) == (Failure.CLOSED, False)
        assert server.accepted == 1


async def test_a_session_closed_under_a_waiting_call_is_no_cancellation(session: Any) -> None:
    """Who waits for a connection is cancelled by aiohttp; nobody has cancelled our call."""
    failures: list[WireFailure] = []

    async def call(url: str) -> None:
        try:
            await wire.send(ask(url))
        except WireFailure as failure:
            failures.append(failure)

    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as single, serving(after_request(b"", end="hang")) as server:
        wire = AiohttpWire(single)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(call, server.url)
            await server.until_requests(1)
            await single.close()
    outcomes = {(failure.failure, failure.sent) for failure in failures}
    assert outcomes == {(Failure.INTERRUPTED, True), (Failure.CLOSED, False)}


async def test_a_session_closed_under_a_call_that_connects_sends_nothing() -> None:
    """The connection is made and left; the failure says why."""
    go_on, asked = anyio.Event(), anyio.Event()

    class Slow(aiohttp.ThreadedResolver):
        async def resolve(self, *given: Any, **options: Any) -> Any:
            asked.set()
            await go_on.wait()
            return await super().resolve(*given, **options)

    failures: list[WireFailure] = []

    async def call(url: str) -> None:
        with pytest.raises(WireFailure) as caught:
            await AiohttpWire(session).send(ask(url))
        failures.append(caught.value)

    connector = aiohttp.TCPConnector(resolver=Slow(), use_dns_cache=False)
    async with serving(answer()) as server, aiohttp.ClientSession(connector=connector) as session:
        async with anyio.create_task_group() as group:
            group.start_soon(call, server.url.replace("127.0.0.1", "localhost"))
            await asked.wait()
            await session.close()
            go_on.set()
        assert [(failure.failure, failure.sent) for failure in failures] == [(Failure.CLOSED, False)]
        assert server.requests == []


def test_a_body_is_not_shown() -> None:
    """A base class would have a method for it."""
    attempt: Any = None
    with pytest.raises(TypeError):
        Whole(b"geheim", attempt).decode()


async def test_cookies_and_headers_of_the_session_are_not_sent() -> None:
    """Neither those that it came with nor those that answers set; its jar learns nothing from our answers."""
    play = answer(headers=("Set-Cookie: SESS=evil; Path=/",))
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        serving(play) as server,
        aiohttp.ClientSession(cookie_jar=jar, cookies={"a": "b"}, headers={"x-own": "1", "Cookie": "c=d"}) as session,
    ):
        jar.update_cookies({"e": "f"}, response_url=aiohttp.client.URL(server.url))
        before = len(jar)
        wire = AiohttpWire(session)
        for headers in ({}, {"cookie": "SESS=mine"}, {}):
            await wire.send(ask(server.url, headers=headers))
        assert [seen.headers.get("cookie") for seen in server.requests] == [None, "SESS=mine", None]
        assert all("x-own" not in seen.headers for seen in server.requests)
        assert len(jar) == before


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
async def test_credentials_of_the_session_are_not_used() -> None:
    """Only the headers of the request sign it."""
    async with serving(answer()) as server:
        auth = aiohttp.BasicAuth("user", "geheim")
        await send(ask(server.url), auth=auth)
        await send(ask(server.url, headers={"authorization": "Bearer a"}), auth=auth)
        assert [seen.headers.get("authorization") for seen in server.requests] == [None, "Bearer a"]


async def test_nothing_is_taken_from_the_environment_that_the_session_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a proxy nor a password."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password geheim")
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(answer()) as proxy, serving(answer()) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        await send(ask(server.url), trust_env=True)
        assert (proxy.accepted, len(server.requests)) == (0, 1)
        assert "authorization" not in server.requests[0].headers


async def test_a_base_url_and_statuses_of_the_session_do_not_count() -> None:
    """The URL of a request is absolute, and every status is an answer."""
    async with serving(answer(status="500 Oops")) as server:
        response = await send(ask(server.url), base_url="http://anderswo.test/", raise_for_status=True)
        assert response.status == 500


@pytest.mark.parametrize("seconds", [0.0001, None])
async def test_timeouts_of_the_session_do_not_count(seconds: float | None) -> None:
    """The request's own timeout holds, whether the session's is shorter or there is none."""
    async with serving(after_request(b"", end="hang")) as server:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_read=seconds)
        failure = await fails(ask(server.url, timeout=0.15), timeout=timeout)
        assert (failure.failure, failure.sent) == (Failure.TIMEOUT, True)
        await server.until_open(0)


async def test_middlewares_and_traces_of_the_session_do_not_count() -> None:
    """What would send a request again, or look into it, is not asked."""

    async def twice(request: Any, handler: Any) -> Any:
        await handler(request)
        return await handler(request)

    async def refuse(*_: object) -> None:
        raise AssertionError

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(refuse)
    async with serving(answer()) as server:
        await send(ask(server.url), middlewares=(twice,), trace_configs=[trace])
        assert len(server.requests) == 1


async def test_waiting_for_a_full_connector_was_never_sent() -> None:
    """A queue in the caller's connector is told from an answer that does not come."""
    connector = aiohttp.TCPConnector(limit=1)
    async with (
        serving(after_request(b"", end="hang")) as server,
        aiohttp.ClientSession(connector=connector) as session,
        anyio.create_task_group() as group,
    ):
        wire = AiohttpWire(session)
        group.start_soon(wire.send, ask(server.url, timeout=30.0))
        await server.until_requests(1)
        with pytest.raises(WireFailure) as caught:
            await wire.send(ask(server.url, timeout=0.1))
        assert (caught.value.failure, caught.value.sent) == (Failure.TIMEOUT, False)
        group.cancel_scope.cancel()


async def test_calls_at_a_time_stay_within_the_sessions_own_limit() -> None:
    """Thirty calls through three connections all succeed on three."""
    connector = aiohttp.TCPConnector(limit=3)
    async with serving(answer()) as server, aiohttp.ClientSession(connector=connector) as session:
        wire = AiohttpWire(session)
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(wire.send, ask(server.url))
        assert (server.accepted, len(server.requests)) == (3, 30)


async def test_the_session_decides_whom_it_trusts(certificate: Path) -> None:
    """Without its trust the call fails before anything is sent, with it the call works."""
    async with serving(answer(), tls=server_tls(certificate)) as server:
        failure = await fails(ask(server.url), connector=aiohttp.TCPConnector(ssl=shared_ssl_context()))
        assert (failure.failure, failure.sent) == (Failure.CERTIFICATE, False)
        pinned = aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(bytes(32)))
        failure = await fails(ask(server.url), connector=pinned)
        assert (failure.failure, failure.sent) == (Failure.CERTIFICATE, False)
        trusting = aiohttp.TCPConnector(ssl=client_tls(certificate))
        assert (await send(ask(server.url), connector=trusting)).status == 200


@pytest.mark.parametrize(
    ("play", "failure"),
    [
        pytest.param(answer(b"", status="403 Forbidden"), Failure.PROXY, id="403"),
        pytest.param(answer(b"", status="407 Proxy Authentication Required"), Failure.PROXY, id="407"),
        pytest.param(after_request(b"", end="close"), Failure.CONNECT, id="closed"),
        pytest.param(after_request(b"", end="hang"), Failure.TIMEOUT, id="silent"),
        pytest.param(after_request(b"HTTP/1.1 200 OK\r\n\r\n", end="hang"), Failure.TIMEOUT, id="tunnel to nowhere"),
    ],
)
async def test_a_tunnel_that_a_proxy_refuses_was_never_sent(play: Play, failure: Failure) -> None:
    """The proxy's own request is not ours."""
    async with serving(play) as proxy:
        caught = await fails(ask("https://dienst.test/", timeout=0.15), proxy=proxy.url)
        assert (caught.failure, caught.sent) == (failure, False)
        assert failure is not Failure.PROXY or caught.detail.startswith(f"the proxy {proxy.url[7:]} answered 40")
        assert [seen.method for seen in proxy.requests] == ["CONNECT"]
        await proxy.until_open(0)


async def test_a_proxy_that_is_not_there_was_never_sent() -> None:
    """Nobody listens at its port, which is named without the password; the service is not to blame."""
    place = f"127.0.0.1:{refusing_port()}"
    for url in (ANYWHERE, "https://dienst.test/"):
        failure = await fails(ask(url), proxy=f"http://anna:geheim@{place}")
        assert (failure.failure, failure.sent, failure.proxy) == (Failure.CONNECT, False, place)
        assert failure.detail == "connection refused"
    async with serving(answer(b"", status="502 Bad Gateway")) as proxy:
        failure = await fails(ask("https://dienst.test/"), proxy=proxy.url)
        assert (failure.failure, failure.detail) == (Failure.CONNECT, f"the proxy {proxy.url[7:]} answered 502")


async def test_a_request_in_a_tunnel_is_sent(certificate: Path) -> None:
    """Once the tunnel stands, what breaks off is in doubt as ever."""

    async def tunnel(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await peer.start_tls(server_tls(certificate))
        await peer.request()
        await peer.close()

    async with serving(tunnel) as proxy:
        connector = aiohttp.TCPConnector(ssl=client_tls(certificate))
        failure = await fails(ask("https://127.0.0.1:1/"), proxy=proxy.url, connector=connector)
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        assert [seen.method for seen in proxy.requests] == ["CONNECT", "POST"]


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
async def test_a_request_to_a_forwarding_proxy_is_sent() -> None:
    """Without TLS the proxy gets the request itself, and its own password."""
    async with serving(after_request(b"", end="close")) as proxy:
        failure = await fails(ask(ANYWHERE), proxy=proxy.url, proxy_auth=aiohttp.BasicAuth("a", "b"))
        assert (failure.failure, failure.sent) == (Failure.INTERRUPTED, True)
        assert [seen.target for seen in proxy.requests] == [ANYWHERE]
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic YTpi"


class Mocked:
    """What a library that mocks aiohttp puts in the place of a session's way to the network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, outcome: BaseException | None) -> None:
        self.outcome = outcome
        monkeypatch.setattr(aiohttp.ClientSession, "_request", self.request)

    async def request(self, *_: object, **__: object) -> None:
        """End as it was planned, or never."""
        if self.outcome is not None:
            raise self.outcome
        await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("error", "failure", "sent"),
    [
        (aiohttp.ConnectionTimeoutError(), Failure.CONNECT, False),
        (aiohttp.InvalidURL("geheim"), Failure.INVALID, False),
        (aiohttp.NonHttpUrlClientError("geheim"), Failure.INVALID, False),
        (aiohttp.ServerDisconnectedError("geheim"), Failure.INTERRUPTED, True),
        (aiohttp.ClientPayloadError("geheim"), Failure.INTERRUPTED, True),
        (aiohttp.ClientOSError(5, "geheim"), Failure.INTERRUPTED, True),
        (TimeoutError("geheim"), Failure.INTERRUPTED, True),
        (RuntimeError("Event loop is closed"), Failure.CLOSED, True),
    ],
)
async def test_a_mocked_error_counts_as_sent_unless_its_class_excludes_it(
    session: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, failure: Failure, *, sent: bool
) -> None:
    """Only what found no connection, or could not be put on the wire, cannot have been carried out."""
    Mocked(monkeypatch, error)
    with pytest.raises(WireFailure) as caught:
        await AiohttpWire(session).send(ask(ANYWHERE))
    assert (caught.value.failure, caught.value.sent) == (failure, sent)
    assert "geheim" not in str(caught.value)


async def test_a_mocked_silence_counts_as_sent(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is up, a session that told nothing may have done anything."""
    Mocked(monkeypatch, None)
    with pytest.raises(WireFailure) as caught:
        await AiohttpWire(session).send(ask(ANYWHERE, timeout=0.05))
    assert (caught.value.failure, caught.value.sent) == (Failure.TIMEOUT, True)


async def test_a_mistake_of_a_users_own_connector_comes_through() -> None:
    """It is raised as it is, and not taken for trouble of the network."""

    class Own(aiohttp.TCPConnector):
        async def connect(self, *_: object, **__: object) -> None:
            raise error

    for error in (ZeroDivisionError("its own"), RuntimeError("its own")):
        async with aiohttp.ClientSession(connector=Own()) as session:
            with pytest.raises(type(error), match="its own"):
                await AiohttpWire(session).send(ask(ANYWHERE))
