"""Questions to a sandbox's log: what passes, what fails, and what the text then says."""

from __future__ import annotations

import httpx
import pytest

from klickdoxie_core import sandbox
from klickdoxie_core.sandbox import Answer, Inbound, Route, SandboxBase
from klickdoxie_core.testing import (
    assert_applied_once,
    assert_faults_met,
    assert_no_repeats,
    assert_not_called,
    one_line,
)

pytestmark = pytest.mark.anyio

CANARY = "jürgen.kanarie@example.com"


class Post(SandboxBase):
    """A service that takes letters."""

    def __init__(self) -> None:
        super().__init__(
            [
                Route(operation="Send Letter", method="POST", template="/letters/{box}", handler=self._take),
                Route(operation="Read Letters", method="GET", template="/letters", handler=self._take),
            ]
        )

    def _take(self, inbound: Inbound) -> Answer:
        del inbound
        return Answer()


@pytest.fixture
def post() -> Post:
    """A service to which nothing was sent yet."""
    return Post()


@pytest.fixture
def http(post: Post) -> httpx.AsyncClient:
    """A client of it."""
    return post.http_client()


async def test_once_is_once_however_often_it_was_sent(post: Post, http: httpx.AsyncClient) -> None:
    """Refused requests were not carried out; one whose answer was lost was."""
    post.fail("Send Letter", times=2)
    post.drop("Send Letter")
    for _ in range(2):
        await http.post("/letters/7")
    with pytest.raises(httpx.ReadError):
        await http.post("/letters/7")
    assert_applied_once(post, "Send Letter")
    assert_applied_once(post, "Send Letter", box=7)
    await http.post("/letters/7")
    with pytest.raises(AssertionError, match="'Send Letter' was carried out 2 times instead of once"):
        assert_applied_once(post, "Send Letter")


@pytest.mark.parametrize(
    ("how", "values"),
    [
        ({"json": {"to": CANARY, "stamps": 2}}, {"to": CANARY.upper(), "stamps": "2"}),
        ({"data": {"to": CANARY}}, {"to": CANARY}),
        ({"params": {"to": CANARY}}, {"to": CANARY, "box": "7"}),
        ({"json": {"open": True, "tags": [1, 2]}}, {"open": True, "tags": [1, 2]}),
        ({"json": {"to": None}}, {"to": None}),
    ],
)
async def test_values_are_found_wherever_they_were(
    post: Post, http: httpx.AsyncClient, how: dict[str, object], values: dict[str, object]
) -> None:
    """In a JSON body, a form, the query or the path; numbers as texts, too, and texts in any case."""
    await http.post("/letters/7", **how)  # type: ignore[arg-type] - the table mixes the parameters
    assert_applied_once(post, "Send Letter", **values)
    with pytest.raises(AssertionError, match="0 times"):
        assert_applied_once(post, "Send Letter", **values, more=1)
    assert_not_called(post, "Send Letter", **values, more=1)
    with pytest.raises(AssertionError, match="was called once"):
        assert_not_called(post, "Send Letter", **values)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff;", b'"text"'])
async def test_a_body_without_names_carries_nothing(post: Post, http: httpx.AsyncClient, body: bytes) -> None:
    """Whatever an application sends, the question has an answer."""
    await http.post("/letters/7", content=body)
    assert_not_called(post, "Send Letter", to=CANARY)


async def test_a_failure_says_what_reached_the_service(post: Post, http: httpx.AsyncClient) -> None:
    """Operations in the order of their first requests, with answers and effects, and nothing personal."""
    post.fail("Send Letter")
    post.drop("Send Letter")
    await http.get("/letters")
    await http.post("/letters/7", json={"to": CANARY})
    with pytest.raises(httpx.ReadError):
        await http.post("/letters/7", json={"to": CANARY})
    await http.post("/letters/7", json={"to": CANARY})
    await http.get("/nowhere")
    with pytest.raises(AssertionError) as failed:
        assert_applied_once(post, "Send Letter", to=f"x{CANARY}", box=7)
    assert str(failed.value).splitlines() == [
        "'Send Letter' with to=[hidden], box=7 was carried out 0 times instead of once, and 2 times with other values",
        "what reached the sandbox:",
        "  Read Letters    1 × 200; carried out: 1",
        "  Send Letter     1 × 503, 1 × lost, 1 × 200; carried out: 2",
        "  (no operation)  1 × 404; carried out: 0",
    ]


async def test_nothing_at_all_is_said_so(post: Post, http: httpx.AsyncClient) -> None:
    """An empty log is the most telling one."""
    assert_not_called(post)
    with pytest.raises(AssertionError, match=r"0 times instead of once\nnothing reached the sandbox$"):
        assert_applied_once(post, "Send Letter")
    await http.get("/letters")
    assert_not_called(post, "Send Letter")
    with pytest.raises(AssertionError, match="a request was called once, and should not have been"):
        assert_not_called(post)


async def test_a_refused_request_was_a_call(post: Post, http: httpx.AsyncClient) -> None:
    """Not called means not even tried."""
    post.fail("Send Letter")
    await http.post("/letters/7")
    with pytest.raises(AssertionError, match="was called once"):
        assert_not_called(post, "Send Letter")


async def test_repeats_are_told_by_operation(post: Post, http: httpx.AsyncClient) -> None:
    """The same path, query and body twice is a repeat; another body is not, and neither is another operation."""
    for box in (7, 7, 8):
        await http.post(f"/letters/{box}", json={"to": CANARY})
        await http.get("/letters")
    assert_no_repeats(post, [])
    with pytest.raises(AssertionError, match="carried out once more: 'Send Letter' once\n") as failed:
        assert_no_repeats(post, {"Send Letter"})
    assert CANARY not in str(failed.value)
    with pytest.raises(AssertionError, match="'Read Letters' 2 times"):
        assert_no_repeats(post, post.operations)


async def test_what_was_refused_is_no_repeat(post: Post, http: httpx.AsyncClient) -> None:
    """A call that is sent again until it is taken has done nothing twice."""
    post.fail("Send Letter", times=2)
    for _ in range(3):
        await http.post("/letters/7", json={"to": CANARY})
    assert_no_repeats(post, {"Send Letter"})


async def test_a_misspelt_operation_is_refused(post: Post) -> None:
    """It would make a test pass that tests nothing; what is close to it is named."""
    for question in (assert_applied_once, assert_not_called):
        with pytest.raises(ValueError, match="no operation 'send letters'; close to it: 'Send Letter'"):
            question(post, "send letters")
    with pytest.raises(ValueError, match="close to it: none"):
        assert_not_called(post, "xyz")


async def test_a_log_that_forgot_gives_no_answer(
    post: Post, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the truth would be a wrong answer; the counters still know all."""
    for _ in range(3):
        await http.get("/letters")
    post.requests.popleft()
    with pytest.raises(ValueError, match=r"the latest 2 of 3 requests; ask box\.count"):
        assert_not_called(post, "Send Letter")


async def test_what_was_too_large_to_keep_gives_no_answer(post: Post, http: httpx.AsyncClient) -> None:
    """The largest body that the log keeps is found, and one byte more is not passed over in silence."""
    largest = b'{"to":"%b"}' % (b"x" * (sandbox.MAX_LOGGED_BODY - len(b'{"to":""}')))
    as_json = {"content-type": "application/json"}
    await http.post("/letters/7", content=largest, headers=as_json)
    assert_not_called(post, "Send Letter", to="y")
    await http.post("/letters/7", content=largest + b" ", headers=as_json)
    with pytest.raises(ValueError, match="too large for the log to keep"):
        assert_not_called(post, "Send Letter", to="y")
    await http.post("/letters/7", content=largest + b"  ", headers=as_json)
    with pytest.raises(AssertionError, match="3 times"):
        assert_applied_once(post, "Send Letter")
    assert_no_repeats(post, {"Send Letter"})


@pytest.mark.parametrize(("number", "line"), [(0, "none"), (2, "0, 1"), (3, "0, 1, 2"), (4, "0, 1, 2, … (4 in all)")])
def test_long_rows_are_cut(number: int, line: str) -> None:
    """A test with ten thousand contacts fails in a line that can be read."""
    assert one_line(range(number), most=3) == line


def test_a_misspelt_operation_of_many_is_no_test_that_always_passes(post: Post) -> None:
    """It is told like a single one."""
    with pytest.raises(ValueError, match="there is no operation 'Sent Letter'; close to it: 'Send Letter'"):
        assert_no_repeats(post, ["Read Letters", "Sent Letter"])


async def test_faults_that_were_planned_must_happen(post: Post, http: httpx.AsyncClient) -> None:
    """Otherwise the test has not tested what it says."""
    assert_faults_met(post)
    post.fail("Send Letter", times=2)
    post.fail("Read Letters", every=2)
    for _ in range(2):
        with pytest.raises(AssertionError) as raised:
            assert_faults_met(post)
        await http.post("/letters/7")
        await http.get("/letters")
        if post.count("Read Letters") == 1:
            assert "not as often as planned: 'Send Letter' (0 times), 'Read Letters' (0 times)\n" in str(raised.value)
    assert_faults_met(post)
    post.fail(None)
    with pytest.raises(AssertionError, match=r"'any request' \(0 times\)"):
        assert_faults_met(post)
    post.recover()
    assert_faults_met(post)
