"""What the documentation shows works: its code runs, against served sandboxes, and prints what the pages say."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

import doxie_async.sandbox
import klicktipp_async.sandbox
from klickdoxie_core.asgi import AsgiApp, Receive, Scope, Send
from klickdoxie_core.wire.in_process import serving
from tests.core.collector import no_providers
from tests.docs.pages import PAGES, Runner, name_of, text_of


class Stage:
    """An ASGI app that hands everything on to another one, so that a socket outlives the sandbox behind it."""

    def __init__(self) -> None:
        self.app: AsgiApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the other app answer."""
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def stages() -> Iterator[list[tuple[Stage, str]]]:
    """Two apps and where they are served, in a thread of their own: a page has the main one, as a program has."""
    found = [Stage(), Stage()]
    with start_blocking_portal() as portal, contextlib.ExitStack() as stack:
        serve = [portal.wrap_async_context_manager(serving(stage, "127.0.0.1", 0)) for stage in found]
        yield list(zip(found, map(stack.enter_context, serve), strict=True))


@pytest.fixture
def environment(stages: list[tuple[Stage, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and the environment that `klicktipp sandbox` and `doxie sandbox` would print."""
    kt, doxie = klicktipp_async.sandbox.Sandbox(), doxie_async.sandbox.Sandbox()
    (kt_stage, kt_url), (doxie_stage, doxie_url) = stages
    kt_stage.app, doxie_stage.app = kt, doxie
    variables = {
        "KLICKTIPP_BASE_URL": kt_url,
        "KLICKTIPP_USERNAME": kt.username,
        "KLICKTIPP_PASSWORD": kt.password,
        "DOXIE_BASE_URL": doxie_url,
        "DOXIE_TENANT": doxie.tenant,
        "DOXIE_API_USER": doxie.username,
        "DOXIE_API_PASSWORD": doxie.password,
        "DOXIE_CLIENT_ID": doxie.client_id,
        "DOXIE_CLIENT_SECRET": doxie.client_secret,
        "DOXIE_TOKEN_URL": doxie_url + doxie.token_url.removeprefix(doxie.base_url),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    # A second is long enough for a service and too long for a test.
    monkeypatch.setattr("klicktipp_async.client._LOOK_UP_AFTER", 0.0)


@pytest.fixture
def process() -> Iterator[None]:
    """What a page sets up for its process ends with the page: telemetry and logging."""
    logger = logging.getLogger("klickdoxie_core")
    handlers, level = list(logger.handlers), logger.level
    with no_providers():
        yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


RUN = [page for page in PAGES if "```python" in text_of(page)]


@pytest.mark.usefixtures("environment", "process")
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_code_runs(page: Path) -> None:
    """Every block of the page, in its order; and it prints what the page says."""
    Runner(page).run()
