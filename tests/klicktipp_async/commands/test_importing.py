"""`klicktipp import`: what it prints, what it sends, what it writes beside the file, and how it exits."""

from __future__ import annotations

import re
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from klickdoxie_core import command_line
from klicktipp_async import FieldType, client
from klicktipp_async.commands.importing import add_import
from klicktipp_async.commands.syncing import add_sync
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Run
from tests.klicktipp_async.commands.support import UPSERT, brief, events, people, table, writes, written

OPT_IN = ("--opt-in", "default")
MAPS = ("--map", "E-Mail=email", "--map", "Mobil=sms")
# What a spreadsheet makes of a file: numbers, prices, dates, notes of two lines, and lines without anything.
EXCEL = """\
E-Mail;Mobil;Umsatz;Geburtstag;Notiz;Vorname\r
jörg@example.com;'+49 151 1234567;1.234,56;31.12.2026;"erste Zeile
zweite; Zeile";Jörg\r
;;;;;\r
\r
lea@example.com;="+49 (0)151 7654321";99;2026-01-31;"sagt ""ja\""";Lea\r
rund@example.com;4,91511E+12;1;;;Rundung\r
ole@example.com;;12,345;;;Ole\r
;0049 151 1111111;0,5;1.2.1980;;Nur Nummer\r
mia@example.com;;;31.02.2026;;Mia\r
"""


def test_a_file_is_imported(box: Sandbox, run: Run) -> None:
    """The columns come first, then the plan, then the summary; nothing is left beside the file."""
    file = written("anna@example.com;Änne;x", "jörg@example.com;Jörg;")
    ended = run(add_import, file, *OPT_IN, "--tag", "Import", "--map", "E-Mail=email")
    parts = ["kontakte.csv: 2 rows, cp1252, separator ';'", "columns that are not imported: Vorname, Notiz"]
    parts += ["opt-in process: the account's own double opt-in", "2  add or update", "  + Import", "2  imported"]
    places = [ended.out.index(part) for part in parts]
    assert (ended.code, places) == (0, sorted(places))
    assert {contact.email for contact in box.contacts.values()} == {"anna@example.com", "jörg@example.com"}
    assert [tag.name for tag in box.tags.values()] == ["Import"]
    assert [path.name for path in Path().iterdir()] == [file]
    assert box.count("Logout from API") == 1


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig"])
def test_a_file_with_all_that_spreadsheets_do(box: Sandbox, run: Run, encoding: str) -> None:
    """Umlauts, marks, quoted line breaks, blank lines, German numbers and dates, and phone numbers out of Excel."""
    revenue = box.add_field("Umsatz", FieldType.DECIMAL)
    Path("excel.csv").write_bytes(EXCEL.encode(encoding))
    maps = ["E-Mail=email", "Mobil=sms", "Vorname=fieldFirstName", "Umsatz=Umsatz:decimal", "Geburtstag=fieldBirthday"]
    given = ["--concurrency", "1", *(part for text in maps for part in ("--map", text))]
    ended = run(add_import, "excel.csv", "--opt-in", str(box.single_opt_in_id), *given)
    assert f"excel.csv: 6 rows, {encoding}, separator ';'" in ended.out
    assert ended.code == 1
    anton, lea, number = box.contacts.values()
    assert (anton.email, anton.sms_number, anton.fields["fieldFirstName"]) == (
        "jörg@example.com",
        "00491511234567",
        "Jörg",
    )
    assert (anton.fields[revenue], anton.fields["fieldBirthday"]) == ("1234.56", "1798675200")
    assert (lea.sms_number, lea.fields[revenue], lea.fields["fieldBirthday"]) == (
        "00491517654321",
        "99.00",
        "1769817600",
    )
    assert (number.email, number.sms_number, number.fields[revenue]) == ("", "00491511111111", "0.50")
    assert brief(table("excel.csv.errors.csv", encoding)) == [
        ("7", "failed", "sms_damaged"),
        ("8", "failed", "decimal_invalid"),
        ("10", "failed", "date_invalid"),
    ]


def test_error_files_have_names_of_their_own(box: Sandbox, run: Run) -> None:
    """What a job leaves is not touched by one with another file, and an error file that is read is never written."""
    refused = ("kaputt;;", "noch@kaputt;;")
    assert run(add_import, written(*refused), *OPT_IN).code == 1
    first = Path("kontakte.csv.errors.csv")
    before = first.read_bytes()
    assert run(add_import, written("anna@example.com;;", name="andere.csv"), *OPT_IN).code == 0
    assert run(add_import, written("kaputt;;", name="dritte.csv"), *OPT_IN).code == 1
    assert first.read_bytes() == before
    for source, number in ((str(first), 2), ("kontakte.csv.errors-2.csv", 3)):
        ended = run(add_import, source, *OPT_IN, "--json")
        assert (ended.code, events(ended)[-1]["errors"]) == (1, f"kontakte.csv.errors-{number}.csv")
    assert first.read_bytes() == before
    told = run(add_import, "kontakte.csv", *OPT_IN)
    assert "the error file of an earlier run was replaced" in told.out
    assert Path("kontakte.csv.errors-2.csv").exists()
    gone = run(add_import, written("bernd@example.com;;"), *OPT_IN, "--json")
    assert (gone.code, events(gone)[-1]["earlier_errors"], first.exists()) == (0, "removed", False)


def test_the_error_file_of_other_columns_is_refused(box: Sandbox, run: Run) -> None:
    """It holds the rows of another file, and somebody may still need them."""
    assert run(add_import, written("kaputt;;"), *OPT_IN, "--errors", "fehler.csv").code == 1
    before = Path("fehler.csv").read_bytes()
    other = written("anna@example.com", name="andere.csv", header="E-Mail")
    ended = run(add_import, other, *OPT_IN, "--errors", "fehler.csv")
    assert (ended.code, len(box.contacts), Path("fehler.csv").read_bytes()) == (2, 0, before)
    assert "is the error file of a file with other columns" in ended.err
    assert run(add_import, written("anna@example.com;;"), *OPT_IN, "--errors", "fehler.csv").code == 0
    assert not Path("fehler.csv").exists()


def test_an_opt_in_process_may_be_named(box: Sandbox, run: Run) -> None:
    """As in a mapping."""
    ended = run(add_import, written("anna@example.com;;"), "--opt-in", "Single-Opt-In")
    assert (ended.code, box.confirmation_mails.total()) == (0, 0)
    assert "opt-in process: Single-Opt-In" in ended.out


@pytest.mark.parametrize("add", [add_import, add_sync])
def test_the_help_tells_how_a_job_ends(
    run: Run, capsysbinary: pytest.CaptureFixture[bytes], add: Callable[..., None]
) -> None:
    """The exit codes, and where the rows go that do not arrive."""
    with pytest.raises(SystemExit):
        run(add, "--help")
    told = " ".join(capsysbinary.readouterr().out.decode().split())
    assert "Exit codes: 0 all is well, 1 some rows did not arrive, 2 wrong usage, 3 the credentials" in told
    assert "(default: FILE.csv.errors.csv, or query.errors.csv)" in told


def test_the_rows_that_do_not_arrive_can_be_imported_again(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed ones are tried; duplicates and those in doubt are kept back, and so is the file that they stood in."""
    monkeypatch.setattr(client, "_LOOK_UP_AFTER", 0.0)
    rows = ["anna@example.com;;Änne", "kaputt;;Größe", "ANNA@example.com;;", ";0049 151 1234567;Nummer"]
    file = written(*rows, header="E-Mail;Mobil;Vorname")
    box.drop(UPSERT, every=2)
    assert run(add_import, file, *OPT_IN, *MAPS, "--errors", "eins.csv", "--concurrency", "1").code == 1
    assert brief(table("eins.csv")) == [
        ("3", "failed", "email_invalid"),
        ("4", "duplicate", "duplicate"),
        ("5", "in doubt", "Interrupted"),
    ]
    assert stat.S_IMODE(Path("eins.csv").stat().st_mode) == 0o600
    sent = box.count(UPSERT)
    assert run(add_import, file, *OPT_IN, *MAPS, "--errors", "eins.csv").code == 2
    assert run(add_import, file, *OPT_IN, *MAPS, "--errors", "eins.csv", "--resume").code == 1
    assert (box.count(UPSERT), Path(f"{file}.journal").exists()) == (sent, True)
    for before, after in (("eins.csv", "zwei.csv"), ("zwei.csv", "drei.csv")):
        ended = run(add_import, before, *OPT_IN, *MAPS, "--errors", after, "--language", "de")
        assert (ended.code, box.count(UPSERT)) == (1, sent)
        assert brief(table(after)) == [
            ("2", "failed", "email_invalid"),
            ("3", "duplicate", "duplicate"),
            ("4", "in doubt", "in_doubt"),
        ]
    assert [row["_reason"].split(";")[0] for row in table("drei.csv")] == [
        "E-Mail: keine E-Mail-Adresse",
        "ein früherer Import fand die Zeile doppelt",
        "ein früherer Import weiß nicht, ob die Zeile angekommen ist",
    ]
    mended = Path("eins.csv").read_text("cp1252").replace("kaputt", "lea@example.com")
    Path("eins.csv").write_text(mended, "cp1252")
    run(add_import, "eins.csv", *OPT_IN, *MAPS, "--errors", "vier.csv")
    assert box.contact("lea@example.com")


def test_duplicates_are_everyday(box: Sandbox, run: Run) -> None:
    """They are told and written down, and the exit code says that all is well."""
    ended = run(add_import, written("anna@example.com;;", "Anna@Example.com;;"), *OPT_IN, "--json")
    assert ended.code == 0
    assert (events(ended)[-1]["duplicate"], events(ended)[-1]["failed"]) == (1, 0)
    assert brief(table("kontakte.csv.errors.csv")) == [("3", "duplicate", "duplicate")]


def test_two_people_with_one_telephone_are_no_duplicates(box: Sandbox, run: Run) -> None:
    """Who is left out has failed, and so has who comes twice with other values; the reason names column and line."""
    rows = ["vater@example.com;Karl;+49 170 5550001", "mutter@example.com;Eva;0049 170 5550001"]
    rows += ["vater@example.com;Karl-Heinz;", "vater@example.com;Karl;0049/1705550001"]
    file = written(*rows, header="E-Mail;Vorname;Mobil")
    ended = run(add_import, file, *OPT_IN, *MAPS, "--map", "Vorname=fieldFirstName", "--language", "de")
    assert (ended.code, len(box.contacts)) == (1, 1)
    told = table("kontakte.csv.errors.csv")
    assert brief(told) == [
        ("3", "failed", "sms_shared"),
        ("4", "failed", "other_values"),
        ("5", "duplicate", "duplicate"),
    ]
    assert told[0]["_reason"].startswith("Mobil: dieselbe SMS-Nummer wie in Zeile 2, die genommen wurde")
    assert told[1]["_reason"].startswith("E-Mail: dasselbe wie in Zeile 2, die genommen wurde")
    assert "  Mobil: die SMS-Nummer einer anderen Zeile: 1 Zeile\n" in ended.out


def test_numbers_without_a_country_take_the_one_that_is_given(box: Sandbox, run: Run) -> None:
    """Without --country such a row fails, as every German export would."""
    file = written("anna@example.com;0170 5550001;", header="E-Mail;Mobil;Vorname")
    assert run(add_import, file, *OPT_IN, *MAPS).code == 1
    assert run(add_import, file, *OPT_IN, *MAPS, "--country", "49").code == 0
    assert [contact.sms_number for contact in box.contacts.values()] == ["00491705550001"]


def test_failed_rows_are_written_beside(box: Sandbox, run: Run) -> None:
    """The exit code tells, and the file has each row as it was, with its reason in the language asked for."""
    ended = run(add_import, written("anna@example.com;Änne;", "kaputt;Größe;", "a;b", "a;b;c;d"), *OPT_IN)
    assert ended.code == 1
    ended = run(add_import, written("kaputt;Größe;", "a;b", "a;b;c;d"), *OPT_IN, "--language", "de")
    assert "3  fehlgeschlagen" in ended.out
    assert Path("kontakte.csv.errors.csv").read_bytes().decode("cp1252").splitlines() == [
        "_line;_state;_code;_reason;E-Mail;Vorname;Notiz",
        "2;failed;email_invalid;E-Mail: keine E-Mail-Adresse;kaputt;Größe;",
        "3;failed;cells_missing;die Zeile hat 2 Zellen, die Kopfzeile 3;a;b",
        '4;failed;cells_extra;"die Zeile hat 4 Zellen, die Kopfzeile nur 3; steht ein Trennzeichen in einem Text ohne '
        'Anführungszeichen?";a;b;c;d',
    ]
    assert run(add_import, written("anna@example.com;;"), *OPT_IN).code == 0
    assert not Path("kontakte.csv.errors.csv").exists()


def test_what_the_service_refuses_fails(box: Sandbox, run: Run) -> None:
    """Its number is the code, and its text comes in the language asked for."""
    box.block("anna@example.com")
    ended = run(add_import, written(*people(1), "anna@example.com;;"), *OPT_IN, "--language", "de", "--json")
    (row,) = table("kontakte.csv.errors.csv")
    assert (ended.code, row["_state"], row["E-Mail"]) == (1, "failed", "anna@example.com")
    assert events(ended)[-1]["reasons"] == {row["_code"]: 1}
    assert (events(ended)[-1]["done"], events(ended)[-1]["failed"]) == (1, 1)


def test_a_dry_run_sends_nothing(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is checked, the account is only read, and nothing is left behind; what failed before stays."""
    Path("temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", "temp")
    Path("kontakte.csv.errors.csv").write_text("_line;_state;_code;_reason;E-Mail\r\n")
    file = written("anna@example.com;Änne;Neu", "kaputt;;")
    ended = run(add_import, file, *OPT_IN, "--dry-run", "--map", "E-Mail=email", "--map", "Notiz=tags")
    assert ended.code == 0
    assert re.search(
        r"^ +1  add or update\n +1  skipped\nwhy not:\n  E-Mail: not an e-mail address: 1 row$", ended.out, re.MULTILINE
    )
    assert ended.out.endswith("tags to be created: 1\n  + Neu\ndry run: nothing was sent\n")
    assert (writes(box), len(box.contacts)) == (0, 0)
    assert {path.name for path in Path().rglob("*")} == {file, "kontakte.csv.errors.csv", "temp"}


def test_machines_get_a_line_for_each_event(box: Sandbox, run: Run) -> None:
    """Nothing else stands on the standard output, and the names of the figures are always there."""
    ended = run(add_import, written("anna@example.com;Änne;x", "kaputt;;"), *OPT_IN, "--json", "--tag", "Größe")
    told = events(ended)
    assert [event["event"] for event in told if event["event"] != "progress"] == ["columns", "plan", "summary"]
    columns, plan, summary = (event for event in told if event["event"] != "progress")
    assert (columns["rows"], columns["encoding"], columns["separator"]) == (2, "cp1252", ";")
    assert columns["columns"][1] == {
        "column": "Vorname",
        "target": "fieldFirstName",
        "filled": 1,
        "looks_like": ["Xxxx"],
    }
    assert (columns["unmapped"], columns["columns"][2]["target"]) == (["Notiz"], None)
    assert plan["actions"] == {
        "create": 0,
        "update": 0,
        "change_address": 0,
        "unchanged": 0,
        "skipped": 1,
        "upsert": 1,
    }
    assert (plan["rows"], plan["reasons"], plan["new_tags"]) == (2, {"email_invalid": 1}, ["Größe"])
    figures = ["rows", "done", "created", "updated", "moved", "unchanged", "failed", "duplicate", "unsubscribed"]
    figures += ["in_doubt", "pending", "tags_created"]
    found = {name: summary[name] for name in figures}
    assert {name: count for name, count in found.items() if count} == {
        "rows": 2,
        "done": 1,
        "failed": 1,
        "tags_created": 1,
    }
    assert (summary["reasons"], summary["errors"], summary["report"]) == (
        {"email_invalid": 1},
        "kontakte.csv.errors.csv",
        None,
    )
    assert ended.err == ""


def test_all_the_options_go_together(box: Sandbox, run: Run) -> None:
    """Encoding, separator, limit, rate, zone and the place of the errors are as asked for."""
    file = written("anna@example.com;Änne;24.12.2025 18:30,VIP#Kunde", "kaputt;;", "bernd@example.com;;")
    options = ["--encoding", "latin-1", "--delimiter", ";", "--limit", "2", "--rate", "1000", "--concurrency", "1"]
    options += ["--timezone", "Europe/Berlin", "--errors", "fehler.csv", "--tag-separator", "#,"]
    options += ["--opt-in", str(box.single_opt_in_id), "--map", "E-Mail=email", "--map", "Notiz=tags"]
    assert run(add_import, file, *options).code == 1
    assert sorted(tag.name for tag in box.tags.values()) == ["24.12.2025 18:30", "Kunde", "VIP"]
    assert len(box.contacts) == 1
    assert not box.confirmation_mails
    assert Path("fehler.csv").exists()


def test_the_zone_says_when_a_day_begins(box: Sandbox, run: Run) -> None:
    """It goes also with a mapping that was guessed."""
    file = written("anna@example.com;31.12.2026", header="E-Mail;Geburtstag")
    assert run(add_import, file, *OPT_IN, "--timezone", "Europe/Berlin").code == 0
    (contact,) = box.contacts.values()
    assert contact.fields["fieldBirthday"] == str(1798675200 - 3600)


def test_a_mapping_file_may_name_the_opt_in_process(box: Sandbox, run: Run) -> None:
    """So that it need not be said each time."""
    Path("m.toml").write_text('email = "e-mail"\nopt_in = "Single-Opt-In"\n')
    ended = run(add_import, written("anna@example.com;;"), "--map", "m.toml")
    assert ended.code == 0
    assert "opt-in process: Single-Opt-In" in ended.out
    assert "columns that are not imported: Vorname, Notiz" in ended.out
    assert not box.confirmation_mails


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say which opt-in process"),
        (["--opt-in", "maybe"], "no opt-in process 'maybe'; it has "),
        (["--opt-in", "999"], "no opt-in process 999"),
        ([*OPT_IN, "--map", "Nix=email", "--map", "Notiz=Nirgends"], "'Nix'[^ö]*'Nirgends' is no data field"),
        ([*OPT_IN, "--map", "E-Mail=emial"], "'emial' is no target; did you mean 'email'?"),
        ([*OPT_IN, "--map", "Nix"], "neither COLUMN=TARGET nor"),
        ([*OPT_IN, "--map", "fehlt.toml"], "fehlt.toml cannot be read"),
        ([*OPT_IN, "--map", "Vorname=fieldFirstName"], "no column says who"),
        ([*OPT_IN, "--tag", "2025"], "'2025' cannot be the name of a tag"),
        ([*OPT_IN, "--errors", "kontakte.csv"], "is the file that is read"),
        ([*OPT_IN, "--errors", "fremd.txt"], "is not the error file"),
        ([*OPT_IN, "--errors", "nirgends/e.csv"], "is not a folder"),
        ([*OPT_IN, "--journal", "kontakte.csv"], "is not a journal"),
        ([*OPT_IN, "--encoding", "ascii"], "not ascii"),
        ([*OPT_IN, "--delimiter", "xx"], "one character"),
        ([*OPT_IN, "--resume"], "nothing to resume"),
        ([*OPT_IN, "--resume", "--dry-run"], "leave out --resume"),
    ],
)
def test_wrong_wishes_are_told(box: Sandbox, run: Run, arguments: list[str], said: str) -> None:
    """A wish that cannot be fulfilled ends with what to do, before anything is sent."""
    Path("fremd.txt").write_text("bleibt")
    before = Path(written("änne@example.com;;")).read_bytes()
    ended = run(add_import, "kontakte.csv", *arguments)
    assert ended.code == 2
    assert re.search(said, ended.err, re.DOTALL)
    assert ended.err.startswith("klicktipp: ")
    assert writes(box) == 0
    assert (Path("kontakte.csv").read_bytes(), Path("fremd.txt").read_text()) == (before, "bleibt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not a file"),
        (b"", "the file is empty"),
        (b'E-Mail;Vorname\r\n"anna;x\r\n', "never closed"),
        (b"anna@example.com;Anna\r\n", "must name the columns"),
        (b"Vorname;Nachname\r\nx;y\r\n", "which column holds the e-mail address"),
    ],
)
def test_files_that_are_no_tables_are_told(box: Sandbox, run: Run, content: bytes | None, said: str) -> None:
    """It is the usage that is wrong."""
    if content is not None:
        Path("datei.csv").write_bytes(content)
    ended = run(add_import, "datei.csv", *OPT_IN)
    assert ended.code == 2
    assert said in ended.err
    assert "anna" not in ended.err
    assert writes(box) == 0


@pytest.mark.parametrize("rows", [[], ["", ";;"]])
def test_a_file_without_rows_is_done_at_once(box: Sandbox, run: Run, rows: list[str]) -> None:
    """There is nothing to send and nothing wrong."""
    ended = run(add_import, written(*rows), *OPT_IN)
    assert (ended.code, writes(box)) == (0, 0)
    assert re.search(r"^ +0  rows$", ended.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("option", "bad"), [("--limit", "0"), ("--tag-separator", ""), ("--timezone", "Mond/Krater"), ("--country", "+49")]
)
def test_wrong_arguments_are_usage_errors(run: Run, option: str, bad: str) -> None:
    """What the parser refuses exits with 2."""
    with pytest.raises(SystemExit) as caught:
        run(add_import, "x.csv", option, bad)
    assert caught.value.code == command_line.USAGE
