"""Requests read and answers written as the service does; what its reference leaves open can be chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar, cast
from urllib.parse import parse_qsl

import attrs
from attrs.validators import in_

from doxie_async.routes import Auth
from doxie_async.sandbox.records import Attributes, holds_mask
from doxie_async.sandbox.texts import Text
from klickdoxie_core.sandbox import Answer, Inbound

T = TypeVar("T")

DEFAULT_LIMIT: Final = 200
_NO_NUMBER = -1
_MAX_DIGITS = 15


class Refused(Exception):
    """The request is not carried out; the text says why."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.text = text
        self.headers = headers

    def answer(self, auth: Auth) -> Answer:
        """The refusal in the envelope of the operation's kind."""
        if auth is Auth.ADMIN:
            body = {"success": False, "message": None, "error": self.text, "data": None}
        else:
            body = {"success": False, "error_message": self.text, "process_uuid": None, "data": None}
        return Answer.of(body, status=self.status, headers=self.headers)


def done(data: object, message: Text | None = None) -> dict[str, object]:
    """The envelope of a successful admin operation."""
    return {"success": True, "message": message, "error": None, "data": data}


def accepted(process_uuid: str, **more: object) -> dict[str, object]:
    """The envelope of a successful operation of an API user."""
    return {"success": True, "error_message": None, "process_uuid": process_uuid, **more}


@attrs.define(kw_only=True)
class WireFormat:
    """How admin answers are written where the reference does not tell; each choice may be changed at any time.

    Attributes:
        records: Whether `data` is the record itself, or holds it under its name.
        paging: Where a list says how many pages there are.
    """

    records: Literal["bare", "named"] = attrs.field(default="bare", validator=in_(["bare", "named"]))
    paging: Literal["none", "data", "meta", "pagination"] = attrs.field(
        default="pagination", validator=in_(["none", "data", "meta", "pagination"])
    )

    def record(self, name: str, shown: Mapping[str, object]) -> dict[str, object]:
        """One record as `data`."""
        return {name: shown} if self.records == "named" else dict(shown)

    def figures(self, page: int, limit: int, total: int) -> dict[str, object]:
        """What `data` says about its pages."""
        figures = {"current_page": page, "total_pages": -(-total // limit), "total_count": total}
        match self.paging:
            case "none":
                return {}
            case "data":
                return dict(figures)
            case place:
                return {place: figures}


@attrs.frozen(kw_only=True)
class Ask:
    """One request as an operation sees it."""

    inbound: Inbound
    wire_format: WireFormat

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters."""
        return dict(parse_qsl(self.inbound.query, keep_blank_values=True))

    def hole(self, name: str) -> str:
        """A value out of the path."""
        return self.inbound.values[name]

    def number(self, name: str) -> int:
        """An id out of the path; for what is no number, one that nothing has."""
        return _number(self.hole(name))

    def payload(self) -> dict[str, object]:
        """The body, a JSON object."""
        try:
            body: object = json.loads(self.inbound.body)
        except (ValueError, RecursionError):
            raise Refused(400, Text.BAD_BODY) from None
        if not isinstance(body, dict):
            raise Refused(400, Text.BAD_BODY)
        return cast("dict[str, object]", body)

    def attributes(self, root: str) -> Attributes:
        """What the body holds under its root key, without masked secrets."""
        attributes = self.payload().get(root)
        if not attributes or not isinstance(attributes, dict):
            raise Refused(400, f"param is missing or the value is empty: {root}")
        if holds_mask(cast("Attributes", attributes)):
            raise Refused(422, Text.MASKED)
        return cast("Attributes", attributes)

    def listing(self, name: str, items: Sequence[T], show: Callable[[T], object]) -> dict[str, object]:
        """The page of a list that is asked for, as `data`."""
        page, limit = self._positive("page", 1), self._positive("limit", DEFAULT_LIMIT)
        shown = [show(item) for item in items[(page - 1) * limit : page * limit]]
        return {name: shown, **self.wire_format.figures(page, limit, len(items))}

    def window(self, parameter: str, items: Sequence[T], size: int) -> Sequence[T]:
        """The page of a nested list, whose number has a parameter of its own."""
        page = self._positive(parameter, 1)
        return items[(page - 1) * size : page * size]

    def _positive(self, parameter: str, default: int) -> int:
        text = self.query.get(parameter)
        number = default if text is None else _number(text)
        if number < 1:
            raise Refused(422, Text.BAD_PAGE)
        return number


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else _NO_NUMBER
