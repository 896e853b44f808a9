"""A part of a job as it travels to another process, and what comes back: plain values, without secrets."""

from __future__ import annotations

import importlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from klickdoxie_core.entry import State
from klickdoxie_core.errors import ArgumentError, ConfigError, SdkError
from klickdoxie_core.progress import Progress

if TYPE_CHECKING:
    from klickdoxie_core.sharding.running import ShardRun

Work: TypeAlias = "Callable[[ShardRun], Awaitable[None]]"
"""What is done with a shard. It makes its client itself, from what its own machine knows."""


def _plain(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    del instance
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        # Without the cause: its text may show the value.
        msg = f"{attribute.name} must be something that JSON can hold; a shard carries no secrets and no live objects"
        raise ArgumentError(msg) from None


@attrs.frozen(kw_only=True)
class Shard:
    """One part of a job. It names everything and holds nothing: its items stand in its journal.

    Attributes:
        number: Its number, from 1.
        of: How many shards there are.
        items: How many items stand in its journal.
        journal: The path of its journal, under which every machine that may run it finds the same file.
        work: The import path of what is done with it, `package.module:function`.
        options: What the function has to know besides: anything JSON can hold, and nothing secret.
        concurrency: How many of its items are under way at once.
    """

    number: int
    of: int
    items: int
    journal: str
    work: str
    options: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False, validator=_plain)
    concurrency: int = 16


@attrs.frozen(kw_only=True)
class ShardReport:
    """What became of a shard.

    Attributes:
        number: Its number.
        counts: How many of its items stand where; what there is none of is missing.
        progress: Its figures when it ended; None for a shard that was not begun.
        error: Why it ended before its end; None when it came to it.
        cause: The error behind that one.
        lost: Whether it ended because nobody told it how fast it may go; then it should be run again.
    """

    number: int
    counts: Mapping[State, int] = attrs.field(factory=dict[State, int])
    progress: Progress | None = None
    error: SdkError | None = None
    cause: SdkError | None = None
    lost: bool = False

    @property
    def left(self) -> int:
        """Items that need another run: those that were not tried, or may pass another time."""
        return self.counts.get(State.PENDING, 0)


def path_of(work: Work | str) -> str:
    """The import path of a function, `package.module:function`; one that is given is tried out.

    Raises:
        ArgumentError: The function cannot be imported: it stands inside another one, or is not made with `def`.
        ConfigError: There is nothing under the path.
    """
    if isinstance(work, str):
        loaded(work)
        return work
    path = f"{getattr(work, '__module__', '')}:{getattr(work, '__qualname__', '')}"
    try:
        found = loaded(path)
    except ConfigError:
        found = None
    if found is not work:
        raise ArgumentError("work must be a function at the top of a module, so that other processes can import it")
    return path


def loaded(path: str) -> Work:
    """The function under an import path; ConfigError if this machine has none there."""
    module, _, name = path.partition(":")
    why = ""
    try:
        # A relative name has nothing to be relative to.
        found: object = None if module.startswith(".") else getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        # What the module itself imports may be what is missing.
        found, why = None, f" ({error})" if isinstance(error, ImportError) else ""
    if not callable(found):
        msg = f"there is no function {path} on this machine{why}; work is named as package.module:function"
        raise ConfigError(msg)
    return cast("Work", found)
