"""Listbuilding: signing contacts in and out with a key that belongs to one opt-in process and one tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import cattrs

from klickdoxie_core import ApiClient, Call, Dialect, Effect
from klickdoxie_core.client import ClientOptions
from klickdoxie_core.redact import Secret, secret
from klicktipp_async import convert
from klicktipp_async.client import BASE_URL
from klicktipp_async.contact_details import check_email, check_phone
from klicktipp_async.convert import Ack
from klicktipp_async.dialect import KlickTippDialect
from klicktipp_async.errors import ArgumentError, NotFound, NotSubscribed
from klicktipp_async.field_schema import FieldSchema, FieldValue, is_encodable, schema_given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Unpack


class Listbuilding(ApiClient):
    """The listbuilding API: no account, no login, but a key in each request.

    Args:
        api_key: The key as the user interface shows it under Listbuilding.
        field_schema: The types of the data fields; see `KlickTipp`.
        options: As for `KlickTipp`.
    """

    product: ClassVar[str] = "klicktipp-async"
    dialect: Dialect = KlickTippDialect()

    def __init__(
        self, api_key: str | Secret, *, field_schema: FieldSchema | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        self._api_key = secret(api_key)
        key = self._api_key.reveal()
        if not is_encodable(key) or not key.strip():
            raise ArgumentError("api_key must be a non-empty text of characters that UTF-8 can carry")
        self.field_schema = schema_given(field_schema)
        options.setdefault("base_url", BASE_URL)
        super().__init__({}, **options)

    async def sign_in(
        self,
        *,
        email: str | None = None,
        sms_number: str | None = None,
        fields: Mapping[str, FieldValue] | None = None,
    ) -> str:
        """Add or update a contact, set the key's tag, and return the page to send the contact to (Sign In).

        A confirmation mail may go out, so the call is never sent again once it may have been carried out.

        Raises:
            ServerError: Also for a wrong key, which the service answers with an empty 500.
            InvalidApiKey, AddressUnsubscribed, FieldValidationError: As their names say.
        """
        if email is None and sms_number is None:
            raise ArgumentError("give an email or an sms_number")
        if email is not None:
            check_email("email", email)
        if sms_number is not None:
            check_phone("sms_number", sms_number)
        wire_fields = self.field_schema.to_wire(fields) if fields else None
        body = {"email": email, "smsnumber": sms_number, "fields": wire_fields}
        sent = {key: value for key, value in body.items() if value}
        (url,) = await self.run(
            Call(
                operation="Sign In",
                method="POST",
                template="/subscriber/signin",
                into=tuple[str],
                body={"apikey": self._api_key.reveal(), **sent},
                effect=Effect.ONCE,
                auth=None,
            )
        )
        return url

    async def sign_out(self, email: str) -> None:
        """Take the key's tag off a contact (Sign Out). Raises `ContactNotFound` and `TagNotFound`."""
        await self._sign("Sign Out", "/subscriber/signout", email)

    async def sign_off(self, email: str) -> None:
        """Unsubscribe a contact (Sign Off). Raises `NotSubscribed`."""
        await self._sign("Sign Off", "/subscriber/signoff", email)

    async def _sign(self, operation: str, template: str, email: str) -> None:
        check_email("email", email)
        await self.run(
            Call(
                operation=operation,
                method="POST",
                template=template,
                into=Ack,
                body={"apikey": self._api_key.reveal(), "email": email},
                effect=Effect.REPEATABLE,
                auth=None,
                empty_ok=True,
                done_if=(NotFound, NotSubscribed),
            )
        )

    def _make_converter(self) -> cattrs.Converter:
        return convert.converter()
