"""What is no KlickTipp answer is a decode error that names the place and shows no value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import respx

from klicktipp_async import Bounce, ContactStatus, DecodeError, KlickTipp, KlickTippError, Retry
from klicktipp_async.convert import converter

pytestmark = pytest.mark.anyio

CANARY = "kanarie@example.com"


@pytest.fixture
def once(kt: KlickTipp) -> KlickTipp:
    """A client that does not read a second time."""
    return kt.with_options(retry=Retry(attempts=1))


@pytest.mark.parametrize(
    ("call", "method", "path", "answer", "said"),
    [
        (lambda kt: kt.contacts.get(1), "GET", "/subscriber/1", [CANARY], "expected an object, got list"),
        (lambda kt: kt.contacts.get(1), "GET", "/subscriber/1", {"email": CANARY}, "missing"),
        (lambda kt: kt.contacts.get(1), "GET", "/subscriber/1", {"id": CANARY}, "expected a whole number"),
        (lambda kt: kt.contacts.get(1), "GET", "/subscriber/1", {"id": "1", "email": [CANARY]}, "expected a text"),
        (lambda kt: kt.contacts.tagged(1), "POST", "/subscriber/tagged", {"1": "9" * 18}, "expected unix seconds"),
        (lambda kt: kt.contacts.tagged(1), "POST", "/subscriber/tagged", CANARY, "expected an object, got str"),
        (lambda kt: kt.contacts.ids(), "GET", "/subscriber", CANARY, "expected a list of contact ids"),
        (lambda kt: kt.contacts.ids(), "GET", "/subscriber", [True], "expected a whole number"),
        (lambda kt: kt.tags.all(), "GET", "/tag", [CANARY], "expected an object, got list"),
        (lambda kt: kt.tags.create("x", confirm=False), "POST", "/tag", [], "shape"),
        (lambda kt: kt.contacts.untag(CANARY, 1), "POST", "/subscriber/untag", [False], r"expected \[true\]"),
        (lambda kt: kt.contacts.find_id(CANARY), "POST", "/subscriber/search", [1.5], "expected a whole number"),
    ],
)
async def test_other_shapes(
    once: KlickTipp, api: respx.MockRouter, call: Any, method: str, path: str, answer: Any, said: str
) -> None:
    """A shape that nobody promised is refused by its place and its type."""
    api.request(method, path).respond(json=answer)
    with pytest.raises(DecodeError, match=said) as caught:
        await call(once)
    assert CANARY not in str(caught.value)


async def test_a_list_that_goes_round(kt: KlickTipp, api: respx.MockRouter) -> None:
    """A cursor that leads to itself ends with an error of this client instead of a loop."""
    api.get("/subscriber").respond(json={"subscriberIds": ["1"], "nextCursor": "abc"})
    with pytest.raises(KlickTippError, match="round for ever") as caught:
        await kt.contacts.ids()
    assert isinstance(caught.value, DecodeError)


@pytest.mark.parametrize(
    ("word", "status"),
    [("Subscribed", "subscribed"), ("OPT-IN PENDING", "pending"), ("Unsubscribed", "unsubscribed"), ("", None)],
)
async def test_words_of_the_status(
    kt: KlickTipp, api: respx.MockRouter, word: str, status: ContactStatus | None
) -> None:
    """The words of a contact become those of the filters, whatever their letter case."""
    api.get("/subscriber/1").respond(json={"id": 1, "status": word, "sms_status": word})
    contact = await kt.contacts.get(1)
    assert (contact.status, contact.sms_status) == (status, status)


@pytest.mark.parametrize(
    ("word", "bounce"),
    [
        ("Soft Bounce", Bounce.SOFT),
        ("spambounce", Bounce.SPAM),
        ("Hard Bounced", Bounce.HARD),
        ("neu", "neu"),
        (None, None),
    ],
)
async def test_words_of_the_bounce(
    kt: KlickTipp, api: respx.MockRouter, word: str | None, bounce: Bounce | str | None
) -> None:
    """Known words become an enum, unknown ones stay as they came."""
    api.get("/subscriber/1").respond(json={"id": 1, "bounce": word})
    assert (await kt.contacts.get(1)).bounce == bounce


def test_a_moment_stays_as_it_is() -> None:
    """A display date comes to its hook as a moment already, and keeps its missing zone."""
    for moment in (datetime(2025, 12, 24, 18, 5, 9), datetime(2025, 12, 24, tzinfo=UTC)):  # noqa: DTZ001 - not told
        assert converter().structure(moment, datetime) is moment
