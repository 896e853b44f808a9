"""A body that is read while it is sent: as long as it said, closed in the end, and its errors are its own."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Self

import anyio

from klickdoxie_core.wire.base import Failure, WireFailure


class Outgoing:
    """Stands between the source of a body and the HTTP library.

    Attributes:
        error: What the source has raised; it says nothing about the wire.
    """

    def __init__(self, source: AsyncIterable[bytes], length: int | None) -> None:
        self.error: Exception | None = None
        self._pieces = aiter(source)
        self._left = length

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            if self._left:
                raise _stopped("the body is shorter than it said") from None
            raise
        except Exception as error:  # noqa: BLE001 - raised by the wire, past the HTTP library, which would change it
            self.error = error
            raise _stopped("the body's source has failed") from None
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise _stopped("the body is longer than it said")
        return piece

    async def aclose(self) -> None:
        """Close the source where it can be closed: nobody reads on from where the wire has stopped."""
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            with anyio.CancelScope(shield=True):
                await close()


def _stopped(detail: str) -> WireFailure:
    return WireFailure(Failure.INVALID, sent=True, detail=detail)
