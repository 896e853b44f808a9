"""Why no connection could be made, in our own words: those of an HTTP library may quote an address."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import cast

_NO_NAME = "name not found"
_NO_TLS = "TLS failed"
_REFUSED = "connection refused"
_TIMED_OUT = "timed out while connecting"
_CLOSED = "the other side hung up"
_UNREACHABLE = "network unreachable"
_PROXY_REFUSED = "the proxy refused"

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


def why_unconnected(error: BaseException) -> str:
    """The reason as far as the error and its causes tell; else the name of its class."""
    match type(error).__name__:
        case "PoolTimeout":
            return "none was free in time"
        case "ClientProxyConnectionError":
            return "the proxy could not be reached"
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
