"""Every argument of every KlickTipp operation: it arrives exactly as given, or is refused before anything is sent."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klickdoxie_core import Clock
from klicktipp_async import CLEAR, ArgumentError, FieldSchema, KeyPair, KlickTipp, Listbuilding, Retry, SessionLogin
from klicktipp_async.resources.account import AccountResource
from klicktipp_async.resources.contacts import Contacts
from klicktipp_async.resources.fields import Fields
from klicktipp_async.resources.opt_ins import OptIns
from klicktipp_async.resources.tags import Tags
from tests.hostile import strategies as s
from tests.hostile.strategies import NOT_SENDABLE, Seen, Service, Slot

pytestmark = pytest.mark.anyio

EMAIL, NUMBER = "käthe@example.org", "+49 170 5550123"
GROUPS = (AccountResource, Contacts, Fields, OptIns, Tags)
NOT_SENT = {"Contacts.upsert.confirm", "Tags.create.confirm", "Contacts.iter.concurrency"}
"""Arguments that say how to call, not what to send."""


def last_segment(sent: Seen) -> object:
    """The value at the end of the path."""
    return sent.segments[-1]


def at(*path: str | int) -> Callable[[Seen], object]:
    """The value at a place of the body; `NOT_SENDABLE` where there is none."""

    def find(sent: Seen) -> object:
        found = sent.json
        for step in path:
            found = found[step] if step in (found if isinstance(found, dict) else range(len(found))) else NOT_SENDABLE
        return found

    return find


def in_query(name: str) -> Callable[[Seen], object]:
    """The words of a query parameter."""
    return lambda sent: sent.query[name].split(",")


def as_text(value: object) -> object:
    """A text that keeps its kind."""
    return "".join(value) if isinstance(value, str) else NOT_SENDABLE


def as_key(value: object) -> object:
    """The key of a data field as the path has it."""
    text = s.as_text(value)
    return text.removeprefix("field") if isinstance(text, str) else text


def as_numbers(value: object) -> object:
    """One whole number, or those of an iterable."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [s.as_number(each) for each in value]
    return [s.as_number(value)]


def as_names(value: Any) -> object:
    """The first of some names, which the service does not take."""
    return as_text(next(iter(value)))


def as_words(value: Any) -> object:
    """One word or several."""
    return ["".join(word) for word in ([value] if isinstance(value, str) else list(value))]


def path(name: str, sends: str, call: Any, fine: Any = 1, wanted: Any = s.as_text) -> Slot:
    """A value in the path."""
    return Slot(name=name, sends=sends, call=call, arrived=last_segment, wanted=wanted, fine=fine)


def body(
    name: str, sends: str, call: Any, *place: str | int, wanted: Any = as_text, fine: Any = "ä", **more: Any
) -> Slot:
    """A value in the body."""
    return Slot(name=name, sends=sends, call=call, arrived=at(*place), wanted=wanted, fine=fine, **more)


CONTACT, TAG, FIELD, OPT_IN = "/subscriber/{contact}", "/tag/{tag_id}", "/field/{key}", "/list/{opt_in_id}"
UPSERT, CHANGE = "POST /subscriber", f"PUT {CONTACT}"
number: dict[str, Any] = {"wanted": s.as_number, "fine": 7}

SLOTS = (
    body(
        "Contacts.upsert.email", UPSERT, lambda kt, v: kt.contacts.upsert(email=v, confirm=False), "email", fine=EMAIL
    ),
    body(
        "Contacts.upsert.sms_number",
        UPSERT,
        lambda kt, v: kt.contacts.upsert(sms_number=v, confirm=False),
        *("smsnumber",),
        fine=NUMBER,
    ),
    body(
        "Contacts.upsert.opt_in_id",
        UPSERT,
        lambda kt, v: kt.contacts.upsert(email=EMAIL, opt_in_id=v, confirm=False),
        *("listid",),
        **number,
        omits=(None,),
    ),
    body(
        "Contacts.upsert.tag_id",
        UPSERT,
        lambda kt, v: kt.contacts.upsert(email=EMAIL, tag_id=v, confirm=False),
        *("tagid",),
        **number,
        omits=(None,),
    ),
    body(
        "Contacts.upsert.fields",
        UPSERT,
        lambda kt, v: kt.contacts.upsert(email=EMAIL, fields={"fieldCity": v}, confirm=False),
        *("fields", "fieldCity"),
        wanted=s.as_text,
        omits=(None,),
        says=("fieldCity",),
    ),
    path("Contacts.get.contact", f"GET {CONTACT}", lambda kt, v: kt.contacts.get(v), "k-ä"),
    body(
        "Contacts.find_id.email", "POST /subscriber/search", lambda kt, v: kt.contacts.find_id(v), "email", fine=EMAIL
    ),
    path("Contacts.update.contact", CHANGE, lambda kt, v: kt.contacts.update(v, email=EMAIL)),
    body("Contacts.update.email", CHANGE, lambda kt, v: kt.contacts.update(1, email=v), "newemail", fine=EMAIL),
    body(
        "Contacts.update.sms_number",
        CHANGE,
        lambda kt, v: kt.contacts.update(1, sms_number=v),
        *("newsmsnumber",),
        fine=NUMBER,
    ),
    body(
        "Contacts.update.fields",
        CHANGE,
        lambda kt, v: kt.contacts.update(1, fields={217373: v}),
        *("fields", "field217373"),
        wanted=s.as_text,
        says=("field217373",),
        omits=(None,),
    ),
    path("Contacts.delete.contact", f"DELETE {CONTACT}", lambda kt, v: kt.contacts.delete(v)),
    body(
        "Contacts.unsubscribe.email",
        "POST /subscriber/unsubscribe",
        lambda kt, v: kt.contacts.unsubscribe(v),
        *("email",),
        fine=EMAIL,
    ),
    body("Contacts.tag.email", "POST /subscriber/tag", lambda kt, v: kt.contacts.tag(v, 1), "email", fine=EMAIL),
    body(
        "Contacts.tag.tag_ids",
        "POST /subscriber/tag",
        lambda kt, v: kt.contacts.tag(EMAIL, v),
        *("tagids",),
        wanted=as_numbers,
        fine=[3, 4],
    ),
    body("Contacts.untag.email", "POST /subscriber/untag", lambda kt, v: kt.contacts.untag(v, 1), "email", fine=EMAIL),
    body(
        "Contacts.untag.tag_id", "POST /subscriber/untag", lambda kt, v: kt.contacts.untag(EMAIL, v), "tagid", **number
    ),
    Slot(
        name="Contacts.ids.status",
        sends="GET /subscriber",
        call=lambda kt, v: kt.contacts.ids(status=v),
        arrived=in_query("status"),
        wanted=as_words,
        fine="pending",
        omits=(None,),
    ),
    Slot(
        name="Contacts.ids.bounce",
        sends="GET /subscriber",
        call=lambda kt, v: kt.contacts.ids(bounce=v),
        arrived=in_query("bounceStatus"),
        wanted=as_words,
        fine=["hardbounce"],
        omits=(None,),
    ),
    body("Contacts.tagged.tag_id", "POST /subscriber/tagged", lambda kt, v: kt.contacts.tagged(v), "tagid", **number),
    body(
        "Contacts.tagged.status",
        "POST /subscriber/tagged",
        lambda kt, v: kt.contacts.tagged(1, status=v),
        *("status",),
        wanted=as_words,
        fine=["pending"],
        omits=(None,),
    ),
    body(
        "Contacts.tagged.bounce",
        "POST /subscriber/tagged",
        lambda kt, v: kt.contacts.tagged(1, bounce=v),
        *("bounceStatus",),
        wanted=as_words,
        fine=["hardbounce"],
        omits=(None,),
    ),
    Slot(
        name="Contacts.iter_ids.status",
        sends="GET /subscriber",
        call=lambda kt, v: exhausted(kt.contacts.iter_ids(status=v)),
        arrived=in_query("status"),
        wanted=as_words,
        fine="pending",
        omits=(None,),
    ),
    Slot(
        name="Contacts.iter_ids.bounce",
        sends="GET /subscriber",
        call=lambda kt, v: exhausted(kt.contacts.iter_ids(bounce=v)),
        arrived=in_query("bounceStatus"),
        wanted=as_words,
        fine=["hardbounce"],
        omits=(None,),
    ),
    body("Contacts.tagged.tag_id", "POST /subscriber/tagged", lambda kt, v: kt.contacts.tagged(v), "tagid", **number),
    body(
        "Contacts.tagged.status",
        "POST /subscriber/tagged",
        lambda kt, v: kt.contacts.tagged(1, status=v),
        *("status",),
        wanted=as_words,
        fine=["pending"],
        omits=(None,),
    ),
    body(
        "Contacts.tagged.bounce",
        "POST /subscriber/tagged",
        lambda kt, v: kt.contacts.tagged(1, bounce=v),
        *("bounceStatus",),
        wanted=as_words,
        fine=["hardbounce"],
        omits=(None,),
    ),
    Slot(
        name="Contacts.iter.status",
        sends="GET /subscriber",
        call=lambda kt, v: entered(kt.contacts.iter(status=v)),
        arrived=in_query("status"),
        wanted=as_words,
        fine="pending",
        omits=(None,),
    ),
    Slot(
        name="Contacts.iter.bounce",
        sends="GET /subscriber",
        call=lambda kt, v: entered(kt.contacts.iter(bounce=v)),
        arrived=in_query("bounceStatus"),
        wanted=as_words,
        fine="hardbounce",
        omits=(None,),
    ),
    path("Fields.get.key", f"GET {FIELD}", lambda kt, v: kt.fields.get(v), "field217373", as_key),
    body("Fields.create.name", "POST /field", lambda kt, v: kt.fields.create(v), "name"),
    path("Fields.update.key", f"PUT {FIELD}", lambda kt, v: kt.fields.update(v, "x"), "FirstName", as_key),
    body("Fields.update.name", f"PUT {FIELD}", lambda kt, v: kt.fields.update("1", v), "name"),
    path("Fields.delete.key", f"DELETE {FIELD}", lambda kt, v: kt.fields.delete(v), 217373, as_key),
    path("OptIns.get.opt_in_id", f"GET {OPT_IN}", lambda kt, v: kt.opt_ins.get(v)),
    body(
        "OptIns.redirect_url.opt_in_id",
        "POST /list/redirect",
        lambda kt, v: kt.opt_ins.redirect_url(v, EMAIL),
        *("listid",),
        wanted=s.as_text,
        fine=5,
    ),
    body(
        "OptIns.redirect_url.email",
        "POST /list/redirect",
        lambda kt, v: kt.opt_ins.redirect_url(1, v),
        *("email",),
        fine=EMAIL,
    ),
    body("OptIns.create.name", "POST /list", lambda kt, v: kt.opt_ins.create(v), "name"),
    path("OptIns.update.opt_in_id", f"PUT {OPT_IN}", lambda kt, v: kt.opt_ins.update(v, "x")),
    body("OptIns.update.name", f"PUT {OPT_IN}", lambda kt, v: kt.opt_ins.update(1, v), "name"),
    path("OptIns.delete.opt_in_id", f"DELETE {OPT_IN}", lambda kt, v: kt.opt_ins.delete(v)),
    path("Tags.get.tag_id", f"GET {TAG}", lambda kt, v: kt.tags.get(v)),
    body("Tags.create.name", "POST /tag", lambda kt, v: kt.tags.create(v, confirm=False), "name"),
    body(
        "Tags.create.text",
        "POST /tag",
        lambda kt, v: kt.tags.create("x", text=v, confirm=False),
        *("text",),
        omits=(None,),
    ),
    path("Tags.update.tag_id", f"PUT {TAG}", lambda kt, v: kt.tags.update(v, name="x")),
    body("Tags.update.name", f"PUT {TAG}", lambda kt, v: kt.tags.update(1, name=v), "name"),
    body("Tags.update.text", f"PUT {TAG}", lambda kt, v: kt.tags.update(1, text=v), "text"),
    path("Tags.delete.tag_id", f"DELETE {TAG}", lambda kt, v: kt.tags.delete(v)),
    body(
        "Tags.ensure.names",
        "POST /tag",
        lambda kt, v: kt.tags.ensure(v),
        *("name",),
        wanted=as_names,
        fine=["ä", "ö"],
        says=("name",),
    ),
)
SIGNING = (
    body(
        "Listbuilding.sign_in.email", "POST /subscriber/signin", lambda lb, v: lb.sign_in(email=v), "email", fine=EMAIL
    ),
    body(
        "Listbuilding.sign_in.sms_number",
        "POST /subscriber/signin",
        lambda lb, v: lb.sign_in(sms_number=v),
        *("smsnumber",),
        fine=NUMBER,
    ),
    body(
        "Listbuilding.sign_in.fields",
        "POST /subscriber/signin",
        lambda lb, v: lb.sign_in(email=EMAIL, fields={"fieldCity": v}),
        *("fields", "fieldCity"),
        wanted=s.as_text,
        omits=(None,),
        says=("fieldCity",),
    ),
    body("Listbuilding.sign_out.email", "POST /subscriber/signout", lambda lb, v: lb.sign_out(v), "email", fine=EMAIL),
    body("Listbuilding.sign_off.email", "POST /subscriber/signoff", lambda lb, v: lb.sign_off(v), "email", fine=EMAIL),
)
NULLABLE = {"Contacts.update.email", "Contacts.update.sms_number", "Tags.update.text"}
"""Arguments where None is a value, which empties."""


async def exhausted(manager: Any) -> None:
    """Read all that a context manager hands out."""
    async with manager as found:
        async for _ in found:
            pass


async def entered(manager: Any) -> None:
    """Enter a context manager that must not come about."""
    async with manager:
        pass


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Arguments know nothing of event loops; a sample is tried on both."""
    return "asyncio"


@pytest.fixture
def service() -> Service:
    """A service that knows no tags."""
    return Service({"GET /tag": {}})


@pytest.fixture
async def kt(service: Service, clock: Clock) -> AsyncIterator[KlickTipp]:
    """A client that sends once."""
    auth = KeyPair("partner", "00", "customer")
    async with service.client() as http, KlickTipp(auth, http=http, clock=clock, retry=Retry(attempts=1)) as client:
        yield client


@pytest.fixture
async def lb(service: Service, clock: Clock) -> AsyncIterator[Listbuilding]:
    """The listbuilding client, likewise."""
    async with service.client() as http, Listbuilding("schlüssel", http=http, clock=clock) as client:
        yield client


async def try_out(slot: Slot, client: Any, service: Service, value: object) -> str:
    """One value in one argument; None where it says something else than 'not given'."""
    if any(value is omitted for omitted in slot.omits):
        return "omitted"
    if value is None and str(slot) in NULLABLE:
        return "empties"
    if slot.name == "Tags.ensure.names" and not isinstance(value, str | bytes) and isinstance(value, Iterable):
        # What could be read only once is read twice here, and no names are no request.
        value = list(value)
        if not value:
            return "omitted"
    if slot.name == "Contacts.tag.tag_ids" and hasattr(value, "__next__"):
        return "read once"
    if slot.argument == "key" and isinstance(value, str) and s.PASSWORD in value:
        # What is no key is shown, short and masked: it is mostly a misspelling.
        return "shown"
    return await s.attempt(slot, client, service, value)


def test_every_argument_has_its_row() -> None:
    """The table has every argument of every method that sends something, and no other."""
    arguments = {
        f"{group.__name__}.{name}.{argument}"
        for group in GROUPS
        for name, method in inspect.getmembers(group, inspect.isfunction)
        if not name.startswith("_")
        for argument in list(inspect.signature(method).parameters)[1:]
    }
    arguments |= {
        f"Listbuilding.{name}.{argument}"
        for name in ("sign_in", "sign_out", "sign_off")
        for argument in list(inspect.signature(getattr(Listbuilding, name)).parameters)[1:]
    }
    assert arguments - NOT_SENT == {str(slot) for slot in (*SLOTS, *SIGNING)}


@pytest.mark.parametrize("slot", [*SLOTS, *SIGNING], ids=str)
async def test_whatever_is_given_arrives_or_is_refused(
    kt: KlickTipp, lb: Listbuilding, service: Service, slot: Slot
) -> None:
    """Exactly that value in exactly that place, or an error that names the argument, and no request."""
    client = lb if slot in SIGNING else kt
    assert await try_out(slot, client, service, slot.fine) == "sent"
    for value in s.EVERYTHING:
        await try_out(slot, client, service, value)


@s.checked(100)
@given(slot=st.sampled_from((*SLOTS, *SIGNING)), value=s.anything)
async def test_whatever_anybody_thinks_of(
    kt: KlickTipp, lb: Listbuilding, service: Service, slot: Slot, value: Any
) -> None:
    """The same for values that nobody has listed."""
    await try_out(slot, lb if slot in SIGNING else kt, service, value)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("slot", [SLOTS[0], SLOTS[5], SLOTS[17]], ids=str)
async def test_both_event_loops_agree(kt: KlickTipp, service: Service, slot: Slot) -> None:
    """A sample on both event loops."""
    outcomes = [await try_out(slot, kt, service, value) for value in (slot.fine, "a\r\nb", 10**5000)]
    assert outcomes == ["sent", "refused", "refused"]


@pytest.mark.parametrize("name", sorted(NULLABLE))
async def test_none_empties_where_it_can(kt: KlickTipp, service: Service, name: str) -> None:
    """None is a value of its own for what can be emptied."""
    slot = next(slot for slot in SLOTS if str(slot) == name)
    with pytest.raises(Exception, match="400"):
        await slot.call(kt, None)
    assert slot.arrived(service.seen[-1]) is None


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5, "8", None, float("nan")], ids=repr)
async def test_an_odd_concurrency_is_refused(kt: KlickTipp, service: Service, concurrency: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(ArgumentError, match="concurrency"):
        await entered(kt.contacts.iter(concurrency=concurrency))
    assert not service.seen


@pytest.mark.parametrize("fields", [["a"], "fieldCity", 5, b"x", [("fieldCity", "x")], s.Thing(), {1, 2}], ids=repr)
async def test_fields_are_a_mapping(kt: KlickTipp, lb: Listbuilding, service: Service, fields: Any) -> None:
    """Anything else is refused by the name of the argument."""
    for call in (kt.contacts.update(1, fields=fields), lb.sign_in(email=EMAIL, fields=fields)):
        with pytest.raises(ArgumentError, match="fields") as caught:
            await call
        s.check_quiet(caught.value, fields)
    assert not service.seen


@s.checked(60)
@given(key=s.anything)
async def test_keys_of_fields(kt: KlickTipp, service: Service, key: Any) -> None:
    """A key is that of a field, or refused whatever it is."""
    try:
        hash(key)
    except TypeError:
        # Also a NaN that signals: no mapping can have such a key.
        return
    del service.seen[:]
    error = await s.failure_of(lambda: kt.contacts.update(1, fields={key: "x"}))
    if not service.seen:
        s.check_refusal(error, kt, key)
        return
    (sent,) = service.seen[-1].json["fields"]
    assert sent == f"field{str(key).removeprefix('field')}"


@pytest.mark.parametrize(
    "key", [True, None, 1.0, b"1", 10**5000, "A" * 2**20, "1" * 2**20, s.Thing, -1, s.ADDRESS], ids=type
)
async def test_odd_keys_of_fields(kt: KlickTipp, service: Service, key: Any) -> None:
    """`True` is not the field fieldTrue, and an endless key is no key."""
    for call in (kt.fields.get(key), kt.contacts.update(1, fields={key: "x"})):
        with pytest.raises(ArgumentError) as caught:
            await call
        s.check_refusal(caught.value, kt, key)
    assert not service.seen


TYPED = FieldSchema(
    {f"field{number}": kind for number, kind in enumerate(("field-number", "field-decimal", "field-date"))}
)
VALUES = (
    *s.NUMBERS,
    *s.OBJECTS,
    *s.TEXTS,
    *(CLEAR, dt.time(1, 2), dt.time(1, tzinfo=dt.UTC), dt.date.min, dt.date.max),
    *(Decimal("19.99"), Decimal("1E+999999"), Decimal("-0"), Decimal("NaN"), "19,99", "-5", "٥", "1" * 65),
)


@pytest.mark.parametrize("key", ["field0", "field1", "field2", "fieldWebsite", "fieldBirthday", "fieldLeadValue"])
def test_typed_fields_take_what_fits(key: str) -> None:
    """Each type writes a text in its own form, or refuses by the field's name."""
    value: Any
    for value in VALUES:
        refusal = s.refusal_of(partial(TYPED.to_wire, {key: value}))
        if refusal is not None:
            assert key in str(refusal)
            s.check_quiet(refusal, value)
        elif value is not None:
            text = TYPED.to_wire({key: value})[key]
            assert re.fullmatch(r"-?[0-9]{1,64}|https?://.*|", text, re.DOTALL)
            text.encode()


CREDENTIALS = (
    *("", " ", "ü", "a\r\nX-Evil: 1", "a\0", "\ud800", "a\x85", s.PASSWORD + "\n", s.ADDRESS + "\ud800", "🔑"),
    *(None, 5, True, b"abc", s.Thing(), ["a"], "x" * 2**20),
)
MAKERS: dict[str, Callable[[Any], Any]] = {
    "username": lambda value: KeyPair(value, "00", "c"),
    "developer_key": lambda value: KeyPair("u", value, "c"),
    "customer_key": lambda value: KeyPair("u", "00", value),
    "username of a login": lambda value: SessionLogin(value, "p"),
    "password": lambda value: SessionLogin("u", value),
    "api_key": Listbuilding,
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("value", CREDENTIALS, ids=lambda value: type(value).__name__ + repr(value)[:12])
async def test_credentials_are_sendable_or_refused(service: Service, name: str, value: Any) -> None:
    """At once and by name; what is taken reaches the service without another header, and stays out of every repr."""
    refusal = s.refusal_of(lambda: MAKERS[name](value))
    if refusal is not None:
        assert isinstance(refusal, ArgumentError)
        assert name.partition(" ")[0] in str(refusal)
        s.check_quiet(refusal, value)
        return
    auth = MAKERS[name](value)
    assert s.CANARY not in repr(auth)
    async with service.client() as http:
        client = Listbuilding(value, http=http) if isinstance(auth, Listbuilding) else KlickTipp(auth, http=http)
        calls = client.sign_off(EMAIL) if isinstance(client, Listbuilding) else client.account.get()
        with pytest.raises(Exception, match="400") as caught:
            await calls
    s.check_quiet(caught.value, value)
    (sent,) = service.seen
    assert not any(re.search(rb"[\r\n\0]", name + text) for name, text in sent.headers)
    if name in {"username of a login", "password"}:
        assert sent.json[name.partition(" ")[0]] == (value.strip() if "username" in name else value)
