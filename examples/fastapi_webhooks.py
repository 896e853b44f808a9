"""The webhooks of both services, received by one FastAPI app.

Set `KLICKTIPP_WEBHOOK_TOKEN`, `DOXIE_WEBHOOK_USER` and `DOXIE_WEBHOOK_PASSWORD`, and run it by
`uvicorn --factory fastapi_webhooks:create_app`. The services are then given these addresses:

- KlickTipp: `https://…/klicktipp/`, with the slash at its end, since a mounted app starts there;
- Doxie: `https://…/doxie/message-status`, `https://…/doxie/doi-confirmed` and so on, one for each kind of event.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from fastapi import FastAPI

import klicktipp_async.webhooks as klicktipp
from doxie_async import webhooks as doxie
from klickdoxie_core import Basic

DOXIE_PATHS = {
    "/message-sent": doxie.MessageSent,
    "/message-status": doxie.MessageStatus,
    "/doi-confirmed": doxie.DoiConfirmed,
    "/process-cancelled": doxie.ProcessCancelled,
    "/qr-code-visited": doxie.QrCodeVisited,
    "/rcs-response": doxie.RcsResponse,
}


class Desk:
    """Where events go once they are answered; here it prints them, and work that takes time would be queued."""

    def __init__(self) -> None:
        # Several processes would share this set, in a database that forgets a key after some hours.
        self._seen: set[str] = set()

    async def on_klicktipp(self, event: klicktipp.WebhookEvent) -> None:
        """Take a contact that KlickTipp reports."""
        if self._is_new(event.key):
            print(f"KlickTipp: contact {event.contact_id} with {len(event.fields)} fields")

    async def on_doxie(self, event: doxie.AnyEvent) -> None:
        """Take what Doxie reports."""
        if not self._is_new(event.key):
            return
        match event:
            case doxie.MessageStatus():
                print(f"Doxie: message {event.message_id} is {event.status}")
            case doxie.DoiConfirmed():
                print(f"Doxie: a consent was confirmed at {event.timestamp}")
            case doxie.UnknownEvent():
                print(f"Doxie: an event of an unknown kind, with {sorted(event.raw)}")
            case _:
                print(f"Doxie: {event}")

    def _is_new(self, key: str) -> bool:
        new = key not in self._seen
        self._seen.add(key)
        return new


def create_app(environ: Mapping[str, str] = os.environ) -> FastAPI:
    """The app; it does not start without its credentials."""
    desk = Desk()
    basic = Basic(environ["DOXIE_WEBHOOK_USER"], environ["DOXIE_WEBHOOK_PASSWORD"])
    app = FastAPI()
    app.mount("/klicktipp", klicktipp.WebhookApp(desk.on_klicktipp, token=environ["KLICKTIPP_WEBHOOK_TOKEN"]))
    app.mount("/doxie", doxie.WebhookApp(desk.on_doxie, credentials=[basic], paths=DOXIE_PATHS))
    return app
