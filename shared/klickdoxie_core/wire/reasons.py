"""Why no connection could be made, in our own words: those of an HTTP library may quote an address."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import cast

from klickdoxie_core.wire.base import Failure, WireFailure

_NO_NAME = "name not found"
_NO_TLS = "TLS failed"
_REFUSED = "connection refused"
_TIMED_OUT = "timed out while connecting"
_CLOSED = "the other side hung up"
_UNREACHABLE = "network unreachable"
_PROXY_REFUSED = "the proxy refused"

# It would refuse again: who asks is not known to it, or must not go there.
_LASTING = frozenset({403, 407})
_STATUS = re.compile(r"[0-9]{3}\b")
_OF_A_LOOP = ("Event loop is closed", "attached to a different loop", "bound to a different event loop")

# What says most comes first: where several addresses were tried, each has failed in its own way.
_TELLING = (_PROXY_REFUSED, _NO_NAME, _NO_TLS, _REFUSED, _TIMED_OUT, _CLOSED, _UNREACHABLE)

# By name, since each library has its own and neither need be installed.
_BY_NAME = {
    "BrokenResourceError": _CLOSED,
    "ClientConnectorDNSError": _NO_NAME,
    "ClientHttpProxyError": _PROXY_REFUSED,
    "ConnectTimeout": _TIMED_OUT,
    "ConnectionTimeoutError": _TIMED_OUT,
    "EndOfStream": _CLOSED,
    "ProxyError": _PROXY_REFUSED,
}
_BY_NUMBER = {
    errno.ECONNREFUSED: _REFUSED,
    errno.ETIMEDOUT: _TIMED_OUT,
    errno.ECONNRESET: _CLOSED,
    errno.EPIPE: _CLOSED,
    errno.ENETUNREACH: _UNREACHABLE,
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETDOWN: _UNREACHABLE,
}


def unconnected(error: BaseException, proxy: str, *, reached: bool) -> WireFailure:
    """What it means that no connection was made.

    Args:
        error: What the HTTP library has raised.
        proxy: Host and port of the proxy on the way; empty where there is none.
        reached: Whether there was a connection to it.
    """
    status = _status_of_proxy(error)
    if status is not None:
        kind = Failure.PROXY if status in _LASTING else Failure.CONNECT
        return WireFailure(kind, sent=False, detail=f"the proxy {proxy} answered {status}")
    reason = why_unconnected(error)
    if reached and reason == _PROXY_REFUSED:
        reason = f"the proxy {proxy} refused"
    return WireFailure(Failure.CONNECT, sent=False, detail=reason, proxy="" if reached else proxy)


def _status_of_proxy(error: BaseException) -> int | None:
    """The status with which a proxy has refused to make a way through; None where that is not what has happened."""
    match type(error).__name__:
        case "ClientHttpProxyError":
            return cast("int", getattr(error, "status", None))
        case "ProxyError":
            # httpx has it in the text only, before the proxy's own words.
            status = _STATUS.match(str(error))
            return int(status[0]) if status else None
        case _:
            return None


def why_rejected(error: BaseException) -> str:
    """Why a certificate was not accepted, in OpenSSL's words; empty where it was not OpenSSL that said so."""
    # aiohttp has an error of that class without the words; the one that it comes from has them.
    said = (getattr(each, "verify_message", "") for each in _causes(error))
    return next((words.rstrip(".") for words in said if words), "")


def is_of_another_loop(error: RuntimeError) -> bool:
    """Whether connections were used outside of their event loop, which asyncio says in plain words only."""
    return any(words in str(error) for words in _OF_A_LOOP)


def why_unconnected(error: BaseException) -> str:
    """The reason as far as the error and its causes tell; else the name of its class."""
    match type(error).__name__:
        case "PoolTimeout":
            return "none was free in time"
        case name:
            found = {_reason(each) for each in _causes(error)}
            return next((reason for reason in _TELLING if reason in found), name)


def _reason(error: BaseException) -> str | None:
    if isinstance(error, socket.gaierror):
        return _NO_NAME
    if isinstance(error, ssl.SSLError):
        return _NO_TLS
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    return _BY_NAME.get(type(error).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and what those came from."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", each).exceptions
