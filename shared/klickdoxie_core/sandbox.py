"""What a stateful fake of a service needs, whatever the service: routes, a log, faults, a rate limit, a server."""

from __future__ import annotations

import contextlib
import difflib
import json
import math
import re
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import attrs
import httpx

from klickdoxie_core.asgi import AsgiApp, Receive, Scope, Send
from klickdoxie_core.clock import Clock
from klickdoxie_core.sandbox_faults import Fault
from klickdoxie_core.sandbox_time import RateGate, Ticks
from klickdoxie_core.wire.in_process import InProcessTransport, serving

if TYPE_CHECKING:
    from klickdoxie_core.client import ClientOptions

LOST: Final = 0
"""The status, in the log, of an answer that never arrived."""
MAX_REQUESTS: Final = 10_000
"""Requests that a sandbox remembers; the counters know of all."""
MAX_LOGGED_BODY: Final = 16 * 1024
"""Bytes of a body up to which the log keeps it."""

_MULTIPART = re.compile(r'multipart/form-data;.*?boundary="?([^";]+)', re.IGNORECASE)
_WORDS = re.compile(r'[; ](name|filename)="([^"]*)"')
_MAX_PART_HEAD = 8192


@attrs.frozen(kw_only=True)
class Inbound:
    """One request as it came in. Header names are in lower case; `values` are those of the route's holes."""

    method: str
    path: str = attrs.field(repr=False)
    query: str = attrs.field(default="", repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    values: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)


@attrs.frozen(kw_only=True)
class FormPart:
    """One field of a multipart form; the content is a view, so that a large file is not copied."""

    filename: str | None = None
    content: memoryview = attrs.field(repr=False)


def form_parts(inbound: Inbound) -> dict[str, FormPart]:
    """The fields of a multipart form by their names; none for any other body."""
    kind = _MULTIPART.match(inbound.headers.get("content-type", ""))
    parts: dict[str, FormPart] = {}
    if kind:
        body, delimiter = inbound.body, f"\r\n--{kind[1]}".encode()
        start = body.find(delimiter[2:])
        while start >= 0 and (end := body.find(delimiter, start)) >= 0:
            head, gap, _ = body[start : start + _MAX_PART_HEAD].partition(b"\r\n\r\n")
            words = dict(_WORDS.findall(head.decode(errors="replace")))
            content = memoryview(body)[start + len(head) + len(gap) : end]
            parts[words.get("name", "")] = FormPart(filename=words.get("filename"), content=content)
            start = end + len(delimiter)
    return parts


@attrs.frozen(kw_only=True)
class Answer:
    """One answer, complete."""

    status: int = 200
    body: bytes = attrs.field(default=b"", repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)

    @classmethod
    def of(cls, body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """An answer with a body: bytes and texts go out as they are, None is no body, all else becomes JSON."""
        match body:
            case None:
                kind, content = "application/json", b""
            case bytes():
                kind, content = "application/octet-stream", body
            case str():
                kind, content = "text/html; charset=utf-8", body.encode()
            case _:
                kind, content = "application/json", json.dumps(body, separators=(",", ":")).encode()
        return cls(status=status, body=content, headers={"content-type": kind, **(headers or {})})


@attrs.frozen(kw_only=True)
class Route:
    """One operation: where it is called, and what carries it out."""

    operation: str
    method: str
    template: str
    handler: Callable[[Inbound], Answer] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Received:
    """One request in the log.

    Attributes:
        operation: The vendor's name of the operation; empty where no route matched.
        status: The HTTP status of the answer, `LOST` for an answer that never arrived.
        applied: Whether the request was carried out, whatever was answered.
        values: Those of the route's holes.
        query: The query string.
        body: As it came; None where it was larger than `MAX_LOGGED_BODY`.
    """

    operation: str
    method: str
    path: str = attrs.field(repr=False)
    status: int
    applied: bool
    values: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False, eq=False)
    query: str = attrs.field(default="", repr=False, eq=False)
    body: bytes | None = attrs.field(default=b"", repr=False, eq=False)


class Router:
    """Finds the route of a request; a path without holes wins over one with them."""

    def __init__(self, routes: Iterable[Route]) -> None:
        ordered = sorted(routes, key=lambda route: route.template.count("{"))
        self._routes = [(_pattern(route.template), route) for route in ordered]
        self.operations = frozenset(route.operation for route in ordered)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route and the values of its holes."""
        for pattern, route in self._routes:
            if route.method == method and (found := pattern.fullmatch(path)):
                return route, found.groupdict()
        return None

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that the path would accept."""
        return tuple(sorted({route.method for pattern, route in self._routes if pattern.fullmatch(path)}))


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))


class SandboxBase:
    """A fake service: an ASGI application, the log of what reached it, and the faults that it was told to show.

    A vendor's sandbox hands in its routes. Each request is answered in one go without waiting, so concurrent requests
    never see each other half done. The log keeps the latest `MAX_REQUESTS` requests; counters are exact.
    """

    base_url = "https://sandbox.test"

    def __init__(self, routes: Iterable[Route], *, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(now=Ticks())
        self._given_clock = clock
        self.latency = 0.0
        """Seconds between carrying out a request and answering it."""
        self.requests: deque[Received] = deque(maxlen=MAX_REQUESTS)
        self._router = Router(routes)
        self._counts: Counter[tuple[str, int]] = Counter()
        self._faults: list[Fault] = []
        self._gate: RateGate | None = None
        self._controls: dict[tuple[str, str], Callable[[], object]] = {("GET", "/_sandbox/state"): self.state}
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open.aclose()

    def fail(
        self,
        operation: str | None,
        *,
        times: int | None = None,
        every: int | None = None,
        status: int = 503,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        applied: bool = False,
    ) -> None:
        """Answer an operation otherwise than it would.

        Faults are asked in the order in which they were planned; the first that hits is the only one.

        Args:
            operation: The vendor's name; None for any request.
            times: How often; None for once, or without end where `every` is given.
            every: Only each so-many-th matching request; 20 is one in twenty.
            status: The HTTP status, from 200 to 599.
            body: JSON, or a text or bytes as they are; None for an empty body.
            headers: Headers of the answer.
            applied: Carry out the request first.

        Raises:
            ValueError: There is no such operation, or a number is out of its range.
        """
        if status not in range(200, 600):
            raise ValueError("status must be a whole number from 200 to 599")
        self._plan(operation, Answer.of(body, status=status, headers=headers), times, every, applied=applied)

    def drop(
        self, operation: str | None, *, times: int | None = None, every: int | None = None, applied: bool = True
    ) -> None:
        """Lose the connection instead of answering; `applied=False` loses it before the request is carried out.

        The other arguments are those of `fail`.
        """
        self._plan(operation, None, times, every, applied=applied)

    def rate_limit(self, per_second: float | None, *, burst: int = 1) -> None:
        """Refuse what comes faster, with 429 and Retry-After; None lifts the limit."""
        self._gate = None if per_second is None else RateGate(per_second, burst)

    def recover(self) -> None:
        """Forget every planned fault, lift the rate limit, and answer at once again."""
        self._faults.clear()
        self._gate = None
        self.latency = 0.0

    @property
    def operations(self) -> frozenset[str]:
        """The vendor's names of all operations."""
        return self._router.operations

    def names_of(self, operation: str | None) -> frozenset[str] | None:
        """What requests of an operation may carry, or of any where it is None; None where nobody knows."""
        del operation
        return None

    @property
    def unmet_faults(self) -> tuple[Fault, ...]:
        """The planned faults that have not happened yet, or less often than planned."""
        return tuple(fault for fault in self._faults if fault.unmet)

    def count(self, operation: str | None = None, status: int | None = None) -> int:
        """How many requests there were: of an operation, with a status (`LOST` for none), or in all.

        An empty text counts the requests that no operation answers. Raises ValueError for an operation that there
        is not.
        """
        self._check_operation(operation or None)
        return sum(
            number
            for (name, answered), number in self._counts.items()
            if operation in {None, name} and status in {None, answered}
        )

    def state(self) -> dict[str, object]:
        """What `GET /_sandbox/state` tells another process: requests by operation and status."""
        operations: dict[str, dict[str, int]] = {}
        for (name, status), number in sorted(self._counts.items()):
            operations.setdefault(name, {})["lost" if status == LOST else str(status)] = number
        return {"requests": self._counts.total(), "operations": operations}

    def http_client(self) -> httpx.AsyncClient:
        """A plain httpx client that reaches the sandbox in this process; it is closed with the sandbox."""
        client = httpx.AsyncClient(transport=InProcessTransport(self.app), base_url=self.base_url)
        self._open.push_async_callback(client.aclose)
        return client

    @contextlib.asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str, None]:
        """Listen on a socket, inside the running event loop, and yield the base URL; asyncio only.

        Args:
            host: The address to listen on.
            port: The port; 0 takes a free one.

        Raises:
            RuntimeError: uvicorn is not installed, or the event loop is not asyncio's.
            OSError: The port is taken.
        """
        async with serving(self.app, host, port) as url:
            yield url

    @property
    def app(self) -> AsgiApp:
        """The ASGI application, for a server, a transport or a larger application."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks."""
        if scope["type"] != "http":
            msg = f"a sandbox speaks HTTP only, not {scope['type']}"
            raise NotImplementedError(msg)
        inbound = await _read(scope, receive)
        if inbound is None:
            return
        control = self._controls.get((inbound.method, inbound.path))
        answer = Answer.of(control()) if control else self._exchange(inbound)
        if self.latency and not control:
            await self.clock.sleep(self.latency)
        await _write(answer, send)

    def _reaching_here(self, options: ClientOptions) -> ClientOptions:
        """The options of a client that reaches the sandbox in this process, with its clock where one was given."""
        return {"base_url": self.base_url, "http": self.http_client(), "clock": self._given_clock, **options}

    def _no_route(self, inbound: Inbound, allowed: Sequence[str]) -> Answer:
        """What is answered where no route matches; `allowed` are the methods that the path knows."""
        del inbound
        return Answer(status=405 if allowed else 404)

    def _check_operation(self, operation: str | None) -> None:
        if operation is not None and operation not in self.operations:
            known = {name.lower(): name for name in self.operations}
            close = difflib.get_close_matches(operation.lower(), known, n=3, cutoff=0.4)
            hint = f"; did you mean {' or '.join(repr(known[name]) for name in close)}?" if close else ""
            msg = f"there is no operation {operation!r}{hint}"
            raise ValueError(msg)

    def _plan(
        self, operation: str | None, answer: Answer | None, times: int | None, every: int | None, *, applied: bool
    ) -> None:
        self._check_operation(operation)
        if any(number is not None and number < 1 for number in (times, every)):
            msg = "times and every must be at least 1"
            raise ValueError(msg)
        left = times or (math.inf if every else 1)
        self._faults.append(Fault(operation=operation, answer=answer, applied=applied, left=left, every=every or 1))

    def _exchange(self, inbound: Inbound) -> Answer | None:
        """Carry out one request and log it; None where the connection is to be lost."""
        found = self._router.find(inbound.method, inbound.path)
        operation = found[0].operation if found else ""
        wait = self._gate.wait(self.clock.monotonic()) if self._gate else 0.0
        answer: Answer | None
        if wait:
            answer, applied = Answer.of(None, status=429, headers={"retry-after": str(math.ceil(wait))}), False
        else:
            fault = self._fault_for(operation)
            done = self._carry_out(inbound, found) if fault is None or fault.applied else None
            answer = fault.answer if fault else done
            applied = done is not None and done.status < 400
        status = answer.status if answer else LOST
        self._counts[operation, status] += 1
        received = Received(
            operation=operation,
            method=inbound.method,
            path=inbound.path,
            status=status,
            applied=applied,
            values=found[1] if found else {},
            query=inbound.query,
            body=inbound.body if len(inbound.body) <= MAX_LOGGED_BODY else None,
        )
        self.requests.append(received)
        return answer

    def _carry_out(self, inbound: Inbound, found: tuple[Route, Mapping[str, str]] | None) -> Answer:
        if found is None:
            return self._no_route(inbound, self._router.methods(inbound.path))
        route, values = found
        return route.handler(attrs.evolve(inbound, values=values))

    def _fault_for(self, operation: str) -> Fault | None:
        fault = next((fault for fault in self._faults if fault.hits(operation)), None)
        if fault and not fault.left:
            self._faults.remove(fault)
        return fault


async def _read(scope: Scope, receive: Receive) -> Inbound | None:
    """The request; None where the client left before it was complete, which no service takes for one."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return Inbound(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
    )


async def _write(answer: Answer | None, send: Send) -> None:
    """Send the answer; for None promise a body and stop, upon which every server closes the connection."""
    content = b"lost" if answer is None else answer.body
    headers = {"content-length": str(len(content)), **(answer.headers if answer else {})}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status if answer else 200, "headers": raw})
    if answer is not None:
        await send({"type": "http.response.body", "body": content})
