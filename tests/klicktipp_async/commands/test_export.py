"""Contacts as CSV: what stands in the file, what a spreadsheet makes of it, and when there is no file."""

from __future__ import annotations

import csv
import io
import re
import signal
import stat
import sys
from pathlib import Path

import pytest

from klickdoxie_core import command_line
from klickdoxie_core.progress import Progress
from klickdoxie_core.table.guard import guarded
from klicktipp_async import Contact
from klicktipp_async.commands.export import Sheet, add_export
from klicktipp_async.commands.importing import add_import
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.sandbox.store import Bounce, Status
from tests.klicktipp_async.commands.conftest import Run

OUT = ("--out", "kontakte.csv")


@pytest.fixture
def full(box: Sandbox) -> int:
    """A contact with everything, and its id."""
    contact_id = box.seed_contacts(1)[0]
    contact = box.contacts[contact_id]
    contact.fields |= {"fieldFirstName": "Jörg", "fieldCompanyName": "Blüte; Söhne", "fieldPhone": "+49 (0)221 123-45"}
    contact.sms_number = "004915112345678"
    box.put_on("kontakt1@example.com", box.add_tag("VIP"))
    box.put_on("kontakt1@example.com", box.add_tag("Größe 38"))
    box.put_on("kontakt1@example.com", box.add_tag("Geöffnet", smart=True))
    return contact_id


def rows(text: str, separator: str = ";") -> list[dict[str, str]]:
    """The rows of a file by their headings."""
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


def written(encoding: str = "utf-8-sig") -> str:
    """What stands in the file."""
    return Path("kontakte.csv").read_bytes().decode(encoding)


def test_a_contact_is_a_row(box: Sandbox, run: Run, full: int) -> None:
    """Address, number, status, dates, fields by their keys, and the names of the manual tags."""
    ended = run(add_export, *OUT)
    assert (ended.code, ended.raw) == (0, b"")
    assert "1 of 1 contacts are in kontakte.csv" in ended.err
    assert Path("kontakte.csv").read_bytes().startswith(b"\xef\xbb\xbfid;email;sms_number;status;bounce;opt_in_id;")
    (row,) = rows(written())
    assert list(row)[6:9] == ["optin", "subscribed", "unsubscription"]
    assert (row["id"], row["email"], row["sms_number"]) == (str(full), "kontakt1@example.com", "004915112345678")
    assert (row["status"], row["bounce"], row["opt_in_id"]) == ("subscribed", "nobounce", str(box.single_opt_in_id))
    assert re.fullmatch(r"2025-01-01 00:00:\d\d", row["subscribed"])
    assert row["unsubscription"] == ""
    assert (row["fieldFirstName"], row["fieldCompanyName"]) == ("Jörg", "Blüte; Söhne")
    assert row["fieldPhone"] == "+49 (0)221 123-45"
    assert row["tags"] == "Größe 38|VIP"


def test_without_a_file_it_goes_to_the_standard_output(run: Run, full: int) -> None:
    """The bytes are those that the encoding asks for, whatever the console's is."""
    ended = run(add_export, "--encoding", "cp1252", "--separator", "tab", "--fields", "FirstName")
    assert ended.code == 0
    lines = ended.raw.decode("cp1252").split("\r\n")
    assert lines[0].split("\t")[-2:] == ["fieldFirstName", "tags"]
    assert lines[1].split("\t")[-2:] == ["Jörg", "Größe 38|VIP"]
    assert lines[2:] == [""]
    assert not list(Path().iterdir())


def test_fields_are_chosen_and_headed_by_labels(box: Sandbox, run: Run, full: int) -> None:
    """Keys come with or without their prefix, in the order asked for; a label that is taken gets its key."""
    keys = [box.add_field(label) for label in ("Größe", "email", "Vorname", "")]
    wanted = ["fieldFirstName", *keys, "FirstName"]
    run(add_export, *OUT, "--labels", "--fields", ",".join(wanted))
    head = written().partition("\r\n")[0].split(";")
    _, email, first_name, empty = keys
    assert head[9:] == [
        "Vorname (fieldFirstName)", "Größe", f"email ({email})", f"Vorname ({first_name})", f"({empty})", "tags",
    ]  # fmt: skip


def test_a_pipe_gets_no_mark(run: Run, full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a spreadsheet knows what it is; a file gets it, also where the shell has opened that."""
    assert run(add_export).raw.startswith(b"id;email")
    assert run(add_export, "--encoding", "utf-8-sig").raw.startswith(b"\xef\xbb\xbfid;email")
    with Path("umgeleitet.csv").open("w", encoding="ascii") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert run(add_export).code == 0
    assert Path("umgeleitet.csv").read_bytes().startswith(b"\xef\xbb\xbfid;email")


def test_all_fields_are_the_default(run: Run, full: int) -> None:
    """The word for it may be given all the same."""
    assert run(add_export, "--fields", "all").raw == run(add_export).raw


def test_filters_go_to_the_service(box: Sandbox, run: Run) -> None:
    """By default only who is subscribed and does not bounce hard; words and `all` widen that."""
    pending, gone, bouncing, _ = (box.contacts[it] for it in box.seed_contacts(4))
    pending.status, gone.status, bouncing.bounce = Status.PENDING, Status.UNSUBSCRIBED, Bounce.HARD
    filters = [
        [],
        ["--status", "pending,unsubscribed"],
        ["--status", "all", "--bounce", "all"],
        ["--bounce", "hardbounce"],
    ]
    emails = [sorted(row["email"][7] for row in rows(run(add_export, *given).out)) for given in filters]
    assert emails == [["4"], ["1", "2"], ["1", "2", "3", "4"], ["3"]]


def test_an_empty_export_says_who_is_left_out(box: Sandbox, run: Run) -> None:
    """On standard error, where it is in nobody's way; not where somebody has chosen whom to take."""
    (number,) = box.seed_contacts(1)
    box.contacts[number].status = Status.PENDING
    ended = run(add_export)
    assert (ended.code, rows(ended.out)) == (0, [])
    assert ended.err == "0 subscribed contacts; --status all takes the others, too\n"
    assert "--status" not in run(add_export, "--status", "unsubscribed").err


def test_a_tag_chooses_by_name_or_id(box: Sandbox, run: Run) -> None:
    """A name goes before an id that reads the same; SmartTags have only an id; the status counts here too."""
    box.seed_contacts(3)
    plain, smart = box.add_tag("2025"), box.add_tag("Geöffnet", smart=True)
    box.put_on("kontakt1@example.com", plain)
    box.put_on("kontakt2@example.com", smart)
    box.put_on("kontakt3@example.com", smart)
    box.unsubscribe("kontakt3@example.com")
    for wanted, number in (("2025", 1), (str(plain), 1), (str(smart), 2)):
        assert [row["email"] for row in rows(run(add_export, "--tag", wanted).out)] == [f"kontakt{number}@example.com"]
    assert len(rows(run(add_export, "--tag", str(smart), "--status", "all").out)) == 2


def test_an_empty_account_has_a_heading(box: Sandbox, run: Run) -> None:
    """No contact is no mistake."""
    ended = run(add_export, *OUT)
    assert ended.code == 0
    assert written().count("\r\n") == 1


def test_a_contact_deleted_meanwhile_is_left_out(box: Sandbox, run: Run) -> None:
    """The others are written, and the numbers say so."""
    box.seed_contacts(3)
    box.fail("Get Contact", status=404)
    ended = run(add_export, *OUT)
    assert ended.code == 0
    assert len(rows(written())) == 2
    assert "2 of 3 contacts" in ended.err


@pytest.mark.parametrize("text", ["=1+1", "-x", "'-x", "@Köln", "-12,50", "'s Wirtshaus", "+49 (0)221/123-45"])
def test_formulas_are_disarmed_and_can_be_read_back(box: Sandbox, run: Run, text: str) -> None:
    """However often: what a spreadsheet would calculate has an apostrophe in the file, and none in the account."""
    contact = box.contacts[box.seed_contacts(1)[0]]
    contact.fields["fieldCity"] = text
    for _ in range(2):
        assert run(add_export, *OUT, "--force", "--fields", "City").code == 0
        assert rows(written())[0]["fieldCity"] == guarded(text)
        assert run(add_import, "kontakte.csv", "--opt-in", "default", "--json").code == 0
        assert contact.fields["fieldCity"] == text


def test_formulas_of_strangers_are_disarmed_in_the_file(box: Sandbox, run: Run) -> None:
    """Values, labels and tags alike."""
    contact = box.contacts[box.seed_contacts(1)[0]]
    key = box.add_field("=Größe")
    contact.fields |= {key: '=HYPERLINK("http://example.com";"Blüte")'}
    box.put_on(contact.email, box.add_tag("@VIP"))
    (row,) = rows(run(add_export, "--fields", key, "--labels", "--encoding", "utf-8").out)
    assert row["'=Größe"] == '\'=HYPERLINK("http://example.com";"Blüte")'
    assert row["tags"] == "'@VIP"


@pytest.mark.parametrize(
    ("text", "encoding", "advice"),
    [("Łódź", "cp1252", "give --encoding utf-8"), ("\ud83d", "utf-8-sig", "damaged"), ("\ud83d", "cp1252", "damaged")],
)
def test_a_cell_that_does_not_fit_ends_it(box: Sandbox, run: Run, text: str, encoding: str, advice: str) -> None:
    """Field and contact are named, their value is not, and nothing is left that looks like a file."""
    contact_id = box.seed_contacts(1)[0]
    box.contacts[contact_id].fields["fieldCity"] = text
    ended = run(add_export, *OUT, "--encoding", encoding)
    assert ended.code == 2
    assert f"{encoding} cannot hold fieldCity of contact {contact_id}" in ended.err
    assert advice in ended.err
    assert text.encode("utf-8", "replace").decode() not in ended.err
    assert not list(Path().iterdir())


def test_a_label_that_does_not_fit_is_named_by_its_key(box: Sandbox, run: Run) -> None:
    """The heading is written first."""
    key = box.add_field("Miasto Łódź")
    ended = run(add_export, *OUT, "--labels", "--encoding", "cp1252")
    assert (ended.code, f"cp1252 cannot hold the heading of {key}" in ended.err) == (2, True)


@pytest.mark.parametrize("there", ["kontakte.csv", "kontakte.csv.part"])
def test_what_is_there_is_kept_or_replaced_by_force(box: Sandbox, run: Run, there: str) -> None:
    """An existing file is refused before anything is asked; with --force it goes once the new one is whole."""
    Path(there).write_text("alt", encoding="utf-8")
    ended = run(add_export, *OUT)
    assert (ended.code, f"{there} exists" in ended.err, "--force" in ended.err) == (2, True, True)
    assert Path(there).read_text(encoding="utf-8") == "alt"
    assert box.count() == 0
    assert run(add_export, *OUT, "--force").code == 0
    assert [path.name for path in Path().iterdir()] == ["kontakte.csv"]
    assert written().startswith("id;")


@pytest.mark.parametrize(("out", "said"), [(".", "is a folder"), ("fehlt/kontakte.csv", "No such file")])
def test_a_place_that_cannot_be_is_told(box: Sandbox, run: Run, out: str, said: str) -> None:
    """A folder, or one that is not there, ends it before anything is asked."""
    ended = run(add_export, "--out", out)
    assert (ended.code, said in ended.err, box.count()) == (2, True, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_the_file_is_for_its_owner_only(box: Sandbox, run: Run) -> None:
    """It is full of personal data, also where it takes the place of a file for all."""
    Path("kontakte.csv").touch(0o644)
    run(add_export, *OUT, "--force")
    assert stat.S_IMODE(Path("kontakte.csv").stat().st_mode) == 0o600


def test_a_failure_on_the_way_leaves_no_file(box: Sandbox, run: Run) -> None:
    """Half of the contacts must not look like all of them, and the old file stays."""
    box.seed_contacts(3)
    Path("kontakte.csv").write_text("alt", encoding="utf-8")
    box.fail("Get Contact", every=2, status=406, body={"error": 999})
    ended = run(add_export, *OUT, "--force")
    assert (ended.code, "999" in ended.err) == (5, True)
    assert written("utf-8") == "alt"
    assert [path.name for path in Path().iterdir()] == ["kontakte.csv"]
    assert "example.com" not in ended.err


def test_ctrl_c_leaves_no_file(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is broken off at once, and the exit code says so."""
    box.seed_contacts(5)
    monkeypatch.setattr(Sheet, "add", lambda *_: signal.raise_signal(signal.SIGINT))
    assert run(add_export, *OUT).code == 130
    assert not list(Path().iterdir())


def test_the_first_row_stands_there_before_the_last_contact_is_fetched(
    box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contacts are written as they come, not gathered."""
    box.seed_contacts(60)
    fetched: list[int] = []
    add = Sheet.add

    def watched(sheet: Sheet, contact: Contact) -> None:
        fetched.append(box.count("Get Contact"))
        add(sheet, contact)

    monkeypatch.setattr(Sheet, "add", watched)
    assert run(add_export, *OUT, "--concurrency", "2").code == 0
    assert fetched[0] < 10
    assert len(rows(written())) == fetched[-1] == 60


def test_the_progress_is_told_and_closed(box: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows from the start how many there are."""
    told: list[tuple[int, int | None] | str] = []

    class Display:
        def __call__(self, progress: Progress) -> None:
            told.append((progress.done, progress.total))

        def close(self) -> None:
            told.append("closed")

    monkeypatch.setattr(command_line, "display_on", lambda stream, *, as_json: Display())
    box.seed_contacts(3)
    run(add_export, *OUT)
    assert told[-2:] == [(3, 3), "closed"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fields", "fieldFirstName,Größe"], "no data field 'Größe'; `klicktipp fields` lists them"),
        (["--fields", "field99,FirstName,98:date"], "no data field 'field99', '98'"),
        (["--tag", "Größe"], "no tag 'Größe'"),
    ],
)
def test_wrong_wishes_are_told(box: Sandbox, run: Run, arguments: list[str], said: str) -> None:
    """The account has no such thing; no contact is fetched and no file is left."""
    box.seed_contacts(1)
    ended = run(add_export, *OUT, *arguments)
    assert (ended.code, box.count("Get Contact")) == (2, 0)
    assert said in ended.err
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--status", "abgemeldet"],
        ["--bounce", "hardbounce,"],
        ["--fields", "FirstName,"],
        ["--separator", "#"],
        ["--encoding", "utf-16"],
    ],
)
def test_wrong_arguments_are_usage_errors(
    run: Run, arguments: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What the parser refuses exits with 2 and names the option."""
    with pytest.raises(SystemExit) as caught:
        run(add_export, *arguments)
    assert caught.value.code == 2
    assert arguments[0].encode() in capsysbinary.readouterr().err
