"""Making a plan: each row is looked up in the account and compared with it. Nothing is written but the journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from klickdoxie_core.bulk import bulk
from klickdoxie_core.entry import State
from klickdoxie_core.journal import Journal
from klickdoxie_core.progress import Tally
from klicktipp_async.crm import findings
from klicktipp_async.crm.crm_ids import ReadingStopped
from klicktipp_async.crm.difference import Difference, difference
from klicktipp_async.crm.identity import Found, Identity
from klicktipp_async.crm.reasons import NO_ADDRESS, TAGS_NEED_EMAIL, Reason, duplicate_of, other_values, same_number
from klicktipp_async.crm.reference import Reference
from klicktipp_async.crm.report import Figures
from klicktipp_async.crm.rows import Action, RowPlan, SourceRow, entry_of, plan_of
from klicktipp_async.errors import ArgumentError, BusinessError, DecodeError
from klicktipp_async.models.contact import Contact

if TYPE_CHECKING:
    from klicktipp_async.crm.wanted import Rules, Wanted

Given: TypeAlias = Mapping[str, object] | SourceRow
Rows: TypeAlias = Iterable[Given] | AsyncIterable[Given]

_CHUNK: Final = 250
_NO_ROW: Final = (1 << 53) - 1
_TAKEN: Final = "taken"
# What the service says of this one row; anything else ends the plan, since it would be wrong for every other row, too.
_OF_THE_ROW = (BusinessError, DecodeError, ArgumentError)


class Planner:
    """Plans rows, some at a time, and writes each such chunk into the journal as a whole.

    Rows that the journal has already are passed over, so a plan that was broken off goes on where it was. Memory holds
    one chunk and the names of new tags.

    Args:
        journal: Where the plan is written.
        rules: What the rows mean.
        reference: The tags of the account.
        identity: What finds the contacts; None adds or updates every contact without looking.
        concurrency: How many rows are looked up at once.
    """

    def __init__(
        self, journal: Journal, rules: Rules, reference: Reference, identity: Identity | None, concurrency: int
    ) -> None:
        self._journal = journal
        self._rules = rules
        self._reference = reference
        self._identity = identity
        self._concurrency = concurrency

    async def run(self, rows: Rows, tally: Tally, stopped: Callable[[], bool]) -> None:
        """Plan all rows; `stopped` is asked before each chunk, and a plan that is stopped is not noted as made.

        Rows that an earlier run has planned count as skipped.
        """
        self._figures = Figures.of(self._journal.notes, self._rules.columns)
        await self._catch_up()
        async with aclosing(_chunks(rows)) as chunks:
            async for chunk in chunks:
                if stopped():
                    return
                new = [row for row in chunk if row.number > self._figures.last]
                for _ in range(len(chunk) - len(new)):
                    tally.add(State.SKIPPED)
                try:
                    await self._plan(new)
                except ReadingStopped:
                    return
                for _ in new:
                    tally.add(State.DONE)
                tally.tell()
        await self._journal.note(planned=True)

    async def _catch_up(self) -> None:
        """Count what was planned after the figures were noted for the last time: no more than a chunk."""
        async with aclosing(self._journal.entries(since=self._figures.last + 1)) as entries:
            async for entry in entries:
                self._count(plan_of(entry))

    async def _plan(self, rows: Sequence[SourceRow]) -> None:
        if not rows:
            return
        plans, wants = self._read(rows)
        await self._refuse_doubles(plans, wants)
        found = await self._look_up(wants)
        contacts = {number: [f"id:{each.contact.id}"] for number, each in found.items() if each.contact}
        for number, first in (await self._earlier(contacts)).items():
            plans[number] = _skipped(number, wants.pop(number), findings.same_contact_as(first))
        for number, wanted in wants.items():
            plans[number] = await self._judge(number, wanted, found[number])
        ordered = [plans[row.number] for row in rows]
        for plan in ordered:
            self._count(plan)
        await self._journal.add([entry_of(plan) for plan in ordered])
        await self._journal.note(**self._figures.as_notes())

    def _read(self, rows: Sequence[SourceRow]) -> tuple[dict[int, RowPlan], dict[int, Wanted]]:
        """The rows that are no good, and what the others want."""
        plans: dict[int, RowPlan] = {}
        wants: dict[int, Wanted] = {}
        for row in rows:
            if not isinstance(row.values, Reason):
                self._figures.saw(row.values)
            read = row.values if isinstance(row.values, Reason) else self._rules.wanted(row.values)
            if isinstance(read, Reason):
                plans[row.number] = RowPlan(number=row.number, action=Action.SKIPPED, reason=read)
            else:
                wants[row.number] = read
        return plans, wants

    async def _refuse_doubles(self, plans: dict[int, RowPlan], wants: dict[int, Wanted]) -> None:
        """Skip the rows that mean the same contact as an earlier one, or have the number of another."""
        alike = await self._earlier({number: [wanted.content] for number, wanted in wants.items()})
        taken = await self._earlier({number: wanted.names for number, wanted in wants.items()})
        for number, first in taken.items():
            wanted = wants.pop(number)
            same = alike.get(number) == first
            reason = duplicate_of(first) if same else await self._contradiction(number, wanted.digests)
            plans[number] = _skipped(number, wanted, reason)

    async def _contradiction(self, number: int, digests: Mapping[str, str]) -> Reason:
        """Why a row cannot be sent beside an earlier one that wants something else under one of its names."""
        journal = self._journal
        # Together with a name that is taken for ever a claim only asks, and nothing is recorded for this row.
        await journal.claim([(_NO_ROW, [_TAKEN])])
        holders = await journal.claim([(number, [digest, _TAKEN]) for digest in digests.values()])
        # Rows behind this one may have taken what it was refused.
        rows = {kind: row for kind, row in zip(digests, holders, strict=True) if row is not None and row < number}
        # The number comes last: with an id or an address in common it is the same contact.
        kind = next(iter(rows))
        column = self._rules.identities[kind] or ""
        return (same_number if kind == "sms_number" else other_values)(column, rows[kind])

    async def _earlier(self, names: Mapping[int, Sequence[str]]) -> dict[int, int]:
        """The rows that have a name of an earlier one, each with that row; the others have theirs from now on."""
        found = await self._journal.claim(list(names.items()))
        return {number: first for number, first in zip(names, found, strict=True) if first is not None}

    async def _look_up(self, wants: Mapping[int, Wanted]) -> Mapping[int, Found]:
        identity = self._identity
        if identity is None:
            return dict.fromkeys(wants, Found())

        async def find(row: tuple[int, Wanted]) -> Found:
            try:
                return await identity.find(row[1])
            except _OF_THE_ROW as error:
                if isinstance(error, DecodeError) and error.status == 404:
                    # Somebody else than the service has answered, which says nothing of the row.
                    raise
                return Found(reason=findings.refused(error))

        found: dict[int, Found] = {}
        async with bulk(find, wants.items(), concurrency=self._concurrency) as outcomes:
            async for outcome in outcomes:
                found[outcome.item[0]] = outcome.unwrap()
        # In the order of the rows: the first of several for one contact is the one that counts.
        return {number: found[number] for number in wants}

    async def _judge(self, number: int, wanted: Wanted, found: Found) -> RowPlan:
        contact = found.contact
        if found.reason is not None:
            return _skipped(number, wanted, found.reason, contact)
        if contact is None:
            return self._new(number, wanted)
        names = await self._reference.names_of(contact.manual_tags or contact.tags)
        return _known(number, wanted, contact, difference(contact, wanted, self._rules, names))

    def _new(self, number: int, wanted: Wanted) -> RowPlan:
        tags = (*wanted.segments, *wanted.tags)
        if wanted.email is None and wanted.sms_number is None:
            return _skipped(number, wanted, NO_ADDRESS)
        if wanted.email is None and len(tags) > 1:
            return _skipped(number, wanted, TAGS_NEED_EMAIL)
        looked_up = self._identity is not None and wanted.email is not None
        return RowPlan(
            number=number,
            action=Action.CREATE if looked_up else Action.UPSERT,
            crm_id=wanted.crm_id,
            email=wanted.email,
            sms_number=wanted.sms_number,
            fields=wanted.fields,
            add_tags=tags,
            reason=findings.SMS_ONLY if wanted.email is None else None,
        )

    def _count(self, plan: RowPlan) -> None:
        self._figures.add(plan, self._reference.missing(plan.add_tags))


def _known(number: int, wanted: Wanted, contact: Contact, change: Difference) -> RowPlan:
    """The plan for a contact that is there."""
    email = change.email or contact.email or None
    if (change.add_tags or change.remove_tags) and email is None:
        return _skipped(number, wanted, findings.NO_ADDRESS_TO_TAG, contact)
    return RowPlan(
        number=number,
        action=_action(change),
        contact_id=contact.id,
        crm_id=wanted.crm_id,
        email=email,
        sms_number=change.sms_number,
        changes=change.changes,
        fields=change.fields,
        add_tags=change.add_tags,
        remove_tags=change.remove_tags,
        status=_word(contact),
    )


def _action(change: Difference) -> Action:
    if change.nothing:
        return Action.UNCHANGED
    return Action.UPDATE if change.email is None else Action.CHANGE_ADDRESS


def _skipped(number: int, wanted: Wanted, reason: Reason, contact: Contact | None = None) -> RowPlan:
    return RowPlan(
        number=number,
        action=Action.SKIPPED,
        contact_id=None if contact is None else contact.id,
        crm_id=wanted.crm_id,
        email=wanted.email,
        status=None if contact is None else _word(contact),
        reason=reason,
    )


def _word(contact: Contact) -> str | None:
    return None if contact.status is None else str(contact.status)


async def _chunks(rows: Rows) -> AsyncGenerator[list[SourceRow]]:
    """The rows with their numbers, some at a time; a generator that hands them out is closed."""
    chunk: list[SourceRow] = []
    last = 0
    async with aclosing(_generator(rows)) as source:
        async for given in source:
            row = _numbered(given, last + 1)
            if row.number <= last:
                raise ArgumentError("rows must be numbered from 1 on, each higher than the one before")
            last = row.number
            chunk.append(row)
            if len(chunk) == _CHUNK:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _numbered(given: object, number: int) -> SourceRow:
    row = given if isinstance(given, SourceRow) else SourceRow(number, cast("Mapping[str, object]", given))
    values = cast("object", row.values)
    if not isinstance(values, Mapping | Reason):
        found = type(values).__name__
        raise ArgumentError(f"rows must hold mappings of column to value; row {row.number} is of type {found}")
    return row


def _generator(rows: Rows) -> AsyncGenerator[Given]:
    return cast("AsyncGenerator[Given]", rows) if isinstance(rows, AsyncGenerator) else _each(rows)


async def _each(rows: Rows) -> AsyncGenerator[Given]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
