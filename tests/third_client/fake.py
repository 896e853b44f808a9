"""A fake Parcel Post: keeps parcels, checks who calls, and signs what it tells."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Unpack
from urllib.parse import parse_qs

from klickdoxie_core import ClientOptions, Clock
from klickdoxie_core.sandbox import Answer, Inbound, Route, SandboxBase
from tests.third_client.client import ParcelPost

USER, KEY, SECRET = "shop", "c0ffee", "Schlüssel-7"
PAGE = 2
_DAY = 86_400


class FakePost(SandboxBase):
    """Parcel Post in memory, with pages of two parcels; nothing can be delivered to an address without a digit."""

    base_url = "https://parcelpost.test"

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(
            [
                Route(
                    operation="List Parcels", method="GET", template="/parcels", handler=self._signed_only(self._list)
                ),
                Route(
                    operation="Hand In Parcel",
                    method="POST",
                    template="/parcels",
                    handler=self._signed_only(self._hand_in),
                ),
                Route(
                    operation="Redirect Parcel",
                    method="PUT",
                    template="/parcels/{parcel}/address",
                    handler=self._signed_only(self._redirect),
                ),
            ],
            clock=clock,
        )
        self.parcels: dict[str, dict[str, object]] = {}

    def client(self, **options: Unpack[ClientOptions]) -> ParcelPost:
        """A client that reaches the fake in this process."""
        here: ClientOptions = {"base_url": self.base_url, "http": self.http_client(), "clock": self.clock, **options}
        return ParcelPost(USER, KEY, SECRET, **here)

    def deliver(self, parcel_id: str) -> None:
        """Bring a parcel to where it goes."""
        self.parcels[parcel_id]["state"] = "delivered"

    def webhook(self, event: object, *, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
        """The body and the headers that tell of an event."""
        body = json.dumps(event).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return body, {"x-parcel-signature": signature}

    def _signed_only(self, handler: Callable[[Inbound], Answer]) -> Callable[[Inbound], Answer]:
        digest = hmac.new(bytes.fromhex(KEY), SECRET.encode(), hashlib.sha256).digest()
        wanted = (USER, base64.b64encode(digest + SECRET.encode()).decode())

        def checked(inbound: Inbound) -> Answer:
            given = (inbound.headers.get("x-parcel-user"), inbound.headers.get("x-parcel-seal"))
            return handler(inbound) if given == wanted else Answer.of({"fault": "who_are_you"}, status=401)

        return checked

    def _list(self, inbound: Inbound) -> Answer:
        after = parse_qs(inbound.query).get("after", [""])[0]
        found = [parcel for number, parcel in self.parcels.items() if number > after]
        last = found[PAGE - 1]["id"] if len(found) > PAGE else None
        return Answer.of({"parcels": found[:PAGE], "next": last})

    def _hand_in(self, inbound: Inbound) -> Answer:
        address = json.loads(inbound.body)["address"]
        if not any(map(str.isdigit, address)):
            return Answer.of({"fault": "unknown_address"}, status=422)
        number = f"P{len(self.parcels) + 1:04}"
        moment = datetime.fromtimestamp(1_735_689_600 + len(self.parcels) * _DAY, UTC).isoformat()
        parcel: dict[str, object] = {
            "id": number,
            "state": "handed_in",
            "address": address,
            "handedInAt": moment,
            "depot": "Süd",
        }
        self.parcels[number] = parcel
        return Answer.of(parcel, status=201)

    def _redirect(self, inbound: Inbound) -> Answer:
        parcel = self.parcels.get(inbound.values["parcel"])
        if parcel is None:
            return Answer.of({"fault": "no_such_parcel"}, status=404)
        if parcel["state"] == "delivered":
            return Answer.of({"fault": "delivered"}, status=409)
        parcel["address"] = json.loads(inbound.body)["address"]
        return Answer.of(parcel)
