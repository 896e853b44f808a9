"""What strangers and mistakes put into arguments, and a service that tells exactly what arrived."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import pickle
import re
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, unquote_to_bytes

import attrs
import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from klickdoxie_core import ConfigError, SdkError
from klickdoxie_core.call import expand

CANARY = "kanarie"
ADDRESS = f"{CANARY}.person@example.org"
PHONE = "+49 170 5550123 4"
PASSWORD = f"Geheim!{CANARY}"
_BIG = 2**20
_LONG = 200


def checked(examples: int) -> settings:
    """The same examples on each run, and as many as fit into the time of a test suite."""
    suppressed = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=suppressed
    )


class Word(str, enum.Enum):  # noqa: UP042 - its text is not its value, unlike a StrEnum's
    """A text whose `str()` is another text."""

    ONE = "eins"


class Number(int, enum.Enum):
    """A number whose `str()` is not its digits."""

    ONE = 1


class Liar(str):
    """A text whose `str()` is another text."""

    __slots__ = ()

    def __str__(self) -> str:
        return "../liar"


class Thing:
    """An object whose every text is personal."""

    def __repr__(self) -> str:
        return ADDRESS


def nested(depth: int) -> list[object]:
    """Lists in lists."""
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def cyclic() -> dict[str, object]:
    """A mapping that holds itself, twice."""
    around: dict[str, object] = {"a": 1}
    around["self"] = around["again"] = [around]
    return around


GOOD_TEXTS = (
    "käthe",
    "Grüße 🎉; und mehr",
    "𝄞",
    "e\u0301",
    "\u202eabc\u202c",
    "{tenant}",
    "a'b\"c<d>",
    "%",
    "100 %",
    "+",
)
CONTROLS = ("\r\nX-Evil: 1", "a\nb", "\0", "a\0b", "\t", "\x1b[31m", "\x7f", "a\x85b", "\ud800", "a\udfffb", "\u2028")
STEPS = (
    *("", " ", "\u3000", ".", "..", "../..", "a/b", "/", "//evil.example", "http://evil.example/", "\\", "a\\b"),
    *("%2e", "%2e%2e", "%2F", "..%2f", "%00", "%0d%0a", "?x=1", "#f", "a?b#c", ";v=1", "@evil.example", ":80", "a b"),
)
PERSONAL = (
    *(f"{ADDRESS}\r\nBcc: x", f"{ADDRESS} {ADDRESS}", f"{CANARY}@@example.org", f"{PHONE}\0", f"{PASSWORD}\ud800"),
    *(f"../{ADDRESS}", f" {ADDRESS} /"),
)
HUGE = ("x" * _BIG, "ä" * _BIG, f"{ADDRESS}/" * (_BIG // 32), "9" * _BIG)
TEXTS = (*GOOD_TEXTS, *CONTROLS, *STEPS, *PERSONAL, *HUGE)
NUMBERS: tuple[object, ...] = (
    *(0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**5000, -(10**5000), True, False, 0.0, 1.0, -0.5, 1e308, math.nan),
    *(math.inf, -math.inf, decimal.Decimal("1.5"), decimal.Decimal("sNaN"), Number.ONE),
)
OBJECTS: tuple[object, ...] = (
    *(None, b"", b"abc", ADDRESS.encode(), bytearray(b"1"), memoryview(b"1"), {1}, frozenset({ADDRESS}), object()),
    *(Thing(), Thing, print, [], [ADDRESS], [1, "a"], (), (Thing(),), {}, {ADDRESS: 1}, iter([1]), range(3), Word.ONE),
    *(Liar("x"), dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, tzinfo=dt.UTC), ValueError(ADDRESS), Ellipsis),
)
PAYLOADS: tuple[object, ...] = (
    *(cyclic(), {"a": nested(100_000)}, nested(100_000), {"a": nested(300)}, {1: "a"}, {None: 1}, {True: 1, "True": 2}),
    *({1: "a", "1": "b"}, {"a": {1.5: 1}}, {"a": math.nan}, {"a": [math.inf]}, {"a": 10**5000}, {"\ud800": 1}),
    *({"a": ["\udfff"]}, {"a": b"x"}, {"a": {1, 2}}, {"a": Thing()}, {ADDRESS: Thing()}, {"a": [{"b": (object(),)}]}),
    *({"a": dt.date(2024, 1, 2)}, {"a": decimal.Decimal("1.10")}, {"a": Word.ONE, "b": Number.ONE}, {"": ""}),
    *(
        {"a": "\0\x1b\u2028"},
        {"größe": "ä🎉", "t": (1, 2.5, None, True)},
        {"a": {"b": [{}, [], ""]}},
        {"x": "y" * _BIG},
    ),
    *({"x" * _BIG: 1}, {"a": 1e308, "b": -0.0, "c": 2**64}),
)
EVERYTHING: tuple[object, ...] = (*TEXTS, *NUMBERS, *OBJECTS, *PAYLOADS)
"""What every argument has to stand, whatever it takes."""

_pieces = st.sampled_from([text for text in (*GOOD_TEXTS, *CONTROLS, *STEPS) if text]) | st.characters()
texts = st.lists(_pieces, max_size=6).map("".join)
"""Texts with everything in them that has a meaning on the wire."""
numbers = st.integers() | st.floats() | st.booleans() | st.decimals()
payloads = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.integers(), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
anything = texts | numbers | payloads | st.binary(max_size=20) | st.none() | st.sets(st.integers(), max_size=2)


@attrs.frozen
class Seen:
    """One request as it came."""

    method: str
    host: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def segments(self) -> list[str]:
        """The path as a server takes it apart: cut first, decoded then."""
        path = self.target.partition(b"?")[0]
        return [unquote_to_bytes(part).decode() for part in path.split(b"/")[1:]]

    @property
    def query(self) -> dict[str, str]:
        """The query, each name once."""
        pairs = parse_qsl(
            self.target.partition(b"?")[2].decode(), keep_blank_values=True, strict_parsing=b"?" in self.target
        )
        assert len(dict(pairs)) == len(pairs), "a name came twice"
        return dict(pairs)

    @property
    def json(self) -> Any:
        """The body, read strictly."""
        return json.loads(self.body, parse_constant=_refuse, object_pairs_hook=_once)

    def header(self, name: str) -> str | None:
        """A header that came once."""
        found = [value for key, value in self.headers if key.decode().lower() == name]
        assert len(found) < 2, f"{name} came twice"
        return found[0].decode() if found else None


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(dict(pairs)) == len(pairs), "a name came twice"
    return dict(pairs)


class Service(httpx.AsyncBaseTransport):
    """Keeps every request byte for byte; its answer is final, so that nothing is sent again."""

    def __init__(self, answers: Mapping[str, object] | None = None) -> None:
        self.seen: list[Seen] = []
        self._answers = answers or {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Note the request; answer 400 unless there is an answer for its method and path."""
        body = await request.aread()
        url = request.url
        self.seen.append(Seen(request.method, url.host, url.raw_path, list(request.headers.raw), body))
        payload = self._answers.get(f"{request.method} {url.path}")
        return httpx.Response(400, json={}) if payload is None else httpx.Response(200, json=payload)

    def client(self) -> httpx.AsyncClient:
        """An HTTP client that leads here and nowhere else."""
        return httpx.AsyncClient(transport=self)


@attrs.frozen(kw_only=True)
class Slot:
    """One argument of one operation.

    Attributes:
        name: The operation and the argument, as `Tags.get.tag_id`.
        call: Calls it with a value.
        arrived: Where the value stands in the request.
        sends: The method and the template of the request.
        wanted: What must stand there for a value that was sent; None is never right.
        fine: A value that must be sent.
        omits: Values that say "not given".
        says: What an error may call the argument beside its own name.
    """

    name: str
    call: Callable[[Any, Any], Awaitable[object]]
    arrived: Callable[[Seen], object]
    sends: str
    wanted: Callable[[Any], object]
    fine: Any
    omits: tuple[object, ...] = ()
    says: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def argument(self) -> str:
        """The name of the argument."""
        return self.name.rpartition(".")[2]


NOT_SENDABLE = object()
"""In place of what must not be sent at all."""


def as_text(value: object) -> object:
    """A text or a whole number as a path or a query has it."""
    if isinstance(value, bool):
        return NOT_SENDABLE
    if isinstance(value, int):
        return int.__repr__(value) if value.bit_length() < 14_000 else NOT_SENDABLE
    return "".join(value) if isinstance(value, str) else NOT_SENDABLE


def as_number(value: object) -> object:
    """A whole number as JSON has it."""
    return value if isinstance(value, int) and not isinstance(value, bool) else NOT_SENDABLE


def as_json(value: object) -> object:
    """What JSON can hold, lists for tuples; everything else must not be sent."""
    try:
        return _as_json(value, 0)
    except (ValueError, RecursionError):
        return NOT_SENDABLE


def _as_json(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        value.encode()
        return "".join(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [_as_json(each, depth + 1) for each in cast("Iterable[object]", value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in cast("dict[object, object]", value)):
        return {_as_json(key, 0): _as_json(each, depth + 1) for key, each in cast("dict[str, object]", value).items()}
    raise ValueError


def same(one: object, other: object) -> bool:
    """Equal, and of the same kind all the way down: 1, 1.0 and true are three values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    kinds = [kind for kind in (bool, int, float, str, type(None)) if isinstance(one, kind)]
    return (
        bool(kinds)
        and isinstance(other, kinds[0])
        and isinstance(other, bool) is isinstance(one, bool)
        and one == other
    )


def refusal_of(act: Callable[[], object], kind: type[Exception] = ConfigError) -> Any:
    """The error by which something is refused; None where it is taken."""
    refusal: Exception | None = None
    try:
        act()
    except kind as error:
        refusal = error
    return refusal


async def failure_of(act: Callable[[], Awaitable[object]]) -> Any:
    """The client's own error; None where there is none."""
    failure: SdkError | None = None
    try:
        await act()
    except SdkError as error:
        failure = error
    return failure


async def attempt(slot: Slot, client: Any, service: Service, value: object) -> str:
    """Call it: 'refused' before anything was sent, 'sent' exactly as given; anything else is a failed assertion."""
    del service.seen[:]
    raised = await failure_of(lambda: slot.call(client, value))
    if not service.seen:
        assert raised is not None, f"{slot}: neither sent nor refused"
        check_refusal(raised, client, value, (slot.argument, *slot.says))
        return "refused"
    sent = service.seen[-1]
    assert is_in_place(sent, slot.sends, client), f"{slot}: sent to another place"
    wanted = slot.wanted(value)
    assert same(wanted, slot.arrived(sent)), f"{slot}: something else arrived"
    return "sent"


def is_in_place(sent: Seen, sends: str, client: Any) -> bool:
    """Whether a request went to the host and the template that it was meant for, with clean headers."""
    method, _, template = sends.partition(" ")
    names = re.findall(r"\{(\w+)\}", template)
    parts = expand(template, dict.fromkeys(names, "x")).split("/")[1:]
    fixed = template.split("/")[1:]
    return (
        sent.method == method
        and sent.host in {"api.klicktipp.com", "app.doxie.energy"}
        and len(sent.segments) == len(parts)
        and all(part == seen for part, seen in zip(fixed, sent.segments, strict=True) if "{" not in part)
        and not any(re.search(rb"[\r\n\0]", name + value) for name, value in sent.headers)
        and b"#" not in sent.target
    )


def check_refusal(error: SdkError, client: Any, value: object, names: Iterable[str] = ()) -> None:
    """A clear error of the client's family, before anything was sent, that names the argument and not the value."""
    family = client.dialect.family.get(SdkError, SdkError) if client is not None else SdkError
    assert isinstance(error, ConfigError)
    assert isinstance(error, family), f"{type(error).__mro__} is not of the client's family"
    assert not error.maybe_applied
    assert error.attempts == 0
    check_quiet(error, value)
    assert not names or any(re.search(rf"\b{name}\b", str(error)) for name in names), f"it names no argument: {error}"


def check_quiet(error: Exception, value: object = None) -> None:
    """No canary and no endless text in any form of the error, a traceback and a pickle included."""
    shown = [str(error), repr(error), "".join(traceback.format_exception(error))]
    shown.append(pickle.dumps(error).decode("latin-1"))
    # Some libraries pickle the context as well, whether it is suppressed or not.
    context = error.__context__
    while context is not None:
        shown.append(repr(context))
        context = context.__context__
    for text in shown:
        assert CANARY not in text, f"a canary escaped: {text[max(0, text.find(CANARY) - 300) :][:600]}"
        assert "5550123" not in text, "a number escaped"
    assert len(str(error)) < 2000, "the text has no end"
    if isinstance(value, str) and len(value) > _LONG:
        assert value[:_LONG] not in str(error), "a long value is quoted"
