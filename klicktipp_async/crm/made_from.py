"""What a journal is made from, each part under a name that people know; no part can be read out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from klickdoxie_core.journal import fingerprint

SOURCE: Final = "source"
"""The name of what the rows came from."""


def facts_of(
    *,
    account: str,
    mapping: str,
    opt_in: int | str | None,
    prefix: str,
    tags: Sequence[str],
    find_crm_ids: bool,
    source: str,
) -> Mapping[str, str]:
    """What must be the same when a journal is opened again; account and source are fingerprints already."""
    parts: Mapping[str, object] = {
        "mapping": mapping,
        "opt-in process": opt_in,
        "prefix of segments": prefix,
        "list of tags": list(tags),
        "search by the CRM's ids": find_crm_ids,
    }
    made = {name: fingerprint(json.dumps(value)) for name, value in parts.items()}
    return {"account": account, SOURCE: source, **made}


def differing(facts: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """The names of what differs, but for the source."""
    names = sorted({*facts, *others} - {SOURCE})
    return [name for name in names if facts.get(name) != others.get(name)]
