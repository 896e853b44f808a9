"""Assets: uploads as multipart forms."""

import hashlib

import httpx
import pytest

from doxie_async.sandbox import Sandbox, WireFormat

pytestmark = pytest.mark.anyio


async def test_an_asset_lives(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """Uploaded, listed bare, deleted by its UUID; only its size and its digest are kept."""
    content = bytes(range(256)) * 10_000 + b"\r\n--kein Ende\r\n\r\n"
    uploaded = (await admin.post("/editor/assets", files={"file": ("Größe;1.png", content)})).json()
    assert uploaded["message"] == "Erfolgreich erstellt"
    asset = uploaded["data"]
    assert (asset["filename"], asset["size"]) == ("Größe;1.png", len(content))
    assert asset["sha256"] == hashlib.sha256(content).hexdigest()
    assert asset["url"].endswith(asset["uuid"])
    assert (await admin.get("/editor/assets")).json() == [asset]
    assert (await admin.delete(f"/editor/assets/{asset['uuid']}")).json()["message"] == "Erfolgreich gelöscht"
    assert (await admin.get("/editor/assets")).json() == []
    assert (await admin.delete(f"/editor/assets/{asset['uuid']}")).status_code == 404


async def test_the_forms_own_file_name_wins(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """The field `filename` is stronger than the name of the file."""
    box.wire_format = WireFormat(records="named")
    answer = await admin.post("/editor/assets", data={"filename": "schön.png"}, files={"file": ("a.png", b"")})
    asset = answer.json()["data"]["asset"]
    assert (asset["filename"], asset["size"]) == ("schön.png", 0)


@pytest.mark.parametrize("form", [{"json": {"file": "x"}}, {"files": {"datei": ("a.png", b"x")}}, {}])
async def test_an_upload_needs_a_file(admin: httpx.AsyncClient, form: dict[str, object]) -> None:
    """No form, or a form without the field, is a 422."""
    answer = await admin.post("/editor/assets", **form)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]) == (422, "Die Datei fehlt")
