"""What has to change so that a contact becomes what the CRM says. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Final

import attrs

from klicktipp_async.contact_details import normalise_phone
from klicktipp_async.crm.targets import Collision
from klicktipp_async.crm.wanted import Rules, Wanted
from klicktipp_async.field_schema import FieldSchema, FieldType
from klicktipp_async.models.contact import Contact

# The service keeps these as it keeps an SMS number, with leading zeros.
_PHONES: Final = frozenset({"fieldPrivatePhone", "fieldMobilePhone", "fieldPhone", "fieldFax"})
_WHOLE = re.compile(r"-?[0-9]{1,64}")
_DECIMAL = re.compile(r"-?[0-9]{1,64}(\.[0-9]{1,64})?")


@attrs.frozen
class Change:
    """One value that changes. Its texts stay out of its repr.

    Attributes:
        field: The key of a data field, `email` or `sms_number`.
        old: What the service has; empty where there is nothing.
        new: What is written, in the form in which it is sent; empty to clear a field.
    """

    field: str
    old: str = attrs.field(repr=False)
    new: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Difference:
    """What has to be written. Personal data stays out of its repr.

    Attributes:
        changes: Every value that changes: the address, the SMS number, then the data fields.
        fields: The data fields to write, key to the text to send.
        email: The new address; None leaves it.
        sms_number: The new SMS number; None leaves it.
        add_tags: The names of tags to set, segments first.
        remove_tags: The names of segments to take off.
    """

    changes: tuple[Change, ...] = ()
    fields: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    email: str | None = attrs.field(default=None, repr=False)
    sms_number: str | None = attrs.field(default=None, repr=False)
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the contact is as wanted already."""
        return not (self.changes or self.add_tags or self.remove_tags)


def difference(contact: Contact, wanted: Wanted, rules: Rules, names: Mapping[int, str]) -> Difference:
    """What has to be written to make a contact what is wanted.

    Values are compared by what they mean, so that what was written once is no difference the next time.

    Args:
        contact: The contact as the service has it.
        wanted: What the CRM says of it.
        rules: What may be changed, and the types of the data fields.
        names: The names of the account's manual tags, at least of those that the contact has.
    """
    email = _new_email(contact, wanted)
    sms_number = _new_number(contact, wanted)
    fields = dict(_new_fields(contact, wanted, rules))
    changes: list[Change] = []
    if email is not None:
        changes.append(Change("email", contact.email or "", email))
    if sms_number is not None:
        changes.append(Change("sms_number", contact.sms_phone or "", sms_number))
    changes += [Change(key, contact.fields.get(key, ""), text) for key, text in fields.items()]
    held, wished = _held(contact, names), (*wanted.segments, *wanted.tags)
    managed = filter(rules.segments.owns, held) if rules.manages_segments and not wanted.keeps_segments else ()
    return Difference(
        changes=tuple(changes),
        fields=fields,
        email=email,
        sms_number=sms_number,
        add_tags=_without(wished, held),
        remove_tags=_without(managed, wished),
    )


def _new_email(contact: Contact, wanted: Wanted) -> str | None:
    # Not casefold: it would make one address of "straße@…" and "strasse@…".
    same = wanted.email is None or wanted.email.lower() == (contact.email or "").lower()
    return None if same else wanted.email


def _new_number(contact: Contact, wanted: Wanted) -> str | None:
    same = wanted.sms_number is None or normalise_phone(wanted.sms_number) == normalise_phone(contact.sms_phone or "")
    return None if same else wanted.sms_number


def _new_fields(contact: Contact, wanted: Wanted, rules: Rules) -> Iterator[tuple[str, str]]:
    for key, text in wanted.fields.items():
        stored = contact.fields.get(key, "")
        if _may_change(rules.collision(key), stored) and not _same(rules.schema, key, stored, text):
            yield key, text


def _may_change(collision: Collision, stored: str) -> bool:
    return collision is Collision.OVERWRITE or (collision is Collision.ONLY_IF_EMPTY and not stored)


def _same(schema: FieldSchema, key: str, stored: str, wire: str) -> bool:
    """Whether a field that shows one text already holds what the other would write."""
    if stored == wire:
        return True
    if not (stored and wire):
        return False
    if key in _PHONES:
        return _phone(stored) == _phone(wire)
    if schema.type_of(key) is FieldType.DECIMAL:
        return _same_decimal(stored, wire)
    return schema.from_wire(key, _lines(stored)) == schema.from_wire(key, _lines(wire))


def _same_decimal(stored: str, wire: str) -> bool:
    """A decimal goes out in hundredths and comes back with a dot, or in hundredths again.

    A text without a dot is taken for hundredths even where it may not be: that costs a write too many, and never one
    too few.
    """
    if not (_DECIMAL.fullmatch(stored) and _WHOLE.fullmatch(wire)):
        return False
    shown = Fraction(stored) * 100 if "." in stored else Fraction(stored)
    return shown == int(wire)


def _phone(text: str) -> str:
    """A phone number as a data field keeps it, which takes a number without leading zeros for an international one."""
    digits = "".join(filter(str.isalnum, text))
    if not digits.isdecimal():
        return text
    return digits if digits.startswith("0") else f"00{digits}"


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _held(contact: Contact, names: Mapping[int, str]) -> list[str]:
    # A contact whose answer lacks the map of manual tags still has the list of all.
    return [names[tag_id] for tag_id in contact.manual_tags or contact.tags if tag_id in names]


def _without(names: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """The names that are not among the others, each once, in their order."""
    left_out = set(others)
    return tuple(name for name in dict.fromkeys(names) if name not in left_out)
