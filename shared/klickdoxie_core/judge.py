"""Whether to send a call again: pure rules over what happened, what the call does, and what may have been applied."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import attrs

from klickdoxie_core.call import Effect
from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import (
    CertificateRejected,
    ConfigError,
    ConnectFailed,
    DecodeError,
    Interrupted,
    SdkError,
    TooLarge,
    error_for_status,
)
from klickdoxie_core.options import Retry
from klickdoxie_core.wire.base import Failure

_SECONDS = re.compile(r"[0-9]{1,18}", re.ASCII)
# The three forms of RFC 9110, section 5.6.7; the parser itself would take half of two dates for one.
_DATE = re.compile(
    r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{5,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}"
)
_REFILL = 0.2
# Asked again, the service would say the same: not implemented, another HTTP, no room, a loop, a login to the network.
_LASTING = frozenset({501, 505, 507, 508, 511})


@attrs.frozen(kw_only=True)
class Verdict:
    """What an attempt's outcome means.

    Attributes:
        error: The class to raise when the call ends here.
        retry: It may be sent again.
        once: Again one time at the most.
        in_doubt: The service may have carried it out.
    """

    error: type[SdkError]
    retry: bool = False
    once: bool = False
    in_doubt: bool = False


def judge_failure(failure: Failure, *, sent: bool, effect: Effect) -> Verdict:
    """What it means that there is no usable answer; a request that never left may always be sent again."""
    match failure:
        case Failure.INVALID | Failure.CLOSED:
            return Verdict(error=ConfigError, in_doubt=_doubt(effect) and sent)
        case Failure.CERTIFICATE | Failure.PROXY:
            return Verdict(error=CertificateRejected if failure is Failure.CERTIFICATE else ConnectFailed)
        case Failure.TOO_LARGE:
            return Verdict(error=TooLarge, in_doubt=_doubt(effect))
        case Failure.ENCODING:
            return judge_undecodable(effect)
        case Failure.TIMEOUT | Failure.CONNECT | Failure.INTERRUPTED if not sent:
            return Verdict(error=ConnectFailed, retry=True)
        case Failure.TIMEOUT | Failure.CONNECT | Failure.INTERRUPTED:
            return Verdict(error=Interrupted, retry=effect is not Effect.ONCE, in_doubt=_doubt(effect))


def judge_status(status: int, effect: Effect) -> Verdict:
    """What a status other than 2xx means, where the vendor has no rule of its own."""
    error = error_for_status(status)
    doubt = _doubt(effect)
    match status:
        case 429:
            return Verdict(error=error, retry=True)
        case 421 | 425:
            return Verdict(error=error, retry=True, once=True)
        case 408 | 500 | 502 | 503 | 504:
            return Verdict(error=error, retry=effect is not Effect.ONCE, in_doubt=doubt)
        case _:
            # 3xx and 4xx are decisions; any other 5xx and what is no HTTP status at all leave us guessing. So does 304:
            # nobody asked whether anything has changed.
            decided = 300 <= status < 500 and status != 304
            passing = 500 <= status < 600 and status not in _LASTING
            return Verdict(error=error, retry=passing and effect is Effect.SAFE, in_doubt=doubt and not decided)


def judge_undecodable(effect: Effect, *, reread: bool = True) -> Verdict:
    """What a 2xx means that is not what was promised: a write was done, so only a read is worth another try."""
    return Verdict(error=DecodeError, retry=effect is Effect.SAFE and reread, in_doubt=_doubt(effect))


def _doubt(effect: Effect) -> bool:
    return effect is not Effect.SAFE


def retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds that an answer asks to wait; None where it does not say so in a form that HTTP knows.

    A date counts against the answer's own Date, so that neither clock has to be right.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = _timestamp(text)
    if until is None:
        return None
    since = _timestamp(headers.get("date", ""))
    return max(0.0, until - (clock.now() if since is None else since))


def _timestamp(text: str) -> float | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def backoff(retry: Retry, number: int, clock: Clock) -> float:
    """Seconds before retry `number` (from 1): anywhere between nothing and a bound that doubles."""
    return clock.random() * min(retry.cap, retry.base * math.pow(2, min(number - 1, 32)))


class Budget:
    """Retries that all calls of a client share, so that an outage does not multiply its own load."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = float(size)

    def take(self) -> bool:
        """Take one retry out of stock; False when there is none."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def succeeded(self, *, after_retry: bool) -> None:
        """Put back what a success earns: the retry it cost, or a fifth of one."""
        self._left = min(self._size, self._left + (1 if after_retry else _REFILL))
