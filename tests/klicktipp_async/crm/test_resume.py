"""A sync that is broken off: by a cancellation, a kill, a stop or a service that is gone; and how it goes on."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from klickdoxie_core import Clock
from klickdoxie_core.breaker import Breaker
from klickdoxie_core.errors import ConnectFailed, JobStopped
from klickdoxie_core.progress import Progress
from klicktipp_async import ConfigError, Forbidden, KlickTipp, Retry
from klicktipp_async.crm import Action, ContactSync, State
from klicktipp_async.crm import sync as sync_module
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
    code,
    make_sync,
    people,
    tags_of,
    writes,
)

pytestmark = pytest.mark.anyio

OPERATIONS = [None, UPSERT, UPDATE, TAG, UNTAG]
"""Where a job is broken off; None for its first write."""


async def broken_off(sync: ContactSync, reached: anyio.Event) -> None:
    """Apply until a moment, and cancel in the way of anyio."""
    async with anyio.create_task_group() as group:
        group.start_soon(sync.apply)
        await reached.wait()
        group.cancel_scope.cancel()


async def broken_off_natively(sync: ContactSync, reached: anyio.Event) -> None:
    """Apply until a moment, and cancel in the way of asyncio."""
    task = asyncio.ensure_future(sync.apply())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def break_off_and_go_on(
    box: Sandbox,
    kt: KlickTipp,
    journal: Path,
    operation: str | None,
    break_off: Callable[[ContactSync, anyio.Event], Awaitable[None]],
) -> None:
    """Break a job off when an operation reaches the service, and see that the next one finishes it."""
    for number in range(3):
        add(box, f"alt{number}@example.com", "[CRM] Alt", **{CRM_FIELD: f"A-{number}"})
    rows: list[Row] = [
        *people(6),
        *({"Nr": f"A-{number}", "Mail": f"neu{number}@example.com", "Segmente": None} for number in range(3)),
    ]
    options: dict[str, Any] = {"journal": journal, "opt_in_id": None, "concurrency": 2}
    sync = make_sync(box, kt, **options)
    await sync.plan(rows)
    reached = anyio.Event()
    exchange = box._exchange

    def watch(inbound: Any) -> Any:
        answer = exchange(inbound)
        if box.requests[-1].operation == operation or (operation is None and writes(box) == 1):
            reached.set()
        return answer

    box._exchange = watch  # type: ignore[method-assign] # the moment is the service's
    await break_off(sync, reached)
    box._exchange = exchange  # type: ignore[method-assign] # as it was
    report = await make_sync(box, kt, **options).apply()
    assert (report.complete, report.created, report.updated, len(box.contacts)) == (True, 6, 3, 9)
    assert set(box.confirmation_mails.values()) == {1}
    for number in range(6):
        assert tags_of(box, f"anna{number}@example.com") == {"[CRM] Kunde", "[CRM] VIP"}
    for number in range(3):
        assert tags_of(box, f"neu{number}@example.com") == set()
    before = writes(box)
    assert (await make_sync(box, kt, **options).apply()).complete
    assert writes(box) == before


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_cancelled_job_is_finished_by_the_next_one(
    box: Sandbox, kt: KlickTipp, tmp_path: Path, operation: str | None
) -> None:
    """Each contact is there once, as wanted, with one confirmation mail, whichever call was under way."""
    await break_off_and_go_on(box, kt, tmp_path / "j", operation, broken_off)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_task_cancelled_natively_is_finished_by_the_next_one(
    box: Sandbox, kt: KlickTipp, tmp_path: Path, operation: str | None
) -> None:
    """The same for a task that is cancelled in the way of asyncio."""
    await break_off_and_go_on(box, kt, tmp_path / "j", operation, broken_off_natively)


async def killed(sync: ContactSync, *numbers: int) -> None:
    """Leave rows behind as a program does that is killed while they are under way."""
    async with await sync._book.reopen() as journal:
        for number in numbers:
            await journal.begin(str(number))


@pytest.mark.parametrize(
    ("arrived", "sent"),
    [
        (None, [UPSERT, TAG]),
        ({}, [UPDATE, TAG]),
        ({"fieldFirstName": "Änne"}, [UPDATE, TAG]),
        ({"fieldFirstName": "Änne", CRM_FIELD: "K-1"}, [TAG]),
    ],
)
@pytest.mark.parametrize("look_up", [True, False])
async def test_a_contact_that_was_under_way_is_completed_by_what_it_lacks(
    box: Sandbox, kt: KlickTipp, arrived: dict[str, str] | None, sent: list[str], look_up: bool
) -> None:
    """What has arrived is not sent again, and above all no second confirmation mail."""
    sync = make_sync(box, kt, opt_in_id=None, look_up=look_up)
    await sync.plan([anna(Segmente="Kunde,VIP", Mobil="")])
    await killed(sync, 1)
    tag_id = box.add_tag("[CRM] Kunde")
    if arrived is not None:
        await kt.contacts.upsert(email="anna@example.com", fields=arrived, tag_id=tag_id)
    before = len(box.requests)
    assert (await sync.report()).unknown == 1
    report = await sync.apply()
    assert [each.operation for each in list(box.requests)[before:] if each.operation in OPERATIONS] == sent
    assert report.created + report.upserted == 1
    contact = box.contact("anna@example.com")
    assert contact is not None
    assert contact.fields == {"fieldFirstName": "Änne", CRM_FIELD: "K-1"}
    assert tags_of(box, contact.email) == {"[CRM] Kunde", "[CRM] VIP"}
    assert box.confirmation_mails == {"anna@example.com": 1}
    (row,) = [row async for row in report.rows()]
    assert (row.contact_id, row.status) == (contact.id, "pending")


async def test_a_change_that_was_under_way_is_made_once_more(box: Sandbox, kt: KlickTipp) -> None:
    """An update may be repeated, so nobody has to look; the plan of a contact is not made again."""
    sync = make_sync(box, kt)
    contact = add(box, "alt@example.com", "[CRM] Alt", **{CRM_FIELD: "K-1"})
    plan = await sync.plan([anna()])
    await killed(sync, 1)
    before = box.count("Get Contact")
    report = await sync.apply(plan)
    assert (report.updated, report.complete, contact.email) == (1, True, "anna@example.com")
    assert (box.count(UPDATE), box.count("Get Contact")) == (1, before)


async def test_who_unsubscribes_while_a_job_is_broken_off_stays_so(box: Sandbox, kt: KlickTipp) -> None:
    """The row is refused as by the service itself, and nothing is written."""
    sync = make_sync(box, kt)
    await sync.plan([anna()])
    await killed(sync, 1)
    box.unsubscribe(add(box, "anna@example.com").email)
    report = await sync.apply()
    assert (report.reasons, report.failed, writes(box)) == ({"AddressUnsubscribed": 1}, 1, 1)
    assert tags_of(box, "anna@example.com") == set()


async def test_a_number_that_was_under_way_stays_in_doubt(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """It cannot be searched for; only a new plan adds or updates it once more."""
    sync = make_sync(box, kt, journal=tmp_path / "j")
    rows = [{"Mobil": "+49 30 23125001"}]
    await sync.plan(rows, source="file")
    await killed(sync, 1)
    for _ in range(2):
        report = await sync.apply()
        (row,) = [row async for row in report.rows(State.UNKNOWN)]
        assert (code(row.reason), report.reasons, report.complete) == ("interrupted", {"interrupted": 1}, False)
    assert box.count(UPSERT) == 0
    assert (await sync.apply(await sync.plan(rows, source="file"))).upserted == 1


async def test_a_look_that_fails_leaves_the_row_in_doubt(box: Sandbox, kt: KlickTipp) -> None:
    """Nobody knows more than before, so it is not sent again the next time either."""
    sync = make_sync(box, kt, opt_in_id=None)
    await sync.plan([anna()])
    await killed(sync, 1)
    await kt.contacts.upsert(email="anna@example.com")
    box.fail("Search Contact ID", every=1, status=503)
    assert (await sync.apply()).unknown == 1
    box._faults.clear()
    assert (await sync.apply()).created == 1
    assert box.confirmation_mails == {"anna@example.com": 1}


async def test_a_row_under_way_says_so(box: Sandbox, kt: KlickTipp) -> None:
    """Before the next run finds out, it may or may not have arrived."""
    sync = make_sync(box, kt)
    await sync.plan(people(2))
    await killed(sync, 2)
    report = await sync.report()
    assert (report.left, report.unknown, report.complete) == (1, 1, False)
    assert [(row.number, code(row.reason)) async for row in report.rows(State.IN_FLIGHT)] == [(2, "interrupted")]


async def test_a_plan_that_is_broken_off_goes_on_where_it_was(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Rows that stand in the journal are not looked up again, and the figures are those of all rows."""
    sync = make_sync(box, kt, journal=tmp_path / "j", find_crm_ids=False)
    await sync.check()

    async def rows() -> AsyncIterator[dict[str, object]]:
        for number, row in enumerate(people(600)):
            if number == 550:
                raise OSError(errno.EIO, "the CRM is gone")
            yield row

    with pytest.raises(OSError, match="the CRM is gone"):
        await sync.plan(rows())
    assert box.count("Search Contact ID") == 500
    with pytest.raises(ConfigError, match=r"not made to its end; call plan\(\) again"):
        await sync.apply()
    plan = await make_sync(box, kt, journal=tmp_path / "j", find_crm_ids=False).plan(people(600))
    assert box.count("Search Contact ID") == 600
    assert (plan.complete, plan.total, plan.counts, plan.left) == (True, 600, {Action.CREATE: 600}, 600)
    assert plan.new_tags == ("[CRM] Kunde", "[CRM] VIP")


async def test_figures_that_were_not_noted_are_counted_again(box: Sandbox, kt: KlickTipp) -> None:
    """A program that is killed between a chunk and its figures loses neither."""
    sync = make_sync(box, kt, look_up=False)

    def stopped() -> Iterator[dict[str, object]]:
        yield from people(250)
        sync.stop()
        yield anna()

    await sync.plan(stopped())
    async with await sync._book.reopen() as journal:
        await journal.note(last=0, total=0, new_tags=[])
    plan = await sync.plan(people(300))
    assert (plan.complete, plan.total, plan.new_tags) == (True, 300, ("[CRM] Kunde", "[CRM] VIP"))


async def test_a_plan_that_is_stopped_is_not_applied(box: Sandbox, kt: KlickTipp) -> None:
    """It says so, and the next plan makes it to its end."""
    told: list[Progress] = []
    sync = make_sync(box, kt, find_crm_ids=False, on_progress=told.append)

    def rows() -> Iterator[dict[str, object]]:
        for number, row in enumerate(people(600)):
            if number == 300:
                sync.stop()
            yield row

    plan = await sync.plan(rows(), total=600)
    assert (plan.complete, plan.total) == (False, 250)
    assert (told[-1].done, told[-1].total) == (250, 600)
    with pytest.raises(ConfigError, match="not made to its end"):
        await sync.apply(plan)
    assert (await sync.plan(people(600))).complete
    assert writes(box) == 0


async def test_an_application_that_is_stopped_goes_on_later(box: Sandbox, kt: KlickTipp) -> None:
    """What is under way is finished, the rest is left, and nothing is lost."""
    told: list[Progress] = []

    def stop(progress: Progress) -> None:
        if progress.done == 1 and not told:
            told.append(progress)
            sync.stop()

    sync = make_sync(box, kt, concurrency=1, on_progress=stop)
    await sync.plan(people(10))
    stopped = await sync.apply()
    assert (stopped.stopped, stopped.complete, stopped.failed, stopped.unknown) == (True, False, 0, 0)
    assert 1 <= stopped.created == len(box.contacts) < 10
    assert stopped.left == 10 - stopped.created
    finished = await sync.apply()
    assert (finished.created, finished.stopped, finished.complete, len(box.contacts)) == (10, False, True, 10)


async def test_a_stop_before_an_application_starts_nothing(box: Sandbox, kt: KlickTipp) -> None:
    """A signal between the plan and its application is not lost."""
    sync = make_sync(box, kt)
    await sync.plan([anna()])
    sync.stop()
    report = await sync.apply()
    assert (report.stopped, report.left, box.count(UPSERT)) == (True, 1, 0)


async def test_a_dead_service_stops_the_job_and_the_report_tells_how_far_it_came(box: Sandbox, clock: Clock) -> None:
    """Nothing is lost: rows that never left are pending, and applying once more finishes them."""
    kt = box.client(clock=clock, retry=Retry(attempts=1))
    down = False

    async def probe() -> None:
        if down:
            raise ConnectFailed("no route")

    sync = make_sync(box, kt, breaker=Breaker(outages=2, max_outage=0, probe=probe), concurrency=1)
    await sync.plan(people(8))
    box.drop(UPSERT, every=1, applied=False)
    down = True
    with pytest.raises(JobStopped):
        await sync.apply()
    report = await sync.report()
    assert (report.created, report.failed, report.total) == (0, 0, 8)
    assert report.unknown + report.left == 8
    assert report.left >= 5
    box._faults.clear()
    down = False
    assert (await sync.apply()).created == 8
    assert len(box.contacts) == 8


async def test_refused_credentials_stop_the_job_at_once(box: Sandbox, kt: KlickTipp) -> None:
    """No row is burnt for what the account as a whole is refused."""
    sync = make_sync(box, kt, concurrency=2)
    await sync.plan(people(20))
    box.fail(UPSERT, every=1, status=403, body=["API access denied."])
    with pytest.raises(JobStopped):
        await sync.apply()
    report = await sync.report()
    assert (report.failed, report.left + report.unknown) == (0, 20)
    assert box.count(UPSERT) <= 8


async def test_an_account_that_cannot_be_read_makes_no_plan(box: Sandbox, kt: KlickTipp) -> None:
    """A failing look-up is the plan's error, not the row's."""
    sync = make_sync(box, kt)
    await sync.check()
    box.fail("Search Contact ID", every=1, status=403, body=["API access denied."])
    with pytest.raises(Forbidden):
        await sync.plan([anna()])


async def test_the_reading_of_contacts_is_told_and_does_not_count_for_the_rows(
    box: Sandbox, kt: KlickTipp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long the rows will take says their own pace; the clock starts anew when the contacts are read."""
    now = 0.0
    reading: list[Progress] = []
    planning: list[Progress] = []

    def read(progress: Progress) -> None:
        nonlocal now
        now += 1000
        reading.append(progress)

    monkeypatch.setattr(sync_module, "Clock", lambda: Clock(monotonic=lambda: now))
    box.seed_contacts(20)
    sync = make_sync(box, kt, on_reading=read, on_progress=planning.append)
    await sync.plan([anna()], total=1)
    assert (reading[-1].done, reading[-1].total) == (20, 20)
    assert (planning[-1].done, planning[-1].total, planning[-1].seconds) == (1, 1, 0)


async def test_the_reading_of_contacts_can_be_stopped_and_gone_on_with(
    box: Sandbox, kt: KlickTipp, tmp_path: Path
) -> None:
    """A plan that needs them ends there; made again, also with another journal, it reads only the others."""
    box.seed_contacts(30)
    ids = tmp_path / "konto.ids"
    sync = make_sync(box, kt, journal=tmp_path / "j", crm_ids=ids, concurrency=1, on_reading=lambda _: sync.stop())
    plan = await sync.plan([anna()])
    assert (plan.complete, plan.total) == (False, 0)
    read_first = box.count("Get Contact")
    assert 1 <= read_first < 30
    other = make_sync(box, kt, journal=tmp_path / "j2", crm_ids=ids)
    assert (await other.plan([anna()])).complete
    assert box.count("Get Contact") == 30
    assert not (tmp_path / "j2.ids").exists()


async def test_rows_that_were_planned_before_do_not_count_for_the_pace(
    box: Sandbox, kt: KlickTipp, tmp_path: Path
) -> None:
    """They were passed over, which takes no time."""
    told: list[Progress] = []
    sync = make_sync(box, kt, journal=tmp_path / "j", look_up=False, on_progress=told.append)

    def stopped() -> Iterator[dict[str, object]]:
        yield from people(250)
        sync.stop()
        yield anna()

    await sync.plan(stopped())
    await sync.plan(people(300))
    assert (told[-1].skipped, told[-1].ok, told[-1].done) == (250, 50, 300)


async def test_tags_that_an_earlier_run_has_made_are_not_new(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """The plan that is gone on with does not announce them once more."""
    sync = make_sync(box, kt, journal=tmp_path / "j")
    assert (await sync.plan([anna()], source="x")).new_tags == ("[CRM] Kunde",)
    box.add_tag("[CRM] Kunde")
    assert (await make_sync(box, kt, journal=tmp_path / "j").plan([anna()], source="x")).new_tags == ()
