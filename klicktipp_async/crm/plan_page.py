"""A plan as one HTML page for who has to say yes: figures first, then why, then the rows; it loads nothing."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

import attrs

from klickdoxie_core.entry import State
from klickdoxie_core.journal import Journal
from klickdoxie_core.whole_file import whole_file
from klicktipp_async.crm import plan_page_parts as parts
from klicktipp_async.crm.brief_reasons import Both
from klicktipp_async.crm.plan_page_facts import Digest
from klicktipp_async.crm.plan_page_texts import escaped, moment, number
from klicktipp_async.crm.reasons import Language
from klicktipp_async.crm.report import SyncPlan
from klicktipp_async.crm.rows import plan_of
from klicktipp_async.errors import ConfigError

_MARK: Final = b'<meta name="generator" content="klicktipp plan">'
_HEAD: Final = 1 << 10
_ROWS_HERE: Final = "<!-- rows -->\n"
_ROWS_OF_A_REASON: Final = 250
_ROWS: Final = 2000


@attrs.frozen(kw_only=True)
class Page:
    """What a page shows.

    Attributes:
        plan: The figures.
        title: What the rows are from, such as the name of a file.
        language: The language that is shown at first; None for that of the browser.
        opt_in_name: The opt-in process of new contacts; empty for the account's own.
        fields: The labels of the account's data fields, by key.
        digest: What the rows say together.
    """

    plan: SyncPlan
    title: str
    language: Language | None
    opt_in_name: str
    fields: Mapping[str, str]
    digest: Digest


def check_page(path: Path, others: Iterable[Path] = ()) -> None:
    """Raise ConfigError if the page would take the place of something else than an earlier one.

    Args:
        path: Where it is to be written.
        others: Files that the same job reads or writes.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is not a folder, so that no page can be written there")
    if path.resolve() in {other.resolve() for other in others}:
        raise ConfigError(f"{path} is a file of the same job; give the page another name")
    if path.exists() and not _is_page(path):
        raise ConfigError(f"{path} exists and is not the page of an earlier plan; give the page another name")


async def write_page(path: Path, page: Page, journal: Journal) -> None:
    """Write the page; rows go from the open journal straight into the file, which gets its name when it is whole.

    Raises:
        OSError: The file cannot be written; one that was there is as it was.
    """
    listed = _listed(page.plan.reasons)
    head, tail = Template(_read("plan_page.html")).substitute(_values(page, listed)).split(_ROWS_HERE, 1)
    with whole_file(path) as file:
        file.write(head)
        async for row in _rows(journal, listed):
            file.write(row)
        file.write(tail)


async def _rows(journal: Journal, listed: Mapping[str, int]) -> AsyncIterator[str]:
    """The first rows of each reason, so that none of them hides the others."""
    left = Counter(listed)
    async with aclosing(journal.entries(State.SKIPPED)) as entries:
        async for entry in entries:
            plan = plan_of(entry)
            if plan.reason is not None and left[plan.reason.code]:
                left[plan.reason.code] -= 1
                yield parts.row(plan, plan.reason)
                if not left.total():
                    return


def _listed(reasons: Counter[str]) -> dict[str, int]:
    """How many rows of each reason stand on the page."""
    listed: dict[str, int] = {}
    left = _ROWS
    for code, count in reversed(reasons.most_common()):
        listed[code] = min(count, _ROWS_OF_A_REASON, left)
        left -= listed[code]
    return listed


def _values(page: Page, listed: Mapping[str, int]) -> dict[str, str]:
    """What stands in the places of the template; whatever comes from a file or the account is escaped."""
    plan, digest = page.plan, page.digest
    style, script = _read("plan_page.css"), _read("plan_page.js")
    german = page.language == "de"
    return {
        "lang": "de" if german else "en",
        "language": page.language or "browser",
        "german": " checked" if german else "",
        "english": "" if german else " checked",
        "style": style,
        "script": script,
        "policy": _policy(style, script),
        "title": escaped(page.title or "KlickTipp", 120),
        "lead": parts.lead(plan),
        "tiles": parts.tiles(plan),
        "proportions": parts.proportions(plan),
        "notices": parts.notices(plan, page.opt_in_name),
        "why": parts.why(plan.reasons, digest.reasons),
        "why_hidden": _hidden(plan.reasons),
        "changes": parts.changes(plan.changes, page.fields, digest.examples),
        "changes_hidden": _hidden(plan.changes),
        "tags": parts.tags(digest.tags),
        "tags_hidden": _hidden(digest.tags),
        "tags_note": parts.tags_note(plan, digest.tags, digest.touched),
        "rows_hidden": _hidden(listed),
        "rows_note": parts.rows_note(plan.reasons.total(), sum(listed.values())),
        **_in_both("listed", number(sum(listed.values()))),
        **_in_both("made", moment(time.time())),
    }


def _in_both(name: str, text: Both) -> dict[str, str]:
    return {f"{name}_en": text[0], f"{name}_de": text[1]}


def _hidden(shown: object) -> str:
    return "" if shown else " hidden"


def _policy(style: str, script: str) -> str:
    """Nothing is loaded and nothing is run but these two, by their digests."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return resources.files("klicktipp_async.crm").joinpath(name).read_text(encoding="utf-8")


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _MARK in file.read(_HEAD)
