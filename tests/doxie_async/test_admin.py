"""The tenant, its API users, its figures, messaging schedules and webhook endpoints."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
import respx

from doxie_async import ArgumentError, Doxie, NotFound
from doxie_async.errors import DoxieError
from tests.doxie_async.support import body_of, ok, query_of, refused

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("named", [False, True])
async def test_an_api_user_is_created(doxie: Doxie, api: respx.MockRouter, *, named: bool) -> None:
    """The password that is told this once is there, and not in the repr."""
    user = {"id": 3, "username": "versand", "password": "kanarie"}
    route = api.post("/api/ts/admin/api_users").respond(json=ok({"api_user": user} if named else user))
    made = await doxie.admin.api_users.create({"username": "versand"})
    assert body_of(route) == {"api_user": {"username": "versand"}}
    assert (made.id, made.raw["password"], repr(made)) == (3, "kanarie", "ApiUser(id=3)")


async def test_api_users_are_listed_and_deleted(doxie: Doxie, api: respx.MockRouter) -> None:
    """The list pages; a delete of nobody is an error."""
    api.get("/api/ts/admin/api_users").respond(json=ok({"api_users": [{"id": 3}, {"id": 4}]}))
    api.delete("/api/ts/admin/api_users/3").respond(json=ok(message="API-Zugang erfolgreich gelöscht"))
    api.delete("/api/ts/admin/api_users/5").respond(404, json=refused("Nicht gefunden"))
    assert [user.id for user in await doxie.admin.api_users.all().to_list()] == [3, 4]
    await doxie.admin.api_users.delete(3)
    with pytest.raises(NotFound, match="Nicht gefunden"):
        await doxie.admin.api_users.delete(5)


@pytest.mark.parametrize("data", [{"zeitzone": "Europe/Berlin"}, {"tenant": {"zeitzone": "Europe/Berlin"}}])
async def test_the_tenant(doxie: Doxie, api: respx.MockRouter, data: dict[str, Any]) -> None:
    """The settings are in `raw`; an update goes under a root key of another name."""
    api.get("/api/ts/admin/tenant").respond(json=ok(data))
    route = api.patch("/api/ts/admin/tenant").respond(json=ok(data, message="Mandant erfolgreich aktualisiert"))
    assert (await doxie.admin.tenant.get()).raw == {"zeitzone": "Europe/Berlin"}
    changed = await doxie.admin.tenant.update({"zeitzone": "Europe/Berlin"})
    assert changed.raw == {"zeitzone": "Europe/Berlin"}
    assert body_of(route) == {"tenant_params": {"zeitzone": "Europe/Berlin"}}


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({}, {}),
        ({"month": date(2024, 2, 29)}, {"time_range": "2024-02-01"}),
        ({"month": datetime(2024, 12, 31, 23, tzinfo=UTC)}, {"time_range": "2024-12-01"}),
        (
            {"start": date(2024, 1, 1), "end": date(2024, 1, 1)},
            {"time_range": "custom", "start_date": "2024-01-01", "end_date": "2024-01-01"},
        ),
    ],
)
async def test_the_range_of_the_figures(
    doxie: Doxie, api: respx.MockRouter, arguments: dict[str, Any], query: dict[str, str]
) -> None:
    """Nothing, a month by any of its days, or a range, in the vendor's words."""
    route = api.get("/api/ts/admin/shared/dashboard").respond(json=ok({"statistics": [1]}))
    assert (await doxie.admin.dashboard.statistics(**arguments)).raw == {"statistics": [1]}
    assert query_of(route) == query


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"start": date(2024, 1, 1)}, "give a month, or start and end together, or nothing"),
        ({"end": date(2024, 1, 1)}, "give a month, or start and end together, or nothing"),
        (
            {"month": date(2024, 1, 1), "start": date(2024, 1, 1), "end": date(2024, 1, 2)},
            "give a month, or start and end together, or nothing",
        ),
        ({"start": date(2024, 1, 2), "end": date(2024, 1, 1)}, "end must not be before start"),
    ],
)
async def test_a_range_that_is_none(doxie: Doxie, arguments: dict[str, Any], said: str) -> None:
    """Half a range, a range the wrong way round, and both kinds at once are refused."""
    with pytest.raises(ArgumentError, match=said) as caught:
        await doxie.admin.dashboard.statistics(**arguments)
    assert isinstance(caught.value, DoxieError)


async def test_the_overview(doxie: Doxie, api: respx.MockRouter) -> None:
    """The charts are in `raw`, bare or under a name."""
    api.get("/api/ts/admin/dashboard").respond(json=ok({"dashboard": {"mails": [{"tag": "2026-01-01", "zahl": 1}]}}))
    assert (await doxie.admin.dashboard.overview()).raw == {"mails": [{"tag": "2026-01-01", "zahl": 1}]}


async def test_a_messaging_schedule(doxie: Doxie, api: respx.MockRouter) -> None:
    """A schedule is created, changed and deleted under the vendor's root key."""
    made = api.post("/api/ts/admin/shared/messaging_schedules").respond(json=ok({"id": 10, "uhrzeit": "08:00"}))
    changed = api.patch("/api/ts/admin/shared/messaging_schedules/10").respond(
        json=ok({"messaging_schedule": {"id": 10}}, message="Erfolgreich editiert")
    )
    api.delete("/api/ts/admin/shared/messaging_schedules/10").respond(json=ok(message="Erfolgreich gelöscht"))
    schedule = await doxie.admin.messaging_schedules.create({"uhrzeit": "08:00"})
    assert (schedule.id, schedule.extra) == (10, {"uhrzeit": "08:00"})
    assert (await doxie.admin.messaging_schedules.update(10, {"uhrzeit": None})).id == 10
    await doxie.admin.messaging_schedules.delete(10)
    assert body_of(made) == {"shared_messaging_schedule": {"uhrzeit": "08:00"}}
    assert body_of(changed) == {"shared_messaging_schedule": {"uhrzeit": None}}


@pytest.mark.parametrize("data", [{"id": 1, "url": "u"}, {"endpoint": {"id": "1", "url": "u"}}])
async def test_a_webhook_endpoint(doxie: Doxie, api: respx.MockRouter, data: dict[str, Any]) -> None:
    """An id that comes as a number is a text; the URL, which may hold a password, is not in the repr."""
    url = "/api/ts/admin/webhook/endpoints"
    made = api.post(url).respond(json=ok(data, message="Webhook erfolgreich erstellt"))
    changed = api.patch(f"{url}/1").respond(json=ok(data, message="Webhook endpoint updated successfully"))
    api.get(f"{url}/1").respond(json=ok(data))
    api.delete(f"{url}/1").respond(json=ok(message="Webhook endpoint deleted successfully"))
    endpoints = doxie.admin.webhook_endpoints
    for endpoint in (
        await endpoints.create({"url": "u"}),
        await endpoints.get(id=1),
        await endpoints.update("1", {"active": False}),
    ):
        assert (endpoint.id, endpoint.url, repr(endpoint)) == ("1", "u", "WebhookEndpoint(id='1')")
    await endpoints.delete(1)
    assert body_of(made) == {"webhook_abstract_endpoint": {"url": "u"}}
    assert body_of(changed) == {"webhook_abstract_endpoint": {"active": False}}


@pytest.mark.parametrize(
    ("inactive", "query"), [(None, {}), (True, {"show_inactive": "true"}), (False, {"show_inactive": "false"})]
)
async def test_inactive_endpoints_are_listed_on_request(
    doxie: Doxie, api: respx.MockRouter, inactive: bool | None, query: dict[str, str]
) -> None:
    """The filter goes out only when it is given, on every page."""
    route = api.get("/api/ts/admin/webhook/endpoints").mock(
        side_effect=[httpx.Response(200, json=ok({"endpoints": [{"id": n}]})) for n in (1, 2)]
        + [httpx.Response(200, json=ok({"endpoints": []}))]
    )
    found = await doxie.admin.webhook_endpoints.all(show_inactive=inactive, page_size=1).to_list()
    assert [endpoint.id for endpoint in found] == ["1", "2"]
    assert [dict(call.request.url.params) for call in route.calls] == [
        {"limit": "1", "page": str(page)} | query for page in (1, 2, 3)
    ]


async def test_the_interactions_of_an_endpoint(doxie: Doxie, api: respx.MockRouter) -> None:
    """What was delivered is a list of its own, beside an endpoint that has lists too."""
    data = {"endpoint": {"id": 1, "events": ["x"]}, "interactions": [{"id": 5, "status": 200}]}
    route = api.get("/api/ts/admin/webhook/endpoints/1").respond(json=ok(data))
    (interaction,) = await doxie.admin.webhook_endpoints.interactions(1).to_list()
    assert (interaction.raw, repr(interaction)) == ({"id": 5, "status": 200}, "Interaction()")
    assert query_of(route) == {"limit": "200", "page": "1"}
