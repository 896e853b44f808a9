"""The ids of a contact list come out the same, wherever the answer is cut into pieces."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klickdoxie_core.convert import Undecodable, parse_json, structure
from klicktipp_async.convert import converter
from klicktipp_async.id_stream import IdStream
from klicktipp_async.models.contact import ContactIds


def whole(body: bytes) -> tuple[list[int], str | None]:
    """What the answer is when it is read at once."""
    answer = structure(converter(), parse_json(body), ContactIds)
    return answer.ids, answer.cursor


def streamed(chunks: list[bytes]) -> tuple[list[int], str | None]:
    """What it is when it comes in pieces."""
    stream = IdStream()
    ids = [number for chunk in chunks for number in stream.feed(chunk)]
    left = structure(converter(), stream.finish(), ContactIds)
    return ids + left.ids, left.cursor


def fed(chunks: list[bytes]) -> list[int]:
    """The ids, before anybody asks for the end."""
    stream = IdStream()
    return [number for chunk in chunks for number in stream.feed(chunk)]


def outcome(read: Any, body: Any) -> object:
    """What became of an answer; refused is refused, whatever for."""
    try:
        return read(body)
    except Undecodable:
        return "refused"


GOOD = [
    b"[]",
    b" [ ] ",
    b"{}",
    b'["1"]',
    b"[1,2,3]",
    b'["29513792","29513793"]',
    b'[ "1" , "2",\n3 ]',
    b'["007","000000000000000001"]',
    b'[1,"2",3]',
    b"[-5,100000000000000000000000]",
    b'\xef\xbb\xbf["1","2"]',
    b'{"subscribers":[]}',
    b'{"subscribers":["123","456"]}',
    b'{ "subscribers" : [ 1 ] , "neu" : {"a":[1]} }',
    b'{"subscriberIds":["1","2"],"nextCursor":"abc"}',
    b'{"subscriberIds":["1","2"],"nextCursor":null}',
    b'{"subscriberIds":[],"nextCursor":12}',
    b'{"nextCursor":"a]b","total":-1.5e3,"subscriberIds":["1"]}',
    b'{"subscribers":["1"],"nextCursor":"\\u00e4"}',
    b'{"subscriberIds":{"0":"5","3":"6"},"nextCursor":"x"}',
    b'{"subscribers":{}}',
    b'{"0":"5","2":6}',
    b'{ "10" : "5" }',
    b'{"a":"5","b":7}',
]


@pytest.mark.parametrize("body", GOOD, ids=bytes.decode)
def test_every_form_wherever_it_is_cut(body: bytes) -> None:
    """In one piece, in two, byte by byte: the ids, their order and the cursor."""
    expected = whole(body)
    assert streamed([body]) == expected
    assert streamed([body[at : at + 1] for at in range(len(body))]) == expected
    for cut in range(len(body)):
        assert streamed([body[:cut], b"", body[cut:]]) == expected


BAD = [
    b"",
    b"[",
    b'["1","2"',
    b'["1","2',
    b'["1",]',
    b'[,"1"]',
    b'["1",,"2"]',
    b"[ , ]",
    b'["1"]x',
    b'["1"]]',
    b'["1" "2"]',
    b'["1,2"]',
    b'["1","2,"3"]',
    b'[1"2",3""]',
    b'["1""2"]',
    b'[""]',
    b'[" 7"]',
    b'["-5"]',
    b'["1_0"]',
    b"[1.5]",
    b"[1e3]",
    b"[true]",
    b"[null]",
    b"[NaN]",
    b"[[1]]",
    b'["5]"]',
    '["٥"]'.encode(),
    b'["1000000000000000000"]',
    b'["1",100000000000000000000,"9999999999999999999"]',
    b'"1"',
    b"null",
    b"<html>",
    b'["\xff"]',
    b'{"subscribers":["1"],"subscribers":["2"]}',
    b'{"subscribers":["1"],}',
    b'{"subscribers":null}',
    b'{"subscriberIds":null,"subscribers":["1"]}',
    b'{"subscribers":["1"]',
    b'{"0":"5","nextCursor":"7"',
    b'{"0":"5","x":["7"]}',
    b'{"nextCursor":"abc","0":"5"}',
    b'{"0":"5","1":{"2":"6"}}',
    b'{"0":"5",}',
    b'{"0":true}',
]


@pytest.mark.parametrize("body", BAD, ids=repr)
def test_what_is_no_list_of_ids_is_refused(body: bytes) -> None:
    """At once or in pieces: nothing is bent into an id."""
    assert outcome(whole, body) == "refused"
    assert outcome(streamed, [body]) == "refused"
    for cut in range(len(body)):
        assert outcome(streamed, [body[:cut], body[cut:]]) == "refused"


@pytest.mark.parametrize(
    "body",
    [
        b'{"0":"5","nextCursor":"7"}',
        b'{"0":"5","subscriberIds":["1"]}',
        b'{"subscribers":["1"],"subscriberIds":["2"]}',
    ],
)
def test_what_begins_as_one_list_and_goes_on_as_another_is_refused(body: bytes) -> None:
    """Ids of the first one are out already, so it is not for the second one to replace them."""
    assert outcome(streamed, [body]) == "refused"


def test_an_error_is_left_as_it_came() -> None:
    """An answer without ids is told in the end, for whoever knows what it means."""
    stream = IdStream()
    assert stream.feed(b'{"error":"7","reason":') == []
    assert stream.feed('"für"}'.encode()) == []
    assert stream.finish() == {"error": "7", "reason": "für"}


@pytest.mark.parametrize(
    "body", [b'{"a":"' + b"x" * 2_000_000, b'["' + b"1" * 5000, b"[" + b" " * 5000, b'["1"]' + b" " * 2_000_000]
)
def test_what_never_ends_is_not_kept(body: bytes) -> None:
    """An answer that is no list of ids is given up before it fills the memory."""
    chunks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
    assert outcome(fed, chunks) == "refused"


def test_the_error_shows_no_value() -> None:
    """What stands where an id should be may be personal."""
    stream = IdStream()
    with pytest.raises(Undecodable) as caught:
        stream.feed(b'["1","anna@example.com"]')
    assert caught.value.paths == ("expected a whole number, got str @ $",)


def test_ids_come_before_the_end() -> None:
    """All but the last one, which may go on."""
    stream = IdStream()
    assert stream.feed(b'{"subscribers":["1","2","3') == [1, 2]
    assert stream.feed(b'4"') == []
    assert stream.feed(b"]") == [34]
    assert stream.feed(b"}") == []
    assert stream.finish() == {"subscribers": []}


IDS = st.lists(st.integers(0, 10**18 - 1).flatmap(lambda number: st.sampled_from([number, str(number)])), max_size=8)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bool]:
    """An answer in one of its forms, and whether it is sound or has a mistake put in."""
    ids: Any = draw(IDS)
    if draw(st.booleans()):
        ids = {str(number): each for number, each in enumerate(ids)}
    name = draw(st.sampled_from(["subscribers", "subscriberIds", None]))
    payload = ids if name is None else {name: ids, "nextCursor": draw(st.sampled_from([None, "abc", 5]))}
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    body = json.dumps(payload, separators=separators).encode()
    sound = draw(st.booleans())
    if not sound:
        at = draw(st.integers(0, len(body)))
        put = draw(st.sampled_from([b"", b'"', b",", b"]", b"}", b"-", b" ", b"1", b".5"]))
        body = body[:at] + put + body[draw(st.integers(at, min(len(body), at + 2))) :]
    return body, sound


@settings(max_examples=300, derandomize=True, deadline=None)
@given(answer=answers(), cuts=st.lists(st.integers(0, 120), max_size=6))
def test_pieces_and_the_whole_are_one(answer: tuple[bytes, bool], cuts: list[int]) -> None:
    """The same ids and the same cursor; of what has a mistake in it, pieces may be refused where the whole is not."""
    body, sound = answer
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    chunks = [body[start:end] for start, end in pairwise(places)]
    in_pieces = outcome(streamed, chunks)
    assert in_pieces == outcome(streamed, [body])
    assert in_pieces == outcome(whole, body) or (in_pieces == "refused" and not sound)
