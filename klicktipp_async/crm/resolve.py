"""The names of a mapping looked up in the header and the account, with all that is wrong about them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from klicktipp_async.crm.targets import Segments, Target, mapping_error, similar
from klicktipp_async.crm.values import is_tag_name
from klicktipp_async.crm.wanted import FieldColumn, Rules
from klicktipp_async.field_schema import STANDARD_FIELDS, FieldType

if TYPE_CHECKING:
    from klicktipp_async.crm import mapping

# What no data field holds, by the words that people use for it.
_ADDRESSES = {"email": "email", "e-mail": "email", "sms": "sms_number", "sms_number": "sms_number"}
_TEXTS = frozenset({FieldType.LINE, FieldType.PARAGRAPH, FieldType.HTML})
_LONG_TEXTS = frozenset({FieldType.PARAGRAPH, FieldType.HTML})
_NUMBERS = frozenset({FieldType.NUMBER, FieldType.DECIMAL})


def shared_columns(identities: Mapping[str, str | None]) -> Iterator[str]:
    """What is wrong with columns that say in two ways who a contact is."""
    uses: dict[str, list[str]] = {}
    for name, column in identities.items():
        if column is not None:
            uses.setdefault(column, []).append(name)
    for column, names in uses.items():
        if len(names) > 1:
            yield f"the column {column!r} is used for {' and '.join(names)}"


def resolve(
    mapping: mapping.Mapping,
    *,
    header: Sequence[str] | None,
    fields: Mapping[str, str],
    segments: Segments,
    tags: Sequence[str],
) -> Rules:
    """What `Mapping.resolve` says."""
    look_up = _LookUp(header, fields)
    rules = Rules(
        email=look_up.optional_column(mapping.email),
        sms_number=look_up.optional_column(mapping.sms_number),
        contact_id=look_up.optional_column(mapping.contact_id),
        crm_column=look_up.optional_column(mapping.crm_id and mapping.crm_id[0]),
        crm_field=look_up.crm_field(mapping.crm_id and mapping.crm_id[1]),
        fields=tuple(look_up.field_columns(mapping.fields)),
        segments=segments,
        segment_columns=tuple(map(look_up.column, mapping.segments)),
        tag_columns=tuple(map(look_up.column, mapping.tags)),
        tags=tuple(tag.strip() for tag in tags),
        tag_separators=mapping.tag_separators,
        timezone=mapping.timezone,
        country=mapping.country,
    )
    problems = [*look_up.problems, *_conflicts(rules)]
    if problems:
        raise mapping_error(problems)
    return attrs.evolve(rules, unmapped=tuple(look_up.unmapped()))


@attrs.define
class _LookUp:
    """Finds columns and fields by their names, and keeps what is wrong with those that it does not find."""

    header: Sequence[str] | None
    fields: Mapping[str, str]
    problems: list[str] = attrs.field(factory=list[str])
    used: set[str] = attrs.field(factory=set[str])

    def column(self, name: str) -> str:
        """The name as it stands in the header; the given one where there is no header or no such column."""
        if self.header is None:
            return name
        found = _same(name, self.header, str.strip) or _same(name, self.header, _folded)
        if len(found) == 1:
            self.used.add(found[0])
            return found[0]
        if found:
            self.problems.append(f"several columns could be {name!r}: {', '.join(map(repr, found))}")
        else:
            self.problems.append(f"there is no column {name!r}{similar(name, self.header)}")
        return name

    def optional_column(self, name: str | None) -> str | None:
        """The same, None for None."""
        return None if name is None else self.column(name)

    def unmapped(self) -> Iterator[str]:
        """The columns that nobody looked up."""
        yield from (name for name in self.header or () if name not in self.used)

    def field(self, name: str) -> str | None:
        """The full key of the field with a key or label; None if there is none, or more than one."""
        if name in self.fields:
            return name
        keys = [key for key, label in self.fields.items() if name in {label.strip(), key.removeprefix("field")}]
        keys = keys or [key for key, label in self.fields.items() if _folded(label) == _folded(name)]
        if len(keys) == 1:
            return keys[0]
        if keys:
            self.problems.append(f"{name!r} could be several data fields: {', '.join(keys)}; use one of these keys")
        elif _folded(name) in _ADDRESSES:
            self.problems.append(f"{name!r} is no data field: name its column as {_ADDRESSES[_folded(name)]}")
        else:
            known = ["email", "sms", "tags", "segments", *self.fields, *self.fields.values()]
            self.problems.append(f"{name!r} is no data field of the account{similar(name, known)}")
        return None

    def crm_field(self, name: str | None) -> str | None:
        """The full key of the field that keeps the CRM's id."""
        key = None if name is None else self.field(name)
        if key is not None and STANDARD_FIELDS.get(key, FieldType.LINE) not in _TEXTS:
            self.problems.append(f"{key} cannot keep the CRM's id: it is a field for {_word(STANDARD_FIELDS[key])}")
        return key

    def field_columns(self, wishes: Mapping[str, Sequence[Target]]) -> Iterator[FieldColumn]:
        """The columns that go to fields which exist."""
        for name, targets in wishes.items():
            column = self.column(name)
            for target in targets:
                key = self.field(target.field)
                if key is not None:
                    yield FieldColumn(
                        column=column,
                        key=key,
                        type=self._type(key, target.type),
                        collision=target.collision,
                        clear_if_empty=target.clear_if_empty,
                    )

    def _type(self, key: str, wished: FieldType | None) -> FieldType | None:
        standard = STANDARD_FIELDS.get(key)
        if standard is None or wished is None:
            return wished or standard
        if standard in _TEXTS and wished in _LONG_TEXTS:
            self.problems.append(f"{key} cannot be {_word(wished)}: it is a text of one line")
        elif wished is not standard and not any({wished, standard} <= alike for alike in (_TEXTS, _NUMBERS)):
            self.problems.append(f"{key} cannot be {_word(wished)}: it is {_word(standard)}")
        return wished


def _conflicts(rules: Rules) -> Iterator[str]:
    yield from shared_columns(rules.identities)
    wanted: dict[str, list[str]] = {}
    for field in rules.fields:
        wanted.setdefault(field.key, []).append(repr(field.column))
    for key, columns in wanted.items():
        if len(columns) > 1:
            yield f"{key} is the target of more than one column: {', '.join(columns)}"
    if rules.crm_field in wanted:
        columns = wanted[rules.crm_field]
        yield f"{rules.crm_field} keeps the CRM's id and cannot be a target as well: {', '.join(columns)}"
    yield from (f"{tag!r} cannot be the name of a tag" for tag in rules.tags if not is_tag_name(tag))


def _same(name: str, names: Iterable[str], fold: Callable[[str], str]) -> list[str]:
    return [other for other in names if fold(other) == fold(name)]


def _folded(text: str) -> str:
    return text.strip().casefold()


def _word(kind: FieldType) -> str:
    return kind.name.lower()
