"""Accounts of any kind, the rows of a CRM that may mean anybody in them, and what may go wrong on the way."""

from __future__ import annotations

from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import anyio.lowlevel
import attrs
from hypothesis import strategies as st

from klickdoxie_core import Clock
from klickdoxie_core.breaker import Breaker
from klickdoxie_core.sandbox import Answer, Inbound
from klicktipp_async import CLEAR, FieldType
from klicktipp_async.crm import Collision, ContactSync, Mapping, Target
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.sandbox.store import Status
from tests.klicktipp_async.crm.support import CRM_FIELD, TAG, UNTAG, UPDATE, UPSERT, writes

Row: TypeAlias = dict[str, Any]

TRIALS: Final = 20
"""After half of them the faults of a service are over."""
PREFIX: Final = "[CRM] "
ADDRESSES: Final = tuple(f"{name}@example.com" for name in ("anna", "berta", "cäsar", "dora", "emil", "frieda"))
NUMBERS: Final = tuple(f"0049302312500{number}" for number in range(6))
"""What contacts may have as an SMS number."""
FREE_NUMBERS: Final = ("00493023125008", "00493023125009")
"""What no contact has at first: a number alone cannot be searched for, so whose it is already nobody finds out."""
CRM_IDS: Final = tuple(f"K-{number}" for number in range(6))
NO_ADDRESS: Final = 5
"""The place of the one who has a number only."""
SMART: Final = ("Gekauft", "[CRM] Smart")
MANUAL: Final = ("[CRM] Kunde", "[CRM] Alt", "[CRM] Weg", "VIP", "Treue")
SEGMENTS: Final = ("Kunde", "Alt", "[CRM] Neu", "VIP")
TAGS: Final = ("VIP", "Messe Köln", "[CRM] Treue")


@attrs.frozen
class Meaning:
    """One value of a field: how a CRM writes it, and what the service may have kept; a write leaves the first."""

    cells: tuple[object, ...]
    stored: tuple[str, ...]


@attrs.frozen
class Field:
    """A data field of the account, and the values that this test knows."""

    key: str
    type: FieldType | None
    meanings: tuple[Meaning, ...]


def texts(*values: str) -> tuple[Meaning, ...]:
    """Values that are kept as they are written."""
    return tuple(Meaning((value,), (value,)) for value in values)


FIELDS: Final = {
    "Vorname": Field("fieldFirstName", None, texts("Änne", 'Zoë "Z"; Größe')),
    "Telefon": Field("fieldPhone", None, (Meaning(("+49 30 23125-01",), ("0049302312501", "+49 30/2312501")),)),
    "Geburtstag": Field(
        "fieldBirthday",
        None,
        (Meaning(("24.12.1980", "1980-12-24"), ("346460400", "346500000")), Meaning(("1999-01-31",), ("917737200",))),
    ),
    "Kurz": Field("field200002", FieldType.LINE, texts("a", "ß")),
    "Notiz": Field(
        "field200003", FieldType.PARAGRAPH, (Meaning(("1\r\n2",), ("1\r\n2", "1\n2")), Meaning(("x",), ("x",)))
    ),
    "Umsatz": Field(
        "field200004",
        FieldType.DECIMAL,
        (Meaning(("1.234,50", "1234.5 €"), ("1234.50", "123450")), Meaning(("0", 0), ("0.00",))),
    ),
    "Punkte": Field(
        "field200005", FieldType.NUMBER, (Meaning(("1.234", 1234), ("1234", "01234")), Meaning(("7",), ("7",)))
    ),
    "Termin": Field("field200006", FieldType.DATETIME, (Meaning(("24.12.2025 18:30",), ("1766597400",)),)),
    "Zeit": Field("field200007", FieldType.TIME, (Meaning(("14:30",), ("52200",)), Meaning(("0:00",), ("0",)))),
    "Seite": Field("field200008", FieldType.URL, texts("https://example.com/größe")),
    "Zweit": Field("field200009", FieldType.EMAIL, texts("zweit@example.com")),
    "HTML": Field("field200010", FieldType.HTML, texts("<b>Grüße</b>")),
}


@attrs.frozen(kw_only=True)
class Person:
    """A contact that is there before the first sync."""

    place: int
    email: str
    number: str
    status: Status
    crm_id: str
    tags: frozenset[str]
    fields: dict[str, str]


@attrs.frozen(kw_only=True)
class Case:
    """An account, a mapping and the rows of a CRM; a row that names a contact does so by its place among `people`."""

    people: tuple[Person, ...]
    blocked: frozenset[str]
    rules: dict[str, tuple[Collision, bool]]
    rows: tuple[Row, ...]


@st.composite
def people(draw: st.DrawFn) -> tuple[Person, ...]:
    """Contacts of the account; the CRM's ids may well be there twice, and the last one may have no address."""
    return tuple(draw(person(place)) for place in range(NO_ADDRESS + 1) if draw(st.booleans()))


@st.composite
def person(draw: st.DrawFn, place: int) -> Person:
    """A contact with its own address and number, if it has any."""
    email = "" if place == NO_ADDRESS else ADDRESSES[place]
    columns = draw(st.lists(st.sampled_from([*FIELDS]), unique=True, max_size=4))
    meanings = {FIELDS[column].key: draw(st.sampled_from(FIELDS[column].meanings)) for column in columns}
    return Person(
        place=place,
        email=draw(st.sampled_from([email, email, email.upper()])),
        number=NUMBERS[place] if not email or draw(st.booleans()) else "",
        status=draw(st.sampled_from([*Status, Status.SUBSCRIBED, Status.PENDING])) if email else Status.SUBSCRIBED,
        crm_id=draw(st.sampled_from(["", *[CRM_IDS[place]] * 4, *CRM_IDS])),
        tags=draw(st.frozensets(st.sampled_from(SMART + MANUAL), max_size=4)),
        fields={key: draw(st.sampled_from(meaning.stored)) for key, meaning in meanings.items()},
    )


@st.composite
def rows(draw: st.DrawFn) -> tuple[Row, ...]:
    """What a CRM says of people in any order, of some twice."""
    places = draw(st.permutations(range(NO_ADDRESS + 1)))
    again = draw(st.lists(st.sampled_from(places), max_size=2))
    return tuple(draw(row(place)) for place in (*places[draw(st.integers(0, NO_ADDRESS)) :], *again))


@st.composite
def row(draw: st.DrawFn, place: int) -> Row:
    """What it says of somebody, most often with the ids and the address that belong together."""
    email = draw(st.sampled_from([*[ADDRESSES[place]] * 8, *[f"neu.{ADDRESSES[place]}"] * 6, "", *ADDRESSES]))
    cells = {column: st.sampled_from(["", None, CLEAR, *cells_of(column)]) for column in FIELDS}
    numbers = (*FREE_NUMBERS, *((NUMBERS[place], *NUMBERS) if email else ()))
    return {
        "Nr": draw(st.sampled_from([*[CRM_IDS[place]] * 12, f" {CRM_IDS[place]} ", "", "", "", *CRM_IDS])),
        "Mail": draw(st.sampled_from([email, email, email.capitalize()])),
        "Mobil": draw(st.sampled_from([*[""] * 12, *numbers])),
        "KT": draw(st.sampled_from([*[""] * 4, *[place] * 4, "999", 0])),
        "by key": draw(st.booleans()),
        "Segmente": "|".join(draw(st.lists(st.sampled_from(SEGMENTS), max_size=3))),
        "Tags": ",".join(draw(st.lists(st.sampled_from(TAGS), max_size=1))),
        **dict.fromkeys(FIELDS),
        **draw(st.fixed_dictionaries({}, optional=cells)),
    }


def cells_of(column: str) -> list[object]:
    """Every way to write every value of a column."""
    return [cell for meaning in FIELDS[column].meanings for cell in meaning.cells]


CASES = st.builds(
    Case,
    people=people(),
    blocked=st.sampled_from(
        [frozenset[str](), frozenset[str](), frozenset({ADDRESSES[0]}), frozenset({f"neu.{ADDRESSES[1]}"})]
    ),
    rules=st.fixed_dictionaries(dict.fromkeys(FIELDS, st.tuples(st.sampled_from(Collision), st.booleans()))),
    rows=rows(),
)


@attrs.frozen(kw_only=True)
class Fault:
    """Something that goes wrong with each so-many-th request; without a status the answer is lost."""

    operation: str | None
    every: int
    status: int | None
    applied: bool

    def plan(self, box: Sandbox) -> None:
        """Let it happen from now on."""
        if self.status is None:
            box.drop(self.operation, every=self.every, applied=self.applied)
        else:
            box.fail(self.operation, every=self.every, status=self.status)


FAULTS = st.builds(
    Fault,
    operation=st.sampled_from([None, UPSERT, UPDATE, TAG, UNTAG, "Create Tag", "Search Contact ID", "Get Contact"]),
    every=st.integers(min_value=2, max_value=5),
    status=st.sampled_from([None, None, 503]),
    applied=st.booleans(),
)


@attrs.frozen(kw_only=True)
class Restart:
    """After some writes the service forgets its sessions, or for some requests nobody gets an answer."""

    at: int
    lost: int
    applied: bool

    def happen(self, box: Sandbox) -> None:
        """Let it happen now."""
        if self.lost:
            box.drop(None, times=self.lost, applied=self.applied)
        else:
            box.expire_sessions()


RESTARTS = st.builds(
    Restart,
    at=st.integers(min_value=0, max_value=10),
    lost=st.sampled_from([0, 10, 30, 60]),
    applied=st.booleans(),
)


class Account(Sandbox):
    """The account of a case, and the rows and the sync that it needs."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self.restart: Restart | None = None
        self.patience = TRIALS // 2
        assert self.add_field("CRM-Kennung") == CRM_FIELD
        for column, field in FIELDS.items():
            if field.type is not None:
                assert self.add_field(column, field.type) == field.key
        tags = {name: self.add_tag(name, smart=name in SMART) for name in SMART + MANUAL}
        ids = {person.place: self._add(person, tags) for person in case.people}
        for email in case.blocked:
            self.block(email)
        self.rows = [self._row(row, ids) for row in case.rows]

    def _add(self, person: Person, tags: dict[str, int]) -> int:
        pending = person.status is Status.PENDING
        opt_in = self.default_opt_in_id if pending else self.single_opt_in_id
        contact = self._store.add_contact(person.email, self._store.opt_ins[opt_in])
        contact.fields.update(person.fields | ({CRM_FIELD: person.crm_id} if person.crm_id else {}))
        if person.number:
            self._store.change_number(contact, person.number)
        for name in sorted(person.tags):
            self._store.put_on(contact, tags[name])
        if person.status is Status.UNSUBSCRIBED:
            self._store.unsubscribe(contact)
        return contact.id

    def _row(self, row: Row, ids: dict[int, int]) -> Row:
        """The row with the id or the key of the contact that it names by its place."""
        named: str | int = row["KT"]
        if isinstance(named, int):
            contact = self.contacts.get(ids.get(named, 0))
            named = "" if contact is None else contact.key if row["by key"] else contact.id
        return {column: value for column, value in row.items() if column != "by key"} | {"KT": named}

    def _exchange(self, inbound: Inbound) -> Answer | None:
        answer = super()._exchange(inbound)
        if self.restart is not None and writes(self) >= self.restart.at:
            self.restart.happen(self)
            self.restart = None
        return answer

    def recover(self, *, at_once: bool = False) -> None:
        """The service works again, at once or when it was asked for often enough."""
        self.patience -= 1
        if at_once or self.patience <= 0:
            self._faults.clear()

    def sync(self) -> ContactSync:
        """A sync of it, whose pauses are over at once."""
        rules = self.case.rules
        fields = {
            column: Target(
                field=field.key, type=field.type, collision=rules[column][0], clear_if_empty=rules[column][1]
            )
            for column, field in FIELDS.items()
        }
        mapping = Mapping(
            email="Mail",
            sms_number="Mobil",
            contact_id="KT",
            crm_id=("Nr", "CRM-Kennung"),
            fields=fields,
            segments=["Segmente"],
            tags=["Tags"],
            timezone=ZoneInfo("Europe/Berlin"),
        )
        kt = self.client(clock=Clock(sleep=_no_pause, random=lambda: 0.0))
        return ContactSync(kt, mapping=mapping, opt_in_id=None, breaker=Breaker(max_outage=0))


async def _no_pause(_: float) -> None:
    await anyio.lowlevel.checkpoint()
