"""`Sandbox`: the fake KlickTipp, its clients, and the states that it can be put into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from klickdoxie_core.clock import Clock
from klickdoxie_core.sandbox import Answer, Inbound, Route, SandboxBase
from klicktipp_async.field_schema import FieldSchema, FieldType
from klicktipp_async.sandbox.account import require_access
from klicktipp_async.sandbox.operations import OPERATIONS, Operation
from klicktipp_async.sandbox.store import FIRST_CONTACT, Status, Store, StoredContact, StoredField, StoredTag
from klicktipp_async.sandbox.wire_format import Ask, Refused, Reply, WireFormat

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from klickdoxie_core.auth.key_pair import KeyPair
    from klickdoxie_core.client import ClientOptions
    from klicktipp_async.auth import SessionLogin
    from klicktipp_async.client import KlickTipp
    from klicktipp_async.listbuilding import Listbuilding


class Sandbox(SandboxBase):
    """A KlickTipp account in memory that answers as the service does.

    It starts with the sixteen standard fields, a double opt-in process without a name that sends its confirmation mail
    again, a single opt-in process, and nothing else. Ids, keys, sessions and times are the same in each run.

    Args:
        clock: `now` dates what happens, by default from 2025-01-01 UTC on, one second later each time; `monotonic`
            drives the rate limit and the sessions, `sleep` the latency. The clients have the same unless told
            otherwise.
        first_id: The id of the first contact.
        wire_format: How answers are written; may be changed at any time.
    """

    base_url = "https://api.klicktipp.sandbox"

    def __init__(
        self, *, clock: Clock | None = None, first_id: int = FIRST_CONTACT, wire_format: WireFormat | None = None
    ) -> None:
        super().__init__([self._route(operation) for operation in OPERATIONS], clock=clock)
        self.wire_format = wire_format or WireFormat()
        self._store = Store(self.clock, first_id)
        self._controls["POST", "/_sandbox/expire-sessions"] = self.expire_sessions
        self.username = self._store.credentials.username
        self.password = self._store.credentials.password
        self.developer_key = self._store.credentials.developer_key
        self.customer_key = self._store.credentials.customer_key
        self.default_opt_in_id = self._store.default_opt_in.id
        self.single_opt_in_id = self.add_opt_in("Single-Opt-In", single=True)

    @cached_property
    def api_key(self) -> str:
        """A listbuilding key; it and its tag are made when it is first asked for."""
        return self.add_api_key("Listbuilding", tag_id=self.add_tag("Listbuilding"))

    def client(
        self,
        auth: KeyPair | SessionLogin | None = None,
        *,
        field_schema: FieldSchema | None = None,
        **options: Unpack[ClientOptions],
    ) -> KlickTipp:
        """A client that reaches the sandbox in this process; it is closed with the sandbox.

        Args:
            auth: How it signs; None logs in with the sandbox's user name and password.
            field_schema: As for `KlickTipp`.
            options: As for `KlickTipp`.
        """
        # Here, so that a sandbox on a socket starts without the client.
        from klicktipp_async.auth import SessionLogin  # noqa: PLC0415
        from klicktipp_async.client import KlickTipp  # noqa: PLC0415

        signer = auth or SessionLogin(self.username, self.password)
        client = KlickTipp(signer, field_schema=field_schema, **self._reaching_here(options))
        self._open.push_async_callback(client.aclose)
        return client

    def listbuilding(
        self,
        api_key: str | None = None,
        *,
        field_schema: FieldSchema | None = None,
        **options: Unpack[ClientOptions],
    ) -> Listbuilding:
        """A listbuilding client, with the sandbox's own key for None; it is closed with the sandbox."""
        from klicktipp_async.listbuilding import Listbuilding  # noqa: PLC0415

        key = self.api_key if api_key is None else api_key
        client = Listbuilding(key, field_schema=field_schema, **self._reaching_here(options))
        self._open.push_async_callback(client.aclose)
        return client

    @property
    def session_lifetime(self) -> float:
        """Seconds that a session holds from its login on; infinite at first. A change is for the logins to come."""
        return self._store.session_lifetime

    @session_lifetime.setter
    def session_lifetime(self, seconds: float) -> None:
        self._store.session_lifetime = seconds

    @property
    def contacts(self) -> Mapping[int, StoredContact]:
        """Every contact by id. Its attributes may be changed, but for the address, the number and the tags."""
        return MappingProxyType(self._store.contacts)

    @property
    def tags(self) -> Mapping[int, StoredTag]:
        """Every tag by id, SmartTags too."""
        return MappingProxyType(self._store.tags)

    @property
    def fields(self) -> Mapping[str, StoredField]:
        """Every data field by key."""
        return MappingProxyType(self._store.fields)

    @property
    def confirmation_mails(self) -> Counter[str]:
        """How many confirmation mails went to each address."""
        return self._store.confirmation_mails

    def names_of(self, operation: str | None) -> frozenset[str] | None:
        """What requests of an operation may carry, in path, query and body; of any where it is None."""
        asked = [each for each in OPERATIONS if operation in {None, each.name}]
        return frozenset(name for each in asked for name in each.names) if asked else None

    def contact(self, email: str) -> StoredContact | None:
        """The contact with this address; None where there is none."""
        return self._store.with_email(email)

    def seed_contacts(self, count: int) -> list[int]:
        """Add so many subscribed contacts, `kontakt1@example.com` and so on, and return their ids."""
        single = self._store.opt_ins[self.single_opt_in_id]
        numbers = range(len(self.contacts) + 1, len(self.contacts) + count + 1)
        return [self._store.add_contact(f"kontakt{number}@example.com", single).id for number in numbers]

    def add_tag(self, name: str, *, text: str = "", smart: bool = False) -> int:
        """Add a tag and return its id; the name of a manual tag must be new."""
        if name in self._store.tag_ids and not smart:
            msg = "there is a tag with this name"
            raise ValueError(msg)
        return self._store.add_tag(name, text, smart=smart).id

    def put_on(self, email: str, tag_id: int) -> None:
        """Tag a contact as the system does, which may use SmartTags too."""
        self._store.put_on(self._known(email), tag_id)

    def add_field(self, label: str, type: FieldType = FieldType.LINE) -> str:  # noqa: A002 - the vendor's word
        """Add a data field and return its key, such as `field200001`."""
        return f"field{self._store.add_field(label, type).id}"

    def add_opt_in(self, name: str, *, single: bool = False, resend: bool = True) -> int:
        """Add an opt-in process and return its id; `resend` mails contacts again that are still pending."""
        return self._store.add_opt_in(name, single=single, resend=resend).id

    def add_api_key(self, name: str, *, tag_id: int, opt_in_id: int | None = None) -> str:
        """Add a listbuilding key for a tag and an opt-in process, None for the default one, and return it."""
        opt_in = self._store.opt_ins[opt_in_id or self.default_opt_in_id]
        return self._store.add_api_key(name, self._store.tags[tag_id], opt_in)

    def confirm(self, email: str) -> None:
        """Let a pending contact click on the link in the confirmation mail."""
        self._store.confirm(self._known(email))

    def unsubscribe(self, email: str) -> None:
        """Let a contact unsubscribe."""
        self._store.unsubscribe(self._known(email))

    def unsubscribe_sms(self, email: str) -> None:
        """Let a contact unsubscribe from text messages."""
        self._known(email).sms_status = Status.UNSUBSCRIBED

    def block(self, email: str) -> None:
        """Refuse an address for good, whether it is known or not."""
        self._store.blocked.add(email.casefold())

    def expire_sessions(self) -> None:
        """End every session."""
        self._store.sessions.clear()

    def state(self) -> dict[str, object]:
        """The counters that `GET /_sandbox/state` tells; `duplicate_confirmation_mails` are those beyond the first."""
        mails = self.confirmation_mails
        return {
            **super().state(),
            "contacts": len(self.contacts),
            "confirmation_mails": mails.total(),
            "duplicate_confirmation_mails": mails.total() - len(mails),
        }

    def _known(self, email: str) -> StoredContact:
        contact = self.contact(email)
        if contact is None:
            msg = "there is no contact with this address"
            raise LookupError(msg)
        return contact

    def _route(self, operation: Operation) -> Route:
        handler = partial(self._run, operation)
        return Route(operation=operation.name, method=operation.method, template=operation.template, handler=handler)

    def _run(self, operation: Operation, inbound: Inbound) -> Answer:
        try:
            ask = Ask.read(inbound, self.wire_format)
            if operation.signed:
                require_access(self._store, ask)
            result = operation.run(self._store, ask)
        except Refused as refused:
            result = refused.reply
        return self.wire_format.answer(result if isinstance(result, Reply) else Reply(payload=result))

    def _no_route(self, inbound: Inbound, allowed: Sequence[str]) -> Answer:
        text = f'No route found for "{inbound.method} https://api-internal.klicktipp.sandbox/api{inbound.path}"'
        if allowed:
            text = f"{text}: Method Not Allowed (Allow: {', '.join(allowed)})"
        return self.wire_format.answer(Reply(payload=text, status=405 if allowed else 404))
