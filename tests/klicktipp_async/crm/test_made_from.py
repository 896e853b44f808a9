"""What a journal is made from, and how it is told that it was something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from klicktipp_async import JournalError, KlickTipp
from klicktipp_async.crm import Mapping, Segments
from klicktipp_async.sandbox import Sandbox
from tests.klicktipp_async.crm.support import anna, make_sync

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, []),
        ({"mapping": Mapping(email="Mail", country="49")}, ["mapping"]),
        ({"opt_in_id": None}, ["opt-in process"]),
        ({"segments": Segments("[X] ")}, ["prefix of segments"]),
        ({"tags": ["geheim"], "find_crm_ids": False}, ["list of tags", "search by the CRM's ids"]),
    ],
)
async def test_what_a_plan_was_made_from_otherwise_has_a_name(
    box: Sandbox, kt: KlickTipp, tmp_path: Path, changed: dict[str, Any], names: list[str]
) -> None:
    """Each option for itself; the journal holds no more of it than a fingerprint."""
    sync = make_sync(box, kt, journal=tmp_path / "j", find_crm_ids=True)
    assert await sync.made_from_another() == []
    await sync.plan([anna()], source="x")
    other = make_sync(box, kt, **{"journal": tmp_path / "j", **changed})
    assert await other.made_from_another() == names
    if names:
        with pytest.raises(JournalError, match=", ".join(f"another {name}" for name in names)) as caught:
            await other.apply()
        assert "geheim" not in str(caught.value)
