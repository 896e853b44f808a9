"""What the packages publish, and that each of them can be imported by itself."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("exports.json")
PACKAGES = (
    "klickdoxie_core",
    "klickdoxie_core.sharding",
    "klickdoxie_core.testing",
    "klicktipp_async",
    "klicktipp_async.crm",
    "klicktipp_async.sandbox",
    "klicktipp_async.testing",
    "klicktipp_async.webhooks",
    "doxie_async",
    "doxie_async.sandbox",
    "doxie_async.testing",
    "doxie_async.webhooks",
)
NEEDED = {"klickdoxie_core.sharding": {"sqlite3"}, "klicktipp_async.crm": {"sqlite3", "tomllib"}}
HEAVY = {"uvicorn", "respx", "pytest", "trio", "sqlite3", "tomllib", "yaml", "fastapi"}


@pytest.mark.parametrize("package", PACKAGES)
def test_published_names(package: str) -> None:
    """A name comes or goes only together with its line in the snapshot."""
    module = importlib.import_module(package)
    assert sorted(module.__all__) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))[package]


@pytest.mark.parametrize("package", PACKAGES)
def test_published_names_exist(package: str) -> None:
    """Every published name is there and has a docstring where it is a class or a function."""
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        assert not callable(value) or value.__doc__, name


@pytest.mark.parametrize("package", PACKAGES)
def test_import_in_a_fresh_interpreter(package: str) -> None:
    """Each package imports alone, without a warning and without what only some of its users need."""
    code = f"import sys, {package}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    command = [sys.executable, "-W", "error", "-P", "-c", code]
    path = f"{ROOT}:{ROOT / 'shared'}"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert not loaded & HEAVY - NEEDED.get(package, set())
    assert not loaded & {"klicktipp_async", "doxie_async"} - {package.partition(".")[0]}


def test_imports_go_one_way() -> None:
    """The contracts on who may import whom hold."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
