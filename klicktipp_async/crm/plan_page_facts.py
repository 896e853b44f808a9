"""What a page on a plan shows beside its figures: examples of changes, and how many contacts get and lose each tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import attrs

from klickdoxie_core.bulk import bulk
from klickdoxie_core.entry import State
from klickdoxie_core.journal import Journal
from klicktipp_async.client import KlickTipp
from klicktipp_async.crm.brief_reasons import Both
from klicktipp_async.crm.difference import Change
from klicktipp_async.crm.plan_page_texts import clean, value
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.crm.rows import Action, RowPlan, plan_of
from klicktipp_async.errors import TagNotFound
from klicktipp_async.models.contact import Bounce, ContactStatus

if TYPE_CHECKING:
    from klicktipp_async.crm.reference import Reference
    from klicktipp_async.field_schema import FieldSchema

_EXAMPLES: Final = 3
_TAGS: Final = 30
_AT_ONCE: Final = 4


@attrs.frozen
class Example:
    """A value before and after its change, as people read it; empty where there is none."""

    old: Both = attrs.field(repr=False)
    new: Both = attrs.field(repr=False)


@attrs.frozen
class TagChange:
    """How many contacts have a tag before and after.

    Attributes:
        name: The name of the tag.
        before: Contacts of the account that have it; None for a tag that is going to be created.
        added: Contacts that get it.
        removed: Contacts that lose it.
    """

    name: str
    before: int | None
    added: int
    removed: int

    @property
    def after(self) -> int:
        """Contacts that will have it."""
        return max((self.before or 0) + self.added - self.removed, 0)


class Digest:
    """What the rows of a plan say together. Memory is bounded by the account's fields and tags.

    Args:
        schema: The types of the data fields.

    Attributes:
        examples: Some changes of each field, by its key.
        added: How many contacts get each tag, by its name.
        removed: How many contacts lose each tag.
        reasons: Why the first row of each reason is skipped, by its code.
        tags: The tags that most contacts get or lose; empty until they were counted in the account.
    """

    def __init__(self, schema: FieldSchema) -> None:
        self._schema = schema
        self.examples: dict[str, list[Example]] = {}
        self.added: Counter[str] = Counter()
        self.removed: Counter[str] = Counter()
        self.reasons: dict[str, Reason] = {}
        self.tags: list[TagChange] = []

    def add(self, plan: RowPlan) -> None:
        """Take in a row."""
        self.added.update(plan.add_tags)
        self.removed.update(plan.remove_tags)
        for change in plan.changes:
            self._exemplify(change)
        if plan.action is Action.SKIPPED and plan.reason is not None:
            self.reasons.setdefault(plan.reason.code, plan.reason)

    @property
    def touched(self) -> int:
        """How many tags are set or taken off."""
        return len(self.added.keys() | self.removed.keys())

    @property
    def most_changed(self) -> list[str]:
        """The names of the tags that most contacts get or lose; no more than a page should show."""
        return [name for name, _ in (self.added + self.removed).most_common(_TAGS)]

    def _exemplify(self, change: Change) -> None:
        known = self.examples.setdefault(change.field, [])
        if len(known) == _EXAMPLES:
            return
        old, new = (value(self._schema, change.field, text) for text in (change.old, change.new))
        example = Example((clean(old[0]), clean(old[1])), (clean(new[0]), clean(new[1])))
        # What is hidden or cut off may be all of the difference.
        if example.old != example.new and example not in known:
            known.append(example)


async def digest_of(journal: Journal, schema: FieldSchema, kt: KlickTipp, reference: Reference) -> Digest:
    """What the rows of the plan in an open journal say; one read for each tag that is counted.

    Raises:
        SdkError: The account could not be read.
    """
    digest = Digest(schema)
    async with aclosing(journal.entries(State.PENDING, State.SKIPPED)) as entries:
        async for entry in entries:
            digest.add(plan_of(entry))
    digest.tags = await _tag_changes(kt, reference, digest)
    return digest


async def _tag_changes(kt: KlickTipp, reference: Reference, digest: Digest) -> list[TagChange]:
    names = digest.most_changed
    missing = set(reference.missing(names))
    ids = await reference.tag_ids(name for name in names if name not in missing)

    async def count(name: str) -> int:
        try:
            return len(await kt.contacts.tagged(ids[name], status=list(ContactStatus), bounce=list(Bounce)))
        except TagNotFound:
            return 0

    before: dict[str, int] = {}
    async with bulk(count, ids, concurrency=_AT_ONCE) as outcomes:
        async for outcome in outcomes:
            before[outcome.item] = outcome.unwrap()
    return [_change(name, before, digest) for name in names]


def _change(name: str, before: Mapping[str, int], digest: Digest) -> TagChange:
    return TagChange(name, before.get(name), digest.added[name], digest.removed[name])
