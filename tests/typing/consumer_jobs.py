"""Jobs with a journal and the CRM sync as a consumer uses them; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import assert_type

from klicktipp_async import UNSET, Breaker, Contact, Effect, JobStopped, Journal, KlickTipp, Progress, State, bulk
from klicktipp_async.crm import (
    Action,
    Change,
    Collision,
    ContactSync,
    Reason,
    RowPlan,
    RowReport,
    Segments,
    SourceRow,
    SyncPlan,
    SyncReport,
    Target,
)
from klicktipp_async.crm import Mapping as ColumnMapping
from klicktipp_async.field_schema import FieldType


def show(progress: Progress) -> None:
    assert_type(progress.done, int)
    assert_type(progress.total, int | None)
    assert_type(progress.left, float | None)
    assert_type(progress.paused, str | None)


async def job(kt: KlickTipp, addresses: list[str]) -> None:
    async def add(email: str) -> Contact:
        return await kt.contacts.upsert(email=email)

    async with Journal(Path("job.journal"), job="add", facts={"input": "1"}) as journal:
        try:
            async with bulk(
                add,
                addresses,
                journal=journal,
                key=str.lower,
                effect=Effect.ONCE,
                reconcile=add,
                keep=lambda contact: contact.id,
                breaker=Breaker(outages=5, same=None, probe=kt.tags.all),
                on_progress=show,
                total=3,
            ) as outcomes:
                async for outcome in outcomes:
                    assert_type(outcome.state, State)
                    assert_type(outcome.unwrap(), Contact)
            assert_type(outcomes.progress, Progress)
        except JobStopped as error:
            assert_type(str(error), str)
        async for entry in journal.entries(State.UNKNOWN):
            assert_type(entry.key, str)
            assert_type(entry.attempts, int)
        assert_type(await journal.counts(), Mapping[tuple[str, State], int])


async def sync(kt: KlickTipp, rows: AsyncIterator[dict[str, object]]) -> None:
    mapping = ColumnMapping(
        email="E-Mail",
        crm_id=("ID", "CRM-ID"),
        fields={
            "Vorname": "fieldFirstName",
            "Umsatz": Target(field="Umsatz", type=FieldType.DECIMAL, collision=Collision.ONLY_IF_EMPTY),
            "Ort": ["fieldCity", Target(field="fieldState", clear_if_empty=True)],
        },
        segments=["Phase"],
    )
    assert_type(ColumnMapping.from_toml("mapping.toml"), ColumnMapping)
    crm = ContactSync(kt, mapping=mapping, opt_in_id=UNSET, segments=Segments("[Zoho] "), journal="crm.journal")
    await crm.check(["ID", "E-Mail"])
    plan = await crm.plan(rows, total=3, source="1")
    assert_type(plan, SyncPlan)
    await crm.write_page("plan.html", language="de")
    assert_type(plan.counts, Mapping[Action, int])
    assert_type(plan.empty, bool)
    async for row in plan.rows(Action.UPDATE):
        assert_type(row, RowPlan)
        assert_type(row.changes, tuple[Change, ...])
        assert_type(row.reason, Reason | None)
    report = await crm.apply(plan)
    assert_type(report, SyncReport)
    async for done in report.rows(State.DONE):
        assert_type(done, RowReport)
        assert_type(done.contact_id, int | None)
        assert_type(done.status, str | None)
    await crm.plan([{"ID": 1}, SourceRow(2, {"ID": 2})])
