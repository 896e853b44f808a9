"""Questions to a fake account: what passes, what fails, and what the text then says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from klicktipp_async import Interrupted, KlickTipp, Listbuilding, Retry
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.sandbox.operations import OPERATIONS
from klicktipp_async.testing import (
    assert_applied_once,
    assert_contact,
    assert_not_called,
    assert_not_tagged,
    assert_nothing_applied_twice,
    assert_tagged,
)
from klicktipp_async.testing.assertions import UNREPEATABLE
from tests.inventory.test_klicktipp import use_everything

pytest_plugins = ["klicktipp_async.testing.plugin"]
pytestmark = pytest.mark.anyio

UPSERT = "Add or Update Contact"
EMAIL = "jürgen.kanarie@example.com"


@pytest.fixture
async def box(klicktipp_sandbox: Sandbox, klicktipp: KlickTipp) -> Sandbox:
    """An account with one contact, who is pending, has a first name, a manual tag and a SmartTag."""
    await klicktipp.contacts.upsert(email=EMAIL, fields={"fieldFirstName": "Jürgen"})
    klicktipp_sandbox.put_on(EMAIL, klicktipp_sandbox.add_tag("Kunde; alt"))
    klicktipp_sandbox.put_on(EMAIL, klicktipp_sandbox.add_tag("Gekauft", smart=True))
    klicktipp_sandbox.add_tag("Frei")
    return klicktipp_sandbox


async def test_what_is_so_passes(box: Sandbox) -> None:
    """Addresses count in any case, a field without a value is empty, and SmartTags are tags."""
    assert_contact(box, EMAIL.upper())
    assert_contact(box, EMAIL, status="pending", fields={"fieldFirstName": "Jürgen", "fieldCity": ""})
    assert_contact(box, EMAIL, fields={"FirstName": "Jürgen", "City": ""})
    assert_tagged(box, EMAIL, "Gekauft", "Kunde; alt")
    assert_not_tagged(box, EMAIL, "Frei", "Neu")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (lambda box: assert_contact(box, f"x{EMAIL}"), "no contact with this address; the contacts are: 155000001"),
        (lambda box: assert_contact(box, EMAIL, status="subscribed"), "contact 155000001 is pending, not subscribed"),
        (
            lambda box: assert_contact(box, EMAIL, fields={"fieldFirstName": "Jörg", "fieldCity": "Köln"}),
            "contact 155000001 differs in fieldFirstName (has another value), fieldCity (has no value)",
        ),
        (
            lambda box: assert_contact(box, EMAIL, fields={"FirstName": "Jörg"}),
            "contact 155000001 differs in fieldFirstName (has another value)",
        ),
        (
            lambda box: assert_tagged(box, EMAIL, "Gekauft", "Frei", "Neu"),
            "contact 155000001 lacks the tag 'Frei', 'Neu'; it has: 'Kunde; alt', 'Gekauft';"
            " the account has no tag 'Neu' at all",
        ),
        (
            lambda box: assert_not_tagged(box, EMAIL, "Neu", "Gekauft"),
            "contact 155000001 has the tag 'Gekauft', and should not; it has: 'Kunde; alt', 'Gekauft'",
        ),
        (lambda box: assert_not_tagged(box, "x@example.com", "Neu"), "no contact with this address"),
    ],
)
async def test_what_is_otherwise_is_said(box: Sandbox, question: Callable[[Sandbox], None], said: str) -> None:
    """The contact is named by its id; its address, name and values stay out of the text."""
    with pytest.raises(AssertionError) as failed:
        question(box)
    text = str(failed.value)
    assert said in text
    assert "  Add or Update Contact  1 × 200; carried out: 1" in text
    assert not any(canary in text for canary in ("kanarie", "example.com", "Jürgen", "Jörg", "Köln"))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (lambda box: assert_tagged(box, EMAIL), "at least one tag"),
        (lambda box: assert_not_tagged(box, EMAIL), "at least one tag"),
        (lambda box: assert_contact(box, EMAIL, status="active"), "active"),
        (lambda box: assert_contact(box, EMAIL, fields={"firstname": "Jürgen"}), "fieldfirstname must be spelled"),
        (lambda box: assert_not_called(box, UPSERT, emial=EMAIL), f"of '{UPSERT}' carries 'emial'; close to it: email"),
        (
            lambda box: assert_not_called(box, UPSERT, opt_in=1),
            "what there is: email, fields, listid, smsnumber, tagid",
        ),
        (lambda box: assert_not_called(box, "List Tags", name="a"), "carries 'name'; what there is: none"),
        (lambda box: assert_not_called(box, emial=EMAIL), "no request carries 'emial'; close to it: email"),
        (lambda box: assert_not_called(box, "Create Tags", name="a"), "close to it: 'Create Tag'"),
        (lambda box: assert_applied_once(box, UPSERT, tag_id=1), "close to it: tagid"),
    ],
)
async def test_a_question_that_asks_nothing_is_refused(
    box: Sandbox, question: Callable[[Sandbox], None], said: str
) -> None:
    """It would make a test pass that tests nothing."""
    with pytest.raises(ValueError, match=said):
        question(box)


async def test_what_was_not_called_is_asked_by_any_name_that_a_request_may_carry(box: Sandbox) -> None:
    """In its path, its query or its body."""
    assert_not_called(box, UPSERT, email="x@example.com", listid=1)
    assert_not_called(box, "Get Contact", subscriberid=1)
    assert_not_called(box, bounceStatus="hardbounce")
    with pytest.raises(AssertionError, match="was called once, and should not have been"):
        assert_not_called(box, UPSERT, email=EMAIL.upper())


async def test_every_name_that_is_sent_can_be_asked_for() -> None:
    """The client sends nothing that its operation is not said to carry."""
    async with Sandbox() as box:
        await use_everything(box, box.client(), box.listbuilding())
        known = {operation.name: operation.names for operation in OPERATIONS}
        for received in box.requests:
            assert received.operation is not None
            sent = {*json.loads(received.body or b"{}"), *dict(parse_qsl(received.query)), *received.values}
            assert sent <= known[received.operation]


async def test_a_lost_answer_makes_nothing_happen_twice(box: Sandbox, klicktipp: KlickTipp) -> None:
    """The client looks instead of sending again; what may be repeated does not count."""
    for operation in ("Add or Update Contact", "Create Tag", "Tag Contact"):
        box.drop(operation)
    tag_id = await klicktipp.tags.create("Lead")
    await klicktipp.contacts.upsert(email="neu@example.com")
    await klicktipp.contacts.tag("neu@example.com", tag_id)
    assert_nothing_applied_twice(box)
    assert_applied_once(box, "Add or Update Contact", email="neu@example.com")
    assert box.count("Tag Contact") == 2
    assert_tagged(box, "neu@example.com", "Lead")


async def test_what_happened_twice_is_found(box: Sandbox, klicktipp: KlickTipp) -> None:
    """Whoever sends a sign-up again after a lost answer has done it twice."""
    once = klicktipp.with_options(retry=Retry(attempts=1))
    box.drop("Add or Update Contact")
    with pytest.raises(Interrupted):
        await once.contacts.upsert(email="neu@example.com", confirm=False)
    await once.contacts.upsert(email="neu@example.com", confirm=False)
    with pytest.raises(AssertionError, match="carried out once more: 'Add or Update Contact' once\n"):
        assert_nothing_applied_twice(box)


async def test_listbuilding_is_asked_like_the_rest(klicktipp_sandbox: Sandbox) -> None:
    """Its clients reach the same account and have the same clock."""
    client: Listbuilding = klicktipp_sandbox.listbuilding()
    await client.sign_in(email=EMAIL)
    assert_applied_once(klicktipp_sandbox, "Sign In", email=EMAIL)
    assert_contact(klicktipp_sandbox, EMAIL, status="pending")


def test_what_must_not_be_repeated_is_spelt_as_the_service_does(klicktipp_sandbox: Sandbox) -> None:
    """A name that no operation has would never be found twice; those known to repeat safely are not among them."""
    assert klicktipp_sandbox.operations >= UNREPEATABLE
    creating = {name for name in klicktipp_sandbox.operations if name.startswith(("Create", "Add", "Sign In"))}
    assert creating == UNREPEATABLE


def test_asking_needs_no_event_loop(klicktipp_sandbox: Any) -> None:
    """The questions are plain functions, also for tests that are."""
    assert_nothing_applied_twice(klicktipp_sandbox)
