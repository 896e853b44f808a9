"""The operations on webhook endpoints."""

from __future__ import annotations

from typing import Final, cast

from doxie_async.sandbox.crud import Crud, shown
from doxie_async.sandbox.records import Attributes, EndpointRecord, Record
from doxie_async.sandbox.store import Store, WebhookKind
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Ask, Refused, done


def check_endpoint(store: Store, attributes: Attributes, record: Record | None) -> None:
    """Refuse an endpoint that nothing can be sent to; a new one is active unless it says otherwise.

    The reference does not tell the attributes. Here they are `url`, `username`, `password`, `active`, and `events`,
    the kinds of webhooks that it gets; all of them where there is none.
    """
    del store
    if record is None:
        attributes.setdefault("active", True)
    url = attributes.get("url", record.attributes.get("url") if record else None)
    if not (isinstance(url, str) and url.startswith(("http://", "https://"))):
        raise Refused(422, Text.BAD_URL)
    kinds = attributes.get("events", [])
    if not isinstance(kinds, list) or any(kind not in list(WebhookKind) for kind in cast("list[object]", kinds)):
        raise Refused(422, Text.BAD_KINDS)


ENDPOINTS: Final = Crud[EndpointRecord](
    table=lambda store: store.endpoints,
    root="webhook_abstract_endpoint",
    name="endpoint",
    names="endpoints",
    hole="endpoint_id",
    created=Text.ENDPOINT_CREATED,
    changed=Text.ENDPOINT_UPDATED,
    deleted=Text.ENDPOINT_DELETED,
    check=check_endpoint,
)


def list_endpoints(store: Store, ask: Ask) -> object:
    """List webhook endpoints; the inactive ones on request only."""
    every = ask.query.get("show_inactive") == "true"
    endpoints = [endpoint for endpoint in store.endpoints if every or is_active(endpoint)]
    return done(ask.listing(ENDPOINTS.names, endpoints, shown))


def show_endpoint(store: Store, ask: Ask) -> object:
    """Show a webhook endpoint and its interactions, page by page."""
    endpoint = ENDPOINTS.find(store, ask)
    interactions = ask.listing("interactions", endpoint.interactions, lambda interaction: interaction)
    return done({**ask.wire_format.record(ENDPOINTS.name, shown(endpoint)), **interactions})


def is_active(endpoint: EndpointRecord) -> bool:
    """Whether webhooks go to it."""
    return endpoint.attributes.get("active") is True


def receivers(store: Store, kind: WebhookKind) -> list[EndpointRecord]:
    """The active endpoints that want webhooks of a kind."""
    return [
        endpoint
        for endpoint in store.endpoints
        if is_active(endpoint) and kind in (cast("list[object]", endpoint.attributes.get("events")) or [kind])
    ]
