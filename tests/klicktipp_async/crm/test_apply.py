"""What a sync leaves in the account: contacts, fields and tags as wanted, and nothing of anybody else touched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from klicktipp_async import KlickTipp
from klicktipp_async.crm import Action, Mapping, Segments, State, Target
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import (
    CRM_FIELD,
    TAG,
    UNTAG,
    UPDATE,
    UPSERT,
    Row,
    add,
    anna,
    applied,
    code,
    make_sync,
    planned,
    tags_of,
    writes,
)

pytestmark = pytest.mark.anyio


async def test_new_people_arrive_once_with_all_that_is_wanted(box: Sandbox, kt: KlickTipp) -> None:
    """Fields, the CRM's id, segments under their prefix, plain tags and those of every contact."""
    sync = make_sync(box, kt, tags=["Import"])
    report = await applied(sync, anna(Mobil="+49 30 23125001", Firma="Müller; Söhne", Tags="Messe|Presse"))
    contact = box.contact("anna@example.com")
    assert contact is not None
    assert (contact.sms_number, contact.fields) == (
        "00493023125001",
        {"fieldFirstName": "Änne", "fieldCompanyName": "Müller; Söhne", CRM_FIELD: "K-1"},
    )
    assert tags_of(box, "anna@example.com") == {"[CRM] Kunde", "Import", "Messe", "Presse"}
    assert (report.created, report.total, report.complete, report.stopped) == (1, 1, True, False)
    assert report.reasons == Counter()
    (row,) = [row async for row in report.rows()]
    assert (row.action, row.state, row.contact_id, row.crm_id, row.status, row.reason) == (
        Action.CREATE,
        State.DONE,
        contact.id,
        "K-1",
        "subscribed",
        None,
    )


async def test_segments_become_exactly_the_wanted_set(box: Sandbox, kt: KlickTipp) -> None:
    """Tags under the prefix come and go; SmartTags and everybody else's tags stay."""
    contact = add(box, "anna@example.com", "[CRM] Alt", "[CRM] Kunde", "Newsletter", **{CRM_FIELD: "K-1"})
    box.put_on(contact.email, box.add_tag("[CRM] Smart", smart=True))
    report = await applied(make_sync(box, kt), anna(Segmente="Kunde, VIP", Tags="Messe"))
    assert report.updated == 1
    assert tags_of(box, contact.email) == {"[CRM] Kunde", "[CRM] VIP", "Messe", "Newsletter", "[CRM] Smart"}
    assert (box.count(TAG), box.count(UNTAG), box.count(UPSERT)) == (1, 1, 0)


async def test_another_prefix_owns_other_tags(box: Sandbox, kt: KlickTipp) -> None:
    """Only the tags under the prefix that was given are taken off."""
    add(box, "anna@example.com", "[CRM] Alt", "HS: Alt")
    await applied(make_sync(box, kt, segments=Segments("HS: ")), anna(Segmente="Neu"))
    assert tags_of(box, "anna@example.com") == {"[CRM] Alt", "HS: Neu"}


@pytest.mark.parametrize("by", ["KT", "Nr"])
async def test_a_changed_address_is_an_update_of_the_same_contact(box: Sandbox, kt: KlickTipp, by: str) -> None:
    """Found by its id here or there, the contact gets the new address, and its tags under it."""
    sync = make_sync(box, kt)
    contact = add(box, "alt@example.com", "[CRM] Alt", **{CRM_FIELD: "K-1", "fieldFirstName": "Änne"})
    row = anna(KT=str(contact.id), Nr=None) if by == "KT" else anna()
    plan, (planned_row,) = await planned(sync, row)
    assert (planned_row.action, planned_row.contact_id) == (Action.CHANGE_ADDRESS, contact.id)
    assert plan.changes == {"email": 1}
    report = await sync.apply(plan)
    assert (report.updated, len(box.contacts), contact.email) == (1, 1, "anna@example.com")
    assert tags_of(box, "anna@example.com") == {"[CRM] Kunde"}
    assert (box.count(UPDATE), box.count(TAG), box.count(UNTAG), box.count(UPSERT)) == (1, 1, 1, 0)


async def test_who_has_unsubscribed_is_reported_and_left_alone(box: Sandbox, kt: KlickTipp) -> None:
    """Nothing is written, and the report has the contact and its status."""
    sync = make_sync(box, kt)
    contact = add(box, "anna@example.com", "[CRM] Alt")
    box.unsubscribe(contact.email)
    report = await applied(sync, anna())
    (row,) = [row async for row in report.rows(State.SKIPPED)]
    assert (row.contact_id, row.status, code(row.reason)) == (contact.id, "unsubscribed", "unsubscribed")
    assert (report.skipped, report.reasons, writes(box), report.complete) == (1, {"unsubscribed": 1}, 0, True)


@pytest.mark.parametrize(("block", "expected"), [(True, "30"), (False, "10/9")])
async def test_a_refusal_of_the_service_is_told_in_both_languages(
    box: Sandbox, kt: KlickTipp, block: bool, expected: str
) -> None:
    """Blocked addresses and taken numbers have the service's number and a sentence each."""
    sync = make_sync(box, kt)
    add(box, "anna@example.com")
    box._store.change_number(add(box, "berta@example.com"), "00493023125001")
    row = anna(Mail="neu@example.com", Nr="K-2") if block else anna(Mobil="+493023125001")
    box.block("neu@example.com")
    report = await applied(sync, row)
    (failed,) = [row async for row in report.rows(State.FAILED)]
    assert failed.reason is not None
    assert (failed.reason.code, report.reasons, report.failed, report.complete) == (expected, {expected: 1}, 1, False)
    assert failed.reason.english != failed.reason.german
    assert "example.com" not in repr(failed)


async def test_collisions_are_decided_by_the_rules(box: Sandbox, kt: KlickTipp) -> None:
    """One overwrites, one fills what is empty, one is only for new contacts, and one clears."""
    mapping = Mapping(
        email="Mail",
        fields={
            "a": "fieldFirstName",
            "b": Target(field="fieldLastName", collision="only-if-empty"),
            "c": Target(field="fieldCity", collision="never"),
            "d": Target(field="fieldState", clear_if_empty=True),
            "e": Target(field="fieldZip"),
        },
    )
    names = ("FirstName", "LastName", "City", "State", "Zip")
    old = {f"field{name}": "alt" for name in names}
    add(box, "voll@example.com", **old)
    add(box, "leer@example.com")
    rows = [{"Mail": f"{who}@example.com", "a": "1", "b": "2", "c": "3", "d": None} for who in ("voll", "leer", "neu")]
    report = await applied(make_sync(box, kt, mapping=mapping), *rows)
    assert (report.updated, report.created) == (2, 1)
    fields = {contact.email.partition("@")[0]: contact.fields for contact in box.contacts.values()}
    assert fields["voll"] == old | {"fieldFirstName": "1", "fieldState": ""}
    assert fields["leer"] == {"fieldFirstName": "1", "fieldLastName": "2"}
    assert {key: value for key, value in fields["neu"].items() if value} == {
        "fieldFirstName": "1",
        "fieldLastName": "2",
        "fieldCity": "3",
    }


async def test_an_import_looks_at_no_contact(box: Sandbox, kt: KlickTipp) -> None:
    """Without look-up each valid row is added or updated, and only duplicates are kept back."""
    sync = make_sync(box, kt, look_up=False)
    add(box, "anna@example.com", fieldFirstName="Anna")
    rows: list[Row] = [
        anna(),
        anna(Nr="K-2", Mail="ANNA@example.com"),
        {"Mobil": "+493023125001"},
        {"Mail": "kaputt"},
        {"Nr": "K-9"},
    ]
    plan, planned_rows = await planned(sync, *rows)
    assert plan.counts == {Action.UPSERT: 2, Action.SKIPPED: 3}
    assert [code(row.reason) for row in planned_rows] == [
        None,
        "other_values",
        "sms_only",
        "email_invalid",
        "no_address",
    ]
    report = await sync.apply(plan)
    assert (report.upserted, report.skipped) == (2, 3)
    assert report.reasons == {"other_values": 1, "email_invalid": 1, "no_address": 1}
    assert [box.count(name) for name in ("Search Contact ID", "Get Contact", "List Contacts")] == [0, 0, 0]
    assert {contact.fields.get("fieldFirstName") for contact in box.contacts.values()} == {"Änne", None}


async def test_a_tag_that_cannot_be_made_again_leaves_no_contact_behind(
    box: Sandbox, kt: KlickTipp, tmp_path: Path
) -> None:
    """Tags come before the contact: it is refused as a whole, not left with some of its tags."""
    names = ("Messe", "Presse")
    tag_ids = await kt.tags.ensure(names)
    row = {"Mail": "anna@example.com", "Tags": "|".join(names)}
    await make_sync(box, kt, journal=tmp_path / "j").plan([row])
    await kt.tags.delete(tag_ids["Presse"])
    box.fail("Create Tag", status=406, body=["kaputt"], times=2)
    report = await make_sync(box, kt, journal=tmp_path / "j").apply()
    assert (report.failed, box.contact("anna@example.com")) == (1, None)


async def test_a_new_id_of_the_crm_whose_writing_is_in_doubt_is_read_again(
    box: Sandbox, kt: KlickTipp, tmp_path: Path
) -> None:
    """The contact has got it, but no answer came: with a new address it is still the same contact."""
    contact = add(box, "anna@example.com")
    box.drop("Update Contact", times=9)
    await applied(make_sync(box, kt, journal=tmp_path / "j"), {"Nr": "K-1", "Mail": "anna@example.com"})
    box.recover()
    _, rows = await planned(make_sync(box, kt, journal=tmp_path / "j"), {"Nr": "K-1", "Mail": "neu@example.com"})
    assert [(row.action, row.contact_id) for row in rows] == [(Action.CHANGE_ADDRESS, contact.id)]


async def test_a_tag_that_was_deleted_after_the_plan_is_made_again(box: Sandbox, kt: KlickTipp) -> None:
    """New contacts and known ones get it all the same."""
    add(box, "berta@example.com", "[CRM] Kunde", "[CRM] Alt")
    add(box, "clara@example.com")
    sync = make_sync(box, kt)
    rows = [anna(), anna(Nr="K-2", Mail="berta@example.com", Segmente="Neu"), anna(Nr="K-3", Mail="clara@example.com")]
    plan = await sync.plan(rows)
    for name in ("[CRM] Kunde", "[CRM] Alt"):
        box._store.delete_tag(box.tags[box._store.tag_ids[name]])
    report = await sync.apply(plan)
    assert (report.created, report.updated, report.complete) == (1, 2, True)
    assert tags_of(box, "anna@example.com") == tags_of(box, "clara@example.com") == {"[CRM] Kunde"}
    assert tags_of(box, "berta@example.com") == {"[CRM] Neu"}
    assert "[CRM] Alt" not in box._store.tag_ids


@pytest.mark.parametrize(
    ("status", "body", "state", "expected"),
    [(406, {"error": 12345}, State.FAILED, "12345"), (503, None, State.UNKNOWN, "ServerError")],
)
async def test_a_new_contact_without_all_its_tags_is_no_success(
    box: Sandbox, kt: KlickTipp, status: int, body: object, state: State, expected: str
) -> None:
    """The reason says that the contact is there; what is missing is done later, without a second mail."""
    sync = make_sync(box, kt, opt_in_id=None)
    box.fail(TAG, every=1, status=status, body=body)
    report = await applied(sync, anna(Segmente="Kunde,VIP"))
    (row,) = [row async for row in report.rows()]
    assert row.reason is not None
    assert (row.state, row.reason.code, len(box.contacts)) == (state, expected, 1)
    assert row.reason.english.startswith("the contact is there, but")
    assert row.reason.german.startswith("der Kontakt ist da, aber")
    box._faults.clear()
    later = await (applied(sync, anna(Segmente="Kunde,VIP")) if state is State.FAILED else sync.apply())
    assert later.complete
    assert tags_of(box, "anna@example.com") == {"[CRM] Kunde", "[CRM] VIP"}
    assert (box.count(UPSERT), box.confirmation_mails) == (1, {"anna@example.com": 1})


async def test_a_bug_is_not_shown_to_the_owner_of_a_row(
    box: Sandbox, kt: KlickTipp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no error of the client leaves the row in doubt, under its name alone."""

    async def broken(**_: object) -> None:
        raise ZeroDivisionError("anna@example.com")

    monkeypatch.setattr(kt.contacts, "upsert", broken)
    report = await applied(make_sync(box, kt), anna())
    (row,) = [row async for row in report.rows(State.UNKNOWN)]
    assert row.reason is not None
    assert (row.reason.code, row.reason.english) == ("ZeroDivisionError", "its call raised ZeroDivisionError")


async def test_a_busy_service_never_makes_a_second_mail(box: Sandbox, kt: KlickTipp) -> None:
    """A contact whose tags were put off is not added once more, even though no tag was sent."""
    sync = make_sync(box, kt, opt_in_id=None)
    box.fail(TAG, every=1, status=429)
    report = await applied(sync, anna(Segmente="Kunde,VIP"))
    assert (report.unknown, report.left) == (1, 0)
    box._faults.clear()
    assert (await sync.apply()).complete
    assert (box.count(UPSERT), box.confirmation_mails) == (1, {"anna@example.com": 1})


async def test_lost_answers_leave_one_contact_and_one_mail(box: Sandbox, kt: KlickTipp) -> None:
    """Each third answer to anything is lost."""
    sync = make_sync(box, kt, opt_in_id=None, find_crm_ids=False)
    rows = [anna(Nr=f"K-{number}", Mail=f"anna{number}@example.com", Segmente="a,b") for number in range(12)]
    plan = await sync.plan(rows)
    box.drop(None, every=3)
    await sync.apply(plan)
    box._faults.clear()
    assert (await sync.apply()).created == 12
    assert (len(box.contacts), set(box.confirmation_mails.values())) == (12, {1})
    assert all(len(contact.tags) == 2 for contact in box.contacts.values())


async def test_an_sms_number_alone_is_added_or_updated(box: Sandbox, kt: KlickTipp) -> None:
    """It cannot be searched for, so the plan says why it does not know."""
    sync = make_sync(box, kt)
    plan, (row,) = await planned(sync, {"Mobil": "+49 30 23125001", "Segmente": "Kunde"})
    assert (row.action, code(row.reason), plan.reasons) == (Action.UPSERT, "sms_only", {})
    report = await sync.apply(plan)
    (contact,) = box.contacts.values()
    assert (report.upserted, contact.sms_number, contact.email, len(contact.tags)) == (1, "00493023125001", "", 1)


async def test_a_contact_without_an_address_gets_one(box: Sandbox, kt: KlickTipp) -> None:
    """Its tags are set under the new address; without one they cannot be, and the row says so."""
    sync = make_sync(box, kt)
    for number in range(3):
        box._store.change_number(add(box, ""), f"0049302312500{number}")
    first, second, third = box.contacts
    rows: list[Row] = [
        anna(KT=str(first), Nr=None),
        {"KT": str(second), "Segmente": "Kunde"},
        {"KT": str(third), "Vorname": "Änne"},
        {"KT": "1", "Segmente": "Kunde"},
    ]
    report = await applied(sync, *rows)
    assert tags_of(box, "anna@example.com") == {"[CRM] Kunde"}
    assert box.contacts[third].fields == {"fieldFirstName": "Änne"}
    assert (report.updated, report.reasons) == (2, {"tags_need_email": 1, "no_address": 1})
