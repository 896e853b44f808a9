"""The client against the vendor's list: no operation is missing, none is invented, and the sandbox knows the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from klickdoxie_core import Recording, recording
from klicktipp_async import KlickTipp, Listbuilding
from klicktipp_async.resources.account import AccountResource
from klicktipp_async.resources.fields import Fields
from klicktipp_async.resources.opt_ins import OptIns
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.sandbox.operations import OPERATIONS

LISTED = json.loads(Path(__file__).with_name("klicktipp.json").read_text(encoding="utf-8"))
EMAIL = "anna@example.com"

UNDOCUMENTED = (
    AccountResource.get,
    *(Fields.create, Fields.update, Fields.delete),
    *(OptIns.create, OptIns.update, OptIns.delete),
)

Row = tuple[str, str, str]


def listed(*parts: str) -> set[Row]:
    """The vendor's rows: operation, method, and path without the names of its parameters."""
    return {row(entry["operation"], entry["method"], entry["path"]) for part in parts for entry in LISTED[part]}


def row(operation: str, method: str, path: str) -> Row:
    """One row in the form in which both sides are compared."""
    return operation, method, re.sub(r"\{\w+\}", "{}", path)


async def use_everything(box: Sandbox, kt: KlickTipp, lb: Listbuilding) -> None:
    """Call every method of both clients at least once."""
    await kt.account.get()
    tag_id = await kt.tags.create("Kunde", text="kauft")
    await kt.tags.update(tag_id, text="kauft gern")
    await kt.tags.get(tag_id)
    await kt.tags.ensure(["Kunde"])
    await kt.tags.options()
    contact = await kt.contacts.upsert(email=EMAIL, opt_in_id=box.single_opt_in_id, fields={"fieldFirstName": "Anna"})
    await kt.contacts.find_id(EMAIL)
    await kt.contacts.get(contact.id)
    await kt.contacts.update(contact.id, fields={"fieldZip": "01067"})
    await kt.contacts.tag(EMAIL, tag_id)
    await kt.contacts.tagged(tag_id)
    await kt.contacts.untag(EMAIL, tag_id)
    await kt.contacts.ids()
    async with kt.contacts.iter() as contacts:
        assert [found.id async for found in contacts] == [contact.id]
    field = await kt.fields.create("Hobby")
    await kt.fields.update(str(field), "Hobbys")
    await kt.fields.get(str(field))
    await kt.fields.options()
    await kt.fields.delete(str(field))
    process = await kt.opt_ins.create("neu")
    await kt.opt_ins.update(process.id, "anders")
    await kt.opt_ins.get(process.id)
    await kt.opt_ins.options()
    await kt.opt_ins.redirect_url(process.id, EMAIL)
    await kt.opt_ins.delete(process.id)
    await kt.contacts.unsubscribe(EMAIL)
    await kt.contacts.delete(contact.id)
    await kt.tags.delete(tag_id)
    await lb.sign_in(email="berta@example.com")
    await lb.sign_out("berta@example.com")
    box.confirm("berta@example.com")
    await lb.sign_off("berta@example.com")
    await kt.aclose()


@pytest.fixture
async def seen() -> Recording:
    """What the clients sent while everything was used."""
    async with Sandbox() as box:
        kt, lb = box.client(), box.listbuilding()
        with recording() as exchanges:
            await use_everything(box, kt, lb)
    return exchanges


@pytest.mark.anyio
async def test_every_operation_and_no_other(seen: Recording) -> None:
    """What the client sends is the vendor's list, row by row, with the undocumented operations beside it."""
    sent = {row(each.operation, each.method, each.template) for each in seen.exchanges}
    assert sent == listed("documented", "listbuilding", "undocumented")
    assert all(each.error is None for each in seen.exchanges)


@pytest.mark.parametrize(("part", "number"), [("documented", 22), ("listbuilding", 3), ("undocumented", 7)])
def test_the_list_is_whole(part: str, number: int) -> None:
    """The list itself has as many rows as the vendor's."""
    assert len(listed(part)) == number


def test_the_sandbox_knows_the_same() -> None:
    """The sandbox has a route for each row and for nothing else."""
    known = {row(operation.name, operation.method, operation.template) for operation in OPERATIONS}
    assert known == listed("documented", "listbuilding", "undocumented")


@pytest.mark.parametrize("method", UNDOCUMENTED)
def test_undocumented_methods_say_so(method: Any) -> None:
    """Each method behind an operation that the vendor does not document says so."""
    assert "The vendor does not document this operation." in method.__doc__
