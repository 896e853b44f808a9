"""Deliveries become typed events: their kinds, their oddities, their keys, and hostile input."""

from __future__ import annotations

import contextlib
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doxie_async.errors import WebhookError
from doxie_async.webhooks import (
    AnyEvent,
    DoiConfirmed,
    Event,
    MessageSent,
    MessageStatus,
    MessageType,
    ProcessCancelled,
    QrCodeStatus,
    QrCodeVisited,
    RcsResponse,
    UnknownEvent,
    parse,
)

FAST = settings(max_examples=100, derandomize=True, deadline=None)
SAMPLES = Path(__file__).parents[2] / "fixtures" / "doxie_webhooks"
KINDS: dict[str, type[AnyEvent]] = {
    "message_sent": MessageSent,
    "message_sent_sms": MessageSent,
    "message_status": MessageStatus,
    "doi_confirmed": DoiConfirmed,
    "doi_confirmed_infinity": DoiConfirmed,
    "process_cancelled": ProcessCancelled,
    "qr_code_visited": QrCodeVisited,
    "qr_code_visited_sparse": QrCodeVisited,
    "rcs_response": RcsResponse,
}
TELLING: dict[type[AnyEvent], set[str]] = {
    MessageSent: {"message_id"},
    MessageStatus: {"message_id", "status"},
    DoiConfirmed: {"identifier"},
    ProcessCancelled: {"process_uuid"},
    QrCodeVisited: {"qr_code_uuid"},
    RcsResponse: {"sender", "message_content"},
}
FULL = [name for name in KINDS if not name.endswith(("_sms", "_sparse"))]
CET = timezone(timedelta(hours=1))


def sample(name: str, **changes: object) -> bytes:
    """A sample delivery, with some of its values replaced; `...` takes one out."""
    decoded = json.loads((SAMPLES / f"{name}.json").read_bytes()) | changes
    return json.dumps({key: value for key, value in decoded.items() if value is not ...}).encode()


def test_every_sample_is_read_by_these_tests() -> None:
    """A sample that nobody reads would show nothing."""
    assert {file.stem for file in SAMPLES.iterdir()} == KINDS.keys()
    assert {*KINDS.values(), UnknownEvent} == set(get_args(AnyEvent))


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_told_by_its_names(name: str) -> None:
    """The same comes out as where the kind is given."""
    body = (SAMPLES / f"{name}.json").read_bytes()
    event = parse(body)
    assert type(event) is KINDS[name]
    assert event == parse(body, kind=KINDS[name])
    assert event.extra == {}
    assert event.raw == json.loads(body)


@pytest.mark.parametrize("name", FULL)
def test_each_field_of_the_reference_is_read(name: str) -> None:
    """No attribute stays empty where the service sends everything."""
    event = parse(sample(name))
    empty = [field.name for field in attrs.fields(type(event)) if getattr(event, field.name) is None]
    assert empty == []


def test_a_sent_message_has_its_values() -> None:
    """Numbers are texts, lists are tuples, words are enums, times are aware."""
    event = parse(sample("message_sent"), kind=MessageSent)
    assert isinstance(event, MessageSent)
    assert event.message_id == "80012"
    assert event.recipient_specific_message_ids == (("91001", "91002"), ())
    assert event.message_type is MessageType.EMAIL
    assert event.recipient == "jörg.müller@example.com"
    assert event.text == "Grüße aus Köln"
    assert event.timestamp == datetime(2026, 2, 3, 9, 15, tzinfo=UTC)
    assert event.timestamp_text == "2026-02-03T09:15:00Z"
    assert event.original_payload == {"email": "jörg.müller@example.com", "plätze": [7, 8]}


def test_a_status_has_its_values() -> None:
    """The status stays the service's word."""
    event = parse(sample("message_status"), kind=MessageStatus)
    assert isinstance(event, MessageStatus)
    assert (event.message_id, event.recipient_specific_message_id, event.status) == ("80012", "91001", "delivered")


def test_a_cancellation_has_its_time() -> None:
    """Its name on the wire is another one than that of the other kinds; the offset is kept."""
    event = parse(sample("process_cancelled"))
    assert event.timestamp == datetime(2026, 2, 3, 11, tzinfo=CET)
    assert event.timestamp is not None
    assert event.timestamp.utcoffset() == timedelta(hours=1)
    assert event.timestamp_text == "2026-02-03T11:00:00+01:00"


def test_a_scan_has_its_values() -> None:
    """Also when the code expires, as a time and as a text."""
    event = parse(sample("qr_code_visited"), kind=QrCodeVisited)
    assert isinstance(event, QrCodeVisited)
    assert event.status is QrCodeStatus.ACTIVE
    assert event.valid_until == datetime(2026, 12, 31, 23, 59, 59, tzinfo=CET)
    assert event.valid_until_text == "2026-12-31T23:59:59+01:00"
    assert event.target_url == "https://tickets.example/?kunde=Müller"


def test_what_a_scan_does_not_have_is_none() -> None:
    """Null and missing are the same."""
    event = parse(sample("qr_code_visited_sparse"), kind=QrCodeVisited)
    assert isinstance(event, QrCodeVisited)
    assert (event.target_url, event.valid_until, event.valid_until_text, event.original_payload) == (None,) * 4
    assert event.status is QrCodeStatus.EXPIRED


def test_an_answer_has_its_content() -> None:
    """The names in the content are the service's own."""
    event = parse(sample("rcs_response"), kind=RcsResponse)
    assert isinstance(event, RcsResponse)
    assert event.message_content == {"text": "Ja; gerne"}
    assert (event.message_id, event.sender) == ("80014", "4917139200001")


@pytest.mark.parametrize(
    ("wire", "text"),
    [("Infinity", "Infinity"), ("-Infinity", "-Infinity"), ("NaN", "NaN"), ("12", "12"), ("1.5", "1.5"), ('"ä"', "ä")],
)
def test_an_identifier_is_a_text_whatever_comes(wire: str, text: str) -> None:
    """A bare `Infinity` is no JSON, and still a confirmation."""
    event = parse(sample("doi_confirmed").replace(b'"j\\u00f6rg.m\\u00fcller@example.com"', wire.encode()))
    assert isinstance(event, DoiConfirmed)
    assert event.identifier == text
    assert event.ip_address == "192.0.2.7"
    assert len(event.key) == 64


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-02-03T10:15:00+01:00", datetime(2026, 2, 3, 10, 15, tzinfo=CET)),
        ("2026-02-03 10:15:00.5Z", datetime(2026, 2, 3, 10, 15, 0, 500_000, tzinfo=UTC)),
        ("2026-02-03T10:15:00", None),
        ("2026-02-03", None),
        ("03.02.2026 10:15 Uhr", None),
        ("", None),
        (1770000000, None),
    ],
)
def test_a_time_is_never_guessed(value: object, moment: datetime | None) -> None:
    """Without an offset there is the text only."""
    event = parse(sample("message_status", timestamp=value))
    assert event.timestamp == moment
    assert event.timestamp_text == str(value)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("odd", [None, True, [[None]], ["a"]], ids=repr)
def test_a_field_that_does_not_tell_the_kind_may_be_odd(name: str, odd: object) -> None:
    """One value that nobody promised is as good as a missing one, and stays in what came."""
    kind = KINDS[name]
    for wire in json.loads(sample(name)).keys() - TELLING[kind]:
        event, without = parse(sample(name, **{wire: odd}), kind=kind), parse(sample(name, **{wire: ...}), kind=kind)
        assert type(event) is kind
        assert attrs.evolve(event, raw={}) == attrs.evolve(without, raw={})
        assert event.raw[wire] == odd


def test_a_word_that_is_not_known_stays_a_word() -> None:
    """The service may add a kind of message any day."""
    event = parse(sample("message_sent", message_type="rcs"))
    assert isinstance(event, MessageSent)
    assert event.message_type == "rcs"


def test_unknown_fields_are_kept() -> None:
    """The service may add a field any day."""
    event = parse(sample("message_sent", neu={"ä": 1}, ip_address="x"))
    assert event.extra == {"neu": {"ä": 1}, "ip_address": "x"}


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"timestamp": "2026-02-03T09:15:00Z", "process_id": "1", "message_id": 1}',
        b'{"identifier": "1", "timestamp": "2026-02-03T09:15:00Z"}',
        b'{"status": "sent"}',
        b'{"process_uuid": "1"}',
        b'{"sender": "1"}',
        b'{"a": [1, {"b": null}], "extra": 1, "raw": 2, "key": 3}',
    ],
)
def test_an_unknown_shape_keeps_everything(body: bytes) -> None:
    """What does not have all that tells a kind is of no kind."""
    event = parse(body)
    assert type(event) is UnknownEvent
    assert event.raw == json.loads(body)


@pytest.mark.parametrize(("name", "telling"), [(name, one) for name in KINDS for one in sorted(TELLING[KINDS[name]])])
@pytest.mark.parametrize("odd", [None, ["a"], ...], ids=repr)
def test_what_lacks_the_value_that_tells_its_kind_is_unknown(name: str, telling: str, odd: object) -> None:
    """Whether the kind was given or not; nothing is lost, and nothing is made up."""
    body = sample(name, **{telling: odd})
    assert type(parse(body, kind=KINDS[name])) is UnknownEvent
    assert parse(body) == parse(body, kind=KINDS[name])
    assert parse(body).raw == json.loads(body)


def test_a_given_kind_stands_above_the_names() -> None:
    """Who mounts a path for a kind knows it."""
    body = sample("message_status", recipient_specific_message_ids=[])
    assert type(parse(body)) is MessageSent
    event = parse(body, kind=MessageStatus)
    assert isinstance(event, MessageStatus)
    assert event.extra == {"recipient_specific_message_ids": []}
    assert type(parse(body, kind=UnknownEvent)) is UnknownEvent


SAME: list[tuple[str, dict[str, object]]] = [
    ("message_sent", {"message_id": "80012", "html": ..., "text": "neu", "original_payload": None, "neu": 1}),
    ("message_sent", {"timestamp": "2026-02-03T10:15:00.000+01:00"}),
    ("message_status", {"message_id": "80012", "recipient_specific_message_id": "91001", "process_id": None}),
    ("doi_confirmed", {"neu": 1}),
    ("process_cancelled", {"cancellation_timestamp": "2026-02-03T10:00:00Z"}),
    ("qr_code_visited", {"original_payload": ..., "target_url": None}),
    ("rcs_response", {"process_id": "other", "message_id": None}),
]
OTHER: list[tuple[str, dict[str, object]]] = [
    ("message_sent", {"message_id": "80013"}),
    ("message_sent", {"message_type": "sms"}),
    ("message_sent", {"recipient": "anna@example.com"}),
    ("message_sent", {"timestamp": "2026-02-03T09:15:01Z"}),
    ("message_sent", {"timestamp": "heute"}),
    ("message_sent", {"timestamp": ...}),
    ("message_status", {"status": "opened"}),
    ("message_status", {"timestamp": "2026-02-03T09:15:07.251Z"}),
    ("message_status", {"recipient_specific_message_id": 91002}),
    ("message_status", {"recipient_specific_message_id": None}),
    ("doi_confirmed", {"identifier": "anna@example.com"}),
    ("doi_confirmed", {"timestamp": "2026-02-03T09:20:01Z"}),
    ("doi_confirmed_infinity", {"ipAddress": "192.0.2.8"}),
    ("process_cancelled", {"process_uuid": "other"}),
    ("qr_code_visited", {"status": "expired"}),
    ("qr_code_visited", {"timestamp": "2026-02-04T18:31:00Z"}),
    ("rcs_response", {"message_content": {"text": "Nein"}}),
    ("rcs_response", {"sender": "4917139200002"}),
]


@pytest.mark.parametrize(("name", "changes"), SAME, ids=repr)
def test_a_repeated_delivery_has_the_same_key(name: str, changes: dict[str, object]) -> None:
    """Whatever has changed beside what identifies the event."""
    assert parse(sample(name, **changes)).key == parse(sample(name)).key


@pytest.mark.parametrize(("name", "changes"), OTHER, ids=repr)
def test_another_event_has_another_key(name: str, changes: dict[str, object]) -> None:
    """Another status, another time, another thing."""
    assert parse(sample(name, **changes)).key != parse(sample(name)).key


def test_the_keys_of_different_kinds_differ() -> None:
    """Even where all that identifies them is the same."""
    assert len({parse(sample(name)).key for name in KINDS}) == len(KINDS)
    scan = parse(sample("qr_code_visited", qr_code_uuid="a", status="b"))
    consent = parse(sample("doi_confirmed", identifier="a", ipAddress="b", timestamp=scan.timestamp_text))
    assert scan.key != consent.key


@pytest.mark.parametrize("changes", [{"timestamp": ...}, {"recipient": None}, {"message_id": None}])
def test_without_its_identity_all_of_an_event_counts(changes: dict[str, object]) -> None:
    """Too little to go by must not make two events one; the order of the names does not count."""
    one = parse(sample("message_sent", **changes, text="a", original_payload={"x": 1, "y": 2}))
    again = parse(sample("message_sent", **changes, text="a", original_payload={"y": 2, "x": 1}))
    other = parse(sample("message_sent", **changes, text="b"))
    assert one.key == again.key
    assert one.key != other.key


@pytest.mark.parametrize("name", KINDS)
def test_an_event_does_not_show_personal_data(name: str) -> None:
    """Nor what strangers have written."""
    event = parse(sample(name, neu="Jörg"))
    shown = repr(event)
    assert "extra=<1>" in shown
    assert not any(text in shown for text in ("örg", "ller", "example", "4917", "Gr", "192.0", "Karten", "gerne"))
    assert repr(parse('{"email": "jörg@example.com"}'.encode())) == "UnknownEvent(timestamp=None, extra=<1>)"


@pytest.mark.parametrize("name", KINDS)
def test_an_event_can_be_put_into_a_queue(name: str) -> None:
    """It survives pickling, with all that came."""
    event = parse(sample(name))
    copy = pickle.loads(pickle.dumps(event))
    assert (copy.key, copy.timestamp, copy.extra) == (event.key, event.timestamp, event.extra)
    assert repr(copy.raw) == repr(event.raw)


def nested(depth: int) -> bytes:
    """An object with a value of so many lists."""
    return b'{"original_payload":' + b"[" * depth + b"]" * depth + b"}"


BAD = {
    "nothing": b"",
    "text": b'"anna@example.com"',
    "list": b'[{"message_id": 1}]',
    "null": b"null",
    "infinity": b"Infinity",
    "form": b"email=anna@example.com",
    "cut": b'{"email": "anna@example.com"',
    "Windows-1252": '{"a": "ä"}'.encode("windows-1252"),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "name twice": b'{"status": "sent", "status": "opened"}',
    "NUL": b'{"a": "\\u0000"}',
    "NUL in a name": b'{"a": [{"\\u0000": 1}]}',
    "lone surrogate": b'{"a": {"b": ["\\ud83d"]}}',
    "surrogates in the wrong order": b'{"a": "\\ude00\\ud83d"}',
    "endless number": b'{"message_id": ' + b"9" * 5000 + b"}",
    "deep": nested(64),
    "deeper": nested(900),
    "deepest": nested(100_000),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("kind", [None, MessageSent])
def test_hostile_input_is_a_webhook_error(name: str, kind: type[MessageSent] | None) -> None:
    """Whatever is wrong, it is this one error, and it does not quote the body."""
    with pytest.raises(WebhookError, match="body") as caught:
        parse(BAD[name]) if kind is None else parse(BAD[name], kind=kind)
    assert "anna" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_what_is_nested_less_is_read() -> None:
    """Payloads may have some structure."""
    assert type(parse(nested(62))) is UnknownEvent


def test_emoji_and_a_byte_order_mark_are_everyday_input() -> None:
    """A whole pair of surrogates is one character."""
    assert parse(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}').raw == {"a": "😀"}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)
NAMES = st.sampled_from(
    sorted({name for sample_name in KINDS for name in json.loads(sample(sample_name))} | {"extra", "raw", "key"})
)


@FAST
@given(st.dictionaries(NAMES, JSON), st.sampled_from([None, *get_args(AnyEvent)]))
def test_any_object_gives_an_event_or_a_webhook_error(content: dict[str, Any], kind: type[Any] | None) -> None:
    """Nothing else ever comes out, and the key and the repr of what comes out work."""
    body = json.dumps(content).encode()
    try:
        event: Event = parse(body) if kind is None else parse(body, kind=kind)
    except WebhookError:
        assert "\\u0000" in body.decode() or "\\ud" in body.decode()
        return
    assert repr(event.raw) == repr(json.loads(body))
    assert len(event.key) == 64
    assert repr(event)


@FAST
@given(st.binary(max_size=60))
def test_any_bytes_give_an_event_or_a_webhook_error(body: bytes) -> None:
    """Most of them are no JSON at all."""
    with contextlib.suppress(WebhookError):
        assert type(parse(body)) is UnknownEvent
