"""After an unknown outcome: look instead of sending blindly once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from klickdoxie_core import SdkError
from klickdoxie_core.errors import renewed

T = TypeVar("T")


async def settle(
    send: Callable[[], Awaitable[T]],
    look_up: Callable[[SdkError], Awaitable[T | None]],
    pause: Callable[[int], Awaitable[bool]],
    deadline: float,
) -> T:
    """The result of a call that must not be repeated blindly.

    Args:
        send: The call.
        look_up: What the call should have made, if it is there by now.
        pause: Waits before look-up number n (from 1); False when it is time to give up.
        deadline: Seconds from now on for all of it.

    Raises:
        SdkError: What the call raised, when its outcome is known or cannot be found out.
    """
    until, number = anyio.current_time() + deadline, 0
    try:
        return await send()
    except SdkError as raised:
        error = latest = raised
    with anyio.CancelScope(deadline=until):
        while error.maybe_applied and await pause(number := number + 1):
            try:
                found = await look_up(error)
            except SdkError:
                break
            if found is not None:
                return found
            if not latest.maybe_applied:
                break
            try:
                return await send()
            except SdkError as raised:
                latest = raised
            # A later refusal says nothing about an earlier attempt, which may be the very reason for it.
            error = renewed(latest, maybe_applied=True, attempts=error.attempts + latest.attempts)
    raise error
