"""A consumer that uses the whole API of Doxie; never run, only type-checked, by mypy and pyright, both strict."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import assert_type

import httpx

import klickdoxie_core as core
from doxie_async import (
    AlreadyCancelled,
    ApiUser,
    Asset,
    Basic,
    Bearer,
    Brand,
    ClientCredentials,
    Collection,
    Consent,
    Dashboard,
    Doxie,
    DoxieError,
    Editor,
    Effect,
    EventDetails,
    EventType,
    Exchange,
    Interaction,
    LandingPage,
    Layout,
    Limit,
    MailResult,
    MessagingSchedule,
    MethodNotAllowed,
    NotificationWebhook,
    Operation,
    Outcome,
    Page,
    Pages,
    Process,
    ProcessRecord,
    ProcessResult,
    ProviderCheck,
    QrCode,
    Rejected,
    Retry,
    Route,
    Routes,
    Secret,
    Tenant,
    Token,
    WebhookEndpoint,
    bulk,
    recording,
)
from doxie_async import errors as own
from doxie_async.sandbox import Sandbox
from doxie_async.webhooks import AnyEvent, DoiConfirmed, MessageSent, UnknownEvent, WebhookApp, parse


class Watcher:
    """An observer without a base class."""

    def on_attempt(self, attempt: core.Attempt) -> None:
        assert_type(attempt.number, int)

    def on_exchange(self, exchange: Exchange) -> None:
        assert_type(exchange.replayed, bool)


async def token() -> Token:
    return Token(value="token", expires_in=3600)


async def text() -> str:
    return "token"


async def clients() -> None:
    async with Doxie("ts", api_user=Basic("user", "password"), admin=Bearer("token")) as doxie:
        assert_type(doxie, Doxie)
        assert_type(doxie.tenant, str)
        assert_type(doxie.with_options(timeout=3, deadline=9, retry=Retry(attempts=1)), Doxie)
    async with httpx.AsyncClient() as http:
        doxie = Doxie(
            "ts",
            admin=ClientCredentials("app", Secret("secret"), "https://login.example.com/token", scope="read"),
            routes=Routes.from_openapi(Path("openapi.json")),
            base_url="https://app.doxie.energy",
            http=http,
            timeout=3,
            deadline=30,
            retry=Retry(attempts=5, max_retry_after=10),
            limit=Limit(concurrency=10, rate=20, burst=5),
            read_only=True,
            observers=[Watcher()],
        )
        await doxie.aclose()
    Doxie("ts", admin=Bearer(token))
    Doxie("ts", admin=Bearer(text))
    assert_type(Doxie.from_env(read_only=True), Doxie)


async def sending(doxie: Doxie) -> None:
    mail = await doxie.mailer.send("welcome", {"email": "a@example.com", "items": [1, None]})
    assert_type(mail, MailResult)
    assert_type(mail.process_uuid, str | None)
    assert_type(mail.sent_email_templates, Sequence[object])
    injection = await doxie.injector.create("journey", payload=MappingProxyType({"a": 1}))
    assert_type(injection, ProcessResult)
    assert_type(injection.data, object)
    assert_type(await doxie.processes.cancel(process_uuid="9a5d"), ProcessResult)
    event = await doxie.events.get(12, type=EventType.MAILER)
    assert_type(event, EventDetails)
    assert_type(event.type, EventType | str | None)
    assert_type(event.event, Mapping[str, object])
    assert_type(await doxie.events.get("12", type="survey"), EventDetails)
    assert_type(await doxie.surveys.create_inquiry("survey", {"a": 1}, email="a@example.com"), ProcessResult)
    assert_type(await doxie.surveys.create_inquiry("survey", phone="+491"), ProcessResult)
    assert_type(await doxie.qr_codes.create("poster", {"target_url": "https://example.com"}), QrCode)
    consent = await doxie.consents.initiate("K-1", "newsletter", email="a@example.com", phone=None)
    assert_type(consent, Consent)
    assert_type(consent.contact_channel, str | None)
    assert_type(await doxie.consents.revoke("K-1", consent_slug="newsletter"), list[Consent])
    assert_type(await doxie.consents.revoke("K-1", revoke_all=True), list[Consent])


async def brands(doxie: Doxie) -> None:
    brands = doxie.admin.brands
    assert_type(brands.all(page_size=50), Pages[Brand])
    brand = await brands.create({"name": "Süd", "possible_sender_emails": ["a@example.com"]})
    assert_type(brand, Brand)
    assert_type(brand.id, int | None)
    assert_type(brand.raw, Mapping[str, object])
    assert_type(brand.extra, Mapping[str, object])
    assert_type(await brands.get(id=1), Brand)
    assert_type(await brands.update("1", {"name": None}), Brand)
    await brands.delete(1)
    for webhook in (brands.mailjet, brands.rcs, brands.sms):
        assert_type(await webhook.status(brand_id=1), NotificationWebhook)
        assert_type(await webhook.register(1), NotificationWebhook)
        await webhook.remove(1)
    assert_type(await brands.setup_ses(1), ProviderCheck)
    assert_type(await brands.test_smtp(1), ProviderCheck)


async def tenant(doxie: Doxie) -> None:
    assert_type(doxie.admin.api_users.all(), Pages[ApiUser])
    assert_type(await doxie.admin.api_users.create({"username": "a"}), ApiUser)
    await doxie.admin.api_users.delete(1)
    assert_type(await doxie.admin.tenant.get(), Tenant)
    assert_type(await doxie.admin.tenant.update({"a": 1}), Tenant)
    assert_type(await doxie.admin.dashboard.overview(), Dashboard)
    assert_type(await doxie.admin.dashboard.statistics(month=date(2026, 1, 1)), Dashboard)
    assert_type(await doxie.admin.dashboard.statistics(start=date(2026, 1, 1), end=date(2026, 1, 31)), Dashboard)


async def processes(doxie: Doxie) -> None:
    assert_type(doxie.admin.processes.all(), Pages[Process])
    assert_type(await doxie.admin.processes.get(uuid="9a5d"), Process)
    await doxie.admin.processes.cancel("9a5d")
    assert_type(doxie.admin.processes.records("9a5d", Collection.SUCCESSFUL_EMAILS), Pages[ProcessRecord])
    assert_type(doxie.admin.processes.records("9a5d", "survey_responses"), Pages[ProcessRecord])
    assert_type(await doxie.admin.messaging_schedules.create({"a": 1}), MessagingSchedule)
    assert_type(await doxie.admin.messaging_schedules.update(1, {"a": 1}), MessagingSchedule)
    await doxie.admin.messaging_schedules.delete(id=1)


async def pages(doxie: Doxie) -> None:
    assert_type(await doxie.admin.landing_pages.create({"a": 1}), LandingPage)
    assert_type(await doxie.admin.landing_pages.update(1, {"a": 1}), LandingPage)
    await doxie.admin.landing_pages.delete(1)
    editor = await doxie.admin.landing_pages.editor(1)
    assert_type(editor, Editor)
    await doxie.admin.landing_pages.update_content(1, editor.content_state)
    await doxie.admin.landing_pages.publish(1)
    assert_type(doxie.admin.layouts.all(), Pages[Layout])
    assert_type(await doxie.admin.layouts.create({"name": "a"}), Layout)
    assert_type(await doxie.admin.layouts.get(1), Layout)
    assert_type(await doxie.admin.layouts.update(1, {"name": "b"}), Layout)
    await doxie.admin.layouts.delete(1)
    assert_type(await doxie.admin.layouts.editor(1), Editor)
    await doxie.admin.layouts.update_content(1, {})


async def endpoints(doxie: Doxie) -> None:
    endpoints = doxie.admin.webhook_endpoints
    assert_type(endpoints.all(show_inactive=True, page_size=10), Pages[WebhookEndpoint])
    endpoint = await endpoints.create({"url": "https://example.com/hook"})
    assert_type(endpoint, WebhookEndpoint)
    assert_type(endpoint.id, str | None)
    assert_type(await endpoints.get(id=1), WebhookEndpoint)
    assert_type(await endpoints.update("1", {"url": "https://example.com"}), WebhookEndpoint)
    await endpoints.delete(1)
    assert_type(endpoints.interactions(1, page_size=10), Pages[Interaction])


async def pieces() -> AsyncIterator[bytes]:
    yield b"piece"


async def assets(doxie: Doxie) -> None:
    assert_type(await doxie.admin.assets.all(), list[Asset])
    asset = await doxie.admin.assets.upload(Path("logo.png"))
    assert_type(asset, Asset)
    assert_type(asset.url, str | None)
    await doxie.admin.assets.upload("logo.png", filename="other.png")
    await doxie.admin.assets.upload(b"bytes", filename="logo.png")
    await doxie.admin.assets.upload(pieces(), filename="logo.png")
    await doxie.admin.assets.delete(uuid="a1b2")


async def lists(doxie: Doxie) -> None:
    found = doxie.admin.brands.all()
    async for brand in found:
        assert_type(brand, Brand)
    async for page in found.by_page():
        assert_type(page, Page[Brand])
    assert_type(await found.first(), Brand | None)
    assert_type(await found.to_list(max_items=3), list[Brand])
    async with found.ahead(3) as items:
        assert_type(items, AsyncIterator[Brand])


async def many(doxie: Doxie, addresses: list[str]) -> None:
    async def send(email: str) -> MailResult:
        return await doxie.mailer.send("welcome", {"email": email})

    async with bulk(send, addresses, concurrency=4) as outcomes:
        async for outcome in outcomes:
            assert_type(outcome, Outcome[str, MailResult])
            assert_type(outcome.unwrap(), MailResult)
    assert_type(await doxie.request("GET", "/api/ts/new", into=dict[str, int]), dict[str, int])
    assert_type(await doxie.request("POST", "/api/ts/new", body={"a": 1}, effect=Effect.ONCE), object)


async def failures(doxie: Doxie) -> None:
    try:
        with recording() as seen:
            await doxie.processes.cancel("9a5d")
        assert_type(seen.last.renewals, int)
    except AlreadyCancelled as error:
        assert_type(error.reason, str | None)
    except (Rejected, MethodNotAllowed) as error:
        assert_type(error.status, int | None)
    except own.NotFound as error:
        assert_type(error.reason, str | None)
    except DoxieError as error:
        assert_type(error.maybe_applied, bool)
        assert_type(error.retry_after, float | None)


def routes() -> None:
    table = Routes.from_openapi({"openapi": "3.0.1", "paths": {}})
    for route in table:
        assert_type(route, Route)
        assert_type(route.operation, Operation)
        assert_type(table[route.operation].confirmed, bool)
    assert_type(table.missing, tuple[Operation, ...])
    assert_type(table.unknown, tuple[str, ...])
    assert_type(table.server, str | None)
    assert_type(Routes.assumed(), Routes)


async def handle(event: AnyEvent) -> None:
    if isinstance(event, MessageSent):
        assert_type(event.timestamp, datetime | None)
    assert_type(event.key, str)


async def around() -> None:
    WebhookApp(handle, credentials=[Basic("doxie", "password")], paths={"/sent": MessageSent})
    assert_type(parse(b"{}"), AnyEvent)
    assert_type(parse(b"{}", kind=DoiConfirmed), DoiConfirmed | UnknownEvent)
    async with Sandbox() as box:
        assert_type(box.client(), Doxie)
