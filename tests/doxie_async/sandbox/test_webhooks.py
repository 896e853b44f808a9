"""Webhook endpoints, and what is delivered to them."""

import base64
import json
from typing import Any

import anyio
import httpx
import pytest

from doxie_async.sandbox import Channel, Sandbox, Webhook, WebhookKind
from doxie_async.sandbox.courier import Courier
from doxie_async.sandbox.records import EndpointRecord
from klickdoxie_core.wire.in_process import InProcessTransport, serving
from tests.doxie_async.sandbox.receiver import Receiver

pytestmark = pytest.mark.anyio

URL = "https://empfang.test/doxie"
ROOT = "webhook_abstract_endpoint"


def _heard(receiver: Receiver) -> list[dict[str, Any]]:
    """The bodies that arrived since the last look."""
    bodies = [json.loads(body) for body in receiver.bodies]
    receiver.bodies.clear()
    return bodies


def _endpoint(box: Sandbox, endpoint_id: int = 1) -> EndpointRecord:
    endpoint = box._store.endpoints.get(endpoint_id)
    assert endpoint is not None
    return endpoint


async def test_an_endpoint_lives(admin: httpx.AsyncClient) -> None:
    """Created, shown with its interactions, changed, hidden when inactive, deleted; its password is masked."""
    path = "/webhook/endpoints"
    created = (await admin.post(path, json={ROOT: {"url": URL, "username": "ü", "password": "geheim"}})).json()
    assert created["message"] == "Webhook erfolgreich erstellt"
    endpoint = created["data"]
    assert (endpoint["id"], endpoint["active"], endpoint["password"]) == (1, True, "********")
    shown = (await admin.get(f"{path}/1")).json()["data"]
    assert {**shown, **endpoint, "interactions": []} == shown
    changed = (await admin.patch(f"{path}/1", json={ROOT: {"active": False}})).json()
    assert changed["message"] == "Webhook endpoint updated successfully"
    lists = [(await admin.get(path, params=query)).json()["data"] for query in ({}, {"show_inactive": "true"})]
    assert [len(data["endpoints"]) for data in lists] == [0, 1]
    assert (await admin.delete(f"{path}/1")).json()["message"] == "Webhook endpoint deleted successfully"
    assert (await admin.get(f"{path}/1")).status_code == 404


@pytest.mark.parametrize(
    "attributes",
    [{"active": True}, {"url": "ftp://x"}, {"url": URL, "events": ["alles"]}, {"url": URL, "events": "message_sent"}],
)
async def test_an_endpoint_that_nothing_can_be_sent_to_is_refused(
    box: Sandbox, admin: httpx.AsyncClient, attributes: dict[str, object]
) -> None:
    """No URL, another scheme, or an unknown kind of webhook is a 422."""
    assert (await admin.post("/webhook/endpoints", json={ROOT: attributes})).status_code == 422
    with pytest.raises(ValueError, match=r"URL|Webhook"):
        box.add_webhook_endpoint(**{"url": "", **attributes})
    assert len(box._store.endpoints) == 0


async def test_a_mail_is_told_with_credentials(box: Sandbox, api: httpx.AsyncClient, receiver: Receiver) -> None:
    """Sent, then delivered or bounced: the bodies have the keys of the reference, and the ids are numbers."""
    box.add_webhook_endpoint(f"{URL}/1", username="doxie", password="pä$$wort")
    payload = {"email": "jürgen@example.com", "bestellung": "A-1"}
    uuid = (await api.post("/mailer/welcome_email", json=payload)).json()["process_uuid"]
    assert receiver.paths == ["/doxie/1"]
    assert receiver.headers[0]["content-type"] == "application/json"
    token = receiver.headers[0]["authorization"].removeprefix("Basic ")
    assert base64.b64decode(token).decode() == "doxie:pä$$wort"
    (sent,) = _heard(receiver)
    number = box.sent[0].message_id
    assert sent == {
        "process_id": uuid,
        "message_type": "email",
        "message_id": number,
        "recipient_specific_message_ids": [["jürgen@example.com", number]],
        "recipient": "jürgen@example.com",
        "subject": "welcome_email",
        "text": "Grüße aus welcome_email",
        "html": "<p>Grüße aus welcome_email</p>",
        "original_brand_slug": "ts",
        "original_tenant_slug": "ts",
        "original_event_slug": "welcome_email",
        "timestamp": sent["timestamp"],
        "original_payload": payload,
    }
    await box.advance(uuid)
    (status,) = _heard(receiver)
    assert status == {
        "process_id": uuid,
        "message_type": "email",
        "message_id": number,
        "recipient_specific_message_id": number,
        "recipient": "jürgen@example.com",
        "status": "delivered",
        "timestamp": status["timestamp"],
        "original_payload": payload,
    }
    assert sent["timestamp"] < status["timestamp"] < "2025-01-01T01"
    await box.advance(uuid)
    assert _heard(receiver) == []


async def test_a_name_without_a_password_is_told_so(
    admin: httpx.AsyncClient, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    """The password is empty, whether it was left out or is null."""
    for attributes in ({"url": URL, "username": "doxie"}, {"url": URL, "username": "doxie", "password": None}):
        await admin.post("/webhook/endpoints", json={ROOT: attributes})
    await api.post("/mailer/welcome_email", json={})
    assert [headers["authorization"] for headers in receiver.headers] == [
        f"Basic {base64.b64encode(b'doxie:').decode()}"
    ] * 2


async def test_a_bounce_is_told(box: Sandbox, api: httpx.AsyncClient, receiver: Receiver) -> None:
    """The status says so."""
    box.add_webhook_endpoint(URL, events=[WebhookKind.MESSAGE_STATUS])
    box.make_undeliverable("a@example.com")
    uuid = (await api.post("/mailer/welcome_email", json={"email": "a@example.com"})).json()["process_uuid"]
    await box.advance(uuid)
    assert [body["status"] for body in _heard(receiver)] == ["bounced"]


async def test_a_confirmed_consent_is_told_once(box: Sandbox, api: httpx.AsyncClient, receiver: Receiver) -> None:
    """However often the customer clicks, and however the process ends."""
    box.add_webhook_endpoint(URL, events=["doi_confirmed"])
    body = {"customer_id": "K-1", "consent_slug": "newsletter", "phone": "+491771234567"}
    uuid = (await api.post("/mpm/consents/initiate", json=body)).json()["process_uuid"]
    await box.confirm(uuid)
    await box.confirm(uuid)
    (heard,) = _heard(receiver)
    assert heard == {"identifier": uuid, "timestamp": heard["timestamp"], "ipAddress": "203.0.113.7"}


@pytest.mark.parametrize("by_admin", [True, False])
async def test_a_cancellation_is_told_once(
    box: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient, receiver: Receiver, by_admin: bool
) -> None:
    """Whoever cancels; a refused second cancellation is no news, and a lost answer does not hide the first."""
    box.add_webhook_endpoint(URL)
    uuid = (await api.post("/injector/journey", json={"x": "ü"})).json()["process_uuid"]
    cancelled = admin.post(f"/shared/processes/{uuid}/cancel") if by_admin else api.post(f"/processes/{uuid}/cancel")
    box.drop(None)
    with pytest.raises(httpx.ReadError):
        await cancelled
    (heard,) = _heard(receiver)
    assert heard == {
        "process_uuid": uuid,
        "cancellation_timestamp": heard["cancellation_timestamp"],
        "original_payload": {"x": "ü"},
    }
    assert (await api.post(f"/processes/{uuid}/cancel")).status_code == 422
    assert _heard(receiver) == []


@pytest.mark.parametrize(
    ("payload", "status", "keys"),
    [
        ({}, "active", set()),
        ({"target_url": "https://example.com"}, "active", {"target_url"}),
        ({"valid_until": "2024-12-31T23:59:59Z"}, "expired", set()),
        ({"valid_until": "2024-12-31"}, "expired", set()),
        ({"valid_until": "2025-06-01T00:00:00+02:00"}, "active", set()),
    ],
)
async def test_a_visit_is_told(
    box: Sandbox, api: httpx.AsyncClient, receiver: Receiver, payload: dict[str, str], status: str, keys: set[str]
) -> None:
    """A code may have expired by then; without a target the key is absent, without an end `valid_until` is null."""
    box.add_webhook_endpoint(URL)
    code = (await api.post("/qr_code/qr_code", json=payload)).json()
    await box.visit(code["process_uuid"])
    (heard,) = _heard(receiver)
    own = {"process_id", "valid_until", "qr_code_uuid", "timestamp", "status", "original_payload"}
    assert heard.keys() == own | keys
    assert (heard["status"], heard["qr_code_uuid"]) == (status, code["uuid"])
    assert heard["valid_until"] == payload.get("valid_until")
    await box.advance(code["process_uuid"])
    await box.advance(code["process_uuid"])
    assert [body["status"] for body in _heard(receiver)] == [status]


async def test_an_answer_to_an_rcs_message_is_told(box: Sandbox, api: httpx.AsyncClient, receiver: Receiver) -> None:
    """RCS messages are told of when they are answered only, with a time that has an offset."""
    box.add_webhook_endpoint(URL)
    box.add_event("angebot", templates={Channel.RCS: ["angebot"]})
    payload = {"phone": "+491771234567"}
    uuid = (await api.post("/mailer/angebot", json=payload)).json()["process_uuid"]
    await box.advance(uuid)
    assert _heard(receiver) == []
    await box.respond(uuid, {"text": "Ja, gern"})
    (heard,) = _heard(receiver)
    assert heard == {
        "process_id": uuid,
        "message_id": box.sent[0].message_id,
        "agent_id": "doxie_agent",
        "sender": "491771234567",
        "timestamp": heard["timestamp"],
        "message_content": {"text": "Ja, gern"},
        "original_payload": payload,
    }
    assert heard["timestamp"].startswith("2025-01-01T01:00:")
    assert heard["timestamp"].endswith("+01:00")


async def test_only_active_endpoints_get_what_they_want(
    box: Sandbox, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    """An endpoint may name the kinds that it wants, and may be switched off."""
    box.add_webhook_endpoint(f"{URL}/alles")
    box.add_webhook_endpoint(f"{URL}/aus", active=False)
    box.add_webhook_endpoint(f"{URL}/nur-ende", events=["process_cancelled"])
    uuid = (await api.post("/mailer/welcome_email", json={"a": 1})).json()["process_uuid"]
    await api.post(f"/processes/{uuid}/cancel")
    assert receiver.paths == ["/doxie/alles", "/doxie/alles", "/doxie/nur-ende"]
    assert "authorization" not in receiver.headers[0]


@pytest.mark.parametrize(
    ("status", "broken", "expected"),
    [(204, False, (True, 204, None)), (500, False, (False, 500, None)), (200, True, (False, None, "LookupError"))],
)
async def test_deliveries_are_recorded_whatever_comes_of_them(
    box: Sandbox,
    api: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    receiver: Receiver,
    status: int,
    broken: bool,
    expected: tuple[bool, int | None, str | None],
) -> None:
    """With the endpoint and with the process; a failure never reaches the caller."""
    receiver.status, receiver.broken = status, broken
    box.add_webhook_endpoint(URL)
    uuid = (await api.post("/mailer/welcome_email", json={"a": 1})).json()["process_uuid"]
    (interaction,) = (await admin.get("/webhook/endpoints/1")).json()["data"]["interactions"]
    assert tuple(interaction[name] for name in ("success", "status", "error")) == expected
    assert (interaction["event"], interaction["process_uuid"]) == ("message_sent", uuid)
    assert (await admin.get(f"/shared/processes/{uuid}")).json()["data"]["webhook_interactions"] == [interaction]


async def test_interactions_come_in_pages(box: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    """By the parameters of the other lists."""
    box.add_webhook_endpoint(URL)
    for _ in range(5):
        await api.post("/mailer/welcome_email", json={"a": 1})
    data = (await admin.get("/webhook/endpoints/1", params={"limit": 2, "page": 3})).json()["data"]
    assert [interaction["id"] for interaction in data["interactions"]] == [5]
    assert data["pagination"] == {"current_page": 3, "total_pages": 3, "total_count": 5}


async def test_any_webhook_can_be_sent(box: Sandbox, api: httpx.AsyncClient, receiver: Receiver) -> None:
    """An earlier one comes again byte by byte, and what is no JSON goes out as it is."""
    box.add_webhook_endpoint(URL)
    await api.post("/mailer/welcome_email", json={"a": 1})
    (webhook,) = box.webhooks
    await box.deliver(webhook)
    await box.deliver(Webhook(kind=WebhookKind.DOI_CONFIRMED, body=b'{"identifier": Infinity}'))
    assert receiver.bodies == [webhook.body, webhook.body, b'{"identifier": Infinity}']
    assert "a" not in repr(webhook).partition("body")[1]


async def test_a_slow_receiver_is_given_up(box: Sandbox, anyio_backend: str) -> None:
    """It costs the time limit and no more, and is recorded."""
    box.add_webhook_endpoint(URL)

    async def asleep(*_: object) -> None:
        await anyio.sleep_forever()

    courier = Courier(box._store, InProcessTransport(asleep), timeout=0.001)
    await courier.deliver(Webhook.of(WebhookKind.DOI_CONFIRMED, {}))
    await courier.aclose()
    assert _endpoint(box).interactions[0]["error"] == "Timeout"


async def test_a_caller_who_gives_up_takes_no_webhook_along(box: Sandbox, receiver: Receiver) -> None:
    """A delivery that has begun is brought to its end, and the next ones wait for the next request."""
    box.add_webhook_endpoint(URL)
    (uuid,) = box.seed_processes(1)
    webhook = Webhook.of(WebhookKind.PROCESS_CANCELLED, {}, uuid)
    box._store.tell(webhook)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await box._courier.empty_outbox()
    assert len(receiver.bodies) == len(_endpoint(box).interactions) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_webhooks_go_over_the_network(receiver: Receiver) -> None:
    """A real socket at both ends; a port where nobody listens is a failure on record."""
    async with serving(receiver, "127.0.0.1", 0) as url, Sandbox() as box, box.serve() as here:
        box.add_webhook_endpoint(f"{url}/doxie", username="doxie", password="geheim")
        box.add_webhook_endpoint("http://127.0.0.1:1/")
        async with httpx.AsyncClient(base_url=here, trust_env=False, auth=(box.username, box.password)) as http:
            assert (await http.post("/api/ts/mailer/welcome_email", json={"a": 1})).status_code == 200
        # The answer is there before the deliveries are.
        with anyio.fail_after(5):
            while len(interactions := _endpoint(box, 2).interactions) == 0:
                await anyio.lowlevel.checkpoint()
        assert interactions[0]["error"] == "ConnectError"
        assert [interaction["status"] for interaction in _endpoint(box).interactions] == [200]
    assert json.loads(receiver.bodies[0])["original_payload"] == {"a": 1}
