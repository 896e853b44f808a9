"""The README's code runs as it stands, against the fake service on a socket."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import anyio.to_thread
import pytest

from klicktipp_async.sandbox import Sandbox

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
EXPECTED = (
    ("Jörg\n", 0, 1),
    ("", 0, 100),
    ("100 done, 0 settled before\n", 100, 100),
    ("1 create [] ('[CRM] Kunde',)\nK-1 155000001 pending\n", 0, 1),
    (" 1\n", 0, 0),
    ("True\n404\n", 0, 0),
)
"""What each block prints at its end, and the contacts that it finds and leaves at the fake KlickTipp."""
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def run(code: str) -> str:
    """Run a block as a script, and return what it prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    return said.getvalue()


@pytest.fixture
def anyio_backend() -> str:
    """The server needs asyncio; the blocks start their own event loop."""
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("number", range(len(BLOCKS)))
async def test_block(number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each block does what the text around it says, without an error."""
    printed, before, after = EXPECTED[number]
    monkeypatch.chdir(tmp_path)
    async with Sandbox() as box, box.serve() as url:
        monkeypatch.setenv("KLICKTIPP_BASE_URL", url)
        monkeypatch.setenv("KLICKTIPP_USERNAME", box.username)
        monkeypatch.setenv("KLICKTIPP_PASSWORD", box.password)
        box.add_field("CRM-ID")
        box.seed_contacts(before)
        said = await anyio.to_thread.run_sync(run, BLOCKS[number])
    assert said.endswith(printed)
    assert len(box.contacts) == after


def test_every_block_is_expected() -> None:
    """A block that comes or goes does so together with its line here."""
    assert len(BLOCKS) == len(EXPECTED)


def test_the_first_block_is_short() -> None:
    """The first thing that a newcomer reads is about ten lines of code."""
    lines = [line for line in BLOCKS[0].splitlines() if line.strip()]
    assert len(lines) <= 10


def test_both_commands_are_there() -> None:
    """The README names the two commands that the noxfile serves."""
    for session in ("demo", "tests"):
        assert f"python -m pip install nox && nox -s {session}\n" in README
