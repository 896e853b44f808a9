"""The account that a command works with: named by the environment, and by the options that all commands share."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import Final

from klickdoxie_core import Limit
from klickdoxie_core.command_line import positive_float, positive_int
from klicktipp_async.auth import SessionLogin
from klicktipp_async.client import BASE_URL, KlickTipp

CREDENTIALS: Final = (
    "The credentials come from the environment: KLICKTIPP_USERNAME, and either KLICKTIPP_PASSWORD or "
    "KLICKTIPP_DEVELOPER_KEY with KLICKTIPP_CUSTOMER_KEY."
)
"""For the description of a command."""

_SECRETS = ("KLICKTIPP_PASSWORD", "KLICKTIPP_DEVELOPER_KEY", "KLICKTIPP_CUSTOMER_KEY")


def add_account_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `client_from` reads; a password or a key is never one of them."""
    add = parser.add_argument
    add("--concurrency", type=positive_int, default=16, metavar="N", help="calls under way at once (default: 16)")
    add("--rate", type=positive_float, metavar="N", help="requests a second at the most")
    add("--username", metavar="NAME", help="instead of KLICKTIPP_USERNAME; the password is never an argument")
    add("--base-url", metavar="URL", help="another service, such as the sandbox")


def client_from(options: argparse.Namespace) -> KlickTipp:
    """A client with the credentials of the environment; a missing password is asked for on a terminal.

    Raises:
        ConfigError: Names every variable that is missing, or says what is wrong with one.
    """
    # The environment of this process is ours; `from_env` reads it.
    if options.username:
        os.environ["KLICKTIPP_USERNAME"] = options.username
    if options.base_url:
        os.environ["KLICKTIPP_BASE_URL"] = options.base_url
    limit = Limit(concurrency=options.concurrency, rate=options.rate)
    username = os.environ.get("KLICKTIPP_USERNAME")
    if username and not any(os.environ.get(name) for name in _SECRETS) and sys.stdin.isatty():
        login = SessionLogin(username, getpass.getpass(f"KlickTipp password of {username}: "))
        return KlickTipp(login, base_url=os.environ.get("KLICKTIPP_BASE_URL") or BASE_URL, limit=limit)
    return KlickTipp.from_env(limit=limit)
