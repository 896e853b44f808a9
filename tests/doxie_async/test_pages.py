"""Landing pages and their layouts, and what the visual editor keeps of them."""

from __future__ import annotations

from typing import Any

import pytest
import respx

from doxie_async import ArgumentError, Doxie, Editor, NotFound, Rejected
from tests.doxie_async.support import body_of, ok, refused

pytestmark = pytest.mark.anyio

EDITED = {
    "content_state": {"blocks": [{"text": "Grüße"}]},
    "brand": {"id": 7},
    "editor": {"locale": "de", "content_state": "x"},
    "endpoints": {"assets": "/api/ts/admin/editor/assets"},
}
PAGE, LAYOUT = "/api/ts/admin/editor/landing_pages/15", "/api/ts/admin/editor/landing_page_layouts/4"


@pytest.mark.parametrize("answer", [EDITED, ok(EDITED)], ids=["bare", "envelope"])
async def test_the_editor(doxie: Doxie, api: respx.MockRouter, answer: dict[str, Any]) -> None:
    """The payload is a bare object, whose own `editor` is not taken for all of it."""
    api.get(PAGE).respond(json=answer)
    api.get(LAYOUT).respond(json=answer)
    for editor in (await doxie.admin.landing_pages.editor(15), await doxie.admin.layouts.editor(4)):
        assert editor.content_state == {"blocks": [{"text": "Grüße"}]}
        assert editor.raw == EDITED
        assert repr(editor) == "Editor()"


@pytest.mark.parametrize("answer", [{}, {"content_state": None}, {"content_state": {}}])
async def test_the_editor_of_an_empty_page(doxie: Doxie, api: respx.MockRouter, answer: dict[str, Any]) -> None:
    """Where there is no document yet, there is an empty one."""
    api.get(PAGE).respond(json=answer)
    assert await doxie.admin.landing_pages.editor(15) == Editor(raw=answer)


async def test_the_editor_without_permission(doxie: Doxie, api: respx.MockRouter) -> None:
    """The envelope of the vendor's own sample is an error, although its status may be 200."""
    api.get(LAYOUT).respond(json={"success": False, "message": None, "error": "No read permission", "data": None})
    with pytest.raises(Rejected, match="No read permission") as caught:
        await doxie.admin.layouts.editor(4)
    assert (caught.value.reason, caught.value.status) == ("No read permission", 200)


async def test_a_document_is_replaced(doxie: Doxie, api: respx.MockRouter) -> None:
    """The document goes without a root key, and may be empty."""
    page = api.patch(f"{PAGE}/content_state").respond(json=ok(message="Erfolgreich bearbeitet"))
    layout = api.patch(f"{LAYOUT}/content_state").respond(json=ok({"id": 4}))
    await doxie.admin.landing_pages.update_content(15, {"blocks": ["Süd"]})
    await doxie.admin.layouts.update_content(4, {})
    assert body_of(page) == {"content_state": {"blocks": ["Süd"]}}
    assert body_of(layout) == {"content_state": {}}


@pytest.mark.parametrize("value", [None, "x", [], Editor()], ids=repr)
async def test_a_document_is_a_mapping(doxie: Doxie, value: Any) -> None:
    """What was fetched for the editor is not the document; it is refused by the name of the argument."""
    for pages in (doxie.admin.landing_pages, doxie.admin.layouts):
        with pytest.raises(ArgumentError, match=r"^content_state must be a mapping of names to values, not "):
            await pages.update_content(1, value)


async def test_a_page_is_published(doxie: Doxie, api: respx.MockRouter) -> None:
    """Publishing carries no body."""
    route = api.post(f"{PAGE}/publish").respond(json=ok({}))
    await doxie.admin.landing_pages.publish(15)
    assert body_of(route) is None


@pytest.mark.parametrize("named", [False, True])
async def test_a_landing_page(doxie: Doxie, api: respx.MockRouter, *, named: bool) -> None:
    """Created, changed and deleted under the vendor's root key."""
    page = {"id": 15, "name": "Frühling", "slug": "fruehling"}
    data = {"landing_page": page} if named else page
    made = api.post("/api/ts/admin/shared/landing_pages").respond(json=ok(data, message="Erfolgreich erstellt"))
    changed = api.patch("/api/ts/admin/shared/landing_pages/15").respond(json=ok(data))
    api.delete("/api/ts/admin/shared/landing_pages/15").respond(json=ok(message="Erfolgreich gelöscht"))
    for found in (
        await doxie.admin.landing_pages.create({"name": "Frühling"}),
        await doxie.admin.landing_pages.update(15, {"slug": "fruehling"}),
    ):
        assert (found.id, found.name, found.extra) == (15, "Frühling", {"slug": "fruehling"})
    await doxie.admin.landing_pages.delete(15)
    assert body_of(made) == {"pages_landing_page": {"name": "Frühling"}}
    assert body_of(changed) == {"pages_landing_page": {"slug": "fruehling"}}


@pytest.mark.parametrize("named", [False, True])
async def test_a_layout(doxie: Doxie, api: respx.MockRouter, *, named: bool) -> None:
    """Listed, created, fetched, changed and deleted under the vendor's root key."""
    url, layout = "/api/ts/admin/pages/landing_page_layouts", {"id": 4, "name": "Schlicht"}
    data = {"landing_page_layout": layout} if named else layout
    api.get(url).respond(json=ok({"landing_page_layouts": [layout]}))
    made = api.post(url).respond(json=ok(data))
    api.get(f"{url}/4").respond(json=ok(data))
    changed = api.patch(f"{url}/4").respond(json=ok(data))
    api.delete(f"{url}/4").respond(json=ok())
    layouts = doxie.admin.layouts
    (listed,) = await layouts.all().to_list()
    for found in (listed, await layouts.create(layout), await layouts.get(4), await layouts.update(4, {"name": "x"})):
        assert (found.id, found.name) == (4, "Schlicht")
    await layouts.delete(4)
    assert body_of(made) == {"pages_landing_page_layout": layout}
    assert body_of(changed) == {"pages_landing_page_layout": {"name": "x"}}


async def test_a_layout_that_is_not_there(doxie: Doxie, api: respx.MockRouter) -> None:
    """A 404 keeps the service's words."""
    api.get("/api/ts/admin/pages/landing_page_layouts/4").respond(404, json=refused("Eintrag nicht gefunden"))
    with pytest.raises(NotFound, match="Eintrag nicht gefunden"):
        await doxie.admin.layouts.get(4)
