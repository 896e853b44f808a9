"""Writing the rows of a plan: one call for a contact, one for its tags, one for each tag that goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from klickdoxie_core.breaker import may_pass
from klickdoxie_core.entry import Entry, State
from klickdoxie_core.errors import Facts, SdkError, renewed
from klickdoxie_core.errors import Interrupted as CoreInterrupted
from klicktipp_async.client import KlickTipp
from klicktipp_async.crm import findings
from klicktipp_async.crm.crm_ids import CrmIds
from klicktipp_async.crm.difference import difference
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.crm.reference import Reference
from klicktipp_async.crm.rows import MAKING, Action, RowPlan, Written, plan_of
from klicktipp_async.crm.wanted import Wanted
from klicktipp_async.errors import AddressUnsubscribed, Interrupted, KlickTippError, TagNotFound
from klicktipp_async.models.contact import Contact, ContactStatus

if TYPE_CHECKING:
    from klicktipp_async.crm.wanted import Rules

T = TypeVar("T")

_AFTER_THE_CONTACT: Final = frozenset({"Tag Contact", "Update Contact"})


class Writer:
    """Carries out the plans of rows. It reads nothing but what it must after a run that was broken off.

    Args:
        kt: A client of the account.
        rules: What may be changed.
        reference: The tags of the account; missing ones are created.
        opt_in_id: The opt-in process of new contacts; None for the account's own.
        ids: What finds contacts by the CRM's id; None to do without.
    """

    def __init__(
        self, kt: KlickTipp, rules: Rules, reference: Reference, opt_in_id: int | None, ids: CrmIds | None = None
    ) -> None:
        self._kt = kt
        self._rules = rules
        self._reference = reference
        self._opt_in_id = opt_in_id
        self._crm_ids = ids

    async def write(self, entry: Entry) -> Written:
        """Carry out the plan of a row whose turn has come, for the first time or after it was refused."""
        plan = plan_of(entry)
        if entry.state is State.FAILED and plan.email is not None:
            # The contact may have been made before what came next was refused.
            return await self.finish(entry)
        return await (self._upsert(plan) if plan.action in MAKING else self._change(plan))

    async def finish(self, entry: Entry) -> Written:
        """Carry out the plan of a row that was under way when an earlier run was broken off.

        A contact that the earlier run made is completed; it is not added once more, so that no second mail is sent.

        Raises:
            Interrupted: A contact without an address cannot be searched for, so nobody knows.
        """
        plan = plan_of(entry)
        if plan.action not in MAKING:
            return await self._change(plan)
        if plan.email is None:
            message = "a contact without an e-mail address cannot be searched for; it was not sent again"
            raise Interrupted(message, Facts(maybe_applied=True))
        contact_id = await self._kt.contacts.find_id(plan.email)
        if contact_id is None:
            return await self._upsert(plan)
        contact = await self._kt.contacts.get(contact_id)
        if contact.status == ContactStatus.UNSUBSCRIBED:
            raise AddressUnsubscribed("the contact has unsubscribed meanwhile; nothing of it was changed")
        return await self._change(await self._missing(plan, contact))

    async def _missing(self, plan: RowPlan, contact: Contact) -> RowPlan:
        """What a contact lacks of what is planned for it."""
        wanted = Wanted(
            contact=None,
            crm_id=plan.crm_id,
            email=plan.email,
            sms_number=plan.sms_number,
            fields=plan.fields,
            segments=(),
            tags=plan.add_tags,
        )
        names = await self._reference.names_of(contact.manual_tags or contact.tags)
        lacks = difference(contact, wanted, self._rules, names)
        return attrs.evolve(
            plan,
            action=Action.UPDATE,
            contact_id=contact.id,
            sms_number=lacks.sms_number,
            fields=lacks.fields,
            add_tags=lacks.add_tags,
            status=None if contact.status is None else str(contact.status),
        )

    async def _upsert(self, plan: RowPlan) -> Written:
        """Add or update the contact with its first tag, then set the others."""

        async def send(tag_ids: Sequence[int]) -> Contact:
            return await self._kt.contacts.upsert(
                email=plan.email,
                sms_number=plan.sms_number,
                opt_in_id=self._opt_in_id,
                tag_id=tag_ids[0] if tag_ids else None,
                fields=plan.fields,
            )

        # Before the contact is made: a tag that cannot be created leaves nothing half done.
        await self._reference.tag_ids(plan.add_tags)
        contact = await self._with_ids(plan.add_tags[:1], send)
        if plan.email is not None and plan.add_tags[1:]:
            try:
                await self._tag(plan.email, plan.add_tags[1:])
            except KlickTippError as error:
                # The contact is there: the row must never be sent again as if nothing had happened.
                raise renewed(error, maybe_applied=error.maybe_applied or may_pass(error)) from error
        return Written(contact_id=contact.id, status=None if contact.status is None else str(contact.status))

    async def _change(self, plan: RowPlan) -> Written:
        """Change a contact that is there; each step may be repeated."""
        given: dict[str, str] = {}
        if plan.action is Action.CHANGE_ADDRESS and plan.email is not None:
            given["email"] = plan.email
        if plan.sms_number is not None:
            given["sms_number"] = plan.sms_number
        if plan.contact_id is not None and (given or plan.fields):
            if self._crm_ids is not None and self._rules.crm_field in plan.fields:
                # What is not known is read again. A run that is killed here must leave nothing behind that is wrong,
                # or a new address would make a second contact one day.
                await self._crm_ids.forget(plan.contact_id)
            await self._kt.contacts.update(plan.contact_id, **given, fields=plan.fields)
        if plan.email is not None:
            if plan.add_tags:
                await self._tag(plan.email, plan.add_tags)
            await self._untag(plan.email, plan.remove_tags)
        return Written(contact_id=plan.contact_id, status=plan.status)

    async def _tag(self, email: str, names: Sequence[str]) -> None:
        await self._with_ids(names, lambda tag_ids: self._kt.contacts.tag(email, tag_ids))

    async def _untag(self, email: str, names: Sequence[str]) -> None:
        gone = self._reference.missing(names)
        for name, tag_id in (await self._reference.tag_ids(name for name in names if name not in gone)).items():
            try:
                await self._kt.contacts.untag(email, tag_id)
            except TagNotFound:
                # Who has deleted the tag has taken it off everybody.
                await self._reference.forget([name])

    async def _with_ids(self, names: Sequence[str], send: Callable[[Sequence[int]], Awaitable[T]]) -> T:
        """Send something with the ids of tags; once more should one of them have been deleted meanwhile."""
        try:
            return await send(await self._ids(names))
        except TagNotFound:
            await self._reference.forget(names)
            return await send(await self._ids(names))

    async def _ids(self, names: Sequence[str]) -> list[int]:
        return list((await self._reference.tag_ids(names)).values())


def reason_of(plan: RowPlan, error: Exception) -> Reason | None:
    """Why a row was refused or may or may not have arrived; None for what is no error of the client."""
    if not isinstance(error, SdkError):
        return None
    if isinstance(error, CoreInterrupted) and not error.operation:
        # Nothing was sent by this run; an earlier one was broken off.
        return findings.INTERRUPTED
    made = plan.action in MAKING and error.operation in _AFTER_THE_CONTACT
    return findings.unfinished(findings.refused(error)) if made else findings.refused(error)


def put_of(plan: RowPlan, written: Written) -> Mapping[int, str]:
    """What finds the contact of a row by the CRM's id from now on."""
    return {written.contact_id: plan.crm_id} if written.contact_id is not None and plan.crm_id else {}
