"""Strict JSON has one verdict, whichever parser is installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klickdoxie_core import json_bytes
from klickdoxie_core.json_bytes import Undecodable, parse_json

CONTACT = Path(__file__).parents[1] / "fixtures" / "contacts" / "full.json"


@pytest.fixture
def without_orjson(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing but the standard library."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    json_bytes._installed_orjson.cache_clear()
    yield
    json_bytes._installed_orjson.cache_clear()


def outcome(parse: Any, body: bytes) -> str:
    """What became of a body: the document with its types and its order, or why there is none."""
    try:
        return repr(parse(body))
    except Undecodable as error:
        return f"refused: {error.reason}"


def test_the_standard_library_is_enough(without_orjson: None) -> None:
    """A contact is read, and what is not strict is refused."""
    assert parse_json(CONTACT.read_bytes()) == json.loads(CONTACT.read_bytes())
    with pytest.raises(Undecodable, match="not strict JSON"):
        parse_json(b'{"a":1,"a":1}')


def test_orjson_reads_a_contact_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast way is taken where it can be: the standard library is not asked."""
    pytest.importorskip("orjson")
    monkeypatch.setattr(json_bytes, "_parse_plainly", pytest.fail)
    assert parse_json(CONTACT.read_bytes()) == json.loads(CONTACT.read_bytes())
    assert parse_json(b'{"a":":","b":[{"c":"\\""},{}],"c":null}') == {"a": ":", "b": [{"c": '"'}, {}], "c": None}


ODD = [
    b'{"a":1,"a":1}',
    b'{"a":1,"\\u0061":1}',
    b'{"a":1,"a":"\\u003a"}',
    b'{"a":"\\u003A","a":1}',
    b'{"a":":","a":"\\u003a\\u003a"}',
    b'[{"a":{"b" :1,"b"\n:2}}]',
    b'{"a":{"b":1},"a":2}',
    b'{"":1,"":2}',
    b"9223372036854775807",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    b'{"a":[123456789012345678901234567890]}',
    b"1e400",
    b"-0",
    b"-0.0",
    b"1E3",
    b"0.1234567890123456789012345",
    b"NaN",
    b"[-Infinity]",
    b'"\\ud800"',
    b'{"\\udfff":1}',
    b'"\\ud83d\\ude00"',
    b'"\xed\xa0\x80"',
    b'"\\u0000"',
    b'"\x00"',
    b'"\x7f"',
    b"\xef\xbb\xbf{}",
    b"\xef\xbb\xbf\xef\xbb\xbf{}",
    b"\x0c1",
    b" \t\r\n1 ",
    b"01",
    b"1.",
    b"[1,]",
    b"",
    b"<p>",
    '{"ü":"€"}'.encode("cp1252"),
    *(b"[" * depth + b"]" * depth for depth in (1, 253, 254, 255, 256, 300, 2000)),
    *(b'{"a":' * depth + b"1" + b"}" * depth for depth in (253, 254, 255, 300, 2000)),
]


@pytest.mark.parametrize("body", ODD, ids=lambda body: repr(body)[:40])
def test_one_verdict_where_parsers_differ(body: bytes) -> None:
    """Keys that come twice, numbers beyond 64 bits, lone surrogates, depth: as the standard library has it."""
    assert outcome(parse_json, body) == outcome(json_bytes._parse_plainly, body)


PIECES = [
    *(b'{}[]",:\\ \n'[at : at + 1] for at in range(10)),
    b'"a":',
    b'"a":1,',
    b'"\\u0061":2,',
    b"\\u003a",
    b"\\ud800",
    b"12345678901234567890",
    b"1e999",
    b"NaN",
    b"\xff",
    b"\xc3\xa4",
    b"-",
    b"0",
    b".5",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", ":", 'b":', "ä"]), inner),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A document in one of its spellings, with some bytes gone, doubled or put in."""
    compact = draw(st.booleans())
    separators = (",", ":") if compact else (", ", " : ")
    text = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()), separators=separators)
    body = text.encode("utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 8)))
        put = draw(st.sampled_from([b"", body[start:end] * 2, *PIECES]))
        body = body[:start] + put + body[end:]
    return body


@settings(max_examples=500, derandomize=True, deadline=None)
@given(mutated())
def test_one_verdict_for_whatever_comes(body: bytes) -> None:
    """The very same document or the very same refusal."""
    assert outcome(parse_json, body) == outcome(json_bytes._parse_plainly, body)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", ":", "\\u0061", "\\u003a"]), VALUES), max_size=4))
def test_a_key_that_comes_twice_is_always_seen(pairs: list[tuple[str, object]]) -> None:
    """However it is spelled, and whatever stands beside it."""
    body = ("{" + ",".join(f'"{key}":{json.dumps(value)}' for key, value in pairs) + "}").encode()
    names = [json.loads(f'"{key}"') for key, _ in pairs]
    assert outcome(parse_json, body) == outcome(json_bytes._parse_plainly, body)
    if len(set(names)) < len(names):
        assert outcome(parse_json, body) == "refused: the answer is not strict JSON"
