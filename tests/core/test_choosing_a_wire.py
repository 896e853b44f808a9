"""What `http=` may be, and what each choice makes of it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import httpx
import pytest

from klickdoxie_core import ApiClient, Dialect
from klickdoxie_core.errors import ConfigError
from klickdoxie_core.wire.httpx_wire import HttpxWire
from tests.core.support import failure_of
from tests.core.wire.raw_server import answer, serving

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class OwnConfigError(ConfigError):
    """A client package's own class."""


class OwnDialect(Dialect):
    family: ClassVar[Any] = {ConfigError: OwnConfigError}


class Bare(ApiClient):
    """A client without credentials and endpoints."""

    dialect = OwnDialect()


def bare(base_url: str = "http://127.0.0.1", **options: Any) -> Bare:
    """A client with these options."""
    return Bare({}, base_url=base_url, **options)


async def test_the_default_is_httpx() -> None:
    """On either event loop, and with a client of the caller's own."""
    async with bare() as client:
        assert isinstance(client._engine.wire, HttpxWire)
    async with httpx.AsyncClient() as http, bare(http=http) as client:
        assert isinstance(client._engine.wire, HttpxWire)


@on_asyncio
async def test_aiohttp_is_chosen_by_name() -> None:
    """The client makes its own session when it is first used, and closes it."""
    pytest.importorskip("aiohttp")
    async with serving(answer(b"[1]")) as server:
        async with bare(server.url, http="aiohttp") as client:
            assert await client.request("GET", "/x", into=list[int]) == [1]
            assert await client.request("GET", "/x", into=list[int]) == [1]
            assert (server.accepted, server.open) == (1, 1)
        await server.until_open(0)
        assert server.requests[0].headers["user-agent"].startswith("klickdoxie/")
        assert "closed" in str(await failure_of(client.request("GET", "/x")))


@on_asyncio
async def test_a_given_session_stays_the_callers() -> None:
    """A subclass is as good; neither is closed with the client."""
    aiohttp = pytest.importorskip("aiohttp")
    with pytest.warns(DeprecationWarning, match="discouraged"):
        own = type("OwnSession", (aiohttp.ClientSession,), {})
    for kind in (aiohttp.ClientSession, own):
        async with serving(answer(b"[1]")) as server, kind() as session:
            async with bare(server.url, http=session) as client:
                assert await client.request("GET", "/x", into=list[int]) == [1]
            assert not session.closed
            assert server.open == 1


def test_a_client_on_aiohttp_can_be_made_before_there_is_an_event_loop() -> None:
    """Nothing is opened before the first call."""
    pytest.importorskip("aiohttp")
    assert "Bare" in repr(bare(http="aiohttp"))


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_aiohttp_under_trio_is_refused_before_anything_is_sent() -> None:
    """It says what to do instead."""
    pytest.importorskip("aiohttp")
    async with serving(answer()) as server:
        async with bare(server.url, http="aiohttp") as client:
            error = await failure_of(client.request("POST", "/x"))
        assert type(error) is OwnConfigError
        assert "the aiohttp wire needs asyncio; leave http= out under trio" in str(error)
        assert (error.maybe_applied, error.attempts, server.accepted) == (False, 1, 0)


def test_without_aiohttp_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing, and how to get it."""
    for name in [name for name in sys.modules if name.startswith("klickdoxie_core.wire.aiohttp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(OwnConfigError, match=r"needs aiohttp: install klickdoxie\[aiohttp\]"):
        bare(http="aiohttp")


def test_who_does_not_choose_aiohttp_does_not_import_it() -> None:
    """Its import takes longer than ours."""
    code = "import sys, klickdoxie_core; sys.exit('aiohttp' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode
        == 0
    )


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("httpx", id="another word"),
        pytest.param("", id="no word"),
        pytest.param(1, id="a number"),
        pytest.param(object(), id="any object"),
        pytest.param(httpx.AsyncClient, id="a class"),
        pytest.param(httpx, id="a module"),
    ],
)
def test_anything_else_is_refused_with_all_that_would_do(wrong: Any) -> None:
    """The text names the clients, the session and the word."""
    with pytest.raises(OwnConfigError) as caught:
        bare(http=wrong)
    for word in ("httpx.AsyncClient", "httpx2.AsyncClient", '"aiohttp"', "aiohttp.ClientSession"):
        assert word in str(caught.value)
