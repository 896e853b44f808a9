"""What a user interface may show of KlickTipp's own errors, in English and German. Keyed by the error's class name."""

from __future__ import annotations

from collections.abc import Mapping

MESSAGES: Mapping[str, tuple[str, str]] = {
    "ConfigError": (
        "The connection to KlickTipp is not set up correctly.",
        "Die Verbindung zu KlickTipp ist nicht richtig eingerichtet.",
    ),
    "ArgumentError": (
        "One of the values cannot be sent to KlickTipp.",
        "Einer der Werte kann nicht an KlickTipp gesendet werden.",
    ),
    "MissingArgument": ("A required value is missing.", "Eine Pflichtangabe fehlt."),
    "MissingIdentifier": (
        "Please give an e-mail address or an SMS number.",
        "Bitte geben Sie eine E-Mail-Adresse oder eine SMS-Nummer an.",
    ),
    "InvalidCredentials": (
        "User name or password is wrong.",
        "Benutzername oder Passwort ist falsch.",
    ),
    "InvalidApiKey": ("The listbuilding key is not valid.", "Der Listbuilding-Schlüssel ist ungültig."),
    "ContactNotFound": ("This contact does not exist.", "Diesen Kontakt gibt es nicht."),
    "TagNotFound": ("This tag does not exist.", "Dieses Tag gibt es nicht."),
    "FieldNotFound": ("This data field does not exist.", "Dieses Datenfeld gibt es nicht."),
    "OptInNotFound": ("This opt-in process does not exist.", "Diesen Opt-in-Prozess gibt es nicht."),
    "Conflict": ("This name is taken already.", "Diesen Namen gibt es schon."),
    "AddressUnsubscribed": (
        "This e-mail address has unsubscribed and cannot be added again.",
        "Diese E-Mail-Adresse wurde abgemeldet und kann nicht wieder eingetragen werden.",
    ),
    "AddressBlocked": (
        "This e-mail address is blocked.",
        "Diese E-Mail-Adresse ist gesperrt.",
    ),
    "InvalidEmail": ("This e-mail address is not valid.", "Diese E-Mail-Adresse ist ungültig."),
    "EmailTaken": (
        "This e-mail address belongs to another contact.",
        "Diese E-Mail-Adresse gehört schon zu einem anderen Kontakt.",
    ),
    "EmailChangeRefused": (
        "The e-mail address cannot be changed to this one.",
        "Die E-Mail-Adresse lässt sich nicht in diese ändern.",
    ),
    "InvalidPhone": ("This phone number is not valid.", "Diese Telefonnummer ist ungültig."),
    "SmsNumberTaken": (
        "This SMS number belongs to another contact.",
        "Diese SMS-Nummer gehört schon zu einem anderen Kontakt.",
    ),
    "SmsNumberUnsubscribed": (
        "This SMS number has unsubscribed and cannot be added again.",
        "Diese SMS-Nummer wurde abgemeldet und kann nicht wieder eingetragen werden.",
    ),
    "FieldValidationError": (
        "The value of a data field does not fit.",
        "Der Wert eines Datenfelds passt nicht.",
    ),
    "NotSubscribed": ("This contact is not subscribed.", "Dieser Kontakt ist nicht angemeldet."),
    "SubscriptionFailed": (
        "The contact could not be subscribed; the SMS number may belong to another one.",
        "Der Kontakt konnte nicht angemeldet werden; vielleicht gehört die SMS-Nummer schon zu einem anderen.",
    ),
    "ContactUpdateFailed": (
        "The contact could not be changed.",
        "Der Kontakt konnte nicht geändert werden.",
    ),
    "ConfirmationMailFailed": (
        "The confirmation mail could not be sent.",
        "Die Bestätigungs-E-Mail konnte nicht verschickt werden.",
    ),
    "SmartTagProtected": (
        "SmartTags are set by KlickTipp only.",
        "SmartTags werden nur von KlickTipp selbst gesetzt.",
    ),
    "InternalError": (
        "KlickTipp reports an internal error. Please try again later.",
        "KlickTipp meldet einen internen Fehler. Bitte versuchen Sie es später noch einmal.",
    ),
    "BusinessError": (
        "KlickTipp refused this change.",
        "KlickTipp hat diese Änderung abgelehnt.",
    ),
    "KlickTippError": (
        "Something went wrong at KlickTipp. Please try again later.",
        "Bei KlickTipp ist etwas schiefgegangen. Bitte versuchen Sie es später noch einmal.",
    ),
}


def with_reason(message: str, details: Mapping[str, str]) -> str:
    """The message with the field and the reason where the vendor gave them."""
    label = details.get("field") or details.get("name")
    if label and details.get("reason"):
        return f"{message} {label}: {details['reason']}"
    return message
