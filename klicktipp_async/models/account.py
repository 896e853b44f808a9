"""The account that one is signed in to."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Account:
    """An account. Personal data stays out of its repr.

    Attributes:
        uid: The account's number.
        username: The name to sign in with.
        status: 1 for an active account.
        tier: The number of contacts that the plan covers.
        extra: What else the service sends, such as `access`, `senders` and `limits`.
    """

    uid: int | None = None
    username: str | None = attrs.field(default=None, repr=False)
    status: int | None = None
    tier: int | None = None
    usergroup: str | None = None
    email: str | None = attrs.field(default=None, repr=False)
    firstname: str | None = attrs.field(default=None, repr=False)
    lastname: str | None = attrs.field(default=None, repr=False)
    company: str | None = attrs.field(default=None, repr=False)
    country: str | None = None
    street: str | None = attrs.field(default=None, repr=False)
    city: str | None = attrs.field(default=None, repr=False)
    state: str | None = None
    zip: str | None = attrs.field(default=None, repr=False)
    website: str | None = attrs.field(default=None, repr=False)
    affid: str | None = None
    phone: str | None = attrs.field(default=None, repr=False)
    fax: str | None = attrs.field(default=None, repr=False)
    language: str | None = None
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)


@attrs.frozen(kw_only=True)
class LoginAnswer:
    """What a login answers: a session, as secret as a password, and the account."""

    sessid: str = attrs.field(repr=False)
    session_name: str = attrs.field(repr=False)
    account: Account | None = None
    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)
