"""Which column of a file goes where: given by the user and checked as a whole, or guessed from plain names."""

from __future__ import annotations

import difflib
import enum
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import attrs

from klickdoxie_core.errors import ConfigError
from klicktipp_async.field_schema import STANDARD_FIELDS, FieldType


class MappingError(ConfigError):
    """Columns cannot be mapped as asked for; the text lists every problem, and nothing was sent."""


class Kind(enum.Enum):
    """What a column is for."""

    EMAIL = "email"
    SMS = "sms"
    TAGS = "tags"
    FIELD = "field"


class Form(enum.Enum):
    """How the texts of a column are read."""

    TEXT = "text"
    DATE = "date"
    DATETIME = "datetime"
    DECIMAL = "decimal"


@attrs.frozen
class Wish:
    """What the user asked for: `column=target` before either is looked up."""

    column: str
    target: str


@attrs.frozen(kw_only=True)
class Assignment:
    """One column on its way to one target.

    Attributes:
        place: The place of the column in the file, counted from 0.
        column: Its name there.
        kind: What it is for.
        key: The key of the data field; empty for every other kind.
        form: How its texts are read.
    """

    place: int
    column: str
    kind: Kind
    key: str = ""
    form: Form = Form.TEXT

    @property
    def target(self) -> str:
        """The target as the user writes it."""
        name = self.key if self.kind is Kind.FIELD else self.kind.value
        return name if self.form is Form.TEXT else f"{name}:{self.form.value}"


@attrs.frozen
class ColumnMap:
    """Where each column of a file goes.

    Attributes:
        width: How many columns the file has.
        assignments: The columns that are imported.
        unmapped: The names of the others.
    """

    width: int
    assignments: tuple[Assignment, ...]
    unmapped: tuple[str, ...]


def read_wishes(arguments: Sequence[str]) -> list[Wish]:
    """The wishes in a list of `COLUMN=TARGET` and paths of TOML files; raises MappingError for what is neither."""
    wishes: list[Wish] = []
    problems: list[str] = []
    for argument in arguments:
        column, equals, target = argument.rpartition("=")
        if equals:
            wishes.append(Wish(column.strip(), target.strip()))
        elif argument.lower().endswith(".toml"):
            wishes += _read_toml(Path(argument))
        else:
            problems.append(f"{argument!r} is neither COLUMN=TARGET nor a .toml file")
    _refuse(problems)
    return wishes


def resolve(wishes: Sequence[Wish], header: Sequence[str], fields: Mapping[str, str]) -> ColumnMap:
    """Look up the columns in the header and the targets in the account.

    Args:
        wishes: What the user asked for.
        header: The names of the file's columns.
        fields: The data fields of the account, key to label.

    Raises:
        MappingError: Unknown columns or targets, a target twice, or no column that says who a contact is.
    """
    assignments: list[Assignment] = []
    problems: list[str] = []
    for wish in wishes:
        try:
            place = _find_column(wish.column, header)
        except MappingError as error:
            problems.append(error.message)
            place = 0
        try:
            kind, key, form = _find_target(wish.target, fields)
        except MappingError as error:
            problems.append(error.message)
        else:
            assignments.append(Assignment(place=place, column=header[place], kind=kind, key=key, form=form))
    problems += _conflicts(assignments)
    # An address column may be among what was not understood; then its absence is no news.
    if not problems and not any(assignment.kind in {Kind.EMAIL, Kind.SMS} for assignment in assignments):
        problems.append("no column is mapped to email or sms, so nobody could be reached")
    _refuse(problems)
    return _column_map(header, assignments)


def guess(header: Sequence[str], fields: Mapping[str, str]) -> ColumnMap:
    """Map the columns whose names leave no doubt, in German and English; never an SMS number, never tags.

    Raises:
        MappingError: No column, or more than one, looks like the e-mail address.
    """
    guessed = {place: target for place, name in enumerate(header) if (target := _obvious_target(name, fields))}
    found = list(guessed.values())
    if found.count("email") != 1:
        looks = " and ".join(repr(header[place]) for place, target in guessed.items() if target == "email") or "none"
        msg = f'which column holds the e-mail address? ({looks} looks like it); say so with --map "COLUMN=email"'
        raise MappingError(msg)
    clear = [Wish(header[place], target) for place, target in guessed.items() if found.count(target) == 1]
    return resolve(clear, header, fields)


def _read_toml(path: Path) -> Iterator[Wish]:
    """Wishes in a file of `"COLUMN" = "TARGET"` lines, at the top or in a table `[map]`; a list is several targets."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path} cannot be read: {error}"
        raise MappingError(msg) from None
    table = content.get("map", content)
    pairs = cast("dict[str, object]", table).items() if isinstance(table, dict) else [("map", table)]
    for column, value in pairs:
        targets = cast("list[object]", value) if isinstance(value, list) else [value]
        for target in targets:
            if not isinstance(target, str):
                msg = f'{path}: {column!r} must be given as "COLUMN" = "TARGET"'
                raise MappingError(msg)
            yield Wish(column.strip(), target.strip())


def _find_column(name: str, header: Sequence[str]) -> int:
    for same in (str.strip, _folded):
        places = [place for place, column in enumerate(header) if same(column) == same(name)]
        if len(places) == 1:
            return places[0]
    msg = f"the file has no column {name!r}{_similar(name, header)}"
    raise MappingError(msg)


def _find_target(target: str, fields: Mapping[str, str]) -> tuple[Kind, str, Form]:
    name, form = _split_form(target)
    for kind in (Kind.EMAIL, Kind.SMS, Kind.TAGS):
        if name.lower() == kind.value:
            if form is not Form.TEXT:
                msg = f"{target!r}: only a data field has a form such as :{form.value}"
                raise MappingError(msg)
            return kind, "", form
    key = _find_field(name, fields)
    # A date cannot be told by its text as it stands, so that a field known to be one reads it as a date.
    is_date = STANDARD_FIELDS.get(key) is FieldType.DATE
    return Kind.FIELD, key, Form.DATE if is_date and form is Form.TEXT else form


def _split_form(target: str) -> tuple[str, Form]:
    name, colon, form = target.rpartition(":")
    if colon and form in {known.value for known in Form}:
        return name, Form(form)
    return target, Form.TEXT


def _find_field(name: str, fields: Mapping[str, str]) -> str:
    if name in fields:
        return name
    keys = [key for key, label in fields.items() if label == name]
    keys = keys or [key for key, label in fields.items() if _folded(label) == _folded(name)]
    if len(keys) == 1:
        return keys[0]
    if keys:
        msg = f"{name!r} is the label of several data fields: {', '.join(keys)}; use one of these keys"
    else:
        known = ["email", "sms", "tags", *fields, *fields.values()]
        msg = f"{name!r} is neither email, sms, tags nor a data field of the account{_similar(name, known)}"
    raise MappingError(msg)


def _conflicts(assignments: Sequence[Assignment]) -> Iterator[str]:
    """Targets that several columns want; only tags may come from more than one."""
    wanted: dict[str, list[str]] = {}
    for assignment in assignments:
        if assignment.kind is not Kind.TAGS:
            wanted.setdefault(assignment.key or assignment.kind.value, []).append(repr(assignment.column))
    for target, columns in wanted.items():
        if len(columns) > 1:
            yield f"{target} is the target of more than one column: {', '.join(columns)}"


def _column_map(header: Sequence[str], assignments: Sequence[Assignment]) -> ColumnMap:
    mapped = {assignment.place for assignment in assignments}
    unmapped = tuple(name for place, name in enumerate(header) if place not in mapped)
    return ColumnMap(len(header), tuple(assignments), unmapped)


_OBVIOUS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "mail", "emailadresse", "emailaddress", "mailadresse"),
    "fieldFirstName": ("vorname", "firstname", "givenname"),
    "fieldLastName": ("nachname", "familienname", "lastname", "surname", "familyname"),
    "fieldCompanyName": ("firma", "unternehmen", "firmenname", "company", "companyname"),
    "fieldStreet1": ("straße", "strasse", "street"),
    "fieldZip": ("plz", "postleitzahl", "zip", "zipcode", "postcode", "postalcode"),
    "fieldCity": ("ort", "stadt", "wohnort", "city", "town"),
    "fieldPhone": ("telefon", "telefonnummer", "phone", "phonenumber"),
    "fieldBirthday": ("geburtstag", "geburtsdatum", "birthday", "dateofbirth", "birthdate"),
    "fieldMobilePhone": ("mobil", "handy", "mobilnummer", "mobiltelefon", "mobile", "mobilephone"),
}


def _obvious_target(name: str, fields: Mapping[str, str]) -> str | None:
    if name.strip() in fields:
        return name.strip()
    plain = _folded(name).translate(dict.fromkeys(map(ord, " -_.")))
    for target, names in _OBVIOUS.items():
        if plain in map(_folded, names) and (target == "email" or target in fields):
            return target
    return None


def _similar(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _folded(text: str) -> str:
    return text.strip().casefold()


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise MappingError("the mapping is wrong:" + "".join(f"\n  - {problem}" for problem in problems))
