"""The operations on contacts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

from klicktipp_async.sandbox.store import Bounce, Status, Store, StoredContact
from klicktipp_async.sandbox.subscription import Wish, change, known_tag, manual_tag, subscribe
from klicktipp_async.sandbox.texts import Text
from klicktipp_async.sandbox.wire_format import NO_ID, Ask, Refused, as_id, business, missing

_STATUS_WORDS = {
    Status.PENDING: "Opt-In Pending",
    Status.SUBSCRIBED: "Subscribed",
    Status.UNSUBSCRIBED: "Unsubscribed",
}
_BOUNCE_WORDS = {
    Bounce.NONE: "Not Bounced",
    Bounce.SOFT: "Soft Bounced",
    Bounce.HARD: "Hard Bounced",
    Bounce.SPAM: "Spam Bounced",
}
_LISTED_STATUS = frozenset[str]({Status.SUBSCRIBED})
_LISTED_BOUNCE = frozenset[str]({Bounce.SOFT, Bounce.SPAM, Bounce.NONE})
_EMPTY_MAPS = (
    "notification_emails_sent",
    "notification_emails_opened",
    "notification_emails_clicked",
    "emails_sent",
    "emails_opened",
    "emails_clicked",
    "campaigns_started",
    "campaigns_finished",
)
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - shown where no IP address is known, nothing listens on it
_BY_REQUEST = f"{_NO_ADDRESS} - By API Request"


def list_contacts(store: Store, ask: Ask) -> object:
    """List Contacts: all at once, or a page where `limit` is sent."""
    wanted = _filter(ask)
    if "limit" in ask.query:
        return _page(store, wanted, as_id(ask.query["limit"]), ask.query.get("cursor"))
    ids = [str(contact.id) for contact in store.contacts.values() if wanted(contact)]
    if not ids:
        raise Refused(404, [Text.NO_CONTACTS])
    return ids if ask.wire_format.contact_list == "flat" else {"subscribers": ids}


def upsert(store: Store, ask: Ask) -> dict[str, object]:
    """Add or Update Contact."""
    wish = Wish(
        email=ask.text("email") or "",
        sms_number=ask.text("smsnumber") or "",
        opt_in_id=ask.number("listid"),
        tag_id=ask.number("tagid"),
        fields=ask.mapping("fields"),
    )
    return _shown(store, subscribe(store, wish))


def get(store: Store, ask: Ask) -> dict[str, object]:
    """Get Contact; an unknown one is a 404 without a body."""
    return _shown(store, _addressed(store, ask, Refused(404)))


def update(store: Store, ask: Ask) -> list[bool]:
    """Update Contact."""
    contact = _addressed(store, ask, Refused(406, [Text.CONTACT_GONE]))
    change(store, contact, ask.text("newemail") or "", ask.text("newsmsnumber") or "", ask.mapping("fields"))
    return [True]


def delete(store: Store, ask: Ask) -> list[bool]:
    """Delete Contact."""
    store.delete_contact(_addressed(store, ask, Refused(406, [Text.CONTACT_GONE])))
    return [True]


def unsubscribe(store: Store, ask: Ask) -> list[bool]:
    """Unsubscribe Contact; only who is subscribed can be."""
    contact = _by_email(store, ask)
    if contact.status is not Status.SUBSCRIBED:
        raise business(9)
    store.unsubscribe(contact)
    return [True]


def tag(store: Store, ask: Ask) -> list[bool]:
    """Tag Contact: all tags or none."""
    tag_ids = ask.required_numbers("tagids")
    contact = _by_email(store, ask)
    for each in [manual_tag(store, tag_id) for tag_id in tag_ids]:
        store.put_on(contact, each.id)
    return [True]


def untag(store: Store, ask: Ask) -> list[bool]:
    """Untag Contact; a tag that is not on is no mistake."""
    tag_id = _tag_id(ask)
    contact = _by_email(store, ask)
    store.take_off(contact, manual_tag(store, tag_id).id)
    return [True]


def search(store: Store, ask: Ask) -> list[int]:
    """Search Contact ID."""
    contact = store.with_email(ask.required("email"))
    if contact is None:
        raise Refused(404, [Text.NO_CONTACT])
    return [contact.id]


def tagged(store: Store, ask: Ask) -> dict[int, str]:
    """Search Tagged Contacts: id to time of tagging."""
    tag_id = known_tag(store, _tag_id(ask)).id
    wanted = _filter(ask)
    holders = store.holders[tag_id].values()
    return {contact.id: str(contact.tags[tag_id]) for contact in holders if wanted(contact)}


def _addressed(store: Store, ask: Ask, unknown: Refused) -> StoredContact:
    """The contact that the path names, by its id or its key."""
    name = ask.hole("subscriberid")
    contact = store.with_key(name) or store.contacts.get(as_id(name))
    if contact is None:
        raise unknown
    return contact


def _by_email(store: Store, ask: Ask) -> StoredContact:
    contact = store.with_email(ask.required("email"))
    if contact is None:
        raise business(7)
    return contact


def _tag_id(ask: Ask) -> int:
    tag_id = ask.number("tagid")
    if tag_id is None:
        raise missing("tagid")
    return tag_id


def _filter(ask: Ask) -> Callable[[StoredContact], bool]:
    statuses = ask.choices("status", _LISTED_STATUS)
    bounces = ask.choices("bounceStatus", _LISTED_BOUNCE)
    return lambda contact: contact.status in statuses and contact.bounce in bounces


def _page(store: Store, wanted: Callable[[StoredContact], bool], limit: int, cursor: object) -> dict[str, object]:
    """The ids after the cursor, which is the last id of the page before."""
    start = store.first_contact if cursor is None else as_id(cursor) + 1
    if limit < 1 or start <= NO_ID + 1:
        raise Refused(400, [Text.BAD_PAGE])
    numbers = range(start, store.next_contact)
    found = (contact for number in numbers if (contact := store.contacts.get(number)) and wanted(contact))
    page = [str(contact.id) for contact in islice(found, limit + 1)]
    if not page and cursor is None:
        raise Refused(404, [Text.NO_CONTACTS])
    return {"subscriberIds": page[:limit], "nextCursor": page[limit - 1] if len(page) > limit else None}


def _shown(store: Store, contact: StoredContact) -> dict[str, object]:
    """The contact as the service shows it; one without any tag yet is fresh: nulls, and no maps at all."""
    shown: dict[str, object] = {
        "id": str(contact.id),
        "listid": str(contact.opt_in_id),
        "optin": _moment(contact.created),
        "optin_ip": _BY_REQUEST,
        "email": contact.email,
        "status": _STATUS_WORDS[contact.status],
        "bounce": _BOUNCE_WORDS[contact.bounce],
        "date": _moment(contact.subscribed),
        "ip": _BY_REQUEST,
        "unsubscription": _moment(contact.unsubscribed),
        "unsubscription_ip": _NO_ADDRESS,
        "referrer": "",
        **_sms(contact),
        **{key: contact.fields.get(key, "") for key in store.fields},
    }
    return {**shown, **_maps(store, contact)} if contact.tags else shown


def _sms(contact: StoredContact) -> dict[str, object]:
    nothing = "" if contact.tags else None
    has_number = bool(contact.sms_number)
    return {
        "sms_phone": contact.sms_number or nothing,
        "sms_status": _STATUS_WORDS[contact.sms_status] if has_number else nothing,
        "sms_bounce": _BOUNCE_WORDS[Bounce.NONE] if has_number else nothing,
        "sms_date": _moment(contact.sms_since),
        "sms_unsubscription": "",
        "sms_referrer": None,
    }


def _maps(store: Store, contact: StoredContact) -> dict[str, object]:
    smart: dict[int, str] = {}
    manual: dict[int, str] = {}
    for tag_id, since in contact.tags.items():
        (smart if store.tags[tag_id].smart else manual)[tag_id] = str(since)
    empty = {name: dict[int, str]() for name in _EMPTY_MAPS}
    return {"tags": [str(tag_id) for tag_id in contact.tags], "smart_tags": smart, "manual_tags": manual, **empty}


def _moment(seconds: int | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%d.%m.%Y %H:%M:%S")
