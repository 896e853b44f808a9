"""The client of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from doxie_async.client import Doxie
from doxie_async.routes import Auth


class CommandClient(Doxie):
    """The client, but that it names variables where a credential is missing."""

    missing: ClassVar[Mapping[str, str]] = {
        Auth.API_USER: "this needs an API user: set DOXIE_API_USER and DOXIE_API_PASSWORD",
        Auth.ADMIN: "this needs an administrator: set DOXIE_TOKEN, or DOXIE_CLIENT_ID with DOXIE_CLIENT_SECRET and "
        "DOXIE_TOKEN_URL",
    }
