"""The commands about routes: what they print and how they exit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from doxie_async import routes as r
from doxie_async.errors import ConfigError
from doxie_async.route_commands import DIFFERENT, OK, check, export, show
from doxie_async.routes import Operation, Routes

BRAND = "/api/{tenant}/admin/brands/{id}"


def confirmed() -> dict[str, Any]:
    """Every route as it is assumed, in a document that confirms it."""
    rows = cast("list[dict[str, Any]]", Routes.assumed().export()["routes"])
    return {"routes": [{**row, "confirmed": True} for row in rows]}


def row(table: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """The row of an operation, to be changed."""
    return next(
        each for each in table["routes"] if (each["tag"], each["summary"]) == (operation.tag, operation.summary)
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test puts its document."""
    return tmp_path / "openapi.json"


def put(file: Path, content: object) -> None:
    """Write a document."""
    file.write_text(json.dumps(content), encoding="utf-8")


def test_show_prints_the_table_in_use() -> None:
    """Each operation has a line with its state, and the last line counts."""
    table = confirmed()
    table["server"] = "https://mpm.example"
    row(table, r.SEND_MAIL)["confirmed"] = False
    answer = show(Routes.from_openapi(table))
    lines = answer.text.splitlines()
    assert answer.code == OK
    assert lines[0].split(maxsplit=3) == ["assumed", "POST", "/api/{tenant}/mailer/{event_slug}", r.SEND_MAIL.name]
    assert lines[1].split()[0] == "confirmed"
    assert lines[58:] == ["server: https://mpm.example", "57 confirmed, 1 assumed"]
    assert all(line == line.rstrip() for line in lines)


def test_check_is_content_with_what_is_in_use(file: Path) -> None:
    """A document that says the same exits with 0."""
    put(file, confirmed())
    answer = check(Routes.assumed(), file)
    assert answer.code == OK
    assert answer.text.splitlines()[-1] == "58 confirmed, 0 different, 0 missing, 0 unknown"


def test_check_takes_other_names_of_parameters_for_the_same(file: Path) -> None:
    """What is sent does not depend on how a document calls a path parameter."""
    table = confirmed()
    row(table, r.SHOW_BRAND)["path"] = "/api/{tenant_slug}/admin/brands/{brand}"
    put(file, table)
    assert check(Routes.assumed(), file).code == OK


@pytest.mark.parametrize("change", [{"path": "/api/{tenant}/brands/{id}"}, {"method": "PUT"}])
def test_check_shows_what_is_different(file: Path, change: dict[str, str]) -> None:
    """A difference shows the document's route and the one in use, and exits with 1."""
    table = confirmed()
    row(table, r.UPDATE_BRAND).update(change)
    put(file, table)
    answer = check(Routes.assumed(), str(file))
    lines = [line.split() for line in answer.text.splitlines()]
    place = next(number for number, line in enumerate(lines) if line[0] == "different")
    wanted = {"method": "PATCH", "path": BRAND} | change
    assert answer.code == DIFFERENT
    assert lines[place][1:3] == [wanted["method"], wanted["path"]]
    assert lines[place + 1] == ["PATCH", BRAND, "in", "use"]
    assert answer.text.endswith("57 confirmed, 1 different, 0 missing, 0 unknown")


def test_check_compares_with_the_table_in_use(file: Path) -> None:
    """A client that uses a document is compared with that document, not with what was assumed."""
    table = confirmed()
    row(table, r.UPDATE_BRAND)["method"] = "PUT"
    put(file, table)
    assert check(Routes.from_openapi(table), file).code == OK


def test_check_shows_both_leftovers(file: Path) -> None:
    """A missing row exits with 1, an unknown one is only shown."""
    table = confirmed()
    extra = {"tag": "Shared", "summary": "List events", "method": "GET", "path": "/api/{tenant}/events"}
    table["routes"].append(extra)
    put(file, table)
    assert check(Routes.assumed(), file).code == OK
    table["routes"].remove(row(table, r.SEND_MAIL))
    put(file, table)
    answer = check(Routes.assumed(), file)
    assert answer.code == DIFFERENT
    assert answer.text.splitlines()[0].split()[0] == "missing"
    assert answer.text.endswith(
        "unknown    GET /api/{tenant}/events (Shared: List events)\n57 confirmed, 0 different, 1 missing, 1 unknown"
    )


def test_check_does_not_ask_for_what_the_reference_lacks(file: Path) -> None:
    """The two operations on consents are shown as missing, and the check passes."""
    table = confirmed()
    for operation in (r.INITIATE_CONSENT, r.REVOKE_CONSENTS):
        table["routes"].remove(row(table, operation))
    put(file, table)
    answer = check(Routes.assumed(), file)
    assert (answer.code, answer.text.splitlines()[-1]) == (OK, "56 confirmed, 0 different, 2 missing, 0 unknown")


def test_check_shows_another_credential(file: Path) -> None:
    """A document that asks for another credential at the same place is different too."""
    entry = {"tags": ["Admin"], "summary": "Update a brand", "security": []}
    put(file, {"paths": {BRAND: {"patch": entry}}, "servers": [{"url": "https://mpm.example"}]})
    answer = check(Routes.assumed(), file)
    assert answer.code == DIFFERENT
    assert answer.text.splitlines()[-3:] == [
        "different  Admin: Update a brand: the document asks for no credential, the client sends bearer",
        "server: https://mpm.example",
        "1 confirmed, 1 different, 57 missing, 0 unknown",
    ]


def test_check_of_a_broken_file_is_a_configuration_error(file: Path) -> None:
    """What cannot be read is no difference; the error names the file."""
    file.write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"openapi\.json: is not valid JSON"):
        check(Routes.assumed(), file)


def test_export_writes_what_can_be_read_back(file: Path) -> None:
    """The exported table is a JSON document for `DOXIE_OPENAPI`."""
    table = Routes.from_openapi(confirmed())
    answer = export(table)
    file.write_text(answer.text, encoding="utf-8")
    assert answer.code == OK
    assert list(Routes.from_env({"DOXIE_OPENAPI": str(file)})) == list(table)
