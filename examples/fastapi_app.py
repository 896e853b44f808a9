"""A FastAPI app on both clients: a sign-up form, the webhooks of both services, errors as answers, health checks.

    uvicorn examples.fastapi_app:app --workers 2 --limit-concurrency 200

It reads what `KlickTipp.from_env` and `Doxie.from_env` read, and `KLICKTIPP_WEBHOOK_TOKEN`, `DOXIE_WEBHOOK_USER` and
`DOXIE_WEBHOOK_PASSWORD`. The services are given these addresses for their webhooks:

- KlickTipp: `https://…/webhooks/klicktipp/`, with the slash at its end, since a mounted app starts there;
- Doxie: `https://…/webhooks/doxie/message-status`, `…/doi-confirmed` and so on, one for each kind of event.

What is done with a delivery here: a contact that KlickTipp reports gets Doxie's welcome mail, and an address that Doxie
cannot reach gets a tag at KlickTipp.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Annotated, Final, NamedTuple, TypeAlias, TypedDict

import anyio
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

import klicktipp_async.webhooks as klicktipp_webhooks
from doxie_async import Basic, Doxie
from doxie_async import webhooks as doxie_webhooks
from klickdoxie_core import ArgumentError, RateLimited, SdkError
from klicktipp_async import BusinessError, FieldValidationError, KlickTipp, Limit

_LOG = logging.getLogger(__name__)

# Each worker process has clients of its own: with four workers the services see four times as much.
PER_WORKER: Final = Limit(concurrency=10)
QUEUE_SIZE: Final = 1000
WORKERS: Final = 4
SECONDS_TO_FINISH: Final = 20.0
REMEMBERED: Final = 10_000
UNREACHABLE: Final = "Doxie: unzustellbar"
DOXIE_PATHS: Final = {
    "/message-sent": doxie_webhooks.MessageSent,
    "/message-status": doxie_webhooks.MessageStatus,
    "/doi-confirmed": doxie_webhooks.DoiConfirmed,
    "/process-cancelled": doxie_webhooks.ProcessCancelled,
    "/qr-code-visited": doxie_webhooks.QrCodeVisited,
    "/rcs-response": doxie_webhooks.RcsResponse,
}
Event: TypeAlias = klicktipp_webhooks.WebhookEvent | doxie_webhooks.AnyEvent


class Clients(NamedTuple):
    """One client for each service, for all requests of this process."""

    kt: KlickTipp
    doxie: Doxie


Connect: TypeAlias = Callable[[], contextlib.AbstractAsyncContextManager[Clients]]


@contextlib.asynccontextmanager
async def from_environment() -> AsyncGenerator[Clients]:
    """The clients that the environment describes; leaving logs out and closes them."""
    async with KlickTipp.from_env(limit=PER_WORKER) as kt, Doxie.from_env(limit=PER_WORKER) as doxie:
        yield Clients(kt, doxie)


class Inbox:
    """Takes deliveries at once, and works them off in the background."""

    def __init__(self, clients: Clients) -> None:
        self._kt, self._doxie = clients
        self._entry, self._exit = anyio.create_memory_object_stream[Event](QUEUE_SIZE)
        # Each process has its own: several would share this in a database that forgets a key after some hours.
        self._seen: dict[str, None] = {}
        self.is_open = False

    @property
    def waiting(self) -> int:
        """How many deliveries nobody has begun with."""
        return self._entry.statistics().current_buffer_used

    async def take(self, event: Event) -> None:
        """Put an event into the queue, once; where that is full, wait, and the sender has its answer all the same."""
        if event.key in self._seen:
            return
        self._seen[event.key] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        await self._entry.send(event)

    def close(self) -> None:
        """Forget what nobody has begun with."""
        self._entry.close()
        self._exit.close()

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """Work while the block runs; leaving it finishes what was taken, within `SECONDS_TO_FINISH`."""
        async with anyio.create_task_group() as tasks:
            for _ in range(WORKERS):
                tasks.start_soon(self._work)
            self.is_open = True
            yield
            self.is_open = False
            self._entry.close()
            tasks.cancel_scope.deadline = anyio.current_time() + SECONDS_TO_FINISH
        if tasks.cancel_scope.cancelled_caught:
            _LOG.error("the time to finish was over; deliveries that nobody had begun with: %d", self.waiting)

    async def _work(self) -> None:
        async for event in self._exit:
            try:
                await self._handle(event)
            except SdkError as error:
                # Its text holds no personal data, and says whether the call may have been executed.
                _LOG.error("%s was not handled: %s", type(event).__name__, error)
            except Exception as error:  # noqa: BLE001 - a mistake in one must not end the work on the others
                _LOG.error("%s was not handled: %s", type(event).__name__, type(error).__name__)

    async def _handle(self, event: Event) -> None:
        match event:
            case klicktipp_webhooks.WebhookEvent(email=str(email), fields=fields):
                payload = {"email": email, "name": fields.get("fieldFirstName", "")}
                await self._doxie.mailer.send("welcome_email", payload)
            case doxie_webhooks.MessageStatus(status="bounced", recipient=str(recipient)) if "@" in recipient:
                tags = await self._kt.tags.ensure([UNREACHABLE])
                await self._kt.contacts.tag(recipient, tags[UNREACHABLE])
            case _:
                _LOG.info("%s needs nothing", type(event).__name__)


class State(TypedDict):
    """What the lifespan hands to every request of this process."""

    kt: KlickTipp
    doxie: Doxie
    inbox: Inbox
    receivers: Mapping[str, ASGIApp]


def receivers(inbox: Inbox, environ: Mapping[str, str]) -> Mapping[str, ASGIApp]:
    """What takes the services' webhooks; the app does not start without their credentials."""
    basic = Basic(environ["DOXIE_WEBHOOK_USER"], environ["DOXIE_WEBHOOK_PASSWORD"])
    return {
        "klicktipp": klicktipp_webhooks.WebhookApp(inbox.take, token=environ["KLICKTIPP_WEBHOOK_TOKEN"]),
        "doxie": doxie_webhooks.WebhookApp(inbox.take, credentials=[basic], paths=DOXIE_PATHS),
    }


def receiver(name: str) -> ASGIApp:
    """An ASGI app that hands over to the receiver of this name, which exists only while the app runs."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await scope["state"]["receivers"][name](scope, receive, send)

    return call


def get_kt(request: Request) -> KlickTipp:
    """The KlickTipp client; tests replace it by `app.dependency_overrides[get_kt]`."""
    kt: KlickTipp = request.state.kt
    return kt


def get_doxie(request: Request) -> Doxie:
    """The Doxie client."""
    doxie: Doxie = request.state.doxie
    return doxie


def get_inbox(request: Request) -> Inbox:
    """Where deliveries wait."""
    inbox: Inbox = request.state.inbox
    return inbox


router = APIRouter()


class Person(BaseModel):
    """What the form sends."""

    email: str
    first_name: str = ""


class SignedUp(BaseModel):
    """What the form is told: `pending` until the link in the confirmation mail is clicked."""

    status: str


class Asked(BaseModel):
    """What was set going."""

    process_uuid: str


@router.post("/sign-up", status_code=status.HTTP_201_CREATED)
async def sign_up(form: Person, kt: Annotated[KlickTipp, Depends(get_kt)]) -> SignedUp:
    """Add a contact through the account's own double opt-in; sent twice, it stays one contact."""
    fields = {"fieldFirstName": form.first_name} if form.first_name else None
    try:
        contact = await kt.contacts.upsert(email=form.email, fields=fields)
    except FieldValidationError:
        # Its sentence would quote the service.
        raise
    except BusinessError as refusal:
        raise HTTPException(status.HTTP_409_CONFLICT, refusal.user_message("de")) from None
    return SignedUp(status=str(contact.status))


@router.post("/feedback", status_code=status.HTTP_202_ACCEPTED)
async def ask_for_feedback(form: Person, doxie: Annotated[Doxie, Depends(get_doxie)]) -> Asked:
    """Send somebody a survey."""
    result = await doxie.surveys.create_inquiry("survey", {"name": form.first_name}, email=form.email)
    return Asked(process_uuid=result.process_uuid or "")


@router.get("/healthz", include_in_schema=False)
async def health() -> dict[str, str]:
    """Whether this process answers; it asks nobody else."""
    return {"status": "ok"}


@router.get("/readyz", include_in_schema=False)
async def readiness(inbox: Annotated[Inbox, Depends(get_inbox)], response: Response) -> dict[str, bool | int]:
    """Whether this process should get requests: its clients are open, and there is room for deliveries."""
    ready = inbox.is_open and inbox.waiting < QUEUE_SIZE
    if not ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return {"clients_open": inbox.is_open, "deliveries_waiting": inbox.waiting}


async def answer_error(_: Request, error: Exception) -> JSONResponse:
    """What a caller learns of an error of either client: never a text of the service, and never one of ours.

    `maybe_applied` tells whether it may have happened all the same, so that sending it again is no good idea.
    """
    headers: dict[str, str] = {}
    match error:
        case RateLimited():
            code, detail = 503, "Gerade ist zu viel los. Bitte versuchen Sie es gleich noch einmal."
            headers["Retry-After"] = str(math.ceil(error.retry_after or 1))
        case ArgumentError() | FieldValidationError():
            code, detail = 422, "Eine der Angaben passt nicht."
        case _:
            code, detail = 502, "Das hat leider nicht geklappt. Bitte versuchen Sie es später noch einmal."
    _LOG.warning("answered with %d: %s", code, error)
    applied = isinstance(error, SdkError) and error.maybe_applied
    return JSONResponse({"detail": detail, "maybe_applied": applied}, code, headers)


def create_app(connect: Connect = from_environment, environ: Mapping[str, str] = os.environ) -> FastAPI:
    """The app; `connect` opens the clients at its start and closes them at its end."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
        async with connect() as clients:
            with contextlib.closing(Inbox(clients)) as inbox:
                apps = receivers(inbox, environ)
                async with inbox.working():
                    yield {"kt": clients.kt, "doxie": clients.doxie, "inbox": inbox, "receivers": apps}

    app = FastAPI(title="Anmeldung", lifespan=lifespan)
    app.include_router(router)
    app.add_exception_handler(SdkError, answer_error)
    for name in ("klicktipp", "doxie"):
        app.mount(f"/webhooks/{name}", receiver(name))
    return app


app = create_app()
