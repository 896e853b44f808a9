"""Messaging schedules, landing pages, layouts, and the visual editor."""

from typing import Any

import httpx
import pytest

from doxie_async.sandbox import Sandbox, WireFormat

pytestmark = pytest.mark.anyio

KINDS = [
    ("/shared/messaging_schedules", "shared_messaging_schedule", "Erfolgreich editiert"),
    ("/shared/landing_pages", "pages_landing_page", "Erfolgreich aktualisiert"),
    ("/pages/landing_page_layouts", "pages_landing_page_layout", "Erfolgreich bearbeitet"),
]


@pytest.mark.parametrize(("path", "root", "message"), KINDS)
async def test_a_record_lives(admin: httpx.AsyncClient, path: str, root: str, message: str) -> None:
    """Created, changed in what is given, deleted; then it is unknown."""
    created = (await admin.post(path, json={root: {"name": "Frühling", "nested": {"id": 5}}})).json()
    assert (created["message"], created["data"]["id"]) == ("Erfolgreich erstellt", 1)
    assert created["data"]["nested"] == {"id": 5}
    changed = (await admin.patch(f"{path}/1", json={root: {"name": "Sommer"}})).json()
    assert (changed["message"], changed["data"]["name"], changed["data"]["nested"]) == (message, "Sommer", {"id": 5})
    assert (await admin.delete(f"{path}/1")).json()["message"] == "Erfolgreich gelöscht"
    assert (await admin.patch(f"{path}/1", json={root: {"name": "Herbst"}})).status_code == 404
    assert (await admin.post(path, json={"falsch": {"name": "x"}})).status_code == 400


async def test_layouts_are_listed_and_shown(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """The only one of the three kinds that can be looked at, in pages."""
    for name in ("eins", "zwei", "drei"):
        await admin.post("/pages/landing_page_layouts", json={"pages_landing_page_layout": {"name": name}})
    data = (await admin.get("/pages/landing_page_layouts", params={"limit": 2, "page": 2})).json()["data"]
    assert [layout["name"] for layout in data["landing_page_layouts"]] == ["drei"]
    assert data["pagination"]["total_pages"] == 2
    box.wire_format = WireFormat(records="named")
    shown = (await admin.get("/pages/landing_page_layouts/2")).json()["data"]
    assert shown["landing_page_layout"]["name"] == "zwei"


@pytest.mark.parametrize(("path", "root", "_"), KINDS[1:])
async def test_a_page_belongs_to_a_known_brand(
    admin: httpx.AsyncClient, brand: dict[str, Any], path: str, root: str, _: str
) -> None:
    """An unknown brand is a 422."""
    for brand_id, status in ((1, 200), (2, 422), ("eins", 422)):
        answer = await admin.post(path, json={root: {"name": "Frühling", "brand_id": brand_id}})
        assert answer.status_code == status


async def test_a_layout_needs_a_name(admin: httpx.AsyncClient) -> None:
    """A new one without, or an old one that would lose it, is a 422."""
    path, root = "/pages/landing_page_layouts", "pages_landing_page_layout"
    assert (await admin.post(path, json={root: {"width": 5}})).status_code == 422
    await admin.post(path, json={root: {"name": "Frühling"}})
    assert (await admin.patch(f"{path}/1", json={root: {"width": 5}})).status_code == 200
    assert (await admin.patch(f"{path}/1", json={root: {"name": ""}})).status_code == 422


@pytest.mark.parametrize(
    ("path", "root", "editor"),
    [
        ("/shared/landing_pages", "pages_landing_page", "/editor/landing_pages"),
        ("/pages/landing_page_layouts", "pages_landing_page_layout", "/editor/landing_page_layouts"),
    ],
)
async def test_the_editor_keeps_a_document(
    admin: httpx.AsyncClient, brand: dict[str, Any], path: str, root: str, editor: str
) -> None:
    """It is replaced as a whole and comes back without an envelope, beside the brand; secrets are masked."""
    await admin.post(path, json={root: {"name": "Frühling", "brand_id": 1}})
    assert (await admin.get(f"{editor}/1")).json()["content_state"] == {}
    for document in ({"blocks": [{"text": "Grüße"}]}, {"leer": None}):
        updated = await admin.patch(f"{editor}/1/content_state", json={"content_state": document})
        assert updated.json()["success"] is True
        shown = (await admin.get(f"{editor}/1")).json()
        assert (shown["id"], shown["content_state"], shown["brand"]) == (1, document, brand)
    refused = await admin.patch(f"{editor}/1/content_state", json={"content_state": "<html>"})
    assert refused.status_code == 422
    assert (await admin.get(f"{editor}/2")).status_code == 404
    assert "content_state" not in (await admin.patch(f"{path}/1", json={root: {"name": "x"}})).json()["data"]


async def test_a_landing_page_is_published(admin: httpx.AsyncClient) -> None:
    """The editor then tells since when."""
    await admin.post("/shared/landing_pages", json={"pages_landing_page": {"name": "Frühling"}})
    assert (await admin.get("/editor/landing_pages/1")).json()["published_at"] is None
    published = (await admin.post("/editor/landing_pages/1/publish")).json()
    assert published["success"]
    assert (await admin.get("/editor/landing_pages/1")).json()["published_at"] == published["data"]["published_at"]
    assert (await admin.post("/editor/landing_pages/2/publish")).status_code == 404
