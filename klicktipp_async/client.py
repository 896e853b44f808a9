"""The client for a KlickTipp account."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import anyio
import cattrs

from klickdoxie_core import ApiClient, Dialect, KeyPair, Scheme
from klickdoxie_core.client import ClientOptions, base_url_fault
from klicktipp_async import convert
from klicktipp_async.auth import SessionLogin
from klicktipp_async.dialect import KlickTippDialect
from klicktipp_async.errors import ArgumentError, ConfigError
from klicktipp_async.field_schema import FieldSchema, schema_given
from klicktipp_async.models.account import Account, LoginAnswer
from klicktipp_async.resources.account import AccountResource
from klicktipp_async.resources.base import PAUSES
from klicktipp_async.resources.contacts import Contacts
from klicktipp_async.resources.fields import Fields
from klicktipp_async.resources.opt_ins import OptIns
from klicktipp_async.resources.tags import Tags

if TYPE_CHECKING:
    from typing_extensions import Unpack

BASE_URL = "https://api.klicktipp.com"
_BASE_URL_NAME = "KLICKTIPP_BASE_URL"
_LOOK_UP_AFTER = 1.0


class KlickTipp(ApiClient):
    """An account at KlickTipp: `async with KlickTipp(KeyPair(…)) as kt: contact = await kt.contacts.get(1)`.

    Args:
        auth: `KeyPair(username, developer_key, customer_key)` or `SessionLogin(username, password)`.
        field_schema: The types of the account's data fields, so that `fields=` takes Python values and
            `Contact.field()` returns them.
        options: All optional. `base_url`; `http`, an httpx or httpx2 AsyncClient, an aiohttp ClientSession or a `Pool`
            that stays yours, or `"aiohttp"`; `timeout` of one attempt and `deadline` of a whole call, in seconds;
            `retry`; `limit`, a `Limit(rate=…, concurrency=…)`; `read_only` refuses every write before anything is sent;
            `observers` are told of every call; `telemetry=False` tells OpenTelemetry nothing; `clock` for tests.

    Attributes:
        contacts: People, their tags and their subscription.
        tags: Labels put on contacts.
        fields: Data fields of contacts.
        opt_ins: Opt-in processes.
        account: The account itself.

    Raises:
        ConfigError: An option is wrong.
    """

    product: ClassVar[str] = "klicktipp-async"
    dialect: Dialect = KlickTippDialect()

    contacts: Contacts
    tags: Tags
    fields: Fields
    opt_ins: OptIns
    account: AccountResource

    def __init__(
        self,
        auth: KeyPair | SessionLogin,
        *,
        field_schema: FieldSchema | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self.field_schema = schema_given(field_schema)
        self._tag_lock = anyio.Lock()
        options.setdefault("base_url", BASE_URL)
        super().__init__({"account": _scheme(auth)}, **options)
        self._account = _fingerprint(auth, self.base_url)

    @classmethod
    def from_env(cls, *, field_schema: FieldSchema | None = None, **options: Unpack[ClientOptions]) -> Self:
        """A client for the account that the environment names.

        Reads `KLICKTIPP_USERNAME`, and either `KLICKTIPP_PASSWORD` or `KLICKTIPP_DEVELOPER_KEY` with
        `KLICKTIPP_CUSTOMER_KEY`; also `KLICKTIPP_BASE_URL`. What is given as an argument wins.

        Raises:
            ConfigError: Names every variable that is missing, or says what is wrong with one.
        """
        auth = _auth_from(os.environ)
        if (base_url := os.environ.get(_BASE_URL_NAME)) and "base_url" not in options:
            if (said := base_url_fault(base_url, _BASE_URL_NAME)) is not None:
                raise ConfigError(said)
            options["base_url"] = base_url
        return cls(auth, field_schema=field_schema, **options)

    @property
    def account_fingerprint(self) -> str:
        """What tells this account from any other in a file that is kept between two runs, without naming it."""
        return self._account

    @property
    def deadline(self) -> float:
        """Seconds for a whole call of this client or view."""
        return self._options.deadline

    async def login(self) -> Account:
        """Log in now instead of at the first call, and return the account (Login).

        With a key pair there is no login: the account is fetched, which tests the keys.

        Raises:
            InvalidCredentials: The user name or the password is wrong.
            Forbidden: The plan has no API access, or the keys are wrong.
        """
        lease = self._leases["account"]
        detail = (await lease.force()).detail
        if isinstance(detail, LoginAnswer) and detail.account is not None:
            return detail.account
        return await self.account.get()

    async def pause_before_look_up(self, number: int) -> bool:
        """Wait before look-up number n of an unknown outcome; False when no more is due."""
        if number > PAUSES:
            return False
        await self._engine.clock.sleep(_LOOK_UP_AFTER * number)
        return True

    def _bind(self) -> None:
        self.contacts = Contacts(self)
        self.tags = Tags(self, self._tag_lock)
        self.fields = Fields(self)
        self.opt_ins = OptIns(self)
        self.account = AccountResource(self)

    def _make_converter(self) -> cattrs.Converter:
        return convert.converter()


def _fingerprint(auth: KeyPair | SessionLogin, base_url: str) -> str:
    # With a key pair the user name is the developer's; the customer's key names the account.
    customer = auth.customer_key.reveal() if isinstance(auth, KeyPair) else ""
    parts = (base_url.rstrip("/"), auth.username.lower(), customer)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _scheme(auth: object) -> Scheme[Any]:
    if isinstance(auth, KeyPair):
        return auth
    if isinstance(auth, SessionLogin):
        return cast("Scheme[Any]", auth.scheme())
    raise ArgumentError(
        "auth must be KeyPair(username, developer_key, customer_key) or SessionLogin(username, password)"
    )


def _auth_from(env: Mapping[str, str]) -> KeyPair | SessionLogin:
    names = ("USERNAME", "PASSWORD", "DEVELOPER_KEY", "CUSTOMER_KEY")
    username, password, developer_key, customer_key = (env.get(f"KLICKTIPP_{name}", "") for name in names)
    keys = {"KLICKTIPP_DEVELOPER_KEY": developer_key, "KLICKTIPP_CUSTOMER_KEY": customer_key}
    if password and any(keys.values()):
        raise ConfigError("set either KLICKTIPP_PASSWORD or KLICKTIPP_DEVELOPER_KEY with KLICKTIPP_CUSTOMER_KEY")
    missing = [] if username else ["KLICKTIPP_USERNAME"]
    if any(keys.values()):
        missing += [name for name, value in keys.items() if not value]
    elif not password:
        missing.append("KLICKTIPP_PASSWORD (or KLICKTIPP_DEVELOPER_KEY with KLICKTIPP_CUSTOMER_KEY)")
    if missing:
        raise ConfigError(f"the environment lacks {', '.join(missing)}")
    return SessionLogin(username, password) if password else KeyPair(username, developer_key, customer_key)
