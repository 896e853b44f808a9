"""Both sandboxes on sockets, with faults in front of them and a ledger behind; run alone it is a process of its own."""  # noqa: INP001 - a folder of scripts

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final, cast

import anyio
import anyio.to_thread
import attrs

import doxie_async.sandbox
import klicktipp_async.sandbox
from klickdoxie_core.asgi import Message, Receive, Scope, Send
from klickdoxie_core.sandbox import SandboxBase
from klickdoxie_core.wire.in_process import serving

HOST: Final = "127.0.0.1"
REFERENCE: Final = "soak-"
"""Stands before the number of a call, somewhere in the body of each write."""

_NUMBER = re.compile(rb"soak-(\d+)")
_LOGINS = frozenset({"/account/login", "/oauth/token"})
_CONTACTS, _PROCESSES = 200, 50
_GARBAGE: Final[tuple[tuple[bytes, dict[str, str]], ...]] = (
    (b"<html><body>Wartungsarbeiten: gleich wieder da</body></html>", {"content-type": "text/html"}),
    (b'{"id": 1, "email": "halb', {}),
    (b"\xff\xfe\x00\x9f", {}),
    (b'[NaN, {"a": 1, "a": 2}]', {}),
    (b"\x1f\x8b not gzip", {"content-encoding": "gzip"}),
)


class Fault(StrEnum):
    """What goes wrong with a request."""

    CLOSED_BEFORE = "closed before it was carried out"
    CLOSED_AFTER = "closed after it was carried out"
    LOST = "closed in the middle of the answer"
    UNAVAILABLE = "503"
    UNAVAILABLE_AFTER = "503 after it was carried out"
    UNAVAILABLE_WAIT = "503 with Retry-After"
    TOO_MANY = "429"
    TOO_MANY_WAIT = "429 with Retry-After"
    GARBAGE = "200 with garbage after it was carried out"
    SLOW = "slow answer"
    TOO_SLOW = "answer beyond the timeout"
    LATE = "carried out beyond the timeout"


_REFUSALS: Final[dict[Fault, tuple[int, dict[str, str]]]] = {
    Fault.UNAVAILABLE: (503, {}),
    Fault.UNAVAILABLE_WAIT: (503, {"retry-after": "1"}),
    Fault.TOO_MANY: (429, {}),
    Fault.TOO_MANY_WAIT: (429, {"retry-after": "1"}),
}


@attrs.frozen(kw_only=True)
class Place:
    """Where everything is, and what is there from the start."""

    control: str
    klicktipp: str
    doxie: str
    username: str
    password: str
    api_user: str
    api_password: str
    client_id: str
    client_secret: str
    tenant: str
    event_id: int
    contacts: list[int]
    processes: list[str]


@attrs.frozen(kw_only=True)
class Ledger:
    """What the sandboxes know.

    Attributes:
        carried: How often each write was carried out: operation, then the call's number, to times.
        mails: How many confirmation mails went to the contact of a call.
        faults: How often each fault was shown.
        ended: How often all sessions and all tokens were ended.
        requests: How many requests there were.
    """

    carried: dict[str, dict[int, int]]
    mails: dict[int, int]
    faults: dict[str, int]
    ended: dict[str, int]
    requests: int

    @classmethod
    def read(cls, text: bytes) -> Ledger:
        """A ledger that came as JSON, which knows no numbers as names."""
        told = json.loads(text)
        told["carried"] = {name: _numbered(times) for name, times in told["carried"].items()}
        return cls(**{**told, "mails": _numbered(told["mails"])})


def _numbered(counts: dict[str, int]) -> dict[int, int]:
    return {int(number): count for number, count in counts.items()}


@attrs.frozen(kw_only=True)
class Reply:
    """An answer of a sandbox, complete."""

    start: Message
    body: bytes


class Faulty:
    """Stands before a sandbox and lets things go wrong; the fate of a request follows from the seed and its content.

    Attributes:
        share: The share of requests that something happens to.
        carried: How often each write was carried out, by operation and number.
        faults: How often each fault was shown.
        ended: How often all credentials were ended.
        requests: How many there were.
        under_way: How many of them are not answered yet.
    """

    def __init__(
        self, box: SandboxBase, end: Callable[[], None], *, seed: int, patience: float, lifetime: float
    ) -> None:
        self._box = box
        self._end = end
        self._seed = seed
        self._patience = patience
        self._lifetime = lifetime
        self._next_end = time.monotonic() + lifetime
        self._seen: Counter[str] = Counter()
        self.share = 0.0
        self.carried: dict[str, Counter[int]] = {}
        self.faults: Counter[str] = Counter()
        self.ended = 0
        self.requests = 0
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks."""
        self.requests += 1
        self.under_way += 1
        try:
            body = await _read(receive)
            self._end_credentials()
            chance = self._chance(scope, body)
            fault = self._fault(scope, chance)
            if fault is not None:
                self.faults[fault] += 1
            await self._serve(scope, body, send, fault, chance)
        finally:
            self.under_way -= 1

    async def _serve(self, scope: Scope, body: bytes, send: Send, fault: Fault | None, chance: random.Random) -> None:
        if fault is not None and fault in _REFUSALS:
            status, headers = _REFUSALS[fault]
            await _answer(send, status, b"", headers)
            return
        if fault is Fault.CLOSED_BEFORE:
            await _hang_up(send)
            return
        if fault is Fault.LATE:
            await anyio.sleep(self._patience * chance.uniform(1.1, 4.0))
        reply = await self._carry_out(scope, body)
        match fault:
            case Fault.CLOSED_AFTER:
                await _hang_up(send)
            case Fault.LOST:
                # A body is promised and does not come, upon which the server closes the connection.
                await send({**reply.start, "headers": [(b"content-length", b"%d" % (len(reply.body) + 1))]})
            case Fault.UNAVAILABLE_AFTER:
                await _answer(send, 503, b"", {})
            case Fault.GARBAGE:
                await _answer(send, 200, *chance.choice(_GARBAGE))
            case _:
                if fault in {Fault.SLOW, Fault.TOO_SLOW}:
                    await anyio.sleep(
                        self._patience * chance.uniform(*((0, 0.3) if fault is Fault.SLOW else (1.1, 1.3)))
                    )
                await send(reply.start)
                await send({"type": "http.response.body", "body": reply.body})

    async def _carry_out(self, scope: Scope, body: bytes) -> Reply:
        parts: list[Message] = []
        number = _NUMBER.search(body)

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            # Nothing has waited since the sandbox has logged the request, so the last one is this one.
            if not parts and number and self._box.requests[-1].applied:
                self.carried.setdefault(self._box.requests[-1].operation, Counter())[int(number[1])] += 1
            parts.append(message)

        await self._box.app(scope, receive, send)
        return Reply(start=parts[0], body=b"".join(part.get("body", b"") for part in parts[1:]))

    def _end_credentials(self) -> None:
        now = time.monotonic()
        if self.share and now >= self._next_end:
            self._next_end = now + self._lifetime
            self._end()
            self.ended += 1

    def _chance(self, scope: Scope, body: bytes) -> random.Random:
        name = f"{scope['method']} {scope['path']} {zlib.crc32(body)}"
        self._seen[name] += 1
        return random.Random(f"{self._seed} {name} {self._seen[name]}")  # noqa: S311 - chance, not secrecy

    def _fault(self, scope: Scope, chance: random.Random) -> Fault | None:
        if chance.random() >= self.share:
            return None
        fault = chance.choice(list(Fault))
        # A login that is answered by garbage counts as refused, and is not tried again for a minute.
        return Fault.SLOW if fault is Fault.GARBAGE and scope["path"] in _LOGINS else fault


async def _read(receive: Receive) -> bytes:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


async def _answer(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    told = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _hang_up(send: Send) -> None:
    """Close the connection without a byte, for which ASGI has no word."""
    cast("asyncio.Transport", send.__self__.transport).abort()  # type: ignore[attr-defined]  # uvicorn's own
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@asynccontextmanager
async def service(*, seed: int, patience: float, lifetime: float) -> AsyncGenerator[Place, None]:
    """Serve both sandboxes and what controls them, in the running event loop.

    Args:
        seed: Of chance.
        patience: Seconds that a client waits for an answer.
        lifetime: Seconds after which all sessions and all tokens end.
    """
    async with klicktipp_async.sandbox.Sandbox() as kt, doxie_async.sandbox.Sandbox() as dx:
        fronts = {
            "sessions": Faulty(kt, kt.expire_sessions, seed=seed, patience=patience, lifetime=lifetime),
            "tokens": Faulty(dx, dx.expire_tokens, seed=seed, patience=patience, lifetime=lifetime),
        }
        control = Control(fronts, kt)
        async with (
            serving(fronts["sessions"], HOST, 0) as klicktipp_url,
            serving(fronts["tokens"], HOST, 0) as doxie_url,
            serving(control, HOST, 0) as control_url,
        ):
            yield Place(
                control=control_url,
                klicktipp=klicktipp_url,
                doxie=doxie_url,
                username=kt.username,
                password=kt.password,
                api_user=dx.username,
                api_password=dx.password,
                client_id=dx.client_id,
                client_secret=dx.client_secret,
                tenant=dx.tenant,
                event_id=dx.add_event("soak"),
                contacts=kt.seed_contacts(_CONTACTS),
                processes=dx.seed_processes(_PROCESSES),
            )


class Control:
    """`/faults/0.1` sets the share of requests that something happens to; `/ledger` tells all when all is answered."""

    def __init__(self, fronts: dict[str, Faulty], kt: klicktipp_async.sandbox.Sandbox) -> None:
        self._fronts = fronts
        self._kt = kt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks."""
        await _read(receive)
        _, wish, *rest = scope["path"].split("/")
        if wish == "faults":
            for front in self._fronts.values():
                front.share = float(rest[0])
            await _answer(send, 200, b"{}", {})
            return
        while any(front.under_way for front in self._fronts.values()):  # noqa: ASYNC110 - requests come and go
            await anyio.sleep(0.02)
        await _answer(send, 200, json.dumps(attrs.asdict(self._ledger())).encode(), {})

    def _ledger(self) -> Ledger:
        fronts = self._fronts.values()
        known = ((_NUMBER.match(email.encode()), mails) for email, mails in self._kt.confirmation_mails.items())
        return Ledger(
            carried={name: dict(times) for front in fronts for name, times in front.carried.items()},
            mails={int(number[1]): mails for number, mails in known if number},
            faults={fault: sum(front.faults[fault] for front in fronts) for fault in Fault},
            ended={what: front.ended for what, front in self._fronts.items()},
            requests=sum(front.requests for front in fronts),
        )


async def _main(seed: int, patience: float, lifetime: float) -> None:
    async with service(seed=seed, patience=patience, lifetime=lifetime) as place:
        print(json.dumps(attrs.asdict(place)), flush=True)  # noqa: T201 - what the other process waits for
        # Until the other process has ended, however that was.
        await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--patience", type=float, required=True)
    parser.add_argument("--lifetime", type=float, required=True)
    given = parser.parse_args()
    anyio.run(_main, given.seed, given.patience, given.lifetime)
