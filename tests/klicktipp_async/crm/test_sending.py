"""Rows that are sent again, rows that are left, and how a job that stopped goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from klickdoxie_core.breaker import Breaker
from klickdoxie_core.errors import Facts
from klicktipp_async import ConnectFailed, JobStopped, KlickTipp
from klicktipp_async.crm.apply import Writer
from klicktipp_async.crm.rows import Written
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import TAG, UPSERT, anna, make_sync, people, tags_of

pytestmark = pytest.mark.anyio


async def test_failed_rows_are_sent_again_where_that_is_asked_for(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Once the cause is mended; what has arrived is left alone."""
    sync = make_sync(box, kt, journal=tmp_path / "j", concurrency=1)
    await sync.plan([anna(), anna(Nr="K-2", Mail="eva@example.com")], source="x")
    box.block("eva@example.com")
    assert ((await sync.apply()).failed, (await sync.apply()).failed) == (1, 1)
    box._store.blocked.clear()
    sent = box.count(UPSERT)
    report = await make_sync(box, kt, journal=tmp_path / "j").apply(retry_failed=True)
    assert (report.created, report.failed, report.complete, report.reasons) == (2, 0, True, {})
    assert box.count(UPSERT) == sent + 1
    assert set(box.confirmation_mails.values()) <= {1}


async def test_a_row_whose_contact_was_made_before_it_failed_is_completed(
    box: Sandbox, kt: KlickTipp, tmp_path: Path
) -> None:
    """It is not added a second time, and gets no second mail."""
    sync = make_sync(box, kt, journal=tmp_path / "j", opt_in_id=None)
    await sync.plan([anna(Segmente="Kunde,VIP")], source="x")
    box.fail(TAG, every=1, status=406, body={"error": 999})
    assert (await sync.apply()).failed == 1
    box._faults.clear()
    assert (await sync.apply(retry_failed=True)).complete
    assert tags_of(box, "anna@example.com") == {"[CRM] Kunde", "[CRM] VIP"}
    assert (box.count(UPSERT), box.confirmation_mails.total()) == (1, 1)


async def test_a_job_that_stops_says_how_a_sync_goes_on(box: Sandbox, kt: KlickTipp) -> None:
    """Its cause stays, and no word is about the function that it is built on."""
    sync = make_sync(box, kt, look_up=False, breaker=Breaker(same=3), concurrency=1)
    box.fail(UPSERT, every=1, status=406, body={"error": 999})
    await sync.plan(people(10))
    with pytest.raises(JobStopped, match="3 items in a row were refused alike") as caught:
        await sync.apply()
    assert str(caught.value).endswith(
        "; to go on, mend the cause and apply the plan again; retry_failed=True sends the failed rows again, too"
    )
    assert "bulk" not in str(caught.value)
    report = await sync.report()
    assert (report.failed, report.left, report.begun, report.arrived) == (3, 7, True, False)


async def test_a_row_that_is_left_says_why(box: Sandbox, kt: KlickTipp, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may pass is no failure; the run that met with it can tell, and the next one sends the row."""
    sync = make_sync(box, kt, look_up=False, concurrency=1)
    await sync.plan(people(3))

    async def unreachable(*_: object) -> Written:
        raise ConnectFailed("nobody there", Facts())

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", unreachable)
        report = await sync.apply()
    assert (report.left, report.failed, report.causes) == (3, 0, {})
    assert {reason.code: count for reason, count in report.unsent.items()} == {"ConnectFailed": 3}
    assert (await sync.report()).unsent == report.unsent
    report = await sync.apply()
    assert (report.complete, report.unsent) == (True, {})
