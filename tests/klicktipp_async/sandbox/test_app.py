"""The sandbox as a whole: its routes, who may call, its habits on the wire, its socket."""

import itertools

import httpx
import pytest

from klickdoxie_core.auth.key_pair import KeyPair
from klickdoxie_core.clock import Clock
from klickdoxie_core.sandbox import LOST
from klicktipp_async.sandbox import Sandbox, WireFormat
from klicktipp_async.sandbox.operations import OPERATIONS

pytestmark = pytest.mark.anyio

ROUTES = """
Login                    POST   /account/login
Logout from API          POST   /account/logout
List Data Fields         GET    /field
Get Data Field           GET    /field/{fieldid}
List Opt-in Processes    GET    /list
Get Opt-in Process       GET    /list/{listid}
Search Redirect URL      POST   /list/redirect
List Contacts            GET    /subscriber
Add or Update Contact    POST   /subscriber
Get Contact              GET    /subscriber/{subscriberid}
Update Contact           PUT    /subscriber/{subscriberid}
Delete Contact           DELETE /subscriber/{subscriberid}
Unsubscribe Contact      POST   /subscriber/unsubscribe
Tag Contact              POST   /subscriber/tag
Untag Contact            POST   /subscriber/untag
Search Contact ID        POST   /subscriber/search
Search Tagged Contacts   POST   /subscriber/tagged
List Tags                GET    /tag
Create Tag               POST   /tag
Get Tag                  GET    /tag/{tagid}
Update Tag               PUT    /tag/{tagid}
Delete Tag               DELETE /tag/{tagid}
Sign In                  POST   /subscriber/signin
Sign Out                 POST   /subscriber/signout
Sign Off                 POST   /subscriber/signoff
Get Account              GET    /account
Create Data Field        POST   /field
Update Data Field        PUT    /field/{fieldid}
Delete Data Field        DELETE /field/{fieldid}
Create Opt-in Process    POST   /list
Update Opt-in Process    PUT    /list/{listid}
Delete Opt-in Process    DELETE /list/{listid}
"""


def test_every_operation_is_there_under_the_vendors_name() -> None:
    """No operation is missing, invented or elsewhere."""
    expected = [tuple(part.strip() for part in line.rsplit(maxsplit=2)) for line in ROUTES.strip().splitlines()]
    assert [(operation.name, operation.method, operation.template) for operation in OPERATIONS] == expected


async def _log_in(box: Sandbox, http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/account/login", json={"username": box.username, "password": box.password})


async def test_a_session_opens_works_and_ends(box: Sandbox) -> None:
    """Login gives a session in the body and as a cookie; it opens the account until the logout."""
    http = box.http_client()
    assert (await http.get("/tag")).status_code == 403
    answer = await _log_in(box, http)
    session = answer.json()
    assert session["account"]["username"] == box.username
    cookie = f"{session['session_name']}={session['sessid']}"
    assert answer.headers["set-cookie"] == f"{cookie}; path=/; secure; httponly"
    # The jar of the client sends the cookie by itself.
    assert (await http.get("/tag")).status_code == 200
    assert (await http.get("/account")).json()["uid"] == "42"
    assert (await http.post("/account/logout")).json() == [True]
    assert (await http.get("/tag")).json() == ["API Zugriff verweigert"]
    again = await http.post("/account/logout")
    assert (again.status_code, again.json()) == (406, ["Benutzer nicht eingeloggt."])


async def test_a_login_with_a_live_cookie_is_refused_until_the_session_expires(box: Sandbox) -> None:
    """Whoever replays the cookie is logged in already; a cookie that has expired does no harm."""
    http = box.http_client()
    await _log_in(box, http)
    answer = await _log_in(box, http)
    assert (answer.status_code, answer.json()) == (406, ["Sie sind bereits eingeloggt."])
    box.expire_sessions()
    assert (await http.get("/tag")).status_code == 403
    assert (await _log_in(box, http)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({"username": "sandbox", "password": "falsch"}, 401, ["Falscher Benutzername oder Passwort."]),
        ({"username": "jürgen", "password": "falsch"}, 401, ["Falscher Benutzername oder Passwort."]),
        ({"username": "sandbox"}, 401, ["Missing required argument password"]),
        ({"username": ["sandbox"], "password": "x"}, 400, ['The key "username" must be a string.']),
    ],
)
async def test_a_bad_login_is_refused(box: Sandbox, body: dict[str, object], status: int, answer: list[str]) -> None:
    """Wrong, missing and malformed credentials have an answer of their own, and open no session."""
    refused = await box.http_client().post("/account/login", json=body)
    assert (refused.status_code, refused.json()) == (status, answer)
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Un": "somebody"},
        {"X-Ci": "cZkWFoPs3rLacJ4OpaooJMMOcb/fLxbZpeeOzJFCGh1jdXN0b21lci1rZXk="},
        {"X-Ci": "kein Base64: ä".encode().decode("latin-1")},
        {"Cookie": "SSESS5f1d0c2a9b7e4c83a6d2e1f09b8c7d6e=forged; other=1"},
    ],
)
async def test_only_the_right_pair_of_keys_opens_the_account(
    box: Sandbox, http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    """The right signature passes; another name, another cipher or a forged session does not."""
    assert (await http.get("/field")).status_code == 200
    signed = dict(http.headers) if headers and "Cookie" not in headers else {}
    wrong = {**signed, **{name.lower(): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in wrong.items()]
    assert (await box.http_client().get("/field", headers=raw)).status_code == 403


async def test_ids_keys_sessions_and_times_are_the_same_in_each_run() -> None:
    """Two sandboxes that are asked the same give the same answers, byte by byte."""

    async def story() -> list[bytes]:
        async with Sandbox() as box:
            http = box.http_client()
            answers = [await _log_in(box, http)]
            answers.append(await http.post("/tag", json={"name": "Käufer"}))
            answers.append(await http.post("/subscriber", json={"email": "a@example.com", "tagid": 12_000_001}))
            return [answer.content for answer in answers]

    assert await story() == await story()


async def test_clock_and_first_id_can_be_chosen() -> None:
    """Times come from the given clock, contact ids count up from the given number."""
    async with Sandbox(clock=Clock(now=lambda: 86_400.0), first_id=7) as box:
        assert box.seed_contacts(2) == [7, 8]
        contact = box.contact("kontakt2@example.com")
        assert contact is not None
        assert contact.created == 86_400
        assert len(contact.key) == 20
        assert contact.key.isalnum()


async def test_empty_maps_are_lists_by_default(box: Sandbox, http: httpx.AsyncClient) -> None:
    """PHP writes an empty map as an empty list; the other form is a matter of choice, at any time."""
    assert (await http.get("/tag")).content == b"[]"
    box.wire_format.empty_maps = "{}"
    assert (await http.get("/tag")).content == b"{}"


async def test_slashes_and_umlauts_are_escaped_as_php_does(http: httpx.AsyncClient) -> None:
    """JSON stays the same to a parser, but not to whoever compares texts."""
    content = (await http.get("/account")).content
    assert rb'"https:\/\/example.com"' in content
    assert rb"Bl\u00fctenhonig" in content


async def test_texts_follow_the_language_of_the_account() -> None:
    """The same refusal in English."""
    async with Sandbox(wire_format=WireFormat(language="en")) as box:
        assert (await box.http_client().get("/tag")).json() == ["API access denied."]


@pytest.mark.parametrize("habit", ["empty_maps", "contact_list", "language"])
def test_an_unknown_habit_is_refused(habit: str) -> None:
    """A misspelt choice does not fall back to the default."""
    with pytest.raises(ValueError, match=habit):
        setattr(WireFormat(), habit, "anders")


async def test_a_wrong_method_is_a_text_and_405(http: httpx.AsyncClient) -> None:
    """The answer is a bare JSON string that names what would be allowed."""
    answer = await http.delete("/tag")
    assert answer.status_code == 405
    text = 'No route found for "DELETE https://api-internal.klicktipp.sandbox/api/tag"'
    assert answer.json() == f"{text}: Method Not Allowed (Allow: GET, POST)"
    assert (await http.get("/nirgends")).status_code == 404


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"text"', b"\xff"])
async def test_a_body_that_is_no_object_is_a_bad_request(http: httpx.AsyncClient, body: bytes) -> None:
    """Whatever is not a JSON object is 400."""
    assert (await http.post("/tag", content=body)).status_code == 400


async def test_forms_are_read_as_php_does(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Brackets nest; of a repeated name only the last value is left."""
    first, second = box.add_tag("eins"), box.add_tag("zwei")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    await http.post("/subscriber", content="email=a%40example.com&fields[fieldLastName]=M%C3%BCller", headers=form)
    tags = f"email=a%40example.com&tagids[0]={first}&tagids[]={second}"
    assert (await http.post("/subscriber/tag", content=tags, headers=form)).json() == [True]
    contact = box.contact("A@example.com")
    assert contact is not None
    assert contact.fields == {"fieldLastName": "Müller"}
    assert list(contact.tags) == [first, second]
    await http.post("/subscriber/untag", content=f"email=a%40example.com&tagid={first}", headers=form)
    await http.post("/subscriber/tag", data={"email": "a@example.com", "tagids": [first, second]})
    assert list(contact.tags) == [second]


async def test_states_that_no_rule_produces_are_planned(box: Sandbox, http: httpx.AsyncClient) -> None:
    """An error number on 200, a shell of HTML on 200, a number as a text, an empty find: all by `fail`."""
    box.fail("Search Contact ID", status=200, body=[])
    box.fail("Search Contact ID", status=200, body={"error": 5})
    box.fail("Search Contact ID", status=200, body="<html></html>")
    box.fail("Search Contact ID", status=406, body={"error": "7"})
    answers = [await http.post("/subscriber/search", json={"email": "a@example.com"}) for _ in range(4)]
    assert [answer.text for answer in answers] == ["[]", '{"error":5}', "<html></html>", '{"error":"7"}']


async def test_fields_are_shown_by_their_keys(box: Sandbox) -> None:
    """The standard ones from the start, and those that are added."""
    key = box.add_field("Umsatz")
    assert (len(box.fields), box.fields[key].label, box.fields["fieldCity"].label) == (17, "Umsatz", "Stadt")


async def test_no_address_is_mailed_twice_is_provable(box: Sandbox, http: httpx.AsyncClient) -> None:
    """An answer that was lost and a blind repetition are a second confirmation mail, and the state says so."""
    wish = {"email": "käthe@example.com"}
    box.drop("Add or Update Contact")
    with pytest.raises(httpx.ReadError):
        await http.post("/subscriber", json=wish)
    assert box.state()["duplicate_confirmation_mails"] == 0
    await http.post("/subscriber", json=wish)
    assert box.confirmation_mails == {"käthe@example.com": 2}
    assert (await http.get("/_sandbox/state")).json() == {
        "requests": 2,
        "operations": {"Add or Update Contact": {"lost": 1, "200": 1}},
        "contacts": 1,
        "confirmation_mails": 2,
        "duplicate_confirmation_mails": 1,
    }


def test_a_contact_shows_no_personal_data() -> None:
    """The repr of a stored contact has neither the address, the number nor the fields."""
    box = Sandbox()
    (contact_id,) = box.seed_contacts(1)
    contact = box.contacts[contact_id]
    contact.fields["fieldLastName"] = "Müller"
    assert "example.com" not in repr(contact)
    assert "Müller" not in repr(contact)


@pytest.mark.parametrize("helper", ["confirm", "unsubscribe", "unsubscribe_sms"])
def test_nobody_can_be_changed_who_is_not_there(helper: str) -> None:
    """A helper for an unknown address fails instead of doing nothing."""
    with pytest.raises(LookupError):
        getattr(Sandbox(), helper)("nobody@example.com")


def test_two_manual_tags_cannot_have_one_name() -> None:
    """A SmartTag may share the name of a manual tag, a second manual tag may not."""
    box = Sandbox()
    tag_id = box.add_tag("VIP")
    box.add_tag("VIP", smart=True)
    assert [tag.smart for tag in box.tags.values()] == [False, True]
    assert box.tags[tag_id].name == "VIP"
    with pytest.raises(ValueError, match="name"):
        box.add_tag("VIP")


async def test_the_clients_of_the_sandbox_reach_it_and_close_with_it() -> None:
    """The account's client logs in and out by itself; the listbuilding one brings the sandbox's own key."""
    async with Sandbox() as box:
        contact = await box.client().contacts.upsert(email="jürgen@example.com")
        await box.client(KeyPair(box.username, box.developer_key, box.customer_key), read_only=True).tags.all()
        await box.listbuilding().sign_in(email="jürgen@example.com")
        assert list(box.contacts) == [contact.id]
        assert len(box.contacts[contact.id].tags) == 2
    assert (box.count("Login"), box.count("Logout from API", 200)) == (1, 1)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_sandbox_listens_on_a_socket(box: Sandbox) -> None:
    """Over a socket it takes a bulk of contacts, loses one answer in twenty, and tells and does what it is asked."""
    box.drop("Add or Update Contact", every=20)
    async with box.serve() as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        session = (await _log_in(box, http)).json()
        http.headers["Cookie"] = f"{session['session_name']}={session['sessid']}"
        for number in range(100):
            try:
                await http.post("/subscriber", json={"email": f"kontakt{number}@example.com"})
            except httpx.RemoteProtocolError:
                assert number % 20 == 19
        state = (await http.get("/_sandbox/state")).json()
        assert state["operations"]["Add or Update Contact"] == {"lost": 5, "200": 95}
        assert state["contacts"] == state["confirmation_mails"] == 100
        assert (await http.post("/_sandbox/expire-sessions")).status_code == 200
        assert (await http.get("/tag")).status_code == 403
    assert box.count("Add or Update Contact", LOST) == 5


def test_contact_ids_have_no_gaps() -> None:
    """Seeding goes on where it stopped."""
    box = Sandbox()
    ids = box.seed_contacts(2) + box.seed_contacts(3)
    assert all(after == before + 1 for before, after in itertools.pairwise(ids))
    assert box.contact("kontakt5@example.com") is box.contacts[ids[-1]]
