"""Credentials and personal data that can be found again, and every place where an application may see them."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
from collections.abc import Iterable, Mapping

import attrs

from klickdoxie_core import Recording
from klickdoxie_core.errors import SdkError

USERNAME = "voliere"
PASSWORD = "Kan4ri-Passwort"
KEY = "Kan4ri-Schluessel"
COOKIE = "Kan4ri-Sitzung"
TOKEN = "Kan4ri-Token"
EMAIL = "kanarie.vogel@voliere.example"
PHONE = "+4915123456789"

BASIC = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode("ascii")

# The e-mail address by the part that no quoting changes, the number by its digits.
_WORDS = {
    "password": (PASSWORD, BASIC),
    "key": (KEY,),
    "cookie": (COOKIE,),
    "token": (TOKEN,),
    "e-mail address": ("kanarie.vogel",),
    "phone number": (PHONE.removeprefix("+"),),
}

OF_THE_APPLICATION = ("httpx", "httpcore", "httpx2", "httpcore2", "aiohttp")
"""Loggers of the HTTP libraries. Below WARNING they tell URLs and headers; it is for the application to turn that on or
off. The tests leave them at WARNING and look at what comes; all other loggers are looked at from DEBUG on."""


def spilled(places: Mapping[str, str]) -> list[str]:
    """Which canary turned up where; an empty list is what everybody wants."""
    return [
        f"{name} in {place}: {text[:300]}"
        for place, text in places.items()
        for name, words in _WORDS.items()
        if any(word.lower() in text.lower() for word in words)
    ]


def shown_by(error: SdkError) -> dict[str, str]:
    """All that an error shows: to people, to logs, and to another process."""
    pickled = pickle.dumps(error)
    return {
        "str(error)": str(error),
        "repr(error)": repr(error),
        "error.args": repr(error.args),
        "error.notes": repr(getattr(error, "__notes__", [])),
        "error.body": repr(error.body),
        "traceback": "".join(traceback.format_exception(error)),
        "pickle": pickled.decode("latin-1"),
        "pickled and loaded": repr(attrs.asdict(pickle.loads(pickled).facts)),
    }


def shown_by_recording(seen: Recording) -> dict[str, str]:
    """All that observers are told."""
    told = [attrs.asdict(exchange) for exchange in seen.exchanges] + [attrs.asdict(each) for each in seen.attempts]
    return {"recording()": repr(told)}


def shown_by_logs(records: Iterable[logging.LogRecord]) -> dict[str, str]:
    """What was logged, with every field of each record."""
    texts = [(record.name, f"{record.getMessage()} {vars(record)}") for record in records]
    assert any(name == "klickdoxie_core" for name, _ in texts), "nothing was logged, so nothing was looked at"
    return {f"log of {name}, line {number}": text for number, (name, text) in enumerate(texts, start=1)}
