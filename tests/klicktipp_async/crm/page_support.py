"""A page as a reader meets it, and a plan in which every name and value is out to do harm."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs

from klicktipp_async import FieldType, KlickTipp
from klicktipp_async.crm import ContactSync, Mapping
from klicktipp_async.crm.reasons import Language
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import CRM_FIELD, add, make_sync

VOID = {"meta", "input"}
HOSTILE = (
    "<script>document.title='gone'</script>",
    '"onmouseover="document.title=1" x="',
    "'><img src=x onerror=document.title=2>",
    "</script></style></title><svg/onload=alert(3)>",
    "javascript:document.title=4",
    "<!-- rows --> $title ${script} {} {0} %s",
    "=HYPERLINK(1)",
    "\u202etxt.exe\u2066\u200f",
    "👩‍👩‍👧 Ünï",
    "A" * 240,
)
"""Each is a name that the service takes for a tag, a field or a column."""
VALUES = (*HOSTILE, "\x00\x1b[31m\x7f", "x" * 10_000, "zwei\r\nZeilen", "\u2028<b>")
"""Each is a value that a data field may hold."""


@attrs.define
class Row:
    """A row that the page lists."""

    code: str
    cells: list[str] = attrs.field(factory=list[str])
    hidden: bool = False


class Parsed(HTMLParser):
    """A page taken apart, in one of its languages; raises AssertionError where elements are not closed in order."""

    def __init__(self, html: str, language: Language = "en") -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[Row] = []
        self.raw: dict[str, str] = {"style": "", "script": ""}
        self.comments: list[str] = []
        self._other = "de" if language == "en" else "en"
        self._open: list[tuple[str, bool]] = []
        self._texts: list[str] = []
        self._in_cell = False
        self.feed(html)
        self.close()
        assert not self._open

    @property
    def text(self) -> str:
        """What is read in the language, each piece in a line of its own."""
        return "".join(self._texts).replace("\n", " ").replace("\x1f", "\n")

    @property
    def lines(self) -> list[str]:
        """The pieces without the blanks around them."""
        return [" ".join(line.split()) for line in self.text.split("\n") if line.strip()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, tuple(given)))
        self.attributes += given.items()
        if tag in {"tr", "th", "td", "dt", "dd", "li", "p", "h1", "h2", "label", "section"}:
            self._texts.append("\x1f")
        if tag == "tr" and "data-code" in given:
            self.rows.append(Row(given["data-code"], hidden="hidden" in given))
        if tag == "td" and self.rows:
            self._in_cell = True
            self.rows[-1].cells.append("")
        if tag not in VOID:
            quiet = tag in {"style", "script", "title", "label"} or given.get("lang") == self._other
            self._open.append((tag, quiet or any(it[1] for it in self._open)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without contents."""
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        opened, _ = self._open.pop()
        assert opened == tag
        self._in_cell = self._in_cell and tag != "td"

    def handle_data(self, data: str) -> None:
        """Keep what is shown, and what style and script hold."""
        tag, quiet = self._open[-1] if self._open else ("", False)
        if tag in self.raw:
            self.raw[tag] += data
        if quiet:
            return
        self._texts.append(data)
        if self._in_cell:
            self.rows[-1].cells[-1] += ("|" if tag == "bdi" and self.rows[-1].cells[-1] else "") + data

    def handle_comment(self, data: str) -> None:
        """Keep the comment."""
        self.comments.append(data)


async def page(sync: ContactSync, path: Path, *, language: Language = "en", title: str = "crm.csv") -> Parsed:
    """The page of a sync's plan."""
    await sync.write_page(path, language=language, title=title)
    return parsed(path, language)


def parsed(path: Path, language: Language = "en") -> Parsed:
    """A page that was written."""
    return Parsed(path.read_text(encoding="utf-8"), language)


async def trapped(box: Sandbox, kt: KlickTipp, names: tuple[str, ...], values: tuple[str, ...]) -> ContactSync:
    """A sync with a plan in which columns, labels, tags, ids and the opt-in process have these names."""
    opt_in = box.add_opt_in(names[0], single=True)
    assert box.add_field("CRM-Kennung") == CRM_FIELD
    keys = [box.add_field(name, FieldType.PARAGRAPH) for name in names]
    fields = dict(zip((f"c{name}" for name in names), keys, strict=True))
    mapping = Mapping(
        email="Mail",
        crm_id=("Nr", "CRM-Kennung"),
        fields=fields,
        segments=["Segmente"],
        tags=["Tags"],
        tag_separators="\x07",
    )
    sync = make_sync(box, kt, mapping=mapping, opt_in_id=opt_in)
    for number, value in enumerate(values):
        add(box, f"k{number}@example.com", *names[:2], **{CRM_FIELD: f"K-{number}", keys[number % len(keys)]: value})
    await sync.plan(list(_rows(list(fields), names, values)))
    return sync


def _rows(columns: list[str], names: tuple[str, ...], values: tuple[str, ...]) -> Any:
    for number, value in enumerate(values):
        row = {"Nr": f"K-{number}", "Mail": f"k{number}@example.com", "Tags": "\x07".join(names)}
        yield row | {columns[number % len(columns)]: f"neu {value}"[: len(value)], "Segmente": "Kunde"}
    for number, name in enumerate(names):
        # The second of each is a duplicate, under the id that the name is.
        for mail in (f"n{number}@example.com", f"m{number}@example.com"):
            yield {"Nr": name, "Mail": mail}
    # Reasons name columns.
    yield {"Mail": "x@example.com", "Tags": "1", columns[0]: "y"}
