"""What the service says to people, in the language of the account."""

from __future__ import annotations

from enum import Enum


class Text(Enum):
    """One sentence: German, English."""

    ACCESS_DENIED = ("API Zugriff verweigert", "API access denied.")
    WRONG_LOGIN = ("Falscher Benutzername oder Passwort.", "Wrong username or password.")
    LOGGED_IN = ("Sie sind bereits eingeloggt.", "You are already logged in.")
    NOT_LOGGED_IN = ("Benutzer nicht eingeloggt.", "User is not logged in.")
    NO_FIELD = ("Kein Field mit dieser ID.", "There is no field with this ID.")
    NO_OPT_IN = ("Kein Opt-In-Prozess mit dieser ID.", "There is no opt-in process with this ID.")
    NO_TAG = ("Kein Tag mit dieser ID.", "There is no tag with this ID.")
    NO_CONTACT = ("Diesen Kontakt gibt es nicht.", "There is no such contact.")
    NO_CONTACTS = ("Es existieren keine Kontakte.", "There are no contacts.")
    CONTACT_GONE = ("Der Kontakt existiert nicht.", "The contact does not exist.")
    TAG_REFUSED = ("Tag konnte nicht erstellt werden.", "The tag could not be created.")
    FIELD_REFUSED = ("Field konnte nicht erstellt werden.", "The field could not be created.")
    OPT_IN_KEPT = ("Opt-In-Prozess konnte nicht gelöscht werden.", "The opt-in process could not be deleted.")
    BAD_BODY = ("Die Anfrage ist kein gültiges JSON-Objekt.", "The request is not a valid JSON object.")
    BAD_PAGE = ("Ungültiges Limit oder ungültiger Cursor.", "Invalid limit or cursor.")

    UNKNOWN_KEY = ("ist kein Feld dieses Kontos", "is not a field of this account")
    NOT_PLAIN = ("muss ein Text oder eine Zahl sein", "must be a text or a number")
    NOT_ONE_LINE = ("darf keinen Zeilenumbruch enthalten", "must not contain a line break")
    NOT_EMAIL = ("muss eine gültige E-Mail-Adresse sein", "must be a valid email address")
    NOT_NUMBER = ("muss ein numerischer Wert sein", "must be a numeric value")
    NOT_URL = ("muss mit http:// oder https:// beginnen", "must start with http:// or https://")
    NOT_TIME = ("muss eine Zahl von 0 bis 86399 sein", "must be a number from 0 to 86399")
    NOT_TIMESTAMP = ("muss ein Unix-Zeitstempel sein", "must be a Unix timestamp")
