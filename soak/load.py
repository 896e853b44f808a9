"""Mixed calls to both services at once, some of them cancelled, and what each of them was told."""  # noqa: INP001 - a folder of scripts

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Final, Literal

import anyio
import attrs

from doxie_async import Basic, ClientCredentials, Doxie, EventType, routes
from klickdoxie_core import Clock, Effect, Limit, Recording, SdkError, recording
from klickdoxie_core.wire.base import Failure
from klicktipp_async import KlickTipp, SessionLogin
from soak.service import REFERENCE, Place

CANCELLED_SHARE: Final = 0.05
_LONGEST_CANCEL = 0.25
_DEADLINE = 15
_MOST = 255

LOGIN, FETCH_TOKEN = "Login", "Fetch Token"
UPSERT = "Add or Update Contact"


class Outcome(IntEnum):
    """What a call has come to, as far as it knows."""

    OPEN = 0
    DONE = 1
    NOT_DONE = 2
    """It failed, and nothing was changed."""
    IN_DOUBT = 3
    """It failed, and may have been carried out."""
    CANCELLED = 4
    BROKEN = 5
    """It raised what is no error of the SDK."""


@attrs.frozen
class Clients:
    """Both clients, and what is at the services from the start."""

    kt: KlickTipp
    doxie: Doxie
    place: Place
    brand_id: int


Make = Callable[[Clients, int], Awaitable[bool]]


@attrs.frozen
class Kind:
    """A kind of call.

    Attributes:
        effect: What the client may do after a failure.
        weight: How often it is made, beside the others.
        make: Makes it, with its number; whether the answer is the one to this call.
        operation: The write that the ledger knows; empty for a read.
        looks_up: After a lost answer the client looks before it sends again.
    """

    name: str
    effect: Effect
    weight: int
    make: Make
    operation: str = ""
    looks_up: bool = False


async def _read_contact(to: Clients, number: int) -> bool:
    contact_id = to.place.contacts[number % len(to.place.contacts)]
    return (await to.kt.contacts.get(contact_id)).id == contact_id


async def _find_contact(to: Clients, number: int) -> bool:
    place = number % len(to.place.contacts)
    return await to.kt.contacts.find_id(f"kontakt{place + 1}@example.com") == to.place.contacts[place]


async def _change_contact(to: Clients, number: int) -> bool:
    contact_id = to.place.contacts[number % len(to.place.contacts)]
    await to.kt.contacts.update(contact_id, fields={"fieldCompanyName": f"Blüte; {REFERENCE}{number}"})
    return True


async def _add_contact(to: Clients, number: int) -> bool:
    email = f"{REFERENCE}{number}@example.com"
    return (await to.kt.contacts.upsert(email=email, fields={"fieldLastName": "Müller"})).email == email


async def _add_tag(to: Clients, number: int) -> bool:
    return await to.kt.tags.create(f"{REFERENCE}{number}") > 0


async def _read_process(to: Clients, number: int) -> bool:
    uuid = to.place.processes[number % len(to.place.processes)]
    return (await to.doxie.admin.processes.get(uuid)).uuid == uuid


async def _read_event(to: Clients, _: int) -> bool:
    event = await to.doxie.events.get(to.place.event_id, type=EventType.MAILER)
    return event.event.get("slug") == "soak"


async def _change_brand(to: Clients, number: int) -> bool:
    name = f"Käthe {REFERENCE}{number}"
    return (await to.doxie.admin.brands.update(to.brand_id, {"name": name})).name == name


async def _send_mail(to: Clients, number: int) -> bool:
    payload = {"email": "kaethe@example.com", "reference": f"{REFERENCE}{number}"}
    return list((await to.doxie.mailer.send("soak", payload)).sent_email_templates) == ["soak"]


async def _inject(to: Clients, number: int) -> bool:
    return bool((await to.doxie.injector.create("journey", {"reference": f"{REFERENCE}{number}"})).process_uuid)


async def _make_qr_code(to: Clients, number: int) -> bool:
    url = f"https://example.com/{REFERENCE}{number}"
    return (await to.doxie.qr_codes.create("qr_code", {"target_url": url})).raw.get("target_url") == url


SAFE, REPEATABLE, ONCE = Effect.SAFE, Effect.REPEATABLE, Effect.ONCE
KINDS: Final = (
    Kind("KlickTipp: read a contact", SAFE, 18, _read_contact),
    Kind("KlickTipp: find a contact", SAFE, 8, _find_contact),
    Kind("KlickTipp: change a contact", REPEATABLE, 14, _change_contact, "Update Contact"),
    Kind("KlickTipp: add a contact", ONCE, 14, _add_contact, UPSERT, looks_up=True),
    Kind("KlickTipp: add a tag", ONCE, 2, _add_tag, "Create Tag", looks_up=True),
    Kind("Doxie: read a process", SAFE, 12, _read_process),
    Kind("Doxie: read an event", SAFE, 6, _read_event),
    Kind("Doxie: change a brand", REPEATABLE, 8, _change_brand, routes.UPDATE_BRAND.name),
    Kind("Doxie: send a mail", ONCE, 10, _send_mail, routes.SEND_MAIL.name),
    Kind("Doxie: inject", ONCE, 4, _inject, routes.CREATE_INJECTION.name),
    Kind("Doxie: make a QR code", ONCE, 4, _make_qr_code, routes.CREATE_QR_CODE.name),
)
_WEIGHTS = [kind.weight for kind in KINDS]


class Told:
    """What each call was told, in three bytes a call, so that remembering it is no load on the memory.

    Attributes:
        kinds: Places in `KINDS`, by number of the call.
        outcomes: `Outcome`s, likewise.
        timeouts: How many attempts went beyond the timeout, likewise; of adding a contact only those of that request.
    """

    def __init__(self) -> None:
        self.kinds = bytearray()
        self.outcomes = bytearray()
        self.timeouts = bytearray()

    def begin(self, kind: int) -> int:
        """A call begins; its number."""
        self.kinds.append(kind)
        self.outcomes.append(Outcome.OPEN)
        self.timeouts.append(0)
        return len(self.kinds) - 1

    def end(self, number: int, outcome: Outcome, timeouts: int) -> None:
        """A call has ended."""
        self.outcomes[number] = outcome
        self.timeouts[number] = min(_MOST, timeouts)

    def of(self, kind: Kind) -> list[int]:
        """The numbers of the calls of a kind."""
        place = KINDS.index(kind)
        return [number for number, found in enumerate(self.kinds) if found == place]


class Load:
    """So many calls at once.

    Attributes:
        told: What each call was told.
        figures: Attempts, retries, renewals, logins and tokens that the clients have counted.
        errors: How often each class of error was raised.
        mixed_up: Answers that belong to another call, by kind.
    """

    def __init__(self, to: Clients, *, seed: int, concurrency: int, cancelled: float = CANCELLED_SHARE) -> None:
        self._to = to
        self._seed = seed
        self._concurrency = concurrency
        self._cancelled = cancelled
        self.told = Told()
        self.figures: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.mixed_up: Counter[str] = Counter()

    async def run(self, seconds: float) -> None:
        """Make calls for so many seconds, and let all of them come to their ends."""
        until = time.monotonic() + seconds
        async with anyio.create_task_group() as tasks:
            for _ in range(self._concurrency):
                tasks.start_soon(self._work, until)

    async def aftermath(self) -> int:
        """Read once for each call that may be under way, all at once and without cancelling any; how many failed."""
        failed: list[SdkError] = []

        async def read(number: int) -> None:
            try:
                await (_read_contact, _read_process)[number % 2](self._to, number)
            except SdkError as error:
                failed.append(error)

        async with anyio.create_task_group() as tasks:
            for number in range(2 * self._concurrency):
                tasks.start_soon(read, number)
        return len(failed)

    async def _work(self, until: float) -> None:
        while time.monotonic() < until:
            number = len(self.told.kinds)
            chance = random.Random(f"{self._seed} {number}")  # noqa: S311 - chance, not secrecy
            kind = chance.choices(KINDS, _WEIGHTS)[0]
            self.told.begin(KINDS.index(kind))
            with recording() as seen:
                outcome = await self._one(kind, number, chance)
            self.told.end(number, outcome, _timeouts(kind, seen))
            self._count(seen)

    async def _one(self, kind: Kind, number: int, chance: random.Random) -> Outcome:
        breaks_off, native = chance.random() < self._cancelled, chance.random() < 0.5
        seconds = chance.uniform(0, _LONGEST_CANCEL) if breaks_off else None
        try:
            if native:
                async with asyncio.timeout(seconds):
                    return await self._made(kind, number)
            with anyio.move_on_after(seconds):
                return await self._made(kind, number)
        except TimeoutError:
            return Outcome.CANCELLED
        return Outcome.CANCELLED

    async def _made(self, kind: Kind, number: int) -> Outcome:
        try:
            if not await kind.make(self._to, number):
                self.mixed_up[kind.name] += 1
        except SdkError as error:
            self.errors[f"{type(error).__name__}{', in doubt' if error.maybe_applied else ''}"] += 1
            return Outcome.IN_DOUBT if error.maybe_applied else Outcome.NOT_DONE
        except Exception as error:  # noqa: BLE001 - that there are others is what is looked for
            self.errors[f"{type(error).__name__}, which is not ours"] += 1
            return Outcome.BROKEN
        return Outcome.DONE

    def _count(self, seen: Recording) -> None:
        for exchange in seen.exchanges:
            self.figures["attempts"] += exchange.attempts
            self.figures["retries"] += max(0, exchange.attempts - 1)
            self.figures["renewals"] += exchange.renewals
            if exchange.operation in {LOGIN, FETCH_TOKEN} and exchange.error is None:
                self.figures[exchange.operation] += 1


def _timeouts(kind: Kind, seen: Recording) -> int:
    """Requests whose answer was not waited for: they may be carried out at any time after."""
    waited = [attempt for attempt in seen.attempts if attempt.failure == Failure.TIMEOUT.value]
    return sum(attempt.operation == kind.operation for attempt in waited)


@asynccontextmanager
async def clients(
    place: Place, *, seed: int, concurrency: int, patience: float, pace: float, http: Literal["httpx", "aiohttp"]
) -> AsyncGenerator[Clients, None]:
    """Both clients, as an application would make them, but for their clock.

    Args:
        place: Where the services are.
        seed: Of the jitter in their pauses.
        concurrency: How many calls each has under way at once.
        patience: Seconds for an attempt.
        pace: Seconds in which a second passes for the clients, but for the timeout.
        http: The HTTP library.
    """

    async def sleep(seconds: float) -> None:
        await anyio.sleep(pace * seconds)

    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    clock = Clock(monotonic=lambda: time.monotonic() / pace, sleep=sleep, random=chance.random)
    limit, deadline = Limit(concurrency=concurrency), _DEADLINE * patience / pace
    library: Literal["aiohttp"] | None = "aiohttp" if http == "aiohttp" else None
    admin = ClientCredentials(place.client_id, place.client_secret, f"{place.doxie}/oauth/token")
    async with (
        KlickTipp(
            SessionLogin(place.username, place.password),
            base_url=place.klicktipp,
            http=library,
            timeout=patience,
            deadline=deadline,
            limit=limit,
            clock=clock,
        ) as kt,
        Doxie(
            place.tenant,
            api_user=Basic(place.api_user, place.api_password),
            admin=admin,
            base_url=place.doxie,
            http=library,
            timeout=patience,
            deadline=deadline,
            limit=limit,
            clock=clock,
        ) as doxie,
    ):
        brand = await doxie.admin.brands.create({"name": "Blütenhonig"})
        yield Clients(kt, doxie, place, brand.id or 0)
