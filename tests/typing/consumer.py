"""A consumer that uses the whole API; never run, only type-checked, by mypy and pyright, both strict."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import assert_type

import httpx

import klickdoxie_core as core
from klicktipp_async import (
    CLEAR,
    UNSET,
    Account,
    AddressUnsubscribed,
    Bounce,
    Contact,
    ContactStatus,
    DataField,
    Effect,
    Exchange,
    FieldSchema,
    FieldType,
    FieldValidationError,
    KeyPair,
    KlickTipp,
    KlickTippError,
    Limit,
    Listbuilding,
    OptInProcess,
    Option,
    Outcome,
    RateLimited,
    Retry,
    SessionLogin,
    Tag,
    bulk,
    grant_url,
    recording,
    to_dict,
)
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.webhooks import WebhookApp, WebhookEvent, parse


class Watcher:
    """An observer without a base class."""

    def on_attempt(self, attempt: core.Attempt) -> None:
        assert_type(attempt.seconds, float)

    def on_exchange(self, exchange: Exchange) -> None:
        assert_type(exchange.status, int | None)


async def clients() -> None:
    async with KlickTipp(KeyPair("user", "00", "customer")) as kt:
        assert_type(kt, KlickTipp)
        assert_type(kt.with_options(timeout=3, deadline=9, retry=Retry(attempts=1)), KlickTipp)
    async with httpx.AsyncClient() as http:
        kt = KlickTipp(
            SessionLogin("user", "password"),
            base_url="https://api.klicktipp.com",
            http=http,
            timeout=3,
            deadline=30,
            retry=Retry(attempts=5, max_retry_after=10),
            limit=Limit(concurrency=10, rate=20, burst=5),
            read_only=True,
            observers=[Watcher()],
            field_schema=FieldSchema({"field1": FieldType.DECIMAL}),
        )
        assert_type(await kt.login(), Account)
        await kt.aclose()
    assert_type(KlickTipp.from_env(read_only=True), KlickTipp)
    assert_type(grant_url(1, "https://example.com/?customerkey=", encode=True), str)


async def contacts(kt: KlickTipp) -> None:
    contact = await kt.contacts.upsert(
        email="a@example.com",
        sms_number=None,
        opt_in_id=1,
        tag_id=2,
        fields={
            "fieldFirstName": "Jürgen",
            "field1": 1,
            "field2": Decimal("1.50"),
            "field3": date(2026, 1, 1),
            "field4": datetime(2026, 1, 1, tzinfo=UTC),
            "field5": time(12, 30),
            "field6": CLEAR,
        },
    )
    assert_type(contact, Contact)
    assert_type(contact.id, int)
    assert_type(contact.status, ContactStatus | str | None)
    assert_type(await kt.contacts.get("key"), Contact)
    assert_type(await kt.contacts.find_id("a@example.com"), int | None)
    await kt.contacts.update(1, email=UNSET, sms_number="+491", fields={"fieldZip": "01067"})
    await kt.contacts.delete(1)
    await kt.contacts.unsubscribe("a@example.com")
    assert_type(await kt.contacts.ids(status=ContactStatus.PENDING, bounce=[Bounce.HARD, "softbounce"]), list[int])
    assert_type(await kt.contacts.tagged(1, status="subscribed"), dict[int, datetime])
    await kt.contacts.tag("a@example.com", [1, 2])
    await kt.contacts.untag("a@example.com", 1)
    async with kt.contacts.iter_ids(status="subscribed") as numbers:
        async for number in numbers:
            assert_type(number, int)
    async with kt.contacts.iter(concurrency=4) as found:
        assert_type(found, AsyncIterator[Contact])


async def the_rest(kt: KlickTipp) -> None:
    assert_type(await kt.tags.all(), dict[int, str])
    assert_type(await kt.tags.get(1), Tag)
    assert_type(await kt.tags.create("new", text=None), int)
    await kt.tags.update(1, name=UNSET, text=None)
    await kt.tags.delete(1)
    assert_type(await kt.tags.ensure(["a", "b"]), dict[str, int])
    assert_type(await kt.tags.options(), list[Option])
    assert_type(await kt.fields.all(), dict[str, str])
    assert_type(await kt.fields.get("field1"), DataField)
    assert_type(await kt.fields.create("new"), int)
    assert_type(await kt.opt_ins.all(), dict[int, str])
    assert_type(await kt.opt_ins.get(1), OptInProcess)
    assert_type(await kt.opt_ins.redirect_url(1, "a@example.com"), str)
    assert_type(await kt.account.get(), Account)
    assert_type(await kt.request("GET", "/tag", into=dict[int, str]), dict[int, str])
    assert_type(await kt.request("GET", "/tag", into=int | None), int | None)
    assert_type(await kt.request("POST", "/x", body={"a": 1}, query={"b": 2}, effect=Effect.SAFE), object)


async def many(kt: KlickTipp, addresses: list[str]) -> None:
    async def add(email: str) -> Contact:
        return await kt.contacts.upsert(email=email)

    async with bulk(add, addresses, concurrency=4) as outcomes:
        async for outcome in outcomes:
            assert_type(outcome, Outcome[str, Contact])
            assert_type(outcome.result, Contact | None)
            assert_type(outcome.error, Exception | None)
            assert_type(outcome.unwrap(), Contact)


async def listbuilding() -> None:
    async with Listbuilding("key") as lb:
        assert_type(await lb.sign_in(email="a@example.com", fields={"fieldFirstName": "A"}), str)
        await lb.sign_out("a@example.com")
        await lb.sign_off("a@example.com")


async def errors(kt: KlickTipp) -> None:
    try:
        with recording() as seen:
            assert_type(to_dict(await kt.contacts.get(1)), dict[str, core.Json])
        assert_type(seen.last.attempts, int)
    except AddressUnsubscribed as error:
        assert_type(error.user_message("de"), str)
    except RateLimited as error:
        assert_type(error.user_message(), str)
    except FieldValidationError as error:
        assert_type(error.value, str | None)
    except KlickTippError as error:
        assert_type(error.maybe_applied, bool)
        assert_type(error.retry_after, float | None)


async def handle(event: WebhookEvent) -> None:
    assert_type(event.email, str | None)


async def around() -> None:
    WebhookApp(handle, token="token")
    assert_type(parse(b"", content_type="application/json"), WebhookEvent)
    async with Sandbox() as box:
        assert_type(box.client(), KlickTipp)


async def third_client(pages: core.Pages[Tag]) -> None:
    async for tag in pages:
        assert_type(tag, Tag)
    assert_type(await pages.first(), Tag | None)
    assert_type(await pages.to_list(max_items=3), list[Tag])
    async with pages.ahead(3) as items:
        assert_type(items, AsyncIterator[Tag])
