"""`klicktipp sync`: a plan that is looked at, its application, the report, and how it exits."""

from __future__ import annotations

import re
import signal
import stat
from pathlib import Path

import pytest

from klickdoxie_core.progress import Progress
from klicktipp_async import client
from klicktipp_async.commands import showing
from klicktipp_async.commands.importing import add_import
from klicktipp_async.commands.syncing import add_sync
from klicktipp_async.crm import Mapping
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Run
from tests.klicktipp_async.commands.support import UPSERT, brief, events, exported, table, writes, written

ROWS = ("K-1;anna@example.com;;Änne;Kunde", "K-2;jörg@example.com;;Jörg;Kunde,VIP")
JOURNAL = Path("crm.csv.journal")


def names(box: Sandbox, email: str) -> set[str]:
    """The names of a contact's tags."""
    contact = box.contact(email)
    assert contact is not None
    return {box.tags[tag].name for tag in contact.tags}


def test_a_plan_is_shown_and_kept_and_sends_nothing(box: Sandbox, run: Run) -> None:
    """The columns come first, with what becomes of them; the plan stays for --apply."""
    ended = run(add_sync, *exported(box, *ROWS))
    assert ended.code == 0
    assert re.search(r"^  Nr +crm:CRM-Kennung +100\.0%  X-9  X-9$", ended.out, re.MULTILINE)
    assert re.search(r"^  Segmente +segments +100\.0%  Xxxxx  Xxxxx,XXX$", ended.out, re.MULTILINE)
    told = ended.out.partition("opt-in process: Single-Opt-In\n")[2]
    assert told.startswith("        2  create\ntags to be created: 2\n  + [CRM] Kunde\n  + [CRM] VIP\n")
    assert "--apply carries it out" in told
    assert (writes(box), len(box.contacts)) == (0, 0)
    assert JOURNAL.exists()
    assert not Path("crm.csv.report.csv").exists()


def test_the_plan_that_was_looked_at_is_applied(box: Sandbox, run: Run) -> None:
    """It is not made a second time; what is there afterwards is what was shown."""
    arguments = exported(box, *ROWS)
    run(add_sync, *arguments)
    searched = box.count("Search Contact ID")
    ended = run(add_sync, *arguments, "--apply", "--json")
    summary = events(ended)[-1]
    assert ended.code == 0
    assert box.count("Search Contact ID") == searched
    assert (summary["created"], summary["tags_created"], summary["report"]) == (2, 2, "crm.csv.report.csv")
    assert names(box, "jörg@example.com") == {"[CRM] Kunde", "[CRM] VIP"}
    assert not JOURNAL.exists()


def test_without_a_plan_one_is_made(box: Sandbox, run: Run) -> None:
    """Once applied it is over: the next one finds nothing to do, and then only what has changed."""
    arguments = exported(box, *ROWS)
    assert run(add_sync, *arguments, "--apply").code == 0
    sent = writes(box)
    ended = run(add_sync, *arguments, "--apply", "--json")
    assert (ended.code, writes(box), events(ended)[-1]["unchanged"]) == (0, sent, 2)
    exported(box, "K-1;änne@example.com;;Änne;VIP", "K-2;jörg@example.com;;Georg;Kunde,VIP")
    ended = run(add_sync, *arguments, "--apply", "--language", "de")
    assert ended.code == 0
    assert "        1  ändern\n        1  neue Adresse\n" in ended.out
    assert "Änderungen je Feld: " in ended.out
    assert "        1  geändert\n        1  bekamen eine neue Adresse\n" in ended.out
    assert names(box, "änne@example.com") == {"[CRM] VIP"}
    assert len(box.contacts) == 2


def test_the_report_tells_of_every_row(box: Sandbox, run: Run) -> None:
    """It is for the CRM to store the ids, and for people to see why; only its owner can read it."""
    known = [box.seed_contacts(1)[0], *box.seed_contacts(1)]
    box.unsubscribe("kontakt2@example.com")
    rows = [*ROWS, "K-1;noch@example.com;;Doppelt;", "K-4;kaputt;;;", "K-5;kontakt1@example.com;;Karl;"]
    arguments = exported(box, *rows, "K-6;kontakt2@example.com;;Ole;", ";;0049 151 1234567;Ole;")
    ended = run(add_sync, *arguments, "--apply", "--language", "de")
    report = Path("crm.csv.report.csv")
    assert ended.code == 1
    assert "was aus jeder Zeile wurde, steht in crm.csv.report.csv" in ended.out
    assert report.read_bytes().startswith(
        b"\xef\xbb\xbfline;crm_id;klicktipp_id;action;state;status;code;reason\r\n2;K-1;"
    )
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    told = table(str(report), "utf-8-sig")
    anna = box.contact("anna@example.com")
    assert anna is not None
    assert [(row["line"], row["action"], row["state"], row["code"]) for row in told] == [
        ("2", "create", "done", ""),
        ("3", "create", "done", ""),
        ("4", "skipped", "skipped", "other_values"),
        ("5", "skipped", "skipped", "email_invalid"),
        ("6", "update", "done", ""),
        ("7", "skipped", "skipped", "unsubscribed"),
        ("8", "add or update", "done", ""),
    ]
    assert (told[0]["klicktipp_id"], told[0]["status"], told[4]["klicktipp_id"]) == (
        str(anna.id),
        "subscribed",
        str(known[0]),
    )
    assert told[2]["reason"] == "Nr: dasselbe wie in Zeile 2, die genommen wurde; andere Werte weichen ab"
    assert brief(table("crm.csv.errors.csv")) == [("4", "failed", "other_values"), ("5", "failed", "email_invalid")]


def test_who_has_unsubscribed_is_everyday(box: Sandbox, run: Run) -> None:
    """They are counted and left alone, and stand in no file that somebody could import."""
    box.seed_contacts(1)
    box.unsubscribe("kontakt1@example.com")
    arguments = exported(box, "K-1;kontakt1@example.com;;Ole;VIP")
    ended = run(add_sync, *arguments, "--apply", "--json")
    assert (ended.code, events(ended)[-1]["unsubscribed"], events(ended)[-1]["failed"]) == (0, 1, 0)
    assert names(box, "kontakt1@example.com") == set()
    assert not Path("crm.csv.errors.csv").exists()
    assert table("crm.csv.report.csv", "utf-8-sig")[0]["status"] == "unsubscribed"


def test_another_plan_takes_the_place_of_the_first(box: Sandbox, run: Run) -> None:
    """--plan makes it anew, of whatever the file holds now."""
    arguments = exported(box, *ROWS)
    run(add_sync, *arguments)
    exported(box, ROWS[0])
    ended = run(add_sync, *arguments, "--plan", "--json")
    assert (ended.code, events(ended)[-1]["rows"]) == (0, 1)
    assert run(add_sync, *arguments, "--apply").code == 0
    assert len(box.contacts) == 1


def test_a_plan_that_was_broken_off_goes_on(box: Sandbox, run: Run) -> None:
    """--resume with --plan reads the rest, and sends nothing; without --plan it carries out."""
    arguments = exported(box, *ROWS)
    box.fail("Search Contact ID", every=1, status=406, body={"error": 999})
    box.fail("List Contacts", every=1, status=403)
    assert run(add_sync, *arguments).code == 3
    box._faults.clear()
    ended = run(add_sync, *arguments, "--plan", "--resume", "--json")
    assert (ended.code, events(ended)[-1]["actions"]["create"], writes(box)) == (0, 2, 0)
    assert run(add_sync, *arguments, "--resume").code == 0
    assert len(box.contacts) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--tag", "Neu"], "was made with another list of tags; nothing of it has arrived: run --plan again"),
        (["--prefix", "[X] "], "another prefix of segments"),
        (["--opt-in", "default"], "another opt-in process"),
        (["--limit", "1"], "another --limit, --encoding or --delimiter; nothing was sent: run --plan again"),
        (["--encoding", "latin-1"], "another --limit, --encoding or --delimiter"),
    ],
)
def test_a_plan_is_applied_as_it_was_looked_at(box: Sandbox, run: Run, change: list[str], said: str) -> None:
    """Other options would not do what was shown."""
    arguments = exported(box, *ROWS)
    run(add_sync, *arguments)
    ended = run(add_sync, *arguments, "--apply", *change)
    assert (ended.code, writes(box)) == (2, 0)
    assert said in ended.err
    assert JOURNAL.exists()


@pytest.mark.parametrize("kept", [ROWS, ("K-1;kaputt;;;",)])
def test_a_plan_is_not_applied_to_another_file(box: Sandbox, run: Run, kept: tuple[str, ...]) -> None:
    """Also where nothing is to be written, since nobody has looked at what the new file would do."""
    arguments = exported(box, *kept)
    run(add_sync, *arguments)
    exported(box, *ROWS, "K-3;lea@example.com;;Lea;")
    ended = run(add_sync, *arguments, "--apply")
    assert (ended.code, writes(box)) == (2, 0)
    assert "crm.csv has changed since the plan was made" in ended.err
    assert "nothing was sent: run --plan again" in ended.err
    assert "delete" not in ended.err
    assert run(add_sync, *arguments, "--plan").code == 0
    assert run(add_sync, *arguments, "--apply").code == 0
    assert len(box.contacts) == 3


def test_a_plan_is_not_applied_with_another_mapping(box: Sandbox, run: Run) -> None:
    """Its text decides, not its name."""
    arguments = exported(box, *ROWS)
    run(add_sync, *arguments)
    mapping = Path("mapping.toml")
    mapping.write_text(mapping.read_text().replace("fieldFirstName", "fieldLastName"))
    ended = run(add_sync, *arguments, "--apply")
    assert (ended.code, writes(box)) == (2, 0)
    assert "another mapping" in ended.err


def test_what_is_in_doubt_is_looked_up_by_the_next_plan(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows in doubt keep the journal; --resume finds out what it can, and the export of the next day goes on."""
    monkeypatch.setattr(client, "_LOOK_UP_AFTER", 0.0)
    arguments = exported(box, ";;0049 151 1234567;Ole;")
    box.drop(UPSERT)
    ended = run(add_sync, *arguments, "--apply", "--json")
    assert (ended.code, events(ended)[-1]["in_doubt"]) == (1, 1)
    assert table("crm.csv.report.csv", "utf-8-sig")[0]["state"] == "unknown"
    assert brief(table("crm.csv.errors.csv")) == [("2", "in doubt", "Interrupted")]
    assert JOURNAL.exists()
    exported(box, *ROWS)
    ended = run(add_sync, *arguments, "--apply", "--json")
    assert (ended.code, events(ended)[-1]["created"]) == (0, 2)
    assert not JOURNAL.exists()
    assert not Path("crm.csv.errors.csv").exists()


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ('email = "Mial"\nopt_in = 99\nfields = { X = "Y", Vorname = "Nirgends" }', r"99"),
        (
            'email = "Mial"\nopt_in = "default"\nfields = { X = "Y", Vorname = "Nirgends" }',
            r"'Mial'; did you mean 'Mail'\?.*'X'.*'Y'.*'Nirgends'",
        ),
        ('emial = "Mail"\nsegmente = "X"', r"'emial'.*'segmente'"),
        ('email = "Mail"', r"say which opt-in process.*may name it as opt_in"),
        ('email = "Mail"\nopt_in = "default"\nprefix = " "', r"prefix"),
        ("email = ", r"cannot be read"),
    ],
)
def test_mappings_are_checked_before_anything_is_sent(box: Sandbox, run: Run, mapping: str, said: str) -> None:
    """All that is wrong about one is told at once."""
    arguments = exported(box, *ROWS)
    Path("mapping.toml").write_text(mapping)
    ended = run(add_sync, *arguments, "--apply")
    assert (ended.code, writes(box)) == (2, 0)
    assert re.search(said, ended.err, re.DOTALL)
    assert not JOURNAL.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--report", "crm.csv"], "is a file of the same job"),
        (["--report", "crm.csv.errors.csv"], "is a file of the same job"),
        (["--report", "mapping.toml"], "is not an earlier report"),
        (["--report", "."], "is not an earlier report"),
        (["--report", "nirgends/r.csv"], "is not a folder"),
        (["--prefix", " "], "prefix must be"),
        (["--resume"], "nothing to resume"),
    ],
)
def test_wrong_wishes_are_told(box: Sandbox, run: Run, arguments: list[str], said: str) -> None:
    """Nothing is sent, and no file is overwritten that is not ours."""
    given = exported(box, *ROWS)
    before = {path: path.read_bytes() for path in Path().iterdir()}
    ended = run(add_sync, *given, "--apply", *arguments)
    assert (ended.code, writes(box)) == (2, 0)
    assert said in ended.err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_a_journal_of_an_import_is_not_one_of_a_sync(box: Sandbox, run: Run) -> None:
    """The text says whose it is."""
    written("a@example.com;;")
    box.fail(UPSERT, every=1, status=403)
    assert run(add_import, "kontakte.csv", "--opt-in", "default", "--journal", "j").code == 3
    ended = run(add_sync, *exported(box, *ROWS), "--apply", "--journal", "j")
    assert ended.code == 2
    assert "is the journal of another job (klicktipp import)" in ended.err


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_the_reading_of_all_contacts_is_shown(box: Sandbox, run: Run, extra: tuple[str, ...]) -> None:
    """It comes first and takes by far the longest in a large account."""
    box.seed_contacts(30)
    ended = run(add_sync, *exported(box, *ROWS), *extra)
    assert ended.code == 0
    if extra:
        told = [event for event in events(ended) if event["event"] == "reading"]
        assert (told[-1]["done"], told[-1]["total"]) == (30, 30)
    else:
        assert "reading contacts 30 of 30" in ended.err


def test_the_first_signal_stops_the_reading(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is kept, and gone on with."""
    box.seed_contacts(30)
    reading = showing.Showing.reading
    signals = [signal.SIGINT]

    def interrupted(self: showing.Showing, progress: Progress) -> None:
        if signals:
            signal.raise_signal(signals.pop())
        reading(self, progress)

    arguments = (*exported(box, *ROWS), "--concurrency", "1")
    with monkeypatch.context() as patch:
        patch.setattr(showing.Showing, "reading", interrupted)
        ended = run(add_sync, *arguments, "--json")
    assert (ended.code, events(ended)[-1]) == (4, {"event": "stopped", "stopped": "a signal asked for it"})
    read_first = box.count("Get Contact")
    assert 1 <= read_first < 30
    assert run(add_sync, *arguments, "--plan", "--resume").code == 0
    assert box.count("Get Contact") == 30


def test_the_ids_of_the_crm_may_be_kept_for_files_of_other_names(box: Sandbox, run: Run) -> None:
    """Then the account is read once, whatever the export of the day is called."""
    box.seed_contacts(5)
    for name in ("montag.csv", "dienstag.csv"):
        assert run(add_sync, *exported(box, *ROWS, name=name), "--ids", "konto.ids").code == 0
    assert box.count("Get Contact") == 5
    assert (Path("konto.ids").exists(), Path("montag.csv.journal.ids").exists()) == (True, False)


def test_a_plan_is_told_row_by_row_where_that_is_asked_for(box: Sandbox, run: Run) -> None:
    """The same columns as after its application, and what changes by the names of the fields."""
    box.seed_contacts(1)
    arguments = exported(box, *ROWS, "K-3;kontakt1@example.com;;Ole;")
    ended = run(add_sync, *arguments, "--plan", "--report", "plan.csv")
    assert (ended.code, writes(box)) == (0, 0)
    assert "what is planned for each row is in plan.csv\n" in ended.out
    assert [(row["line"], row["action"], row["state"]) for row in table("plan.csv", "utf-8-sig")] == [
        ("2", "create", "pending"),
        ("3", "create", "pending"),
        ("4", "update", "pending"),
    ]
    assert "changes by field: Vorname 1, CRM-Kennung 1\n" in ended.out


def test_a_plan_sends_nothing_again(box: Sandbox, run: Run) -> None:
    """--retry-failed is for what was sent."""
    ended = run(add_sync, *exported(box, *ROWS), "--plan", "--retry-failed")
    assert ended.code == 2
    assert "leave out --retry-failed" in ended.err


def test_an_example_is_printed(run: Run, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """It is a mapping as it stands, needs no other argument, and is the one among the examples."""
    with pytest.raises(SystemExit) as caught:
        run(add_sync, "--example-mapping")
    assert caught.value.code == 0
    printed = capsysbinary.readouterr().out
    example = Path(__file__).parents[3] / "examples" / "crm_mapping.toml"
    assert printed == example.read_bytes()
    Path("m.toml").write_bytes(printed)
    assert Mapping.from_toml("m.toml").email == "E-Mail"


def test_plan_or_apply(box: Sandbox, run: Run) -> None:
    """Both together are no wish."""
    with pytest.raises(SystemExit) as caught:
        run(add_sync, *exported(box, *ROWS), "--plan", "--apply")
    assert caught.value.code == 2
