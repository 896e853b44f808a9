"""Reading a document: files in both languages, broken ones, servers and credentials."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from doxie_async.errors import ConfigError
from doxie_async.openapi import Entry, read_document

CONTENT = {"openapi": "3.0.1", "paths": {"/a": {"get": {"tags": ["Größe"], "summary": "Zeige  Größe"}}}}
READ = (Entry("GET", "/a", ("Größe",), "Zeige Größe"),)

YAML = """\
openapi: 3.0.1
info:
  version: 2024-01-31
paths:
  /a:
    get:
      tags: [Größe]
      summary: Zeige Größe
      responses: {200: {description: ja}}
"""


def write(folder: Path, name: str, text: str) -> Path:
    """A file with this text."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["openapi.json", "openapi", "openapi.yaml"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n "])
def test_json_is_known_by_its_content(tmp_path: Path, name: str, start: str) -> None:
    """A JSON file is read whatever its name, with a byte order mark too."""
    file = write(tmp_path, name, start + json.dumps(CONTENT, ensure_ascii=False))
    assert read_document(file).entries == READ
    assert read_document(str(file)).entries == READ


@pytest.mark.parametrize("name", ["openapi.yaml", "openapi", "openapi.json"])
def test_yaml_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    """A YAML file is read whatever its name; keys and values that are no texts do no harm."""
    pytest.importorskip("yaml")
    assert read_document(write(tmp_path, name, YAML)).entries == READ


def test_yaml_may_begin_with_a_brace(tmp_path: Path) -> None:
    """A YAML file in flow style is read when its name says what it is."""
    pytest.importorskip("yaml")
    file = write(tmp_path, "openapi.yml", "{paths: {/a: {get: {tags: [Größe], summary: Zeige Größe}}}}")
    assert read_document(file).entries == READ


def test_yaml_without_its_extra_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML is not installed the error says how to install it."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r"openapi\.yaml: .* pip install 'klickdoxie\[yaml\]'"):
        read_document(write(tmp_path, "openapi.yaml", YAML))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1\nb: 2", "is not valid YAML: line 2 column 2"),
        ("a: !!python/object/apply:os.getcwd []", "is not valid YAML: line 1 column 4"),
        ("a: 2024-13-45", "is not valid YAML"),
        ("- a\n- b", "holds no mapping"),
        ("", "holds no mapping"),
        ("<html><body>Doxie</body></html>", "holds no mapping"),
        ("info: {}", "has no `paths`"),
        ("[" * 20_000, "is nested too deeply"),
    ],
)
def test_broken_yaml_is_explained(tmp_path: Path, text: str, problem: str) -> None:
    """The error names the file and the place, and a document builds no objects."""
    pytest.importorskip("yaml")
    with pytest.raises(ConfigError) as caught:
        read_document(write(tmp_path, "openapi.yaml", text))
    assert "openapi.yaml: " in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"paths": {', "is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 12"),
        ('{"paths": {}} x', "is not valid JSON: Extra data"),
        ("[" * 100_000, "is nested too deeply"),
        ("[1]", "holds no mapping"),
        ('"paths"', "holds no mapping"),
        ("{}", "has no `paths`"),
        ('{"paths": []}', "has no `paths`"),
    ],
)
def test_broken_json_is_explained(tmp_path: Path, text: str, problem: str) -> None:
    """The error names the file and what is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        read_document(write(tmp_path, "openapi.json", text))
    assert "openapi.json: " in str(caught.value)
    assert problem in str(caught.value)


def test_numbers_that_json_forbids_do_no_harm(tmp_path: Path) -> None:
    """The vendor's own samples hold a bare Infinity."""
    file = write(tmp_path, "openapi.json", '{"paths": {}, "x": {"identifier": Infinity}}')
    assert read_document(file).entries == ()


def test_a_mapping_without_paths_is_explained() -> None:
    """What is handed over as a mapping is checked like a file."""
    with pytest.raises(ConfigError, match="the OpenAPI document: is not an OpenAPI document; it has no `paths`"):
        read_document({"swagger": "2.0"})


def test_files_that_cannot_be_read_are_explained(tmp_path: Path) -> None:
    """A missing file, a folder and a file in another encoding are configuration errors that name it."""
    latin = tmp_path / "latin.json"
    latin.write_bytes('{"paths": {}, "x": "Größe"}'.encode("cp1252"))
    for file, problem in (
        (tmp_path / "none.json", "none.json: cannot be read: No such file"),
        (tmp_path, f"{tmp_path.name}: cannot be read: "),
        (latin, "latin.json: is not UTF-8 text"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_document(file)
        assert problem in str(caught.value)


@pytest.mark.parametrize("text", ["https://user:geheim@doxie.example/openapi.json", '{\n"paths": {}}'])
def test_a_url_and_a_text_are_refused(text: str) -> None:
    """A str is a path; nothing is fetched, and what was given instead is not repeated."""
    with pytest.raises(ConfigError, match="as the path of a file") as caught:
        read_document(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "base_path", "content"),
    [
        (None, "", {}),
        (None, "", {"servers": []}),
        (None, "", {"servers": [{"url": "/"}]}),
        (None, "/v2", {"servers": [{"url": "/v2/"}]}),
        ("https://a.example", "", {"servers": [{"url": "https://a.example"}]}),
        ("https://a.example:8443", "/x/y", {"servers": [{"url": "https://a.example:8443/x/y/"}]}),
        ("https://a.example", "", {"servers": [{"url": "/v2"}, {"url": "https://a.example"}]}),
        ("http://127.0.0.1:8082", "", {"servers": [{"url": "http://127.0.0.1:8082"}, {"url": "https://a.example"}]}),
        (
            "https://app.example",
            "/v3",
            {
                "servers": [
                    {
                        "url": "https://{host}/{version}",
                        "variables": {"host": {"default": "app.example"}, "version": {"default": "v3"}},
                    }
                ]
            },
        ),
        (
            "https://app.example",
            "/api/{tenant}",
            {"servers": [{"url": "https://app.example/api/{tenant}", "variables": {"tenant": {"default": "ts"}}}]},
        ),
        (None, "/api", {"servers": [{"url": "https://{tenant}.example/api"}]}),
        ("https://a.example", "/v2", {"swagger": "2.0", "host": "a.example", "basePath": "/v2"}),
        ("http://a.example", "", {"swagger": "2.0", "host": "a.example", "schemes": ["http"]}),
        (None, "/v2", {"swagger": "2.0", "basePath": "/v2"}),
    ],
)
def test_the_server_and_its_base_path(server: str | None, base_path: str, content: dict[str, object]) -> None:
    """The first absolute server counts; its path goes before each path, and the tenant is never an example's."""
    document = read_document({**content, "paths": {"/a": {"get": {}}}})
    assert document.server == server
    assert [entry.path for entry in document.entries] == [f"{base_path}/a"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://{host}", "the variable {host} of a server has no default"),
        ("https://[", "a server has no valid URL"),
        ("https://user:geheim@a.example", "a server must not hold a user name"),
    ],
)
def test_a_server_that_cannot_be_used_is_explained(url: str, problem: str) -> None:
    """The error says what is wrong with the server and repeats no password."""
    with pytest.raises(ConfigError) as caught:
        read_document({"paths": {}, "servers": [{"url": url}]})
    assert problem in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [
        ({"type": "http", "scheme": "Basic"}, "basic"),
        ({"type": "http", "scheme": "bearer"}, "bearer"),
        ({"type": "oauth2", "flows": {}}, "bearer"),
        ({"type": "openIdConnect"}, "bearer"),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, "apiKey"),
        (None, "it"),
    ],
)
@pytest.mark.parametrize("at_operation", [True, False])
def test_kinds_of_credentials(scheme: object, kind: str, *, at_operation: bool) -> None:
    """A credential is known by its scheme, for one operation or for all; an undefined one by its name."""
    security: dict[str, object] = {"security": [{"it": []}]}
    content = {
        "paths": {"/a": {"get": security if at_operation else {}}},
        "components": {"securitySchemes": {"it": scheme} if scheme else {}},
        **({} if at_operation else security),
    }
    assert read_document(content).entries[0].auth == (kind,)


def test_credentials_of_an_operation_replace_those_of_the_document() -> None:
    """Alternatives stay apart, what is needed together stays together, and an empty one is nothing."""
    schemes = {"a": {"type": "basic"}, "b": {"type": "oauth2"}}
    own: dict[str, object] = {"security": [{"a": [], "b": []}, {}]}
    content = {
        "paths": {"/a": {"get": own, "put": {}}},
        "securityDefinitions": schemes,
        "security": [{"a": []}, {"b": []}],
    }
    assert [entry.auth for entry in read_document(content).entries] == [
        ("basic and bearer", "nothing"),
        ("basic", "bearer"),
    ]


def test_what_is_no_operation_is_passed_over() -> None:
    """Parameters, extensions, references and empty places in `paths` are not operations."""
    item: dict[str, object] = {
        "parameters": [],
        "summary": "x",
        "x-get": {},
        "get": None,
        "DELETE": {"summary": "Weg"},
        "servers": [],
    }
    document = read_document({"paths": {"/a": item, "/b": None, "/c": {"$ref": "#/c"}, "x-internal": True}})
    assert document.entries == (Entry("DELETE", "/a", (), "Weg"),)


@pytest.mark.parametrize(
    "row",
    [
        {"tag": "Admin", "summary": "List brands", "method": "GET"},
        {"tag": "Admin", "summary": "List brands", "method": "FETCH", "path": "/a"},
        {"tag": None, "summary": "List brands", "method": "GET", "path": "/a"},
    ],
)
def test_an_exported_table_with_a_broken_row_is_explained(row: dict[str, object]) -> None:
    """A table that was edited by hand is checked; the error names the row."""
    with pytest.raises(ConfigError, match="a route needs tag, summary, method and path; 'List brands' has something"):
        read_document({"routes": [row]})
