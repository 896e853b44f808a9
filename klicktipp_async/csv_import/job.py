"""Sending the rows: each valid one once, several at a time, and a finding for every row."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile

from klickdoxie_core.bulk import bulk
from klickdoxie_core.errors import Forbidden, SdkError, Unauthorized
from klicktipp_async.client import KlickTipp
from klicktipp_async.csv_import.draft import Draft
from klicktipp_async.csv_import.progress import Progress, Silence
from klicktipp_async.csv_import.reasons import INTERRUPTED, Reason, tags_missing
from klicktipp_async.csv_import.report import ErrorFile, Summary
from klicktipp_async.csv_import.triage import Finding, Item, State
from klicktipp_async.errors import KlickTippError

_IMPORTED = Finding(State.IMPORTED)


class ImportJob:
    """One import into one account. Memory holds the rows under way, not those done or ahead.

    Args:
        kt: A client of the account; it stays the caller's.
        tag_ids: The id of every tag that the rows ask for.
        opt_in_id: The opt-in process; None for the account's default.
        errors: Where the rows go that do not arrive.
        concurrency: How many rows are under way at once.
        progress: Who is told how it is going on; None for nobody.
        summary: Figures to go on with; None to start at zero.
        now: Seconds that never jump.
    """

    def __init__(
        self,
        kt: KlickTipp,
        *,
        tag_ids: Mapping[str, int],
        opt_in_id: int | None,
        errors: ErrorFile,
        concurrency: int = 16,
        progress: Progress | None = None,
        summary: Summary | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kt = kt
        self._tag_ids = tag_ids
        self._opt_in_id = opt_in_id
        self._errors = errors
        self._concurrency = concurrency
        self._progress = progress or Silence()
        self._now = now
        self._stopped = False
        self._under_way: dict[int, Item] = {}
        self.summary = summary or Summary()
        self.refused: SdkError | None = None

    def stop(self) -> None:
        """Start no further row; those under way are finished. May be called from a signal handler."""
        self._stopped = True
        self.summary.interrupted = True

    async def run(self, items: Iterator[Item], *, total: int) -> Summary:
        """Deal with every row until the end, a stop, or the refusal of the credentials, which `refused` then holds.

        Rows that are under way when the job is cancelled are written down as in doubt.

        Args:
            items: The rows with what is to be done.
            total: How many there are, for the progress.
        """
        started, complete = self._now(), False
        self._progress.begin(total)
        try:
            async with bulk(self._send, self._started(items), concurrency=self._concurrency) as outcomes:
                async for outcome in outcomes:
                    self._conclude(outcome.item, outcome.unwrap())
                    self.summary.seconds = self._now() - started
                    self._progress.step(self.summary)
            complete = not self._stopped
        finally:
            self._progress.end()
            for item in list(self._under_way.values()):
                self._conclude(item, Finding(State.IN_DOUBT, INTERRUPTED))
            self.summary.seconds = self._now() - started
            self.summary.errors = self._errors.close(complete=complete)
        return self.summary

    def _started(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in takewhile(lambda _: not self._stopped, items):
            if isinstance(item.plan, Draft):
                self._under_way[item.row.line] = item
            yield item

    def _conclude(self, item: Item, finding: Finding) -> None:
        self._under_way.pop(item.row.line, None)
        self.summary.add(finding)
        if finding.state is not State.IMPORTED:
            self._errors.add(item.row, finding)

    async def _send(self, item: Item) -> Finding:
        if isinstance(item.plan, Finding):
            return item.plan
        try:
            await self._upsert(item.plan)
        except SdkError as error:
            return self._finding(error)
        try:
            await self._add_further_tags(item.plan)
        except SdkError as error:
            finding = self._finding(error)
            return Finding(finding.state, tags_missing(finding.reason) if finding.reason else None)
        return _IMPORTED

    async def _upsert(self, draft: Draft) -> None:
        await self._kt.contacts.upsert(
            email=draft.email,
            sms_number=draft.sms_number,
            opt_in_id=self._opt_in_id,
            tag_id=self._tag_ids[draft.tags[0]] if draft.tags else None,
            fields=draft.fields or None,
        )

    async def _add_further_tags(self, draft: Draft) -> None:
        # One tag goes along with the contact; the service takes the others by a call of its own.
        further = [self._tag_ids[name] for name in draft.tags[1:]]
        if further and draft.email is not None:
            await self._kt.contacts.tag(draft.email, further)

    def _finding(self, error: SdkError) -> Finding:
        if isinstance(error, Unauthorized | Forbidden) and self.refused is None:
            # Every further row would be refused in the same way.
            self.refused = error
            self._stopped = True
            self.summary.stopped = str(error)
        return Finding(State.IN_DOUBT if error.maybe_applied else State.FAILED, reason_of(error))


def reason_of(error: SdkError) -> Reason:
    """What an error says to the owner of a row, under the service's number or, without one, the error's name."""
    number = error.code if error.subcode is None else f"{error.code}/{error.subcode}"
    code = type(error).__name__ if number is None else str(number)
    if isinstance(error, KlickTippError):
        return Reason(code, error.user_message("en"), error.user_message("de"))
    return Reason(code, str(error), str(error))
