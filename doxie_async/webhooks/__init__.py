"""Webhooks of the service: read a delivery as a typed event, and an ASGI app that receives them.

The service proves itself by HTTP Basic only, and nothing in a delivery names its kind: give each kind a path of its
own where you can, by `WebhookApp(…, paths={…})`.
"""

from doxie_async.webhooks.app import WebhookApp
from doxie_async.webhooks.events import (
    AnyEvent,
    DoiConfirmed,
    Event,
    MessageSent,
    MessageStatus,
    MessageType,
    ProcessCancelled,
    QrCodeStatus,
    QrCodeVisited,
    RcsResponse,
    UnknownEvent,
)
from doxie_async.webhooks.reading import parse

__all__ = [
    "AnyEvent",
    "DoiConfirmed",
    "Event",
    "MessageSent",
    "MessageStatus",
    "MessageType",
    "ProcessCancelled",
    "QrCodeStatus",
    "QrCodeVisited",
    "RcsResponse",
    "UnknownEvent",
    "WebhookApp",
    "parse",
]
