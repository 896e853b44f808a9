"""Columns, plans and summaries as texts for people and as values for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from klickdoxie_core.command_line import columns
from klickdoxie_core.entry import State
from klickdoxie_core.table import Table
from klickdoxie_core.table.overview import Fill, Overview
from klickdoxie_core.table.rejects import Fate
from klicktipp_async.commands.source import EVERYDAY
from klicktipp_async.commands.words import number, word
from klicktipp_async.crm import Action, SyncPlan, SyncReport, Target
from klicktipp_async.crm import Mapping as ColumnMapping
from klicktipp_async.crm.plan_page_texts import NAMES
from klicktipp_async.crm.reasons import Language, Reason
from klicktipp_async.crm.rows import WRITING

_OUTCOMES = {
    Action.UPSERT: "done",
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.CHANGE_ADDRESS: "moved",
    Action.UNCHANGED: "unchanged",
}
_ACTIONS = (*_OUTCOMES, Action.SKIPPED)
_ALWAYS = frozenset({"rows", "failed"})


@attrs.frozen(kw_only=True)
class Shown:
    """What is shown of a file before anything happens.

    Attributes:
        table: The file.
        overview: What reading it found.
        targets: What each column is mapped to, by its name in the header.
        opt_in_name: The name of the opt-in process; empty for the account's default.
    """

    table: Table
    overview: Overview
    targets: Mapping[str, str]
    opt_in_name: str

    @property
    def unmapped(self) -> list[str]:
        """The columns that nothing is done with."""
        return [name for name in self.table.header if name not in self.targets]

    def text(self, language: Language) -> str:
        """For people."""
        separator = word("tab", language) if self.table.separator == "\t" else repr(self.table.separator)
        lines = [
            f"{self.table.path.name}: {number(self.overview.rows, language)} {word('rows', language)}, "
            f"{self.table.encoding}, {word('separator', language)} {separator}",
            *(f"  {line}" for line in columns(self._rows(language)).split("\n")),
        ]
        if self.unmapped:
            lines.append(f"{word('columns_left_out', language)}: {', '.join(map(_in_one_line, self.unmapped))}")
        lines.append(f"{word('opt_in', language)}: {self.opt_in_name or word('default', language)}")
        return "\n".join(lines)

    def as_json(self) -> Mapping[str, object]:
        """For machines."""
        return {
            "event": "columns",
            "file": str(self.table.path),
            "encoding": self.table.encoding,
            "separator": self.table.separator,
            "rows": self.overview.rows,
            "columns": [
                {"column": name, "target": self.targets.get(name), "filled": fill.count, "looks_like": fill.samples}
                for name, fill in self._fills()
            ],
            "unmapped": self.unmapped,
            "opt_in": self.opt_in_name or None,
        }

    def _fills(self) -> list[tuple[str, Fill]]:
        return list(zip(self.table.header, self.overview.fills, strict=True))

    def _rows(self, language: Language) -> list[Sequence[str]]:
        head = [word(name, language) for name in ("column", "target", "filled", "looks")]
        rows = [
            (
                _in_one_line(name),
                self.targets.get(name) or word("left_out", language),
                number(fill.count / max(self.overview.rows, 1), language, ".1%"),
                "  ".join(fill.samples),
            )
            for name, fill in self._fills()
        ]
        return [head, *rows]


def targets(mapping: ColumnMapping, header: Sequence[str]) -> Mapping[str, str]:
    """What each column is mapped to, by its name in the header, where the mapping was checked against it."""
    told: dict[str, list[str]] = {}
    crm_column, crm_field = mapping.crm_id or (None, "")
    for column, target in (
        (mapping.email, "email"),
        (mapping.sms_number, "sms"),
        (mapping.contact_id, "id"),
        (crm_column, f"crm:{crm_field}"),
        *((column, "segments") for column in mapping.segments),
        *((column, "tags") for column in mapping.tags),
        *((column, _target(target)) for column, listed in mapping.fields.items() for target in listed),
    ):
        if column is not None:
            told.setdefault(_in_header(column, header), []).append(target)
    return {column: ", ".join(names) for column, names in told.items()}


def _in_header(name: str, header: Sequence[str]) -> str:
    """The column that a mapping names, which may write it in other letter case."""
    exact = [column for column in header if column.strip() == name.strip()]
    return (exact or [column for column in header if column.strip().casefold() == name.strip().casefold()])[0]


def _target(target: Target) -> str:
    return target.field if target.type is None else f"{target.field}:{target.type.name.lower()}"


def plan_text(plan: SyncPlan, language: Language, labels: Mapping[str, str]) -> str:
    """What is going to happen, for people; `labels` are those of the data fields, by their keys."""
    lines = [_line(plan.counts[action], action.value, language) for action in _ACTIONS if plan.counts[action]]
    if settled := sum(plan.counts[action] for action in WRITING) - plan.left:
        lines.append(_line(settled, "settled", language))
    lines += _causes("why", plan.causes, language)
    if plan.changes:
        told = (f"{_label(key, language, labels)} {number(n, language)}" for key, n in plan.changes.most_common())
        lines.append(f"{word('changes', language)}: {', '.join(told)}")
    if plan.new_tags:
        lines.append(f"{word('new_tags', language)}: {number(len(plan.new_tags), language)}")
        lines += [f"  + {name}" for name in plan.new_tags]
    return "\n".join(lines)


def plan_json(plan: SyncPlan) -> Mapping[str, object]:
    """The same for machines."""
    return {
        "event": "plan",
        "rows": plan.total,
        "left": plan.left,
        "actions": {action.name.lower(): plan.counts[action] for action in _ACTIONS},
        "reasons": dict(plan.reasons.most_common()),
        "causes": _causes_json(plan.causes),
        "changes": dict(plan.changes.most_common()),
        "new_tags": list(plan.new_tags),
    }


@attrs.frozen(kw_only=True)
class Summary:
    """How a job ended.

    Attributes:
        report: Its figures.
        tags_created: Tags that the account did not have before.
        seconds: How long the sending took.
        errors: The error file; None if every row arrived.
        earlier_errors: What was done with the error file of an earlier run; None if nothing was.
        rows_file: The report with every row; None if none was asked for.
        stopped: Why it stopped before its end; empty if it did not.
        limited: Whether that was because of too many requests.
    """

    report: SyncReport
    tags_created: int
    seconds: float
    errors: Path | None
    earlier_errors: Fate | None = None
    rows_file: Path | None
    stopped: str = ""
    limited: bool = False

    @property
    def failed(self) -> int:
        """Rows that were refused by the service, or were no good from the start."""
        report = self.report
        return report.failed + report.skipped - sum(report.reasons[code] for code in EVERYDAY)

    @property
    def troubled(self) -> bool:
        """Whether somebody must look at rows; duplicates and people who have unsubscribed are everyday."""
        return bool(self.failed or self.report.unknown)

    def figures(self) -> Mapping[str, int]:
        """How many rows ended how, by the name of the word for it."""
        report = self.report
        return {
            "rows": report.total,
            **{name: report.counts[action, State.DONE] for action, name in _OUTCOMES.items()},
            "failed": self.failed,
            **{code: report.reasons[code] for code in EVERYDAY},
            "in_doubt": report.unknown,
            "pending": report.left,
            "tags_created": self.tags_created,
        }

    def text(self, language: Language) -> str:
        """For people."""
        lines = [_line(n, name, language) for name, n in self.figures().items() if n or name in _ALWAYS]
        lines.append(f"{number(self.seconds, language, '.1f'):>9}  {word('seconds', language)}")
        lines += _causes("why", self.report.causes, language)
        lines += _causes("why_left", self.report.unsent, language)
        if self.errors:
            lines.append(f"{word('errors', language)} {self.errors}")
        if self.earlier_errors:
            lines.append(word(f"errors_{self.earlier_errors}", language))
        if self.rows_file:
            lines.append(f"{word('report', language)} {self.rows_file}")
        if self.limited:
            lines.append(word("slower", language))
        if self.report.left:
            lines.append(word(self._how_to_go_on, language))
        elif self.report.unknown:
            lines.append(word("doubt_kept", language))
        return "\n".join(lines)

    @property
    def _how_to_go_on(self) -> str:
        """The name of the sentence that tells what to do after a stop."""
        if not self.report.failed:
            return "unfinished"
        return "unfinished_failed" if self.report.arrived else "unfinished_nothing"

    def as_json(self) -> Mapping[str, object]:
        """For machines."""
        return {
            "event": "summary",
            **self.figures(),
            "reasons": dict(self.report.reasons.most_common()),
            "causes": _causes_json(self.report.causes),
            "stopped": self.stopped or None,
            "seconds": round(self.seconds, 3),
            "errors": str(self.errors) if self.errors else None,
            "earlier_errors": self.earlier_errors,
            "report": str(self.rows_file) if self.rows_file else None,
        }


def _line(count: int, name: str, language: Language) -> str:
    return f"{number(count, language):>9}  {word(name, language)}"


def _causes(name: str, causes: Counter[Reason], language: Language) -> list[str]:
    """A line for each cause, the most frequent first; none where there is nothing."""
    lines: list[str] = []
    for cause, count in causes.most_common():
        rows = word("row" if count == 1 else "rows", language)
        lines.append(f"  {cause.text(language).rstrip('.')}: {number(count, language)} {rows}")
    return [f"{word(name, language)}:", *lines] if lines else []


def _causes_json(causes: Counter[Reason]) -> Sequence[Mapping[str, object]]:
    return [
        {"code": cause.code, "column": cause.column, "reason": cause.english, "rows": count}
        for cause, count in causes.most_common()
    ]


def _label(key: str, language: Language, labels: Mapping[str, str]) -> str:
    """What people call a data field, the address or the number of a contact."""
    english, german = NAMES.get(key, (key, key))
    return labels.get(key, "").strip() or (german if language == "de" else english)


def _in_one_line(name: str) -> str:
    return " ".join(name.split())
