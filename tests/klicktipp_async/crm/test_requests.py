"""How many requests a row costs: what a sync of a hundred thousand rows stands or falls by."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from klicktipp_async import KlickTipp
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import CRM_FIELD, TAG, UNTAG, UPDATE, UPSERT, add, anna, make_sync

pytestmark = pytest.mark.anyio

SEARCH, GET = "Search Contact ID", "Get Contact"
ONCE = {"List Tags", "List Data Fields", "List Opt-in Processes", "Create Tag", "Login"}


def cost(box: Sandbox, since: int) -> dict[str, int]:
    """The requests of each kind, without what is asked once for all rows."""
    made = Counter(request.operation for request in list(box.requests)[since:])
    return {name: number for name, number in made.items() if name not in ONCE}


KNOWN = {"fieldFirstName": "Änne", CRM_FIELD: "K-1"}


@pytest.mark.parametrize(
    ("row", "reads", "writes"),
    [
        ({"Nr": None, "Mail": "neu@example.com"}, {SEARCH: 1}, {UPSERT: 1}),
        ({"Nr": None, "Mail": "neu@example.com", "Segmente": ""}, {SEARCH: 1}, {UPSERT: 1}),
        ({"Nr": None, "Mail": "neu@example.com", "Segmente": "a,b,c"}, {SEARCH: 1}, {UPSERT: 1, TAG: 1}),
        ({"Nr": "K-9", "Mail": "neu@example.com"}, {SEARCH: 1}, {UPSERT: 1}),
        ({"KT": "155000001"}, {GET: 1}, {}),
        ({}, {GET: 1}, {}),
        ({"Nr": None}, {SEARCH: 1, GET: 1}, {}),
        ({"Vorname": "Anna"}, {GET: 1}, {UPDATE: 1}),
        ({"Vorname": "Anna", "Segmente": "a,b,c"}, {GET: 1}, {UPDATE: 1, TAG: 1, UNTAG: 1}),
        ({"Segmente": ""}, {GET: 1}, {UNTAG: 1}),
        ({"Mail": "neu@example.com"}, {SEARCH: 1, GET: 1}, {UPDATE: 1}),
        ({"KT": "155000001", "Mail": "neu@example.com"}, {SEARCH: 1, GET: 1}, {UPDATE: 1}),
        ({"KT": "1", "Mail": "neu@example.com"}, {SEARCH: 1, GET: 2}, {UPDATE: 1}),
        ({"Mobil": "+49 30 23125001", "Vorname": "Anna"}, {GET: 1}, {UPDATE: 1}),
    ],
)
async def test_a_row_costs_no_more_than_it_must(
    box: Sandbox, kt: KlickTipp, tmp_path: Path, row: dict[str, Any], reads: dict[str, int], writes: dict[str, int]
) -> None:
    """One read for a new contact, two for a known one, three for a new address; writes only what differs."""
    make_sync(box, kt)
    add(box, "anna@example.com", "[CRM] Kunde", **KNOWN)
    # The file that finds the CRM's ids is filled once, not for each run.
    await make_sync(box, kt, journal=tmp_path / "j").plan([anna(), anna(Nr="K-0", Mail="x@example.com")])
    sync = make_sync(box, kt, journal=tmp_path / "j")
    await sync.check()
    start = len(box.requests)
    plan = await sync.plan([anna(**row)])
    planned = cost(box, start)
    assert planned.pop("List Contacts", 1) == 1
    assert planned == reads
    start = len(box.requests)
    assert (await sync.apply(plan)).complete
    assert cost(box, start) == writes


async def test_an_import_costs_one_request_a_row(box: Sandbox, kt: KlickTipp) -> None:
    """Two with several tags."""
    sync = make_sync(box, kt, look_up=False)
    rows = [
        anna(Nr=f"K-{number}", Mail=f"anna{number}@example.com", Segmente="a,b" * (number % 2)) for number in range(10)
    ]
    await sync.apply(await sync.plan(rows))
    assert cost(box, 0) == {UPSERT: 10, TAG: 5}


async def test_the_account_is_read_once(box: Sandbox, kt: KlickTipp) -> None:
    """Check, plan and application share what they know of it; new tags are made once for all rows."""
    sync = make_sync(box, kt)
    await sync.check()
    plan = await sync.plan([anna(Nr=f"K-{number}", Mail=f"anna{number}@example.com") for number in range(20)])
    await sync.apply(plan)
    asked = Counter(request.operation for request in box.requests)
    assert [asked[name] for name in ("List Data Fields", "List Opt-in Processes", "Create Tag")] == [1, 1, 1]
    assert asked["List Tags"] <= 2
