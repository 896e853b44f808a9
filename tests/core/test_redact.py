"""What may be shown: secrets hide, addresses and numbers are masked, headers pass by an allow-list."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from klickdoxie_core import Secret
from klickdoxie_core.redact import HIDDEN, mask, mask_payload, safe_headers, secret

CANARY = "s3hr-geh€im"


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r}".format, "{!s:>20}".format, "%s".__mod__, "%r".__mod__])
def test_a_secret_shows_itself_in_no_form(show: Callable[[Secret], str]) -> None:
    """Neither text nor repr nor any format holds it."""
    shown = show(Secret(CANARY))
    assert CANARY not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_never_pickled_or_copied(act: Callable[[Secret], object]) -> None:
    """It cannot leave the process by accident."""
    with pytest.raises(TypeError, match="never pickled"):
        act(Secret(CANARY))


def test_a_secret_compares_by_its_text() -> None:
    """Two secrets are equal when their texts are, and a secret never equals a text."""
    assert Secret(CANARY) == Secret(CANARY)
    assert hash(Secret(CANARY)) == hash(Secret(CANARY))
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY
    assert Secret(CANARY).reveal() == CANARY


def test_a_secret_is_made_once() -> None:
    """The converter wraps a text and leaves a secret as it is."""
    made = secret(CANARY)
    assert made == Secret(CANARY)
    assert secret(made) is made


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("Tag 4711 angelegt", "Tag 4711 angelegt"),
        ("käthe@bücher.example ist unbekannt", f"{HIDDEN} ist unbekannt"),
        ("<anna+x@example.com>", f"<{HIDDEN}>"),
        ('{"email":"anna@example.com"}', f'{{"email":"{HIDDEN}"}}'),
        ("anna%40example.com", HIDDEN),
        ("ANNA%40EXAMPLE.COM&x=1", f"{HIDDEN}&x=1"),
        ("a@b, c@d; e@f", f"{HIDDEN}, {HIDDEN}; {HIDDEN}"),
        ("ruf +49 170 1234567 an", f"ruf {HIDDEN} an"),
        ("00491701234567", HIDDEN),
        ("0170/123-45.67", HIDDEN),
        ("+49 (170) 1234567", HIDDEN),
        ("+49\u00a0170\u20131234567", HIDDEN),
        ("a.b%c@example.com", HIDDEN),
        ("50% von 100%40", "50% von 100%40"),
        ("Status 406 nach 12.50 s", "Status 406 nach 12.50 s"),
        ("2023-11-14", "2023-11-14"),
        ("1700000000", "1700000000"),
        ("0123", "0123"),
    ],
)
def test_masking(text: str, shown: str) -> None:
    """Addresses and phone numbers go completely, everything else stays."""
    assert mask(text) == shown


def test_masking_cuts_to_the_length_of_a_log_line() -> None:
    """A long text is cut, and the cut shows."""
    assert mask("ä" * 200) == "ä" * 200
    assert mask("ä" * 201) == "ä" * 200 + "…"


def test_masking_a_long_text_takes_no_time() -> None:
    """A hostile text does not keep the mask busy."""
    for piece in ("@", "a", "0", "+4 ", "a@", "%", "%40", "(0", "0-", "0(((", "a b "):
        assert len(mask(piece * 50_000)) <= 201


def test_masking_a_payload_bounds_it() -> None:
    """A decoded answer is copied in part: twenty entries, four levels, and each text masked, keys too."""
    assert mask_payload({"anna@example.com": ["+49 170 1234567", 5, None, True]}) == {HIDDEN: [HIDDEN, 5, None, True]}
    assert mask_payload(list(range(50))) == list(range(20))
    assert mask_payload({str(number): number for number in range(50)}) == {str(n): n for n in range(20)}
    assert mask_payload({"a": {"b": {"c": {"d": {"e": 1}}}}}) == {"a": {"b": {"c": {"d": HIDDEN}}}}
    assert mask_payload([[[[["x"]]]]]) == [[[[HIDDEN]]]]


def test_headers_pass_by_an_allow_list() -> None:
    """What may carry a credential is left out by not being named, and a value is masked all the same."""
    assert safe_headers(
        {
            "set-cookie": f"SESS={CANARY}",
            "authorization": CANARY,
            "x-ci": CANARY,
            "location": f"https://example.com/?key={CANARY}",
            "content-type": "application/json",
            "server": "contact anna@example.com",
            "x-request-id": "abc",
        }
    ) == {"content-type": "application/json", "server": f"contact {HIDDEN}", "x-request-id": "abc"}
