"""Assets: files for the visual editor."""

from __future__ import annotations

from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Listed, Listing, Under
from doxie_async.models.admin import Asset
from doxie_async.multipart import File, form_with
from doxie_async.resources.base import DoxieResource
from klickdoxie_core import Effect
from klickdoxie_core.errors import NotFound

ONE = Annotated[Asset, Under("asset")]
MANY = Annotated[Listing[Asset], Listed("assets")]


class Assets(DoxieResource):
    """Files for the visual editor."""

    async def all(self) -> list[Asset]:
        """Every asset; the service hands them out in one piece (List editor assets)."""
        return (await self._run(routes.LIST_ASSETS, Effect.SAFE, MANY)).items

    async def upload(self, file: File, *, filename: str | None = None) -> Asset:
        """Upload a file of any size; it is read while it is sent (Upload an editor asset). Never sent twice.

        A large one needs more time than other calls: `doxie.with_options(timeout=…, deadline=…)`.

        Args:
            file: A path, bytes, or an async iterator of bytes. An iterator can be read only once, so that an answer
                which would be waited out or met with a new token is raised instead; its own errors come as they are.
            filename: How to call it; needed unless `file` is a path.

        Raises:
            ArgumentError: There is no such file, or no name for it; nothing was sent.
            Rejected: No write permission.
        """
        stream = form_with(file, filename)
        return await self._run(routes.UPLOAD_ASSET, Effect.ONCE, ONE, stream=stream)

    async def delete(self, uuid: str) -> None:
        """Delete an asset (Delete an editor asset). Raises `NotFound`."""
        await self._do(routes.DELETE_ASSET, Effect.REPEATABLE, path={"id": uuid}, done_if=(NotFound,))
