"""What a mapping is made of: the fields that columns go to, the prefix of managed tags, and what is wrong with it."""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterable
from typing import Final, cast

import attrs

from klicktipp_async.errors import ArgumentError, ConfigError
from klicktipp_async.field_schema import FieldType

TAG_SEPARATORS: Final = ",|"
"""The characters that part names in a cell unless the mapping names others."""

_COUNTRY = re.compile(r"[1-9][0-9]{0,2}")
_TYPES = {kind.name.lower(): kind for kind in FieldType} | {kind.value: kind for kind in FieldType}


class MappingError(ConfigError):
    """Columns cannot be mapped as asked for; the text lists every problem, and nothing was sent."""


class Collision(enum.StrEnum):
    """Which value stays when the CRM and KlickTipp differ. `NEVER` sets it when the contact is created, not later."""

    OVERWRITE = "overwrite"
    ONLY_IF_EMPTY = "only-if-empty"
    NEVER = "never"


def field_type(word: object) -> FieldType:
    """The type that a word means: the vendor's `field-decimal` or the short `decimal`; raises ArgumentError."""
    found = _TYPES.get(str(word))
    if found is None:
        raise ArgumentError(f"type must be one of {', '.join(kind.name.lower() for kind in FieldType)}")
    return found


def collision(word: object) -> Collision:
    """The collision that a word means; raises ArgumentError."""
    try:
        return Collision(str(word))
    except ValueError:
        raise ArgumentError(f"collision must be one of {', '.join(Collision)}") from None


def field_name(name: object) -> str:
    """The name of a data field without the blanks around it; raises ArgumentError for anything but a text."""
    if not isinstance(name, str) or not name.strip():
        raise ArgumentError("field must be the key or the label of a data field")
    return name.strip()


def yes_or_no(flag: object) -> bool:
    """The value of `clear_if_empty`; raises ArgumentError for anything but a bool."""
    if not isinstance(flag, bool):
        raise ArgumentError("clear_if_empty must be true or false")
    return flag


def _optional_type(word: FieldType | str | None) -> FieldType | None:
    return None if word is None else field_type(word)


def _known_collision(word: Collision | str) -> Collision:
    return collision(word)


def _field_name(name: str) -> str:
    return field_name(name)


@attrs.frozen(kw_only=True)
class Target:
    """A data field that a column goes to.

    Attributes:
        field: Its key, with or without the prefix `field`, or its label.
        type: What it holds, as a `FieldType`, the vendor's word or a short one such as `decimal`. None takes what is
            known of the standard fields, and texts as they stand for every other.
        collision: Which value stays when the contact has another one.
        clear_if_empty: An empty cell empties the field. Otherwise it leaves the stored value alone.

    Raises:
        ArgumentError: The field has no name, or a word is not known.
    """

    field: str = attrs.field(converter=_field_name)
    type: FieldType | None = attrs.field(default=None, converter=_optional_type)
    collision: Collision = attrs.field(default=Collision.OVERWRITE, converter=_known_collision)
    clear_if_empty: bool = False


def _check_prefix(_segments: object, _attribute: object, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or value != value.lstrip():
        raise ArgumentError("prefix must be a text that does not start with a blank, such as '[CRM] '")


@attrs.frozen
class Segments:
    """The tags that a sync may remove as well as add: those whose names begin with a prefix.

    Raises:
        ArgumentError: The prefix is blank or starts with a blank.
    """

    prefix: str = attrs.field(default="[CRM] ", validator=_check_prefix)

    def tag_name(self, segment: str) -> str:
        """The name of the tag of a segment; the prefix is not put before a name that has it."""
        return segment if segment.startswith(self.prefix) else self.prefix + segment

    def owns(self, tag_name: str) -> bool:
        """Whether a tag is one of these."""
        return tag_name.startswith(self.prefix)


def tag_names(names: object) -> tuple[str, ...]:
    """The names of tags in a list or another iterable; raises ArgumentError for a single text, and for no texts."""
    listed = list(cast("Iterable[object]", names)) if isinstance(names, Iterable) else [None]
    texts = tuple(name for name in listed if isinstance(name, str))
    if isinstance(names, str) or len(texts) < len(listed):
        raise ArgumentError("tags must be a list of names, not one text")
    return texts


def is_country(code: object) -> bool:
    """Whether this can be the calling code of a country, such as "49"."""
    return isinstance(code, str) and _COUNTRY.fullmatch(code) is not None


def similar(name: str, known: Iterable[str]) -> str:
    """What the user may have meant, as the end of a sentence; empty if nothing is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def mapping_error(problems: Iterable[str], *, source: str = "") -> MappingError:
    """One error for all problems, each once; `source` is the file that they stand in."""
    lines = "".join(f"\n  - {problem}" for problem in dict.fromkeys(problems))
    return MappingError(f"{source or 'the mapping'} is wrong:{lines}")
