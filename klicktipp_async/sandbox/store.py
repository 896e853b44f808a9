"""The account behind the fake: contacts, tags, fields, opt-in processes, keys, sessions, and their indexes."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from enum import StrEnum
from typing import Final

import attrs

from klickdoxie_core.clock import Clock
from klicktipp_async.field_schema import FieldType
from klicktipp_async.sandbox.rules import STANDARD_FIELDS

FIRST_CONTACT: Final = 155_000_001
_FIRST_TAG = 12_000_001
_FIRST_FIELD = 200_001
_FIRST_OPT_IN = 368_001


class Status(StrEnum):
    """Where a contact stands with e-mails or text messages, in the words of the filters."""

    PENDING = "pending"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"


class Bounce(StrEnum):
    """Whether messages come back, in the words of the filters."""

    NONE = "nobounce"
    SOFT = "softbounce"
    HARD = "hardbounce"
    SPAM = "spambounce"


@attrs.define(kw_only=True)
class StoredContact:
    """A contact as the sandbox keeps it; times are seconds since 1970 UTC, None for never.

    Attributes:
        key: Twenty letters and digits that stand for the id.
        email: Empty for a contact that has only an SMS number.
        sms_number: With leading zeros; empty for none.
        fields: The values that are set, by field key.
        tags: Manual tags and SmartTags, id to time.
    """

    id: int
    key: str
    email: str = attrs.field(repr=False)
    sms_number: str = attrs.field(default="", repr=False)
    opt_in_id: int
    status: Status
    bounce: Bounce = Bounce.NONE
    created: int
    subscribed: int | None = None
    unsubscribed: int | None = None
    sms_status: Status = Status.SUBSCRIBED
    sms_since: int | None = None
    fields: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    tags: dict[int, int] = attrs.field(factory=dict[int, int])


@attrs.define(kw_only=True)
class StoredTag:
    """A tag; a smart one is set by the system only and stands in no list."""

    id: int
    name: str
    text: str
    smart: bool


@attrs.define(kw_only=True)
class StoredField:
    """A data field; the id is the key without its prefix."""

    id: str
    label: str
    type: FieldType


@attrs.define(kw_only=True)
class StoredOptIn:
    """An opt-in process. `resend`: a contact still pending is sent the confirmation mail again."""

    id: int
    name: str
    single: bool = False
    resend: bool = True
    pending_url: str = ""
    thank_you_url: str = ""


@attrs.frozen(kw_only=True)
class StoredApiKey:
    """What a listbuilding key does: through which process, and the two tags that it puts on."""

    opt_in_id: int
    tag_id: int
    smart_tag_id: int


@attrs.frozen(kw_only=True)
class Credentials:
    """What the account lets in."""

    username: str = "sandbox"
    password: str = attrs.field(default="Blütenhonig; 500 g", repr=False)
    developer_key: str = attrs.field(default="0123456789abcdef" * 4, repr=False)
    customer_key: str = attrs.field(default="sandbox-customer-key", repr=False)


class Store:
    """One account. Each look-up by id, key, e-mail address, SMS number or name is a dictionary's."""

    def __init__(self, clock: Clock, first_contact: int) -> None:
        self._clock = clock
        self.credentials = Credentials()
        self.contacts: dict[int, StoredContact] = {}
        self.first_contact = self.next_contact = first_contact
        self.tags: dict[int, StoredTag] = {}
        self.tag_ids: dict[str, int] = {}
        self.holders: dict[int, dict[int, StoredContact]] = {}
        self.fields = {
            key: StoredField(id=key[5:], label=label, type=kind) for key, (label, kind) in STANDARD_FIELDS.items()
        }
        self.opt_ins: dict[int, StoredOptIn] = {}
        self.api_keys: dict[str, StoredApiKey] = {}
        self.session_lifetime = math.inf
        self.sessions: dict[str, float] = {}
        self.blocked: set[str] = set()
        self.confirmation_mails: Counter[str] = Counter()
        self._by_email: dict[str, StoredContact] = {}
        self._by_key: dict[str, StoredContact] = {}
        self._by_number: dict[str, StoredContact] = {}
        self._made: Counter[str] = Counter()
        self.default_opt_in = self.add_opt_in("")

    def now(self) -> int:
        """Seconds since 1970 UTC."""
        return int(self._clock.now())

    def token(self, kind: str) -> str:
        """A text as random as it looks is not: the first, second, third of its kind."""
        return hashlib.sha256(f"{kind} {self._made_so_far(kind)}".encode()).hexdigest()

    def begin_session(self) -> str:
        """A new session, which holds for the lifetime that is set now."""
        session = self.token("session")[:43]
        self.sessions[session] = self._clock.monotonic() + self.session_lifetime
        return session

    def is_live(self, session: str | None) -> bool:
        """Whether this is a session that still holds."""
        return session is not None and self._clock.monotonic() < self.sessions.get(session, -math.inf)

    def with_email(self, email: str) -> StoredContact | None:
        """The contact with this address, whatever its case."""
        return self._by_email.get(email.casefold())

    def with_number(self, number: str) -> StoredContact | None:
        """The contact with this SMS number, in the form in which it is kept."""
        return self._by_number.get(number)

    def with_key(self, key: str) -> StoredContact | None:
        """The contact with this contact key."""
        return self._by_key.get(key)

    def add_contact(self, email: str, opt_in: StoredOptIn) -> StoredContact:
        """A new contact; through a double opt-in it is pending and has been sent a confirmation mail."""
        now = self.now()
        confirmed = opt_in.single or not email
        contact = StoredContact(
            id=self.next_contact,
            key=hashlib.sha256(f"contact {self.next_contact}".encode()).hexdigest()[:20],
            email=email,
            opt_in_id=opt_in.id,
            status=Status.SUBSCRIBED if confirmed else Status.PENDING,
            created=now,
            subscribed=now if confirmed else None,
        )
        self.next_contact += 1
        self.contacts[contact.id] = self._by_key[contact.key] = contact
        if email:
            self._by_email[email.casefold()] = contact
        if not confirmed:
            self.confirmation_mails[email] += 1
        return contact

    def change_email(self, contact: StoredContact, email: str) -> None:
        """Give a contact another address."""
        self._by_email.pop(contact.email.casefold(), None)
        contact.email = email
        self._by_email[email.casefold()] = contact

    def change_number(self, contact: StoredContact, number: str) -> None:
        """Give a contact another SMS number."""
        self._by_number.pop(contact.sms_number, None)
        contact.sms_number = number
        contact.sms_since = self.now()
        self._by_number[number] = contact

    def confirm(self, contact: StoredContact) -> None:
        """Make a contact a subscribed one."""
        contact.status = Status.SUBSCRIBED
        contact.subscribed = self.now()

    def unsubscribe(self, contact: StoredContact) -> None:
        """Make a contact an unsubscribed one."""
        contact.status = Status.UNSUBSCRIBED
        contact.unsubscribed = self.now()

    def delete_contact(self, contact: StoredContact) -> None:
        """Forget a contact; its address is free again."""
        for tag_id in contact.tags:
            del self.holders[tag_id][contact.id]
        self._by_email.pop(contact.email.casefold(), None)
        self._by_number.pop(contact.sms_number, None)
        del self._by_key[contact.key], self.contacts[contact.id]

    def add_tag(self, name: str, text: str = "", *, smart: bool = False) -> StoredTag:
        """A new tag; the name of a manual one must be free."""
        tag = StoredTag(id=_FIRST_TAG + self._made_so_far("tag"), name=name, text=text, smart=smart)
        self.tags[tag.id] = tag
        self.holders[tag.id] = {}
        if not smart:
            self.tag_ids[name] = tag.id
        return tag

    def rename_tag(self, tag: StoredTag, name: str) -> None:
        """Give a manual tag another name, which must be free."""
        del self.tag_ids[tag.name]
        tag.name = name
        self.tag_ids[name] = tag.id

    def delete_tag(self, tag: StoredTag) -> None:
        """Forget a manual tag and take it from every contact."""
        for contact in self.holders.pop(tag.id).values():
            del contact.tags[tag.id]
        del self.tag_ids[tag.name], self.tags[tag.id]

    def put_on(self, contact: StoredContact, tag_id: int) -> None:
        """Tag a contact; the time of the first tagging stays."""
        contact.tags.setdefault(tag_id, self.now())
        self.holders[tag_id][contact.id] = contact

    def take_off(self, contact: StoredContact, tag_id: int) -> bool:
        """Untag a contact; whether it had the tag."""
        self.holders[tag_id].pop(contact.id, None)
        return contact.tags.pop(tag_id, None) is not None

    def add_field(self, label: str, kind: FieldType) -> StoredField:
        """A new data field."""
        field = StoredField(id=str(_FIRST_FIELD + self._made_so_far("field")), label=label, type=kind)
        self.fields[f"field{field.id}"] = field
        return field

    def delete_field(self, field: StoredField) -> None:
        """Forget a data field and every contact's value."""
        key = f"field{field.id}"
        del self.fields[key]
        for contact in self.contacts.values():
            contact.fields.pop(key, None)

    def add_opt_in(self, name: str, *, single: bool = False, resend: bool = True) -> StoredOptIn:
        """A new opt-in process."""
        opt_in = StoredOptIn(id=_FIRST_OPT_IN + self._made_so_far("opt-in"), name=name, single=single, resend=resend)
        self.opt_ins[opt_in.id] = opt_in
        return opt_in

    def add_api_key(self, name: str, tag: StoredTag, opt_in: StoredOptIn) -> str:
        """A new listbuilding key with a SmartTag of its name."""
        key = self.token("api key")[:32]
        smart = self.add_tag(name, smart=True)
        self.api_keys[key] = StoredApiKey(opt_in_id=opt_in.id, tag_id=tag.id, smart_tag_id=smart.id)
        return key

    def _made_so_far(self, kind: str) -> int:
        number = self._made[kind]
        self._made[kind] += 1
        return number
