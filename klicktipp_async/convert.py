"""KlickTipp's wire oddities on top of the core's strict converter; each hook is one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NewType, cast, get_args, get_origin

import cattrs

from klickdoxie_core import ShapeError, new_converter
from klickdoxie_core.convert import loose_int, loose_str
from klicktipp_async.models.contact import Bounce, Contact, ContactIds, ContactStatus

Ack = NewType("Ack", object)
"""`[true]`: the service's way to say that it was done."""

_DISPLAY_DATE = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})(?: (\d\d):(\d\d)(?::(\d\d))?)?", re.ASCII)

_STATUS_WORDS = {
    "subscribed": ContactStatus.SUBSCRIBED,
    "pending": ContactStatus.PENDING,
    "opt-in pending": ContactStatus.PENDING,
    "unsubscribed": ContactStatus.UNSUBSCRIBED,
}
_BOUNCE_WORDS = {
    "not bounced": Bounce.NONE,
    "nobounce": Bounce.NONE,
    "hard bounce": Bounce.HARD,
    "hardbounce": Bounce.HARD,
    "soft bounce": Bounce.SOFT,
    "softbounce": Bounce.SOFT,
    "spam bounce": Bounce.SPAM,
    "spambounce": Bounce.SPAM,
}
_DATES = ("optin", "date", "unsubscription", "sms_date", "sms_unsubscription")


@cache
def converter() -> cattrs.Converter:
    """The converter of every KlickTipp client."""
    made = new_converter()
    made.register_structure_hook(int, loose_int)
    made.register_structure_hook(str, loose_str)
    made.register_structure_hook(datetime, _datetime)
    made.register_structure_hook_func(lambda kind: kind is Ack, _ack)
    made.register_structure_hook_factory(_is_map, _map_hook(made))
    made.register_structure_hook(ContactIds, _contact_ids)
    plain = made.get_structure_hook(Contact)
    made.register_structure_hook(Contact, lambda payload, kind: plain(_tidy(payload), kind))
    return made


def _datetime(value: object, _: object) -> datetime:
    """Unix seconds, as a number or as digits; a display date has been read before."""
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromtimestamp(loose_int(value, int), UTC)
    except (OverflowError, OSError, ValueError):
        raise ShapeError("expected unix seconds") from None


def _ack(value: object, _: object) -> object:
    if value is True or value == [True]:
        return None
    raise ShapeError("expected [true]")


def _is_map(kind: object) -> bool:
    return get_origin(kind) in {dict, Mapping}


def _map_hook(made: cattrs.Converter) -> Callable[[Any], Callable[[Any, Any], Any]]:
    def factory(kind: object) -> Callable[[object, object], object]:
        key_kind, value_kind = get_args(kind)
        key_hook, value_hook = made.get_structure_hook(key_kind), made.get_structure_hook(value_kind)

        def hook(payload: object, _: object) -> object:
            if payload is None or payload == []:
                # An empty map of PHP leaves as an empty list.
                return {}
            if not isinstance(payload, Mapping):
                raise ShapeError(f"expected an object, got {type(payload).__name__}")
            items = cast("Mapping[str, object]", payload).items()
            return {key_hook(key, key_kind): value_hook(value, value_kind) for key, value in items}

        return hook

    return factory


def _contact_ids(payload: object, _: object) -> ContactIds:
    """A bare list, `subscribers`, `subscriberIds` with a cursor, or a list that PHP made an object of."""
    cursor: str | None = None
    ids = payload
    if isinstance(payload, Mapping):
        body = cast("Mapping[str, object]", payload)
        next_cursor = body.get("nextCursor")
        cursor = loose_str(next_cursor, str) if next_cursor else None
        if "subscriberIds" in body:
            ids = body["subscriberIds"]
        elif "subscribers" in body:
            ids = body["subscribers"]
        else:
            ids = list(body.values())
    if isinstance(ids, Mapping):
        ids = list(cast("Mapping[str, object]", ids).values())
    if not isinstance(ids, list):
        raise ShapeError("expected a list of contact ids")
    return ContactIds(ids=[loose_int(each, int) for each in cast("list[object]", ids)], cursor=cursor)


def _tidy(payload: object) -> object:
    """A contact's data fields in a map of their own, its words and dates as ours; what is unknown stays as it came."""
    if not isinstance(payload, Mapping):
        return payload
    tidy: dict[str, object] = {}
    fields: dict[str, object] = {}
    for key, value in cast("Mapping[str, object]", payload).items():
        if key.startswith("field"):
            fields[key] = "" if value is None else value
        else:
            tidy[key] = value
    tidy["fields"] = fields
    if tidy.get("tags") is None:
        tidy["tags"] = []
    for name, words in (("status", _STATUS_WORDS), ("bounce", _BOUNCE_WORDS)):
        for key in (name, f"sms_{name}"):
            tidy[key] = _known_word(tidy.get(key), words)
    for key in _DATES:
        tidy[key] = _display_date(tidy, key)
    if tidy.get("listid") == "":
        tidy["listid"] = None
    return tidy


def _known_word(value: object, words: Mapping[str, str]) -> object:
    return words.get(value.strip().lower(), value) if isinstance(value, str) and value else None


def _display_date(contact: dict[str, object], key: str) -> datetime | None:
    text = contact.get(key)
    match = _DISPLAY_DATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        if text:
            # A form that we do not know must not cost the contact; the text itself is kept.
            contact[f"{key}_text"] = text
        return None
    day, month, year, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the zone is not told
    except ValueError:
        contact[f"{key}_text"] = text
        return None
