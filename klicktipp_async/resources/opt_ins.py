"""Opt-in processes: how a contact confirms."""

from __future__ import annotations

from klickdoxie_core import Effect
from klicktipp_async.contact_details import check_email
from klicktipp_async.convert import Ack
from klicktipp_async.errors import NotFound
from klicktipp_async.models.opt_in import OptInProcess
from klicktipp_async.models.option import Option, sorted_options
from klicktipp_async.resources.base import KlickTippResource, check_name, check_number

DEFAULT_LABEL = "Default double opt-in"
"""How the account's own process is shown; at the service it has no name."""


class OptIns(KlickTippResource):
    """Opt-in processes: whether and how a new contact confirms."""

    async def all(self) -> dict[int, str]:
        """Every opt-in process, id to name; the account's own has an empty name (List Opt-in Processes)."""
        return await self._get("List Opt-in Processes", dict[int, str], "/list")

    async def options(self) -> list[Option]:
        """Every opt-in process for a drop-down list, sorted by name (List Opt-in Processes)."""
        return sorted_options({number: name or DEFAULT_LABEL for number, name in (await self.all()).items()})

    async def get(self, opt_in_id: int) -> OptInProcess:
        """An opt-in process by its id (Get Opt-in Process). Raises `OptInNotFound`."""
        return await self._get("Get Opt-in Process", OptInProcess, "/list/{opt_in_id}", path={"opt_in_id": opt_in_id})

    async def redirect_url(self, opt_in_id: int, email: str) -> str:
        """Where a contact goes: the pending page, or the thank-you page once confirmed (Search Redirect URL).

        Raises `OptInNotFound` and `ContactNotFound`.
        """
        check_email("email", email)
        check_number("opt_in_id", opt_in_id)
        body = {"listid": str(int(opt_in_id)), "email": email}
        (url,) = await self._post("Search Redirect URL", tuple[str], "/list/redirect", body=body, effect=Effect.SAFE)
        return url

    async def create(self, name: str) -> OptInProcess:
        """Create an opt-in process. The vendor does not document this operation. Raises `Conflict` for a taken name."""
        check_name(name)
        return await self._post("Create Opt-in Process", OptInProcess, "/list", body={"name": name})

    async def update(self, opt_in_id: int, name: str) -> None:
        """Rename an opt-in process. The vendor does not document this operation. Raises `OptInNotFound`."""
        check_name(name)
        path = {"opt_in_id": opt_in_id}
        await self._put(
            "Update Opt-in Process", Ack, "/list/{opt_in_id}", path=path, body={"name": name}, empty_ok=True
        )

    async def delete(self, opt_in_id: int) -> None:
        """Delete an opt-in process. The vendor does not document this operation. Raises `OptInNotFound`."""
        path = {"opt_in_id": opt_in_id}
        await self._delete(
            "Delete Opt-in Process", Ack, "/list/{opt_in_id}", path=path, empty_ok=True, done_if=(NotFound,)
        )
