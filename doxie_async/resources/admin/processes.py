"""Processes, as administrators see them."""

from __future__ import annotations

from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Listed, Listing, Under
from doxie_async.errors import AlreadyCancelled, ArgumentError
from doxie_async.models.admin import Collection, Process, ProcessRecord
from doxie_async.paging import pages
from doxie_async.resources.base import PAGE_SIZE, DoxieResource
from klickdoxie_core import Effect, Pages

ONE = Annotated[Process, Under("process")]
_RECORDS_A_PAGE = 20


class AdminProcesses(DoxieResource):
    """Processes, the newest first, and all that belongs to one."""

    def all(self, *, page_size: int = PAGE_SIZE) -> Pages[Process]:
        """Every process (List processes)."""
        return self._pages(routes.LIST_PROCESSES, Process, "processes", page_size)

    async def get(self, uuid: str) -> Process:
        """A process, with the first page of each of its collections in `raw` (Show a process…). Raises `NotFound`."""
        return await self._run(routes.SHOW_PROCESS, Effect.SAFE, ONE, path={"uuid": uuid})

    async def cancel(self, uuid: str) -> None:
        """Cancel a process (Admin / Shared: Cancel a process). Raises `AlreadyCancelled`."""
        await self._do(routes.ADMIN_CANCEL_PROCESS, Effect.REPEATABLE, path={"uuid": uuid}, done_if=(AlreadyCancelled,))

    def records(self, uuid: str, collection: Collection | str) -> Pages[ProcessRecord]:
        """One collection of a process, such as its unsuccessful e-mails (Show a process and its associated records).

        Args:
            uuid: The process.
            collection: One of `Collection`; each pages by itself, 20 at a time.
        """
        if collection not in list(Collection):
            raise ArgumentError(f"collection must be one of {', '.join(Collection)}")
        word = Collection(collection).value
        into = Annotated[Listing[ProcessRecord], Listed(word, owner="process")]

        async def fetch(number: int) -> Listing[ProcessRecord]:
            query: dict[str, str | int] = {f"{word}_page": number}
            return await self._run(routes.SHOW_PROCESS, Effect.SAFE, into, path={"uuid": uuid}, query=query)

        return pages(fetch, size=_RECORDS_A_PAGE, dialect=self._client.dialect)
