"""Rows of a CRM: as they come in, what is planned for each, and what became of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, cast

import attrs

from klickdoxie_core import new_converter
from klickdoxie_core.entry import Entry, State
from klicktipp_async.crm import findings
from klicktipp_async.crm.difference import Change
from klicktipp_async.crm.reasons import Reason

_CONVERTER = new_converter()


class Action(enum.StrEnum):
    """What is planned for a row. `UPSERT` is for contacts that were not looked up or cannot be."""

    CREATE = "create"
    UPDATE = "update"
    CHANGE_ADDRESS = "change of address"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    UPSERT = "add or update"


WRITING: Final = frozenset({Action.CREATE, Action.UPDATE, Action.CHANGE_ADDRESS, Action.UPSERT})
"""The actions that send something."""
MAKING: Final = frozenset({Action.CREATE, Action.UPSERT})
"""The actions that may make a contact, and so may send a confirmation mail."""

_STATES = {Action.SKIPPED: State.SKIPPED, Action.UNCHANGED: State.DONE}


@attrs.frozen
class SourceRow:
    """A row of a source that counts its own rows, such as the lines of a file.

    Attributes:
        number: Its number, from 1 and higher than that of the row before; numbers may be left out.
        values: Values by column, or why the row is no good.
    """

    number: int
    values: Mapping[str, object] | Reason = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class RowPlan:
    """What is planned for a row. Personal data stays out of its repr.

    Attributes:
        number: The number of the row.
        action: What is going to happen.
        contact_id: The contact that was found; None where there is none yet.
        crm_id: The CRM's own id; None without one.
        email: The address of the contact, the new one where it changes; None without one.
        sms_number: The SMS number to write; None leaves it.
        changes: Each value of a known contact that changes; empty for a new one.
        fields: The data fields to write, key to the text to send.
        add_tags: The names of tags to set.
        remove_tags: The names of tags to take off.
        status: Whether the contact gets mails, in the words of `ContactStatus`; None for one that is not known yet.
        reason: Why the row is skipped, or why it was not looked up; None for every other.
    """

    number: int
    action: Action
    contact_id: int | None = None
    crm_id: str | None = attrs.field(default=None, repr=False)
    email: str | None = attrs.field(default=None, repr=False)
    sms_number: str | None = attrs.field(default=None, repr=False)
    changes: tuple[Change, ...] = attrs.field(default=(), repr=False)
    fields: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    add_tags: tuple[str, ...] = attrs.field(default=(), repr=False)
    remove_tags: tuple[str, ...] = attrs.field(default=(), repr=False)
    status: str | None = None
    reason: Reason | None = None


@attrs.frozen(kw_only=True)
class RowReport:
    """What became of a row. Personal data stays out of its repr.

    Attributes:
        number: The number of the row.
        action: What was planned.
        state: What became of it; `PENDING` for a row whose turn has not come.
        contact_id: The contact; None where there is none or none is known.
        crm_id: The CRM's own id; None without one.
        status: Whether the contact gets mails, in the words of `ContactStatus`; KlickTipp decides on that alone, and
            a contact that has unsubscribed stays so. None where it is not known.
        reason: Why it was skipped, refused, or may or may not have arrived; None for every other.
    """

    number: int
    action: Action
    state: State
    contact_id: int | None = None
    crm_id: str | None = attrs.field(default=None, repr=False)
    status: str | None = None
    reason: Reason | None = None


@attrs.frozen(kw_only=True)
class Written:
    """What is kept of a row that was carried out."""

    contact_id: int | None
    status: str | None


def entry_of(plan: RowPlan) -> Entry:
    """The plan of a row as the journal keeps it; a row with nothing to send is settled from the start."""
    return Entry(
        key=str(plan.number),
        place=plan.number,
        kind=plan.action.value,
        state=_STATES.get(plan.action, State.PENDING),
        payload=_CONVERTER.unstructure(plan),
    )


def plan_of(entry: Entry) -> RowPlan:
    """The plan of a row out of the journal."""
    return _CONVERTER.structure(entry.payload, RowPlan)


def essence(written: Written) -> object:
    """What the journal keeps of a row that was carried out."""
    return {"id": written.contact_id, "status": written.status}


def report_of(entry: Entry) -> RowReport:
    """What became of a row, out of the journal."""
    plan = plan_of(entry)
    result = cast("Mapping[str, object]", entry.result or {})
    return RowReport(
        number=plan.number,
        action=plan.action,
        state=entry.state,
        contact_id=cast("int | None", result.get("id", plan.contact_id)),
        crm_id=plan.crm_id,
        status=cast("str | None", result.get("status", plan.status)),
        reason=_reason(entry, plan),
    )


def _reason(entry: Entry, plan: RowPlan) -> Reason | None:
    if entry.state is State.SKIPPED:
        return plan.reason
    return recorded(entry) if entry.state in {State.FAILED, State.UNKNOWN, State.IN_FLIGHT} else None


def recorded(entry: Entry) -> Reason:
    """Why a row was refused or is in doubt, out of the journal."""
    if entry.error is None:
        return findings.INTERRUPTED
    error = cast("Mapping[str, str]", entry.error)
    message = error["message"]
    return Reason(error["code"], message, error.get("german", message))


def error_of(reason: Reason) -> object:
    """A reason as the journal keeps it with a row."""
    return {"code": reason.code, "message": reason.english, "german": reason.german}
