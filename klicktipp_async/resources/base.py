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


class KlickTippResource(Resource):
    """A group of endpoints of KlickTipp."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._kt = client
