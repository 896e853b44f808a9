"""A developer's key and a customer's key, combined into two headers of each request."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cached_property

import attrs

from klickdoxie_core.auth.basic import is_sendable
from klickdoxie_core.auth.scheme import Grant, Run, Scheme
from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import ArgumentError
from klickdoxie_core.redact import Secret

_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def _developer_key(value: str | Secret) -> Secret:
    key = "".join(_revealed(value).split()).lower()
    if not _HEX.fullmatch(key):
        raise ArgumentError("developer_key must be an even number of hexadecimal digits")
    return Secret(key)


def _customer_key(value: str | Secret) -> Secret:
    key = _revealed(value).strip()
    if not is_sendable(key):
        raise ArgumentError("customer_key must be a non-empty text without control characters")
    return Secret(key)


def _revealed(value: object) -> str:
    """The text of a key; empty, which no key is, for anything else."""
    text: object = value.reveal() if isinstance(value, Secret) else value
    return text if isinstance(text, str) else ""


def _username(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not _PRINTABLE.fullmatch(name):
        raise ArgumentError("username must be a non-empty text of printable ASCII characters")
    return name


@attrs.frozen
class KeyPair(Scheme[None]):
    """A user name and a cipher made of both keys, in each request; there is no login and nothing to renew.

    The cipher holds the customer key in a readable form, so it is as secret as the key itself.
    Raises `ArgumentError` for a developer key that is not hexadecimal, empty values and control characters.
    """

    username: str = attrs.field(converter=_username, repr=False)
    developer_key: Secret = attrs.field(converter=_developer_key, repr=False)
    customer_key: Secret = attrs.field(converter=_customer_key, repr=False)
    username_header: str = attrs.field(default="x-un", kw_only=True)
    cipher_header: str = attrs.field(default="x-ci", kw_only=True)

    def cipher(self) -> str:
        """Base64 of the customer key's HMAC-SHA256 under the developer key, followed by the customer key."""
        import hmac  # noqa: PLC0415 - it brings OpenSSL, which only key pairs need

        message = self.customer_key.reveal().encode()
        digest = hmac.new(bytes.fromhex(self.developer_key.reveal()), message, hashlib.sha256).digest()
        return base64.b64encode(digest + message).decode("ascii")

    async def obtain(self, run: Run, clock: Clock) -> Grant[None]:
        """Nothing to obtain."""
        del run, clock
        return Grant(credential=None)

    def sign(self, credential: None) -> Mapping[str, str]:
        """The two headers."""
        del credential
        return self._headers

    @cached_property
    def _headers(self) -> Mapping[str, str]:
        return {self.username_header: self.username, self.cipher_header: self.cipher()}
