"""The demonstration of the CRM sync shows what it says, and would show it if it were otherwise."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import anyio
import pytest


@pytest.fixture
def demo(example: Callable[[str], ModuleType]) -> ModuleType:
    """The demonstration."""
    return example("crm_demo")


def test_the_demonstration_succeeds(demo: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    """With fewer rows; two runs are killed and resumed, and both accounts are the same in the end."""
    assert anyio.run(demo.main, 100) == 0
    told = capfd.readouterr().out
    assert "both accounts are the same" in told
    assert "WRONG" not in told


@pytest.mark.anyio
async def test_what_is_different_is_seen(demo: ModuleType) -> None:
    """A contact that is missing, another one that was mailed twice: each has its figure."""
    async with demo.account() as quiet, demo.account() as killed:
        key = next(key for key, field in quiet.fields.items() if field.label == "CRM-ID")
        for box, count in ((quiet, 2), (killed, 1)):
            kt = box.client()
            for number in range(count):
                await kt.contacts.upsert(email=f"k{number}@example.com", fields={key: f"K-{number}"})
        killed.confirmation_mails["k0@example.com"] += 1
        wrong = {figure.what for figure in demo.compared(quiet, killed, [-9, 0, -9, 4], 2) if not figure.good}
    assert wrong == {
        "answers lost on the way",
        "runs that were resumed to the end",
        "contacts in the killed account",
        "contacts that are the same in both accounts",
        "requests to add a contact that were carried out",
        "contacts that got a second one",
    }


def test_the_later_export_differs_where_it_says(example: Callable[[str], ModuleType]) -> None:
    """The figures of the demonstration rest on it; the file can be written as Windows-1252."""
    made = example("make_crm")
    rows = made.make(120)
    changed, changes = made.later(rows)
    assert {number for number, row in enumerate(rows) if row != changed[number]} == changes.rows
    assert made.as_csv(rows) == made.as_csv(made.make(120))
    assert made.as_csv(rows).decode("cp1252").count("\r\n") == 121
