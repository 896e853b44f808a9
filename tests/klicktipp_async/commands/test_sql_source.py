"""`klicktipp sync` and `klicktipp import` with a query instead of a file."""

from __future__ import annotations

import datetime as dt
import logging
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from klickdoxie_core.entry import Entry
from klickdoxie_core.table.sql_values import text_of
from klicktipp_async.commands.importing import add_import
from klicktipp_async.commands.syncing import add_sync
from klicktipp_async.crm import Mapping, Reason, Target
from klicktipp_async.crm.apply import Writer
from klicktipp_async.crm.rows import Written
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Ran, Run
from tests.klicktipp_async.commands.support import UPSERT, brief, events, exported, table, writes, written

SQL = ("--sql", "sqlite:///crm.db")
SELECT = (
    'SELECT id AS "Nr", mail AS "Mail", \'\' AS "Mobil", name AS "Vorname", \'\' AS "Segmente" FROM kunden ORDER BY id'
)
QUERY = (*SQL, "--query", SELECT)
OPT_IN = ("--opt-in", "default")
JOURNAL, ROWS = Path("query.journal"), Path("query.journal.rows")


def customers(*rows: tuple[int, str]) -> None:
    """Add customers to the database of a CRM: their number and name, of which their address is made."""
    with closing(sqlite3.connect("crm.db")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kunden (id INTEGER, mail TEXT, name TEXT)")
        for number, name in rows:
            connection.execute("INSERT INTO kunden VALUES (?, ? || '@example.com', ?)", (number, name.lower(), name))
        connection.commit()


def change(statement: str) -> None:
    """Change the database behind the back of a job."""
    with closing(sqlite3.connect("crm.db")) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.fixture
def sync(box: Sandbox, run: Run) -> Callable[..., Ran]:
    """Runs `klicktipp sync` over the customers."""
    _file, *mapping = exported(box)
    Path("crm.csv").unlink()
    return lambda *arguments: run(add_sync, *QUERY, *mapping, *arguments)


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ends commands by a signal once so many rows have been written."""

    def arrange(after: int) -> None:
        write, count = Writer.write, 0

        async def counting(writer: Writer, entry: Entry) -> Written:
            nonlocal count
            result = await write(writer, entry)
            count += 1
            if count == after:
                signal.raise_signal(signal.SIGINT)
            return result

        monkeypatch.setattr(Writer, "write", counting)

    return arrange


def emails(box: Sandbox) -> list[str]:
    """Who is in the account."""
    return sorted(str(contact.email) for contact in box.contacts.values())


def test_a_query_takes_the_place_of_a_file(box: Sandbox, sync: Callable[..., Ran]) -> None:
    """The database is named, the report tells of each row, and nothing of the job stays in the end."""
    customers((1, "Änne"), (2, "Jörg"))
    ended = sync("--apply")
    assert ended.code == 0
    assert ended.out.startswith(
        "sqlite:///crm.db -> query.journal.rows\nquery.journal.rows: 2 rows, utf-8-sig, separator ';'\n"
    )
    assert emails(box) == ["jörg@example.com", "änne@example.com"]
    assert [row["crm_id"] for row in table("query.report.csv", "utf-8-sig")] == ["1", "2"]
    assert sorted(path.name for path in Path().glob("query*")) == ["query.journal.ids", "query.report.csv"]


def test_a_plan_is_applied_to_the_rows_that_it_was_made_of(box: Sandbox, sync: Callable[..., Ran]) -> None:
    """Whatever the database says meanwhile: what was looked at is done. The next plan asks once more."""
    customers((1, "Änne"), (2, "Jörg"))
    ended = sync("--plan", "--json")
    assert (ended.code, writes(box)) == (0, 0)
    assert events(ended)[0] == {"event": "query", "database": "sqlite:///crm.db", "rows_file": "query.journal.rows"}
    customers((0, "Neu"))
    change("DELETE FROM kunden WHERE id = 2")
    assert sync("--apply").code == 0
    assert emails(box) == ["jörg@example.com", "änne@example.com"]
    assert not ROWS.exists()
    assert sync("--apply").code == 0
    assert "neu@example.com" in emails(box)


def test_another_plan_asks_again(box: Sandbox, sync: Callable[..., Ran]) -> None:
    """--plan makes it anew, of whatever the database says now."""
    customers((1, "Änne"))
    assert sync("--plan").code == 0
    customers((0, "Neu"))
    ended = sync("--plan", "--json")
    assert (ended.code, events(ended)[-1]["rows"]) == (0, 2)
    assert sync("--apply").code == 0
    assert len(box.contacts) == 2


def test_resumed_nobody_is_asked_twice_to_confirm(box: Sandbox, run: Run, kill: Callable[[int], None]) -> None:
    """Rows that come, go and move between the runs are those of another job: this one goes on with its own."""
    names = [f"P{number:02}" for number in range(20)]
    customers(*enumerate(names, 10))
    command = (*QUERY, "--map", "Mail=email", *OPT_IN, "--concurrency", "1")
    kill(5)
    assert run(add_import, *command).code == 4
    assert 5 <= len(box.contacts) < 20
    customers((1, "Davor"), (99, "Danach"))
    change("UPDATE kunden SET id = 100 - id WHERE id < 99")
    change("DELETE FROM kunden WHERE name = 'P19'")
    refused = run(add_import, *command)
    assert (refused.code, "did not come to its end; go on with it by --resume" in refused.err) == (2, True)
    assert run(add_import, *command, "--resume").code == 0
    assert emails(box) == [f"{name.lower()}@example.com" for name in names]
    assert box.count(UPSERT) == 20
    assert set(box.confirmation_mails.values()) == {1}
    assert not JOURNAL.exists()
    assert not ROWS.exists()


@pytest.mark.parametrize(
    "other",
    [
        (*SQL, "--query", f"{SELECT} LIMIT 3"),
        ("--sql", "sqlite:///./crm.db", "--query", SELECT),
        (*QUERY, "--limit", "2"),
    ],
)
def test_another_query_does_not_go_on(
    box: Sandbox, run: Run, kill: Callable[[int], None], other: tuple[str, ...]
) -> None:
    """Nor another database."""
    customers(*enumerate("ABCDEF"))
    rest = ("--map", "Mail=email", *OPT_IN, "--concurrency", "1")
    kill(2)
    assert run(add_import, *QUERY, *rest).code == 4
    sent = box.count(UPSERT)
    ended = run(add_import, *other, *rest, "--resume")
    assert (ended.code, box.count(UPSERT)) == (2, sent)
    assert "the query has changed since the plan was made, or is taken with another --limit" in ended.err
    assert run(add_import, *QUERY, *rest, "--resume").code == 0


def test_a_dry_run_leaves_no_trace(box: Sandbox, run: Run) -> None:
    """Columns are guessed as for a file."""
    customers((1, "Änne"))
    ended = run(add_import, *SQL, "--query", "SELECT mail, name AS Vorname FROM kunden", *OPT_IN, "--dry-run")
    assert ended.code == 0
    assert "Vorname  fieldFirstName  100.0%" in ended.out
    assert [path.name for path in Path().iterdir()] == ["crm.db"]
    assert writes(box) == 0


def test_rows_that_do_not_arrive_are_a_file(box: Sandbox, run: Run) -> None:
    """With the cells of the query, to be mended and imported like any other."""
    customers((1, "Änne"), (2, "x y;z"))
    Path("q.sql").write_text('SELECT mail AS "E-Mail", id AS "größe" FROM kunden ORDER BY id;', encoding="utf-8")
    ended = run(add_import, *SQL, "--query-file", "q.sql", *OPT_IN)
    assert ended.code == 1
    rejected = table("query.errors.csv", "utf-8-sig")
    assert brief(rejected) == [("3", "failed", "email_invalid")]
    assert (rejected[0]["E-Mail"], rejected[0]["größe"]) == ("x y;z@example.com", "2")
    fixed = Path("query.errors.csv").read_text(encoding="utf-8-sig").replace("x y;z@", "xyz@")
    Path("query.errors.csv").write_text(fixed, encoding="utf-8-sig")
    assert run(add_import, "query.errors.csv", "--errors", "neu.csv", *OPT_IN).code == 0
    assert emails(box) == ["xyz@example.com", "änne@example.com"]


@pytest.mark.parametrize(
    ("value", "kind", "wire"),
    [
        (17, "number", "17"),
        (1_234_567, "number", "1234567"),
        (17.0, "number", "17"),
        (True, "number", "1"),
        (Decimal("17.00"), "number", "17"),
        (12.5, "decimal", "1250"),
        (Decimal("1234.5000"), "decimal", "123450"),
        (Decimal("-0.01"), "decimal", "-1"),
        (1_000, "decimal", "100000"),
        (Decimal("12.345"), "decimal", None),
        (12.345, "number", None),
        (dt.date(1970, 1, 2), "date", "86400"),
        (dt.datetime(1970, 1, 2, tzinfo=dt.UTC), "datetime", "86400"),
        (dt.datetime.fromisoformat("1970-01-02T00:00:01.5"), "datetime", "86401"),
        (dt.datetime(1970, 1, 2, 5, tzinfo=dt.timezone(dt.timedelta(hours=5))), "datetime", "86400"),
        (dt.datetime(1970, 1, 2, tzinfo=dt.UTC), "date", None),
        (dt.time(0, 1, 1), "time", "61"),
        ("24.12.1980", "date", "346464000"),
        (b"Gr\xc3\xb6\xc3\x9fe", "line", "Größe"),
        (Decimal("12.50"), "line", "12,50"),
    ],
)
def test_values_arrive_as_what_they_are(value: object, kind: str, wire: str | None) -> None:
    """A number with three decimals is refused where two are all that fit, and never taken for thousands."""
    mapping = Mapping(email="m", fields={"x": Target(field="field1", type=kind)}, timezone=dt.UTC)
    rules = mapping.resolve(header=("m", "x"), fields={"field1": "Feld"})
    wanted = rules.wanted({"m": "anna@example.com", "x": text_of(value, "x", 1, ",")})
    assert (None if isinstance(wanted, Reason) else wanted.fields["field1"]) == wire


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*QUERY, "--encoding", "utf-8"), "a database needs neither"),
        ((*QUERY, "--delimiter", ";"), "a database needs neither"),
        (("x.csv", "--query", "SELECT 1"), "need --sql URL"),
        (SQL, "--sql needs a query"),
        ((*SQL, "--query", "DROP TABLE kunden"), "must be a SELECT"),
        ((*SQL, "--query", "SELECT nichts FROM kunden"), "refuses the query: no such column: nichts"),
        ((*SQL, "--query", "SELECT 1 AS a, 2 AS a"), "several columns are called 'a'"),
        ((*SQL, "--query-file", "q.sql"), "No such file or directory: 'q.sql'"),
        (("--sql", "sqlite:///weg.db", "--query", "SELECT 1"), "there is no database sqlite:///weg.db"),
        (("--sql", "env:CRM", "--query", "SELECT 1"), "variable 'CRM' is not set"),
        ((*QUERY, "--resume"), "there is nothing to resume: query.journal is not there"),
        ((*QUERY, "--journal", "nirgends/j"), "nirgends"),
    ],
)
def test_wrong_wishes_are_told(box: Sandbox, run: Run, arguments: tuple[str, ...], said: str) -> None:
    """Nothing is sent, and nothing left behind."""
    customers((1, "Änne"))
    ended = run(add_import, *arguments, "--map", "Mail=email", *OPT_IN)
    assert (ended.code, writes(box)) == (2, 0)
    assert said in ended.err
    assert [path.name for path in Path().iterdir()] == ["crm.db"]


@pytest.mark.parametrize("arguments", [(), ("x.csv", *SQL)])
def test_rows_come_from_a_file_or_from_a_database(arguments: tuple[str, ...], run: Run) -> None:
    """The parser tells."""
    with pytest.raises(SystemExit) as caught:
        run(add_import, *arguments, *OPT_IN)
    assert caught.value.code == 2


def test_a_journal_of_a_file_has_no_rows_of_a_query(box: Sandbox, run: Run, sync: Callable[..., Ran]) -> None:
    """They are not asked for in its place."""
    assert run(add_sync, *exported(box, "K-1;anna@example.com;;Änne;"), "--journal", "j").code == 0
    customers((1, "Änne"))
    ended = sync("--apply", "--journal", "j")
    assert (ended.code, writes(box)) == (2, 0)
    assert "there is no query to go on with: j.rows" in ended.err
    assert Path("j").exists()


def test_the_file_may_stand_behind_the_options(box: Sandbox, run: Run) -> None:
    """Though it may be missing now."""
    assert run(add_import, *OPT_IN, "--map", "E-Mail=email", written("anna@example.com;;")).code == 0
    assert emails(box) == ["anna@example.com"]


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("sqlite:///file:crm.db?x=geheim&uri=true", ("--apply", "--json")),
        ("sqlite:///file:crm.db?x=geheim&uri=true", ("--plan", "--language", "de")),
        ("sqlite:///file:weg.db?x=geheim&mode=ro&uri=true", ("--apply",)),
        ("postgresql+nichts://crm:geheim@127.0.0.1:1/crm", ("--apply",)),
    ],
)
def test_nobody_is_named(
    box: Sandbox,
    run: Run,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    arguments: tuple[str, ...],
) -> None:
    """Neither screen nor log nor journal tells of the password, nor screen and log of the people."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CRM_DATABASE_URL", url)
    customers((1, "Gräfin"), (2, "Gräfin; x"))
    _file, *mapping = exported(box)
    statement = f"{SELECT.removesuffix(' ORDER BY id')} WHERE name LIKE 'Gräfin%'"
    ended = run(add_sync, "--sql", "env:CRM_DATABASE_URL", "--query", statement, *mapping, *arguments)
    assert ended.out or ended.err
    shown = "\n".join([ended.out, ended.err, caplog.text, *map(repr, caplog.records)]).lower()
    assert not any(secret in shown for secret in ("geheim", "gräfin", os.environ["KLICKTIPP_PASSWORD"].lower()))
    assert not any(b"geheim" in path.read_bytes() for path in Path().iterdir())
