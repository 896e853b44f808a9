"""What the groups of endpoints share."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from klickdoxie_core import Call, Dialect, Incoming, Reader, Resource
from klicktipp_async.errors import ArgumentError
from klicktipp_async.field_schema import FieldSchema, is_encodable

T = TypeVar("T")
P = TypeVar("P")

_BITS = 64

PAUSES = 3
"""How often an unknown outcome is looked up at the most."""


class Client(Protocol):
    """What the resources need of the client."""

    @property
    def field_schema(self) -> FieldSchema:
        """The types of the account's data fields."""
        ...

    @property
    def dialect(self) -> Dialect:
        """What the vendor's answers mean."""
        ...

    def run(self, call: Call[T], /) -> Coroutine[Any, Any, T]:
        """Run a call with the options of this client or view."""
        ...

    def stream(self, call: Call[T], reader: Reader[P], /) -> AbstractAsyncContextManager[Incoming[P, T]]:
        """Read the answer of a call while it comes in."""
        ...

    @property
    def deadline(self) -> float:
        """Seconds for a whole call."""
        ...

    async def pause_before_look_up(self, number: int) -> bool:
        """Wait before look-up number n of an unknown outcome; False when no more is due."""
        ...


def check_name(name: object) -> None:
    """Refuse a name that the service could not keep."""
    if not isinstance(name, str) or not name.strip() or not is_encodable(name):
        raise ArgumentError("name must be a non-empty text of characters that UTF-8 can carry")


def check_text(argument: str, text: object) -> None:
    """Refuse, by the argument's name, what is no text that can be sent."""
    if not is_encodable(text):
        raise ArgumentError(f"{argument} must be a text of characters that UTF-8 can carry")


def check_number(argument: str, number: object) -> None:
    """Refuse, by the argument's name, what is no whole number of at most 64 bits; a bool is none."""
    if isinstance(number, bool) or not isinstance(number, int) or number.bit_length() > _BITS:
        raise ArgumentError(f"{argument} must be a whole number")


def check_contact(contact: object) -> None:
    """Refuse an address where the id or the key of a contact is wanted; whatever else is wrong, the path says."""
    if isinstance(contact, str) and "@" in contact:
        raise ArgumentError(
            "contact must be an id or a contact key, not an e-mail address; contacts.find_id(email) gives the id"
        )


def check_tag_id(argument: str, tag_id: object) -> None:
    """Refuse, by the argument's name, what is no id of a tag; of a name, say how to get the id."""
    if isinstance(tag_id, str):
        raise ArgumentError(f"{argument} must be a whole number; tags.ensure gives the ids of tags by their names")
    check_number(argument, tag_id)


def check_concurrency(concurrency: object) -> None:
    """Refuse what cannot be how many calls are under way at once."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ArgumentError("concurrency must be a whole number from 1")


class KlickTippResource(Resource):
    """A group of endpoints of KlickTipp."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._kt = client
