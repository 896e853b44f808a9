"""Signing in to KlickTipp: a session of a user, or a key pair; and the page where a customer grants a key."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import attrs

from klickdoxie_core import Call, Effect, SessionCookie
from klickdoxie_core.redact import Secret, secret
from klicktipp_async.convert import Ack
from klicktipp_async.dialect import session_is_over
from klicktipp_async.errors import ArgumentError
from klicktipp_async.field_schema import is_encodable
from klicktipp_async.models.account import LoginAnswer

GRANT_PAGE = "https://app.klicktipp.com/grantapiaccess/"


def _username(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not is_encodable(value):
        raise ArgumentError("username must be a non-empty text of characters that UTF-8 can carry")
    return value.strip()


@attrs.frozen
class SessionLogin:
    """A user name and a password; the client logs in by itself, again when the session ends, and out on closing.

    A user of its own with the role "API User" is advisable; its name is `mainaccount-subaccount`.
    """

    username: str = attrs.field(converter=_username, repr=False)
    password: Secret = attrs.field(converter=secret, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.password.reveal() or not is_encodable(self.password.reveal()):
            raise ArgumentError("password must be a non-empty text of characters that UTF-8 can carry")

    def scheme(self) -> SessionCookie[LoginAnswer]:
        """How the engine logs in and out (Login, Logout from API)."""
        return SessionCookie(
            login=Call(
                operation="Login",
                method="POST",
                template="/account/login",
                into=LoginAnswer,
                body={"username": self.username, "password": self.password.reveal()},
                effect=Effect.SAFE,
                auth=None,
            ),
            session=lambda answer: (answer.session_name, answer.sessid),
            logout=Call(
                operation="Logout from API",
                method="POST",
                template="/account/logout",
                into=Ack,
                effect=Effect.SAFE,
                auth=None,
                empty_ok=True,
            ),
            expired=session_is_over,
        )


def grant_url(account_id: int | str, redirect_url: str, *, encode: bool = False) -> str:
    """The page where a customer grants your application a customer key.

    The key is appended to the redirect URL, which therefore usually ends in `?customerkey=`.

    Args:
        account_id: The number of your KlickTipp account.
        redirect_url: Where the customer goes afterwards: an absolute http or https URL.
        encode: Percent-encode the redirect URL. The vendor's own clients disagree; unencoded is what its documents ask
            for, and then the URL must not hold a fragment.

    Raises:
        ArgumentError: For an empty account and for a redirect URL that cannot work.
    """
    account, redirect = str(account_id).strip(), str(redirect_url).strip()
    if not _is_id(account_id) or not account or account in {".", ".."} or not is_encodable(account):
        raise ArgumentError("account_id must be the number of an account")
    if not _is_url(redirect):
        raise ArgumentError("redirect_url must be an absolute http or https URL without white space")
    if "#" in redirect and not encode:
        raise ArgumentError("redirect_url must not hold a fragment unless encode=True")
    return f"{GRANT_PAGE}{quote(account, safe='')}?url={quote(redirect, safe='') if encode else redirect}"


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_url(text: str) -> bool:
    if not is_encodable(text) or any(ord(char) <= 0x20 for char in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
