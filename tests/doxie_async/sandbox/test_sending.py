"""The operations of API users: what goes out, what is answered, what is refused."""

import re
from typing import Any

import httpx
import pytest

from doxie_async.sandbox import Channel, Sandbox

pytestmark = pytest.mark.anyio

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def test_a_mail_goes_out_and_starts_a_process(box: Sandbox, api: httpx.AsyncClient) -> None:
    """The answer names the process and the templates; the message is known by any value of its payload."""
    payload = {"email": "jürgen@example.com", "bestellung": 4711, "posten": [1]}
    answer = (await api.post("/mailer/welcome_email", json=payload)).json()
    assert UUID4.fullmatch(answer["process_uuid"])
    assert answer == {
        "success": True,
        "error_message": None,
        "process_uuid": answer["process_uuid"],
        "sent_email_templates": ["welcome_email"],
        "sent_sms_templates": [],
    }
    (sent,) = box.sent
    assert (sent.channel, sent.recipient, sent.payload) == (Channel.EMAIL, "jürgen@example.com", payload)
    assert [box.count_sent(key) for key in (answer["process_uuid"], 4711, "4711", "jürgen@example.com")] == [1] * 4
    assert box.count_sent("4712") == 0
    assert "example.com" not in repr(sent)


@pytest.mark.parametrize(
    ("payload", "mails", "sms", "messages"),
    [({}, ["mail_a", "mail_b"], [], 2), ({"phone": "+491771234567"}, ["mail_a", "mail_b"], ["sms_a"], 4)],
)
async def test_text_messages_need_a_number(
    box: Sandbox, api: httpx.AsyncClient, payload: dict[str, str], mails: list[str], sms: list[str], messages: int
) -> None:
    """A mailer may have several templates for each channel; RCS has no place in the answer."""
    templates = {Channel.EMAIL: ["mail_a", "mail_b"], Channel.SMS: ["sms_a"], Channel.RCS: ["rcs_a"]}
    box.add_event("bestellung", templates=templates)
    answer = (await api.post("/mailer/bestellung", json=payload)).json()
    assert (answer["sent_email_templates"], answer["sent_sms_templates"]) == (mails, sms)
    assert box.count_sent(answer["process_uuid"]) == messages


@pytest.mark.parametrize(
    ("path", "type_"), [("/injector/journey", "injector"), ("/survey/survey", "survey"), ("/mailer/x", "mailer")]
)
async def test_configured_parameters_must_be_there(box: Sandbox, api: httpx.AsyncClient, path: str, type_: str) -> None:
    """An event that requires a key refuses a payload without it, and nothing goes out."""
    box.add_event(path.rpartition("/")[2], type=type_, required=["vorname"])
    refused = await api.post(path, json={"vorname": "", "email": "a@example.com"})
    assert (refused.status_code, refused.json()) == (
        422,
        {"success": False, "error_message": "vorname muss angegeben werden", "process_uuid": None, "data": None},
    )
    for number, filled in enumerate((0, ["Jörg"], {"du": "Jörg"}), 1):
        assert (await api.post(path, json={"vorname": filled, "email": "a@example.com"})).status_code == 200
        assert len(box.processes) == number


@pytest.mark.parametrize("path", ["/mailer/journey", "/injector/welcome_email", "/survey/qr_code", "/qr_code/survey"])
async def test_an_event_of_another_type_is_unknown(box: Sandbox, api: httpx.AsyncClient, path: str) -> None:
    """A slug belongs to one type."""
    answer = await api.post(path, json={"email": "a@example.com"})
    assert (answer.status_code, answer.json()["error_message"]) == (404, "Event nicht gefunden")


@pytest.mark.parametrize(
    ("path", "payload", "channels"),
    [
        ("/injector/journey", {"any_keys": "any value"}, []),
        ("/survey/survey", {"email": "a@example.com"}, [Channel.EMAIL]),
        ("/survey/survey", {"phone": "+491771234567"}, [Channel.SMS]),
    ],
)
async def test_injections_and_inquiries_start_a_process(
    box: Sandbox, api: httpx.AsyncClient, path: str, payload: dict[str, str], channels: list[Channel]
) -> None:
    """Both answer with the process and no data; an inquiry asks by the address that it was given."""
    answer = (await api.post(path, json=payload)).json()
    (uuid,) = box.processes
    assert answer == {"success": True, "error_message": None, "process_uuid": uuid, "data": None}
    assert [sent.channel for sent in box.sent] == channels


async def test_an_inquiry_needs_an_address(box: Sandbox, api: httpx.AsyncClient) -> None:
    """Neither e-mail nor phone is a 422."""
    assert (await api.post("/survey/survey", json={"frage": "?"})).status_code == 422
    assert not box.processes


async def test_a_qr_code_comes_without_an_envelope(box: Sandbox, api: httpx.AsyncClient) -> None:
    """It has a URL of its own, and what was configured."""
    payload = {"target_url": "https://example.com/größe", "valid_until": "2025-12-31T23:59:59Z"}
    code = (await api.post("/qr_code/qr_code", json=payload)).json()
    assert "success" not in code
    assert code["url"].endswith(code["uuid"])
    assert {**code, **payload} == code
    assert code["process_uuid"] in box.processes
    assert (await api.post("/qr_code/qr_code", json={"valid_until": "morgen"})).status_code == 422


@pytest.mark.parametrize(
    ("slug", "type_"),
    [("welcome_email", "mailer"), ("survey", "survey"), ("qr_code", "qr_code"), ("journey", "injector")],
)
async def test_event_details_depend_on_the_type(box: Sandbox, api: httpx.AsyncClient, slug: str, type_: str) -> None:
    """The right type shows the event, another finds nothing, and an invented one is refused."""
    event_id = box.add_event(slug, type=type_, required=["vorname"])
    answer = (await api.get(f"/events/{event_id}", params={"type": type_})).json()
    assert (answer["success"], answer["type"]) == (True, type_)
    event = answer["event"]
    assert (event["id"], event["slug"], event["parameters"]) == (event_id, slug, ["vorname"])
    other = "survey" if type_ == "mailer" else "mailer"
    statuses = [
        (await api.get(f"/events/{number}", params=params)).status_code
        for number, params in [
            (event_id, {"type": other}),
            (1, {"type": type_}),
            ("abc", {"type": type_}),
            (event_id, {}),
        ]
    ]
    assert statuses == [404, 404, 404, 422]


async def test_a_process_is_cancelled_once(box: Sandbox, api: httpx.AsyncClient) -> None:
    """The second cancellation is a 422, an unknown process a 404."""
    (uuid,) = box.seed_processes(1)
    first = await api.post(f"/processes/{uuid}/cancel")
    assert first.json() == {"success": True, "error_message": None, "process_uuid": uuid}
    assert box.processes[uuid].status == "cancelled"
    assert (await api.post(f"/processes/{uuid}/cancel")).status_code == 422
    assert (await api.post("/processes/unbekannt/cancel")).status_code == 404


async def _initiate(api: httpx.AsyncClient, slug: str = "newsletter", **more: str) -> Any:
    body = {"customer_id": "K-1", "consent_slug": slug, "email": "jürgen@example.com", **more}
    return (await api.post("/mpm/consents/initiate", json=body)).json()


async def test_a_consent_is_asked_for(box: Sandbox, api: httpx.AsyncClient) -> None:
    """The request goes out as a message, and the answer has the documented keys."""
    answer = await _initiate(api)
    uuid = answer["process_uuid"]
    assert answer == {
        "success": True,
        "error_message": None,
        "process_uuid": uuid,
        "data": {
            "customer_id": "K-1",
            "consent_slug": "newsletter",
            "contact_channel": "email",
            "process_uuid": uuid,
        },
    }
    assert [(sent.template, sent.channel) for sent in box.sent] == [("newsletter", Channel.EMAIL)]
    by_phone = await _initiate(api, email="", phone="+491771234567")
    assert by_phone["data"]["contact_channel"] == "phone"
    assert box.sent[-1].channel is Channel.SMS


@pytest.mark.parametrize(
    "body",
    [
        {"customer_id": "K-1", "consent_slug": "a"},
        {"customer_id": "K-1", "consent_slug": "a", "email": "a@example.com", "phone": "+49177"},
        {"customer_id": "K-1", "email": "a@example.com"},
        {"consent_slug": "a", "email": "a@example.com"},
        {"customer_id": ["K-1"], "consent_slug": "a", "email": "a@example.com"},
    ],
)
async def test_a_consent_needs_a_customer_a_slug_and_one_address(
    box: Sandbox, api: httpx.AsyncClient, body: dict[str, object]
) -> None:
    """Anything less or else, or both addresses, is a 422, and nothing goes out."""
    assert (await api.post("/mpm/consents/initiate", json=body)).status_code == 422
    assert not box.sent


async def test_consents_are_revoked_one_or_all(api: httpx.AsyncClient) -> None:
    """Each is told once, those of other customers never."""
    for slug in ("newsletter", "sms", "post"):
        await _initiate(api, slug)
    await _initiate(api, customer_id="K-2")

    async def revoke(**which: object) -> list[str]:
        answer = (await api.post("/mpm/consents/revoke", json={"customer_id": "K-1", **which})).json()
        assert (answer["success"], answer["error_message"]) == (True, None)
        return [consent["consent_slug"] for consent in answer["data"]["revoked_consents"]]

    assert await revoke(consent_slug="sms") == ["sms"]
    assert await revoke(revoke_all=True) == ["newsletter", "post"]
    assert await revoke(revoke_all=True) == []
    assert await revoke(consent_slug="unbekannt") == []


@pytest.mark.parametrize("which", [{}, {"consent_slug": "a", "revoke_all": True}, {"revoke_all": "ja"}])
async def test_a_revocation_says_which(api: httpx.AsyncClient, which: dict[str, object]) -> None:
    """Neither a slug nor all, or both, is a 422."""
    assert (await api.post("/mpm/consents/revoke", json={"customer_id": "K-1", **which})).status_code == 422
