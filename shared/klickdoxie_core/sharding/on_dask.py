"""Running shards on a cluster of dask.distributed, which may lose any of its workers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, cast

import anyio

from klickdoxie_core.bulk import bulk
from klickdoxie_core.errors import ConfigError, ConnectFailed
from klickdoxie_core.progress import OnProgress, Progress
from klickdoxie_core.sharding.foreman import Foreman, ForemanLike
from klickdoxie_core.sharding.reports import Overview, Reports
from klickdoxie_core.sharding.running import run_shard
from klickdoxie_core.sharding.shard import Shard, ShardReport

if TYPE_CHECKING:
    from distributed import Client

# A call that must not be repeated gets five seconds to end, and the shard a moment to hear of it.
_GRACE: Final = 10.0
_FOREMEN: Final = 5


class _Future(Protocol):
    """What is used of dask's future, which has no types."""

    def __await__(self) -> Generator[object, None, object]: ...

    def done(self) -> bool: ...

    def release(self) -> None: ...

    def cancel(self) -> Awaitable[None]: ...


class _Client(Protocol):
    """What is used of dask's client."""

    asynchronous: bool

    def submit(self, function: Callable[..., object], /, *args: object, **options: object) -> _Future: ...


@asynccontextmanager
async def run_on_dask(
    shards: Sequence[Shard],
    client: Client | str,
    *,
    rate: float | None = None,
    retries: int = 2,
    patience: float = 10.0,
    on_progress: OnProgress | None = None,
) -> AsyncGenerator[Reports]:
    """Run shards on a cluster, and hand out their reports as they end.

    `async with run_on_dask(shards, client) as reports: async for report in reports: …`

    A worker runs as many shards at once as it has threads. A shard whose worker is lost runs again on another one.
    Leaving the block early ends the shards in good order, within some seconds; they can be run again. asyncio only.

    Args:
        shards: What `split` returned.
        client: A `Client(…, asynchronous=True)`, which stays yours, or the address of the scheduler.
        rate: Requests a second, over all shards; None for no bound.
        retries: How often a shard runs again whose function raised what is no error of the SDK.
        patience: Seconds that a shard waits for whoever shares out the rate, and twice that for a journal in use.
        on_progress: Told of the figures of the whole job while the reports are waited for, at most ten times a second
            and once at the end.

    Raises:
        ArgumentError: The rate is no number above 0; raised when the first report is asked for.
        ConnectFailed: Nobody answers at the address of the scheduler.
        ConfigError: dask.distributed is not installed, the client is not asynchronous, or other processes cannot
            import the function of the shards.
    """
    for shard in shards:
        if shard.work.startswith("__main__:"):
            raise ConfigError("the function of the shards stands in the program itself; move it to a module of its own")
    overview = Overview(shards, on_progress)
    async with AsyncExitStack() as stack:
        cluster = _Cluster(await _connected(client, stack), rate, retries, patience)
        stack.push_async_callback(cluster.dismiss)
        stack.callback(overview.end)
        async with bulk(cluster.run, shards, concurrency=max(1, len(shards))) as outcomes:
            try:
                yield Reports(outcomes, cluster.figures, overview)
            finally:
                await cluster.stop()


async def _connected(client: Client | str, stack: AsyncExitStack) -> _Client:
    try:
        from distributed import Client  # noqa: PLC0415 - an extra, needed only here
    except ImportError:
        raise ConfigError("running shards on a cluster needs dask.distributed: install klickdoxie[dask]") from None
    if isinstance(client, str):
        connect = cast("Callable[..., AbstractAsyncContextManager[_Client]]", Client)
        try:
            return await stack.enter_async_context(connect(client, asynchronous=True))
        except OSError as error:
            msg = f"no scheduler of dask answers at {client} ({type(error).__name__}); nothing was sent"
            raise ConnectFailed(msg) from None
    if not client.asynchronous:
        raise ConfigError("client must be made with asynchronous=True")
    return cast("_Client", client)


class _Cluster:
    """Hands shards to the workers of a cluster, and keeps a foreman on one of them."""

    def __init__(self, client: _Client, rate: float | None, retries: int, patience: float) -> None:
        self._client = client
        self._rate = rate
        self._retries = retries
        self._patience = patience
        self._hiring = anyio.Lock()
        self._post: _Future | None = None
        self._foreman: ForemanLike | None = None

    async def run(self, shard: Shard) -> ShardReport:
        """Run a shard, again if the worker with the foreman is lost meanwhile."""
        for _ in range(_FOREMEN):
            foreman = await self._present()
            report = await self._submit(shard, foreman)
            if not report.lost or report.error is not None:
                return report
            if self._foreman is foreman:
                self._foreman = None
        raise ConnectFailed("the workers of the cluster cannot reach each other; the shards have shared no rate")

    async def figures(self) -> Mapping[int, Progress]:
        """How far each shard is, as far as anybody can tell."""
        if self._foreman is None:
            return {}
        try:
            with anyio.fail_after(self._patience):
                return await self._foreman.figures()
        except Exception:  # noqa: BLE001 - it is gone; its shards find out, and get another one
            return {}

    async def stop(self) -> None:
        """Let the shards that are under way end in good order, and those that wait not begin."""
        # One that is gone cannot be told, and need not: its shards end by themselves.
        with anyio.move_on_after(self._patience, shield=True), suppress(Exception):
            if self._foreman is not None:
                await self._foreman.stop()

    async def dismiss(self) -> None:
        """Leave nothing behind on the cluster."""
        if self._post is not None:
            # Released alone, it would stay for as long as somebody can still call it. A cluster that is gone keeps
            # nothing, and must not hide why the block is left.
            with anyio.move_on_after(self._patience, shield=True), suppress(Exception):
                await self._post.cancel()

    async def _present(self) -> ForemanLike:
        async with self._hiring:
            if self._foreman is None:
                await self.dismiss()
                self._post = self._client.submit(Foreman, self._rate, actor=True, key=_key("foreman"))
                self._foreman = cast("ForemanLike", await self._post)
            return self._foreman

    async def _submit(self, shard: Shard, foreman: ForemanLike) -> ShardReport:
        # Not as an argument of its own: the shards would gather around the worker with the foreman, and die with it.
        run = partial(run_shard, foreman=foreman, patience=self._patience)
        future = self._client.submit(run, shard, key=_key("shard"), retries=self._retries, pure=False)
        try:
            return cast("ShardReport", await future)
        finally:
            if not future.done():
                with anyio.CancelScope(shield=True):
                    await self._end(future)
            future.release()

    async def _end(self, future: _Future) -> None:
        """Wait until a shard has heard from the foreman that it shall end; nobody else can tell it."""
        with anyio.move_on_after(_GRACE), suppress(Exception):
            await future
        await future.cancel()


def _key(what: str) -> str:
    return f"klickdoxie-{what}-{uuid.uuid4().hex}"
