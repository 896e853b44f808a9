"""HTTP Basic."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import cached_property

import attrs

from klickdoxie_core.auth.scheme import Grant, Run, Scheme
from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import ArgumentError
from klickdoxie_core.redact import Secret, secret

UNSENDABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and lone surrogates, which no encoding can carry."""


def is_sendable(text: object) -> bool:
    """Whether this is a non-empty text without control characters."""
    return isinstance(text, str) and text != "" and UNSENDABLE.search(text) is None


@attrs.frozen
class Basic(Scheme[None]):
    """A user name and a password in each request, as UTF-8.

    Raises `ArgumentError` for a name that is empty or holds a colon, and for control characters.
    """

    username: str = attrs.field(repr=False)
    password: Secret = attrs.field(converter=secret, repr=False)

    def __attrs_post_init__(self) -> None:
        if not is_sendable(self.username) or ":" in self.username:
            raise ArgumentError("username must be a non-empty text without colons and control characters")
        if not is_sendable(self.password.reveal()):
            raise ArgumentError("password must be a non-empty text without control characters")

    async def obtain(self, run: Run, clock: Clock) -> Grant[None]:
        """Nothing to obtain."""
        del run, clock
        return Grant(credential=None)

    def sign(self, credential: None) -> Mapping[str, str]:
        """The `Authorization` header."""
        del credential
        return self._headers

    @cached_property
    def _headers(self) -> Mapping[str, str]:
        return {"authorization": basic_header(self.username, self.password.reveal())}


def basic_header(username: str, password: str) -> str:
    """The value of a Basic `Authorization` header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
