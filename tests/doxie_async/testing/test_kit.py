"""The kit for those who send: questions about messages, tokens that end, the fixtures."""

from __future__ import annotations

import pytest

from doxie_async import ClientCredentials, Doxie, Effect, Interrupted
from doxie_async.sandbox import Channel, Sandbox
from doxie_async.testing import (
    FrozenClock,
    assert_applied_once,
    assert_messages,
    assert_not_called,
    assert_nothing_applied_twice,
)
from doxie_async.testing.assertions import UNREPEATABLE
from tests.doxie_async import uses

pytest_plugins = ["doxie_async.testing.plugin"]
pytestmark = pytest.mark.anyio

EMAIL = "jürgen.kanarie@example.com"
SEND = "Mailer: Sends a mail"


async def test_messages_are_counted_by_event_and_recipient(doxie: Doxie, doxie_sandbox: Sandbox) -> None:
    """A mail and its text message are two; addresses count in any case."""
    assert_messages(doxie_sandbox, 0)
    doxie_sandbox.add_event("tarif", templates={Channel.EMAIL: ["tarif"], Channel.SMS: ["tarif_kurz"]})
    await doxie.mailer.send("tarif", {"email": EMAIL, "phone": "+4915112345678"})
    await doxie.mailer.send("welcome_email", {"email": EMAIL})
    assert_messages(doxie_sandbox, 3)
    assert_messages(doxie_sandbox, 2, to=EMAIL.upper())
    assert_messages(doxie_sandbox, 1, to="+4915112345678")
    assert_messages(doxie_sandbox, 1, event_slug="tarif", to=EMAIL)
    assert_messages(doxie_sandbox, 0, event_slug="survey")


async def test_a_failure_says_what_went_out(doxie: Doxie, doxie_sandbox: Sandbox) -> None:
    """By event and channel, and below it the requests; nobody's address or number is in it."""
    await doxie.mailer.send("welcome_email", {"email": EMAIL, "name": "Jürgen"})
    with pytest.raises(AssertionError) as failed:
        assert_messages(doxie_sandbox, 2, event_slug="welcome_email", to=EMAIL)
    assert str(failed.value).splitlines() == [
        "messages for 'welcome_email' to this recipient: 1, not 2; all that went out: 1 × 'welcome_email' by email",
        "what reached the sandbox:",
        f"  {SEND}  1 × 200; carried out: 1",
    ]
    with pytest.raises(AssertionError, match=r"messages: 1, not 0; all"):
        assert_messages(doxie_sandbox, 0)


async def test_a_lost_answer_makes_nobody_be_mailed_twice(doxie: Doxie, doxie_sandbox: Sandbox) -> None:
    """The client does not send it again; whoever does so himself is found out."""
    doxie_sandbox.drop(SEND)
    with pytest.raises(Interrupted) as lost:
        await doxie.mailer.send("welcome_email", {"email": EMAIL})
    assert lost.value.maybe_applied
    assert_applied_once(doxie_sandbox, SEND, email=EMAIL, event_slug="welcome_email")
    assert_nothing_applied_twice(doxie_sandbox)
    await doxie.mailer.send("welcome_email", {"email": EMAIL})
    with pytest.raises(AssertionError, match=f"carried out once more: '{SEND}' once\n"):
        assert_nothing_applied_twice(doxie_sandbox)


async def test_a_token_ends_after_its_lifetime(doxie_sandbox: Sandbox, frozen_clock: FrozenClock) -> None:
    """A new one is fetched when the time is moved on, and when all are ended at once."""
    admin = ClientCredentials(doxie_sandbox.client_id, doxie_sandbox.client_secret, doxie_sandbox.token_url)
    doxie = doxie_sandbox.client(admin=admin)
    for fetched in (1, 2):
        await doxie.admin.tenant.get()
        await doxie.admin.tenant.get()
        assert doxie_sandbox.count("Fetch Token") == fetched
        frozen_clock.advance(doxie_sandbox.token_lifetime)
    doxie_sandbox.expire_tokens()
    await doxie.admin.tenant.get()
    assert doxie_sandbox.count("Fetch Token") == 3


def test_each_test_has_a_tenant_of_its_own(doxie_sandbox: Sandbox, frozen_clock: FrozenClock) -> None:
    """Nothing that other tests did is left, and the time is the test's own."""
    assert_not_called(doxie_sandbox)
    assert_messages(doxie_sandbox, 0)
    assert doxie_sandbox.clock is frozen_clock


def test_what_must_not_be_repeated_is_what_the_client_never_repeats() -> None:
    """The list follows the effects of the client's own calls."""
    assert {use.operation.name for use in uses.EVERY if use.effect is Effect.ONCE} == UNREPEATABLE
