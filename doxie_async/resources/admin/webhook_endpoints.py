"""Webhook endpoints: where Doxie reports to."""

from __future__ import annotations

from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Under
from doxie_async.errors import ArgumentError
from doxie_async.models.admin import Interaction, WebhookEndpoint
from doxie_async.resources.base import PAGE_SIZE, Attributes, DoxieResource, rooted
from klickdoxie_core import Effect, Pages
from klickdoxie_core.errors import NotFound

ROOT = "webhook_abstract_endpoint"
ONE = Annotated[WebhookEndpoint, Under("endpoint")]


class WebhookEndpoints(DoxieResource):
    """Where Doxie reports to."""

    def all(self, *, show_inactive: bool | None = None, page_size: int = PAGE_SIZE) -> Pages[WebhookEndpoint]:
        """Every endpoint; the inactive ones too on request (List webhook endpoints)."""
        if not isinstance(show_inactive, bool | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError("show_inactive must be True, False or None")
        query: dict[str, str | int] = {} if show_inactive is None else {"show_inactive": str(show_inactive).lower()}
        return self._pages(routes.LIST_WEBHOOK_ENDPOINTS, WebhookEndpoint, "endpoints", page_size, query=query)

    async def create(self, attributes: Attributes) -> WebhookEndpoint:
        """Create an endpoint (Create a webhook endpoint). Never sent twice."""
        return await self._run(routes.CREATE_WEBHOOK_ENDPOINT, Effect.ONCE, ONE, body=rooted(ROOT, attributes))

    async def get(self, id: int | str) -> WebhookEndpoint:  # noqa: A002 - the vendor's word
        """An endpoint by its id (Show a webhook endpoint and its interactions). Raises `NotFound`."""
        return await self._run(routes.SHOW_WEBHOOK_ENDPOINT, Effect.SAFE, ONE, path={"endpoint_id": id})

    async def update(self, id: int | str, attributes: Attributes) -> WebhookEndpoint:  # noqa: A002 - the vendor's word
        """Change what is given and nothing else (Update a webhook endpoint). Raises `NotFound`."""
        body, path = rooted(ROOT, attributes), {"endpoint_id": id}
        return await self._run(routes.UPDATE_WEBHOOK_ENDPOINT, Effect.REPEATABLE, ONE, path=path, body=body)

    async def delete(self, id: int | str) -> None:  # noqa: A002 - the vendor's word
        """Delete an endpoint (Delete a webhook endpoint). Raises `NotFound`."""
        path = {"endpoint_id": id}
        await self._do(routes.DELETE_WEBHOOK_ENDPOINT, Effect.REPEATABLE, path=path, done_if=(NotFound,))

    def interactions(self, id: int | str, *, page_size: int = PAGE_SIZE) -> Pages[Interaction]:  # noqa: A002
        """What was delivered to an endpoint (Show a webhook endpoint and its interactions)."""
        path = {"endpoint_id": id}
        return self._pages(routes.SHOW_WEBHOOK_ENDPOINT, Interaction, "interactions", page_size, path=path)
