"""Upserts whose answer was lost: what is looked up, what is completed, and when the doubt stays."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
import respx

from klickdoxie_core import Clock
from klicktipp_async import DecodeError, Interrupted, KeyPair, KlickTipp, ServerError
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.test_contacts import ELSEWHERE, MAIL, body_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("lacks", [{}, {"tags": []}, {"manual_tags": {}}], ids=["nothing", "tags", "manual_tags"])
async def test_upsert_whose_answer_is_lost_looks_first(
    kt: KlickTipp, api: respx.MockRouter, load: Any, lacks: dict[str, Any]
) -> None:
    """When the contact is there as wanted, the upsert is not sent again; one of the two lists names the tag."""
    sent = api.post("/subscriber").mock(side_effect=httpx.ReadError("lost"))
    api.post("/subscriber/search").respond(json=[4711])
    api.get("/subscriber/4711").respond(json=load("contacts/full") | lacks)
    contact = await kt.contacts.upsert(email=MAIL, tag_id=21, fields={"fieldFirstName": "Käthe"})
    assert (contact.id, sent.call_count) == (4711, 1)


async def test_upsert_is_sent_again_only_when_the_contact_is_absent(
    kt: KlickTipp, api: respx.MockRouter, load: Any
) -> None:
    """When nobody is there after a lost answer, the upsert is sent once more."""
    sent = api.post("/subscriber").mock(
        side_effect=[httpx.Response(502), httpx.Response(200, json=load("contacts/full"))]
    )
    api.post("/subscriber/search").respond(404)
    assert (await kt.contacts.upsert(email=MAIL)).id == 4711
    assert sent.call_count == 2


async def test_upsert_completes_by_calls_that_may_be_repeated(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """A contact that was there before gets the missing fields and tag without a second subscription."""
    sent = api.post("/subscriber").mock(side_effect=httpx.ReadTimeout("slow"))
    api.post("/subscriber/search").respond(json=[4711])
    api.get("/subscriber/4711").respond(json=load("contacts/full"))
    fields = api.put("/subscriber/4711").respond(json=[True])
    tag = api.post("/subscriber/tag").respond(json=[True])
    await kt.contacts.upsert(email=MAIL, tag_id=99, fields={"fieldFirstName": "Neu"})
    assert sent.call_count == 1
    assert body_of(fields) == {"fields": {"fieldFirstName": "Neu"}}
    assert body_of(tag) == {"email": MAIL, "tagids": [99]}


@pytest.mark.parametrize(
    ("wanted", "method", "path", "sent"),
    [
        (
            {"fields": {"fieldFirstName": "Jörg"}, "tag_id": 21},
            "PUT",
            "/subscriber/4711",
            {"fields": {"fieldFirstName": "Jörg"}},
        ),
        ({"fields": {"fieldFirstName": "Jörg"}}, "PUT", "/subscriber/4711", {"fields": {"fieldFirstName": "Jörg"}}),
        ({"tag_id": 99}, "POST", "/subscriber/tag", {"email": MAIL, "tagids": [99]}),
    ],
    ids=["has the tag", "no tag wanted", "no field wanted"],
)
async def test_only_what_is_missing_is_completed(
    kt: KlickTipp, api: respx.MockRouter, load: Any, wanted: dict[str, Any], method: str, path: str, sent: object
) -> None:
    """Nothing is written that was not asked for, or is there already."""
    api.post("/subscriber").mock(side_effect=httpx.ReadError("lost"))
    api.post("/subscriber/search").respond(json=[4711])
    api.get("/subscriber/4711").respond(json=load("contacts/full"))
    completing = api.request(method, path).respond(json=[True])
    assert (await kt.contacts.upsert(email=MAIL, **wanted)).id == 4711
    assert (completing.call_count, body_of(completing)) == (1, sent)


async def test_upsert_completes_the_sms_number(clock: Clock) -> None:
    """A contact that was there before gets its number, too, and one that has it is left as it is."""
    async with Sandbox(clock=clock) as box:
        kt, number = box.client(), "+49 170 5550123"
        box.seed_contacts(1)
        for updates in (1, 1):
            box.drop("Add or Update Contact", applied=False)
            contact = await kt.contacts.upsert(email="kontakt1@example.com", sms_number=number)
            assert (contact.sms_phone, box.count("Update Contact")) == ("00491705550123", updates)


@pytest.mark.parametrize(
    ("call", "path"),
    [(lambda kt: kt.contacts.upsert(email=MAIL), "/subscriber"), (lambda kt: kt.tags.create("Kunde"), "/tag")],
    ids=["upsert", "create"],
)
async def test_looking_ends_with_the_deadline(api: respx.MockRouter, call: Any, path: str) -> None:
    """The deadline is for all of it: the doubt is told in time, however long the look-up would take."""

    async def never(_: float) -> None:
        await anyio.sleep_forever()

    sent = api.post(path).mock(side_effect=httpx.ReadError("lost"))
    async with KlickTipp(KeyPair("partner", "00", "customer"), clock=Clock(sleep=never)) as kt:
        with anyio.fail_after(10), pytest.raises(Interrupted) as caught:
            await call(kt.with_options(deadline=0.2))
    assert (caught.value.maybe_applied, sent.call_count) == (True, 1)


async def test_upsert_of_an_unsubscribed_contact_stays_in_doubt(
    kt: KlickTipp, api: respx.MockRouter, load: Any
) -> None:
    """An unsubscribed contact is never completed behind the caller's back; the first error is raised."""
    api.post("/subscriber").mock(side_effect=httpx.ReadError("lost"))
    api.post("/subscriber/search").respond(json=[4711])
    api.get("/subscriber/4711").respond(json=load("contacts/full") | {"status": "Unsubscribed"})
    with pytest.raises(Interrupted) as caught:
        await kt.contacts.upsert(email=MAIL, fields={"fieldFirstName": "Neu"})
    assert caught.value.maybe_applied


@pytest.mark.parametrize(
    "look_up",
    [
        httpx.Response(500),
        httpx.Response(403, json=["API access denied."]),
        httpx.ConnectError("down"),
        ELSEWHERE,
        httpx.Response(404, json={"message": "no Route matched"}),
        httpx.Response(404, json="No route found"),
    ],
    ids=["server", "forbidden", "network", "web page", "gateway", "router"],
)
async def test_upsert_that_cannot_be_looked_up_says_so(
    kt: KlickTipp, api: respx.MockRouter, look_up: httpx.Response | httpx.ConnectError
) -> None:
    """When the look-up fails, the caller gets the error of the upsert, with its doubt."""
    sent = api.post("/subscriber").mock(side_effect=httpx.ReadError("lost"))
    api.post("/subscriber/search").mock(side_effect=[look_up] * 3)
    with pytest.raises(Interrupted, match="it may have been executed; it was not sent again") as caught:
        await kt.contacts.upsert(email=MAIL)
    assert (sent.call_count, caught.value.maybe_applied) == (1, True)


@pytest.mark.parametrize(
    "arguments", [{"email": MAIL, "confirm": False}, {"sms_number": "+49 151 0000001"}], ids=["confirm=False", "sms"]
)
async def test_upsert_without_a_look_up(kt: KlickTipp, api: respx.MockRouter, arguments: dict[str, Any]) -> None:
    """`confirm=False`, and a number that cannot be searched for, turn the doubt into an error."""
    sent = api.post("/subscriber").respond(500)
    with pytest.raises(ServerError) as caught:
        await kt.contacts.upsert(**arguments)
    assert "listbuilding" not in str(caught.value)
    assert (caught.value.maybe_applied, caught.value.attempts, sent.call_count) == (True, 1, 1)


async def test_upsert_gives_up_after_some_look_ups(kt: KlickTipp, api: respx.MockRouter) -> None:
    """An upsert that is lost again and again ends, in doubt."""
    sent = api.post("/subscriber").mock(side_effect=httpx.ReadError("lost"))
    api.post("/subscriber/search").respond(404)
    with pytest.raises(Interrupted) as caught:
        await kt.contacts.upsert(email=MAIL)
    assert (sent.call_count, caught.value.attempts) == (4, 4)


async def test_a_web_page_in_place_of_a_contact_is_looked_into(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """A 200 that is a web page does not count as done, nor as not done."""
    api.post("/subscriber").respond(200, html="<html>Wartung</html>")
    api.post("/subscriber/search").respond(json=[4711])
    api.get("/subscriber/4711").respond(json=load("contacts/full"))
    assert (await kt.contacts.upsert(email=MAIL)).id == 4711
    with pytest.raises(DecodeError, match="web page"):
        await kt.contacts.upsert(email=MAIL, confirm=False)
