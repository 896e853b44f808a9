"""The journal of a sync: where it lies, and how what stands in it is read between two runs."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Final, Generic, Self, TypeVar

import anyio.to_thread

from klickdoxie_core.entry import Entry, State
from klickdoxie_core.errors import JobStopped, JournalError, SdkError
from klickdoxie_core.journal import Journal, read_header
from klickdoxie_core.journaled import ADVICE
from klicktipp_async.errors import FAMILY, ConfigError, KlickTippError

T = TypeVar("T")

_GO_ON: Final = f"{ADVICE}mend the cause and apply the plan again; retry_failed=True sends the failed rows again, too"
# Opening a journal takes some milliseconds.
_PAGE: Final = 2000


@contextmanager
def our_errors() -> Generator[None]:
    """Let what the core says of journals and jobs be a `KlickTippError`, too, with advice that fits a sync."""
    try:
        yield
    except (JournalError, JobStopped) as error:
        if isinstance(error, KlickTippError):
            raise
        why = why_stopped(error)
        advice = "" if why == error.message else _GO_ON
        raise FAMILY[type(error)](why + advice, error.facts) from error.__cause__


def why_stopped(error: SdkError) -> str:
    """The text of an error that ended a job, without what it advises."""
    return error.message.partition(ADVICE)[0]


class Book:
    """Where the journal of a sync lies. A folder of its own is removed with the last one who holds the book.

    Args:
        path: The journal; None for a folder of its own, which nobody else may read.
        job: What kind of job it belongs to.
        ids: The file that remembers the ids of the CRM; None for one beside the journal.

    Attributes:
        path: The journal.
        ids: The file that remembers the ids of the CRM.
        private: Whether the folder is its own.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, job: str, ids: str | os.PathLike[str] | None = None
    ) -> None:
        self.private = path is None
        if path is None:
            folder = tempfile.mkdtemp(prefix="klicktipp-")
            self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            path = Path(folder, "journal")
        self.path = Path(path)
        self.ids = Path(ids or f"{self.path}.ids")
        self._job = job

    def close(self) -> None:
        """Remove a folder of its own; a journal that was named stays."""
        if self.private:
            self._remove()

    async def facts(self) -> Mapping[str, str] | None:
        """What the journal was made from; None if there is none."""
        header = await anyio.to_thread.run_sync(read_header, self.path)
        return None if header is None else header[1]

    def open(self, facts: Mapping[str, str], *, check: bool = True) -> Journal:
        """The journal, to be entered; raises JournalError when entered if it was made from something else."""
        return Journal(self.path, job=self._job, facts=facts, check=check)

    async def reopen(self, *, check: bool = True) -> Journal:
        """The journal as it is, to be entered.

        Args:
            check: False does not look for damage in the whole file once more.

        Raises:
            ConfigError: There is none.
        """
        facts = await self.facts()
        if facts is None:
            raise ConfigError(f"there is no plan in {self.path}; make one with plan()")
        return self.open(facts, check=check)

    def rows(self, make: Callable[[Entry], T | None], *states: State) -> AsyncIterator[T]:
        """What is made of the rows in these states, in their order; without states of all of them.

        A row of which nothing is made is left out. The journal is closed while one looks at a row, so that one may
        stop in the middle.
        """
        return _Rows(self, make, states)


class _Rows(Generic[T]):
    """Reads a page at a time. No generator: one that is left in the middle would be closed by nobody."""

    def __init__(self, book: Book, make: Callable[[Entry], T | None], states: Sequence[State]) -> None:
        self._book = book
        self._make = make
        self._states = states
        self._page: deque[T] = deque()
        self._since: int | None = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not self._page and self._since is not None:
            await self._read(self._since)
        if not self._page:
            raise StopAsyncIteration
        return self._page.popleft()

    async def _read(self, since: int) -> None:
        self._since = None
        async with (
            # All of it once: a look at all of it for each page would make a long plan very slow.
            await self._book.reopen(check=not since) as journal,
            aclosing(journal.entries(*self._states, since=since)) as entries,
        ):
            async for entry in entries:
                if (made := self._make(entry)) is not None:
                    self._page.append(made)
                if len(self._page) >= _PAGE:
                    self._since = (entry.place or 0) + 1
                    break
