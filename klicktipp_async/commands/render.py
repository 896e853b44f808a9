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
from klicktipp_async.crm.reasons import Language
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


def plan_text(plan: SyncPlan, language: Language) -> str:
    """What is going to happen, for people."""
    lines = [_line(plan.counts[action], action.value, language) for action in _ACTIONS if plan.counts[action]]
    if settled := sum(plan.counts[action] for action in WRITING) - plan.left:
        lines.append(_line(settled, "settled", language))
    lines += _counted("why", plan.reasons, language)
    lines += _counted("changes", plan.changes, language)
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
    """

    report: SyncReport
    tags_created: int
    seconds: float
    errors: Path | None
    earlier_errors: Fate | None = None
    rows_file: Path | None

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
        lines += _counted("why", self.report.reasons, language)
        if self.errors:
            lines.append(f"{word('errors', language)} {self.errors}")
        if self.earlier_errors:
            lines.append(word(f"errors_{self.earlier_errors}", language))
        if self.rows_file:
            lines.append(f"{word('report', language)} {self.rows_file}")
        if self.report.left:
            lines.append(word("unfinished", language))
        elif self.report.unknown:
            lines.append(word("doubt_kept", language))
        return "\n".join(lines)

    def as_json(self) -> Mapping[str, object]:
        """For machines."""
        return {
            "event": "summary",
            **self.figures(),
            "reasons": dict(self.report.reasons.most_common()),
            "seconds": round(self.seconds, 3),
            "errors": str(self.errors) if self.errors else None,
            "earlier_errors": self.earlier_errors,
            "report": str(self.rows_file) if self.rows_file else None,
        }


def _line(count: int, name: str, language: Language) -> str:
    return f"{number(count, language):>9}  {word(name, language)}"


def _counted(name: str, counts: Counter[str], language: Language) -> list[str]:
    """A line with what is counted, the most frequent first; none where there is nothing."""
    told = ", ".join(f"{what} {number(count, language)}" for what, count in counts.most_common())
    return [f"{word(name, language)}: {told}"] if told else []


def _in_one_line(name: str) -> str:
    return " ".join(name.split())
