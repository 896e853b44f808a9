"""The words of the command line in English and German, and how numbers are written there."""

from __future__ import annotations

from collections.abc import Mapping

from klicktipp_async.crm.reasons import Language

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
    "new_tags": ("tags to be created", "Tags, die angelegt werden"),
    "nothing_sent": ("dry run: nothing was sent", "Probelauf: nichts wurde gesendet"),
    "planned": (
        "this is the plan, and it is kept: --apply carries it out; nothing was sent",
        "das ist der Plan, er bleibt aufgehoben: --apply führt ihn aus; nichts wurde gesendet",
    ),
    "why": ("why not", "warum nicht"),
    "why_left": ("why not yet", "warum noch nicht"),
    "row": ("row", "Zeile"),
    "reading": ("reading contacts", "Kontakte werden gelesen:"),
    "of": ("of", "von"),
    "slower": (
        "the service takes no more requests at a time: --rate N sends N a second at the most",
        "der Dienst nimmt nicht mehr Anfragen auf einmal: --rate N sendet höchstens N in der Sekunde",
    ),
    "changes": ("changes by field", "Änderungen je Feld"),
    "seconds": ("seconds", "Sekunden"),
    "errors": ("the rows that did not arrive are in", "die nicht angekommenen Zeilen stehen in"),
    "errors_replaced": (
        "the error file of an earlier run was replaced",
        "die Fehlerdatei eines früheren Laufs wurde ersetzt",
    ),
    "errors_removed": (
        "the error file of an earlier run was removed: nothing is wrong any more",
        "die Fehlerdatei eines früheren Laufs wurde entfernt: nichts ist mehr falsch",
    ),
    "settled": ("settled by an earlier run", "von einem früheren Lauf erledigt"),
    "report": ("what became of each row is in", "was aus jeder Zeile wurde, steht in"),
    "planned_in": ("what is planned for each row is in", "was für jede Zeile geplant ist, steht in"),
    "page": ("the plan to look at is in", "der Plan zum Ansehen steht in"),
    "stopped": ("stopped before the end", "vor dem Ende angehalten"),
    "unfinished": (
        "stopped before the end: the same command with --resume goes on",
        "vor dem Ende angehalten: derselbe Befehl mit --resume macht weiter",
    ),
    "unfinished_failed": (
        "stopped before the end: the same command with --resume goes on, with --retry-failed also with the failed rows",
        "vor dem Ende angehalten: derselbe Befehl macht mit --resume weiter, mit --retry-failed auch mit den "
        "fehlgeschlagenen Zeilen",
    ),
    "unfinished_nothing": (
        "stopped before the end, and nothing has arrived: once the cause is mended, the same command begins anew",
        "vor dem Ende angehalten, und nichts ist angekommen: Ist die Ursache behoben, beginnt derselbe Befehl von vorn",
    ),
    "plan_unfinished": (
        "stopped before the end of the plan, and nothing was sent: --plan --resume goes on",
        "vor dem Ende des Plans angehalten, nichts wurde gesendet: --plan --resume macht weiter",
    ),
    "doubt_kept": (
        "the rows in doubt are not sent again by themselves; --resume looks them up where that is possible",
        "die ungewissen Zeilen werden nicht von selbst noch einmal gesendet; --resume schlägt sie nach, wo es geht",
    ),
    "create": ("create", "anlegen"),
    "update": ("update", "ändern"),
    "change of address": ("change of address", "neue Adresse"),
    "unchanged": ("unchanged", "unverändert"),
    "skipped": ("skipped", "übersprungen"),
    "add or update": ("add or update", "anlegen oder ändern"),
    "done": ("imported", "importiert"),
    "created": ("created", "angelegt"),
    "updated": ("updated", "geändert"),
    "moved": ("got a new address", "bekamen eine neue Adresse"),
    "failed": ("failed", "fehlgeschlagen"),
    "duplicate": ("duplicates, not sent", "doppelt, nicht gesendet"),
    "unsubscribed": ("unsubscribed, left alone", "abgemeldet, unberührt"),
    "in_doubt": ("in doubt: sent, but without a clear answer", "ungewiss: gesendet, aber ohne klare Antwort"),
    "pending": ("not sent yet", "noch nicht gesendet"),
    "tags_created": ("tags created", "Tags angelegt"),
}


def word(name: str, language: Language) -> str:
    """A word or sentence by its name."""
    english, german = _WORDS[name]
    return german if language == "de" else english


def number(figure: float, language: Language, form: str = ",") -> str:
    """A number as the language writes it."""
    text = format(figure, form)
    return text.translate(_GERMAN) if language == "de" else text
