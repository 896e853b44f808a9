"""Makes the page on which call raises which error, out of the code: `python -m tests.docs.errors_by_operation`.

Every method is called once, and its call looked at. What its errors are is asked of the dialects themselves, number by
number and status by status, and read in the docstring.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import anyio
import attrs

import klickdoxie_core
from doxie_async import Doxie
from doxie_async import errors as doxie_errors
from klickdoxie_core import Call, Dialect, Effect, SdkError
from klickdoxie_core.errors import error_for_status
from klickdoxie_core.judge import judge_failure, judge_status
from klickdoxie_core.wire.base import Failure
from klicktipp_async import SessionLogin
from klicktipp_async import errors as klicktipp_errors
from klicktipp_async.sandbox import Sandbox
from tests.docs.pages import DOCS
from tests.doxie_async.uses import EVERY
from tests.inventory.test_klicktipp import use_everything

PAGE: Final = DOCS / "reference" / "errors-by-operation.md"
EFFECTS: Final = {Effect.SAFE: "reads", Effect.REPEATABLE: "repeatable", Effect.ONCE: "once"}
GROUPS: Final = ("kt.contacts", "kt.tags", "kt.fields", "kt.opt_ins", "kt.account", "lb")
CAUGHT: Final = {
    ("kt.contacts.find_id", "ContactNotFound"): "returns None",
    ("kt.contacts.iter", "ContactNotFound"): "leaves it out",
}
"""Where a method does something else than raise."""
STATUSES: Final = (302, 400, 401, 403, 404, 405, 406, 408, 409, 422, 425, 429, 500, 502, 503, 504)

_CODES = range(1, 1000)
_SUBCODES = range(1, 100)
_NOBODY: Call[Any] = Call(operation="", method="POST", template="/", into=object, effect=Effect.ONCE)


class Spy:
    """Stands in for a client or a group of its methods, and notes which method is called."""

    def __init__(self, path: str, real: object, seen: list[tuple[str, str]]) -> None:
        self._path, self._real, self._seen = path, real, seen

    def __getattr__(self, name: str) -> Any:
        real, path = getattr(self._real, name), f"{self._path}.{name}"
        if not callable(real):
            return Spy(path, real, self._seen)

        def method(*arguments: Any, **options: Any) -> Any:
            self._seen.append((path, inspect.getdoc(real) or ""))
            return real(*arguments, **options)

        return method


@attrs.frozen
class Row:
    """One method, and one operation that it calls."""

    method: str
    doc: str
    call: Call[Any]


class Recorder:
    """Keeps the calls of a client together with the method behind each."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.rows: dict[tuple[str, str], Row] = {}

    def note(self, call: Call[Any]) -> None:
        """Keep a call for the method that was called last."""
        method, doc = self.seen[-1]
        self.rows.setdefault((method, call.operation), Row(method, doc, call))

    def around(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """The same, and each call is noted."""

        def noting(call: Call[Any], *more: Any) -> Any:
            self.note(call)
            return run(call, *more)

        return noting


async def klicktipp_rows() -> list[Row]:
    """Every method of the clients for KlickTipp."""
    recorder = Recorder()
    async with Sandbox() as box:
        kt, lb = box.client(), box.listbuilding()
        for client in (kt, lb):
            vars(client).update(run=recorder.around(client.run), stream=recorder.around(client.stream))
        spies: Any = (Spy("kt", kt, recorder.seen), Spy("lb", lb, recorder.seen))
        await _use_the_rest(spies[0])
        await use_everything(box, *spies)
    session = SessionLogin("user", "password").scheme()
    assert session.logout is not None
    doc = "Raises `InvalidCredentials`, `Forbidden`."
    ours = [Row("kt.login", doc, session.login), Row("kt.aclose", "", session.logout)]
    return [*ours, *sorted(recorder.rows.values(), key=lambda row: GROUPS.index(row.method.rpartition(".")[0]))]


async def _use_the_rest(kt: Any) -> None:
    """Call what `use_everything` uses only by way of other methods."""
    await kt.tags.ensure(["Zweitens"])
    await kt.tags.all()
    await kt.fields.all()
    await kt.opt_ins.all()
    async with kt.contacts.iter_ids() as ids:
        assert [each async for each in ids] == []


async def doxie_rows() -> list[Row]:
    """Every method of the client for Doxie."""
    recorder = Recorder()
    async with Doxie("ts", base_url="https://doxie.test") as doxie:
        # Without credentials the engine refuses each call, which has been noted by then.
        vars(doxie).update(run=recorder.around(doxie.run))
        spy: Any = Spy("doxie", doxie, recorder.seen)
        for use in EVERY:
            await _refused(use.call(spy))
        await _refused(spy.admin.processes.records("9a5d", "survey_responses").to_list())
        await _refused(spy.admin.webhook_endpoints.interactions(1).to_list())
    return list(recorder.rows.values())


async def _refused(call: Awaitable[object]) -> None:
    with contextlib.suppress(klickdoxie_core.ConfigError):
        await call


def explained(dialect: Dialect, call: Call[Any], status: int, payload: object) -> type[SdkError]:
    """The class that an answer becomes."""
    told = dialect.explain(call, status, payload)
    return dialect.own(error_for_status(status)) if told is None else told.error


@cache
def known_numbers(dialect: Dialect) -> tuple[tuple[int, int | None], ...]:
    """Every number that means something, with those below it that mean something else."""
    found: list[tuple[int, int | None]] = []
    for code in _CODES:
        kind = explained(dialect, _NOBODY, 406, {"error": code})
        if kind not in {klicktipp_errors.BusinessError, dialect.own(error_for_status(406))}:
            found.append((code, None))
            below = ({"error": code, "code": subcode} for subcode in _SUBCODES)
            found += [(code, each["code"]) for each in below if explained(dialect, _NOBODY, 406, each) is not kind]
    return tuple(found)


def numbers(dialect: Dialect, call: Call[Any]) -> Iterator[tuple[str, type[SdkError]]]:
    """Every number that means something, and its class."""
    for code, subcode in known_numbers(dialect):
        name = str(code) if subcode is None else f"{code}/{subcode}"
        yield name, explained(dialect, call, 406, {"error": code, "code": subcode})


def own_errors(dialect: Dialect, row: Row, errors: Mapping[str, type[SdkError]]) -> str:
    """What this operation raises otherwise than others, and what its docstring names."""
    answers: list[tuple[int, object]] = [(status, None) for status in STATUSES if status != 405]
    answers += [(406, {"error": int(code)}) for code, _ in numbers(dialect, row.call) if code.isdigit()]
    differing = {
        kind.__name__
        for status, payload in answers
        if (kind := explained(dialect, row.call, status, payload)) is not explained(dialect, _NOBODY, status, payload)
    }
    told = {name for name in re.findall(r"\w+", row.doc) if name in errors and name != "SdkError"}
    names = sorted(differing | told)
    return ", ".join(CAUGHT.get((row.method, name), f"`{name}`") for name in names)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(names: Iterable[str]) -> str:
    """Names as code."""
    return ", ".join(f"`{name}`" for name in names)


def calls(dialect: Dialect, rows: Iterable[Row], errors: Mapping[str, type[SdkError]]) -> str:
    """The table of all methods."""
    cells = (
        (
            f"`{row.method}`",
            row.call.operation,
            EFFECTS[row.call.effect],
            own_errors(dialect, row, errors),
            code(kind.__name__ for kind in row.call.done_if),
        )
        for row in rows
    )
    return table(("call", "operation", "effect", "errors of its own", "after a lost answer means done"), cells)


def failures() -> Iterator[tuple[str, ...]]:
    """What the wire may report, and what comes of it."""
    for failure in Failure:
        unsent, sent = (_judged(failure, sent=sent) for sent in (False, True))
        if unsent == sent:
            yield failure.value, "", *sent
        else:
            yield failure.value, "no", *unsent
            yield failure.value, "yes", *sent


def _judged(failure: Failure, *, sent: bool) -> list[str]:
    verdicts = [judge_failure(failure, sent=sent, effect=effect) for effect in EFFECTS]
    again = ["again" if verdict.retry else "raised" for verdict in verdicts]
    return [code({each.error.__name__: 0 for each in verdicts}), *again]


def statuses() -> Iterator[tuple[str, ...]]:
    """What an HTTP status becomes where the vendor has no rule of its own."""
    for status in STATUSES:
        verdicts = [judge_status(status, effect) for effect in EFFECTS]
        again = [("once again" if each.once else "again") if each.retry else "raised" for each in verdicts]
        yield str(status), code({each.error.__name__: 0 for each in verdicts}), *again


def exceptions(dialect: Dialect, rows: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    """The numbers that mean something else for an operation."""
    usual = dict(numbers(dialect, _NOBODY))
    for row in rows:
        for number, kind in numbers(dialect, row.call):
            if usual.get(number) is not kind:
                yield number, row.call.operation, code([kind.__name__])


def classes(module: Any) -> dict[str, type[SdkError]]:
    """The errors of a package."""
    return {name: kind for name, kind in vars(module).items() if inspect.isclass(kind) and issubclass(kind, SdkError)}


async def page() -> str:
    """The whole page."""
    kt_rows, dx_rows = await klicktipp_rows(), await doxie_rows()
    kt_dialect = Sandbox().client().dialect
    dx_dialect = Doxie("ts").dialect
    return TEXT.format(
        effects=", ".join(f"*{word}*" for word in EFFECTS.values()),
        failures=table(("what happened", "was it sent?", "error", *EFFECTS.values()), failures()),
        statuses=table(("status", "error", *EFFECTS.values()), statuses()),
        klicktipp=calls(kt_dialect, kt_rows, classes(klicktipp_errors)),
        numbers=table(("number", "error"), ((n, code([k.__name__])) for n, k in numbers(kt_dialect, _NOBODY))),
        exceptions=table(("number", "operation", "error"), sorted(set(exceptions(kt_dialect, kt_rows)))),
        doxie=calls(dx_dialect, dx_rows, classes(doxie_errors)),
    )


TEXT: Final = """\
# Errors by operation

This page is made out of the code, and a test compares both. [Errors and what to do](../errors.md) says what each class
means.

## What any call can raise

Before anything is sent: `ConfigError` (a client from another event loop, a closed client, a missing credential),
`ArgumentError` (a value that cannot be sent), `ReadOnlyError` (a write on a client that only reads). At any time:
`DeadlineExceeded`.

When there is no usable answer, by the effect of the call ({effects}). "again" means within attempts, deadline and
budget:

{failures}

A 2xx that is not what was promised is a `DecodeError`; a call that reads is sent again.

When the service says no, and the vendor has no rule of its own:

{statuses}

A 401 or 403 that may be about an ended session is sent once more with a new one, before it is an error.

## KlickTipp

"Errors of its own" are those that the call raises beside the ones above and below, or instead of them. The last column
has the errors that mean success if an earlier attempt of the same call was answered by silence.

{klicktipp}

`kt` is a `KlickTipp`, `lb` a `Listbuilding`. Every method raises the errors of the operations that it calls.

### Numbers

KlickTipp answers 406 with a number, and sometimes a second one below it. Any operation may answer with any number; one
that is not here, and a 406 without a number, is a `BusinessError`; but a 406 that says in words that there is no such
contact is a `ContactNotFound`. After an `InternalError` the call is sent once again, unless it must not be repeated.

{numbers}

Some mean another thing for one operation:

{exceptions}

## Doxie

Any call raises `Rejected` when the service says `success: false` in an answer of 2xx, and `MethodNotAllowed` for a 405.
`NotFound` and `MethodNotAllowed` say when the route is [assumed](../doxie-routes.md).

{doxie}
"""


if __name__ == "__main__":
    PAGE.write_text(anyio.run(page), encoding="utf-8")
