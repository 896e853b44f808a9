"""Carries webhooks to their receivers, over HTTP, and keeps what came of it."""

from __future__ import annotations

import anyio
import httpx

from doxie_async.sandbox.endpoints import receivers
from doxie_async.sandbox.records import EndpointRecord
from doxie_async.sandbox.store import Store, Webhook, moment
from klickdoxie_core.auth.basic import basic_header


class Courier:
    """Sends webhooks one after the other; whatever goes wrong is recorded and never raised.

    Args:
        store: Where the endpoints are, and the outbox.
        transport: What sends instead of the network; it is closed with the courier.
        timeout: Seconds that a receiver has for its answer.
    """

    def __init__(self, store: Store, transport: httpx.AsyncBaseTransport | None = None, timeout: float = 5.0) -> None:
        self._store = store
        self._transport = transport
        self._timeout = timeout
        self._http: httpx.AsyncClient | None = None

    async def empty_outbox(self) -> None:
        """Deliver what waits, oldest first."""
        while self._store.outbox:
            await self.deliver(self._store.outbox.popleft())

    async def deliver(self, webhook: Webhook) -> None:
        """Call every active endpoint that wants this kind of webhook."""
        for endpoint in receivers(self._store, webhook.kind):
            status, error = await self._call(endpoint, webhook)
            interaction: dict[str, object] = {
                "id": self._store.number("interaction"),
                "endpoint_id": endpoint.id,
                "event": webhook.kind,
                "process_uuid": webhook.process_uuid,
                "success": status is not None and 200 <= status < 300,
                "status": status,
                "error": error,
                "created_at": moment(self._store.now()),
            }
            endpoint.interactions.append(interaction)
            if process := self._store.processes.get(webhook.process_uuid or ""):
                process.records["webhook_interactions"].append(interaction)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http:
            await self._http.aclose()

    async def _call(self, endpoint: EndpointRecord, webhook: Webhook) -> tuple[int | None, str | None]:
        """The status of the receiver's answer, or what went wrong."""
        username, password = (endpoint.attributes.get(name) or "" for name in ("username", "password"))
        headers = {"content-type": "application/json"}
        if username:
            headers["authorization"] = basic_header(str(username), str(password))
        # Shielded, so that a caller who gives up does not take a webhook out of the world.
        with anyio.move_on_after(self._timeout, shield=True):
            try:
                answer = await self._client().post(
                    str(endpoint.attributes["url"]), content=webhook.body, headers=headers
                )
            except Exception as error:  # noqa: BLE001 - a receiver in this process raises whatever it likes
                return None, type(error).__name__
            return answer.status_code, None
        return None, "Timeout"

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(transport=self._transport, trust_env=False)
        return self._http
