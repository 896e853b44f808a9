"""What the groups of endpoints share."""

from __future__ import annotations

from typing import Protocol, TypeVar

from klickdoxie_core import Call, Dialect, Resource
from klicktipp_async.errors import ArgumentError
from klicktipp_async.field_schema import FieldSchema

T = TypeVar("T")

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

    async def run(self, call: Call[T], /) -> T:
        """Run a call with the options of this client or view."""
        ...

    async def pause_before_look_up(self, number: int) -> bool:
        """Wait before look-up number n of an unknown outcome; False when no more is due."""
        ...


def check_name(name: str) -> None:
    """Refuse a name that the service could not keep."""
    if not name.strip():
        raise ArgumentError("name must be a non-empty text")


class KlickTippResource(Resource):
    """A group of endpoints of KlickTipp."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._kt = client
