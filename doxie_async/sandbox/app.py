"""`Sandbox`: the fake Doxie, its clients, and the states that it can be put into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx

from doxie_async.client import Doxie
from doxie_async.models.admin import Collection
from doxie_async.models.sending import EventType
from doxie_async.routes import Auth, Operation, Routes
from doxie_async.routes import Route as KnownRoute
from doxie_async.sandbox import access, lifecycle
from doxie_async.sandbox.courier import Courier
from doxie_async.sandbox.endpoints import check_endpoint
from doxie_async.sandbox.operations import HANDLERS
from doxie_async.sandbox.records import Attributes
from doxie_async.sandbox.store import Channel, Sent, Status, Store, StoredProcess, Webhook
from doxie_async.sandbox.wire_format import Ask, Refused, WireFormat
from klickdoxie_core.asgi import Receive, Scope, Send
from klickdoxie_core.auth.basic import Basic
from klickdoxie_core.auth.bearer import Bearer, ClientCredentials
from klickdoxie_core.client import ClientOptions
from klickdoxie_core.clock import Clock
from klickdoxie_core.options import UNSET, Unset
from klickdoxie_core.sandbox import Answer, Inbound, Route, SandboxBase

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Sandbox(SandboxBase):
    """A tenant of Doxie in memory that answers as the service does.

    It starts with one event of each type (`welcome_email`, `survey`, `qr_code`, `journey`), one API user, and nothing
    else. Ids, tokens and times are the same in each run. What happens is told to the active webhook endpoints after
    each request and each step, over HTTP.

    Args:
        tenant: The tenant's slug; any other is unknown.
        routes: Where each operation is called; None for the table that a client assumes.
        clock: `now` dates what happens, by default from 2025-01-01 UTC on, one second later each time; `monotonic`
            drives the rate limit and the tokens, `sleep` the latency. The clients have the same, unless told
            otherwise.
        wire_format: How answers are written; may be changed at any time.
        webhook_transport: What carries webhooks instead of the network; it is closed with the sandbox.

    Attributes:
        permissions: What an administrator may: `read`, `write`.
        token_lifetime: Seconds that a fetched token holds.
        automatic: Whether each new process runs through to its end at once.
    """

    base_url = "https://app.doxie.sandbox"

    def __init__(
        self,
        *,
        tenant: str = "ts",
        routes: Routes | None = None,
        clock: Clock | None = None,
        wire_format: WireFormat | None = None,
        webhook_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.tenant = tenant
        self.routes = routes if routes is not None else Routes.assumed()
        fetch = Route(
            operation=access.FETCH_TOKEN, method="POST", template=access.TOKEN_PATH, handler=self._fetch_token
        )
        super().__init__([fetch, *map(self._route, self.routes)], clock=clock)
        self.wire_format = wire_format or WireFormat()
        self.permissions = {"read", "write"}
        self.token_lifetime = 7200.0
        self.automatic = False
        self.token_url = self.base_url + access.TOKEN_PATH
        self._store = Store(tenant, self.clock.now)
        self._tokens = access.Tokens(self.clock.monotonic, partial(self._store.token, "token"))
        self._courier = Courier(self._store, webhook_transport)
        self._open.push_async_callback(self._courier.aclose)
        self._controls["POST", "/_sandbox/expire-tokens"] = self.expire_tokens
        self._credentials = access.Credentials()
        self.username = self._credentials.username
        self.password = self._credentials.password
        self.client_id = self._credentials.client_id
        self.client_secret = self._credentials.client_secret
        self._store.api_users.add({"username": self.username, "password": self.password})
        for slug, kind in (
            ("welcome_email", EventType.MAILER),
            ("survey", EventType.SURVEY),
            ("qr_code", EventType.QR_CODE),
            ("journey", EventType.INJECTOR),
        ):
            self.add_event(slug, type=kind)

    @property
    def token(self) -> str:
        """A token that holds until `expire_tokens()`, after which this is another one."""
        return self._tokens.standing()

    def client(
        self,
        *,
        api_user: Basic | Unset | None = UNSET,
        admin: Bearer | ClientCredentials | Unset | None = UNSET,
        **options: Unpack[ClientOptions],
    ) -> Doxie:
        """A client that reaches the sandbox in this process; it is closed with the sandbox.

        Args:
            api_user: Signs the sending calls; by default the sandbox's own API user, None for nobody.
            admin: Signs the admin calls; by default the sandbox's own token, None for nobody.
            options: As for `Doxie`.
        """
        client = Doxie(
            self.tenant,
            api_user=Basic(self.username, self.password) if isinstance(api_user, Unset) else api_user,
            admin=Bearer(self.token) if isinstance(admin, Unset) else admin,
            routes=self.routes,
            **self._reaching_here(options),
        )
        self._open.push_async_callback(client.aclose)
        return client

    @property
    def processes(self) -> Mapping[str, StoredProcess]:
        """Every process by its UUID, oldest first."""
        return MappingProxyType(self._store.processes)

    @property
    def sent(self) -> list[Sent]:
        """Every message that went out, oldest first."""
        return list(self._store.sent)

    @property
    def webhooks(self) -> list[Webhook]:
        """What there was to tell the receivers, the latest ten thousand, oldest first."""
        return list(self._store.webhooks)

    def count_sent(self, reference: str | int) -> int:
        """How many messages went out for a reference.

        Args:
            reference: A process UUID, or a value that the payload has under any of its keys.
        """
        return self._store.count_sent(reference)

    def add_event(
        self,
        slug: str,
        *,
        type: EventType | str = EventType.MAILER,  # noqa: A002 - the vendor's word
        templates: Mapping[Channel, Sequence[str]] | None = None,
        required: Sequence[str] = (),
    ) -> int:
        """Add an event and return its id.

        Args:
            slug: What it is called by; an event of the same type and slug is replaced.
            type: mailer, survey, qr_code or injector.
            templates: What a mailer sends by each channel; None for one e-mail template with the slug as its name.
                Text messages go out where the payload has a `phone`.
            required: Payload keys that must not be missing.
        """
        wanted = {Channel.EMAIL: (slug,)} if templates is None else templates
        frozen = {channel: tuple(names) for channel, names in wanted.items()}
        return self._store.add_event(slug, EventType(type), frozen, tuple(required)).id

    def add_webhook_endpoint(self, url: str, *, username: str = "", password: str = "", **attributes: object) -> int:
        """Add an endpoint that is told what happens, and return its id.

        Args:
            url: Where webhooks are sent to.
            username: For HTTP Basic; empty for no credentials.
            password: For HTTP Basic.
            attributes: Any other; `events`, a list of `WebhookKind`, names those that it wants, otherwise all.

        Raises:
            ValueError: Nothing could be sent to it.
        """
        given: Attributes = {"url": url, "username": username, "password": password, **attributes}
        try:
            check_endpoint(self._store, given, None)
        except Refused as refused:
            raise ValueError(refused.text) from None
        return self._store.endpoints.add(given).id

    def seed_processes(self, count: int) -> list[str]:
        """Add so many processes of the event `journey` and return their UUIDs, oldest first."""
        return [self._store.add_process(EventType.INJECTOR, "journey", {}).uuid for _ in range(count)]

    def seed_records(self, process_uuid: str, collection: Collection | str, count: int) -> None:
        """Add so many records to one of the collections of a process, with ids from 1 on."""
        records = self._known(process_uuid).records[collection]
        records.extend({"id": number} for number in range(len(records) + 1, len(records) + count + 1))

    def make_undeliverable(self, recipient: str) -> None:
        """Let messages to an address or a number fail from now on."""
        self._store.undeliverable.add(recipient.casefold())

    def expire_tokens(self) -> None:
        """End every token."""
        self._tokens.end_all()

    async def advance(self, process_uuid: str) -> Status:
        """Move a process on, from created to running to finished; where it is then.

        Raises:
            ValueError: It has ended already.
        """
        process = self._known(process_uuid)
        lifecycle.advance(self._store, process)
        await self._courier.empty_outbox()
        return process.status

    async def confirm(self, process_uuid: str) -> None:
        """Let the customer confirm the consent that a process asks for."""
        lifecycle.confirm(self._store, self._known(process_uuid))
        await self._courier.empty_outbox()

    async def visit(self, process_uuid: str) -> None:
        """Let somebody scan the QR code of a process."""
        lifecycle.visit(self._store, self._known(process_uuid))
        await self._courier.empty_outbox()

    async def respond(self, process_uuid: str, content: Mapping[str, object]) -> None:
        """Let the recipient answer the RCS message of a process."""
        lifecycle.respond(self._store, self._known(process_uuid), content)
        await self._courier.empty_outbox()

    async def deliver(self, webhook: Webhook) -> None:
        """Send a webhook to the active endpoints: an earlier one again, or any other, well-formed or not."""
        await self._courier.deliver(webhook)

    def state(self) -> dict[str, object]:
        """The counters that `GET /_sandbox/state` tells; `duplicate_messages` are those beyond the first alike."""
        return {
            **super().state(),
            "processes": len(self.processes),
            "messages": len(self._store.sent),
            "duplicate_messages": self._store.duplicates,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks, and then tell the receivers what came of it."""
        await super().__call__(scope, receive, send)
        await self._courier.empty_outbox()

    def _known(self, process_uuid: str) -> StoredProcess:
        process = self._store.processes.get(process_uuid)
        if process is None:
            msg = "there is no process with this UUID"
            raise LookupError(msg)
        return process

    def _route(self, known: KnownRoute) -> Route:
        template = known.template
        for ours, theirs in known.parameters.items():
            template = template.replace(f"{{{theirs}}}", f"{{{ours}}}")
        handler = partial(self._run, known)
        return Route(operation=known.operation.name, method=known.method, template=template, handler=handler)

    def _run(self, known: KnownRoute, inbound: Inbound) -> Answer:
        auth = known.operation.auth
        try:
            access.require_tenant(self._store, inbound)
            access.require_credential(self._store, self._tokens, auth, inbound.headers)
            if auth is Auth.ADMIN:
                access.require_permission(self.permissions, inbound)
            return Answer.of(self._carried_out(known.operation, inbound))
        except Refused as refused:
            return refused.answer(auth)

    def _carried_out(self, operation: Operation, inbound: Inbound) -> object:
        before = len(self._store.processes)
        payload = HANDLERS[operation](self._store, Ask(inbound=inbound, wire_format=self.wire_format))
        if self.automatic and len(self._store.processes) > before:
            lifecycle.run_through(self._store, next(reversed(self._store.processes.values())))
        return payload

    def _fetch_token(self, inbound: Inbound) -> Answer:
        return access.fetch_token(self._credentials, self._tokens, self.token_lifetime, inbound)
