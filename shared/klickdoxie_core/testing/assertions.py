"""Questions to the log of a sandbox. Where the answer is no, the text says what reached it instead.

The texts name operations, counts, statuses and ids, and never an address or another text out of a request.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NoReturn, cast
from urllib.parse import parse_qsl

from klickdoxie_core.redact import HIDDEN
from klickdoxie_core.sandbox import LOST, Received, SandboxBase


def assert_applied_once(box: SandboxBase, operation: str, /, **values: object) -> None:
    """The service carried out a request exactly once, however often it was sent.

    A request that was refused was not carried out; one whose answer was lost may have been.

    Args:
        box: The sandbox.
        operation: The vendor's name of the operation.
        values: What the request carried, in its path, query or body, by the vendor's names; texts in any case.

    Raises:
        AssertionError: It was not carried out, or more than once.
        ValueError: There is no such operation, the sandbox knows that it carries nothing of such a name, or the log has
            forgotten requests.
    """
    __tracebackhide__ = True
    _check_names(box, operation, values)
    of_operation = [received for received in _log(box, operation) if received.applied]
    found = [received for received in of_operation if _carries(received, values)]
    if len(found) == 1:
        return
    others = len(of_operation) - len(found)
    elsewhere = f", and {_times(others)} with other values" if others else ""
    fail(box, f"{_named(operation, values)} was carried out {_times(len(found))} instead of once{elsewhere}")


def assert_not_called(box: SandboxBase, operation: str | None = None, /, **values: object) -> None:
    """No such request reached the service, not even one that it refused.

    Args:
        box: The sandbox.
        operation: The vendor's name of the operation; None for any.
        values: As for `assert_applied_once`.

    Raises:
        AssertionError: There was such a request.
        ValueError: As from `assert_applied_once`.
    """
    __tracebackhide__ = True
    _check_names(box, operation, values)
    found = [received for received in _log(box, operation) if _carries(received, values)]
    if found:
        fail(box, f"{_named(operation, values)} was called {_times(len(found))}, and should not have been")


def assert_no_repeats(box: SandboxBase, operations: Collection[str]) -> None:
    """None of these operations was carried out twice with the same path, query and body.

    Bodies beyond 16 KiB are not compared.

    Args:
        box: The sandbox.
        operations: The vendor's names of those that must not be repeated.

    Raises:
        AssertionError: One was.
        ValueError: There is no such operation, or the log has forgotten requests.
    """
    __tracebackhide__ = True
    for operation in operations:
        _check_operation(box, operation)
    alike = Counter(
        (received.operation, received.path, received.query, received.body)
        for received in _log(box, None)
        if received.applied and received.operation in operations and received.body is not None
    )
    repeated = Counter[str]()
    for (operation, *_), times in alike.items():
        repeated[operation] += times - 1
    if beyond := +repeated:
        said = ", ".join(f"{operation!r} {_times(number)}" for operation, number in beyond.items())
        fail(box, f"the same request was carried out once more: {said}")


def assert_faults_met(box: SandboxBase) -> None:
    """Whatever was planned to go wrong has gone wrong: as often as planned, or at least once where that was not said.

    Args:
        box: The sandbox.

    Raises:
        AssertionError: A fault of `fail` or `drop` is left.
    """
    __tracebackhide__ = True
    if unmet := box.unmet_faults:
        said = [f"{fault.operation or 'any request'!r} ({_times(fault.happened)})" for fault in unmet]
        fail(box, f"planned faults have not happened, or not as often as planned: {one_line(said)}")


def fail(box: SandboxBase, text: str) -> NoReturn:
    """Raise an AssertionError that says what is wrong, and then what reached the sandbox."""
    __tracebackhide__ = True
    msg = f"{text}\n{_history(box)}"
    raise AssertionError(msg)


def one_line(things: Collection[object], most: int = 10) -> str:
    """Some things in a row for an assertion's text, cut after the first few; "none" for nothing."""
    shown = ", ".join(str(thing) for thing in list(things)[:most])
    return f"{shown}, … ({len(things)} in all)" if len(things) > most else shown or "none"


def _history(box: SandboxBase) -> str:
    """One line for each operation, in the order of their first requests."""
    lines: dict[str, list[Received]] = {}
    for received in box.requests:
        lines.setdefault(received.operation or "(no operation)", []).append(received)
    if not lines:
        return "nothing reached the sandbox"
    width = max(map(len, lines))
    said = [f"  {operation:<{width}}  {_summary(requests)}" for operation, requests in lines.items()]
    return "\n".join(["what reached the sandbox:", *said])


def _check_operation(box: SandboxBase, operation: str) -> None:
    if operation not in box.operations:
        close = difflib.get_close_matches(operation, box.operations, n=3, cutoff=0.4)
        msg = f"there is no operation {operation!r}; close to it: {one_line([repr(name) for name in close])}"
        raise ValueError(msg)


def _check_names(box: SandboxBase, operation: str | None, names: Iterable[str]) -> None:
    """Refuse a name that no such request has: it would be found in none, whatever was sent."""
    known = box.names_of(operation)
    if known is None or not (wrong := [name for name in names if name not in known]):
        return
    close = difflib.get_close_matches(wrong[0], known)
    said = f"close to it: {one_line(close)}" if close else f"what there is: {one_line(sorted(known))}"
    msg = f"no request{'' if operation is None else f' of {operation!r}'} carries {wrong[0]!r}; {said}"
    raise ValueError(msg)


def _log(box: SandboxBase, operation: str | None) -> Sequence[Received]:
    if operation is not None:
        _check_operation(box, operation)
    if box.count() > len(box.requests):
        msg = f"the log has the latest {len(box.requests)} of {box.count()} requests; ask box.count(…) instead"
        raise ValueError(msg)
    return [received for received in box.requests if operation in {None, received.operation}]


def _carries(received: Received, values: Mapping[str, object]) -> bool:
    """Whether a request carried all of these values."""
    if not values:
        return True
    carried = _carried(received)
    return all(name in carried and _same(carried[name], value) for name, value in values.items())


def _carried(received: Received) -> Mapping[str, object]:
    """What a request carried, by name: in its body, its query and its path."""
    if received.body is None:
        msg = f"a request of {received.operation!r} was too large for the log to keep its values"
        raise ValueError(msg)
    body: object = None
    try:
        body = json.loads(received.body)
    except ValueError:
        body = dict(parse_qsl(received.body.decode(errors="replace")))
    fields = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    return {**fields, **dict(parse_qsl(received.query)), **received.values}


def _same(carried: object, wanted: object) -> bool:
    # An id is a number on one side and a text on the other.
    return carried == wanted or str(carried).casefold() == str(wanted).casefold()


def _named(operation: str | None, values: Mapping[str, object]) -> str:
    """An operation with its values; texts may be personal, so that only their names are shown."""
    shown = [f"{name}={HIDDEN if isinstance(value, str) else value}" for name, value in values.items()]
    name = "a request" if operation is None else repr(operation)
    return f"{name} with {', '.join(shown)}" if shown else name


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _summary(requests: Sequence[Received]) -> str:
    statuses = Counter("lost" if received.status == LOST else str(received.status) for received in requests)
    answers = ", ".join(f"{number} × {status}" for status, number in statuses.items())
    return f"{answers}; carried out: {sum(received.applied for received in requests)}"
