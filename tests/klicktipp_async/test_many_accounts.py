"""Hundreds of accounts in one process, on one pool: no credential ever travels with another account's request."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from typing import Literal

import anyio
import anyio.lowlevel
import pytest

from klicktipp_async import KeyPair, KlickTipp, Pool, SessionLogin
from tests.core.wire.raw_server import Peer, Received, serving

ACCOUNTS = 500
CONNECTIONS = 50
CALLS = 3
USES = 2
"""Requests that a session of the service lasts."""

pytestmark = pytest.mark.anyio


class Service:
    """Knows each account by its number, and compares who asks with whom the question is about.

    Attributes:
        mixed_up: Requests whose credential belongs to another account than their body.
        logins: How often each account logged in.
        most: Connections that were open at once.
    """

    def __init__(self) -> None:
        self.mixed_up: list[tuple[str, str]] = []
        self.logins = Counter[str]()
        self.most = 0
        self._open = 0
        self._uses = Counter[str]()

    async def serve(self, peer: Peer) -> None:
        """Answer one request after the other."""
        self._open += 1
        try:
            while True:
                request = await peer.request()
                # The end of the connection that this one replaces may come to light in the same turn.
                await anyio.lowlevel.checkpoint()
                self.most = max(self.most, self._open)
                status, answer = self._answer(request)
                body = json.dumps(answer).encode()
                await peer.send(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        finally:
            self._open -= 1

    def _answer(self, request: Received) -> tuple[int, object]:
        body = json.loads(request.body) if request.body else {}
        if request.target.endswith("/account/login"):
            return self._log_in(body, request)
        asker = self._asker(request.headers)
        if asker is None:
            return 403, ["the session is over"]
        account = re.findall(r"\d+", body["email"])[0]
        if asker != account:
            self.mixed_up.append((asker, account))
        return 200, [account]

    def _log_in(self, body: dict[str, str], request: Received) -> tuple[int, object]:
        account = body["username"].removeprefix("user")
        if body["password"] != f"password-{account}" or "cookie" in request.headers or "x-ci" in request.headers:
            self.mixed_up.append((body["password"], account))
        self.logins[account] += 1
        session = f"{account}-{self.logins[account]}"
        self._uses[session] = USES
        return 200, {"sessid": session, "session_name": "SESS"}

    def _asker(self, headers: dict[str, str]) -> str | None:
        """Whose credential it is; None for a session that has ended."""
        if "x-ci" in headers:
            assert "cookie" not in headers
            customer = base64.b64decode(headers["x-ci"])[32:].decode()
            assert headers["x-un"] == f"developer-of-{customer}"
            return customer.removeprefix("customer-")
        session = headers["cookie"].removeprefix("SESS=")
        self._uses[session] -= 1
        return session.partition("-")[0] if self._uses[session] >= 0 else None


def client_of(account: int, url: str, pool: Pool) -> KlickTipp:
    """Every other account has keys; the rest log in."""
    if account % 2:
        auth: KeyPair | SessionLogin = KeyPair(f"developer-of-customer-{account}", "0aff", f"customer-{account}")
    else:
        auth = SessionLogin(f"user{account}", f"password-{account}")
    return KlickTipp(auth, base_url=url, http=pool)


@pytest.mark.parametrize(
    ("anyio_backend", "http"),
    [("asyncio", None), ("asyncio", "aiohttp"), ("trio", None)],
    ids=["asyncio", "asyncio-aiohttp", "trio"],
)
async def test_five_hundred_accounts_share_fifty_connections(http: Literal["aiohttp"] | None) -> None:
    """Also while sessions end under way: each account gets its own answers, and asks with its own credential alone."""
    service, answers = Service(), dict[int, list[int | None]]()

    async def use(account: int, url: str, pool: Pool) -> None:
        kt = client_of(account, url, pool)
        answers[account] = [await kt.contacts.find_id(f"kontakt{account}@example.com") for _ in range(CALLS)]

    async with serving(service.serve) as server, Pool(CONNECTIONS, http=http) as pool:
        async with anyio.create_task_group() as group:
            for account in range(1, ACCOUNTS + 1):
                group.start_soon(use, account, server.url, pool)
        # One that was idle for too long is replaced by another.
        assert service.most <= CONNECTIONS
        assert server.accepted < 2 * CONNECTIONS
        assert server.open <= CONNECTIONS
    assert service.mixed_up == []
    assert answers == {account: [account] * CALLS for account in range(1, ACCOUNTS + 1)}
    assert len(service.logins) == ACCOUNTS // 2
    assert set(service.logins.values()) == {2}
