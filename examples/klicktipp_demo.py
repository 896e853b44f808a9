"""Import `contacts.csv` into a sandbox through a real socket, and show that every valid contact arrived exactly once.

Needs no account: `nox -s demo` runs it, or `python examples/demo.py` where the package is installed with its extras
`cli` and `sandbox`. To be a fair trial, one answer in fifty is lost after the sandbox has done what it was asked for,
and the session ends half-way. The command runs in a process of its own; the figures below it are the sandbox's own
counters.
"""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from pathlib import Path

import anyio
from commands import run
from figures import Figure, show
from make_contacts import Contacts

from klickdoxie_core.sandbox import LOST
from klicktipp_async import FieldType
from klicktipp_async.sandbox import Sandbox

UPSERT = "Add or Update Contact"
MAPS = ["E-Mail=email", "Mobil=sms", "Vorname=fieldFirstName", "Nachname=fieldLastName", "Firma=fieldCompanyName"]
MAPS += ["Straße=fieldStreet1", "PLZ=fieldZip", "Ort=fieldCity", "Geburtstag=fieldBirthday:date", "Segmente=tags"]
MAPS += ["Umsatz=Umsatz:decimal"]


async def main(contacts: Contacts, file: Path) -> int:
    """Import the file and check what came of it; 0 if every figure is as it must be."""
    async with Sandbox() as box, box.serve() as url:
        box.add_field("Umsatz", FieldType.DECIMAL)
        box.drop(UPSERT, every=50, applied=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_sessions, box, contacts.valid // 2)
            exit_code = await run_import(file, box, url)
            tasks.cancel_scope.cancel()
    errors = file.with_name(f"{file.name}.errors.csv")
    figures = [*arrived(contacts, box), *written_down(contacts, errors)]
    figures.append(Figure("exit code, which says that some rows failed", 1, exit_code))
    return show(f"counted by the sandbox and in {errors}", figures, "every valid contact arrived exactly once")


async def run_import(file: Path, box: Sandbox, url: str) -> int:
    """Run the command as a user would, and return its exit code."""
    account = {"KLICKTIPP_BASE_URL": url, "KLICKTIPP_USERNAME": box.username, "KLICKTIPP_PASSWORD": box.password}
    maps = [part for given in MAPS for part in ("--map", given)]
    with tempfile.TemporaryDirectory() as folder:
        # Rows in doubt would keep it, and the next trial is to begin anew.
        options = ["--concurrency", "32", "--journal", f"{folder}/journal"]
        return await run("klicktipp_async", ["import", str(file), "--opt-in", "default", *options, *maps], account)


async def end_sessions(box: Sandbox, after: int) -> None:
    """End the session when so many contacts have come."""
    while len(box.contacts) < after:  # noqa: ASYNC110 - they come from another process, which tells nothing
        await anyio.sleep(0.01)
    box.expire_sessions()


def arrived(contacts: Contacts, box: Sandbox) -> list[Figure]:
    """What the sandbox counted, beside what it must be."""
    emails = Counter(contact.email for contact in box.contacts.values() if contact.email)
    numbers = Counter(contact.sms_number for contact in box.contacts.values() if not contact.email)
    carried_out = sum(request.applied for request in box.requests if request.operation == UPSERT)
    twice = sum(mails > 1 for mails in box.confirmation_mails.values())
    return [
        Figure("valid contacts with an e-mail address", len(contacts.emails), len(contacts.emails & emails.keys())),
        Figure("valid contacts with an SMS number only", len(contacts.numbers), len(contacts.numbers & numbers.keys())),
        Figure("contacts in the account", contacts.valid, len(box.contacts)),
        Figure("requests to add a contact that were carried out", contacts.valid, carried_out),
        Figure("  whose answer was lost, one in fifty", None, box.count(UPSERT, LOST)),
        Figure("requests refused since the session had ended", None, box.count(status=403)),
        Figure("logins", 2, box.count("Login", 200)),
        Figure("contacts that got more than one confirmation mail", 0, twice),
        Figure("tags in the account", len(contacts.tags), len(contacts.tags & {tag.name for tag in box.tags.values()})),
        Figure("tags created", len(contacts.tags), box.count("Create Tag", 200)),
    ]


def written_down(contacts: Contacts, errors: Path) -> list[Figure]:
    """What stands in the error file, beside what it must be."""
    with errors.open(encoding="cp1252", newline="") as file:
        left = list(csv.DictReader(file, delimiter=";"))
    states = Counter(row["_state"] for row in left)
    codes = Counter(row["_code"] for row in left if row["_state"] == "failed")
    doubtful = sum(bool(row["E-Mail"]) for row in left if row["_state"] == "in doubt")
    return [
        Figure("rows refused, in the error file", contacts.invalid.total(), states["failed"]),
        *(Figure(f"  {code}", count, codes[code]) for code, count in contacts.invalid.items()),
        Figure("duplicates, in the error file", contacts.duplicates, states["duplicate"]),
        # Without an address nobody can be looked up when an answer is lost: those rows are in doubt, and had arrived.
        Figure("rows in doubt that could have been looked up", 0, doubtful),
    ]
