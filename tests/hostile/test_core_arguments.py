"""Making clients and calling anything: options, credentials, URLs, paths; and what a socket really carries."""

from __future__ import annotations

import base64
import math
import pickle
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import anyio.abc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import doxie_async
import klicktipp_async
from doxie_async import Basic, Bearer, ClientCredentials, Doxie
from klickdoxie_core import Clock, ConfigError, Limit, Retry, SdkError, Secret
from klickdoxie_core.call import check_json, expand
from klickdoxie_core.redact import mask
from klicktipp_async import KeyPair, KlickTipp, grant_url
from tests.hostile import strategies as s
from tests.hostile.strategies import Service

pytestmark = pytest.mark.anyio

KEYS = KeyPair("partner", "00", "customer")
CREDENTIALS: dict[str, Any] = {"api_user": Basic("u", "p"), "admin": Bearer("t")}


def make(name: str, **options: Any) -> KlickTipp | Doxie:
    """One of the two clients."""
    return KlickTipp(KEYS, **options) if name == "klicktipp" else Doxie("ts", **CREDENTIALS, **options)


def family(name: str) -> tuple[type[Exception], ...]:
    """The errors that making a client may raise, and their base."""
    own: Any = klicktipp_async.errors if name == "klicktipp" else doxie_async.errors
    return own.ConfigError, own.KlickTippError if name == "klicktipp" else own.DoxieError


CLIENTS = pytest.mark.parametrize("name", ["klicktipp", "doxie"])


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Arguments know nothing of event loops; where a socket is opened, both are asked for."""
    return "asyncio"


@pytest.fixture
def service() -> Service:
    """A service that refuses everything."""
    return Service()


@asynccontextmanager
async def client_of(name: str, service: Service, **options: Any) -> AsyncIterator[KlickTipp | Doxie]:
    """A client that leads to the service."""
    async with service.client() as http, make(name, http=http, **options) as client:
        yield client


NO_URLS = (
    *(
        "",
        " ",
        "api.example.org",
        "//evil.example",
        "ftp://a",
        "file:///etc/passwd",
        "http://",
        "https:///path",
        "http:a",
    ),
    *("https://user@a.example", f"https://{s.CANARY}:geheim@a.example", "https://@a.example", "https://a.example?x=1"),
    *(
        "https://a.example#f",
        "https://a example",
        "https://a.example/\r\nX: 1",
        "https://a.example\\@evil",
        "https://a\0",
    ),
    *("https://[::1", "https://a:99999", "https://a:0", "https://a:x", "https://\ud800.example", "\nhttps://a.example"),
    *("https://a.example/a b", "https://a.example\t", "https://℀.example", "x" * 2**20),
)


@CLIENTS
@pytest.mark.parametrize("url", NO_URLS, ids=lambda url: ascii(url[:30]))
def test_what_is_no_base_url(name: str, url: str) -> None:
    """It is refused at once, by its name, without being quoted."""
    error, base = family(name)
    with pytest.raises(error, match="base_url") as caught:
        make(name, base_url=url)
    assert isinstance(caught.value, base)
    s.check_quiet(caught.value, url)


@CLIENTS
@pytest.mark.parametrize(
    ("url", "host", "segments"),
    [
        ("https://a.example", "a.example", 0),
        ("http://a.example:8080/", "a.example", 0),
        ("https://a.example/v1/", "a.example", 1),
        ("https://a.example/%2e%2e/x", "a.example", 2),
        ("https://a.example//b", "a.example", 2),
        ("https://[::1]:8080", "::1", 0),
        ("https://bücher.example", "bücher.example", 0),
        ("https://A.EXAMPLE", "a.example", 0),
    ],
)
async def test_a_base_url_leads_where_it_says(service: Service, name: str, url: str, host: str, segments: int) -> None:
    """The host is that of the URL, and its path stands before that of each call."""
    async with client_of(name, service, base_url=url) as client:
        with pytest.raises(SdkError, match="400"):
            await client.request("GET", "/thing/a%2Fb")
    (sent,) = service.seen
    assert sent.host == host
    assert sent.segments[segments:] == ["thing", "a/b"]


NUMBERS: tuple[Any, ...] = (
    *(0, -1, -0.0, math.nan, math.inf, -math.inf, "5", None, b"5", [5], {}, object(), "x" * 2**20, s.Thing(), 1 + 2j),
)


@CLIENTS
@pytest.mark.parametrize("option", ["timeout", "deadline"])
@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: type(value).__name__ + ascii(value)[:6])
def test_odd_times(name: str, option: str, value: Any) -> None:
    """Seconds are a finite number above 0; anything else is refused by the option's name, on clients and views."""
    error, base = family(name)
    for act in (partial(make, name), make(name).with_options):
        with pytest.raises(error, match=option) as caught:
            act(**{option: value})
        assert isinstance(caught.value, base)


ODD_OPTIONS: dict[str, tuple[Any, ...]] = {
    "retry": (3, True, "x", {}, {"attempts": 1}),
    "limit": (3, True, "x", {}),
    "clock": (3, "x"),
    "http": (3, "x", b"x", object()),
}


@CLIENTS
@pytest.mark.parametrize(
    ("option", "value"), [(name, value) for name, values in ODD_OPTIONS.items() for value in values]
)
def test_odd_options(name: str, option: str, value: Any) -> None:
    """An option of another kind is refused by its name."""
    error, base = family(name)
    with pytest.raises(error, match=option) as caught:
        make(name, **{option: value})
    assert isinstance(caught.value, base)


COUNTS = ("attempts", "budget")
SECONDS = ("base", "cap", "max_retry_after")


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: type(value).__name__ + ascii(value)[:6])
@pytest.mark.parametrize(
    ("kind", "option"),
    [*((Retry, name) for name in (*COUNTS, *SECONDS)), *((Limit, name) for name in ("concurrency", "rate", "burst"))],
)
def test_odd_numbers_in_options(kind: Any, option: str, value: Any) -> None:
    """Every number of `Retry` and `Limit` is checked when it is given."""
    if (option, value) == ("rate", None):
        return
    with pytest.raises(ValueError, match=option):
        kind(**{option: value})


@pytest.mark.parametrize(
    "tenant", [*s.TEXTS, None, 5, True, b"x", [], s.Thing(), "ts ", " ts"], ids=lambda t: ascii(t)[:12]
)
async def test_any_tenant(service: Service, tenant: Any) -> None:
    """A tenant is one segment of each path, or refused."""
    async with service.client() as http:
        error = await s.failure_of(lambda: Doxie(tenant, **CREDENTIALS, http=http).admin.tenant.get())  # noqa: PLW0108 - it raises
    if service.seen:
        assert service.seen[0].segments == ["api", tenant, "admin", "tenant"]
        return
    assert isinstance(error, doxie_async.errors.ConfigError)
    assert "tenant" in str(error)
    s.check_quiet(error, tenant)


VALUES = (
    *("", " ", "ü", "a:b", "a\r\nX-Evil: 1", "a\0", "\ud800", "a\x85", s.PASSWORD + "\n", s.ADDRESS + "\ud800", "🔑"),
    *("x" * 5000, None, 5, True, b"abc", s.Thing(), ["a"]),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__ + ascii(value)[:8])
@pytest.mark.parametrize("argument", ["username", "password"])
async def test_basic_credentials(service: Service, argument: str, value: Any) -> None:
    """They arrive byte for byte in one header, or are refused when they are made."""
    given_values = {"username": "u", "password": "p"} | {argument: value}
    refusal = s.refusal_of(lambda: Basic(**given_values))
    if refusal is not None:
        assert argument in str(refusal)
        s.check_quiet(refusal, value)
        return
    basic = Basic(**given_values)
    async with service.client() as http, Doxie("ts", api_user=basic, http=http) as client:
        s.check_quiet(await s.failure_of(lambda: client.mailer.send("e", {})))
    assert s.CANARY not in repr(basic)
    header = service.seen[0].header("authorization")
    assert header is not None
    pair = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    assert pair.split(":", 1) == [given_values["username"], given_values["password"]]


TEXTS = [value for value in VALUES if isinstance(value, str)]


@pytest.mark.parametrize("value", TEXTS, ids=lambda value: ascii(value)[:8])
@pytest.mark.parametrize("argument", ["token", "client_id", "client_secret", "token_url", "scope"])
async def test_tokens(service: Service, argument: str, value: str) -> None:
    """They arrive in one header or in the form, or are refused before anything is sent."""
    parts = {"client_id": "c", "client_secret": "s", "token_url": "https://id.example.org/token"} | {argument: value}

    async def fetch() -> None:
        admin = Bearer(value) if argument == "token" else ClientCredentials(**parts)
        async with service.client() as http, Doxie("ts", admin=admin, http=http) as client:
            await client.admin.tenant.get()

    error = await s.failure_of(fetch)
    s.check_quiet(error, value)
    if not service.seen:
        assert isinstance(error, ConfigError)
        assert argument in str(error) or "UTF-8" in str(error)
    assert {sent.host for sent in service.seen} <= {"id.example.org", "app.doxie.energy"}
    assert all(sent.header("authorization") for sent in service.seen)
    assert not any(re.search(rb"[\r\n\0]", text) for sent in service.seen for _, text in sent.headers)


@pytest.mark.parametrize("account", [*s.STEPS, "123", 5, "\ud800", "a\nb"], ids=ascii)
@pytest.mark.parametrize(
    "redirect",
    [
        *(
            "https://a.example/?customerkey=",
            "https://a.example/a\r\nb",
            "//evil",
            "\ud800",
            "https://a.example/\ud800",
        ),
        *("https://[::1", "javascript:alert(1)", "https://", "https://a.example/#f"),
    ],
    ids=ascii,
)
def test_the_page_where_a_key_is_granted(account: Any, redirect: str) -> None:
    """The account is one segment and the URL the only parameter, or both are refused."""
    refusal = s.refusal_of(lambda: grant_url(account, redirect))
    if refusal is not None:
        assert re.search("account_id|redirect_url", str(refusal))
        return
    url = grant_url(account, redirect)
    assert re.fullmatch(r"https://app\.klicktipp\.com/grantapiaccess/[^/?#\s]+\?url=https://a\.example/\S*", url)


PATHS = (
    *(
        "http://evil.example/",
        "https://evil.example",
        "//evil.example",
        "///evil",
        "\\\\evil.example",
        "evil",
        "",
        "?x",
    ),
    *(
        "/a?b",
        "/a#b",
        "/../a",
        "/a/..",
        "/a/./b",
        "/%2e%2e/a",
        "/a/%2E%2E",
        "/a b",
        "/a\r\nX: 1",
        "/a\0",
        "/\ud800",
        "/a\\b",
    ),
)


@CLIENTS
@pytest.mark.parametrize("path", PATHS, ids=ascii)
async def test_what_is_no_path(service: Service, name: str, path: str) -> None:
    """A path cannot lead to another host, leave its place, or hold another part of a URL."""
    async with client_of(name, service) as client:
        with pytest.raises(ConfigError, match="path") as caught:
            await client.request("GET", path)
    assert isinstance(caught.value, family(name)[1])
    assert not service.seen


@CLIENTS
@pytest.mark.parametrize("path", ["/a/b", "/ä", "/a%2Fb", "/{id}", "/a;b=c", "/a:b@c", "/a//b", "/", "/%zz", "/a'\"<>"])
async def test_a_path_that_is_one(service: Service, name: str, path: str) -> None:
    """It keeps its segments, and goes to the host of the client."""
    async with client_of(name, service) as client:
        with pytest.raises(SdkError, match="400"):
            await client.request("GET", path)
    (sent,) = service.seen
    assert sent.host in {"api.klicktipp.com", "app.doxie.energy"}
    assert len(sent.segments) == path.count("/")


@CLIENTS
@pytest.mark.parametrize(
    "method", ["", "GET /x HTTP/1.1\r\nX: 1\r\n", "G T", "GET\n", "ÜBER", "\ud800", "GET:", "get/x"], ids=ascii
)
async def test_what_is_no_method(service: Service, name: str, method: str) -> None:
    """A method is a word, so that nothing can follow it."""
    async with client_of(name, service) as client:
        with pytest.raises(ConfigError, match="method") as caught:
            await client.request(method, "/thing")
    assert isinstance(caught.value, family(name)[1])
    assert not service.seen


QUERIES: tuple[Any, ...] = (
    *({"a": True}, {"a": 1.5}, {"a": [1.5]}, {"a": b"x"}, {1: "a"}, {None: "a"}, {"a": s.Thing()}),
    *({"\ud800": "a"}, {"a": "\ud800"}, {"a": "x" * 2**20}, {"a": 10**5000}, {s.ADDRESS: object()}),
)


@pytest.mark.parametrize("query", QUERIES, ids=lambda _: "query")
async def test_what_is_no_query(service: Service, query: Any) -> None:
    """Texts and whole numbers only: anything else would arrive as another text."""
    async with client_of("klicktipp", service) as client:
        with pytest.raises(ConfigError, match="query") as caught:
            await client.request("GET", "/thing", query=query)
    s.check_quiet(caught.value)
    assert not service.seen


@s.checked(100)
@given(query=st.dictionaries(s.texts, s.texts | st.integers(), max_size=4))
async def test_any_query(service: Service, query: dict[str, str | int]) -> None:
    """Every name and value arrives as it is, or nothing."""
    del service.seen[:]
    async with client_of("klicktipp", service) as client:
        with pytest.raises(SdkError) as caught:
            await client.request("GET", "/thing", query=query)
    if service.seen:
        assert service.seen[0].query == {name: str(value) for name, value in query.items()}
    else:
        assert "query" in str(caught.value)


@pytest.mark.parametrize("body", s.PAYLOADS, ids=lambda _: "payload")
async def test_any_body(service: Service, body: Any) -> None:
    """It arrives as it is, or is refused by its name with the place of what is wrong."""
    async with client_of("doxie", service) as client:
        with pytest.raises(SdkError) as caught:
            await client.request("POST", "/thing", body=body)
    wanted = s.as_json(body)
    if service.seen:
        assert s.same(wanted, service.seen[0].json)
    else:
        assert isinstance(caught.value, ConfigError)
        assert "body holds" in str(caught.value)
        s.check_quiet(caught.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": [{"b": math.nan}]}, "payload holds a number that is not finite, which JSON cannot carry, at a > 0 > b"),
        ([b""], "payload holds a bytes, which JSON cannot carry, at 0"),
        ({1: 2}, "payload holds a name that is no text or has no encoding, which JSON cannot carry"),
        (10**5000, "payload holds a number of too many digits, which JSON cannot carry"),
        (["\udfff"], "payload holds characters without an encoding, which JSON cannot carry, at 0"),
    ],
    ids=["nan", "bytes", "name", "digits", "surrogate"],
)
def test_what_is_wrong_is_told_with_its_place(value: object, says: str) -> None:
    """The error says what and where."""
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        check_json("payload", value)


@s.checked(100)
@given(value=s.anything)
def test_a_path_keeps_its_segments(value: Any) -> None:
    """Whatever is put into a template, it stays one segment, and can be read back."""
    refusal = s.refusal_of(lambda: expand("/a/{x}/b", {"x": value}), ValueError)
    if refusal is None:
        assert re.fullmatch(r"/a/(?!\.{1,2}/)[A-Za-z0-9_.~%-]+/b", expand("/a/{x}/b", {"x": value}))
        return
    assert "x must be" in str(refusal)
    assert len(str(refusal)) < 300


@pytest.mark.parametrize("text", ["\ud800", "ü", s.PASSWORD, "x" * 2**20])
def test_secrets_of_any_text(text: str) -> None:
    """They compare and hide, whatever they hold."""
    assert Secret(text) == Secret(text)
    assert Secret(text) != Secret(text + "\udfff")
    assert s.CANARY not in f"{Secret(text)!r}{Secret(text)}"
    with pytest.raises(TypeError):
        pickle.dumps(Secret(text))


@pytest.mark.parametrize(
    "text",
    [
        s.ADDRESS,
        f"<{s.ADDRESS}>",
        f"a={s.ADDRESS}&b",
        f"{s.CANARY}@@example.org",
        f"at a > {s.PHONE}",
        s.ADDRESS * 9999,
    ],
    ids=lambda text: text[:12],
)
def test_masks(text: str) -> None:
    """Addresses and numbers go, whatever is around them, and texts end."""
    shown = mask(text)
    assert s.CANARY not in shown
    assert "5550123" not in shown
    assert len(shown) < 250


class Wiretap:
    """A service behind a real socket that keeps the very bytes of each head."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Read one head, answer, hang up."""
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            self.heads.append(head.partition(b"\r\n\r\n")[0])
            await stream.send(b"HTTP/1.1 400 Bad\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")


@asynccontextmanager
async def tapped() -> AsyncIterator[tuple[Wiretap, str]]:
    """A tap on a socket of this machine, and its URL."""
    tap = Wiretap()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, tap.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield tap, f"http://127.0.0.1:{port}"
        group.cancel_scope.cancel()


SAMPLE = (
    "käthe 🎉",
    "%2e%2e",
    "%2F%0d%0a",
    "a?b#c",
    "http:evil",
    "\u202eabc",
    "...",
    "a;b",
    "-5",
    "@x:80",
    "a'\"<>{}|^`",
)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_a_socket_carries(clock: Clock) -> None:
    """Each head has one request line, in which the value stands exactly, and one of each header."""
    async with tapped() as (tap, url):
        for value in SAMPLE:
            basic = Basic("käthe", f"ß{value}")
            async with Doxie("ts", api_user=basic, base_url=url, clock=clock) as client:
                with pytest.raises(SdkError, match="400"):
                    await client.mailer.send(value, {})
    assert len(tap.heads) == len(SAMPLE)
    for value, head in zip(SAMPLE, tap.heads, strict=True):
        line, *headers = head.split(b"\r\n")
        method, target, version = line.split(b" ")
        assert (method, version) == (b"POST", b"HTTP/1.1")
        sent = s.Seen("POST", "", target, [tuple(header.split(b": ", 1)) for header in headers], b"")  # type: ignore[misc]
        assert sent.segments == ["api", "ts", "mailer", value]
        names = [name.lower() for name, _ in sent.headers]
        assert len(set(names)) == len(names)
        authorization = sent.header("authorization")
        assert authorization is not None
        assert base64.b64decode(authorization[6:]).decode() == f"käthe:ß{value}"


@pytest.mark.parametrize(
    "value", ["..", ".", "a/b", "a\\b", "a\r\nX: 1", "a\0", "", " ", "\ud800", "x" * 2**20, True, None]
)
async def test_what_a_socket_never_sees(clock: Clock, value: Any) -> None:
    """Not even a connection is made for what is refused."""
    async with tapped() as (tap, url), Doxie("ts", **CREDENTIALS, base_url=url, clock=clock) as client:
        with pytest.raises(ConfigError):
            await client.mailer.send(value, {})
    assert tap.heads == []


MISTAKES: tuple[Callable[[KlickTipp], Any], ...] = (
    lambda kt: kt.contacts.find_id(f"{s.ADDRESS} "),
    lambda kt: kt.contacts.upsert(sms_number=f"{s.PHONE}x"),
    lambda kt: kt.contacts.get(f"../{s.ADDRESS}"),
    lambda kt: kt.contacts.update(1, fields={"fieldLeadValue": s.ADDRESS}),
    lambda kt: kt.tags.create(f"{s.ADDRESS}\ud800"),
    lambda kt: kt.request("POST", "/thing", body={s.ADDRESS: {s.PHONE}}),
    lambda kt: kt.request("GET", "/thing", query={s.ADDRESS: cast("Any", 1.5)}),
)


@pytest.mark.parametrize("mistake", range(len(MISTAKES)))
async def test_canaries_stay_in(service: Service, mistake: int) -> None:
    """No text, repr, traceback or pickle of an error shows an address or a number that was given."""
    async with client_of("klicktipp", service) as client:
        assert isinstance(client, KlickTipp)
        with pytest.raises(ConfigError) as caught:
            await MISTAKES[mistake](client)
    s.check_quiet(caught.value)
    s.check_quiet(pickle.loads(pickle.dumps(caught.value)))
    assert not service.seen


TOKEN_URL = "https://id.example.org/token"
FORGOTTEN: dict[str, Callable[[], object]] = {
    "client.py: base_url with a lone question mark": lambda: make("doxie", base_url="https://a.example?"),
    "client.py: base_url with a lone number sign": lambda: make("doxie", base_url="https://a.example#"),
    "client.py: base_url that is no text": lambda: make("doxie", base_url=5),
    "options.py: a bool is no number of seconds": lambda: make("doxie", timeout=True),
    "options.py: an int beyond all floats": lambda: make("doxie", deadline=10**5000),
    "options.py: a long text is quoted": lambda: make("doxie", timeout="x" * 2**20),
    "bearer.py: a token that is no text": lambda: Bearer(5),  # type: ignore[arg-type]
    "bearer.py: a client_id that is no text": lambda: ClientCredentials(5, "s", TOKEN_URL),  # type: ignore[arg-type]
    "bearer.py: a client_secret that is no text": lambda: ClientCredentials("c", 5, TOKEN_URL),  # type: ignore[arg-type]
    "bearer.py: a token_url that is no URL": lambda: ClientCredentials("c", "s", "https://[::1"),
    "bearer.py: a token_url with a fragment": lambda: ClientCredentials("c", "s", f"{TOKEN_URL}#f"),
    "bearer.py: a token_url with a line break": lambda: ClientCredentials("c", "s", f"{TOKEN_URL}\r\nX: 1"),
    "bearer.py: a scope without an encoding": lambda: ClientCredentials("c", "s", TOKEN_URL, "\ud800"),
}


@pytest.mark.parametrize("mistake", FORGOTTEN)
def test_mistakes_that_were_taken_once(mistake: str) -> None:
    """Each is told when the client or the credential is made, briefly."""
    with pytest.raises(ConfigError) as caught:
        FORGOTTEN[mistake]()
    s.check_quiet(caught.value)


@pytest.mark.parametrize("path", [5, None, b"/thing", ["/thing"]], ids=repr)
async def test_a_path_that_is_no_text(service: Service, path: Any) -> None:
    """It is refused by its name."""
    async with client_of("doxie", service) as client:
        with pytest.raises(ConfigError, match="path"):
            await client.request("GET", path)
