"""`Call[T]`: a frozen value that names one operation of a service."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import AsyncIterable, Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import attrs

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")

_HOLE = re.compile(r"\{(\w+)\}")
# C0, DEL, C1, and lone surrogates, which no encoding can carry.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff/\\]")

DEFAULT_MAX_BODY = 16 * 1024 * 1024
"""Bytes of an answer, unpacked, beyond which it is refused."""


class Effect(enum.Enum):
    """What a call does at the service; decides whether it may be sent again."""

    SAFE = "safe"
    """Reads only: may always be sent again."""
    REPEATABLE = "repeatable"
    """Writes, and writing twice is the same as writing once."""
    ONCE = "once"
    """Must not be sent again once it may have been carried out."""


_BY_METHOD = {
    "GET": Effect.SAFE,
    "HEAD": Effect.SAFE,
    "OPTIONS": Effect.SAFE,
    "PUT": Effect.REPEATABLE,
    "DELETE": Effect.REPEATABLE,
}


def default_effect(method: str) -> Effect:
    """What a method promises by itself; where the vendor's operation does otherwise, the call says so."""
    return _BY_METHOD.get(method, Effect.ONCE)


@attrs.frozen(kw_only=True)
class Stream:
    """A body that is read while it is sent, so that its size does not matter.

    Attributes:
        open: Starts the stream, anew for each attempt, which closes it in the end. What it raises passes as it is.
        content_type: What it is.
        length: Its bytes, where they are known beforehand.
        repeatable: It can be started again once it was read; without that, a call that was answered is not sent again.
    """

    open: Callable[[], AsyncIterable[bytes]] = attrs.field(repr=False)
    content_type: str
    length: int | None = None
    repeatable: bool = True


@attrs.frozen(kw_only=True)
class Call(Generic[T]):
    """One operation, ready for the engine. It carries no credential and does no I/O.

    Attributes:
        operation: The vendor's name of the operation.
        method: The HTTP method.
        template: The path with `{names}`; spans, logs and errors show it instead of the URL.
        into: The type that the answer becomes.
        path: Values for the names in the template.
        query: Query parameters, in order.
        body: What is sent as JSON; None sends no body.
        form: What is sent form-encoded instead.
        stream: What is sent piece by piece instead.
        headers: Headers of this call alone.
        effect: Whether it may be sent again.
        auth: The name of the client's credential that signs it; None for an unsigned call.
        origin: Another scheme and host than the client's base URL.
        empty_ok: An answer without a body is as good as one with it.
        reread: A read whose 2xx makes no sense is sent again; not for a login, where that may be a refusal.
        done_if: Errors that mean "done already" when an earlier attempt of the same call is in doubt.
        max_body: Bytes of the answer, unpacked, beyond which it is refused.
    """

    operation: str
    method: str
    template: str
    into: TypeForm[T] = attrs.field(repr=False)
    path: Mapping[str, str | int] = attrs.field(factory=dict[str, "str | int"], repr=False)
    query: Mapping[str, str | int] | None = attrs.field(default=None, repr=False)
    body: object = attrs.field(default=None, repr=False)
    form: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    stream: Stream | None = None
    headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    effect: Effect
    auth: str | None = "account"
    origin: str | None = None
    empty_ok: bool = False
    reread: bool = True
    done_if: tuple[type[Exception], ...] = ()
    max_body: int = DEFAULT_MAX_BODY

    def target(self, base_url: str) -> str:
        """The absolute URL; raises ValueError for a path value that would leave its place."""
        url = (self.origin or base_url) + expand(self.template, self.path)
        return f"{url}?{urlencode(self.query)}" if self.query else url


def encoded(call: Call[Any], headers: dict[str, str]) -> bytes | Callable[[], AsyncIterable[bytes]] | None:
    """What is sent, and the headers that say what it is."""
    if call.stream is not None:
        headers["content-type"] = call.stream.content_type
        if call.stream.length is not None:
            headers["content-length"] = str(call.stream.length)
        return call.stream.open
    if call.form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
        return urlencode(call.form).encode("ascii")
    if call.body is not None:
        headers["content-type"] = "application/json"
        return json.dumps(call.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return None


def expand(template: str, values: Mapping[str, str | int]) -> str:
    """The path with each value quoted into its place."""
    names = _names(template)
    if not names:
        return template
    return template.format_map({name: quote(_checked(name, values[name]), safe="") for name in names})


@cache
def _names(template: str) -> tuple[str, ...]:
    return tuple(_HOLE.findall(template))


def _checked(name: str, value: str | int) -> str:
    text = str(value)
    if not text or text in {".", ".."} or _FORBIDDEN.search(text):
        msg = f"{name} must be a non-empty text without slashes, control characters and dot segments"
        raise ValueError(msg)
    return text
