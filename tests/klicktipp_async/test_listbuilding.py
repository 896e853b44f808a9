"""The listbuilding API: a key in the body, nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx

from klickdoxie_core import Clock
from klicktipp_async import (
    ArgumentError,
    Interrupted,
    InvalidApiKey,
    Listbuilding,
    MissingArgument,
    NotSubscribed,
    ServerError,
    SubscriptionFailed,
    TagNotFound,
)

pytestmark = pytest.mark.anyio

KEY = "lb-key-canary"


@pytest.fixture
async def lb(clock: Clock) -> AsyncIterator[Listbuilding]:
    """A client with a key."""
    async with Listbuilding(KEY, clock=clock) as client:
        yield client


async def test_sign_in(lb: Listbuilding, api: respx.MockRouter) -> None:
    """Signing in sends the key in the body, no credential in a header, and returns the page."""
    route = api.post("/subscriber/signin").respond(json=["https://e.example/pending/1"])
    url = await lb.sign_in(email="a@example.com", sms_number="+4915112345", fields={"FirstName": "Jörg"})
    sent = route.calls.last.request
    assert url == "https://e.example/pending/1"
    assert json.loads(sent.content) == {
        "apikey": KEY,
        "email": "a@example.com",
        "smsnumber": "+4915112345",
        "fields": {"fieldFirstName": "Jörg"},
    }
    assert not {"cookie", "x-un", "x-ci", "authorization"} & set(sent.headers)


@pytest.mark.parametrize("operation", ["sign_out", "sign_off"])
async def test_sign_out_and_off(lb: Listbuilding, api: respx.MockRouter, operation: str) -> None:
    """Both send key and address, and accept `[true]`."""
    route = api.post(f"/subscriber/{operation.replace('_', '')}").respond(json=[True])
    assert await getattr(lb, operation)("a@example.com") is None
    assert json.loads(route.calls.last.request.content) == {"apikey": KEY, "email": "a@example.com"}


@pytest.mark.parametrize(
    ("operation", "status", "body", "error"),
    [
        ("sign_in", 406, b'{"error":100}', InvalidApiKey),
        ("sign_in", 401, b'["Missing required argument apikey"]', MissingArgument),
        ("sign_in", 406, b'{"error":9}', SubscriptionFailed),
        ("sign_off", 406, b'{"error":9}', NotSubscribed),
        ("sign_out", 406, b'{"error":403}', TagNotFound),
    ],
)
async def test_errors(
    lb: Listbuilding, api: respx.MockRouter, operation: str, status: int, body: bytes, error: type[Exception]
) -> None:
    """The numbers mean what they mean for each operation."""
    api.post(f"/subscriber/{operation.replace('_', '')}").respond(status, content=body)
    call = lb.sign_in(email="a@example.com") if operation == "sign_in" else getattr(lb, operation)("a@example.com")
    with pytest.raises(error) as caught:
        await call
    assert KEY not in f"{caught.value}{caught.value!r}"


async def test_empty_500_points_at_the_key(lb: Listbuilding, api: respx.MockRouter) -> None:
    """The empty 500 that a wrong key gets is not sent again, and its text names the likely cause."""
    route = api.post("/subscriber/signin").respond(500)
    with pytest.raises(ServerError, match="wrong listbuilding key"):
        await lb.sign_in(email="a@example.com")
    assert route.call_count == 1


async def test_sign_in_is_never_repeated(lb: Listbuilding, api: respx.MockRouter) -> None:
    """A lost answer stays in doubt: a confirmation mail may have gone out."""
    route = api.post("/subscriber/signin").mock(side_effect=httpx.ReadError("lost"))
    with pytest.raises(Interrupted) as caught:
        await lb.sign_in(email="a@example.com")
    assert (caught.value.maybe_applied, route.call_count) == (True, 1)


async def test_sign_off_that_was_carried_out_before(lb: Listbuilding, api: respx.MockRouter) -> None:
    """After a lost answer, "not subscribed" means that it has worked."""
    api.post("/subscriber/signoff").mock(side_effect=[httpx.ReadError("lost"), httpx.Response(406, json={"error": 9})])
    await lb.sign_off("a@example.com")


@pytest.mark.parametrize(
    "call", [lambda lb: lb.sign_in(), lambda lb: lb.sign_in(email="x"), lambda lb: lb.sign_off("x y@example.com")]
)
async def test_bad_values_never_leave(lb: Listbuilding, call: Any) -> None:
    """What cannot be right is refused before anything is sent."""
    with pytest.raises(ArgumentError):
        await call(lb)


def test_empty_key() -> None:
    """A client without a key is refused."""
    with pytest.raises(ArgumentError, match="api_key"):
        Listbuilding(" ")
