"""What OpenTelemetry is told of a KlickTipp account's calls, and that it need not be there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
import pytest
from opentelemetry import propagate, trace

from klickdoxie_core import Clock
from klicktipp_async import KlickTipp, KlickTippError, SessionLogin, bulk
from klicktipp_async.sandbox import Sandbox
from tests.core.collector import Collector, collecting, told
from tests.faults import canaries

pytestmark = pytest.mark.anyio

DURATION = "klickdoxie.client.operation.duration"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """The providers of the process."""
    with collecting() as collector:
        yield collector


@pytest.fixture
async def box(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """An empty account."""
    async with Sandbox() as box:
        yield box


async def test_spans_have_the_vendors_names(collector: Collector, box: Sandbox, clock: Clock) -> None:
    """Each operation is one span, the login below the call that needed it, and a lost answer an attempt of its own."""
    box.drop("List Tags", times=1)
    kt = box.client(clock=clock)
    tag = (await kt.tags.ensure(["Größe M"]))["Größe M"]
    await kt.contacts.upsert(email="käthe@example.com", tag_id=tag)
    login, tags, *_ = collector.spans
    assert [span.name for span in collector.spans] == [
        "klicktipp Login",
        "klicktipp List Tags",
        "klicktipp Create Tag",
        "klicktipp Add or Update Contact",
    ]
    assert login.parent == tags.get_span_context()
    assert told(tags)["http.request.resend_count"] == 1
    assert (told(tags)["url.template"], told(tags)["server.address"]) == ("/tag", "api.klicktipp.sandbox")
    scope = tags.instrumentation_scope
    assert scope is not None
    assert scope.name == "klicktipp-async"
    assert {point.attributes["klickdoxie.operation"] for point in collector.points(DURATION)} == {
        span.name.removeprefix("klicktipp ") for span in collector.spans
    }


async def test_what_is_expected_is_still_an_error_of_the_call(collector: Collector, box: Sandbox) -> None:
    """By the class that the caller catches."""
    with pytest.raises(KlickTippError):
        await box.client().contacts.get(4711)
    assert told(collector.spans[-1])["error.type"] == collector.spans[-1].status.description == "ContactNotFound"


async def test_the_request_names_the_calls_span_as_its_parent(collector: Collector, box: Sandbox) -> None:
    """An instrumented HTTP library sends `traceparent` from the span that it finds."""
    sent: dict[str, str] = {}

    async def instrumented(request: httpx.Request) -> None:
        propagate.inject(request.headers)
        sent[request.url.path] = request.headers["traceparent"]

    http = box.http_client()
    http.event_hooks = {"request": [instrumented]}
    async with KlickTipp(SessionLogin(box.username, box.password), base_url=box.base_url, http=http) as kt:
        await kt.tags.all()
    for span in collector.spans:
        context = span.get_span_context()
        assert context is not None
        assert f"-{trace.format_span_id(context.span_id)}-" in sent[told(span)["url.template"]]


async def test_a_bulk_job_has_no_span_and_a_stream_is_no_parent(collector: Collector, box: Sandbox) -> None:
    """Its calls are below what the caller has started, side by side, and so is the list that it is fed from."""
    kt = box.client()
    await kt.login()
    tag = box.add_tag("Kunde")
    for number in range(3):
        await kt.contacts.upsert(email=f"kunde{number}@example.com", opt_in_id=box.single_opt_in_id)
    before = len(collector.spans)

    async def tagged(contact_id: int) -> None:
        contact = await kt.contacts.get(contact_id)
        await kt.contacts.tag(str(contact.email), tag)

    with trace.get_tracer("application").start_as_current_span("job"):
        async with kt.contacts.iter_ids() as ids, bulk(tagged, ids, concurrency=2) as outcomes:
            assert [outcome.error async for outcome in outcomes] == [None] * 3
    *calls, job = collector.spans[before:]
    assert sorted(span.name for span in calls) == sorted(
        ["klicktipp List Contacts", *["klicktipp Get Contact", "klicktipp Tag Contact"] * 3]
    )
    assert [span.parent for span in calls] == [job.get_span_context()] * 7


async def test_nothing_personal_is_told(collector: Collector, box: Sandbox, clock: Clock) -> None:
    """Neither what is sent nor what is answered, in success and in failure; with a session, and with a key."""
    email, phone = canaries.EMAIL, canaries.PHONE
    kt, listbuilding = box.client(clock=clock), box.listbuilding(clock=clock)
    await kt.contacts.upsert(email=email, sms_number=phone, fields={"fieldFirstName": canaries.TOKEN})
    await kt.contacts.find_id(email)
    await kt.contacts.tag(email, await kt.tags.create(canaries.KEY))
    await listbuilding.sign_in(email=email, sms_number=phone)
    box.fail("Untag Contact", times=1, status=400, body={"error": 4, "message": f"{email}, {phone}"})
    box.drop("Sign In", times=1)
    wrong = box.client(SessionLogin(box.username, canaries.PASSWORD), clock=clock)
    failing: list[Callable[[], Awaitable[object]]] = [
        lambda: kt.contacts.untag(email, 1),
        lambda: kt.contacts.get(4711),
        lambda: kt.request("GET", f"/subscriber/{email}"),
        lambda: listbuilding.sign_in(email=email),
        wrong.tags.all,
    ]
    for fails in failing:
        with pytest.raises(KlickTippError):
            await fails()
    text = collector.text()
    assert text.count('"status_code": "ERROR"') == 6, "one for each, and one for the login"
    session = kt._leases["account"].usable()
    assert session is not None
    ours = ["tenhonig; 500 g", box.developer_key, box.customer_key, box.api_key, session.credential.reveal()]
    assert [word for word in ours if word in text] == []
    assert canaries.spilled({"telemetry": text}) == []


USE = """
import anyio
import klicktipp_async
imported = "opentelemetry" in sys.modules
from klicktipp_async.sandbox import Sandbox

async def main():
    async with Sandbox() as box:
        kt = box.client()
        await kt.tags.create("Größe M")
        async with kt.contacts.iter_ids() as ids:
            assert [each async for each in ids] == []

anyio.run(main)
print(imported, "opentelemetry" in sys.modules)
"""
BLOCK = """
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Block())
"""


@pytest.mark.parametrize(("before", "told"), [("", "False True"), (BLOCK, "False False")], ids=["there", "absent"])
def test_the_api_is_imported_with_the_first_client_and_need_not_be_there(before: str, told: str) -> None:
    """An import of the SDK does without it, and so does everything else where it is not installed."""
    command = [sys.executable, "-c", f"import sys\n{before}{USE}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (told, "")
