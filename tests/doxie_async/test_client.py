"""The client itself: its arguments, its environment, its views, and ids that cannot leave their place."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import respx

from doxie_async import ArgumentError, Basic, Bearer, ClientCredentials, ConfigError, Doxie, Retry, Routes, ServerError
from doxie_async.errors import DoxieError
from klickdoxie_core import Clock
from tests.core.support import failure_of
from tests.doxie_async.support import PASSWORD, TENANT, TOKEN, USER, accepted, ok

pytestmark = pytest.mark.anyio

BASE = {"DOXIE_TENANT": "ts"}
API_USER = {"DOXIE_API_USER": USER, "DOXIE_API_PASSWORD": PASSWORD}
CLIENT = {
    "DOXIE_CLIENT_ID": "app",
    "DOXIE_CLIENT_SECRET": "kanarie-geheim",
    "DOXIE_TOKEN_URL": "https://login.example.com/oauth/token",
}
UNHEARD = CLIENT | {"DOXIE_TOKEN_URL": "http://127.0.0.1:1/token"}
TOKENS = {"DOXIE_TOKEN": TOKEN}
NOTHING = "DOXIE_API_USER with DOXIE_API_PASSWORD, or DOXIE_TOKEN, or DOXIE_CLIENT_ID with its companions"


def from_env(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], **options: Any) -> Doxie:
    """A client of an environment with these variables."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return Doxie.from_env(**options)


@pytest.mark.parametrize(
    ("env", "credentials"),
    [
        (API_USER, {"api_user"}),
        (TOKENS, {"admin"}),
        (UNHEARD, {"admin"}),
        (API_USER | TOKENS, {"api_user", "admin"}),
        (API_USER | UNHEARD, {"api_user", "admin"}),
    ],
)
async def test_the_environment_makes_a_client(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], credentials: set[str]
) -> None:
    """Every combination of credentials is taken, and those that are not there are named by the call that needs them."""
    async with from_env(monkeypatch, BASE | env | {"DOXIE_BASE_URL": "http://127.0.0.1:1"}) as client:
        assert (client.tenant, repr(client)) == ("ts", "<Doxie for http://127.0.0.1:1>")
        view = client.with_options(retry=Retry(attempts=1))
        mail = await failure_of(view.mailer.send("x", {}))
        tenant = await failure_of(view.admin.tenant.get())
    lacking = {name for name, error in (("api_user", mail), ("admin", tenant)) if isinstance(error, ConfigError)}
    assert lacking == {"api_user", "admin"} - credentials


async def test_the_environment_signs(monkeypatch: pytest.MonkeyPatch, api: respx.MockRouter) -> None:
    """What the environment says is what is sent, at the place that it names."""
    monkeypatch.setenv("DOXIE_OPENAPI", "")
    mail = api.post("https://doxie.example.com/api/ts/mailer/x").respond(json=accepted())
    tenant = api.get("https://doxie.example.com/api/ts/admin/tenant").respond(json=ok())
    grant = api.post(CLIENT["DOXIE_TOKEN_URL"]).respond(json={"access_token": "neu", "token_type": "Bearer"})
    env = BASE | API_USER | CLIENT | {"DOXIE_BASE_URL": "https://doxie.example.com/"}
    async with from_env(monkeypatch, env) as client:
        await client.mailer.send("x", {})
        await client.admin.tenant.get()
    assert mail.calls.last.request.headers["authorization"] == httpx.BasicAuth(USER, PASSWORD)._auth_header
    assert tenant.calls.last.request.headers["authorization"] == "Bearer neu"
    assert grant.call_count == 1


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, f"DOXIE_TENANT, {NOTHING}"),
        (BASE, NOTHING),
        (TOKENS, "DOXIE_TENANT"),
        (BASE | {"DOXIE_API_USER": USER}, "DOXIE_API_PASSWORD"),
        ({"DOXIE_API_PASSWORD": PASSWORD}, "DOXIE_TENANT, DOXIE_API_USER"),
        (BASE | {"DOXIE_CLIENT_ID": "app"}, "DOXIE_CLIENT_SECRET, DOXIE_TOKEN_URL"),
        (BASE | TOKENS | {"DOXIE_API_USER": USER}, "DOXIE_API_PASSWORD"),
        (
            {"DOXIE_API_USER": USER, "DOXIE_CLIENT_SECRET": "kanarie"},
            "DOXIE_TENANT, DOXIE_API_PASSWORD, DOXIE_CLIENT_ID, DOXIE_TOKEN_URL",
        ),
        (BASE | {"DOXIE_TOKEN": "", "DOXIE_API_USER": ""}, NOTHING),
    ],
)
def test_the_environment_lacks_something(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], missing: str) -> None:
    """One error names every variable that is missing, and shows no value."""
    with pytest.raises(ConfigError) as caught:
        from_env(monkeypatch, env)
    assert str(caught.value) == f"the environment lacks {missing}"
    assert isinstance(caught.value, DoxieError)


def test_the_environment_says_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ways to sign the admin calls are refused, rather than one of them ignored."""
    with pytest.raises(ConfigError, match="either DOXIE_TOKEN or DOXIE_CLIENT_ID"):
        from_env(monkeypatch, BASE | TOKENS | CLIENT)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (API_USER | {"DOXIE_API_USER": "kanarie:x"}, "username must be"),
        (TOKENS | {"DOXIE_TOKEN": "kanarie token"}, "token must be"),
        (CLIENT | {"DOXIE_TOKEN_URL": "login.example.com"}, "token_url must be"),
    ],
)
def test_the_environment_holds_what_cannot_be_sent(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], said: str
) -> None:
    """A credential that no header can carry is an error of this package, without the credential."""
    with pytest.raises(ArgumentError, match=said) as caught:
        from_env(monkeypatch, BASE | env)
    assert isinstance(caught.value, DoxieError)
    assert "kanarie" not in str(caught.value)


WRONG_ADDRESSES = ["127.0.0.1:8081", "ftp://doxie.example.com", f"https://{USER}:geheim@doxie.example.com"]


@pytest.mark.parametrize("address", WRONG_ADDRESSES)
def test_a_wrong_address_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """No argument was given, so none is named; the address itself is not shown."""
    with pytest.raises(ConfigError, match=r"^DOXIE_BASE_URL must") as caught:
        from_env(monkeypatch, BASE | TOKENS | {"DOXIE_BASE_URL": address})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("address", ["https://env.example.com", *WRONG_ADDRESSES])
def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A base URL that is given is taken, whatever the environment says."""
    env = BASE | TOKENS | {"DOXIE_BASE_URL": address}
    assert repr(from_env(monkeypatch, env, base_url="https://arg.example.com")) == "<Doxie for https://arg.example.com>"


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [(None, "https://doxie.example.com"), ("https://mine.example.com", "https://mine.example.com")],
)
async def test_the_routes_come_from_the_document_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, api: respx.MockRouter, tmp_path: Path, base_url: str | None, expected: str
) -> None:
    """`DOXIE_OPENAPI` gives the routes and the server, also to a client that is made without `from_env`."""
    entry = {"tags": ["Admin"], "summary": "Show tenant settings"}
    document = {
        "openapi": "3.0.1",
        "servers": [{"url": "https://doxie.example.com/"}],
        "paths": {"/v2/{tenant_slug}/settings": {"get": entry}},
    }
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setenv("DOXIE_OPENAPI", str(path))
    api.get(f"{expected}/v2/ts/settings").respond(json=ok())
    options: Any = {} if base_url is None else {"base_url": base_url}
    async with Doxie("ts", admin=Bearer(TOKEN), **options) as client:
        await client.admin.tenant.get()


def test_routes_that_are_given_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With routes in hand nobody opens the document."""
    monkeypatch.setenv("DOXIE_OPENAPI", "/nowhere/openapi.json")
    table = Routes.assumed()
    assert Doxie("ts", routes=table).routes is table
    with pytest.raises(DoxieError, match="openapi"):
        Doxie("ts")


WRONG: Any = [
    ({"tenant": ""}, "tenant"),
    ({"tenant": None}, "tenant"),
    ({"tenant": " ts"}, "tenant"),
    ({"tenant": "ts/admin"}, "tenant"),
    ({"tenant": ".."}, "tenant"),
    ({"tenant": "ts\\x"}, "tenant"),
    ({"tenant": "ts\r\nX-Evil: 1"}, "tenant"),
    ({"tenant": "\ud800"}, "tenant"),
    ({"routes": "openapi.json"}, "routes"),
    ({"api_user": (USER, PASSWORD)}, "api_user"),
    ({"api_user": Bearer(TOKEN)}, "api_user"),
    ({"admin": TOKEN}, "admin"),
    ({"admin": Basic(USER, PASSWORD)}, "admin"),
    ({"base_url": "app.doxie.energy"}, "base_url"),
    ({"base_url": f"https://{USER}:geheim@app.doxie.energy"}, "base_url"),
    ({"timeout": 0}, "timeout"),
    ({"deadline": -1}, "deadline"),
    ({"http": "httpx"}, "http"),
]


@pytest.mark.parametrize(("arguments", "name"), WRONG, ids=repr)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], name: str) -> None:
    """What is wrong is refused when the client is made, by the name of the argument, and never shown."""
    with pytest.raises(ConfigError, match=rf"^{name}\b") as caught:
        Doxie(**({"tenant": TENANT} | arguments))
    assert isinstance(caught.value, DoxieError)
    assert "kanarie" not in str(caught.value)


BY_ID: dict[str, Callable[[Doxie, Any], Any]] = {
    "event_slug": lambda d, v: d.mailer.send(v, {}),
    "process_uuid": lambda d, v: d.processes.cancel(v),
    "event_id": lambda d, v: d.events.get(v, type="mailer"),
    "id": lambda d, v: d.admin.brands.get(v),
    "brand_id": lambda d, v: d.admin.brands.test_smtp(v),
    "uuid": lambda d, v: d.admin.processes.get(v),
    "endpoint_id": lambda d, v: d.admin.webhook_endpoints.interactions(v).first(),
}


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a\\b", "a\r\nb", "a\x00", "\ud800"], ids=ascii)
@pytest.mark.parametrize("name", BY_ID)
async def test_an_id_cannot_leave_its_place(doxie: Doxie, name: str, value: str) -> None:
    """An id that would change the path is refused by the name of the parameter, before anything is sent."""
    error = await failure_of(BY_ID[name](doxie, value))
    assert isinstance(error, ArgumentError)
    assert isinstance(error, DoxieError)
    assert f": {name} must be a non-empty text without slashes" in str(error)
    assert error.attempts == 0


@pytest.mark.parametrize("name", BY_ID)
async def test_an_id_is_quoted_into_its_place(doxie: Doxie, api: respx.MockRouter, name: str) -> None:
    """What is allowed in an id arrives as it is, and the tenant's slug too."""
    route = api.route(path__regex="^/api/ts/.*").respond(json=ok({}))
    await BY_ID[name](doxie, "grün?%2e#;a b")
    assert b"/gr%C3%BCn%3F%252e%23%3Ba%20b" in route.calls.last.request.url.raw_path


async def test_the_client_introduces_itself(doxie: Doxie, api: respx.MockRouter) -> None:
    """Product and Python are told, gzip is taken, and no cookie is ever sent."""
    route = api.get("/api/ts/admin/tenant").respond(json=ok(), headers={"set-cookie": "a=b; Path=/"})
    await doxie.admin.tenant.get()
    await doxie.admin.tenant.get()
    headers = route.calls.last.request.headers
    assert headers["user-agent"].startswith("doxie-async/")
    assert headers["user-agent"].endswith(f" python/{platform.python_version()}")
    assert headers["accept-encoding"] == "gzip"
    assert "cookie" not in headers


async def test_a_view_has_options_of_its_own(doxie: Doxie, api: respx.MockRouter) -> None:
    """A view's groups of operations, the nested ones too, use the view's options; the client keeps its own."""
    route = api.get("/api/ts/admin/brands/1/sms_webhook").respond(503)
    view = doxie.with_options(retry=Retry(attempts=1))
    with pytest.raises(ServerError):
        await view.admin.brands.sms.status(1)
    assert (route.call_count, view.tenant, view.routes) == (1, TENANT, doxie.routes)
    with pytest.raises(ServerError):
        await doxie.admin.brands.sms.status(1)
    assert route.call_count == 1 + 3
    await view.aclose()
    await failure_of(doxie.admin.brands.sms.status(1))
    assert route.call_count == 1 + 3 + 3


async def test_a_closed_client_says_so(clock: Clock) -> None:
    """After `aclose` nothing is sent, and the error belongs to this package."""
    client = Doxie(TENANT, admin=Bearer(TOKEN), clock=clock)
    await client.aclose()
    assert isinstance(await failure_of(client.admin.tenant.get()), DoxieError)


async def test_any_other_operation_can_be_called(doxie: Doxie, api: respx.MockRouter) -> None:
    """`request` signs with the API user, where there is one, and returns what it is asked for."""
    route = api.get("/api/ts/neu", params={"a": "ü"}).respond(json={"zahl": 1})
    assert await doxie.request("GET", "/api/ts/neu", query={"a": "ü"}, into=dict[str, int]) == {"zahl": 1}
    assert route.calls.last.request.headers["authorization"].startswith("Basic ")


async def test_the_two_credentials_do_not_mix(api: respx.MockRouter, clock: Clock) -> None:
    """Calls of both kinds at once each carry their own credential."""
    tenant = api.get("/api/ts/admin/tenant").respond(json=ok())
    mail = api.post("/api/ts/mailer/x").respond(json=accepted())
    grant = api.post(CLIENT["DOXIE_TOKEN_URL"]).respond(json={"access_token": "neu"})
    admin = ClientCredentials("app", "kanarie-geheim", CLIENT["DOXIE_TOKEN_URL"], scope="verwaltung")
    client = Doxie(TENANT, api_user=Basic(USER, PASSWORD), admin=admin, clock=clock)
    async with client, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(client.admin.tenant.get)
            group.start_soon(client.mailer.send, "x", {})
    assert {call.request.headers["authorization"] for call in tenant.calls} == {"Bearer neu"}
    assert {call.request.headers["authorization"][:6] for call in mail.calls} == {"Basic "}
    assert grant.call_count == 1
    assert b"scope=verwaltung" in grant.calls.last.request.content
