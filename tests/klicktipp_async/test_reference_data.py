"""Data fields, opt-in processes and the account on the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
import respx

from klicktipp_async import (
    ArgumentError,
    Conflict,
    DataField,
    FieldNotFound,
    KlickTipp,
    OptInNotFound,
    OptInProcess,
    Option,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("answer", [{"fieldFirstName": "Vorname", "field12345": "Mein Feld"}, []])
async def test_fields(kt: KlickTipp, api: respx.MockRouter, answer: Any) -> None:
    """The map of fields keeps its prefixed keys."""
    api.get("/field").respond(json=answer)
    assert await kt.fields.all() == dict(answer)


@pytest.mark.parametrize("key", ["12345", "field12345"])
async def test_field_by_either_key(kt: KlickTipp, api: respx.MockRouter, key: str) -> None:
    """A field is fetched without the prefix, whichever way its key was written."""
    api.get("/field/12345").respond(json={"id": 12345, "name": "Mein Feld"})
    field = await kt.fields.get(key)
    assert (field, field.key) == (DataField(id="12345", name="Mein Feld"), "field12345")


async def test_standard_field(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A standard field goes by its name."""
    api.get("/field/FirstName").respond(json={"id": "FirstName", "name": "Vorname"})
    assert (await kt.fields.get("fieldFirstName")).name == "Vorname"


async def test_fields_as_options(kt: KlickTipp, api: respx.MockRouter) -> None:
    """Fields for a drop-down list carry the prefixed key as value."""
    api.get("/field").respond(json={"field2": "Zoo", "field1": "äh", "field3": "Alter"})
    assert await kt.fields.options() == [Option("Alter", "field3"), Option("Zoo", "field2"), Option("äh", "field1")]


async def test_field_life(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The undocumented operations create, rename and delete a field."""
    create = api.post("/field").respond(json=["12494414"])
    update = api.put("/field/12494414").respond(json=[True])
    api.delete("/field/12494414").respond(json=[True])
    number = await kt.fields.create("Größe")
    await kt.fields.update(f"field{number}", "Schuhgröße")
    await kt.fields.delete(str(number))
    assert number == 12494414
    assert json.loads(create.calls.last.request.content) == {"name": "Größe"}
    assert json.loads(update.calls.last.request.content) == {"name": "Schuhgröße"}


async def test_unknown_field(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The vendor speaks of a tag when a field is missing; the class follows the operation."""
    api.put("/field/1").respond(404, json=["Kein Tag mit dieser ID."])
    with pytest.raises(FieldNotFound):
        await kt.fields.update("1", "neu")


async def test_opt_ins(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The account's own process has no name, and a readable label as an option."""
    api.get("/list").respond(json={"3": "", "23": "Mein Prozess"})
    assert await kt.opt_ins.all() == {3: "", 23: "Mein Prozess"}
    assert await kt.opt_ins.options() == [Option("Default double opt-in", "3"), Option("Mein Prozess", "23")]


@pytest.mark.parametrize("number", [23, "23"])
async def test_opt_in(kt: KlickTipp, api: respx.MockRouter, number: int | str) -> None:
    """A process comes with speaking names, and its id as an int."""
    answer = {"listid": number, "name": "P", "usesingleoptin": False, "pendingurl": "https://e.example/p"}
    more = {"thankyouurl": "", "resendconfirmationemail": True, "usechangeemail": False}
    api.get("/list/23").respond(json=answer | more)
    assert await kt.opt_ins.get(23) == OptInProcess(
        id=23,
        name="P",
        single=False,
        pending_url="https://e.example/p",
        thank_you_url="",
        resends_confirmation=True,
        changes_email=False,
    )


async def test_redirect_url(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The one-item list becomes the URL, its escaped slashes included; the id is sent as a text."""
    route = api.post("/list/redirect").respond(text='["https:\\/\\/e.example\\/thanks"]')
    assert await kt.opt_ins.redirect_url(45, "a@example.com") == "https://e.example/thanks"
    assert json.loads(route.calls.last.request.content) == {"listid": "45", "email": "a@example.com"}


async def test_redirect_url_of_an_unknown_process(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A 404 names the process."""
    api.post("/list/redirect").respond(404)
    with pytest.raises(OptInNotFound):
        await kt.opt_ins.redirect_url(45, "a@example.com")


async def test_opt_in_life(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The undocumented operations create, rename and delete a process."""
    api.post("/list").respond(json={"listid": "9", "name": "neu"})
    update = api.put("/list/9").respond(json=[True])
    api.delete("/list/9").respond(json=[True])
    assert (await kt.opt_ins.create("neu")).id == 9
    await kt.opt_ins.update(9, "anders")
    await kt.opt_ins.delete(9)
    assert json.loads(update.calls.last.request.content) == {"name": "anders"}


async def test_taken_name_of_a_process(kt: KlickTipp, api: respx.MockRouter) -> None:
    """The 409 with a list as its body is a conflict that keeps the vendor's words."""
    api.post("/list").respond(409, json=["A list with the name neu already exists."])
    with pytest.raises(Conflict, match="already exists") as caught:
        await kt.opt_ins.create("neu")
    assert not caught.value.maybe_applied


@pytest.mark.parametrize(
    "call",
    [
        lambda kt: kt.fields.create(" "),
        lambda kt: kt.fields.update("1", ""),
        lambda kt: kt.fields.get("a/b"),
        lambda kt: kt.opt_ins.create(""),
        lambda kt: kt.opt_ins.update(1, " "),
        lambda kt: kt.opt_ins.redirect_url(1, "nobody"),
    ],
)
async def test_bad_values_never_leave(kt: KlickTipp, call: Any) -> None:
    """What cannot be right is refused before anything is sent."""
    with pytest.raises(ArgumentError):
        await call(kt)


async def test_account(kt: KlickTipp, api: respx.MockRouter, load: Any) -> None:
    """The account comes typed, with what is not known kept, and without personal data in its repr."""
    api.get("/account").respond(json=load("account/account"))
    account = await kt.account.get()
    assert (account.uid, account.language, account.tier) == (5, "de", 10000)
    assert account.extra["limits"] == {"automation": "10"}
    assert "konto" not in repr(account)
