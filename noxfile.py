"""Everything that checks the project: `nox -s tests`, `nox -s demo`, `nox -l` for the rest."""

from __future__ import annotations

import pathlib
import re
import shutil

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typing", "tests"]

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))


def _groups(*names: str) -> list[str]:
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), *names)


def _run_tests(session: nox.Session) -> None:
    session.install("-e", ".[cli,sandbox,yaml]", *_groups("tests", "lint", "typing", "build"))
    # Fetches the checker before the tests, which may not use the network.
    session.run("pyright", "--version", silent=True)
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Import 5,000 contacts and send 500 mails through sandboxes over real sockets, and prove that nothing doubled."""
    session.install("-e", ".[cli,sandbox]")
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The whole test suite; no account and no network."""
    _run_tests(session)


@nox.session(name="tests-all", python=PYTHONS)
def tests_all(session: nox.Session) -> None:
    """The whole test suite on every supported Python that this machine has; the others are skipped."""
    _run_tests(session)


@nox.session(name="tests-lowest")
def tests_lowest(session: nox.Session) -> None:
    """The test suite with the oldest version of each dependency that the project says it works with."""
    constraints = pathlib.Path(session.create_tmp(), "lowest.txt").resolve()
    constraints.write_text("\n".join(_lowest()) + "\n", encoding="utf-8")
    session.install("-e", ".[cli,sandbox,yaml]", *_groups("tests"), "-c", str(constraints))
    session.run("pytest", "-n", "2", "--ignore", "tests/package", *session.posargs)


def _lowest() -> list[str]:
    """The lower bounds of what is installed with the package, as pins."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    needed = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    return [re.sub(r"(\[.*?\])?>=([^,]+).*", r"==\2", each) for each in needed]


@nox.session(name="tests-httpx2")
def tests_httpx2(session: nox.Session) -> None:
    """The core's tests with an injected httpx2 client."""
    session.install("-e", ".[cli,sandbox]", *_groups("tests"), "httpx2")
    session.run("pytest", "-n", "2", "tests/core", *session.posargs, env={"KLICKDOXIE_HTTP": "httpx2"})


@nox.session
def coverage(session: nox.Session) -> None:
    """The test suite with branch coverage; the floor only rises."""
    session.install("-e", ".[cli,sandbox,yaml]", *_groups("tests", "lint", "typing", "build"))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, and who may import whom."""
    session.install("-e", ".", *_groups("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """Check with mypy and pyright, both strict, over the packages and a file that uses the whole API."""
    session.install("-e", ".[cli,sandbox]", *_groups("tests", "typing"))
    session.run("mypy")
    session.run("mypy", "tests/typing", "tests/third_client", "examples/fastapi_app.py")
    session.run("pyright")


@nox.session
def soak(session: nox.Session) -> None:
    """Call both sandboxes for a minute with a tenth of all requests going wrong, and judge what came of it."""
    session.install("-e", ".[sandbox,aiohttp]")
    session.run("python", "-m", "soak.soak", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Every goal of speed against its base in the same run, as a table; says which are missed, and fails for none."""
    peers = ("openai", "stripe", "notion-client", "pydantic", "orjson")
    session.install("-e", ".[aiohttp]", *peers)
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """The page of a plan in this machine's Chromium: hostile names, search, languages, print."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        session.skip("there is no Chromium on this machine")
    session.install("-e", ".[cli,sandbox]", *_groups("tests"))
    session.run("pytest", "tests/browser", *session.posargs, env={"KLICKDOXIE_BROWSER": found})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into `site/`, offline and with warnings as errors; zensical builds the same files."""
    session.install(*_groups("docs"))
    session.run("mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})
