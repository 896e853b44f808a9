"""The release: what is in it, and that it works in an empty environment, next to a package `shared` of another."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from klickdoxie_core.version import VERSION

ROOT = Path(__file__).parents[2]
DATA = (".css", ".html", ".js", ".toml")
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
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel made of it, built without the network by the backend installed here."""
    out = tmp_path_factory.mktemp("release")
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(release: Path) -> Path:
    """The wheel."""
    return next(release.glob("*.whl"))


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
    assert {Path(name).suffix for name in names if ".dist-info" not in name} <= {".py", ".typed", *DATA}


def test_what_is_in_the_source_is_in_the_wheel(wheel: Path) -> None:
    """Every module of the three packages, and no other."""
    folders = (ROOT / "klicktipp_async", ROOT / "doxie_async", ROOT / "shared" / "klickdoxie_core")
    modules = {path.relative_to(folder.parent).as_posix() for folder in folders for path in folder.rglob("*.py")}
    assert {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")} == modules


def test_the_source_holds_what_its_tests_and_its_readers_need(release: Path) -> None:
    """An sdist that distributions can build and test from; nothing of anybody's machine."""
    with tarfile.open(next(release.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", "pyproject.toml", "noxfile.py", "PKG-INFO"}
    assert wanted <= names
    assert {"tests/conftest.py", "examples/demo.py", "benchmarks/run.py", "docs/tutorial.md", "mkdocs.yml"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".nox", ".ci", ".git/"))]


def test_the_index_takes_it(release: Path) -> None:
    """The metadata is complete, and the README is rendered as it is."""
    done = run(sys.executable, "-m", "twine", "check", "--strict", *sorted(release.iterdir()), cwd=release)
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 2), done.stdout + done.stderr


def test_the_metadata(wheel: Path) -> None:
    """The version stands in one place, every extra is offered, and the change log tells of this version."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Version"] == VERSION
    assert metadata["Requires-Python"] == ">=3.11"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(metadata.get_all("Provides-Extra")) == set(extras)
    needed = [each for each in metadata.get_all("Requires-Dist") if "extra ==" not in each]
    assert sorted(re.split(r"[<>=]", each)[0] for each in needed) == ["anyio", "attrs", "cattrs", "httpx"]
    assert f"\n## [{VERSION}] - " in (ROOT / "CHANGELOG.md").read_text("utf-8")


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
