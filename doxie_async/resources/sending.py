"""The calls of API users. What sends or creates is never sent again once it may have been carried out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from doxie_async import routes
from doxie_async.convert import Listed, Listing, Under
from doxie_async.errors import AlreadyCancelled, ArgumentError
from doxie_async.models.sending import Consent, EventDetails, EventType, MailResult, ProcessResult, QrCode
from doxie_async.resources.base import DoxieResource, check_text, plain
from klickdoxie_core import Effect

REVOKED = Annotated[Listing[Consent], Listed("revoked_consents")]

Payload = Mapping[str, object]
"""What an event gets: free keys, as it is configured."""


class Mailer(DoxieResource):
    """Mails."""

    async def send(self, event_slug: str, payload: Payload) -> MailResult:
        """Send the mail of an event, and its SMS if it has one (Mailer: Sends a mail). Never sent twice.

        Args:
            event_slug: The event.
            payload: What its templates need, by the names that the event is configured with.

        Raises:
            Rejected: The service refused it.
            SdkError: With `maybe_applied=True` when the mail may have gone out.
        """
        return await self._run(
            routes.SEND_MAIL, Effect.ONCE, MailResult, path={"event_slug": event_slug}, body=plain("payload", payload)
        )


class Injector(DoxieResource):
    """Injections into embedded journeys."""

    async def create(self, event_slug: str, payload: Payload) -> ProcessResult:
        """Create an injection (Injector: Creates an injection for an embedded journey). Never sent twice."""
        return await self._run(
            routes.CREATE_INJECTION,
            Effect.ONCE,
            ProcessResult,
            path={"event_slug": event_slug},
            body=plain("payload", payload),
        )


class Processes(DoxieResource):
    """Processes, as API users see them."""

    async def cancel(self, process_uuid: str) -> ProcessResult:
        """Cancel a process (Shared: Cancel a process). Raises `AlreadyCancelled`."""
        result = await self._run(
            routes.CANCEL_PROCESS,
            Effect.REPEATABLE,
            ProcessResult,
            path={"process_uuid": process_uuid},
            done_if=(AlreadyCancelled,),
        )
        # After an attempt in doubt, "cancelled already" is our own doing and comes without an answer.
        return result or ProcessResult(process_uuid=process_uuid)


class Events(DoxieResource):
    """Events: what can be sent."""

    async def get(self, event_id: str | int, *, type: EventType | str) -> EventDetails:  # noqa: A002 - the vendor's word
        """An event's configuration (Shared: Show event details).

        Args:
            event_id: The event.
            type: Its kind: mailer, survey, qr_code or injector.
        """
        if type not in list(EventType):
            raise ArgumentError(f"type must be one of {', '.join(EventType)}")
        query = {"type": EventType(type).value}
        return await self._run(routes.SHOW_EVENT, Effect.SAFE, EventDetails, path={"event_id": event_id}, query=query)


class Surveys(DoxieResource):
    """Surveys."""

    async def create_inquiry(
        self, event_slug: str, payload: Payload | None = None, *, email: str | None = None, phone: str | None = None
    ) -> ProcessResult:
        """Ask somebody (Survey: Creates an inquiry for a survey response). Never sent twice.

        Args:
            event_slug: The survey's event.
            payload: Free keys beside the address.
            email: Whom to ask by mail; this or `phone` is needed.
            phone: Whom to ask by SMS.
        """
        addresses = {name: value for name, value in (("email", email), ("phone", phone)) if value is not None}
        body = plain("payload", {} if payload is None else payload) | addresses
        if not body.get("email") and not body.get("phone"):
            raise ArgumentError("give an email or a phone")
        for name, address in addresses.items():
            check_text(name, address)
        return await self._run(
            routes.CREATE_INQUIRY, Effect.ONCE, ProcessResult, path={"event_slug": event_slug}, body=body
        )


class QrCodes(DoxieResource):
    """QR codes."""

    async def create(self, event_slug: str, payload: Payload) -> QrCode:
        """Create a QR code (QR Code: Creates a QR code for an event). Never sent twice.

        Args:
            event_slug: The event.
            payload: Its parameters, such as `target_url` and `valid_until`.
        """
        return await self._run(
            routes.CREATE_QR_CODE, Effect.ONCE, QrCode, path={"event_slug": event_slug}, body=plain("payload", payload)
        )


class Consents(DoxieResource):
    """Consents of customers. The current reference has only the heading; an earlier state of it had the operations."""

    async def initiate(
        self, customer_id: str, consent_slug: str, *, email: str | None = None, phone: str | None = None
    ) -> Consent:
        """Ask a customer for a consent (MPM: Initiate consent; not in the current reference). Never sent twice.

        Args:
            customer_id: The customer's id in your system.
            consent_slug: What the consent is for.
            email: How to ask; exactly one of `email` and `phone`.
            phone: How to ask.
        """
        if (email is None) == (phone is None):
            raise ArgumentError("give exactly one of email and phone")
        address = {"email": email} if phone is None else {"phone": phone}
        body = {"customer_id": customer_id, "consent_slug": consent_slug, **address}
        for name, text in body.items():
            check_text(name, text)
        return await self._run(routes.INITIATE_CONSENT, Effect.ONCE, Annotated[Consent, Under("consent")], body=body)

    async def revoke(
        self, customer_id: str, *, consent_slug: str | None = None, revoke_all: bool = False
    ) -> list[Consent]:
        """Revoke one or all consents of a customer (MPM: Revoke consent; not in the current reference).

        Args:
            customer_id: The customer's id in your system.
            consent_slug: Which one; this or `revoke_all`.
            revoke_all: All of them.
        """
        if (consent_slug is None) is not revoke_all:
            raise ArgumentError("give either a consent_slug or revoke_all=True")
        check_text("customer_id", customer_id)
        if not revoke_all:
            check_text("consent_slug", consent_slug)
        which: dict[str, object] = {"revoke_all": True} if revoke_all else {"consent_slug": consent_slug}
        listing = await self._run(
            routes.REVOKE_CONSENTS, Effect.REPEATABLE, REVOKED, body={"customer_id": customer_id, **which}
        )
        return listing.items
