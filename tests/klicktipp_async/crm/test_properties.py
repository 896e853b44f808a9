"""From any account and for any rows a sync reaches what is wanted, touches nothing else, and has nothing left to do."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

import anyio
import attrs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from klickdoxie_core.errors import SdkError
from klicktipp_async import KlickTipp
from klicktipp_async.crm import Action, Collision, ContactSync, RowPlan, RowReport, State, SyncPlan
from klicktipp_async.crm.rows import MAKING
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.sandbox.store import Status, StoredContact
from tests.klicktipp_async.crm.any_account import (
    CASES,
    FAULTS,
    FIELDS,
    PREFIX,
    RESTARTS,
    TRIALS,
    Account,
    Case,
    Fault,
    Meaning,
    Restart,
    Row,
)
from tests.klicktipp_async.crm.support import CRM_FIELD, add, anna, make_sync, planned

Contacts: TypeAlias = dict[int, StoredContact]

_PERSONS: Final = ("Nr", "Mail", "KT")
DISSOLVING: Final = frozenset({"email_taken", "other_crm_contact", "same_contact"})
"""Why a row is skipped only for as long as another contact has not moved on."""
# Without shrinking, which would take minutes; add Phase.shrink to look into a failure.
ANY = settings(max_examples=40, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])


@attrs.define
class Round:
    """One plan and its application: what was there, what was said, and what is there now."""

    box: Account
    before: Contacts
    plans: list[RowPlan]
    reports: list[RowReport]

    def check(self) -> None:
        """Every row came to what it wants, or was left out for a reason that holds; all else is as it was."""
        meant = [self._meant(row) for row in self.box.rows]
        touched: set[int] = set()
        for number, (row, plan, report) in enumerate(zip(self.box.rows, self.plans, self.reports, strict=True)):
            if plan.action is Action.SKIPPED:
                assert self._must_be_skipped(number, meant, code(plan))
            elif report.state is State.FAILED:
                assert self._must_fail(row, plan.contact_id, code(report))
            elif report.state is not State.UNKNOWN:
                assert report.state is State.DONE
                assert plan.contact_id == meant[number]
                assert not self._must_be_left_alone(row, meant[number])
                assert report.contact_id not in touched
                touched.add(self._arrived(row, plan, report))
            else:
                # A contact without an address that was under way when an answer was lost; it cannot be searched for.
                assert plan.action is Action.UPSERT
                touched |= self.box.contacts.keys() - self.before.keys()
        assert {each: contact for each, contact in self.before.items() if each not in touched} == {
            each: contact for each, contact in self.box.contacts.items() if each not in touched
        }
        addresses = Counter(contact.email.lower() for contact in self.box.contacts.values() if contact.email)
        assert set(addresses.values()) <= {1}

    @property
    def moved(self) -> bool:
        """Whether an address or an id of the CRM has become free."""
        return any(
            (old.email, old.fields.get(CRM_FIELD, "")) != (new.email, new.fields.get(CRM_FIELD, ""))
            for old in self.before.values()
            for new in [self.box.contacts[old.id]]
        )

    def _meant(self, row: Row) -> int | None:
        """The contact of a row: by its id or key, then by the CRM's id, then by its address."""
        by_id = [each.id for each in self.before.values() if str(row["KT"]) in {str(each.id), each.key}]
        crm_id = row["Nr"].strip()
        by_crm_id = [each.id for each in self.before.values() if crm_id and each.fields.get(CRM_FIELD) == crm_id]
        by_address = [each.id for each in self.before.values() if row["Mail"] and _same(row["Mail"], each.email)]
        return next(iter(by_id + sorted(by_crm_id)[:1] + by_address), None)

    def _must_be_left_alone(self, row: Row, contact_id: int | None) -> bool:
        """Whether nothing may be written although the contact is known."""
        contact = self.before.get(contact_id or 0)
        return contact is not None and (
            contact.status is Status.UNSUBSCRIBED or self._is_taken(row, contact) or self._is_of_another(row, contact)
        )

    def _is_taken(self, row: Row, contact: StoredContact) -> bool:
        """Whether the row wants an address that another contact has."""
        return any(
            _same(row["Mail"], each.email) for each in self.before.values() if each is not contact and each.email
        )

    def _is_of_another(self, row: Row, contact: StoredContact) -> bool:
        """Whether the contact, found by its address only, is another one of the CRM."""
        named = str(row["KT"]) in {str(contact.id), contact.key}
        crm_id = row["Nr"].strip()
        return not named and bool(crm_id) and contact.fields.get(CRM_FIELD, crm_id) not in {"", crm_id}

    def _must_be_skipped(self, number: int, meant: Sequence[int | None], why: str) -> bool:
        row, contact = self.box.rows[number], self.before.get(meant[number] or 0)
        nobody = contact is None or not contact.email
        reasons = {
            "no_identity": not any(row[name] for name in ("Nr", "Mail", "Mobil", "KT")),
            "no_address": contact is None and not (row["Mail"] or row["Mobil"]),
            "tags_need_email": not row["Mail"] and nobody,
            "duplicate": any(_share_a_name(row, other) for other in self.box.rows[:number]),
            "other_values": any(_share_a_name(row, other, _PERSONS) for other in self.box.rows[:number]),
            "sms_shared": any(_share_a_name(row, other, ("Mobil",)) for other in self.box.rows[:number]),
            "same_contact": contact is not None and contact.id in meant[:number],
            "unsubscribed": contact is not None and contact.status is Status.UNSUBSCRIBED,
            "email_taken": contact is not None and self._is_taken(row, contact),
            "other_crm_contact": contact is not None and self._is_of_another(row, contact),
        }
        return reasons.get(why, False)

    def _must_fail(self, row: Row, contact_id: int | None, why: str) -> bool:
        owners = {each.id for each in self.before.values() if row["Mobil"] and each.sms_number == row["Mobil"]}
        blocked = row["Mail"].lower() in self.box.case.blocked
        return blocked if why.endswith("30") else why.endswith("9") and not owners <= {contact_id}

    def _arrived(self, row: Row, plan: RowPlan, report: RowReport) -> int:
        """Hold the contact of a row against what the row wants, and return its id."""
        contact = self.box.contacts[report.contact_id or 0]
        old = self.before.get(contact.id)
        if plan.action is Action.CREATE:
            assert old is None
        elif plan.action is not Action.UPSERT:
            assert contact.id == plan.contact_id
        had = old or attrs.evolve(contact, email="", sms_number="", fields={}, tags={})
        assert contact.email == (had.email if not row["Mail"] or _same(row["Mail"], had.email) else row["Mail"])
        assert contact.sms_number == (row["Mobil"] or had.sms_number)
        self._check_fields(row, contact, had, overwrite=plan.action in MAKING)
        self._check_tags(row, contact, had, managed=plan.action is not Action.UPSERT)
        if old is None:
            assert contact.status is (Status.PENDING if row["Mail"] else Status.SUBSCRIBED)
        left = {name: getattr(contact, name) for name in ("email", "sms_number", "sms_since", "fields", "tags")}
        assert contact == attrs.evolve(had, **left)
        return contact.id

    def _check_fields(self, row: Row, contact: StoredContact, had: StoredContact, *, overwrite: bool) -> None:
        """Each field has the value that its rule says, in the form that the service had or makes of it."""
        expected = dict(had.fields) | ({CRM_FIELD: row["Nr"].strip()} if row["Nr"].strip() else {})
        for column, field in FIELDS.items():
            collision, clears = self.box.case.rules[column]
            value, stored = row[column], had.fields.get(field.key, "")
            may = overwrite or collision is Collision.OVERWRITE or (collision is Collision.ONLY_IF_EMPTY and not stored)
            if not may or (value in {"", None} and not clears):
                continue
            meaning = next((each for each in field.meanings if value in each.cells), Meaning((), ("",)))
            if overwrite or stored not in meaning.stored:
                expected[field.key] = meaning.stored[0]
        assert {key: value for key, value in contact.fields.items() if value} == {
            key: value for key, value in expected.items() if value
        }

    def _check_tags(self, row: Row, contact: StoredContact, had: StoredContact, *, managed: bool) -> None:
        """Those under the prefix are the wanted ones, those that were there stay, and so does the time of each."""
        names = {tag_id: tag.name for tag_id, tag in self.box.tags.items()}
        segments = {PREFIX + name.removeprefix(PREFIX) for name in row["Segmente"].split("|") if name}
        wanted = segments | ({row["Tags"]} if row["Tags"] else set())
        foreign = [each for each in had.tags if not names[each].startswith(PREFIX) or self.box.tags[each].smart]
        kept = {each for each in had.tags if each in foreign or not managed or names[each] in wanted}
        assert {each: contact.tags.get(each) for each in kept} == {each: had.tags[each] for each in kept}
        assert {names[each] for each in contact.tags.keys() - kept} == wanted - {
            names[each] for each in kept if not self.box.tags[each].smart
        }


def code(told: RowPlan | RowReport) -> str:
    """Why a row was left out."""
    assert told.reason is not None
    return told.reason.code


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _share_a_name(row: Row, other: Row, columns: Sequence[str] = (*_PERSONS, "Mobil")) -> bool:
    return any(row[name] and str(row[name]).strip().lower() == str(other[name]).strip().lower() for name in columns)


async def run_round(box: Account, sync: ContactSync) -> Round:
    """Plan and apply, as often as it takes to come to the end of both, and check what came of it."""
    before = copy.deepcopy(dict(box.contacts))
    mails = box.confirmation_mails.total()
    plan = await made(box, sync)
    assert box.contacts == before
    plans = [row async for row in plan.rows()]
    assert plan.empty is all(row.action in {Action.UNCHANGED, Action.SKIPPED} for row in plans)
    reports = await carried_out(box, sync)
    done = Round(box, before, plans, reports)
    done.check()
    created = [each for each in box.contacts.values() if each.id not in before and each.email]
    assert box.confirmation_mails.total() == mails + len(created)
    return done


async def made(box: Account, sync: ContactSync) -> SyncPlan:
    """The plan; a service that answers nothing for a while ends it, and the next one goes on."""
    for _ in range(TRIALS):
        try:
            return await sync.plan(box.rows)
        except SdkError:
            box.recover()
    pytest.fail("the plan comes to no end")


async def carried_out(box: Account, sync: ContactSync) -> list[RowReport]:
    """What became of the rows once nothing is left that another application would settle."""
    for _ in range(TRIALS):
        try:
            report = await sync.apply()
        except SdkError:
            report = await sync.report()
        reports = [row async for row in report.rows()]
        left = [row for row in reports if row.state in {State.PENDING, State.IN_FLIGHT, State.UNKNOWN}]
        if all(row.action is Action.UPSERT and row.state is State.UNKNOWN for row in left):
            return reports
        box.recover()
    pytest.fail("rows stay open")


async def run_rounds(case: Case, faults: Sequence[Fault] = (), restart: Restart | None = None) -> None:
    """Sync until nothing changes any more, and see that this is soon."""
    async with Account(case) as box:
        box.restart = restart
        for fault in faults:
            fault.plan(box)
        sync = box.sync()
        done = await run_round(box, sync)
        box.recover(at_once=True)
        for _ in range(len(case.rows) + 1):
            again = await run_round(box, sync)
            if check_again(done, again):
                break
            assert done.moved
            done = again
        else:
            pytest.fail("each sync changes something again")
        sync.close()


def check_again(done: Round, again: Round) -> bool:
    """Whether a second sync had nothing to do and said the same of the same rows.

    What was refused is tried again, and so is a number alone, which cannot be searched for.
    """
    for first, refused, second in zip(done.plans, done.reports, again.plans, strict=True):
        if first.action is Action.SKIPPED:
            both = {code(first), code(second)} if second.action is Action.SKIPPED else {code(first), ""}
            if len(both) > 1 and not both <= DISSOLVING:
                return False
        elif not (
            second.action is Action.UNCHANGED
            or refused.state is State.FAILED
            or (second.action is Action.UPSERT and not second.crm_id)
        ):
            return False
    return True


@given(CASES)
@ANY
def test_any_rows_reach_what_is_wanted_in_any_account(case: Case) -> None:
    """Contacts are as their rows say and nobody else is touched; rows that contradict each other are left out.

    Two rows that mean one contact, an address or a number that another contact has, addresses that are swapped, and
    whoever is blocked or has unsubscribed: for these there is a reason. Should a contact thereby give up an address or
    an id of the CRM, rows that waited for it are taken by the next sync; apart from those it has nothing to do.
    """
    anyio.run(run_rounds, case)


@given(CASES, st.lists(FAULTS, max_size=3), RESTARTS)
@ANY
def test_faults_on_the_way_change_nothing_of_the_end(case: Case, faults: list[Fault], restart: Restart) -> None:
    """Lost answers, refusals and a service that starts anew: all the same, and no mail goes out twice.

    Only a contact without an address may stay in doubt, since it cannot be searched for.
    """
    anyio.run(run_rounds, case, faults, restart)


@pytest.mark.anyio
async def test_a_double_that_has_lost_the_id_of_the_crm_leaves_it_to_the_other(box: Sandbox, kt: KlickTipp) -> None:
    """Whoever tidies up two contacts with one id makes no third one at the next change of address."""
    sync = make_sync(box, kt)
    first, second = (add(box, f"alt{number}@example.com", **{CRM_FIELD: "K-1"}) for number in range(2))
    await planned(sync, anna(Mail=first.email))
    first.fields.clear()
    _, (row,) = await planned(sync, anna(Mail="neu@example.com"))
    assert (row.action, row.contact_id) == (Action.CHANGE_ADDRESS, second.id)
