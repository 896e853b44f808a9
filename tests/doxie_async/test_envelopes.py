"""What an answer means: envelopes, refusals, statuses, the hint of an assumed route."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import respx

from doxie_async import (
    AlreadyCancelled,
    Bearer,
    DecodeError,
    Doxie,
    MethodNotAllowed,
    NotFound,
    Redirected,
    Rejected,
    ResponseError,
    Routes,
    ServerError,
    errors,
)
from doxie_async import routes as r
from doxie_async.errors import DoxieError
from klickdoxie_core import Clock
from tests.core.support import failure_of
from tests.doxie_async.support import TENANT, TOKEN, ok, refused

pytestmark = pytest.mark.anyio

BRAND = "/api/ts/admin/brands/7"
HINT = (
    "the route GET /api/{tenant}/admin/brands/{id} is assumed, since the public reference does not tell it; load the "
    "real one with Doxie(..., routes=Routes.from_openapi(file)) or DOXIE_OPENAPI"
)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (refused("Keine Leserechte"), "Keine Leserechte"),
        ({"success": False, "error_message": "Vorgang unbekannt", "process_uuid": None}, "Vorgang unbekannt"),
        ({"success": False, "message": "Nicht möglich", "error": None}, "Nicht möglich"),
        ({"success": False, "message": "Hinweis", "error": "Grund"}, "Grund"),
        ({"success": False, "error": ""}, None),
        ({"success": False, "error": {"name": ["fehlt"]}}, None),
        ({"success": False}, None),
    ],
)
async def test_a_refusal_in_every_form(
    doxie: Doxie, api: respx.MockRouter, body: dict[str, Any], reason: str | None
) -> None:
    """Whichever key holds the service's words, they are in the error, and the answer is on it."""
    api.get(BRAND).respond(json=body)
    with pytest.raises(Rejected, match=r"the service refused it \(success: false\)") as caught:
        await doxie.admin.brands.get(7)
    assert (caught.value.reason, caught.value.body) == (reason, body)
    assert f"(the service says: {reason})" in str(caught.value) if reason else "says" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error", "attempts"),
    [
        (200, errors.Rejected, 1),
        (201, errors.Rejected, 1),
        (400, errors.BadRequest, 1),
        (401, errors.Unauthorized, 1),
        (403, errors.Forbidden, 1),
        (404, errors.NotFound, 1),
        (405, errors.MethodNotAllowed, 1),
        (409, errors.Conflict, 1),
        (418, errors.ResponseError, 1),
        (422, errors.Unprocessable, 1),
        (429, errors.RateLimited, 3),
        (500, errors.ServerError, 3),
        (501, errors.ServerError, 1),
        (302, errors.Redirected, 1),
    ],
)
async def test_a_refusal_at_every_status(
    doxie: Doxie, api: respx.MockRouter, status: int, error: type[DoxieError], attempts: int
) -> None:
    """The status makes the class, and the service's words are kept at each."""
    route = api.get(BRAND).respond(status, json=refused("Keine Rechte"))
    caught = await failure_of(doxie.admin.brands.get(7))
    assert type(caught) is error
    assert (caught.status, caught.attempts, route.call_count) == (status, attempts, attempts)
    assert isinstance(caught, DoxieError)
    assert caught.reason == "Keine Rechte"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500, html="<html>502</html>"), ServerError),
        (httpx.Response(404, content=b""), NotFound),
        (httpx.Response(404, json=["weg"]), NotFound),
        (httpx.Response(403, json="nein"), errors.Forbidden),
        (httpx.Response(302, headers={"location": "https://elsewhere.example/"}), Redirected),
        (httpx.Response(418, content=b"\xff\xfe"), ResponseError),
    ],
)
async def test_an_error_without_an_envelope(
    doxie: Doxie, api: respx.MockRouter, answer: httpx.Response, error: type[ResponseError]
) -> None:
    """Web pages, lists, texts and nothing at all become the class of their status, without a reason."""
    api.get(BRAND).mock(return_value=answer)
    with pytest.raises(error) as caught:
        await doxie.admin.brands.get(7)
    assert isinstance(caught.value, DoxieError)
    assert caught.value.reason is None


@pytest.mark.parametrize("success", [None, 0, "false", "", []])
async def test_only_false_is_a_refusal(doxie: Doxie, api: respx.MockRouter, success: Any) -> None:
    """What is neither true nor false does not say that a delete was carried out, nor that it was refused."""
    api.delete(BRAND).respond(json={"success": success, "data": {}})
    with pytest.raises(DecodeError, match="success: true") as caught:
        await doxie.admin.brands.delete(7)
    assert caught.value.maybe_applied


@pytest.mark.parametrize("answer", [{}, {"data": {}}, [], [True], "ok", None, {"message": "Erfolgreich gelöscht"}])
async def test_a_write_without_a_word_that_it_was_done(doxie: Doxie, api: respx.MockRouter, answer: Any) -> None:
    """An answer that does not say `success: true` leaves the write in doubt."""
    api.delete(BRAND).respond(200, json=answer)
    with pytest.raises(DecodeError) as caught:
        await doxie.admin.brands.delete(7)
    assert caught.value.maybe_applied


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, html="<!doctype html><title>Anmelden</title>"), "web page"),
        (httpx.Response(200, content=b""), "empty"),
        (httpx.Response(200, text='{"success": true, "data": {"id": NaN}}'), "not strict JSON"),
        (httpx.Response(200, json=ok("Brand")), "expected an object, got str"),
        (httpx.Response(200, json=ok({"id": {}})), "id"),
        (httpx.Response(204), "204"),
    ],
)
async def test_a_result_that_is_none(doxie: Doxie, api: respx.MockRouter, answer: httpx.Response, said: str) -> None:
    """A 2xx that is not what is promised is asked for again, and then an error that says where it is wrong."""
    route = api.get(BRAND).mock(return_value=answer)
    with pytest.raises(DecodeError, match=said) as caught:
        await doxie.admin.brands.get(7)
    assert isinstance(caught.value, DoxieError)
    assert route.call_count == 3


@pytest.mark.parametrize("answer", [[{"uuid": "a1"}], ok([{"uuid": "a1"}]), ok({"assets": [{"uuid": "a1"}]})])
async def test_the_list_of_assets(doxie: Doxie, api: respx.MockRouter, answer: Any) -> None:
    """The reference shows a bare list; an envelope around it is read as well."""
    api.get("/api/ts/admin/editor/assets").respond(json=answer)
    assert [asset.uuid for asset in await doxie.admin.assets.all()] == ["a1"]


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (405, MethodNotAllowed)])
async def test_an_assumed_route_says_so(
    doxie: Doxie, api: respx.MockRouter, status: int, error: type[ResponseError]
) -> None:
    """A 404 or 405 may be the route's: the error says that it is assumed, and how to load the real one."""
    api.get(BRAND).respond(status, json=refused("Nicht gefunden"))
    with pytest.raises(error) as caught:
        await doxie.admin.brands.get(7)
    assert HINT in str(caught.value)
    assert "Nicht gefunden" in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 500])
async def test_other_statuses_do_not_doubt_the_route(doxie: Doxie, api: respx.MockRouter, status: int) -> None:
    """Whoever answers 403 has found the route."""
    api.get(BRAND).respond(status)
    assert "assumed" not in str(await failure_of(doxie.admin.brands.get(7)))


def confirmed(*operations: r.Operation) -> Routes:
    """The routes of a document that has these operations where they are assumed, under other parameter names."""
    assumed = Routes.assumed()
    paths: dict[str, Any] = {}
    for operation in operations:
        route = assumed[operation]
        path = route.template.replace("{tenant}", "{tenant_slug}").replace("{id}", "{brand_number}")
        entry = {"tags": [operation.tag], "summary": operation.summary}
        paths.setdefault(path, {})[route.method.lower()] = entry
    return Routes.from_openapi({"openapi": "3.0.1", "paths": paths})


@pytest.mark.parametrize("status", [404, 405])
async def test_a_confirmed_route_is_not_doubted(api: respx.MockRouter, clock: Clock, status: int) -> None:
    """With the vendor's own document the hint is gone, for the operations that it has; the others keep it."""
    api.get(BRAND).respond(status)
    api.delete(BRAND).respond(status)
    async with Doxie(TENANT, admin=Bearer(TOKEN), routes=confirmed(r.SHOW_BRAND), clock=clock) as client:
        assert "assumed" not in str(await failure_of(client.admin.brands.get(7)))
        assert "DELETE /api/{tenant}/admin/brands/{id} is assumed" in str(
            await failure_of(client.admin.brands.delete(7))
        )


async def test_the_documents_route_is_called(api: respx.MockRouter, clock: Clock) -> None:
    """Method, path and the names of the parameters come from the document."""
    paths = {"/v2/marken/{nr}/{mandant}": {"put": {"tags": ["Admin"], "summary": "Update a brand"}}}
    route = api.put("/v2/marken/ts/7").respond(json=ok({"id": 7}))
    table = Routes.from_openapi({"openapi": "3.0.1", "paths": paths})
    async with Doxie(TENANT, admin=Bearer(TOKEN), routes=table, clock=clock) as client:
        assert (await client.admin.brands.update(7, {"name": "x"})).id == 7
    assert route.call_count == 1


@pytest.mark.parametrize("operation", [r.CANCEL_PROCESS, r.ADMIN_CANCEL_PROCESS])
async def test_422_of_a_cancellation_with_confirmed_routes(
    api: respx.MockRouter, clock: Clock, operation: r.Operation
) -> None:
    """The class follows the operation, not the path."""
    api.post(path__regex=".*/cancel$").respond(422)
    async with Doxie(TENANT, admin=Bearer(TOKEN), routes=confirmed(operation), clock=clock) as client:
        assert type(await failure_of(client.admin.processes.cancel("9a5d"))) is AlreadyCancelled
