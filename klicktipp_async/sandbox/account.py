"""The account: login, logout, who may call, and the undocumented look at the account."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from klicktipp_async.sandbox.store import Credentials, Store
from klicktipp_async.sandbox.texts import Text
from klicktipp_async.sandbox.wire_format import Ask, Refused, Reply

SESSION_NAME: Final = "SSESS5f1d0c2a9b7e4c83a6d2e1f09b8c7d6e"


def login(store: Store, ask: Ask) -> Reply:
    """Login."""
    if store.is_live(_session(ask)):
        raise Refused(406, [Text.LOGGED_IN])
    username, password = ask.required("username"), ask.required("password")
    if not (_same(username, store.credentials.username) and _same(password, store.credentials.password)):
        raise Refused(401, [Text.WRONG_LOGIN])
    session = store.begin_session()
    payload = {"sessid": session, "session_name": SESSION_NAME, "account": _account(store.credentials)}
    return Reply(payload=payload, headers={"set-cookie": f"{SESSION_NAME}={session}; path=/; secure; httponly"})


def logout(store: Store, ask: Ask) -> list[bool]:
    """Logout from API."""
    session = _session(ask)
    if session is None or not store.is_live(session):
        raise Refused(406, [Text.NOT_LOGGED_IN])
    del store.sessions[session]
    return [True]


def get_account(store: Store, ask: Ask) -> dict[str, object]:
    """Get Account: more keys than the login gives, and ids as texts."""
    account = _account(store.credentials)
    return {
        **account,
        "uid": str(account["uid"]),
        "status": str(account["status"]),
        "access": {"api": True},
        "senders": {"email": {}, "reply_email": {}, "sms": {}, "domains": {}},
        "limits": {"automation": "10", "statistics": "5"},
        "preferences": {"colors": {}},
        "settings": {},
        "language": ask.wire_format.language,
        "segments": {},
    }


def require_access(store: Store, ask: Ask) -> None:
    """Raise `Refused` unless the request carries a live session or the account's pair of keys."""
    if not (store.is_live(_session(ask)) or _signed(store.credentials, ask)):
        raise Refused(403, [Text.ACCESS_DENIED])


def _session(ask: Ask) -> str | None:
    pairs = (part.strip().partition("=") for part in ask.inbound.headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == SESSION_NAME), None)


def _signed(credentials: Credentials, ask: Ask) -> bool:
    customer_key = credentials.customer_key.encode()
    digest = hmac.new(bytes.fromhex(credentials.developer_key), customer_key, hashlib.sha256).digest()
    cipher = base64.b64encode(digest + customer_key).decode()
    headers = ask.inbound.headers
    return _same(headers.get("x-un", ""), credentials.username) and _same(headers.get("x-ci", ""), cipher)


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _account(credentials: Credentials) -> dict[str, object]:
    return {
        "uid": 42,
        "status": 1,
        "tier": 20,
        "usergroup": "42",
        "username": credentials.username,
        "email": "konto@example.com",
        "firstname": "Käthe",
        "lastname": "Müller",
        "company": "Blütenhonig GmbH",
        "country": "DE",
        "street": "Bienenweg 5",
        "city": "Köln",
        "state": "Nordrhein-Westfalen",
        "zip": "01100",
        "website": "https://example.com",
        "affid": "0",
        "phone": "0049221123456",
        "fax": "",
    }
