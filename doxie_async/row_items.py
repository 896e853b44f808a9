"""What is to be done with each row of a table, found before anything is sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final, cast

import attrs

from doxie_async.errors import ArgumentError, ConfigError
from doxie_async.resources.sending import Payload
from klickdoxie_core.entry import Entry, State
from klickdoxie_core.journal import fingerprint
from klickdoxie_core.table import Row

IN_DOUBT: Final = "in doubt"
"""What an error file says of a row that may have been sent; such a row is not sent."""

_MARKED = "an earlier run has left this row in doubt; it is sent only once its cell _state is empty"


@attrs.frozen
class RowItem:
    """A row and what is to be done with it: a pending one is sent, any other only recorded.

    Attributes:
        line: Where it starts in the file.
        payload: What is sent.
        state: Where it stands before anything is sent.
        error: Why it is not sent, as code and message; None for a pending one.
        name: What it is called in the column of keys; None where there is no such column.
    """

    line: int
    payload: Payload = attrs.field(factory=dict[str, object], repr=False)
    state: State = State.PENDING
    error: Mapping[str, str] | None = None
    name: str | None = attrs.field(default=None, repr=False)

    @property
    def key(self) -> str:
        """What tells the row from all others, also from one that took its place."""
        if self.name is not None:
            return f"key:{hashlib.sha256(self.name.encode()).hexdigest()}"
        content = json.dumps(self.payload, sort_keys=True).encode()
        return f"{self.line}:{hashlib.sha256(content).hexdigest()[:16]}"

    @property
    def entry(self) -> Entry:
        """How it stands in the journal before anything is sent."""
        return Entry(key=self.key, place=self.line, state=self.state, error=self.error)


class Payloads:
    """Makes payloads of rows: the names of the columns are keys, a dot nests, and the cells are texts as they stand.

    Args:
        header: The names of the columns.
        base: What each row is laid over; where both say something, the row wins.
        keep_empty: Send empty cells as empty texts instead of leaving them out.
        key: The column whose cells tell the rows apart; None where their lines do.

    Raises:
        ConfigError: Two columns, or a column and the base, cannot both be in one object; or there is no such column.
    """

    def __init__(
        self,
        header: Sequence[str],
        base: Payload | None = None,
        *,
        keep_empty: bool = False,
        key: str | None = None,
    ) -> None:
        self._key = key
        self._place = None if key is None else _place_of(key, header)
        self._base = base or {}
        self._keep_empty = keep_empty
        self._paths = [tuple(part.strip() for part in name.split(".")) for name in header]
        _check_paths(self._paths)
        for path in self._paths:
            _check_base(self._base, path)

    @property
    def settings(self) -> str:
        """A digest of what these payloads depend on beside the rows."""
        key = [] if self._key is None else [self._key]
        return fingerprint(json.dumps([self._base, self._keep_empty, *key], sort_keys=True))

    def item(self, row: Row) -> RowItem:
        """What is to be done with a row; raises ConfigError for one without a key, where there is a column of keys."""
        name = self._name_of(row)
        if row.state.strip().casefold() == IN_DOUBT:
            return RowItem(row.line, state=State.SKIPPED, error={"code": IN_DOUBT, "message": _MARKED}, name=name)
        try:
            return RowItem(row.line, self.of(row), name=name)
        except ArgumentError as error:
            return RowItem(
                row.line, state=State.FAILED, error={"code": "row_invalid", "message": str(error)}, name=name
            )

    def of(self, row: Row) -> Payload:
        """The payload of a row; raises ArgumentError for a row that is not as wide as the header."""
        if len(row.cells) != len(self._paths):
            raise ArgumentError(f"the row has {len(row.cells)} cells, but there are {len(self._paths)} columns")
        payload = _copied(self._base)
        for path, cell in zip(self._paths, row.cells, strict=True):
            if cell or self._keep_empty:
                _put(payload, path, cell)
        return payload

    def _name_of(self, row: Row) -> str | None:
        # Which cell of a row of another width holds the key cannot be known; such a row is never sent.
        if self._place is None or len(row.cells) != len(self._paths):
            return None
        if not (name := row.cells[self._place].strip()):
            raise ConfigError(f"line {row.line} has no {self._key!r}, which must tell the rows apart (--key)")
        return name


def _place_of(key: str, header: Sequence[str]) -> int:
    names = [name.strip() for name in header]
    if key.strip() not in names:
        raise ConfigError(f"there is no column {key!r} for --key; there are {', '.join(map(repr, names))}")
    return names.index(key.strip())


def _check_paths(paths: Sequence[tuple[str, ...]]) -> None:
    known = set(paths)
    for path in paths:
        if not all(path):
            raise ConfigError(f"column {_name(path)!r} has a name with nothing before, after or between its dots")
        for depth in range(1, len(path)):
            if path[:depth] in known:
                raise ConfigError(f"columns {_name(path[:depth])!r} and {_name(path)!r} cannot both be in one object")
    if len(known) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ConfigError(f"several columns are called {_name(twice)!r}")


def _check_base(base: Payload, path: tuple[str, ...]) -> None:
    """Refuse a column that would replace an object of the base, or look for one where there is something else."""
    for depth, name in enumerate(path, 1):
        found = base.get(name)
        if found is None:
            return
        if isinstance(found, Mapping) is (depth == len(path)):
            what = "an object" if isinstance(found, Mapping) else "a value"
            raise ConfigError(
                f"column {_name(path)!r} does not fit the data: they have {what} at {_name(path[:depth])!r}"
            )
        base = cast("Payload", found)


def _name(path: Sequence[str]) -> str:
    return ".".join(path)


def _copied(value: Payload) -> dict[str, object]:
    """A copy whose objects are its own; nothing else in it is ever changed."""
    return {
        name: _copied(cast("Payload", inner)) if isinstance(inner, Mapping) else inner for name, inner in value.items()
    }


def _put(target: dict[str, object], path: tuple[str, ...], cell: str) -> None:
    for name in path[:-1]:
        inner = target.get(name)
        if inner is None:
            inner = target[name] = dict[str, object]()
        target = cast("dict[str, object]", inner)
    target[path[-1]] = cell
