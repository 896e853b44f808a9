"""The fixtures as a user of the kit has them: time, trouble, sessions that end."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from klicktipp_async import KlickTipp, RateLimited, ServerError, SessionLogin
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.testing import FrozenClock, assert_not_called

pytest_plugins = ["klicktipp_async.testing.plugin"]
ROOT = Path(__file__).parents[3]

CONFTEST = 'pytest_plugins = ["klicktipp_async.testing.plugin", "doxie_async.testing.plugin"]\n'
CONSUMER = """
import anyio
import pytest
from doxie_async.testing import assert_messages
from klicktipp_async.testing import assert_tagged

async def welcome(klicktipp, doxie, email):
    await klicktipp.contacts.upsert(email=email)
    tags = await klicktipp.tags.ensure(["Kunde"])
    await klicktipp.contacts.tag(email, tags["Kunde"])
    await doxie.mailer.send("welcome_email", {"email": email})

def check(klicktipp_sandbox, doxie_sandbox):
    assert_tagged(klicktipp_sandbox, "joerg@example.com", "Kunde")
    assert_messages(doxie_sandbox, 1, to="joerg@example.com")

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_with_a_runner(klicktipp, klicktipp_sandbox, doxie, doxie_sandbox, anyio_backend):
    await welcome(klicktipp, doxie, "joerg@example.com")
    check(klicktipp_sandbox, doxie_sandbox)

def test_without_a_runner(klicktipp, klicktipp_sandbox, doxie, doxie_sandbox, frozen_clock):
    assert klicktipp_sandbox.clock is doxie_sandbox.clock is frozen_clock
    anyio.run(welcome, klicktipp, doxie, "joerg@example.com")
    check(klicktipp_sandbox, doxie_sandbox)

@pytest.mark.anyio
async def test_that_fails(klicktipp, klicktipp_sandbox):
    await klicktipp.contacts.upsert(email="joerg@example.com")
    assert_tagged(klicktipp_sandbox, "joerg@example.com", "Kunde")
"""


def test_a_project_of_its_own_uses_the_kit(tmp_path: Path) -> None:
    """With both plugins named in its conftest, on every runner; a failure points at the test's own line."""
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_consumer.py").write_text(CONSUMER, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", "--rootdir", str(tmp_path), "--tb=short"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path), "-k", "not trio or with_a_runner"],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}", "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "lacks the tag 'Kunde'; it has: none; the account has no tag 'Kunde' at all" in said
    assert "test_consumer.py:" in said
    assert "klicktipp_async/testing" not in said
    failed = [line for line in said.splitlines() if line.startswith("FAILED")]
    assert all("test_that_fails" in line for line in failed)
    assert "3 passed" in said


@pytest.mark.anyio
async def test_no_pause_is_waited_out(
    klicktipp: KlickTipp, klicktipp_sandbox: Sandbox, frozen_clock: FrozenClock
) -> None:
    """Retries, their pauses and Retry-After happen as they would, in no time, and can be looked at."""
    klicktipp_sandbox.fail("List Tags", status=429, headers={"Retry-After": "20"})
    klicktipp_sandbox.fail("List Tags")
    before = frozen_clock.moment
    with anyio.fail_after(5):
        assert await klicktipp.tags.all() == {}
    assert 20 in frozen_clock.pauses
    assert frozen_clock.moment - before >= timedelta(seconds=20)
    assert klicktipp_sandbox.count("List Tags") == 3


@pytest.mark.anyio
async def test_an_outage_ends(klicktipp: KlickTipp, klicktipp_sandbox: Sandbox) -> None:
    """Faults without end are over with `recover`."""
    klicktipp_sandbox.fail("List Tags", every=1)
    with pytest.raises(ServerError):
        await klicktipp.tags.all()
    klicktipp_sandbox.recover()
    assert await klicktipp.tags.all() == {}


@pytest.mark.anyio
async def test_a_limit_holds_on_the_frozen_clock(klicktipp: KlickTipp, klicktipp_sandbox: Sandbox) -> None:
    """The client waits as long as it is told, so that a limit of one call in ten seconds stops nobody."""
    klicktipp_sandbox.rate_limit(0.1)
    with anyio.fail_after(5):
        for _ in range(3):
            await klicktipp.tags.all()
    assert klicktipp_sandbox.count("List Tags", 200) == 3
    klicktipp_sandbox.rate_limit(1 / 3600)
    await klicktipp.tags.all()
    with pytest.raises(RateLimited):
        await klicktipp.tags.all()


@pytest.mark.anyio
async def test_a_session_ends_after_its_lifetime(
    klicktipp: KlickTipp, klicktipp_sandbox: Sandbox, frozen_clock: FrozenClock
) -> None:
    """The client logs in again; a session that still holds is used on."""
    klicktipp_sandbox.session_lifetime = 3600
    assert klicktipp_sandbox.session_lifetime == 3600
    await klicktipp.tags.all()
    frozen_clock.advance(3599)
    await klicktipp.tags.all()
    assert klicktipp_sandbox.count("Login") == 1
    frozen_clock.advance(1)
    await klicktipp.tags.all()
    assert klicktipp_sandbox.count("Login") == 2
    klicktipp_sandbox.expire_sessions()
    await klicktipp.tags.all()
    assert klicktipp_sandbox.count("Login") == 3


@pytest.mark.anyio
async def test_a_session_that_has_ended_is_no_session(
    klicktipp: KlickTipp, klicktipp_sandbox: Sandbox, frozen_clock: FrozenClock
) -> None:
    """Logging out of it is refused, and whoever comes with it may log in, as without one."""
    klicktipp_sandbox.session_lifetime = 60
    await klicktipp.login()
    frozen_clock.advance(60)
    await klicktipp.aclose()
    assert klicktipp_sandbox.count("Logout from API", 406) == 1
    assert klicktipp_sandbox.count("Logout from API", 200) == 0


@pytest.mark.anyio
async def test_other_clients_of_the_sandbox_have_the_same_clock(
    klicktipp_sandbox: Sandbox, frozen_clock: FrozenClock
) -> None:
    """Also those that a test makes itself, unless it says otherwise."""
    klicktipp_sandbox.fail("List Tags", status=429, headers={"Retry-After": "20"})
    login = SessionLogin(klicktipp_sandbox.username, klicktipp_sandbox.password)
    with anyio.fail_after(5):
        await klicktipp_sandbox.client(login).tags.all()
    assert 20 in frozen_clock.pauses
    own = FrozenClock()
    klicktipp_sandbox.fail("List Tags", status=429, headers={"Retry-After": "30"})
    await klicktipp_sandbox.client(login, clock=own).tags.all()
    assert 30 in own.pauses
    assert 30 not in frozen_clock.pauses


def test_each_test_has_an_account_of_its_own(klicktipp_sandbox: Sandbox) -> None:
    """Nothing that other tests did is left."""
    assert_not_called(klicktipp_sandbox)
    assert not klicktipp_sandbox.contacts
