"""A receiver of webhooks, as an application."""

import attrs

from klickdoxie_core.asgi import Receive, Scope, Send


@attrs.define
class Receiver:
    """An application that keeps the deliveries that reach it, and answers with a status of choice."""

    status: int = 200
    broken: bool = False
    paths: list[str] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one delivery."""
        if self.broken:
            raise LookupError
        self.paths.append(scope["path"])
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
