"""The listbuilding key: signing in, out and off without an account."""

import httpx
import pytest

from klicktipp_async.sandbox import Sandbox, Status

pytestmark = pytest.mark.anyio

EMAIL = "jürgen@example.com"


async def _sign(box: Sandbox, what: str, **arguments: object) -> httpx.Response:
    return await box.http_client().post(f"/subscriber/{what}", json={"apikey": box.api_key, **arguments})


async def test_signing_in_subscribes_and_tags(box: Sandbox) -> None:
    """The key's tag and its SmartTag are put on, a confirmation mail goes out, the pending page is answered."""
    answer = await _sign(box, "signin", email=EMAIL, fields={"fieldFirstName": "Jürgen"})
    contact = box.contact(EMAIL)
    assert contact is not None
    assert answer.json() == [f"https://klick.klicktipp.sandbox/pending/{contact.key}"]
    assert [box.tags[tag_id].smart for tag_id in contact.tags] == [False, True]
    assert contact.fields == {"fieldFirstName": "Jürgen"}
    assert (contact.status, box.confirmation_mails[EMAIL]) == (Status.PENDING, 1)


async def test_signing_out_takes_the_tag_off_once(box: Sandbox) -> None:
    """The second time, and for somebody unknown, the tag is not found."""
    await _sign(box, "signin", email=EMAIL)
    assert (await _sign(box, "signout", email=EMAIL)).json() == [True]
    contact = box.contact(EMAIL)
    assert contact is not None
    assert [box.tags[tag_id].smart for tag_id in contact.tags] == [True]
    for email in (EMAIL, "nobody@example.com"):
        refused = await _sign(box, "signout", email=email)
        assert (refused.status_code, refused.json()) == (406, {"error": 403})


async def test_signing_off_unsubscribes_and_nobody_signs_in_again(box: Sandbox) -> None:
    """An unknown or pending contact is not subscribed (9); who has left is not taken back (4)."""
    assert (await _sign(box, "signoff", email=EMAIL)).json() == {"error": 9}
    await _sign(box, "signin", email=EMAIL)
    assert (await _sign(box, "signoff", email=EMAIL)).json() == {"error": 9}
    box.confirm(EMAIL)
    assert (await _sign(box, "signoff", email=EMAIL)).json() == [True]
    assert (await _sign(box, "signin", email=EMAIL)).json() == {"error": 4}


@pytest.mark.parametrize("what", ["signin", "signout", "signoff"])
async def test_a_wrong_key_is_an_empty_500(box: Sandbox, what: str) -> None:
    """A wrong key is a server error without a body, a missing one a missing argument."""
    wrong = await _sign(box, what, apikey="falsch", email=EMAIL)
    assert (wrong.status_code, wrong.content) == (500, b"")
    missing = await box.http_client().post(f"/subscriber/{what}", json={"email": EMAIL})
    assert (missing.status_code, missing.json()) == (401, ["Missing required argument apikey"])


async def test_a_key_can_use_another_process(box: Sandbox) -> None:
    """A key for the single opt-in subscribes at once, by an SMS number as well."""
    box_key = box.add_api_key("Messe", tag_id=box.add_tag("Messe"), opt_in_id=box.single_opt_in_id)
    await _sign(box, "signin", apikey=box_key, email=EMAIL)
    await _sign(box, "signin", apikey=box_key, smsnumber="+491701234567")
    assert [contact.status for contact in box.contacts.values()] == [Status.SUBSCRIBED] * 2
    assert box.confirmation_mails == {}
