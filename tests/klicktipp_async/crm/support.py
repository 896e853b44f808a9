"""An account with a field for the CRM's id, rows of that CRM, and what a sync makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Values
from typing import Any, TypeAlias

from klicktipp_async import KlickTipp
from klicktipp_async.crm import ContactSync, Mapping, Reason, RowPlan, SourceRow, SyncPlan, SyncReport
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.sandbox.store import StoredContact

CRM_FIELD = "field200001"
"""The first field that is added to a sandbox."""

MAPPING = Mapping(
    email="Mail",
    sms_number="Mobil",
    contact_id="KT",
    crm_id=("Nr", "CRM-Kennung"),
    fields={"Vorname": "fieldFirstName", "Firma": "Firma"},
    segments=["Segmente"],
    tags=["Tags"],
)


Row: TypeAlias = Values[str, object] | SourceRow

UPSERT, UPDATE, TAG, UNTAG = "Add or Update Contact", "Update Contact", "Tag Contact", "Untag Contact"


def writes(box: Sandbox) -> int:
    """How often something was sent that changes the account."""
    return sum(map(box.count, (UPSERT, UPDATE, TAG, UNTAG, "Create Tag")))


def people(count: int) -> Iterator[dict[str, object]]:
    """Rows of so many new people."""
    for number in range(count):
        yield {"Nr": f"K-{number}", "Mail": f"anna{number}@example.com", "Vorname": "Änne", "Segmente": "Kunde,VIP"}


def make_sync(box: Sandbox, kt: KlickTipp, **options: Any) -> ContactSync:
    """A sync into an account that has the field of the CRM's ids; new contacts need not confirm."""
    if not any(tag.label == "CRM-Kennung" for tag in box._store.fields.values()):
        assert box.add_field("CRM-Kennung") == CRM_FIELD
    return ContactSync(kt, **{"mapping": MAPPING, "opt_in_id": box.single_opt_in_id, **options})


def anna(**changes: Any) -> dict[str, object]:
    """A row of the CRM."""
    return {"Nr": "K-1", "Mail": "anna@example.com", "Vorname": "Änne", "Segmente": "Kunde", **changes}


def add(box: Sandbox, email: str, *tags: str, **fields: str) -> StoredContact:
    """Put a subscribed contact into the account, with tags that are made when they are missing."""
    contact = box._store.add_contact(email, box._store.opt_ins[box.single_opt_in_id])
    contact.fields.update(fields)
    for name in tags:
        box.put_on(email, box._store.tag_ids.get(name) or box.add_tag(name))
    return contact


def tags_of(box: Sandbox, email: str) -> set[str]:
    """The names of a contact's tags."""
    contact = box.contact(email)
    assert contact is not None
    return {box.tags[tag_id].name for tag_id in contact.tags}


async def planned(sync: ContactSync, *rows: Row, source: str = "") -> tuple[SyncPlan, list[RowPlan]]:
    """The plan for some rows, and the plan of each."""
    plan = await sync.plan(rows, source=source)
    return plan, [row async for row in plan.rows()]


async def applied(sync: ContactSync, *rows: Row) -> SyncReport:
    """What became of some rows."""
    return await sync.apply(await sync.plan(rows))


def code(reason: Reason | None) -> str | None:
    """The code of a reason."""
    return None if reason is None else reason.code
