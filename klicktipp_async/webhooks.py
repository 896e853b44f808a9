"""Webhooks of the service: read a delivery in any of its forms, and an ASGI app that receives them.

The service signs nothing. What proves a delivery is a static token, set up as one more parameter of the webhook.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import cast
from urllib.parse import unquote_to_bytes

import attrs

from klickdoxie_core import ConfigError as CoreConfigError
from klickdoxie_core import Secret
from klickdoxie_core import WebhookError as CoreWebhookError
from klickdoxie_core.asgi import Receive, Scope, Send
from klickdoxie_core.webhooks import (
    DEFAULT_MAX_BODY,
    Delivery,
    Handler,
    NotAuthentic,
    Receiver,
    TokenCheck,
    read_json,
)
from klicktipp_async.errors import ConfigError, WebhookError
from klicktipp_async.field_schema import field_key

__all__ = ["WebhookApp", "WebhookEvent", "parse"]

_FORM = "application/x-www-form-urlencoded"
_MAX_PARAMETERS = 1000
_MAX_HEADER = 1024
_MAX_ID = 18
_EMAIL, _ID, _PHONE = "email", "id", "phone"
_DEFAULT_NAMES = {"email": _EMAIL, "id": _ID, "PhoneNumber": _PHONE}
_FIELD_NAME = re.compile(r"CustomField(\w+)|field([A-Z0-9]\w*)", re.ASCII)
_UNWANTED = re.compile(r"[\x00\ud800-\udfff]")
# Plain patterns: the email package stumbles over the encoded parameters that a stranger can write.
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_PART_NAME = re.compile(r'^content-disposition:.*;\s*name=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE | re.MULTILINE)
_BEARER = re.compile(rb"bearer +", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class WebhookEvent:
    """What one delivery says. Its repr shows how much there is, not what.

    Attributes:
        email: The contact's e-mail address; None when it was not sent.
        contact_id: The contact's id; None when it was not sent or is no number.
        phone: The contact's phone number; None when it was not sent.
        fields: The data fields under their keys, such as `fieldFirstName` and `field217373`, as texts;
            `FieldSchema.from_wire` makes values of them.
        parameters: All that was sent, under the names it came with, except for the token of a `WebhookApp`.
    """

    email: str | None = attrs.field(default=None, repr=False)
    contact_id: int | None = attrs.field(default=None, repr=False)
    phone: str | None = attrs.field(default=None, repr=False)
    fields: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=lambda fields: f"<{len(fields)}>")
    parameters: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=lambda names: f"<{len(names)}>")

    @property
    def key(self) -> str:
        """The same for the same content, however it was sent: to tell a repeated delivery.

        Keep keys for some hours only: a contact may rightly be reported again with nothing changed.
        """
        content = json.dumps(sorted(self.parameters.items()))
        return hashlib.sha256(content.encode()).hexdigest()

    def parameter(self, name: str) -> str | None:
        """A parameter under the name it came with; None when it was not sent."""
        return self.parameters.get(name)


def parse(
    body: bytes, *, content_type: str | None, query: str | bytes = "", aliases: Mapping[str, str] | None = None
) -> WebhookEvent:
    """Read a delivery: a form in UTF-8 or Windows-1252, JSON, multipart, or the query of a GET.

    It proves nothing about the sender: compare the token that is among the parameters by
    `klickdoxie_core.webhooks.TokenCheck`, or let `WebhookApp` do it. Bound the size of the body before.

    Args:
        body: The body; empty for a GET.
        content_type: The `Content-Type` header; None or empty for a form.
        query: The query string of the URL; its parameters join those of the body.
        aliases: Parameter names of the webhook's own, and what they mean: 'email', 'id', 'phone' or a field's key.

    Raises:
        WebhookError: The delivery cannot be read, or says one thing in two ways.
        ArgumentError: An alias does not stand for anything.
    """
    meanings = _meanings(aliases)
    return _event(_parameters(body, content_type, query), meanings)


class WebhookApp:
    """An ASGI app that receives webhooks by POST and GET, to be mounted anywhere or served by itself.

    It answers 200 before the handler runs, and the handler runs inside the request that is answered already:
    long work belongs into a queue. The token is looked for in the body, in the query (which access logs show) and
    in the header of that name, there with or without a leading "Bearer".

    Args:
        handler: Called with each `WebhookEvent`.
        token: The token that the webhook sends.
        token_parameter: The name of the parameter or header that has it.
        aliases: As for `parse`.
        max_body: Bytes of a body beyond which it is refused.

    Raises:
        ConfigError: The handler cannot be called, the token or its parameter's name is no text or empty, or an alias
            does not stand for anything.
    """

    def __init__(
        self,
        handler: Handler[WebhookEvent],
        *,
        token: str | Secret,
        token_parameter: str = "Authorization",  # noqa: S107 - the name of the parameter, not a token
        aliases: Mapping[str, str] | None = None,
        max_body: int = DEFAULT_MAX_BODY,
    ) -> None:
        _check_receiver(handler, token, token_parameter)
        try:
            self._token = TokenCheck(token)
        except CoreConfigError as error:
            raise ConfigError(error.message) from None
        self._token_parameter = token_parameter
        self._meanings = _meanings(aliases)
        self._receiver = Receiver(handler, read=self._read, methods=("POST", "GET"), max_body=max_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of an ASGI server."""
        await self._receiver(scope, receive, send)

    def _read(self, delivery: Delivery) -> WebhookEvent:
        parameters = _parameters(delivery.body, delivery.content_type, delivery.query)
        parameter = parameters.pop(self._token_parameter, None)
        header = delivery.headers.get(self._token_parameter.lower(), b"")
        # All three are compared, whichever is right.
        matches = [self._token.accepts(given) for given in (parameter, header, _BEARER.sub(b"", header, count=1))]
        if not any(matches):
            raise NotAuthentic("the delivery's token is missing or wrong")
        return _event(parameters, self._meanings)


def _check_receiver(handler: object, token: object, token_parameter: object) -> None:
    """Refuse what callers without types hand over, such as the None of a variable that is not set."""
    if not callable(handler):
        raise ConfigError("handler must be a function that takes a WebhookEvent")
    if not isinstance(token, str | Secret):
        raise ConfigError(f"token must be a text or a Secret, not {type(token).__name__}")
    if not isinstance(token_parameter, str) or not token_parameter:
        raise ConfigError("token_parameter must be the name of the parameter or header with the token, not empty")


def _meanings(aliases: Mapping[str, str] | None) -> Mapping[str, str]:
    reserved = {_EMAIL, _ID, _PHONE}
    own = {name: target if target in reserved else field_key(target) for name, target in (aliases or {}).items()}
    return _DEFAULT_NAMES | own


def _event(parameters: Mapping[str, str], meanings: Mapping[str, str]) -> WebhookEvent:
    if not parameters:
        raise WebhookError("the delivery is empty")
    found: dict[str, str] = {}
    for name, value in parameters.items():
        meaning = meanings.get(name) or _field_of(name)
        if meaning is not None:
            _add(found, meaning, value)
    identity = found.pop(_ID, "")
    return WebhookEvent(
        email=found.pop(_EMAIL, None) or None,
        contact_id=int(identity) if identity.isdecimal() and len(identity) <= _MAX_ID else None,
        phone=found.pop(_PHONE, None) or None,
        fields=found,
        parameters=parameters,
    )


def _field_of(name: str) -> str | None:
    match = _FIELD_NAME.fullmatch(name)
    return f"field{match[1] or match[2]}" if match else None


def _add(found: dict[str, str], name: str, value: str) -> None:
    if found.setdefault(name, value) != value:
        raise WebhookError("the delivery says one thing in two ways")


def _parameters(body: bytes, content_type: str | None, query: str | bytes) -> dict[str, str]:
    """The parameters of the query and of the body."""
    raw_query = query.encode("utf-8", "surrogatepass") if isinstance(query, str) else query
    found = _named(_decoded(_form_pairs(raw_query)))
    for name, value in _named(_body_pairs(body, content_type or "")).items():
        _add(found, name, value)
    return found


def _named(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, value in pairs:
        if name in named:
            raise WebhookError("the delivery has a parameter twice")
        if _UNWANTED.search(name) or _UNWANTED.search(value):
            raise WebhookError("the delivery has characters that no text has")
        named[name] = value
    return named


def _body_pairs(body: bytes, content_type: str) -> list[tuple[str, str]]:
    if not body:
        return []
    kind = content_type.partition(";")[0].strip().lower() or _FORM
    if kind == _FORM:
        return _decoded(_form_pairs(body))
    if kind == "application/json" or kind.endswith("+json"):
        return _json_pairs(body)
    boundary = _BOUNDARY.search(content_type[:_MAX_HEADER])
    if kind == "multipart/form-data" and boundary:
        return _multipart_pairs(body, (boundary[1] or boundary[2]).encode("utf-8", "surrogatepass"))
    raise WebhookError("the delivery's content type is not one that webhooks have")


def _bounded(count: int) -> None:
    if count > _MAX_PARAMETERS:
        raise WebhookError(f"the delivery has more than {_MAX_PARAMETERS} parameters")


def _form_pairs(form: bytes) -> list[tuple[bytes, bytes]]:
    _bounded(form.count(b"&"))
    parts = (part.partition(b"=") for part in form.replace(b"+", b" ").split(b"&") if part)
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in parts]


def _decoded(pairs: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """The pairs as texts: all in UTF-8, or else all in Windows-1252."""
    for encoding in ("utf-8", "windows-1252"):
        try:
            return [(name.decode(encoding), value.decode(encoding)) for name, value in pairs]
        except UnicodeDecodeError:
            continue
    raise WebhookError("the delivery's encoding is neither UTF-8 nor Windows-1252")


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        decoded = read_json(body)
        # Writing a nested value again may need more stack than reading it.
        pairs = [(name, _json_text(value)) for name, value in _object(decoded).items()]
    except (CoreWebhookError, RecursionError):
        raise WebhookError("the delivery's JSON is not a readable object that has each name once") from None
    _bounded(len(pairs))
    return pairs


def _object(decoded: object) -> dict[str, object]:
    if not isinstance(decoded, dict):
        raise WebhookError("the delivery's JSON is not an object")
    return cast("dict[str, object]", decoded)


def _json_text(value: object) -> str:
    """A value as a form would have it; what is nested stays JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _multipart_pairs(body: bytes, boundary: bytes) -> list[tuple[str, str]]:
    delimiter = b"\r\n--" + boundary
    _bounded(body.count(delimiter))
    parts = (b"\r\n" + body).split(delimiter)[1:]
    if not parts or not parts.pop().startswith(b"--"):
        raise WebhookError("the delivery's multipart body has no end")
    heads_and_values = [(head, value) for head, _, value in (part.partition(b"\r\n\r\n") for part in parts)]
    return [(_part_name(head), value) for head, value in _decoded(heads_and_values)]


def _part_name(head: str) -> str:
    """The name in the headers of a part; an upload is a parameter like any other."""
    name = _PART_NAME.search(head[:_MAX_HEADER])
    if name is None:
        raise WebhookError("a part of the delivery's multipart body has no name")
    return name[1] or name[2]
