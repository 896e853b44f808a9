"""The example app as it is run: two worker processes on a socket, both services on sockets, and an orderly end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import httpx
import pytest
from anyio.streams.text import TextReceiveStream

import doxie_async.sandbox
import klicktipp_async.sandbox
from doxie_async.testing import assert_messages, assert_nothing_applied_twice

pytest.importorskip("fastapi", reason="FastAPI is no dependency; the example is for those who have it")
pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
TOKEN = "pä$$ wört"
DELIVERIES, SIGN_UPS = 40, 8
COMMAND = [sys.executable, "-m", "uvicorn", "examples.fastapi_app:app", "--workers", "2", "--port", "0"]


@pytest.fixture
def anyio_backend() -> str:
    """The server needs asyncio."""
    return "asyncio"


class Log:
    """What a server says, line by line."""

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stderr is not None
        self._stream = TextReceiveStream(process.stderr)
        self.text = ""

    async def read_until(self, words: str, times: int) -> None:
        """Read on until the words have come so often."""
        while self.text.count(words) < times:
            self.text += await self._stream.receive()

    async def read_all(self) -> None:
        """Read to the end, which comes when the last process that could write is gone."""
        async for text in self._stream:
            self.text += text


@pytest.fixture
async def boxes(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[klicktipp_async.sandbox.Sandbox, doxie_async.sandbox.Sandbox]]:
    """Both services on sockets, and the environment that leads to them."""
    async with (
        klicktipp_async.sandbox.Sandbox() as kt,
        doxie_async.sandbox.Sandbox() as doxie,
        kt.serve() as kt_url,
        doxie.serve() as doxie_url,
    ):
        environ = {
            "KLICKTIPP_BASE_URL": kt_url,
            "KLICKTIPP_USERNAME": kt.username,
            "KLICKTIPP_PASSWORD": kt.password,
            "KLICKTIPP_WEBHOOK_TOKEN": TOKEN,
            "DOXIE_BASE_URL": doxie_url,
            "DOXIE_TENANT": doxie.tenant,
            "DOXIE_API_USER": doxie.username,
            "DOXIE_API_PASSWORD": doxie.password,
            "DOXIE_WEBHOOK_USER": "doxie",
            "DOXIE_WEBHOOK_PASSWORD": "geheim",
            "PYTHONPATH": f"{ROOT / 'shared'}",
            "PYTHONUNBUFFERED": "1",
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield kt, doxie


async def use(url: str) -> None:
    """Sign people up and deliver contacts, each over a connection of its own, so that both workers get some."""

    async def send(path: str, **what: object) -> None:
        async with httpx.AsyncClient(base_url=url) as web:
            (await web.post(path, **what)).raise_for_status()  # type: ignore[arg-type]

    async def sign_up(number: int) -> None:
        await send("/sign-up", json={"email": f"person{number}@example.com"})

    async def deliver(number: int) -> None:
        await send("/webhooks/klicktipp/", data={"email": f"kontakt{number}@example.com", "Authorization": TOKEN})

    async with anyio.create_task_group() as tasks:
        for number in range(SIGN_UPS):
            tasks.start_soon(sign_up, number)
    async with anyio.create_task_group() as tasks:
        for number in range(DELIVERIES):
            tasks.start_soon(deliver, number)


async def test_two_workers_end_in_good_order(
    boxes: tuple[klicktipp_async.sandbox.Sandbox, doxie_async.sandbox.Sandbox],
) -> None:
    """Told to stop with work in hand, they finish it, log out, and leave no process behind."""
    kt, doxie = boxes
    doxie.latency = 0.1
    opened = await anyio.open_process(COMMAND, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    async with opened as server:
        log = Log(server)
        try:
            with anyio.fail_after(30):
                await log.read_until("Application startup complete", 2)
                (url,) = re.findall(r"running on (http://\S+)", log.text)
                workers = [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", log.text)]
                await use(url)
                unfinished = DELIVERIES - len(doxie.sent)
                server.send_signal(signal.SIGTERM)
                await log.read_all()
                await server.wait()
        except BaseException:
            os.killpg(server.pid, signal.SIGKILL)
            raise
    assert unfinished > 0
    assert_messages(doxie, DELIVERIES, event_slug="welcome_email")
    assert_nothing_applied_twice(doxie)
    assert len(kt.contacts) == SIGN_UPS
    assert 1 <= kt.count("Login") == kt.count("Logout from API", 200) <= 2
    assert log.text.count("Application shutdown complete") == 2, log.text
    assert server.returncode == 0
    assert len(set(workers)) == 2
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
