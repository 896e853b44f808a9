"""Finding the contact that a row means, and saying when it must be left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from klicktipp_async import KlickTipp
from klicktipp_async.crm import Reason
from klicktipp_async.crm.crm_ids import CrmIds
from klicktipp_async.crm.identity import Found, Identity
from klicktipp_async.crm.wanted import Rules, Wanted
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import CRM_FIELD, add, code

pytestmark = pytest.mark.anyio

RULES = Rules(email="Mail", contact_id="KT", crm_column="Nr", crm_field=CRM_FIELD)


@pytest.fixture
async def ids(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> AsyncIterator[CrmIds]:
    """What finds contacts by the CRM's id; the account has three of them."""
    box.add_field("CRM-Kennung")
    for number in range(3):
        add(box, f"anna{number}@example.com", **{CRM_FIELD: f"K-{number}"})
    async with CrmIds(tmp_path / "ids", kt, CRM_FIELD) as ids:
        yield ids


def number_of(box: Sandbox, found: Found) -> int | None:
    """Which of the contacts was found."""
    return None if found.contact is None else list(box.contacts).index(found.contact.id)


@pytest.mark.parametrize(
    ("contact", "crm_id", "email", "expected", "reason"),
    [
        (0, None, None, 0, None),
        (0, "K-1", None, 0, None),
        (0, None, "ANNA0@example.com", 0, None),
        (0, None, "neu@example.com", 0, None),
        (0, None, "anna1@example.com", 0, "email_taken"),
        (9, "K-1", None, 1, None),
        (None, "K-1", None, 1, None),
        (None, " K-1 ", "Anna1@example.com", 1, None),
        (None, "K-1", "neu@example.com", 1, None),
        (None, "K-1", "anna2@example.com", 1, "email_taken"),
        (None, None, "anna2@example.com", 2, None),
        (9, "K-9", "anna2@example.com", None, "other_crm_contact"),
        (None, "K-9", "neu@example.com", None, None),
        (9, None, None, None, None),
    ],
)
async def test_ids_go_before_addresses(
    box: Sandbox,
    kt: KlickTipp,
    ids: CrmIds,
    contact: int | None,
    crm_id: str | None,
    email: str | None,
    expected: int | None,
    reason: str | None,
) -> None:
    """The stored id, then the CRM's own, then the address; what contradicts them is a reason."""
    known = [*map(str, box.contacts)]
    stored = None if contact is None else known[contact] if contact < 3 else "999"
    found = await Identity(kt, RULES, ids).find(Wanted(contact=stored, crm_id=crm_id, email=email))
    assert (number_of(box, found), code(found.reason)) == (expected, reason)


async def test_an_address_that_the_service_takes_for_the_contacts_own_is_not_taken(
    box: Sandbox, kt: KlickTipp, ids: CrmIds
) -> None:
    """What the service holds for the same address decides, not how we compare two of them."""
    contact = add(box, "strasse@example.com")
    found = await Identity(kt, RULES, ids).find(Wanted(contact=str(contact.id), email="straße@example.com"))
    assert (number_of(box, found), found.reason) == (3, None)


async def test_a_contact_key_stands_for_the_id(box: Sandbox, kt: KlickTipp, ids: CrmIds) -> None:
    """The service takes either."""
    key = list(box.contacts.values())[1].key
    assert number_of(box, await Identity(kt, RULES, ids).find(Wanted(contact=key))) == 1


@pytest.mark.parametrize("wanted", [{"contact": "{id}"}, {"crm_id": "K-0"}, {"email": "anna0@example.com"}])
async def test_who_has_unsubscribed_is_found_with_a_reason(
    box: Sandbox, kt: KlickTipp, ids: CrmIds, wanted: dict[str, str]
) -> None:
    """However the contact is found, and without a further look at a new address."""
    contact = next(iter(box.contacts.values()))
    box.unsubscribe(contact.email)
    given = {name: text.format(id=contact.id) for name, text in wanted.items()}
    found = await Identity(kt, RULES, ids).find(Wanted(**{"email": "neu@example.com", **given}))  # type: ignore[arg-type] # texts only
    assert (number_of(box, found), code(found.reason)) == (0, "unsubscribed")


async def test_an_id_of_the_crm_that_has_moved_on_is_forgotten(box: Sandbox, kt: KlickTipp, ids: CrmIds) -> None:
    """The contact itself is the authority; a file that is out of date finds nobody."""
    identity = Identity(kt, RULES, ids)
    assert number_of(box, await identity.find(Wanted(crm_id="K-1"))) == 1
    first, second, third = box.contacts.values()
    second.fields[CRM_FIELD] = "K-7"
    box._store.delete_contact(third)
    assert await identity.find(Wanted(crm_id="K-1")) == Found()
    assert await identity.find(Wanted(crm_id="K-2")) == Found()
    before = box.count("Get Contact")
    assert await identity.find(Wanted(crm_id="K-1", email=first.email)) != Found()
    assert box.count("Get Contact") == before + 1


async def test_without_a_file_the_crm_id_only_tells_contacts_apart(box: Sandbox, kt: KlickTipp, ids: CrmIds) -> None:
    """No contact is read to find one, but another one's address is refused all the same."""
    identity = Identity(kt, RULES, None)
    assert await identity.find(Wanted(crm_id="K-1")) == Found()
    found = await identity.find(Wanted(crm_id="K-1", email="anna2@example.com"))
    assert isinstance(found.reason, Reason)
    assert found.reason.code == "other_crm_contact"
    assert box.count("List Contacts") == 0


async def test_a_contact_without_a_crm_id_is_adopted(box: Sandbox, kt: KlickTipp, ids: CrmIds) -> None:
    """Found by its address, it belongs to the CRM from now on."""
    contact = add(box, "berta@example.com")
    found = await Identity(kt, RULES, ids).find(Wanted(crm_id="K-9", email="berta@example.com"))
    assert found.contact is not None
    assert (found.contact.id, found.reason) == (contact.id, None)
