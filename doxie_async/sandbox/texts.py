"""What the service says to people."""

from __future__ import annotations

from enum import StrEnum


class Text(StrEnum):
    """One sentence. The messages of success are those of the reference, English ones included."""

    CREATED = "Erfolgreich erstellt"
    EDITED = "Erfolgreich bearbeitet"
    DELETED = "Erfolgreich gelöscht"
    SCHEDULE_EDITED = "Erfolgreich editiert"
    PAGE_UPDATED = "Erfolgreich aktualisiert"
    TENANT_UPDATED = "Mandant erfolgreich aktualisiert"
    API_USER_DELETED = "API-Zugang erfolgreich gelöscht"
    PROCESS_CANCELLED = "Prozessvorgang erfolgreich abgebrochen"
    ENDPOINT_CREATED = "Webhook erfolgreich erstellt"
    ENDPOINT_UPDATED = "Webhook endpoint updated successfully"
    ENDPOINT_DELETED = "Webhook endpoint deleted successfully"

    NO_READ_PERMISSION = "No read permission"
    NO_WRITE_PERMISSION = "No write permission"
    UNAUTHORIZED = "Zugriff verweigert"
    ONLY_JSON = "Nur application/json wird unterstützt"
    NO_TENANT = "Mandant nicht gefunden"
    NO_EVENT = "Event nicht gefunden"
    NO_PROCESS = "Prozess nicht gefunden"
    NO_RECORD = "Datensatz nicht gefunden"
    BAD_BODY = "Die Anfrage ist kein gültiges JSON-Objekt"
    BAD_PAGE = "Seite und Anzahl müssen ganze Zahlen ab 1 sein"
    BAD_TYPE = "Der Typ muss mailer, survey, qr_code oder injector sein"
    BAD_RANGE = "Der Zeitraum ist ungültig"
    BAD_MOMENT = "valid_until ist kein gültiger Zeitpunkt"
    BAD_URL = "Die URL muss mit http:// oder https:// beginnen"
    BAD_CONTENT = "content_state muss ein Objekt sein"
    BAD_KINDS = "Unbekannte Webhook-Ereignisse"
    NO_ADDRESS = "E-Mail oder Telefon muss angegeben werden"
    ONE_ADDRESS = "Entweder E-Mail oder Telefon muss angegeben werden"
    ONE_CONSENT = "Entweder consent_slug oder revoke_all muss angegeben werden"
    NO_FILE = "Die Datei fehlt"
    NO_BRAND = "Die Marke existiert nicht"
    MASKED = "Maskierte Werte können nicht gespeichert werden"
    TAKEN = "Der Benutzername ist bereits vergeben"
    ALREADY_CANCELLED = "Der Prozess ist bereits abgebrochen"
    ALREADY_FINISHED = "Der Prozess ist bereits beendet"
    NO_SMTP = "Für die Marke ist kein SMTP-Server eingerichtet"
    SMTP_FAILED = "SMTP-Verbindung fehlgeschlagen"
