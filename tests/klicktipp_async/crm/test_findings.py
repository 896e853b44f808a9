"""What is said of a row in both languages."""

from __future__ import annotations

import pytest

from klickdoxie_core import Facts, Interrupted, SdkError
from klicktipp_async.crm import Reason, findings
from klicktipp_async.errors import AddressBlocked, SmsNumberTaken


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            AddressBlocked("refused", Facts(code=30)),
            Reason("30", "This e-mail address is blocked.", "Diese E-Mail-Adresse ist gesperrt."),
        ),
        (
            SmsNumberTaken("refused", Facts(code=10, subcode=9)),
            Reason(
                "10/9",
                "This SMS number belongs to another contact.",
                "Diese SMS-Nummer gehört schon zu einem anderen Kontakt.",
            ),
        ),
        (SdkError("no luck"), Reason("SdkError", "no luck", "no luck")),
        (Interrupted("lost"), Reason("Interrupted", "lost", "lost")),
    ],
)
def test_an_error_says_why_in_both_languages(error: SdkError, expected: Reason) -> None:
    """Under the service's number, or the error's name where there is none."""
    assert findings.refused(error) == expected


def test_an_unfinished_contact_keeps_the_code() -> None:
    """The reason behind it stays to be read."""
    reason = findings.unfinished(Reason("7", "no tag", "kein Tag"))
    assert (reason.code, reason.english[-6:], reason.german[-8:]) == ("7", "no tag", "kein Tag")
