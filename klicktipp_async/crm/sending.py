"""Sending the rows of a plan that are left, and writing down what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import aclosing
from typing import Final

from klickdoxie_core.breaker import Breaker
from klickdoxie_core.bulk import bulk
from klickdoxie_core.entry import Entry, State
from klickdoxie_core.journal import Journal
from klickdoxie_core.progress import OnProgress
from klicktipp_async.crm.apply import Writer, put_of, reason_of
from klicktipp_async.crm.crm_ids import CrmIds
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.crm.report import rows_in
from klicktipp_async.crm.rows import Written, error_of, essence, plan_of

_BATCH: Final = 250


class Sending:
    """One run through the rows that are left.

    Args:
        journal: Where the plan stands, open.
        writer: What carries out the plan of a row.
        ids: What finds contacts by the CRM's id; None to do without.
        concurrency: Rows under way at once.
        breaker: When it stops by itself.
        on_progress: Told of the progress.

    Attributes:
        unsent: Why rows are left whose turn has come: what may pass.
    """

    def __init__(
        self,
        journal: Journal,
        writer: Writer,
        ids: CrmIds | None,
        *,
        concurrency: int,
        breaker: Breaker,
        on_progress: OnProgress | None,
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._ids = ids
        self._concurrency = concurrency
        self._breaker = breaker
        self._on_progress = on_progress
        self._job: bulk[Entry, Written] | None = None
        self._stopped = False
        self._made: dict[int, str] = {}
        self.unsent: Counter[Reason] = Counter()

    def stop(self) -> None:
        """Start no further row. May be called by a signal."""
        self._stopped = True
        if self._job is not None:
            self._job.stop()

    async def run(self, states: Collection[State]) -> None:
        """Send the rows in these states; reasons go into the journal in both languages, new contacts to the ids.

        Raises:
            JobStopped: Going on was senseless.
        """
        journal, writer = self._journal, self._writer
        async with aclosing(journal.entries(*states)) as entries:
            self._job = bulk(
                writer.write,
                entries,
                concurrency=self._concurrency,
                journal=journal,
                key=lambda entry: entry.key,
                reconcile=writer.finish,
                again={State.FAILED}.intersection(states),
                keep=essence,
                breaker=self._breaker,
                on_progress=self._on_progress,
                total=await rows_in(journal, states),
            )
            if self._stopped:
                self._job.stop()
            async with self._job as outcomes:
                async for outcome in outcomes:
                    plan = plan_of(outcome.item)
                    if outcome.error is None:
                        await self._put(put_of(plan, outcome.unwrap()))
                    elif reason := reason_of(plan, outcome.error):
                        await self._note(outcome.item.key, outcome.state, reason)
        await self._put({}, most=0)

    async def _note(self, key: str, state: State, reason: Reason) -> None:
        if state is State.PENDING:
            # The next run sends it; until then somebody may want to know why this one did not.
            self.unsent.update(reason.in_brief())
        else:
            await self._journal.settle(key, state, error=error_of(reason))

    async def _put(self, made: Mapping[int, str], *, most: int = _BATCH) -> None:
        """Let contacts be found by the CRM's id, some at a time."""
        if self._ids is None:
            return
        self._made.update(made)
        if len(self._made) >= most:
            made, self._made = self._made, {}
            await self._ids.put(made)
