"""A stateful fake of Doxie MPM, for tests and for trying things out."""

from doxie_async.sandbox.app import Sandbox
from doxie_async.sandbox.store import Channel, Sent, Status, StoredProcess, Webhook, WebhookKind
from doxie_async.sandbox.wire_format import WireFormat

__all__ = ["Channel", "Sandbox", "Sent", "Status", "StoredProcess", "Webhook", "WebhookKind", "WireFormat"]
