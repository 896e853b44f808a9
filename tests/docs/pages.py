"""The pages of the documentation, and a way to carry out what they show.

- A `python` block is run; the blocks of a page share their names and, where they await, their event loop.
- A block with a `title` is first of all a file of that name, in the folder that the page is run in.
- An `sh` block is read by other tests; one of our commands that is followed by its output is run.
- A `text` block directly behind a block that was run is what that printed; … stands for anything.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from doxie_async import cli as doxie_cli
from klicktipp_async import cli as klicktipp_cli

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = [*sorted(DOCS.rglob("*.md")), ROOT / "CONTRIBUTING.md"]
PROGRAMS: Final = {"klicktipp": klicktipp_cli, "doxie": doxie_cli}

_BLOCK = FencedCodeBlockLexer(language=".+")
_TITLE = re.compile(r'title="([^"]+)"')
_OUTPUT = re.compile(r"\s*^```text$", re.MULTILINE)
_CONTINUED = re.compile(r"\\\n\s*")


def name_of(page: Path) -> str:
    """The page as it is called in this project."""
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    """What stands in it."""
    return page.read_text(encoding="utf-8")


def blocks_of(page: Path, language: str) -> Iterator[str]:
    """The blocks in a language."""
    document = Document(text_of(page), str(page))
    for region in _BLOCK(document):
        if region.lexemes["language"].split()[0] == language:
            yield region.lexemes["source"].text


def commands_in(script: str) -> Iterator[list[str]]:
    """The commands in an `sh` block, word by word, without comments, variables and what a command is fed from."""
    for line in _CONTINUED.sub(" ", script).splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = next((place for place, word in enumerate(words) if word in {"&&", "|", "<", ">"}), len(words))
            command, words = words[:end], words[end + 1 :]
            while command and re.match(r"[A-Z_]+=", command[0]):
                command.pop(0)
            if command:
                yield command


class Runner:
    """Carries out a page: one namespace, one event loop for what awaits, what was printed last."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._module = ModuleType(re.sub(r"\W", "_", f"page_{page.stem}"))
        self._loop = asyncio.Runner()
        self._printed: str | None = None
        self._end = 0

    def run(self) -> None:
        """Carry out every block in its order."""
        # Where dataclasses and converters look for what an annotation names.
        sys.modules[self._module.__name__] = self._module
        try:
            with self._loop:
                for example in Sybil([self._parse]).parse(self._page).examples():
                    example.evaluate()
                # Connections that were closed last are gone only after some turns of the loop.
                for _ in range(5):
                    self._loop.run(asyncio.sleep(0))
        finally:
            del sys.modules[self._module.__name__]

    def _parse(self, document: Document) -> Iterable[Region]:
        for region in _BLOCK(document):
            region.parsed, region.evaluator = region.lexemes["source"], self._evaluate
            yield region

    def _evaluate(self, example: Example) -> None:
        info = example.region.lexemes["language"]
        if title := _TITLE.search(info):
            place = Path(title[1])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(example.parsed, encoding="utf-8")
        language = info.split()[0]
        if language == "text":
            self._compare(example)
        elif language == "python":
            self._printed = self._run_python(example)
        elif language == "sh":
            self._printed = self._run_commands(example)
        else:
            self._printed = None
        self._end = example.region.end

    def _run_python(self, example: Example) -> str:
        # Empty lines in front, so that a traceback names the line of the page.
        source = "\n" * example.line + example.parsed
        code = compile(source, str(self._page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            result: Any = eval(code, self._module.__dict__)
            if inspect.iscoroutine(result):
                self._loop.run(result)
        return said.getvalue()

    def _run_commands(self, example: Example) -> str | None:
        commands = list(commands_in(example.parsed))
        ours = all(program in PROGRAMS and words[:1] != ["sandbox"] for program, *words in commands)
        if not ours or not _OUTPUT.match(example.document.text, example.region.end):
            return None
        said = io.StringIO()
        for program, *words in commands:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                PROGRAMS[program].main(words)
        return said.getvalue()

    def _compare(self, example: Example) -> None:
        between = example.document.text[self._end : example.region.start]
        if self._printed is None or between.strip():
            return
        wanted = ".*?".join(re.escape(part) for part in str(example.parsed).rstrip().split("…"))
        matches = re.fullmatch(wanted, self._printed.rstrip(), re.DOTALL)
        assert matches, f"line {example.line} of {name_of(self._page)} promises another output:\n{self._printed}"
