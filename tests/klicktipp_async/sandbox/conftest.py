"""A sandbox, and a plain HTTP client that signs with its pair of keys."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator

import httpx
import pytest

from klicktipp_async.sandbox import Sandbox


@pytest.fixture
async def box(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """A fresh account."""
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def http(box: Sandbox) -> httpx.AsyncClient:
    """A signed client."""
    client = box.http_client()
    message = box.customer_key.encode()
    digest = hmac.new(bytes.fromhex(box.developer_key), message, hashlib.sha256).digest()
    client.headers.update({"X-Un": box.username, "X-Ci": base64.b64encode(digest + message).decode()})
    return client
