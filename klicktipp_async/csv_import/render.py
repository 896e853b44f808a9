"""Plans and summaries as texts for people and as values for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from klickdoxie_core import command_line
from klicktipp_async.csv_import.mapping import ColumnMap
from klicktipp_async.csv_import.reasons import Language
from klicktipp_async.csv_import.report import Summary
from klicktipp_async.csv_import.run import Plan
from klicktipp_async.csv_import.survey import Fill
from klicktipp_async.csv_import.triage import State

_GERMAN = str.maketrans(",.", ".,")
_WORDS: Mapping[str, tuple[str, str]] = {
    "rows": ("rows", "Zeilen"),
    "separator": ("separator", "Trennzeichen"),
    "tab": ("tab", "Tabulator"),
    "opt_in": ("opt-in process", "Opt-in-Prozess"),
    "default": ("the account's own double opt-in", "das eigene Double-Opt-in des Kontos"),
    "column": ("column", "Spalte"),
    "target": ("target", "Ziel"),
    "filled": ("filled", "gefüllt"),
    "looks": ("looks like", "sieht aus wie"),
    "left_out": ("NOT IMPORTED", "NICHT IMPORTIERT"),
    "columns_left_out": ("columns that are not imported", "Spalten, die nicht importiert werden"),
    "tags": ("tags", "Tags"),
    "new": ("new", "neu"),
    "valid": ("valid", "gültig"),
    "invalid": ("invalid", "ungültig"),
    "nothing_sent": ("dry run: nothing was sent", "Probelauf: nichts wurde gesendet"),
    State.IMPORTED.value: ("imported", "importiert"),
    State.FAILED.value: ("failed", "fehlgeschlagen"),
    State.DUPLICATE.value: ("duplicates, not sent", "doppelt, nicht gesendet"),
    State.IN_DOUBT.value: ("in doubt: sent, but without a clear answer", "ungewiss: gesendet, aber ohne klare Antwort"),
    "why": ("why not", "warum nicht"),
    "tags_created": ("tags created", "Tags angelegt"),
    "seconds": ("seconds", "Sekunden"),
    "rate": ("rows a second", "Zeilen pro Sekunde"),
    "errors": ("the rows that were not imported are in", "die nicht importierten Zeilen stehen in"),
    "interrupted": (
        "broken off: the rows after these were not sent and are in no file",
        "abgebrochen: die Zeilen danach wurden nicht gesendet und stehen in keiner Datei",
    ),
    "stopped": ("given up", "aufgegeben"),
}


def plan_text(plan: Plan, language: Language) -> str:
    """What is going to happen: the file, each column with its target, the opt-in process, tags and counts of rows."""
    table, found = plan.table, plan.survey
    separator = _word("tab", language) if table.separator == "\t" else repr(table.separator)
    lines = [
        f"{table.path.name}: {_number(found.rows, language)} {_word('rows', language)}, {table.encoding}, "
        f"{_word('separator', language)} {separator}",
        *(f"  {line}" for line in command_line.columns(_column_rows(plan, language)).split("\n")),
    ]
    if plan.rules.columns.unmapped:
        lines.append(f"{_word('columns_left_out', language)}: {', '.join(plan.rules.columns.unmapped)}")
    lines.append(f"{_word('opt_in', language)}: {plan.opt_in_name or _word('default', language)}")
    if found.tags:
        lines.append(_counted({"tags": len(found.tags), "new": len(plan.new_tags)}, language))
        lines += [f"  + {name}" for name in plan.new_tags]
    counts = {"valid": found.valid, "invalid": found.invalid.total(), State.DUPLICATE.value: found.duplicates}
    lines.append(f"{_word('rows', language)}: {_counted(counts, language)}")
    lines += [f"  {code}: {_number(count, language)}" for code, count in found.invalid.most_common()]
    return "\n".join(lines)


def plan_json(plan: Plan) -> Mapping[str, object]:
    """The same for a machine."""
    found = plan.survey
    return {
        "file": str(plan.table.path),
        "encoding": plan.table.encoding,
        "separator": plan.table.separator,
        "columns": [
            {"column": column.column, "target": column.target, "filled": found.fills[column.place].count}
            for column in plan.rules.columns.assignments
        ],
        "unmapped": list(plan.rules.columns.unmapped),
        "rows": found.rows,
        "valid": found.valid,
        "invalid": dict(found.invalid.most_common()),
        "duplicate": found.duplicates,
        "tags": list(found.tags),
        "new_tags": list(plan.new_tags),
    }


def dry_run_text(language: Language) -> str:
    """That nothing was sent."""
    return _word("nothing_sent", language)


def summary_text(summary: Summary, language: Language) -> str:
    """How an import ended."""
    figures = {"rows": summary.rows, **{state.value: summary.states[state] for state in State}}
    figures["tags_created"] = summary.tags_created
    lines = [f"{_number(figure, language):>9}  {_word(name, language)}" for name, figure in figures.items()]
    lines.append(
        f"{_number(summary.seconds, language, '.1f'):>9}  {_word('seconds', language)} "
        f"({_number(summary.rate, language, ',.0f')} {_word('rate', language)})"
    )
    if summary.codes:
        reasons = ", ".join(f"{code} {_number(count, language)}" for code, count in summary.codes.most_common())
        lines.append(f"{_word('why', language)}: {reasons}")
    if summary.interrupted:
        lines.append(_word("interrupted", language))
    if summary.stopped:
        lines.append(f"{_word('stopped', language)}: {summary.stopped}")
    if summary.errors:
        lines.append(f"{_word('errors', language)} {summary.errors}")
    return "\n".join(lines)


def _word(name: str, language: Language) -> str:
    english, german = _WORDS[name]
    return german if language == "de" else english


def _number(number: float, language: Language, form: str = ",") -> str:
    text = format(number, form)
    return text.translate(_GERMAN) if language == "de" else text


def _counted(counts: Mapping[str, int], language: Language) -> str:
    return ", ".join(f"{_number(count, language)} {_word(name, language)}" for name, count in counts.items())


def _column_rows(plan: Plan, language: Language) -> list[Sequence[str]]:
    head = [_word(name, language) for name in ("column", "target", "filled", "looks")]
    columns = plan.rules.columns
    rows = [
        (
            " ".join(name.split()),
            _targets(columns, place) or _word("left_out", language),
            *_filled(fill, plan.survey.rows, language),
        )
        for place, (name, fill) in enumerate(zip(plan.table.header, plan.survey.fills, strict=True))
    ]
    return [head, *rows]


def _targets(columns: ColumnMap, place: int) -> str:
    return ", ".join(column.target for column in columns.assignments if column.place == place)


def _filled(fill: Fill, rows: int, language: Language) -> tuple[str, str]:
    return _number(fill.count / max(rows, 1), language, ".1%"), "  ".join(fill.samples)
