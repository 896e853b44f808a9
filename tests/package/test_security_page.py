"""The page on security promises nothing that no test holds."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from klickdoxie_core import JobStopped, Journal, bulk
from klicktipp_async import KeyPair, SessionLogin
from klicktipp_async.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PACKAGES = ("shared/klickdoxie_core", "klicktipp_async", "doxie_async")
FOREIGN_CODE = {"eval", "exec", "compile", "__import__", "pickle", "marshal", "shelve", "dill", "load", "full_load"}
SERVICES = {"api.klicktipp.com", "app.klicktipp.com", "app.doxie.energy"}

_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


def section(title: str) -> str:
    """The text below a heading."""
    parts = _SECTION.split(PAGE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[title]


def items(text: str) -> list[str]:
    """The items of its lists, each in one line."""
    found = re.findall(r"^- (.*(?:\n  .*)*)", text, re.MULTILINE)
    return [" ".join(item.split()) for item in found]


PROMISES = items(section("What is promised"))
NAMED = sorted({(path, name) for path, name in _TEST.findall(PAGE)})


@cache
def defined_in(path: str) -> frozenset[str]:
    """The tests that a file defines."""
    defined = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    return frozenset(node.name for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[:40])
def test_a_promise_names_its_test(promise: str) -> None:
    """Without one nobody would notice that it is broken."""
    assert _TEST.search(promise)
    assert promise.count("::") == len(_TEST.findall(promise)), "a name is not written as a test is named"


@pytest.mark.parametrize(("path", "name"), NAMED, ids="::".join)
def test_a_named_test_exists(path: str, name: str) -> None:
    """In the file that is named, and so that it is collected."""
    assert name.startswith("test_")
    assert name in defined_in(path)


def test_the_page_has_all_its_parts() -> None:
    """Nothing is promised outside of the list that is looked at, and what is not promised is said."""
    assert _SECTION.findall(PAGE) == [
        "Supported versions",
        "How to report a weakness",
        "What is promised",
        "What is not promised",
    ]
    assert len(PROMISES) > 20
    assert len(items(section("What is not promised"))) > 5
    assert set(_TEST.findall(section("What is promised"))) == set(NAMED)


@pytest.mark.parametrize("broken", ["- No.\n  Never.\n- Yes. `tests/a.py::test_a`\n", "- One `tests/a.py:test_a`\n"])
def test_a_promise_without_a_test_is_noticed(broken: str) -> None:
    """In one line or in several."""
    assert not all(_TEST.search(item) for item in items(broken))


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every file of the packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def _words(node: ast.AST) -> set[str]:
    """What is called or imported here."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return {node.func.id}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        return {node.func.attr} if node.func.value.id in {"yaml", "pickle", "marshal", "builtins"} else set()
    return set()


def test_nothing_foreign_is_evaluated() -> None:
    """Code is made in one file only, out of its own templates; nothing is unpickled."""
    found = {
        (path, word) for path, tree in modules() for node in ast.walk(tree) for word in _words(node) & FOREIGN_CODE
    }
    own = "shared/klickdoxie_core/generated.py"
    assert {(path, word) for path, word in found if path != own} == set()
    assert {word for path, word in found if path == own} <= {"exec", "compile"}


def test_nothing_is_phoned_home() -> None:
    """No host stands in the code but those of the services, of examples, and of fakes."""
    texts = (
        (path, node.value)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    hosts = {
        (path, host)
        for path, text in texts
        for url in re.findall(r"https?://[\w.-]+", text)
        if (host := urlsplit(url).hostname)
    }
    others = {(path, host) for path, host in hosts if host not in SERVICES}
    assert {each for each in others if "/sandbox/" not in each[0] and not _is_fake(each[1])} == set()


def _is_fake(host: str) -> bool:
    return host.endswith((".sandbox", ".test", ".example", ".invalid")) or host in {"example.com", "www.w3.org"}


@pytest.mark.anyio
@pytest.mark.parametrize("signs_with", ["password", "wrong password", "keys"])
async def test_a_journal_holds_no_secret(signs_with: str, tmp_path: Path) -> None:
    """Neither what signs the calls of a job, nor what was obtained by it; the keys of the items are there."""
    async with Sandbox() as box:
        box.seed_contacts(2)
        secrets = [box.password, box.developer_key, box.customer_key, "Kan4ri; Passwort"]
        keys = KeyPair(box.username, box.developer_key, box.customer_key)
        signers: dict[str, KeyPair | SessionLogin] = {
            "password": SessionLogin(box.username, box.password),
            "wrong password": SessionLogin(box.username, secrets[-1]),
            "keys": keys,
        }
        kt = box.client(signers[signs_with])
        emails = ["kontakt1@example.com", "kontakt2@example.com", "fehlt@example.com"]
        journal = Journal(tmp_path / "job.journal", job="test")
        # The refused login ends the job, and that it did stands in the journal too.
        with contextlib.suppress(JobStopped):
            async with journal, bulk(kt.contacts.find_id, emails, journal=journal) as outcomes:
                assert len([outcome async for outcome in outcomes]) == len(emails)
        secrets += [*box._store.sessions, keys.cipher()]
    written = (tmp_path / "job.journal").read_bytes()
    assert b"kontakt1@example.com" in written
    assert [secret for secret in secrets if secret.encode() in written or ascii(secret)[1:-1].encode() in written] == []
