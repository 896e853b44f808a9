"""Guessing: the columns whose names leave no doubt, and no others."""

from __future__ import annotations

import pytest

from klicktipp_async.crm.guess import guess
from klicktipp_async.crm.mapping import Mapping, MappingError

FIELDS = {
    "fieldFirstName": "Vorname",
    "fieldLastName": "Nachname",
    "fieldStreet1": "Straße",
    "fieldZip": "Postleitzahl",
    "fieldMobilePhone": "Telefon (mobil)",
    "fieldBirthday": "Geburtstag",
    "field11": "Umsatz",
}


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (("E-Mail-Adresse", "Vorname", "PLZ"), {"Vorname": "fieldFirstName", "PLZ": "fieldZip"}),
        (("e mail address", "First_Name", "Last name"), {"First_Name": "fieldFirstName", "Last name": "fieldLastName"}),
        (("Email", "Geburtsdatum", " field11"), {"Geburtsdatum": "fieldBirthday", " field11": "field11"}),
        (("MAIL", "STRASSE"), {"STRASSE": "fieldStreet1"}),
        (("email", "Straße", "Strasse"), {}),
        (("email", "Handy", "Tags", "SMS", "Umsatz", "Website"), {"Handy": "fieldMobilePhone"}),
        (("email", "Vorname", "First Name"), {}),
        (("email", "Vorname", "Vorname"), {}),
        (("email", "Firma"), {}),
    ],
)
def test_plain_names_are_guessed_and_no_others(header: tuple[str, ...], fields: dict[str, str]) -> None:
    """Only names without a doubt are mapped: no SMS number, no tags, no label, nothing the account lacks."""
    mapping = guess(header, FIELDS)
    assert mapping == Mapping(email=header[0], fields=fields)
    unmapped = mapping.resolve(header=header, fields=FIELDS).unmapped
    assert len(unmapped) == len(header) - 1 - len(fields)


@pytest.mark.parametrize(
    ("header", "looks"),
    [
        (("Name", "Ort"), "none looks"),
        (("E-Mail", "Email", "Vorname"), "'E-Mail' and 'Email' looks"),
        ((), "none looks"),
    ],
)
def test_guessing_needs_one_address_column(header: tuple[str, ...], looks: str) -> None:
    """Without an address column, or with two, the user is asked."""
    with pytest.raises(MappingError, match=f'{looks} like it.*--map "COLUMN=email"'):
        guess(header, FIELDS)
