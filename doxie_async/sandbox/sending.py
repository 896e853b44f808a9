"""The operations of API users: mails, injections, inquiries, QR codes, events, cancellation, consents."""

from __future__ import annotations

from collections.abc import Mapping

from doxie_async.models.sending import EventType
from doxie_async.sandbox import callbacks, lifecycle
from doxie_async.sandbox.processes import cancel_process
from doxie_async.sandbox.store import Channel, Sent, Store, StoredConsent, StoredEvent, StoredProcess, StoredQrCode
from doxie_async.sandbox.texts import Text
from doxie_async.sandbox.wire_format import Ask, Refused, accepted

_SHORT_LINKS = "https://doxie.sandbox/q"
_ADDRESSES = {Channel.EMAIL: "email", Channel.SMS: "phone", Channel.RCS: "phone"}


def send_mail(store: Store, ask: Ask) -> object:
    """Sends a mail: every e-mail template, and the others where the payload has a phone number."""
    event = _event(store, ask, EventType.MAILER)
    payload = _payload(ask, event)
    process = store.add_process(event.type, event.slug, payload)
    messages = _send_all(store, event, process)
    return accepted(
        process.uuid,
        sent_email_templates=[message.template for message in messages if message.channel is Channel.EMAIL],
        sent_sms_templates=[message.template for message in messages if message.channel is Channel.SMS],
    )


def create_injection(store: Store, ask: Ask) -> object:
    """Creates an injection for an embedded journey."""
    event = _event(store, ask, EventType.INJECTOR)
    process = store.add_process(event.type, event.slug, _payload(ask, event))
    return accepted(process.uuid, data=None)


def create_inquiry(store: Store, ask: Ask) -> object:
    """Creates an inquiry for a survey response."""
    event = _event(store, ask, EventType.SURVEY)
    payload = _payload(ask, event)
    if not (payload.get("email") or payload.get("phone")):
        raise Refused(422, Text.NO_ADDRESS)
    process = store.add_process(event.type, event.slug, payload)
    channel = Channel.EMAIL if payload.get("email") else Channel.SMS
    lifecycle.send(store, process, channel, event.slug, str(payload[_ADDRESSES[channel]]))
    return accepted(process.uuid, data=None)


def create_qr_code(store: Store, ask: Ask) -> object:
    """Creates a QR code for an event; the answer has no envelope."""
    event = _event(store, ask, EventType.QR_CODE)
    payload = _payload(ask, event)
    code = _qr_code(store, payload)
    process = store.add_process(event.type, event.slug, payload)
    process.qr_code = code
    return {
        "uuid": code.uuid,
        "url": f"{_SHORT_LINKS}/{code.uuid}",
        "image_url": f"{_SHORT_LINKS}/{code.uuid}.svg",
        "target_url": code.target_url,
        "valid_until": code.valid_until,
        "process_uuid": process.uuid,
    }


def show_event(store: Store, ask: Ask) -> object:
    """Show event details."""
    kind = ask.query.get("type", "")
    if kind not in list(EventType):
        raise Refused(422, Text.BAD_TYPE)
    number = ask.number("event_id")
    event = next((event for event in store.events.values() if event.id == number and event.type == kind), None)
    if event is None:
        raise Refused(404, Text.NO_EVENT)
    shown: dict[str, object] = {"id": event.id, "slug": event.slug, "parameters": list(event.required)}
    shown |= {f"{channel}_templates": list(templates) for channel, templates in event.templates.items()}
    return {"success": True, "error_message": None, "type": event.type, "event": shown}


def cancel(store: Store, ask: Ask) -> object:
    """Cancel a process."""
    process = cancel_process(store, ask.hole("process_uuid"))
    return accepted(process.uuid)


def initiate_consent(store: Store, ask: Ask) -> object:
    """Initiate consent: by mail or by SMS."""
    payload = ask.payload()
    customer, slug = _required(payload, "customer_id"), _required(payload, "consent_slug")
    addresses = [name for name in ("email", "phone") if payload.get(name)]
    if len(addresses) != 1:
        raise Refused(422, Text.ONE_ADDRESS)
    process = store.add_process(lifecycle.CONSENT, slug, payload)
    consent = StoredConsent(
        customer_id=customer, consent_slug=slug, contact_channel=addresses[0], process_uuid=process.uuid
    )
    lifecycle.ask_for_consent(store, process, consent, str(payload[addresses[0]]))
    return accepted(process.uuid, data=consent.shown)


def revoke_consents(store: Store, ask: Ask) -> object:
    """Revoke consent: one or all of a customer; those revoked before are not told again."""
    payload = ask.payload()
    customer = _required(payload, "customer_id")
    slug, every = payload.get("consent_slug"), payload.get("revoke_all") is True
    if bool(slug) == every:
        raise Refused(422, Text.ONE_CONSENT)
    revoked: list[dict[str, object]] = []
    for consent in store.consents.get(customer, []):
        if (every or consent.consent_slug == slug) and not consent.revoked:
            consent.revoked = True
            revoked.append(consent.shown)
    return {"success": True, "error_message": None, "data": {"revoked_consents": revoked}}


def _event(store: Store, ask: Ask, kind: EventType) -> StoredEvent:
    event = store.events.get((kind, ask.hole("event_slug")))
    if event is None:
        raise Refused(404, Text.NO_EVENT)
    return event


def _payload(ask: Ask, event: StoredEvent) -> Mapping[str, object]:
    payload = ask.payload()
    for name in event.required:
        if payload.get(name) in (None, ""):
            raise _missing(name)
    return payload


def _required(payload: Mapping[str, object], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str | int) or value == "":
        raise _missing(name)
    return str(value)


def _missing(name: str) -> Refused:
    return Refused(422, f"{name} muss angegeben werden")


def _send_all(store: Store, event: StoredEvent, process: StoredProcess) -> list[Sent]:
    messages: list[Sent] = []
    for channel, templates in event.templates.items():
        address = process.payload.get(_ADDRESSES[channel])
        # A mail may have its recipient from the event's configuration; text messages need a number.
        if address or channel is Channel.EMAIL:
            messages += [lifecycle.send(store, process, channel, name, str(address or "")) for name in templates]
    return messages


def _qr_code(store: Store, payload: Mapping[str, object]) -> StoredQrCode:
    target, until = payload.get("target_url"), payload.get("valid_until")
    if until is not None:
        try:
            callbacks.seconds_of(str(until))
        except ValueError:
            raise Refused(422, Text.BAD_MOMENT) from None
    return StoredQrCode(
        uuid=store.uuid("qr code"),
        target_url=None if target is None else str(target),
        valid_until=None if until is None else str(until),
    )
