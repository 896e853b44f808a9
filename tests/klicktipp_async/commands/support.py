"""Files as people have them, and what a command wrote about them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Ran

UPSERT = "Add or Update Contact"
WRITES = (UPSERT, "Update Contact", "Tag Contact", "Untag Contact", "Create Tag")

MAPPING = """\
email = "Mail"
sms_number = "Mobil"
segments = ["Segmente"]
crm_id = { column = "Nr", field = "CRM-Kennung" }
opt_in = "Single-Opt-In"
fields = { Vorname = "fieldFirstName" }
"""
CRM_HEADER = "Nr;Mail;Mobil;Vorname;Segmente"


def written(*rows: str, name: str = "kontakte.csv", header: str = "E-Mail;Vorname;Notiz") -> str:
    """A file of contacts as Excel writes it in Germany."""
    Path(name).write_bytes("\r\n".join([header, *rows]).encode("cp1252"))
    return name


def exported(box: Sandbox, *rows: str, name: str = "crm.csv") -> tuple[str, ...]:
    """The file of a CRM and its mapping, as arguments; the account has the field of the CRM's ids."""
    if "CRM-Kennung" not in {field.label for field in box.fields.values()}:
        box.add_field("CRM-Kennung")
    Path("mapping.toml").write_text(MAPPING, encoding="utf-8")
    return (written(*rows, name=name, header=CRM_HEADER), "--mapping", "mapping.toml")


def people(count: int, *, start: int = 0) -> list[str]:
    """Rows of so many people."""
    return [f"anna{number}@example.com;Änne;" for number in range(start, start + count)]


def table(path: str, encoding: str = "cp1252") -> list[dict[str, str]]:
    """The rows of a file that a command wrote."""
    with Path(path).open(encoding=encoding, newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def brief(rows: Iterable[dict[str, str]]) -> list[tuple[str, str, str]]:
    """Line, state and code of each row of an error file."""
    return [(row["_line"], row["_state"], row["_code"]) for row in rows]


def events(ran: Ran) -> list[dict[str, Any]]:
    """What a command told as lines of JSON."""
    return [json.loads(line) for line in ran.out.splitlines()]


def writes(box: Sandbox) -> int:
    """How often something was sent that changes the account."""
    return sum(map(box.count, WRITES))
