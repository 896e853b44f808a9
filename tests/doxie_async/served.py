"""Sandboxes behind a socket, for tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from anyio.from_thread import start_blocking_portal

from doxie_async.sandbox import Sandbox
from klickdoxie_core.asgi import Receive, Scope, Send
from klickdoxie_core.wire.in_process import serving

Served = tuple[list[Sandbox], str]


@contextmanager
def served_boxes() -> Iterator[Served]:
    """A socket, served in another thread, that leads to the latest sandbox in a list; starting one takes its time."""
    boxes: list[Sandbox] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await boxes[-1].app(scope, receive, send)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving(app, "127.0.0.1", 0)) as url:
        yield boxes, url


def led_to(box: Sandbox, served: Served, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Let the socket lead to this sandbox, and the environment to the socket."""
    boxes, url = served
    boxes.append(box)
    environment = {
        "BASE_URL": url,
        "TENANT": box.tenant,
        "API_USER": box.username,
        "API_PASSWORD": box.password,
        "CLIENT_ID": box.client_id,
        "CLIENT_SECRET": box.client_secret,
        "TOKEN_URL": f"{url}/oauth/token",
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"DOXIE_{name}", value)
    return box
