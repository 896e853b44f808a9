"""The demonstration of Doxie shows what it says, and would show it if it were otherwise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import anyio
import pytest

from doxie_async.routes import SEND_MAIL
from doxie_async.sandbox import Sandbox

Spoil = Callable[[Sandbox, Any], Awaitable[object]]
REFERENCES = [f"M-{number}" for number in range(40)]


@pytest.fixture
def demo(example: Callable[[str], ModuleType]) -> ModuleType:
    """The demonstration."""
    return example("doxie_demo")


def test_the_demonstration_succeeds(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer mails go through a socket, with lost answers and tokens that end, and every figure is right."""
    assert anyio.run(demo.main, 200, 1.0) == 0
    told = capsys.readouterr().out
    assert "11 mails are in doubt" in told
    assert "no mail went out twice" in told
    assert "WRONG" not in told


async def nothing(box: Sandbox, report: Any) -> None:
    """All is as it was."""


async def send_again(box: Sandbox, report: Any) -> None:
    """As a client would that tries again."""
    await box.client().mailer.send("welcome_email", {"reference": next(iter(report.in_doubt))})


async def forget_a_doubt(box: Sandbox, report: Any) -> None:
    """As if it had been sent."""
    report.in_doubt.popitem()


async def fail(box: Sandbox, report: Any) -> None:
    """A read as an administrator, say."""
    report.failed.append(ValueError())


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("spoil", "seen"),
    [
        (nothing, set[str]()),
        (
            send_again,
            {
                "requests to send a mail",
                "mails that went out exactly once",
                "mails that went out more than once",
                "mails in all",
                "  of which went out exactly once, though",
            },
        ),
        (forget_a_doubt, {"mails in doubt, since no answer came", "  of which went out exactly once, though"}),
        (fail, {"calls that failed otherwise"}),
    ],
)
async def test_what_is_off_is_seen(demo: ModuleType, spoil: Spoil, seen: set[str]) -> None:
    """Whatever the client says, the sandbox has counted."""
    async with Sandbox() as box:
        box.drop(SEND_MAIL.name, every=20)
        report = await demo.send_and_follow(box.client(), REFERENCES)
        await spoil(box, report)
        assert {figure.what for figure in demo.sent(REFERENCES, report, box) if not figure.good} == seen
