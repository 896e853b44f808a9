"""An account behind a socket, and a way to run one command on it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import attrs
import pytest
from anyio.from_thread import start_blocking_portal

from klickdoxie_core import command_line
from klickdoxie_core.asgi import Receive, Scope, Send
from klickdoxie_core.wire.in_process import serving
from klicktipp_async.sandbox import Sandbox

NAMES = ("USERNAME", "PASSWORD", "DEVELOPER_KEY", "CUSTOMER_KEY", "BASE_URL")


@attrs.frozen
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        """What stands on the standard output, as text."""
        return self.raw.decode()


class Run(Protocol):
    """Runs the command that a function has made a parser for."""

    def __call__(self, add: Callable[[argparse.ArgumentParser], None], *arguments: str) -> Ran: ...  # noqa: D102


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Run a command as the program does."""

    def ran(add: Callable[[argparse.ArgumentParser], None], *arguments: str) -> Ran:
        parser = argparse.ArgumentParser(prog="klicktipp")
        add(parser)
        code = command_line.run(parser, arguments)
        told = capsysbinary.readouterr()
        return Ran(code, told.out, told.err.decode())

    return ran


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without any credentials; what a command changes of the environment is undone."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.setenv(f"KLICKTIPP_{name}", "")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[list[Sandbox], str]]:
    """A socket, served in another thread, that leads to the latest sandbox in a list; starting one takes its time."""
    boxes: list[Sandbox] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await boxes[-1].app(scope, receive, send)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving(app, "127.0.0.1", 0)) as url:
        yield boxes, url


@pytest.fixture
def box(served: tuple[list[Sandbox], str], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """An empty account behind a socket, and the environment that leads to it."""
    boxes, url = served
    boxes.append(Sandbox())
    monkeypatch.setenv("KLICKTIPP_BASE_URL", url)
    monkeypatch.setenv("KLICKTIPP_USERNAME", boxes[-1].username)
    monkeypatch.setenv("KLICKTIPP_PASSWORD", boxes[-1].password)
    return boxes[-1]
