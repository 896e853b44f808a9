"""Why a row is not taken as it is, in English and German; a reason names a column and never a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import attrs

from klicktipp_async.crm.brief_reasons import BRIEF
from klicktipp_async.field_schema import FieldType

Language: TypeAlias = Literal["en", "de"]


@attrs.frozen
class Reason:
    """Why a row is not taken as it is.

    Attributes:
        code: A word that stays the same in every language, or the service's own number. A row with several faults has
            that of the first.
        english: The reason in English.
        german: The same in German.
        column: The column that is at fault; None where it is no single one.
        faults: Each fault of a row that has several; empty for a single one.
    """

    code: str
    english: str
    german: str
    column: str | None = None
    faults: tuple[Reason, ...] = ()

    def text(self, language: Language) -> str:
        """The reason in a language."""
        return self.german if language == "de" else self.english

    def in_brief(self) -> Iterator[Reason]:
        """Each fault in a few words that are the same for all of its rows, so that they can be counted together."""
        for fault in self.faults or (self,):
            english, german = BRIEF.get(fault.code, (fault.english, fault.german))
            before = f"{fault.column}: " if fault.column and fault.code in BRIEF else ""
            yield Reason(fault.code, before + english, before + german, fault.column)


def all_of(faults: Sequence[Reason]) -> Reason:
    """One reason that tells all faults of a row, each once."""
    first, *others = dict.fromkeys(faults)
    if not others:
        return first
    english, german = ("; ".join(fault.text(language) for fault in (first, *others)) for language in ("en", "de"))
    return Reason(first.code, english, german, first.column, (first, *others))


def cells_missing(found: int, wanted: int) -> Reason:
    """The row is shorter than the header."""
    return Reason(
        "cells_missing",
        f"the row has {found} cells, the header {wanted}",
        f"die Zeile hat {found} Zellen, die Kopfzeile {wanted}",
    )


def cells_extra(found: int, wanted: int) -> Reason:
    """The row is longer than the header; most often a separator stands in a text without quotation marks."""
    return Reason(
        "cells_extra",
        f"the row has {found} cells, the header only {wanted}; is a text with the separator in it not quoted?",
        f"die Zeile hat {found} Zellen, die Kopfzeile nur {wanted}; steht ein Trennzeichen in einem Text ohne "
        "Anführungszeichen?",
    )


def email_invalid(column: str) -> Reason:
    """The cell holds no e-mail address."""
    return Reason("email_invalid", f"{column}: not an e-mail address", f"{column}: keine E-Mail-Adresse", column)


def sms_invalid(column: str) -> Reason:
    """The cell holds no phone number that can be dialled from everywhere."""
    return Reason(
        "sms_invalid",
        f"{column}: not a phone number with its country, such as +49 … or 0049 …",
        f"{column}: keine Rufnummer mit Landesvorwahl wie +49 … oder 0049 …",
        column,
    )


def sms_damaged(column: str) -> Reason:
    """The cell was a phone number until a spreadsheet took it for a number to reckon with."""
    return Reason(
        "sms_damaged",
        f"{column}: the phone number was damaged by a spreadsheet: digits are rounded off, or the leading + or zeros "
        "are lost; export the column as text again",
        f"{column}: die Rufnummer wurde von einer Tabellenkalkulation beschädigt: Ziffern sind gerundet, oder das "
        "führende + oder Nullen fehlen; die Spalte noch einmal als Text ausgeben",
        column,
    )


def contact_id_invalid(column: str) -> Reason:
    """The cell holds neither the id of a contact nor a contact key."""
    return Reason(
        "contact_id_invalid",
        f"{column}: neither the id of a contact in KlickTipp nor a contact key",
        f"{column}: weder die ID eines Kontakts in KlickTipp noch ein Kontaktschlüssel",
        column,
    )


def crm_id_invalid(column: str) -> Reason:
    """The cell holds nothing by which the CRM could know the contact again."""
    return Reason(
        "crm_id_invalid",
        f"{column}: not an id of at most 250 characters in one line, or rounded off by a spreadsheet",
        f"{column}: keine ID von höchstens 250 Zeichen in einer Zeile, oder von einer Tabellenkalkulation gerundet",
        column,
    )


def characters_invalid(column: str) -> Reason:
    """The cell holds characters that no encoding can carry."""
    return Reason(
        "characters_invalid",
        f"{column}: characters that cannot be encoded; was the source read in another encoding?",
        f"{column}: nicht darstellbare Zeichen; wurde die Quelle mit einer anderen Kodierung gelesen?",
        column,
    )


def field_invalid(column: str, why: str) -> Reason:
    """The value of a program does not fit the type of its data field."""
    return Reason("field_invalid", f"{column}: {why}", f"{column}: passt nicht in das Datenfeld ({why})", column)


def form_invalid(column: str, kind: FieldType | None) -> Reason:
    """The text does not have the form that the type of its data field wants."""
    if kind is None or kind not in _FORMS:
        # Every other type takes any text that can be sent at all.
        return characters_invalid(column)
    english, german = _FORMS[kind]
    return Reason(f"{kind.name.lower()}_invalid", f"{column}: not {english}", f"{column}: {german}", column)


def tag_invalid(column: str) -> Reason:
    """The cell holds a name that no tag may have."""
    return Reason(
        "tag_invalid",
        f"{column}: the name of a tag is a mere number, longer than 250 characters or has more than one line",
        f"{column}: der Name eines Tags ist eine bloße Zahl, länger als 250 Zeichen oder hat mehrere Zeilen",
        column,
    )


_FORMS = {
    FieldType.LINE: ("a text of one line", "kein einzeiliger Text"),
    FieldType.EMAIL: ("an e-mail address", "keine E-Mail-Adresse"),
    FieldType.NUMBER: (
        "a whole number without a sign such as 1234 or 1.234",
        "keine ganze Zahl ohne Vorzeichen wie 1234 oder 1.234",
    ),
    FieldType.DECIMAL: (
        "a number with at most two decimals such as 1.234,50",
        "keine Zahl mit höchstens zwei Nachkommastellen wie 1.234,50",
    ),
    FieldType.URL: (
        "a web address that starts with http:// or https://",
        "keine Webadresse, die mit http:// oder https:// beginnt",
    ),
    FieldType.DATE: (
        "a date such as 24.12.1980 or 1980-12-24",
        "kein Datum wie 24.12.1980 oder 1980-12-24",
    ),
    FieldType.TIME: ("a time such as 14:30 or 14:30:15", "keine Uhrzeit wie 14:30 oder 14:30:15"),
    FieldType.DATETIME: (
        "a date with a time such as 24.12.2025 18:30 or 2025-12-24T18:30 in a known time zone",
        "kein Datum mit Uhrzeit wie 24.12.2025 18:30 oder 2025-12-24T18:30 in bekannter Zeitzone",
    ),
}

NO_IDENTITY = Reason(
    "no_identity",
    "nothing says who the contact is: its addresses and ids are all empty",
    "nichts sagt, wer der Kontakt ist: seine Adressen und IDs sind alle leer",
)

NO_ADDRESS = Reason(
    "no_address",
    "neither an e-mail address nor an SMS number",
    "weder E-Mail-Adresse noch SMS-Nummer",
)

TAGS_NEED_EMAIL = Reason(
    "tags_need_email",
    "a contact without an e-mail address can get one tag only",
    "ein Kontakt ohne E-Mail-Adresse kann nur ein Tag bekommen",
)

MARKED_DUPLICATE = Reason(
    "duplicate",
    "an earlier import found it to be a duplicate; empty the cell _state to import it all the same",
    "ein früherer Import fand die Zeile doppelt; zum Importieren die Zelle _state leeren",
)

MARKED_IN_DOUBT = Reason(
    "in_doubt",
    "an earlier import does not know whether the row arrived; empty the cell _state to import it all the same",
    "ein früherer Import weiß nicht, ob die Zeile angekommen ist; zum Importieren die Zelle _state leeren",
)


def duplicate_of(line: int) -> Reason:
    """The same row stands further up."""
    return Reason(
        "duplicate",
        f"the same contact as in line {line}, which was taken",
        f"derselbe Kontakt wie in Zeile {line}, die genommen wurde",
    )


def other_values(column: str, line: int) -> Reason:
    """A row further up means the same contact, and says something else of it."""
    return Reason(
        "other_values",
        f"{column}: the same as in line {line}, which was taken; other values differ",
        f"{column}: dasselbe wie in Zeile {line}, die genommen wurde; andere Werte weichen ab",
        column,
    )


def same_number(column: str, line: int) -> Reason:
    """A row further up means somebody else, who has the same SMS number."""
    return Reason(
        "sms_shared",
        f"{column}: the same SMS number as in line {line}, which was taken; a number belongs to one contact only",
        f"{column}: dieselbe SMS-Nummer wie in Zeile {line}, die genommen wurde; eine Nummer gehört nur einem Kontakt",
        column,
    )
