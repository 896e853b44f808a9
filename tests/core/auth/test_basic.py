"""HTTP Basic: UTF-8, refused where it could not work, and final when it is refused."""

from __future__ import annotations

import base64
import pickle

import pytest

from klickdoxie_core import Basic, Secret
from klickdoxie_core.errors import ArgumentError, Forbidden, SdkError, Unauthorized
from tests.core.support import Client, ScriptedWire, a_call, answer, failure_of


@pytest.mark.parametrize(
    ("username", "password"),
    [("anna", "geheim"), ("käthe", "pä$$wört€"), ("a b", "with:colon:"), ("x", " "), ("anna@example.com", "𝄞")],
)
def test_the_header_is_both_as_utf8(username: str, password: str) -> None:
    """Umlauts are everyday, and a password may hold colons."""
    header = Basic(username, password).sign(None)["authorization"]
    assert header.startswith("Basic ")
    assert base64.b64decode(header.removeprefix("Basic "), validate=True).decode() == f"{username}:{password}"


@pytest.mark.parametrize("username", ["", "a:b", ":", "a\r\nX: y", "a\x00", "a\x7f", "a\x85", "\ud800"])
def test_a_user_name_that_cannot_work_is_refused(username: str) -> None:
    """A colon would silently make another user of it; the text names the argument and not the value."""
    with pytest.raises(ArgumentError, match=r"^username must be a non-empty text without colons") as caught:
        Basic(username, "geheim")
    assert "a:b" not in str(caught.value)


@pytest.mark.parametrize("password", ["", "a\r\nb", "geheim\x00", "\udfff"])
def test_a_password_that_cannot_work_is_refused(password: str) -> None:
    """Line breaks would be another header."""
    with pytest.raises(ArgumentError, match=r"^password must be a non-empty text") as caught:
        Basic("anna", password)
    assert "geheim" not in str(caught.value)


def test_neither_name_nor_password_is_shown_or_pickled() -> None:
    """Repr holds nothing, and the value does not leave the process."""
    basic = Basic("anna", Secret("geheim"))
    assert repr(basic) == "Basic()"
    assert basic == Basic("anna", "geheim")
    with pytest.raises(TypeError):
        pickle.dumps(basic)


@pytest.mark.anyio
async def test_there_is_nothing_to_release() -> None:
    """Closing the client sends nothing."""
    wire = ScriptedWire(answer())
    async with Client(wire, {"account": Basic("anna", "geheim")}) as client:
        await client.run(a_call(auth="account"))
    assert len(wire.requests) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, Forbidden)])
async def test_a_refusal_is_final(status: int, error: type[SdkError]) -> None:
    """There is nothing to renew, so there is one request."""
    wire = ScriptedWire(answer(status))
    caught = await failure_of(Client(wire, {"account": Basic("käthe", "ä")}).run(a_call(auth="account")))
    assert (type(caught), caught.attempts, caught.renewals) == (error, 1, 0)
    assert wire.requests[0].headers["authorization"] == "Basic a8OkdGhlOsOk"
