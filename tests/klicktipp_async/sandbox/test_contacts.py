"""Contacts: their life, their shapes on the wire, and every rule that refuses them something."""

from collections.abc import Callable

import httpx
import pytest

from klicktipp_async.sandbox import Bounce, Sandbox, Status, StoredContact

pytestmark = pytest.mark.anyio

EMAIL = "käthe@example.com"
OTHER = "other@example.com"
NUMBER = "+49 170 1234567"
KEPT_NUMBER = "00491701234567"


def _known(box: Sandbox, email: str = EMAIL) -> StoredContact:
    contact = box.contact(email)
    assert contact is not None
    return contact


async def test_a_fresh_contact_has_nulls_and_no_maps(http: httpx.AsyncClient) -> None:
    """Ids are texts, times are written in German, what is not set is null, empty or absent."""
    shown = (await http.post("/subscriber", json={"email": EMAIL})).json()
    assert shown["id"] == "155000001"
    assert (shown["status"], shown["bounce"]) == ("Opt-In Pending", "Not Bounced")
    assert (shown["optin"], shown["date"]) == ("01.01.2025 00:00:00", "")
    assert shown["optin_ip"] == "0.0.0.0 - By API Request"
    assert (shown["sms_phone"], shown["sms_status"], shown["sms_referrer"]) == (None, None, None)
    assert (shown["fieldFirstName"], shown["fieldLeadValue"]) == ("", "")
    assert not {"tags", "manual_tags", "smart_tags", "emails_sent"} & set(shown)


async def test_a_full_contact_has_every_map(box: Sandbox, http: httpx.AsyncClient) -> None:
    """With a tag come all maps, the empty ones as lists, and empty texts instead of nulls."""
    manual, smart = box.add_tag("Käufer"), box.add_tag("Formular", smart=True)
    await http.post("/subscriber", json={"email": EMAIL, "smsnumber": NUMBER, "tagid": str(manual)})
    shown = (await http.get(f"/subscriber/{_known(box).key}")).json()
    assert shown["tags"] == [str(manual)]
    assert shown["manual_tags"] == {str(manual): str(_known(box).tags[manual])}
    assert (shown["smart_tags"], shown["campaigns_finished"]) == ([], [])
    assert (shown["sms_phone"], shown["sms_status"]) == (KEPT_NUMBER, "Subscribed")
    box.put_on(EMAIL, smart)
    box.wire_format.empty_maps = "{}"
    shown = (await http.get(f"/subscriber/{shown['id']}")).json()
    assert (shown["tags"], list(shown["smart_tags"])) == ([str(manual), str(smart)], [str(smart)])
    assert shown["emails_sent"] == {}


async def test_a_double_opt_in_mails_once_and_again_only_when_it_should(box: Sandbox, http: httpx.AsyncClient) -> None:
    """The default process repeats its mail while the contact is pending; another one does not."""
    quiet = box.add_opt_in("leise", resend=False)
    for _ in range(2):
        await http.post("/subscriber", json={"email": EMAIL})
        await http.post("/subscriber", json={"email": OTHER, "listid": quiet})
    assert box.confirmation_mails == {EMAIL: 2, OTHER: 1}
    box.confirm(EMAIL)
    shown = (await http.post("/subscriber", json={"email": EMAIL.upper(), "fields": {"fieldCity": "Köln"}})).json()
    assert (shown["status"], shown["fieldCity"], shown["email"]) == ("Subscribed", "Köln", EMAIL)
    assert box.confirmation_mails == {EMAIL: 2, OTHER: 1}


async def test_a_single_opt_in_subscribes_at_once(box: Sandbox, http: httpx.AsyncClient) -> None:
    """No mail goes out, and a pending contact becomes a subscribed one."""
    await http.post("/subscriber", json={"email": OTHER})
    for email in (EMAIL, OTHER):
        shown = (await http.post("/subscriber", json={"email": email, "listid": box.single_opt_in_id})).json()
        assert (shown["status"], shown["listid"]) == ("Subscribed", str(box.single_opt_in_id))
        assert shown["date"]
    assert box.confirmation_mails == {OTHER: 1}


async def test_a_number_alone_is_a_contact(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Found again by the number in another spelling; no mail goes anywhere."""
    first = (await http.post("/subscriber", json={"smsnumber": NUMBER})).json()
    again = (await http.post("/subscriber", json={"smsnumber": KEPT_NUMBER, "fields": {"fieldCity": "Köln"}})).json()
    assert (again["id"], again["email"], again["fieldCity"]) == (first["id"], "", "Köln")
    assert box.confirmation_mails == {}


async def test_an_update_changes_what_is_given(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Address, number and fields by id or key; empty ones leave the address and the number and clear the field."""
    shown = (await http.post("/subscriber", json={"email": EMAIL, "fields": {"fieldCity": "Köln"}})).json()
    path = f"/subscriber/{shown['id']}"
    assert (await http.put(path, json={"newemail": OTHER, "newsmsnumber": NUMBER})).json() == [True]
    assert (await http.put(path, json={"newemail": "", "newsmsnumber": None, "fields": {"fieldCity": ""}})).json()
    assert box.contact(EMAIL) is None
    contact = _known(box, OTHER)
    assert (contact.sms_number, contact.fields) == (KEPT_NUMBER, {"fieldCity": ""})
    assert (await http.put(f"/subscriber/{contact.key}", json={"newsmsnumber": "+431234567"})).json() == [True]
    await http.post("/subscriber", json={"smsnumber": NUMBER})
    assert len(box.contacts) == 2


async def test_a_deleted_contact_is_gone_everywhere(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Address, number and tag know nothing of it, and a new contact gets a new id."""
    tag = box.add_tag("Käufer")
    wish = {"email": EMAIL, "smsnumber": NUMBER, "tagid": tag, "listid": box.single_opt_in_id}
    first = (await http.post("/subscriber", json=wish)).json()["id"]
    assert (await http.delete(f"/subscriber/{first}")).json() == [True]
    assert (await http.delete(f"/subscriber/{first}")).json() == ["Der Kontakt existiert nicht."]
    assert (await http.post("/subscriber/tagged", json={"tagid": tag})).json() == []
    assert (await http.post("/subscriber", json=wish)).json()["id"] == str(int(first) + 1)


async def test_unknown_contacts_are_told_apart_by_operation(http: httpx.AsyncClient) -> None:
    """Reading is an empty 404, changing a 406 list, searching a 404 list, all that goes by address error 7."""
    for name in ("99", "niemand", "9" * 5000, "٩"):
        gone = await http.get(f"/subscriber/{name}")
        assert (gone.status_code, gone.content) == (404, b"")
    for method in ("PUT", "DELETE"):
        answer = await http.request(method, "/subscriber/niemand")
        assert (answer.status_code, answer.json()) == (406, ["Der Kontakt existiert nicht."])
    found = await http.post("/subscriber/search", json={"email": EMAIL})
    assert (found.status_code, found.json()) == (404, ["Diesen Kontakt gibt es nicht."])
    for path, more in (("unsubscribe", {}), ("tag", {"tagids": [1]}), ("untag", {"tagid": 1})):
        answer = await http.post(f"/subscriber/{path}", json={"email": EMAIL, **more})
        assert (answer.status_code, answer.json()) == (406, {"error": 7})


@pytest.mark.parametrize(
    ("path", "body", "argument"),
    [
        ("search", {}, "email"),
        ("unsubscribe", {"email": None}, "email"),
        ("tag", {"email": EMAIL, "tagids": []}, "tagids"),
        ("tag", {"tagids": [1]}, "email"),
        ("untag", {"email": EMAIL}, "tagid"),
        ("tagged", {}, "tagid"),
    ],
)
async def test_a_missing_argument_is_401(http: httpx.AsyncClient, path: str, body: object, argument: str) -> None:
    """The text names the argument, in English whatever the language."""
    answer = await http.post(f"/subscriber/{path}", json=body)
    assert (answer.status_code, answer.json()) == (401, [f"Missing required argument {argument}"])


async def test_tagging_is_all_or_nothing_and_repeatable(box: Sandbox, http: httpx.AsyncClient) -> None:
    """The first time of tagging stays; a tag that is not on can be taken off; smart and unknown ones are refused."""
    (contact_id,) = box.seed_contacts(1)
    email = box.contacts[contact_id].email
    one, two, smart = box.add_tag("eins"), box.add_tag("zwei"), box.add_tag("smart", smart=True)
    assert (await http.post("/subscriber/tag", json={"email": email, "tagids": [one, str(two)]})).json() == [True]
    before = dict(_known(box, email).tags)
    assert (await http.post("/subscriber/tag", json={"email": email, "tagids": one})).json() == [True]
    for tag_ids, error in (([one, 99], 403), ([one, smart], 31), (["abc"], 403)):
        answer = await http.post("/subscriber/tag", json={"email": email, "tagids": tag_ids})
        assert (answer.status_code, answer.json()) == (406, {"error": error})
    assert _known(box, email).tags == before
    for _ in range(2):
        assert (await http.post("/subscriber/untag", json={"email": email, "tagid": one})).json() == [True]
    assert list(_known(box, email).tags) == [two]
    for tag_id, error in ((smart, 31), (99, 403)):
        assert (await http.post("/subscriber/untag", json={"email": email, "tagid": tag_id})).json() == {"error": error}


async def test_only_who_is_subscribed_can_be_unsubscribed(box: Sandbox, http: httpx.AsyncClient) -> None:
    """A pending contact and one who has left already are not subscribed (9)."""
    await http.post("/subscriber", json={"email": EMAIL})
    assert (await http.post("/subscriber/unsubscribe", json={"email": EMAIL})).json() == {"error": 9}
    box.confirm(EMAIL)
    assert (await http.post("/subscriber/unsubscribe", json={"email": EMAIL})).json() == [True]
    assert (await http.post("/subscriber/unsubscribe", json={"email": EMAIL})).json() == {"error": 9}
    shown = (await http.get(f"/subscriber/{_known(box).id}")).json()
    assert (shown["status"], shown["unsubscription"]) == ("Unsubscribed", "01.01.2025 00:00:02")
    assert (await http.post("/subscriber/search", json={"email": EMAIL})).json() == [_known(box).id]


SUBSCRIBE_REFUSALS = [
    ({}, 401, {"error": 32}),
    ({"email": None, "smsnumber": ""}, 401, {"error": 32}),
    ({"email": "unsubscribed@example.com"}, 406, {"error": 4}),
    ({"email": "keine Adresse"}, 406, {"error": 5}),
    ({"email": "BLOCKED@example.com"}, 406, {"error": 30}),
    ({"email": EMAIL, "smsnumber": "0170 1234567"}, 406, {"error": 11}),
    ({"email": OTHER, "smsnumber": "0170 1234567"}, 406, {"error": 10, "code": 11}),
    ({"email": EMAIL, "smsnumber": NUMBER}, 406, {"error": 9}),
    ({"email": OTHER, "smsnumber": NUMBER}, 406, {"error": 10, "code": 9}),
    ({"smsnumber": "+491709999999"}, 406, {"error": 10, "code": 10}),
    ({"email": EMAIL, "listid": 99}, 406, {"error": 402}),
    ({"email": EMAIL, "tagid": 99}, 406, {"error": 403}),
    ({"email": EMAIL, "tagid": 12_000_001}, 406, {"error": 31}),
    (
        {"email": EMAIL, "fields": {"fieldLeadValue": "A"}},
        406,
        {
            "error": 8,
            "field": "Leadwert",
            "name": "fieldLeadValue",
            "reason": "muss ein numerischer Wert sein",
            "field_value": "A",
        },
    ),
    (
        {"email": EMAIL, "fields": {"field99": "A"}},
        406,
        {"error": 8, "field": "", "name": "field99", "reason": "ist kein Feld dieses Kontos", "field_value": "A"},
    ),
    ({"email": EMAIL, "fields": "A"}, 400, ['The key "fields" must be an object.']),
]


async def _populate(box: Sandbox, http: httpx.AsyncClient) -> None:
    """One of each: subscribed, with a number, without mails, without text messages, blocked; and a SmartTag."""
    single = {"listid": box.single_opt_in_id}
    box.add_tag("smart", smart=True)
    await http.post("/subscriber", json={"email": OTHER, **single})
    await http.post("/subscriber", json={"email": "number@example.com", "smsnumber": NUMBER, **single})
    await http.post("/subscriber", json={"email": "unsubscribed@example.com", **single})
    await http.post("/subscriber", json={"email": "nosms@example.com", "smsnumber": "+491709999999", **single})
    box.unsubscribe("unsubscribed@example.com")
    box.unsubscribe_sms("nosms@example.com")
    box.block("blocked@example.com")


@pytest.mark.parametrize(("body", "status", "answer"), SUBSCRIBE_REFUSALS)
async def test_a_subscription_is_refused(
    box: Sandbox, http: httpx.AsyncClient, body: object, status: int, answer: object
) -> None:
    """Each rule has its number; nothing is applied in part and no mail goes out."""
    await _populate(box, http)
    before = repr(box.contacts)
    refused = await http.post("/subscriber", json=body)
    assert (refused.status_code, refused.json()) == (status, answer)
    assert repr(box.contacts) == before
    assert box.confirmation_mails == {}


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"newemail": "keine Adresse"}, {"error": 10, "code": 5}),
        ({"newemail": "blocked@example.com"}, {"error": 10, "code": 30}),
        ({"newemail": "Number@Example.com"}, {"error": 507}),
        ({"newemail": EMAIL, "newsmsnumber": "abc"}, {"error": 10, "code": 11}),
        ({"newemail": EMAIL, "newsmsnumber": NUMBER}, {"error": 10, "code": 9}),
        (
            {"newemail": EMAIL, "fields": {"fieldWebsite": "www.example.com"}},
            {
                "error": 8,
                "field": "Webseite",
                "name": "fieldWebsite",
                "reason": "muss mit http:// oder https:// beginnen",
                "field_value": "www.example.com",
            },
        ),
    ],
)
async def test_an_update_is_refused(box: Sandbox, http: httpx.AsyncClient, change: object, answer: object) -> None:
    """The numbers stand below "update failed", and nothing is applied in part."""
    await _populate(box, http)
    refused = await http.put(f"/subscriber/{_known(box, OTHER).id}", json=change)
    assert (refused.status_code, refused.json()) == (406, answer)
    assert box.contact(EMAIL) is None


async def test_a_number_that_left_is_not_taken_back(box: Sandbox, http: httpx.AsyncClient) -> None:
    """The contact's own number, once unsubscribed, is refused in an update as well."""
    await _populate(box, http)
    path = f"/subscriber/{_known(box, 'nosms@example.com').id}"
    assert (await http.put(path, json={"newsmsnumber": "+491709999999"})).json() == {"error": 10, "code": 10}


async def test_no_contact_is_a_404(http: httpx.AsyncClient) -> None:
    """An empty list, and an empty first page, are not found."""
    for path in ("/subscriber", "/subscriber?status=pending", "/subscriber?limit=5"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (404, ["Es existieren keine Kontakte."])


def _bounce(contact: StoredContact) -> None:
    contact.bounce = Bounce.HARD


def _leave(contact: StoredContact) -> None:
    contact.status = Status.UNSUBSCRIBED


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [0, 3]),
        ({"status": "pending,unsubscribed"}, [2]),
        ({"status": "subscribed,unsubscribed", "bounceStatus": "hardbounce,nobounce"}, [0, 1, 2, 3]),
        ({"bounceStatus": "hardbounce"}, [1]),
    ],
)
async def test_lists_are_filtered(
    box: Sandbox, http: httpx.AsyncClient, query: dict[str, str], expected: list[int]
) -> None:
    """By default the subscribed ones without hard bounces; filters are comma-joined, in body or query for tags."""
    ids = box.seed_contacts(4)
    tag_id = box.add_tag("Käufer")
    changes: dict[int, Callable[[StoredContact], None]] = {1: _bounce, 2: _leave}
    for number, change in changes.items():
        change(box.contacts[ids[number]])
    for contact_id in ids:
        box.put_on(box.contacts[contact_id].email, tag_id)
    wanted = [str(ids[number]) for number in expected]
    assert (await http.get("/subscriber", params=query)).json() == wanted
    assert list((await http.post("/subscriber/tagged", json={"tagid": tag_id}, params=query)).json()) == wanted
    body = {name: words.split(",") for name, words in query.items()}
    assert list((await http.post("/subscriber/tagged", json={"tagid": tag_id, **body})).json()) == wanted
    php = {f"{name}[{place}]": word for name, words in body.items() for place, word in enumerate(words)}
    assert (await http.get("/subscriber", params=php)).json() == wanted


async def test_the_list_has_three_shapes(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Flat, under a key, or in pages with a cursor that skips who was deleted."""
    ids = box.seed_contacts(6)
    texts = [str(number) for number in ids]
    assert (await http.get("/subscriber")).json() == texts
    box.wire_format.contact_list = "subscribers"
    assert (await http.get("/subscriber")).json() == {"subscribers": texts}
    first = (await http.get("/subscriber", params={"limit": 2})).json()
    assert first == {"subscriberIds": texts[:2], "nextCursor": texts[1]}
    await http.delete(f"/subscriber/{ids[2]}")
    second = (await http.get("/subscriber", params={"limit": 3, "cursor": first["nextCursor"]})).json()
    assert second == {"subscriberIds": texts[3:], "nextCursor": None}
    past = (await http.get("/subscriber", params={"limit": 3, "cursor": texts[5]})).json()
    assert past == {"subscriberIds": [], "nextCursor": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=viele", "limit=5&cursor=x"])
async def test_a_page_that_cannot_be_is_a_bad_request(http: httpx.AsyncClient, query: str) -> None:
    """Limit and cursor must be what the service gave or takes."""
    assert (await http.get(f"/subscriber?{query}")).status_code == 400


async def test_tagged_contacts_come_with_their_time(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Id to seconds since 1970, both as texts; SmartTags can be asked for, unknown ones cannot."""
    box.seed_contacts(1)
    smart = box.add_tag("Formular", smart=True)
    assert (await http.post("/subscriber/tagged", json={"tagid": smart})).json() == []
    box.put_on("kontakt1@example.com", smart)
    assert (await http.post("/subscriber/tagged", json={"tagid": smart})).json() == {"155000001": "1735689601"}
    assert (await http.post("/subscriber/tagged", json={"tagid": 99})).json() == {"error": 403}
