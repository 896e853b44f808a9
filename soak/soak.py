"""Call both services for a while with everything going wrong, and judge what came of it: `nox -s soak`."""  # noqa: INP001 - a folder of scripts

from __future__ import annotations

import argparse
import asyncio
import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import anyio
import attrs
import httpx

from soak.load import KINDS, Load, Outcome, clients
from soak.service import Ledger, Place, service
from soak.verdict import Seen, Verdict, verdicts
from soak.vitals import Peak, measure, measure_when_quiet

_HERE = Path(__file__).resolve().parents[1]
_GOODBYE = 10


@attrs.frozen(kw_only=True)
class Wish:
    """What is to be done.

    Attributes:
        seconds: How long calls are made, after the warm-up.
        warm_up: Seconds of calls before the memory is first looked at.
        concurrency: How many calls are made at once.
        faults: The share of requests that something happens to.
        seed: Of all chance: which calls are made, which are cancelled, what happens to their requests.
        http: The HTTP library under the clients.
        timeout: Seconds that a client waits for an answer.
        pace: Seconds in which a second passes for the clients, so that a minute holds more.
        lifetime: Seconds after which all sessions and all tokens end. More than ten on the clock of the clients, who
            take an earlier end for a refusal that is meant.
        apart: The services run in a process of their own, so that this one's figures are the clients' alone.
    """

    seconds: float = 60.0
    warm_up: float = 10.0
    concurrency: int = 200
    faults: float = 0.1
    seed: int = 7
    http: Literal["httpx", "aiohttp"] = "httpx"
    timeout: float = 2.0
    pace: float = 0.2
    lifetime: float = 4.0
    apart: bool = True


@attrs.frozen
class Report:
    """What a run has brought, and the verdicts on it."""

    seen: Seen
    errors: Counter[str]
    mixed_up: Counter[str]

    @property
    def verdicts(self) -> list[Verdict]:
        """Every figure that must keep its bounds."""
        return verdicts(self.seen)

    @property
    def good(self) -> bool:
        """Whether all of them do."""
        return all(verdict.good for verdict in self.verdicts)

    def __str__(self) -> str:
        seen, ledger = self.seen, self.seen.ledger
        lines = [f"{'calls':28}" + "".join(f"{outcome.name.lower().replace('_', ' '):>11}" for outcome in Outcome)]
        for kind in KINDS:
            found = Counter(seen.told.outcomes[number] for number in seen.told.of(kind))
            lines.append(f"{kind.name:28}" + "".join(f"{found[outcome]:>11,}" for outcome in Outcome))
        counts = {
            **seen.figures,
            "requests": ledger.requests,
            **{f"ended: {what}": n for what, n in ledger.ended.items()},
        }
        for title, figures in (
            ("faults", ledger.faults),
            ("errors", self.errors),
            ("mixed up", self.mixed_up),
            ("counts", counts),
        ):
            lines += ["", title, *(f"  {what:44}{number:>10,}" for what, number in sorted(figures.items()))]
        wrong = sum(not verdict.good for verdict in self.verdicts)
        lines += ["", *map(str, self.verdicts), "", f"{wrong} figures are off" if wrong else "all figures are good"]
        return "\n".join(lines)


async def soak(wish: Wish) -> Report:
    """Make the calls, and collect the figures; asyncio only."""
    async with _served(wish) as place, httpx.AsyncClient(base_url=place.control, trust_env=False) as control:
        await _faults(control, 0.0)
        before = measure()
        async with clients(
            place, seed=wish.seed, concurrency=wish.concurrency, patience=wish.timeout, pace=wish.pace, http=wish.http
        ) as made:
            load, peak = Load(made, seed=wish.seed, concurrency=wish.concurrency), Peak()
            await _faults(control, wish.faults)
            await load.run(wish.warm_up)
            warm = measure()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(peak.look)
                await load.run(wish.seconds)
                tasks.cancel_scope.cancel()
            # Where the services run here too, they may still be busy with what nobody waits for any more.
            hot = await measure_when_quiet(attrs.evolve(warm, handles=None))
            await _faults(control, 0.0)
            failed_after = await load.aftermath()
        ledger = Ledger.read((await control.get("/ledger", timeout=60)).content)
        after = await measure_when_quiet(before)
    ends = 1 if wish.apart else 2
    seen = Seen(
        told=load.told,
        ledger=ledger,
        mixed_up=load.mixed_up.total(),
        failed_after=failed_after,
        figures=load.figures,
        before=before,
        warm=warm,
        hot=hot,
        after=after,
        peak=peak.handles,
        sockets=2 * wish.concurrency * ends,
    )
    return Report(seen, load.errors, load.mixed_up)


async def _faults(control: httpx.AsyncClient, share: float) -> None:
    (await control.get(f"/faults/{share}")).raise_for_status()


@asynccontextmanager
async def _served(wish: Wish) -> AsyncGenerator[Place, None]:
    """Both services, here or in a process of their own."""
    if not wish.apart:
        async with service(seed=wish.seed, patience=wish.timeout, lifetime=wish.lifetime) as place:
            yield place
        return
    given = {"--seed": wish.seed, "--patience": wish.timeout, "--lifetime": wish.lifetime}
    words = [str(part) for pair in given.items() for part in pair]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "soak.service", *words, cwd=_HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        first = await process.stdout.readline() if process.stdout else b""
        yield Place(**json.loads(first))
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let it end by itself, which it does as soon as nobody is left to talk to it."""
    with anyio.move_on_after(_GOODBYE):
        await process.communicate()
        return
    process.kill()
    await process.communicate()


def _parsed(arguments: Sequence[str]) -> Wish:
    parser = argparse.ArgumentParser(prog="nox -s soak --", description=__doc__)
    default = Wish()
    parser.add_argument("--seconds", type=_positive, default=default.seconds, help="how long, after the warm-up")
    parser.add_argument("--warm-up", type=_positive, default=default.warm_up, help="seconds")
    parser.add_argument("--concurrency", type=int, default=default.concurrency, help="calls at once")
    parser.add_argument("--faults", type=float, default=default.faults, help="share of requests, from 0 to 1")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--http", choices=["httpx", "aiohttp"], default=default.http)
    given = parser.parse_args(arguments)
    if not (0 <= given.faults <= 1 and given.concurrency >= 1):
        parser.error("--faults must be from 0 to 1, and --concurrency at least 1")
    return Wish(**vars(given))


def _positive(text: str) -> float:
    number = float(text)
    if not (0 < number < math.inf):
        raise ValueError(text)
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as it is wished for; 1 if one figure is off."""
    wish = _parsed(sys.argv[1:] if arguments is None else arguments)
    report = anyio.run(soak, wish)
    print(f"{wish}\n\n{report}")  # noqa: T201 - what it is for
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
