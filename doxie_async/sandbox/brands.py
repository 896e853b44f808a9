"""The operations on brands, and on what they need at their providers."""

from __future__ import annotations

from typing import Final, cast

import attrs

from doxie_async.sandbox.crud import Crud, require_name
from doxie_async.sandbox.records import Attributes, BrandRecord, Record, masked
from doxie_async.sandbox.store import Store
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Ask, Refused, done

_LISTS = ("possible_sender_emails", "rcs_possible_senders")
_EVENT_TYPES = {
    "mailjet": ("sent", "open", "click", "bounce", "blocked", "spam", "unsub"),
    "rcs": ("delivered", "displayed", "response"),
    "sms": ("dlr",),
}
_UNREACHABLE = ".invalid"


def _check(store: Store, attributes: Attributes, record: Record | None) -> None:
    del store
    require_name(attributes, record)
    for name in _LISTS:
        value = attributes.get(name)
        if isinstance(value, str):
            attributes[name] = [part.strip() for part in value.split(",") if part.strip()]


BRANDS: Final = Crud[BrandRecord](
    table=lambda store: store.brands, root="brand", name="brand", names="brands", check=_check
)
_OWNERS: Final = attrs.evolve(BRANDS, hole="brand_id")


class Notifications:
    """The notification webhooks of a brand at one provider; doing something twice is no mistake."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def show(self, store: Store, ask: Ask) -> object:
        """Show whether the provider reports back, and what."""
        return self._answer(ask, _OWNERS.find(store, ask))

    def register(self, store: Store, ask: Ask) -> object:
        """Let the provider report back."""
        brand = _OWNERS.find(store, ask)
        brand.providers.add(self._provider)
        return self._answer(ask, brand, Text.EDITED)

    def remove(self, store: Store, ask: Ask) -> object:
        """Let the provider report back no more."""
        brand = _OWNERS.find(store, ask)
        brand.providers.discard(self._provider)
        return self._answer(ask, brand, Text.EDITED)

    def _answer(self, ask: Ask, brand: BrandRecord, message: Text | None = None) -> object:
        registered = self._provider in brand.providers
        shown = {"registered": registered, "event_types": list(_EVENT_TYPES[self._provider]) if registered else []}
        return done(ask.wire_format.record("webhook", shown), message)


def setup_ses(store: Store, ask: Ask) -> object:
    """Trigger SES setup for a brand."""
    brand = _OWNERS.find(store, ask)
    name = f"{store.tenant}-{brand.id}"
    arn = f"arn:aws:sns:eu-central-1:000000000000:{name}"
    return done({"configuration_set": name, "topic_arn": arn, "event_destination": name}, Text.EDITED)


def check_smtp(store: Store, ask: Ask) -> object:
    """Test SMTP connection for a brand; a host that ends in `.invalid` cannot be reached."""
    settings = _OWNERS.find(store, ask).attributes.get("smtp")
    if not isinstance(settings, dict):
        raise Refused(422, Text.NO_SMTP)
    used = masked(cast("Attributes", settings))
    connected = not str(used.get("host", "")).endswith(_UNREACHABLE)
    answer = done({"connected": connected, "settings": used}, Text.EDITED)
    return answer if connected else {**answer, "success": False, "message": None, "error": Text.SMTP_FAILED}
