"""What has to change: addresses, data fields by their meaning, and tags."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from klicktipp_async import Contact, FieldType, KlickTipp
from klicktipp_async.crm.difference import Change, Difference, difference
from klicktipp_async.crm.targets import Collision, Segments
from klicktipp_async.crm.wanted import FieldColumn, Rules, Wanted
from klicktipp_async.sandbox import Sandbox
from klicktipp_async.sandbox.rules import STANDARD_FIELDS, InvalidValue, stored

FAST = settings(max_examples=100, derandomize=True, deadline=None)
MOMENT = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)

TYPED = {f"field{number}": kind for number, kind in enumerate(FieldType, 1)}
KINDS = TYPED | {key: kind for key, (_, kind) in STANDARD_FIELDS.items()}
PHONES = ("fieldPrivatePhone", "fieldMobilePhone", "fieldPhone", "fieldFax")
TAGS = {1: "Käufer", 2: "[CRM] Gold", 3: "[CRM] Alt", 4: "[CRM]ohne Leerzeichen", 5: "crm"}

RULES = Rules(
    email="Mail",
    fields=tuple(FieldColumn(column=key, key=key, type=kind) for key, kind in TYPED.items()),
    segment_columns=("Gruppen",),
)


def key_of(kind: FieldType) -> str:
    """The field of a type."""
    return next(key for key, each in TYPED.items() if each is kind)


def fields_of(old: Mapping[str, str], new: Mapping[str, str], rules: Rules = RULES) -> Mapping[str, str]:
    """What is written to data fields."""
    return difference(Contact(id=1, fields=old), Wanted(fields=new), rules, {}).fields


def tags_of(
    held: tuple[int, ...], *, segments: tuple[str, ...] = (), tags: tuple[str, ...] = (), rules: Rules = RULES
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tags to set and to take off a contact that has some."""
    contact = Contact(id=1, tags=(*held, 99), manual_tags=dict.fromkeys(held, MOMENT), smart_tags={99: MOMENT})
    found = difference(contact, Wanted(segments=segments, tags=tags), rules, TAGS)
    return found.add_tags, found.remove_tags


def with_collision(collision: Collision) -> Rules:
    """Rules under which a field has another collision than overwriting."""
    return Rules(fields=(FieldColumn(column="Ort", key="fieldCity", collision=collision),))


def test_a_contact_as_wanted_has_no_difference() -> None:
    """What the CRM does not say is left alone."""
    contact = Contact(id=1, email="anna@example.com", sms_phone="004917012345", fields={"fieldCity": "Köln"})
    found = difference(contact, Wanted(), RULES, TAGS)
    assert found == Difference()
    assert found.nothing


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [
        ("anna@example.com", None, None),
        ("anna@example.com", "anna@example.com", None),
        ("Änna@Example.com", "änna@example.COM", None),
        ("anna@example.com", "anna@example.org", "anna@example.org"),
        ("strasse@example.com", "straße@example.com", "straße@example.com"),
        (None, "anna@example.com", "anna@example.com"),
        ("", "anna@example.com", "anna@example.com"),
    ],
)
def test_another_address_is_a_change(old: str | None, new: str | None, written: str | None) -> None:
    """Letter case is none."""
    found = difference(Contact(id=1, email=old), Wanted(email=new), RULES, {})
    assert found.email == written
    assert found.changes == (() if written is None else (Change("email", old or "", written),))
    assert found.nothing is (written is None)


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [
        ("004917012345", None, None),
        ("004917012345", "+49 170 123-45", None),
        ("004917012345", "0049 (170) 12345", None),
        ("004917012345", "+4917012346", "+4917012346"),
        (None, "+4917012345", "+4917012345"),
    ],
)
def test_another_number_is_a_change(old: str | None, new: str | None, written: str | None) -> None:
    """The way to write it is none."""
    found = difference(Contact(id=1, sms_phone=old), Wanted(sms_number=new), RULES, {})
    assert found.sms_number == written
    assert found.changes == (() if written is None else (Change("sms_number", old or "", written),))


def test_changes_come_in_order() -> None:
    """The address, the number, then the fields as the CRM names them; what stays is left out."""
    contact = Contact(id=1, email="a@b.de", fields={"fieldCity": "Bonn", "fieldZip": "01100", "fieldState": "NRW"})
    fields = {"fieldZip": "1100", "fieldState": "NRW", "fieldCity": "", "fieldCountry": ""}
    found = difference(contact, Wanted(email="c@d.de", sms_number="+49170", fields=fields), RULES, {})
    assert found.changes == (
        Change("email", "a@b.de", "c@d.de"),
        Change("sms_number", "", "+49170"),
        Change("fieldZip", "01100", "1100"),
        Change("fieldCity", "Bonn", ""),
    )
    assert found.fields == {"fieldZip": "1100", "fieldCity": ""}
    assert not found.nothing


def test_a_difference_shows_no_personal_data() -> None:
    """Neither what was nor what is written stands in its repr."""
    contact = Contact(id=1, email="alt@example.com", sms_phone="004917011", fields={"fieldCity": "altstadt"})
    wanted = Wanted(email="neu@example.com", sms_number="+4917022", fields={"fieldCity": "neustadt"})
    shown = repr(difference(contact, wanted, RULES, {}))
    assert "fieldCity" in shown
    assert not [text for text in ("example.com", "17011", "17022", "stadt") if text in shown]


@pytest.mark.parametrize(
    ("collision", "old", "new", "written"),
    [
        (Collision.OVERWRITE, "Bonn", "Köln", {"fieldCity": "Köln"}),
        (Collision.OVERWRITE, "Bonn", "", {"fieldCity": ""}),
        (Collision.OVERWRITE, "", "Köln", {"fieldCity": "Köln"}),
        (Collision.OVERWRITE, "", "", {}),
        (Collision.OVERWRITE, None, "", {}),
        (Collision.OVERWRITE, None, "Köln", {"fieldCity": "Köln"}),
        (Collision.ONLY_IF_EMPTY, "Bonn", "Köln", {}),
        (Collision.ONLY_IF_EMPTY, "Bonn", "", {}),
        (Collision.ONLY_IF_EMPTY, "", "Köln", {"fieldCity": "Köln"}),
        (Collision.ONLY_IF_EMPTY, None, "Köln", {"fieldCity": "Köln"}),
        (Collision.ONLY_IF_EMPTY, "", "", {}),
        (Collision.NEVER, "Bonn", "Köln", {}),
        (Collision.NEVER, "", "Köln", {}),
    ],
)
def test_the_collision_decides_which_value_stays(
    collision: Collision, old: str | None, new: str, written: dict[str, str]
) -> None:
    """An absent key counts as empty."""
    before = {} if old is None else {"fieldCity": old}
    assert fields_of(before, {"fieldCity": new}, with_collision(collision)) == written


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (FieldType.DECIMAL, "19.99", "1999"),
        (FieldType.DECIMAL, "19.9", "1990"),
        (FieldType.DECIMAL, "-0.50", "-50"),
        (FieldType.DECIMAL, "0.00", "-0"),
        (FieldType.DECIMAL, "1999", "01999"),
        (FieldType.DECIMAL, "2000", "2000"),
        (FieldType.DECIMAL, "123456789012345678901234567890.01", "12345678901234567890123456789001"),
        (FieldType.NUMBER, "7", "007"),
        (FieldType.NUMBER, "007", "7"),
        (FieldType.TIME, "60", "0060"),
        (FieldType.DATE, "1715126400", "1715126400"),
        (FieldType.DATE, "1715126400", "1715130000"),
        (FieldType.DATETIME, "60", "060"),
        (FieldType.PARAGRAPH, "eins\r\nzwei", "eins\nzwei"),
        (FieldType.HTML, "<b>\n</b>", "<b>\r\n</b>"),
    ],
)
def test_the_same_meaning_is_no_difference(kind: FieldType, old: str, new: str) -> None:
    """The service shows some values otherwise than they were sent."""
    assert fields_of({key_of(kind): old}, {key_of(kind): new}) == {}


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (FieldType.DECIMAL, "19.99", "1998"),
        (FieldType.DECIMAL, "20", "2000"),
        (FieldType.DECIMAL, "19.99", "-1999"),
        (FieldType.DECIMAL, "19.999", "1999"),
        (FieldType.DECIMAL, "19.00", "19"),
        (FieldType.DECIMAL, "0.00", ""),
        (FieldType.DECIMAL, "neunzehn", "1999"),
        (FieldType.NUMBER, "7", "70"),
        (FieldType.NUMBER, "0", ""),
        (FieldType.NUMBER, "sieben", "7"),
        (FieldType.DATE, "1715126400", "1715212800"),
        (FieldType.DATETIME, "1715126400", "1715126401"),
        (FieldType.TIME, "60", "61"),
        (FieldType.LINE, "007", "7"),
        (FieldType.LINE, "Müller", "Mueller"),
        (FieldType.LINE, "Müller", "müller"),
        (FieldType.LINE, "Müller ", "Müller"),
        (FieldType.PARAGRAPH, "eins\n\nzwei", "eins\nzwei"),
        (FieldType.URL, "https://example.com/", "https://example.com"),
        (FieldType.EMAIL, "a@example.com", "A@example.com"),
    ],
)
def test_another_meaning_is_a_difference(kind: FieldType, old: str, new: str) -> None:
    """Texts are compared exactly, numbers and times by what they are."""
    assert fields_of({key_of(kind): old}, {key_of(kind): new}) == {key_of(kind): new}


@pytest.mark.parametrize("key", PHONES)
@pytest.mark.parametrize("old", ["0049301", "+49 30 1", "49301", "(0049) 30/1", "+49-30.1"])
@pytest.mark.parametrize("new", ["0049301", "+49 30 1", "49301", "+49\t30\u00a01"])
def test_phone_numbers_of_data_fields_are_the_same_however_they_are_written(key: str, old: str, new: str) -> None:
    """With and without the sign, the zeros, and what stands between the digits."""
    assert fields_of({key: old}, {key: new}) == {}


@pytest.mark.parametrize(
    ("old", "new"), [("0049301", "0049302"), ("0301", "+301"), ("0301", "0049301"), ("keine", "eine"), ("a-1", "a1")]
)
def test_other_phone_numbers_of_data_fields_are_a_difference(old: str, new: str) -> None:
    """A number without its country is another, and what is no number is a text."""
    assert fields_of({"fieldPhone": old}, {"fieldPhone": new}) == {"fieldPhone": new}


def test_only_the_standard_phone_fields_hold_phone_numbers() -> None:
    """In a line, the same digits are only characters."""
    assert fields_of({"field1": "0049301"}, {"field1": "+49301"}) == {"field1": "+49301"}


def test_a_date_is_the_day_in_the_accounts_time_zone() -> None:
    """Midnight in Berlin and two hours later are one day there, and two days in UTC."""
    berlin = attrs.evolve(RULES, timezone=ZoneInfo("Europe/Berlin"))
    old, new = {key_of(FieldType.DATE): "1715119200"}, {key_of(FieldType.DATE): "1715126400"}
    assert fields_of(old, new, berlin) == {}
    assert fields_of(old, new) == new


def test_a_field_without_a_type_is_compared_as_a_text() -> None:
    """Nobody said that it holds numbers."""
    assert fields_of({"field777": "7"}, {"field777": "007"}) == {"field777": "007"}


def test_missing_tags_are_added_in_order() -> None:
    """Segments first, each name once, and none that is there."""
    segments, tags = ("[CRM] Neu", "[CRM] Gold"), ("Käufer", "Messe; 2025", "[CRM] Neu")
    assert tags_of((1, 2), segments=segments, tags=tags) == (("[CRM] Neu", "Messe; 2025"), ())


def test_only_managed_tags_are_removed() -> None:
    """Tags without the prefix and SmartTags stay, whatever is wanted."""
    assert tags_of((1, 2, 3, 4, 5), segments=("[CRM] Gold",)) == ((), ("[CRM] Alt",))
    assert tags_of((1, 2, 3, 4, 5)) == ((), ("[CRM] Gold", "[CRM] Alt"))


def test_a_managed_tag_that_is_wanted_otherwise_stays() -> None:
    """A tag of every contact may have the prefix, too."""
    assert tags_of((2, 3), tags=("[CRM] Alt",)) == ((), ("[CRM] Gold",))


def test_nothing_is_removed_where_segments_are_not_mapped() -> None:
    """Without a column of segments the CRM says nothing of them."""
    assert tags_of((2, 3), rules=Rules(), tags=("Neu",)) == (("Neu",), ())


def test_a_row_without_its_segments_takes_none_off() -> None:
    """A column that a row does not have says nothing; what is named is set all the same."""
    contact = Contact(id=1, tags=(2, 3))
    found = difference(contact, Wanted(tags=("Neu",), keeps_segments=True), RULES, TAGS)
    assert (found.add_tags, found.remove_tags) == (("Neu",), ())


def test_the_prefix_is_that_of_the_rules() -> None:
    """Another prefix owns other tags."""
    rules = attrs.evolve(RULES, segments=Segments("crm"))
    assert tags_of((2, 5), rules=rules) == ((), ("crm",))


def test_a_contact_without_the_map_of_manual_tags_is_taken_at_its_list() -> None:
    """Some answers lack the map; ids without a name are SmartTags."""
    contact = Contact(id=1, tags=(3, 99))
    found = difference(contact, Wanted(tags=("Käufer",)), RULES, TAGS)
    assert (found.add_tags, found.remove_tags) == (("Käufer",), ("[CRM] Alt",))


NUMBERS = {
    FieldType.NUMBER: st.from_regex(r"[0-9]{1,30}", fullmatch=True),
    FieldType.DECIMAL: st.from_regex(r"-?[0-9]{1,40}", fullmatch=True),
    FieldType.DATE: st.from_regex(r"-?[0-9]{1,11}", fullmatch=True),
    FieldType.DATETIME: st.from_regex(r"-?[0-9]{1,11}", fullmatch=True),
    FieldType.TIME: st.integers(0, 86399).map(str),
}
TEXTS = st.text(max_size=20) | st.text(alphabet="+0123456789 ()/.-\t\u00a0ab٣", max_size=20)


@st.composite
def writes(draw: st.DrawFn) -> tuple[str, str]:
    """A field and a text that may be sent to it."""
    key = draw(st.sampled_from([*KINDS]))
    texts = {FieldType.URL: st.from_regex(r"https?://\S+", fullmatch=True), FieldType.EMAIL: st.just("ü@example.com")}
    text = draw(st.just("") | NUMBERS.get(KINDS[key], texts.get(KINDS[key], TEXTS)))
    return key, text


@FAST
@given(writes(), st.sampled_from([dt.UTC, ZoneInfo("Europe/Berlin")]))
def test_what_was_written_is_no_difference_the_next_time(write: tuple[str, str], zone: dt.tzinfo) -> None:
    """Whatever form the service keeps a value in, it is not written again."""
    key, text = write
    try:
        kept = stored(key, KINDS[key], text)
    except InvalidValue:
        assume(False)
    assert fields_of({key: kept}, {key: text}, attrs.evolve(RULES, timezone=zone)) == {}


@FAST
@given(
    st.sampled_from([FieldType.NUMBER, FieldType.DECIMAL, FieldType.DATETIME, FieldType.TIME]),
    st.integers(0, 86399),
    st.integers(1, 1000),
)
def test_another_number_is_written(kind: FieldType, old: int, step: int) -> None:
    """No two numbers are taken for one, in the form in which the service keeps them."""
    key, new = key_of(kind), str(old + step)
    assert fields_of({key: stored(key, kind, str(old))}, {key: new}) == {key: new}


@pytest.mark.anyio
async def test_a_difference_that_is_written_is_gone(kt: KlickTipp, box: Sandbox) -> None:
    """Written to the service and read from it, a contact is as wanted."""
    keys = {kind: box.add_field(kind, kind) for kind in FieldType}
    columns = tuple(FieldColumn(column=key, key=key, type=kind) for kind, key in keys.items())
    rules = Rules(fields=columns, segment_columns=("Gruppen",))
    wanted = Wanted(
        email="Neu@example.com",
        sms_number="+49 170 123456",
        fields={
            keys[FieldType.DECIMAL]: "-1999",
            keys[FieldType.DATE]: "-86400",
            "fieldFax": "49 30 1",
            "fieldZip": "",
        },
        segments=("[CRM] Gold",),
    )
    (contact_id,) = box.seed_contacts(1)
    names = {box.add_tag(name): name for name in ("[CRM] Gold", "[CRM] Alt")}
    box.put_on("kontakt1@example.com", max(names))
    found = difference(await kt.contacts.get(contact_id), wanted, rules, names)
    assert (found.add_tags, found.remove_tags, "fieldZip" in found.fields) == (("[CRM] Gold",), ("[CRM] Alt",), False)

    await kt.contacts.update(contact_id, email=found.email, sms_number=found.sms_number, fields=found.fields)
    await kt.contacts.tag("neu@example.com", min(names))
    await kt.contacts.untag("neu@example.com", max(names))
    assert difference(await kt.contacts.get(contact_id), wanted, rules, names).nothing
