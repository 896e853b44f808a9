"""Contacts on the wire: what is sent, what comes back, and what is refused before."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import respx

from klickdoxie_core import Clock
from klicktipp_async import (
    ArgumentError,
    BadRequest,
    Bounce,
    BusinessError,
    ContactNotFound,
    ContactStatus,
    DecodeError,
    FieldSchema,
    FieldType,
    KeyPair,
    KlickTipp,
    NotFound,
    TagNotFound,
    recording,
)
from klicktipp_async.sandbox import Sandbox, WireFormat

pytestmark = pytest.mark.anyio

MAIL = "käthe@example.com"


def body_of(route: respx.Route) -> Any:
    """What the last request of a route carried."""
    return json.loads(route.calls.last.request.content)


async def test_upsert_sends_what_is_given_as_json(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """An upsert sends JSON with the vendor's names and leaves out what was not given."""
    route = api.post("/subscriber").respond(json=load("contacts/full"))
    contact = await kt.contacts.upsert(email=MAIL, opt_in_id=12, tag_id=21, fields={"FirstName": "Käthe", "field77": 5})
    assert body_of(route) == {
        "email": MAIL,
        "listid": 12,
        "tagid": 21,
        "fields": {"fieldFirstName": "Käthe", "field77": "5"},
    }
    assert route.calls.last.request.headers["content-type"] == "application/json"
    assert contact.id == 4711


async def test_full_contact_becomes_typed(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """Ids become ints, words become enums, maps become times in UTC, and unknown maps are kept."""
    api.get("/subscriber/4711").respond(json=load("contacts/full"))
    contact = await kt.contacts.get(4711)
    assert (contact.id, contact.opt_in_id, contact.tags) == (4711, 12, (17, 21))
    assert (contact.status, contact.bounce) == (ContactStatus.SUBSCRIBED, Bounce.NONE)
    assert contact.optin == datetime(2025, 12, 24)  # noqa: DTZ001 - the vendor tells no zone
    assert contact.date == datetime(2025, 12, 24, 18, 5, 9)  # noqa: DTZ001 - the vendor tells no zone
    assert contact.unsubscription is None
    assert contact.manual_tags == {21: datetime(2025, 10, 6, 12, 27, 57, tzinfo=UTC)}
    assert contact.emails_opened == {}
    assert contact.extra == {"outbound": {"9": "1759753680"}}
    assert contact.field("FirstName") == "Käthe"
    assert contact.field("fieldBirthday") == date(1993, 12, 7)
    assert contact.field("field78") is None


async def test_fresh_contact_without_maps(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """Nulls and absent maps of a fresh contact become None and empty maps."""
    api.get("/subscriber/key01234567890123456").respond(json=load("contacts/fresh"))
    contact = await kt.contacts.get("key01234567890123456")
    assert contact.status is ContactStatus.PENDING
    assert (contact.sms_phone, contact.sms_status, contact.date) == (None, None, None)
    assert (contact.tags, contact.manual_tags, contact.campaigns_started) == ((), {}, {})
    assert contact.field("fieldBirthday") is None


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        ({"status": "Ruhend"}, "status", "Ruhend"),
        ({"status": "subscribed"}, "status", ContactStatus.SUBSCRIBED),
        ({"bounce": "Hard Bounce"}, "bounce", Bounce.HARD),
        ({"id": 4711, "listid": 12}, "opt_in_id", 12),
        ({"listid": ""}, "opt_in_id", None),
        ({"tags": []}, "tags", ()),
        ({"tags": None}, "tags", ()),
        ({"manual_tags": None}, "manual_tags", {}),
        ({"optin": "gestern"}, "optin", None),
        ({"optin": "31.02.2025"}, "optin", None),
    ],
)
async def test_contact_oddities(
    kt: KlickTipp, api: respx.MockRouter, load: Any, changes: dict[str, Any], attribute: str, value: Any
) -> None:
    """Unknown words, both spellings of ids, empty lists for maps and unreadable dates do not cost the contact."""
    api.get("/subscriber/4711").respond(json=load("contacts/full") | changes)
    contact = await kt.contacts.get(4711)
    assert getattr(contact, attribute) == value


async def test_a_field_without_a_value_is_empty(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """A null says the same as an empty text."""
    api.get("/subscriber/4711").respond(json=load("contacts/full") | {"fieldZip": None})
    contact = await kt.contacts.get(4711)
    assert (contact.fields["fieldZip"], contact.field("Zip")) == ("", None)


async def test_unreadable_date_is_kept(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """A date in a form that nobody knows stays reachable as it came."""
    api.get("/subscriber/4711").respond(json=load("contacts/full") | {"optin": "gestern"})
    assert (await kt.contacts.get(4711)).extra["optin_text"] == "gestern"


async def test_repr_shows_nothing_personal(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """A contact's repr shows its id and status only."""
    api.get("/subscriber/4711").respond(json=load("contacts/full"))
    assert repr(await kt.contacts.get(4711)) == "Contact(id=4711, status=<ContactStatus.SUBSCRIBED: 'subscribed'>)"


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        (["29513792", "29513793"], [29513792, 29513793]),
        ([1, 2], [1, 2]),
        ({"subscribers": ["123", "456"]}, [123, 456]),
        ({"subscriberIds": ["1", "2"], "nextCursor": None}, [1, 2]),
        ({"0": "7", "5": "8"}, [7, 8]),
        ({"subscribers": {"3": "9"}}, [9]),
        ([], []),
        ({"subscribers": []}, []),
    ],
)
async def test_ids_in_every_shape(kt: KlickTipp, api: respx.MockRouter, answer: Any, ids: list[int]) -> None:
    """The contact list is read in each of its shapes."""
    api.get("/subscriber").respond(json=answer)
    assert await kt.contacts.ids() == ids


async def test_ids_follow_the_cursor(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A list that comes with a cursor is read to its end."""
    first = api.get("/subscriber", params={"cursor": "abc"}).respond(json={"subscriberIds": ["3"], "nextCursor": None})
    api.get("/subscriber").respond(json={"subscriberIds": ["1", "2"], "nextCursor": "abc"})
    assert await kt.contacts.ids() == [1, 2, 3]
    assert first.call_count == 1


async def test_no_contacts_is_an_empty_list(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The 404 of an empty account becomes an empty list."""
    api.get("/subscriber").respond(404, json=["Es existieren keine Kontakte."])
    assert await kt.contacts.ids() == []


async def test_filters_are_joined_by_commas(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Several words of a filter leave as one value."""
    route = api.get("/subscriber").respond(json=[])
    await kt.contacts.ids(status=["pending", ContactStatus.SUBSCRIBED], bounce=Bounce.HARD)
    assert dict(route.calls.last.request.url.params) == {"status": "pending,subscribed", "bounceStatus": "hardbounce"}


@pytest.mark.parametrize(("answer", "expected"), [([3], 3), (["3"], 3), ([], None)])
async def test_find_id(kt: KlickTipp, api: respx.MockRouter, answer: Any, expected: int | None) -> None:
    """The one-item list of a search becomes its id, an empty one None."""
    api.post("/subscriber/search").respond(json=answer)
    assert await kt.contacts.find_id(MAIL) == expected


async def test_find_id_of_nobody_with_a_broken_body(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A 404 whose body is not even JSON means that there is nobody."""
    api.post("/subscriber/search").respond(404, text="[Diesen Kontakt gibt es nicht.]")
    assert await kt.contacts.find_id(MAIL) is None


ELSEWHERE = httpx.Response(404, html="<html><h1>404 Not Found</h1></html>")


async def collected(contacts: AbstractAsyncContextManager[AsyncIterator[Any]]) -> list[Any]:
    """All that an iteration gives."""
    async with contacts as found:
        return [each async for each in found]


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda contacts: contacts.find_id(MAIL), "/subscriber/search"),
        (lambda contacts: contacts.get(1), "/subscriber/1"),
        (lambda contacts: contacts.delete(1), "/subscriber/1"),
        (lambda contacts: contacts.unsubscribe(MAIL), "/subscriber/unsubscribe"),
        (lambda contacts: contacts.ids(), "/subscriber"),
        (lambda contacts: contacts.tagged(17), "/subscriber/tagged"),
        (lambda contacts: collected(contacts.iter()), "/subscriber"),
        (lambda contacts: collected(contacts.iter_ids()), "/subscriber"),
    ],
    ids=["find_id", "get", "delete", "unsubscribe", "ids", "tagged", "iter", "iter_ids"],
)
async def test_a_404_of_a_web_server_is_not_nobody(kt: KlickTipp, api: respx.MockRouter, call: Any, path: str) -> None:
    """With a wrong base URL an account is not empty, and nothing is gone."""
    api.route(path=path).mock(return_value=ELSEWHERE)
    with pytest.raises(DecodeError, match="check base_url"):
        await call(kt.contacts)


async def test_iter_does_not_leave_out_what_a_web_server_does_not_know(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Only a contact that is not there is left out."""
    api.get("/subscriber").respond(json=["1"])
    api.get("/subscriber/1").mock(return_value=ELSEWHERE)
    with pytest.raises(DecodeError, match="check base_url"):
        await collected(kt.contacts.iter())


async def test_tagged_sends_explicit_filters(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The tagged search sends both filters in the body, and reads unix seconds as UTC."""
    route = api.post("/subscriber/tagged").respond(json={"155986456": "1735426641"})
    assert await kt.contacts.tagged(17) == {155986456: datetime(2024, 12, 28, 22, 57, 21, tzinfo=UTC)}
    await kt.contacts.tagged(17, status=None, bounce=None)
    for call in route.calls:
        assert json.loads(call.request.content) == {
            "tagid": 17,
            "status": ["subscribed"],
            "bounceStatus": ["softbounce", "spambounce", "nobounce"],
        }


async def test_tagged_with_nobody(kt: KlickTipp, api: respx.MockRouter) -> None:
    """An empty list in place of the map means nobody; an unknown tag is an error."""
    api.post("/subscriber/tagged").mock(
        side_effect=[httpx.Response(200, json=[]), httpx.Response(404), httpx.Response(406, json={"error": 403})]
    )
    assert await kt.contacts.tagged(17) == {}
    assert await kt.contacts.tagged(17) == {}
    with pytest.raises(TagNotFound):
        await kt.contacts.tagged(18)


async def test_update_sends_the_vendors_names(kt: KlickTipp, api: respx.MockRouter) -> None:
    """An update sends only what is given, None included, under the vendor's names."""
    route = api.put("/subscriber/4711").respond(json=[True])
    await kt.contacts.update(4711, email="neu@example.com", sms_number=None)
    assert body_of(route) == {"newemail": "neu@example.com", "newsmsnumber": None}


@pytest.mark.parametrize(
    ("call", "method", "path", "body"),
    [
        (lambda kt: kt.contacts.tag(MAIL, [17, 18]), "POST", "/subscriber/tag", {"email": MAIL, "tagids": [17, 18]}),
        (lambda kt: kt.contacts.tag(MAIL, 17), "POST", "/subscriber/tag", {"email": MAIL, "tagids": [17]}),
        (lambda kt: kt.contacts.untag(MAIL, 17), "POST", "/subscriber/untag", {"email": MAIL, "tagid": 17}),
        (lambda kt: kt.contacts.unsubscribe(MAIL), "POST", "/subscriber/unsubscribe", {"email": MAIL}),
    ],
)
async def test_writes_by_address(
    kt: KlickTipp, api: respx.MockRouter, call: Any, method: str, path: str, body: Any
) -> None:
    """Tags and unsubscriptions go by address and answer `[true]`."""
    route = api.request(method, path).respond(json=[True])
    assert await call(kt) is None
    assert body_of(route) == body


@pytest.mark.parametrize("answer", [httpx.Response(200, json=True), httpx.Response(204)])
async def test_done_in_other_words(kt: KlickTipp, api: respx.MockRouter, answer: httpx.Response) -> None:
    """A bare `true` and an empty 204 say the same as `[true]`."""
    api.delete("/subscriber/4711").mock(return_value=answer)
    await kt.contacts.delete(4711)


async def test_delete_of_nobody(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A 404 without a body names what is missing by what was asked for."""
    api.delete("/subscriber/4711").respond(404)
    with pytest.raises(ContactNotFound) as caught:
        await kt.contacts.delete(4711)
    assert not caught.value.maybe_applied


async def test_delete_that_was_carried_out_before(kt: KlickTipp, api: respx.MockRouter) -> None:
    """After an attempt whose answer was lost, "not found" means that the delete has worked."""
    api.delete("/subscriber/4711").mock(side_effect=[httpx.ReadError("lost"), httpx.Response(404)])
    with recording() as seen:
        await kt.contacts.delete(4711)
    assert (seen.last.attempts, seen.last.replayed) == (2, True)


@pytest.mark.parametrize(
    ("call", "path", "code"),
    [
        (lambda kt: kt.contacts.unsubscribe(MAIL), "/subscriber/unsubscribe", 7),
        (lambda kt: kt.contacts.unsubscribe(MAIL), "/subscriber/unsubscribe", 9),
        (lambda kt: kt.contacts.untag(MAIL, 17), "/subscriber/untag", 403),
    ],
)
async def test_a_change_that_was_carried_out_before(
    kt: KlickTipp, api: respx.MockRouter, call: Any, path: str, code: int
) -> None:
    """After a lost answer, a refusal that says "it is so already" means that it has worked."""
    route = api.post(path).mock(side_effect=[httpx.ReadError("lost"), httpx.Response(406, json={"error": code})])
    await call(kt)
    assert route.call_count == 2


async def test_update_of_nobody(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The vendor's 406 without a number says so in words."""
    api.put("/subscriber/1").respond(406, json=["Der Kontakt existiert nicht."])
    with pytest.raises(ContactNotFound, match=r"no such contact .*Der Kontakt existiert nicht") as caught:
        await kt.contacts.update(1, fields={"fieldZip": "01067"})
    assert caught.value.code is None


async def test_a_change_that_is_refused_in_other_words(kt: KlickTipp, api: respx.MockRouter) -> None:
    """What does not say that the contact is missing is the account's refusal, and no word at all says nothing."""
    api.put("/subscriber/1").respond(406, json=["Das geht gerade nicht."])
    api.delete("/subscriber/1").mock(side_effect=[httpx.Response(406), httpx.Response(406, json=["Unbekannt."])])
    for refused in (kt.contacts.update(1, email="anna@example.com"), kt.contacts.delete(1)):
        with pytest.raises(BusinessError):
            await refused
    # A delete is refused for no other reason, whatever the words.
    with pytest.raises(ContactNotFound):
        await kt.contacts.delete(1)


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_contact_that_is_not_there(language: Any) -> None:
    """Each form in which the service says so is the one error."""
    async with Sandbox(wire_format=WireFormat(language=language)) as box:
        contacts, opt_ins = box.client().contacts, box.client().opt_ins
        for call in (
            contacts.get(1),
            contacts.update(1, fields={"fieldZip": "01067"}),
            contacts.delete(1),
            contacts.tag("anna@example.com", box.add_tag("Kunde")),
            contacts.unsubscribe("anna@example.com"),
            opt_ins.redirect_url(box.single_opt_in_id, "anna@example.com"),
        ):
            with pytest.raises(ContactNotFound):
                await call


async def test_a_delete_whose_answer_is_lost_has_worked(clock: Clock) -> None:
    """Sent again, it finds nothing: contacts, tags, data fields and opt-in processes alike."""
    async with Sandbox() as box:
        kt = box.client(clock=clock)
        (contact,) = box.seed_contacts(1)
        deletes = {
            "Delete Contact": partial(kt.contacts.delete, contact),
            "Delete Tag": partial(kt.tags.delete, box.add_tag("Kunde")),
            "Delete Data Field": partial(kt.fields.delete, box.add_field("Kundennummer")),
            "Delete Opt-in Process": partial(kt.opt_ins.delete, box.add_opt_in("Messe")),
        }
        for operation, delete in deletes.items():
            box.drop(operation)
            await delete()
            assert box.count(operation) == 2
            with pytest.raises(NotFound):
                await delete()


@pytest.mark.parametrize(
    "call",
    [
        lambda contacts, who: contacts.get(who),
        lambda contacts, who: contacts.update(who, fields={"fieldZip": "01067"}),
        lambda contacts, who: contacts.delete(who),
    ],
    ids=["get", "update", "delete"],
)
async def test_an_address_is_no_identifier(kt: KlickTipp, call: Any) -> None:
    """It is refused before anything is sent, and the way to the id is told; the address is not."""
    with pytest.raises(ArgumentError, match=r"an id or a contact key, .* contacts\.find_id\(email\)") as caught:
        await call(kt.contacts, MAIL)
    assert "example" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda kt: kt.contacts.upsert(email=MAIL, tag_id="Kanarie"), "tag_id"),
        (lambda kt: kt.contacts.untag(MAIL, "Kanarie"), "tag_id"),
        (lambda kt: kt.contacts.tagged("Kanarie"), "tag_id"),
        (lambda kt: kt.contacts.tag(MAIL, [1, "Kanarie"]), "tag_ids"),
        (lambda kt: kt.tags.get("Kanarie"), "tag_id"),
        (lambda kt: kt.tags.update("Kanarie", text=""), "tag_id"),
        (lambda kt: kt.tags.delete("Kanarie"), "tag_id"),
    ],
)
async def test_the_name_of_a_tag_is_no_id(kt: KlickTipp, call: Any, argument: str) -> None:
    """It is refused before anything is sent, and the way to the id is told."""
    with pytest.raises(
        ArgumentError, match=rf"{argument} must be a whole number; tags\.ensure gives the ids"
    ) as caught:
        await call(kt)
    assert "Kanarie" not in str(caught.value)


@pytest.mark.parametrize("contact", ["a b/c", "..", ".", "", "a\r\nb", "a\x00", "\ud800", "a\\b"])
async def test_hostile_identifiers_never_leave(kt: KlickTipp, contact: str) -> None:
    """An identifier that would change the path is refused before anything is sent."""
    with pytest.raises(ArgumentError, match="contact"):
        await kt.contacts.get(contact)


async def test_identifiers_are_quoted(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """What is allowed in an identifier arrives as it is."""
    route = api.get(path__regex="/subscriber/.*").respond(json=load("contacts/full"))
    await kt.contacts.get("ä?%2e%2e#")
    assert route.calls.last.request.url.raw_path == b"/subscriber/%C3%A4%3F%252e%252e%23"


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda kt: kt.contacts.upsert(), "email"),
        (lambda kt: kt.contacts.upsert(email="keine Adresse"), "email"),
        (lambda kt: kt.contacts.upsert(sms_number="abc"), "sms_number"),
        (lambda kt: kt.contacts.upsert(email=MAIL, fields={"field1": date(2026, 1, 1)}), "field1"),
        (lambda kt: kt.contacts.update(1), "fields"),
        (lambda kt: kt.contacts.update(1, email="@"), "email"),
        (lambda kt: kt.contacts.find_id("nobody"), "email"),
        (lambda kt: kt.contacts.tag(MAIL, []), "tag_ids"),
        (lambda kt: kt.contacts.ids(status="weg"), "status"),
        (lambda kt: kt.contacts.ids(bounce=[]), "bounce"),
        (lambda kt: kt.contacts.unsubscribe("a\nb@example.com"), "email"),
    ],
)
async def test_bad_arguments_are_named(kt: KlickTipp, call: Any, argument: str) -> None:
    """A bad value is refused before anything is sent, by the name of its argument and without the value."""
    with pytest.raises(ArgumentError, match=argument) as caught:
        await call(kt)
    assert not caught.value.maybe_applied
    assert "keine Adresse" not in str(caught.value)


async def test_iter_fetches_whole_contacts(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """Iterating lists the ids and gets each contact; one that is deleted meanwhile is left out."""
    api.get("/subscriber").respond(json=["1", "2", "3"])
    for number in (1, 3):
        api.get(f"/subscriber/{number}").respond(json=load("contacts/full") | {"id": str(number)})
    api.get("/subscriber/2").respond(404)
    async with kt.contacts.iter(concurrency=2) as contacts:
        assert sorted([contact.id async for contact in contacts]) == [1, 3]


async def test_iter_may_be_left_in_the_middle() -> None:
    """Whoever breaks off leaves no generator behind."""
    async with Sandbox() as box:
        box.seed_contacts(3)
        async with box.client().contacts.iter(concurrency=1) as contacts:
            assert (await anext(contacts)).id in box.contacts
    gc.collect()


async def test_iter_raises_other_errors(kt: KlickTipp, api: respx.MockRouter) -> None:
    """An error that is no 404 ends the iteration as itself."""
    api.get("/subscriber").respond(json=["1"])
    api.get("/subscriber/1").respond(400)
    async with kt.contacts.iter() as contacts:
        with pytest.raises(BadRequest, match="400"):
            await anext(contacts)


async def test_schema_types_fields_both_ways(api: respx.MockRouter, load: Any) -> None:
    """With a schema, values leave in the wire's form and come back as Python values."""
    schema = FieldSchema({"field77": FieldType.DECIMAL, "field78": FieldType.DATETIME})
    async with KlickTipp(KeyPair("partner", "00", "customer"), field_schema=schema) as kt:
        route = api.post("/subscriber").respond(json=load("contacts/full"))
        moment = datetime(2024, 5, 13, 12, 30, tzinfo=UTC)
        contact = await kt.contacts.upsert(email=MAIL, fields={"field77": 19.99, "78": moment})
        assert body_of(route)["fields"] == {"field77": "1999", "field78": "1715603400"}
        assert str(contact.field("field77")) == "19.99"
        assert type(contact.field("field77")).__name__ == "Decimal"


async def test_many_upserts_at_once(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """A client serves many calls at a time."""
    route = api.post("/subscriber").respond(json=load("contacts/full"))
    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(lambda n=number: kt.contacts.upsert(email=f"k{n}@example.com"))
    assert route.call_count == 50
