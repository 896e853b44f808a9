"""What Doxie's answers mean: `success: false` is an error whatever the status, and assumed routes say that they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from doxie_async import errors as e
from doxie_async.routes import ADMIN_CANCEL_PROCESS, CANCEL_PROCESS, Routes
from klickdoxie_core import Call, Dialect, Explained
from klickdoxie_core.errors import error_for_status
from klickdoxie_core.redact import mask

_CANCELLATIONS = frozenset({CANCEL_PROCESS.name, ADMIN_CANCEL_PROCESS.name})
_ASSUMED = (
    "; the route {method} {template} is assumed, since the public reference does not tell it; load the real one with "
    "Doxie(..., routes=Routes.from_openapi(file)) or DOXIE_OPENAPI, and compare with `doxie routes check`"
)


@attrs.frozen
class DoxieDialect(Dialect):
    """Reads Doxie's envelopes; knows which routes are assumed."""

    routes: Routes
    family = e.FAMILY

    def explain(self, call: Call[Any], status: int, payload: object) -> Explained | None:
        """What an answer means; None for a 2xx that does not say `success: false`."""
        reason, refused = _envelope(payload)
        if 200 <= status < 300:
            return _explained(e.Rejected, "the service refused it (success: false)", reason) if refused else None
        message = f"the service answered {status}"
        hint = self._hint(call) if status in {404, 405} else ""
        if status == 405:
            return _explained(e.MethodNotAllowed, message, reason, hint)
        if status == 422 and call.operation in _CANCELLATIONS:
            return _explained(e.AlreadyCancelled, message, reason)
        kind = self.own(error_for_status(status))
        return attrs.evolve(_explained(kind, message, reason, hint), final=False)

    def _hint(self, call: Call[Any]) -> str:
        for route in self.routes:
            if route.operation.name == call.operation and not route.confirmed:
                return _ASSUMED.format(method=route.method, template=route.template)
        return ""


def _envelope(payload: object) -> tuple[str | None, bool]:
    """The service's own words, and whether the envelope says that the call was refused."""
    if not isinstance(payload, Mapping):
        return None, False
    body = cast("Mapping[str, object]", payload)
    words = [body.get(key) for key in ("error", "error_message", "message")]
    reason = next((word for word in words if isinstance(word, str) and word), None)
    return reason, body.get("success") is False


def _explained(kind: type[Any], message: str, reason: str | None, hint: str = "") -> Explained:
    said = f" (the service says: {mask(reason)})" if reason else ""
    details = {"reason": reason} if reason else {}
    return Explained(error=kind, message=message + said + hint, details=details, final=True)
