"""Long answers, read while they come in instead of held as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Self, TypeVar

import anyio

from klickdoxie_core.call import Reader
from klickdoxie_core.errors import SdkError
from klickdoxie_core.json_bytes import Undecodable
from klickdoxie_core.wire.base import Failure, Opened, WireFailure

T = TypeVar("T")
P = TypeVar("P")


class Incoming(Generic[P, T]):
    """An answer while it comes in; `async for` gives what the reader makes of each piece, which may be nothing.

    Attributes:
        error: What has broken it off; None until then, and at its end.
    """

    def __init__(
        self,
        opened: Opened,
        reader: Reader[P],
        *,
        timeout: float,
        explain: Callable[[WireFailure | Undecodable], SdkError],
        end: Callable[[object], T],
    ) -> None:
        self.error: BaseException | None = None
        self._opened = opened
        self._reader = reader
        self._timeout = timeout
        self._explain = explain
        self._end = end
        self._rest: tuple[T] | None = None

    @property
    def rest(self) -> T:
        """What the answer held besides; LookupError before the iteration has come to its end."""
        if self._rest is None:
            raise LookupError("the answer has not come to its end yet")
        return self._rest[0]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> P:
        if self._rest is not None:
            raise StopAsyncIteration
        if self.error is not None:
            raise self._broken(self.error)
        try:
            return await self._next()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self.error = error
            raise

    def _broken(self, error: BaseException) -> Exception:
        """What somebody hears who reads on: never that it has come to its end."""
        if isinstance(error, Exception):
            return error
        return self._explain(WireFailure(Failure.INTERRUPTED, sent=True, detail="its reading was cancelled"))

    async def _next(self) -> P:
        try:
            if chunk := await self._read():
                return self._reader.feed(chunk)
            left = self._reader.finish()
        except (WireFailure, Undecodable) as failure:
            raise self._explain(failure) from None
        self._rest = (self._end(left),)
        raise StopAsyncIteration

    async def _read(self) -> bytes:
        with anyio.move_on_after(self._timeout):
            return await self._opened.read()
        # No TIMEOUT: the deadline of the call, which that would be compared with, does not hold for the reading.
        raise WireFailure(Failure.INTERRUPTED, sent=True, detail=f"nothing came for {self._timeout:g} s")


class Collector:
    """Stands between a wire, which must not be disturbed, and the reader of an answer that is wanted as a whole.

    Attributes:
        used: Whether the wire has found anything to be read.
    """

    def __init__(self, reader: Reader[object]) -> None:
        self.used = False
        self._reader = reader
        self._fault: Undecodable | None = None

    def feed(self, chunk: bytes) -> None:
        """Hand a piece on; after a fault the rest is passed over."""
        self.used = True
        if self._fault is None:
            try:
                self._reader.feed(chunk)
            except Undecodable as fault:
                self._fault = fault

    def finish(self) -> object:
        """The decoded JSON of what was not given out; raises `Undecodable` as the reader does."""
        if self._fault is not None:
            raise self._fault
        return self._reader.finish()
