"""The page that shows a plan: what it says, to whom it is readable, and that nothing in it can do harm."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
import tracemalloc
from pathlib import Path

import pytest

from klicktipp_async import ConfigError, KlickTipp
from klicktipp_async.crm import ContactSync, Mapping, Target, plan_page
from klicktipp_async.crm.plan_page_texts import clean, escaped, masked, spans, value
from klicktipp_async.crm.reasons import Language
from klicktipp_async.field_schema import FieldSchema, FieldType
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.page_support import HOSTILE, VALUES, Parsed, Row, page, trapped
from tests.klicktipp_async.crm.support import CRM_FIELD, add, anna, make_sync, people, writes

pytestmark = pytest.mark.anyio


def names_in(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def sync(box: Sandbox, kt: KlickTipp) -> ContactSync:
    """A sync whose plan has something of everything."""
    sync = make_sync(box, kt)
    known = {CRM_FIELD: "K-1", "fieldFirstName": "Anna"}
    add(box, "anna@example.com", "[CRM] Kunde", "[CRM] Alt", **known)
    add(box, "berta@example.com", "[CRM] Kunde", **{CRM_FIELD: "K-2"})
    add(box, "clara@example.com", "[CRM] Kunde", **known | {CRM_FIELD: "K-3", "fieldFirstName": "Clara"})
    add(box, "ole@example.com", **{CRM_FIELD: "K-4"})
    box.unsubscribe("ole@example.com")
    await sync.plan(
        [
            anna(),
            anna(Nr="K-2", Mail="berta@neu.example.org", Vorname="Berta"),
            anna(Nr="K-3", Mail="clara@example.com", Vorname="Clara"),
            anna(Nr="K-4", Mail="ole@example.com"),
            anna(Nr="K-5", Mail="emil@example.com", Tags="VIP", Segmente=""),
            anna(Nr="K-5", Mail="emil@example.com", Tags="VIP", Segmente=""),
            anna(Nr="K-7", Mail="kaputt"),
        ]
    )
    return sync


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "en",
            [
                "Nothing has been sent yet. This is what happens if you say yes.",
                "New contacts 1 Changed 2 1 with a new address Unchanged 1 Skipped 3",
                "Rows in all: 7",
                "New contacts go through the opt-in process “Single-Opt-In”.",
            ],
        ),
        (
            "de",
            [
                "Noch ist nichts gesendet. Das geschieht, wenn Sie Ja sagen.",
                "Neue Kontakte 1 Geändert 2 1 mit neuer Adresse Unverändert 1 Übersprungen 3",
                "Zeilen insgesamt: 7",
                "Neue Kontakte durchlaufen den Opt-in-Prozess „Single-Opt-In“.",
            ],
        ),
    ],
)
async def test_the_numbers_come_first(sync: ContactSync, tmp_path: Path, language: Language, told: list[str]) -> None:
    """How many contacts are created, changed and skipped, and what new ones go through."""
    read = " ".join((await page(sync, tmp_path / "plan.html", language=language)).lines)
    assert [read.find(each) > 0 for each in told] == [True] * len(told)
    assert sorted(told, key=read.find) == told


async def test_changes_are_told_by_field_with_examples(sync: ContactSync, tmp_path: Path) -> None:
    """The field by its label, the value before and after, how many contacts; addresses by their first letters."""
    read = " ".join((await page(sync, tmp_path / "plan.html", language="de")).lines)
    assert "Vorname Anna → Änne leer → Berta 2" in read
    assert "E-Mail-Adresse b…@e….com → b…@n….org 1" in read


async def test_three_examples_are_enough(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Each another one, in the order of the rows; all that change are counted."""
    sync = make_sync(box, kt)
    names = ["Anna", "Anna", "Berta", "Clara", "Dora"]
    for number in range(len(names)):
        add(box, f"a{number}@example.com", fieldFirstName="Ole", **{CRM_FIELD: f"K-{number}"})
    rows = [
        {"Nr": f"K-{number}", "Mail": f"a{number}@example.com", "Vorname": name} for number, name in enumerate(names)
    ]
    await sync.plan(rows)
    read = " ".join((await page(sync, tmp_path / "plan.html")).lines)
    assert "Vorname Ole → Anna Ole → Berta Ole → Clara 5 " in read


async def test_tags_are_told_before_and_after(sync: ContactSync, tmp_path: Path) -> None:
    """Counted in the account; a new one is named so, and each has the numbers beside its bars."""
    parsed = await page(sync, tmp_path / "plan.html")
    read = " ".join(parsed.lines)
    assert "[CRM] Alt 1 → 0 −1" in read
    assert "VIPnew 0 → 1 +1" in read
    assert "Tags to be created: 1." in read
    widths = [dict.fromkeys(names) for element, names in parsed.elements if element == "rect"]
    assert all("class" in each for each in widths)


async def test_a_tag_that_is_deleted_meanwhile_has_nobody(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """The page does not fail for it."""
    sync = make_sync(box, kt)
    tag_id = box.add_tag("[CRM] Kunde")
    await sync.plan([anna()])
    box._store.delete_tag(box._store.tags[tag_id])
    assert "[CRM] Kunde 0 → 1 +1" in " ".join((await page(sync, tmp_path / "plan.html")).lines)


async def test_one_read_for_each_tag_that_changes(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Up to thirty; a page writes nothing into the account."""
    names = [f"Tag {number:03}" for number in range(40)]
    for name in names[:35]:
        box.add_tag(name)
    sync = make_sync(box, kt, mapping=Mapping(email="Mail", tags=["Tags"]))
    await sync.plan([{"Mail": f"a{number}@example.com", "Tags": ",".join(names[number:])} for number in range(20)])
    before = box.count()
    read = (await page(sync, tmp_path / "plan.html")).lines
    assert box.count() - before == box.count("Search Tagged Contacts") == 25
    assert "Tags to be created: 5. Further tags that change: 10." in read
    assert writes(box) == 0


@pytest.mark.parametrize(
    ("language", "reasons"),
    [
        (
            "en",
            [
                "the contact has unsubscribed; nothing of it is changed",
                "the same contact as in line 5, which was taken",
                "Mail: not an e-mail address",
            ],
        ),
        (
            "de",
            [
                "der Kontakt hat sich abgemeldet; an ihm wird nichts geändert",
                "derselbe Kontakt wie in Zeile 5, die genommen wurde",
                "Mail: keine E-Mail-Adresse",
            ],
        ),
    ],
)
async def test_rows_that_are_skipped_are_listed(
    sync: ContactSync, tmp_path: Path, language: Language, reasons: list[str]
) -> None:
    """With their number, the CRM's id, the beginnings of the address, and the reason."""
    parsed = await page(sync, tmp_path / "plan.html", language=language)
    assert parsed.rows == [
        Row("unsubscribed", ["4", "K-4|o…@e….com", reasons[0]]),
        Row("duplicate", ["6", "K-5|e…@e….com", reasons[1]]),
        Row("email_invalid", ["7", "", reasons[2]]),
    ]
    links = [each for name, each in parsed.attributes if name == "href"]
    assert sorted(links) == ["#q=duplicate", "#q=email_invalid", "#q=unsubscribed"]


async def test_no_reason_hides_the_rows_of_another(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Of each the first rows are listed; the page says how many, and where the others are."""
    sync = make_sync(box, kt)
    await sync.plan([*[{"Mail": "kaputt"}] * 1300, {"Mail": "", "Nr": ""}])
    parsed = await page(sync, tmp_path / "plan.html", language="de")
    assert [len([row for row in parsed.rows if row.code == code]) for code in ("email_invalid", "no_identity")] == [
        250,
        1,
    ]
    told = "251 von 1.301 stehen hier, von jedem Grund die ersten; alle stehen in dem Bericht"
    assert told in " ".join(parsed.lines)


async def test_what_the_service_says_against_a_row_is_told(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """A reason without words of the page's own has those of its first row."""
    sync = make_sync(box, kt, find_crm_ids=False)
    box.fail("Search Contact ID", every=1, status=406, body={"error": 999})
    await sync.plan([anna()])
    parsed = await page(sync, tmp_path / "plan.html")
    assert ("href", "#q=999") in parsed.attributes
    assert parsed.rows[0].cells[2] in parsed.lines


async def test_nothing_to_do_is_said(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """A page without sections that would be empty."""
    sync = make_sync(box, kt)
    await sync.plan([])
    parsed = await page(sync, tmp_path / "plan.html")
    assert "There is nothing to send: no contact has to change." in " ".join(parsed.lines)
    sections = [names for element, names in parsed.elements if element == "section"]
    assert ["hidden" in names for names in sections] == [False, True, True, True, True]


async def test_contacts_that_are_not_looked_up_are_no_promise(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Nobody knows whether they are there, and the account's own opt-in may send mails."""
    sync = make_sync(box, kt, look_up=False, opt_in_id=None)
    await sync.plan(people(2))
    read = " ".join((await page(sync, tmp_path / "plan.html")).lines)
    assert "New contacts 2 2 perhaps there already" in read
    assert "Some contacts are not looked up first" in read
    assert "double opt-in, which may send each of them a confirmation mail" in read
    assert "Columns that no row has, perhaps misspelled in the mapping: Firma, KT, Mobil, Tags" in read


@pytest.mark.parametrize(("language", "lang"), [("de", "de"), ("en", "en"), (None, "en")])
async def test_both_languages_are_in_the_page(
    sync: ContactSync, tmp_path: Path, language: Language | None, lang: str
) -> None:
    """One is chosen at first; the browser's where nobody says so, and English where it cannot be asked."""
    path = tmp_path / "plan.html"
    await sync.write_page(path, language=language)
    html = path.read_text(encoding="utf-8")
    assert f'<html lang="{lang}" data-language="{language or "browser"}">' in html
    assert re.findall(r'id="(\w+)" autocomplete="off" checked', html) == ["german" if lang == "de" else "english"]
    pieces = re.findall(r'lang="(en|de)"', html)
    assert pieces.count("en") == pieces.count("de") + (1 if lang == "en" else -1)


async def test_nothing_is_loaded_and_nothing_else_is_run(sync: ContactSync, tmp_path: Path) -> None:
    """The policy allows the one style and the one script by their digests, and there is nothing to follow."""
    parsed = await page(sync, tmp_path / "plan.html")
    policy = next(text for name, text in parsed.attributes if text.startswith("default-src"))
    digests = {
        kind: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for kind, text in parsed.raw.items()
    }
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests['style']}'; script-src 'sha256-{digests['script']}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    names = {name for name, _ in parsed.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "style", "srcset", "action"}
    assert all(text.startswith("#q=") for name, text in parsed.attributes if name == "href")
    assert not re.search(r"https?:|//[a-z]|innerHTML|insertAdjacent|document\.write|eval|url\(", parsed.raw["script"])
    assert not re.search(r"url\(|@import|https?:", parsed.raw["style"])


async def test_hostile_names_and_values_are_texts(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """The page has the elements and attributes that it has with harmless ones, and the same style and script."""
    read: list[Parsed] = []
    for number, (names, values) in enumerate([(HOSTILE, VALUES), (_harmless(HOSTILE), _harmless(VALUES))]):
        async with Sandbox() as own:
            sync = await trapped(own, own.client(), names, values)
            read.append(await page(sync, tmp_path / f"{number}.html", title=names[3]))
    hostile, harmless = read
    assert hostile.elements == harmless.elements
    assert hostile.raw == harmless.raw
    assert hostile.comments == []
    shown = "\n".join(hostile.lines)
    for name in HOSTILE[:7]:
        assert shown.count(name) >= 3
    assert not re.search("[\x00\x1b\x7f\u200f\u2028\u202e\u2066]", shown)
    assert max(map(len, hostile.lines)) < 1000


def _harmless(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{number:03}".join(["n", "x" * (len(text) - 4)]) for number, text in enumerate(texts))


async def test_no_address_stands_there_whole(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Wherever it comes from: the row, the account, a data field, or a CRM that knows people by it."""
    canary = "kanarienvogel"
    sync = make_sync(box, kt)
    add(box, f"{canary}.alt@{canary}.example", **{CRM_FIELD: "K-1", "fieldFirstName": f"a {canary}@x.example"})
    box.block(f"zu.{canary}@example.com")
    rows = [
        anna(
            Mail=f"{canary}.neu@{canary}.example",
            Vorname=f"b {canary}@y.example +49 30 4711471147",
            Mobil="+4930471147114",
        ),
        anna(Nr=f"{canary}@example.com", Mail=f"z@{canary}.example"),
        anna(Nr=f"{canary}@example.com", Mail=f"y@{canary}.example"),
    ]
    await sync.plan(rows)
    read = "\n".join((await page(sync, tmp_path / "plan.html")).lines)
    assert canary not in (tmp_path / "plan.html").read_text(encoding="utf-8")
    assert "4711" not in read
    assert "a ••• → b ••• •••" in read
    assert "empty → •••14" in read


async def test_the_file_is_for_its_owner_and_replaced_as_a_whole(sync: ContactSync, tmp_path: Path) -> None:
    """Also where an earlier page was readable for others; nothing is left beside it."""
    path = tmp_path / "plan.html"
    await sync.write_page(path)
    path.chmod(0o644)
    await sync.write_page(path, title="neu.csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "<title>neu.csv</title>" in path.read_text(encoding="utf-8")
    assert names_in(tmp_path) == [path.name]


async def test_a_page_that_cannot_be_finished_is_none(
    sync: ContactSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was there stays, and nothing is left beside it."""
    path = tmp_path / "plan.html"
    await sync.write_page(path, title="alt.csv")
    before = path.read_bytes()

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plan_page.parts, "row", full)
    with pytest.raises(OSError, match="No space"):
        await sync.write_page(path)
    assert path.read_bytes() == before
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("name", "said"),
    [("mine.html", "not the page of an earlier plan"), (".", "not the page"), ("no/p.html", "not a folder")],
)
async def test_no_other_file_is_replaced(sync: ContactSync, tmp_path: Path, name: str, said: str) -> None:
    """Whatever its name is."""
    (tmp_path / "mine.html").write_text("<!doctype html>\n<p>mein Text")
    with pytest.raises(ConfigError, match=said):
        await sync.write_page(tmp_path / name)
    assert (tmp_path / "mine.html").read_text() == "<!doctype html>\n<p>mein Text"


async def test_a_page_shows_a_plan_before_it_is_carried_out(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Neither half of a plan, nor one of which rows were sent, nor none at all."""
    sync = make_sync(box, kt)
    with pytest.raises(ConfigError, match="no plan"):
        await sync.write_page(tmp_path / "plan.html")
    sync.stop()
    await sync.plan([anna()])
    with pytest.raises(ConfigError, match="not made to its end"):
        await sync.write_page(tmp_path / "plan.html")
    await sync.apply(await sync.plan([anna()]))
    with pytest.raises(ConfigError, match="sent already"):
        await sync.write_page(tmp_path / "plan.html")
    assert not (tmp_path / "plan.html").exists()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_five_thousand_rows_are_one_small_page(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """Also where most of them are skipped, for reasons with long names."""
    column = "Ü" * 10_000
    mapping = Mapping(email="Mail", fields={column: Target(field="fieldBirthday")})
    sync = make_sync(box, kt, look_up=False, mapping=mapping)
    bad = [{"Mail": "kaputt"}, {"Mail": "a@example.com", column: "gestern"}, {"Mail": ""}, {"Mail": "b@example.com"}]
    await sync.plan([bad[number % 4] for number in range(5000)])
    parsed = await page(sync, tmp_path / "plan.html")
    assert len(parsed.rows) == 4 * 250 == len({row.cells[0] for row in parsed.rows})
    assert (tmp_path / "plan.html").stat().st_size < 2_000_000


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_memory_does_not_grow_with_the_rows(box: Sandbox, kt: KlickTipp, tmp_path: Path) -> None:
    """A thousand rows more need no more memory to be shown."""

    async def peak(count: int) -> int:
        sync = make_sync(box, kt, look_up=False)
        await sync.plan(row | {"Firma": "Müller; Söhne " * 50} for row in people(count))
        tracemalloc.start()
        try:
            await sync.write_page(tmp_path / "plan.html")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(10)
    # Above two pages of the journal, which are in memory at a time.
    assert await peak(2000) - await peak(1100) < 200_000


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("anna@example.com", "a…@e….com"),
        ("a@b", "a…@b…"),
        ("ä@sub.example.co.uk", "ä…@s….uk"),
        ("@example.com", "•••"),
        ("anna@", "•••"),
        ("kaputt", "•••"),
        ("", ""),
        (None, ""),
    ],
)
async def test_addresses_are_masked(given: str | None, shown: str) -> None:
    """One can tell one's own again, and nobody else's."""
    assert masked(given) == shown


@pytest.mark.parametrize(
    ("key", "text", "english", "german"),
    [
        ("fieldBirthday", "346464000", "1980-12-24", "24.12.1980"),
        ("field1", "123450", "1,234.50", "1.234,50"),
        ("field1", "1234.5", "1,234.50", "1.234,50"),
        ("field1", "viel", "viel", "viel"),
        ("field2", "346464060", "1980-12-24 00:01", "24.12.1980 00:01"),
        ("field2", "253402300799", "9999-12-31 23:59", "31.12.9999 23:59"),
        ("field3", "52200", "14:30", "14:30"),
        ("field4", "1980", "1980", "1980"),
        ("field5", "", "", ""),
        ("sms_number", "004915112345678", "•••78", "•••78"),
        ("sms_number", "", "", ""),
    ],
)
async def test_values_are_written_for_people(key: str, text: str, english: str, german: str) -> None:
    """And in the form of each language, where the field's type is known."""
    types = {"1": FieldType.DECIMAL, "2": FieldType.DATETIME, "3": FieldType.TIME, "4": FieldType.NUMBER}
    assert value(FieldSchema(types), key, text) == (english, german)


async def test_a_moment_beyond_all_time_zones_is_told_in_utc() -> None:
    """The last minute of the calendar has no time east of Greenwich."""
    import zoneinfo

    schema = FieldSchema({"2": FieldType.DATETIME}, timezone=zoneinfo.ZoneInfo("Asia/Tokyo"))
    assert value(schema, "field2", "253402300799")[0] == "9999-12-31 23:59"
    assert value(schema, "field2", "346464060")[0] == "1980-12-24 09:01"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1bc", "a�b�c"),
        ("a\r\nb\nc", "a ⏎ b ⏎ c"),
        ("\u202eexe.txt", "�exe.txt"),
        ("\udc80", "�"),
        ("ü" * 100, "ü" * 79 + "…"),
        ("<&\"'>", "<&\"'>"),
    ],
)
async def test_texts_are_made_harmless(text: str, shown: str) -> None:
    """What cannot be seen is seen, what is too long is cut, and a file can hold it."""
    assert clean(text) == shown
    assert escaped(text).isprintable()
    assert not set(escaped(text)) & set("<>\"'")
    assert escaped(text).encode()


async def test_a_text_that_is_the_same_in_both_languages_stands_there_once() -> None:
    """A name is no text to be translated."""
    assert spans(("VIP", "VIP")) == "VIP"
    assert spans(("<b>", "c")) == '<span lang="en">&lt;b&gt;</span><span lang="de">c</span>'
