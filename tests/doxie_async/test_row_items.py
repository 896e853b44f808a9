"""What becomes of each row before anything is sent."""

from __future__ import annotations

import pytest

from doxie_async import ConfigError
from doxie_async.row_items import Payloads
from klickdoxie_core.entry import State
from klickdoxie_core.table import Row


def payload(header: str, cells: str, base: dict[str, object] | None = None, *, keep_empty: bool = False) -> object:
    """What becomes of one row."""
    made = Payloads(header.split(";"), base, keep_empty=keep_empty)
    return made.of(Row(2, tuple(cells.split(";"))))


@pytest.mark.parametrize(
    ("header", "cells", "base", "expected"),
    [
        ("email;n", "a@b.de;01", None, {"email": "a@b.de", "n": "01"}),
        (" email ;Straße", " a ;Größe 1", None, {"email": " a ", "Straße": "Größe 1"}),
        ("c.name;c.town;d", "A;B;C", None, {"c": {"name": "A", "town": "B"}, "d": "C"}),
        ("a.b.c;a.d", "1;2", None, {"a": {"b": {"c": "1"}, "d": "2"}}),
        ("a;b", ";2", None, {"b": "2"}),
        ("c.name;d", ";2", None, {"d": "2"}),
        ("a", "row", {"a": "base", "k": [1, {"x": None}]}, {"a": "row", "k": [1, {"x": None}]}),
        ("a", "", {"a": "base"}, {"a": "base"}),
        ("c.name", "A", {"c": {"name": "base", "town": "B"}}, {"c": {"name": "A", "town": "B"}}),
        ("c.name", "A", {"c": None}, {"c": {"name": "A"}}),
    ],
)
def test_a_row_becomes_a_payload(
    header: str, cells: str, base: dict[str, object] | None, expected: dict[str, object]
) -> None:
    """Names are keys, dots nest, cells are texts as they stand, and the row wins over the base."""
    assert payload(header, cells, base) == expected


def test_empty_cells_can_be_kept() -> None:
    """They win over the base then."""
    assert payload("a;c.b", ";", {"a": 1}, keep_empty=True) == {"a": "", "c": {"b": ""}}


def test_a_base_stays_as_it_is() -> None:
    """One row leaves nothing behind for the next."""
    base = {"c": {"k": 1}}
    made = Payloads(["c.a", "c.b"], base)
    assert made.of(Row(2, ("1", ""))) == {"c": {"k": 1, "a": "1"}}
    assert made.of(Row(3, ("", "2"))) == {"c": {"k": 1, "b": "2"}}
    assert base == {"c": {"k": 1}}


@pytest.mark.parametrize(
    ("header", "base", "said"),
    [
        ("a;a.b", None, "columns 'a' and 'a.b' cannot both"),
        ("x.a.b.c;x.a", None, "columns 'x.a' and 'x.a.b.c' cannot both"),
        ("a.b;a. b", None, "several columns are called 'a.b'"),
        ("a..b", None, "nothing before, after or between its dots"),
        (".a", None, "nothing before"),
        ("a.b", {"a": "text"}, "column 'a.b' does not fit the data: they have a value at 'a'"),
        ("a.b", {"a": {"b": {}}}, "column 'a.b' does not fit the data: they have an object at 'a.b'"),
    ],
)
def test_columns_that_exclude_each_other_are_refused(header: str, base: dict[str, object] | None, said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError, match=said):
        Payloads(header.split(";"), base)


@pytest.mark.parametrize(
    ("cells", "mark", "state", "code"),
    [
        (("1", "2"), "", State.PENDING, None),
        (("1", "2"), "failed", State.PENDING, None),
        (("1", "2"), " In Doubt ", State.SKIPPED, "in doubt"),
        (("1",), "in doubt", State.SKIPPED, "in doubt"),
        (("1",), "", State.FAILED, "row_invalid"),
        (("1", "2", ""), "failed", State.FAILED, "row_invalid"),
    ],
)
def test_only_whole_rows_without_a_doubt_are_sent(
    cells: tuple[str, ...], mark: str, state: State, code: str | None
) -> None:
    """Any other is recorded with its reason, which shows none of its cells."""
    item = Payloads(["a", "b"]).item(Row(7, cells, mark))
    assert (item.entry.place, item.entry.state, item.entry.error) == (7, state, item.error)
    assert (item.error or {}).get("code") == code


def test_a_key_tells_rows_apart_and_names_nobody() -> None:
    """By the line and what is sent; the order of columns makes no difference to what is sent."""
    made, turned = Payloads(["a", "b"]), Payloads(["b", "a"])
    key = made.item(Row(7, ("anna@example.com", "2"))).key
    assert "anna" not in key
    assert key == turned.item(Row(7, ("2", "anna@example.com"))).key
    assert key != made.item(Row(8, ("anna@example.com", "2"))).key
    assert key != made.item(Row(7, ("anna@example.com", "3"))).key


def test_settings_tell_what_makes_other_payloads() -> None:
    """The base and the rule for empty cells; not the order in which a base is written."""
    plain = Payloads(["a"], {"k": 1, "l": 2}).settings
    assert plain == Payloads(["a"], {"l": 2, "k": 1}).settings
    others = {Payloads(["a"]).settings, Payloads(["a"], {"k": 1, "l": 2}, keep_empty=True).settings}
    assert len({plain, *others}) == 3
