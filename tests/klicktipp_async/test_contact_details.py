"""The shape of e-mail addresses and phone numbers, and how two numbers are compared."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klickdoxie_core.errors import ArgumentError
from klicktipp_async.contact_details import check_email, check_phone, is_email, normalise_phone


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("+49 170 1234567", "00491701234567"),
        ("0049 (170) 123-45.67", "00491701234567"),
        ("+49/170\u00a01234\u2013567", "00491701234567"),
        ("\u202a+491701234567\u202c", "00491701234567"),
        ("4922012345678", "4922012345678"),
        ("Tel. 123", "Tel123"),
        ("", ""),
    ],
)
def test_a_phone_number_is_normalised_as_the_service_stores_it(text: str, stored: str) -> None:
    """Spaces, punctuation and invisible marks go, and '+' becomes '00'."""
    assert normalise_phone(text) == stored


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.text(max_size=30))
def test_normalising_a_phone_number_twice_changes_nothing(text: str) -> None:
    """A stored number compares equal to itself."""
    once = normalise_phone(text)
    assert normalise_phone(once) == once


@pytest.mark.parametrize("text", ["+49 170 1234567", "00491701234567", "4922012345678", "+1 (555) 010-9999"])
def test_a_phone_number_passes(text: str) -> None:
    """What the service may take is not refused."""
    check_phone("sms_number", text)


@pytest.mark.parametrize(
    "text", ["", "+49", "call me", "+49 170 12345x7", "+49170\n1234567", "0" * 21, "+49\x001701234"]
)
def test_what_cannot_be_a_phone_number_is_refused_without_showing_it(text: str) -> None:
    """The error names the argument and not the number."""
    with pytest.raises(ArgumentError) as caught:
        check_phone("sms_number", text)
    assert str(caught.value) == (
        "sms_number must be a phone number in international format, such as +49 or 0049 and so on"
    )


@pytest.mark.parametrize(
    "text", ["a@b", "müller@bücher.example", "o'neill+news@example.com", f"{'a' * 242}@example.com"]
)
def test_an_email_address_passes(text: str) -> None:
    """Nothing is refused that the service may take."""
    check_email("email", text)
    assert is_email(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@b",
        "a@",
        "a@b@c",
        "a b@c",
        " a@b",
        "a@b\n",
        "a@b\x00",
        "a@\u2003b",
        "a@b\ud800",
        f"{'a' * 243}@example.com",
    ],
)
def test_what_cannot_be_an_email_address_is_refused_without_showing_it(text: str) -> None:
    """The error names the argument and not the address."""
    with pytest.raises(ArgumentError) as caught:
        check_email("email", text)
    assert str(caught.value).startswith("email must be an e-mail address: one '@'")
    assert "example" not in str(caught.value)
