"""Errors: plain data that pickles, explains itself, and holds nothing that must not be seen."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

import klickdoxie_core
import klicktipp_async.errors
from klickdoxie_core import Effect, Facts, SdkError
from klickdoxie_core import errors as core
from klickdoxie_core.errors import renewed
from klickdoxie_core.messages import MESSAGES

FACTS = Facts(
    operation="Tag Contact",
    method="POST",
    template="/subscriber/tag",
    effect=Effect.REPEATABLE,
    status=406,
    code=10,
    subcode=11,
    body={"error": 10},
    paths=("missing @ $.id",),
    details={"field": "Größe"},
    attempts=2,
    renewals=1,
    waited=1.25,
    maybe_applied=True,
    retry_after=30.0,
)


def tree(kind: type[SdkError]) -> Iterator[type[SdkError]]:
    """A class and all that come from it."""
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


CLASSES = sorted(
    {
        kind
        for kind in tree(SdkError)
        if kind.__module__.startswith(("klickdoxie_core.", klicktipp_async.errors.__name__))
    },
    key=lambda kind: f"{kind.__module__}.{kind.__qualname__}",
)


def test_the_whole_tree_is_looked_at() -> None:
    """Every class of the two modules is among those that the tests below run on."""
    for module in (core, klicktipp_async.errors):
        named = {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, SdkError)}
        assert named <= set(CLASSES)
    exported = {getattr(klickdoxie_core, name) for name in klickdoxie_core.__all__}
    assert {kind for kind in CLASSES if kind.__module__ == core.__name__} <= exported


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickling(kind: type[SdkError], protocol: int) -> None:
    """What crosses a process boundary says the same on the other side."""
    error = kind("kaputt", FACTS)
    twin = pickle.loads(pickle.dumps(error, protocol))
    assert type(twin) is kind
    assert (twin.message, twin.facts, str(twin)) == ("kaputt", FACTS, str(error))


@pytest.mark.parametrize("act", [copy.copy, copy.deepcopy, renewed])
@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_can_be_copied(kind: type[SdkError], act: Any) -> None:
    """A copy is an error of its own with the same facts."""
    error = kind("kaputt", FACTS)
    twin = act(error)
    assert twin is not error
    assert (type(twin), twin.message, twin.facts, twin.__traceback__) == (kind, "kaputt", FACTS, None)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_works_bare(kind: type[SdkError]) -> None:
    """An author may raise one with nothing but a text, or with nothing."""
    assert str(kind("kaputt")) == "kaputt"
    assert str(kind()) == ""
    assert kind().maybe_applied is False
    assert kind("a", FACTS).args == ("a", FACTS)


def test_every_fact_is_an_attribute() -> None:
    """What callers decide by needs no detour."""
    error = SdkError("kaputt", FACTS)
    for name in ("operation", "status", "code", "subcode", "body", "attempts", "renewals", "waited", "retry_after"):
        assert getattr(error, name) == getattr(FACTS, name)
    assert error.maybe_applied is True


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "POST /tag (Create Tag): lost; attempts: 1"),
        (
            {"effect": Effect.ONCE, "maybe_applied": True},
            "POST /tag (Create Tag): lost; it may have been executed; it was not sent again because it is not "
            "repeatable; attempts: 1",
        ),
        (
            {"effect": Effect.ONCE, "maybe_applied": True, "attempts": 4},
            "POST /tag (Create Tag): lost; it may have been executed; it was not sent once more because it is not "
            "repeatable; attempts: 4",
        ),
        (
            {"effect": Effect.REPEATABLE, "maybe_applied": True, "attempts": 3, "waited": 1.25},
            "POST /tag (Create Tag): lost; it may have been executed; it is safe to send it again; attempts: 3; "
            "waited 1.2 s",
        ),
        (
            {"effect": Effect.ONCE, "renewals": 1},
            "POST /tag (Create Tag): lost; nothing was changed at the service; attempts: 1; renewals: 1",
        ),
        (
            {"effect": Effect.SAFE, "retry_after": 90.0, "status": 429},
            "POST /tag (Create Tag): lost; the service asks to wait 90 s; attempts: 1",
        ),
        (
            {"paths": ("missing @ $.id", "and 3 more")},
            "POST /tag (Create Tag): lost; at $.id (missing), and 3 more; attempts: 1",
        ),
        (
            {"paths": ("expected a whole number, got str @ $",)},
            "POST /tag (Create Tag): lost; at the top level (expected a whole number, got str); attempts: 1",
        ),
        (
            {"effect": Effect.SAFE, "retry_after": 48, "attempts": 0},
            "POST /tag (Create Tag): lost; try again in 48 s",
        ),
        ({"operation": "POST /tag"}, "POST /tag: lost; attempts: 1"),
        ({"operation": ""}, "POST /tag: lost; attempts: 1"),
        ({"operation": "", "method": "", "template": "", "attempts": 0}, "lost"),
    ],
)
def test_an_error_explains_itself(changes: dict[str, Any], text: str) -> None:
    """The text says what was called, what happened, what that means for sending again, and how often it was tried."""
    facts = attrs.evolve(Facts(operation="Create Tag", method="POST", template="/tag", attempts=1), **changes)
    error = core.Interrupted("lost", facts)
    assert str(error) == text
    assert repr(error) == f"Interrupted({text!r})"


PERSONAL = ["anna@example.com", "+49 170 1234567"]


@pytest.mark.parametrize("canary", PERSONAL)
def test_personal_data_is_in_no_form_of_an_error(canary: str) -> None:
    """Text, repr and pickle leave out what the vendor quotes; the details keep it for whoever asks by name."""
    facts = Facts(body={"value": canary, canary: [f"bad: {canary}"]}, details={"value": canary})
    error = core.BadRequest("refused", facts)
    assert error.facts.details["value"] == canary
    assert canary not in str(error)
    assert canary not in repr(error)
    assert canary not in repr(facts)
    assert canary.encode() not in pickle.dumps(error)
    assert canary not in str(copy.copy(error).facts.body)


def test_a_pickled_error_is_bounded() -> None:
    """A huge body does not travel."""
    error = core.BadRequest("refused", Facts(body={str(number): "ä" * 10_000 for number in range(1000)}))
    assert len(pickle.dumps(error)) < 20_000


def test_a_renewed_error_changes_only_what_is_said() -> None:
    """The same failure for another caller carries that caller's facts."""
    error = core.Forbidden("no", FACTS)
    twin = renewed(error, attempts=7, maybe_applied=False)
    assert twin.facts == attrs.evolve(FACTS, attempts=7, maybe_applied=False)
    assert error.attempts == 2


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind.__module__ == klicktipp_async.errors.__name__])
def test_a_client_error_is_also_an_error_of_the_core(kind: type[SdkError]) -> None:
    """`except klickdoxie_core.SdkError` and `except KlickTippError` both catch it."""
    assert issubclass(kind, klicktipp_async.errors.KlickTippError)
    namesake = getattr(core, kind.__name__, SdkError)
    assert issubclass(kind, namesake)


def test_an_argument_error_is_a_value_error() -> None:
    """Callers that validate input catch the builtin."""
    assert issubclass(core.ArgumentError, ValueError)
    assert issubclass(core.ArgumentError, core.ConfigError)


class Shop(SdkError):
    """The base of a service's errors."""

    service = "Shop"
    messages = {"Interrupted": ("Please look whether {service} has it.", "Sehen Sie bei {service} nach.")}  # noqa: RUF012


class Interrupted(Shop, core.Interrupted):
    """A service's own class."""


class ShopDown(Shop, core.ServerError):
    """A class without words of its own."""


@pytest.mark.parametrize(
    ("error", "english", "german"),
    [
        (core.ServerError, "The service has a problem at the moment.", "Der Dienst hat gerade eine Störung."),
        (core.CertificateRejected, "The service could not be reached.", "Der Dienst war nicht erreichbar."),
        (core.BadRequest, "The service refused this.", "Der Dienst hat das abgelehnt."),
        (core.RateLimited, "Too many requests at once.", "Zu viele Anfragen auf einmal."),
        (core.TooLarge, "The service gave an unexpected answer.", "Der Dienst hat unerwartet geantwortet."),
        (SdkError, "Something went wrong.", "Es ist etwas schiefgegangen."),
        (ShopDown, "Shop has a problem at the moment.", "Shop hat gerade eine Störung."),
        (Interrupted, "Please look whether Shop has it.", "Sehen Sie bei Shop nach."),
    ],
)
def test_every_error_has_a_sentence_for_people(error: type[SdkError], english: str, german: str) -> None:
    """In two languages, with the name of the service where there is one, and nothing of what was sent."""
    caught = error("canary", attrs.evolve(FACTS, details={"reason": "canary"}))
    assert caught.user_message().startswith(english)
    assert caught.user_message("de").startswith(german)
    assert "canary" not in caught.user_message() + caught.user_message("de")


def test_sentences_belong_to_classes() -> None:
    """No sentence stands for a class that does not exist, and none differs in its last mark."""
    assert {*MESSAGES} <= {*vars(core)}
    for sentences in MESSAGES.values():
        assert all(sentence.endswith(".") and sentence.count("{") <= 1 for sentence in sentences)
