"""Files that people hand over: tables, mappings and OpenAPI documents with anything in them; errors of their own."""

from __future__ import annotations

import csv
import json
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doxie_async import ConfigError as DoxieConfigError
from doxie_async.routes import Routes
from klickdoxie_core import ConfigError
from klickdoxie_core.table import OWN_COLUMNS, ErrorFile, TableError, open_table
from klickdoxie_core.table.overview import overview, shape
from klicktipp_async.crm import Mapping, MappingError
from tests.hostile import strategies as s

TABLE = 'E-Mail;Vorname;Straße;Umsatz\r\nkäthe@example.org;Käthe;"Weg 1; Hof";19,99\r\n\r\n;"mehr\r\nzeilig";;\r\n'
TOML = """
email = "E-Mail"
tags = ["Gruppen"]
segments = "Segment"
timezone = "Europe/Berlin"
tag_separators = ",|"
opt_in = "default"
prefix = "[CRM] "
crm_id = { column = "ID", field = "fieldCRM" }
[fields]
Vorname = "fieldFirstName"
Umsatz = [{ field = "Umsatz", type = "decimal", collision = "never", clear_if_empty = true }, "fieldCity"]
"""
OPENAPI: dict[str, Any] = {
    "openapi": "3.0.3",
    "servers": [{"url": "https://{tenant}.example.org/v1", "variables": {"tenant": {"default": "ts"}}}],
    "paths": {
        "/api/{tenant}/mailer/{slug}": {
            "post": {"tags": ["Mailer"], "summary": "Sends a mail", "security": [{"basic": []}]},
        },
        "/api/{tenant}/brands": {"get": {"tags": ["Admin"], "summary": "List brands", "servers": [{"url": "/x"}]}},
    },
    "components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
}

_numbers = count()


@pytest.fixture
def place(tmp_path: Path) -> Callable[[bytes, str], Path]:
    """Writes each content into a file of its own."""

    def write(content: bytes, suffix: str) -> Path:
        path = tmp_path / f"{next(_numbers)}{suffix}"
        path.write_bytes(content)
        return path

    return write


@st.composite
def mutated(draw: st.DrawFn, good: bytes) -> bytes:
    """A good file with some pieces cut out, put in, turned round or said twice."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 12))
        piece = draw(st.binary(max_size=6) | st.sampled_from(PIECES) | st.just(bytes(content[start : start + 40])))
        content[start : start + length] = piece
    return bytes(content)


PIECES = (
    *(
        b'"',
        b";",
        b",",
        b"\t",
        b"|",
        b"\r",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x81",
        b"\xe4",
        b"=",
    ),
    *(
        b"sep=;\r\n",
        b"sep=,\n",
        b"[",
        b"]",
        b"{",
        b"}",
        b"'''",
        b'"""',
        b"\\ud800",
        b"\\u0000",
        b"_state",
        b"_line",
        b"#",
    ),
    *(
        b"$ref",
        b"null",
        b"1e999",
        b"NaN",
        b"9" * 5000,
        b"&a *a",
        b"<<: ",
        b"!!python/object:os.system",
        b"---\n",
        b"- ",
    ),
    *(
        b"paths",
        b"email",
        b"fields",
        b"routes",
        b"1979-05-27T07:32:00Z",
        b"\x85",
        b"\xe2\x80\xa8",
        b"{a}",
        b"..",
        b"://",
    ),
)


@contextmanager
def only(kind: type[Exception]) -> Iterator[None]:
    """Nothing is raised but this, with a text that ends."""
    try:
        yield
    except kind as error:
        text = str(error)
    else:
        return
    assert text
    assert len(text) < 100_000


def read_all(path: Path, **options: Any) -> int:
    """Everything that is done with a table: its rows, an overview, and an error file of all rows, read again."""
    table = open_table(path, **options)
    rows = list(table.rows())
    found = overview(table)
    assert found.rows == len(rows)
    assert len(found.fills) == len(table.header)
    rejects = ErrorFile(path.with_suffix(".rejects"), table)
    rejects.check()
    for row in rows:
        rejects.add(row, state="failed", code="x", reason="Größe 🎉")
    written = rejects.close(complete=True)
    if written is None:
        assert not rows
        return 0
    try:
        again = open_table(written, encoding=table.encoding, separator=table.separator)
        cells = [row.cells for row in again.rows()]
    finally:
        written.unlink()
    assert again.header == table.header
    assert cells == [row.cells for row in rows]
    return len(rows)


@s.checked(100)
@given(content=st.binary(max_size=200) | mutated(TABLE.encode()) | mutated(TABLE.encode("cp1252")))
def test_any_table(place: Callable[[bytes, str], Path], content: bytes) -> None:
    """Every file is a table that can be written back cell by cell, or no table."""
    path = place(content, ".csv")
    with only(TableError):
        read_all(path)


@s.checked(80)
@given(
    content=st.binary(max_size=100) | mutated(TABLE.encode()),
    encoding=st.sampled_from(
        (
            "utf-8",
            "cp1252",
            "utf-16-le",
            "utf-7",
            "latin-1",
            "ascii",
            "utf-8-sig",
            "hex",
            "rot13",
            "idna",
            "punycode",
            "zip",
        )
    )
    | st.text(max_size=8),
    separator=st.sampled_from((";", "tab", "\\t", " ", "ä", "", '"', "\n", "\0", ";;")) | st.text(max_size=2),
)
def test_any_encoding_and_separator(
    place: Callable[[bytes, str], Path], content: bytes, encoding: str, separator: str
) -> None:
    """Whatever is given instead of found out, a table comes of it or an error that says so."""
    path = place(content, ".csv")
    with only(TableError):
        read_all(path, encoding=encoding, separator=separator)


BAD_TABLES = {
    "nothing": b"",
    "a blank line": b"\r\n",
    "an open quotation mark": b'a;b\n"1;2\n' + b"3;4\n" * 50_000,
    "one endless line": b"x" * (2 << 20),
    "an endless cell": b'a;b\n"' + b"x" * 200_000 + b'";1\n',
    "NUL": b"a;b\n1;\x002\n",
    "a picture": bytes(range(256)) * 40,
    "a workbook": b"PK\x03\x04" + bytes(100),
    "a header of addresses": s.ADDRESS.encode() + b";x\n",
    "a header twice": b"a;a\n1;2\n",
    "a name that is blank": b"a; \n1;2\n",
    "a thousand quotation marks": b'"' * 9999,
    "only separators": b";" * 70_000,
    "neither UTF-8 nor Windows-1252": b"a;b\n\x81\xff;2\n",
    "a carriage return alone": b'a;b\r1;2\r"\r',
    "a line of the separator": b"sep=;",
    "a line of an odd separator": b'sep="\r\na"b\r\n',
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_tables_that_are_none(place: Callable[[bytes, str], Path], case: str) -> None:
    """They are refused or read, quickly, and no cell is quoted."""
    try:
        read_all(place(BAD_TABLES[case], ".csv"))
    except TableError as error:
        s.check_quiet(error)


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    """A folder, a device, and what is not there or cannot be."""
    for path in (tmp_path, Path("/dev/null"), tmp_path / "missing", tmp_path / "a\0b"):
        with pytest.raises(TableError):
            open_table(path)


@s.checked(100)
@given(text=s.texts)
def test_shapes_name_nobody(text: str) -> None:
    """No letter and no digit of a cell is in its shape."""
    drawn = shape(text)
    assert len(drawn) <= 25
    assert not set(drawn) & set(string.ascii_letters + string.digits) - set("xX9")


@s.checked(60)
@given(rows=st.lists(st.lists(s.texts.filter(lambda text: "\0" not in text), min_size=2, max_size=2), max_size=5))
def test_what_was_written_is_read(place: Callable[[bytes, str], Path], rows: list[list[str]]) -> None:
    """Any cells that UTF-8 can carry come back as they were."""
    try:
        "".join(cell for row in rows for cell in row).encode()
    except UnicodeEncodeError:
        return
    path = place(b"", ".csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows([["a", "b"], *rows])
    table = open_table(path, encoding="utf-8", separator=";")
    assert [list(row.cells) for row in table.rows()] == [row for row in rows if any(cell.strip() for cell in row)]


@s.checked(100)
@given(content=st.binary(max_size=100) | mutated(TOML.encode()))
def test_any_mapping_file(place: Callable[[bytes, str], Path], content: bytes) -> None:
    """Every file is a mapping, or no mapping, in both ways to read one."""
    path = place(content, ".toml")
    with only(MappingError):
        Mapping.from_toml(path)
    with only(MappingError):
        Mapping.from_pairs([str(path)])


toml_values = st.recursive(
    st.text("äx:=[]'\" ", max_size=5)
    | st.integers(0, 9)
    | st.booleans()
    | st.sampled_from(("email", "crm:", "date", "never")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("field", "type", "collision", "clear_if_empty", "column", "x")), inner, max_size=3
        )
    ),
    max_leaves=5,
)
ATTRIBUTES = (
    *("email", "sms_number", "contact_id", "crm_id", "fields", "segments", "tags", "tag_separators", "timezone"),
    *("opt_in", "prefix", "map", "unknown"),
)


@s.checked(100)
@given(content=st.dictionaries(st.sampled_from(ATTRIBUTES), toml_values, max_size=5))
def test_any_value_in_a_mapping(place: Callable[[bytes, str], Path], content: dict[str, Any]) -> None:
    """A file that TOML can read, with anything in any place."""
    text = "\n".join(f"{name} = {written(value)}" for name, value in content.items())
    path = place(text.encode(), ".toml")
    with only(MappingError):
        Mapping.from_toml(path)
    with only(MappingError):
        Mapping.from_pairs([str(path)])


def written(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {written(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


BAD_MAPPINGS = {
    "deep tables": b"a" + b".a" * 1000 + b" = 1",
    "a table in tables": b"[" + b"a." * 1000 + b"a]\n",
    "a moment that is none": b"email = 9999-99-99T99:99:99Z",
    "a surrogate": b'email = "\\ud800"',
    "twice": b'email = "a"\nemail = "b"',
    "UTF-16": TOML.encode("utf-16"),
    "NUL": b'email = "\\u0000"',
    "time zones": b'email = "E"\ntimezone = "../../etc/passwd"',
    "an absolute time zone": b'email = "E"\ntimezone = "/etc/passwd"',
    "a folder as a time zone": b'email = "E"\ntimezone = "Europe"',
    "an endless time zone": b'email = "E"\ntimezone = "' + b"x" * 100_000 + b'"',
    "a time zone with NUL": b'email = "E"\ntimezone = "\\u0000"',
    "a number as a time zone": b'email = "E"\ntimezone = 5',
}


@pytest.mark.parametrize("case", BAD_MAPPINGS)
def test_mappings_that_are_none(place: Callable[[bytes, str], Path], case: str) -> None:
    """They are refused or read, quickly."""
    path = place(BAD_MAPPINGS[case], ".toml")
    with only(MappingError):
        Mapping.from_toml(path)
    with only(MappingError):
        Mapping.from_pairs([str(path)])


@s.checked(100)
@given(
    pairs=st.lists(
        s.texts | s.texts.map(lambda text: f"{text}=email") | s.texts.map(lambda text: f"A={text}"), max_size=4
    )
)
def test_any_pairs(pairs: list[str]) -> None:
    """Pairs of anything are a mapping or none; a name of a file that is none is told."""
    with only(MappingError):
        Mapping.from_pairs(pairs)


@pytest.mark.parametrize(
    "name", ["x" * 5000 + ".toml", "/dev/null.toml", ".toml", "//x.toml"], ids=lambda n: ascii(n)[:9]
)
def test_names_that_are_no_files(name: str) -> None:
    """Each way to read a file refuses them in its own words."""
    with pytest.raises(MappingError):
        Mapping.from_pairs([name])
    with pytest.raises(MappingError):
        Mapping.from_toml(name)
    with pytest.raises(DoxieConfigError):
        Routes.from_openapi(name)


@s.checked(100)
@given(
    content=st.binary(max_size=80) | mutated(json.dumps(OPENAPI).encode()),
    suffix=st.sampled_from((".json", ".yaml", "")),
)
def test_any_openapi_file(place: Callable[[bytes, str], Path], content: bytes, suffix: str) -> None:
    """Every file is a document, or none."""
    with only(DoxieConfigError):
        check_routes(Routes.from_openapi(place(content, suffix)))


def check_routes(routes: Routes) -> None:
    """A table of routes is whole, can be exported, and holds nothing but paths."""
    assert len(routes) == len(Routes.assumed())
    assert all(route.template.startswith("/") for route in routes)
    json.dumps(routes.export())
    repr(routes)


def somewhere(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    yield path
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from somewhere(value[name], (*path, name))


PLACES = list(islice(somewhere(OPENAPI), 1, None))
odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | s.texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(s.texts | st.integers(), inner, max_size=2),
    max_leaves=4,
)


@s.checked(100)
@given(path=st.sampled_from(PLACES), value=odd)
def test_any_value_in_an_openapi_document(path: tuple[Any, ...], value: Any) -> None:
    """Anything in any place of a document that is handed over."""
    document = json.loads(json.dumps(OPENAPI))
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with only(DoxieConfigError):
        check_routes(Routes.from_openapi(document))


@s.checked(60)
@given(name=s.texts)
def test_any_path_in_an_openapi_document(name: str) -> None:
    """A path that would lead elsewhere is refused, or stays below the root of the server."""
    item = {"post": {"tags": ["Mailer"], "summary": "Sends a mail"}}
    with only(DoxieConfigError):
        check_routes(Routes.from_openapi({"paths": {f"/{{tenant}}/{name}/{{slug}}": item}}))


BAD_DOCUMENTS = {
    "deep JSON": b"[" * 50_000,
    "deep YAML": b"a: " + b"[" * 1000,
    "deep paths": b'{"paths":' * 20_000,
    "a long number": b'{"paths": ' + b"9" * 5000 + b"}",
    "a long number in YAML": b"paths: " + b"9" * 5000,
    "laughs": b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\npaths: {/x: *c}\n",
    "a loop": b"paths: &a {/x: *a}\n",
    "a tag": b"paths: !!python/object/apply:os.system [ls]\n",
    "binary": b"paths: !!binary x\n",
    "moments": b"paths: 2024-13-45\n",
    "keys that are lists": b"paths: {[a]: 1}\n",
    "keys that are numbers": b"paths: {5: {get: {summary: 5, tags: [5]}}}\n",
    "two documents": b"paths: {}\n---\npaths: {}\n",
    "a tab": b"paths:\n\t/x: 1\n",
    "a control character": b"paths: \x01\n",
    "UTF-16": json.dumps(OPENAPI).encode("utf-16"),
    "a server that is none": b'{"paths": {}, "servers": [{"url": "https://[::1"}]}',
    "a server with a password": b'{"paths": {}, "servers": [{"url": "https://kanarie:x@a.example"}]}',
    "a server with a line break": b'{"paths": {}, "servers": [{"url": "https://a.example\\r\\nX: 1"}]}',
    "a port that is none": b'{"paths": {}, "servers": [{"url": "https://a.example:99999"}]}',
    "an export with odd rows": b'{"routes": [5, {"tag": "Mailer"}], "server": 5}',
    "an export with a list as method": b'{"routes": [{"tag": "a", "summary": "b", "method": ["GET"], "path": ""}]}',
    "a list of servers in a list": b'{"paths": {}, "servers": [[], 5, null]}',
}


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_openapi_documents_that_are_none(place: Callable[[bytes, str], Path], case: str, suffix: str) -> None:
    """They are refused or read, quickly, and no password is quoted."""
    try:
        check_routes(Routes.from_openapi(place(BAD_DOCUMENTS[case], suffix)))
    except DoxieConfigError as error:
        s.check_quiet(error)


def test_an_error_file_takes_any_row(tmp_path: Path) -> None:
    """Rows of an encoding with few characters, with reasons of many, and all the separators in them."""
    path = tmp_path / "a.csv"
    path.write_bytes('a;b\r\n"x;""y"";\r\nz";ä\r\n'.encode("cp1252"))
    assert read_all(path) == 1
    table = open_table(path)
    for target in (path, tmp_path, tmp_path / "missing" / "x"):
        with pytest.raises(ConfigError):
            ErrorFile(target, table).check()
    assert OWN_COLUMNS == ("_line", "_state", "_code", "_reason")


@pytest.mark.parametrize("encoding", ["utf-16"])
def test_an_encoding_that_asks_for_a_mark(place: Callable[[bytes, str], Path], encoding: str) -> None:
    """A file without the mark that a given encoding asks for is not in that encoding."""
    with pytest.raises(TableError):
        open_table(place(b"a;b\n1;2", ".csv"), encoding=encoding)


def test_a_name_without_an_end(tmp_path: Path) -> None:
    """There is no such file."""
    with pytest.raises(TableError):
        open_table(tmp_path / ("x" * 5000))


TOML_TOO_MUCH = {
    "deep lists": b"a = " + b"[" * 20_000,
    "deep lists that end": b"email = " + b"[" * 5000 + b"]" * 5000,
    "a long number": b"email = " + b"9" * 5000,
}


@pytest.mark.parametrize("case", TOML_TOO_MUCH)
def test_mappings_beyond_the_interpreter(place: Callable[[bytes, str], Path], case: str) -> None:
    """What Python itself gives up is no mapping."""
    with pytest.raises(MappingError):
        Mapping.from_toml(place(TOML_TOO_MUCH[case], ".toml"))


@pytest.mark.parametrize("name", ["a\0.toml", "\ud800.toml"], ids=ascii)
def test_names_that_no_file_has(name: str) -> None:
    """They are told like a file that is not there."""
    with pytest.raises(MappingError):
        Mapping.from_toml(name)


def test_an_openapi_document_with_an_endless_number(place: Callable[[bytes, str], Path]) -> None:
    """YAML can hold numbers that Python does not print."""
    content = b"paths: {/x: {get: {summary: 0x" + b"f" * 9000 + b"}}}\n"
    with only(DoxieConfigError):
        check_routes(Routes.from_openapi(place(content, ".yaml")))
