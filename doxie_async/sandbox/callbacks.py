"""What the service tells its receivers: six kinds of bodies, with the oddities of the reference's samples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from doxie_async.sandbox.store import Sent, Store, StoredProcess, StoredQrCode, Webhook, WebhookKind, moment

_IP_ADDRESS = "203.0.113.7"
_AGENT = "doxie_agent"
_BERLIN_IN_WINTER = timezone(timedelta(hours=1))


def message_sent(store: Store, message: Sent) -> Webhook:
    """A mail or an SMS went out; the ids are numbers, though the reference calls them strings."""
    body = {
        **_about(store, message),
        "recipient_specific_message_ids": [[message.recipient, message.message_id]],
        "subject": message.template,
        "text": f"Grüße aus {message.template}",
        "html": f"<p>Grüße aus {message.template}</p>",
        "original_brand_slug": store.tenant,
        "original_tenant_slug": store.tenant,
        "original_event_slug": message.event_slug,
    }
    return Webhook.of(WebhookKind.MESSAGE_SENT, body, message.process_uuid)


def message_status(store: Store, message: Sent) -> Webhook:
    """A message has reached its recipient, or has not."""
    status = "delivered" if message.delivered else "bounced"
    body = {**_about(store, message), "recipient_specific_message_id": message.message_id, "status": status}
    return Webhook.of(WebhookKind.MESSAGE_STATUS, body, message.process_uuid)


def doi_confirmed(store: Store, process: StoredProcess) -> Webhook:
    """A customer has confirmed a consent; the identifier is the process of the consent."""
    body = {"identifier": process.uuid, "timestamp": moment(store.now()), "ipAddress": _IP_ADDRESS}
    return Webhook.of(WebhookKind.DOI_CONFIRMED, body, process.uuid)


def process_cancelled(store: Store, process: StoredProcess) -> Webhook:
    """A process was cancelled."""
    body = {
        "process_uuid": process.uuid,
        "cancellation_timestamp": moment(store.now()),
        "original_payload": process.payload,
    }
    return Webhook.of(WebhookKind.PROCESS_CANCELLED, body, process.uuid)


def qr_code_visited(store: Store, process: StoredProcess, code: StoredQrCode) -> Webhook:
    """Somebody scanned a QR code; as in the sample, `target_url` is left out where there is none."""
    now = store.now()
    body: dict[str, object] = {
        "process_id": process.uuid,
        "valid_until": code.valid_until,
        "qr_code_uuid": code.uuid,
        "timestamp": moment(now),
        "status": "expired" if code.valid_until and seconds_of(code.valid_until) < now else "active",
        "original_payload": process.payload,
    }
    if code.target_url is not None:
        body["target_url"] = code.target_url
    return Webhook.of(WebhookKind.QR_CODE_VISITED, body, process.uuid)


def rcs_response(store: Store, message: Sent, content: Mapping[str, object]) -> Webhook:
    """Somebody answered an RCS message; the time comes with an offset, as in the sample."""
    body = {
        "process_id": message.process_uuid,
        "message_id": message.message_id,
        "agent_id": _AGENT,
        "sender": message.recipient.lstrip("+"),
        "timestamp": datetime.fromtimestamp(store.now(), _BERLIN_IN_WINTER).isoformat(),
        "message_content": content,
        "original_payload": message.payload,
    }
    return Webhook.of(WebhookKind.RCS_RESPONSE, body, message.process_uuid)


def _about(store: Store, message: Sent) -> dict[str, object]:
    return {
        "process_id": message.process_uuid,
        "message_type": message.channel,
        "message_id": message.message_id,
        "recipient": message.recipient,
        "timestamp": moment(store.now()),
        "original_payload": message.payload,
    }


def seconds_of(text: str) -> float:
    """An ISO date or time as seconds since 1970, in UTC where it has no offset; raises ValueError for anything else."""
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
