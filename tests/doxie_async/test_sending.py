"""The calls of API users: mails, injections, cancellations, events, inquiries, QR codes, consents."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import httpx
import pytest
import respx

from doxie_async import (
    AlreadyCancelled,
    ArgumentError,
    DecodeError,
    Doxie,
    EventType,
    recording,
)
from doxie_async.errors import DoxieError
from tests.core.support import failure_of
from tests.doxie_async.support import accepted, body_of, query_of

pytestmark = pytest.mark.anyio

CONSENT = {"customer_id": "K-1", "consent_slug": "newsletter", "contact_channel": "email", "process_uuid": "9a5d"}


async def test_a_mail_and_what_went_out(doxie: Doxie, api: respx.MockRouter) -> None:
    """The payload goes as it is, umlauts and all; the result names the process and the templates."""
    answer = {
        "success": True,
        "process_uuid": "9a5d",
        "sent_email_templates": ["w"],
        "sent_sms_templates": [1],
        "neu": 2,
    }
    route = api.post("/api/ts/mailer/willkommen").respond(json=answer)
    payload = {"email": "käthe@example.com", "text": "Grüße; „Süd“ – 5 €", "anlagen": [1, None, {"a": True}]}
    result = await doxie.mailer.send("willkommen", payload)
    assert body_of(route) == payload
    assert (result.process_uuid, result.sent_email_templates, result.sent_sms_templates) == ("9a5d", ("w",), (1,))
    assert (result.raw, result.extra) == (answer, {"success": True, "neu": 2})


async def test_a_mail_without_a_word_about_it(doxie: Doxie, api: respx.MockRouter) -> None:
    """Lists that are null or not there are empty ones: a mail that went out is no error."""
    api.post("/api/ts/mailer/x").respond(json=accepted(sent_email_templates=None))
    result = await doxie.mailer.send("x", {})
    assert (result.sent_email_templates, result.sent_sms_templates) == ((), ())


async def test_an_empty_payload_is_sent(doxie: Doxie, api: respx.MockRouter) -> None:
    """An event that needs nothing gets an empty object, not an empty body."""
    route = api.post("/api/ts/mailer/willkommen").respond(json=accepted())
    await doxie.mailer.send("willkommen", {})
    assert body_of(route) == {}


async def test_an_injection(doxie: Doxie, api: respx.MockRouter) -> None:
    """The process is told, and what else the service says."""
    api.post("/api/ts/injector/reise").respond(json=accepted(data={"schritt": 1}))
    result = await doxie.injector.create("reise", {"kunde": "K-1"})
    assert (result.process_uuid, result.data) == ("9a5d", {"schritt": 1})


async def test_a_cancellation(doxie: Doxie, api: respx.MockRouter) -> None:
    """The process that was cancelled is told."""
    api.post("/api/ts/processes/1234567890/cancel").respond(json=accepted(process_uuid="1234567890"))
    assert (await doxie.processes.cancel("1234567890")).process_uuid == "1234567890"


async def test_a_process_that_was_cancelled_before(doxie: Doxie, api: respx.MockRouter) -> None:
    """A 422 is an error of its own, with the service's words."""
    body = {"success": False, "error_message": "Vorgang wurde bereits abgebrochen", "process_uuid": None}
    api.post("/api/ts/processes/9a5d/cancel").respond(422, json=body)
    with pytest.raises(AlreadyCancelled, match="bereits abgebrochen") as caught:
        await doxie.processes.cancel("9a5d")
    assert (caught.value.reason, caught.value.maybe_applied) == ("Vorgang wurde bereits abgebrochen", False)


async def test_a_cancellation_whose_answer_was_lost(doxie: Doxie, api: respx.MockRouter) -> None:
    """After an attempt in doubt, "cancelled already" is our own doing and no error."""
    api.post("/api/ts/processes/9a5d/cancel").mock(side_effect=[httpx.ReadError("lost"), httpx.Response(422)])
    with recording() as seen:
        result = await doxie.processes.cancel("9a5d")
    assert (result.process_uuid, seen.last.attempts, seen.last.replayed) == ("9a5d", 2, True)


@pytest.mark.parametrize(
    ("told", "expected"),
    [("mailer", EventType.MAILER), ("qr_code", EventType.QR_CODE), ("chatbot", "chatbot"), (None, None)],
)
async def test_an_event(
    doxie: Doxie, api: respx.MockRouter, told: str | None, expected: EventType | str | None
) -> None:
    """The kind is one of the known words, or the service's own; the configuration is kept as it is."""
    answer = {"success": True, "error_message": None, "type": told, "event": {"id": 12, "name": "Süd"}}
    route = api.get("/api/ts/events/1234567890").respond(json=answer)
    event = await doxie.events.get("1234567890", type=EventType.MAILER)
    assert (event.type, event.event) == (expected, {"id": 12, "name": "Süd"})
    assert query_of(route) == {"type": "mailer"}


async def test_an_event_of_no_kind_is_not_asked_for(doxie: Doxie) -> None:
    """A kind that the vendor does not have is refused with those that it has."""
    with pytest.raises(ArgumentError, match=r"^type must be one of mailer, survey, qr_code, injector$"):
        await doxie.events.get(12, type="newsletter")


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"email": "a@example.com"}, {"email": "a@example.com"}),
        ({"phone": "+491771234567"}, {"phone": "+491771234567"}),
        ({"email": "a@example.com", "phone": "+49177"}, {"email": "a@example.com", "phone": "+49177"}),
        (
            {"payload": {"email": "a@example.com", "frage": "Wie war’s?"}},
            {"email": "a@example.com", "frage": "Wie war’s?"},
        ),
        ({"payload": {"email": "alt@example.com"}, "email": "neu@example.com"}, {"email": "neu@example.com"}),
    ],
)
async def test_an_inquiry(doxie: Doxie, api: respx.MockRouter, arguments: dict[str, Any], sent: dict[str, Any]) -> None:
    """The address may come as an argument or within the payload; the argument wins."""
    route = api.post("/api/ts/survey/umfrage").respond(json=accepted(data=None))
    assert (await doxie.surveys.create_inquiry("umfrage", **arguments)).process_uuid == "9a5d"
    assert body_of(route) == sent


@pytest.mark.parametrize("arguments", [{}, {"payload": {"frage": 1}}, {"email": ""}, {"payload": {"phone": None}}])
async def test_an_inquiry_needs_somebody_to_ask(doxie: Doxie, arguments: dict[str, Any]) -> None:
    """Without an address nothing is sent."""
    with pytest.raises(ArgumentError, match=r"^give an email or a phone$"):
        await doxie.surveys.create_inquiry("umfrage", **arguments)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"url": "https://q.example.com/1", "svg": "<svg/>"},
        accepted(qr_code="https://q.example.com/1"),
        accepted(data={"url": "https://q.example.com/1"}),
        accepted(qr_code={"url": "https://q.example.com/1"}),
    ],
)
async def test_a_qr_code_in_every_shape(doxie: Doxie, api: respx.MockRouter, answer: dict[str, Any]) -> None:
    """The reference shows an empty object, so all that comes is kept."""
    api.post("/api/ts/qr_code/plakat").respond(json=answer)
    code = await doxie.qr_codes.create("plakat", {"target_url": "https://example.com", "valid_until": None})
    assert code.raw == answer


@pytest.mark.parametrize("address", [{"email": "a@example.com"}, {"phone": "+491771234567"}])
async def test_a_consent_is_asked_for(doxie: Doxie, api: respx.MockRouter, address: dict[str, str]) -> None:
    """Customer, consent and one address go out; the consent comes back out of its envelope."""
    route = api.post("/api/ts/mpm/consents/initiate").respond(json=accepted(data=CONSENT))
    consent = await doxie.consents.initiate("K-1", "newsletter", **address)
    assert body_of(route) == {"customer_id": "K-1", "consent_slug": "newsletter", **address}
    assert (consent.customer_id, consent.consent_slug) == ("K-1", "newsletter")
    assert (consent.contact_channel, consent.process_uuid) == ("email", "9a5d")


@pytest.mark.parametrize("addresses", [{}, {"email": "a@example.com", "phone": "+49177"}])
async def test_a_consent_has_one_address(doxie: Doxie, addresses: dict[str, str]) -> None:
    """No address and two of them are both refused."""
    with pytest.raises(ArgumentError, match=r"^give exactly one of email and phone$"):
        await doxie.consents.initiate("K-1", "newsletter", **addresses)


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [({"consent_slug": "newsletter"}, {"consent_slug": "newsletter"}), ({"revoke_all": True}, {"revoke_all": True})],
)
async def test_consents_are_revoked(
    doxie: Doxie, api: respx.MockRouter, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    """One or all of them; those that were revoked are told."""
    answer = {"success": True, "error_message": None, "data": {"revoked_consents": [CONSENT, CONSENT]}}
    route = api.post("/api/ts/mpm/consents/revoke").respond(json=answer)
    revoked = await doxie.consents.revoke("K-1", **arguments)
    assert body_of(route) == {"customer_id": "K-1"} | sent
    assert [consent.consent_slug for consent in revoked] == ["newsletter", "newsletter"]
    assert [consent.raw for consent in revoked] == [CONSENT, CONSENT]


@pytest.mark.parametrize("arguments", [{}, {"consent_slug": "newsletter", "revoke_all": True}])
async def test_a_revocation_says_which(doxie: Doxie, arguments: dict[str, Any]) -> None:
    """Neither nor both: the caller has to say which."""
    with pytest.raises(ArgumentError, match=r"^give either a consent_slug or revoke_all=True$"):
        await doxie.consents.revoke("K-1", **arguments)


@pytest.mark.parametrize("value", [None, "text", ["a"], 5, b"{}"], ids=repr)
async def test_a_payload_is_a_mapping(doxie: Doxie, value: Any) -> None:
    """What is no mapping is refused by the name of the argument."""
    for call in (doxie.mailer.send, doxie.injector.create, doxie.qr_codes.create):
        with pytest.raises(ArgumentError, match=r"^payload must be a mapping of names to values, not ") as caught:
            await call("x", value)
        assert isinstance(caught.value, DoxieError)


@pytest.mark.parametrize("value", [math.nan, date(2026, 1, 1), b"bytes", {1, 2}, "\ud800", object], ids=ascii)
async def test_a_payload_that_is_no_json(doxie: Doxie, value: Any) -> None:
    """What JSON cannot carry is refused before anything is sent."""
    error = await failure_of(doxie.mailer.send("x", {"feld": value}))
    assert isinstance(error, ArgumentError)
    assert isinstance(error, DoxieError)
    assert (error.attempts, error.maybe_applied) == (0, False)


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ([], "expected an object, got list"),
        ({"process_uuid": {}}, "process_uuid"),
        ({"sent_email_templates": "w"}, "sent_email_templates"),
    ],
)
async def test_an_answer_of_another_shape(doxie: Doxie, api: respx.MockRouter, answer: Any, place: str) -> None:
    """A mail whose answer makes no sense may have been sent; the error says where the answer is wrong."""
    api.post("/api/ts/mailer/x").respond(json=answer)
    with pytest.raises(DecodeError, match=place) as caught:
        await doxie.mailer.send("x", {})
    assert caught.value.maybe_applied


async def test_results_show_nothing_personal(doxie: Doxie, api: respx.MockRouter) -> None:
    """The repr of a result shows its process, and neither customers nor what came beside."""
    answer = CONSENT | {"customer_id": "kanarie", "email": "kanarie@example.com"}
    api.post("/api/ts/mpm/consents/initiate").respond(json=accepted(data=answer))
    consent = await doxie.consents.initiate("kanarie", "newsletter", email="kanarie@example.com")
    assert repr(consent) == "Consent(consent_slug='newsletter', contact_channel='email', process_uuid='9a5d')"
