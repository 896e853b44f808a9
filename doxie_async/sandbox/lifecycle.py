"""How a process goes on: from its creation to its end, and what happens to it on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from doxie_async.models.sending import EventType
from doxie_async.sandbox import callbacks
from doxie_async.sandbox.records import Attributes
from doxie_async.sandbox.store import Channel, Sent, Status, Store, StoredConsent, StoredProcess, moment

CONSENT: Final = "consent"
"""The type of a process that asks for a consent."""

_COLLECTIONS = {Channel.EMAIL: "emails", Channel.SMS: "sms_messages", Channel.RCS: "rcs_messages"}
_IN_WEBHOOKS = frozenset({Channel.EMAIL, Channel.SMS})


def send(store: Store, process: StoredProcess, channel: Channel, template: str, recipient: str) -> Sent:
    """Let a message go out."""
    message = store.add_message(process, channel, template, recipient)
    fate = "successful" if message.delivered else "unsuccessful"
    record: Attributes = {
        "id": message.message_id,
        "template": template,
        "recipient": recipient,
        "sent_at": moment(store.now()),
    }
    process.records[f"{fate}_{_COLLECTIONS[channel]}"].append(record)
    if channel in _IN_WEBHOOKS:
        store.tell(callbacks.message_sent(store, message))
    return message


def run_through(store: Store, process: StoredProcess) -> None:
    """Move a process on until it has ended."""
    while process.ongoing:
        advance(store, process)


def advance(store: Store, process: StoredProcess) -> None:
    """Move a process on: messages arrive when it starts to run, people have done their part when it is finished."""
    match process.status:
        case Status.CREATED:
            process.status = Status.RUNNING
            for message in process.messages:
                if message.channel in _IN_WEBHOOKS:
                    store.tell(callbacks.message_status(store, message))
        case Status.RUNNING:
            _finish(store, process)
            process.status, process.ended = Status.FINISHED, store.now()
        case ended:
            msg = f"the process is {ended}"
            raise ValueError(msg)


def cancel(store: Store, process: StoredProcess) -> None:
    """End a process that is under way."""
    process.status, process.ended = Status.CANCELLED, store.now()
    store.tell(callbacks.process_cancelled(store, process))


def ask_for_consent(store: Store, process: StoredProcess, consent: StoredConsent, address: str) -> None:
    """Send the request for a consent, which is then open."""
    process.consent = consent
    store.consents.setdefault(consent.customer_id, []).append(consent)
    process.records["unconfirmed_consents"].append(consent.shown)
    channel = Channel.EMAIL if consent.contact_channel == "email" else Channel.SMS
    send(store, process, channel, consent.consent_slug, address)


def confirm(store: Store, process: StoredProcess) -> None:
    """Let the customer confirm the consent; a second click does nothing."""
    if process.consent is None:
        msg = "this process asks for no consent"
        raise ValueError(msg)
    if process.consent.confirmed:
        return
    process.consent.confirmed = True
    process.records["unconfirmed_consents"].clear()
    process.records["confirmed_consents"].append(process.consent.shown)
    store.tell(callbacks.doi_confirmed(store, process))


def visit(store: Store, process: StoredProcess) -> None:
    """Let somebody scan the QR code of a process."""
    if process.qr_code is None:
        msg = "this process has no QR code"
        raise ValueError(msg)
    store.tell(callbacks.qr_code_visited(store, process, process.qr_code))


def respond(store: Store, process: StoredProcess, content: Mapping[str, object]) -> None:
    """Let the recipient answer the latest RCS message of a process."""
    messages = [message for message in process.messages if message.channel is Channel.RCS]
    if not messages:
        msg = "this process has sent no RCS message"
        raise ValueError(msg)
    store.tell(callbacks.rcs_response(store, messages[-1], content))


def _finish(store: Store, process: StoredProcess) -> None:
    if process.consent:
        confirm(store, process)
    elif process.qr_code:
        visit(store, process)
    elif process.type == EventType.SURVEY:
        answer: Attributes = {
            "id": store.number("response"),
            "answers": {"zufrieden": "ja"},
            "answered_at": moment(store.now()),
        }
        process.records["survey_responses"].append(answer)
