"""What administrators keep: records of free attributes, in tables; their secrets are never shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar, cast

import attrs

Attributes = dict[str, object]

MASK: Final = "********"
"""What is shown instead of a secret."""

_SECRET = re.compile("password|secret|token|api_key|access_key|private_key")
_OWN = frozenset({"id", "created_at", "updated_at"})


@attrs.define(kw_only=True)
class Record:
    """Something with an id and free attributes; times are seconds since 1970 UTC."""

    id: int
    attributes: Attributes = attrs.field(repr=False)
    created: int
    updated: int


@attrs.define(kw_only=True)
class BrandRecord(Record):
    """A brand, and which providers report back to it."""

    providers: set[str] = attrs.field(factory=set[str])


@attrs.define(kw_only=True)
class PageRecord(Record):
    """A landing page or a layout, with the document of the visual editor."""

    content_state: Attributes = attrs.field(factory=dict[str, object], repr=False)
    published: int | None = None


@attrs.define(kw_only=True)
class EndpointRecord(Record):
    """Where webhooks go to, and what came of them."""

    interactions: list[Attributes] = attrs.field(factory=list[Attributes], repr=False)


R = TypeVar("R", bound=Record)


class Table(Generic[R]):
    """Records of one kind, by an id that counts from 1 and never comes again."""

    def __init__(self, make: type[R], now: Callable[[], int]) -> None:
        self._make = make
        self._now = now
        self._rows: dict[int, R] = {}
        self._last_id = 0

    def add(self, attributes: Attributes) -> R:
        """A new record."""
        self._last_id += 1
        now = self._now()
        record = self._make(id=self._last_id, attributes=_merged({}, _given(attributes)), created=now, updated=now)
        self._rows[record.id] = record
        return record

    def get(self, record_id: int) -> R | None:
        """The record with this id."""
        return self._rows.get(record_id)

    def change(self, record: R, attributes: Attributes) -> None:
        """Change what is given, inside of nested objects too."""
        record.attributes = _merged(record.attributes, _given(attributes))
        record.updated = self._now()

    def remove(self, record: R) -> None:
        """Forget a record."""
        del self._rows[record.id]

    def __iter__(self) -> Iterator[R]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)


def masked(attributes: Attributes) -> Attributes:
    """A copy in which every secret is masked."""
    return {name: _shown(name, value) for name, value in attributes.items()}


def holds_mask(attributes: Attributes) -> bool:
    """Whether a masked secret came back."""
    return any(
        holds_mask(cast("Attributes", value)) if isinstance(value, dict) else value == MASK
        for value in attributes.values()
    )


def _shown(name: str, value: object) -> object:
    if isinstance(value, dict):
        return masked(cast("Attributes", value))
    return MASK if value and _SECRET.search(name) else value


def _given(attributes: Attributes) -> Attributes:
    """Without what only the service sets."""
    return {name: value for name, value in attributes.items() if name not in _OWN}


def _merged(old: Attributes, new: Attributes) -> Attributes:
    merged = dict(old)
    for name, value in new.items():
        if isinstance(value, dict):
            before = old.get(name)
            known = cast("Attributes", before) if isinstance(before, dict) else {}
            merged[name] = _merged(known, cast("Attributes", value))
        else:
            merged[name] = value
    return merged
