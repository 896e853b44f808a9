"""A client for a third service, built on the public names alone, does all that the two real ones do."""

from __future__ import annotations

import ast
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.lowlevel
import httpx
import pytest

import klickdoxie_core
from klickdoxie_core import (
    Clock,
    Interrupted,
    NotFound,
    ReadOnlyError,
    Retry,
    SdkError,
    ServerError,
    State,
    Unauthorized,
    Unprocessable,
    bulk,
    recording,
)
from tests.third_client.client import (
    AlreadyDelivered,
    NoSuchParcel,
    Parcel,
    ParcelEvent,
    ParcelPost,
    ParcelPostError,
    webhook_app,
)
from tests.third_client.client import Interrupted as OwnInterrupted
from tests.third_client.fake import KEY, SECRET, USER, FakePost

pytestmark = pytest.mark.anyio

HOME = "Käthe Jürgens; Hauptstraße 5"
WORK = "Am Markt 1"
EVENT = {"id": "e-1", "parcel": "P0001", "state": "delivered"}
"""What the service tells of a parcel."""

OF_SUBMODULES = {
    "klickdoxie_core.webhooks": {"Delivery", "Handler", "NotAuthentic", "Receiver", "read_json"},
}
"""What an author of a client may take from below the top level."""


def fake() -> FakePost:
    """The service, with a clock whose pauses are over at once."""

    async def sleep(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    return FakePost(clock=Clock(sleep=sleep, random=lambda: 0.0, now=lambda: 1_735_689_600.0))


CLIENT = (Path(__file__).parent / "client.py").read_text(encoding="utf-8")


def test_it_is_built_on_public_names_alone() -> None:
    """Of the core it takes what the top level names, and the few documented names below it."""
    for node in ast.walk(ast.parse(CLIENT)):
        assert not (isinstance(node, ast.Import) and any("klickdoxie" in alias.name for alias in node.names))
        if not isinstance(node, ast.ImportFrom):
            continue
        names, module = {alias.name for alias in node.names}, node.module or ""
        if module == "klickdoxie_core":
            assert names <= {*klickdoxie_core.__all__}
        elif module in OF_SUBMODULES:
            assert names <= OF_SUBMODULES[module]
        else:
            assert module.partition(".")[0] in sys.stdlib_module_names


def test_it_is_short() -> None:
    """A whole client, with its errors, pages and webhooks, is less than 150 lines."""
    assert CLIENT.count("\n") < 150


async def test_requests_are_signed() -> None:
    """With the service's own header names; a wrong key is refused."""
    async with fake() as box, box.client() as post:
        await post.parcels.hand_in(HOME)
        wrong = ParcelPost(USER, KEY, "falsch", base_url=box.base_url, http=box.http_client(), clock=box.clock)
        with pytest.raises(Unauthorized) as caught:
            await wrong.parcels.hand_in(HOME)
    assert (len(box.parcels), caught.value.attempts) == (1, 1)
    assert "falsch" not in f"{wrong!r}{caught.value!r}"


async def test_answers_become_models() -> None:
    """Times with their zone, names of our own, and nothing of what is not asked for."""
    async with fake() as box, box.client() as post:
        parcel = await post.parcels.hand_in(HOME)
    assert (parcel.id, parcel.state, parcel.address) == ("P0001", "handed_in", HOME)
    assert parcel.handed_in.isoformat() == "2025-01-01T00:00:00+00:00"
    assert "Käthe" not in repr(parcel)


async def test_all_pages_are_walked() -> None:
    """One request for each page, and none before it is needed."""
    async with fake() as box, box.client() as post:
        sent = [(await post.parcels.hand_in(f"{HOME}{number}")).id for number in range(5)]
        assert [parcel.id async for parcel in post.parcels.all()] == sent
        assert box.count("List Parcels") == 3
        assert [parcel.id for parcel in await post.parcels.all().to_list(max_items=2)] == sent[:2]
        assert box.count("List Parcels") == 4


async def redirect(post: ParcelPost) -> object:
    """A write that may be repeated."""
    return await post.parcels.redirect("P0001", WORK)


async def hand_in(post: ParcelPost) -> object:
    """A write that must not be."""
    return await post.parcels.hand_in(WORK)


async def read(post: ParcelPost) -> object:
    """A read."""
    return await post.parcels.all().to_list()


@pytest.mark.parametrize(
    ("operation", "act", "requests"),
    [("List Parcels", read, 2), ("Redirect Parcel", redirect, 2), ("Hand In Parcel", hand_in, 1)],
)
async def test_a_lost_answer_is_sent_again_by_what_it_does(
    operation: str, act: Callable[[ParcelPost], Awaitable[object]], requests: int
) -> None:
    """What reads or may be repeated is; what would send a second parcel is an error of our own, with its doubt."""
    async with fake() as box, box.client() as post:
        await post.parcels.hand_in(HOME)
        before = box.count(operation)
        box.drop(operation)
        if requests == 1:
            with pytest.raises(OwnInterrupted) as caught:
                await act(post)
            error = caught.value
            assert isinstance(error, ParcelPostError)
            assert isinstance(error, Interrupted)
            assert (error.maybe_applied, error.attempts, len(box.parcels)) == (True, 1, 2)
        else:
            with recording() as seen:
                await act(post)
            assert seen.last.attempts == requests
        assert box.count(operation) - before == requests


async def test_a_busy_service_is_waited_for() -> None:
    """503 of a call that may be repeated; 429 even of one that may not."""
    async with fake() as box, box.client() as post:
        box.fail("Hand In Parcel", status=429, headers={"retry-after": "0"})
        await post.parcels.hand_in(HOME)
        box.fail("Redirect Parcel", status=503)
        await redirect(post)
        box.fail("Hand In Parcel", status=503)
        with pytest.raises(ServerError) as caught:
            await hand_in(post)
    assert (len(box.parcels), caught.value.maybe_applied) == (1, True)


async def test_the_services_words_have_classes() -> None:
    """By its code; each is our own, the core's of the same kind, and sure that nothing has happened."""
    async with fake() as box, box.client() as post:
        with pytest.raises(NoSuchParcel) as missing:
            await post.parcels.redirect("P0001", WORK)
        await post.parcels.hand_in(HOME)
        box.deliver("P0001")
        with pytest.raises(AlreadyDelivered) as late:
            await redirect(post)
    for error, code, status in [
        (missing.value, "no_such_parcel", 404),
        (late.value, "delivered", 409),
    ]:
        assert isinstance(error, ParcelPostError)
        assert (error.code, error.status, error.attempts, error.maybe_applied) == (code, status, 1, False)
    assert isinstance(missing.value, NotFound)
    assert str(missing.value).startswith("PUT /parcels/{parcel}/address (Redirect Parcel): Parcel Post says")


async def test_a_word_of_the_service_ends_no_doubt() -> None:
    """A gateway may have cut off what was carried out, whatever it says; a read is sent again as ever."""
    said = {"fault": "delivered"}
    async with fake() as box, box.client() as post:
        box.fail("Hand In Parcel", status=504, applied=True, body=said)
        with pytest.raises(AlreadyDelivered) as caught:
            await hand_in(post)
        assert (caught.value.maybe_applied, caught.value.attempts, len(box.parcels)) == (True, 1, 1)
        assert caught.value.user_message() == "This is not possible at the moment."
        for status in (503, 429):
            box.fail("List Parcels", status=status, body=said)
            await read(post)
    assert box.count("List Parcels") == 4


async def test_what_the_dialect_does_not_know_http_knows() -> None:
    """A word without a class of its own is what its status says."""
    async with fake() as box, box.client() as post:
        with pytest.raises(Unprocessable) as caught:
            await post.parcels.hand_in("irgendwo")
    assert (caught.value.code, caught.value.status, caught.value.maybe_applied) == (None, 422, False)
    assert caught.value.body == {"fault": "unknown_address"}


async def test_options_are_those_of_every_client() -> None:
    """A client that only reads, a view with other options, a retry of its own."""
    async with fake() as box, box.client(read_only=True, retry=Retry(attempts=1)) as post:
        with pytest.raises(ReadOnlyError):
            await hand_in(post)
        box.fail("List Parcels")
        with pytest.raises(SdkError):
            await read(post.with_options(timeout=1))
        assert await post.request("GET", "/parcels") == {"parcels": [], "next": None}
    assert box.count() == 2


async def test_many_at_once() -> None:
    """`bulk` sends each parcel once, also where the answer is lost, and says which ones are in doubt."""
    async with fake() as box, box.client() as post:
        box.drop("Hand In Parcel", every=5)
        addresses = [f"Straße {number}" for number in range(20)]
        async with bulk(post.parcels.hand_in, addresses, concurrency=4) as outcomes:
            found = [outcome async for outcome in outcomes]
    done: list[Parcel] = [outcome.unwrap() for outcome in found if outcome.error is None]
    lost = [outcome for outcome in found if isinstance(outcome.error, OwnInterrupted)]
    assert (len(done), len(lost), {outcome.state for outcome in lost}) == (16, 4, {State.UNKNOWN})
    assert sorted(str(parcel["address"]) for parcel in box.parcels.values()) == sorted(addresses)


async def deliver(body: bytes, headers: dict[str, str]) -> tuple[int, list[ParcelEvent]]:
    """The answer to a delivery, and the events that came out of it."""
    events: list[ParcelEvent] = []
    app = webhook_app(events.append, SECRET)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://shop.test") as service:
        response = await service.post("/", content=body, headers=headers)
    return response.status_code, events


async def test_a_webhook_becomes_an_event() -> None:
    """The service's own signature opens the door."""
    body, headers = fake().webhook(EVENT)
    assert await deliver(body, headers) == (200, [ParcelEvent(id="e-1", parcel="P0001", state="delivered")])


async def test_a_webhook_that_nobody_signed_is_refused() -> None:
    """Without a signature, with a wrong one, with another secret, for another body."""
    box = fake()
    body, headers = box.webhook(EVENT)
    refused: list[tuple[bytes, dict[str, str]]] = [
        (body, {}),
        (body, {"x-parcel-signature": "0" * 64}),
        (body + b" ", headers),
        box.webhook(EVENT, secret="falsch"),
    ]
    assert [await deliver(*delivery) for delivery in refused] == [(401, [])] * len(refused)


@pytest.mark.parametrize("event", [{"id": 1}, [], {**EVENT, "parcel": None}])
async def test_a_webhook_that_is_no_event_is_refused(event: object) -> None:
    """Signed or not."""
    assert await deliver(*fake().webhook(event)) == (400, [])
