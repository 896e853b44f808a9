"""Plans of rows: every action, every reason, and the order in which rows get their turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from klickdoxie_core import Clock
from klickdoxie_core.progress import Progress
from klicktipp_async import ConfigError, KlickTipp, Retry
from klicktipp_async.crm import Action, Change, Reason, SourceRow
from klicktipp_async.errors import ArgumentError, DecodeError
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import CRM_FIELD, Row, add, anna, code, make_sync, people, planned

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("rows", [[{"Mail": "x"}, ("a@b.de", "x")], [{"Mail": "x"}, "a@b.de"], [SourceRow(2, 5)]])  # type: ignore[arg-type] # what is no row
async def test_what_is_no_row_is_refused(box: Sandbox, kt: KlickTipp, rows: list[Any]) -> None:
    """The argument is named, and the row; what stands in it is not."""
    with pytest.raises(ArgumentError, match="rows must hold mappings of column to value; row 2 is of type") as caught:
        await make_sync(box, kt).plan(rows)
    assert "a@b" not in str(caught.value)


async def test_each_row_has_an_action_or_a_reason(box: Sandbox, kt: KlickTipp) -> None:
    """All of them at once, in the order of the rows."""
    sync = make_sync(box, kt)
    add(box, "gleich@example.com", "[CRM] Kunde", **{CRM_FIELD: "K-1", "fieldFirstName": "Änne"})
    add(box, "anders@example.com", **{CRM_FIELD: "K-2"})
    add(box, "umgezogen@example.com", "[CRM] Kunde", **{CRM_FIELD: "K-3", "fieldFirstName": "Änne"})
    add(box, "weg@example.com", **{CRM_FIELD: "K-4"})
    box.unsubscribe("weg@example.com")
    rows: list[Row] = [
        anna(Mail="gleich@example.com"),
        anna(Nr="K-2", Mail="anders@example.com"),
        anna(Nr="K-3", Mail="hier@example.com"),
        anna(Nr="K-5", Mail="neu@example.com"),
        anna(Nr=None, Mail=None, Mobil="+49 30 23125001"),
        anna(Nr="K-4", Mail=None),
        anna(Nr="K-6", Mail="GLEICH@example.com"),
        anna(Nr="K-7", Mail="hier@example.com"),
        anna(Nr="K-8", Mail=None),
        {"Vorname": "Niemand"},
        anna(Nr=None, Mail="kaputt"),
        SourceRow(20, Reason("cells_missing", "too short", "zu kurz")),
        anna(Nr=None, Mail=None, Mobil="+49 30 23125002", Segmente="a,b"),
    ]
    plan, found = await planned(sync, *rows)
    assert [(row.number, row.action, code(row.reason)) for row in found] == [
        (1, Action.UNCHANGED, None),
        (2, Action.UPDATE, None),
        (3, Action.CHANGE_ADDRESS, None),
        (4, Action.CREATE, None),
        (5, Action.UPSERT, "sms_only"),
        (6, Action.SKIPPED, "unsubscribed"),
        (7, Action.SKIPPED, "other_values"),
        (8, Action.SKIPPED, "other_values"),
        (9, Action.SKIPPED, "no_address"),
        (10, Action.SKIPPED, "no_identity"),
        (11, Action.SKIPPED, "email_invalid"),
        (20, Action.SKIPPED, "cells_missing"),
        (21, Action.SKIPPED, "tags_need_email"),
    ]
    assert plan.counts == {
        Action.UNCHANGED: 1,
        Action.UPDATE: 1,
        Action.CHANGE_ADDRESS: 1,
        Action.CREATE: 1,
        Action.UPSERT: 1,
        Action.SKIPPED: 8,
    }
    assert (plan.total, plan.left, plan.empty, plan.complete) == (13, 4, False, True)
    assert plan.changes == {"email": 1, "fieldFirstName": 1}
    assert plan.reasons["other_values"] == 2
    assert sum(plan.reasons.values()) == 8


async def test_a_change_tells_old_and_new(box: Sandbox, kt: KlickTipp) -> None:
    """What a dry run shows of a contact, whose status goes along."""
    sync = make_sync(box, kt)
    contact = add(box, "alt@example.com", "[CRM] Alt", **{CRM_FIELD: "K-1", "fieldFirstName": "Anna"})
    _, (row,) = await planned(sync, anna(Mobil="+49 30 23125001"))
    assert row.changes == (
        Change("email", "alt@example.com", "anna@example.com"),
        Change("sms_number", "", "00493023125001"),
        Change("fieldFirstName", "Anna", "Änne"),
    )
    assert (row.contact_id, row.crm_id, row.email, row.status) == (contact.id, "K-1", "anna@example.com", "subscribed")
    assert (row.add_tags, row.remove_tags, row.fields) == (("[CRM] Kunde",), ("[CRM] Alt",), {"fieldFirstName": "Änne"})


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({}, "duplicate"),
        ({"Nr": "K-9"}, "other_values"),
        ({"Mail": "neu@example.com"}, "other_values"),
        ({"Nr": None, "KT": "{id}", "Mail": None}, "same_contact"),
        ({"Nr": None, "Mail": "alt@example.com"}, "same_contact"),
    ],
)
async def test_the_first_of_two_rows_for_one_contact_counts(
    box: Sandbox, kt: KlickTipp, second: dict[str, Any], reason: str
) -> None:
    """Whether the rows say so, or only the account knows."""
    sync = make_sync(box, kt)
    contact = add(box, "alt@example.com", **{CRM_FIELD: "K-1"})
    changed = {name: value and value.format(id=contact.id) for name, value in second.items()}
    plan, rows = await planned(sync, anna(), anna(**changed))
    assert [row.action for row in rows] == [Action.CHANGE_ADDRESS, Action.SKIPPED]
    assert rows[1].reason is not None
    assert (rows[1].reason.code, plan.reasons) == (reason, {reason: 1})
    assert "line 1" in rows[1].reason.english
    assert "Zeile 1" in rows[1].reason.german


SHARED = "+49 170 5550001"


@pytest.mark.parametrize("apart", [0, 300])
@pytest.mark.parametrize(
    ("second", "reason", "column"),
    [
        ({}, "duplicate", None),
        ({"Mail": "ANNA@example.com", "Mobil": "0049 170 5550001"}, "duplicate", None),
        ({"Vorname": "Eva"}, "other_values", "Nr"),
        ({"Nr": None, "Vorname": "Eva"}, "other_values", "Mail"),
        ({"Nr": "K-2"}, "other_values", "Mail"),
        ({"Nr": "K-2", "Mail": "eva@example.com", "Mobil": "0049 170 5550001"}, "sms_shared", "Mobil"),
        ({"Nr": None, "Mail": "eva@example.com"}, "sms_shared", "Mobil"),
        ({"Nr": None, "Mail": None}, "sms_shared", "Mobil"),
    ],
)
async def test_a_row_that_cannot_be_sent_beside_an_earlier_one_says_why(
    box: Sandbox, kt: KlickTipp, apart: int, second: dict[str, Any], reason: str, column: str | None
) -> None:
    """Only what is the same in every value is a mere duplicate; two people may well share a telephone."""
    others = [{"Mail": f"berta{number}@example.com"} for number in range(apart)]
    rows: list[Row] = [anna(Mobil=SHARED), *others, anna(**{"Mobil": SHARED, **second})]
    _, found = await planned(make_sync(box, kt, look_up=False), *rows)
    told = found[-1].reason
    assert told is not None
    assert (told.code, told.column) == (reason, column)
    assert ("line 1," in told.english, "Zeile 1," in told.german) == (True, True)
    assert told.english.startswith(f"{column}: " if column else "the same contact")


async def test_a_row_that_is_left_out_takes_nothing_from_later_ones(box: Sandbox, kt: KlickTipp) -> None:
    """Who is left out for a shared number is taken where the address comes once more without it."""
    rows = [
        anna(Mobil=SHARED),
        anna(Nr=None, Mail="eva@example.com", Mobil=SHARED),
        anna(Nr=None, Mail="eva@example.com", Mobil=SHARED),
        anna(Nr=None, Mail="eva@example.com"),
    ]
    _, found = await planned(make_sync(box, kt, look_up=False), *rows)
    assert [code(row.reason) for row in found] == [None, "sms_shared", "sms_shared", None]


async def test_duplicates_are_found_however_far_apart(box: Sandbox, kt: KlickTipp) -> None:
    """Also in another chunk, and with the number of the line that was taken."""
    sync = make_sync(box, kt, look_up=False)

    async def rows() -> AsyncIterator[SourceRow]:
        for number, row in enumerate(people(600)):
            yield SourceRow(number * 2 + 2, row)
        yield SourceRow(5000, {"Mail": "ANNA3@EXAMPLE.COM"})

    plan = await sync.plan(rows())
    (row,) = [row async for row in plan.rows(Action.SKIPPED)]
    assert row.reason is not None
    assert (row.number, "line 8" in row.reason.english, plan.total) == (5000, True, 601)


@pytest.mark.parametrize("numbers", [(0,), (1, 1), (3, 2), (-1,)])
async def test_rows_are_numbered_upwards(box: Sandbox, kt: KlickTipp, numbers: tuple[int, ...]) -> None:
    """A number that comes twice would be taken for a row that is done."""
    with pytest.raises(ArgumentError, match="numbered from 1"):
        await make_sync(box, kt).plan(SourceRow(number, anna()) for number in numbers)


async def test_too_many_new_tags_ask_for_the_right_column(box: Sandbox, kt: KlickTipp) -> None:
    """A column of names must not become a thousand tags; those that the account has do not count."""
    for number in range(5):
        box.add_tag(f"[CRM] Nr. {number}")
    sync = make_sync(box, kt, look_up=False)

    def rows(count: int) -> Iterator[dict[str, object]]:
        for number in range(count):
            yield {"Mail": f"anna{number}@example.com", "Segmente": f"Nr. {number}"}

    assert len((await sync.plan(rows(1005))).new_tags) == 1000
    with pytest.raises(ConfigError, match="more than 1,000 new tags; is the right column"):
        await sync.plan(rows(1006))


@pytest.mark.parametrize(
    ("operation", "status", "body", "expected"),
    [("Search Contact ID", 406, {"error": 5}, "5"), ("Get Contact", 200, {"id": "x"}, "DecodeError")],
)
async def test_a_contact_that_cannot_be_read_is_skipped_with_its_reason(
    box: Sandbox, clock: Clock, operation: str, status: int, body: object, expected: str
) -> None:
    """One broken answer does not keep all other rows from being planned."""
    kt = box.client(clock=clock, retry=Retry(attempts=1))
    sync = make_sync(box, kt, find_crm_ids=False, concurrency=1)
    for name in ("anna", "berta"):
        add(box, f"{name}@example.com")
    box.fail(operation, status=status, body=body)
    _, found = await planned(sync, anna(), anna(Mail="berta@example.com", Nr="K-2"))
    assert [(row.action, code(row.reason)) for row in found] == [(Action.SKIPPED, expected), (Action.UPDATE, None)]


@pytest.mark.parametrize("operation", ["Search Contact ID", "Get Contact"])
async def test_an_answer_of_somebody_else_ends_the_plan(box: Sandbox, clock: Clock, operation: str) -> None:
    """A 404 of a web server says nothing of the row: nobody is added for it, and no row is left out."""
    sync = make_sync(box, box.client(clock=clock), find_crm_ids=False, concurrency=1)
    add(box, "anna@example.com")
    box.fail(operation, status=404, body="<html>nginx</html>")
    with pytest.raises(DecodeError, match="check base_url"):
        await sync.plan([anna()])
    _, found = await planned(sync, anna())
    assert [row.action for row in found] == [Action.UPDATE]


class Cursor:
    """Rows of a database that come one by one."""

    def __init__(self, count: int) -> None:
        self._rows = people(count)

    def __aiter__(self) -> Cursor:
        return self

    async def __anext__(self) -> dict[str, object]:
        """The next row."""
        for row in self._rows:
            return row
        raise StopAsyncIteration


async def test_rows_may_come_from_anything_that_hands_them_out(box: Sandbox, kt: KlickTipp) -> None:
    """Lists, generators, and asynchronous iterators of all kinds; a generator is closed when a plan breaks off."""
    sync = make_sync(box, kt, look_up=False)
    closed = False

    async def generator() -> AsyncIterator[SourceRow]:
        nonlocal closed
        try:
            yield SourceRow(1, anna())
            yield SourceRow(1, anna())
        finally:
            closed = True

    for rows in (list(people(3)), people(3), Cursor(3)):
        assert (await sync.plan(rows)).total == 3
    with pytest.raises(ArgumentError):
        await sync.plan(generator())
    assert closed


async def test_who_is_not_found_by_an_id_may_have_a_number(box: Sandbox, kt: KlickTipp) -> None:
    """It is added or updated with no more than one tag, since it cannot be searched for."""
    sync = make_sync(box, kt)
    rows = [anna(Mail=None, Mobil="+49 30 23125001"), anna(Nr="K-2", Mail=None, Mobil="+493023125002", Segmente="a,b")]
    _, found = await planned(sync, *rows)
    assert [(row.action, code(row.reason)) for row in found] == [
        (Action.UPSERT, "sms_only"),
        (Action.SKIPPED, "tags_need_email"),
    ]


async def test_the_progress_counts_the_rows(box: Sandbox, kt: KlickTipp) -> None:
    """Of all rows that there are, those that are planned."""
    told: list[Progress] = []
    await make_sync(box, kt, look_up=False, on_progress=told.append).plan(people(300), total=300)
    assert (told[-1].done, told[-1].total) == (300, 300)


async def test_causes_are_counted_in_brief(box: Sandbox, kt: KlickTipp) -> None:
    """The column and a few words, the same for all their rows; a row with two faults counts for both."""
    rows: list[Row] = [
        {"Mail": "kaputt", "Mobil": "0170"},
        {"Mail": "auch kaputt"},
        anna(),
        anna(Vorname="Eva"),
        anna(Vorname="Ina"),
        SourceRow(9, Reason("cells_missing", "the row has 1 cells, the header 2", "…")),
    ]
    plan, _ = await planned(make_sync(box, kt, look_up=False), *rows)
    assert [(cause.english, cause.column, count) for cause, count in plan.causes.most_common()] == [
        ("Mail: not an e-mail address", "Mail", 2),
        ("Nr: the same contact twice in the file, with other values", "Nr", 2),
        ("Mobil: not a phone number with its country", "Mobil", 1),
        ("the row has too few cells", None, 1),
    ]
    assert plan.reasons == {"email_invalid": 2, "other_values": 2, "cells_missing": 1}


async def test_columns_that_no_row_has_are_told(box: Sandbox, kt: KlickTipp) -> None:
    """Rows may leave columns out, but one that never comes is perhaps misspelled."""
    plan, _ = await planned(make_sync(box, kt), {"Mail": "a@example.com"}, {"Mail": "b@example.com", "Firma": "x"})
    assert plan.unseen == ("KT", "Mobil", "Nr", "Segmente", "Tags", "Vorname")


async def test_managed_tags_stay_when_a_row_does_not_tell_its_segments(box: Sandbox, kt: KlickTipp) -> None:
    """An empty cell takes them off; a column that is not there says nothing."""
    add(box, "anna@example.com", "[CRM] Alt")
    add(box, "bernd@example.com", "[CRM] Alt")
    sync = make_sync(box, kt)
    _, rows = await planned(sync, {"Mail": "anna@example.com"}, {"Mail": "bernd@example.com", "Segmente": ""})
    assert [row.remove_tags for row in rows] == [(), ("[CRM] Alt",)]
