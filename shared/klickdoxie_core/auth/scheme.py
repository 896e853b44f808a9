"""What a way to authenticate has to say; everything that takes time or is shared is the lease's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

import attrs

from klickdoxie_core.call import Call
from klickdoxie_core.clock import Clock

C = TypeVar("C")
T = TypeVar("T")


class Run(Protocol):
    """Runs an unsigned call through the engine, with its retries and limits."""

    async def __call__(self, call: Call[T], /) -> T:
        """The call's result."""
        ...


@attrs.frozen(kw_only=True)
class Grant(Generic[C]):
    """A credential as it was obtained.

    Attributes:
        credential: What signs the requests.
        lifetime: Seconds that it holds, counted from before it was asked for; None where nobody knows.
        detail: What else the service said; a client may show it.
    """

    credential: C = attrs.field(repr=False)
    lifetime: float | None = None
    detail: object = attrs.field(default=None, repr=False)


class Scheme(ABC, Generic[C]):
    """A way to authenticate; `C` is the credential that it obtains, None where there is nothing to obtain."""

    @abstractmethod
    async def obtain(self, run: Run, clock: Clock) -> Grant[C]:
        """Get a credential: a login, a token call, or nothing at all."""

    @abstractmethod
    def sign(self, credential: C) -> Mapping[str, str]:
        """The headers that prove who is calling."""

    def refused(self, status: int, payload: object) -> bool:
        """Whether an answer says that the credential does not hold any more, so that a new one may help."""
        del status, payload
        return False

    async def release(self, run: Run, credential: C) -> None:
        """Tell the service that the credential is done with; best effort."""
        del run, credential
