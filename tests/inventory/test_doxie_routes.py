"""The table of routes against the vendor's list: no operation is missing, none is invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from doxie_async import routes
from doxie_async.routes import Operation, Routes

LISTED = json.loads(Path(__file__).with_name("doxie.json").read_text(encoding="utf-8"))
CONSENTS = [routes.INITIATE_CONSENT, routes.REVOKE_CONSENTS]


def of_kind(kind: str) -> list[dict[str, Any]]:
    """The vendor's rows of one kind, in their order."""
    return [row for row in LISTED if row["kind"] == kind]


def in_table() -> list[Operation]:
    """The operations of the table, without the two of consent, which the vendor's list no longer has."""
    return [route.operation for route in Routes.assumed() if route.operation not in CONSENTS]


def test_the_list_is_whole() -> None:
    """The list itself has the 62 entries of the reference."""
    assert [row["number"] for row in LISTED] == list(range(1, 63))
    assert (len(of_kind("call")), len(of_kind("webhook"))) == (56, 6)


def test_every_call_and_no_other() -> None:
    """Each call of the list has its route, in the list's order and words, with its credential."""
    table = [(operation.tag, operation.summary, str(operation.auth)) for operation in in_table()]
    assert table == [(row["tag"], row["summary"], row["auth"]) for row in of_kind("call")]


def test_every_path_parameter_and_no_other() -> None:
    """Each route has the path parameters of the list, in their order."""
    table = Routes.assumed()
    mapped = [(operation.name, list(table[operation].parameters)) for operation in in_table()]
    assert mapped == [(f"{row['tag']}: {row['summary']}", row["path"]) for row in of_kind("call")]


def test_the_consents_stand_beside_the_list() -> None:
    """The two operations of consent are the only ones that the list has not."""
    table = Routes.assumed()
    assert len(table) == 58
    assert all(consent.auth is routes.Auth.API_USER for consent in CONSENTS)
    assert [list(table[consent].parameters) for consent in CONSENTS] == [["tenant"], ["tenant"]]


def test_every_webhook_and_no_other() -> None:
    """The webhooks of the list are those that a document may name without being unknown."""
    assert [(row["tag"], row["summary"]) for row in of_kind("webhook")] == [
        (routes.WEBHOOK_TAG, summary) for summary in routes.WEBHOOKS
    ]


def test_each_operation_has_a_constant() -> None:
    """Each operation of the table can be named by one constant of the module."""
    constants = [value for value in vars(routes).values() if isinstance(value, Operation)]
    assert constants == [route.operation for route in Routes.assumed()]
