"""From the bytes of a delivery to an event: strict about JSON, lenient about what is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache, reduce
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, overload

import attrs
import cattrs

from doxie_async.errors import WebhookError
from doxie_async.webhooks.events import (
    AnyEvent,
    DoiConfirmed,
    Event,
    MessageSent,
    MessageStatus,
    ProcessCancelled,
    QrCodeVisited,
    RcsResponse,
    UnknownEvent,
)
from klickdoxie_core import ShapeError, new_converter
from klickdoxie_core import WebhookError as CoreWebhookError
from klickdoxie_core.convert import Undecodable, structure
from klickdoxie_core.webhooks import read_json

K = TypeVar("K", bound=Event)

# The names that a delivery of a kind has, with or without a value. The first row that fits is taken.
_TELLING: tuple[tuple[type[Event], tuple[str, ...]], ...] = (
    (QrCodeVisited, ("qr_code_uuid",)),
    (RcsResponse, ("message_content", "sender")),
    (ProcessCancelled, ("process_uuid", "cancellation_timestamp")),
    # The identifier alone would be too little for a consent.
    (DoiConfirmed, ("identifier", "ipAddress")),
    (MessageSent, ("message_id", "recipient_specific_message_ids")),
    (MessageSent, ("message_id", "original_event_slug")),
    (MessageStatus, ("message_id", "status")),
)
_MAX_DEPTH = 64
_UNWANTED = re.compile(r"[\x00\ud800-\udfff]")


@overload
def parse(body: bytes, *, kind: None = None) -> AnyEvent: ...
@overload
def parse(body: bytes, *, kind: type[K]) -> K | UnknownEvent: ...
def parse(body: bytes, *, kind: type[Event] | None = None) -> Event:
    """Read a delivery; the kind is told by the names in it, unless you know it.

    It proves nothing about the sender: check the credentials before by `klickdoxie_core.webhooks.BasicCheck`, or let
    `WebhookApp` do it. Bound the size of the body before.

    Args:
        body: The body of the request.
        kind: The kind that is sent to where this came in; None to tell it by the names.

    Returns:
        The event; an `UnknownEvent`, which keeps everything, for what has not the fields that tell its kind.

    Raises:
        WebhookError: The body is no readable JSON object.
    """
    raw = _object(body)
    return _event(raw, _told(raw) if kind is None else kind)


def _object(body: bytes) -> dict[str, object]:
    try:
        decoded = read_json(body)
    except CoreWebhookError as error:
        raise WebhookError(error.message) from None
    if not isinstance(decoded, dict):
        raise WebhookError("the body is not a JSON object")
    _check([decoded])
    return cast("dict[str, object]", decoded)


def _check(level: list[object]) -> None:
    """Refuse characters that no text has, and a depth that others could not follow; level by level."""
    for _ in range(_MAX_DEPTH):
        if any(isinstance(value, str) and _UNWANTED.search(value) for value in level):
            raise WebhookError("the body has characters that no text has")
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise WebhookError("the body is nested too deeply")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        return [*named, *named.values()]
    return cast("list[object]", value) if isinstance(value, list) else ()


def _told(raw: Mapping[str, object]) -> type[Event]:
    fitting = (kind for kind, names in _TELLING if all(name in raw for name in names))
    return next(fitting, UnknownEvent)


def _event(raw: Mapping[str, object], kind: type[Event]) -> Event:
    try:
        return attrs.evolve(structure(_converter(), raw, kind), raw=raw)
    except Undecodable:
        return attrs.evolve(structure(_converter(), raw, UnknownEvent), raw=raw)


@cache
def _converter() -> cattrs.Converter:
    made = new_converter()
    made.register_structure_hook(str, _text)
    made.register_structure_hook(datetime, _moment)
    made.register_structure_hook_factory(_is_optional, _lenient(made))
    return made


def _text(value: object, _: object) -> str:
    """Texts sometimes come as numbers, even as `Infinity`."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    raise ShapeError(f"expected a text, got {type(value).__name__}")


def _moment(value: object, _: object) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(value, str))
    except ValueError:
        raise ShapeError("expected an ISO 8601 text") from None
    if moment.utcoffset() is None:
        # Which zone is meant is not told, and a guess would be an hour off for half of the year.
        raise ShapeError("expected a time with an offset")
    return moment


def _is_optional(kind: object) -> bool:
    return get_origin(kind) in {Union, UnionType} and NoneType in get_args(kind)


def _lenient(made: cattrs.Converter) -> Callable[[Any], Callable[[object, object], object]]:
    """What cannot be read is left out: one odd field must not cost the event."""

    def factory(kind: object) -> Callable[[object, object], object]:
        wanted = reduce(lambda one, other: one | other, (part for part in get_args(kind) if part is not NoneType))
        read = made.get_structure_hook(wanted)

        def hook(value: object, _: object) -> object:
            try:
                return None if value is None else read(value, wanted)
            except (ShapeError, cattrs.BaseValidationError):
                return None

        return hook

    return factory
