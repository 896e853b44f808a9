"""Data fields, opt-in processes and tags."""

import httpx
import pytest

from klicktipp_async.field_schema import FieldType
from klicktipp_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_fields_are_a_map_with_the_prefix_and_found_without_it(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Sixteen standard fields and the account's own; labels as values."""
    key = box.add_field("Umsatz €", FieldType.DECIMAL)
    listed = (await http.get("/field")).json()
    assert len(listed) == 17
    assert (listed["fieldFirstName"], listed[key]) == ("Vorname", "Umsatz €")
    assert (await http.get("/field/FirstName")).json() == {"id": "FirstName", "name": "Vorname"}
    bare = key.removeprefix("field")
    assert (await http.get(f"/field/{bare}")).json() == {"id": bare, "name": "Umsatz €"}
    missing = await http.get(f"/field/{key}")
    assert (missing.status_code, missing.json()) == (404, ["Kein Field mit dieser ID."])


async def test_a_field_lives_and_dies(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Create, rename, fill, delete: every contact's value goes with it."""
    (field_id,) = (await http.post("/field", json={"name": "Alter", "type": "field-number"})).json()
    assert (await http.put(f"/field/{field_id}", json={"name": "Größe"})).json() == [True]
    assert (await http.get(f"/field/{field_id}")).json()["name"] == "Größe"
    key = f"field{field_id}"
    shown = (await http.post("/subscriber", json={"email": "a@example.com", "fields": {key: 7}})).json()
    assert shown[key] == "7"
    assert (await http.delete(f"/field/{field_id}")).json() == [True]
    assert key not in (await http.get(f"/subscriber/{shown['id']}")).json()
    contact = box.contact("a@example.com")
    assert contact is not None
    assert contact.fields == {}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/field", {"name": " "}, 406, "Field konnte nicht erstellt werden."),
        ("POST", "/field", {"name": "a", "type": "field-bool"}, 406, "Field konnte nicht erstellt werden."),
        ("PUT", "/field/99", {"name": "a"}, 404, "Kein Tag mit dieser ID."),
        ("DELETE", "/field/FirstName", None, 404, "Kein Tag mit dieser ID."),
        ("GET", "/list/99", None, 404, "Kein Opt-In-Prozess mit dieser ID."),
        ("PUT", "/list/99", {"name": "a"}, 404, "Kein Opt-In-Prozess mit dieser ID."),
        ("DELETE", "/list/368001", None, 406, "Opt-In-Prozess konnte nicht gelöscht werden."),
        ("POST", "/list", {"name": ""}, 409, "A list with the name  already exists."),
        ("POST", "/list/redirect", {"listid": "99", "email": "a@b.de"}, 404, "Kein Opt-In-Prozess mit dieser ID."),
        ("POST", "/list/redirect", {"listid": "368001", "email": "a@b.de"}, 404, "Diesen Kontakt gibt es nicht."),
        ("POST", "/list/redirect", {"email": "a@b.de"}, 401, "Missing required argument listid"),
        ("GET", "/tag/99", None, 404, "Kein Tag mit dieser ID."),
        ("PUT", "/tag/abc", {"name": "a"}, 404, "Kein Tag mit dieser ID."),
        ("DELETE", "/tag/99", None, 404, "Kein Tag mit dieser ID."),
        ("POST", "/tag", {"name": ""}, 406, "Tag konnte nicht erstellt werden."),
        ("POST", "/tag", {"name": "42"}, 406, "Tag konnte nicht erstellt werden."),
        ("POST", "/tag", {}, 401, "Missing required argument name"),
    ],
)
async def test_refusals_are_lists_of_one_text(
    http: httpx.AsyncClient, method: str, path: str, body: object, status: int, text: str
) -> None:
    """Each refusal has its status and its German text, and no code."""
    answer = await http.request(method, path, json=body)
    assert (answer.status_code, answer.json()) == (status, [text])


async def test_the_default_opt_in_process_has_no_name(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Names in the list, booleans and a text as id in the object."""
    assert (await http.get("/list")).json() == {
        str(box.default_opt_in_id): "",
        str(box.single_opt_in_id): "Single-Opt-In",
    }
    assert (await http.get(f"/list/{box.single_opt_in_id}")).json() == {
        "listid": str(box.single_opt_in_id),
        "name": "Single-Opt-In",
        "usesingleoptin": True,
        "pendingurl": "",
        "thankyouurl": "",
        "resendconfirmationemail": True,
        "usechangeemail": False,
    }


async def test_an_opt_in_process_lives_and_dies(http: httpx.AsyncClient) -> None:
    """Create answers with the object; the rest of its life is `[true]`."""
    created = (await http.post("/list", json={"name": "Gewinnspiel"})).json()
    path = f"/list/{created['listid']}"
    assert (created["name"], created["usesingleoptin"]) == ("Gewinnspiel", False)
    assert (await http.put(path, json={"name": "Verlosung"})).json() == [True]
    assert (await http.get(path)).json()["name"] == "Verlosung"
    assert (await http.delete(path)).json() == [True]
    assert (await http.get(path)).status_code == 404


async def test_the_redirect_follows_the_contact(box: Sandbox, http: httpx.AsyncClient) -> None:
    """The pending page until the mail is confirmed, then the thank-you page."""
    wish = {"listid": str(box.default_opt_in_id), "email": "a@example.com"}
    await http.post("/subscriber", json={"email": "a@example.com"})
    (pending,) = (await http.post("/list/redirect", json=wish)).json()
    box.confirm("a@example.com")
    (thanks,) = (await http.post("/list/redirect", json=wish)).json()
    assert ("/pending/" in pending, "/thankyou/" in thanks) == (True, True)


async def test_a_tag_lives_and_dies(box: Sandbox, http: httpx.AsyncClient) -> None:
    """Ids are ints when created and texts when read; a deleted tag vanishes from contacts; its name is free again."""
    created = (await http.post("/tag", json={"name": "Käufer", "text": "hat gekauft"})).json()
    (tag_id,) = created
    assert isinstance(tag_id, int)
    assert (await http.get("/tag")).json() == {str(tag_id): "Käufer"}
    assert (await http.post("/tag", json={"name": "Käufer"})).status_code == 406
    assert (await http.put(f"/tag/{tag_id}", json={"text": ""})).json() == [True]
    assert (await http.put(f"/tag/{tag_id}", json={"name": "Kunde", "text": None})).json() == [True]
    assert (await http.get(f"/tag/{tag_id}")).json() == {"tagid": str(tag_id), "name": "Kunde", "text": ""}
    await http.post("/subscriber", json={"email": "a@example.com", "tagid": tag_id})
    assert (await http.delete(f"/tag/{tag_id}")).json() == [True]
    contact = box.contact("a@example.com")
    assert contact is not None
    assert contact.tags == {}
    assert (await http.post("/tag", json={"name": "Kunde"})).status_code == 200


async def test_a_tag_keeps_its_name_when_another_has_the_new_one(box: Sandbox, http: httpx.AsyncClient) -> None:
    """A refused change changes nothing, the description included."""
    box.add_tag("eins")
    tag_id = box.add_tag("zwei", text="alt")
    assert (await http.put(f"/tag/{tag_id}", json={"name": "eins", "text": "neu"})).status_code == 406
    assert (box.tags[tag_id].name, box.tags[tag_id].text) == ("zwei", "alt")


async def test_a_smart_tag_is_in_no_list_and_stays_as_it_is(box: Sandbox, http: httpx.AsyncClient) -> None:
    """It can be read by its id; to change or to delete it is error 31."""
    tag_id = box.add_tag("Formular 1", smart=True)
    assert (await http.get("/tag")).json() == []
    assert (await http.get(f"/tag/{tag_id}")).json()["name"] == "Formular 1"
    for answer in (await http.put(f"/tag/{tag_id}", json={"name": "a"}), await http.delete(f"/tag/{tag_id}")):
        assert (answer.status_code, answer.json()) == (406, {"error": 31})
