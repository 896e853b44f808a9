"""Which contact a row means: by its id in KlickTipp, then by the CRM's own id, then by its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from klicktipp_async.client import KlickTipp
from klicktipp_async.crm import findings
from klicktipp_async.crm.crm_ids import CrmIds
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.errors import ContactNotFound
from klicktipp_async.models.contact import Contact, ContactStatus

if TYPE_CHECKING:
    from klicktipp_async.crm.wanted import Rules, Wanted


@attrs.frozen
class Found:
    """The contact of a row, None if there is none, and why the row must be left alone, None if it need not."""

    contact: Contact | None = None
    reason: Reason | None = None


class Identity:
    """Finds the contacts of rows. It only reads.

    Args:
        kt: A client of the account.
        rules: Where the CRM's id is kept.
        ids: What finds contacts by the CRM's id; None to do without.
    """

    def __init__(self, kt: KlickTipp, rules: Rules, ids: CrmIds | None) -> None:
        self._kt = kt
        self._crm_field = rules.crm_field
        self._ids = ids

    async def find(self, wanted: Wanted) -> Found:
        """The contact that a row means, and whether it may be touched."""
        contact = await self._by_id(wanted) or await self._by_crm_id(wanted)
        if contact is not None:
            return Found(contact, _unsubscribed(contact) or await self._address_taken(contact, wanted))
        contact = await self._by_email(wanted)
        if contact is None:
            return Found()
        if self._is_of_another(contact, wanted):
            return Found(None, findings.other_crm_contact(contact.id))
        return Found(contact, _unsubscribed(contact))

    async def _by_id(self, wanted: Wanted) -> Contact | None:
        return None if wanted.contact is None else await self._get(wanted.contact)

    async def _by_crm_id(self, wanted: Wanted) -> Contact | None:
        if self._ids is None or wanted.crm_id is None:
            return None
        while (contact_id := await self._ids.find(wanted.crm_id)) is not None:
            contact = await self._get(contact_id)
            if contact is not None and self._crm_id(contact) == wanted.crm_id.strip():
                return contact
            # Another contact may have the same id: the one that somebody has left it to.
            await self._ids.forget(contact_id)
        return None

    async def _by_email(self, wanted: Wanted) -> Contact | None:
        contact_id = None if wanted.email is None else await self._kt.contacts.find_id(wanted.email)
        return None if contact_id is None else await self._get(contact_id)

    async def _get(self, contact: int | str) -> Contact | None:
        try:
            return await self._kt.contacts.get(contact)
        except ContactNotFound:
            return None

    async def _address_taken(self, contact: Contact, wanted: Wanted) -> Reason | None:
        """Why the contact cannot get the address; a change of letters' case alone is none."""
        if wanted.email is None or wanted.email.lower() == (contact.email or "").lower():
            return None
        owner = await self._kt.contacts.find_id(wanted.email)
        return None if owner is None or owner == contact.id else findings.email_taken(owner)

    def _is_of_another(self, contact: Contact, wanted: Wanted) -> bool:
        return wanted.crm_id is not None and self._crm_id(contact) not in {"", wanted.crm_id.strip()}

    def _crm_id(self, contact: Contact) -> str:
        return "" if self._crm_field is None else contact.fields.get(self._crm_field, "").strip()


def _unsubscribed(contact: Contact) -> Reason | None:
    return findings.UNSUBSCRIBED if contact.status == ContactStatus.UNSUBSCRIBED else None
