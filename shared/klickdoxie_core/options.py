"""Options of a client, a view and a call: frozen values, checked when they are made."""

from __future__ import annotations

import enum
from typing import Any, Final, Literal, Protocol, TypeVar, runtime_checkable

import attrs

from klickdoxie_core.errors import ArgumentError

T = TypeVar("T")

_ENDLESS = 1e12


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
"""Not given: leave as it is. `None` keeps its own meaning beside it."""


def given(value: T | Unset, default: T) -> T:
    """The value, or the default where it was not given."""
    return default if isinstance(value, Unset) else value


def _positive(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ANN401 - int and float
    # Compared with a bound before anything else: a whole number of 400 digits is no float any more.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _ENDLESS:
        msg = f"{attribute.name} of {type(instance).__name__} must be a number above 0, not {_shown(value)}"
        raise ArgumentError(msg)


def _shown(value: object) -> str:
    """The value, unless it is long or of a kind that cannot be shown."""
    number = isinstance(value, float) or (isinstance(value, int) and abs(value) < _ENDLESS)
    return repr(value) if number or value is None else f"{type(value).__name__}"


def _whole(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ANN401 - checked here
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < _ENDLESS:
        msg = f"{attribute.name} of {type(instance).__name__} must be a whole number from 1, not {_shown(value)}"
        raise ArgumentError(msg)


@attrs.frozen(kw_only=True)
class Retry:
    """How often and how patiently a call is sent again. All times in seconds.

    Attributes:
        attempts: How often one call is sent at the most, the first time included; 1 means never again.
        base: Upper bound of the first pause; it doubles with each further one (full jitter).
        cap: Upper bound of any pause that the service did not ask for.
        max_retry_after: The longest wait that the service may ask for; a longer one raises at once.
        budget: Retries that all calls of a client have in stock together; successes fill it up again.
    """

    attempts: int = attrs.field(default=3, validator=_whole)
    base: float = attrs.field(default=0.5, validator=_positive)
    cap: float = attrs.field(default=8.0, validator=_positive)
    max_retry_after: float = attrs.field(default=60.0, validator=_positive)
    budget: int = attrs.field(default=100, validator=_whole)


@runtime_checkable
class Permits(Protocol):
    """Turns to send that are shared with other clients, perhaps in other processes."""

    def take_nowait(self) -> bool:
        """Take a turn if there is one right now."""
        ...

    async def take(self) -> None:
        """Wait for a turn."""
        ...

    def pause(self, seconds: float) -> None:
        """The service wants to be left alone for so many seconds, by all who share the turns."""
        ...

    def paused(self) -> float:
        """Seconds for which the service wants to be left alone, whoever was told; 0 when it does not."""
        ...


def _permits(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Permits):
        msg = f"{attribute.name} of {type(instance).__name__} must be shared permits, not {type(value).__name__}"
        raise ArgumentError(msg)


@attrs.frozen(kw_only=True)
class Limit:
    """How much a client sends at a time, over all its views.

    Attributes:
        concurrency: Requests under way at once.
        rate: Requests a second; None for no bound.
        burst: Requests that may go out at once after a quiet time; used with `rate` only.
        permits: Shares a rate and pauses with other clients of the same account; None when there are none.
    """

    concurrency: int = attrs.field(default=50, validator=_whole)
    rate: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    burst: int = attrs.field(default=1, validator=_whole)
    permits: Permits | None = attrs.field(default=None, repr=False, validator=attrs.validators.optional(_permits))


def _is_retry(instance: object, attribute: attrs.Attribute[Retry], value: object) -> None:
    del instance
    if not isinstance(value, Retry):
        msg = f"{attribute.name} must be a Retry(...), not {type(value).__name__}"
        raise TypeError(msg)


@attrs.frozen(kw_only=True)
class Options:
    """What holds for a call; a view replaces some of it.

    Attributes:
        timeout: Seconds for one attempt, from connecting to the last byte of the answer.
        deadline: Seconds for the whole call: login, waiting, every attempt and pause.
        retry: How a call is sent again.
    """

    timeout: float = attrs.field(default=30.0, validator=_positive)
    deadline: float = attrs.field(default=120.0, validator=_positive)
    retry: Retry = attrs.field(factory=Retry, validator=_is_retry)

    def replace(
        self,
        *,
        timeout: float | Unset = UNSET,
        deadline: float | Unset = UNSET,
        retry: Retry | Unset = UNSET,
    ) -> Options:
        """The same options but for what is given."""
        return Options(
            timeout=given(timeout, self.timeout),
            deadline=given(deadline, self.deadline),
            retry=given(retry, self.retry),
        )
