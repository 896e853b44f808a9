"""`Call[T]`: a frozen value that names one operation of a service."""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, cast
from urllib.parse import quote, urlencode

import attrs

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
P_co = TypeVar("P_co", covariant=True)

Query: TypeAlias = "Mapping[str, str | int | Sequence[str | int] | None]"
"""Query parameters by name: None leaves one out, and a list or tuple repeats the name."""

_HOLE = re.compile(r"\{(\w+)\}")
# C0, DEL, C1, and lone surrogates, which no encoding can carry.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff/\\]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_METHOD = re.compile(r"[A-Z][A-Z-]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNHEADED = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# HTTP libraries refuse longer URLs without a word about which value it was.
_MAX_PLACE, _MAX_QUERY = 2000, 50_000
# A little below the length at which Python refuses to print an int.
_MAX_BITS = 14_000
# A path that somebody calls by `request` is a template, too.
_MAX_TEMPLATES = 1000
_MAX_DEPTH = 200
# More than `mask` reads of a text, since what is cut may end in half an address.
_MAX_WHERE = 4000
# Not a dot: a phone number behind one would look like the end of a decimal, and so escape the mask.
_BELOW = " > "
_NO_QUERY = "query must map texts that UTF-8 can carry to such texts, to whole numbers, or to lists of both"
_TOO_DEEP = "a thing within itself or too many levels"

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

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

    @classmethod
    def of(cls, body: bytes, content_type: str) -> Stream:
        """Bytes that are there already, sent as they are."""
        return cls(open=partial(_in_one_piece, body), content_type=content_type, length=len(body))


async def _in_one_piece(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


class Reader(Protocol[P_co]):
    """Takes an answer's body in pieces, and gives out what is complete.

    Both methods raise `Undecodable` where the answer is not what was promised.
    """

    def feed(self, chunk: bytes, /) -> P_co:
        """What this piece completes."""
        ...

    def finish(self) -> object:
        """The decoded JSON of what was not given out."""
        ...


@attrs.frozen(kw_only=True)
class Call(Generic[T]):
    """One operation, ready for the engine. It carries no credential and does no I/O.

    Attributes:
        operation: The vendor's name of the operation.
        method: The HTTP method.
        template: The path with `{names}`; spans, logs and errors show it instead of the URL.
        into: The type that the answer becomes.
        path: Values for the names in the template.
        query: Query parameters, in order; None leaves one out, and a list or tuple repeats the name.
        body: What is sent as JSON; None sends no body.
        form: What is sent form-encoded instead.
        stream: What is sent piece by piece instead.
        headers: Headers of this call alone.
        effect: Whether it may be sent again.
        auth: The name of the client's credential that signs it; None for an unsigned call.
        origin: Another scheme and host than the client's base URL.
        empty_ok: A 204 or 205, which have no body, is as good as an answer.
        reread: A read whose 2xx makes no sense is sent again; not for a login, where that may be a refusal.
        done_if: Errors that mean "done already" when an earlier attempt of the same call is in doubt.
        max_body: Bytes of the answer, unpacked, beyond which it is refused.
        reader: Makes what reads a long answer while it comes in, anew for each attempt; None decodes it as a whole.
    """

    operation: str
    method: str
    template: str
    into: TypeForm[T] = attrs.field(repr=False)
    path: Mapping[str, str | int] = attrs.field(factory=dict[str, "str | int"], repr=False)
    query: Query | None = attrs.field(default=None, repr=False)
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
    reader: Callable[[], Reader[object]] | None = None

    def target(self, base_url: str) -> str:
        """The absolute URL; raises ValueError for a path value that would leave its place, and for what is no text."""
        if not _METHOD.fullmatch(self.method):
            raise ValueError("method must be an HTTP method, such as GET")
        url = (self.origin or base_url) + expand(self.template, self.path)
        query = _encoded_query(self.query) if self.query else ""
        return f"{url}?{query}" if query else url


def encoded(call: Call[Any], headers: dict[str, str]) -> bytes | Callable[[], AsyncIterable[bytes]] | None:
    """What is sent, and the headers that say what it is; raises ValueError or TypeError for what cannot be sent."""
    if call.stream is not None:
        if (said := _stream_fault(call.stream)) is not None:
            raise ValueError(said)
        headers["content-type"] = call.stream.content_type
        if call.stream.length is not None:
            headers["content-length"] = str(call.stream.length)
        return call.stream.open
    if call.form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
        return urlencode(call.form).encode("ascii")
    if isinstance(call.body, bytes | bytearray):
        raise TypeError("body goes out as JSON, which cannot carry bytes; a call sends them by stream=Stream.of(…)")
    if call.body is not None:
        check_json("body", call.body)
        headers["content-type"] = "application/json"
        return _ENCODER.encode(call.body).encode()
    return None


def _stream_fault(stream: object) -> str | None:
    if not isinstance(stream, Stream):
        return f"stream must be a Stream(...), not {type(stream).__name__}"
    length, content_type = cast("object", stream.length), cast("object", stream.content_type)
    if not callable(stream.open):
        return "open of Stream must be a function that starts the stream"
    if not isinstance(content_type, str) or _UNHEADED.search(content_type):
        return "content_type of Stream must be a text without line breaks"
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 0):
        return "length of Stream must be a whole number from 0, or None"
    return None


def checked_headers(name: str, headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers; raises ValueError, which shows none of them, where one is no text or would become two lines."""
    if not isinstance(cast("object", headers), Mapping) or not all(map(_is_header, headers, headers.values())):
        msg = f"{name} must map names of headers to texts without line breaks"
        raise ValueError(msg)
    return headers


def _is_header(name: object, value: object) -> bool:
    if not isinstance(name, str) or not isinstance(value, str):
        return False
    # Nearly all are printable, which is found out in a tenth of the time.
    return _is_header_name(name) and (value.isprintable() or _UNHEADED.search(value) is None)


@lru_cache(_MAX_TEMPLATES)
def _is_header_name(name: str) -> bool:
    return _HEADER_NAME.fullmatch(name) is not None


def expand(template: str, values: Mapping[str, str | int]) -> str:
    """The path with each value quoted into its place."""
    names = _names(template)
    if not names:
        return template
    return template.format_map({name: quote(_checked(name, values.get(name)), safe="") for name in names})


@lru_cache(_MAX_TEMPLATES)
def _names(template: str) -> tuple[str, ...]:
    return tuple(_HOLE.findall(template))


def _checked(name: str, value: object) -> str:
    text = _text_of(value)
    if text is None or not text.strip() or text in {".", ".."} or len(text) > _MAX_PLACE or _FORBIDDEN.search(text):
        msg = (
            f"{name} must be a non-empty text without slashes, control characters and dot segments, "
            f"of at most {_MAX_PLACE} characters, or a whole number"
        )
        raise ValueError(msg)
    return text


def _text_of(value: object) -> str | None:
    """A text or a whole number as a URL has it; None for anything else."""
    # Not by str(): that of an enum or of somebody's own class may be another text.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _MAX_BITS:
        return int.__repr__(value)
    return None


def _encoded_query(query: object) -> str:
    if not isinstance(query, Mapping):
        raise ValueError(_NO_QUERY)  # noqa: TRY004 - one kind of error for all that cannot be sent
    pairs: list[tuple[str, str]] = []
    for name, given in cast("Mapping[object, object]", query).items():
        values = cast("Sequence[object]", given) if isinstance(given, list | tuple) else (given,)
        texts = [_text_of(value) for value in values if given is not None]
        for text in texts:
            if not isinstance(name, str) or text is None or _SURROGATE.search(name + text):
                raise ValueError(_NO_QUERY)
            pairs.append((name, text))
    encoded_pairs = urlencode(pairs)
    if len(encoded_pairs) > _MAX_QUERY:
        msg = f"query must have at most {_MAX_QUERY} characters"
        raise ValueError(msg)
    return encoded_pairs


def check_json(name: str, value: object) -> None:
    """Refuse what would not arrive as it is, since JSON cannot carry it.

    Args:
        name: The argument that the error names.
        value: What is to be sent.

    Raises:
        ValueError: Somewhere in it is another thing than a text, a finite number, a bool, None, a list, a tuple, or a
            dict of texts to such things; or it is nested too deeply. The text says where, by names that may be
            personal.
    """
    fault = _fault(value, _MAX_DEPTH)
    if fault is not None:
        reason, where = fault
        place = f", at {where.removeprefix(_BELOW)[:_MAX_WHERE]}" if where else ""
        msg = f"{name} holds {reason}, which JSON cannot carry{place}"
        raise ValueError(msg)


def _fault(value: object, depth: int) -> tuple[str, str] | None:
    """What JSON cannot carry, and where it stands; the place is only put together where there is something to tell."""
    if isinstance(value, dict):
        return _fault_in_dict(cast("dict[object, object]", value), depth)
    if isinstance(value, list | tuple):
        return _fault_in_list(cast("list[object] | tuple[object, ...]", value), depth)
    reason = _reason(value)
    return None if reason is None else (reason, "")


def _fault_in_dict(value: dict[object, object], depth: int) -> tuple[str, str] | None:
    if depth == 0:
        return _TOO_DEEP, ""
    for name, each in value.items():
        if not isinstance(name, str) or not _is_encodable(name):
            return "a name that is no text or has no encoding", ""
        # Most values are texts, and most calls have nothing to tell.
        if isinstance(each, str) and _is_encodable(each):
            continue
        if (fault := _fault(each, depth - 1)) is not None:
            return fault[0], f"{_BELOW}{name[:_MAX_WHERE]}{fault[1]}"
    return None


def _fault_in_list(value: list[object] | tuple[object, ...], depth: int) -> tuple[str, str] | None:
    if depth == 0:
        return _TOO_DEEP, ""
    for number, each in enumerate(value):
        if (fault := _fault(each, depth - 1)) is not None:
            return fault[0], f"{_BELOW}{number}{fault[1]}"
    return None


def _is_encodable(text: str) -> bool:
    return text.isascii() or not _SURROGATE.search(text)


def _reason(value: object) -> str | None:
    """Why JSON cannot carry a single value; None where it can."""
    if isinstance(value, str):
        return None if _is_encodable(value) else "characters without an encoding"
    if isinstance(value, float):
        return None if math.isfinite(value) else "a number that is not finite"
    if isinstance(value, int):
        return None if value.bit_length() <= _MAX_BITS else "a number of too many digits"
    return None if value is None else f"a {type(value).__name__}"
