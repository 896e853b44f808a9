"""What an import brings with it, counted in modules: milliseconds differ from machine to machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "aiohttp",
    "asyncio",
    "csv",
    "distributed",
    "hmac",
    "importlib.metadata",
    "opentelemetry",
    "orjson",
    "rich.progress",
    "sqlite3",
    "tomllib",
    "trio",
    "uvicorn",
    "yaml",
)
SEPARATE = ("commands", "crm", "sandbox", "sharding", "testing", "webhooks", "cli", "send_command")


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after this."""
    told = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(("package", "most"), [("klicktipp_async", 71), ("doxie_async", 71)])
def test_an_import_brings_what_a_call_needs_and_no_more(package: str, most: int) -> None:
    """Of ours at most so many modules, and nothing heavy that the four libraries do not bring themselves."""
    base = modules_after("import httpx, attrs, cattrs, anyio")
    brought = modules_after(f"import {package}") - base
    assert not brought & set(HEAVY)
    ours = {name for name in brought if name.partition(".")[0] in {package, "klickdoxie_core"}}
    assert len(ours) <= most
    assert not {name for name in ours if set(name.split(".")[1:2]) & set(SEPARATE)}
    others = {name.partition(".")[0] for name in brought} & {"klicktipp_async", "doxie_async"}
    assert others == {package}


def test_a_journal_brings_its_database_only_when_it_is_asked_for() -> None:
    """`Journal` is a name like the others, but its module comes with its first use."""
    assert "sqlite3" not in modules_after("from klicktipp_async import KlickTipp, bulk")
    assert "sqlite3" in modules_after("from klicktipp_async import Journal")
