"""The tenant's settings."""

from __future__ import annotations

from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Under
from doxie_async.models.admin import Tenant
from doxie_async.resources.base import Attributes, DoxieResource, rooted
from klickdoxie_core import Effect

ONE = Annotated[Tenant, Under("tenant")]


class TenantSettings(DoxieResource):
    """The tenant's settings."""

    async def get(self) -> Tenant:
        """The settings (Show tenant settings)."""
        return await self._run(routes.SHOW_TENANT, Effect.SAFE, ONE)

    async def update(self, attributes: Attributes) -> Tenant:
        """Change what is given and nothing else (Update tenant settings)."""
        body = rooted("tenant_params", attributes)
        return await self._run(routes.UPDATE_TENANT, Effect.REPEATABLE, ONE, body=body)
