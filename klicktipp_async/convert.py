"""KlickTipp's wire oddities on top of the core's strict converter; each hook is one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NewType, cast, get_args, get_origin

import cattrs

from klickdoxie_core import ShapeError, new_converter
from klickdoxie_core.containers import map_together
from klickdoxie_core.convert import loose_int, loose_str
from klickdoxie_core.generated import known_names
from klickdoxie_core.hooks import read_together, traits, traits_of
from klicktipp_async.models.contact import Bounce, Contact, ContactIds, ContactStatus

Ack = NewType("Ack", object)
"""`[true]`: the service's way to say that it was done."""


def _as_spelled(words: Mapping[str, str]) -> Mapping[str, str]:
    """The words in the letter cases that the service is known to write."""
    return {spelled: meant for word, meant in words.items() for spelled in (word, word.capitalize(), word.title())}


_STATUS_WORDS = _as_spelled(
    {
        "subscribed": ContactStatus.SUBSCRIBED,
        "pending": ContactStatus.PENDING,
        "opt-in pending": ContactStatus.PENDING,
        "unsubscribed": ContactStatus.UNSUBSCRIBED,
    }
)
_BOUNCE_WORDS = _as_spelled(
    {
        "not bounced": Bounce.NONE,
        "nobounce": Bounce.NONE,
        "hard bounce": Bounce.HARD,
        "hard bounced": Bounce.HARD,
        "hardbounce": Bounce.HARD,
        "soft bounce": Bounce.SOFT,
        "soft bounced": Bounce.SOFT,
        "softbounce": Bounce.SOFT,
        "spam bounce": Bounce.SPAM,
        "spam bounced": Bounce.SPAM,
        "spambounce": Bounce.SPAM,
    }
)
_WORDS = (
    ("status", _STATUS_WORDS),
    ("sms_status", _STATUS_WORDS),
    ("bounce", _BOUNCE_WORDS),
    ("sms_bounce", _BOUNCE_WORDS),
)
_DATES = ("optin", "date", "unsubscription", "sms_date", "sms_unsubscription")
_SEPARATORS = {10: "", 16: " :", 19: " ::"}
_FIELDS = "fields"
_from_unix = datetime.fromtimestamp
_OWN_NAMES = known_names(Contact) - {_FIELDS}


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


@traits(datetime)
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
    def factory(kind: object) -> Callable[[Any, Any], Any]:
        key_kind, value_kind = get_args(kind)
        key_hook, value_hook = made.get_structure_hook(key_kind), made.get_structure_hook(value_kind)
        of_keys, of_values = traits_of(key_hook), traits_of(value_hook)
        holds_times = (key_kind, value_kind) == (int, datetime)

        def hook(payload: Any, _: object) -> object:  # noqa: ANN401 - whatever has come
            if payload is None or payload == []:
                # An empty map of PHP leaves as an empty list.
                return {}
            if payload.__class__ is not dict and not isinstance(payload, Mapping):
                raise ShapeError(f"expected an object, got {type(payload).__name__}")
            values = cast("Mapping[str, Any]", payload)
            together = _times(values) if holds_times else map_together(of_keys, of_values, values)
            if together is not None:
                return together
            return {key_hook(key, key_kind): value_hook(value, value_kind) for key, value in values.items()}

        return hook

    return factory


def _times(payload: Mapping[str, Any]) -> dict[int, datetime] | None:
    """Texts of digits as ids and moments; None where something else is among them."""
    times: dict[int, datetime] = {}
    try:
        for key, value in payload.items():
            if not (
                key.isdigit() and value.isdigit() and key.isascii() and value.isascii() and len(key) < 19 > len(value)
            ):
                return None
            times[int(key)] = _from_unix(int(value), UTC)
    except (AttributeError, OverflowError, OSError, ValueError):
        return None
    return times


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
    numbers = read_together(traits_of(loose_int), cast("list[object]", ids))
    if numbers is None:
        numbers = [loose_int(each, int) for each in cast("list[object]", ids)]
    return ContactIds(ids=cast("list[int]", numbers), cursor=cursor)


def _tidy(payload: Any) -> object:  # noqa: ANN401 - whatever has come
    """A contact's data fields in a map of their own, its words and dates as ours; what is unknown stays as it came."""
    if payload.__class__ is not dict and not isinstance(payload, Mapping):
        return payload
    tidy: dict[str, Any] = {**payload}
    get = tidy.get
    names = [name for name in tidy if name not in _OWN_NAMES and name.startswith("field")]
    tidy[_FIELDS] = {name: "" if (value := tidy.pop(name)) is None else value for name in names}
    if get("tags") is None:
        tidy["tags"] = []
    for name, words in _WORDS:
        word: Any = get(name)
        tidy[name] = words.get(word) or _known_word(word, words) if word.__class__ is str else None
    for name in _DATES:
        if text := get(name):
            tidy[name] = moment = _display_date(text)
            if moment is None:
                # A form that we do not know must not cost the contact; the text itself is kept.
                tidy[f"{name}_text"] = text
        else:
            tidy[name] = None
    if get("listid") == "":
        tidy["listid"] = None
    return tidy


def _known_word(word: str, words: Mapping[str, str]) -> str | None:
    return words.get(word.strip().lower(), word) or None


def _display_date(text: object) -> datetime | None:
    """`DD.MM.YYYY`, with or without ` HH:MM` or ` HH:MM:SS`, in a zone that is not told; None for anything else."""
    shown = text.strip() if isinstance(text, str) else ""
    if shown[2:6:3] != ".." or shown[10::3] != _SEPARATORS.get(len(shown)) or shown[11:13] == "24":
        return None
    try:
        return datetime.fromisoformat(f"{shown[6:10]}-{shown[3:5]}-{shown[:2]}{shown[10:]}")
    except ValueError:
        return None
