"""What the groups of operations share: finding the route, wrapping the body, walking through pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypedDict, TypeVar, cast

from doxie_async.convert import Done, Listed, Listing
from doxie_async.errors import ArgumentError
from doxie_async.paging import pages
from doxie_async.routes import Operation, Routes
from klickdoxie_core import Call, Dialect, Effect, Pages
from klickdoxie_core.call import Stream, check_json
from klickdoxie_core.redact import mask

if TYPE_CHECKING:
    from typing_extensions import TypeForm, Unpack

T = TypeVar("T")

Attributes = Mapping[str, object]
"""What a thing is made of or changed to, by the names of the reference."""

PAGE_SIZE = 200
_MAX_PAGE = 2**31 - 1
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Nothing but signs that hide, some of them between a few that are shown, or a word for it.
_MASKED = re.compile(
    r"[*•●x.]{3,}|[^\s*•●]{0,4}[*•●]{3,}[^\s*•●]{0,4}|\[(?:filtered|hidden|masked|redacted)\]", re.IGNORECASE
)


class Client(Protocol):
    """What the resources need of the client."""

    @property
    def tenant(self) -> str:
        """The tenant's slug, the first part of every path."""
        ...

    @property
    def routes(self) -> Routes:
        """Where each operation is called."""
        ...

    @property
    def dialect(self) -> Dialect:
        """What the vendor's answers mean."""
        ...

    async def run(self, call: Call[T], /) -> T:
        """Run a call with the options of this client or view."""
        ...


class CallOptions(TypedDict, total=False):
    """What an operation may say beyond its effect, type and path; see `Call`."""

    query: Mapping[str, str | int] | None
    body: object
    stream: Stream
    done_if: tuple[type[Exception], ...]


class DoxieResource:
    """A group of operations."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def _run(
        self,
        operation: Operation,
        effect: Effect,
        into: TypeForm[T],
        *,
        path: Mapping[str, str | int] | None = None,
        empty_ok: bool = False,
        **options: Unpack[CallOptions],
    ) -> T:
        route = self._client.routes[operation]
        values = {"tenant": self._client.tenant, **(path or {})}
        return await self._client.run(
            Call(
                operation=operation.name,
                method=route.method,
                template=route.template,
                into=into,
                path={route.parameters.get(name, name): value for name, value in values.items()},
                effect=effect,
                auth=operation.auth.value,
                empty_ok=empty_ok,
                **options,
            )
        )

    async def _do(
        self,
        operation: Operation,
        effect: Effect,
        *,
        path: Mapping[str, str | int] | None = None,
        **options: Unpack[CallOptions],
    ) -> None:
        await self._run(operation, effect, Done, path=path, empty_ok=True, **options)

    def _pages(
        self,
        operation: Operation,
        kind: type[T],
        key: str,
        size: int,
        *,
        path: Mapping[str, str | int] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Pages[T]:
        if not _is_size(size):
            raise ArgumentError("page_size must be a whole number from 1")
        # The item's type is only known here, so the mark is put together at run time.
        into: Any = Annotated[Listing[kind], Listed(key)]  # type: ignore[valid-type]  # a type from a variable

        async def fetch(number: int) -> Listing[T]:
            asked = {**(query or {}), "limit": size, "page": number}
            found: Listing[T] = await self._run(operation, Effect.SAFE, into, path=path, query=asked)
            return found

        return pages(fetch, size=size, dialect=self._client.dialect)


def _is_size(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= _MAX_PAGE


def plain(name: str, value: object) -> dict[str, object]:
    """A copy of a mapping that is sent; refuses everything else by the name of the argument."""
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{name} must be a mapping of names to values, not {type(value).__name__}")
    copied = dict(cast("Mapping[str, object]", value))
    try:
        check_json(name, copied)
    except ValueError as error:
        said = mask(str(error))
    else:
        return copied
    # Out here it has no context, which would hold the names, and which some who pickle errors take along.
    raise ArgumentError(said)


def check_text(name: str, text: object) -> None:
    """Refuse, by the argument's name, what is no text that can be sent, or a blank one."""
    if not isinstance(text, str) or not text.strip() or _SURROGATE.search(text):
        raise ArgumentError(f"{name} must be a non-empty text of characters that UTF-8 can carry")


def rooted(root: str, attributes: Attributes) -> dict[str, object]:
    """The attributes under their root key; refuses what is no mapping, is empty, or holds a masked secret."""
    body = plain("attributes", attributes)
    if not body:
        raise ArgumentError("attributes must not be empty")
    if masked := sorted(_masked(body)):
        places = mask(", ".join(masked))
        raise ArgumentError(f"attributes hold masked secrets, which would replace the real ones: {places}")
    return {root: body}


def _masked(value: object, place: str = "") -> Iterator[str]:
    """Where masked secrets stand."""
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, object]", value).items():
            shown = mask(name)
            yield from _masked(inner, f"{place}.{shown}" if place else shown)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(cast("list[object]", value)):
            yield from _masked(inner, f"{place}[{number}]")
    elif isinstance(value, str) and _MASKED.fullmatch(value):
        yield place
