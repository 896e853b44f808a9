"""Columns, plans and summaries, as people and machines get to see them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest

from klickdoxie_core.table import open_table
from klickdoxie_core.table.overview import overview
from klicktipp_async.commands import words
from klicktipp_async.commands.render import Shown, Summary, plan_json, plan_text, targets
from klicktipp_async.commands.words import number, word
from klicktipp_async.crm import Action, Mapping, State, SyncPlan, SyncReport, Target
from klicktipp_async.crm.book import Book
from klicktipp_async.crm.reasons import Language, Reason

TWICE = Reason("duplicate", "twice", "doppelt")
NO_EMAIL = Reason("email_invalid", "E-Mail: no address", "E-Mail: keine Adresse", "E-Mail")
REFUSED = Reason("999", "KlickTipp says no.", "KlickTipp sagt nein.")
BOOK = Book("journal", "klicktipp sync")
LABELS = {"fieldFirstName": "Vorname", "field7": " "}
MAPPING = Mapping(
    email=" e-mail ",
    sms_number="Mobil",
    contact_id="KT",
    crm_id=("Nr", "CRM-Kennung"),
    fields={"Vorname": "fieldFirstName", "Umsatz": [Target(field="Umsatz", type="decimal"), "Notiz"]},
    segments=["Gruppen"],
    tags=["Gruppen", "Tags"],
)
HEADER = ("E-Mail", "Mobil", "KT", "Nr", "Vorname", "Umsatz", "Gruppen", "Tags", "Bemer\nkung")


def shown(content: str, *, opt_in_name: str = "") -> Shown:
    """What is shown of a file whose address is mapped."""
    Path("kontakte.csv").write_bytes(content.encode("cp1252"))
    table = open_table(Path("kontakte.csv"))
    found = targets(Mapping(email="E-Mail", fields={"Umsatz": "field1"}), table.header)
    return Shown(table=table, overview=overview(table), targets=found, opt_in_name=opt_in_name)


def plan(**changes: Any) -> SyncPlan:
    """A plan of which everything is said."""
    said = SyncPlan(
        counts=Counter({Action.SKIPPED: 3, Action.CREATE: 1200, Action.CHANGE_ADDRESS: 1}),
        reasons=Counter({"duplicate": 1, "email_invalid": 2}),
        causes=Counter({TWICE: 1, NO_EMAIL: 2}),
        changes=Counter({"fieldFirstName": 1000, "email": 1, "field7": 1}),
        new_tags=("[CRM] Kunde", "Größe"),
        total=1204,
        unseen=(),
        left=1201,
        complete=True,
        book=BOOK,
    )
    return attrs.evolve(said, **changes)


def summary(counts: dict[tuple[Action, State], int], **changes: Any) -> Summary:
    """The end of a job with these rows."""
    reasons = Counter({"duplicate": 2, "unsubscribed": 1, "email_invalid": 4, "999": 1})
    counted = Counter(counts)
    report = SyncReport(
        counts=counted,
        reasons=reasons,
        causes=Counter({TWICE: 2, NO_EMAIL: 1234, REFUSED: 1}),
        total=counted.total(),
        stopped=False,
        book=BOOK,
    )
    said = Summary(report=report, tags_created=2, seconds=2.54, errors=None, rows_file=None)
    return attrs.evolve(said, **changes)


ENDED = {
    (Action.CREATE, State.DONE): 1000,
    (Action.UPSERT, State.DONE): 1,
    (Action.UPDATE, State.DONE): 2,
    (Action.UPDATE, State.FAILED): 1,
    (Action.UPDATE, State.IN_FLIGHT): 1,
    (Action.CHANGE_ADDRESS, State.DONE): 3,
    (Action.UNCHANGED, State.DONE): 5,
    (Action.SKIPPED, State.SKIPPED): 7,
}


def test_columns_are_found_as_the_mapping_finds_them() -> None:
    """Blanks and letter case make no difference, and a column may go to several places."""
    assert targets(MAPPING, HEADER) == {
        "E-Mail": "email",
        "Mobil": "sms",
        "KT": "id",
        "Nr": "crm:CRM-Kennung",
        "Gruppen": "segments, tags",
        "Tags": "tags",
        "Vorname": "fieldFirstName",
        "Umsatz": "Umsatz:decimal, Notiz",
    }
    both = ("MAIL", "Mail")
    assert targets(Mapping(email="Mail"), both) == {"Mail": "email"}


def test_columns_are_shown_without_values() -> None:
    """Header, target, how full, and shapes; what is not mapped is named twice."""
    content = 'E-Mail;Umsatz;"Bemer\nkung"\nänne@x.de;1.234,56;Ruft an\njörg@x.de;;\n;0,5;\n'
    told = shown(content)
    assert told.text("en").splitlines() == [
        "kontakte.csv: 3 rows, cp1252, separator ';'",
        "  column      target        filled  looks like",
        "  E-Mail      email         66.7%   xxxx@x.xx  xxxx@x.xx",
        "  Umsatz      field1        66.7%   9.999,99  9,9",
        "  Bemer kung  NOT IMPORTED  33.3%   Xxxx xx",
        "columns that are not imported: Bemer kung",
        "opt-in process: the account's own double opt-in",
    ]
    german = shown(content, opt_in_name="Neue").text("de")
    for part in ("3 Zeilen", "Trennzeichen", "Spalte", "66,7%", "NICHT IMPORTIERT", "Opt-in-Prozess: Neue"):
        assert part in german
    assert "änne" not in german + told.text("en") + json.dumps(told.as_json(), ensure_ascii=False)
    assert told.as_json()["unmapped"] == ["Bemer\nkung"]


def test_a_file_whose_columns_all_go_somewhere() -> None:
    """Nothing is said of others; a tab is called by its name, and no rows are no fault."""
    assert shown("E-Mail\tUmsatz\n").text("en").splitlines() == [
        "kontakte.csv: 0 rows, utf-8, separator tab",
        "  column  target  filled  looks like",
        "  E-Mail  email   0.0%",
        "  Umsatz  field1  0.0%",
        "opt-in process: the account's own double opt-in",
    ]
    assert "Trennzeichen Tabulator" in shown("E-Mail\tUmsatz\n").text("de")


def test_a_plan_tells_what_will_happen() -> None:
    """Actions in a fixed order, the most frequent reasons and changes first, and each new tag."""
    assert plan_text(plan(), "de", LABELS).splitlines() == [
        "    1.200  anlegen",
        "        1  neue Adresse",
        "        3  übersprungen",
        "warum nicht:",
        "  E-Mail: keine Adresse: 2 Zeilen",
        "  doppelt: 1 Zeile",
        "Änderungen je Feld: Vorname 1.000, E-Mail-Adresse 1, field7 1",
        "Tags, die angelegt werden: 2",
        "  + [CRM] Kunde",
        "  + Größe",
    ]
    assert "    1.001  von einem früheren Lauf erledigt" in plan_text(plan(left=200), "de", LABELS).splitlines()
    nothing = plan(counts=Counter(), causes=Counter(), changes=Counter(), new_tags=(), left=0)
    assert plan_text(nothing, "en", LABELS) == ""
    assert plan_json(plan()) == {
        "event": "plan",
        "rows": 1204,
        "left": 1201,
        "actions": {
            "upsert": 0,
            "create": 1200,
            "update": 0,
            "change_address": 1,
            "unchanged": 0,
            "skipped": 3,
        },
        "reasons": {"email_invalid": 2, "duplicate": 1},
        "causes": [
            {"code": "email_invalid", "column": "E-Mail", "reason": "E-Mail: no address", "rows": 2},
            {"code": "duplicate", "column": None, "reason": "twice", "rows": 1},
        ],
        "changes": {"fieldFirstName": 1000, "email": 1, "field7": 1},
        "new_tags": ["[CRM] Kunde", "Größe"],
    }


def test_a_summary_counts_every_row_once() -> None:
    """What was skipped for everyday reasons is no failure; everything else that was skipped is."""
    told = summary(ENDED)
    figures = dict(told.figures())
    assert figures == {
        "rows": 1020,
        "done": 1,
        "created": 1000,
        "updated": 2,
        "moved": 3,
        "unchanged": 5,
        "failed": 5,
        "duplicate": 2,
        "unsubscribed": 1,
        "in_doubt": 1,
        "pending": 0,
        "tags_created": 2,
    }
    assert sum(figures.values()) - figures["tags_created"] == 2 * figures["rows"]
    assert {name: told.as_json()[name] for name in figures} == figures


def test_a_summary_is_told_in_words() -> None:
    """Figures that are zero are left out, but for those that everybody looks for."""
    assert summary(ENDED, errors=Path("e.csv"), rows_file=Path("r.csv")).text("de").splitlines() == [
        "    1.020  Zeilen",
        "        1  importiert",
        "    1.000  angelegt",
        "        2  geändert",
        "        3  bekamen eine neue Adresse",
        "        5  unverändert",
        "        5  fehlgeschlagen",
        "        2  doppelt, nicht gesendet",
        "        1  abgemeldet, unberührt",
        "        1  ungewiss: gesendet, aber ohne klare Antwort",
        "        2  Tags angelegt",
        "      2,5  Sekunden",
        "warum nicht:",
        "  E-Mail: keine Adresse: 1.234 Zeilen",
        "  doppelt: 2 Zeilen",
        "  KlickTipp sagt nein: 1 Zeile",
        "die nicht angekommenen Zeilen stehen in e.csv",
        "was aus jeder Zeile wurde, steht in r.csv",
        word("doubt_kept", "de"),
    ]
    left = summary({(Action.CREATE, State.PENDING): 3, (Action.CREATE, State.UNKNOWN): 1}, tags_created=0).text("en")
    assert "        3  not sent yet\n" in left
    assert left.endswith("stopped before the end: the same command with --resume goes on")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.DONE, "stopped before the end: the same command with --resume goes on, with --retry-failed also with"),
        (State.PENDING, "stopped before the end, and nothing has arrived: once the cause is mended, the same command"),
    ],
)
def test_a_job_that_stopped_after_refusals_says_what_to_do(state: State, said: str) -> None:
    """Where all were refused there is nothing to go on with."""
    counts = {(Action.UPSERT, State.FAILED): 50, (Action.UPSERT, State.PENDING): 30, (Action.UPSERT, state): 1}
    assert summary(counts).text("en").splitlines()[-1].startswith(said)


def test_rows_that_are_left_say_why() -> None:
    """And how to ask for less, where that is why."""
    told = summary({(Action.UPSERT, State.PENDING): 3}, stopped="too many requests", limited=True)
    told = attrs.evolve(told, report=attrs.evolve(told.report, unsent=Counter({REFUSED: 3})))
    assert told.text("de").splitlines()[-4:] == [
        "warum noch nicht:",
        "  KlickTipp sagt nein: 3 Zeilen",
        "der Dienst nimmt nicht mehr Anfragen auf einmal: --rate N sendet höchstens N in der Sekunde",
        "vor dem Ende angehalten: derselbe Befehl mit --resume macht weiter",
    ]
    assert told.as_json()["stopped"] == "too many requests"


@pytest.mark.parametrize(
    ("counts", "troubled"),
    [
        ({(Action.SKIPPED, State.SKIPPED): 3}, False),
        ({(Action.SKIPPED, State.SKIPPED): 4}, True),
        ({(Action.SKIPPED, State.SKIPPED): 3, (Action.CREATE, State.FAILED): 1}, True),
        ({(Action.SKIPPED, State.SKIPPED): 3, (Action.CREATE, State.UNKNOWN): 1}, True),
        ({(Action.SKIPPED, State.SKIPPED): 3, (Action.CREATE, State.DONE): 9}, False),
    ],
)
def test_somebody_must_look_at_rows(counts: dict[tuple[Action, State], int], troubled: bool) -> None:
    """Three of the rows are duplicates or have unsubscribed, which is everyday."""
    assert summary(counts).troubled is troubled


def test_every_name_has_its_words() -> None:
    """In both languages; actions and figures are looked up by their names."""
    languages: tuple[Language, ...] = ("en", "de")
    names = [*Action, *summary({}).figures(), *words._WORDS]
    assert all(word(name, language) for name in names for language in languages)


@pytest.mark.parametrize(
    ("figure", "language", "form", "text"),
    [(1234567, "en", ",", "1,234,567"), (1234567, "de", ",", "1.234.567"), (0.1254, "de", ".1%", "12,5%")],
)
def test_numbers_are_written_as_the_language_does(figure: float, language: Language, form: str, text: str) -> None:
    """Thousands and decimals change places in German."""
    assert number(figure, language, form) == text
