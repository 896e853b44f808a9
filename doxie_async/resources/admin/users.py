"""API users: who may send."""

from __future__ import annotations

from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Under
from doxie_async.models.admin import ApiUser
from doxie_async.resources.base import PAGE_SIZE, Attributes, DoxieResource, rooted
from klickdoxie_core import Effect, Pages
from klickdoxie_core.errors import NotFound

ONE = Annotated[ApiUser, Under("api_user")]


class ApiUsers(DoxieResource):
    """Users of the sending calls."""

    def all(self, *, page_size: int = PAGE_SIZE) -> Pages[ApiUser]:
        """Every API user (List API users)."""
        return self._pages(routes.LIST_API_USERS, ApiUser, "api_users", page_size)

    async def create(self, attributes: Attributes) -> ApiUser:
        """Create an API user (Create an API user). Never sent twice."""
        return await self._run(routes.CREATE_API_USER, Effect.ONCE, ONE, body=rooted("api_user", attributes))

    async def delete(self, id: int | str) -> None:  # noqa: A002 - the vendor's word
        """Delete an API user (Delete an API user). Raises `NotFound`."""
        await self._do(routes.DELETE_API_USER, Effect.REPEATABLE, path={"id": id}, done_if=(NotFound,))
