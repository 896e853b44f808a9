"""A query's rows as a table: which queries are asked, what becomes of values, and what nobody gets to see."""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
import stat
import sys
import threading
import traceback
import tracemalloc
import uuid
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy
from anyio import to_thread

from klickdoxie_core import ConfigError
from klickdoxie_core.table import SourceFailed, TableError, sql
from klickdoxie_core.table.sql import Query, answered, given_query
from klickdoxie_core.table.sql_values import text_of

pytestmark = pytest.mark.anyio

Connect = Callable[[Callable[[], object]], None]

CANARY = "kanarienvogel"
URL = "sqlite:///crm.db"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a database of two customers."""
    monkeypatch.chdir(tmp_path)
    execute(
        "CREATE TABLE kunden (id INTEGER, name TEXT, umsatz REAL)",
        "INSERT INTO kunden VALUES (1, 'Jörg; \"Blüte\"', 12.5), (2, NULL, 3)",
    )


def execute(*statements: str) -> None:
    """Change the database."""
    with closing(sqlite3.connect("crm.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def asked(text: str, url: str = URL, **options: Any) -> Query:
    """The query of such arguments."""
    query = given_query(url, text, None, **options)
    assert query is not None
    return query


async def rows_of(text: str, url: str = URL, **options: Any) -> list[tuple[str, ...]]:
    """The header and the rows that come back."""
    async with answered(asked(text, url, **options), None) as table:
        return [table.header, *(row.cells for row in table.rows())]


def all_of(error: BaseException) -> str:
    """Whatever anybody could see of an error."""
    return repr(error) + "".join(traceback.format_exception(error))


async def test_rows_come_back_as_the_cells_of_a_table() -> None:
    """Quotes, separators and umlauts included; a row is where the table says."""
    async with answered(asked("SELECT id, name, umsatz FROM kunden ORDER BY id"), None) as table:
        assert table.header == ("id", "name", "umsatz")
        assert [(row.line, row.cells, row.state) for row in table.rows()] == [
            (2, ("1", 'Jörg; "Blüte"', "12.5"), ""),
            (3, ("2", "", "3"), ""),
        ]
        path = table.path
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 AS n",
        "  select 1 AS n ; ",
        "/* mit; -- Absicht */ -- SELECT;\nSELECT 1 AS n",
        "WITH x AS (SELECT 1 AS n) SELECT n FROM x;",
        "SELECT 1 AS n WHERE ';' = ';' AND '50%' LIKE '%' AND ':a' <> 'it''s; :b'",
        'SELECT n FROM (SELECT 1 AS n, 2 AS "a;b") -- ;',
    ],
)
async def test_one_select_is_asked_as_it_stands(text: str) -> None:
    """Comments, semicolons in quotes, percent signs and colons are part of it."""
    assert await rows_of(text) == [("n",), ("1",)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a SELECT"),
        ("DELETE FROM kunden", "must be a SELECT"),
        ("-- SELECT\nDROP TABLE kunden", "must be a SELECT"),
        ("ATTACH 'x.db' AS x", "must be a SELECT"),
        ("PRAGMA query_only=OFF", "must be a SELECT"),
        ("selecting", "must be a SELECT"),
        ("SELECT 1; DELETE FROM kunden", "one statement"),
        ("SELECT ';'; SELECT 2", "one statement"),
    ],
)
def test_anything_else_is_refused_before_anybody_is_asked(text: str, said: str) -> None:
    """By the name of the option."""
    with pytest.raises(ConfigError, match=rf"--query .*{said}"):
        asked(text)


@pytest.mark.parametrize(
    "text",
    [
        "WITH x AS (SELECT 9 AS n) INSERT INTO kunden SELECT n, 'neu', 0 FROM x",
        "WITH x AS (SELECT 1 AS n) DELETE FROM kunden WHERE id IN (SELECT n FROM x) RETURNING id",
    ],
)
async def test_a_write_fails_and_changes_nothing(text: str) -> None:
    """What passes for a query at first sight meets a connection that only reads."""
    with pytest.raises(TableError, match=r"sqlite:///crm\.db refuses the query: attempt to write a readonly database"):
        await rows_of(text)
    assert len(await rows_of("SELECT id FROM kunden")) == 3


async def test_what_returns_no_rows_is_no_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a database lets it through, it is taken back with the transaction."""
    monkeypatch.setattr(sql, "_checked", str)
    with pytest.raises(TableError, match="returns no rows"):
        await rows_of("BEGIN")


async def test_a_database_that_is_not_there_is_not_made() -> None:
    """SQLite would begin an empty one."""
    with pytest.raises(TableError, match=r"there is no database sqlite:///weg\.db"):
        await rows_of("SELECT 1", "sqlite:///weg.db")
    assert files() == []


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            "1 AS id, 2 AS name, 3 AS id, 4 AS name",
            "several columns are called 'id', several columns are called 'name'",
        ),
        ("1 AS n, 2 AS '', 3 AS ' '", "column 2 has no name, column 3 has no name"),
        ("1 AS _line", "'_line' is a column of the error file"),
        ("'a@b.de', 'a@b.de'", r"several columns are called \"'\[hidden\]'\""),
    ],
)
async def test_each_column_has_a_name_of_its_own(columns: str, said: str) -> None:
    """All that is wrong is told at once."""
    with pytest.raises(TableError, match=f"must name each column once, by AS where needed: {said}"):
        await rows_of(f"SELECT {columns}")


async def test_a_result_without_columns_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL knows such."""
    monkeypatch.setattr(sqlalchemy.CursorResult, "keys", lambda _: [])
    with pytest.raises(TableError, match="the query returns no column"):
        await rows_of("SELECT 1")


async def test_a_dot_in_a_name_stays() -> None:
    """It nests where payloads are made of rows."""
    assert await rows_of('SELECT 1 AS "kunde.name"') == [("kunde.name",), ("1",)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (" Größe ", " Größe "),
        (True, "1"),
        (False, "0"),
        (-17, "-17"),
        (10**30, "1" + "0" * 30),
        (12.5, "12,5"),
        (17.0, "17"),
        (1e-7, "0,0000001"),
        (12.345, "12,345"),
        (Decimal("12.50"), "12,50"),
        (Decimal("12.5000"), "12,50"),
        (Decimal("12.340056"), "12,340056"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.0100"), "-0,01"),
        (dt.date(1980, 12, 24), "1980-12-24"),
        (dt.datetime.fromisoformat("2025-12-24 18:30"), "2025-12-24T18:30:00"),
        (dt.datetime(2025, 12, 24, 18, 30, tzinfo=dt.UTC), "2025-12-24T18:30:00+00:00"),
        (dt.time(14, 30), "14:30:00"),
        (b"Gr\xc3\xb6\xc3\x9fe", "Größe"),
        (b"a\tb\r\nc", "a\tb\r\nc"),
        (b"\x01", "1"),
        (bytearray(b"\x00"), "0"),
        ("0000-00-00", ""),
        ("0000-00-00 00:00:00", ""),
        (b"0000-00-00 00:00:00.000", ""),
        ("0000-00-001", "0000-00-001"),
        (memoryview(b"abc"), "abc"),
        (uuid.UUID(int=17), "00000000-0000-0000-0000-000000000011"),
    ],
)
def test_values_become_texts(value: object, text: str) -> None:
    """Each in one form, whatever the database; here with a German comma."""
    assert text_of(value, "spalte", 1, ",") == text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"Gr\xf6\xdfe", "of the type bytes"),
        ("\udcf6", "of the type str"),
        ([CANARY], "of the type list"),
        ({CANARY: 1}, "of the type dict"),
        (dt.timedelta(hours=1), "of the type timedelta"),
        (b"\x07", "of the type bytes"),
        (f"{CANARY}\x7f".encode(), "of the type bytes"),
        (float("nan"), "nan, which is no number"),
        (float("-inf"), "-inf, which is no number"),
        (Decimal("NaN"), "NaN, which is no number"),
        (f"{CANARY}\0", "a NUL character$"),
        (CANARY * 20_000, "more than 131,072 characters$"),
    ],
)
def test_what_no_cell_can_hold_is_refused(value: object, said: str) -> None:
    """By row and column, without the value."""
    with pytest.raises(TableError, match=rf"row 1,234: column 'spalte' holds .*{said}") as caught:
        text_of(value, "spalte", 1234)
    assert CANARY not in all_of(caught.value)


async def test_a_cell_may_hold_whatever_csv_can() -> None:
    """Line breaks of all kinds, quotes, and a row of nothing, which is no row."""
    text = 'eins\r\nzwei\rdrei\n"vier"; '
    execute("DELETE FROM kunden", "INSERT INTO kunden VALUES (NULL, NULL, NULL)")
    with closing(sqlite3.connect("crm.db")) as connection:
        connection.execute("INSERT INTO kunden VALUES (1, ?, 2)", [text])
        connection.commit()
    assert await rows_of("SELECT id, name FROM kunden") == [("id", "name"), ("1", text)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((None, "SELECT 1", None), "need --sql URL"),
        ((None, None, Path("q.sql")), "need --sql URL"),
        ((URL, None, None), "--sql needs a query"),
        ((URL, "SELECT 1", Path("q.sql")), "--sql needs a query"),
        (("env:CRM_URL", "SELECT 1", None), "variable 'CRM_URL' is not set"),
        (("env:postgresql://crm:kanarienvogel@db/crm", "SELECT 1", None), "variable behind env: is not set"),
        (("crm.db", "SELECT 1", None), "is not the URL of a database"),
        (("postgresql://crm:kana@rienvogel@db/crm", "SELECT 1", None), "@ is written %40"),
        (("postgresql://crm:x@y/kanarienvogel@db/crm", "SELECT 1", None), "@ is written %40"),
        (("postgresql://crm:kanarienvogel", "SELECT 1", None), "is not the URL of a database"),
        ((URL, None, Path("latin.sql")), "latin.sql is not UTF-8"),
    ],
)
def test_arguments_that_say_too_little_or_too_much(
    arguments: tuple[str | None, str | None, Path | None], said: str
) -> None:
    """They are named, and no part of a password is shown."""
    Path("latin.sql").write_bytes("SELECT 'ö'".encode("cp1252"))
    with pytest.raises(ConfigError, match=said) as caught:
        given_query(*arguments)
    # The lines of this file, which a traceback quotes, name none.
    shown = repr(caught.value) + str(caught.value)
    assert not any(part in shown for part in (CANARY, "rienvogel", "kana"))


def test_no_arguments_are_no_query() -> None:
    """As for a command that reads a file."""
    assert given_query(None, None, None) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"klingonisch://crm:{CANARY}@db/crm", "klingonisch is no kind of database"),
        (f"postgresql+nichts://crm:{CANARY}@db/crm", "postgresql.nichts is no kind of database"),
        (f"postgres://crm:{CANARY}@db/crm", "postgres is no kind of database, .*; write postgresql instead"),
    ],
)
async def test_databases_that_cannot_be_read(url: str, said: str) -> None:
    """What is missing is told, and not how to sign in."""
    with pytest.raises(ConfigError, match=said) as caught:
        await rows_of("SELECT 1", url)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "missing", "there", "said"),
    [
        ("mysql://db/crm", "MySQLdb", True, r"needs MySQLdb, .*installed; write mysql\+pymysql:// in the URL$"),
        ("mariadb://db/crm", "MySQLdb", False, r"installed; install pymysql and write mariadb\+pymysql:// in the URL$"),
        ("postgresql+psycopg2://db/crm", "psycopg2", True, r"installed; write postgresql\+psycopg:// in the URL$"),
        ("mssql://db/crm", "pyodbc", True, "needs pyodbc, which is not installed$"),
    ],
)
async def test_a_driver_that_is_missing_may_have_a_substitute(
    monkeypatch: pytest.MonkeyPatch, url: str, missing: str, there: bool, said: str
) -> None:
    """SQLAlchemy takes the one that is hard to install, where the URL names none."""
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: there or None)
    with pytest.raises(ConfigError, match=said):
        await rows_of("SELECT 1", url)


async def test_a_driver_for_asyncio_is_no_driver_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is asked for."""
    dialect = sqlalchemy.create_engine("sqlite://").dialect
    monkeypatch.setattr(type(dialect), "is_async", True)
    with pytest.raises(ConfigError, match="sqlite is for asyncio; name another driver"):
        await rows_of("SELECT 1")


def test_without_sqlalchemy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not needed for anything else."""
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ConfigError, match=r"--sql needs SQLAlchemy: install klickdoxie\[sql\]"):
        asked("SELECT 1")


async def test_the_url_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its password stands in no history of a shell; a file may hold the query."""
    monkeypatch.setenv("CRM_URL", URL)
    query = given_query("env:CRM_URL", None, file("q.sql", "SELECT 'Größe' AS wort;\n"))
    assert query is not None
    assert (query.database, query.text) == ("sqlite:///crm.db", "SELECT 'Größe' AS wort")
    async with answered(query, None) as table:
        assert [row.cells for row in table.rows()] == [("Größe",)]


def test_a_query_shows_neither_password_nor_statement() -> None:
    """Only which database it is for; whoever signs in there, with whatever options, it is the same query."""
    text = f"SELECT * FROM kunden WHERE name = '{CANARY}'"
    query = asked(text, f"postgresql+psycopg://crm:{CANARY}@db.intern:5433/crm?sslpassword={CANARY}")
    assert query.database == "postgresql://db.intern:5433/crm"
    assert CANARY not in repr(query) + str(query)
    assert query.fingerprint == asked(text, "postgresql://otto:anders@db.intern:5433/crm").fingerprint
    assert query.fingerprint != asked(text, "postgresql://crm@db.intern:5433/crm2").fingerprint
    assert query.fingerprint != asked("SELECT 1", "postgresql://db.intern:5433/crm").fingerprint


@pytest.mark.parametrize("text", ["SELECT emial FROM kunden WHERE name = '{}'", "SELECT FROM WHERE name = '{}'"])
async def test_a_wrong_query_is_explained_without_being_quoted(text: str) -> None:
    """What the driver says helps; the statement, which SQLAlchemy shows, may name people."""
    with pytest.raises(TableError, match=r"refuses the query: (no such column: emial|near .FROM.: syntax error)$") as e:
        await rows_of(text.format(CANARY))
    assert CANARY not in all_of(e.value).replace(text, "")


async def test_a_value_that_cannot_be_read_is_not_quoted() -> None:
    """Drivers do, in their errors."""
    execute(f"INSERT INTO kunden VALUES (3, CAST(X'{(CANARY.encode() + b'_J' + bytes([0xF6])).hex()}' AS TEXT), 0)")
    with pytest.raises(SourceFailed, match=r"sqlite:///crm\.db broke off after row 0: OperationalError$") as caught:
        await rows_of("SELECT name FROM kunden")
    assert CANARY not in all_of(caught.value)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Lets every database be reached by a function."""
    engine = sqlalchemy.create_engine

    def connect_by(creator: Callable[[], object]) -> None:
        made = partial(engine, "sqlite://", creator=creator)
        monkeypatch.setattr(sqlalchemy, "create_engine", lambda _, **options: made(**options))

    return connect_by


@pytest.mark.parametrize("said", ["kanarien%2Fvogel", "kanarien/vogel", "zertifikat17", "joerg@example.com"])
async def test_what_a_driver_says_of_a_connection_hides_the_url(said: str, connect: Connect) -> None:
    """Password and options, in whichever spelling, and anybody's address; the reason is told."""

    def refuse() -> None:
        raise sqlite3.OperationalError(f"FATAL: no way in with {said}\n{CANARY}")

    connect(refuse)
    with pytest.raises(SourceFailed, match=r"postgresql://db/crm cannot be reached: FATAL: no way in with \[hid") as e:
        await rows_of("SELECT 1", "postgresql://crm:kanarien%2Fvogel@db/crm?odbc=UID%3DX%3BPWD%3Dzertifikat17")
    assert not any(part in str(e.value) for part in (said, CANARY))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (sqlite3.OperationalError(1045, f"Access denied\n{CANARY}"), "Access denied"),
        (sqlite3.NotSupportedError("no such cursor"), "no such cursor"),
        (
            sqlite3.InternalError("cannot execute DELETE in a read-only transaction"),
            "cannot execute DELETE in a read-.*",
        ),
    ],
)
async def test_of_an_error_the_text_is_told(error: Exception, said: str, connect: Connect) -> None:
    """Without the number that some drivers put before it; one line, where it is about the query."""

    def refuse() -> None:
        raise error

    connect(refuse)
    with pytest.raises(SourceFailed, match=f"mysql://db/crm cannot be reached: {said}$"):
        await rows_of("SELECT 1", "mysql://db/crm")


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.DataError(CANARY),
        sqlite3.InterfaceError(CANARY),
        sqlite3.InternalError(CANARY),
        OSError(CANARY),
    ],
)
async def test_other_errors_have_a_name_only(error: Exception, connect: Connect) -> None:
    """Their texts are about values."""

    def refuse() -> None:
        raise error

    connect(refuse)
    with pytest.raises(TableError, match=f"cannot be reached: {type(error).__name__}$"):
        await rows_of("SELECT 1", "postgresql://db/crm")


async def test_any_database_may_answer(connect: Connect) -> None:
    """What is done for SQLite alone is left out elsewhere."""
    connect(partial(sqlite3.connect, "crm.db", check_same_thread=False))
    assert await rows_of("SELECT id FROM kunden WHERE id = 1", "postgresql://db/crm") == [("id",), ("1",)]


class MySQL(sqlite3.Connection):
    """Takes one statement of MySQL for what it means to SQLite."""

    def cursor(self, *_: Any) -> sqlite3.Cursor:
        """A cursor that does so."""
        return super().cursor(MySQLCursor)


class MySQLCursor(sqlite3.Cursor):
    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Carry out a statement."""
        return super().execute(statement.replace("START TRANSACTION READ ONLY", "PRAGMA query_only=ON"), *values)


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
async def test_mysql_is_told_that_nothing_but_reading_is_meant(kind: str, connect: Connect) -> None:
    """It takes back what it can, and there are tables where it cannot."""
    connect(partial(sqlite3.connect, "crm.db", check_same_thread=False, factory=MySQL))
    url = f"{kind}+pymysql://db/crm"
    assert await rows_of("SELECT id FROM kunden WHERE id = 1", url) == [("id",), ("1",)]
    with pytest.raises(TableError, match=rf"{kind}://db/crm refuses the query: attempt to write a readonly database"):
        await rows_of("WITH x AS (SELECT 1 AS n) DELETE FROM kunden WHERE id IN (SELECT n FROM x) RETURNING id", url)


async def test_a_connection_that_breaks_is_no_wrong_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later, the same command may work."""
    dialect = sqlalchemy.create_engine("sqlite://").dialect
    monkeypatch.setattr(type(dialect), "is_disconnect", lambda *_: True)
    with pytest.raises(SourceFailed, match="refuses the query: no such column"):
        await rows_of("SELECT nichts FROM kunden")


async def test_an_apostrophe_of_the_database_stays() -> None:
    """The file of the rows guards formulas as every table does, and reading takes the guard off."""
    texts = ("-x", "'-x", "'s ist", "-12,50")
    with closing(sqlite3.connect("crm.db")) as connection:
        connection.execute("CREATE TABLE texte (a, b, c, d)")
        connection.execute("INSERT INTO texte VALUES (?, ?, ?, ?)", texts)
        connection.commit()
    async with answered(asked("SELECT * FROM texte"), None) as table:
        assert [(row.cells, row.written[:2]) for row in table.rows()] == [(texts, ("'-x", "''-x"))]


async def test_no_log_tells_of_rows_or_statements(caplog: pytest.LogCaptureFixture) -> None:
    """SQLAlchemy writes both, where somebody turns everything on."""
    caplog.set_level(logging.DEBUG)
    execute(f"UPDATE kunden SET name = '{CANARY}'")
    await rows_of(f"SELECT name FROM kunden WHERE name = '{CANARY}'")
    assert CANARY not in caplog.text


def file(name: str, text: str = "") -> Path:
    """A new file."""
    path = Path(name)
    path.write_text(text, encoding="utf-8-sig" if text else None)
    return path


def remove(path: Path) -> None:
    """As a job does with its journal in the end."""
    path.unlink()


def files() -> list[str]:
    """What is there, beside the database."""
    return sorted(path.name for path in Path().iterdir() if path.name != "crm.db")


async def test_the_rows_stay_as_long_as_the_journal_does() -> None:
    """Only their owner can read them; taken again, they are those of the first time, and nobody is asked."""
    query, journal = asked("SELECT id FROM kunden ORDER BY id"), file("j")
    async with answered(query, journal) as table:
        assert stat.S_IMODE(table.path.stat().st_mode) == 0o600
    assert files() == ["j", "j.rows"]
    execute("INSERT INTO kunden VALUES (0, 'neu', 0)", "ALTER TABLE kunden RENAME TO weg")
    async with answered(query, journal, again=True) as table:
        assert [row.cells for row in table.rows()] == [("1",), ("2",)]
        remove(journal)
    assert files() == []


async def test_rows_that_are_gone_cannot_be_taken_again() -> None:
    """Others would be no substitute."""
    with pytest.raises(ConfigError, match=r"no query to go on with: j\.rows"):
        async with answered(asked("SELECT 1"), Path("j"), again=True):
            pass
    assert files() == []


async def test_a_query_that_fails_leaves_the_earlier_rows_alone() -> None:
    """Half of the new ones would be worse than none."""
    async with answered(asked("SELECT id FROM kunden"), file("j")) as table:
        before = table.path.read_bytes()
    with pytest.raises(TableError, match="row 2: column 'x'"):
        async with answered(asked("SELECT CASE id WHEN 1 THEN 'a' ELSE x'ff' END AS x FROM kunden"), Path("j")):
            pass
    assert table.path.read_bytes() == before
    assert files() == ["j", "j.rows"]


COUNTED = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i AS id, 'Änne' AS v FROM n"
)


async def test_what_a_killed_run_left_behind_goes() -> None:
    """Half of somebody's customers; other files stay."""
    file(".j[x].rows-abc123")
    file("j.rows-abc123")
    await asked("SELECT id FROM kunden").save(Path("j[x].rows"))
    assert files() == ["j.rows-abc123", "j[x].rows"]


async def test_memory_does_not_grow_with_the_rows() -> None:
    """They are fetched some at a time."""

    async def peak(count: int) -> int:
        query = asked(COUNTED.format(count))
        tracemalloc.start()
        await query.save(Path("j.rows"))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    await peak(2)
    few = await peak(2_000)
    assert await peak(20_000) < few + 100_000


async def test_the_event_loop_runs_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is asked in a thread of its own; broken off, it is asked for no further row, and no file stays."""
    asking, going_on = threading.Event(), threading.Event()
    fetched = 0

    def slow(value: object, *_: object) -> str:
        nonlocal fetched
        fetched += 1
        asking.set()
        going_on.wait(20)
        return str(value)

    monkeypatch.setattr(sql, "text_of", slow)
    async with anyio.create_task_group() as group:
        group.start_soon(asked(COUNTED.format(5_000)).save, Path("j.rows"))
        assert await to_thread.run_sync(asking.wait, 20)
        group.cancel_scope.cancel()
        going_on.set()
    assert fetched == 2 * 500
    assert files() == []


async def test_the_file_is_one_that_a_spreadsheet_opens() -> None:
    """With a mark and semicolons, as is the error file that is written like it."""
    async with answered(asked("SELECT 'Größe' AS wort, ';' AS x"), None) as table:
        assert (table.path.read_bytes(), table.encoding, table.separator) == (
            b'\xef\xbb\xbfwort;x\r\nGr\xc3\xb6\xc3\x9fe;";"\r\n',
            "utf-8-sig",
            ";",
        )
