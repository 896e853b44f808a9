"""Two hundred tasks that meet a login in trouble: what it costs is counted by the server (rows 60 to 67)."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import pytest

from doxie_async import ClientCredentials
from doxie_async.routes import LIST_BRANDS
from doxie_async.sandbox import Sandbox as DoxieSandbox
from klickdoxie_core import Clock, Limit
from klickdoxie_core.wire.in_process import InProcessTransport
from klicktipp_async import KlickTipp, SessionLogin
from klicktipp_async.sandbox import Sandbox
from tests.core.support import CANCELLATIONS, cancelled_while_waiting, gathered, settle
from tests.faults.crowd import QuickTime

pytestmark = pytest.mark.anyio

TASKS = 200
LOGIN, CALL = "Login", "List Tags"


@pytest.fixture
async def box(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """An account with one tag."""
    async with Sandbox() as box:
        box.add_tag("Größe")
        yield box


@pytest.fixture
def time() -> QuickTime:
    """Time that nobody waits for."""
    return QuickTime()


@pytest.fixture
def kt(box: Sandbox, time: QuickTime) -> KlickTipp:
    """A client that logs in."""
    return box.client(clock=time.clock())


OK = "ok"


async def storm(kt: KlickTipp, tasks: int = TASKS) -> Counter[str]:
    """How so many calls at once end: well, or by the name of an error."""
    results = await gathered(lambda _: kt.tags.all(), tasks)
    return Counter(type(result).__name__ if isinstance(result, Exception) else OK for result in results)


def costs(box: Sandbox) -> tuple[int, int]:
    """How many logins and how many calls have reached the server."""
    return box.count(LOGIN), box.count(CALL)


async def test_nobody_is_logged_in(box: Sandbox, kt: KlickTipp) -> None:
    """One login serves them all."""
    assert await storm(kt) == {OK: TASKS}
    assert costs(box) == (1, TASKS)


async def test_the_session_is_over(box: Sandbox, kt: KlickTipp) -> None:
    """One more login, and nobody notices; each call is refused once at the most."""
    await kt.tags.all()
    box.expire_sessions()
    assert await storm(kt) == {OK: TASKS}
    assert (box.count(LOGIN), box.count(CALL, 200)) == (2, 1 + TASKS)
    assert box.count(CALL, 403) <= TASKS


async def test_the_session_is_over_and_the_refusals_come_late(box: Sandbox, kt: KlickTipp) -> None:
    """Whoever hears of the old session after the renewal goes on with the new one."""
    await kt.tags.all()
    box.expire_sessions()
    turns = iter(range(1000))

    async def straggle(_: float) -> None:
        await settle(next(turns) % 37)

    box.clock = Clock(sleep=straggle)
    box.latency = 1.0
    assert await storm(kt) == {OK: TASKS}
    assert box.count(LOGIN) == 2


async def test_the_password_is_wrong(box: Sandbox, time: QuickTime) -> None:
    """One login, then none for a minute, and never a call; then one more, and none for two minutes."""
    kt = box.client(SessionLogin(box.username, "falsch; größe"), clock=time.clock())
    for seconds, logins in ((0, 1), (0, 1), (59, 1), (1, 2), (119, 2), (1, 3)):
        time.time += seconds
        assert await storm(kt) == {"InvalidCredentials": TASKS}
        assert costs(box) == (logins, 0)


@pytest.mark.parametrize("tasks", [20, TASKS])
async def test_something_is_not_permitted(box: Sandbox, kt: KlickTipp, tasks: int) -> None:
    """A 403 for good costs a second login, and another one a minute later; the rest of the account works."""
    await kt.fields.all()
    box.fail(CALL, every=1, status=403, body=["API access denied."])
    for _ in range(2):
        assert await storm(kt, tasks) == {"Forbidden": tasks}
        assert box.count(LOGIN) == 2
    await kt.fields.all()
    assert box.count(LOGIN) == 2


async def test_nothing_is_permitted_from_the_start(box: Sandbox, kt: KlickTipp) -> None:
    """An account without access to the API costs two logins, one after the other as well."""
    box.fail(CALL, every=1, status=403, body=["API access denied."])
    for _ in range(20):
        assert await storm(kt, 1) == {"Forbidden": 1}
    assert costs(box) == (2, 21)


class Trouble(httpx.AsyncBaseTransport):
    """Hands on what it is given, but for logins, which meet the errors in a list; they are carried out or not."""

    def __init__(self, box: Sandbox, errors: list[type[httpx.TransportError]], *, applied: bool) -> None:
        self._inner = InProcessTransport(box.app)
        self._errors = errors
        self._applied = applied
        self.logins = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or fail."""
        if request.url.path != "/account/login":
            return await self._inner.handle_async_request(request)
        self.logins += 1
        error = self._errors.pop(0) if self._errors else None
        if error is None or self._applied:
            response = await self._inner.handle_async_request(request)
            if error is None:
                return response
        await request.extensions["trace"]("http11.send_request_headers.started", {"request": request})
        raise error("kanarie", request=request)


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
async def test_a_renewal_is_lost_and_then_works(
    box: Sandbox, time: QuickTime, error: type[httpx.TransportError], applied: bool
) -> None:
    """It is tried three times for all; when that fails, all who wait hear of it, and the next call tries anew."""
    errors: list[type[httpx.TransportError]] = []
    trouble = Trouble(box, errors, applied=applied)
    async with httpx.AsyncClient(transport=trouble) as http:
        kt = box.client(http=http, clock=time.clock())
        await kt.tags.all()
        for lost, outcome in ((2, OK), (3, "Interrupted")):
            box.expire_sessions()
            errors[:] = [error] * lost
            before = trouble.logins
            assert await storm(kt, 50) == {outcome: 50}
            assert trouble.logins - before == 3
        assert await storm(kt) == {OK: TASKS}
        assert trouble.logins == 1 + 3 + 3 + 1


@pytest.mark.parametrize(("failures", "outcome", "logins"), [(1, OK, 2), (2, OK, 3), (3, "ServerError", 3)])
async def test_a_renewal_fails_at_the_server(
    box: Sandbox, kt: KlickTipp, failures: int, outcome: str, logins: int
) -> None:
    """A 500 is no wrong password: it is tried again within the call, and by the next one."""
    await kt.tags.all()
    box.expire_sessions()
    box.fail(LOGIN, times=failures, status=500)
    assert await storm(kt, 50) == {outcome: 50}
    assert box.count(LOGIN) == 1 + logins
    assert await storm(kt) == {OK: TASKS}
    assert box.count(LOGIN) == 1 + logins + (outcome != OK)


async def test_a_first_login_meets_everything(box: Sandbox, kt: KlickTipp) -> None:
    """A 502, then a lost answer, then a session (row 65)."""
    box.fail(LOGIN, status=502)
    box.drop(LOGIN)
    assert await storm(kt) == {OK: TASKS}
    assert costs(box) == (3, TASKS)


@CANCELLATIONS
async def test_the_leader_of_a_renewal_is_cancelled(box: Sandbox, kt: KlickTipp, native: bool) -> None:
    """The next in the queue logs in, and all others succeed."""
    await kt.tags.all()
    box.expire_sessions()
    reached, hangs = anyio.Event(), [True]

    async def hang(_: float) -> None:
        if box.requests[-1].operation == LOGIN and hangs:
            hangs.pop()
            reached.set()
            await anyio.sleep_forever()

    box.clock = Clock(sleep=hang)
    box.latency = 1.0
    outcomes: Counter[str] = Counter()

    async def others() -> None:
        await reached.wait()
        outcomes.update(await storm(kt, TASKS - 1))

    async with anyio.create_task_group() as group:
        group.start_soon(others)
        await cancelled_while_waiting(kt.tags.all, native=native)
    assert outcomes == {OK: TASKS - 1}
    assert box.count(LOGIN) == 3


@pytest.mark.parametrize("uses", [1, 7, 60])
async def test_sessions_die_again_and_again(box: Sandbox, kt: KlickTipp, uses: int) -> None:
    """One after the other, no call fails, and each session that died costs one login."""
    for number in range(120):
        if number % uses == 0:
            box.expire_sessions()
        assert await storm(kt, 1) == {OK: 1}
    assert box.count(LOGIN) == -(-120 // uses)


async def test_sessions_die_again_and_again_under_a_crowd(box: Sandbox, kt: KlickTipp) -> None:
    """A call whose session dies twice is refused; nobody goes round, and afterwards everything works at once."""
    seen = 0
    exchange = box._exchange

    def die(inbound: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen % 60 == 0:
            box.expire_sessions()
        return exchange(inbound)

    box._exchange = die  # type: ignore[method-assign] # the moment is the server's
    outcomes = await storm(kt)
    box._exchange = exchange  # type: ignore[method-assign] # as it was
    assert outcomes.keys() <= {OK, "Forbidden"}
    assert outcomes[OK]
    assert box.count(CALL) <= 2 * TASKS
    assert box.count(LOGIN) <= 1 + seen // 60 + 1
    box.expire_sessions()
    assert await storm(kt) == {OK: TASKS}


async def test_a_session_that_dies_twice_under_a_call_is_no_missing_permission(box: Sandbox, kt: KlickTipp) -> None:
    """The place has worked with the very session that then died there, so the next call logs in again."""
    await kt.tags.all()
    box.expire_sessions()
    exchange = box._exchange

    def die(inbound: Any) -> Any:
        answer = exchange(inbound)
        if box.count(CALL, 200) == 2:
            box.expire_sessions()
        return answer

    box._exchange = die  # type: ignore[method-assign] # the moment is the server's
    outcomes = await storm(kt, 3)
    box._exchange = exchange  # type: ignore[method-assign] # as it was
    assert outcomes == {OK: 1, "Forbidden": 2}
    assert await storm(kt) == {OK: TASKS}


UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no session": ({"status": 200, "body": {"session_name": "SSESS"}}, "DecodeError"),
    "an empty session": ({"status": 200, "body": {"sessid": "", "session_name": "SSESS"}}, "DecodeError"),
    "a line break": ({"status": 200, "body": {"sessid": "a\r\nX-Ci: b", "session_name": "SSESS"}}, "DecodeError"),
    "another domain": ({"status": 200, "body": {"sessid": "a; Domain=x.example", "session_name": "S"}}, "DecodeError"),
    "a strange name": ({"status": 200, "body": {"sessid": "a", "session_name": "Größe"}}, "DecodeError"),
    "html": ({"status": 200, "body": "<html>Wartung</html>"}, "DecodeError"),
    "nothing": ({"status": 200}, "DecodeError"),
    "204": ({"status": 204}, "DecodeError"),
    "a list": ({"status": 200, "body": ["Wrong username or password."]}, "DecodeError"),
    "an empty list": ({"status": 200, "body": []}, "DecodeError"),
    "a redirect": ({"status": 302, "headers": {"location": "https://away.example/evil"}}, "Redirected"),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_a_login_without_a_usable_session(box: Sandbox, kt: KlickTipp, time: QuickTime, name: str) -> None:
    """One login, no call, and nothing for a minute (row 64); what was answered stands in no error."""
    answer, error = UNUSABLE[name]
    box.fail(LOGIN, every=1, **answer)
    results: list[Any] = []
    for seconds, logins in ((0, 1), (59, 1), (1, 2)):
        time.time += seconds
        results = await gathered(lambda _: kt.tags.all(), 50)
        assert {type(result).__name__ for result in results} == {error}
        assert costs(box) == (logins, 0)
    assert not [text for text in map(repr, results) if "evil" in text or "Domain" in text or "X-Ci" in text]


def a_doxie(box: DoxieSandbox, time: QuickTime) -> Callable[[], Any]:
    """A call that is signed with a token of the token endpoint."""
    admin = ClientCredentials(box.client_id, box.client_secret, token_url=box.token_url)
    doxie = box.client(admin=admin, api_user=None, clock=time.clock(), limit=Limit(concurrency=50))
    return lambda: doxie.admin.brands.all().first()


async def test_tokens_die_every_second(time: QuickTime) -> None:
    """For three seconds there is never a 401, and at most eight tokens (row 67)."""
    async with DoxieSandbox(clock=time.clock()) as box:
        box.token_lifetime = 1.0
        call = a_doxie(box, time)
        for _ in range(60):
            assert await gathered(lambda _: call(), 5) == [None] * 5
            time.time += 0.05
        assert (box.count(None, 401), box.count(LIST_BRANDS.name, 200)) == (0, 300)
        assert 3 <= box.count("Fetch Token") <= 8


async def test_a_token_endpoint_in_trouble_is_asked_by_one(time: QuickTime) -> None:
    """As long as the token holds it is used, and the endpoint is left in peace between two failures."""
    async with DoxieSandbox(clock=time.clock()) as box:
        box.token_lifetime = 100.0
        call = a_doxie(box, time)
        await call()
        box.fail("Fetch Token", every=1, status=500)
        time.time += 80.0
        for _ in range(2):
            assert await gathered(lambda _: call(), TASKS) == [None] * TASKS
        assert box.count("Fetch Token") == 1 + 3
        box._faults.clear()
        box.expire_tokens()
        assert await gathered(lambda _: call(), TASKS) == [None] * TASKS
        assert box.count("Fetch Token") == 1 + 3 + 1
