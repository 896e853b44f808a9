"""Running the items of a job: just so, or with a journal, so that a run that was broken off does nothing twice."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

import anyio
import anyio.lowlevel
import attrs

from klickdoxie_core.breaker import code_of, state_after, text_of
from klickdoxie_core.call import Effect
from klickdoxie_core.entry import Entry, State
from klickdoxie_core.errors import ArgumentError, ConfigError, Facts, Interrupted, JournalError, SdkError

if TYPE_CHECKING:
    from klickdoxie_core.journal import Journal

I = TypeVar("I")  # noqa: E741 - item
R = TypeVar("R")

ADVICE: Final = "; to go on, "
"""What parts why a job stopped from what is to be done, for those who have words of their own for that."""

_GRACE: Final = 5.0
_IN_DOUBT: Final = frozenset({State.IN_FLIGHT, State.UNKNOWN})
_SETTLED: Final = frozenset({State.DONE, State.FAILED, State.SKIPPED})
_LEFT_BEHIND: Final = (
    "an earlier run was broken off while this item was under way; it may have been carried out and was not sent again"
)
_BROKEN_OFF: Final = "the job was broken off while this item was under way; it may have been carried out"
_AGAIN: Final = frozenset({State.FAILED, State.UNKNOWN})


class NotAsync(ConfigError, TypeError):
    """A function that gives nothing to wait for: every item would end so."""


@attrs.frozen(kw_only=True)
class Ran(Generic[R]):
    """What came of running an item.

    Attributes:
        state: DONE with a result; SKIPPED when an earlier run had settled it; otherwise what the error means.
        called: A call was made in this run, and how it ended tells something about the service.
        broken: Why nothing more can be recorded; None while that is possible.
    """

    state: State
    result: R | None = attrs.field(default=None, repr=False)
    error: Exception | None = None
    called: bool = True
    broken: Exception | None = None


def check_again(again: Collection[State]) -> None:
    """Raise ArgumentError for states whose items cannot be called anew."""
    if not _AGAIN.issuperset(again):
        raise ArgumentError("again can hold State.FAILED and State.UNKNOWN only")


def awaitable(found: Awaitable[R]) -> Awaitable[R]:
    """What a call gave, to be waited for; raises NotAsync where it is something else."""
    if inspect.isawaitable(found):
        return found
    msg = f"call must be an async function, and so must reconcile and probe; it returned {type(found).__name__}"
    raise NotAsync(msg)


async def called(call: Callable[[I], Awaitable[R]], item: I, effect: Effect) -> Ran[R]:
    """Call it, and say what came of that."""
    try:
        return Ran(state=State.DONE, result=await awaitable(call(item)))
    except Exception as error:  # noqa: BLE001 - any error of a call belongs to its item
        return Ran(state=state_after(error, effect), error=error)


class Plain(Generic[I, R]):
    """Runs items and keeps nothing of them."""

    def __init__(self, call: Callable[[I], Awaitable[R]], effect: Effect) -> None:
        self._call = call
        self._effect = effect

    async def run(self, item: I, *, again: bool) -> Ran[R]:
        """Call it."""
        del again
        return await called(self._call, item, self._effect)

    def how_to_go_on(self, alike: State | None) -> str:
        """Nothing of it is known in another run."""
        del alike
        return ""

    async def wind_up(self) -> None:
        """Nothing has to finish."""


class Journaled(Generic[I, R]):
    """Runs items with a journal: what is going to be sent is on the disk before it is sent.

    Calls that must not be repeated are shielded: a job that is left or cancelled lets them finish for some seconds.
    """

    def __init__(
        self,
        call: Callable[[I], Awaitable[R]],
        effect: Effect,
        journal: Journal,
        *,
        key: Callable[[I], str] | None,
        reconcile: Callable[[I], Awaitable[R]] | None,
        keep: Callable[[R], object] | None,
        again: Collection[State] = (),
    ) -> None:
        check_again(again)
        self._call = call
        self._effect = effect
        self._once = effect is Effect.ONCE
        self._journal = journal
        self._begin = partial(journal.begin, failed=True) if State.FAILED in again else journal.begin
        self._settled = _SETTLED.difference(again)
        self._anew = self._call if State.UNKNOWN in again else None
        self._key = key or _own_key
        self._reconcile = reconcile
        self._keep = keep
        self._grace = _GRACE
        self._shielded: set[anyio.CancelScope] = set()
        self._finished = anyio.Event()

    async def run(self, item: I, *, again: bool) -> Ran[R]:
        """Begin it in the journal, call it, and settle it there; `again` when this run has tried it before."""
        key = _checked(self._key(item))
        entry = Entry(key=key)
        try:
            # Cancelled in the middle, it would not be known what has to be undone.
            with anyio.CancelScope(shield=True):
                entry = await self._begin(key, again=again)
        except JournalError as error:
            return Ran(state=State.PENDING, called=False, broken=error)
        except ArgumentError as error:
            # Nothing is recorded: under a key that comes twice stands the other item.
            return Ran(state=State.FAILED, error=error, called=False)
        if entry.state in self._settled:
            return Ran(state=State.SKIPPED, called=False)
        in_doubt = self._once and entry.state in _IN_DOUBT
        call = self._finder(entry.state) if in_doubt else self._call
        if call is None:
            return await self._left_behind(entry)
        return await self._carry_out(call, item, entry, in_doubt=in_doubt)

    async def wind_up(self) -> None:
        """Give the calls that must not be repeated some seconds to finish, then break them off."""
        try:
            with anyio.move_on_after(self._grace, shield=True):
                while self._shielded:
                    self._finished = anyio.Event()
                    await self._finished.wait()
        finally:
            for scope in self._shielded:
                scope.cancel()

    def how_to_go_on(self, alike: State | None) -> str:
        """What is to be done, so that another run does the rest; also when many items have come to this end alike."""
        match alike:
            case None:
                return f"{ADVICE}run it again with the same journal"
            case State.UNKNOWN:
                return (
                    f"{ADVICE}mend the cause and run it again with the same journal; where doing it twice is "
                    "harmless or was ruled out, `bulk` with again={State.UNKNOWN} calls the unknown ones anew"
                )
            case _:
                return (
                    f"{ADVICE}mend the cause and run it again with the same journal; it then passes over the failed "
                    "ones, unless `bulk` is told again={State.FAILED}"
                )

    def _finder(self, state: State) -> Callable[[I], Awaitable[R]] | None:
        """What is called for an item in doubt; one that is in flight was never told to anybody who could decide."""
        return self._reconcile or (self._anew if state is State.UNKNOWN else None)

    async def _left_behind(self, entry: Entry) -> Ran[R]:
        told = entry.error if entry.state is State.UNKNOWN else None
        error = Interrupted(_why_in_doubt(told), Facts(maybe_applied=True))
        known = _record(error) if told is None else told
        broken = await self._settle(entry.key, State.UNKNOWN, entry.result, known)
        return Ran(state=State.UNKNOWN, error=error, called=False, broken=broken)

    async def _carry_out(self, call: Callable[[I], Awaitable[R]], item: I, entry: Entry, *, in_doubt: bool) -> Ran[R]:
        maybe_applied = in_doubt
        try:
            # Who was cancelled while the journal was written starts no call.
            await anyio.lowlevel.checkpoint_if_cancelled()
            maybe_applied = self._once
            ran = await self._called(call, item)
        except BaseException:
            state = State.UNKNOWN if maybe_applied else State.PENDING
            await self._settle(entry.key, state, entry.result, entry.error)
            raise
        if in_doubt and ran.state is State.PENDING:
            # What the earlier run did is as unknown as before.
            ran = attrs.evolve(ran, state=State.UNKNOWN)
        return attrs.evolve(ran, broken=await self._conclude(entry, ran))

    async def _called(self, call: Callable[[I], Awaitable[R]], item: I) -> Ran[R]:
        if not self._once:
            return await called(call, item, self._effect)
        with anyio.CancelScope(shield=True) as scope:
            self._shielded.add(scope)
            try:
                return await called(call, item, self._effect)
            finally:
                self._shielded.discard(scope)
                self._finished.set()
        return Ran(state=State.UNKNOWN, error=Interrupted(_BROKEN_OFF, Facts(maybe_applied=True)))

    async def _conclude(self, entry: Entry, ran: Ran[R]) -> Exception | None:
        if ran.error is not None:
            return await self._settle(entry.key, ran.state, entry.result, _record(ran.error))
        if self._keep is None:
            return await self._settle(entry.key, State.DONE, None, None)
        try:
            return await self._settle(entry.key, State.DONE, self._keep(cast("R", ran.result)), None)
        except Exception as error:  # noqa: BLE001 - the caller's own, or of what it gave: done is done nevertheless
            return await self._settle(entry.key, State.DONE, None, None) or error

    async def _settle(self, key: str, state: State, result: object, error: object) -> JournalError | None:
        """Write down what became of it, also when cancelled; returns why that was impossible."""
        try:
            with anyio.CancelScope(shield=True):
                await self._journal.settle(key, state, result=result, error=error)
        except JournalError as failure:
            return failure
        return None


def _own_key(item: object) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, int):
        return str(item)
    msg = f"key is needed with a journal: it says what tells one {type(item).__name__} from all others"
    raise ArgumentError(msg)


def _checked(key: object) -> str:
    if isinstance(key, str):
        return key
    msg = f"key must return a text, not {type(key).__name__}"
    raise ArgumentError(msg)


def _record(error: Exception) -> dict[str, str]:
    code = code_of(error)
    return {"code": code, "message": text_of(error) if isinstance(error, SdkError) else _raised(code)}


def _raised(name: str) -> str:
    return f"its call raised {name}"


def _why_in_doubt(record: object) -> str:
    """What a later run says of an item in doubt, by what the journal has of it."""
    match record:
        case {"code": str(code), "message": str(message)} if message == _raised(code):
            return f"in an earlier run {message}; it may have been carried out and was not sent again"
        case _:
            return _LEFT_BEHIND
