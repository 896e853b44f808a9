"""The receiver of the service's webhooks: credentials, paths, and answers before the work."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from doxie_async.errors import ConfigError
from doxie_async.webhooks import (
    AnyEvent,
    DoiConfirmed,
    Event,
    MessageSent,
    MessageStatus,
    UnknownEvent,
    WebhookApp,
    parse,
)
from klickdoxie_core import Basic

SAMPLES = Path(__file__).parents[2] / "fixtures" / "doxie_webhooks"
OLD, NEW = Basic("doxie", "alt:;"), Basic("doxie", "pä$$ wört")
STATUS = (SAMPLES / "message_status.json").read_bytes()
DOI = (SAMPLES / "doi_confirmed_infinity.json").read_bytes()


class Inbox:
    """A handler that keeps its events, and a client of the app."""

    def __init__(self, **options: Any) -> None:
        self.events: list[AnyEvent] = []
        self.app = WebhookApp(self._keep, **({"credentials": [NEW]} | options))

    async def _keep(self, event: AnyEvent) -> None:
        self.events.append(event)

    async def send(
        self, body: bytes, *, path: str = "/", auth: Basic | None = NEW, root: str = "", method: str = "POST"
    ) -> int:
        """Send one request and return the status."""
        headers = {} if auth is None else auth.sign(None)
        transport = httpx.ASGITransport(self.app, root_path=root)
        async with httpx.AsyncClient(transport=transport, base_url="http://hook.example") as client:
            return (await client.request(method, path, content=body, headers=headers)).status_code


@pytest.mark.anyio
@pytest.mark.parametrize("auth", [OLD, NEW])
async def test_either_of_two_credentials_is_accepted(auth: Basic) -> None:
    """One can replace the other without a gap, and neither need be ASCII."""
    inbox = Inbox(credentials=(OLD, NEW))
    assert await inbox.send(STATUS, path="/any/path", auth=auth) == 200
    assert inbox.events == [parse(STATUS)]


@pytest.mark.anyio
async def test_infinity_is_received() -> None:
    """What is no JSON is neither an error nor lost."""
    inbox = Inbox()
    assert await inbox.send(DOI) == 200
    (event,) = inbox.events
    assert isinstance(event, DoiConfirmed)
    assert event.identifier == "Infinity"


@pytest.mark.anyio
async def test_an_unknown_event_is_received() -> None:
    """The sender cannot help it, and the handler can look at it."""
    inbox = Inbox()
    assert await inbox.send(b'{"new": true}') == 200
    assert inbox.events == [UnknownEvent(extra={"new": True}, raw={"new": True})]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"auth": None}, 401),
        ({"auth": Basic("doxie", "falsch")}, 401),
        ({"auth": Basic("Doxie", "pä$$ wört")}, 401),
        ({"auth": None, "path": "/nowhere"}, 401),
        ({"body": b"[]"}, 400),
        ({"body": b"\xff"}, 400),
        ({"body": b"[" * 500}, 400),
        ({"body": b'{"a": "\\ud800"}'}, 400),
        ({"path": "/"}, 404),
        ({"path": "/statuses"}, 404),
        ({"path": "/status/x"}, 404),
        ({"method": "GET"}, 405),
        ({"body": b" " * 1000 + b"{}"}, 413),
    ],
)
async def test_each_refusal_has_its_status(request_: dict[str, Any], status: int) -> None:
    """No refusal reaches the handler."""
    inbox = Inbox(paths={"/status": MessageStatus}, max_body=1000)
    assert await inbox.send(**{"body": STATUS, "path": "/status"} | request_) == status
    assert inbox.events == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "root", "kind"),
    [
        ("/status", "", MessageStatus),
        ("/status/", "", MessageStatus),
        ("/sent", "", MessageSent),
        ("/deep/er", "", UnknownEvent),
        ("/hooks/doxie/sent", "/hooks/doxie", MessageSent),
        ("/sent", "/hooks/doxie", MessageSent),
        ("/hooks/doxie/ümlaut", "/hooks/doxie/", MessageStatus),
        ("/hooks/doxie/status", "", 404),
        ("/hooks/doxiesent", "/hooks/doxie", 404),
    ],
)
async def test_the_path_below_the_mount_decides_the_kind(path: str, root: str, kind: type[Event] | int) -> None:
    """The names in the delivery do not count then."""
    paths = {"/status": MessageStatus, "sent/": MessageSent, "/deep/er": UnknownEvent, "/ümlaut": MessageStatus}
    inbox = Inbox(paths=paths)
    status = await inbox.send(STATUS, path=path, root=root)
    assert [status, *map(type, inbox.events)] == ([kind] if kind == 404 else [200, kind])


@pytest.mark.anyio
async def test_a_delivery_that_does_not_fit_its_path_is_not_lost() -> None:
    """It is no event of that kind, and it is kept."""
    inbox = Inbox(paths={"/doi": DoiConfirmed})
    assert await inbox.send(STATUS, path="/doi") == 200
    (event,) = inbox.events
    assert type(event) is UnknownEvent
    assert event.raw == parse(STATUS).raw


@pytest.mark.anyio
async def test_the_answer_is_complete_before_the_handler_starts() -> None:
    """The sender does not wait for the work."""
    sent: list[Any] = []
    seen: list[tuple[str, int]] = []

    async def handler(event: AnyEvent) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append((type(event).__name__, len(sent)))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": STATUS}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", NEW.sign(None)["authorization"].encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await WebhookApp(handler, credentials=[NEW])(scope, receive, send)
    assert sent[0]["status"] == 200
    assert seen == [("MessageStatus", 2)]


@pytest.mark.anyio
async def test_neither_log_nor_repr_has_credentials_or_the_event(caplog: pytest.LogCaptureFixture) -> None:
    """The app's own words are free of both, whatever happens."""

    def fail(event: AnyEvent) -> None:
        raise KeyError(event.raw)

    inbox = Inbox()
    inbox.app = WebhookApp(fail, credentials=[NEW], paths={"/status": MessageStatus})
    with caplog.at_level(logging.DEBUG, logger="klickdoxie_core"):
        assert await inbox.send(STATUS, path="/status") == 200
        assert await inbox.send(STATUS, path="/müller") == 404
        assert await inbox.send(b"ller", path="/status") == 400
        assert await inbox.send(STATUS, path="/status", auth=OLD) == 401
    own = [record.getMessage() for record in caplog.records if record.name.startswith("klickdoxie_core")]
    assert len(own) == 4
    assert not any(text in line for text in ("ller", "alt:", "wört", "example") for line in own)
    assert "wört" not in repr(vars(inbox.app))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"credentials": []}, "one credential, or two"),
        ({"credentials": [OLD, NEW, OLD]}, "one credential, or two"),
        ({"paths": {}}, "must be there"),
        ({"paths": {"/a": MessageSent, "a/": MessageStatus}}, "must be there, and differ"),
        ({"paths": {"/a": Event}}, "one of the kinds"),
        ({"paths": {"/a": "MessageSent"}}, "one of the kinds"),
    ],
)
def test_a_receiver_that_could_not_work_is_a_configuration_error(options: dict[str, Any], match: str) -> None:
    """It is told when the app is made."""
    with pytest.raises(ConfigError, match=match):
        Inbox(**options)
