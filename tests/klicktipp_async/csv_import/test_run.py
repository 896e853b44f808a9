"""What is checked before anything is sent, and how a plan reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from klicktipp_async import ConfigError, FieldType, KlickTipp
from klicktipp_async.csv_import import ImportOptions, MappingError, prepare
from klicktipp_async.csv_import.reasons import Language
from klicktipp_async.csv_import.render import plan_json, plan_text, summary_text
from klicktipp_async.csv_import.report import Summary
from klicktipp_async.csv_import.triage import Finding, State
from klicktipp_async.sandbox import Sandbox

Options = Callable[..., ImportOptions]

pytestmark = pytest.mark.anyio

READS = {"Login", "List Data Fields", "List Tags", "List Opt-in Processes"}


def sent(box: Sandbox) -> set[str]:
    """The operations that reached the sandbox."""
    return {request.operation for request in box.requests}


async def test_a_plan_only_reads(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """Everything is known about a file before anything is sent."""
    box.add_tag("Kunde")
    rows = ["anna@example.com;;;Kunde|Neu", "kaputt;;;Nie", "anna@example.com;;;", ";;Karl;"]
    plan = await prepare(kt, options(*rows, opt_in_id=box.single_opt_in_id))
    found = plan.survey
    assert (found.rows, found.valid, found.duplicates) == (4, 1, 1)
    assert found.invalid == {"email_invalid": 1, "no_address": 1}
    assert (plan.new_tags, plan.opt_in_name) == (("Neu",), "Single-Opt-In")
    assert sent(box) == READS


async def test_a_label_of_the_account_is_a_target(box: Sandbox, kt: KlickTipp, options: Options) -> None:
    """The data fields of the account can be named as people see them."""
    key = box.add_field("Letzter Besuch", FieldType.DATETIME)
    given = options(
        "anna@example.com;24.12.2025 18:30;;",
        maps=["Mail=email", "Mobil=Letzter Besuch:datetime"],
        timezone=ZoneInfo("Europe/Berlin"),
    )
    plan = await prepare(kt, given)
    assert [column.target for column in plan.rules.columns.assignments] == ["email", f"{key}:datetime"]
    assert plan.survey.valid == 1


async def test_without_a_mapping_plain_names_are_taken(kt: KlickTipp, options: Options) -> None:
    """The columns that were not recognised are named, in the text and for machines."""
    plan = await prepare(kt, options("anna@example.com;;Anna;x", maps=[]))
    assert plan.rules.columns.unmapped == ("Tags",)
    assert "columns that are not imported: Tags" in plan_text(plan, "en")
    assert plan_json(plan)["unmapped"] == ["Tags"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"maps": ["Mail=email", "Nix=tags"]}, "no column 'Nix'"),
        ({"opt_in_id": 7}, "no opt-in process 7; it has .*(default)"),
        ({"tags": ["2025"]}, "no tag can be called '2025'"),
        ({"tags": [" "]}, "no tag can be called ' '"),
        ({"encoding": "ascii"}, "not ascii"),
        ({"separator": "xx"}, "one character"),
    ],
)
async def test_wrong_wishes_are_refused_before_anything_is_sent(
    box: Sandbox, kt: KlickTipp, options: Options, changes: dict[str, object], said: str
) -> None:
    """Mapping, opt-in process, tags and the way the file is written are checked first."""
    with pytest.raises(ConfigError, match=said):
        await prepare(kt, options("änne@example.com;;;Neu", **changes))
    assert sent(box) <= READS


async def test_the_input_is_not_overwritten_by_its_errors(kt: KlickTipp, options: Options) -> None:
    """The two files must not be the same one."""
    with pytest.raises(ConfigError, match="is the file to import"):
        await prepare(kt, options("kaputt;;;", errors=options("kaputt;;;").path))


async def test_a_mapping_error_is_a_config_error(kt: KlickTipp, options: Options) -> None:
    """Every refusal of this kind can be caught as one."""
    with pytest.raises(MappingError):
        await prepare(kt, options(maps=["Vorname=fieldFirstName"]))


@pytest.mark.parametrize(
    ("language", "parts"),
    [
        ("en", ["2 rows, utf-8, separator ';'", "NOT IMPORTED", "Xxxx", "100.0%", "own double opt-in", "1 valid"]),
        (
            "de",
            ["2 Zeilen, utf-8, Trennzeichen ';'", "NICHT IMPORTIERT", "Xxxx", "100,0%", "Double-Opt-in", "1 gültig"],
        ),
    ],
)
async def test_a_plan_shows_columns_and_no_values(
    kt: KlickTipp, options: Options, language: Language, parts: list[str]
) -> None:
    """Each column is shown with its target, how it is filled, and the shape of its values."""
    plan = await prepare(
        kt, options("anna@example.com;;Anna;Neu", "kaputt;;Karl;", maps=["Mail=email", "Tags=tags"], tags=["Import"])
    )
    text = plan_text(plan, language)
    assert [part for part in parts if part not in text] == []
    assert "  + Import\n  + Neu\n" in text
    assert "anna" not in text.lower()
    assert "anna" not in json.dumps(plan_json(plan))


@pytest.mark.parametrize(
    ("language", "parts"),
    [
        ("en", ["1,200  imported", "2.5  seconds (480 rows a second)", "broken off", "given up: no", "are in x.csv"]),
        ("de", ["1.200  importiert", "2,5  Sekunden (480 Zeilen", "abgebrochen", "aufgegeben: no", "stehen in x.csv"]),
    ],
)
def test_a_summary_tells_how_it_ended(language: Language, parts: list[str]) -> None:
    """Figures, the way it ended, and where the other rows are."""
    summary = Summary(seconds=2.5, interrupted=True, stopped="no", errors=Path("x.csv"))
    for _ in range(1200):
        summary.add(Finding(State.IMPORTED))
    text = summary_text(summary, language)
    assert [part for part in parts if part not in text] == []
