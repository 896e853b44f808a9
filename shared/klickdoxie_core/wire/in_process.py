"""An ASGI application reached in this process: by an httpx transport without a socket, or on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Generator

import anyio
import httpx

from klickdoxie_core.asgi import AsgiApp, Message, Scope


class InProcessTransport(httpx.AsyncBaseTransport):
    """Hands each request to an ASGI application and its answer back to httpx.

    An answer that stops short of its Content-Length raises `httpx.ReadError`, as a connection that broke; an answer
    that takes longer than the client's read timeout raises `httpx.ReadTimeout`. In both the application may have
    carried out the request. The trace extension hears that the request was sent. What the application raises passes.
    """

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Run the application on one request."""
        body = await request.aread()
        if trace := request.extensions.get("trace"):
            await trace("http11.send_request_headers.started", {"request": request})
        exchange = _Exchange(body)
        with anyio.move_on_after(request.extensions.get("timeout", {}).get("read")) as scope:
            await self._app(_scope(request), exchange.receive, exchange.send)
        if scope.cancelled_caught:
            msg = "the application took longer than the read timeout"
            raise httpx.ReadTimeout(msg, request=request)
        if not exchange.complete:
            msg = "the application ended before its answer was complete"
            raise httpx.ReadError(msg, request=request)
        return httpx.Response(exchange.status, headers=exchange.headers, stream=httpx.ByteStream(bytes(exchange.body)))


class _Exchange:
    """The two ends that an ASGI application talks to, and what it has answered so far."""

    def __init__(self, request_body: bytes) -> None:
        self._request_body: bytes | None = request_body
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self._ended = False

    async def receive(self) -> Message:
        if self._request_body is None:
            return {"type": "http.disconnect"}
        body, self._request_body = self._request_body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
        else:
            self.body += message.get("body", b"")
            self._ended = not message.get("more_body", False)

    @property
    def complete(self) -> bool:
        """Whether the answer has ended, and is as long as it promised to be."""
        promised = dict(self.headers).get(b"content-length")
        return self._ended and (promised is None or len(self.body) >= int(promised))


def _scope(request: httpx.Request) -> Scope:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 0),
        "server": (url.host, url.port),
    }


@contextlib.asynccontextmanager
async def serving(app: AsgiApp, host: str, port: int) -> AsyncGenerator[str, None]:
    """Serve the application on a socket, inside the running event loop, and yield the base URL; asyncio only.

    Raises:
        RuntimeError: uvicorn is not installed, or the event loop is not asyncio's.
        OSError: The port is taken.
    """
    try:
        import uvicorn  # noqa: PLC0415 - an extra, needed only here
    except ImportError:
        msg = "serving a sandbox on a socket needs uvicorn: install klickdoxie[sandbox]"
        raise RuntimeError(msg) from None
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        msg = "serving a sandbox on a socket works on asyncio only"
        raise RuntimeError(msg) from None
    config = uvicorn.Config(
        app, lifespan="off", ws="none", log_config=None, log_level=None, timeout_graceful_shutdown=1
    )
    with _only_mistakes("uvicorn.error", "uvicorn.access"), socket.create_server((host, port)) as listener:
        # asyncio would see to it, had it made the socket itself; without it each answer waits 40 ms for the last one.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config.load()
        server = uvicorn.Server(config)
        # Step by step, since uvicorn's own `serve()` takes over the signals of the process.
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        ticking = loop.create_task(server.main_loop())
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            with anyio.CancelScope(shield=True):
                await ticking
                await server.shutdown(sockets=[listener])


@contextlib.contextmanager
def _only_mistakes(*names: str) -> Generator[None, None, None]:
    """Let these loggers tell of mistakes of the application only; lost connections and requests are no news."""

    def is_mistake(record: logging.LogRecord) -> bool:
        return record.exc_info is not None and isinstance(record.exc_info[1], Exception)

    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(is_mistake)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_mistake)
