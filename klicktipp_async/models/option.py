"""Entries for drop-down lists."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Option:
    """An entry of a drop-down list: what to show and what to send."""

    label: str
    value: str


def sorted_options(names: Mapping[int, str] | Mapping[str, str]) -> list[Option]:
    """Options of a map from id to name, sorted by label as people sort, without regard to case."""
    options = [Option(label=label, value=str(value)) for value, label in names.items()]
    return sorted(options, key=lambda option: (option.label.casefold(), option.value))
