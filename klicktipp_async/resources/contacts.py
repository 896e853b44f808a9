"""Contacts: people with an e-mail address or an SMS number."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import cast

import attrs

from klickdoxie_core import UNSET, Call, Effect, Page, SdkError, Unset, bulk, by_cursor
from klickdoxie_core.pages import Trail
from klicktipp_async.contact_details import check_email, check_phone, normalise_phone
from klicktipp_async.convert import Ack
from klicktipp_async.errors import ArgumentError, DecodeError, NotFound, NotSubscribed
from klicktipp_async.field_schema import FieldValue
from klicktipp_async.id_stream import IdCollector, IdStream
from klicktipp_async.models.contact import Bounce, Contact, ContactIds, ContactStatus
from klicktipp_async.resources._settle import settle
from klicktipp_async.resources.base import (
    KlickTippResource,
    check_concurrency,
    check_contact,
    check_number,
    check_tag_id,
)

Fields = Mapping[str, FieldValue]
Statuses = ContactStatus | str | Iterable[ContactStatus | str] | None
Bounces = Bounce | str | Iterable[Bounce | str] | None

_MANY_IDS = 256 * 1024 * 1024
_MOST_USED = ContactStatus.SUBSCRIBED
_NOT_HARD = (Bounce.SOFT, Bounce.SPAM, Bounce.NONE)


class Contacts(KlickTippResource):
    """People with an e-mail address or an SMS number. A `contact` is named by its id or its contact key."""

    async def upsert(
        self,
        *,
        email: str | None = None,
        sms_number: str | None = None,
        opt_in_id: int | None = None,
        tag_id: int | None = None,
        fields: Fields | None = None,
        confirm: bool = True,
    ) -> Contact:
        """Add a contact, or update the one with this address or number (Add or Update Contact).

        A new contact may get a confirmation mail, so the call is never repeated blindly: when its answer is lost, the
        contact is looked up by its address, returned if it is there as wanted, and sent again only if it is absent. The
        deadline of the call is for all of that.

        Args:
            email: The e-mail address; one of `email` and `sms_number` is needed.
            sms_number: The number with its country, such as +49… or 0049….
            opt_in_id: The opt-in process; None runs the account's own double opt-in, which may send a mail.
            tag_id: One manual tag to set.
            fields: Data fields by key; see `FieldSchema` for values other than texts and whole numbers.
            confirm: False raises an error with `maybe_applied=True` instead of looking.

        Returns:
            The contact; it may still be pending.

        Raises:
            AddressUnsubscribed: The address has unsubscribed; it stays so.
            AddressBlocked, InvalidEmail, InvalidPhone, SmsNumberTaken: As their names say.
            FieldValidationError, OptInNotFound, TagNotFound: Likewise.
            ArgumentError: A value that cannot be sent; nothing was sent.
        """
        if email is None and sms_number is None:
            raise ArgumentError("give an email or an sms_number")
        _check(email, sms_number)
        if opt_in_id is not None:
            check_number("opt_in_id", opt_in_id)
        if tag_id is not None:
            check_tag_id("tag_id", tag_id)
        wire_fields = self._kt.field_schema.to_wire(fields) if fields else {}
        body = {"email": email, "smsnumber": sms_number, "listid": opt_in_id, "tagid": tag_id, "fields": wire_fields}

        async def send() -> Contact:
            sent = {key: value for key, value in body.items() if value is not None and value != {}}
            return self._typed(await self._post("Add or Update Contact", Contact, "/subscriber", body=sent))

        async def look_up(error: SdkError) -> Contact | None:
            if email is None:
                raise error
            contact_id = await self.find_id(email)
            if contact_id is None:
                return None
            contact = await self.get(contact_id)
            if contact.status == ContactStatus.UNSUBSCRIBED:
                raise error
            return await self._completed(contact, email, sms_number, tag_id, wire_fields)

        if not confirm:
            return await send()
        return await settle(send, look_up, self._kt.pause_before_look_up, self._kt.deadline)

    async def get(self, contact: int | str) -> Contact:
        """A contact with all that is known of it (Get Contact). Raises `ContactNotFound`."""
        check_contact(contact)
        path = {"contact": contact}
        return self._typed(await self._get("Get Contact", Contact, "/subscriber/{contact}", path=path))

    async def find_id(self, email: str) -> int | None:
        """The id of the contact with this address; None if there is none (Search Contact ID)."""
        check_email("email", email)
        body, safe = {"email": email}, Effect.SAFE
        try:
            ids = await self._post("Search Contact ID", list[int], "/subscriber/search", body=body, effect=safe)
        except NotFound:
            return None
        return ids[0] if ids else None

    async def update(
        self,
        contact: int | str,
        *,
        email: str | Unset | None = UNSET,
        sms_number: str | Unset | None = UNSET,
        fields: Fields | None = None,
    ) -> None:
        """Change a contact's address, number or data fields; what is not given stays (Update Contact).

        This is how an address is changed: a second `upsert` would make a second contact. None is sent as `null`, of
        which the vendor does not say what it does.

        Raises:
            ContactNotFound: There is no such contact.
            EmailTaken, SmsNumberTaken, InvalidEmail, InvalidPhone, FieldValidationError: As their names say.
        """
        check_contact(contact)
        given = {"newemail": email, "newsmsnumber": sms_number}
        body: dict[str, object] = {key: value for key, value in given.items() if not isinstance(value, Unset)}
        _check(None if isinstance(email, Unset) else email, None if isinstance(sms_number, Unset) else sms_number)
        if fields:
            body["fields"] = self._kt.field_schema.to_wire(fields)
        if not body:
            raise ArgumentError("give an email, an sms_number or fields to change")
        path = {"contact": contact}
        await self._put("Update Contact", Ack, "/subscriber/{contact}", path=path, body=body, empty_ok=True)

    async def delete(self, contact: int | str) -> None:
        """Delete a contact for good (Delete Contact). Raises `ContactNotFound`."""
        check_contact(contact)
        path = {"contact": contact}
        await self._delete(
            "Delete Contact", Ack, "/subscriber/{contact}", path=path, empty_ok=True, done_if=(NotFound,)
        )

    async def unsubscribe(self, email: str) -> None:
        """Unsubscribe an address; it cannot be subscribed again through the API (Unsubscribe Contact).

        Raises `ContactNotFound` and `NotSubscribed`.
        """
        done = (NotFound, NotSubscribed)
        await self._write("Unsubscribe Contact", "/subscriber/unsubscribe", email, {}, done)

    async def tag(self, email: str, tag_ids: int | Iterable[int]) -> None:
        """Set one or more manual tags; those that are set already stay (Tag Contact).

        Raises `ContactNotFound`, `TagNotFound` and `SmartTagProtected`.
        """
        await self._write("Tag Contact", "/subscriber/tag", email, {"tagids": _ids(tag_ids)})

    async def untag(self, email: str, tag_id: int) -> None:
        """Take one manual tag off (Untag Contact). Raises `ContactNotFound`, `TagNotFound`, `SmartTagProtected`."""
        check_tag_id("tag_id", tag_id)
        await self._write("Untag Contact", "/subscriber/untag", email, {"tagid": tag_id}, (NotFound,))

    async def ids(self, *, status: Statuses = None, bounce: Bounces = None) -> list[int]:
        """The ids of contacts; an empty list if there are none (List Contacts).

        Args:
            status: `ContactStatus` words, one or several; None leaves it to the service: subscribed.
            bounce: `Bounce` words, one or several; None leaves it to the service: all but hard bounces.
        """
        wanted = _wanted(status, bounce)

        async def fetch(cursor: str) -> Page[int]:
            ids: list[int] = []
            try:
                page = await self._kt.run(_list_contacts(wanted, cursor, partial(IdCollector, ids)))
            except NotFound:
                return Page(items=[])
            ids += page.ids
            return Page(items=ids, next=page.cursor)

        found: list[int] = []
        async for page in by_cursor(fetch, dialect=self._kt.dialect).by_page():
            # A second list of a million is megabytes; nearly always there is but one page.
            found = [*found, *page.items] if found else cast("list[int]", page.items)
        return found

    def iter_ids(
        self, *, status: Statuses = None, bounce: Bounces = None
    ) -> AbstractAsyncContextManager[AsyncIterator[int]]:
        """The ids of contacts while they come in: any number of them in the memory of a few (List Contacts).

        `async with kt.contacts.iter_ids() as ids: async for contact_id in ids: …`. The list stays open at the service
        until its end or the end of the block, so a reader who takes hours should ask for `ids()`.

        Args:
            status: As for `ids`.
            bounce: As for `ids`.

        Raises:
            Interrupted: By the iteration, when the list breaks off; what came before was given out.
        """
        return self._iter_ids(_wanted(status, bounce))

    @asynccontextmanager
    async def _iter_ids(self, wanted: Mapping[str, str | int]) -> AsyncGenerator[AsyncIterator[int]]:
        async def ids() -> AsyncGenerator[int]:
            cursor: str | None = ""
            trail = Trail(cursor, DecodeError)
            while cursor is not None:
                try:
                    async with self._kt.stream(_list_contacts(wanted, cursor), IdStream()) as answer:
                        async for some in answer:
                            for each in some:
                                yield each
                except NotFound:
                    return
                for each in answer.rest.ids:
                    yield each
                cursor = answer.rest.cursor
                trail.go_on(cursor)

        async with aclosing(ids()) as found:
            yield found

    async def tagged(
        self, tag_id: int, *, status: Statuses = _MOST_USED, bounce: Bounces = _NOT_HARD
    ) -> dict[int, datetime]:
        """The contacts with a tag, manual or smart: id to the moment it was set, in UTC (Search Tagged Contacts).

        Args:
            tag_id: The tag.
            status: `ContactStatus` words, one or several; default: subscribed.
            bounce: `Bounce` words, one or several; default: all but hard bounces.
        """
        check_tag_id("tag_id", tag_id)
        body = {
            "tagid": tag_id,
            "status": _words("status", _MOST_USED if status is None else status, ContactStatus),
            "bounceStatus": _words("bounce", _NOT_HARD if bounce is None else bounce, Bounce),
        }
        kind = dict[int, datetime]
        try:
            return await self._post(
                "Search Tagged Contacts", kind, "/subscriber/tagged", body=body, effect=Effect.SAFE, max_body=_MANY_IDS
            )
        except NotFound as error:
            # An HTTP 404 says that there are none; an error number says that there is no such tag.
            if error.code is not None:
                raise
            return {}

    def iter(
        self, *, status: Statuses = None, bounce: Bounces = None, concurrency: int = 8
    ) -> AbstractAsyncContextManager[AsyncIterator[Contact]]:
        """Whole contacts, fetched a few at a time, in no particular order (List Contacts, then Get Contact for each).

        `async with kt.contacts.iter() as contacts: async for contact in contacts: …`. A contact that is deleted
        meanwhile is left out.
        """
        check_concurrency(concurrency)
        return self._iter(status, bounce, concurrency)

    @asynccontextmanager
    async def _iter(
        self, status: Statuses, bounce: Bounces, concurrency: int
    ) -> AsyncGenerator[AsyncIterator[Contact]]:
        ids = await self.ids(status=status, bounce=bounce)
        async with bulk(self.get, ids, concurrency=concurrency) as outcomes:

            async def contacts() -> AsyncGenerator[Contact]:
                async for outcome in outcomes:
                    if not isinstance(outcome.error, NotFound):
                        yield outcome.unwrap()

            async with aclosing(contacts()) as found:
                yield found

    async def _completed(
        self, contact: Contact, email: str, sms_number: str | None, tag_id: int | None, fields: Mapping[str, str]
    ) -> Contact:
        """The contact as it is wanted, completed by calls that may be repeated and send no mail."""
        lacks_number = sms_number is not None and _number_of(contact) != normalise_phone(sms_number)
        lacks_fields = any(contact.fields.get(key) != value for key, value in fields.items())
        lacks_tag = tag_id is not None and tag_id not in contact.tags and tag_id not in contact.manual_tags
        if lacks_number or lacks_fields:
            await self.update(contact.id, sms_number=sms_number if lacks_number else UNSET, fields=fields)
        if tag_id is not None and lacks_tag:
            await self.tag(email, tag_id)
        return await self.get(contact.id) if lacks_number or lacks_fields or lacks_tag else contact

    async def _write(
        self,
        operation: str,
        template: str,
        email: str,
        body: Mapping[str, object],
        done_if: tuple[type[Exception], ...] = (),
    ) -> None:
        check_email("email", email)
        await self._post(
            operation,
            Ack,
            template,
            body={"email": email, **body},
            effect=Effect.REPEATABLE,
            empty_ok=True,
            done_if=done_if,
        )

    def _typed(self, contact: Contact) -> Contact:
        schema = self._kt.field_schema
        # A copy of so large a value costs more than reading the answer did.
        return contact if contact.schema == schema else attrs.evolve(contact, schema=schema)


def _wanted(status: Statuses, bounce: Bounces) -> dict[str, str | int]:
    query: dict[str, str | int] = {}
    if status is not None:
        query["status"] = ",".join(_words("status", status, ContactStatus))
    if bounce is not None:
        query["bounceStatus"] = ",".join(_words("bounce", bounce, Bounce))
    return query


def _list_contacts(
    wanted: Mapping[str, str | int], cursor: str, reader: Callable[[], IdStream] | None = None
) -> Call[ContactIds]:
    query = {**wanted, "cursor": cursor} if cursor else wanted
    return Call(
        operation="List Contacts",
        method="GET",
        template="/subscriber",
        into=ContactIds,
        query=query or None,
        effect=Effect.SAFE,
        max_body=_MANY_IDS,
        reader=reader,
    )


def _number_of(contact: Contact) -> str:
    return normalise_phone(contact.sms_phone or "")


def _check(email: str | None, sms_number: str | None) -> None:
    if email is not None:
        check_email("email", email)
    if sms_number is not None:
        check_phone("sms_number", sms_number)


def _words(name: str, words: object, known: type[ContactStatus | Bounce]) -> list[str]:
    allowed = {word.value: word.value for word in known}
    given = [allowed.get(word) if isinstance(word, str) else None for word in _several(words)]
    if not given or None in given:
        raise ArgumentError(f"{name} must be one or several of {', '.join(allowed)}")
    return [word for word in given if word is not None]


def _ids(tag_ids: object) -> list[object]:
    ids = _several(tag_ids)
    if not ids:
        raise ArgumentError("tag_ids must name at least one tag")
    for tag_id in ids:
        check_tag_id("tag_ids", tag_id)
    return ids


def _several(values: object) -> list[object]:
    """The values of an iterable; anything else, and what is a text or bytes, is one value."""
    if isinstance(values, str | bytes | bytearray | memoryview) or not isinstance(values, Iterable):
        return [values]
    return list(cast("Iterable[object]", values))
