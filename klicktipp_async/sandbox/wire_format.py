"""Requests read and answers written as the service does: PHP's habits included."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, Literal, cast
from urllib.parse import parse_qsl

import attrs
from attrs.validators import in_

from klickdoxie_core.sandbox import Answer, Inbound
from klicktipp_async.sandbox.texts import Text

NO_ID: Final = -1
"""What a value that is no id is read as; nothing has it."""

_MAX_ID_DIGITS = 18
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


@attrs.frozen(kw_only=True)
class Reply:
    """A payload on its way to becoming an answer; None has no body."""

    payload: object
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])


class Refused(Exception):
    """The request is not carried out; the reply says why."""

    def __init__(self, status: int, payload: object = None) -> None:
        super().__init__(status)
        self.reply = Reply(payload=payload, status=status)


def business(error: int, code: int | None = None) -> Refused:
    """A refusal with the vendor's number, and the one below it."""
    return Refused(406, {"error": error} if code is None else {"error": error, "code": code})


@attrs.define(kw_only=True)
class WireFormat:
    """How answers are written; each choice was seen at some time and may be changed at any.

    Attributes:
        empty_maps: How an empty map is written; PHP cannot tell it from an empty list.
        contact_list: The shape of the contact list where no `limit` is sent.
        language: The language of the texts.
    """

    empty_maps: Literal["[]", "{}"] = attrs.field(default="[]", validator=in_(["[]", "{}"]))
    contact_list: Literal["flat", "subscribers"] = attrs.field(default="flat", validator=in_(["flat", "subscribers"]))
    language: Literal["de", "en"] = attrs.field(default="de", validator=in_(["de", "en"]))

    def answer(self, reply: Reply) -> Answer:
        """The reply as JSON: slashes escaped, texts in the account's language."""
        body = b""
        if reply.payload is not None:
            body = json.dumps(self._shaped(reply.payload), separators=(",", ":")).replace("/", "\\/").encode()
        headers = {"content-type": "application/json", **reply.headers}
        return Answer(status=reply.status, body=body, headers=headers)

    def _shaped(self, value: object) -> object:
        if isinstance(value, Text):
            german, english = value.value
            return english if self.language == "en" else german
        if isinstance(value, dict):
            items = cast("dict[object, object]", value)
            if not items and self.empty_maps == "[]":
                return []
            return {str(key): self._shaped(item) for key, item in items.items()}
        if isinstance(value, list):
            return [self._shaped(item) for item in cast("list[object]", value)]
        return value


@attrs.frozen(kw_only=True)
class Ask:
    """One request as an operation sees it."""

    inbound: Inbound
    arguments: Mapping[str, object] = attrs.field(repr=False)
    query: Mapping[str, object] = attrs.field(repr=False)
    wire_format: WireFormat

    @classmethod
    def read(cls, inbound: Inbound, wire_format: WireFormat) -> Ask:
        """Read query and body; raises `Refused` for a body that cannot be read."""
        return cls(
            inbound=inbound,
            arguments=_arguments(inbound),
            query=php_arguments(inbound.query),
            wire_format=wire_format,
        )

    def hole(self, name: str) -> str:
        """A value out of the path."""
        return self.inbound.values[name]

    def text(self, name: str) -> str | None:
        """An argument; None where it is missing or null."""
        value = self.arguments.get(name)
        if isinstance(value, bool | dict | list):
            raise Refused(400, [f'The key "{name}" must be a string.'])
        return None if value is None else str(value)

    def required(self, name: str) -> str:
        """An argument that may be empty but not missing."""
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def number(self, name: str) -> int | None:
        """An id among the arguments; None where it is missing, null or empty."""
        value = self.text(name)
        return as_id(value) if value else None

    def required_numbers(self, name: str) -> list[int]:
        """One id or several, as a list, a map or alone."""
        value = self.arguments.get(name)
        if isinstance(value, dict):
            value = list(cast("dict[object, object]", value).values())
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        numbers = [as_id(item) for item in items if item is not None and item != ""]
        if not numbers:
            raise missing(name)
        return numbers

    def mapping(self, name: str) -> Mapping[str, object]:
        """An argument that is a map; an empty one where it is missing or an empty list."""
        value = self.arguments.get(name)
        if not value:
            return {}
        if not isinstance(value, dict):
            raise Refused(400, [f'The key "{name}" must be an object.'])
        return cast("dict[str, object]", value)

    def choices(self, name: str, default: frozenset[str]) -> frozenset[str]:
        """The words of a filter: a list or comma-joined, in the body or in the query."""
        value = self.arguments.get(name) or self.query.get(name)
        if isinstance(value, dict):
            value = list(cast("dict[object, object]", value).values())
        if isinstance(value, list):
            return frozenset(str(word) for word in cast("list[object]", value))
        return frozenset(str(value).split(",")) if value else default


def missing(name: str) -> Refused:
    """The refusal of a request that lacks an argument."""
    return Refused(401, [f"Missing required argument {name}"])


def as_id(value: object) -> int:
    """The id that a number or a text stands for, `NO_ID` for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_ID_DIGITS else NO_ID


def php_arguments(text: str) -> dict[str, object]:
    """A query or a form as PHP reads it: `a[0]=1` and `a[b]=1` nest, a repeated name keeps its last value."""
    tree: dict[str, object] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, bracket, rest = name.partition("[")
        branch, key = tree, head
        for step in _BRACKETS.findall(bracket + rest):
            branch = _branch(branch, key)
            key = step or str(len(branch))
        branch[key] = value
    return tree


def _branch(tree: dict[str, object], key: str) -> dict[str, object]:
    child = tree.get(key)
    if not isinstance(child, dict):
        child = tree[key] = {}
    return cast("dict[str, object]", child)


def _arguments(inbound: Inbound) -> dict[str, object]:
    if not inbound.body.strip():
        return {}
    kind = inbound.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            return php_arguments(inbound.body.decode())
        body: object = json.loads(inbound.body)
    except ValueError:
        raise Refused(400, [Text.BAD_BODY]) from None
    if not (isinstance(body, dict) or body == []):
        raise Refused(400, [Text.BAD_BODY])
    return dict(cast("dict[str, object]", body))
