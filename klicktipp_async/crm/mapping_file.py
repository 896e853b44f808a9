"""Mappings that users write: TOML files, and pairs of a column and its target."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import attrs

from klicktipp_async.crm.targets import (
    TAG_SEPARATORS,
    MappingError,
    Segments,
    Target,
    collision,
    field_name,
    field_type,
    is_country,
    similar,
    yes_or_no,
)
from klicktipp_async.errors import ArgumentError
from klicktipp_async.field_schema import FieldType

_Table: TypeAlias = Mapping[str, object]

_LONGEST: Final = 1 << 18
_IDENTITY_WORDS = {"email": "email", "sms": "sms_number", "id": "contact_id"}
_LIST_WORDS = frozenset({"tags", "segments"})
_CRM_WORD = "crm:"
_FORMS = {
    "text": None,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "time": FieldType.TIME,
    "decimal": FieldType.DECIMAL,
    "number": FieldType.NUMBER,
}
_FIELD_KEY = re.compile(r"field(?:[0-9]+|[A-Z][A-Za-z0-9]*)")
_TARGET_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "field": field_name,
    "type": field_type,
    "collision": collision,
    "clear_if_empty": yes_or_no,
}


@attrs.define
class Said:
    """What files and pairs say, on its way to become a mapping.

    Attributes:
        columns: The columns that say who a contact is, by the attribute of the mapping.
        problems: What could not be understood.
        where: What is put before the next problems.
    """

    columns: dict[str, str] = attrs.field(factory=dict[str, str])
    crm_id: tuple[str, str] | None = None
    fields: dict[str, list[Target]] = attrs.field(factory=dict[str, list[Target]])
    segments: list[str] = attrs.field(factory=list[str])
    tags: list[str] = attrs.field(factory=list[str])
    tag_separators: str = TAG_SEPARATORS
    timezone: dt.tzinfo | None = None
    opt_in: int | str | None = None
    prefix: str | None = None
    country: str | None = None
    problems: list[str] = attrs.field(factory=list[str])
    where: str = ""

    def complain(self, problem: str) -> None:
        """Note a problem."""
        self.problems.append(f"{self.where}{problem}")

    def add_identity(self, name: str, column: str) -> None:
        """Note the one column that an identity comes from."""
        self._once(name, self.columns.setdefault(name, column), column)

    def add_crm_id(self, column: str, field: str) -> None:
        """Note the one column of the CRM's id, and the field that keeps it."""
        self.crm_id = self.crm_id or (column, field)
        self._once("the column of the CRM's id", self.crm_id[0], column)
        self._once("the field of the CRM's id", self.crm_id[1], field)

    def _once(self, name: str, first: str, now: str) -> None:
        if now != first:
            self.complain(f"{name} is given more than once: {first!r}, {now!r}")


def read_toml(path: Path) -> Said:
    """What a file says whose keys are the attributes of a mapping; raises MappingError if it cannot be read."""
    said = Said()
    _take_attributes(said, _load(path))
    return said


def read_pairs(arguments: Sequence[str]) -> Said:
    """What pairs and TOML files of both kinds say; raises MappingError for a file that cannot be read."""
    said = Said()
    for argument in arguments:
        column, equals, target = argument.rpartition("=")
        if equals:
            _take_pair(said, column.strip(), target.strip())
        elif argument.lower().endswith(".toml"):
            said.where = f"{argument}: "
            _take_file(said, _load(Path(argument)))
            said.where = ""
        else:
            said.complain(f"{argument!r} is neither COLUMN=TARGET nor a .toml file")
    if not said.columns and said.crm_id is None:
        _complain_of_fields(said)
    return said


def _complain_of_fields(said: Said) -> None:
    """Where nothing says who a contact is, a target that is no key may have been meant as a word for that."""
    for target in chain.from_iterable(said.fields.values()):
        if _FIELD_KEY.fullmatch(target.field) is not None:
            continue
        if meant := similar(target.field, _IDENTITY_WORDS):
            said.complain(f"{target.field!r} is no target{meant}")
        else:
            said.complain(f"{target.field!r} is no word for who a contact is, and was taken for a data field")


def _load(path: Path) -> _Table:
    try:
        # Editors on Windows put a byte order mark first, which TOML does not know.
        return tomllib.loads(_text(path))
    except UnicodeDecodeError:
        raise MappingError(f"{path} cannot be read: it is not in UTF-8") from None
    except RecursionError:
        raise MappingError(f"{path} cannot be read: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        # Also a name that no file can have, and a number longer than Python reads.
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise MappingError(f"{shown} cannot be read: {error}") from None


def _text(path: Path) -> str:
    """The text of a file no longer than a mapping can be: the reader takes its time over what is absurd."""
    with path.open(encoding="utf-8-sig") as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST:,} characters")
    return text


def _as_table(value: object) -> _Table | None:
    return cast("_Table", value) if isinstance(value, dict) else None


def _as_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]


def _take_file(said: Said, content: _Table) -> None:
    pairs = _as_table(content.get("map"))
    if pairs is not None:
        for key in sorted(content.keys() - {"map"}):
            said.complain(f"{key!r} stands beside the table map, which must be alone")
        _take_table_of_pairs(said, pairs)
    elif _has_attributes(content):
        _take_attributes(said, content)
    else:
        _take_table_of_pairs(said, content)


def _has_attributes(content: _Table) -> bool:
    """Whether the keys are those of a mapping; a column of the same name goes to a target word or a field's key."""
    if any(isinstance(content.get(key), dict) for key in ("fields", "crm_id")):
        return True
    identities = [content.get(key) for key in ("email", "sms_number", "contact_id")]
    columns = (*identities, *_as_list(content.get("segments")))
    return any(isinstance(column, str) and not _is_target(column) for column in columns)


def _is_target(text: str) -> bool:
    name, _form = _split_form(text.strip())
    return _is_word(name.lower()) or _FIELD_KEY.fullmatch(name) is not None


def _is_word(word: str) -> bool:
    return word in _IDENTITY_WORDS or word in _LIST_WORDS or word.startswith(_CRM_WORD)


def _take_table_of_pairs(said: Said, pairs: _Table) -> None:
    for column, value in pairs.items():
        for target in _as_list(value):
            if isinstance(target, str):
                _take_pair(said, column.strip(), target.strip())
            else:
                said.complain(f'{column!r} must be given as "COLUMN" = "TARGET"')


def _take_pair(said: Said, column: str, target: str) -> None:
    name, form = _split_form(target)
    word = name.lower()
    if _is_word(word) and form is not None:
        said.complain(f"{target!r}: only a data field has a form such as :{form}")
    elif word in _IDENTITY_WORDS:
        said.add_identity(_IDENTITY_WORDS[word], column)
    elif word == "tags":
        said.tags.append(column)
    elif word == "segments":
        said.segments.append(column)
    elif word.startswith(_CRM_WORD):
        said.add_crm_id(column, name[len(_CRM_WORD) :].strip())
    elif not name:
        said.complain(f"the target of {column!r} is missing")
    else:
        kind = None if form is None else _FORMS[form]
        said.fields.setdefault(column, []).append(Target(field=name, type=kind))


def _split_form(target: str) -> tuple[str, str | None]:
    name, colon, form = target.rpartition(":")
    return (name.strip(), form) if colon and form in _FORMS else (target, None)


def _take_attributes(said: Said, content: _Table) -> None:
    for key, value in content.items():
        take = _ATTRIBUTES.get(key)
        if take is None:
            said.complain(
                f"{key!r} is no key of a mapping{similar(key, _ATTRIBUTES)}; columns stand in the table fields"
            )
        else:
            take(said, key, value)


def _take_identity(said: Said, key: str, value: object) -> None:
    if isinstance(value, str):
        said.add_identity(key, value)
    else:
        said.complain(f"{key} must be the name of a column")


def _take_columns(said: Said, key: str, value: object) -> None:
    taken = said.segments if key == "segments" else said.tags
    for column in _as_list(value):
        if isinstance(column, str):
            taken.append(column)
        else:
            said.complain(f"{key} must be a list of names of columns")


def _take_separators(said: Said, key: str, value: object) -> None:
    if isinstance(value, str):
        said.tag_separators = value
    else:
        said.complain(f"{key} must be a text")


def _take_prefix(said: Said, key: str, value: object) -> None:
    try:
        said.prefix = Segments(value if isinstance(value, str) else "").prefix
    except ArgumentError as error:
        said.complain(f"{key}: {error.message}")


def _take_country(said: Said, key: str, value: object) -> None:
    # With or without quotation marks.
    code = str(value)
    if is_country(code):
        said.country = code
    else:
        said.complain(f"{key} must be a calling code without + or zeros, such as 49")


def _take_opt_in(said: Said, key: str, value: object) -> None:
    if isinstance(value, int | str) and not isinstance(value, bool) and value != "":
        said.opt_in = value
    else:
        said.complain(f"{key} must be the id or the name of an opt-in process, or 'default' for the account's own")


def _take_timezone(said: Said, key: str, value: object) -> None:
    try:
        said.timezone = zoneinfo.ZoneInfo(value if isinstance(value, str) else "")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        said.complain(f"{key} must be the name of a known time zone, such as 'Europe/Berlin'")


def _take_crm_id(said: Said, key: str, value: object) -> None:
    table = _as_table(value) or {}
    column, field = table.get("column"), table.get("field")
    if isinstance(column, str) and isinstance(field, str) and len(table) == 2:
        said.add_crm_id(column, field)
    else:
        said.complain(
            f'{key} must be a table with the texts column and field, such as {{ column = "ID", field = "…" }}'
        )


def _take_fields(said: Said, key: str, value: object) -> None:
    table = _as_table(value)
    if table is None:
        said.complain(f"{key} must be a table of columns")
        return
    for column, given in table.items():
        for one in _as_list(given):
            target = _target(said, f"{key}.{column}", one)
            if target is not None:
                said.fields.setdefault(column, []).append(target)


def _target(said: Said, where: str, value: object) -> Target | None:
    table = {"field": value} if isinstance(value, str) else _as_table(value)
    if table is None or "field" not in table:
        said.complain(f"{where} must be the name of a data field, or a table with such a field")
        return None
    arguments: dict[str, Any] = {}
    told = len(said.problems)
    for name, given in table.items():
        read = _TARGET_READERS.get(name)
        if read is None:
            said.complain(f"{where}: {name!r} is not known{similar(name, _TARGET_READERS)}")
            continue
        try:
            arguments[name] = read(given)
        except ArgumentError as error:
            said.complain(f"{where}: {error.message}")
    return Target(**arguments) if len(said.problems) == told else None


_ATTRIBUTES: Final[Mapping[str, Callable[[Said, str, object], None]]] = {
    "email": _take_identity,
    "sms_number": _take_identity,
    "contact_id": _take_identity,
    "crm_id": _take_crm_id,
    "fields": _take_fields,
    "segments": _take_columns,
    "tags": _take_columns,
    "tag_separators": _take_separators,
    "timezone": _take_timezone,
    "opt_in": _take_opt_in,
    "prefix": _take_prefix,
    "country": _take_country,
}
