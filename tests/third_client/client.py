"""A client for Parcel Post, a parcel service that does not exist: all that it takes to build one on the core."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Any, ClassVar, Unpack

import attrs

from klickdoxie_core import (
    ApiClient,
    Call,
    ClientOptions,
    Conflict,
    Dialect,
    Explained,
    KeyPair,
    NotFound,
    Page,
    Pages,
    Resource,
    SdkError,
    Undecodable,
    WebhookError,
    by_cursor,
    family_of,
    new_converter,
    structure,
    wire_name,
)
from klickdoxie_core import Interrupted as CoreInterrupted
from klickdoxie_core.webhooks import Delivery, Handler, NotAuthentic, Receiver, read_json


class ParcelPostError(SdkError):
    """Base of what Parcel Post says no to, and of lost answers."""

    service = "Parcel Post"


class Interrupted(ParcelPostError, CoreInterrupted):
    """The answer was lost; `maybe_applied` says whether that matters."""


class NoSuchParcel(ParcelPostError, NotFound):
    """There is no parcel with this number."""


class AlreadyDelivered(ParcelPostError, Conflict):
    """The parcel has left their hands."""


_ERRORS = {"no_such_parcel": NoSuchParcel, "delivered": AlreadyDelivered}


class ParcelDialect(Dialect):
    """Reads `{"fault": "no_such_parcel"}`, whatever the status."""

    family = family_of(ParcelPostError)

    def explain(self, call: Call[Any], status: int, payload: object) -> Explained | None:
        """What a fault means; None where HTTP says it all."""
        match payload:
            case {"fault": str(fault)} if fault in _ERRORS:
                return Explained(error=_ERRORS[fault], message=f"Parcel Post says {fault}", code=fault)
            case _:
                return None


@attrs.frozen(kw_only=True)
class Parcel:
    """A parcel; the address stays out of its repr."""

    id: str
    state: str
    address: str = attrs.field(repr=False)
    handed_in: datetime = attrs.field(metadata=wire_name("handedInAt"))


@attrs.frozen(kw_only=True)
class _ParcelPage:
    parcels: list[Parcel]
    next: str | None = None


class Parcels(Resource):
    """The parcels of an account."""

    def all(self) -> Pages[Parcel]:
        """Every parcel, oldest first (List Parcels)."""

        async def fetch(cursor: str) -> Page[Parcel]:
            page = await self._get("List Parcels", _ParcelPage, "/parcels", query={"after": cursor} if cursor else None)
            return Page(items=page.parcels, next=page.next)

        return by_cursor(fetch, dialect=ParcelPost.dialect)

    async def hand_in(self, address: str) -> Parcel:
        """Send a parcel; never sent again once that may have happened (Hand In Parcel)."""
        return await self._post("Hand In Parcel", Parcel, "/parcels", body={"address": address})

    async def redirect(self, parcel_id: str, address: str) -> Parcel:
        """Have it delivered somewhere else (Redirect Parcel). Raises `NoSuchParcel`, `AlreadyDelivered`."""
        path, body = {"parcel": parcel_id}, {"address": address}
        return await self._put("Redirect Parcel", Parcel, "/parcels/{parcel}/address", path=path, body=body)


class ParcelPost(ApiClient):
    """An account at Parcel Post: `async with ParcelPost(user, key, secret) as post: …`."""

    product: ClassVar[str] = "parcel-post"
    version: ClassVar[str] = "1.0"
    dialect: Dialect = ParcelDialect()
    parcels: Parcels

    def __init__(self, user: str, key: str, secret: str, **options: Unpack[ClientOptions]) -> None:
        options.setdefault("base_url", "https://api.parcelpost.example")
        keys = KeyPair(user, key, secret, username_header="x-parcel-user", cipher_header="x-parcel-seal")
        super().__init__({"account": keys}, **options)

    def _bind(self) -> None:
        self.parcels = Parcels(self)


@attrs.frozen(kw_only=True)
class ParcelEvent:
    """Something happened to a parcel. A delivery may repeat; its `id` tells."""

    id: str
    parcel: str
    state: str


def webhook_app(handler: Handler[ParcelEvent], secret: str) -> Receiver[ParcelEvent]:
    """An ASGI app that takes signed deliveries, answers, and then calls the handler."""
    converter = new_converter()

    def read(delivery: Delivery) -> ParcelEvent:
        wanted = hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(delivery.headers.get("x-parcel-signature", b""), wanted.encode()):
            raise NotAuthentic("the delivery's signature is missing or wrong")
        try:
            return structure(converter, read_json(delivery.body), ParcelEvent)
        except Undecodable as fault:
            raise WebhookError(f"the delivery is no event: {', '.join(fault.paths)}") from None

    return Receiver(handler, read=read)
