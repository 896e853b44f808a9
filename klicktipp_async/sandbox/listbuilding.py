"""The operations that a listbuilding key opens, without an account."""

from __future__ import annotations

from klicktipp_async.sandbox.catalogue import pending_page
from klicktipp_async.sandbox.store import Status, Store, StoredApiKey
from klicktipp_async.sandbox.subscription import Wish, manual_tag, subscribe
from klicktipp_async.sandbox.wire_format import Ask, Refused, business


def sign_in(store: Store, ask: Ask) -> list[str]:
    """Sign In: subscribe through the key's process and put on the key's tag and its SmartTag."""
    key = _key(store, ask)
    wish = Wish(
        email=ask.text("email") or "",
        sms_number=ask.text("smsnumber") or "",
        opt_in_id=key.opt_in_id,
        tag_id=key.tag_id,
        fields=ask.mapping("fields"),
    )
    contact = subscribe(store, wish)
    store.put_on(contact, key.smart_tag_id)
    return [pending_page(contact.key)]


def sign_out(store: Store, ask: Ask) -> list[bool]:
    """Sign Out: take off the key's tag; it is "not found" on a contact that does not have it."""
    key = _key(store, ask)
    contact = store.with_email(ask.required("email"))
    if contact is None or not store.take_off(contact, manual_tag(store, key.tag_id).id):
        raise business(403)
    return [True]


def sign_off(store: Store, ask: Ask) -> list[bool]:
    """Sign Off: unsubscribe."""
    _key(store, ask)
    contact = store.with_email(ask.required("email"))
    if contact is None or contact.status is not Status.SUBSCRIBED:
        raise business(9)
    store.unsubscribe(contact)
    return [True]


def _key(store: Store, ask: Ask) -> StoredApiKey:
    key = store.api_keys.get(ask.required("apikey"))
    if key is None:
        raise Refused(500)
    return key
