"""Rows 43 and 44: what KlickTipp and Doxie refuse in their own words, on their own clients."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from doxie_async import Basic, Doxie
from doxie_async.errors import Rejected
from klickdoxie_core import ApiClient, recording
from klickdoxie_core.errors import SdkError
from klicktipp_async import KlickTipp, SessionLogin, errors
from tests.core.support import FakeClock, failure_of
from tests.core.wire.raw_server import GENERATORS_LEFT, Peer, answer_bytes
from tests.faults import canaries
from tests.faults.canaries import EMAIL, shown_by, shown_by_logs, shown_by_recording, spilled
from tests.faults.clients import ON_EACH_WIRE, WIRES
from tests.faults.matrix import error_of
from tests.faults.server import FaultServer, says

pytestmark = [pytest.mark.anyio, GENERATORS_LEFT]

SESSION = json.dumps({"sessid": canaries.COOKIE, "session_name": "SESS", "account": {"email": EMAIL}}).encode()
SERVICE = {
    "/account/login": SESSION,
    "/account/logout": b"[true]",
    "/subscriber/tag": b"[true]",
    "/tag": b"[7]",
}


async def service(peer: Peer) -> None:
    """Answer as KlickTipp does when all is well."""
    received = await peer.request()
    body = b"[]" if received.method == "GET" else SERVICE[received.target]
    await peer.send(answer_bytes(body))


Act = Callable[[Any], Awaitable[object]]
KLICKTIPP: dict[str, Act] = {
    "R": lambda kt: kt.tags.all(),
    "W": lambda kt: kt.contacts.tag(EMAIL, 1),
    "N": lambda kt: kt.tags.create("neu", confirm=False),
}
REFUSED, DOUBTFUL = "R1! W1! N1!", "R1! W1? N1?"


def number(code: object) -> bytes:
    """KlickTipp's body for an error number, with the address that is to blame."""
    return json.dumps({"error": code, "error_message": f"{EMAIL}: nein"}).encode()


# The status, the body, what it comes to, and the class for a read, a write and a send.
NUMBERS: tuple[tuple[str, bytes, str, type[SdkError]], ...] = (
    ("406 Not Acceptable", number(403), REFUSED, errors.TagNotFound),
    ("406 Not Acceptable", number("403"), REFUSED, errors.TagNotFound),
    ("406 Not Acceptable", number(401), REFUSED, errors.ContactNotFound),
    ("406 Not Acceptable", number(4), REFUSED, errors.AddressUnsubscribed),
    ("406 Not Acceptable", number(100), REFUSED, errors.InvalidApiKey),
    ("406 Not Acceptable", number(4711), REFUSED, errors.BusinessError),
    ("406 Not Acceptable", number("zwölf"), REFUSED, errors.BusinessError),
    ("406 Not Acceptable", number(None), REFUSED, errors.BusinessError),
    ("406 Not Acceptable", number([403]), REFUSED, errors.BusinessError),
    ("406 Not Acceptable", number(10**30), REFUSED, errors.BusinessError),
    ("406 Not Acceptable", f"<html>{EMAIL}</html>".encode(), REFUSED, errors.BusinessError),
    ("406 Not Acceptable", b"", REFUSED, errors.BusinessError),
    ("406 Not Acceptable", json.dumps([f"{EMAIL} ist schon angemeldet."]).encode(), REFUSED, errors.BusinessError),
    ("200 OK", number(403), REFUSED, errors.TagNotFound),
    ("406 Not Acceptable", number(6), DOUBTFUL, errors.ConfirmationMailFailed),
    ("406 Not Acceptable", number(12), "R2 W2 N1?", errors.InternalError),
)


async def outcome(client: ApiClient, act: Act) -> tuple[str, SdkError | None]:
    """What a call came to, in the matrix's words; the canaries are looked for in all that it tells."""
    with recording() as seen:
        error = await error_of(act(client))
    assert not spilled(shown_by_recording(seen))
    if error is None:
        return str(seen.last.attempts), None
    assert not spilled(shown_by(error))
    return f"{error.attempts}{'?' if error.maybe_applied else '!'}", error


@pytest.mark.parametrize(("status", "body", "comes_to", "error"), NUMBERS, ids=range(len(NUMBERS)))
@ON_EACH_WIRE
async def test_a_number_of_klicktipp_is_a_decision(
    status: str, body: bytes, comes_to: str, error: type[SdkError], wire: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 43: one request, no login beside the first, however much the number looks like a dead session."""
    login = SessionLogin(canaries.USERNAME, canaries.PASSWORD)
    for act, expected in zip(KLICKTIPP.values(), comes_to.split(), strict=True):
        server = FaultServer(service, says(status, body), service)
        async with server.listening():
            async with (
                WIRES[wire].http(None) as http,
                KlickTipp(login, base_url=server.url, http=http, clock=FakeClock().clock()) as kt,
            ):
                cell, caught = await outcome(kt, act)
                assert (cell, type(caught)) in {(expected[1:], error), (expected[1:], type(None))}
                assert await kt.tags.all() == {}
            await server.until_open(0)
        targets = [seen.target for seen in server.requests]
        assert (targets.count("/account/login"), targets.count("/account/logout")) == (1, 1)
        assert len(targets) == 3 + int(expected[1])
    assert not spilled(shown_by_logs(caplog.records))


DOXIE: dict[str, Act] = {
    "R": lambda doxie: doxie.events.get(1, type="mailer"),
    "W": lambda doxie: doxie.processes.cancel("0a-1b"),
    "N": lambda doxie: doxie.mailer.send("rechnung", {"email": EMAIL}),
}


@pytest.mark.parametrize("success", ["false", 'false, "error": null', 'false, "process_uuid": "1"'])
@ON_EACH_WIRE
async def test_an_envelope_of_doxie_is_a_decision(success: str, wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Row 44: `success: false` is a refusal whatever the status says, and whatever else is in it."""
    body = f'{{"error_message": "{EMAIL} is blocked", "success": {success}}}'.encode()
    user = Basic(canaries.USERNAME, canaries.PASSWORD)
    for act in DOXIE.values():
        server = FaultServer(says("200 OK", body))
        async with server.listening():
            async with (
                WIRES[wire].http(None) as http,
                Doxie("ts", api_user=user, base_url=server.url, http=http) as doxie,
            ):
                cell, error = await outcome(doxie, act)
                assert (cell, type(error), len(server.requests)) == ("1!", Rejected, 1)
                assert type(await failure_of(DOXIE["R"](doxie))) is Rejected
            await server.until_open(0)
    assert not spilled(shown_by_logs(caplog.records))
