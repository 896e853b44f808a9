"""Two runs over the same rows at once: a journal is one run's alone, and no row goes out twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest

from doxie_async import ConfigError, row_job
from doxie_async.row_job import RowJob
from doxie_async.sandbox import Sandbox
from klickdoxie_core import Clock
from klickdoxie_core.errors import JournalError
from klickdoxie_core.journal import fingerprint, read_header
from tests.doxie_async.test_row_job import MAIL, a_job, rows, times_sent, written

pytestmark = pytest.mark.anyio


@pytest.fixture
async def box(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """A tenant in this process."""
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def job(tmp_path: Path, box: Sandbox, clock: Clock) -> Callable[..., RowJob]:
    """Makes jobs over the same three rows."""
    return partial(a_job, box.client(clock=clock), written(tmp_path, rows(3)), tmp_path, clock=clock)


async def test_two_jobs_cannot_share_a_journal(tmp_path: Path, clock: Clock) -> None:
    """The second is refused while the first has a row under way, and leaves it alone."""
    table, refused = written(tmp_path, rows(3)), list[JournalError]()

    async def meanwhile(_: float) -> None:
        with pytest.raises(JournalError, match="in use") as caught:
            await a_job(slow.client(clock=clock), table, tmp_path, resume=True).run()
        refused.append(caught.value)

    async with Sandbox(clock=Clock(sleep=meanwhile)) as slow:
        slow.latency = 1.0
        report = await a_job(slow.client(clock=clock), table, tmp_path).run()
        assert (report.sent, len(refused)) == (3, 3)
        assert times_sent(slow, 3) == [1] * 3


@pytest.mark.parametrize(
    ("before", "meanwhile", "resume", "said"),
    [
        ({"limit": 1}, {"resume": True}, True, "nothing can be resumed"),
        (None, {"limit": 1}, False, "2 are not sent yet; resume that job"),
    ],
    ids=["ended", "begun"],
)
async def test_what_another_run_does_meanwhile_is_noticed(
    box: Sandbox,
    job: Callable[..., RowJob],
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, Any] | None,
    meanwhile: dict[str, Any],
    resume: bool,
    said: str,
) -> None:
    """While this one reads its file, the other ends the job or begins it: no row goes out twice."""
    made = job(resume=resume)
    if before is not None:
        await job(**before).run()
    others = [job(**meanwhile)]

    def slow_fingerprint(*parts: Path | str) -> str:
        if others and isinstance(parts[0], Path):
            anyio.from_thread.run(others.pop().run)
        return fingerprint(*parts)

    monkeypatch.setattr(row_job, "fingerprint", slow_fingerprint)
    with pytest.raises(ConfigError, match=said):
        await made.run()
    assert made.report is None
    assert max(times_sent(box, 3)) == 1


async def test_a_job_that_began_meanwhile_keeps_its_journal(
    monkeypatch: pytest.MonkeyPatch, box: Sandbox, job: Callable[..., RowJob]
) -> None:
    """It had sent nothing when its journal was looked at; without that record its rows would go out twice."""
    box.drop(MAIL, times=1)
    await job().run()

    def too_early(path: Path) -> object:
        header = read_header(path)
        return header and (*header[:2], {})

    monkeypatch.setattr(row_job, "read_header", too_early)
    with pytest.raises(ConfigError, match="2 rows were sent, 1 are in doubt, 0 are not sent yet"):
        await job().run()
    assert times_sent(box, 3) == [1, 1, 1]
