"""The pieces of the page that shows a plan, as HTML; every text in them went through `spans` or `escaped`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from klicktipp_async.crm.brief_reasons import BRIEF, Both
from klicktipp_async.crm.plan_page_facts import Example, TagChange
from klicktipp_async.crm.plan_page_texts import NAMES, clean, escaped, masked, number, spans
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.crm.report import SyncPlan
from klicktipp_async.crm.rows import Action, RowPlan

_SENTENCE: Final = 600
_COLUMNS: Final = 10
_LEAST: Final = 0.5
_EMPTY: Final[Both] = ("empty", "leer")
_TILES: Final[Mapping[str, tuple[Both, tuple[Action, ...]]]] = {
    "one": (("New contacts", "Neue Kontakte"), (Action.CREATE, Action.UPSERT)),
    "two": (("Changed", "Geändert"), (Action.UPDATE, Action.CHANGE_ADDRESS)),
    "three": (("Unchanged", "Unverändert"), (Action.UNCHANGED,)),
    "four": (("Skipped", "Übersprungen"), (Action.SKIPPED,)),
}


def lead(plan: SyncPlan) -> str:
    """What the page is about, in a sentence."""
    if plan.empty:
        return spans(
            (
                "There is nothing to send: no contact has to change.",
                "Es ist nichts zu senden: Kein Kontakt muss sich ändern.",
            )
        )
    return spans(("This is what happens if you say yes.", "Das geschieht, wenn Sie Ja sagen."))


def tiles(plan: SyncPlan) -> str:
    """The figures that come first."""
    return "\n".join(_tile(look, text, plan, actions) for look, (text, actions) in _TILES.items())


def _tile(look: str, text: Both, plan: SyncPlan, actions: Sequence[Action]) -> str:
    count = sum(plan.counts[action] for action in actions)
    notes = "".join(f"<dd>{_sentence(note)}</dd>" for note in _tile_notes(plan, actions))
    return f'<div><dt>{_swatch(look)}{spans(text)}</dt><dd class="figure">{spans(number(count))}</dd>{notes}</div>'


def _tile_notes(plan: SyncPlan, actions: Sequence[Action]) -> Iterator[Both]:
    if Action.CHANGE_ADDRESS in actions and (moved := plan.counts[Action.CHANGE_ADDRESS]):
        yield _filled(("{} with a new address", "{} mit neuer Adresse"), number(moved))
    if Action.UPSERT in actions and (unseen := plan.counts[Action.UPSERT]):
        yield _filled(("{} perhaps there already", "{} vielleicht schon da"), number(unseen))


def proportions(plan: SyncPlan) -> str:
    """The same figures as one bar."""
    if not plan.total:
        return ""
    rects: list[str] = []
    since = 0.0
    for look, (_, actions) in _TILES.items():
        share = 100 * sum(plan.counts[action] for action in actions) / plan.total
        rects.append(f'<rect class="{look}" x="{since:.2f}%" width="{share:.2f}%" height="100%"/>')
        since += share
    note = _filled(("Rows in all: {}", "Zeilen insgesamt: {}"), number(plan.total))
    return f'<svg class="whole" aria-hidden="true">{"".join(rects)}</svg>\n<p class="note">{_sentence(note)}</p>'


def notices(plan: SyncPlan, opt_in_name: str) -> str:
    """What has to be known before saying yes."""
    told = "".join(f"<li>{_sentence(notice)}</li>\n" for notice in _notices(plan, opt_in_name))
    return f'<ul class="notices">\n{told}</ul>' if told else ""


def _notices(plan: SyncPlan, opt_in_name: str) -> Iterator[Both]:
    if plan.counts[Action.CREATE] or plan.counts[Action.UPSERT]:
        yield _opt_in(clean(opt_in_name))
    if plan.counts[Action.UPSERT]:
        yield (
            "Some contacts are not looked up first: each is added, or updated where it is there already. A tag that it "
            "has by then is counted as a new one here.",
            "Einige Kontakte werden nicht vorher nachgeschlagen: Jeder wird angelegt oder, wo es ihn schon gibt, "
            "aktualisiert. Ein Tag, das er dann schon hat, ist hier als neues gezählt.",
        )
    if plan.unseen:
        named = ", ".join(clean(name, 40) for name in plan.unseen[:_COLUMNS])
        yield (
            f"Columns that no row has, perhaps misspelled in the mapping: {named}",
            f"Spalten, die keine Zeile hat, in der Zuordnung vielleicht falsch geschrieben: {named}",
        )


def _opt_in(name: str) -> Both:
    if not name:
        return (
            "New contacts go through the account's own double opt-in, which may send each of them a confirmation mail.",
            "Neue Kontakte durchlaufen das eigene Double-Opt-in des Kontos, das jedem eine Bestätigungs-E-Mail "
            "schicken kann.",
        )
    return (
        f"New contacts go through the opt-in process “{name}”.",
        f"Neue Kontakte durchlaufen den Opt-in-Prozess „{name}“.",
    )


def why(counts: Counter[str], reasons: Mapping[str, Reason]) -> str:
    """Why rows are skipped; each reason leads to its rows."""
    most = max(counts.values(), default=0)
    return "\n".join(
        _bar_row(_reason(code, reasons), _bar(count, most, "four"), count) for code, count in counts.most_common()
    )


def _reason(code: str, reasons: Mapping[str, Reason]) -> str:
    first = reasons.get(code, Reason(code, code, code))
    text = BRIEF.get(code, (first.english, first.german))
    return f'<a href="#q={quote(clean(code), safe="")}">{spans(text, 200)}</a>'


def changes(counts: Counter[str], fields: Mapping[str, str], examples: Mapping[str, Sequence[Example]]) -> str:
    """How many contacts change in which field, with examples."""
    most = max(counts.values(), default=0)
    return "\n".join(
        _bar_row(f"<bdi>{spans(_name(key, fields))}</bdi>", _bar(count, most) + _examples(examples.get(key, ())), count)
        for key, count in counts.most_common()
    )


def _name(key: str, fields: Mapping[str, str]) -> Both:
    label = fields.get(key, "").strip() or key
    return NAMES.get(key) or (label, label)


def _examples(examples: Sequence[Example]) -> str:
    told = "".join(f"<li>{_value('del', each.old)} → {_value('ins', each.new)}</li>" for each in examples)
    return f'<ul class="examples">{told}</ul>' if told else ""


def _value(element: str, text: Both) -> str:
    return f"<{element}><bdi>{spans(text)}</bdi></{element}>" if text[0] else f"<i>{spans(_EMPTY)}</i>"


def tags(changed: Sequence[TagChange]) -> str:
    """How many contacts have each tag before and after, on one scale."""
    most = max((max(tag.before or 0, tag.after) for tag in changed), default=0)
    return "\n".join(_tag(tag, most) for tag in changed)


def _tag(tag: TagChange, most: int) -> str:
    badge = f'<span class="badge">{spans(("new", "neu"))}</span>' if tag.before is None else ""
    moves = " ".join(f"{sign}{spans(number(count))}" for sign, count in (("+", tag.added), ("−", tag.removed)) if count)
    bars = _bar(tag.before or 0, most, "before") + _bar(tag.after, most, "after")
    return (
        f'<tr><th scope="row"><bdi>{escaped(tag.name)}</bdi>{badge}</th><td>{bars}</td>'
        f"<td>{spans(number(tag.before or 0))} → {spans(number(tag.after))}</td>"
        f"<td>{moves}</td></tr>"
    )


def tags_note(plan: SyncPlan, shown: Sequence[TagChange], touched: int) -> str:
    """What the bars do not show."""
    told: list[Both] = []
    if plan.new_tags:
        told.append(_filled(("Tags to be created: {}.", "Tags, die angelegt werden: {}."), number(len(plan.new_tags))))
    if more := touched - len(shown):
        told.append(_filled(("Further tags that change: {}.", "Weitere Tags, die sich ändern: {}."), number(more)))
    return f'<p class="note">{" ".join(map(_sentence, told))}</p>' if told else ""


def rows_note(total: int, listed: int) -> str:
    """How many rows are listed, and where the others are."""
    if listed == total:
        return _sentence(
            ("Nothing is sent for them. All of them are listed.", "Für sie wird nichts gesendet. Alle stehen hier.")
        )
    shown, of = number(listed), number(total)
    return _sentence(
        (
            f"Nothing is sent for them. {shown[0]} of {of[0]} are listed, of each reason the first; all of them will "
            "be in the report that is written when the plan is carried out.",
            f"Für sie wird nichts gesendet. {shown[1]} von {of[1]} stehen hier, von jedem Grund die ersten; alle "
            "stehen in dem Bericht, der beim Ausführen des Plans geschrieben wird.",
        )
    )


def row(plan: RowPlan, reason: Reason) -> str:
    """A row that is skipped: its number, what the CRM calls the contact, the beginnings of its address, and why."""
    address = f"<small><bdi>{escaped(masked(plan.email))}</bdi></small>" if plan.email else ""
    # Some know their contacts by the address.
    crm_id = masked(plan.crm_id) if plan.crm_id and "@" in plan.crm_id else plan.crm_id or ""
    return (
        f'<tr data-code="{escaped(reason.code)}"><td>{plan.number}</td><td><bdi>{escaped(crm_id)}</bdi>{address}</td>'
        f"<td>{spans((reason.english, reason.german), 300)}</td></tr>\n"
    )


def _bar_row(name: str, middle: str, count: int) -> str:
    return f'<tr><th scope="row">{name}</th><td>{middle}</td><td>{spans(number(count))}</td></tr>'


def _bar(count: int, most: int, look: str = "fill") -> str:
    """A bar for the eyes only: the number stands beside it."""
    width = max(100 * count / most, _LEAST) if count else 0
    return f'<svg aria-hidden="true"><rect class="{look}" width="{width:.2f}%" height="100%" rx="3"/></svg>'


def _swatch(look: str) -> str:
    return f'<svg aria-hidden="true"><rect class="{look}" width="100%" height="100%" rx="3"/></svg>'


def _filled(text: Both, figure: Both) -> Both:
    return text[0].format(figure[0]), text[1].format(figure[1])


def _sentence(text: Both) -> str:
    return spans(text, _SENTENCE)
