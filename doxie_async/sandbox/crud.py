"""The five usual operations of administrators on records of one kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from doxie_async.sandbox.records import Attributes, Record, Table, masked
from doxie_async.sandbox.store import Store, moment
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Ask, Refused, done

R = TypeVar("R", bound=Record)


def anything(store: Store, attributes: Attributes, record: Record | None) -> None:
    """Accept whatever attributes a record is to have."""
    del store, attributes, record


@attrs.frozen(kw_only=True)
class Crud(Generic[R]):
    """What one kind of record is called, and its operations.

    Attributes:
        root: The root key of the bodies of writes.
        name: The name of one record in an answer.
        names: The name of a list of them.
        hole: The name of the path parameter with the id.
        check: Raises `Refused` for what a record must not be; the record is None for a new one. It may complete the
            attributes.
    """

    table: Callable[[Store], Table[R]]
    root: str
    name: str
    names: str
    hole: str = "id"
    created: Text = Text.CREATED
    changed: Text = Text.EDITED
    deleted: Text = Text.DELETED
    check: Callable[[Store, Attributes, Record | None], None] = anything

    def all(self, store: Store, ask: Ask) -> object:
        """List them, page by page."""
        return done(ask.listing(self.names, list(self.table(store)), shown))

    def create(self, store: Store, ask: Ask) -> object:
        """Create one."""
        attributes = ask.attributes(self.root)
        self.check(store, attributes, None)
        return self.answer(ask, self.table(store).add(attributes), self.created)

    def show(self, store: Store, ask: Ask) -> object:
        """Show one."""
        return self.answer(ask, self.find(store, ask))

    def update(self, store: Store, ask: Ask) -> object:
        """Change what is given."""
        record, attributes = self.find(store, ask), ask.attributes(self.root)
        self.check(store, attributes, record)
        self.table(store).change(record, attributes)
        return self.answer(ask, record, self.changed)

    def delete(self, store: Store, ask: Ask) -> object:
        """Delete one."""
        record = self.find(store, ask)
        self.table(store).remove(record)
        return self.answer(ask, record, self.deleted)

    def find(self, store: Store, ask: Ask) -> R:
        """The one that the path names."""
        record = self.table(store).get(ask.number(self.hole))
        if record is None:
            raise Refused(404, Text.NO_RECORD)
        return record

    def answer(self, ask: Ask, record: R, message: Text | None = None) -> dict[str, object]:
        """A record in its envelope."""
        return done(ask.wire_format.record(self.name, shown(record)), message)


def shown(record: Record) -> Attributes:
    """A record as answers show it, its secrets masked."""
    return {
        "id": record.id,
        **masked(record.attributes),
        "created_at": moment(record.created),
        "updated_at": moment(record.updated),
    }


def require_name(attributes: Attributes, record: Record | None) -> None:
    """Refuse a record that has no name, or would lose it."""
    name = attributes.get("name", record.attributes.get("name") if record else None)
    if not (isinstance(name, str) and name.strip()):
        raise Refused(422, "Name muss ausgefüllt werden")
