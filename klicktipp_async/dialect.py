"""What KlickTipp's answers mean: its error numbers, by operation where its own pages disagree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import attrs

from klickdoxie_core import Call, Dialect, Explained
from klickdoxie_core.errors import error_for_status
from klickdoxie_core.redact import mask
from klickdoxie_core.trip import is_page, say_page
from klicktipp_async import errors as e

_LISTBUILDING = frozenset({"Sign In", "Sign Out", "Sign Off"})

_MEANINGS: Mapping[tuple[int, int | None], type[e.KlickTippError]] = {
    (4, None): e.AddressUnsubscribed,
    (5, None): e.InvalidEmail,
    (6, None): e.ConfirmationMailFailed,
    (7, None): e.ContactNotFound,
    (8, None): e.FieldValidationError,
    (9, None): e.NotSubscribed,
    (10, None): e.ContactUpdateFailed,
    (10, 5): e.InvalidEmail,
    (10, 6): e.ConfirmationMailFailed,
    (10, 9): e.SmsNumberTaken,
    (10, 10): e.SmsNumberUnsubscribed,
    (10, 11): e.InvalidPhone,
    (10, 30): e.AddressBlocked,
    (11, None): e.InvalidPhone,
    (12, None): e.InternalError,
    (30, None): e.AddressBlocked,
    (31, None): e.SmartTagProtected,
    (32, None): e.MissingIdentifier,
    (100, None): e.InvalidApiKey,
    (401, None): e.ContactNotFound,
    (402, None): e.OptInNotFound,
    (403, None): e.TagNotFound,
    (507, None): e.EmailTaken,
}

_BY_OPERATION: Mapping[tuple[int, str], type[e.KlickTippError]] = {
    (7, "Add or Update Contact"): e.FieldValidationError,
    (7, "Sign In"): e.FieldValidationError,
    (7, "Update Contact"): e.FieldValidationError,
    (9, "Add or Update Contact"): e.SubscriptionFailed,
    (9, "Sign In"): e.SubscriptionFailed,
    (30, "Update Contact"): e.EmailChangeRefused,
    (401, "Login"): e.NotFound,
    (401, "Get Account"): e.NotFound,
}

# A 404 has no number, often not even a body: what is missing follows from what was asked for.
_NOT_FOUND: Mapping[str, type[e.NotFound]] = {
    "Get Contact": e.ContactNotFound,
    "Update Contact": e.ContactNotFound,
    "Delete Contact": e.ContactNotFound,
    "Search Contact ID": e.ContactNotFound,
    "Get Tag": e.TagNotFound,
    "Update Tag": e.TagNotFound,
    "Delete Tag": e.TagNotFound,
    "Get Data Field": e.FieldNotFound,
    "Update Data Field": e.FieldNotFound,
    "Delete Data Field": e.FieldNotFound,
    "Get Opt-in Process": e.OptInNotFound,
    "Search Redirect URL": e.OptInNotFound,
    "Update Opt-in Process": e.OptInNotFound,
    "Delete Opt-in Process": e.OptInNotFound,
}

# What a router or a gateway says; of the service's own sentences none has such a word.
_NOT_OURS = re.compile(
    r"\b(?:404|backend|controller|page|path|resource|route|server|upstream)\b|^\W*(?:file )?not found\W*$",
    re.IGNORECASE,
)

# Where there is no such contact, a change is refused with a sentence and no number, which nothing else is.
_NO_CONTACT = frozenset(
    {
        "der kontakt existiert nicht",
        "diesen kontakt gibt es nicht",
        "the contact does not exist",
        "there is no such contact",
    }
)

_BY_STATUS: Mapping[tuple[int, str], type[e.KlickTippError]] = {
    (401, "Login"): e.InvalidCredentials,
    (406, "Login"): e.AlreadyLoggedIn,
    (406, "Logout from API"): e.NotLoggedIn,
}

_HINTS: Mapping[str, str] = {"Create Tag": "; tags.ensure gives the id of a tag that may exist already"}

_UNKNOWN_NUMBER = "a reason that the vendor does not publish"

_FORBIDDEN = (
    "403: not permitted for this user, or the plan has no API access (Premium or higher, key pairs need Enterprise), "
    "or the keys are wrong"
)


class KlickTippDialect(Dialect):
    """Reads KlickTipp's numbers, whatever form the body has."""

    family = e.FAMILY

    def explain(self, call: Call[Any], status: int, payload: object) -> Explained | None:
        """What an answer means; None for a 2xx that carries no error number."""
        code, subcode = numbers(payload)
        done = 200 <= status < 300
        # With any other status, a number that means nothing is that of a gateway, which may have lost the answer.
        if code is not None and (
            done or status == 406 or _meaning(call.operation, code, subcode) is not e.BusinessError
        ):
            return _by_number(call, code, subcode, cast("Mapping[str, object]", payload))
        return None if done else _by_status(call.operation, status, payload)


def numbers(payload: object) -> tuple[int | None, int | None]:
    """The error number and its subcode; both may come as digits in a text."""
    if not isinstance(payload, Mapping):
        return None, None
    body = cast("Mapping[str, object]", payload)
    code = _number(body.get("error"))
    if code is None and body.get("reason") and body.keys() & {"field", "name", "field_value"}:
        code = 8
    return code, _number(body.get("code"))


def says_argument_is_missing(payload: object) -> bool:
    """Whether a 401 is about the request rather than about the session."""
    return any(text.lower().startswith("missing required argument") for text in texts(payload))


def session_is_over(status: int, payload: object) -> bool:
    """Whether a refusal may mean that the session has ended, so that a new login is worth a try."""
    if status not in {401, 403}:
        return False
    return numbers(payload)[0] is None and not says_argument_is_missing(payload)


def texts(payload: object) -> list[str]:
    """The vendor's sentences in an error's body: a list of texts, one text, or `error_message`."""
    if isinstance(payload, str):
        return [] if is_page(payload) else [payload]
    if isinstance(payload, list):
        return [item for item in cast("list[object]", payload) if isinstance(item, str)]
    if isinstance(payload, Mapping):
        message = cast("Mapping[str, object]", payload).get("error_message")
        return [message] if isinstance(message, str) else []
    return []


def _by_number(call: Call[Any], code: int, subcode: int | None, body: Mapping[str, object]) -> Explained:
    kind = _meaning(call.operation, code, subcode)
    number = f"{code}/{subcode}" if subcode is not None else str(code)
    said = _UNKNOWN_NUMBER if kind is e.BusinessError else _first_line(kind)
    if kind is e.FieldValidationError and (name := body.get("name")) in _names_sent(call):
        # The key comes from the answer, which may hold anything; what we have sent ourselves is a key.
        said = f"{said} {name!r}"
    return Explained(
        error=kind,
        message=_sentence(f"refused with error {number}: {said}", body),
        code=code,
        subcode=subcode,
        details=_details(body) if kind is e.FieldValidationError else {},
        transient=kind is e.InternalError,
        in_doubt=kind in {e.InternalError, e.ConfirmationMailFailed},
        final=True,
    )


def _names_sent(call: Call[Any]) -> list[str]:
    """The keys of the call's body and of its data fields, but for any that looks personal."""
    body = _mapping(call.body)
    return [name for name in (*body, *_mapping(body.get("fields"))) if mask(name) == name]


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _meaning(operation: str, code: int, subcode: int | None) -> type[e.KlickTippError]:
    by_operation = _BY_OPERATION.get((code, operation))
    return by_operation or _MEANINGS.get((code, subcode)) or _MEANINGS.get((code, None)) or e.BusinessError


def _by_status(operation: str, status: int, payload: object) -> Explained | None:
    if status == 404 and not _may_be_ours(payload):
        return Explained(error=e.DecodeError, message=_say_stranger(payload))
    told = _told_by_status(operation, status, payload)
    return None if told is None else attrs.evolve(told, message=told.message + say_page(status, payload))


def _told_by_status(operation: str, status: int, payload: object) -> Explained | None:
    if status == 403:
        return Explained(error=e.Forbidden, message=_sentence(_FORBIDDEN, payload), final=True)
    if status == 500 and operation in _LISTBUILDING and payload is None:
        hint = "the service answered 500 without a word, which is how it answers a wrong listbuilding key"
        return Explained(error=e.ServerError, message=hint)
    kind = _status_meaning(operation, status, payload)
    if kind is not None:
        hint = _HINTS.get(operation, "") if kind is e.BusinessError else ""
        said = _sentence(f"{status}: {_first_line(kind)}", payload) + hint
        return Explained(error=kind, message=said, final=True)
    if texts(payload):
        said = _sentence(f"the service answered {status}", payload)
        return Explained(error=error_for_status(status), message=said)
    return None


def _status_meaning(operation: str, status: int, payload: object) -> type[e.KlickTippError] | None:
    if status == 401 and says_argument_is_missing(payload):
        return e.MissingArgument
    if status in {404, 406} and _says_no_contact(operation, payload):
        return e.ContactNotFound
    if status == 404:
        return _NOT_FOUND.get(operation)
    return _BY_STATUS.get((status, operation)) or (e.BusinessError if status == 406 else None)


def _may_be_ours(payload: object) -> bool:
    """Whether a 404 may be the service's own: no body, a number, or a list of sentences that may lack its quotes."""
    if payload is None or numbers(payload)[0] is not None:
        return True
    if isinstance(payload, list):
        items = cast("list[object]", payload)
        return all(isinstance(item, str) and not _NOT_OURS.search(item) for item in items)
    return isinstance(payload, str) and "<" not in payload and not _NOT_OURS.search(payload)


def _say_stranger(payload: object) -> str:
    """What a 404 is that the service has not sent."""
    if is_page(payload):
        came = "404 with a web page"
    elif any(map(_NOT_OURS.search, texts(payload))):
        came = "404: there is no such route"
    else:
        came = "404 in a form that KlickTipp does not use"
    return f"{_sentence(f'the service answered {came}', payload)}; check base_url"


def _says_no_contact(operation: str, payload: object) -> bool:
    """Whether a refusal without a number is about a missing contact; a delete has no other reason to be refused."""
    said = texts(payload)
    return any(text.strip().rstrip(".").lower() in _NO_CONTACT for text in said) or (
        operation == "Delete Contact" and bool(said)
    )


def _sentence(start: str, payload: object) -> str:
    said = texts(payload)
    return f"{start} (the service says: {mask(' '.join(said[0].split()))})" if said else start


def _first_line(kind: type[Exception]) -> str:
    """What the class stands for, without the number that its docstring begins with."""
    line = (kind.__doc__ or "").partition("\n")[0]
    start, colon, rest = line.partition(": ")
    return (rest if colon and start[:4] in {"Code", "406"} else line).rstrip(".")


def _details(body: Mapping[str, object]) -> dict[str, str]:
    names = {"field": "field", "name": "name", "reason": "reason", "field_value": "value"}
    return {ours: str(body[theirs]) for theirs, ours in names.items() if body.get(theirs) not in (None, "")}


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else None
