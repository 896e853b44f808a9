"""Reasons in a few words that are the same for all of their rows, by their codes."""

from __future__ import annotations

from typing import Final, TypeAlias

Both: TypeAlias = tuple[str, str]
"""A text in English and in German."""

BRIEF: Final[dict[str, Both]] = {
    "cells_extra": ("the row has too many cells", "die Zeile hat zu viele Zellen"),
    "cells_missing": ("the row has too few cells", "die Zeile hat zu wenige Zellen"),
    "characters_invalid": ("characters that cannot be encoded", "nicht darstellbare Zeichen"),
    "contact_id_invalid": ("not the id of a contact", "keine ID eines Kontakts"),
    "crm_id_invalid": ("not an id of the CRM", "keine ID des CRM"),
    "date_invalid": ("not a date", "kein Datum"),
    "datetime_invalid": ("not a date with a time", "kein Datum mit Uhrzeit"),
    "decimal_invalid": ("not a number with two decimals", "keine Zahl mit zwei Nachkommastellen"),
    "duplicate": ("the same contact twice in the file", "derselbe Kontakt doppelt in der Datei"),
    "email_invalid": ("not an e-mail address", "keine E-Mail-Adresse"),
    "email_taken": (
        "the new address belongs to another contact",
        "die neue Adresse gehört zu einem anderen Kontakt",
    ),
    "field_invalid": ("a value that does not fit its data field", "ein Wert passt nicht in sein Datenfeld"),
    "in_doubt": ("in doubt since an earlier import", "seit einem früheren Import ungewiss"),
    "line_invalid": ("more than one line", "mehr als eine Zeile"),
    "no_address": ("neither e-mail address nor SMS number", "weder E-Mail-Adresse noch SMS-Nummer"),
    "no_identity": ("nothing says who it is", "nichts sagt, wer es ist"),
    "number_invalid": ("not a whole number", "keine ganze Zahl"),
    "other_crm_contact": (
        "the address belongs to another contact of the CRM",
        "die Adresse gehört zu einem anderen Kontakt des CRM",
    ),
    "other_values": (
        "the same contact twice in the file, with other values",
        "derselbe Kontakt doppelt in der Datei, mit anderen Werten",
    ),
    "same_contact": ("the same contact in KlickTipp twice", "derselbe Kontakt in KlickTipp doppelt"),
    "sms_damaged": ("a phone number that a spreadsheet damaged", "von einer Tabelle beschädigte Rufnummer"),
    "sms_invalid": ("not a phone number with its country", "keine Rufnummer mit Landesvorwahl"),
    "sms_shared": ("the SMS number of another row", "die SMS-Nummer einer anderen Zeile"),
    "tag_invalid": ("not the name of a tag", "kein Name eines Tags"),
    "tags_need_email": ("several tags, but no e-mail address", "mehrere Tags, aber keine E-Mail-Adresse"),
    "time_invalid": ("not a time", "keine Uhrzeit"),
    "unsubscribed": ("has unsubscribed", "hat sich abgemeldet"),
    "url_invalid": ("not a web address", "keine Webadresse"),
}
"""What the codes of reasons mean, in a few words for all of their rows."""
