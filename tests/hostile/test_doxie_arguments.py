"""Every argument of every Doxie operation: it arrives exactly as given, or it is refused before anything is sent."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doxie_async import ArgumentError, Basic, Bearer, Doxie, Retry, SdkError
from doxie_async.models.admin import Collection
from doxie_async.models.sending import EventType
from doxie_async.multipart import form_with
from doxie_async.resources import sending
from doxie_async.resources.admin import assets, brands, dashboard, pages, processes, schedules, tenant, users
from doxie_async.resources.admin import webhook_endpoints as endpoints
from doxie_async.resources.base import DoxieResource
from doxie_async.routes import Routes
from klickdoxie_core import Clock
from tests.doxie_async.support import Pieces
from tests.doxie_async.uses import EVERY
from tests.hostile import strategies as s
from tests.hostile.strategies import NOT_SENDABLE, Seen, Service, Slot

pytestmark = pytest.mark.anyio

MODULES = (sending, assets, brands, dashboard, pages, processes, schedules, tenant, users, endpoints)
GROUPS = [
    kind
    for module in MODULES
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, DoxieResource) and kind.__module__ == module.__name__
]
UPLOAD = {"Assets.upload.file", "Assets.upload.filename"}
"""What goes into a form, with tests of its own."""
TEMPLATES = {route.operation.name: f"{route.method} {route.template}" for route in Routes.assumed()}
NEW: dict[str, Any] = {"name": "Stadtwerke Süd"}
FINE: dict[str, Any] = {"größe": [1, 2.5, None, True, {"tief": "ä🎉"}]}
TODAY = date(2024, 5, 17)


def as_payload(value: object) -> object:
    """A mapping as JSON has it, under a root or not."""
    return s.as_json(value) if isinstance(value, dict) else NOT_SENDABLE


def as_brand(value: object) -> object:
    """Two lists of a brand may be given as texts; nothing here is called so."""
    return as_payload(value)


def as_filled(value: object) -> object:
    """A text that is not blank."""
    return "".join(value) if isinstance(value, str) and value.strip() else NOT_SENDABLE


def as_size(value: object) -> object:
    """A whole number from 1."""
    return s.as_text(value) if isinstance(value, int) and value > 0 else NOT_SENDABLE


def as_day(value: object) -> object:
    """A day in the form of ISO 8601."""
    return value.strftime("%Y-%m-%d") if isinstance(value, date) else NOT_SENDABLE


def as_bool(value: object) -> object:
    """The word for a bool."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else NOT_SENDABLE


def segment(number: int) -> Callable[[Seen], object]:
    """A part of the path, counted from behind."""
    return lambda sent: sent.segments[number]


def at(*names: str) -> Callable[[Seen], object]:
    """A place of the body."""

    def find(sent: Seen) -> object:
        found = sent.json
        for name in names:
            found = found.get(name, NOT_SENDABLE)
        return found

    return find


def query(name: str) -> Callable[[Seen], object]:
    """A query parameter."""
    return lambda sent: sent.query.get(name, NOT_SENDABLE)


def slot(name: str, operation: str, call: Any, arrived: Any, fine: Any, wanted: Any, **more: Any) -> Slot:
    """A row of the table."""
    return Slot(name=name, sends=TEMPLATES[operation], call=call, arrived=arrived, fine=fine, wanted=wanted, **more)


def places() -> Iterator[Slot]:
    """Every value that goes into a path, by the uses of all operations."""
    rows: tuple[tuple[str, str, Any], ...] = (
        ("Mailer.send.event_slug", "Mailer: Sends a mail", lambda d, v: d.mailer.send(v, NEW)),
        (
            "Injector.create.event_slug",
            "Injector: Creates an injection for an embedded journey",
            lambda d, v: d.injector.create(v, NEW),
        ),
        ("Processes.cancel.process_uuid", "Shared: Cancel a process", lambda d, v: d.processes.cancel(v)),
        ("Events.get.event_id", "Shared: Show event details", lambda d, v: d.events.get(v, type="mailer")),
        (
            "Surveys.create_inquiry.event_slug",
            "Survey: Creates an inquiry for a survey response",
            lambda d, v: d.surveys.create_inquiry(v, email="a@example.org"),
        ),
        (
            "QrCodes.create.event_slug",
            "QR Code: Creates a QR code for an event",
            lambda d, v: d.qr_codes.create(v, NEW),
        ),
        ("Brands.get.id", "Admin: Show a brand", lambda d, v: d.admin.brands.get(v)),
        ("Brands.update.id", "Admin: Update a brand", lambda d, v: d.admin.brands.update(v, NEW)),
        ("Brands.delete.id", "Admin: Delete a brand", lambda d, v: d.admin.brands.delete(v)),
        ("Brands.setup_ses.brand_id", "Admin: Trigger SES setup for a brand", lambda d, v: d.admin.brands.setup_ses(v)),
        (
            "Brands.test_smtp.brand_id",
            "Admin: Test SMTP connection for a brand",
            lambda d, v: d.admin.brands.test_smtp(v),
        ),
        *(
            (f"BrandWebhooks.{method}.brand_id", f"Admin: {title} for a brand", call)
            for method, title, call in (
                ("status", "Show Mailjet notification webhook status", lambda d, v: d.admin.brands.mailjet.status(v)),
                ("register", "Register RCS notification webhook", lambda d, v: d.admin.brands.rcs.register(v)),
                ("remove", "Remove SMS notification webhook", lambda d, v: d.admin.brands.sms.remove(v)),
            )
        ),
        ("ApiUsers.delete.id", "Admin: Delete an API user", lambda d, v: d.admin.api_users.delete(v)),
        (
            "AdminProcesses.get.uuid",
            "Admin / Shared: Show a process and its associated records",
            lambda d, v: d.admin.processes.get(v),
        ),
        ("AdminProcesses.cancel.uuid", "Admin / Shared: Cancel a process", lambda d, v: d.admin.processes.cancel(v)),
        (
            "AdminProcesses.records.uuid",
            "Admin / Shared: Show a process and its associated records",
            lambda d, v: d.admin.processes.records(v, "survey_responses").to_list(),
        ),
        (
            "MessagingSchedules.update.id",
            "Admin / Shared: Update a messaging schedule",
            lambda d, v: d.admin.messaging_schedules.update(v, NEW),
        ),
        (
            "MessagingSchedules.delete.id",
            "Admin / Shared: Delete a messaging schedule",
            lambda d, v: d.admin.messaging_schedules.delete(v),
        ),
        (
            "LandingPages.update.id",
            "Admin / Shared: Update a landing page",
            lambda d, v: d.admin.landing_pages.update(v, NEW),
        ),
        (
            "LandingPages.delete.id",
            "Admin / Shared: Delete a landing page",
            lambda d, v: d.admin.landing_pages.delete(v),
        ),
        (
            "LandingPages.editor.id",
            "Admin / Editor: Show editor landing page configuration",
            lambda d, v: d.admin.landing_pages.editor(v),
        ),
        (
            "LandingPages.update_content.id",
            "Admin / Editor: Update landing page content state",
            lambda d, v: d.admin.landing_pages.update_content(v, NEW),
        ),
        (
            "LandingPages.publish.id",
            "Admin / Editor: Publish a landing page",
            lambda d, v: d.admin.landing_pages.publish(v),
        ),
        ("Layouts.get.id", "Admin / Pages: Show a landing page layout", lambda d, v: d.admin.layouts.get(v)),
        (
            "Layouts.update.id",
            "Admin / Pages: Update a landing page layout",
            lambda d, v: d.admin.layouts.update(v, NEW),
        ),
        ("Layouts.delete.id", "Admin / Pages: Delete a landing page layout", lambda d, v: d.admin.layouts.delete(v)),
        (
            "Layouts.editor.id",
            "Admin / Editor: Show editor landing page layout configuration",
            lambda d, v: d.admin.layouts.editor(v),
        ),
        (
            "Layouts.update_content.id",
            "Admin / Editor: Update landing page layout content state",
            lambda d, v: d.admin.layouts.update_content(v, NEW),
        ),
        ("Assets.delete.uuid", "Admin / Editor: Delete an editor asset", lambda d, v: d.admin.assets.delete(v)),
        (
            "WebhookEndpoints.get.id",
            "Admin / Webhook: Show a webhook endpoint and its interactions",
            lambda d, v: d.admin.webhook_endpoints.get(v),
        ),
        (
            "WebhookEndpoints.update.id",
            "Admin / Webhook: Update a webhook endpoint",
            lambda d, v: d.admin.webhook_endpoints.update(v, NEW),
        ),
        (
            "WebhookEndpoints.delete.id",
            "Admin / Webhook: Delete a webhook endpoint",
            lambda d, v: d.admin.webhook_endpoints.delete(v),
        ),
        (
            "WebhookEndpoints.interactions.id",
            "Admin / Webhook: Show a webhook endpoint and its interactions",
            lambda d, v: d.admin.webhook_endpoints.interactions(v).to_list(),
        ),
    )
    for name, operation, call in rows:
        parts = TEMPLATES[operation].split("/")
        place = max(number for number, part in enumerate(parts) if part.startswith("{")) - len(parts)
        yield slot(name, operation, call, segment(place), "k-ä 1", s.as_text, says=("endpoint_id", "id"))


def bodies() -> Iterator[Slot]:
    """Every value that goes into a body whole: payloads, attributes, documents."""
    rows: tuple[tuple[str, str, Any, tuple[str, ...]], ...] = (
        ("Mailer.send.payload", "Mailer: Sends a mail", lambda d, v: d.mailer.send("e", v), ()),
        (
            "Injector.create.payload",
            "Injector: Creates an injection for an embedded journey",
            lambda d, v: d.injector.create("e", v),
            (),
        ),
        (
            "QrCodes.create.payload",
            "QR Code: Creates a QR code for an event",
            lambda d, v: d.qr_codes.create("e", v),
            (),
        ),
        ("Brands.create.attributes", "Admin: Create a brand", lambda d, v: d.admin.brands.create(v), ("brand",)),
        ("Brands.update.attributes", "Admin: Update a brand", lambda d, v: d.admin.brands.update(1, v), ("brand",)),
        (
            "ApiUsers.create.attributes",
            "Admin: Create an API user",
            lambda d, v: d.admin.api_users.create(v),
            ("api_user",),
        ),
        (
            "TenantSettings.update.attributes",
            "Admin: Update tenant settings",
            lambda d, v: d.admin.tenant.update(v),
            ("tenant_params",),
        ),
        (
            "MessagingSchedules.create.attributes",
            "Admin / Shared: Create a messaging schedule",
            lambda d, v: d.admin.messaging_schedules.create(v),
            ("shared_messaging_schedule",),
        ),
        (
            "MessagingSchedules.update.attributes",
            "Admin / Shared: Update a messaging schedule",
            lambda d, v: d.admin.messaging_schedules.update(1, v),
            ("shared_messaging_schedule",),
        ),
        (
            "LandingPages.create.attributes",
            "Admin / Shared: Create a landing page",
            lambda d, v: d.admin.landing_pages.create(v),
            ("pages_landing_page",),
        ),
        (
            "LandingPages.update.attributes",
            "Admin / Shared: Update a landing page",
            lambda d, v: d.admin.landing_pages.update(1, v),
            ("pages_landing_page",),
        ),
        (
            "LandingPages.update_content.content_state",
            "Admin / Editor: Update landing page content state",
            lambda d, v: d.admin.landing_pages.update_content(1, v),
            ("content_state",),
        ),
        (
            "Layouts.create.attributes",
            "Admin / Pages: Create a landing page layout",
            lambda d, v: d.admin.layouts.create(v),
            ("pages_landing_page_layout",),
        ),
        (
            "Layouts.update.attributes",
            "Admin / Pages: Update a landing page layout",
            lambda d, v: d.admin.layouts.update(1, v),
            ("pages_landing_page_layout",),
        ),
        (
            "Layouts.update_content.content_state",
            "Admin / Editor: Update landing page layout content state",
            lambda d, v: d.admin.layouts.update_content(1, v),
            ("content_state",),
        ),
        (
            "WebhookEndpoints.create.attributes",
            "Admin / Webhook: Create a webhook endpoint",
            lambda d, v: d.admin.webhook_endpoints.create(v),
            ("webhook_abstract_endpoint",),
        ),
        (
            "WebhookEndpoints.update.attributes",
            "Admin / Webhook: Update a webhook endpoint",
            lambda d, v: d.admin.webhook_endpoints.update(1, v),
            ("webhook_abstract_endpoint",),
        ),
    )
    for name, operation, call, place in rows:
        yield slot(name, operation, call, at(*place), FINE, as_payload)


def pages_of() -> Iterator[Slot]:
    """The size of a page, of every list."""
    rows: tuple[tuple[str, str, Any], ...] = (
        ("Brands.all", "Admin: List brands", lambda d, v: d.admin.brands.all(page_size=v)),
        ("ApiUsers.all", "Admin: List API users", lambda d, v: d.admin.api_users.all(page_size=v)),
        ("AdminProcesses.all", "Admin / Shared: List processes", lambda d, v: d.admin.processes.all(page_size=v)),
        ("Layouts.all", "Admin / Pages: List landing page layouts", lambda d, v: d.admin.layouts.all(page_size=v)),
        (
            "WebhookEndpoints.all",
            "Admin / Webhook: List webhook endpoints",
            lambda d, v: d.admin.webhook_endpoints.all(page_size=v),
        ),
        (
            "WebhookEndpoints.interactions",
            "Admin / Webhook: Show a webhook endpoint and its interactions",
            lambda d, v: d.admin.webhook_endpoints.interactions(1, page_size=v),
        ),
    )
    for name, operation, call in rows:
        yield slot(f"{name}.page_size", operation, listing(call), query("limit"), 50, as_size)


def listing(call: Any) -> Any:
    """A call that reads all pages."""

    async def read(client: Doxie, value: object) -> object:
        return await call(client, value).to_list()

    return read


INQUIRY = "Survey: Creates an inquiry for a survey response"
INITIATE, REVOKE = "MPM: Initiate consent", "MPM: Revoke consent"
STATISTICS = "Admin / Shared: Show dashboard statistics"
RECORDS = "Admin / Shared: Show a process and its associated records"
OTHERS = (
    slot(
        "Events.get.type",
        "Shared: Show event details",
        lambda d, v: d.events.get(1, type=v),
        query("type"),
        "qr_code",
        s.as_text,
    ),
    slot(
        "Surveys.create_inquiry.payload",
        INQUIRY,
        lambda d, v: d.surveys.create_inquiry("e", v, email="a@example.org"),
        lambda sent: {name: value for name, value in sent.json.items() if name != "email"},
        FINE,
        as_payload,
        omits=(None,),
    ),
    slot(
        "Surveys.create_inquiry.email",
        INQUIRY,
        lambda d, v: d.surveys.create_inquiry("e", email=v),
        at("email"),
        "käthe@example.org",
        as_filled,
    ),
    slot(
        "Surveys.create_inquiry.phone",
        INQUIRY,
        lambda d, v: d.surveys.create_inquiry("e", phone=v),
        at("phone"),
        "+49 170 5550123",
        as_filled,
    ),
    slot(
        "Consents.initiate.customer_id",
        INITIATE,
        lambda d, v: d.consents.initiate(v, "news", email="a@example.org"),
        at("customer_id"),
        "K-ä",
        as_filled,
    ),
    slot(
        "Consents.initiate.consent_slug",
        INITIATE,
        lambda d, v: d.consents.initiate("K", v, email="a@example.org"),
        at("consent_slug"),
        "news",
        as_filled,
    ),
    slot(
        "Consents.initiate.email",
        INITIATE,
        lambda d, v: d.consents.initiate("K", "news", email=v),
        at("email"),
        "käthe@example.org",
        as_filled,
    ),
    slot(
        "Consents.initiate.phone",
        INITIATE,
        lambda d, v: d.consents.initiate("K", "news", phone=v),
        at("phone"),
        "+49 170 5550123",
        as_filled,
    ),
    slot(
        "Consents.revoke.customer_id",
        REVOKE,
        lambda d, v: d.consents.revoke(v, revoke_all=True),
        at("customer_id"),
        "K",
        as_filled,
    ),
    slot(
        "Consents.revoke.consent_slug",
        REVOKE,
        lambda d, v: d.consents.revoke("K", consent_slug=v),
        at("consent_slug"),
        "news",
        as_filled,
    ),
    slot(
        "Consents.revoke.revoke_all",
        REVOKE,
        lambda d, v: d.consents.revoke("K", revoke_all=v),
        at("revoke_all"),
        True,
        lambda value: value if value is True else NOT_SENDABLE,
    ),
    slot(
        "WebhookEndpoints.all.show_inactive",
        "Admin / Webhook: List webhook endpoints",
        listing(lambda d, v: d.admin.webhook_endpoints.all(show_inactive=v)),
        query("show_inactive"),
        True,
        as_bool,
        omits=(None,),
    ),
    slot(
        "AdminProcesses.records.collection",
        RECORDS,
        lambda d, v: d.admin.processes.records("u", v).to_list(),
        lambda sent: next(iter(sent.query)).removesuffix("_page"),
        Collection.SCHEDULED_MESSAGES,
        s.as_text,
    ),
    slot(
        "Dashboards.statistics.month",
        STATISTICS,
        lambda d, v: d.admin.dashboard.statistics(month=v),
        query("time_range"),
        TODAY,
        lambda value: as_day(value.replace(day=1)) if isinstance(value, date) else NOT_SENDABLE,
        omits=(None,),
    ),
    slot(
        "Dashboards.statistics.start",
        STATISTICS,
        lambda d, v: d.admin.dashboard.statistics(start=v, end=TODAY),
        query("start_date"),
        TODAY,
        as_day,
    ),
    slot(
        "Dashboards.statistics.end",
        STATISTICS,
        lambda d, v: d.admin.dashboard.statistics(start=date(2020, 1, 1), end=v),
        query("end_date"),
        TODAY,
        as_day,
    ),
)
SLOTS = (*places(), *bodies(), *pages_of(), *OTHERS)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Arguments know nothing of event loops."""
    return "asyncio"


@pytest.fixture
def service() -> Service:
    """A service that refuses everything."""
    return Service()


@pytest.fixture
async def doxie(service: Service, clock: Clock) -> AsyncIterator[Doxie]:
    """A client with both credentials that sends once."""
    async with (
        service.client() as http,
        Doxie(
            "ts", api_user=Basic("u", "p"), admin=Bearer("t"), http=http, clock=clock, retry=Retry(attempts=1)
        ) as client,
    ):
        yield client


async def try_out(row: Slot, client: Doxie, service: Service, value: object) -> str:
    """One value in one argument."""
    if any(value is omitted for omitted in row.omits):
        return "omitted"
    return await s.attempt(row, client, service, value)


def test_every_argument_has_its_row() -> None:
    """The table has every argument of every method, and no other; the upload has its own tests."""
    arguments = {
        f"{group.__name__}.{name}.{argument}"
        for group in GROUPS
        for name, method in inspect.getmembers(group, inspect.isfunction)
        if not name.startswith("_")
        for argument in list(inspect.signature(method).parameters)[1:]
    }
    assert arguments - UPLOAD == {str(row) for row in SLOTS}


def test_every_operation_with_a_place_has_its_row() -> None:
    """No operation is left out whose path has more than the tenant; three providers share a class."""
    tried = {row.sends for row in SLOTS}
    left_out = {use.operation.summary for use in EVERY if TEMPLATES[use.operation.name] not in tried}
    assert {title for title in left_out if "notification webhook" not in title} == {
        "Show tenant settings",
        "Show main dashboard statistics",
        "List editor assets",
        "Upload an editor asset",
    }


@pytest.mark.parametrize("row", SLOTS, ids=str)
async def test_whatever_is_given_arrives_or_is_refused(doxie: Doxie, service: Service, row: Slot) -> None:
    """Exactly that value in exactly that place, or an error that names the argument, and no request."""
    assert await try_out(row, doxie, service, row.fine) == "sent"
    for value in s.EVERYTHING:
        await try_out(row, doxie, service, value)


@s.checked(100)
@given(row=st.sampled_from(SLOTS), value=s.anything)
async def test_whatever_anybody_thinks_of(doxie: Doxie, service: Service, row: Slot, value: Any) -> None:
    """The same for values that nobody has listed."""
    await try_out(row, doxie, service, value)


@s.checked(100)
@given(payload=s.payloads)
async def test_whatever_payload_anybody_thinks_of(doxie: Doxie, service: Service, payload: Any) -> None:
    """A payload arrives as it is, or none of it."""
    row = next(row for row in SLOTS if str(row) == "Mailer.send.payload")
    sendable = as_payload(payload) is not NOT_SENDABLE
    assert await try_out(row, doxie, service, payload) == ("sent" if sendable else "refused")


@pytest.mark.parametrize("word", list(EventType))
async def test_a_word_that_shows_another_text(doxie: Doxie, service: Service, word: str) -> None:
    """What equals a known word is sent as that word, whatever it shows."""

    class Shown(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "../else"

    with pytest.raises(SdkError):
        await doxie.events.get(1, type=Shown(word))
    assert service.seen[-1].query == {"type": word}


@pytest.mark.parametrize(
    ("start", "end", "fits"),
    [
        (date(1, 1, 1), date(999, 1, 1), True),
        (datetime(2024, 1, 1, 23, tzinfo=UTC), date(2024, 1, 1), True),
        (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2), True),  # noqa: DTZ001 - a naive one
        (date(2024, 1, 2), date(2024, 1, 1), False),
        (date.max, date.min, False),
    ],
)
async def test_days(doxie: Doxie, service: Service, start: date, end: date, fits: bool) -> None:
    """Any two days, four digits for each year; a datetime counts as its day."""
    with pytest.raises(SdkError) as caught:
        await doxie.admin.dashboard.statistics(start=start, end=end)
    assert isinstance(caught.value, ArgumentError) is not fits
    if fits:
        sent = service.seen[-1].query
        assert re.fullmatch(r"\d{4}-\d\d-\d\d\d{4}-\d\d-\d\d", sent["start_date"] + sent["end_date"])


@pytest.mark.parametrize(
    "attributes", [{s.ADDRESS: "***"}, {"x" * 2**20: "***"}, {"a": [{s.PHONE: "[hidden]"}]}], ids=len
)
async def test_masked_secrets_are_told_by_masked_names(doxie: Doxie, service: Service, attributes: Any) -> None:
    """The names in the way to a masked secret may be personal, too, and have no end."""
    with pytest.raises(ArgumentError, match="attributes hold masked secrets") as caught:
        await doxie.admin.brands.update(1, attributes)
    s.check_quiet(caught.value)
    assert not service.seen


def parts_of(sent: Seen) -> tuple[str, str, bytes]:
    """The name in its field, the name in the header, and the content of the only two parts of a form."""
    kind = sent.header("content-type")
    assert kind is not None
    boundary = re.fullmatch(r"multipart/form-data; boundary=([0-9a-f]{32})", kind)
    assert boundary
    delimiter = f"\r\n--{boundary[1]}".encode()
    before, name, file, after = (b"\r\n" + sent.body).split(delimiter)
    assert (before, after) == (b"", b"--\r\n")
    field, _, told = name.partition(b"\r\n\r\n")
    assert field == b'\r\nContent-Disposition: form-data; name="filename"'
    head, _, content = file.partition(b"\r\n\r\n")
    _, disposition, media = head.decode().split("\r\n")
    assert media == "Content-Type: application/octet-stream"
    quoted = re.fullmatch(r'Content-Disposition: form-data; name="file"; filename="([^"\r\n\0]*)"', disposition)
    assert quoted
    return told.decode(), quoted[1], content


async def upload(doxie: Doxie, service: Service, file: Any, filename: Any) -> tuple[str, str, bytes] | None:
    """What arrived of a file; None when it was refused."""
    del service.seen[:]
    error = await s.failure_of(lambda: doxie.admin.assets.upload(file, filename=filename))
    s.check_quiet(error, filename)
    if service.seen:
        return parts_of(service.seen[-1])
    assert isinstance(error, ArgumentError)
    assert re.search(r"\bfile(name)?\b", str(error))
    return None


async def test_any_name_of_a_file(doxie: Doxie, service: Service) -> None:
    """A name cannot leave its place; what could end it is escaped as browsers do it, everything else arrives."""
    assert await upload(doxie, service, b"x", "Grüße 🎉.png") == ("Grüße 🎉.png", "Grüße 🎉.png", b"x")
    for name in s.EVERYTHING:
        arrived = await upload(doxie, service, b"\r\n--x--\r\n", name)
        if arrived is None or not isinstance(name, str):
            assert arrived is None
            continue
        line = re.sub(r"[\r\n\0]", lambda sign: f"%{ord(sign[0]):02X}", "".join(name))
        assert arrived == (line, line.replace('"', "%22"), b"\r\n--x--\r\n")


@s.checked(100)
@given(name=s.texts, content=st.binary(max_size=200))
async def test_any_name_and_content(doxie: Doxie, service: Service, name: str, content: bytes) -> None:
    """The content arrives byte for byte, whatever the name."""
    arrived = await upload(doxie, service, content, name)
    assert arrived is None or arrived[2] == content


async def test_anything_as_a_file(doxie: Doxie, service: Service, tmp_path: Path) -> None:
    """What is no file is refused, without its path."""
    for file in (
        *s.TEXTS,
        *s.NUMBERS,
        *s.OBJECTS,
        *s.PAYLOADS,
        tmp_path,
        tmp_path / "x" / s.ADDRESS,
        Path("/dev/null"),
    ):
        arrived = await upload(doxie, service, file, "a.png")
        assert (arrived is not None) == isinstance(file, bytes)


@pytest.mark.parametrize("piece", ["text", None, 5, [b"x"], bytearray(b"x"), s.Thing()], ids=lambda p: type(p).__name__)
async def test_pieces_that_are_no_bytes(piece: Any) -> None:
    """They are refused by their type when they come."""
    stream = form_with(Pieces(b"fine", piece), "a.png")
    with pytest.raises(ArgumentError, match=rf"of bytes, not of {type(piece).__name__}\Z"):
        _ = [sent async for sent in stream.open()]


class Odd:
    """A path that is none."""

    def __init__(self, says: Any) -> None:
        self._says = says

    def __fspath__(self) -> Any:
        return self._says


@pytest.mark.parametrize("says", [b"bytes", 5, None, "x" * 5000, "a\0b"], ids=lambda says: type(says).__name__)
def test_paths_that_are_none(says: Any) -> None:
    """A path of bytes, an endless one, and one with a NUL in it."""
    for name in ("a.png", None):
        with pytest.raises(ArgumentError, match=r"^file"):
            form_with(Odd(says), name)
