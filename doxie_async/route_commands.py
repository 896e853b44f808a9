"""The commands `doxie routes show | check FILE | export`: what they print and how they exit."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import attrs

from doxie_async.routes import INITIATE_CONSENT, REVOKE_CONSENTS, Route, Routes
from klickdoxie_core.command_line import columns

OK, DIFFERENT = 0, 1
_NOT_IN_REFERENCE = {INITIATE_CONSENT, REVOKE_CONSENTS}


@attrs.frozen
class Answer:
    """What a command prints, and its exit code."""

    text: str
    code: int


def show(routes: Routes) -> Answer:
    """The table in use, a line for each operation, and how much of it is confirmed."""
    rows = [_row("confirmed" if route.confirmed else "assumed", route) for route in routes]
    confirmed = sum(route.confirmed for route in routes)
    lines = [columns(rows), *_server(routes), f"{confirmed} confirmed, {len(routes) - confirmed} assumed"]
    return Answer("\n".join(lines), OK)


def check(routes: Routes, file: str | os.PathLike[str]) -> Answer:
    """The table in use against an OpenAPI file; the code is 1 when something is different or missing.

    The two operations on consents may be missing: the vendor's current reference does not have them.

    A route that only names its path parameters otherwise is confirmed: what is sent is the same.

    Raises:
        ConfigError: The file cannot be read, or is no OpenAPI document.
    """
    found = Routes.from_openapi(file)
    missing = set(found.missing)
    present = [route for route in found if route.operation not in missing]
    different = [route for route in present if not _same(route, routes[route.operation])]
    rows: list[Sequence[str]] = []
    for route in found:
        in_use = routes[route.operation]
        if route.operation in missing:
            rows.append(_row("missing", in_use))
        elif route in different:
            rows += [_row("different", route), ("", in_use.method, in_use.template, "in use")]
        else:
            rows.append(_row("confirmed", route))
    lines = [columns(rows), *(f"different  {text}" for text in found.differences)]
    lines += [*(f"unknown    {text}" for text in found.unknown), *_server(found)]
    lines.append(
        f"{len(present) - len(different)} confirmed, {len(different) + len(found.differences)} different, "
        f"{len(missing)} missing, {len(found.unknown)} unknown"
    )
    wrong = different or found.differences or missing - _NOT_IN_REFERENCE
    return Answer("\n".join(lines), DIFFERENT if wrong else OK)


def export(routes: Routes) -> Answer:
    """The table in use as a JSON document, which `Routes.from_openapi` reads back."""
    return Answer(json.dumps(routes.export(), ensure_ascii=False, indent=2), OK)


def _same(one: Route, other: Route) -> bool:
    return (one.method, _path(one)) == (other.method, _path(other))


def _path(route: Route) -> str:
    """The template with our names of the parameters."""
    return route.template.format_map({theirs: f"{{{ours}}}" for ours, theirs in route.parameters.items()})


def _row(state: str, route: Route) -> Sequence[str]:
    return state, route.method, route.template, route.operation.name


def _server(routes: Routes) -> list[str]:
    return [f"server: {routes.server}"] if routes.server else []
