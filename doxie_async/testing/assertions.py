"""Questions to a fake tenant. Where the answer is no, the text says what went out, by event and channel."""

from __future__ import annotations

from collections import Counter
from typing import Final

from doxie_async import routes
from doxie_async.sandbox import Sandbox
from klickdoxie_core.testing import assert_no_repeats, fail, one_line

UNREPEATABLE: Final = frozenset(
    operation.name
    for operation in (
        routes.SEND_MAIL,
        routes.CREATE_INJECTION,
        routes.CREATE_INQUIRY,
        routes.CREATE_QR_CODE,
        routes.INITIATE_CONSENT,
        routes.CREATE_BRAND,
        routes.REGISTER_MAILJET,
        routes.REMOVE_MAILJET,
        routes.REGISTER_RCS,
        routes.REMOVE_RCS,
        routes.REGISTER_SMS,
        routes.REMOVE_SMS,
        routes.SETUP_SES,
        routes.TEST_SMTP,
        routes.CREATE_API_USER,
        routes.CREATE_MESSAGING_SCHEDULE,
        routes.CREATE_LANDING_PAGE,
        routes.CREATE_WEBHOOK_ENDPOINT,
        routes.PUBLISH_LANDING_PAGE,
        routes.CREATE_LAYOUT,
        routes.UPLOAD_ASSET,
    )
)
"""What sends, creates or sets up something, so that it must not be carried out a second time by accident."""


def assert_messages(box: Sandbox, number: int, *, event_slug: str | None = None, to: str | None = None) -> None:
    """So many messages went out; one mail or text message is one, whatever came of it.

    Args:
        box: The sandbox.
        number: How many; 0 for none.
        event_slug: The event that they were sent for, or the slug of a consent; None for any.
        to: The e-mail address or the phone number that they went to, in any case; None for any.

    Raises:
        AssertionError: More or fewer went out.
    """
    __tracebackhide__ = True
    found = [
        message
        for message in box.sent
        if event_slug in {None, message.event_slug} and (to is None or message.recipient.casefold() == to.casefold())
    ]
    if len(found) == number:
        return
    of_event = "" if event_slug is None else f" for {event_slug!r}"
    recipient = "" if to is None else " to this recipient"
    sent = Counter(f"{message.event_slug!r} by {message.channel.value}" for message in box.sent)
    said = one_line([f"{times} × {what}" for what, times in sent.items()])
    fail(box, f"messages{of_event}{recipient}: {len(found)}, not {number}; all that went out: {said}")


def assert_nothing_applied_twice(box: Sandbox) -> None:
    """Nothing that sends, creates or sets up something was carried out twice alike.

    Updates, deletions and cancellations may be repeated without harm, and are when an answer is lost: they do not
    count.

    Raises:
        AssertionError: Something was.
        ValueError: The log has forgotten requests.
    """
    __tracebackhide__ = True
    assert_no_repeats(box, UNREPEATABLE)
