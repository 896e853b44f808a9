"""Questions to a fake account. Where the answer is no, the text names the contact by its id and says what there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from klickdoxie_core.testing import assert_no_repeats, fail, one_line
from klicktipp_async.field_schema import field_key
from klicktipp_async.sandbox import Sandbox, Status, StoredContact

UNREPEATABLE: Final = frozenset(
    {"Add or Update Contact", "Create Tag", "Create Data Field", "Create Opt-in Process", "Sign In"}
)
"""What creates something or may send a mail, so that it must not be carried out a second time by accident."""


def assert_contact(
    box: Sandbox,
    email: str,
    *,
    status: Status | str | None = None,
    fields: Mapping[str, object] | None = None,
) -> None:
    """There is a contact with this address, in this status and with these values.

    Args:
        box: The sandbox.
        email: The address, in any case.
        status: `pending`, `subscribed` or `unsubscribed`; None for any.
        fields: Data fields by key, with or without the prefix `field`, as the service keeps them: as texts, empty ones
            for no value; None asks for none.

    Raises:
        AssertionError: There is no such contact, or it is otherwise.
        ValueError: There is no such status, or a key is none.
    """
    __tracebackhide__ = True
    wanted = None if status is None else Status(status)
    contact = _contact(box, email)
    if wanted is not None and contact.status is not wanted:
        fail(box, f"contact {contact.id} is {contact.status.value}, not {wanted.value}")
    expected = {field_key(key): str(value) for key, value in (fields or {}).items()}
    other = [key for key, value in expected.items() if contact.fields.get(key, "") != value]
    if other:
        said = [f"{key} (has {'another' if contact.fields.get(key) else 'no'} value)" for key in other]
        fail(box, f"contact {contact.id} differs in {one_line(said)}")


def assert_tagged(box: Sandbox, email: str, *names: str) -> None:
    """The contact with this address has all of these tags, manual or smart.

    Args:
        box: The sandbox.
        email: The address, in any case.
        names: The names of the tags.

    Raises:
        AssertionError: It lacks one, or there is no such contact.
        ValueError: No tag is named.
    """
    __tracebackhide__ = True
    contact, tags = _tags_of(box, email, names)
    if missing := [name for name in names if name not in tags]:
        unknown = [repr(name) for name in missing if all(tag.name != name for tag in box.tags.values())]
        hint = f"; the account has no tag {one_line(unknown)} at all" if unknown else ""
        fail(box, f"contact {contact.id} lacks the tag {_quoted(missing)}; it has: {_quoted(tags)}{hint}")


def assert_not_tagged(box: Sandbox, email: str, *names: str) -> None:
    """The contact with this address has none of these tags, manual or smart.

    Args:
        box: The sandbox.
        email: The address, in any case.
        names: The names of the tags.

    Raises:
        AssertionError: It has one, or there is no such contact.
        ValueError: No tag is named.
    """
    __tracebackhide__ = True
    contact, tags = _tags_of(box, email, names)
    if unwanted := [name for name in names if name in tags]:
        fail(box, f"contact {contact.id} has the tag {_quoted(unwanted)}, and should not; it has: {_quoted(tags)}")


def assert_nothing_applied_twice(box: Sandbox) -> None:
    """Nothing that creates something or may send a mail was carried out twice alike.

    Tagging, updating and the like may be repeated without harm, and are when an answer is lost: they do not count.

    Raises:
        AssertionError: Something was.
        ValueError: The log has forgotten requests.
    """
    __tracebackhide__ = True
    assert_no_repeats(box, UNREPEATABLE)


def _contact(box: Sandbox, email: str) -> StoredContact:
    __tracebackhide__ = True
    contact = box.contact(email)
    if contact is None:
        fail(box, f"there is no contact with this address; the contacts are: {one_line(box.contacts)}")
    return contact


def _tags_of(box: Sandbox, email: str, names: tuple[str, ...]) -> tuple[StoredContact, list[str]]:
    __tracebackhide__ = True
    if not names:
        msg = "name at least one tag"
        raise ValueError(msg)
    contact = _contact(box, email)
    return contact, [box.tags[tag_id].name for tag_id in contact.tags]


def _quoted(names: list[str]) -> str:
    return one_line([repr(name) for name in names])
