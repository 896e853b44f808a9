"""Strict JSON from bytes: by orjson where it is installed, else by the standard library, with the same verdicts."""

from __future__ import annotations

import importlib
import json
from functools import cache
from typing import Protocol, cast

_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19


class Undecodable(Exception):
    """An answer that is not what was promised; `paths` says where, and never shows a value."""

    def __init__(self, reason: str, paths: tuple[str, ...] = ()) -> None:
        super().__init__(reason, paths)
        self.reason = reason
        self.paths = paths


class _Orjson(Protocol):
    """What is used of orjson."""

    def loads(self, body: bytes, /) -> object: ...

    def dumps(self, document: object, /) -> bytes: ...


def parse_json(body: bytes) -> object:
    """Decode strict JSON: UTF-8, one document, no NaN, no key twice, no depth that the interpreter cannot hold."""
    if (orjson := _installed_orjson()) is not None:
        try:
            return _parse_fast(orjson, body)
        except (ValueError, TypeError):
            # Refused, or not understood well enough to be taken: the standard library has the last word.
            pass
    return _parse_plainly(body)


def parse_numbers(digits: bytes) -> list[int]:
    """The numbers of `1,2,3`, for who knows that there is nothing else; ValueError for a leading zero."""
    parser = _installed_orjson() or json
    return cast("list[int]", parser.loads(b"[%b]" % digits))


@cache
def _installed_orjson() -> _Orjson | None:
    try:
        return cast("_Orjson", importlib.import_module("orjson"))
    except ImportError:
        return None


def _parse_fast(orjson: _Orjson, body: bytes) -> object:
    r"""The document, 0.6 of the standard library's time; raises ValueError or TypeError where that must be asked.

    orjson differs in three points. It takes the last of two equal keys: then the document, written again, has fewer
    colons than the body, unless one was spelled `\u003a`. It makes a float of a whole number beyond 64 bits: that
    has 19 digits at the least. It nests deeper than the interpreter: writing ends at 254 levels.
    """
    document = orjson.loads(body)
    lost_a_key = orjson.dumps(document).count(b":") != body.count(b":")
    if lost_a_key or b"\\u003" in body or _LONG_NUMBER in body.translate(_ZEROS):
        raise ValueError
    return document


def _parse_plainly(body: bytes) -> object:
    try:
        return cast("object", _DECODER.decode(body.decode("utf-8-sig")))
    except RecursionError:
        raise Undecodable("the answer is nested too deeply") from None
    except UnicodeDecodeError:
        raise Undecodable("the answer is not UTF-8") from None
    except ValueError:
        raise Undecodable(_what_it_is(body)) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key stands twice")
    return mapping


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_unique)


def _what_it_is(body: bytes) -> str:
    start = body[:256].lstrip().lower()
    if not start:
        return "the answer is empty"
    return "the answer is a web page, not JSON" if start.startswith(b"<") else "the answer is not strict JSON"
