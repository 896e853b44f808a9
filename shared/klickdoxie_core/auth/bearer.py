"""OAuth2 bearer tokens: fixed, from the caller's own source, or by client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import cast
from urllib.parse import quote, urlsplit

import attrs

from klickdoxie_core.auth.basic import basic_header, is_sendable
from klickdoxie_core.auth.scheme import Grant, Run, Scheme
from klickdoxie_core.call import Call, Effect
from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import ArgumentError, DecodeError, Facts
from klickdoxie_core.redact import Secret, secret

_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_UNKNOWN_LIFETIME, _LONGEST_LIFETIME = 300.0, 24 * 3600.0


@attrs.frozen(kw_only=True)
class Token:
    """A bearer token and the seconds that it holds; None where nobody knows."""

    value: str = attrs.field(repr=False)
    expires_in: float | None = None


TokenSource = Callable[[], Awaitable[str | Token]]


class _TokenScheme(Scheme[Secret]):
    __slots__ = ()

    def sign(self, credential: Secret) -> Mapping[str, str]:
        """The `Authorization` header."""
        return {"authorization": f"Bearer {credential.reveal()}"}


def _fixed_or_source(value: str | Secret | TokenSource) -> Secret | TokenSource:
    return Secret(value) if isinstance(value, str) else value


@attrs.frozen
class Bearer(_TokenScheme):
    """A fixed token, or an async callable that returns one (with its lifetime as a `Token`, if known).

    A callable is asked once for all calls, again ahead of the token's end, and once more after a 401.
    """

    token: Secret | TokenSource = attrs.field(converter=_fixed_or_source, repr=False)

    def __attrs_post_init__(self) -> None:
        if isinstance(self.token, Secret):
            _checked(self.token.reveal())
        elif not callable(self.token):
            raise ArgumentError("token must be a text, or an async callable that returns one")

    async def obtain(self, run: Run, clock: Clock) -> Grant[Secret]:
        """The fixed token, or a new one from the callable."""
        del run, clock
        if isinstance(self.token, Secret):
            return Grant(credential=self.token)
        token = await _asked(self.token)
        lifetime = None if token.expires_in is None else _lifetime(token.expires_in)
        return Grant(credential=Secret(_checked(token.value)), lifetime=lifetime)

    def refused(self, status: int, payload: object) -> bool:
        """A 401, where there is somebody to ask for another token."""
        del payload
        return status == 401 and not isinstance(self.token, Secret)


@attrs.frozen
class ClientCredentials(_TokenScheme):
    """A token fetched from a token endpoint with the client's own name and secret.

    Attributes:
        token_url: The absolute URL of the endpoint; it is never called anywhere else.
        scope: What to ask for; None leaves it to the server.
    """

    client_id: str = attrs.field(repr=False)
    client_secret: Secret = attrs.field(converter=secret, repr=False)
    token_url: str
    scope: str | None = None

    def __attrs_post_init__(self) -> None:
        if not _is_endpoint(self.token_url):
            said = "token_url must be an absolute http or https URL without user name, query, fragment and braces"
            raise ArgumentError(said)
        for text in (self.client_id, self.client_secret.reveal()):
            if not is_sendable(text):
                raise ArgumentError("client_id and client_secret must be non-empty texts without control characters")
        if self.scope is not None and not is_sendable(self.scope):
            raise ArgumentError("scope must be a non-empty text without control characters, or None")

    async def obtain(self, run: Run, clock: Clock) -> Grant[Secret]:
        """Fetch a token; raises `DecodeError` for an answer without one."""
        del clock
        call = self._call()
        answer = await run(call)
        token, kind = answer.get("access_token"), answer.get("token_type", "bearer")
        usable = isinstance(token, str) and _B64TOKEN.fullmatch(token)
        if not usable or str(kind).lower() != "bearer":
            facts = Facts(operation=call.operation, method=call.method, template=call.template)
            raise DecodeError("the token endpoint's answer holds no usable bearer token", facts)
        return Grant(credential=Secret(str(token)), lifetime=_lifetime(answer.get("expires_in")))

    def refused(self, status: int, payload: object) -> bool:
        """A 401: the token may have been withdrawn."""
        del payload
        return status == 401

    def _call(self) -> Call[dict[str, object]]:
        parts = urlsplit(self.token_url)
        # RFC 6749, section 2.3.1: both are form-encoded before they become Basic credentials.
        name, secret = quote(self.client_id, safe=""), quote(self.client_secret.reveal(), safe="")
        return Call(
            operation="Fetch Token",
            method="POST",
            template=parts.path or "/",
            into=dict[str, object],
            form={"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {}),
            headers={"authorization": basic_header(name, secret)},
            effect=Effect.SAFE,
            reread=False,
            auth=None,
            origin=f"{parts.scheme}://{parts.netloc}",
        )


async def _asked(source: Callable[[], object]) -> Token:
    pending = source()
    answer = await cast("Awaitable[object]", pending) if isinstance(pending, Awaitable) else None
    if isinstance(answer, str):
        return Token(value=answer)
    if not isinstance(answer, Token):
        raise ArgumentError("token must be an async callable that returns a text or a Token")
    return answer


def _is_endpoint(url: object) -> bool:
    if not (isinstance(url, str) and is_sendable(url)) or any(mark in url for mark in "?#{}"):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None


def _checked(token: object) -> str:
    if not (isinstance(token, str) and _B64TOKEN.fullmatch(token)):
        raise ArgumentError("token must be a non-empty bearer token of ASCII letters, digits and -._~+/=")
    return token


def _lifetime(expires_in: object) -> float:
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return _UNKNOWN_LIFETIME
    # Compared before it becomes a float, which a number of 400 digits cannot; NaN fails every comparison.
    return float(min(expires_in, _LONGEST_LIFETIME)) if expires_in > 0 else _UNKNOWN_LIFETIME
