"""What is planned for a row and what became of it, as values and as the journal keeps them."""

from __future__ import annotations

import json

import attrs
import pytest

from klickdoxie_core.entry import Entry
from klicktipp_async.crm import Action, Change, Reason, RowPlan, SourceRow, State
from klicktipp_async.crm.rows import Written, entry_of, error_of, essence, plan_of, report_of

CANARY = "Kanarienvogel"
FULL = RowPlan(
    number=7,
    action=Action.CHANGE_ADDRESS,
    contact_id=155000001,
    crm_id=CANARY,
    email=f"{CANARY}@example.com",
    sms_number=f"0049{CANARY}",
    changes=(Change("email", f"alt@{CANARY}", f"neu@{CANARY}"), Change("fieldFirstName", CANARY, "")),
    fields={"fieldFirstName": CANARY, "fieldLastName": ""},
    add_tags=(f"[CRM] {CANARY}", "VIP"),
    remove_tags=(CANARY,),
    status="subscribed",
    reason=Reason("x", "english", "größer"),
)


@pytest.mark.parametrize(
    "plan",
    [
        FULL,
        RowPlan(number=1, action=Action.CREATE, email="a\x00\ud800@example.com", fields={"fieldCity": "Köln; \r\n"}),
        RowPlan(number=2, action=Action.SKIPPED),
    ],
    ids=["full", "strange", "bare"],
)
def test_a_plan_comes_back_from_the_journal_as_it_was(plan: RowPlan) -> None:
    """Also through JSON, with every character."""
    entry = entry_of(plan)
    stored = attrs.evolve(entry, payload=json.loads(json.dumps(entry.payload)))
    assert plan_of(stored) == plan
    assert (entry.key, entry.place, entry.kind) == (str(plan.number), plan.number, plan.action.value)


@pytest.mark.parametrize("action", Action)
def test_only_what_is_sent_is_left_to_be_done(action: Action) -> None:
    """Rows with nothing to send are settled from the start."""
    settled = {Action.SKIPPED: State.SKIPPED, Action.UNCHANGED: State.DONE}
    assert entry_of(RowPlan(number=1, action=action)).state is settled.get(action, State.PENDING)


def done(state: State, *, result: object = None, error: object = None, plan: RowPlan = FULL) -> Entry:
    """The row in the journal after a run."""
    return attrs.evolve(entry_of(plan), state=state, result=result, error=error)


def test_a_report_prefers_what_the_service_said() -> None:
    """The result has the contact and its status; before there is one, the plan has."""
    made = report_of(done(State.DONE, result=essence(Written(contact_id=9, status="pending"))))
    assert (made.number, made.action, made.state) == (7, Action.CHANGE_ADDRESS, State.DONE)
    assert (made.contact_id, made.status, made.reason) == (9, "pending", None)
    waiting = report_of(done(State.PENDING))
    assert (waiting.contact_id, waiting.status, waiting.crm_id, waiting.reason) == (
        155000001,
        "subscribed",
        CANARY,
        None,
    )


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        (State.SKIPPED, None, Reason("x", "english", "größer")),
        (State.DONE, None, None),
        (State.PENDING, {"code": "503", "message": "later"}, None),
        (State.FAILED, error_of(Reason("4", "no", "nein")), Reason("4", "no", "nein")),
        (State.UNKNOWN, {"code": "Interrupted", "message": "lost"}, Reason("Interrupted", "lost", "lost")),
    ],
)
def test_a_report_says_why(state: State, error: object, expected: Reason | None) -> None:
    """What was skipped has the plan's reason, what failed the service's, everything else none."""
    assert report_of(done(state, error=error)).reason == expected


@pytest.mark.parametrize("state", [State.IN_FLIGHT, State.UNKNOWN])
def test_a_row_that_was_under_way_may_have_arrived(state: State) -> None:
    """The journal of a program that was killed has no error yet."""
    reason = report_of(done(state)).reason
    assert reason is not None
    assert (reason.code, reason.german[:8]) == ("interrupted", "der Lauf")


def test_no_repr_shows_who_somebody_is() -> None:
    """Neither plans and reports nor what they are made of."""
    for each in (FULL, *FULL.changes, entry_of(FULL), report_of(done(State.DONE)), SourceRow(1, {"Mail": CANARY})):
        assert CANARY not in repr(each)
