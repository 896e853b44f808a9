"""What the account has to refer to: tags, data fields and opt-in processes, loaded once and asked for by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import anyio

from klickdoxie_core.bulk import bulk
from klicktipp_async.client import KlickTipp
from klicktipp_async.errors import ConfigError
from klicktipp_async.resources.opt_ins import DEFAULT_LABEL


class Reference:
    """The tags, data fields and opt-in processes of an account.

    Fields and opt-in processes are as they were when they were loaded. Tags are listed again when one is not known, and
    created when one is missing, each once however many tasks ask at the same time.

    Args:
        kt: A client of the account; it stays the caller's.

    Attributes:
        fields: The data fields, key (with its prefix) to label; empty until `load`.
        opt_ins: The opt-in processes, id to name; the account's own has an empty name. Empty until `load`.
    """

    def __init__(self, kt: KlickTipp) -> None:
        self._kt = kt
        self._lock = anyio.Lock()
        self._loaded = False
        self.fields: Mapping[str, str] = {}
        self.opt_ins: Mapping[int, str] = {}
        self._names: dict[int, str] = {}
        self._ids: dict[str, int] = {}
        self._nameless: set[int] = set()
        self._asked: set[int] = set()

    async def load(self) -> None:
        """Load it all, in three calls at once; a second time does nothing.

        Raises:
            SdkError: One of the calls failed; the next `load` makes them again.
        """
        async with self._lock:
            if self._loaded:
                return
            jobs = (self._load_fields, self._load_opt_ins, self._load_tags)
            # A task group of our own would wrap the error of a call into an exception group.
            async with bulk(_call, jobs, concurrency=len(jobs)) as outcomes:
                async for outcome in outcomes:
                    outcome.unwrap()
            self._loaded = True

    def opt_in_id(self, named: int | str | None) -> int | None:
        """The id of an opt-in process that is given by its id or its name; None for the account's own.

        Args:
            named: None and "default" mean the account's own.

        Raises:
            ConfigError: The account does not have it, or has several of that name; the text lists those that it has.
        """
        if named is None or named == "default":
            return None
        # The account's own has an empty name, which must not be meant by an empty text.
        found = [number for number, name in self.opt_ins.items() if named in {number, str(number), name or None}]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{number} ({name or DEFAULT_LABEL})" for number, name in self.opt_ins.items())
        which = "has several opt-in processes" if found else "has no opt-in process"
        raise ConfigError(f"the account {which} {named!r}; it has {known or 'none'}")

    async def names_of(self, tag_ids: Iterable[int]) -> dict[int, str]:
        """The names of the manual tags among some ids; SmartTags are left out.

        The tags are listed again for an id that is not known. One that is not known then either is a SmartTag, or
        gone, and is not asked for again.
        """
        wanted = list(tag_ids)
        unknown = self._unknown(wanted)
        if unknown:
            # Whoever waits for the lock is served by one and the same list, if it was not yet asked for.
            self._asked |= unknown
            async with self._lock:
                if self._unknown(unknown):
                    asked, self._asked = self._asked | unknown, set()
                    await self._load_tags()
                    self._nameless |= self._unknown(asked)
        return {tag_id: self._names[tag_id] for tag_id in wanted if tag_id in self._names}

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of the names that no tag has as far as known, each once, in their order."""
        return [name for name in dict.fromkeys(names) if name not in self._ids]

    async def tag_ids(self, names: Iterable[str]) -> dict[str, int]:
        """The ids of tags by name; what is missing is created. Nothing is sent when all of them are known.

        Raises:
            ArgumentError: A name is blank.
            BusinessError: The service does not accept a name; others may have been created.
        """
        wanted = list(dict.fromkeys(names))
        if self.missing(wanted):
            async with self._lock:
                # Once more: the task that had the lock before may have created them.
                if missing := self.missing(wanted):
                    found = await self._kt.tags.ensure(missing)
                    self._ids |= found
                    self._names |= {tag_id: name for name, tag_id in found.items()}
        return {name: self._ids[name] for name in wanted}

    async def forget(self, names: Iterable[str]) -> None:
        """Take tags for unknown because their ids turned out to be gone; `tag_ids` lists the tags again for them."""
        # Under the lock, so that no list that is under way brings them back.
        async with self._lock:
            for name in names:
                tag_id = self._ids.pop(name, None)
                if tag_id is not None:
                    del self._names[tag_id]

    def _unknown(self, tag_ids: Iterable[int]) -> set[int]:
        return {tag_id for tag_id in tag_ids if tag_id not in self._names and tag_id not in self._nameless}

    async def _load_fields(self) -> None:
        self.fields = await self._kt.fields.all()

    async def _load_opt_ins(self) -> None:
        self.opt_ins = await self._kt.opt_ins.all()

    async def _load_tags(self) -> None:
        self._names = await self._kt.tags.all()
        # Should two tags have one name, the older one is meant, as everywhere.
        self._ids = {name: tag_id for tag_id, name in sorted(self._names.items(), reverse=True)}


async def _call(job: Callable[[], Awaitable[None]]) -> None:
    await job()
