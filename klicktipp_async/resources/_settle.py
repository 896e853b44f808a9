"""After an unknown outcome: look instead of sending blindly once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from klickdoxie_core import SdkError
from klickdoxie_core.errors import renewed

T = TypeVar("T")


async def settle(
    send: Callable[[], Awaitable[T]],
    look_up: Callable[[SdkError], Awaitable[T | None]],
    pause: Callable[[int], Awaitable[bool]],
) -> T:
    """The result of a call that must not be repeated blindly.

    Args:
        send: The call.
        look_up: What the call should have made, if it is there by now.
        pause: Waits before look-up number n (from 1); False when it is time to give up.

    Raises:
        SdkError: What the call raised, when its outcome is known or cannot be found out.
    """
    number, doubted = 0, False
    while True:
        try:
            return await send()
        except SdkError as raised:
            number += 1
            # A later refusal says nothing about an earlier attempt, which may be the very reason for it.
            error = renewed(raised, maybe_applied=True) if doubted and not raised.maybe_applied else raised
            if not error.maybe_applied or not await pause(number):
                raise error from None
            doubted = True
            try:
                found = await look_up(error)
            except SdkError:
                raise error from None
            if found is not None:
                return found
            if not raised.maybe_applied:
                raise error from None
