"""Send 500 mails through a Doxie sandbox on a real socket, and show that none went out twice and which are in doubt.

Needs no account: `nox -s demo` runs it, or `python examples/demo.py` where the package is installed with its extras
`cli` and `sandbox`. To be a fair trial, one answer in twenty is lost after the mail has gone out, one connection in a
hundred breaks before it has, and the token of the administrator who follows the mails runs out on the way and is
withdrawn once. The figures are the sandbox's own counters.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

import anyio
import attrs
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from figures import Figure, show

from doxie_async import Basic, ClientCredentials, Doxie, MailResult, Process, SdkError, bulk
from doxie_async.routes import SEND_MAIL, SHOW_PROCESS
from doxie_async.sandbox import Sandbox
from klickdoxie_core.sandbox import LOST

MAILS = 500
TOKEN_LIFETIME = 2.0
AT_ONCE = 16
FETCH = "Fetch Token"


@attrs.define
class Report:
    """What the client was told: the processes of the mails that were answered, and the errors, by reference."""

    processes: dict[str, str | None] = attrs.field(factory=dict)
    in_doubt: dict[str, SdkError] = attrs.field(factory=dict)
    failed: list[Exception] = attrs.field(factory=list)
    followed: list[Process] = attrs.field(factory=list)


async def main(mails: int = MAILS, token_lifetime: float = TOKEN_LIFETIME) -> int:
    """Send the mails and check what came of them; 0 if every figure is as it must be."""
    references = [f"M-{number:04}" for number in range(1, mails + 1)]
    async with Sandbox() as box, box.serve() as url:
        box.latency, box.token_lifetime = 0.1, token_lifetime
        box.drop(SEND_MAIL.name, every=20, applied=True)
        box.drop(SEND_MAIL.name, every=100, applied=False)
        async with client(box, url) as doxie, anyio.create_task_group() as tasks:
            tasks.start_soon(withdraw_token, box)
            report = await send_and_follow(doxie, references)
            tasks.cancel_scope.cancel()
    tell_doubts(report, box)
    figures = [*sent(references, report, box), *followed(report, box)]
    return show("counted by the sandbox", figures, "no mail went out twice, and every doubt is known by its reference")


def client(box: Sandbox, url: str) -> Doxie:
    """A client with both credentials; the admin's fetches its tokens by itself."""
    admin = ClientCredentials(box.client_id, box.client_secret, f"{url}/oauth/token")
    return Doxie(box.tenant, api_user=Basic(box.username, box.password), admin=admin, base_url=url)


async def withdraw_token(box: Sandbox) -> None:
    """End the second token when it is in use, or the next one, if nobody is about to use that."""
    while box.count(FETCH) < 2:  # noqa: ASYNC110 - the sandbox tells nothing, it counts
        await anyio.sleep(0.01)
    while not box.count(SHOW_PROCESS.name, 401):
        # Every read that an ended token signed must be over: one that meets a second ended token fails.
        served = box.count(SHOW_PROCESS.name, 200)
        while box.count(SHOW_PROCESS.name, 200) < served + AT_ONCE:  # noqa: ASYNC110 - likewise
            await anyio.sleep(0.01)
        box.expire_tokens()
        # A read that is on its way needs a moment to be refused.
        await anyio.sleep(0.1)


async def send_and_follow(doxie: Doxie, references: list[str]) -> Report:
    """Send every mail, and at the same time look as an administrator at the process of each that was answered."""
    report = Report()
    uuids, to_follow = anyio.create_memory_object_stream[str](len(references))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow, doxie, to_follow, report)
        await send_all(doxie, references, uuids, report)
    return report


async def send_all(doxie: Doxie, references: list[str], uuids: MemoryObjectSendStream[str], report: Report) -> None:
    """Send the mails, some at a time, and sort the outcomes."""

    async def send(reference: str) -> MailResult:
        payload = {"reference": reference, "email": f"{reference.lower()}@example.com", "anrede": "Frau Blüte"}
        return await doxie.mailer.send("welcome_email", payload)

    async with uuids, bulk(send, references, concurrency=AT_ONCE) as outcomes:
        async for outcome in outcomes:
            match outcome.error:
                case None:
                    uuid = report.processes[outcome.item] = outcome.unwrap().process_uuid
                    await uuids.send(uuid or "")
                case SdkError(maybe_applied=True) as error:
                    report.in_doubt[outcome.item] = error
                case error:
                    report.failed.append(error)


async def follow(doxie: Doxie, uuids: MemoryObjectReceiveStream[str], report: Report) -> None:
    """Fetch the processes as they become known."""
    async with uuids, bulk(doxie.admin.processes.get, uuids, concurrency=AT_ONCE) as outcomes:
        async for outcome in outcomes:
            if outcome.error is None:
                report.followed.append(outcome.unwrap())
            else:
                report.failed.append(outcome.error)


def tell_doubts(report: Report, box: Sandbox) -> None:
    """Print which mails are in doubt, with what only the sandbox can know."""
    print(f"{len(report.in_doubt)} mails are in doubt; they were not sent again. What the sandbox knows of them:")
    for what, count in (("went out", 1), ("did not go out", 0)):
        names = [reference for reference in sorted(report.in_doubt) if box.count_sent(reference) == count]
        print(textwrap.fill(f"{what}: {' '.join(names)}", 100, initial_indent="  ", subsequent_indent="    "))
    for error in [*report.in_doubt.values()][:1]:
        print(f"The error of one of them: {error}")


def sent(references: list[str], report: Report, box: Sandbox) -> Iterator[Figure]:
    """What became of the mails, beside what must have become of them."""
    times = Counter({reference: box.count_sent(reference) for reference in references})
    lost_after = len(references) // 20
    lost_before = (len(references) - lost_after) // 100
    answered = len(references) - lost_after - lost_before
    once = sum(count == 1 for count in times.values())
    yield Figure("requests to send a mail", len(references), box.count(SEND_MAIL.name))
    yield Figure("mails that went out exactly once", len(references) - lost_before, once)
    yield Figure("mails that went out more than once", 0, sum(count > 1 for count in times.values()))
    yield Figure("mails in all", len(references) - lost_before, len(box.sent))
    yield Figure("mails with an answer", answered, len(report.processes))
    yield Figure("  of which went out exactly once", answered, sum(times[name] == 1 for name in report.processes))
    yield Figure("mails in doubt, since no answer came", box.count(SEND_MAIL.name, LOST), len(report.in_doubt))
    yield Figure(
        "  of which went out exactly once, though", lost_after, sum(times[name] == 1 for name in report.in_doubt)
    )
    yield Figure("calls that failed otherwise", 0, len(report.failed))


def followed(report: Report, box: Sandbox) -> Iterator[Figure]:
    """What became of the reads meanwhile, and of the token."""
    right = {process.uuid for process in report.followed} & set(report.processes.values())
    yield Figure("processes read by the administrator meanwhile", len(report.processes), len(right))
    yield Figure("requests refused since the token had ended", None, box.count(SHOW_PROCESS.name, 401))
    yield Figure("tokens fetched after the first", None, box.count(FETCH, 200) - 1)
