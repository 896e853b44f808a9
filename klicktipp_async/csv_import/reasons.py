"""Why a row was not imported, in English and German."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

Language: TypeAlias = Literal["en", "de"]


@attrs.frozen
class Reason:
    """Why a row was not imported.

    Attributes:
        code: A word that stays the same in every language, or the service's own number.
        english: The reason in English.
        german: The same in German.
    """

    code: str
    english: str
    german: str

    def text(self, language: Language) -> str:
        """The reason in a language."""
        return self.german if language == "de" else self.english


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
    return Reason("email_invalid", f"{column}: not an e-mail address", f"{column}: keine E-Mail-Adresse")


def sms_invalid(column: str) -> Reason:
    """The cell holds no phone number that can be dialled from everywhere."""
    return Reason(
        "sms_invalid",
        f"{column}: not a phone number with its country, such as +49 … or 0049 …",
        f"{column}: keine Rufnummer mit Landesvorwahl wie +49 … oder 0049 …",
    )


def field_invalid(column: str, why: str) -> Reason:
    """The cell does not fit the type of its data field."""
    return Reason("field_invalid", f"{column}: {why}", f"{column}: passt nicht in das Datenfeld ({why})")


def form_invalid(column: str, form: str) -> Reason:
    """The cell does not have the form that the mapping promises."""
    english, german = _FORMS[form]
    return Reason(f"{form}_invalid", f"{column}: not {english}", f"{column}: {german}")


_FORMS = {
    "date": (
        "a date such as 24.12.1980 or 1980-12-24",
        "kein Datum wie 24.12.1980 oder 1980-12-24",
    ),
    "datetime": (
        "a date with a time such as 24.12.2025 18:30 or 2025-12-24T18:30 in a known time zone",
        "kein Datum mit Uhrzeit wie 24.12.2025 18:30 oder 2025-12-24T18:30 in bekannter Zeitzone",
    ),
    "decimal": (
        "a number with at most two decimals such as 1.234,50",
        "keine Zahl mit höchstens zwei Nachkommastellen wie 1.234,50",
    ),
}

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

TAG_INVALID = Reason(
    "tag_invalid",
    "the name of a tag is a mere number or longer than 250 characters",
    "der Name eines Tags ist eine bloße Zahl oder länger als 250 Zeichen",
)

MARKED_DUPLICATE = Reason(
    "duplicate",
    "an earlier import found it to be a duplicate; empty the cell _state to import it all the same",
    "ein früherer Import fand die Zeile doppelt; zum Importieren die Zelle _state leeren",
)

INTERRUPTED = Reason(
    "interrupted",
    "the import was broken off while this row was under way; it may have arrived",
    "der Import wurde abgebrochen, während diese Zeile unterwegs war; sie ist vielleicht angekommen",
)


def duplicate_of(line: int) -> Reason:
    """The same address stands further up."""
    return Reason(
        "duplicate",
        f"the same address as in line {line}, which was taken",
        f"dieselbe Adresse wie in Zeile {line}, die genommen wurde",
    )


def tags_missing(why: Reason) -> Reason:
    """The contact is there, its further tags are not."""
    return Reason(
        why.code,
        f"the contact was imported, but not all of its tags were set: {why.english}",
        f"der Kontakt wurde importiert, aber nicht jedes seiner Tags gesetzt: {why.german}",
    )
