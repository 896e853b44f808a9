"""Errors by meaning: numbers, bodies of every form, messages for people, and nothing that must not be shown."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import Any

import httpx
import pytest
import respx

import klickdoxie_core as core
import klicktipp_async as kta
from klicktipp_async import FieldValidationError, KlickTipp, KlickTippError, ResponseError, errors
from klicktipp_async.messages import MESSAGES

pytestmark = pytest.mark.anyio

MAIL = "kanarie@example.com"
PHONE = "+49151234567"

OPERATIONS: dict[str, Any] = {
    "upsert": (lambda kt: kt.contacts.upsert(email=MAIL, confirm=False), "POST", "/subscriber"),
    "update": (lambda kt: kt.contacts.update(1, email=MAIL), "PUT", "/subscriber/1"),
    "tag": (lambda kt: kt.contacts.tag(MAIL, 1), "POST", "/subscriber/tag"),
    "untag": (lambda kt: kt.contacts.untag(MAIL, 1), "POST", "/subscriber/untag"),
    "unsubscribe": (lambda kt: kt.contacts.unsubscribe(MAIL), "POST", "/subscriber/unsubscribe"),
    "account": (lambda kt: kt.account.get(), "GET", "/account"),
    "tags": (lambda kt: kt.tags.all(), "GET", "/tag"),
    "get_tag": (lambda kt: kt.tags.get(1), "GET", "/tag/1"),
}

CODES = [
    ("upsert", {"error": 4}, errors.AddressUnsubscribed),
    ("upsert", {"error": 5}, errors.InvalidEmail),
    ("upsert", {"error": 6}, errors.ConfirmationMailFailed),
    ("upsert", {"error": 7}, errors.FieldValidationError),
    ("update", {"error": 7}, errors.FieldValidationError),
    ("tag", {"error": 7}, errors.ContactNotFound),
    ("unsubscribe", {"error": 7}, errors.ContactNotFound),
    ("upsert", {"error": 8}, errors.FieldValidationError),
    ("upsert", {"error": 9}, errors.SubscriptionFailed),
    ("unsubscribe", {"error": 9}, errors.NotSubscribed),
    ("update", {"error": 10}, errors.ContactUpdateFailed),
    ("update", {"error": 10, "code": 5}, errors.InvalidEmail),
    ("update", {"error": 10, "code": 6}, errors.ConfirmationMailFailed),
    ("update", {"error": 10, "code": 9}, errors.SmsNumberTaken),
    ("update", {"error": 10, "code": 10}, errors.SmsNumberUnsubscribed),
    ("update", {"error": 10, "code": 11}, errors.InvalidPhone),
    ("update", {"error": 10, "code": 30}, errors.AddressBlocked),
    ("update", {"error": 10, "code": 99}, errors.ContactUpdateFailed),
    ("upsert", {"error": 11}, errors.InvalidPhone),
    ("upsert", {"error": 12}, errors.InternalError),
    ("upsert", {"error": 30}, errors.AddressBlocked),
    ("update", {"error": 30}, errors.EmailChangeRefused),
    ("untag", {"error": 31}, errors.SmartTagProtected),
    ("upsert", {"error": 32}, errors.MissingIdentifier),
    ("tag", {"error": 401}, errors.ContactNotFound),
    ("account", {"error": 401}, errors.NotFound),
    ("upsert", {"error": 402}, errors.OptInNotFound),
    ("tag", {"error": 403}, errors.TagNotFound),
    ("update", {"error": 507}, errors.EmailTaken),
    ("upsert", {"error": "9"}, errors.SubscriptionFailed),
    ("update", {"error": "10", "code": "9"}, errors.SmsNumberTaken),
    ("upsert", {"error": 4711}, errors.BusinessError),
    ("upsert", {"reason": "zu lang", "name": "fieldZip"}, errors.FieldValidationError),
]


@pytest.mark.parametrize(("operation", "body", "error"), CODES)
async def test_numbers_mean_what_they_mean(
    kt: KlickTipp, api: respx.MockRouter, operation: str, body: Any, error: type[KlickTippError]
) -> None:
    """Each number becomes its class, by operation where the vendor's pages disagree; the raw numbers stay."""
    call, method, path = OPERATIONS[operation]
    route = api.request(method, path).respond(406, json=body)
    with pytest.raises(error) as caught:
        await call(kt)
    assert type(caught.value) is error
    assert caught.value.code == int(body.get("error", 8))
    assert caught.value.subcode == (int(body["code"]) if "code" in body else None)
    assert caught.value.ambiguous is (caught.value.code in {4, 7, 9, 30, 401})
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("operation", "body", "attempts"),
    [("tag", {"error": 12}, 2), ("upsert", {"error": 12}, 1), ("tag", {"error": 6}, 1)],
)
async def test_internal_error_is_tried_once_more_where_that_is_safe(
    kt: KlickTipp, api: respx.MockRouter, operation: str, body: Any, attempts: int
) -> None:
    """The vendor's internal error gets one more try for a repeatable write; the write stays in doubt."""
    call, method, path = OPERATIONS[operation]
    route = api.request(method, path).respond(406, json=body)
    with pytest.raises(KlickTippError) as caught:
        await call(kt)
    assert (route.call_count, caught.value.attempts, caught.value.maybe_applied) == (attempts, attempts, True)


@pytest.mark.parametrize(
    ("status", "answer", "error", "said"),
    [
        (406, {"json": ["Tag konnte nicht erstellt werden."]}, errors.BusinessError, "Tag konnte nicht"),
        (406, {"json": {"error": 507, "error_message": "Schon vergeben."}}, errors.EmailTaken, "Schon vergeben"),
        (406, {"html": "<html>502</html>"}, errors.BusinessError, "406"),
        (406, {"content": b""}, errors.BusinessError, "406"),
        (405, {"json": "No route found"}, errors.ResponseError, "No route found"),
        (404, {"content": b""}, errors.TagNotFound, "no such tag"),
        (404, {"json": ["Kein Tag mit dieser ID."]}, errors.TagNotFound, "Kein Tag mit"),
        (404, {"text": "[Kein Tag mit dieser ID.]"}, errors.TagNotFound, "Kein Tag mit"),
        (404, {"json": "Kein Tag mit dieser ID."}, errors.TagNotFound, "Kein Tag mit"),
        (404, {"json": []}, errors.TagNotFound, "no such tag"),
        (400, {"json": ['The key "x" must be a string.']}, errors.BadRequest, "must be a string"),
        (409, {"json": ["vergeben"]}, errors.Conflict, "vergeben"),
        (403, {"json": ["API access denied."]}, errors.Forbidden, "plan has no API access"),
        (401, {"json": ["Missing required argument email"]}, errors.MissingArgument, "Missing required"),
        (401, {"json": {"error": 32}}, errors.MissingIdentifier, "error 32"),
        (418, {"json": {"x": 1}}, errors.ResponseError, "418"),
        (500, {"content": b""}, errors.ServerError, "500"),
        (429, {"json": {"error": 429}}, errors.RateLimited, "429"),
        (404, {"json": {"error": 404}}, errors.TagNotFound, "no such tag"),
        (502, {"json": {"error": 502}}, errors.ServerError, "502"),
        (302, {"headers": {"location": "https://elsewhere.example/"}}, errors.Redirected, "redirects"),
        (200, {"json": {"error": 5}}, errors.InvalidEmail, "error 5"),
        (200, {"html": "<!doctype html>"}, errors.DecodeError, "web page"),
        (200, {"content": b""}, errors.DecodeError, "empty"),
    ],
)
async def test_bodies_of_every_form(
    kt: KlickTipp, api: respx.MockRouter, status: int, answer: Any, error: type[KlickTippError], said: str
) -> None:
    """Lists, objects, texts, web pages and empty bodies all become the right class, with the vendor's words."""
    call, method, path = OPERATIONS["get_tag"]
    api.request(method, path).respond(status, **answer)
    with pytest.raises(error, match=said) as caught:
        await call(kt)
    assert type(caught.value) is error
    assert caught.value.status == status


STRANGERS = [
    ({"html": "<html><title>404 Not Found</title></html>"}, "404 with a web page; check base_url"),
    ({"content": "\ufeff\r\n<!DOCTYPE html>".encode()}, "404 with a web page; check base_url"),
    (
        {"json": 'No route found for "GET https://x/api/a"'},
        r"no such route \(the service says: No route.*; check base_url",
    ),
    ({"json": ["Could not find resource subscribers."]}, "no such route .*; check base_url"),
    ({"text": "404 page not found"}, "no such route .*; check base_url"),
    ({"text": "File not found.\n"}, "no such route .*; check base_url"),
    ({"text": "default backend - 404"}, "no such route .*; check base_url"),
    ({"text": "Kein <b>Tag</b>"}, "404 in a form that KlickTipp does not use .*; check base_url"),
    ({"json": {"message": "no Route matched"}}, "404 in a form that KlickTipp does not use; check base_url"),
    ({"json": {"status": 404, "error": "Not Found", "path": "/tag"}}, "404 in a form .*; check base_url"),
    ({"json": [1, 2]}, "404 in a form that KlickTipp does not use; check base_url"),
    ({"json": False}, "404 in a form that KlickTipp does not use; check base_url"),
]


@pytest.mark.parametrize(("answer", "said"), STRANGERS)
async def test_a_404_of_somebody_else_does_not_say_that_there_is_none(
    kt: KlickTipp, api: respx.MockRouter, answer: Any, said: str
) -> None:
    """A web server, a gateway or a router has answered, and not the service; that is told, and is no `NotFound`."""
    routes = [api.route(method=method, path="/tag/1").respond(404, **answer) for method in ("GET", "DELETE")]
    for call in (kt.tags.get, kt.tags.delete):
        with pytest.raises(errors.DecodeError, match=said) as caught:
            await call(1)
        assert not isinstance(caught.value, errors.NotFound)
        assert caught.value.user_message() == "KlickTipp gave an unexpected answer."
        assert (caught.value.status, caught.value.attempts, caught.value.maybe_applied) == (404, 1, False)
    assert [route.call_count for route in routes] == [1, 1]


async def test_a_404_of_somebody_else_does_not_end_the_doubt(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A delete whose answer was lost is not taken for done by it."""
    api.delete("/tag/1").mock(side_effect=[httpx.ReadError("lost"), httpx.Response(404, html="<html>")])
    with pytest.raises(errors.DecodeError, match="may have been executed") as caught:
        await kt.tags.delete(1)
    assert (caught.value.maybe_applied, caught.value.attempts) == (True, 2)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (302, errors.Redirected, "redirects are not followed; it sent a web page; check base_url"),
        (403, errors.Forbidden, "the keys are wrong; it sent a web page; check base_url"),
        (405, errors.ResponseError, "405; it sent a web page; check base_url"),
        (502, errors.ServerError, "502; it sent a web page; attempts"),
    ],
)
async def test_a_web_page_is_named(
    kt: KlickTipp, api: respx.MockRouter, status: int, error: type[KlickTippError], said: str
) -> None:
    """Whatever the status; the class is that of the status, and a failure of the server is no matter of the URL."""
    api.get("/tag").respond(status, html="<html>kanarie@example.com</html>")
    with pytest.raises(error, match=said) as caught:
        await kt.tags.all()
    assert type(caught.value) is error
    assert MAIL not in f"{caught.value!r}"


@pytest.mark.parametrize("body", [{"error": 502}, {"error": "1015", "code": 3}])
async def test_a_number_of_a_gateway_promises_nothing(kt: KlickTipp, api: respx.MockRouter, body: Any) -> None:
    """A write that a gateway answers for, with a number of its own, may have been carried out."""
    api.post("/subscriber").respond(502, json=body)
    with pytest.raises(errors.ServerError) as caught:
        await kt.contacts.upsert(email=MAIL, confirm=False)
    assert (caught.value.maybe_applied, caught.value.code) == (True, None)


@pytest.mark.parametrize("body", [{"error": True}, {"error": True, "code": True}, {"error": "4711x"}, {"error": ""}])
async def test_what_only_looks_like_a_number_is_none(kt: KlickTipp, api: respx.MockRouter, body: Any) -> None:
    """A plain yes is not the error 1."""
    api.get("/account").respond(406, json=body)
    with pytest.raises(KlickTippError) as caught:
        await kt.account.get()
    assert (caught.value.status, caught.value.code, caught.value.subcode) == (406, None, None)


async def test_field_validation_tells_which_field_and_why(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Error 8 carries the field, its key, the reason and the value; only the value stays out of sight."""
    body = {"error": 8, "field": "Leadwert", "name": "fieldLeadValue", "reason": "muss Zahl sein", "field_value": MAIL}
    api.post("/subscriber").respond(406, json=body)
    with pytest.raises(FieldValidationError) as caught:
        await kt.contacts.upsert(email=MAIL, fields={"LeadValue": 7})
    error = caught.value
    assert "a value does not fit its data field 'fieldLeadValue'; nothing was changed" in str(error)
    assert error.details == {"field": "Leadwert", "name": "fieldLeadValue", "reason": "muss Zahl sein", "value": MAIL}
    assert (error.field, error.name, error.reason, error.value) == (
        "Leadwert",
        "fieldLeadValue",
        "muss Zahl sein",
        MAIL,
    )
    assert error.user_message("de") == "Der Wert eines Datenfelds passt nicht. Leadwert: muss Zahl sein"
    assert MAIL not in f"{error}{error!r}{pickle.dumps(error)!r}"


@pytest.mark.parametrize("name", ["fieldZip", MAIL, "", None, 7, ["fieldFirstName"]])
async def test_a_key_that_was_not_sent_is_not_shown(kt: KlickTipp, api: respx.MockRouter, name: object) -> None:
    """The answer may hold anything under that name."""
    api.post("/subscriber").respond(406, json={"error": 8, "name": name})
    with pytest.raises(FieldValidationError, match="fit its data field; nothing was changed"):
        await kt.contacts.upsert(email=MAIL, fields={"fieldFirstName": "A"})


async def test_a_key_that_looks_personal_is_not_shown(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Not even where it was sent."""
    api.post("/subscriber").respond(406, json={"error": 8, "name": MAIL})
    with pytest.raises(FieldValidationError) as caught:
        await kt.request("POST", "/subscriber", body={MAIL: 1})
    assert MAIL not in str(caught.value)


async def test_a_number_that_nobody_knows(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The error says that its meaning is not known, instead of one that is made up."""
    api.post("/tag").respond(406, json={"error": 999})
    with pytest.raises(errors.BusinessError, match="error 999: a reason that the vendor does not publish"):
        await kt.tags.create("Kunde")


async def test_a_name_that_is_taken_leads_to_ensure(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Whoever wants the tag whether it exists or not is told how."""
    api.post("/tag").respond(406, json=["Tag konnte nicht erstellt werden."])
    with pytest.raises(errors.BusinessError, match=r"tags\.ensure gives the id"):
        await kt.tags.create("Kunde")


def every_error() -> list[type[KlickTippError]]:
    """The base and all that is below it."""
    found = [KlickTippError]
    for kind in found:
        found.extend(sub for sub in kind.__subclasses__() if sub not in found)
    return found


@pytest.mark.parametrize("kind", every_error())
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_error_has_a_message_for_people(kind: type[KlickTippError], language: Any) -> None:
    """Every class speaks English and German, and the two differ."""
    error = kind("technical", core.Facts(status=406))
    assert error.user_message(language).endswith(".")
    assert error.user_message("en") != error.user_message("de")


def test_messages_belong_to_classes() -> None:
    """No message stands for a class that does not exist."""
    assert set(MESSAGES) <= {kind.__name__ for kind in every_error()}


@pytest.mark.parametrize("kind", every_error())
def test_every_error_is_pickled_whole(kind: type[KlickTippError]) -> None:
    """Class, text and facts survive a trip to another process."""
    facts = core.Facts(operation="Get Tag", method="GET", template="/tag/{id}", status=404, code=403, attempts=2)
    error = kind("gone", facts)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.facts) == (kind, str(error), facts)


def test_every_class_of_the_core_has_its_twin() -> None:
    """Whatever the engine raises is a `KlickTippError` and the core's class at once."""
    found = [core.SdkError]
    for kind in found:
        found.extend(sub for sub in kind.__subclasses__() if sub.__module__ == "klickdoxie_core.errors")
    for kind in found[1:]:
        twin = errors.FAMILY[kind]
        assert issubclass(twin, kind)
        assert issubclass(twin, KlickTippError)
        assert twin.__name__ == kind.__name__
        assert getattr(kta, kind.__name__) is kind


def test_the_top_level_catches_what_is_raised() -> None:
    """`except klicktipp_async.ResponseError` catches the vendor's errors."""
    assert issubclass(errors.TagNotFound, kta.NotFound)
    assert issubclass(errors.BusinessError, ResponseError)


@pytest.mark.parametrize(
    "outcome",
    [
        httpx.Response(406, json={"error": 8, "field_value": MAIL, "reason": f"{MAIL} 0049151234567", "name": "x"}),
        httpx.Response(400, json=[f"Ungültig: {MAIL}, +49 151 234567"]),
        httpx.Response(200, json={"id": "x", "email": MAIL, "sms_phone": "0049151234567"}),
        httpx.Response(200, text=f"<p>{MAIL}</p>"),
        httpx.Response(500, text=f"trace of {MAIL}", headers={"set-cookie": "SSESS=kanarie-sitzung"}),
        httpx.ReadError(f"lost {MAIL}"),
        httpx.RemoteProtocolError(f"illegal header: {MAIL}"),
    ],
)
async def test_canaries_never_show(
    kt: KlickTipp, api: respx.MockRouter, caplog: pytest.LogCaptureFixture, outcome: httpx.Response | Exception
) -> None:
    """Neither text, repr, traceback, pickle nor debug log of any failure holds a key, a cookie or personal data."""
    api.post("/subscriber").mock(side_effect=[outcome])
    with caplog.at_level(logging.DEBUG, logger="klickdoxie_core"), pytest.raises(KlickTippError) as caught:
        await kt.contacts.upsert(email=MAIL, sms_number=PHONE, confirm=False)
    error = caught.value
    trace = "".join(traceback.format_exception(error))
    seen = f"{error}{error!r}{error.body!r}{caplog.text}{pickle.dumps(error)!r}{trace}"
    for canary in (MAIL, "kanarie", "151234567", "151 234567", "customer", "X-Ci"):
        assert canary not in seen
