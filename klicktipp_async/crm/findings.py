"""What a look at the account says against a row, or the service's refusal, in English and German."""

from __future__ import annotations

from klickdoxie_core import SdkError
from klickdoxie_core.breaker import code_of
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.errors import KlickTippError

UNSUBSCRIBED = Reason(
    "unsubscribed",
    "the contact has unsubscribed; nothing of it is changed",
    "der Kontakt hat sich abgemeldet; an ihm wird nichts geändert",
)

SMS_ONLY = Reason(
    "sms_only",
    "a contact without an e-mail address cannot be searched for by its number; it is added or updated",
    "ein Kontakt ohne E-Mail-Adresse lässt sich nicht über seine Nummer suchen; er wird angelegt oder aktualisiert",
)

NO_ADDRESS_TO_TAG = Reason(
    "tags_need_email",
    "tags are set and taken off by the e-mail address, and the contact has none",
    "Tags werden über die E-Mail-Adresse gesetzt und entfernt, und der Kontakt hat keine",
)

INTERRUPTED = Reason(
    "interrupted",
    "the job was broken off while this row was under way; it may have arrived",
    "der Lauf wurde abgebrochen, während diese Zeile unterwegs war; sie ist vielleicht angekommen",
)


def email_taken(contact_id: int) -> Reason:
    """The new address is that of another contact."""
    return Reason(
        "email_taken",
        f"the new address belongs to another contact, {contact_id}",
        f"die neue Adresse gehört schon zu einem anderen Kontakt, {contact_id}",
    )


def other_crm_contact(contact_id: int) -> Reason:
    """The contact with this address is another one of the CRM."""
    return Reason(
        "other_crm_contact",
        f"the contact with this address, {contact_id}, has another id of the CRM",
        f"der Kontakt mit dieser Adresse, {contact_id}, trägt eine andere Kennung des CRM",
    )


def same_contact_as(number: int) -> Reason:
    """A row further up means the same contact."""
    return Reason(
        "same_contact",
        f"KlickTipp's contact is the one of line {number}, which was taken",
        f"der Kontakt in KlickTipp ist der aus Zeile {number}, die genommen wurde",
    )


def refused(error: SdkError) -> Reason:
    """What an error says to the owner of a row, under the service's number or, without one, the error's name."""
    if isinstance(error, KlickTippError):
        return Reason(code_of(error), error.user_message("en"), error.user_message("de"))
    return Reason(code_of(error), str(error), str(error))


def unfinished(why: Reason) -> Reason:
    """The contact is there; what was to be done next failed."""
    return Reason(
        why.code,
        f"the contact is there, but not all of its tags and values: {why.english}",
        f"der Kontakt ist da, aber nicht jedes seiner Tags und nicht jeder Wert: {why.german}",
    )
