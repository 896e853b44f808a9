"""Lists of tags, data fields and opt-in processes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import pytest

from klicktipp_async.commands.listing import add_fields, add_opt_ins, add_tags
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.commands.conftest import Run

Add = Callable[[argparse.ArgumentParser], None]


def test_tags_are_sorted_by_name(box: Sandbox, run: Run) -> None:
    """Names come as people sort them, below a heading; SmartTags are not among them."""
    zoo, honey = box.add_tag("Zoo"), box.add_tag("blütenhonig; 500 g")
    box.add_tag("Geöffnet", smart=True)
    ended = run(add_tags)
    assert ended.code == 0
    assert ended.out == f"id        name\n{honey}  blütenhonig; 500 g\n{zoo}  Zoo\n"


def test_fields_have_keys(box: Sandbox, run: Run) -> None:
    """A field is listed with the key that calls take, and its label."""
    key = box.add_field("Größe")
    lines = run(add_fields).out.splitlines()
    assert lines[0].split() == ["key", "name"]
    assert [key, "Größe"] in [line.split(maxsplit=1) for line in lines]
    assert any(line.startswith("fieldFirstName ") for line in lines)


def test_the_default_opt_in_process_has_a_name(box: Sandbox, run: Run) -> None:
    """At the service it has none."""
    out = run(add_opt_ins).out
    assert f"{box.default_opt_in_id}  Default double opt-in\n" in out
    assert f"{box.single_opt_in_id}  Single-Opt-In\n" in out
    assert "default\n" not in out


def test_machines_get_a_list_of_objects(box: Sandbox, run: Run) -> None:
    """One line of JSON, sorted in the same way."""
    vip, zoo = box.add_tag("VIP"), box.add_tag("Ähre")
    ended = run(add_tags, "--json")
    assert ended.out.count("\n") == 1
    assert json.loads(ended.out) == [{"id": vip, "name": "VIP"}, {"id": zoo, "name": "Ähre"}]
    assert {"key": "fieldBirthday", "name": "Geburtstag"} in json.loads(run(add_fields, "--json").out)
    assert json.loads(run(add_opt_ins, "--json").out) == [
        {"id": box.default_opt_in_id, "name": "Default double opt-in", "default": True},
        {"id": box.single_opt_in_id, "name": "Single-Opt-In", "default": False},
    ]


@pytest.mark.parametrize(("more", "told"), [([], "none\n"), (["--json"], "[]\n")])
def test_nothing_is_told_too(box: Sandbox, run: Run, more: list[str], told: str) -> None:
    """An account without tags is no mistake."""
    ended = run(add_tags, *more)
    assert (ended.code, ended.out) == (0, told)


@pytest.mark.parametrize(
    ("add", "operation"),
    [(add_tags, "List Tags"), (add_fields, "List Data Fields"), (add_opt_ins, "List Opt-in Processes")],
)
def test_a_refusal_is_told(box: Sandbox, run: Run, add: Add, operation: str) -> None:
    """What the service refuses ends the command, and nothing stands on the standard output."""
    box.fail(operation, every=1, status=406, body={"error": 999})
    ended = run(add)
    assert (ended.code, ended.out) == (5, "")
    assert "999" in ended.err
