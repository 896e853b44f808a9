"""Brands: the senders of a tenant, with what they need at their providers."""

from __future__ import annotations

from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Under
from doxie_async.models.admin import Brand, NotificationWebhook, ProviderCheck
from doxie_async.resources.base import PAGE_SIZE, Attributes, Client, DoxieResource, plain, rooted
from doxie_async.routes import Operation
from klickdoxie_core import Effect, Pages
from klickdoxie_core.errors import NotFound

ONE = Annotated[Brand, Under("brand")]
STATUS = Annotated[NotificationWebhook, Under("webhook")]
CHECK = Annotated[ProviderCheck, Under()]
_LISTS = ("possible_sender_emails", "rcs_possible_senders")


class BrandWebhooks(DoxieResource):
    """The notification webhooks of a brand at one provider."""

    def __init__(self, client: Client, *, show: Operation, register: Operation, remove: Operation) -> None:
        super().__init__(client)
        self._show, self._register, self._remove = show, register, remove

    async def status(self, brand_id: int | str) -> NotificationWebhook:
        """Whether the provider reports back (Show … notification webhook status for a brand)."""
        return await self._run(self._show, Effect.SAFE, STATUS, path={"brand_id": brand_id})

    async def register(self, brand_id: int | str) -> NotificationWebhook:
        """Let the provider report back (Register … notification webhook for a brand). Never sent twice."""
        return await self._run(self._register, Effect.ONCE, STATUS, path={"brand_id": brand_id})

    async def remove(self, brand_id: int | str) -> None:
        """Let the provider report back no more (Remove … notification webhook for a brand). Never sent twice."""
        await self._do(self._remove, Effect.ONCE, path={"brand_id": brand_id})


class Brands(DoxieResource):
    """Brands. Secrets come masked; a fetched brand must not be sent back."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.mailjet = BrandWebhooks(
            client, show=routes.SHOW_MAILJET, register=routes.REGISTER_MAILJET, remove=routes.REMOVE_MAILJET
        )
        self.rcs = BrandWebhooks(client, show=routes.SHOW_RCS, register=routes.REGISTER_RCS, remove=routes.REMOVE_RCS)
        self.sms = BrandWebhooks(client, show=routes.SHOW_SMS, register=routes.REGISTER_SMS, remove=routes.REMOVE_SMS)

    def all(self, *, page_size: int = PAGE_SIZE) -> Pages[Brand]:
        """Every brand (List brands)."""
        return self._pages(routes.LIST_BRANDS, Brand, "brands", page_size)

    async def create(self, attributes: Attributes) -> Brand:
        """Create a brand (Create a brand). Never sent twice. Raises `Rejected` without write permission."""
        return await self._run(routes.CREATE_BRAND, Effect.ONCE, ONE, body=rooted("brand", _listed(attributes)))

    async def get(self, id: int | str) -> Brand:  # noqa: A002 - the vendor's word
        """A brand by its id (Show a brand). Raises `NotFound`."""
        return await self._run(routes.SHOW_BRAND, Effect.SAFE, ONE, path={"id": id})

    async def update(self, id: int | str, attributes: Attributes) -> Brand:  # noqa: A002 - the vendor's word
        """Change what is given and nothing else (Update a brand). Raises `NotFound`."""
        body = rooted("brand", _listed(attributes))
        return await self._run(routes.UPDATE_BRAND, Effect.REPEATABLE, ONE, path={"id": id}, body=body)

    async def delete(self, id: int | str) -> None:  # noqa: A002 - the vendor's word
        """Delete a brand (Delete a brand). Raises `NotFound`."""
        await self._do(routes.DELETE_BRAND, Effect.REPEATABLE, path={"id": id}, done_if=(NotFound,))

    async def setup_ses(self, brand_id: int | str) -> ProviderCheck:
        """Start the set-up of Amazon SES (Trigger SES setup for a brand). Never sent twice."""
        return await self._run(routes.SETUP_SES, Effect.ONCE, CHECK, path={"brand_id": brand_id})

    async def test_smtp(self, brand_id: int | str) -> ProviderCheck:
        """Test the SMTP connection, and say with which settings (Test SMTP connection for a brand). Never sent twice.

        Raises `Rejected` when the connection failed.
        """
        return await self._run(routes.TEST_SMTP, Effect.ONCE, CHECK, path={"brand_id": brand_id})


def _listed(attributes: Attributes) -> Attributes:
    """The two lists as lists, also where they were given as a text with commas."""
    given = plain("attributes", attributes)
    return {name: _as_list(value) if name in _LISTS else value for name, value in given.items()}


def _as_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
