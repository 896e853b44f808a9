"""What is accepted as a value, and how it is kept."""

import pytest

from klicktipp_async.field_schema import FieldType
from klicktipp_async.sandbox.rules import InvalidValue, is_email, is_tag_name, sms_number, stored


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (FieldType.LINE, "Straße; 5", "Straße; 5"),
        (FieldType.LINE, 100, "100"),
        (FieldType.LINE, None, ""),
        (FieldType.PARAGRAPH, "eins\nzwei", "eins\nzwei"),
        (FieldType.HTML, "<b>ä</b>", "<b>ä</b>"),
        (FieldType.EMAIL, "jürgen@example.com", "jürgen@example.com"),
        (FieldType.NUMBER, "042", "042"),
        (FieldType.NUMBER, "", ""),
        (FieldType.DECIMAL, 1999, "19.99"),
        (FieldType.DECIMAL, "5", "0.05"),
        (FieldType.DECIMAL, "-1999", "-19.99"),
        (FieldType.DECIMAL, "0", "0.00"),
        (FieldType.URL, "https://example.com/ä", "https://example.com/ä"),
        (FieldType.TIME, "0", "0"),
        (FieldType.TIME, "86399", "86399"),
        (FieldType.DATE, "-86400", "-86400"),
        (FieldType.DATETIME, 1715603400, "1715603400"),
    ],
)
def test_values_are_kept_in_the_services_form(kind: FieldType, value: object, kept: str) -> None:
    """Numbers become texts, decimals get their dot, nothing clears."""
    assert stored("field1", kind, value) == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FieldType.LINE, "eins\nzwei"),
        (FieldType.LINE, True),
        (FieldType.LINE, ["a"]),
        (FieldType.LINE, {"a": 1}),
        (FieldType.EMAIL, "jürgen"),
        (FieldType.NUMBER, "-1"),
        (FieldType.NUMBER, "1.5"),
        (FieldType.NUMBER, 1.5),
        (FieldType.DECIMAL, "19.99"),
        (FieldType.DECIMAL, "19,99"),
        (FieldType.URL, "www.example.com"),
        (FieldType.TIME, "86400"),
        (FieldType.TIME, "14:30"),
        (FieldType.DATE, "24.12.2024"),
        (FieldType.DATETIME, "2024-05-13 12:30"),
    ],
)
def test_values_of_another_kind_are_refused(kind: FieldType, value: object) -> None:
    """A value that does not fit its field's type is not kept."""
    with pytest.raises(InvalidValue):
        stored("field1", kind, value)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("+49 (170) 123-4567", "00491701234567"),
        ("00491701234567", "00491701234567"),
        ("4922012345678", "004922012345678"),
        ("0221 12345", "022112345"),
        ("nur abends", "nur abends"),
    ],
)
def test_phone_fields_get_leading_zeros(written: str, kept: str) -> None:
    """What can be read as a number is normalised, all else stays."""
    assert stored("fieldFax", FieldType.LINE, written) == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("+491701234567", "00491701234567"),
        ("0049 170 1234567", "00491701234567"),
        ("01701234567", None),
        ("+49", None),
        ("+0491701234567", None),
        ("abc", None),
    ],
)
def test_sms_numbers_must_be_international(written: str, kept: str | None) -> None:
    """A country code is needed, the leading zeros are the service's."""
    assert sms_number(written) == kept


def test_names_and_addresses_that_are_none() -> None:
    """A tag needs more than digits and no more than 250 characters; an address needs an @ between two ends."""
    assert [is_tag_name(name) for name in ("VIP", "ß" * 250, "", " ", "123", "x" * 251)] == [True, True] + [False] * 4
    assert [is_email(text) for text in ("ä@b.de", "a@", "@b", "a b@c.de", "ab")] == [True] + [False] * 4
