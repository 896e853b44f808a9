"""The account that one is signed in to."""

from __future__ import annotations

from klicktipp_async.models.account import Account
from klicktipp_async.resources.base import KlickTippResource


class AccountResource(KlickTippResource):
    """The account that one is signed in to."""

    async def get(self) -> Account:
        """The account; also the cheapest test of a connection. The vendor does not document this operation."""
        return await self._get("Get Account", Account, "/account")
