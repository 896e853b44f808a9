"""`klicktipp doctor`: what stands between this machine and the account, and what to do about it.

Exit codes: 0 nothing failed; 3 the credentials were refused; 1 something else failed.
"""

from __future__ import annotations

import argparse
import enum
import ipaddress
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final, cast
from urllib.parse import urlsplit

import attrs

from klickdoxie_core import (
    CertificateRejected,
    ConfigError,
    ConnectFailed,
    DecodeError,
    Forbidden,
    NotFound,
    Redirected,
    SdkError,
    Unauthorized,
    command_line,
    recording,
)
from klickdoxie_core.command_line import BROKEN_OFF, FAILED, OK, REFUSED
from klickdoxie_core.observe import Recording
from klickdoxie_core.redact import mask
from klicktipp_async.client import BASE_URL, KlickTipp
from klicktipp_async.commands.account import CREDENTIALS, add_account_options, client_from
from klicktipp_async.models.account import Account

MOST_SECONDS_OFF: Final = 30.0
"""How far the clocks may be apart."""

_PACKAGES = ("klickdoxie", "httpx", "anyio")
_VARIABLES = tuple(
    f"KLICKTIPP_{name}" for name in ("USERNAME", "PASSWORD", "DEVELOPER_KEY", "CUSTOMER_KEY", "BASE_URL")
)
_NETWORK_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
_ACTIVE = 1

_ADVICE: Final[Mapping[type[SdkError], str]] = {
    Unauthorized: "check KLICKTIPP_USERNAME and KLICKTIPP_PASSWORD, or the two keys, before you try again",
    Forbidden: "check the keys and the user's role, and that the plan is Premium or higher, for key pairs Enterprise",
    CertificateRejected: "check the base URL, and whether something on the way opens TLS connections",
    ConnectFailed: "check the base URL, the network and its firewall",
    NotFound: "check the base URL",
    Redirected: "check the base URL",
    DecodeError: "check the base URL",
}


class State(enum.StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class Check:
    """What one check found. Neither holds a credential, nor personal data.

    Attributes:
        name: What was looked at.
        said: What was found, and what to do.
        refused: The service refused the credentials.
    """

    name: str
    state: State = State.OK
    said: str
    refused: bool = False


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Make the parser that of `klicktipp doctor`."""
    parser.description = f"Find out what keeps the account from being reached. {CREDENTIALS}"
    parser.set_defaults(command=_doctor, interrupted=BROKEN_OFF)
    add_account_options(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON, a list of objects")


async def _doctor(options: argparse.Namespace) -> int:
    checks = [versions(), network(os.environ)]
    try:
        client = client_from(options)
    except ConfigError as error:
        checks.append(Check(name="environment", state=State.FAILED, said=str(error)))
    else:
        checks.append(environment(os.environ))
        encryption = encrypted(os.environ.get("KLICKTIPP_BASE_URL") or BASE_URL)
        checks.append(encryption)
        async with client as kt:
            # A password is not sent in the clear to find out whether it is right.
            checks += [] if encryption.state is State.FAILED else await _examined(kt)
    sys.stdout.write(f"{_json(checks) if options.json else _table(checks)}\n")
    return _exit_code(checks)


async def _examined(kt: KlickTipp) -> Sequence[Check]:
    with recording() as seen:
        credentials = await _credentials(kt)
        clocks = clock(_date(seen), time.time())
    if credentials.state is State.FAILED:
        return [credentials, *clocks]
    lists = {"data fields": _fields, "tags": _tags, "opt-in processes": _opt_ins}
    found = [await _tried(name, look, kt) for name, look in lists.items()]
    return [credentials, *clocks, await _tried("plan", _plan, kt), *found]


async def _tried(name: str, look: Callable[[KlickTipp], Awaitable[Check]], kt: KlickTipp) -> Check:
    try:
        return await look(kt)
    except SdkError as error:
        return _failed(name, error)


def _failed(name: str, error: SdkError) -> Check:
    advice = next((said for kind, said in _ADVICE.items() if isinstance(error, kind)), "try again later")
    refused = isinstance(error, Unauthorized | Forbidden)
    return Check(name=name, state=State.FAILED, said=f"{error}; {advice}", refused=refused)


async def _credentials(kt: KlickTipp) -> Check:
    async def look(kt: KlickTipp) -> Check:
        started = time.monotonic()
        await kt.login()
        return Check(name="credentials", said=f"accepted after {time.monotonic() - started:.2f} s")

    return await _tried("credentials", look, kt)


async def _plan(kt: KlickTipp) -> Check:
    try:
        return plan(await kt.account.get())
    except (NotFound, DecodeError) as error:
        if error.status != 404:
            raise
        # The operation is not documented, and nothing else depends on it.
        return Check(name="plan", state=State.WARNING, said="the service does not tell; look it up in KlickTipp")


async def _fields(kt: KlickTipp) -> Check:
    return Check(name="data fields", said=f"{len(await kt.fields.all()):,} can be listed")


async def _tags(kt: KlickTipp) -> Check:
    return Check(name="tags", said=f"{len(await kt.tags.all()):,} can be listed")


async def _opt_ins(kt: KlickTipp) -> Check:
    names = await kt.opt_ins.all()
    said, state = f"{len(names):,} can be listed, the default one among them", State.OK
    if "" not in names.values():
        said = f"{len(names):,} can be listed, but the default one is missing; name a process with --opt-in ID"
        state = State.WARNING
    return Check(name="opt-in processes", state=state, said=said)


def versions() -> Check:
    """What this runs on."""
    told = [f"{name} {_version(name)}" for name in _PACKAGES]
    return Check(name="versions", said=", ".join([*told, f"Python {platform.python_version()}"]))


def environment(variables: Mapping[str, str]) -> Check:
    """Which credentials the environment gives, by the names of their variables only."""
    given = [name for name in _VARIABLES if variables.get(name)]
    if spaced := [name for name in given if variables[name] != variables[name].strip()]:
        said = f"{', '.join(spaced)} begins or ends with white space; set it again without"
        return Check(name="environment", state=State.WARNING, said=said)
    return Check(name="environment", said=f"{', '.join(given)} set")


def network(variables: Mapping[str, str]) -> Check:
    """Variables that other programs take their way into the network from; named only, they may hold passwords."""
    given = [name for name in _NETWORK_VARIABLES if variables.get(name) or variables.get(name.lower())]
    if not given:
        return Check(name="proxies", said="the environment names none")
    said = (
        f"{', '.join(given)} set, but not used: commands take no proxy and no certificates from the environment; where "
        "they are needed, write a program that hands an HTTP client of its own to the SDK"
    )
    return Check(name="proxies", state=State.WARNING, said=said)


def encrypted(base_url: str) -> Check:
    """Whether the credentials travel safely: by https, or on this machine only."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return Check(name="TLS", said=f"requests go to {host} by https")
    if _is_loopback(host):
        return Check(name="TLS", said="requests stay on this machine")
    said = "the base URL is not https, so that anybody on the way can read the password; nothing was sent"
    return Check(name="TLS", state=State.FAILED, said=said)


def clock(date: str | None, now: float) -> Sequence[Check]:
    """How far this machine's clock is from the service's; nothing where the service did not answer.

    Args:
        date: The header of an answer that just came; None without an answer.
        now: This machine's time, seconds since 1970 UTC.
    """
    if date is None:
        return []
    try:
        off = now - parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return [Check(name="clock", state=State.WARNING, said="the service does not tell the time")]
    if abs(off) <= MOST_SECONDS_OFF:
        return [Check(name="clock", said="as the service's, within half a minute")]
    said = f"{abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the service's; set this machine's clock"
    return [Check(name="clock", state=State.WARNING, said=said)]


def plan(account: Account) -> Check:
    """What the account tells of its plan."""
    customer = account.extra.get("customerData")
    product = cast("Mapping[str, object]", customer).get("product") if isinstance(customer, Mapping) else None
    told = [f"product {mask(str(product))}"] if product else []
    # A name rather than a size: in some accounts it is far below the number of contacts.
    told += [] if account.tier is None else [f"tier {account.tier}"]
    said = ", ".join(told) or "the account tells neither product nor tier"
    if account.status not in {_ACTIVE, None}:
        return Check(name="plan", state=State.WARNING, said=f"{said}; the account is not active, look into KlickTipp")
    access = account.extra.get("access")
    if isinstance(access, Mapping) and cast("Mapping[str, object]", access).get("api") is False:
        said = f"{said}; without access to the API, which takes a plan of Premium or higher"
        return Check(name="plan", state=State.WARNING, said=said)
    return Check(name="plan", said=said)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _date(seen: Recording) -> str | None:
    """The time of the latest answer; an empty text where that had none, None without an answer."""
    answered = [exchange for exchange in seen.exchanges if exchange.status is not None]
    return answered[-1].headers.get("date", "") if answered else None


def _json(checks: Sequence[Check]) -> str:
    return json.dumps([{"check": it.name, "state": it.state, "said": it.said} for it in checks])


def _table(checks: Sequence[Check]) -> str:
    return command_line.columns([[it.state, it.name, it.said] for it in checks])


def _exit_code(checks: Sequence[Check]) -> int:
    if any(check.refused for check in checks):
        return REFUSED
    return FAILED if any(check.state is State.FAILED for check in checks) else OK
