"""The ASGI app that receives the service's webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from doxie_async.errors import ConfigError
from doxie_async.webhooks.events import AnyEvent
from doxie_async.webhooks.reading import parse
from klickdoxie_core import Basic
from klickdoxie_core import ConfigError as CoreConfigError
from klickdoxie_core.asgi import Receive, Scope, Send
from klickdoxie_core.webhooks import DEFAULT_MAX_BODY, BasicCheck, Delivery, Handler, Receiver, WrongPath


class WebhookApp:
    """An ASGI app that receives webhooks, to be mounted anywhere or served by itself.

    It checks the credentials before it reads, and answers 200 before the handler runs. The handler runs inside the
    request that is answered already: long work belongs into a queue. Deliveries may repeat and overtake each other:
    an event's `key` and `timestamp` tell.

    Args:
        handler: Called with each event.
        credentials: What the service was told to send; two while one replaces the other.
        paths: The kind of event that each path brings, below where the app is mounted; any other path is answered
            with 404. None to take every path and tell the kind by the names in the delivery.
        max_body: Bytes of a body beyond which it is refused.

    Raises:
        ConfigError: There are no credentials, or more than two, or the paths are none or lead to no kind of event.
    """

    def __init__(
        self,
        handler: Handler[AnyEvent],
        *,
        credentials: Sequence[Basic],
        paths: Mapping[str, type[AnyEvent]] | None = None,
        max_body: int = DEFAULT_MAX_BODY,
    ) -> None:
        try:
            basic = BasicCheck(credentials)
        except CoreConfigError as error:
            raise ConfigError(error.message) from None
        self._kinds = None if paths is None else _kinds(paths)
        self._receiver = Receiver(handler, read=self._read, basic=basic, max_body=max_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of an ASGI server."""
        await self._receiver(scope, receive, send)

    def _read(self, delivery: Delivery) -> AnyEvent:
        if self._kinds is None:
            return parse(delivery.body)
        kind = self._kinds.get(delivery.path.strip("/"))
        if kind is None:
            raise WrongPath("no kind of event comes to the delivery's path")
        return parse(delivery.body, kind=kind)


def _kinds(paths: Mapping[str, type[AnyEvent]]) -> dict[str, type[AnyEvent]]:
    kinds = {path.strip("/"): kind for path, kind in paths.items()}
    if not kinds or len(kinds) != len(paths):
        raise ConfigError("the paths of a webhook receiver must be there, and differ in more than their slashes")
    if any(kind not in get_args(AnyEvent) for kind in kinds.values()):
        raise ConfigError("each path of a webhook receiver must lead to one of the kinds of event")
    return kinds
