"""The base of every group of endpoints: one line turns an operation into a call and runs it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar

from klickdoxie_core.call import Call, Effect, Query, Reader, Stream, default_effect

if TYPE_CHECKING:
    from typing_extensions import TypeForm, Unpack

T = TypeVar("T")


class CallOptions(TypedDict, total=False):
    """What a resource may say of a call beyond method, operation, type and template; see `Call`."""

    path: Mapping[str, str | int]
    query: Query | None
    body: object
    form: Mapping[str, str] | None
    stream: Stream | None
    headers: Mapping[str, str] | None
    effect: Effect
    auth: str | None
    origin: str | None
    empty_ok: bool
    reread: bool
    done_if: tuple[type[Exception], ...]
    max_body: int
    reader: Callable[[], Reader[object]] | None


class Runner(Protocol):
    """What a resource needs of its client."""

    def run(self, call: Call[T], /) -> Coroutine[Any, Any, T]:
        """Run a call with the options of this client or view."""
        ...


class Resource:
    """A group of endpoints. Subclasses write one method per operation, whose body is one call."""

    def __init__(self, client: Runner) -> None:
        self._client = client

    def _get(
        self, operation: str, into: TypeForm[T], template: str, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, T]:
        return self._call("GET", operation, into, template, **options)

    def _post(
        self, operation: str, into: TypeForm[T], template: str, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, T]:
        return self._call("POST", operation, into, template, **options)

    def _put(
        self, operation: str, into: TypeForm[T], template: str, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, T]:
        return self._call("PUT", operation, into, template, **options)

    def _patch(
        self, operation: str, into: TypeForm[T], template: str, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, T]:
        return self._call("PATCH", operation, into, template, **options)

    def _delete(
        self, operation: str, into: TypeForm[T], template: str, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, T]:
        return self._call("DELETE", operation, into, template, **options)

    def _call(
        self, method: str, operation: str, into: TypeForm[T], template: str, **options: Unpack[CallOptions]
    ) -> Coroutine[Any, Any, T]:
        options.setdefault("effect", default_effect(method))
        return self._client.run(Call(operation=operation, method=method, template=template, into=into, **options))
