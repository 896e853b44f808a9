"""Which column of a row goes where: given by the user, from Python, from a file or from pairs."""

from __future__ import annotations

import datetime as dt
import json
from collections import abc
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Self, cast

import attrs

from klicktipp_async.crm.mapping_file import Said, read_pairs, read_toml
from klicktipp_async.crm.resolve import resolve, shared_columns
from klicktipp_async.crm.targets import (
    TAG_SEPARATORS,
    Collision,
    MappingError,
    Segments,
    Target,
    is_country,
    mapping_error,
)
from klicktipp_async.crm.wanted import Rules
from klicktipp_async.errors import ArgumentError

__all__ = ["Collision", "Mapping", "MappingError", "Segments", "Target"]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _columns(names: Sequence[str]) -> tuple[str, ...]:
    if not _is_list(names):
        raise ArgumentError("segments and tags must be lists of columns")
    return tuple(names)


def _pair(names: Sequence[str] | None) -> tuple[str, str] | None:
    if names is None:
        return None
    if not _is_list(names) or len(names) != 2:
        raise ArgumentError("crm_id must be a column and the data field that keeps the CRM's id")
    return names[0], names[1]


def _targets(
    fields: abc.Mapping[str, Target | str | Sequence[Target | str]],
) -> abc.Mapping[str, tuple[Target, ...]]:
    given = cast("object", fields)
    if not isinstance(given, abc.Mapping):
        raise ArgumentError('fields must map columns to data fields, such as {"first": "fieldFirstName"}')
    return {column: tuple(_each_target(targets)) for column, targets in fields.items()}


def _each_target(given: object) -> Iterator[Target]:
    listed = cast("Sequence[object]", given) if _is_list(given) else [given]
    for one in listed:
        if isinstance(one, str):
            yield Target(field=one)
        elif isinstance(one, Target):
            yield one
        else:
            raise ArgumentError("fields must map each column to the name of a data field, a Target, or a list of both")


@attrs.frozen(kw_only=True)
class Mapping:
    """Where the columns of a CRM's rows go; `ContactSync` and `resolve` look the names up in the account.

    Attributes:
        email: The column with the e-mail address.
        sms_number: The column with the SMS number.
        contact_id: The column with the contact's id in KlickTipp or its contact key.
        crm_id: The column with the CRM's own id, and the data field that keeps it.
        fields: Columns and the data fields they go to; a text is a field's key or label, a list several fields.
        segments: Columns whose names become tags under a prefix; these tags are added and removed.
        tags: Columns whose names become tags as they stand; these are only ever added.
        tag_separators: The characters that part names in a cell.
        timezone: The account's time zone, in which its days begin and times are meant that do not name theirs; None
            lets days begin in UTC and refuses such times.
        opt_in: The opt-in process of new contacts: its id or name, or "default" for the account's own, which sends a
            confirmation mail; None where whoever uses the mapping names it.
        prefix: What the tags of segments begin with; None for that of `Segments()`.
        country: The calling code of SMS numbers that are written as at home, such as "49" for 0170 …; None takes only
            numbers that name their country.

    Raises:
        ArgumentError: No column says who a contact is, one says it twice, or a name is blank; all problems in one text.
    """

    email: str | None = None
    sms_number: str | None = None
    contact_id: str | None = None
    crm_id: tuple[str, str] | None = attrs.field(default=None, converter=_pair)
    fields: abc.Mapping[str, tuple[Target, ...]] = attrs.field(
        factory=dict[str, tuple[Target, ...]], converter=_targets
    )
    segments: tuple[str, ...] = attrs.field(default=(), converter=_columns)
    tags: tuple[str, ...] = attrs.field(default=(), converter=_columns)
    tag_separators: str = TAG_SEPARATORS
    timezone: dt.tzinfo | None = None
    opt_in: int | str | None = None
    prefix: str | None = None
    country: str | None = None

    def __attrs_post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ArgumentError("; ".join(problems))

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Self:
        """The mapping in a TOML file whose keys are the attributes of this class.

        `crm_id` is a table with `column` and `field`; `fields` is a table of columns, each with the name of a field, a
        table of the attributes of `Target`, or a list of both. `timezone` is a name such as "Europe/Berlin".

        Raises:
            MappingError: The file cannot be read or says something else; all problems in one text.
        """
        return cls._made_of(read_toml(Path(path)), source=str(path))

    @classmethod
    def from_pairs(cls, arguments: Sequence[str]) -> Self:
        """The mapping in a list of `COLUMN=TARGET[:form]` and paths of TOML files.

        A target is `email`, `sms`, `tags`, `segments`, `id` (of the contact in KlickTipp), `crm:FIELD` (the CRM's id
        and the field that keeps it), or the key or label of a data field; a form is one of `date`, `datetime`, `time`,
        `decimal` and `number`. A TOML file holds such pairs, at its top or in a table `map`, or what `from_toml` reads.
        It is taken for the latter when it has a table `fields` or `crm_id`, or when one of its keys `email`,
        `sms_number`, `contact_id` and `segments` is given something else than such a target.

        Raises:
            MappingError: Something is neither, or contradicts something else; all problems in one text.
        """
        return cls._made_of(read_pairs(arguments))

    @classmethod
    def _made_of(cls, said: Said, *, source: str = "") -> Self:
        try:
            mapping = cls(
                email=said.columns.get("email"),
                sms_number=said.columns.get("sms_number"),
                contact_id=said.columns.get("contact_id"),
                crm_id=said.crm_id,
                fields=said.fields,
                segments=said.segments,
                tags=said.tags,
                tag_separators=said.tag_separators,
                timezone=said.timezone,
                opt_in=said.opt_in,
                prefix=said.prefix,
                country=said.country,
            )
        except ArgumentError as error:
            raise mapping_error([*said.problems, error.message], source=source) from None
        if said.problems:
            raise mapping_error(said.problems, source=source)
        return mapping

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named, each once."""
        return tuple(dict.fromkeys(column for _name, column in self._named()))

    @property
    def fingerprint(self) -> str:
        """A text that is the same for the same mapping, whatever the order of its fields; it holds no personal data."""
        return json.dumps(attrs.asdict(self), sort_keys=True, default=str)

    def resolve(
        self,
        *,
        header: Sequence[str] | None,
        fields: abc.Mapping[str, str],
        segments: Segments | None = None,
        tags: Sequence[str] = (),
    ) -> Rules:
        """Look up the columns in the header and the targets in the account.

        Args:
            header: The names of the columns; None leaves the mapping's own as they stand, unchecked.
            fields: The data fields of the account, key to label.
            segments: The prefix of the tags that stand for segments; None is that of `Segments()`.
            tags: Names of tags that every contact gets.

        Raises:
            MappingError: Unknown columns or fields, a field twice, a type that contradicts a standard field, a tag
                that cannot be; all problems in one text.
        """
        return resolve(self, header=header, fields=fields, segments=segments or Segments(), tags=tags)

    def _identities(self) -> dict[str, str | None]:
        crm_column = None if self.crm_id is None else self.crm_id[0]
        return {
            "email": self.email,
            "sms_number": self.sms_number,
            "contact_id": self.contact_id,
            "crm_id": crm_column,
        }

    def _named(self) -> Iterator[tuple[str, str]]:
        """Every column with the attribute that names it."""
        for name, column in self._identities().items():
            if column is not None:
                yield name, column
        for name, columns in (("fields", self.fields), ("segments", self.segments), ("tags", self.tags)):
            yield from ((name, column) for column in columns)

    def _problems(self) -> Iterator[str]:
        for name in dict.fromkeys(name for name, column in self._named() if _is_blank(column)):
            yield f"{name} must name a column"
        if self.crm_id is not None and _is_blank(self.crm_id[1]):
            yield "crm_id must name the data field that keeps the CRM's id"
        identities = self._identities()
        if all(column is None for column in identities.values()):
            yield f"no column says who a contact is: give at least one of {', '.join(identities)}"
        yield from shared_columns(identities)
        if not _is_text(self.tag_separators):
            yield "tag_separators must name at least one character"
        if not _is_timezone(self.timezone):
            yield "timezone must be a tzinfo, such as ZoneInfo('Europe/Berlin')"
        if self.country is not None and not is_country(self.country):
            yield "country must be a calling code without + or zeros, such as '49'"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_blank(value: object) -> bool:
    return not isinstance(value, str) or not value.strip()


def _is_timezone(value: object) -> bool:
    return value is None or isinstance(value, dt.tzinfo)
