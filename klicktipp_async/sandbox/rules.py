"""What the service accepts as a value, and the form in which it keeps it. No state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from klicktipp_async.field_schema import FieldType
from klicktipp_async.sandbox.texts import Text

STANDARD_FIELDS: Final[Mapping[str, tuple[str, FieldType]]] = {
    "fieldFirstName": ("Vorname", FieldType.LINE),
    "fieldLastName": ("Nachname", FieldType.LINE),
    "fieldCompanyName": ("Firma", FieldType.LINE),
    "fieldStreet1": ("Straße 1", FieldType.LINE),
    "fieldStreet2": ("Straße 2", FieldType.LINE),
    "fieldCity": ("Stadt", FieldType.LINE),
    "fieldState": ("Bundesland", FieldType.LINE),
    "fieldZip": ("Postleitzahl", FieldType.LINE),
    "fieldCountry": ("Land", FieldType.LINE),
    "fieldPrivatePhone": ("Telefon (privat)", FieldType.LINE),
    "fieldMobilePhone": ("Telefon (mobil)", FieldType.LINE),
    "fieldPhone": ("Telefon", FieldType.LINE),
    "fieldFax": ("Fax", FieldType.LINE),
    "fieldWebsite": ("Webseite", FieldType.URL),
    "fieldBirthday": ("Geburtstag", FieldType.DATE),
    "fieldLeadValue": ("Leadwert", FieldType.NUMBER),
}
"""Key to label and type of the fields that every account has."""

_PHONES = frozenset({"fieldPrivatePhone", "fieldMobilePhone", "fieldPhone", "fieldFax"})

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_TIMESTAMP = re.compile(r"-?[0-9]{1,11}")
_ACCEPTED: Mapping[FieldType, tuple[re.Pattern[str], Text]] = {
    FieldType.LINE: (re.compile(r"[^\r\n]*"), Text.NOT_ONE_LINE),
    FieldType.EMAIL: (_EMAIL, Text.NOT_EMAIL),
    FieldType.NUMBER: (re.compile(r"[0-9]+"), Text.NOT_NUMBER),
    FieldType.DECIMAL: (re.compile(r"-?[0-9]+"), Text.NOT_NUMBER),
    FieldType.URL: (re.compile(r"https?://\S+"), Text.NOT_URL),
    FieldType.TIME: (re.compile(r"[0-7]?[0-9]{1,4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}"), Text.NOT_TIME),
    FieldType.DATE: (_TIMESTAMP, Text.NOT_TIMESTAMP),
    FieldType.DATETIME: (_TIMESTAMP, Text.NOT_TIMESTAMP),
}

_MAX_TAG_NAME = 250
_SEPARATORS = re.compile(r"[\s()/.-]+")
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})")


class InvalidValue(Exception):
    """A field does not accept a value; `reason` says why."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason)
        self.reason = reason


def stored(key: str, kind: FieldType, value: object) -> str:
    """The text that is kept for a value; an empty one clears the field."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise InvalidValue(Text.NOT_PLAIN)
    text = "" if value is None else str(value)
    if not text:
        return text
    if kind in _ACCEPTED:
        pattern, reason = _ACCEPTED[kind]
        if not pattern.fullmatch(text):
            raise InvalidValue(reason)
    if kind is FieldType.DECIMAL:
        return _hundredths(text)
    return _phone(text) if key in _PHONES else text


def is_email(text: str) -> bool:
    """Whether the service takes it for an e-mail address."""
    return bool(_EMAIL.fullmatch(text))


def is_tag_name(text: str) -> bool:
    """Whether a tag may have this name: not empty, not too long, more than digits."""
    return bool(text.strip()) and len(text) <= _MAX_TAG_NAME and not text.isdecimal()


def sms_number(text: str) -> str | None:
    """The number with the leading zeros that the service keeps; None for what is no international number."""
    found = _INTERNATIONAL.fullmatch(_SEPARATORS.sub("", text))
    return f"00{found[1]}" if found else None


def _hundredths(text: str) -> str:
    """A decimal comes in times a hundred and goes out with a dot."""
    sign = "-" if text.startswith("-") else ""
    digits = text.removeprefix("-").zfill(3)
    return f"{sign}{int(digits[:-2])}.{digits[-2:]}"


def _phone(text: str) -> str:
    """A phone field is no SMS number: what cannot be read as a number stays as it was written."""
    digits = _SEPARATORS.sub("", text).removeprefix("+")
    if not digits.isdecimal():
        return text
    return digits if digits.startswith("0") else f"00{digits}"
