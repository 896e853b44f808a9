"""A stateful fake of the KlickTipp API, for tests and for trying things out."""

from klicktipp_async.sandbox.app import Sandbox
from klicktipp_async.sandbox.store import Bounce, Status, StoredContact, StoredTag
from klicktipp_async.sandbox.wire_format import WireFormat

__all__ = ["Bounce", "Sandbox", "Status", "StoredContact", "StoredTag", "WireFormat"]
