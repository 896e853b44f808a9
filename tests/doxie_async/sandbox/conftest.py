"""A sandbox, and plain HTTP clients of both kinds that sign."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from doxie_async.sandbox import Sandbox
from klickdoxie_core.wire.in_process import InProcessTransport
from tests.doxie_async.sandbox.receiver import Receiver


@pytest.fixture
def receiver() -> Receiver:
    """A receiver in this process."""
    return Receiver()


@pytest.fixture
async def box(anyio_backend: str, receiver: Receiver) -> AsyncIterator[Sandbox]:
    """A fresh tenant, whose webhooks go to the receiver."""
    async with Sandbox(webhook_transport=InProcessTransport(receiver)) as sandbox:
        yield sandbox


@pytest.fixture
def api(box: Sandbox) -> httpx.AsyncClient:
    """A client that signs as the API user."""
    client = box.http_client()
    client.auth = httpx.BasicAuth(box.username, box.password)
    client.base_url = f"{box.base_url}/api/ts"
    return client


@pytest.fixture
def admin(box: Sandbox) -> httpx.AsyncClient:
    """A client that signs with a token."""
    client = box.http_client()
    client.headers.update({"authorization": f"Bearer {box.token}", "accept": "application/json"})
    client.base_url = f"{box.base_url}/api/ts/admin"
    return client


@pytest.fixture
async def brand(admin: httpx.AsyncClient) -> dict[str, Any]:
    """A brand with secrets at two places."""
    attributes = {
        "name": "Blütenhonig",
        "mail_provider": "smtp",
        "smtp": {"host": "smtp.example.com", "port": 587, "username": "jürgen", "password": "Pässwort; geheim"},
        "seven_api_key": "k-123",
        "rcs_possible_senders": "eins, zwei,",
    }
    return (await admin.post("/brands", json={"brand": attributes})).json()["data"]
