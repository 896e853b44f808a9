"""A sync that is broken off at any checkpoint: the next one finishes it, and no contact is made or mailed twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from klickdoxie_core import Limit
from klicktipp_async import KeyPair, KlickTipp
from klicktipp_async.crm import Action, ContactSync, State
from klicktipp_async.sandbox import Sandbox
from tests.faults.checkpoints import WAYS, How, Run, at_each_checkpoint
from tests.faults.crowd import Aftermath, Crowd, QuickTime
from tests.klicktipp_async.crm.support import CRM_FIELD, add, make_sync, people, tags_of, writes

pytestmark = pytest.mark.anyio

LIMIT = 3
NEW, OLD = 2, 1


class World:
    """An account, a client of it, and a sync with a journal of its own."""

    def __init__(self, path: Path) -> None:
        self.crowd = Crowd()
        self.box = Sandbox(clock=self.crowd.clock())
        keys = KeyPair(self.box.username, self.box.developer_key, self.box.customer_key)
        self.kt: KlickTipp = self.box.client(keys, clock=QuickTime().clock(), limit=Limit(concurrency=LIMIT))
        self.path = path
        self.sync()
        self._old = [
            add(self.box, f"alt{number}@example.com", "[CRM] Alt", **{CRM_FIELD: f"A-{number}"}).id
            for number in range(OLD)
        ]
        self.box.latency = 1.0

    def sync(self) -> ContactSync:
        """Another one over the same journal, as a new process makes it."""
        return make_sync(self.box, self.kt, journal=self.path, opt_in_id=None, concurrency=2)

    def rows(self) -> Iterator[dict[str, object]]:
        """Two new people, and one who has moved."""
        yield from people(NEW)
        for number in range(OLD):
            yield {"Nr": f"A-{number}", "Mail": f"umgezogen{number}@example.com", "Segmente": "Kunde"}

    def after(self) -> Aftermath:
        """What is looked at when a job was broken off."""
        return Aftermath(self.kt, LIMIT, self.kt.tags.all, self.crowd)


@WAYS
async def test_a_plan(how: How, tmp_path: Path) -> None:
    """It has written nothing to the account, and the next one is the same as if nothing had happened."""

    async def trial(run: Run) -> None:
        world = World(tmp_path / f"{run.number}.journal")
        async with world.box as box:
            after = world.after()
            await run(lambda: world.sync().plan(world.rows(), source="crm.csv"))
            await after.is_clean()
            plan = await world.sync().plan(world.rows(), source="crm.csv")
            assert (plan.complete, plan.total) == (True, NEW + OLD)
            assert plan.counts == {Action.CREATE: NEW, Action.CHANGE_ADDRESS: OLD}
            assert writes(box) == 0

    await at_each_checkpoint(how, trial, first=8, sample=8)


@WAYS
async def test_an_application(how: How, tmp_path: Path) -> None:
    """What the journal calls done has arrived, what it calls pending has not, and the rest is looked up."""

    async def trial(run: Run) -> None:
        world = World(tmp_path / f"{run.number}.journal")
        async with world.box as box:
            await world.sync().plan(world.rows(), source="crm.csv")
            after = world.after()
            finished = await run(world.sync().apply)
            report = await world.sync().report()
            assert not finished or report.complete
            assert report.failed == 0
            assert not {email_of(row.number) async for row in report.rows(State.PENDING)} & emails_in(box)
            assert {email_of(row.number) async for row in report.rows(State.DONE)} <= emails_in(box)
            await after.is_clean()
            assert (await world.sync().apply()).complete
            check_account(box)
            before = writes(box)
            assert (await world.sync().apply()).complete
            assert writes(box) == before

    await at_each_checkpoint(how, trial, first=8, sample=8)


def email_of(number: int) -> str:
    """The address that a row wants, by its number."""
    return f"anna{number - 1}@example.com" if number <= NEW else f"umgezogen{number - NEW - 1}@example.com"


def emails_in(box: Sandbox) -> set[str]:
    """All addresses of the account."""
    return {contact.email for contact in box.contacts.values()}


def check_account(box: Sandbox) -> None:
    """See that everybody is there as wanted, once, and was mailed once."""
    assert len(box.contacts) == NEW + OLD
    assert box.confirmation_mails == {f"anna{number}@example.com": 1 for number in range(NEW)}
    for number in range(NEW):
        assert tags_of(box, f"anna{number}@example.com") == {"[CRM] Kunde", "[CRM] VIP"}
    for number in range(OLD):
        assert tags_of(box, f"umgezogen{number}@example.com") == {"[CRM] Kunde"}
    names = [tag.name for tag in box.tags.values()]
    assert len(names) == len(set(names))
