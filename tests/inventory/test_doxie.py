"""The client against the vendor's list: every method is driven, and no operation is missing or invented."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import respx

from doxie_async import Basic, Bearer, Doxie, Routes, recording
from doxie_async import routes as r
from doxie_async.models.admin import Collection
from doxie_async.resources.admin import Admin
from doxie_async.resources.base import DoxieResource
from klickdoxie_core import Exchange
from tests.doxie_async.support import PASSWORD, TENANT, TOKEN, USER, query_of
from tests.doxie_async.uses import EVERY, FORM, Use

LISTED: list[dict[str, Any]] = json.loads(Path(__file__).with_name("doxie.json").read_text(encoding="utf-8"))
CALLS = {f"{row['tag']}: {row['summary']}": row for row in LISTED if row["kind"] == "call"}
CONSENTS = {r.INITIATE_CONSENT.name, r.REVOKE_CONSENTS.name}

Row = tuple[str, str, str]


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    """A service that says yes to everything."""
    with respx.mock(base_url="https://app.doxie.energy") as router:
        router.route(name="all").respond(json={"success": True, "error_message": None, "data": {}})
        yield router


def client() -> Doxie:
    """A client with both credentials, whatever the environment says about routes."""
    return Doxie(TENANT, api_user=Basic(USER, PASSWORD), admin=Bearer(TOKEN), routes=Routes.assumed())


def row(exchange: Exchange) -> Row:
    """What was called, without the values in it."""
    return exchange.operation, exchange.method, exchange.template


@pytest.mark.anyio
async def test_every_operation_and_no_other(api: respx.MockRouter) -> None:
    """What all methods together send is the table of routes, row by row, and each in one request."""
    async with client() as doxie:
        with recording() as seen:
            for use in EVERY:
                await use.call(doxie)
    assert [row(exchange) for exchange in seen.exchanges] == [
        (route.operation.name, route.method, route.template) for route in Routes.assumed()
    ]
    assert [exchange.error for exchange in seen.exchanges] == [None] * 58


def test_the_list_and_the_uses_are_the_same() -> None:
    """The vendor's 56 calls are used in their order; the two of consent stand beside them."""
    used = [use.operation.name for use in EVERY]
    assert [name for name in used if name not in CONSENTS] == list(CALLS)
    assert set(used) - set(CALLS) == CONSENTS
    assert (len(CALLS), len(LISTED)) == (56, 62)


@pytest.mark.anyio
@pytest.mark.parametrize("use", [use for use in EVERY if use.operation.name in CALLS], ids=str)
async def test_the_parameters_of_the_list(api: respx.MockRouter, use: Use) -> None:
    """Each call has the credential, the path parameters, the query parameters and the root key of its row."""
    listed = CALLS[use.operation.name]
    assert use.operation.auth.value == listed["auth"]
    assert list(Routes.assumed()[use.operation].parameters) == listed["path"]
    if listed["root"] is not None:
        assert list(use.body) == [listed["root"]]
    async with client() as doxie:
        await use.call(doxie)
    assert set(query_of(api["all"])) <= set(listed["query"])


@pytest.mark.anyio
async def test_every_query_parameter_of_the_list_can_be_sent(api: respx.MockRouter) -> None:
    """What the list has as a query parameter is sent by one method or another, and nothing else is."""
    listed = {name for listing in CALLS.values() for name in listing["query"]}
    async with client() as doxie:
        for use in EVERY:
            await use.call(doxie)
        for collection in Collection:
            await doxie.admin.processes.records("9a5d", collection).first()
    sent = {name for call in api["all"].calls for name in call.request.url.params}
    assert sent == listed


def groups_of(owner: object, place: str = "doxie") -> Iterator[tuple[str, DoxieResource]]:
    """Every group of operations of a client, with the place where it is found."""
    for name, value in vars(owner).items():
        if name.startswith("_") or not isinstance(value, DoxieResource | Admin):
            continue
        if isinstance(value, DoxieResource):
            yield f"{place}.{name}", value
        yield from groups_of(value, f"{place}.{name}")


def watched(group: DoxieResource, place: str, called: set[str]) -> set[str]:
    """Note each call of a public method of a group from now on; returns where they all are."""
    places: set[str] = set()
    for name, method in inspect.getmembers(group, inspect.ismethod):
        if name.startswith("_"):
            continue

        def call(*args: Any, at: str = f"{place}.{name}", real: Any = method, **options: Any) -> Any:
            called.add(at)
            return real(*args, **options)

        setattr(group, name, call)
        places.add(f"{place}.{name}")
    return places


@pytest.mark.anyio
async def test_every_method_is_driven(api: respx.MockRouter) -> None:
    """No public method of the client is left out, but for the two that lead another way to an operation."""
    called: set[str] = set()
    async with client() as doxie:
        methods = {each for place, group in groups_of(doxie) for each in watched(group, place, called)}
        for use in EVERY:
            await use.call(doxie)
    assert methods - called == {"doxie.admin.processes.records", "doxie.admin.webhook_endpoints.interactions"}
    assert len(called) == 58


def test_forms_are_few() -> None:
    """One operation alone takes a form."""
    assert [use.operation for use in EVERY if use.body is FORM] == [r.UPLOAD_ASSET]
