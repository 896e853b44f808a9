"""The six webhooks against the vendor's list: each becomes an event of its own, told by its shape alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from doxie_async.webhooks import (
    AnyEvent,
    DoiConfirmed,
    MessageSent,
    MessageStatus,
    ProcessCancelled,
    QrCodeVisited,
    RcsResponse,
    UnknownEvent,
    parse,
)

LISTED = json.loads(Path(__file__).with_name("doxie.json").read_text(encoding="utf-8"))
SAMPLES = Path(__file__).parents[1] / "fixtures" / "doxie_webhooks"
EVENTS: dict[str, tuple[type[AnyEvent], str]] = {
    "Message sent Webhook": (MessageSent, "message_sent"),
    "Message status update Webhook": (MessageStatus, "message_status"),
    "DOI confirmation Webhook": (DoiConfirmed, "doi_confirmed"),
    "Process cancelled Webhook": (ProcessCancelled, "process_cancelled"),
    "QR code visited Webhook": (QrCodeVisited, "qr_code_visited"),
    "RCS message response Webhook": (RcsResponse, "rcs_response"),
}


def test_every_webhook_and_no_other() -> None:
    """The list's webhooks are the events that `parse` knows, with the unknown one beside them."""
    assert list(EVENTS) == [row["summary"] for row in LISTED if row["kind"] == "webhook"]
    assert {kind for kind, _ in EVENTS.values()} | {UnknownEvent} == set(get_args(AnyEvent))


@pytest.mark.parametrize("summary", EVENTS)
def test_each_is_told_by_its_shape(summary: str) -> None:
    """A delivery in the reference's shape becomes its event, with all of it kept."""
    kind, sample = EVENTS[summary]
    body = (SAMPLES / f"{sample}.json").read_bytes()
    event = parse(body)
    assert type(event) is kind
    assert event.raw == json.loads(body)
