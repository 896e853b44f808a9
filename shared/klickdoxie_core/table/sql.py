"""What a query of a database returns, kept as a table in a file: asked for once, then read as often as needed.

A job reads its rows several times, and once more when it is resumed; a database may say something else every time.
"""

from __future__ import annotations

import csv
import glob
import importlib.util
import logging
import os
import re
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import attrs
from anyio import from_thread, to_thread

from klickdoxie_core.errors import ConfigError
from klickdoxie_core.journal import fingerprint
from klickdoxie_core.redact import Secret, mask, without
from klickdoxie_core.table.encoding import SourceFailed, TableError
from klickdoxie_core.table.guard import guarded
from klickdoxie_core.table.reader import OWN_COLUMNS, Table, open_table
from klickdoxie_core.table.sql_values import text_of
from klickdoxie_core.whole_file import whole_file

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine
    from sqlalchemy.exc import DBAPIError

_ENCODING: Final = "utf-8-sig"
_SEPARATOR: Final = ";"
_BATCH: Final = 500
_ENVIRONMENT: Final = "env:"
# What a semicolon may stand in, and what may stand before the first word. No parser: a guard against slips.
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_FIRST_WORD = re.compile(r"[\s(]*(?:select|with)\b", re.IGNORECASE)
_PARTS_OF_OPTIONS = re.compile(r"[\s;={}]+")
_LOGGER_NAME: Final = "klickdoxie"
# How a database is told that the transaction only reads; PostgreSQL is told by SQLAlchemy.
_READS_ONLY: Final = {
    "sqlite": "PRAGMA query_only=ON",
    "mysql": "START TRANSACTION READ ONLY",
    "mariadb": "START TRANSACTION READ ONLY",
}
# Drivers that SQLAlchemy takes where the URL names none, and those that are easier to install.
_OTHER_DRIVERS: Final = {"MySQLdb": "pymysql", "psycopg2": "psycopg"}
_READ_ONLY = re.compile("read.?only", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Query:
    """One SELECT, and the database that answers it.

    Attributes:
        database: What may be shown of the database: its kind, host, port and name.
        text: The statement; it may hold personal data, so that it is not shown.
        decimal: What stands between the whole and the fraction of a number.
    """

    database: str
    text: str = attrs.field(repr=False)
    decimal: str = "."
    _url: Secret = attrs.field(alias="url", repr=False)

    @property
    def fingerprint(self) -> str:
        """What tells this query from any other: the statement and the database, whoever signs in there and how."""
        return fingerprint(self.database, self.text)

    async def save(self, path: Path) -> None:
        """Ask the database in a worker thread, and keep what it returns as a CSV file that only its owner can read.

        The rows are fetched some at a time, in a transaction that is rolled back. The file takes the place of an
        earlier one once all rows are in it.

        Raises:
            SourceFailed: The database cannot be reached, or breaks off.
            TableError: It refuses the query, two columns have the same name, or a value is none that a cell can hold.
            ConfigError: What the URL asks for is not installed.
            OSError: The file cannot be written.
        """
        await to_thread.run_sync(self._save, path)

    def _save(self, path: Path) -> None:
        # What a run has left behind that was killed here; should it be running still, it fails, and sends nothing.
        for left in path.parent.glob(f".{glob.escape(path.name)}-*"):
            left.unlink(missing_ok=True)
        with whole_file(path, encoding=_ENCODING, newline="") as file, closing(self._lines()) as lines:
            csv.writer(file, delimiter=_SEPARATOR).writerows(lines)

    def _lines(self) -> Generator[Sequence[str]]:
        """The names of the columns, then each row."""
        url = _parsed(self._url.reveal())
        with self._connected(url) as connection:
            with _told(f"{self.database} refuses the query", url):
                result = connection.exec_driver_sql(self.text)
            if not result.returns_rows:
                msg = "--query is no SELECT: it returns no rows; whatever it did was taken back"
                raise TableError(msg)
            with closing(result):
                yield from self._texts(result, url)

    def _texts(self, result: CursorResult[tuple[object, ...]], url: URL) -> Generator[Sequence[str]]:
        names = list(result.keys())
        _check_names(names)
        yield names
        batches, count = result.partitions(_BATCH), 0
        while True:
            # What a driver says of a value that it cannot read, quotes it.
            with _told(f"{self.database} broke off after row {count:,}", url, quoting=True, raising=SourceFailed):
                batch = next(batches, ())
            if not batch:
                return
            for row in batch:
                count += 1
                texts = (text_of(value, name, count, self.decimal) for name, value in zip(names, row, strict=True))
                # Reading takes the apostrophe off again, and must not take off one of the database.
                yield list(map(guarded, texts))
            from_thread.check_cancelled()

    @contextmanager
    def _connected(self, url: URL) -> Generator[Connection]:
        """A connection that only reads, as far as the database can be told so; what is done on it is taken back."""
        engine = self._engine(url)
        with ExitStack() as stack:
            with _told(f"{self.database} cannot be reached", url, raising=SourceFailed):
                connection = stack.enter_context(engine.connect())
                if statement := _READS_ONLY.get(url.get_backend_name()):
                    connection.exec_driver_sql(statement)
            yield connection.execution_options(
                stream_results=True,
                max_row_buffer=_BATCH,
                # A percent sign in the query is no place for a parameter, nor a dot in a name the end of a table's.
                no_parameters=True,
                sqlite_raw_colnames=True,
                postgresql_readonly=True,
            )

    def _engine(self, url: URL) -> Engine:
        from sqlalchemy import NullPool, create_engine  # noqa: PLC0415 - an extra

        _check_there(url, self.database)
        # At its level DEBUG it writes every row into the log.
        logging.getLogger(f"sqlalchemy.engine.Engine.{_LOGGER_NAME}").setLevel(logging.WARNING)
        try:
            engine = create_engine(url, poolclass=NullPool, logging_name=_LOGGER_NAME, hide_parameters=True)
        except ImportError as error:
            missing = error.name or "a driver"
            msg = f"reading from {self.database} needs {missing}, which is not installed{_instead_of(missing, url)}"
            raise ConfigError(msg) from None
        except (TypeError, ValueError, _sql_error()):
            hint = "; write postgresql instead" if url.get_backend_name() == "postgres" else ""
            msg = f"--sql: {url.drivername} is no kind of database, or does not take these options{hint}"
            raise ConfigError(msg) from None
        if engine.dialect.is_async:
            msg = f"--sql: {url.drivername} is for asyncio; name another driver of this database, or none"
            raise ConfigError(msg)
        return engine


def given_query(url: str | None, text: str | None, file: Path | None, *, decimal: str = ".") -> Query | None:
    """The query that `--sql`, `--query` and `--query-file` ask for; None if there is none of them.

    Args:
        url: An SQLAlchemy URL, or `env:NAME` for the environment variable that holds it.
        text: The statement.
        file: Where it stands instead, in UTF-8.
        decimal: What stands between the whole and the fraction of a number.

    Raises:
        ConfigError: One of them is missing or too much, the statement is not one SELECT, the URL cannot be read, or
            SQLAlchemy is not installed.
    """
    if url is None:
        if text is not None or file is not None:
            msg = "--query and --query-file need --sql URL, which says whom to ask"
            raise ConfigError(msg)
        return None
    if (text is None) is (file is None):
        msg = "--sql needs a query: either --query SELECT or --query-file FILE.sql"
        raise ConfigError(msg)
    statement = _checked(_read(file) if text is None and file is not None else text or "")
    plain = _from_environment(url)
    return Query(database=_shown(_parsed(plain)), text=statement, decimal=decimal, url=Secret(plain))


@asynccontextmanager
async def answered(query: Query, journal: Path | None, *, again: bool = False) -> AsyncGenerator[Table]:
    """The rows that a query returns, as the table of a job.

    They stand in a file beside the journal, `.rows` behind its name, which goes when the journal does.

    Args:
        query: What is asked.
        journal: The journal of the job; None for rows that are gone with the block.
        again: Take the rows that are there, without asking the database.

    Raises:
        ConfigError: There are none to be taken again.
        TableError, OSError: As from `Query.save`.
    """
    with ExitStack() as stack:
        if journal is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="klickdoxie-"))
            path = Path(folder, "query.rows")
        else:
            path = journal.with_name(f"{journal.name}.rows")
            stack.callback(_remove_without, path, journal)
        if not again:
            await query.save(path)
        elif not path.is_file():
            msg = f"there is no query to go on with: {path}, which holds the rows of the job, is not there"
            raise ConfigError(msg)
        yield open_table(path, encoding=_ENCODING, separator=_SEPARATOR)


def _remove_without(path: Path, journal: Path) -> None:
    if not journal.exists():
        path.unlink(missing_ok=True)


def _from_environment(url: str) -> str:
    if not url.startswith(_ENVIRONMENT):
        return url
    name = url.removeprefix(_ENVIRONMENT)
    if not (found := os.environ.get(name)):
        # Somebody may have put the URL itself there.
        shown = repr(name) if name.isidentifier() else "behind env:"
        msg = f"--sql: the environment variable {shown} is not set"
        raise ConfigError(msg)
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        msg = f"--query-file: {file} is not UTF-8"
        raise ConfigError(msg) from None


def _checked(text: str) -> str:
    """The statement without the semicolon at its end."""
    bare = _QUOTED.sub(" ", text).rstrip().rstrip(";")
    if not _FIRST_WORD.match(bare):
        msg = "--query must be a SELECT, or a WITH that ends in one: rows are read, and nothing else is done"
        raise ConfigError(msg)
    if ";" in bare:
        msg = "--query must be one statement, and there is a semicolon within it"
        raise ConfigError(msg)
    return text.strip().rstrip(";")


def _parsed(url: str) -> URL:
    try:
        from sqlalchemy import make_url  # noqa: PLC0415 - an extra
    except ImportError:
        msg = "--sql needs SQLAlchemy: install klickdoxie[sql]"
        raise ConfigError(msg) from None
    try:
        parsed = make_url(url)
    except (ValueError, _sql_error()):
        parsed = None
    # With an @ in it that is not written %40, half of a password would be taken for a host or the name of a database.
    if parsed is None or "@" in (parsed.host or "") or (parsed.username and "@" in (parsed.database or "")):
        msg = (
            "--sql is not the URL of a database, such as postgresql://user:password@host/name or sqlite:///crm.db; "
            "in a password, @ is written %40 and / is written %2F"
        )
        raise ConfigError(msg)
    return parsed


def _sql_error() -> type[Exception]:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - an extra

    return SQLAlchemyError


def _shown(url: URL) -> str:
    port = "" if url.port is None else f":{url.port}"
    return f"{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}"


def _instead_of(driver: str, url: URL) -> str:
    """Which other driver there is, as the end of a sentence; empty where none is known."""
    if (other := _OTHER_DRIVERS.get(driver)) is None:
        return ""
    found = importlib.util.find_spec(other) is not None
    return f"; {'' if found else f'install {other} and '}write {url.get_backend_name()}+{other}:// in the URL"


def _check_there(url: URL, shown: str) -> None:
    """Refuse a file that is not there: SQLite would make an empty one."""
    name = url.database or ":memory:"
    in_file = url.get_backend_name() == "sqlite" and name != ":memory:" and not name.startswith("file:")
    if in_file and not Path(name).is_file():
        msg = f"there is no database {shown}"
        raise TableError(msg)


@contextmanager
def _told(what: str, url: URL, *, quoting: bool = False, raising: type[TableError] = TableError) -> Generator[None]:
    """Let what goes wrong be a TableError that shows no value, no statement and nothing secret of the URL.

    Args:
        what: What went wrong, for people.
        url: Whose secrets are hidden.
        quoting: Whether the text of the driver may quote values.
        raising: What is raised; where the connection broke, SourceFailed is.
    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # noqa: PLC0415 - an extra

    try:
        yield
    except DBAPIError as error:
        said = "" if quoting else _hidden(_first_line(error), url)
        kind = SourceFailed if error.connection_invalidated else raising
        raise kind(f"{what}: {said or type(error.orig).__name__}") from None
    except (SQLAlchemyError, OSError, TypeError, ValueError) as error:
        raise raising(f"{what}: {type(error).__name__}") from None


def _first_line(error: DBAPIError) -> str:
    """The first line of what a driver says; empty where it may be about values."""
    from sqlalchemy.exc import NotSupportedError, OperationalError, ProgrammingError  # noqa: PLC0415 - an extra

    # Drivers for MySQL put a number before the text.
    texts = [said for said in getattr(error.orig, "args", ()) if isinstance(said, str)]
    line = (texts[-1] if texts else str(error.orig)).partition("\n")[0]
    # PostgreSQL refuses a write with an error that is otherwise for whatever a function raises.
    about_the_query = isinstance(error, (OperationalError, ProgrammingError, NotSupportedError))
    return line if about_the_query or _READ_ONLY.search(line) else ""


def _hidden(text: str, url: URL) -> str:
    """The text without the password, and without whatever the options of the URL say."""
    words = [url.password, *(value for values in url.normalized_query.values() for value in values)]
    parts = {part for word in words if word for part in (word, quote(word, safe=""), *_PARTS_OF_OPTIONS.split(word))}
    return mask(without(text.encode("utf-8", "replace"), filter(None, parts)).decode())


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise TableError("the query returns no column")
    bare = [name.strip() for name in names]
    problems = [f"column {place} has no name" for place, name in enumerate(bare, 1) if not name]
    problems += [
        f"several columns are called {mask(name)!r}" for name in dict.fromkeys(bare) if name and bare.count(name) > 1
    ]
    problems += [f"{name!r} is a column of the error file" for name in bare if name in OWN_COLUMNS]
    if problems:
        raise TableError("the query must name each column once, by AS where needed: " + ", ".join(problems))
