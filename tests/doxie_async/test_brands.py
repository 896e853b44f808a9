"""Brands: what is sent and what never is, what comes back, and their providers."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import httpx
import pytest
import respx

from doxie_async import ArgumentError, Brand, Doxie, NotFound, recording
from doxie_async.errors import DoxieError
from tests.doxie_async.support import body_of, ok

pytestmark = pytest.mark.anyio

FETCHED = {
    "id": 7,
    "name": "Stadtwerke Süd",
    "mail_provider": "smtp",
    "possible_sender_emails": ["info@example.com"],
    "smtp": {"host": "mail.example.com", "password": "********"},
}


@pytest.mark.parametrize("data", [FETCHED, {"brand": FETCHED}])
async def test_a_brand(doxie: Doxie, api: respx.MockRouter, data: dict[str, Any]) -> None:
    """A brand comes bare or under its name; what is not known by name is kept."""
    api.get("/api/ts/admin/brands/7").respond(json=ok(data))
    brand = await doxie.admin.brands.get(7)
    assert (brand.id, brand.name, brand.mail_provider) == (7, "Stadtwerke Süd", "smtp")
    assert brand.raw == FETCHED
    assert brand.extra == {name: FETCHED[name] for name in ("possible_sender_emails", "smtp")}
    assert repr(brand) == "Brand(id=7, name='Stadtwerke Süd', mail_provider='smtp')"


async def test_what_stands_beside_a_brand_is_kept(doxie: Doxie, api: respx.MockRouter) -> None:
    """Fields beside the named brand belong to it."""
    api.get("/api/ts/admin/brands/7").respond(json=ok({"brand": {"id": 7}, "rechte": ["read"]}))
    brand = await doxie.admin.brands.get(7)
    assert (brand.id, brand.extra) == (7, {"rechte": ["read"]})


@pytest.mark.parametrize("answer", [ok({}), ok(None), {}, ok({"brand": {}})])
async def test_a_brand_without_anything(doxie: Doxie, api: respx.MockRouter, answer: dict[str, Any]) -> None:
    """The reference's own samples are empty: a missing field is None and no error."""
    api.get("/api/ts/admin/brands/7").respond(json=answer)
    assert await doxie.admin.brands.get(7) == Brand()


async def test_a_brand_is_created(doxie: Doxie, api: respx.MockRouter) -> None:
    """The attributes go under their root key, and the new brand comes back."""
    route = api.post("/api/ts/admin/brands").respond(json=ok({"id": "8"}, message="Erfolgreich erstellt"))
    assert (await doxie.admin.brands.create({"name": "Süd", "smtp": {"port": 587}})).id == 8
    assert body_of(route) == {"brand": {"name": "Süd", "smtp": {"port": 587}}}


async def test_an_update_sends_what_is_given_and_nothing_else(doxie: Doxie, api: respx.MockRouter) -> None:
    """No field is added to those of the caller, and None stays None; nothing is fetched."""
    route = api.patch("/api/ts/admin/brands/7").respond(json=ok(FETCHED))
    attributes = MappingProxyType({"name": None})
    await doxie.admin.brands.update(7, attributes)
    assert body_of(route) == {"brand": {"name": None}}
    assert api.calls.call_count == 1


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("a@example.com, b@example.com", ["a@example.com", "b@example.com"]),
        (" a@example.com ,, ", ["a@example.com"]),
        ("", []),
        (["a@example.com"], ["a@example.com"]),
        ([], []),
        (None, None),
    ],
)
@pytest.mark.parametrize("name", ["possible_sender_emails", "rcs_possible_senders"])
async def test_senders_go_as_lists(doxie: Doxie, api: respx.MockRouter, name: str, given: Any, sent: Any) -> None:
    """A text with commas leaves as a list, in both writes; no other field is split."""
    made = api.post("/api/ts/admin/brands").respond(json=ok())
    changed = api.patch("/api/ts/admin/brands/7").respond(json=ok())
    attributes = {name: given, "claim": "Strom, Gas, Wasser"}
    await doxie.admin.brands.create(attributes)
    await doxie.admin.brands.update(7, attributes)
    assert body_of(made) == body_of(changed) == {"brand": {name: sent, "claim": "Strom, Gas, Wasser"}}
    assert attributes[name] is given


@pytest.mark.parametrize(
    ("attributes", "places"),
    [
        ({"smtp_password": "********"}, "smtp_password"),
        ({"smtp_password": "••••••••"}, "smtp_password"),
        ({"smtp_password": "●●●●"}, "smtp_password"),
        ({"smtp_password": "XXXX"}, "smtp_password"),
        ({"api_key": "****1234"}, "api_key"),
        ({"api_key": "AKIA************"}, "api_key"),
        ({"api_key": "ab***yz"}, "api_key"),
        ({"api_key": "[FILTERED]"}, "api_key"),
        ({"name": "Süd", "smtp": {"password": "***", "host": "h"}}, "smtp.password"),
        ({"konten": [{"a": {"secret": "***"}}, "***"]}, "konten[0].a.secret, konten[1]"),
        (FETCHED, "smtp.password"),
    ],
    ids=repr,
)
async def test_a_masked_secret_is_never_sent(doxie: Doxie, attributes: dict[str, Any], places: str) -> None:
    """A mask would replace the real secret: it is refused by its place, before anything is sent."""
    for write in (doxie.admin.brands.create(attributes), doxie.admin.brands.update(7, attributes)):
        with pytest.raises(ArgumentError) as caught:
            await write
        assert str(caught.value) == (f"attributes hold masked secrets, which would replace the real ones: {places}")
        assert isinstance(caught.value, DoxieError)


@pytest.mark.parametrize(
    "value", ["geheim", "*", "**", "5*", "***NEU***", "Hotel*****", "* * *", "a*b*c", "", "Straße 5", "[neu]", None, 0]
)
async def test_what_is_no_mask_is_sent(doxie: Doxie, api: respx.MockRouter, value: Any) -> None:
    """Signs that masks are made of stand in other texts too."""
    route = api.patch("/api/ts/admin/brands/7").respond(json=ok())
    await doxie.admin.brands.update(7, {"feld": value})
    assert body_of(route) == {"brand": {"feld": value}}


async def test_a_fetched_brand_is_never_echoed(doxie: Doxie, api: respx.MockRouter) -> None:
    """Neither the model nor all that it came with can be sent back."""
    api.get("/api/ts/admin/brands/7").respond(json=ok(FETCHED))
    brand: Any = await doxie.admin.brands.get(7)
    with pytest.raises(ArgumentError, match=r"^attributes must be a mapping of names to values, not Brand$"):
        await doxie.admin.brands.update(7, brand)
    with pytest.raises(ArgumentError, match=r"masked secrets.*: smtp\.password$"):
        await doxie.admin.brands.update(7, brand.raw)
    assert api.calls.call_count == 1


@pytest.mark.parametrize("attributes", [{}, None, "name=Süd", [("name", "Süd")]], ids=repr)
async def test_a_write_without_attributes(doxie: Doxie, attributes: Any) -> None:
    """Nothing, and what is no mapping, is refused by the name of the argument."""
    for write in (doxie.admin.brands.create(attributes), doxie.admin.brands.update(7, attributes)):
        with pytest.raises(ArgumentError, match=r"^attributes must "):
            await write


async def test_a_delete_that_was_carried_out_before(doxie: Doxie, api: respx.MockRouter) -> None:
    """After an attempt whose answer was lost, "not found" means that the delete has worked; before, it does not."""
    route = api.delete("/api/ts/admin/brands/7").mock(
        side_effect=[httpx.ReadError("lost"), httpx.Response(404), httpx.Response(404)]
    )
    with recording() as seen:
        await doxie.admin.brands.delete(7)
    assert (seen.last.attempts, seen.last.replayed) == (2, True)
    with pytest.raises(NotFound):
        await doxie.admin.brands.delete(7)
    assert route.call_count == 3


@pytest.mark.parametrize("answer", [httpx.Response(200, json=ok(message="Erfolgreich gelöscht")), httpx.Response(204)])
async def test_a_delete_in_other_words(doxie: Doxie, api: respx.MockRouter, answer: httpx.Response) -> None:
    """An empty 204 says the same as an envelope."""
    api.delete("/api/ts/admin/brands/7").mock(return_value=answer)
    await doxie.admin.brands.delete(7)


@pytest.mark.parametrize(
    "data", [{"registered": True, "event_types": ["open"]}, {"webhook": {"event_types": ["open"]}, "registered": True}]
)
@pytest.mark.parametrize(
    ("provider", "path"), [("mailjet", "mailjet_webhooks"), ("rcs", "rcs_webhook"), ("sms", "sms_webhook")]
)
async def test_the_webhook_of_a_provider(
    doxie: Doxie, api: respx.MockRouter, provider: str, path: str, data: dict[str, Any]
) -> None:
    """What the service says about a provider is kept whole, for each of the three."""
    url = f"/api/ts/admin/brands/7/{path}"
    api.get(url).respond(json=ok(data))
    api.post(url).respond(json=ok(data, message="Erfolgreich bearbeitet"))
    api.delete(url).respond(json=ok(data, message="Erfolgreich bearbeitet"))
    webhook = getattr(doxie.admin.brands, provider)
    for found in (await webhook.status(7), await webhook.register(7)):
        assert found.raw == {"registered": True, "event_types": ["open"]}
    assert await webhook.remove(7) is None
