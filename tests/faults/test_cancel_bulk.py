"""Bulk jobs that are broken off at any checkpoint: what the journal says is true, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from doxie_async.routes import SEND_MAIL
from doxie_async.sandbox import Sandbox as DoxieSandbox
from klickdoxie_core import Effect, Limit, bulk
from klickdoxie_core.entry import State
from klickdoxie_core.errors import JobStopped
from klickdoxie_core.journal import Journal
from klicktipp_async import KeyPair
from klicktipp_async.sandbox import Sandbox
from tests.core.support import settle
from tests.faults.checkpoints import WAYS, How, Run, at_each_checkpoint
from tests.faults.crowd import Aftermath, Crowd, QuickTime, entries_in

pytestmark = pytest.mark.anyio

LIMIT = 3
ITEMS = [f"R{number}" for number in range(1, 6)]
SETTLED = {State.DONE, State.UNKNOWN}


class Mails:
    """Mails, none of which may be sent twice."""

    effect = Effect.ONCE
    operation = SEND_MAIL.name

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.box = DoxieSandbox(clock=crowd.clock())
        self.box.add_event("welcome")
        self.client = self.box.client(clock=QuickTime().clock(), limit=Limit(concurrency=LIMIT))

    async def call(self, item: str) -> object:
        """Send one."""
        return await self.client.mailer.send("welcome", {"ref": item, "email": "käthe@example.com"})

    async def read(self) -> None:
        """Something that changes nothing."""
        await self.client.admin.brands.all().first()

    def done(self, item: str) -> int:
        """How often it has arrived."""
        return self.box.count_sent(item)


class Tags:
    """Tags on contacts, which may be set once more."""

    effect = Effect.REPEATABLE
    operation = "Tag Contact"

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.box = Sandbox(clock=crowd.clock())
        self.box.seed_contacts(len(ITEMS))
        self.tag_id = self.box.add_tag("Kunde")
        keys = KeyPair(self.box.username, self.box.developer_key, self.box.customer_key)
        self.client = self.box.client(keys, clock=QuickTime().clock(), limit=Limit(concurrency=LIMIT))

    async def call(self, item: str) -> object:
        """Tag one contact."""
        await self.client.contacts.tag(self._email(item), self.tag_id)
        return item

    async def read(self) -> None:
        """Something that changes nothing."""
        await self.client.tags.all()

    def done(self, item: str) -> int:
        """Whether it is there."""
        contact = self.box.contact(self._email(item))
        assert contact is not None
        return int(self.tag_id in contact.tags)

    def _email(self, item: str) -> str:
        return f"kontakt{item[1:]}@example.com"


Service = Mails | Tags
SERVICES = pytest.mark.parametrize("make", [Mails, Tags], ids=["once", "repeatable"])


async def tell(service: Service, told: dict[str, State], journal: Journal | None = None) -> None:
    """Run the job, and note what is told of each item."""
    options: dict[str, Any] = {"journal": journal, "concurrency": 2, "effect": service.effect}
    async with bulk(service.call, ITEMS, clock=QuickTime().clock(), **options) as outcomes:
        async for outcome in outcomes:
            told[outcome.item] = outcome.state
            await settle(2)


@WAYS
@SERVICES
async def test_a_job_without_a_journal(how: How, make: type[Service]) -> None:
    """Whoever is not cancelled hears of every item; nothing is left under way, and nothing is sent twice."""

    async def trial(run: Run) -> None:
        service = make(Crowd())
        async with service.box as box:
            box.latency = 1.0
            box.fail(service.operation, status=429, headers={"retry-after": "1"})
            after = Aftermath(service.client, LIMIT, service.read, service.crowd)
            told: dict[str, State] = {}
            if await run(lambda: tell(service, told)):
                assert sorted(told) == ITEMS
            assert all(service.done(item) == 1 for item, state in told.items() if state is State.DONE)
            assert all(service.done(item) <= 1 for item in ITEMS)
            box._faults.clear()
            await after.is_clean()

    await at_each_checkpoint(how, trial)


def check_truth(service: Service, entries: Mapping[str, Any], told: Mapping[str, State]) -> None:
    """See that the journal and the service agree, and that what was told is what stands in the journal."""
    for item in ITEMS:
        state = entries[item].state if item in entries else State.PENDING
        if service.effect is Effect.ONCE:
            assert state is not State.PENDING or not service.done(item), f"{item} was sent and is pending"
        if state is State.DONE:
            assert service.done(item) == 1, f"{item} is done and has not arrived"
        assert state is not State.FAILED
        assert item not in told or told[item] is state, f"{item} was told to be {told[item]} and is {state}"


@WAYS
@pytest.mark.parametrize(
    ("make", "grace"), [(Mails, 5.0), (Mails, 0.0), (Tags, 5.0)], ids=["once", "once, cut off", "repeatable"]
)
async def test_a_job_with_a_journal(
    how: How, make: type[Service], grace: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards the journal can be opened at once; the job goes on where it was, and finds everything done once.

    Mails that are under way have time to finish, or none: then nobody knows whether they have arrived.
    """
    monkeypatch.setattr("klickdoxie_core.journaled._GRACE", grace)
    in_doubt = 0

    async def trial(run: Run) -> None:
        service = make(Crowd())
        journal = Journal(tmp_path / f"{run.number}.journal", job="test")
        told: dict[str, State] = {}

        async def job() -> None:
            async with journal:
                await tell(service, told, journal)

        nonlocal in_doubt
        async with service.box as box:
            box.latency = 1.0
            box.fail(service.operation, status=429, headers={"retry-after": "1"})
            after = Aftermath(service.client, LIMIT, service.read, service.crowd)
            finished = await run(job)
            left = await entries_in(journal)
            check_truth(service, left, told)
            in_doubt += sum(entry.state is State.UNKNOWN and service.done(key) for key, entry in left.items())
            assert not finished or {entry.state for entry in left.values()} == {State.DONE}
            assert State.IN_FLIGHT not in {entry.state for entry in left.values()}
            box._faults.clear()
            await after.is_clean()
            before = box.count(service.operation)
            async with journal:
                await tell(service, told, journal)
            entries = await entries_in(journal)
            check_truth(service, entries, told)
            undone = [item for item in ITEMS if item not in left or left[item].state is State.PENDING]
            expected = undone if service.effect is Effect.ONCE else [i for i in ITEMS if i not in done_in(left)]
            assert box.count(service.operation) - before == len(expected)
            assert sorted(entries) == ITEMS
            states = {entry.state for entry in entries.values()}
            assert states <= (SETTLED if service.effect is Effect.ONCE else {State.DONE})
            assert all(service.done(item) <= 1 for item in ITEMS)

    await at_each_checkpoint(how, trial, first=10, sample=10)
    assert bool(in_doubt) == (grace == 0.0), "whether mails arrived that the journal is in doubt about"


def done_in(entries: Mapping[str, Any]) -> set[str]:
    """The items that are done."""
    return {item for item, entry in entries.items() if entry.state is State.DONE}


@pytest.mark.parametrize("shielded", [False, True])
async def test_a_cancelled_job_does_not_look_like_one_that_has_ended(shielded: bool) -> None:
    """Who takes the outcomes is cancelled too, or is told; nobody takes some of them for all."""

    async def call(item: int) -> int:
        if item:
            await anyio.sleep_forever()
        return item

    async def take(scope: anyio.CancelScope) -> bool:
        async for _ in outcomes:
            scope.cancel()
        return True

    ended = False
    with anyio.CancelScope() as scope:
        async with bulk(call, range(9), concurrency=2) as outcomes:
            if shielded:
                with anyio.CancelScope(shield=True), pytest.raises(JobStopped, match="before it came to its end"):
                    await take(scope)
            else:
                ended = await take(scope)
    assert not ended
