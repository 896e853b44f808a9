"""The wheel works in an empty environment, next to a project that has a package `shared` of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPENDENCIES = ("httpx", "httpcore", "h11", "certifi", "idna", "anyio", "attrs", "cattrs", "typing_extensions")
CONSUMER = """
import anyio
import shared.settings
from klickdoxie_core import SdkError
from klicktipp_async import Contact, KeyPair, KlickTipp


async def main() -> Contact | None:
    async with KlickTipp(KeyPair("user", "00", "customer"), base_url=shared.settings.URL) as kt:
        try:
            contact: Contact = await kt.contacts.get(1)
        except SdkError as error:
            print(type(error).__name__)
            return None
        return contact


anyio.run(main)
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it says."""
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without the network by the backend that is installed here."""
    out = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def consumer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a package `shared` of its own, in an environment that holds our wheel and what it needs."""
    folder = tmp_path_factory.mktemp("consumer")
    venv.create(folder / ".venv", with_pip=True)
    site = next((folder / ".venv").glob("lib/python*/site-packages"))
    for name in DEPENDENCIES:
        copy(name, site)
    pip = (folder / ".venv" / "bin" / "python", "-m", "pip", "install", "--no-index", wheel)
    done = run(*pip, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "shared").mkdir()
    (folder / "shared" / "__init__.py").touch()
    (folder / "shared" / "settings.py").write_text('URL = "http://127.0.0.1:9"\n')
    (folder / "main.py").write_text(CONSUMER)
    return folder


def copy(name: str, site: Path) -> None:
    """Copy an installed distribution's modules into another environment."""
    for file in distribution(name).files or []:
        source = Path(str(file.locate()))
        if ".." not in file.parts and file.suffix != ".pyc" and source.is_file():
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def test_contents(wheel: Path) -> None:
    """The wheel holds the packages with their type markers, and nothing from around them."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    packages = {"klickdoxie_core", "klicktipp_async", "doxie_async"}
    assert tops == packages
    assert {f"{package}/py.typed" for package in packages} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_runs_beside_a_package_named_shared(consumer: Path) -> None:
    """Neither package is shadowed by the other."""
    done = run(consumer / ".venv" / "bin" / "python", "-W", "error", "main.py", cwd=consumer)
    assert (done.stdout, done.returncode) == ("ConnectFailed\n", 0), done.stderr


@pytest.mark.parametrize("command", ["klicktipp", "doxie"])
def test_the_command_is_there(consumer: Path, command: str) -> None:
    """The console script runs without any extra."""
    done = run(consumer / ".venv" / "bin" / command, "--version", cwd=consumer)
    assert (done.returncode, done.stdout.split()[0]) == (0, command), done.stderr


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_types_are_seen_there(consumer: Path, checker: str) -> None:
    """Both type checkers, strict, find our types in the wheel, and would find a mistake."""
    python = consumer / ".venv" / "bin" / "python"
    if checker == "mypy":
        command = [Path(sys.executable).with_name("mypy"), "--strict", "--python-executable", python]
    else:
        (consumer / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
        command = [Path(sys.executable).with_name("pyright"), "--pythonpath", python]
    good = run(*command, "main.py", cwd=consumer)
    assert good.returncode == 0, good.stdout + good.stderr
    (consumer / "bad.py").write_text(CONSUMER.replace("contact: Contact", "contact: int"))
    bad = run(*command, "bad.py", cwd=consumer)
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert "Contact" in bad.stdout
