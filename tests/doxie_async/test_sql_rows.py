"""`doxie send --sql`: the rows of a query, each sent once, whatever becomes of them in the database meanwhile."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from doxie_async import ConfigError
from doxie_async.cli import main
from doxie_async.routes import SEND_MAIL
from doxie_async.row_items import Payloads
from doxie_async.sandbox import Sandbox
from klickdoxie_core.entry import State
from klickdoxie_core.table import Row
from klickdoxie_core.wire.in_process import serving
from tests.doxie_async.served import Served, led_to, served_boxes
from tests.kill.support import KILLED, Death, Executioner, Moment, said

MAIL = SEND_MAIL.name
SELECT = 'SELECT ref, name AS "kunde.name" FROM kunden ORDER BY nr'
SEND = ["send", "mailer", "welcome_email", "--sql", "sqlite:///crm.db", "--query", SELECT, "--key", "ref"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with an empty database."""
    monkeypatch.chdir(tmp_path)
    execute("CREATE TABLE kunden (nr INTEGER, ref TEXT, name TEXT)")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A socket that leads to the latest sandbox in a list."""
    with served_boxes() as served:
        yield served


@pytest.fixture
def box(served: Served, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A tenant behind the socket, and the environment that leads to it."""
    return led_to(Sandbox(), served, monkeypatch)


def execute(statement: str) -> None:
    """Change the database."""
    with closing(sqlite3.connect("crm.db")) as connection:
        connection.execute(statement)
        connection.commit()


def customers(*references: str | None, start: int = 10) -> None:
    """Add customers; their references tell them apart."""
    with closing(sqlite3.connect("crm.db")) as connection:
        rows = [(number, reference, "Jörg; Ä") for number, reference in enumerate(references, start)]
        connection.executemany("INSERT INTO kunden VALUES (?, ?, ?)", rows)
        connection.commit()


def files() -> list[str]:
    """What is there, beside the database."""
    return sorted(path.name for path in Path().iterdir() if path.name != "crm.db")


def rejected() -> list[dict[str, str]]:
    """The rows of the error file."""
    with Path("query.errors.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def test_each_row_of_a_query_is_sent(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The database is named, and nothing is left behind when all is well."""
    customers("R1", "R2")
    assert main(SEND) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "sqlite:///crm.db: 2 rows",
        "  column      filled  looks like",
        "  ref         2       X9  X9",
    ]
    assert sorted(str(message.payload["ref"]) for message in box.sent) == ["R1", "R2"]
    assert box.sent[0].payload["kunde"] == {"name": "Jörg; Ä"}
    assert files() == []


def test_a_dry_run_shows_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no account, and leaves no trace."""
    customers("R1")
    assert main([*SEND, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["database"], told["rows"], [each["column"] for each in told["columns"]]) == (
        "sqlite:///crm.db",
        1,
        ["ref", "kunde.name"],
    )
    assert files() == []


def test_numbers_are_written_as_programs_do(box: Sandbox) -> None:
    """With a point, since no German form is read from them."""
    main([*SEND[:6], "SELECT 7 AS ref, 12.5 AS betrag, NULL AS leer", "--key", "ref"])
    assert [message.payload for message in box.sent] == [{"ref": "7", "betrag": "12.5"}]


def test_rows_that_are_refused_stand_in_the_error_file(box: Sandbox) -> None:
    """With the cells of the query, to be sent like any other file."""
    customers("R1", "R2")
    box.fail(MAIL, status=422, body={"success": False, "error_message": "nein"})
    assert main([*SEND, "--concurrency", "1"]) == 1
    assert [(row["_line"], row["ref"], row["kunde.name"]) for row in rejected()] == [("2", "R1", "Jörg; Ä")]
    assert files() == ["query.errors.csv"]
    assert main([*SEND[:3], "--rows", "query.errors.csv", "--errors", "neu.csv", "--key", "ref"]) == 0
    assert [box.count_sent(each) for each in ("R1", "R2")] == [1, 1]


@pytest.mark.parametrize(
    ("references", "said"),
    [
        (["R1", "R2", "R1"], "lines 2 and 4 have the same 'ref'"),
        (["R1", " R1 "], "lines 2 and 3 have the same 'ref'"),
        (["R1", None], "line 3 has no 'ref'"),
        ([" "], "line 2 has no 'ref'"),
        ([f"R{number}" for number in range(501)] + ["R7"], "lines 9 and 503 have the same 'ref'"),
    ],
)
def test_keys_tell_all_rows_apart(
    box: Sandbox, capsys: pytest.CaptureFixture[str], references: list[str | None], said: str
) -> None:
    """A join that returns somebody twice sends nothing, rather than the same mail twice."""
    customers(*references)
    assert main(SEND) == 2
    assert said in capsys.readouterr().err
    assert not box.requests
    assert files() == []


def test_a_file_may_have_keys_as_well(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A row that cannot be cut into its cells has none."""
    Path("rows.csv").write_text("ref;n\nR1;1\nR2;2;3\nR1;2\n")
    command = [*SEND[:3], "--rows", "rows.csv", "--key", "ref"]
    assert main(command) == 2
    assert "lines 2 and 4 have the same 'ref'" in capsys.readouterr().err
    Path("rows.csv").write_text("ref;n\nR1;1\nR2;2;3\n")
    assert main(command) == 1
    assert [message.payload["ref"] for message in box.sent] == ["R1"]


def test_a_key_is_what_a_row_is_known_by() -> None:
    """Wherever it stands and whatever else it says; the journal does not hold it in plain text."""
    payloads = Payloads(["a", " ref "], key="ref")
    item, moved = payloads.item(Row(2, ("1", "jörg@x.de"))), payloads.item(Row(9, ("2", " jörg@x.de ")))
    assert item.key == moved.key
    assert "jörg" not in item.key + repr(item)
    marked = payloads.item(Row(3, ("1", "jörg@x.de"), "in doubt"))
    assert (marked.key, marked.state) == (item.key, State.SKIPPED)
    assert payloads.settings != Payloads(["a", "ref"]).settings
    with pytest.raises(ConfigError, match="there is no column 'nr' for --key; there are 'a', 'ref'"):
        Payloads(["a", "ref"], key="nr")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (SEND[:7], "--sql needs --key COLUMN"),
        ([*SEND, "--rows", "x.csv"], "either from a file"),
        ([*SEND, "--encoding", "utf-8"], "a database needs neither"),
        ([*SEND[:7], "--key", "nr"], "there is no column 'nr' for --key"),
        ([*SEND[:3], "--query", "SELECT 1"], "need --sql URL"),
        ([*SEND[:5]], "--sql needs a query"),
        ([*SEND[:6], "DELETE FROM kunden", "--key", "ref"], "must be a SELECT"),
        ([*SEND, "--resume"], "there is no query to go on with: query.journal.rows"),
        ([*SEND[:3], "--data", "d.json", "--key", "ref"], "--key can be given with --rows only, or with --sql"),
    ],
)
def test_wrong_wishes_are_told(
    box: Sandbox, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Nothing is sent."""
    Path("d.json").write_text("{}")
    customers("R1")
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
    assert not box.requests
    assert files() == ["d.json"]


def test_a_job_that_is_not_at_its_end_keeps_its_rows(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Also when the same command is given without --resume; another query does not go on with it."""
    customers(*(f"R{number}" for number in range(30)))
    box.drop(MAIL, times=10)
    assert main([*SEND, "--concurrency", "1"]) == 4
    kept = Path("query.journal.rows").read_bytes()
    customers("Neu", start=1)
    capsys.readouterr()
    assert main(SEND) == 2
    assert "20 are not sent yet; resume that job" in capsys.readouterr().err
    assert main([*SEND[:6], f"{SELECT} LIMIT 5", "--key", "ref", "--resume"]) == 2
    assert main([*SEND[:8], "kunde.name", "--resume"]) == 2
    assert Path("query.journal.rows").read_bytes() == kept
    assert main([*SEND, "--resume"]) == 1
    assert [box.count_sent(f"R{number}") for number in range(30)] == [1] * 30
    assert box.count_sent("Neu") == 0
    assert len(rejected()) == 10


def test_a_job_at_its_end_is_followed_by_another(box: Sandbox) -> None:
    """Which asks the database again."""
    customers("R1")
    assert main(SEND) == 0
    execute("DELETE FROM kunden")
    customers("R2")
    assert main(SEND) == 0
    assert [box.count_sent(each) for each in ("R1", "R2")] == [1, 1]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
async def test_killed_and_resumed_nothing_is_sent_twice(tmp_path: Path) -> None:
    """A row comes in at the top, one goes, and the others turn around between the runs."""
    tenant, executioner = Sandbox(), Executioner()
    executioner.app = tenant.app
    references = [f"R{number}" for number in range(12)]
    customers(*references)
    async with serving(executioner, "127.0.0.1", 0) as url:
        environment = {
            "DOXIE_BASE_URL": url,
            "DOXIE_TENANT": tenant.tenant,
            "DOXIE_API_USER": tenant.username,
            "DOXIE_API_PASSWORD": tenant.password,
        }
        command = [*SEND, "--concurrency", "2"]
        ended = await executioner.run("doxie_async", command, environment, tmp_path, Death(5, Moment.CARRIED_OUT))
        assert ended == KILLED, said(tmp_path)
        customers("Neu", start=1)
        execute("DELETE FROM kunden WHERE ref = 'R11'")
        execute("UPDATE kunden SET nr = 100 - nr WHERE ref <> 'Neu'")
        ended = await executioner.run("doxie_async", [*command, "--resume"], environment, tmp_path)
    assert ended == 1, said(tmp_path)
    doubtful = {row["ref"] for row in rejected()}
    sent = {each: tenant.count_sent(each) for each in references}
    assert 1 <= len(doubtful) <= 2
    assert set(sent.values()) <= {0, 1}
    assert {each for each, times in sent.items() if times} | doubtful == set(references)
    assert tenant.count_sent("Neu") == 0
