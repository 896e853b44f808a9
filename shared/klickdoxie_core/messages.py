"""What a user interface may show of an error, in English and German. Keyed by the error's class name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

Messages: TypeAlias = Mapping[str, tuple[str, str]]
"""By the name of an error's class, its sentence in English and in German; `{service}` is the service's name."""

MESSAGES: Messages = {
    "SdkError": (
        "Something went wrong. Please try again later.",
        "Es ist etwas schiefgegangen. Bitte versuchen Sie es später noch einmal.",
    ),
    "ConfigError": ("The connection is not set up correctly.", "Die Verbindung ist nicht richtig eingerichtet."),
    "ArgumentError": ("One of the values cannot be sent.", "Einer der Werte kann nicht gesendet werden."),
    "JournalError": (
        "The record of this job cannot be used.",
        "Das Protokoll dieses Auftrags kann nicht verwendet werden.",
    ),
    "JobStopped": (
        "The job has stopped. It can be resumed later.",
        "Der Auftrag wurde angehalten. Er kann später fortgesetzt werden.",
    ),
    "ReadOnlyError": ("This connection may only read.", "Über diese Verbindung darf nur gelesen werden."),
    "TransportError": (
        "{service} could not be reached. Please try again later.",
        "{service} war nicht erreichbar. Bitte versuchen Sie es später noch einmal.",
    ),
    "ResponseError": ("{service} refused this.", "{service} hat das abgelehnt."),
    "Unauthorized": ("{service} did not accept the sign-in.", "{service} hat die Anmeldung nicht angenommen."),
    "Forbidden": ("This account is not permitted to do that.", "Dieses Konto ist dazu nicht berechtigt."),
    "NotFound": ("There is no such entry.", "Diesen Eintrag gibt es nicht."),
    "Conflict": ("This is not possible at the moment.", "Das ist im Moment nicht möglich."),
    "RateLimited": (
        "Too many requests at once. Please try again in a moment.",
        "Zu viele Anfragen auf einmal. Bitte versuchen Sie es gleich noch einmal.",
    ),
    "ServerError": (
        "{service} has a problem at the moment. Please try again later.",
        "{service} hat gerade eine Störung. Bitte versuchen Sie es später noch einmal.",
    ),
    "Redirected": ("The connection is not set up correctly.", "Die Verbindung ist nicht richtig eingerichtet."),
    "DecodeError": ("{service} gave an unexpected answer.", "{service} hat unerwartet geantwortet."),
    "WebhookError": (
        "A notification could not be accepted.",
        "Eine Benachrichtigung konnte nicht angenommen werden.",
    ),
}


def message_of(names: Iterable[str], language: Literal["en", "de"], service: str | None, own: Messages) -> str:
    """The message of the first name that has one: the family's own before that of the core."""
    messages = {**MESSAGES, **own}
    english, german = next(messages[name] for name in names if name in messages)
    if language == "de":
        return german.replace("{service}", service or "Der Dienst")
    return english.replace("{service}", service or "The service")
