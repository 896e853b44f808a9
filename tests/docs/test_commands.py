"""The commands that the documentation shows exist, with the options and extras that it gives them."""

from __future__ import annotations

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, PROGRAMS, ROOT, blocks_of, commands_in, name_of, text_of

OTHERS = {".", "export", "pip", "python", "read", "unset", "uvicorn"}
"""What else stands in a block of commands; not ours to check, but for what pip is to install."""
FOREIGN_OPTIONS = {"--factory", "--strict"}

_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_EXTRAS = re.compile(r"klickdoxie\[([\w,]+)\]")

SHOWN = [
    (name_of(page), command) for page in PAGES for block in blocks_of(page, "sh") for command in commands_in(block)
]


def inline(page: Path) -> list[str]:
    """What stands in backticks in the text of a page."""
    return _INLINE.findall(re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE))


NAMED = [
    (name_of(page), shlex.split(text))
    for page in PAGES
    for text in inline(page)
    if re.match(r"(klicktipp|doxie|nox) ", text) and "…" not in text
]


def sessions() -> set[str]:
    """The names of the sessions in the noxfile."""
    text = text_of(ROOT / "noxfile.py")
    found = re.findall(r'^@nox\.session(?:\(.*?(?:name="([\w-]+)")?.*?\))?\ndef (\w+)', text, re.MULTILINE)
    return {name or function for name, function in found}


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every option of a command and of those below it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options_of(below)


@pytest.mark.parametrize(("page", "command"), SHOWN + NAMED, ids=lambda part: part if isinstance(part, str) else "")
def test_a_command_exists(page: str, command: list[str]) -> None:
    """Its own parser takes it, with every option; a session of nox is in the noxfile."""
    program, *words = command
    if program in PROGRAMS:
        assert is_taken(PROGRAMS[program]._parser(), words), f"{page}: {shlex.join(command)}"
    elif program == "nox":
        assert words[0] == "-l" or (words[0] == "-s" and set(words[1:]) <= sessions()), page
    else:
        assert program in OTHERS, f"{page}: {program}"


def is_taken(parser: argparse.ArgumentParser, words: list[str]) -> bool:
    """Whether a parser takes these arguments, or they are no more than the name of a command."""
    if len(words) == 1 and not words[0].startswith("-"):
        return words[0] in command_names(parser)
    try:
        parser.parse_args(words)
    except SystemExit as refused:
        return refused.code == 0
    return True


def command_names(parser: argparse.ArgumentParser) -> set[str]:
    """The commands of a program."""
    groups = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {name for group in groups for name in group.choices}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_named_option_exists(page: Path) -> None:
    """No option in the text of a page is invented."""
    known = {option for program in PROGRAMS.values() for option in options_of(program._parser())}
    given = {text.split()[0].partition("=")[0] for text in inline(page) if text.startswith("--")}
    assert given - known - FOREIGN_OPTIONS == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_extra_exists(page: Path) -> None:
    """What is to be installed is what the package offers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {extra for extras in _EXTRAS.findall(text_of(page)) for extra in extras.split(",")}
    assert named <= project["optional-dependencies"].keys()


def test_every_extra_is_told_of() -> None:
    """The first page lists all of them, with what they bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: re.match(r"[\w-]+", needs[0]) for name, needs in project["optional-dependencies"].items()}
    rows = {f"| `{name}` | {brings[0]} |" for name, brings in extras.items() if brings}
    text = text_of(ROOT / "docs" / "index.md")
    assert {row for row in rows if row not in text} == set()
