"""What the tests of the core share: a clock that nobody waits for, a wire with a script, and a small client on both."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio.lowlevel

from klickdoxie_core import ApiClient, Call, Clock, Effect, Scheme
from klickdoxie_core.errors import SdkError
from klickdoxie_core.wire.base import Failure, Opened, Request, Response, Wire, WireFailure

T = TypeVar("T")

BASE_URL = "https://api.example.com"
EPOCH = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
_SETTLING = 10

HANGS = None
"""Instead of a piece: nothing comes, and no end."""


class Pieces(Opened):
    """An answer with status 200 that comes piece by piece, until a failure or its end.

    Attributes:
        closed: How often it was closed.
    """

    def __init__(self, *pieces: bytes | WireFailure | None, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = 200, dict(headers or {})
        self.closed = 0
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        """The next piece."""
        assert not self.closed, "read after it was closed"
        await anyio.lowlevel.checkpoint()
        piece = self._pieces.pop(0) if self._pieces else b""
        if piece is HANGS:
            return await anyio.sleep_forever()
        if isinstance(piece, WireFailure):
            raise piece
        return piece

    async def aclose(self) -> None:
        """Count the closings."""
        self.closed += 1

    async def whole(self, sink: Callable[[bytes], object] | None) -> Response:
        """All of it as one answer, whose body a sink may take instead."""
        body = bytearray()
        take = body.extend if sink is None else sink
        while piece := await self.read():
            take(piece)
        await self.aclose()
        return Response(status=self.status, headers=self.headers, body=bytes(body))


Step = Response | WireFailure | Pieces
Answering = Callable[[Request], "Step | Awaitable[Step]"]


class FakeClock:
    """Time that only moves when everybody sleeps, and then to the earliest waking; chance is a fixed number."""

    def __init__(self, *, chance: float = 0.0) -> None:
        self.time = 1000.0
        self.stuck = False
        self.chance = chance
        self.slept: list[float] = []
        self._wakings: list[float] = []

    def clock(self) -> Clock:
        """The clock as it is handed to a client."""
        return Clock(
            monotonic=lambda: self.time,
            now=lambda: EPOCH + self.time - 1000.0,
            sleep=self.sleep,
            random=lambda: self.chance,
        )

    async def sleep(self, seconds: float) -> None:
        """Let the others run until they wait too, and then the time pass; a stuck clock wakes nobody."""
        if self.stuck:
            await anyio.sleep_forever()
        waking = self.time + max(0.0, seconds)
        self.slept.append(seconds)
        self._wakings.append(waking)
        try:
            await settle()
            while self.time < waking:
                if waking == min(self._wakings):
                    self.time = waking
                await anyio.lowlevel.checkpoint()
        finally:
            self._wakings.remove(waking)


async def settle(rounds: int = _SETTLING) -> None:
    """Give every other task some turns."""
    for _ in range(rounds):
        await anyio.lowlevel.checkpoint()


def tasks() -> int:
    """How many tasks there are in the running event loop."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living


CANCELLATIONS = pytest.mark.parametrize(
    ("anyio_backend", "native"), [("asyncio", False), ("asyncio", True), ("trio", False)], ids=str
)
"""By a scope of anyio on both event loops, and by `task.cancel()` where there is such a thing."""


async def cancelled_while_waiting(act: Callable[[], Awaitable[object]], *, native: bool) -> None:
    """Run it in a task of its own, cancel it once it waits, and see that it ends by that."""
    if native:
        task = asyncio.ensure_future(act())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return

    async def run() -> None:
        await act()
        raise AssertionError("it has not waited")

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await settle()
        group.cancel_scope.cancel()


class ScriptedWire:
    """Answers from a list of steps, or from a function of the request, and remembers what was asked."""

    def __init__(self, *steps: Step | Answering) -> None:
        self._steps = list(steps)
        self.requests: list[Request] = []
        self.under_way = 0
        self.most = 0
        self.closed = 0

    async def send(self, request: Request) -> Response:
        """The next step; a function stands for all further ones."""
        step = await self._take(request)
        return await step.whole(request.sink) if isinstance(step, Pieces) else step

    async def open(self, request: Request) -> Response | Opened:
        """The next step; one that has all of its body is left open in one piece."""
        step = await self._take(request)
        if isinstance(step, Response) and step.status == 200:
            return Pieces(step.body, headers=step.headers)
        return step

    async def _take(self, request: Request) -> Response | Pieces:
        assert not self.closed, "a request on a closed wire"
        self.requests.append(request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await anyio.lowlevel.checkpoint()
            step = await self._next(request)
        finally:
            self.under_way -= 1
        if isinstance(step, WireFailure):
            raise step
        return step

    async def _next(self, request: Request) -> Step:
        assert self._steps, f"an unexpected request: {request.method} {request.url}"
        step = self._steps[0] if callable(self._steps[0]) else self._steps.pop(0)
        if not callable(step):
            return step
        answer = step(request)
        return await answer if inspect.isawaitable(answer) else answer

    async def aclose(self) -> None:
        """Count the closings."""
        self.closed += 1

    def sent_to(self, path: str) -> list[Request]:
        """The requests whose URL ends with the path."""
        return [request for request in self.requests if request.url.endswith(path)]


class Client(ApiClient):
    """A client on a wire that is handed in."""

    def __init__(
        self,
        wire: Wire,
        auth: Mapping[str, Scheme[Any]] | None = None,
        *,
        time: FakeClock | None = None,
        **options: Any,
    ) -> None:
        self.given_wire = wire
        self.time = time or FakeClock()
        options.setdefault("base_url", BASE_URL)
        super().__init__(auth or {}, clock=self.time.clock(), **options)

    def _make_wire(self, http: httpx.AsyncClient | None, clock: Clock) -> Wire:
        return self.given_wire

    @property
    def engine(self) -> Any:
        """The engine, to look at what it shares."""
        return self._engine

    def lease(self, name: str = "account") -> Any:
        """The state of one of the credentials."""
        return self._leases[name]


def answer(status: int = 200, payload: object = None, headers: Mapping[str, str] | None = None) -> Response:
    """An answer; bytes go as they are, everything else as JSON, and `{"ok": true}` where nothing is given."""
    body = payload if isinstance(payload, bytes) else json.dumps({"ok": True} if payload is None else payload).encode()
    return Response(status=status, headers=dict(headers or {}), body=body)


def lost() -> WireFailure:
    """The connection broke after the request had left."""
    return WireFailure(Failure.INTERRUPTED, sent=True, detail="ReadError")


def unsent() -> WireFailure:
    """No connection could be made."""
    return WireFailure(Failure.CONNECT, sent=False, detail="ConnectError")


def hung() -> WireFailure:
    """The attempt took too long after the request had left."""
    return WireFailure(Failure.TIMEOUT, sent=True)


_METHODS = {Effect.SAFE: "GET", Effect.REPEATABLE: "PUT", Effect.ONCE: "POST"}


def a_call(effect: Effect = Effect.SAFE, **changes: Any) -> Call[Any]:
    """A call with an effect; unsigned unless it is told otherwise."""
    given: dict[str, Any] = {
        "operation": "Do Thing",
        "method": _METHODS[effect],
        "template": "/thing",
        "into": dict[str, object],
        "effect": effect,
        "auth": None,
    }
    return Call(**(given | changes))


async def failure_of(awaitable: Awaitable[object]) -> SdkError:
    """The SDK's error that the awaitable raises."""
    try:
        result = await awaitable
    except SdkError as error:
        return error
    raise AssertionError(f"no error, but {result!r}")


async def gathered(function: Callable[[int], Awaitable[T]], times: int) -> list[T | Exception]:
    """What concurrent calls of a function return or raise, in order."""
    results: dict[int, T | Exception] = {}

    async def one(number: int) -> None:
        try:
            results[number] = await function(number)
        except Exception as error:  # noqa: BLE001 - looked at by the test
            results[number] = error

    async with anyio.create_task_group() as group:
        for number in range(times):
            group.start_soon(one, number)
    return [results[number] for number in range(times)]


def body_of(request: Request) -> Any:
    """What a request carried as JSON."""
    return json.loads(cast("bytes", request.body))
