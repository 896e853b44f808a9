"""What may be shown: secrets hide themselves, personal data in texts is masked, headers pass by an allow-list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import NoReturn, cast

HIDDEN = "[hidden]"
_MAX_TEXT = 200
_MAX_READ = 2000
_MAX_ITEMS = 20
_MIN_CREDENTIAL = 4
# A shorter number may be anything in an answer, which it would be no JSON without.
_MIN_NUMBER = 6
_MAX_DEPTH = 4

# An address keeps nothing, not even its domain: a company's own domain often names the person.
# It starts only where a word starts, and takes the word at once: a long text without addresses costs one pass.
_NOT_IN_WORD = r"\s@\"'<>()\[\]{},;:=&/"
_EMAIL = re.compile(
    rf"(?<![^{_NOT_IN_WORD}])(?:[^{_NOT_IN_WORD}%]|%(?!40))++(?:@|%40)+[^{_NOT_IN_WORD}]+",
)
_UP_TO_A_WORD = re.compile(rf"(?s).*[{_NOT_IN_WORD}]")
_PHONE = re.compile(r"(?<![\w.])(?:\+|0)[0-9](?:[ ()/.\-\xa0\u2013]{0,3}[0-9]){5,}(?!\w)")

_SAFE_HEADERS = frozenset(
    {
        "age",
        "allow",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "retry-after",
        "server",
        "x-request-id",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    }
)

# What requests carry beside credentials.
_NO_CREDENTIALS = frozenset({"accept", "accept-encoding", "content-length", "content-type", "user-agent"})
_CREDENTIAL_NAME = re.compile("pass|secret|token|key", re.IGNORECASE)


class Secret:
    """A text that shows itself only when asked by `reveal()`: no repr, no format, no pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac  # noqa: PLC0415 - it brings OpenSSL, which most programs do not need for this

        # Lone surrogates, as they are in environment variables of another encoding, must not raise here.
        mine, its = (each._value.encode("utf-8", "surrogatepass") for each in (self, other))  # noqa: SLF001 - both ours
        return hmac.compare_digest(mine, its)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        msg = "a secret is never pickled; hand over where it can be read instead"
        raise TypeError(msg)


def secret(value: str | Secret) -> Secret:
    """The value as a secret; a converter for the fields of attrs classes."""
    return value if isinstance(value, Secret) else Secret(value)


def mask(text: str) -> str:
    """The text with e-mail addresses and phone numbers hidden, and cut to a length that fits a log line."""
    if len(text) > _MAX_READ:
        return _mask_the_start(text)
    masked = _PHONE.sub(HIDDEN, _EMAIL.sub(HIDDEN, text))
    return masked if len(masked) <= _MAX_TEXT else masked[:_MAX_TEXT] + "…"


def _mask_the_start(text: str) -> str:
    """Of a very long text only the start is looked at, up to what may be half an address or half a number."""
    start = _UP_TO_A_WORD.match(text[:_MAX_READ])
    whole = start[0].rstrip("+0123456789 ()/.-\xa0\u2013") if start else HIDDEN
    return mask(whole).removesuffix("…") + "…"


def mask_payload(payload: object, *, depth: int = _MAX_DEPTH) -> object:
    """A bounded copy of a decoded answer in which every text is masked."""
    if isinstance(payload, str):
        return mask(payload)
    if isinstance(payload, Mapping):
        if depth == 0:
            return HIDDEN
        pairs = list(cast("Mapping[object, object]", payload).items())[:_MAX_ITEMS]
        return {mask(str(key)): mask_payload(value, depth=depth - 1) for key, value in pairs}
    if isinstance(payload, list):
        if depth == 0:
            return HIDDEN
        return [mask_payload(value, depth=depth - 1) for value in cast("list[object]", payload)[:_MAX_ITEMS]]
    return payload


def safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that never carry a credential; every other one is left out."""
    return {name: mask(value) for name, value in headers.items() if name in _SAFE_HEADERS}


def credentials_in(headers: Mapping[str, str], *bodies: object) -> set[str]:
    """The words of a request that prove who is calling: of its headers, and of what bodies name like a secret."""
    values = [value for name, value in headers.items() if name not in _NO_CREDENTIALS]
    for body in bodies:
        if isinstance(body, Mapping):
            pairs = cast("Mapping[object, object]", body).items()
            values += [value for name, value in pairs if isinstance(value, str) and _CREDENTIAL_NAME.search(str(name))]
    words = {word for value in values for word in (value, value.rpartition(" ")[2], value.partition("=")[2])}
    return {word for word in words if len(word) >= (_MIN_NUMBER if word.isdecimal() else _MIN_CREDENTIAL)}


def without(body: bytes, words: Iterable[str]) -> bytes:
    """An answer in which these words are hidden, plain or as JSON writes them."""
    for word in sorted(words, key=len, reverse=True):
        for written in (word, word.replace("/", r"\/"), json.dumps(word)[1:-1]):
            body = body.replace(written.encode("utf-8", "surrogatepass"), HIDDEN.encode())
    return body
