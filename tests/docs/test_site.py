"""The site is whole: its pages, links, names and tables are those of the project."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

import doxie_async
import klickdoxie_core
import klicktipp_async
import klicktipp_async.crm
from doxie_async import sandbox as doxie_sandbox
from klickdoxie_core import SdkError
from klicktipp_async import sandbox as klicktipp_sandbox
from tests.docs import errors_by_operation
from tests.docs.pages import DOCS, PAGES, ROOT, name_of, text_of
from tests.docs.test_commands import inline

CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
REFERENCE = [page for page in PAGES if page.parent.parent == DOCS / "reference"]
PACKAGES = (klicktipp_async, doxie_async, klickdoxie_core, klicktipp_async.crm)
GENERATED = errors_by_operation.PAGE
WITHOUT_ERRORS_OF_THEIR_OWN = {"kt.from_env", "kt.pause_before_look_up", "doxie.from_env"}

_LINK = re.compile(r"\]\(([^)\s]+)\)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"(?:\.github|benchmarks|docs|examples|shared|soak|tests|klicktipp_async|doxie_async)/[\w./-]*\w")
_DIRECTIVE = re.compile(r"^::: ([\w.]+)\n((?:    .*\n)*)", re.MULTILINE)
_VARIABLE = re.compile(r"\b(?:KLICKTIPP|DOXIE)_[A-Z_]+[A-Z]\b")
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| .+ \| .+ \|$", re.MULTILINE)


def entries(nav: list[Any]) -> Iterator[str]:
    """The pages in the navigation."""
    for item in nav:
        (below,) = cast("dict[str, Any]", item).values()
        if isinstance(below, str):
            yield below
        else:
            yield from entries(below)


def test_the_navigation_has_every_page_once() -> None:
    """No page is out of reach, and none is missing."""
    found = list(entries(CONFIG["nav"]))
    assert sorted(found) == sorted(str(page.relative_to(DOCS)) for page in PAGES if page.is_relative_to(DOCS))


def test_nothing_comes_from_elsewhere() -> None:
    """The site needs no network: no fonts, scripts, styles or pictures of others."""
    assert CONFIG["theme"]["font"] is False
    assert "extra_javascript" not in CONFIG
    assert all((DOCS / style).is_file() for style in CONFIG["extra_css"])
    for page in PAGES:
        assert not re.search(r"<(script|link|iframe|img)\b|!\[[^]]*\]\(http", text_of(page)), name_of(page)
    for picture in DOCS.rglob("*.svg"):
        assert set(re.findall(r"https?://[^\"]+", text_of(picture))) <= {"http://www.w3.org/2000/svg"}


def without_code(page: Path) -> str:
    """The text of a page without its blocks."""
    return _FENCED.sub("", text_of(page))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings of a page as links name them."""
    plain = (re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in _HEADING.findall(without_code(page)))
    return frozenset(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", each).strip().lower()) for each in plain)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""
    for link in _LINK.findall(without_code(page)):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        place = Path(os.path.normpath(page.parent / target)) if target else page
        assert place.is_file(), link
        assert not anchor or anchor in anchors(place), link
        assert place.is_relative_to(DOCS) or not page.is_relative_to(DOCS), f"{link} is not a part of the site"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_are_there(page: Path) -> None:
    """A path in backticks is one of this project."""
    named = {path for text in inline(page) for path in _FILE.findall(text)}
    assert {path for path in named if not (ROOT / path).exists()} == set()


@cache
def clients() -> Mapping[str, object]:
    """What the pages call by these names."""
    kt, doxie = klicktipp_sandbox.Sandbox(), doxie_sandbox.Sandbox()
    return {"kt": kt.client(), "lb": kt.listbuilding(), "doxie": doxie.client()}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_methods_that_are_named_exist(page: Path) -> None:
    """`kt.contacts.upsert` and the like are spelled as they are called."""
    for text in inline(page):
        if found := re.match(r"(kt|lb|doxie)((?:\.\w+)+)", text):
            thing = clients()[found[1]]
            for name in found[2].split(".")[1:]:
                assert hasattr(thing, name), text
                thing = getattr(thing, name)


@cache
def variables() -> frozenset[str]:
    """The environment variables that the code and the examples read."""
    places = [
        *(ROOT / name for name in ("klicktipp_async", "doxie_async", "shared", "examples")),
        ROOT / "tests" / "docs",
    ]
    texts = [text_of(path) for place in places for path in place.rglob("*.py")]
    named = {name for text in texts for name in _VARIABLE.findall(text)}
    built = {f"KLICKTIPP_{name}" for name in ("USERNAME", "PASSWORD", "DEVELOPER_KEY", "CUSTOMER_KEY")}
    return frozenset(named | built | {f"DOXIE_{name}" for name in ("CLIENT_ID", "CLIENT_SECRET", "TOKEN_URL")})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_variables_that_are_named_are_read(page: Path) -> None:
    """No variable of the environment is invented."""
    assert set(_VARIABLE.findall(text_of(page))) - variables() == set()


def directives() -> Iterator[tuple[str, list[str] | None]]:
    """What the reference shows: a thing, or some or all of a module."""
    for page in REFERENCE:
        for identifier, options in _DIRECTIVE.findall(text_of(page)):
            settings = (yaml.safe_load(options) or {}).get("options", {})
            yield identifier, settings.get("members")


def is_module(identifier: str) -> bool:
    """Whether a module has this name."""
    path = identifier.replace(".", "/")
    folders = (ROOT, ROOT / "shared")
    return any((folder / f"{path}.py").is_file() or (folder / path / "__init__.py").is_file() for folder in folders)


def shown() -> Iterator[str]:
    """The full name of each thing in the reference."""
    for identifier, members in directives():
        if not is_module(identifier):
            yield identifier
            continue
        names = vars(importlib.import_module(identifier)) if members is None else members
        yield from (f"{identifier}.{name}" for name in names)


def test_what_the_reference_shows_is_there() -> None:
    """Each name can be imported from where the reference takes it."""
    for name in shown():
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_the_reference_shows_what_is_public() -> None:
    """Everything that a package hands on has its place there."""
    there = [importlib.import_module(name.rpartition(".")[0]).__dict__[name.rpartition(".")[2]] for name in shown()]
    missing = {
        f"{package.__name__}.{name}"
        for package in PACKAGES
        for name in package.__all__
        if not any(getattr(package, name) is thing for thing in there)
    }
    assert missing == set()


def public_errors() -> dict[str, type[SdkError]]:
    """Every error that a package hands on, by its name."""
    return {
        name: thing
        for package in PACKAGES
        for name in package.__all__
        if inspect.isclass(thing := getattr(package, name)) and issubclass(thing, SdkError)
    }


def test_the_page_on_errors_has_all_of_them() -> None:
    """Each class once, with the first words of its docstring as what happened."""
    rows = _ROW.findall(text_of(DOCS / "errors.md"))
    told = {name: (kind.__doc__ or "").partition("\n")[0] for name, kind in public_errors().items()}
    assert dict(rows) == told
    assert len(rows) == len(told)


def test_the_page_for_movers_has_every_operation() -> None:
    """Whatever REST resource somebody calls today, the page says what to call here."""
    listed = json.loads((ROOT / "tests" / "inventory" / "klicktipp.json").read_text(encoding="utf-8"))
    text = text_of(DOCS / "moving.md")
    there = {
        re.sub(r"\{\w+\}", "{id}", f"`{each['method']} {each['path']}`") for part in listed.values() for each in part
    }
    named = {f"`{each}`" for each in re.findall(r"(?:GET|POST|PUT|DELETE) /[\w/{}]+", text)}
    assert there - named == set()


@pytest.mark.anyio
async def test_the_page_on_operations_is_up_to_date() -> None:
    """It is what `python -m tests.docs.errors_by_operation` makes of the code as it is."""
    assert text_of(GENERATED) == await errors_by_operation.page()


def test_the_page_on_operations_has_every_method() -> None:
    """Each public method of each group, and of the listbuilding client."""
    text = text_of(GENERATED)
    methods = {
        method
        for name, client in clients().items()
        for method in (*own_methods(name, client), *nested(name, client))
        if method not in WITHOUT_ERRORS_OF_THEIR_OWN
    }
    assert {method for method in methods if f"`{method}`" not in text} == set()


def own_methods(name: str, client: object) -> Iterator[str]:
    """The methods of a client that are not those of every client."""
    yield from (f"{name}.{each}" for each in public_methods(client) if each not in vars(klickdoxie_core.ApiClient))


def public_methods(thing: object) -> list[str]:
    """The names of its methods."""
    return [name for name, _ in inspect.getmembers(type(thing), callable) if not name.startswith("_")]


def nested(path: str, thing: object) -> Iterator[str]:
    """The methods of the groups in a client or a group."""
    for name, group in vars(thing).items():
        if not name.startswith("_") and "resources" in type(group).__module__:
            yield from (f"{path}.{name}.{each}" for each in public_methods(group))
            yield from nested(f"{path}.{name}", group)
