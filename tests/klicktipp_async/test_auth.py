"""Signing in: sessions that end, passwords that are wrong, keys, and the page that grants one."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

import anyio
import httpx
import pytest
import respx

from klickdoxie_core import Clock
from klicktipp_async import (
    Account,
    ArgumentError,
    ConfigError,
    DecodeError,
    FieldSchema,
    Forbidden,
    InvalidCredentials,
    KeyPair,
    KlickTipp,
    Listbuilding,
    MissingArgument,
    ReadOnlyError,
    SessionLogin,
    grant_url,
    recording,
)
from klicktipp_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_login_then_one_cookie(session_kt: KlickTipp, api: respx.MockRouter) -> None:
    """The login comes first and without a cookie; each call then carries the session in one header."""
    tags = api.get("/tag").respond(json=[], headers={"set-cookie": "SSESSabc=fixated; path=/"})
    await session_kt.tags.all()
    await session_kt.tags.all()
    login = api["login"].calls.last.request
    assert json.loads(login.content) == {"username": "konto", "password": "geheim"}
    assert "cookie" not in login.headers
    assert [call.request.headers["cookie"] for call in tags.calls] == ["SSESSabc=s3ss10n"] * 2
    await session_kt.aclose()
    assert api["logout"].calls.last.request.headers["cookie"] == "SSESSabc=s3ss10n"


async def test_logout_only_after_a_login(api: respx.MockRouter, clock: Clock) -> None:
    """A client that never called anything neither logs in nor out."""
    async with KlickTipp(SessionLogin("konto", "geheim"), clock=clock):
        pass
    assert not api.calls


@pytest.mark.parametrize("status", [401, 403])
async def test_dead_session_is_renewed_once(session_kt: KlickTipp, api: respx.MockRouter, status: int) -> None:
    """A 401 or 403 leads to one login and one replay, counted as a renewal and not as an attempt."""
    api.get("/tag").mock(
        side_effect=[httpx.Response(200, json=[]), httpx.Response(status), httpx.Response(200, json={"1": "a"})]
    )
    await session_kt.tags.all()
    with recording() as seen:
        assert await session_kt.tags.all() == {1: "a"}
    assert (seen.last.attempts, seen.last.renewals, api["login"].call_count) == (1, 1, 2)
    await session_kt.aclose()


@pytest.mark.parametrize(
    "body", [["Missing required argument email"], {"error": 32}], ids=["missing argument", "error 32"]
)
async def test_missing_argument_is_no_dead_session(session_kt: KlickTipp, api: respx.MockRouter, body: Any) -> None:
    """A 401 about the request itself does not log in again."""
    api.get("/tag").respond(401, json=body)
    with pytest.raises((MissingArgument, Exception), match=r"Missing required|error 32"):
        await session_kt.tags.all()
    assert api["login"].call_count == 1
    await session_kt.aclose()


async def test_business_error_403_is_no_dead_session(session_kt: KlickTipp, api: respx.MockRouter) -> None:
    """The number 403 in a body says "no such tag" and never reaches the login."""
    api.post("/subscriber/tag").respond(406, json={"error": 403})
    with pytest.raises(Exception, match="no such tag"):
        await session_kt.contacts.tag("a@example.com", 1)
    assert api["login"].call_count == 1
    await session_kt.aclose()


async def test_session_dies_under_many_calls(clock: Clock) -> None:
    """Fifty calls that meet the end of the session share one login."""
    async with Sandbox() as box:
        kt = box.client(clock=clock)
        await kt.tags.all()
        box.expire_sessions()
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(kt.tags.all)
        assert (box.count("Login"), box.count("List Tags", 200)) == (2, 51)


async def test_forbidden_for_good_does_not_hammer(session_kt: KlickTipp, api: respx.MockRouter) -> None:
    """Twenty calls that are not permitted cost two logins, and say what may be the cause."""
    api.get("/tag").respond(403, json=["API access denied."])
    for _ in range(20):
        with pytest.raises(Forbidden, match="Premium"):
            await session_kt.tags.all()
    assert api["login"].call_count == 2
    await session_kt.aclose()


async def test_wrong_password_is_tried_once() -> None:
    """Fifty-five calls with a wrong password make one login and no call."""
    async with Sandbox() as box:
        kt = box.client(SessionLogin(box.username, "falsch"))
        caught: list[Exception] = []

        async def call() -> None:
            try:
                await kt.tags.all()
            except InvalidCredentials as error:
                caught.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(call)
        for _ in range(5):
            await call()
        assert (len(caught), box.count("Login"), box.count("List Tags")) == (55, 1, 0)
        assert "falsch" not in f"{caught[0]}{caught[0]!r}{pickle.dumps(caught[0])!r}"


@pytest.mark.parametrize(
    "answer",
    [
        {"sessid": "", "session_name": "SSESS", "account": {}},
        {"session_name": "SSESS", "account": {}},
        {"sessid": "a; Domain=evil.example", "session_name": "SSESS"},
        {"sessid": "a\r\nX: y", "session_name": "SSESS"},
        {"sessid": None, "session_name": "SSESS"},
        ["Wrong username or password."],
        [],
    ],
)
async def test_login_without_a_usable_session(api: respx.MockRouter, clock: Clock, answer: Any) -> None:
    """A 200 that brings no usable session is a refused login; nothing else is sent."""
    api.post("/account/login").respond(json=answer)
    async with KlickTipp(SessionLogin("konto", "geheim"), clock=clock) as kt:
        with pytest.raises(DecodeError):
            await kt.tags.all()


async def test_login_early(session_kt: KlickTipp, api: respx.MockRouter) -> None:
    """`login()` logs in now and returns the account, whose ids are ints whatever the wire shows."""
    account = await session_kt.login()
    assert isinstance(account, Account)
    assert (account.uid, account.firstname) == (5, "Jörg")
    assert "konto" not in repr(account)
    await session_kt.aclose()


async def test_login_with_keys_tests_them(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """With a key pair `login()` fetches the account."""
    api.get("/account").respond(json=load("account/account"))
    assert (await kt.login()).uid == 5


async def test_logout_that_fails_is_nobodys_business(session_kt: KlickTipp, api: respx.MockRouter) -> None:
    """Closing never raises because of the logout."""
    api["logout"].respond(406, json=["Benutzer nicht eingeloggt."])
    await session_kt.login()
    await session_kt.aclose()
    await session_kt.aclose()


async def test_key_pair_signs_each_request(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A key pair needs no login: two headers do."""
    route = api.get("/tag").respond(json=[])
    await kt.tags.all()
    headers = route.calls.last.request.headers
    assert headers["x-un"] == "partner"
    assert base64.b64decode(headers["x-ci"])[32:] == b"customer"


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_keys_are_final(kt: KlickTipp, api: respx.MockRouter, status: int) -> None:
    """With a key pair a refusal is final at once."""
    route = api.get("/tag").respond(status)
    with pytest.raises(Exception, match=str(status)):
        await kt.tags.all()
    assert route.call_count == 1


async def test_read_only(clock: Clock) -> None:
    """A read-only client reads, searches, logs in and out, and refuses every write before it is sent."""
    async with Sandbox() as box:
        box.seed_contacts(1)
        (contact,) = box.contacts.values()
        kt = box.client(read_only=True, clock=clock)
        assert contact.email is not None
        assert await kt.contacts.find_id(contact.email) == contact.id
        writes: list[Any] = [
            lambda: kt.contacts.upsert(email="a@example.com"),
            lambda: kt.contacts.update(contact.id, email="b@example.com"),
            lambda: kt.contacts.delete(contact.id),
            lambda: kt.contacts.unsubscribe("a@example.com"),
            lambda: kt.contacts.tag("a@example.com", 1),
            lambda: kt.contacts.untag("a@example.com", 1),
            lambda: kt.tags.create("neu"),
            lambda: kt.tags.update(1, name="neu"),
            lambda: kt.tags.delete(1),
            lambda: kt.tags.ensure(["neu"]),
            lambda: kt.fields.create("neu"),
            lambda: kt.fields.update("1", "neu"),
            lambda: kt.fields.delete("1"),
            lambda: kt.opt_ins.create("neu"),
            lambda: kt.opt_ins.update(1, "neu"),
            lambda: kt.opt_ins.delete(1),
            lambda: kt.request("POST", "/tag", body={}),
        ]
        for write in writes:
            with pytest.raises(ReadOnlyError):
                await write()
        assert {seen.operation for seen in box.requests} == {"Login", "Search Contact ID", "List Tags"}


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        (
            (" 12345 ", " https://example.com/cb?tenant=7&customerkey= "),
            "https://app.klicktipp.com/grantapiaccess/12345?url=https://example.com/cb?tenant=7&customerkey=",
        ),
        (
            ("a/b c", "https://example.com/"),
            "https://app.klicktipp.com/grantapiaccess/a%2Fb%20c?url=https://example.com/",
        ),
        ((7, "https://example.com/"), "https://app.klicktipp.com/grantapiaccess/7?url=https://example.com/"),
    ],
)
def test_grant_url(arguments: tuple[Any, str], url: str) -> None:
    """The grant page quotes the account and leaves the redirect as it is."""
    assert grant_url(*arguments) == url


def test_grant_url_encoded() -> None:
    """On request the redirect is percent-encoded, a fragment included."""
    url = grant_url(1, "https://example.com/?a=1&key=#x", encode=True)
    assert url.endswith("?url=https%3A%2F%2Fexample.com%2F%3Fa%3D1%26key%3D%23x")


@pytest.mark.parametrize(
    ("account", "redirect", "argument"),
    [
        ("", "https://example.com/", "account_id"),
        ("..", "https://example.com/", "account_id"),
        (1, "example.com", "redirect_url"),
        (1, "javascript:alert(1)", "redirect_url"),
        (1, "https://example.com/#x", "fragment"),
        (1, "https://exa mple.com/", "redirect_url"),
        (None, "https://example.com/", "account_id"),
        (1, None, "redirect_url"),
    ],
)
def test_grant_url_refuses(account: Any, redirect: str, argument: str) -> None:
    """What cannot work is refused by the name of the argument."""
    with pytest.raises(ArgumentError, match=argument):
        grant_url(account, redirect)


@pytest.mark.parametrize(
    ("env", "kind"),
    [
        ({"USERNAME": "u", "PASSWORD": "p"}, "session"),
        ({"USERNAME": "u", "DEVELOPER_KEY": "00", "CUSTOMER_KEY": "c"}, "keys"),
    ],
)
async def test_from_env(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], kind: str) -> None:
    """The environment names the account; the base URL too, unless an argument does."""
    for name, value in env.items():
        monkeypatch.setenv(f"KLICKTIPP_{name}", value)
    monkeypatch.setenv("KLICKTIPP_BASE_URL", "http://127.0.0.1:8081/")
    async with KlickTipp.from_env() as kt:
        assert repr(kt) == "<KlickTipp for http://127.0.0.1:8081>"
    async with KlickTipp.from_env(base_url="https://other.example") as kt:
        assert repr(kt) == "<KlickTipp for https://other.example>"


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({}, ["KLICKTIPP_USERNAME", "KLICKTIPP_PASSWORD"]),
        ({"DEVELOPER_KEY": "00"}, ["KLICKTIPP_USERNAME", "KLICKTIPP_CUSTOMER_KEY"]),
        ({"USERNAME": "u", "CUSTOMER_KEY": "c"}, ["KLICKTIPP_DEVELOPER_KEY"]),
        ({"USERNAME": "u", "PASSWORD": "p", "CUSTOMER_KEY": "c"}, ["either KLICKTIPP_PASSWORD or"]),
    ],
)
def test_from_env_names_all_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], named: list[str]
) -> None:
    """One error names every variable that is missing."""
    for name, value in env.items():
        monkeypatch.setenv(f"KLICKTIPP_{name}", value)
    with pytest.raises(ConfigError) as caught:
        KlickTipp.from_env()
    assert all(name in str(caught.value) for name in named)


async def test_from_env_names_the_variable_of_a_wrong_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong came from there; an address that is given as an argument wins, whatever the variable holds."""
    for name, value in {"USERNAME": "u", "PASSWORD": "p", "BASE_URL": "127.0.0.1:8081"}.items():
        monkeypatch.setenv(f"KLICKTIPP_{name}", value)
    said = r"^KLICKTIPP_BASE_URL must be an absolute http or https URL; '127\.0\.0\.1:8081' lacks http://$"
    with pytest.raises(ConfigError, match=said):
        KlickTipp.from_env()
    async with KlickTipp.from_env(base_url="https://other.example"):
        pass


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: SessionLogin("", "p"), "username"),
        (lambda: SessionLogin("u", ""), "password"),
        (lambda: KeyPair("", "00", "c"), "username"),
        (lambda: KeyPair("u", "0x", "c"), "developer_key"),
        (lambda: KeyPair("u", "00", " "), "customer_key"),
        (lambda: KlickTipp("token"), "auth"),  # type: ignore[arg-type]  # what a caller without types does
        (lambda: KlickTipp(KeyPair("u", "00", "c"), base_url="ftp://x"), "base_url"),
        (lambda: KlickTipp(KeyPair("u", "00", "c"), timeout=0), "timeout"),
        (lambda: KlickTipp(KeyPair("u", "00", "c"), retry=3), "retry"),  # type: ignore[arg-type]  # likewise
        (lambda: KlickTipp(KeyPair("u", "00", "c"), limit=5), "limit"),  # type: ignore[arg-type]  # likewise
        (lambda: KlickTipp(KeyPair("u", "00", "c"), clock=1), "clock"),  # type: ignore[arg-type]  # likewise
        (lambda: KlickTipp(KeyPair("u", "00", "c"), http="x"), "http"),  # type: ignore[arg-type]  # likewise
        (lambda: KlickTipp(KeyPair("u", "00", "c"), field_schema={}), "field_schema"),  # type: ignore[arg-type]  # likewise
        (lambda: Listbuilding("key", field_schema={}), "field_schema"),  # type: ignore[arg-type]  # likewise
        (lambda: FieldSchema(None), "types"),  # type: ignore[arg-type]  # likewise
    ],
)
def test_wrong_configuration_is_named(make: Any, argument: str) -> None:
    """Wrong configuration is refused when it is made, by the name of the argument."""
    with pytest.raises(ConfigError, match=argument):
        make()


def test_an_account_is_known_however_its_name_is_written() -> None:
    """The letter case of a user name says nothing; what is kept between two runs stays that of the account."""
    one, other = (KlickTipp(SessionLogin(name, "p")) for name in ("Konto", "konto"))
    assert one.account_fingerprint == other.account_fingerprint


def test_credentials_never_show() -> None:
    """Neither repr nor str of a credential shows it."""
    for value in (SessionLogin("kanarie", "kanarie"), KeyPair("kanarie", "00", "kanarie")):
        assert "kanarie" not in f"{value!r}{value}"
