"""Rows sorted before anything is sent, and what a survey of a file tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from klickdoxie_core.errors import ConfigError
from klicktipp_async.csv_import import survey as survey_module
from klicktipp_async.csv_import.draft import Draft, Rules
from klicktipp_async.csv_import.mapping import read_wishes, resolve
from klicktipp_async.csv_import.survey import shape, survey
from klicktipp_async.csv_import.table import Table, open_table
from klicktipp_async.csv_import.triage import State, _Seen, triage


def opened(folder: Path, text: str) -> tuple[Table, Rules]:
    """A file of addresses, numbers and tags."""
    path = folder / "file.csv"
    path.write_text(text, encoding="utf-8")
    table = open_table(path)
    maps = ["Mail=email", "Mobil=sms", "Tags=tags"]
    return table, Rules(columns=resolve(read_wishes(maps), table.header, {}))


FILE = """Mail;Mobil;Tags
anna@example.com;;Kunde|VIP
ANNA@example.com;;Presse
;+49 30 23125007;
;0049/3023125007;
kaputt;;Nie
;;
bernd@example.com;;Kunde
anna@example.com;;
"""


def test_the_first_of_several_is_taken(tmp_path: Path) -> None:
    """Later rows with the same address or number are duplicates, and say of which line."""
    found = [
        (item.row.line, "sent" if isinstance(item.plan, Draft) else item.plan.state.value)
        for item in triage(*opened(tmp_path, FILE))
    ]
    assert found == [
        (2, "sent"),
        (3, "duplicate"),
        (4, "sent"),
        (5, "duplicate"),
        (6, "failed"),
        (8, "sent"),
        (9, "duplicate"),
    ]
    last = list(triage(*opened(tmp_path, FILE)))[-1].plan
    assert not isinstance(last, Draft)
    assert last.reason is not None
    assert "line 2" in last.reason.text("en")
    assert "Zeile 2" in last.reason.text("de")


def test_an_invalid_row_claims_no_address(tmp_path: Path) -> None:
    """A row that is refused does not make a later good one a duplicate."""
    table, rules = opened(tmp_path, "Mail;Mobil;Tags\nanna@example.com;kaputt;\nanna@example.com;;\n")
    failed, sent = (item.plan for item in triage(table, rules))
    assert isinstance(sent, Draft)
    assert not isinstance(failed, Draft)
    assert failed.state is State.FAILED


def test_rows_marked_as_duplicates_stay_so(tmp_path: Path) -> None:
    """An error file that is imported again does not send the duplicates in it; a cleared mark does."""
    text = "_state;Mail;Mobil;Tags\nduplicate;anna@example.com;;\n;anna@example.com;;\nfailed;bernd@example.com;;\n"
    plans = [item.plan for item in triage(*opened(tmp_path, text))]
    assert [isinstance(plan, Draft) for plan in plans] == [False, True, True]
    assert getattr(plans[0], "state", None) is State.DUPLICATE


def test_a_limit_takes_the_first_rows(tmp_path: Path) -> None:
    """Only so many rows are read, whatever becomes of them."""
    table, rules = opened(tmp_path, FILE)
    assert [item.row.line for item in triage(table, rules, limit=3)] == [2, 3, 4]
    assert survey(table, rules, limit=3).rows == 3


def test_a_survey_counts_without_sending(tmp_path: Path) -> None:
    """Rows, columns and the tags of the rows that would be sent."""
    found = survey(*opened(tmp_path, FILE))
    assert (found.rows, found.valid, found.duplicates, found.invalid) == (7, 3, 3, {"email_invalid": 1})
    assert list(found.tags) == ["Kunde", "VIP"]
    assert [fill.count for fill in found.fills] == [5, 2, 4]
    assert found.fills[0].samples == ["xxxx@xxxxxxx.xxx", "XXXX@xxxxxxx.xxx", "xxxxxx"]


def test_too_many_tags_are_taken_for_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of addresses mapped to tags does not flood the account."""
    monkeypatch.setattr(survey_module, "MAX_TAGS", 1)
    with pytest.raises(ConfigError, match="more than 1 different tags"):
        survey(*opened(tmp_path, FILE))


@pytest.mark.parametrize(
    ("text", "drawn"),
    [("Änne-Lu 49 €", "Xxxx-Xx 99 €"), ("a\nb", "x x"), ("x" * 30, "x" * 24 + "…"), ("", "")],
)
def test_a_shape_names_nobody(text: str, drawn: str) -> None:
    """Letters and digits are replaced, so that a column can be recognised and no person."""
    assert shape(text) == drawn


def test_the_seen_addresses_are_kept_as_digests() -> None:
    """The memory of a job holds no address of the rows before, and two jobs digest them differently."""
    seen, other = _Seen(), _Seen()
    assert [seen.earlier("anna@example.com", 2), seen.earlier("anna@example.com", 3)] == [None, 2]
    other.earlier("anna@example.com", 2)
    assert [len(digest) for digest in seen._lines] == [16]
    assert seen._lines.keys() != other._lines.keys()
