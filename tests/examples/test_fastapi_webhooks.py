"""The example's one app receives the webhooks of both services."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

import klickdoxie_core
from klickdoxie_core import Basic

pytest.importorskip("fastapi", reason="FastAPI is no dependency; the example is for those who have it")
pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "fixtures" / "doxie_webhooks"
ENVIRON = {
    "KLICKTIPP_WEBHOOK_TOKEN": "pä$$ wört",
    "DOXIE_WEBHOOK_USER": "doxie",
    "DOXIE_WEBHOOK_PASSWORD": "pä$$:wört",
}
CONTACT = {"email": "jörg@example.com", "id": "7", "CustomFieldCity": "Köln", "Authorization": "pä$$ wört"}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example's module."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module("fastapi_webhooks")


def client(app: Any, password: str = ENVIRON["DOXIE_WEBHOOK_PASSWORD"]) -> httpx.AsyncClient:
    """A sender that knows a password."""
    headers = Basic("doxie", password).sign(None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hook.example", headers=headers)


async def test_both_services_are_received(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Each at its address, and a repeated delivery counts once."""
    async with client(example.create_app(ENVIRON)) as sender:
        for _ in range(2):
            assert (await sender.post("/klicktipp/", data=CONTACT)).status_code == 200
            for path in example.DOXIE_PATHS:
                sample = (SAMPLES / path.strip("/").replace("-", "_")).with_suffix(".json")
                assert (await sender.post(f"/doxie{path}", content=sample.read_bytes())).status_code == 200
            assert (await sender.post("/doxie/message-sent", json={"neu": 1})).status_code == 200
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[0] == "KlickTipp: contact 7 with 1 fields"
    assert lines[1].startswith("Doxie: MessageSent(")
    assert lines[2:4] == [
        "Doxie: message 80012 is delivered",
        "Doxie: a consent was confirmed at 2026-02-03 09:20:00+00:00",
    ]
    assert lines[7] == "Doxie: an event of an unknown kind, with ['neu']"
    assert not any("example" in line for line in lines)


async def test_strangers_are_refused(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither service's receiver takes what has not its own proof."""
    async with client(example.create_app(ENVIRON), "falsch") as sender:
        assert (await sender.post("/klicktipp/", data={"email": "a@example.com"})).status_code == 401
        assert (await sender.post("/doxie/message-status", json={})).status_code == 401
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ENVIRON)
async def test_the_app_does_not_start_without_its_credentials(example: ModuleType, name: str) -> None:
    """An empty one is as bad as none."""
    with pytest.raises(klickdoxie_core.ConfigError):
        example.create_app(ENVIRON | {name: ""})
    with pytest.raises(KeyError, match=name):
        example.create_app({key: value for key, value in ENVIRON.items() if key != name})
