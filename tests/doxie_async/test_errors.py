"""The errors: one family, picklable, and nothing in them that must not be shown."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import Any

import attrs
import httpx
import pytest
import respx

import doxie_async as da
import klickdoxie_core as core
from doxie_async import Basic, Bearer, ClientCredentials, Doxie, errors
from doxie_async.errors import DoxieError
from klickdoxie_core import Clock, Facts
from tests.core.support import failure_of
from tests.doxie_async.support import PASSWORD, TENANT, TOKEN, USER, accepted, refused

pytestmark = pytest.mark.anyio

MAIL = "kanarie@example.com"
PHONE = "+49151234567"
CANARIES = ("kanarie", "151234567", "151 234567", "Blütenhonig", "S2FuYXJpZQ", "a2FuYXJpZS")
"""What must never show: the user, the password, the token, their Basic form, an address, a number."""


def every_error() -> list[type[DoxieError]]:
    """The base and all that is below it."""
    found = [DoxieError]
    for kind in found:
        found.extend(sub for sub in kind.__subclasses__() if sub not in found)
    return found


def test_every_class_of_the_core_has_its_twin() -> None:
    """Whatever the engine raises is a `DoxieError` and the core's class at once."""
    found = [core.SdkError]
    for kind in found:
        found.extend(sub for sub in kind.__subclasses__() if sub.__module__ == "klickdoxie_core.errors")
    assert set(errors.FAMILY) == set(found[1:])
    for kind in found[1:]:
        twin = errors.FAMILY[kind]
        assert issubclass(twin, kind)
        assert issubclass(twin, DoxieError)
        assert twin.__name__ == kind.__name__
        assert getattr(da, kind.__name__) is kind


def test_the_twins_stand_in_the_same_tree() -> None:
    """Where one class of the core is below another, so is its twin."""
    for kind, twin in errors.FAMILY.items():
        parents = [errors.FAMILY[parent] for parent in kind.__mro__[1:] if parent in errors.FAMILY]
        assert all(issubclass(twin, parent) for parent in parents)


@pytest.mark.parametrize("kind", [errors.AlreadyCancelled, errors.MethodNotAllowed, errors.Rejected])
def test_the_vendors_own_words(kind: type[DoxieError]) -> None:
    """What the core has no class for is handed on at the top level, and is a `ResponseError`."""
    assert getattr(da, kind.__name__) is kind
    assert issubclass(kind, da.ResponseError)


@pytest.mark.parametrize("kind", every_error())
def test_every_error_is_pickled_whole(kind: type[DoxieError]) -> None:
    """Class, text and facts survive a trip to another process."""
    facts = Facts(operation="Admin: Show a brand", method="GET", template="/x/{id}", status=404, attempts=2)
    error = kind("gone", attrs.evolve(facts, details={"reason": "Nicht gefunden"}, maybe_applied=True))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.facts) == (kind, str(error), error.facts)
    assert (copy.reason, copy.attempts, copy.maybe_applied) == ("Nicht gefunden", 2, True)


async def test_a_real_error_survives_pickling(doxie: Doxie, api: respx.MockRouter) -> None:
    """An error of a call comes over whole but for what is personal."""
    api.post("/api/ts/mailer/x").respond(422, json=refused(f"{MAIL} ist gesperrt"))
    error = await failure_of(doxie.mailer.send("x", {}))
    copy: Any = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.status) == (errors.Unprocessable, str(error), 422)
    assert isinstance(error, DoxieError)
    assert (error.reason, copy.reason) == (f"{MAIL} ist gesperrt", "[hidden] ist gesperrt")


async def test_the_services_words_are_masked_in_the_text(doxie: Doxie, api: respx.MockRouter) -> None:
    """German texts may name people; the text shows the rest of them, `reason` all of it."""
    said = f"Empfänger {MAIL} (Tel. 0049 151 234567) ist für „Süd“ gesperrt"
    api.post("/api/ts/mailer/x").respond(json={"success": False, "error_message": said})
    error = await failure_of(doxie.mailer.send("x", {}))
    assert "(the service says: Empfänger [hidden] (Tel. [hidden]) ist für „Süd“ gesperrt)" in str(error)
    assert isinstance(error, DoxieError)
    assert error.reason == said


async def test_a_long_text_is_cut(doxie: Doxie, api: respx.MockRouter) -> None:
    """An error stays a line that fits a log."""
    api.post("/api/ts/mailer/x").respond(500, json={"success": False, "error": "ä" * 100_000})
    assert len(str(await failure_of(doxie.mailer.send("x", {})))) < 700


OUTCOMES: list[httpx.Response | Exception] = [
    httpx.Response(200, json={"success": False, "error": f"{MAIL} {PHONE}", "data": {"email": MAIL}}),
    httpx.Response(403, json=refused(f"Keine Rechte: {MAIL}")),
    httpx.Response(404, json=refused(f"{MAIL} nicht gefunden")),
    httpx.Response(422, json={"success": False, "error_message": f"{MAIL}, +49 151 234567", "process_uuid": MAIL}),
    httpx.Response(200, json={"success": True, "process_uuid": {MAIL: 1}, "sent_email_templates": MAIL}),
    httpx.Response(200, text=f"<p>{MAIL}</p>"),
    httpx.Response(401, headers={"www-authenticate": f'Basic realm="{MAIL}"'}),
    httpx.Response(500, text=f"trace of {MAIL}", headers={"set-cookie": "sitzung=kanarie-sitzung"}),
    httpx.ReadError(f"lost {MAIL}"),
    httpx.RemoteProtocolError(f"illegal header: {MAIL}"),
    httpx.ConnectError(f"no route to {MAIL}"),
]


def all_of(error: BaseException, log: str) -> str:
    """Everything that may end up in a log of somebody."""
    trace = "".join(traceback.format_exception(error))
    body = getattr(error, "body", None)
    return f"{error}{error!r}{body!r}{log}{pickle.dumps(error).decode('utf-8', 'replace')}{trace}"


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: str(getattr(outcome, "status_code", "failure")))
async def test_canaries_never_show(
    doxie: Doxie, api: respx.MockRouter, caplog: pytest.LogCaptureFixture, outcome: httpx.Response | Exception
) -> None:
    """Neither text, repr, traceback, pickle nor debug log of any failure holds a credential or personal data."""
    api.post("/api/ts/mailer/x").mock(side_effect=[outcome] * (3 if isinstance(outcome, httpx.ConnectError) else 1))
    with caplog.at_level(logging.DEBUG, logger="klickdoxie_core"):
        error = await failure_of(doxie.mailer.send("x", {"email": MAIL, "phone": PHONE}))
    assert isinstance(error, DoxieError)
    seen = all_of(error, caplog.text)
    assert "POST /api/{tenant}/mailer/{event_slug} (Mailer: Sends a mail)" in seen
    for canary in CANARIES:
        assert canary not in seen


async def test_canaries_in_ids_never_show(
    doxie: Doxie, api: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    """What stands in the path is told by its name only, in errors and in the log of what went well."""
    api.post(f"/api/ts/mailer/{MAIL}").respond(json=accepted())
    api.get(f"/api/ts/admin/shared/processes/{MAIL}").respond(404)
    with caplog.at_level(logging.DEBUG, logger="klickdoxie_core"):
        await doxie.mailer.send(MAIL, {})
        found = await failure_of(doxie.admin.processes.get(MAIL))
        refusal = await failure_of(doxie.admin.processes.get(f"{MAIL}/x"))
    assert caplog.records
    for canary in CANARIES:
        assert canary not in all_of(found, caplog.text) + all_of(refusal, "")


@pytest.mark.parametrize(
    "outcome",
    [
        httpx.Response(401, json={"error": "invalid_client", "user": MAIL}),
        httpx.Response(200, json={"access_token": "kanarie token", "token_type": "Bearer"}),
        httpx.Response(200, json={"access_token": "kanarie", "token_type": "mac"}),
        httpx.Response(200, text="kanarie"),
        httpx.ReadError("lost kanarie"),
    ],
)
async def test_canaries_of_the_token_endpoint_never_show(
    api: respx.MockRouter, clock: Clock, caplog: pytest.LogCaptureFixture, outcome: httpx.Response | Exception
) -> None:
    """A token that could not be fetched is an error of this package, without the client's secret and the token."""
    api.post("https://login.example.com/token").mock(side_effect=[outcome] * 3)
    admin = ClientCredentials("kanarie-app", "kanarie-geheim", "https://login.example.com/token")
    async with Doxie(TENANT, admin=admin, clock=clock) as client:
        with caplog.at_level(logging.DEBUG, logger="klickdoxie_core"):
            error = await failure_of(client.admin.tenant.get())
    assert isinstance(error, DoxieError)
    assert "kanarie" not in all_of(error, caplog.text)


@pytest.mark.parametrize("token", ["kanarie token", "", "kanarie\r\nX-Evil: 1", "kanärie"])
async def test_a_token_source_that_returns_no_token(clock: Clock, token: str) -> None:
    """What cannot stand in a header is refused as this package's error, and not shown."""

    async def source() -> str:
        return token

    async with Doxie(TENANT, admin=Bearer(source), clock=clock) as client:
        error = await failure_of(client.admin.tenant.get())
    assert isinstance(error, errors.ArgumentError)
    assert error.attempts == 0
    for canary in (*CANARIES, "kanärie", "X-Evil"):
        assert canary not in all_of(error, "")


async def test_a_token_source_with_an_error_of_its_own(clock: Clock) -> None:
    """What the caller's own function raises comes as it is."""

    async def source() -> str:
        raise LookupError("vault is sealed")

    async with Doxie(TENANT, admin=Bearer(source), clock=clock) as client:
        with pytest.raises(LookupError, match="vault is sealed"):
            await client.admin.tenant.get()


def test_credentials_never_show() -> None:
    """Neither the client nor its credentials show what they hold, and none can be pickled."""
    secrets = [
        Basic(USER, PASSWORD),
        Bearer(TOKEN),
        ClientCredentials("kanarie-app", "kanarie-geheim", "https://x.example"),
    ]
    client = Doxie(TENANT, api_user=Basic(USER, PASSWORD), admin=Bearer(TOKEN))
    for canary in CANARIES:
        assert canary not in f"{secrets!r}{secrets!s}{client!r}{vars(client)!r}"
    for secret in secrets:
        with pytest.raises(TypeError):
            pickle.dumps(secret)
