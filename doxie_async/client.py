"""The client for a tenant of Doxie MPM."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import cattrs

from doxie_async import convert
from doxie_async.dialect import DoxieDialect
from doxie_async.errors import ArgumentError, ConfigError
from doxie_async.resources.admin import Admin
from doxie_async.resources.sending import Consents, Events, Injector, Mailer, Processes, QrCodes, Surveys
from doxie_async.routes import Auth, Routes
from klickdoxie_core import ApiClient, Basic, Bearer, ClientCredentials, Scheme
from klickdoxie_core import ArgumentError as CoreArgumentError
from klickdoxie_core.call import expand
from klickdoxie_core.client import ClientOptions, base_url_fault

if TYPE_CHECKING:
    from typing_extensions import Unpack

BASE_URL = "https://app.doxie.energy"


class Doxie(ApiClient):
    """A tenant of Doxie MPM: `async with Doxie("ts", api_user=Basic(user, password)) as doxie: …`.

    Args:
        tenant: The tenant's slug.
        api_user: Signs the sending calls.
        admin: Signs the admin calls: a token, a callable that gets one, or client credentials.
        routes: Where each operation is called. The public reference does not tell it, so the default is assumed;
            `Routes.from_openapi(file)` takes the real ones.
        options: All optional. `base_url`; `http`, an httpx or httpx2 AsyncClient, an aiohttp ClientSession or a `Pool`
            that stays yours, or `"aiohttp"`; `timeout` of one attempt and `deadline` of a whole call, in seconds;
            `retry`; `limit`, a `Limit(rate=…, concurrency=…)`; `read_only` refuses every write before anything is sent;
            `observers` are told of every call; `telemetry=False` tells OpenTelemetry nothing; `clock` for tests.

    A call whose credential is missing raises `ConfigError` before anything is sent.

    Attributes:
        mailer, injector, processes, events, surveys, qr_codes, consents: The calls of API users.
        admin: The admin API.
    """

    product: ClassVar[str] = "doxie-async"
    missing: ClassVar[Mapping[str, str]] = {
        Auth.API_USER: "this call needs an API user: Doxie(..., api_user=Basic(user, password))",
        Auth.ADMIN: "this call needs an OAuth2 token: Doxie(..., admin=Bearer(token)) or admin=ClientCredentials(...)",
    }

    mailer: Mailer
    injector: Injector
    processes: Processes
    events: Events
    surveys: Surveys
    qr_codes: QrCodes
    consents: Consents
    admin: Admin

    def __init__(
        self,
        tenant: str,
        *,
        api_user: Basic | None = None,
        admin: Bearer | ClientCredentials | None = None,
        routes: Routes | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self.tenant = _checked_tenant(tenant)
        self.routes = _checked_routes(routes)
        self.dialect = DoxieDialect(self.routes)
        options.setdefault("base_url", self.routes.server or BASE_URL)
        super().__init__(_schemes(api_user, admin), **options)

    @classmethod
    def from_env(cls, **options: Unpack[ClientOptions]) -> Self:
        """A client for the tenant that the environment names.

        Reads `DOXIE_TENANT`; `DOXIE_API_USER` with `DOXIE_API_PASSWORD`; `DOXIE_TOKEN`, or `DOXIE_CLIENT_ID` with
        `DOXIE_CLIENT_SECRET` and `DOXIE_TOKEN_URL`; `DOXIE_BASE_URL`; `DOXIE_OPENAPI`, the path of an OpenAPI file
        with the real routes. What is given as an argument wins.

        Raises:
            ConfigError: Names every variable that is missing, or says what is wrong with one.
        """
        env = os.environ
        try:
            api_user, admin = _credentials_from(env)
        except CoreArgumentError as error:
            raise ArgumentError(error.message) from None
        if (base_url := env.get("DOXIE_BASE_URL")) and "base_url" not in options:
            if (said := base_url_fault(base_url, "DOXIE_BASE_URL")) is not None:
                raise ConfigError(said)
            options["base_url"] = base_url
        return cls(env["DOXIE_TENANT"], api_user=api_user, admin=admin, **options)

    def _bind(self) -> None:
        self.mailer = Mailer(self)
        self.injector = Injector(self)
        self.processes = Processes(self)
        self.events = Events(self)
        self.surveys = Surveys(self)
        self.qr_codes = QrCodes(self)
        self.consents = Consents(self)
        self.admin = Admin(self)

    def _make_converter(self) -> cattrs.Converter:
        return convert.converter()


def _checked_tenant(tenant: object) -> str:
    if not isinstance(tenant, str) or tenant != tenant.strip():
        raise ArgumentError("tenant must be the slug of a tenant")
    try:
        expand("{tenant}", {"tenant": tenant})
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    return tenant


def _checked_routes(routes: object) -> Routes:
    if routes is None:
        return Routes.from_env()
    if not isinstance(routes, Routes):
        raise ArgumentError("routes must be Routes, such as Routes.from_openapi(file)")
    return routes


def _schemes(api_user: object, admin: object) -> dict[str, Scheme[Any]]:
    schemes: dict[str, Scheme[Any]] = {}
    if api_user is not None:
        if not isinstance(api_user, Basic):
            raise ArgumentError("api_user must be Basic(user, password)")
        schemes[Auth.API_USER] = api_user
    if admin is not None:
        if not isinstance(admin, Bearer | ClientCredentials):
            raise ArgumentError("admin must be Bearer(token) or ClientCredentials(client_id, client_secret, token_url)")
        schemes[Auth.ADMIN] = admin
    return schemes


def _credentials_from(env: Mapping[str, str]) -> tuple[Basic | None, Bearer | ClientCredentials | None]:
    user = {name: env.get(f"DOXIE_{name}", "") for name in ("API_USER", "API_PASSWORD")}
    client = {name: env.get(f"DOXIE_{name}", "") for name in ("CLIENT_ID", "CLIENT_SECRET", "TOKEN_URL")}
    token = env.get("DOXIE_TOKEN", "")
    missing = [] if env.get("DOXIE_TENANT") else ["DOXIE_TENANT"]
    for group in (user, client):
        if any(group.values()):
            missing += [f"DOXIE_{name}" for name, value in group.items() if not value]
    if not token and not any(user.values()) and not any(client.values()):
        missing.append("DOXIE_API_USER with DOXIE_API_PASSWORD, or DOXIE_TOKEN, or DOXIE_CLIENT_ID with its companions")
    if missing:
        raise ConfigError(f"the environment lacks {', '.join(missing)}")
    if token and any(client.values()):
        raise ConfigError("set either DOXIE_TOKEN or DOXIE_CLIENT_ID with its companions")
    api_user = Basic(user["API_USER"], user["API_PASSWORD"]) if user["API_USER"] else None
    if client["CLIENT_ID"]:
        return api_user, ClientCredentials(client["CLIENT_ID"], client["CLIENT_SECRET"], client["TOKEN_URL"])
    return api_user, Bearer(token) if token else None
