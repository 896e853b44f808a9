"""Brands: their secrets, their lists, their providers."""

from typing import Any

import httpx
import pytest

from doxie_async.sandbox import Sandbox, WireFormat

pytestmark = pytest.mark.anyio

MASK = "********"


async def test_a_brand_lives(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """Created, listed, shown, changed, deleted, each with the service's own message."""
    created = (await admin.post("/brands", json={"brand": {"name": "Köln", "id": 99}})).json()
    assert (created["success"], created["message"], created["error"]) == (True, "Erfolgreich erstellt", None)
    brand = created["data"]
    assert (brand["id"], brand["name"]) == (1, "Köln")
    assert (await admin.get("/brands/1")).json() == {"success": True, "message": None, "error": None, "data": brand}
    changed = (await admin.patch("/brands/1", json={"brand": {"color": "gelb"}})).json()
    assert changed["message"] == "Erfolgreich bearbeitet"
    assert changed["data"] == {**brand, "color": "gelb", "updated_at": changed["data"]["updated_at"]}
    assert changed["data"]["updated_at"] > brand["updated_at"]
    assert (await admin.get("/brands")).json()["data"]["brands"] == [changed["data"]]
    assert (await admin.delete("/brands/1")).json()["message"] == "Erfolgreich gelöscht"
    for answer in (await admin.get("/brands/1"), await admin.delete("/brands/1"), await admin.get("/brands/eins")):
        assert (answer.status_code, answer.json()["error"]) == (404, "Datensatz nicht gefunden")
    again = await admin.post("/brands", json={"brand": {"name": "Bonn"}})
    assert again.json()["data"]["id"] == 2


async def test_secrets_are_masked_wherever_they_are(brand: dict[str, Any]) -> None:
    """Passwords and keys, nested ones too; what is no secret is shown."""
    assert brand["smtp"] == {"host": "smtp.example.com", "port": 587, "username": "jürgen", "password": MASK}
    assert brand["seven_api_key"] == MASK


async def test_a_changed_brand_keeps_what_is_not_given(
    box: Sandbox, admin: httpx.AsyncClient, brand: dict[str, Any]
) -> None:
    """A nested object is changed key by key, so its password survives."""
    await admin.patch("/brands/1", json={"brand": {"smtp": {"host": "neu.example.com"}}})
    (kept,) = box._store.brands
    assert kept.attributes["smtp"] == {
        "host": "neu.example.com",
        "port": 587,
        "username": "jürgen",
        "password": "Pässwort; geheim",
    }
    assert kept.attributes["seven_api_key"] == "k-123"


@pytest.mark.parametrize("nested", [True, False])
async def test_a_masked_value_never_comes_back_in(
    box: Sandbox, admin: httpx.AsyncClient, brand: dict[str, Any], nested: bool
) -> None:
    """Whoever echoes a fetched brand is refused before a secret is lost."""
    echo = {"smtp": brand["smtp"]} if nested else {"seven_api_key": brand["seven_api_key"]}
    refused = await admin.patch("/brands/1", json={"brand": echo})
    assert (refused.status_code, refused.json()["error"]) == (422, "Maskierte Werte können nicht gespeichert werden")
    assert [kept.attributes["seven_api_key"] for kept in box._store.brands] == ["k-123"]


@pytest.mark.parametrize(
    ("given", "kept"), [("a@example.com, b@example.com", ["a@example.com", "b@example.com"]), (["x"], ["x"]), ("", [])]
)
async def test_senders_come_as_a_list_or_with_commas(admin: httpx.AsyncClient, given: object, kept: list[str]) -> None:
    """Both forms are kept as a list."""
    attributes = {"name": "Honig", "possible_sender_emails": given}
    assert (await admin.post("/brands", json={"brand": attributes})).json()["data"]["possible_sender_emails"] == kept


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "param is missing or the value is empty: brand"),
        ({"brand": {}}, 400, "param is missing or the value is empty: brand"),
        ({"brand": ["name"]}, 400, "param is missing or the value is empty: brand"),
        ({"name": "Honig"}, 400, "param is missing or the value is empty: brand"),
        ({"brand": {"mail_provider": "ses"}}, 422, "Name muss ausgefüllt werden"),
        ({"brand": {"name": " "}}, 422, "Name muss ausgefüllt werden"),
    ],
)
async def test_a_brand_needs_its_root_and_a_name(
    admin: httpx.AsyncClient, body: dict[str, object], status: int, error: str
) -> None:
    """The attributes stand under their root key, and the name is not empty."""
    answer = await admin.post("/brands", json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert (await admin.get("/brands")).json()["data"]["brands"] == []


@pytest.mark.parametrize("path", ["mailjet_webhooks", "rcs_webhook", "sms_webhook"])
async def test_a_provider_reports_back_or_not(admin: httpx.AsyncClient, brand: dict[str, Any], path: str) -> None:
    """Registering and removing show in the status of this provider alone, and may be repeated."""
    url, others = f"/brands/1/{path}", {"mailjet_webhooks", "rcs_webhook", "sms_webhook"} - {path}

    async def status(of: str) -> Any:
        return (await admin.get(of)).json()["data"]

    assert await status(url) == {"registered": False, "event_types": []}
    for _ in range(2):
        registered = (await admin.post(url)).json()
        assert (registered["message"], registered["data"]["registered"]) == ("Erfolgreich bearbeitet", True)
    assert (await status(url))["event_types"]
    assert [(await status(f"/brands/1/{other}"))["registered"] for other in others] == [False, False]
    for _ in range(2):
        assert (await admin.delete(url)).json()["data"]["registered"] is False
    assert (await admin.get(f"/brands/2/{path}")).status_code == 404


async def test_ses_is_set_up(admin: httpx.AsyncClient, brand: dict[str, Any]) -> None:
    """The answer names what was made at the provider."""
    answer = (await admin.post("/brands/1/ses_setup")).json()
    assert answer["message"] == "Erfolgreich bearbeitet"
    assert answer["data"].keys() == {"configuration_set", "topic_arn", "event_destination"}
    assert (await admin.post("/brands/2/ses_setup")).status_code == 404


async def test_smtp_is_tested(admin: httpx.AsyncClient, brand: dict[str, Any]) -> None:
    """The answer has the settings without the password; a dead host is `success: false` with status 200."""
    works = (await admin.post("/brands/1/smtp_test")).json()
    assert works["success"]
    assert works["data"] == {"connected": True, "settings": brand["smtp"]}
    await admin.patch("/brands/1", json={"brand": {"smtp": {"host": "smtp.invalid"}}})
    fails = await admin.post("/brands/1/smtp_test")
    assert (fails.status_code, fails.json()["success"]) == (200, False)
    assert (fails.json()["error"], fails.json()["message"]) == ("SMTP-Verbindung fehlgeschlagen", None)
    await admin.post("/brands", json={"brand": {"name": "ohne"}})
    assert (await admin.post("/brands/2/smtp_test")).status_code == 422


async def test_a_brand_can_stand_under_its_name(box: Sandbox, admin: httpx.AsyncClient, brand: dict[str, Any]) -> None:
    """With named records `data` holds the brand under `brand`."""
    box.wire_format = WireFormat(records="named")
    assert (await admin.get("/brands/1")).json()["data"] == {"brand": brand}
