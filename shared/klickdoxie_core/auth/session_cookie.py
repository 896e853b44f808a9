"""A session that a login opens and that one cookie carries; the cookie is a header that we build, never a jar."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from klickdoxie_core.auth.scheme import Grant, Run, Scheme
from klickdoxie_core.call import Call
from klickdoxie_core.clock import Clock
from klickdoxie_core.errors import DecodeError, Facts
from klickdoxie_core.redact import Secret

L = TypeVar("L")

# Line breaks and `; Domain=` in a session would be an attack on every later request.
_TOKEN = re.compile(r"[A-Za-z0-9_.~%+/=-]{1,256}", re.ASCII)


def _signed_out(status: int, payload: object) -> bool:
    del payload
    return status in {401, 403}


@attrs.frozen(kw_only=True)
class SessionCookie(Scheme[Secret], Generic[L]):
    """A login call, and how to read the session out of its answer.

    Attributes:
        login: The call that opens a session.
        session: Reads the cookie's name and value out of the login's answer.
        logout: The call that ends the session; None where there is none.
        expired: Whether a refusal (status, decoded body) may mean that the session is over.
    """

    login: Call[L]
    session: Callable[[L], tuple[str, str]]
    logout: Call[Any] | None = None
    expired: Callable[[int, object], bool] = _signed_out

    async def obtain(self, run: Run, clock: Clock) -> Grant[Secret]:
        """Log in; raises `DecodeError` for an answer without a usable session."""
        del clock
        answer = await run(attrs.evolve(self.login, reread=False))
        name, value = self.session(answer)
        if not (_TOKEN.fullmatch(name) and _TOKEN.fullmatch(value)):
            facts = Facts(operation=self.login.operation, method=self.login.method, template=self.login.template)
            raise DecodeError("the login's answer holds no usable session", facts)
        return Grant(credential=Secret(f"{name}={value}"), detail=answer)

    def sign(self, credential: Secret) -> Mapping[str, str]:
        """The `Cookie` header, with the session and nothing else."""
        return {"cookie": credential.reveal()}

    def refused(self, status: int, payload: object) -> bool:
        """Whether the session may be over."""
        return self.expired(status, payload)

    async def release(self, run: Run, credential: Secret) -> None:
        """Log out."""
        if self.logout is not None:
            await run(attrs.evolve(self.logout, headers=self.sign(credential)))
