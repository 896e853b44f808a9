"""`ApiClient`: what every client is: options, lifecycle, views, and a way to call anything."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypedDict, TypeVar, cast, overload
from urllib.parse import SplitResult, unquote, urlsplit

import cattrs

from klickdoxie_core.auth.lease import Lease
from klickdoxie_core.auth.scheme import Scheme
from klickdoxie_core.call import Call, Effect, Query, Reader, default_effect
from klickdoxie_core.clock import Clock
from klickdoxie_core.convert import new_converter
from klickdoxie_core.dialect import Dialect
from klickdoxie_core.engine import Engine
from klickdoxie_core.errors import ArgumentError, ConfigError
from klickdoxie_core.home import Home
from klickdoxie_core.incoming import Incoming
from klickdoxie_core.judge import Budget
from klickdoxie_core.limiter import Limiter
from klickdoxie_core.observe import Announcer, Observer
from klickdoxie_core.options import UNSET, Limit, Options, Retry, Unset
from klickdoxie_core.pool import Pool, wire_for
from klickdoxie_core.redact import mask
from klickdoxie_core.version import VERSION
from klickdoxie_core.wire.base import Wire

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from klickdoxie_core.pool import Http
    from klickdoxie_core.telemetry import Telemetry

T = TypeVar("T")
P = TypeVar("P")

_OF_A_SCHEME = ("obtain", "sign", "refused", "release")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff\\]")
_HERE = re.compile(r"(?:localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]{1,5})?", re.ASCII)
# Nothing that a key or a token looks like: those would show in the error's text.
_THERE = re.compile(r"(?:[a-z0-9-]{1,40}\.)+[a-z]{2,12}(?::[0-9]{1,5})?", re.ASCII)


class ClientOptions(TypedDict, total=False):
    """The keywords of every client that have a default; see `ApiClient`.

    Attributes:
        base_url: What stands before the path of every call.
        http: An httpx or httpx2 AsyncClient, an aiohttp ClientSession or a `Pool` that stays yours, or `"aiohttp"`.
        timeout: Seconds for one attempt.
        deadline: Seconds for a whole call.
        retry: How a call is sent again: a `Retry(attempts=…)`.
        limit: How much is sent at a time: a `Limit(rate=…, concurrency=…)`.
        read_only: Refuse every write before anything is sent.
        observers: Are told of every call.
        telemetry: False tells OpenTelemetry nothing.
        clock: For tests.
    """

    base_url: str
    http: Http
    timeout: float
    deadline: float
    retry: Retry | None
    limit: Limit | None
    read_only: bool
    observers: Sequence[Observer]
    telemetry: bool
    clock: Clock | None


class ApiClient:
    """Base of a client for one service. Subclasses name their groups of endpoints in `_bind`.

    Use it as `async with Client(...) as client:` or close it with `aclose()`. A client belongs to one event loop.

    With `http` it uses an httpx client, an aiohttp session or a `Pool` of yours, which stays open; `http="aiohttp"`
    makes a session of its own. aiohttp takes less of the processor for each call, and works on asyncio only.

    Where the OpenTelemetry API is installed, each call has a span and is measured; `telemetry=False` leaves that out.

    Class attributes that a subclass sets:
        product: How the client introduces itself in `User-Agent` and to OpenTelemetry.
        version: Its version there; of a client of your own, that of your package.
        dialect: What the vendor's answers mean.
        missing: For each named credential, what to say when it was not given.
    """

    product: ClassVar[str] = "klickdoxie"
    version: ClassVar[str] = VERSION
    dialect: Dialect = Dialect()
    missing: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        auth: Mapping[str, Scheme[Any]],
        *,
        base_url: str,
        http: Http = None,
        timeout: float = 30.0,
        deadline: float = 120.0,
        retry: Retry | None = None,
        limit: Limit | None = None,
        read_only: bool = False,
        observers: Sequence[Observer] = (),
        telemetry: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._check_kinds({"limit": (limit, Limit), "telemetry": (telemetry, bool), "clock": (clock, Clock)})
        clock = clock or Clock()
        try:
            self._options = Options(timeout=timeout, deadline=deadline, retry=Retry() if retry is None else retry)
        except (TypeError, ValueError) as error:
            raise self.dialect.own(ConfigError)(str(error)) from None
        self._owner = True
        url, announcer = self._checked_url(base_url), Announcer(self._checked_observers(observers))
        self._check_schemes(auth)
        self._leases = {name: Lease(scheme, self._run_unsigned, clock) for name, scheme in auth.items()}
        self._engine = Engine(
            base_url=url,
            headers={"accept": "application/json", "accept-encoding": "gzip", "user-agent": self._user_agent()},
            read_only=read_only,
            wire=self._make_wire(http, clock),
            converter=self._make_converter(),
            dialect=self.dialect,
            leases=self._leases,
            missing=self.missing,
            limiter=Limiter(limit or Limit(), clock, http.slots if isinstance(http, Pool) else None),
            budget=Budget(self._options.retry.budget),
            announcer=announcer,
            telemetry=_telemetry_of(self.product, self.version, url, announcer) if telemetry else None,
            clock=clock,
            home=Home(),
        )
        self._bind()

    def _bind(self) -> None:
        """Make the groups of endpoints; called again for each view."""

    def _make_converter(self) -> cattrs.Converter:
        """The converter that turns answers into models."""
        return new_converter()

    async def run(self, call: Call[T]) -> T:
        """Run a call with the options of this client or view."""
        return await self._engine.run(call, self._options)

    def stream(self, call: Call[T], reader: Reader[P], /) -> AbstractAsyncContextManager[Incoming[P, T]]:
        """Read an answer while it comes in: `async with client.stream(call, reader) as answer: async for … in answer`.

        The call is sent again, as any other, until it is answered; the timeout then holds for each piece of the answer.

        Raises:
            SdkError: As every other call does; Interrupted by the iteration, when the connection breaks half-way.
        """
        return self._engine.stream(call, self._options, reader)

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        into: TypeForm[T],
        body: object = None,
        query: Query | None = None,
        effect: Effect | None = None,
    ) -> T: ...
    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        effect: Effect | None = None,
    ) -> object: ...
    async def request(
        self,
        method: str,
        path: str,
        *,
        into: TypeForm[Any] = object,
        body: object = None,
        query: Query | None = None,
        effect: Effect | None = None,
    ) -> object:
        """Call any operation of the service, with this client's credentials, retries and limits.

        Args:
            method: The HTTP method.
            path: The path below the base URL, starting with a slash; quote what you put into it.
            into: What the answer becomes: a builtin, `dict[int, str]`, an attrs class; without it, the decoded JSON.
            body: What is sent as JSON; None sends no body.
            query: Query parameters; None leaves one out, and a list or tuple repeats the name.
            effect: Whether it may be sent again; the default follows from the method.

        Raises:
            SdkError: As every other call does.
        """
        verb = self._checked_method(method)
        template, values = _template_of(self._checked_path(path))
        call: Call[object] = Call(
            operation=f"{verb} {template}",
            method=verb,
            template=template,
            path=values,
            into=into,
            body=body,
            query=query,
            effect=self._checked_effect(effect, verb),
            auth=self._default_auth(),
        )
        return await self.run(call)

    def with_options(
        self,
        *,
        timeout: float | Unset = UNSET,
        deadline: float | Unset = UNSET,
        retry: Retry | Unset = UNSET,
    ) -> Self:
        """A view with other options, in seconds, on the same pool, login and limits. It needs no closing."""
        try:
            options = self._options.replace(timeout=timeout, deadline=deadline, retry=retry)
        except (TypeError, ValueError) as error:
            raise self.dialect.own(ConfigError)(str(error)) from None
        view = object.__new__(type(self))
        vars(view).update(vars(self))
        view._become_view(options)
        return view

    def _become_view(self, options: Options) -> None:
        self._options = options
        self._owner = False
        self._bind()

    async def aclose(self) -> None:
        """Log out where there was a login, and close our own connections. Does nothing on a view or a second time."""
        if not self._owner or self._engine.home.closed:
            return
        if (said := self._engine.home.stranger()) is not None:
            raise self.dialect.own(ConfigError)(said)
        try:
            for lease in self._leases.values():
                await lease.aclose()
        finally:
            self._engine.home.closed = True
            await self._engine.wire.aclose()

    async def __aenter__(self) -> Self:
        if (said := self._engine.home.stranger()) is not None:
            raise self.dialect.own(ConfigError)(said)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.base_url}>"

    def __reduce__(self) -> NoReturn:
        msg = "a client cannot be pickled; make one in each process"
        raise TypeError(msg)

    @property
    def base_url(self) -> str:
        """What stands before the path of every call, without a slash at its end."""
        return self._engine.base_url

    def _default_auth(self) -> str | None:
        return next(iter(self._leases), None)

    async def _run_unsigned(self, call: Call[T], /) -> T:
        return await self._engine.run(call, self._options)

    def _make_wire(self, http: Http, clock: Clock) -> Wire:
        try:
            return wire_for(http, clock)
        except ConfigError as error:
            raise self.dialect.own(ConfigError)(error.message) from None

    def _check_kinds(self, options: Mapping[str, tuple[object, type]]) -> None:
        for name, (value, kind) in options.items():
            if value is not None and not isinstance(value, kind):
                said = f"{name} must be a {kind.__name__}(...), not {type(value).__name__}"
                raise self.dialect.own(ConfigError)(said)

    def _check_schemes(self, auth: Mapping[str, object]) -> None:
        for name, scheme in auth.items():
            if isinstance(scheme, type) or not all(callable(getattr(scheme, method, None)) for method in _OF_A_SCHEME):
                kind = scheme.__name__ if isinstance(scheme, type) else type(scheme).__name__
                said = f"the credential {name!r} must be a Scheme, such as Basic(...) or Bearer(...), not {kind}"
                raise self.dialect.own(ConfigError)(said)

    def _checked_observers(self, observers: object) -> tuple[Observer, ...]:
        if not isinstance(observers, Iterable):
            said = f"observers must be a list of observers, not {type(observers).__name__}"
            raise self.dialect.own(ConfigError)(said)
        return tuple(cast("Iterable[Observer]", observers))

    def _checked_method(self, method: object) -> str:
        if not isinstance(method, str):
            raise self.dialect.own(ArgumentError)(f"method must be a text, such as GET, not {type(method).__name__}")
        return method.upper()

    def _checked_effect(self, effect: object, verb: str) -> Effect:
        if effect is None:
            return default_effect(verb)
        if not isinstance(effect, Effect):
            # Anything else would pass for a write that may be sent again.
            raise self.dialect.own(ArgumentError)(f"effect must be an Effect or None, not {type(effect).__name__}")
        return effect

    def _checked_path(self, path: object) -> str:
        if not isinstance(path, str) or not path.startswith("/") or path.startswith("//") or "?" in path or "#" in path:
            raise self.dialect.own(ArgumentError)("path must start with one slash and hold neither '?' nor '#'")
        if {".", ".."} & set(unquote(path).split("/")) or _UNPRINTABLE.search(path):
            raise self.dialect.own(ArgumentError)("path must hold no dot segments, spaces or control characters")
        return path.replace("{", "%7B").replace("}", "%7D")

    def _checked_url(self, base_url: str) -> str:
        if (said := base_url_fault(base_url)) is not None:
            raise self.dialect.own(ConfigError)(said)
        return base_url.rstrip("/")

    def _user_agent(self) -> str:
        return f"{self.product}/{self.version} python/{platform.python_version()}"


def _telemetry_of(product: str, version: str, base_url: str, announcer: Announcer) -> Telemetry | None:
    """What tells OpenTelemetry; None where its API is not installed, and where the environment switches it off."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    try:
        from klickdoxie_core.telemetry import Telemetry  # noqa: PLC0415 - what it needs need not be installed
    except ImportError:
        return None
    return Telemetry(product, version, base_url, announcer.complain)


def _template_of(path: str) -> tuple[str, dict[str, str]]:
    """The path, with what looks personal as values instead, which no error, log or span shows."""
    values: dict[str, str] = {}
    segments = path.split("/")
    for number, segment in enumerate(segments):
        text = unquote(segment)
        if mask(text) != text:
            values[f"value{number}"] = text
            segments[number] = f"{{value{number}}}"
    return "/".join(segments), values


def base_url_fault(url: object, name: str = "base_url") -> str | None:
    """What is wrong with it, by the name of the option or variable that it was given as; None when it will do."""
    if not isinstance(url, str):
        return f"{name} must be a text, not {type(url).__name__}"
    parts = _split(url.rstrip("/"))
    if parts.scheme not in {"http", "https"} or not parts.hostname or _UNPRINTABLE.search(url):
        return f"{name} must be an absolute http or https URL{_hint(url)}"
    if parts.username is not None or "?" in url or "#" in url:
        return f"{name} must hold neither a user name, nor a query, nor a fragment"
    return None


def _hint(url: str) -> str:
    """What is missing, where it is but the scheme; a host of one's own mostly listens without encryption."""
    host = url.partition("/")[0]
    here = _HERE.fullmatch(host)
    if "@" in url or not (here or _THERE.fullmatch(host)):
        return ""
    return f"; {host!r} lacks {'http' if here else 'https'}://"


def _split(url: str) -> SplitResult:
    """The parts of a URL; none of them where it is no URL, or names a port that cannot be."""
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else urlsplit("")
    except ValueError:
        return urlsplit("")
