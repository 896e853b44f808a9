"""Keep a sandbox in step with a CRM's export: create, plan again, change, and be killed in the middle.

Needs no account: `nox -s demo` runs it, or `python examples/demo.py` where the package is installed with its extras
`cli` and `sandbox`. Two accounts get the same two exports; in the second one both runs are ended with SIGKILL half-way
and resumed. In the end both accounts must be the same, and the sandboxes' own counters say what was sent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
from commands import kill, run
from figures import Figure, show
from make_crm import Changes, as_csv, later, make

from klickdoxie_core.sandbox import LOST
from klicktipp_async import FieldType
from klicktipp_async.sandbox import Sandbox

ROWS = 600
MAPPING = Path(__file__).with_name("crm_mapping.toml")
UPSERT, UPDATE, TAG, UNTAG = "Add or Update Contact", "Update Contact", "Tag Contact", "Untag Contact"
WRITES = (UPSERT, UPDATE, TAG, UNTAG, "Create Tag")


@attrs.define
class Story:
    """What happened to the account that was left alone, by the sandbox's counters."""

    first: int = 0
    again: int = 0
    changed: dict[str, int] = attrs.field(factory=dict[str, int])
    moved: int = 0


async def main(rows: int = ROWS) -> int:
    """Run the syncs in both accounts and compare; 0 if every figure is as it must be."""
    before = make(rows)
    after, changes = later(before)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "crm.csv").write_bytes(as_csv(before))
        (folder / "later.csv").write_bytes(as_csv(after))
        async with account() as quiet, account() as killed, quiet.serve() as here, killed.serve() as there:
            story = await undisturbed(quiet, here, folder)
            kills = await disturbed(killed, there, folder, rows)
    figures = [*told(story, rows, changes), *compared(quiet, killed, kills, rows)]
    conclusion = "both accounts are the same, and nobody got a second confirmation mail"
    return show("counted by the sandboxes", figures, conclusion)


def account() -> Sandbox:
    """An account with the data fields that the mapping names; each request takes its time."""
    box = Sandbox()
    box.add_field("CRM-ID", FieldType.LINE)
    box.add_field("Umsatz", FieldType.DECIMAL)
    box.add_field("Notiz", FieldType.PARAGRAPH)
    return box


def environment(box: Sandbox, url: str) -> dict[str, str]:
    """What leads a command to the account."""
    return {"KLICKTIPP_BASE_URL": url, "KLICKTIPP_USERNAME": box.username, "KLICKTIPP_PASSWORD": box.password}


def sync(folder: Path, file: str, account: str) -> list[str]:
    """The arguments of a sync of an account, which has a journal of its own."""
    return [
        *("sync", str(folder / file), "--mapping", str(MAPPING), "--apply"),
        *("--journal", str(folder / f"{account}.journal"), "--errors", str(folder / f"{account}.errors.csv")),
        *("--report", str(folder / f"{account}.report.csv")),
    ]


async def undisturbed(box: Sandbox, url: str, folder: Path) -> Story:
    """Create, plan again, then bring the later export."""
    env, story = environment(box, url), Story()
    first, second = sync(folder, "crm.csv", "quiet"), sync(folder, "later.csv", "quiet")
    await run("klicktipp_async", first, env)
    story.first = box.count(UPSERT)
    print("\nonce more, the same file:\n")
    written = writes(box)
    await run("klicktipp_async", first, env)
    story.again = sum(writes(box).values()) - sum(written.values())
    print("\nthe export some weeks later:\n")
    await run("klicktipp_async", second, env)
    story.moved = sum(contact.email.startswith("neu.") for contact in box.contacts.values())
    story.changed = {name: count - written[name] for name, count in writes(box).items()}
    return story


async def disturbed(box: Sandbox, url: str, folder: Path, rows: int) -> list[int]:
    """The same in another account, where both runs are killed half-way and resumed; the exit codes."""
    env = environment(box, url)
    box.latency = 0.005
    box.drop(UPSERT, every=40, applied=True)
    first, second = sync(folder, "crm.csv", "killed"), sync(folder, "later.csv", "killed")
    print("\nanother account; killed with SIGKILL half-way, then resumed:\n")
    codes = [await kill("klicktipp_async", first, env, lambda: len(box.contacts) > rows // 2)]
    codes.append(await run("klicktipp_async", [*first, "--resume"], env, quiet=True))
    known = box.count(UPDATE)
    codes.append(await kill("klicktipp_async", second, env, lambda: box.count(UPDATE) > known + rows // 40))
    codes.append(await run("klicktipp_async", [*second, "--resume"], env, quiet=True))
    return codes


def writes(box: Sandbox) -> dict[str, int]:
    """How often each kind of write was carried out."""
    return {name: sum(it.applied for it in box.requests if it.operation == name) for name in WRITES}


def told(story: Story, rows: int, changes: Changes) -> Iterator[Figure]:
    """The account that was left alone."""
    updated = {*changes.addresses, *changes.names, *changes.cleared}
    yield Figure("contacts created by the first run", rows, story.first)
    yield Figure("writes of the second run, which has nothing to do", 0, story.again)
    yield Figure("contacts updated by the later export", len(updated), story.changed[UPDATE])
    yield Figure("  of which have a new address", len(changes.addresses), story.moved)
    yield Figure("contacts tagged by the later export", len(changes.phases), story.changed[TAG])
    yield Figure("contacts untagged by the later export", len(changes.phases), story.changed[UNTAG])
    yield Figure("contacts added by the later export", 0, story.changed[UPSERT])


def compared(quiet: Sandbox, killed: Sandbox, kills: list[int], rows: int) -> Iterator[Figure]:
    """Both accounts beside each other."""
    one, other = state(quiet), state(killed)
    mails = killed.confirmation_mails
    yield Figure("runs that were killed", 2, kills.count(-9))
    yield Figure("runs that were resumed to the end", 2, kills.count(0))
    yield Figure("answers lost on the way", None, killed.count(UPSERT, LOST))
    yield Figure("contacts in the killed account", rows, len(killed.contacts))
    yield Figure("contacts that are the same in both accounts", rows, sum(other.get(k) == v for k, v in one.items()))
    yield Figure("requests to add a contact that were carried out", rows, writes(killed)[UPSERT])
    yield Figure("confirmation mails", rows, mails.total())
    yield Figure("contacts that got a second one", 0, sum(count > 1 for count in mails.values()))


def state(box: Sandbox) -> dict[str, object]:
    """What each contact is like, by its CRM id; tags by their names."""
    (key,) = [f"field{field.id}" for field in box.fields.values() if field.label == "CRM-ID"]
    return {
        contact.fields.get(key, ""): (
            contact.email,
            contact.status,
            {name: text for name, text in contact.fields.items() if text},
            sorted(box.tags[tag].name for tag in contact.tags),
        )
        for contact in box.contacts.values()
    }
