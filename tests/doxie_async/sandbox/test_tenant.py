"""API users, the tenant's settings, the dashboards."""

from datetime import date

import httpx
import pytest

from doxie_async.sandbox import Sandbox
from klickdoxie_core.clock import Clock

pytestmark = pytest.mark.anyio


async def test_a_new_api_user_may_send_until_deleted(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """Its password is told once, and works; lists mask it."""
    created = (await admin.post("/api_users", json={"api_user": {"username": "jürgen"}})).json()
    assert created["message"] == "Erfolgreich erstellt"
    user = created["data"]
    http = box.http_client()
    signed = httpx.BasicAuth("jürgen", user["password"])
    assert (await http.post("/api/ts/injector/journey", json={"a": 1}, auth=signed)).status_code == 200
    listed = (await admin.get("/api_users")).json()["data"]["api_users"]
    assert [(each["username"], each["password"]) for each in listed] == [
        ("sandbox", "********"),
        ("jürgen", "********"),
    ]
    deleted = (await admin.delete(f"/api_users/{user['id']}")).json()
    assert deleted["message"] == "API-Zugang erfolgreich gelöscht"
    assert (await http.post("/api/ts/injector/journey", json={"a": 1}, auth=signed)).status_code == 401


@pytest.mark.parametrize("attributes", [{"password": "x"}, {"username": " "}, {"username": "sandbox"}])
async def test_an_api_user_needs_a_name_of_its_own(admin: httpx.AsyncClient, attributes: dict[str, str]) -> None:
    """None, an empty or a taken name is a 422."""
    assert (await admin.post("/api_users", json={"api_user": attributes})).status_code == 422


async def test_settings_keep_what_is_not_given(admin: httpx.AsyncClient) -> None:
    """An update changes the given keys alone; the slug stays whatever is sent."""
    before = (await admin.get("/tenant")).json()["data"]
    changed = (await admin.patch("/tenant", json={"tenant_params": {"name": "Süßes", "slug": "neu"}})).json()
    assert changed["message"] == "Mandant erfolgreich aktualisiert"
    assert changed["data"] == {**before, "name": "Süßes"}
    assert (await admin.get("/tenant")).json()["data"] == changed["data"]


async def test_dashboards_count_processes() -> None:
    """Four weeks, one entry a day, the last one today; months within the range that is asked for."""
    today = [date(2025, 1, 20)]

    def now() -> float:
        return (today[0] - date(1970, 1, 1)).days * 86_400.0

    async with Sandbox(clock=Clock(now=now)) as box:
        http = box.http_client()
        http.base_url = f"{box.base_url}/api/ts/admin"
        http.headers.update({"authorization": f"Bearer {box.token}", "accept": "application/json"})
        box.seed_processes(2)
        today[0] = date(2025, 2, 10)
        box.seed_processes(3)
        overview = (await http.get("/dashboard")).json()["data"]
        assert overview.keys() == {"mailer", "survey", "qr_code", "injector", "consent"}
        chart = overview["injector"]
        assert [len(chart), chart[0]["date"], chart[-1]["date"]] == [28, "2025-01-14", "2025-02-10"]
        assert {day["date"]: day["count"] for day in chart if day["count"]} == {"2025-01-20": 2, "2025-02-10": 3}

        async def months(**query: str) -> dict[str, int]:
            data = (await http.get("/shared/dashboard", params=query)).json()["data"]
            assert len(data["overview_chart"]) == 28
            return {row["month"]: row["count"] for row in data["statistics"]}

        assert await months() == {"2025-02": 3}
        assert await months(time_range="2025-01-31") == {"2025-01": 2}
        wide = {"time_range": "custom", "start_date": "2025-01-20", "end_date": "2025-02-10"}
        assert await months(**wide) == {"2025-01": 2, "2025-02": 3}
        assert await months(**{**wide, "start_date": "2025-01-21"}) == {"2025-02": 3}


@pytest.mark.parametrize(
    "query",
    [
        {"time_range": "letzter Monat"},
        {"time_range": "custom"},
        {"time_range": "custom", "start_date": "2025-02-01", "end_date": "2025-01-01"},
        {"time_range": "9999-12-01"},
    ],
)
async def test_a_range_that_cannot_be_is_refused(admin: httpx.AsyncClient, query: dict[str, str]) -> None:
    """No date, half a range, one that runs backwards and one beyond the calendar are 422."""
    assert (await admin.get("/shared/dashboard", params=query)).status_code == 422
