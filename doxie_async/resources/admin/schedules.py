"""Messaging schedules: when messages go out."""

from __future__ import annotations

from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Under
from doxie_async.models.admin import MessagingSchedule
from doxie_async.resources.base import Attributes, DoxieResource, rooted
from klickdoxie_core import Effect
from klickdoxie_core.errors import NotFound

ROOT = "shared_messaging_schedule"
ONE = Annotated[MessagingSchedule, Under("messaging_schedule")]


class MessagingSchedules(DoxieResource):
    """When the messages of an event go out."""

    async def create(self, attributes: Attributes) -> MessagingSchedule:
        """Create a schedule for an event (Create a messaging schedule). Never sent twice."""
        return await self._run(routes.CREATE_MESSAGING_SCHEDULE, Effect.ONCE, ONE, body=rooted(ROOT, attributes))

    async def update(self, id: int | str, attributes: Attributes) -> MessagingSchedule:  # noqa: A002 - the vendor's word
        """Change what is given and nothing else (Update a messaging schedule). Raises `NotFound`."""
        body = rooted(ROOT, attributes)
        return await self._run(routes.UPDATE_MESSAGING_SCHEDULE, Effect.REPEATABLE, ONE, path={"id": id}, body=body)

    async def delete(self, id: int | str) -> None:  # noqa: A002 - the vendor's word
        """Delete a schedule (Delete a messaging schedule). Raises `NotFound`."""
        await self._do(routes.DELETE_MESSAGING_SCHEDULE, Effect.REPEATABLE, path={"id": id}, done_if=(NotFound,))
