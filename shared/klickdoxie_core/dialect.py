"""What a vendor's answers mean beyond HTTP: the seam through which a client package teaches the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from klickdoxie_core.call import Call
from klickdoxie_core.errors import SdkError


@attrs.frozen(kw_only=True)
class Explained:
    """What an answer means to its vendor.

    Attributes:
        error: The class to raise.
        message: What happened, in words that hold nothing personal.
        code: The vendor's number or word.
        subcode: The vendor's number below the code.
        details: Further fields that the vendor gives.
        transient: It may go away by itself: a call that may be repeated is sent again, once at the least.
        in_doubt: The write may have been carried out in spite of the error.
        final: It is the vendor's own decision, so that its status says nothing: no retry and no doubt but those above.
            Only for what the service itself says of a call that it has understood. Otherwise its status decides as ever
            on retries and doubt, to which the two above only add: a 504 is a 504, whatever its body says.
    """

    error: type[SdkError]
    message: str
    code: int | str | None = None
    subcode: int | None = None
    details: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    transient: bool = False
    in_doubt: bool = False
    final: bool = False


def family_of(base: type[SdkError]) -> Mapping[type[SdkError], type[SdkError]]:
    """For each class of the core its twin below a client package's own base: the subclass of the same name."""
    family: dict[type[SdkError], type[SdkError]] = {}
    waiting = [base]
    while waiting:
        own = waiting.pop()
        waiting += own.__subclasses__()
        family |= {core: own for core in own.__bases__ if core.__name__ == own.__name__}
    return family


class Dialect:
    """A vendor without words of its own; client packages override what differs.

    Attributes:
        family: The client package's own subclass for each class of the core's error tree.
    """

    family: Mapping[type[SdkError], type[SdkError]] = {}

    def explain(self, call: Call[Any], status: int, payload: object) -> Explained | None:
        """What an answer means; None when HTTP says it all, or when a 2xx is what it seems.

        `payload` is the decoded body, the text where it is no JSON, or None where there is none.
        """
        del call, status, payload
        return None

    def own(self, error: type[SdkError]) -> type[SdkError]:
        """The vendor's subclass of a core error."""
        return self.family.get(error, error)
