"""E-mail addresses and phone numbers: their shape before they are sent, and how to compare two of them."""

from __future__ import annotations

import re
import unicodedata

from klicktipp_async.errors import ArgumentError

# The limit of RFC 5321 for an address on its way; everything stricter is left to the service.
_MAX_EMAIL = 254
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+@[^@\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
# Up to 15 digits by E.164, the "00" before them, and some room for extensions.
_DIGITS = re.compile(r"[0-9]{6,20}")
# Digits, and whatever people put between them.
_MAX_PHONE = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def normalise_phone(text: str) -> str:
    """The number as the service stores it, so that '+49 170 123-45' and '004917012345' compare equal.

    Spaces and punctuation go, and a leading '+' becomes '00'. Letters and everything else stay, so that
    what is no phone number does not turn into one.
    """
    kept = "".join(character for character in text if not _is_filler(character))
    return "00" + kept[1:] if kept.startswith("+") else kept


def _is_phone(text: str) -> bool:
    if len(text) > _MAX_PHONE or _CONTROL.search(text):
        return False
    return _DIGITS.fullmatch(normalise_phone(text)) is not None


def _is_filler(character: str) -> bool:
    # Contact lists put invisible direction marks (category Cf) around a number when it is copied.
    category = unicodedata.category(character)
    return category[0] in {"Z", "P"} or category == "Cf"


def is_email(text: str) -> bool:
    """Whether the text has the shape of an e-mail address; whether it exists, only the service can tell."""
    return len(text) <= _MAX_EMAIL and _EMAIL.fullmatch(text) is not None


def check_email(name: str, text: object) -> None:
    """Refuse what cannot be an e-mail address.

    Args:
        name: The argument that the error names.
        text: The address.

    Raises:
        ArgumentError: It has no '@' or several, nothing before or behind it, white space or control characters,
            or more than 254 characters.
    """
    if not isinstance(text, str) or not is_email(text):
        msg = (
            f"{name} must be an e-mail address: one '@' with something on both sides, "
            f"no white space, at most {_MAX_EMAIL} characters"
        )
        raise ArgumentError(msg)


def check_phone(name: str, text: object) -> None:
    """Refuse what cannot be a phone number.

    Args:
        name: The argument that the error names.
        text: The number, with or without spaces and punctuation.

    Raises:
        ArgumentError: Besides spaces and punctuation it is not 6 to 20 digits, or it has control characters.
    """
    if not isinstance(text, str) or not _is_phone(text):
        raise ArgumentError(f"{name} must be a phone number in international format, such as +49 or 0049 and so on")
