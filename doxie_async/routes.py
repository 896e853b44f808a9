"""Every operation of Doxie with its method and its path.

The vendor's public reference names the operations, their parameters and their credentials, and neither methods nor
paths. The table below is therefore assumed; the OpenAPI document behind the reference's download link confirms it:
`Routes.from_openapi("openapi.json")`.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final

import attrs

from doxie_async.errors import ConfigError
from doxie_async.openapi import Document, Entry, loosely, read_document

_HOLE = re.compile(r"\{(\w+)\}")
_TEMPLATE = re.compile(r"/(?:[^\s{}?#\\\x00-\x1f\x7f-\x9f\ud800-\udfff]|\{\w+\})*")


class Auth(enum.StrEnum):
    """The credential of the client that signs an operation."""

    API_USER = "api_user"
    ADMIN = "admin"


@attrs.frozen
class Operation:
    """One operation of the service, in the words of its reference.

    Attributes:
        tag: The group that the reference puts it in.
        summary: Its title there.
        auth: The credential that it needs.
    """

    tag: str
    summary: str
    auth: Auth

    @property
    def name(self) -> str:
        """Tag and summary in one text; two operations share a summary."""
        return f"{self.tag}: {self.summary}"


SEND_MAIL: Final = Operation("Mailer", "Sends a mail", Auth.API_USER)
CREATE_INJECTION: Final = Operation("Injector", "Creates an injection for an embedded journey", Auth.API_USER)
CANCEL_PROCESS: Final = Operation("Shared", "Cancel a process", Auth.API_USER)
SHOW_EVENT: Final = Operation("Shared", "Show event details", Auth.API_USER)
CREATE_INQUIRY: Final = Operation("Survey", "Creates an inquiry for a survey response", Auth.API_USER)
CREATE_QR_CODE: Final = Operation("QR Code", "Creates a QR code for an event", Auth.API_USER)
# The reference shows these two no more, only their tag.
INITIATE_CONSENT: Final = Operation("MPM", "Initiate consent", Auth.API_USER)
REVOKE_CONSENTS: Final = Operation("MPM", "Revoke consent", Auth.API_USER)
LIST_BRANDS: Final = Operation("Admin", "List brands", Auth.ADMIN)
CREATE_BRAND: Final = Operation("Admin", "Create a brand", Auth.ADMIN)
SHOW_BRAND: Final = Operation("Admin", "Show a brand", Auth.ADMIN)
UPDATE_BRAND: Final = Operation("Admin", "Update a brand", Auth.ADMIN)
DELETE_BRAND: Final = Operation("Admin", "Delete a brand", Auth.ADMIN)
SHOW_MAILJET: Final = Operation("Admin", "Show Mailjet notification webhook status for a brand", Auth.ADMIN)
REGISTER_MAILJET: Final = Operation("Admin", "Register Mailjet notification webhooks for a brand", Auth.ADMIN)
REMOVE_MAILJET: Final = Operation("Admin", "Remove Mailjet notification webhooks for a brand", Auth.ADMIN)
SHOW_RCS: Final = Operation("Admin", "Show RCS notification webhook status for a brand", Auth.ADMIN)
REGISTER_RCS: Final = Operation("Admin", "Register RCS notification webhook for a brand", Auth.ADMIN)
REMOVE_RCS: Final = Operation("Admin", "Remove RCS notification webhook for a brand", Auth.ADMIN)
SHOW_SMS: Final = Operation("Admin", "Show SMS notification webhook status for a brand", Auth.ADMIN)
REGISTER_SMS: Final = Operation("Admin", "Register SMS notification webhook for a brand", Auth.ADMIN)
REMOVE_SMS: Final = Operation("Admin", "Remove SMS notification webhook for a brand", Auth.ADMIN)
SETUP_SES: Final = Operation("Admin", "Trigger SES setup for a brand", Auth.ADMIN)
TEST_SMTP: Final = Operation("Admin", "Test SMTP connection for a brand", Auth.ADMIN)
LIST_API_USERS: Final = Operation("Admin", "List API users", Auth.ADMIN)
CREATE_API_USER: Final = Operation("Admin", "Create an API user", Auth.ADMIN)
DELETE_API_USER: Final = Operation("Admin", "Delete an API user", Auth.ADMIN)
SHOW_TENANT: Final = Operation("Admin", "Show tenant settings", Auth.ADMIN)
UPDATE_TENANT: Final = Operation("Admin", "Update tenant settings", Auth.ADMIN)
SHOW_OVERVIEW: Final = Operation("Admin", "Show main dashboard statistics", Auth.ADMIN)
SHOW_STATISTICS: Final = Operation("Admin / Shared", "Show dashboard statistics", Auth.ADMIN)
LIST_PROCESSES: Final = Operation("Admin / Shared", "List processes", Auth.ADMIN)
SHOW_PROCESS: Final = Operation("Admin / Shared", "Show a process and its associated records", Auth.ADMIN)
ADMIN_CANCEL_PROCESS: Final = Operation("Admin / Shared", "Cancel a process", Auth.ADMIN)
CREATE_MESSAGING_SCHEDULE: Final = Operation("Admin / Shared", "Create a messaging schedule", Auth.ADMIN)
UPDATE_MESSAGING_SCHEDULE: Final = Operation("Admin / Shared", "Update a messaging schedule", Auth.ADMIN)
DELETE_MESSAGING_SCHEDULE: Final = Operation("Admin / Shared", "Delete a messaging schedule", Auth.ADMIN)
CREATE_LANDING_PAGE: Final = Operation("Admin / Shared", "Create a landing page", Auth.ADMIN)
UPDATE_LANDING_PAGE: Final = Operation("Admin / Shared", "Update a landing page", Auth.ADMIN)
DELETE_LANDING_PAGE: Final = Operation("Admin / Shared", "Delete a landing page", Auth.ADMIN)
LIST_WEBHOOK_ENDPOINTS: Final = Operation("Admin / Webhook", "List webhook endpoints", Auth.ADMIN)
CREATE_WEBHOOK_ENDPOINT: Final = Operation("Admin / Webhook", "Create a webhook endpoint", Auth.ADMIN)
SHOW_WEBHOOK_ENDPOINT: Final = Operation("Admin / Webhook", "Show a webhook endpoint and its interactions", Auth.ADMIN)
UPDATE_WEBHOOK_ENDPOINT: Final = Operation("Admin / Webhook", "Update a webhook endpoint", Auth.ADMIN)
DELETE_WEBHOOK_ENDPOINT: Final = Operation("Admin / Webhook", "Delete a webhook endpoint", Auth.ADMIN)
SHOW_LANDING_PAGE_EDITOR: Final = Operation("Admin / Editor", "Show editor landing page configuration", Auth.ADMIN)
UPDATE_LANDING_PAGE_CONTENT: Final = Operation("Admin / Editor", "Update landing page content state", Auth.ADMIN)
PUBLISH_LANDING_PAGE: Final = Operation("Admin / Editor", "Publish a landing page", Auth.ADMIN)
SHOW_LAYOUT_EDITOR: Final = Operation("Admin / Editor", "Show editor landing page layout configuration", Auth.ADMIN)
UPDATE_LAYOUT_CONTENT: Final = Operation("Admin / Editor", "Update landing page layout content state", Auth.ADMIN)
LIST_ASSETS: Final = Operation("Admin / Editor", "List editor assets", Auth.ADMIN)
UPLOAD_ASSET: Final = Operation("Admin / Editor", "Upload an editor asset", Auth.ADMIN)
DELETE_ASSET: Final = Operation("Admin / Editor", "Delete an editor asset", Auth.ADMIN)
LIST_LAYOUTS: Final = Operation("Admin / Pages", "List landing page layouts", Auth.ADMIN)
CREATE_LAYOUT: Final = Operation("Admin / Pages", "Create a landing page layout", Auth.ADMIN)
SHOW_LAYOUT: Final = Operation("Admin / Pages", "Show a landing page layout", Auth.ADMIN)
UPDATE_LAYOUT: Final = Operation("Admin / Pages", "Update a landing page layout", Auth.ADMIN)
DELETE_LAYOUT: Final = Operation("Admin / Pages", "Delete a landing page layout", Auth.ADMIN)

WEBHOOK_TAG: Final = "Webhooks"
WEBHOOKS: Final = (
    "Message sent Webhook",
    "Message status update Webhook",
    "DOI confirmation Webhook",
    "Process cancelled Webhook",
    "QR code visited Webhook",
    "RCS message response Webhook",
)
"""What Doxie sends to a receiver; the reference lists it beside the operations."""


@cache
def _names(template: str) -> tuple[str, ...]:
    """The names in a template, in order, each once."""
    return tuple(dict.fromkeys(_HOLE.findall(template)))


def _own_names(route: Route) -> dict[str, str]:
    return {name: name for name in _names(route.template)}


@attrs.frozen
class Route:
    """Where an operation is called.

    Attributes:
        operation: The operation.
        method: The HTTP method.
        template: The path, from the root of the server, with `{names}`.
        confirmed: Whether it comes from the vendor's own document; otherwise it is assumed.
        parameters: This package's name of each path parameter, to its name in `template`.
    """

    operation: Operation
    method: str
    template: str
    confirmed: bool = False
    parameters: Mapping[str, str] = attrs.field(default=attrs.Factory(_own_names, takes_self=True), hash=False)


_ASSUMED: Final = (
    Route(SEND_MAIL, "POST", "/api/{tenant}/mailer/{event_slug}"),
    Route(CREATE_INJECTION, "POST", "/api/{tenant}/injector/{event_slug}"),
    Route(CANCEL_PROCESS, "POST", "/api/{tenant}/processes/{process_uuid}/cancel"),
    Route(SHOW_EVENT, "GET", "/api/{tenant}/events/{event_id}"),
    Route(CREATE_INQUIRY, "POST", "/api/{tenant}/survey/{event_slug}"),
    Route(CREATE_QR_CODE, "POST", "/api/{tenant}/qr_code/{event_slug}"),
    Route(INITIATE_CONSENT, "POST", "/api/{tenant}/mpm/consents/initiate"),
    Route(REVOKE_CONSENTS, "POST", "/api/{tenant}/mpm/consents/revoke"),
    Route(LIST_BRANDS, "GET", "/api/{tenant}/admin/brands"),
    Route(CREATE_BRAND, "POST", "/api/{tenant}/admin/brands"),
    Route(SHOW_BRAND, "GET", "/api/{tenant}/admin/brands/{id}"),
    Route(UPDATE_BRAND, "PATCH", "/api/{tenant}/admin/brands/{id}"),
    Route(DELETE_BRAND, "DELETE", "/api/{tenant}/admin/brands/{id}"),
    Route(SHOW_MAILJET, "GET", "/api/{tenant}/admin/brands/{brand_id}/mailjet_webhooks"),
    Route(REGISTER_MAILJET, "POST", "/api/{tenant}/admin/brands/{brand_id}/mailjet_webhooks"),
    Route(REMOVE_MAILJET, "DELETE", "/api/{tenant}/admin/brands/{brand_id}/mailjet_webhooks"),
    Route(SHOW_RCS, "GET", "/api/{tenant}/admin/brands/{brand_id}/rcs_webhook"),
    Route(REGISTER_RCS, "POST", "/api/{tenant}/admin/brands/{brand_id}/rcs_webhook"),
    Route(REMOVE_RCS, "DELETE", "/api/{tenant}/admin/brands/{brand_id}/rcs_webhook"),
    Route(SHOW_SMS, "GET", "/api/{tenant}/admin/brands/{brand_id}/sms_webhook"),
    Route(REGISTER_SMS, "POST", "/api/{tenant}/admin/brands/{brand_id}/sms_webhook"),
    Route(REMOVE_SMS, "DELETE", "/api/{tenant}/admin/brands/{brand_id}/sms_webhook"),
    Route(SETUP_SES, "POST", "/api/{tenant}/admin/brands/{brand_id}/ses_setup"),
    Route(TEST_SMTP, "POST", "/api/{tenant}/admin/brands/{brand_id}/smtp_test"),
    Route(LIST_API_USERS, "GET", "/api/{tenant}/admin/api_users"),
    Route(CREATE_API_USER, "POST", "/api/{tenant}/admin/api_users"),
    Route(DELETE_API_USER, "DELETE", "/api/{tenant}/admin/api_users/{id}"),
    Route(SHOW_TENANT, "GET", "/api/{tenant}/admin/tenant"),
    Route(UPDATE_TENANT, "PATCH", "/api/{tenant}/admin/tenant"),
    Route(SHOW_OVERVIEW, "GET", "/api/{tenant}/admin/dashboard"),
    Route(SHOW_STATISTICS, "GET", "/api/{tenant}/admin/shared/dashboard"),
    Route(LIST_PROCESSES, "GET", "/api/{tenant}/admin/shared/processes"),
    Route(SHOW_PROCESS, "GET", "/api/{tenant}/admin/shared/processes/{uuid}"),
    Route(ADMIN_CANCEL_PROCESS, "POST", "/api/{tenant}/admin/shared/processes/{uuid}/cancel"),
    Route(CREATE_MESSAGING_SCHEDULE, "POST", "/api/{tenant}/admin/shared/messaging_schedules"),
    Route(UPDATE_MESSAGING_SCHEDULE, "PATCH", "/api/{tenant}/admin/shared/messaging_schedules/{id}"),
    Route(DELETE_MESSAGING_SCHEDULE, "DELETE", "/api/{tenant}/admin/shared/messaging_schedules/{id}"),
    Route(CREATE_LANDING_PAGE, "POST", "/api/{tenant}/admin/shared/landing_pages"),
    Route(UPDATE_LANDING_PAGE, "PATCH", "/api/{tenant}/admin/shared/landing_pages/{id}"),
    Route(DELETE_LANDING_PAGE, "DELETE", "/api/{tenant}/admin/shared/landing_pages/{id}"),
    Route(LIST_WEBHOOK_ENDPOINTS, "GET", "/api/{tenant}/admin/webhook/endpoints"),
    Route(CREATE_WEBHOOK_ENDPOINT, "POST", "/api/{tenant}/admin/webhook/endpoints"),
    Route(SHOW_WEBHOOK_ENDPOINT, "GET", "/api/{tenant}/admin/webhook/endpoints/{endpoint_id}"),
    Route(UPDATE_WEBHOOK_ENDPOINT, "PATCH", "/api/{tenant}/admin/webhook/endpoints/{endpoint_id}"),
    Route(DELETE_WEBHOOK_ENDPOINT, "DELETE", "/api/{tenant}/admin/webhook/endpoints/{endpoint_id}"),
    Route(SHOW_LANDING_PAGE_EDITOR, "GET", "/api/{tenant}/admin/editor/landing_pages/{id}"),
    Route(UPDATE_LANDING_PAGE_CONTENT, "PATCH", "/api/{tenant}/admin/editor/landing_pages/{id}/content_state"),
    Route(PUBLISH_LANDING_PAGE, "POST", "/api/{tenant}/admin/editor/landing_pages/{id}/publish"),
    Route(SHOW_LAYOUT_EDITOR, "GET", "/api/{tenant}/admin/editor/landing_page_layouts/{id}"),
    Route(UPDATE_LAYOUT_CONTENT, "PATCH", "/api/{tenant}/admin/editor/landing_page_layouts/{id}/content_state"),
    Route(LIST_ASSETS, "GET", "/api/{tenant}/admin/editor/assets"),
    Route(UPLOAD_ASSET, "POST", "/api/{tenant}/admin/editor/assets"),
    Route(DELETE_ASSET, "DELETE", "/api/{tenant}/admin/editor/assets/{id}"),
    Route(LIST_LAYOUTS, "GET", "/api/{tenant}/admin/pages/landing_page_layouts"),
    Route(CREATE_LAYOUT, "POST", "/api/{tenant}/admin/pages/landing_page_layouts"),
    Route(SHOW_LAYOUT, "GET", "/api/{tenant}/admin/pages/landing_page_layouts/{id}"),
    Route(UPDATE_LAYOUT, "PATCH", "/api/{tenant}/admin/pages/landing_page_layouts/{id}"),
    Route(DELETE_LAYOUT, "DELETE", "/api/{tenant}/admin/pages/landing_page_layouts/{id}"),
)

# The kind of credential behind each of ours, in the words of OpenAPI.
_KINDS: Final[Mapping[Auth, str]] = {Auth.API_USER: "basic", Auth.ADMIN: "bearer"}


class Routes:
    """The table of routes of a client: one route for each operation. It never changes.

    Attributes:
        missing: Operations of this package that the document does not confirm; they stay assumed.
        unknown: Operations of the document that this package has not, as "METHOD path (tag: summary)".
        differences: What else the document says otherwise, such as the kind of credential, as sentences.
        server: Scheme and host of the document's server; None when it names none. A base path of the server stands in
            front of the templates, so that it holds for another `base_url` too, and assumed routes go without it.

    Raises:
        ConfigError: An operation has no route, or one with a path parameter that the operation has not.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        missing: Iterable[Operation] = (),
        unknown: Iterable[str] = (),
        differences: Iterable[str] = (),
        server: str | None = None,
    ) -> None:
        self._by_operation: Final = _checked({route.operation: route for route in routes})
        self.missing: Final = tuple(missing)
        self.unknown: Final = tuple(unknown)
        self.differences: Final = tuple(differences)
        self.server: Final = server

    @classmethod
    def assumed(cls) -> Routes:
        """The table as this package assumes it."""
        return cls(_ASSUMED)

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Routes:
        """The table of the document at the path that `DOXIE_OPENAPI` names, else the assumed one.

        Raises:
            ConfigError: The document cannot be used; see `from_openapi`.
        """
        path = env.get("DOXIE_OPENAPI")
        return cls.from_openapi(path) if path else cls.assumed()

    @classmethod
    def from_openapi(cls, document: Mapping[str, object] | str | os.PathLike[str]) -> Routes:
        """The table of the vendor's OpenAPI document; what the document lacks stays assumed.

        Operations are found by tag and summary, in the same words first, then without regard to case, spaces and
        punctuation. Path parameters under other names are mapped by their order.

        Args:
            document: The document itself, or the path of a JSON or YAML file (YAML needs the extra `yaml`). What
                `export` returned is taken too.

        Raises:
            ConfigError: The file cannot be read or is no OpenAPI document, an operation is in it twice, or the
                parameters in a path are not those that the operation has.
        """
        return _from_document(read_document(document))

    def export(self) -> dict[str, object]:
        """The table as plain data for a JSON file; `from_openapi` reads it back."""
        rows = [
            {
                "tag": route.operation.tag,
                "summary": route.operation.summary,
                "method": route.method,
                "path": route.template,
                "confirmed": route.confirmed,
            }
            for route in self
        ]
        return {"server": self.server, "routes": rows}

    def __getitem__(self, operation: Operation) -> Route:
        return self._by_operation[operation]

    def __iter__(self) -> Iterator[Route]:
        return iter(self._by_operation.values())

    def __len__(self) -> int:
        return len(self._by_operation)

    def __repr__(self) -> str:
        confirmed = sum(route.confirmed for route in self)
        return f"Routes({confirmed} of {len(self)} confirmed)"


def _checked(table: dict[Operation, Route]) -> dict[Operation, Route]:
    for assumed in _ASSUMED:
        route = table.get(assumed.operation)
        if route is None:
            raise ConfigError(f"routes have none for {assumed.operation.name}")
        ours = _names(assumed.template)
        theirs = {route.parameters.get(name, name) for name in ours}
        if not theirs.issuperset(_names(route.template)):
            raise ConfigError(f"{route.operation.name} is at {route.template}; it is called with {', '.join(ours)}")
    return table


def _from_document(document: Document) -> Routes:
    found = {route: document.find(route.operation.tag, route.operation.summary) for route in _ASSUMED}
    known = _each_for_one(document, found)
    return Routes(
        [_at(route, entry, document.name) if entry else route for route, entry in found.items()],
        missing=[route.operation for route, entry in found.items() if entry is None or not entry.confirmed],
        unknown=[str(entry) for entry in document.entries if entry not in known and not _is_webhook(entry)],
        differences=[text for entry, operation in known.items() for text in _differences(operation, entry)],
        server=document.server,
    )


def _each_for_one(document: Document, found: Mapping[Route, Entry | None]) -> dict[Entry, Operation]:
    """The entries that were found; several tags must not make one of them two of our operations."""
    known: dict[Entry, Operation] = {}
    for route, entry in found.items():
        if entry is None:
            continue
        other = known.setdefault(entry, route.operation)
        if other is not route.operation:
            raise ConfigError(f"{document.name}: {entry} is both {other.name!r} and {route.operation.name!r}")
    return known


def _at(route: Route, entry: Entry, document: str) -> Route:
    """The route of the document in place of the assumed one."""
    if not _TEMPLATE.fullmatch(entry.path):
        raise ConfigError(f"{document}: {route.operation.name} is at {entry.path!r}, which is not the path of a URL")
    ours, theirs = _names(route.template), _names(entry.path)
    renamed = [name for name in theirs if name not in ours]
    missing = [name for name in ours if name not in theirs]
    if len(renamed) != len(missing):
        raise ConfigError(
            f"{document}: {route.operation.name} is at {entry.path} with the path parameters "
            f"{', '.join(theirs) or 'none'}; it is called with {', '.join(ours)}"
        )
    names = dict(zip(missing, renamed, strict=True))
    parameters = {name: names.get(name, name) for name in ours}
    return Route(route.operation, entry.method, entry.path, entry.confirmed, parameters)


def _is_webhook(entry: Entry) -> bool:
    tagged = loosely(WEBHOOK_TAG) in map(loosely, entry.tags)
    return tagged and loosely(entry.summary) in map(loosely, WEBHOOKS)


def _differences(operation: Operation, entry: Entry) -> Iterator[str]:
    kind = _KINDS[operation.auth]
    if entry.auth is not None and kind not in entry.auth:
        asked = " or ".join(entry.auth) or "no credential"
        yield f"{operation.name}: the document asks for {asked}, the client sends {kind}"
    if entry.elsewhere:
        yield f"{operation.name}: the document names a server for it alone, the client sends it to the common one"
