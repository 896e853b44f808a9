"""The key pair: the vendor's test vectors, and what is refused before anything is sent."""

from __future__ import annotations

import base64
import pickle

import pytest

from klickdoxie_core import KeyPair, Secret
from klickdoxie_core.errors import ArgumentError, Forbidden, SdkError, Unauthorized
from tests.core.support import Client, ScriptedWire, a_call, answer, failure_of

VECTORS = [
    ("0123456789abcdef", "customer-key", "cZkWFoPs3rLacJ4OpaooJMMOcb/fLxbZpeeOzJFCGh1jdXN0b21lci1rZXk="),
    ("00", "test-customer", "OP99eS9WvfdPi+jFAf/Z4Mp6esVZ1LJs2sPuHj7xK8h0ZXN0LWN1c3RvbWVy"),
]


@pytest.mark.parametrize(("developer_key", "customer_key", "cipher"), VECTORS)
def test_vectors(developer_key: str, customer_key: str, cipher: str) -> None:
    """The cipher is the one that the vendor's own code makes."""
    assert KeyPair("anna", developer_key, customer_key).sign(None) == {"x-un": "anna", "x-ci": cipher}


@pytest.mark.parametrize(
    "developer_key", ["0123456789ABCDEF", " 01 23\t45 67\n89 ab cd\u00a0ef ", "0123456789abCDef\r\n"]
)
@pytest.mark.parametrize("customer_key", ["customer-key", "  customer-key\n"])
def test_keys_are_taken_as_people_paste_them(developer_key: str, customer_key: str) -> None:
    """White space of any kind and the case of the digits do not matter."""
    assert KeyPair("  anna ", developer_key, customer_key).cipher() == VECTORS[0][2]


def test_a_customer_key_with_umlauts_is_utf8() -> None:
    """The cipher ends with the key's own bytes."""
    assert base64.b64decode(KeyPair("anna", "00", "schlüssel").cipher())[32:].decode() == "schlüssel"


@pytest.mark.parametrize("key", ["", "  ", "abc", "zz", "0xab", "ab-cd", "ab:cd", "٠٠", "ａｂ"])
def test_a_developer_key_is_hexadecimal(key: str) -> None:
    """Anything but an even number of digits is refused, without showing it."""
    with pytest.raises(ArgumentError) as caught:
        KeyPair("anna", key, "customer-key")
    assert str(caught.value) == "developer_key must be an even number of hexadecimal digits"


@pytest.mark.parametrize("key", ["", "   ", "a\r\nb", "a\x00", "\ud800"])
def test_a_customer_key_is_a_text(key: str) -> None:
    """An empty one, and one that no encoding can carry, are refused when the pair is made."""
    with pytest.raises(ArgumentError, match=r"^customer_key must be a non-empty text"):
        KeyPair("anna", "00", key)


@pytest.mark.parametrize("username", ["", "  ", "käthe", "a\r\nX-Ci: y", "a\x00", "a\x7f"])
def test_a_user_name_fits_into_a_header(username: str) -> None:
    """Only printable ASCII does."""
    with pytest.raises(ArgumentError, match=r"^username must be a non-empty text of printable ASCII"):
        KeyPair(username, "00", "customer-key")


@pytest.mark.parametrize("username", ["a", "anna", "main-sub account", "anna@example.com", "!~"])
def test_a_user_name_may_hold_what_is_printable(username: str) -> None:
    """Spaces inside and signs are fine."""
    assert KeyPair(username, "00", "customer-key").sign(None)["x-un"] == username


def test_no_key_is_shown_or_pickled() -> None:
    """Repr names the headers only."""
    pair = KeyPair("anna", Secret("00"), Secret("customer-key"), cipher_header="x-cipher")
    assert repr(pair) == "KeyPair(username_header='x-un', cipher_header='x-cipher')"
    assert set(pair.sign(None)) == {"x-un", "x-cipher"}
    with pytest.raises(TypeError):
        pickle.dumps(pair)


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, Forbidden)])
async def test_a_refusal_is_final(status: int, error: type[SdkError]) -> None:
    """There is nothing to renew, so there is one request."""
    wire = ScriptedWire(answer(status))
    pair = KeyPair("anna", *VECTORS[0][:2])
    caught = await failure_of(Client(wire, {"account": pair}).run(a_call(auth="account")))
    assert (type(caught), len(wire.requests), caught.renewals) == (error, 1, 0)
    assert wire.requests[0].headers["x-ci"] == VECTORS[0][2]
