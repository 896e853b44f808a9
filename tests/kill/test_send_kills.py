"""`doxie send --rows` is killed anywhere and resumed: no row goes out twice, and none is lost without a word."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from doxie_async.sandbox import Sandbox
from klickdoxie_core.journal import read_header
from tests.kill.support import KILLED, Death, End, Executioner, ends, said

pytestmark = pytest.mark.anyio

REFERENCES = [f"R{number}" for number in range(48)]
KILLS = ends(3, seed=20261124)


async def send(executioner: Executioner, box: Sandbox, folder: Path, death: Death | None = None) -> int:
    """Run the command as somebody does who finds a job broken off, or not even begun."""
    env = {
        "DOXIE_BASE_URL": executioner.url,
        "DOXIE_TENANT": box.tenant,
        "DOXIE_API_USER": box.username,
        "DOXIE_API_PASSWORD": box.password,
    }
    executioner.app = box.app
    resume = ["--resume"] if read_header(folder / "rows.csv.journal") else []
    arguments = ["send", "mailer", "welcome_email", "--rows", "rows.csv", *resume]
    return await executioner.run("doxie_async", arguments, env, folder, death)


def in_doubt(folder: Path) -> set[str]:
    """The references of the rows that may or may not have been sent; no row is listed for another reason."""
    if not (folder / "rows.csv.errors.csv").exists():
        return set()
    with (folder / "rows.csv.errors.csv").open(encoding="cp1252", newline="") as file:
        listed = list(csv.DictReader(file, delimiter=";"))
    assert {row["_state"] for row in listed} == {"in doubt"}
    return {row["ref"] for row in listed}


@pytest.mark.parametrize("end", KILLS, ids=str)
async def test_a_killed_job_is_finished_by_the_next_one(executioner: Executioner, tmp_path: Path, end: End) -> None:
    """Each row was sent once, or is told to be in doubt; those add up to all rows."""
    box = Sandbox()
    text = "ref;email;größe\n" + "".join(f"{each};jörg@example.com;groß\n" for each in REFERENCES)
    (tmp_path / "rows.csv").write_text(text, encoding="cp1252")
    death = end.of(len(REFERENCES))
    assert await send(executioner, box, tmp_path, death) == KILLED, said(tmp_path)
    code = await send(executioner, box, tmp_path)
    doubtful = in_doubt(tmp_path)
    assert code == 1, said(tmp_path)
    assert 1 <= len(doubtful) <= 16
    sent = {each: box.count_sent(each) for each in REFERENCES}
    assert set(sent.values()) <= {0, 1}
    assert {each for each, times in sent.items() if times == 1} | doubtful == set(REFERENCES)
    assert len(box.sent) == sum(sent.values())
    assert await send(executioner, box, tmp_path) == 1
    assert {each: box.count_sent(each) for each in REFERENCES} == sent
    assert in_doubt(tmp_path) == doubtful
