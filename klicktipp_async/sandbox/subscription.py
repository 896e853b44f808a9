"""What happens when somebody is subscribed or changed, and every reason to refuse it. Nothing is applied in part."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from klicktipp_async.sandbox.rules import InvalidValue, is_email, sms_number, stored
from klicktipp_async.sandbox.store import Status, Store, StoredContact, StoredOptIn, StoredTag
from klicktipp_async.sandbox.texts import Text
from klicktipp_async.sandbox.wire_format import Refused, business


@attrs.frozen(kw_only=True)
class Wish:
    """Who is to be subscribed, through which process, and with what. An empty text is nothing."""

    email: str
    sms_number: str
    opt_in_id: int | None
    tag_id: int | None
    fields: Mapping[str, object]


def subscribe(store: Store, wish: Wish) -> StoredContact:
    """The contact that the wish is about, made or changed."""
    contact, number = _identified(store, wish)
    opt_in = opt_in_of(store, wish.opt_in_id)
    tag = manual_tag(store, wish.tag_id) if wish.tag_id is not None else None
    values = _field_values(store, wish.fields)
    if contact is None:
        contact = store.add_contact(wish.email, opt_in)
    elif contact.status is Status.PENDING:
        _ask_again(store, contact, opt_in)
    _apply(store, contact, number, values)
    if tag:
        store.put_on(contact, tag.id)
    return contact


def change(store: Store, contact: StoredContact, email: str, number_text: str, fields: Mapping[str, object]) -> None:
    """Change what is given of a contact; an empty address or number stays as it is."""
    if email:
        _check_email(store, email, contact)
        owner = store.with_email(email)
        if owner is not None and owner is not contact:
            raise business(507)
    number = _number(number_text, contact) if number_text else ""
    _check_owner(store, number, contact)
    values = _field_values(store, fields)
    if email:
        store.change_email(contact, email)
    _apply(store, contact, number, values)


def opt_in_of(store: Store, opt_in_id: int | None) -> StoredOptIn:
    """The opt-in process with this id, the account's default for None."""
    if opt_in_id is None:
        return store.default_opt_in
    if opt_in_id not in store.opt_ins:
        raise business(402)
    return store.opt_ins[opt_in_id]


def known_tag(store: Store, tag_id: int) -> StoredTag:
    """The tag with this id, manual or smart."""
    if tag_id not in store.tags:
        raise business(403)
    return store.tags[tag_id]


def manual_tag(store: Store, tag_id: int) -> StoredTag:
    """The tag with this id, which must not be a SmartTag."""
    tag = known_tag(store, tag_id)
    if tag.smart:
        raise business(31)
    return tag


def _identified(store: Store, wish: Wish) -> tuple[StoredContact | None, str]:
    """Who is meant, and the SMS number as it is kept; the address decides where both are given."""
    if not (wish.email or wish.sms_number):
        raise Refused(401, {"error": 32})
    contact = None
    if wish.email:
        _check_email(store, wish.email, None)
        contact = store.with_email(wish.email)
    if contact is not None and contact.status is Status.UNSUBSCRIBED:
        raise business(4)
    number = _number(wish.sms_number, contact) if wish.sms_number else ""
    if not wish.email:
        contact = store.with_number(number)
    _check_owner(store, number, contact)
    return contact, number


def _check_email(store: Store, email: str, contact: StoredContact | None) -> None:
    if not is_email(email):
        raise _refusal(contact, 5)
    if email.casefold() in store.blocked:
        raise _refusal(contact, 30)


def _number(text: str, contact: StoredContact | None) -> str:
    number = sms_number(text)
    if number is None:
        raise _refusal(contact, 11)
    return number


def _check_owner(store: Store, number: str, contact: StoredContact | None) -> None:
    owner = store.with_number(number) if number else None
    if owner is None:
        return
    if owner is not contact:
        raise _refusal(contact, 9)
    if owner.sms_status is Status.UNSUBSCRIBED:
        raise _refusal(contact, 10)


def _refusal(contact: StoredContact | None, error: int) -> Refused:
    """Alone for a new contact, below "update failed" for a known one."""
    return business(error) if contact is None else business(10, error)


def _field_values(store: Store, fields: Mapping[str, object]) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in fields.items():
        field = store.fields.get(key)
        if field is None:
            raise _invalid("", key, Text.UNKNOWN_KEY, value)
        try:
            values[key] = stored(key, field.type, value)
        except InvalidValue as invalid:
            raise _invalid(field.label, key, invalid.reason, value) from None
    return values


def _invalid(label: str, key: str, reason: Text, value: object) -> Refused:
    return Refused(406, {"error": 8, "field": label, "name": key, "reason": reason, "field_value": value})


def _ask_again(store: Store, contact: StoredContact, opt_in: StoredOptIn) -> None:
    contact.opt_in_id = opt_in.id
    if opt_in.single:
        store.confirm(contact)
    elif opt_in.resend:
        store.confirmation_mails[contact.email] += 1


def _apply(store: Store, contact: StoredContact, number: str, values: Mapping[str, str]) -> None:
    if number and number != contact.sms_number:
        store.change_number(contact, number)
    contact.fields.update(values)
