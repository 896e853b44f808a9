"""The client: options, views, lifecycle, and calling anything without leaving the service."""

from __future__ import annotations

import logging
import math
import os
import pickle
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, cast

import anyio
import attrs
import httpx
import pytest

from klickdoxie_core import (
    ApiClient,
    Basic,
    Clock,
    Dialect,
    Effect,
    Grant,
    KeyPair,
    Resource,
    Retry,
    Scheme,
    recording,
)
from klickdoxie_core.auth.scheme import Run
from klickdoxie_core.call import Call, Stream
from klickdoxie_core.errors import (
    ArgumentError,
    BadRequest,
    ConfigError,
    Interrupted,
    ReadOnlyError,
    SdkError,
    ServerError,
)
from klickdoxie_core.resource import CallOptions
from klickdoxie_core.version import VERSION
from klickdoxie_core.wire.base import Response, WireFailure
from klickdoxie_core.wire.httpx_wire import HttpxWire
from tests.core.support import (
    BASE_URL,
    Client,
    FakeClock,
    ScriptedWire,
    a_call,
    answer,
    body_of,
    failure_of,
    lost,
    unsent,
)

pytestmark = pytest.mark.anyio


class OwnConfigError(ConfigError):
    """A client package's own class."""


class OwnArgumentError(ArgumentError):
    """Likewise."""


class OwnDialect(Dialect):
    family: Mapping[type[SdkError], type[SdkError]] = {ConfigError: OwnConfigError, ArgumentError: OwnArgumentError}


class Things(Resource):
    async def all(self) -> list[int]:
        """Every thing."""
        return await self._get("List Things", list[int], "/things")

    async def change(self, method: str, number: int) -> object:
        """Do something with one thing."""
        act = {"post": self._post, "put": self._put, "patch": self._patch, "delete": self._delete}[method]
        return await act("Change Thing", dict[str, object], "/things/{id}", path={"id": number}, body={"n": number})


class Shop(Client):
    """A client as an author writes one."""

    product = "shop"
    dialect = OwnDialect()
    missing: ClassVar[Mapping[str, str]] = {"account": "give a user name"}

    def __init__(self, wire: ScriptedWire, **options: Any) -> None:
        self.currency = "€"
        super().__init__(wire, {"account": Basic("anna", "geheim")}, **options)

    def _bind(self) -> None:
        self.things = Things(self)


@pytest.mark.parametrize("observers", [None, 3, object()])
def test_observers_are_a_list(observers: Any) -> None:
    """One alone is none."""
    with pytest.raises(OwnConfigError, match="observers"):
        Shop(ScriptedWire(), observers=observers)


@pytest.mark.parametrize("effect", ["once", True, Effect])
async def test_an_effect_is_one_of_three(effect: Any) -> None:
    """A word for it would else be sent twice, as a write that may be repeated is."""
    wire = ScriptedWire(lambda _: lost())
    caught = await failure_of(Shop(wire).request("POST", "/x", effect=effect))
    assert (type(caught), wire.requests) == (OwnArgumentError, [])
    assert "effect" in str(caught)


@pytest.mark.parametrize("method", [None, 5, b"GET"])
async def test_a_method_is_a_text(method: Any) -> None:
    """It is refused by its name."""
    caught = await failure_of(Shop(ScriptedWire()).request(method, "/x"))
    assert type(caught) is OwnArgumentError
    assert "method" in str(caught)


@pytest.mark.parametrize("name", ["timeout", "deadline"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "3", None])
def test_options_are_checked(name: str, value: object) -> None:
    """A wrong option is the package's own configuration error, at the client and at a view."""
    with pytest.raises(OwnConfigError, match=name):
        Shop(ScriptedWire(), **{name: value})
    wrong: Any = {name: value}
    with pytest.raises(OwnConfigError, match=name):
        Shop(ScriptedWire()).with_options(**wrong)


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("http://127.0.0.1:8081/v1//", "http://127.0.0.1:8081/v1"),
        ("HTTPS://[::1]:1", "HTTPS://[::1]:1"),
    ],
)
async def test_the_base_url(given: str, base: str) -> None:
    """A path in it stays, a slash at its end goes."""
    wire = ScriptedWire(answer())
    client = Shop(wire, base_url=given)
    await client.request("GET", "/x")
    assert wire.requests[0].url == f"{base}/x"
    assert repr(client) == f"<Shop for {base}>"


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            "api.example.com",
            "/v1",
            "//api.example.com",
            "ftp://api.example.com",
            "file:///etc",
            "https://",
            "https:///v1",
        ),
        *("https://[::1", "https://api.example.com:port", "https://api.example.com:99999", "https://api.example.com:0"),
        *(
            "https://anna@api.example.com",
            "https://a:b@api.example.com",
            "https://a.example?x=1",
            "https://a.example#x",
        ),
        *("https://a b.example", "https://a.example/\r\nX-Un: y", "https://a.example/\\evil", "https://a\x00.example"),
    ],
)
def test_a_base_url_that_cannot_work_is_refused(given: str) -> None:
    """Only an absolute http or https URL without user, query and fragment does, and the text shows no credential."""
    with pytest.raises(OwnConfigError, match="base_url must") as caught:
        Shop(ScriptedWire(), base_url=given)
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("127.0.0.1:8081", "; '127.0.0.1:8081' lacks http://"),
        ("localhost:8081/v1/", "; 'localhost:8081' lacks http://"),
        ("api.example.com", "; 'api.example.com' lacks https://"),
        ("ftp://api.example.com", ""),
        ("anna:geheim@api.example.com", ""),
        ("api.example.com/geheim@x", ""),
        ("sk-Live_4711.Geheim", ""),
        ("geheim", ""),
        ("https://", ""),
    ],
)
def test_a_base_url_without_its_scheme(given: str, hint: str) -> None:
    """What is missing is named, with the host and nothing that may be a secret."""
    with pytest.raises(OwnConfigError) as caught:
        Shop(ScriptedWire(), base_url=given)
    assert str(caught.value) == f"base_url must be an absolute http or https URL{hint}"


async def test_a_request_is_complete() -> None:
    """Absolute URL, our headers, JSON as compact UTF-8, the view's timeout, and the size limit."""
    wire = ScriptedWire(answer())
    body = {"name": "Käthe; Größe „M“", "ids": [1, 2], "none": None}
    await Shop(wire, timeout=7).request("post", "/x", body=body, query={"q": "ä b"}, effect=Effect.SAFE)
    (request,) = wire.requests
    assert (request.method, request.url) == ("POST", f"{BASE_URL}/x?q=%C3%A4+b")
    assert request.body == '{"name":"Käthe; Größe „M“","ids":[1,2],"none":null}'.encode()
    assert (request.timeout, request.max_body) == (7, 16 * 1024 * 1024)
    assert request.headers["user-agent"].startswith("shop/")
    assert {name: request.headers[name] for name in ("accept", "accept-encoding", "content-type")} == {
        "accept": "application/json",
        "accept-encoding": "gzip",
        "content-type": "application/json",
    }
    assert "geheim" not in repr(request)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/subscriber/k%C3%A4the%40example.com/tags", "/subscriber/k%C3%A4the%40example.com/tags"),
        ("/subscriber/anna@example.com", "/subscriber/anna%40example.com"),
        ("/sms/+491701234567", "/sms/%2B491701234567"),
    ],
)
async def test_what_is_personal_in_a_path_is_sent_and_not_told(
    path: str, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the error, nor in what observers hear, nor in the log."""
    caplog.set_level(logging.DEBUG)
    wire = ScriptedWire(answer(404))
    with recording() as seen:
        error = await failure_of(Shop(wire).request("GET", path))
    assert wire.requests[0].url.endswith(sent)
    for told in (str(error), repr(error), repr(seen.exchanges), repr(seen.attempts), caplog.text):
        assert "example.com" not in told.replace(BASE_URL, "")
        assert "1701234567" not in told
    assert "{value2}" in str(error)


async def test_a_request_without_a_body_has_none() -> None:
    """Nothing is announced that is not sent."""
    wire = ScriptedWire(answer())
    await Shop(wire).request("GET", "/x")
    assert wire.requests[0].body is None
    assert "content-type" not in wire.requests[0].headers


async def test_a_stream_is_opened_anew_for_each_attempt() -> None:
    """What opens it goes to the wire, with its type and its length where that is known."""
    opened: list[int] = []

    async def upload() -> AsyncIterator[bytes]:
        opened.append(1)
        yield b"a"

    wire = ScriptedWire(unsent(), answer(), answer())
    for length in (1, None):
        stream = Stream(open=upload, content_type="text/csv", length=length)
        await Shop(wire).run(a_call(Effect.ONCE, stream=stream))
    assert opened == []
    for request in wire.requests:
        assert request.body is upload
        assert request.headers["content-type"] == "text/csv"
    assert [request.headers.get("content-length") for request in wire.requests] == ["1", "1", None]


@pytest.mark.parametrize(
    ("steps", "error", "text"),
    [
        ([unsent(), answer()], None, ""),
        ([answer(503)], ServerError, "read only once"),
        ([lost()], Interrupted, "read only once"),
        ([answer(400)], BadRequest, "answered 400"),
    ],
)
async def test_a_stream_that_is_spent_is_not_sent_again(
    steps: list[Response | WireFailure], error: type[SdkError] | None, text: str
) -> None:
    """What can be read only once is sent again only if it never left."""
    stream = Stream(open=aiter_nothing, content_type="text/csv", repeatable=False)
    wire = ScriptedWire(*steps)
    running = Shop(wire).run(a_call(Effect.REPEATABLE, stream=stream))
    if error is None:
        assert await running == {"ok": True}
    else:
        caught = await failure_of(running)
        assert type(caught) is error
        assert text in str(caught)


async def aiter_nothing() -> AsyncIterator[bytes]:
    """A body that no scripted wire reads."""
    yield b""


@pytest.mark.parametrize(
    "path",
    [
        *("", "x", "https://evil.example/x", "//evil.example/x", "/x?y=1", "/x#y", "/../x", "/x/..", "/./x", "/x/."),
        *("/%2e%2e/x", "/x/%2E", "/a\r\nX: y", "/a b", "/a\x00", "/a\\b", "/\ud800"),
    ],
)
async def test_a_path_that_would_leave_the_service_is_refused(path: str) -> None:
    """Absolute URLs, dot segments in any spelling, queries and control characters send nothing."""
    wire = ScriptedWire()
    with pytest.raises(OwnArgumentError, match=r"^path must"):
        await Shop(wire).request("GET", path)
    assert wire.requests == []


async def test_a_path_is_taken_as_it_is() -> None:
    """What is quoted stays quoted, and braces are no holes."""
    wire = ScriptedWire(answer())
    await Shop(wire).request("GET", "/a%2Fb/{id}/...")
    assert wire.requests[0].url == f"{BASE_URL}/a%2Fb/%7Bid%7D/..."


def circular() -> list[object]:
    """A list that holds itself."""
    loop: list[object] = []
    loop.append(loop)
    return loop


def deep() -> list[object]:
    """A list beyond any depth."""
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    "body",
    [
        math.nan,
        [math.inf],
        {"x": -math.inf},
        {1, 2},
        object(),
        b"bytes",
        {"x": "\ud800"},
        {(1, 2): 3},
        circular(),
        deep(),
    ],
    ids=lambda body: type(body).__name__,
)
async def test_a_body_that_is_no_json_sends_nothing(body: object) -> None:
    """What JSON cannot carry is refused before anything leaves."""
    wire = ScriptedWire()
    caught = await failure_of(Shop(wire).request("POST", "/x", body=body))
    assert type(caught) is OwnArgumentError
    assert (caught.maybe_applied, caught.attempts, wire.requests) == (False, 0, [])


@pytest.mark.parametrize(
    "values", [{"path": {"id": ".."}}, {"path": {"ID": 1}}, {"query": {"q": "\ud800"}}, {"form": {"q": "\ud800"}}]
)
async def test_a_value_that_cannot_be_sent_sends_nothing(values: dict[str, Any]) -> None:
    """The same holds for paths, queries and forms."""
    wire = ScriptedWire()
    caught = await failure_of(Shop(wire).run(a_call(template="/x/{id}", **{"path": {"id": 1}} | values)))
    assert (type(caught), wire.requests) == (OwnArgumentError, [])


async def test_a_missing_credential_sends_nothing() -> None:
    """The client's own words say what to give."""
    wire = ScriptedWire()
    anonymous = Client(wire)
    assert "no credential named 'account'" in str(await failure_of(anonymous.run(a_call(auth="account"))))
    assert type(await failure_of(Shop(wire).run(a_call(auth="other")))) is OwnConfigError
    anonymous.engine.missing = Shop.missing
    assert "give a user name" in str(await failure_of(anonymous.run(a_call(auth="account"))))
    assert wire.requests == []


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
async def test_a_resource_sends_what_it_says(method: str) -> None:
    """One line makes a signed call with quoted values and the method's own effect."""
    wire = ScriptedWire(answer(), answer(500))
    shop = Shop(wire, retry=Retry(attempts=1))
    assert await shop.things.change(method, 5) == {"ok": True}
    assert (wire.requests[0].method, wire.requests[0].url) == (method.upper(), f"{BASE_URL}/things/5")
    assert body_of(wire.requests[0]) == {"n": 5}
    assert wire.requests[0].headers["authorization"].startswith("Basic ")
    caught = await failure_of(shop.things.change(method, 5))
    assert caught.facts.effect is (Effect.ONCE if method in {"post", "patch"} else Effect.REPEATABLE)


def test_a_resource_may_say_all_that_a_call_takes() -> None:
    """Uploads, forms and headers among them; what its own arguments say stands nowhere else."""
    known = {field.name for field in attrs.fields(Call)}
    assert {*CallOptions.__annotations__} == known - {"operation", "method", "template", "into"}


@pytest.mark.parametrize("effect", Effect)
async def test_a_read_only_client_only_reads(effect: Effect) -> None:
    """The effect decides, not the method: a safe POST passes and a write sends nothing."""
    wire = ScriptedWire(answer())
    shop = Shop(wire, read_only=True)
    for view in (shop, shop.with_options(timeout=1)):
        if effect is Effect.SAFE:
            wire._steps.append(answer())
            await view.request("POST", "/search", effect=effect)
        else:
            caught = await failure_of(view.request("POST", "/thing", effect=effect))
            assert (type(caught), caught.maybe_applied) == (ReadOnlyError, False)
    assert len(wire.requests) == (2 if effect is Effect.SAFE else 0)


async def test_a_view_keeps_what_the_client_was_made_with() -> None:
    """Options are replaced one by one, everything else is shared, and the client itself does not change."""
    shop = Shop(ScriptedWire(), timeout=3, deadline=9, retry=Retry(attempts=2))
    view = shop.with_options(timeout=5).with_options(deadline=20)
    assert isinstance(view, Shop)
    assert (view.currency, view.engine) == ("€", shop.engine)
    assert view.things is not shop.things
    assert view._options == attrs.evolve(shop._options, timeout=5, deadline=20)
    assert (shop._options.timeout, shop._options.deadline) == (3, 9)
    assert view.with_options(retry=Retry(attempts=9))._options.retry.attempts == 9


async def test_a_views_resources_use_the_views_options() -> None:
    """The groups of endpoints of a view are the view's own."""
    wire = ScriptedWire(answer(200, [1, 2]), answer(200, [3]))
    shop = Shop(wire)
    assert await shop.with_options(timeout=1).things.all() == [1, 2]
    assert await shop.things.all() == [3]
    assert [request.timeout for request in wire.requests] == [1, 30.0]


async def test_closing_a_view_closes_nothing() -> None:
    """A view needs no closing, and may be used in a `with` all the same."""
    wire = ScriptedWire(answer())
    shop = Shop(wire)
    async with shop.with_options(timeout=1) as view:
        await view.aclose()
    assert wire.closed == 0
    await shop.request("GET", "/x")


async def test_a_closed_client_says_so() -> None:
    """After closing, the client and its views refuse, and closing again does nothing."""
    wire = ScriptedWire()
    async with Shop(wire) as shop:
        view = shop.with_options(timeout=1)
    assert wire.closed == 1
    await shop.aclose()
    assert wire.closed == 1
    for each in (shop, view):
        for use in (each.request("GET", "/x"), each.__aenter__()):
            caught = await failure_of(use)
            assert type(caught) is OwnConfigError
            assert "this client is closed" in str(caught)


@pytest.mark.parametrize("backends", [("asyncio", "asyncio"), ("asyncio", "trio"), ("trio", "asyncio")])
def test_a_client_belongs_to_one_event_loop(backends: tuple[str, str]) -> None:
    """In a second loop it says so instead of hanging or breaking."""
    shop = Shop(ScriptedWire(answer()))

    async def use() -> object:
        return await shop.request("GET", "/x")

    assert anyio.run(use, backend=backends[0]) == {"ok": True}
    for foreign in (use, shop.aclose):
        with pytest.raises(OwnConfigError, match="another event loop"):
            anyio.run(foreign, backend=backends[1])


async def test_a_client_belongs_to_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a forked child it says so and sends nothing."""
    wire = ScriptedWire()
    shop = Shop(wire)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    caught = await failure_of(shop.request("GET", "/x"))
    assert "another process" in str(caught)
    assert wire.requests == []


class Bare(ApiClient):
    """A client on the real wire, which is not used."""


async def test_a_given_http_client_stays_the_callers() -> None:
    """It is used and not closed; without one the client makes its own; anything else is refused."""
    async with httpx.AsyncClient() as http:
        async with Bare({}, base_url=BASE_URL, http=http) as client:
            assert isinstance(client._engine.wire, HttpxWire)
        assert not http.is_closed
    own = Bare({"account": KeyPair("anna", "00", "key")}, base_url=BASE_URL)
    await own.aclose()
    assert "closed" in str(await failure_of(own.request("GET", "/x")))
    something: Any = object()
    with pytest.raises(ConfigError, match="http must be"):
        Bare({}, base_url=BASE_URL, http=something)


def test_the_version_is_told() -> None:
    """The service learns who is calling; a client of one's own has a version of its own."""
    assert Shop(ScriptedWire(), time=FakeClock()).engine.headers["user-agent"].startswith(f"shop/{VERSION} python/")
    own = type("Own", (Shop,), {"version": "7.1"})(ScriptedWire())
    assert own.engine.headers["user-agent"].startswith("shop/7.1 python/")


@pytest.mark.parametrize(
    ("scheme", "kind"), [(None, "NoneType"), ("anna:geheim", "str"), (Basic, "Basic"), (5.5, "float")], ids=str
)
def test_a_credential_is_a_scheme(scheme: Any, kind: str) -> None:
    """Anything else is refused when the client is made, and not shown."""
    with pytest.raises(OwnConfigError) as caught:
        type("Own", (Client,), {"dialect": OwnDialect()})(ScriptedWire(), {"account": scheme})
    assert caught.value.message == (
        f"the credential 'account' must be a Scheme, such as Basic(...) or Bearer(...), not {kind}"
    )


class Signing(Scheme[None]):
    """A way to sign in that returns what it was told to."""

    def __init__(self, headers: Any) -> None:
        self._headers = headers

    async def obtain(self, run: Run, clock: Clock) -> Grant[None]:
        """Nothing to obtain."""
        return Grant(credential=None)

    def sign(self, credential: None) -> Mapping[str, str]:
        """What it was told."""
        return cast("Mapping[str, str]", self._headers)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        ["x-key"],
        {"x-key": None},
        {"x-key": 4711},
        {"x-key": "geheim\r\nx-other: 1"},
        {"x-key:": "geheim"},
        {1: ""},
    ],
    ids=repr,
)
async def test_a_signature_is_made_of_texts_of_one_line(headers: Any) -> None:
    """Anything else is refused before it is sent, without being shown; so it is with headers of a call."""
    wire = ScriptedWire()
    client = Client(wire, {"account": Signing(headers)})
    caught = await failure_of(client.run(a_call(auth="account")))
    assert (type(caught), wire.requests) == (ConfigError, [])
    assert "sign() returns must map names of headers to texts without line breaks" in str(caught)
    assert "geheim" not in repr(caught)
    if headers:
        caught = await failure_of(client.run(a_call(headers=headers)))
        assert (type(caught), wire.requests) == (ArgumentError, [])
        assert "geheim" not in repr(caught)


def test_a_client_is_not_pickled() -> None:
    """Its connections and locks work nowhere else, and its credentials must not go there."""
    with pytest.raises(TypeError, match="a client cannot be pickled; make one in each process"):
        pickle.dumps(Shop(ScriptedWire()))


async def test_bytes_are_sent_as_a_stream() -> None:
    """They have a length, and are there for each attempt."""
    wire = ScriptedWire(unsent(), answer())
    await Shop(wire).run(a_call(Effect.ONCE, stream=Stream.of("Größe".encode("cp1252"), "text/csv")))
    for request in wire.requests:
        assert callable(request.body)
        assert [piece async for piece in request.body()] == ["Größe".encode("cp1252")]
        assert (request.headers["content-type"], request.headers["content-length"]) == ("text/csv", "5")


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"geheim", "stream must be a Stream(...), not bytes"),
        (Stream(open=cast("Any", _nothing()), content_type="text/csv"), "open of Stream"),
        (Stream(open=_nothing, content_type=cast("Any", None)), "content_type of Stream"),
        (Stream(open=_nothing, content_type="a\r\nx: 1"), "content_type of Stream"),
        (Stream(open=_nothing, content_type="text/csv", length=-1), "length of Stream"),
        (Stream(open=_nothing, content_type="text/csv", length=cast("Any", "5")), "length of Stream"),
        (Stream(open=_nothing, content_type="text/csv", length=True), "length of Stream"),
    ],
)
async def test_a_stream_is_checked(stream: Any, said: str) -> None:
    """What cannot be sent is an argument of the call, and is refused before anything leaves."""
    wire = ScriptedWire()
    caught = await failure_of(Shop(wire).run(a_call(Effect.ONCE, stream=stream)))
    assert (type(caught), wire.requests) == (OwnArgumentError, [])
    assert caught.message.startswith(said)


async def test_bytes_as_a_body_have_a_hint() -> None:
    """JSON cannot carry them; something else can."""
    caught = await failure_of(Shop(ScriptedWire()).request("POST", "/x", body=b"geheim"))
    assert "stream=Stream.of(" in str(caught)
