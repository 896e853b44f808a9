"""A mapping guessed from the names of columns that leave no doubt."""

from __future__ import annotations

from collections import abc
from collections.abc import Sequence
from typing import Final

from klicktipp_async.crm.mapping import Mapping, MappingError

_OBVIOUS: Final[abc.Mapping[str, tuple[str, ...]]] = {
    "email": ("email", "mail", "emailadresse", "emailaddress", "mailadresse"),
    "fieldFirstName": ("vorname", "firstname", "givenname"),
    "fieldLastName": ("nachname", "familienname", "lastname", "surname", "familyname"),
    "fieldCompanyName": ("firma", "unternehmen", "firmenname", "company", "companyname"),
    "fieldStreet1": ("straße", "street"),
    "fieldZip": ("plz", "postleitzahl", "zip", "zipcode", "postcode", "postalcode"),
    "fieldCity": ("ort", "stadt", "wohnort", "city", "town"),
    "fieldPhone": ("telefon", "telefonnummer", "phone", "phonenumber"),
    "fieldBirthday": ("geburtstag", "geburtsdatum", "birthday", "dateofbirth", "birthdate"),
    "fieldMobilePhone": ("mobil", "handy", "mobilnummer", "mobiltelefon", "mobile", "mobilephone"),
}
_FILLERS = dict.fromkeys(map(ord, " -_."))


def guess(header: Sequence[str], fields: abc.Mapping[str, str]) -> Mapping:
    """Map the columns whose names leave no doubt, in German and English; never an SMS number, never tags.

    Args:
        header: The names of the columns.
        fields: The data fields of the account, key to label.

    Raises:
        MappingError: No column, or more than one, looks like the e-mail address.
    """
    guessed = [(name, target) for name in header if (target := _obvious_target(name, fields))]
    targets = [target for _name, target in guessed]
    emails = [name for name, target in guessed if target == "email"]
    if len(emails) != 1:
        looks = " and ".join(map(repr, emails)) or "none"
        raise MappingError(
            f'which column holds the e-mail address? ({looks} looks like it); say so with --map "COLUMN=email"'
        )
    clear = {name: target for name, target in guessed if target != "email" and targets.count(target) == 1}
    return Mapping(email=emails[0], fields=clear)


def _obvious_target(name: str, fields: abc.Mapping[str, str]) -> str | None:
    if name.strip() in fields:
        return name.strip()
    plain = name.strip().casefold().translate(_FILLERS)
    for target, names in _OBVIOUS.items():
        if plain in map(str.casefold, names) and (target == "email" or target in fields):
            return target
    return None
