"""Processes: how they move, and what administrators see of them."""

from typing import Any

import httpx
import pytest

from doxie_async.models.admin import Collection
from doxie_async.sandbox import Channel, Sandbox, WireFormat

pytestmark = pytest.mark.anyio


async def _show(admin: httpx.AsyncClient, uuid: str, **query: int) -> dict[str, Any]:
    answer = await admin.get(f"/shared/processes/{uuid}", params=query)
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_a_process_moves_through_its_states(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """Created, running, finished, and no further."""
    (uuid,) = box.seed_processes(1)
    seen = [(await _show(admin, uuid))["status"]]
    for _ in range(2):
        moved = await box.advance(uuid)
        seen.append((await _show(admin, uuid))["status"])
        assert seen[-1] == moved
    assert seen == ["created", "running", "finished"]
    assert (await _show(admin, uuid))["ended_at"] is not None
    with pytest.raises(ValueError, match="finished"):
        await box.advance(uuid)
    with pytest.raises(LookupError):
        await box.advance("unbekannt")


async def test_processes_can_run_through_by_themselves(box: Sandbox, api: httpx.AsyncClient) -> None:
    """With `automatic` each new process is finished when its request is answered; older ones stay as they are."""
    (old,) = box.seed_processes(1)
    box.automatic = True
    for path in ("/mailer/welcome_email", "/survey/survey", "/qr_code/qr_code", "/injector/journey"):
        assert (await api.post(path, json={"email": "a@example.com"})).status_code == 200
    await api.post("/mpm/consents/revoke", json={"customer_id": "K-1", "revoke_all": True})
    assert [process.status for process in box.processes.values()] == ["created", *["finished"] * 4]
    assert box.processes[old].status == "created"


async def test_processes_are_listed_newest_first_in_pages(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """200 a page unless the request says otherwise, with figures about the pages, and nothing beyond the last."""
    uuids = box.seed_processes(205)[::-1]

    async def page(**query: int) -> tuple[list[str], Any]:
        data = (await admin.get("/shared/processes", params=query)).json()["data"]
        return [process["uuid"] for process in data["processes"]], data["pagination"]

    figures = {"current_page": 1, "total_pages": 2, "total_count": 205}
    assert await page() == (uuids[:200], figures)
    assert await page(page=2) == (uuids[200:], {**figures, "current_page": 2})
    assert (await page(page=3, limit=2))[0] == uuids[4:6]
    assert (await page(page=9))[0] == []


@pytest.mark.parametrize("query", ["page=0", "page=zwei", "limit=0", "limit=-1", "limit=", "page=1" + "0" * 5000])
async def test_a_page_that_cannot_be_is_refused(box: Sandbox, admin: httpx.AsyncClient, query: str) -> None:
    """Numbers start at 1."""
    assert (await admin.get(f"/shared/processes?{query}")).status_code == 422


@pytest.mark.parametrize("collection", list(Collection))
async def test_each_collection_pages_on_its_own(box: Sandbox, admin: httpx.AsyncClient, collection: Collection) -> None:
    """Twenty a page, each by a parameter of its own; the others stay on their first page."""
    (uuid,) = box.seed_processes(1)
    for name in Collection:
        box.seed_records(uuid, name, 45)
    first, third = await _show(admin, uuid), await _show(admin, uuid, **{f"{collection}_page": 3})
    assert [record["id"] for record in first[collection]] == list(range(1, 21))
    assert [record["id"] for record in third[collection]] == list(range(41, 46))
    assert [len(third[name]) for name in Collection if name != collection] == [20] * 10


async def test_messages_are_kept_by_channel_and_fate(
    box: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """What cannot be delivered stands among the unsuccessful ones, whatever the case of the address."""
    box.add_event("alles", templates={Channel.EMAIL: ["e"], Channel.SMS: ["s"], Channel.RCS: ["r"]})
    box.make_undeliverable("JÜRGEN@example.com")
    payload = {"email": "jürgen@EXAMPLE.com", "phone": "+491771234567"}
    uuid = (await api.post("/mailer/alles", json=payload)).json()["process_uuid"]
    shown = await _show(admin, uuid)
    counts = {name: len(shown[name]) for name in Collection if shown[name]}
    assert counts == {"unsuccessful_emails": 1, "successful_sms_messages": 1, "successful_rcs_messages": 1}
    assert shown["unsuccessful_emails"][0]["recipient"] == "jürgen@EXAMPLE.com"


async def test_a_consent_is_open_until_it_is_confirmed(
    box: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """Confirming moves it over, once; a finished process has been confirmed, too."""
    body = {"customer_id": "K-1", "consent_slug": "newsletter", "email": "a@example.com"}
    uuid = (await api.post("/mpm/consents/initiate", json=body)).json()["process_uuid"]
    shown = await _show(admin, uuid)
    assert [len(shown[name]) for name in ("unconfirmed_consents", "confirmed_consents")] == [1, 0]
    await box.confirm(uuid)
    await box.advance(uuid)
    await box.advance(uuid)
    shown = await _show(admin, uuid)
    assert [len(shown[name]) for name in ("unconfirmed_consents", "confirmed_consents")] == [0, 1]
    assert shown["confirmed_consents"][0]["customer_id"] == "K-1"


async def test_a_finished_survey_has_a_response(box: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    """Somebody has answered by then."""
    uuid = (await api.post("/survey/survey", json={"email": "a@example.com"})).json()["process_uuid"]
    await box.advance(uuid)
    assert (await _show(admin, uuid))["survey_responses"] == []
    await box.advance(uuid)
    assert len((await _show(admin, uuid))["survey_responses"]) == 1


async def test_what_a_process_has_not_cannot_happen_to_it(box: Sandbox) -> None:
    """No consent, no QR code and no RCS message is a mistake of the test, and raises."""
    (uuid,) = box.seed_processes(1)
    for step in (box.confirm(uuid), box.visit(uuid), box.respond(uuid, {"text": "ja"})):
        with pytest.raises(ValueError, match="this process"):
            await step


async def test_administrators_cancel_once(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """A cancelled process and a finished one are refused with 422, an unknown one with 404."""
    cancelled, finished = box.seed_processes(2)
    await box.advance(finished)
    await box.advance(finished)
    first = await admin.post(f"/shared/processes/{cancelled}/cancel")
    assert first.json()["message"] == "Prozessvorgang erfolgreich abgebrochen"
    assert first.json()["data"]["status"] == "cancelled"
    again = await admin.post(f"/shared/processes/{cancelled}/cancel")
    assert (again.status_code, again.json()) == (
        422,
        {"success": False, "message": None, "error": "Der Prozess ist bereits abgebrochen", "data": None},
    )
    assert (await admin.post(f"/shared/processes/{finished}/cancel")).status_code == 422
    assert (await admin.post("/shared/processes/unbekannt/cancel")).status_code == 404
    with pytest.raises(ValueError, match="cancelled"):
        await box.advance(cancelled)


async def test_a_process_can_stand_under_its_name(box: Sandbox, admin: httpx.AsyncClient) -> None:
    """With named records `data` holds the process beside its collections."""
    box.wire_format = WireFormat(records="named")
    (uuid,) = box.seed_processes(1)
    data = await _show(admin, uuid)
    assert data.keys() == {"process", *Collection}
    assert data["process"]["uuid"] == uuid
    assert (await admin.get("/shared/processes/unbekannt")).status_code == 404
