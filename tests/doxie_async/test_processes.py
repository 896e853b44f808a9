"""Processes as administrators see them, and the eleven collections of one."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import respx

from doxie_async import (
    AlreadyCancelled,
    ArgumentError,
    Collection,
    DecodeError,
    Doxie,
    Process,
    Unprocessable,
    recording,
)
from doxie_async.errors import DoxieError
from tests.doxie_async.support import ok, query_of, refused

pytestmark = pytest.mark.anyio

URL = "/api/ts/admin/shared/processes/9a5d"
PROCESS = {"uuid": "9a5d", "status": "running", "payload": {"email": "kanarie@example.com"}}
MAILS = [{"id": number, "recipient": "käthe@example.com"} for number in range(45)]


async def test_processes_are_listed(doxie: Doxie, api: respx.MockRouter) -> None:
    """Each one has its id and status; its payload, which is personal, stays out of the repr."""
    route = api.get("/api/ts/admin/shared/processes").respond(json=ok({"processes": [PROCESS]}))
    (process,) = await doxie.admin.processes.all().to_list()
    assert (process.uuid, process.status, process.extra) == ("9a5d", "running", {"payload": PROCESS["payload"]})
    assert repr(process) == "Process(uuid='9a5d', status='running')"
    assert query_of(route) == {"limit": "200", "page": "1"}


@pytest.mark.parametrize("named", [False, True])
async def test_a_process_with_what_belongs_to_it(doxie: Doxie, api: respx.MockRouter, *, named: bool) -> None:
    """Whether the process has a name of its own or not, the first page of each collection is in `raw`."""
    api.get(URL).respond(json=ok({**({"process": PROCESS} if named else PROCESS), "successful_emails": MAILS[:1]}))
    process = await doxie.admin.processes.get("9a5d")
    assert (process.uuid, process.status) == ("9a5d", "running")
    assert process.raw == PROCESS | {"successful_emails": MAILS[:1]}


async def test_a_process_is_cancelled(doxie: Doxie, api: respx.MockRouter) -> None:
    """The service's word is enough."""
    api.post(f"{URL}/cancel").respond(json=ok({}, message="Prozessvorgang erfolgreich abgebrochen"))
    await doxie.admin.processes.cancel("9a5d")


async def test_a_process_that_was_cancelled_before(doxie: Doxie, api: respx.MockRouter) -> None:
    """The vendor's 422 is a class of its own, below the general one."""
    api.post(f"{URL}/cancel").respond(422, json=refused("Vorgang wurde bereits abgebrochen"))
    with pytest.raises(AlreadyCancelled, match="bereits abgebrochen") as caught:
        await doxie.admin.processes.cancel("9a5d")
    assert isinstance(caught.value, Unprocessable)
    assert isinstance(caught.value, DoxieError)
    assert (caught.value.status, caught.value.attempts, caught.value.maybe_applied) == (422, 1, False)


async def test_a_cancellation_whose_answer_was_lost(doxie: Doxie, api: respx.MockRouter) -> None:
    """After an attempt in doubt, "cancelled already" is our own doing and no error."""
    api.post(f"{URL}/cancel").mock(side_effect=[httpx.Response(504), httpx.Response(422)])
    with recording() as seen:
        await doxie.admin.processes.cancel("9a5d")
    assert (seen.last.attempts, seen.last.replayed) == (2, True)


async def test_422_elsewhere_is_no_cancellation(doxie: Doxie, api: respx.MockRouter) -> None:
    """Any other operation's 422 keeps the general class."""
    api.post("/api/ts/admin/brands").respond(422, json=refused("Name muss ausgefüllt werden"))
    with pytest.raises(Unprocessable) as caught:
        await doxie.admin.brands.create({"name": ""})
    assert not isinstance(caught.value, AlreadyCancelled)


def served(name: str, *, named: bool) -> Any:
    """A service with 45 records in one collection, 20 a page, and one in each of the others."""

    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params.get(f"{name}_page", "1"))
        others: dict[str, Any] = {str(other): [{"id": -1}] for other in Collection}
        lists = others | {name: MAILS[(page - 1) * 20 : page * 20]}
        return httpx.Response(200, json=ok({"process": PROCESS, **lists} if named else {**PROCESS, **lists}))

    return answer


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("collection", [*Collection, "survey_responses"])
async def test_a_collection_pages_by_itself(
    doxie: Doxie, api: respx.MockRouter, collection: str, *, named: bool
) -> None:
    """Each collection has its own page parameter, and none of the others is sent along."""
    route = api.get(URL).mock(side_effect=served(str(collection), named=named))
    records = await doxie.admin.processes.records("9a5d", collection).to_list()
    assert [record.raw for record in records] == MAILS
    assert [dict(call.request.url.params) for call in route.calls] == [
        {f"{collection}_page": str(page)} for page in (1, 2, 3)
    ]
    assert repr(records[0]) == "ProcessRecord()"


async def test_the_collections_are_those_of_the_list() -> None:
    """All eleven are there, in the vendor's order and words."""
    assert len(Collection) == 11
    assert [str(collection) for collection in Collection][::5] == [
        "successful_emails",
        "unsuccessful_rcs_messages",
        "survey_responses",
    ]


@pytest.mark.parametrize("name", ["emails", "successful_emails_page", ""])
async def test_a_collection_that_does_not_exist(doxie: Doxie, name: str) -> None:
    """Another word is refused with those that there are, before anything is sent."""
    with pytest.raises(ArgumentError, match=r"^collection must be one of successful_emails, unsuccessful_emails, "):
        doxie.admin.processes.records("9a5d", name)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"process": PROCESS, "successful_emails": MAILS[:1]}, "survey_responses, got: successful_emails"),
        ({"process": PROCESS}, "survey_responses, got none"),
        ({"process": PROCESS, "survey_responses": {"items": []}}, "survey_responses, got none"),
    ],
)
async def test_another_list_is_not_taken_for_a_collection(
    doxie: Doxie, api: respx.MockRouter, data: dict[str, Any], said: str
) -> None:
    """Mails are no survey responses, and what is not there is not an empty list."""
    api.get(URL).respond(json=ok(data))
    with pytest.raises(DecodeError, match=f"expected a list named {said}") as caught:
        await doxie.admin.processes.records("9a5d", Collection.SURVEY_RESPONSES).to_list()
    assert isinstance(caught.value, DoxieError)


@pytest.mark.parametrize("data", [None, {}, {"survey_responses": []}, {"process": PROCESS, "survey_responses": None}])
async def test_an_empty_collection(doxie: Doxie, api: respx.MockRouter, data: Any) -> None:
    """Nothing is an empty list."""
    api.get(URL).respond(json=ok(data))
    assert await doxie.admin.processes.records("9a5d", Collection.SURVEY_RESPONSES).to_list() == []


async def test_figures_of_one_collection_do_not_end_another(doxie: Doxie, api: respx.MockRouter) -> None:
    """Figures beside eleven lists do not say which one they are about: only a page that is not full ends a list."""

    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["successful_emails_page"])
        figures = {"meta": {"total_pages": 1}, "successful_emails": MAILS[(page - 1) * 20 : page * 20]}
        return httpx.Response(200, text=json.dumps(ok(figures)))

    api.get(URL).mock(side_effect=answer)
    assert len(await doxie.admin.processes.records("9a5d", "successful_emails").to_list()) == 45


async def test_a_process_of_another_shape(doxie: Doxie, api: respx.MockRouter) -> None:
    """A list in place of a process is a decode error, and a missing status is none."""
    api.get(URL).mock(side_effect=[httpx.Response(200, json=ok({"uuid": 17}))] + [httpx.Response(200, json=ok([]))] * 3)
    assert await doxie.admin.processes.get("9a5d") == Process(uuid="17", raw={"uuid": 17})
    with pytest.raises(DecodeError, match="expected an object, got list"):
        await doxie.admin.processes.get("9a5d")
