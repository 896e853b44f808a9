"""Who may call: API users by HTTP Basic, administrators by OAuth2 tokens, and where those come from."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import parse_qs, unquote_plus

import attrs

from doxie_async.routes import Auth
from doxie_async.sandbox.store import Store
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Refused
from klickdoxie_core.sandbox import Answer, Inbound

FETCH_TOKEN: Final = "Fetch Token"  # noqa: S105 - the name of an operation
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path


@attrs.frozen(kw_only=True)
class Credentials:
    """What the sandbox lets in from the start."""

    username: str = "sandbox"
    password: str = attrs.field(default="Blütenhonig; 500 g", repr=False)
    client_id: str = "sandbox-verwaltung"
    client_secret: str = attrs.field(default="Schlüssel & 100 % geheim: +/=", repr=False)


class Tokens:
    """The OAuth2 tokens that are good, until when on the clock."""

    def __init__(self, monotonic: Callable[[], float], new: Callable[[], str]) -> None:
        self._monotonic = monotonic
        self._new = new
        self._until: dict[str, float] = {}
        self._standing = ""

    def issue(self, lifetime: float) -> str:
        """A new token that holds for so many seconds."""
        token = self._new()
        self._until[token] = self._monotonic() + lifetime
        return token

    def standing(self) -> str:
        """A token that holds until all are ended."""
        if self._standing not in self._until:
            self._standing = self.issue(math.inf)
        return self._standing

    def end_all(self) -> None:
        """End every token."""
        self._until.clear()

    def accept(self, token: str) -> bool:
        """Whether a token is good now."""
        return self._monotonic() < self._until.get(token, -math.inf)


def require_tenant(store: Store, inbound: Inbound) -> None:
    """Refuse the path of another tenant; a route may have its tenant elsewhere."""
    if inbound.values.get("tenant", store.tenant) != store.tenant:
        raise Refused(404, Text.NO_TENANT)


def require_credential(store: Store, tokens: Tokens, auth: Auth, headers: Mapping[str, str]) -> None:
    """Refuse who has no credential, a wrong one, or one of the other kind."""
    header = headers.get("authorization", "")
    if auth is Auth.API_USER:
        given = _basic(header)
        known = ((user.attributes.get("username"), user.attributes.get("password")) for user in store.api_users)
        if not any(given == pair for pair in known):
            raise Refused(401, Text.UNAUTHORIZED, {"www-authenticate": 'Basic realm="Doxie MPM"'})
    else:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not tokens.accept(token.strip()):
            raise Refused(401, Text.UNAUTHORIZED, {"www-authenticate": 'Bearer error="invalid_token"'})


def require_permission(permissions: Collection[str], inbound: Inbound) -> None:
    """Refuse an administrator who may not; a write needs both permissions."""
    if "application/json" not in inbound.headers.get("accept", ""):
        raise Refused(406, Text.ONLY_JSON)
    if "read" not in permissions:
        raise Refused(403, Text.NO_READ_PERMISSION)
    if inbound.method != "GET" and "write" not in permissions:
        raise Refused(403, Text.NO_WRITE_PERMISSION)


def fetch_token(credentials: Credentials, tokens: Tokens, lifetime: float, inbound: Inbound) -> Answer:
    """The token endpoint: client credentials only, RFC 6749, section 4.4."""
    form = {name: values[-1] for name, values in parse_qs(inbound.body.decode("utf-8", "replace")).items()}
    # Section 2.3.1: in the header both are form-encoded first; in the body they are as the form has them.
    encoded = _basic(inbound.headers.get("authorization", ""))
    if encoded:
        given = (unquote_plus(encoded[0]), unquote_plus(encoded[1]))
    else:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
    if given != (credentials.client_id, credentials.client_secret):
        return Answer.of({"error": "invalid_client"}, status=401, headers={"www-authenticate": "Basic"})
    if form.get("grant_type") != "client_credentials":
        return Answer.of({"error": "unsupported_grant_type"}, status=400)
    body = {"access_token": tokens.issue(lifetime), "token_type": "Bearer", "expires_in": math.floor(lifetime)}
    return Answer.of(body, headers={"cache-control": "no-store"})


def _basic(header: str) -> tuple[str, str] | None:
    """The name and the password of a Basic header; None for anything else."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None
