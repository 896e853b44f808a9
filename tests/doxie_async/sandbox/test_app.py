"""The sandbox as a whole: its routes, who may call, its tokens, its faults, its clients."""

import json

import attrs
import httpx
import pytest

from doxie_async import routes as r
from doxie_async.routes import Auth, Route, Routes
from doxie_async.sandbox import Sandbox, WireFormat
from doxie_async.sandbox.operations import HANDLERS
from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import ConfigError
from klickdoxie_core.sandbox import LOST

pytestmark = pytest.mark.anyio


def test_every_operation_is_carried_out() -> None:
    """The sandbox knows the operations of the route table, all and no other."""
    assert set(HANDLERS) == {route.operation for route in Routes.assumed()}
    assert len(HANDLERS) == 58


def _path(route: Route, tenant: str = "ts") -> str:
    return route.template.format_map(dict.fromkeys(route.parameters.values(), "1") | {"tenant": tenant})


async def test_each_operation_needs_a_credential_of_its_own_kind(
    box: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """Nobody, and the owner of a credential of the other kind, gets a 401 in the envelope of the operation."""
    wrong = {Auth.API_USER: admin, Auth.ADMIN: api}
    for route in box.routes:
        url = box.base_url + _path(route)
        for client in (box.http_client(), wrong[route.operation.auth]):
            refused = await client.request(route.method, url)
            assert refused.status_code == 401, route
            text = refused.json()["error_message" if route.operation.auth is Auth.API_USER else "error"]
            assert (refused.json()["success"], text) == (False, "Zugriff verweigert")
            assert refused.headers["www-authenticate"].startswith(
                "Basic" if route.operation.auth is Auth.API_USER else "Bearer"
            )


async def test_another_tenant_is_unknown(box: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    """No operation answers for a tenant that is not the sandbox's own."""
    for route in box.routes:
        client = api if route.operation.auth is Auth.API_USER else admin
        answer = await client.request(route.method, box.base_url + _path(route, "andere"))
        assert (answer.status_code, answer.json()["success"]) == (404, False)


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ***",
        "Basic c2FuZGJveA==",
        "Basic /////w==",
        "Basic c2FuZGJveDpmYWxzY2g=",
        "Bearer sandbox",
        "Digest abc",
    ],
)
async def test_a_broken_or_wrong_basic_header_is_refused(box: Sandbox, header: str) -> None:
    """What is no Base64, no UTF-8, no pair or not the password does not open anything."""
    answer = await box.http_client().post("/api/ts/injector/journey", json={}, headers={"authorization": header})
    assert answer.status_code == 401


async def test_every_admin_call_has_to_accept_json(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """The reference demands the header; anything else is a 406."""
    assert (await admin.get("/brands", headers={"accept": "*/*"})).status_code == 406
    assert (await admin.get("/brands", headers={"accept": "text/html, application/json"})).status_code == 200


async def test_permissions_are_refused_in_the_documented_envelope(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """Without `read` nothing goes, without `write` only reads do, and nothing is changed."""
    box.permissions = {"read"}
    refused = await admin.post("/brands", json={"brand": {"name": "Honig"}})
    assert (refused.status_code, refused.json()) == (
        403,
        {"success": False, "message": None, "error": "No write permission", "data": None},
    )
    assert (await admin.get("/brands")).json()["data"]["brands"] == []
    box.permissions = set()
    for answer in (await admin.get("/brands"), await admin.delete("/brands/1")):
        assert answer.json() == {"success": False, "message": None, "error": "No read permission", "data": None}


async def _fetch(box: Sandbox, http: httpx.AsyncClient | None = None, **form: str) -> httpx.Response:
    fields = {"grant_type": "client_credentials", **form}
    return await (http or box.http_client()).post(box.token_url, data=fields)


async def test_client_credentials_get_a_token(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """In the body, or as form-encoded Basic credentials; the token opens the admin API."""
    in_body = await _fetch(box, client_id=box.client_id, client_secret=box.client_secret)
    encoded = [str(httpx.QueryParams({"x": value}))[2:] for value in (box.client_id, box.client_secret)]
    in_header = await box.http_client().post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=httpx.BasicAuth(*encoded)
    )
    for answer in (in_body, in_header):
        grant = answer.json()
        assert (grant["token_type"], grant["expires_in"]) == ("Bearer", 7200)
        headers = {"authorization": f"Bearer {grant['access_token']}"}
        assert (await admin.get("/tenant", headers=headers)).status_code == 200
    assert box.count("Fetch Token", 200) == 2
    assert in_body.json()["access_token"] != in_header.json()["access_token"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 401, "invalid_client"),
        ({"client_id": "sandbox-verwaltung", "client_secret": "falsch"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_bad_client_credentials_get_none(box: Sandbox, form: dict[str, str], status: int, error: str) -> None:
    """A wrong secret and another grant have the errors of the standard."""
    right = {"client_id": box.client_id, "client_secret": box.client_secret} if status == 400 else {}
    answer = await _fetch(box, **right, **form)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


async def test_tokens_expire_with_the_clock_and_on_demand() -> None:
    """A fetched token ends after its lifetime; the standing one only with `expire_tokens`, which ends them all."""
    time = [0.0]
    async with Sandbox(clock=Clock(monotonic=lambda: time[0], now=lambda: 0)) as box:
        box.token_lifetime = 60
        http = box.http_client()
        http.headers["accept"] = "application/json"
        standing = box.token
        fetched = (await _fetch(box, client_id=box.client_id, client_secret=box.client_secret)).json()["access_token"]

        async def opens(token: str) -> bool:
            answer = await http.get("/api/ts/admin/tenant", headers={"authorization": f"Bearer {token}"})
            return answer.status_code == 200

        time[0] = 59
        assert [await opens(fetched), await opens(standing)] == [True, True]
        time[0] = 60
        assert [await opens(fetched), await opens(standing)] == [False, True]
        await http.post("/_sandbox/expire-tokens")
        assert not await opens(standing)
        assert box.token != standing
        assert await opens(box.token)


async def test_any_route_table_can_be_served() -> None:
    """Other methods, paths and parameter names, even a tenant that is not in the path."""
    rows = [
        attrs.evolve(route, method="PUT", template="/v2/{slug}/senden", parameters={"event_slug": "slug"})
        if route.operation == r.SEND_MAIL
        else route
        for route in Routes.assumed()
    ]
    async with Sandbox(routes=Routes(rows)) as box:
        http = box.http_client()
        http.auth = httpx.BasicAuth(box.username, box.password)
        assert (await http.post("/api/ts/mailer/welcome_email", json={"a": 1})).status_code == 404
        assert (await http.put("/v2/welcome_email/senden", json={"a": 1})).json()["success"] is True
        assert box.count(r.SEND_MAIL.name, 200) == 1


async def test_faults_are_planned_by_operation(box: Sandbox, api: httpx.AsyncClient) -> None:
    """The two operations that share a summary are told apart, and a lost answer may have been carried out."""
    box.fail("Admin / Shared: Cancel a process", status=500)
    box.drop("Mailer: Sends a mail", applied=True)
    with pytest.raises(httpx.ReadError):
        await api.post("/mailer/welcome_email", json={"bestellung": "A-1"})
    assert box.count_sent("A-1") == 1
    uuid = next(iter(box.processes))
    assert (await api.post(f"/processes/{uuid}/cancel")).status_code == 200
    assert box.count("Mailer: Sends a mail", LOST) == 1
    with pytest.raises(ValueError, match="no operation"):
        box.fail("Sends a mail")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(
    box: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient, body: bytes
) -> None:
    """Both kinds of operations answer 400, each in its envelope, and nothing happens."""
    sending = await api.post("/mailer/welcome_email", content=body)
    creating = await admin.post("/brands", content=body)
    assert [sending.status_code, creating.status_code] == [400, 400]
    assert sending.json()["error_message"] == creating.json()["error"]
    assert not box.processes


async def test_ids_tokens_and_times_are_the_same_in_each_run() -> None:
    """Two sandboxes that are asked the same give the same answers, byte by byte."""

    async def story() -> list[bytes]:
        async with Sandbox() as box:
            http = box.http_client()
            http.auth = httpx.BasicAuth(box.username, box.password)
            answers = [await http.post("/api/ts/mailer/welcome_email", json={"name": "Jürgen"})]
            signed = {"authorization": f"Bearer {box.token}", "accept": "application/json"}
            http.auth = None
            answers.append(await http.get("/api/ts/admin/shared/processes", headers=signed))
            return [answer.content for answer in answers]

    first = await story()
    assert first == await story()
    assert json.loads(first[1])["data"]["processes"][0]["created_at"].startswith("2025-01-01T00:00:")


@pytest.mark.parametrize(
    ("form", "data"),
    [
        (WireFormat(paging="none"), {"brands": []}),
        (WireFormat(paging="data"), {"brands": [], "current_page": 1, "total_pages": 0, "total_count": 0}),
        (WireFormat(paging="meta"), {"brands": [], "meta": {"current_page": 1, "total_pages": 0, "total_count": 0}}),
    ],
)
async def test_paging_can_be_told_in_several_ways(
    box: Sandbox, admin: httpx.AsyncClient, form: WireFormat, data: dict[str, object]
) -> None:
    """The reference folds it away, so a client is to be tested against each."""
    box.wire_format = form
    assert (await admin.get("/brands")).json()["data"] == data
    with pytest.raises(ValueError, match="paging"):
        form.paging = "header"  # type: ignore[assignment]


async def test_the_counters_tell_of_duplicate_messages(box: Sandbox, api: httpx.AsyncClient) -> None:
    """Another process can see that something went out twice."""
    for order in ("A-1", "A-2", "A-1"):
        await api.post("/mailer/welcome_email", json={"bestellung": order})
    state = (await box.http_client().get("/_sandbox/state")).json()
    assert (state["processes"], state["messages"], state["duplicate_messages"]) == (3, 3, 1)
    assert state["operations"] == {"Mailer: Sends a mail": {"200": 3}}


async def test_a_client_of_the_sandbox_signs_both_kinds(box: Sandbox) -> None:
    """The client is on the sandbox's route table, its tenant and both credentials, unless one is taken away."""
    doxie = box.client()
    assert (doxie.tenant, doxie.routes) == ("ts", box.routes)
    assert (await doxie.mailer.send("welcome_email", {"bestellung": "Ü-7"})).process_uuid in box.processes
    assert await doxie.admin.brands.all().to_list() == []
    nobody = box.client(api_user=None)
    with pytest.raises(ConfigError, match="needs an API user"):
        await nobody.mailer.send("welcome_email", {})
