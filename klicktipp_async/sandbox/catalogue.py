"""The operations on data fields, opt-in processes and tags."""

from __future__ import annotations

from klicktipp_async.field_schema import FieldType
from klicktipp_async.sandbox.rules import is_tag_name
from klicktipp_async.sandbox.store import Status, Store, StoredField, StoredOptIn, StoredTag
from klicktipp_async.sandbox.texts import Text
from klicktipp_async.sandbox.wire_format import Ask, Refused, as_id, business

_HOSTED_PAGES = "https://klick.klicktipp.sandbox"


def list_fields(store: Store, ask: Ask) -> dict[str, str]:
    """List Data Fields: key to label."""
    del ask
    return {key: field.label for key, field in store.fields.items()}


def get_field(store: Store, ask: Ask) -> dict[str, str]:
    """Get Data Field, by its key without the prefix."""
    field = _field(store, ask)
    return {"id": field.id, "name": field.label}


def create_field(store: Store, ask: Ask) -> list[int]:
    """Create Data Field (undocumented)."""
    label = ask.required("name")
    kind = ask.text("type") or FieldType.LINE
    if not label.strip() or kind not in set(FieldType):
        raise Refused(406, [Text.FIELD_REFUSED])
    return [int(store.add_field(label, FieldType(kind)).id)]


def update_field(store: Store, ask: Ask) -> list[bool]:
    """Update Data Field (undocumented); an unknown one is answered as if it were a tag."""
    field = _custom_field(store, ask)
    field.label = ask.text("name") or field.label
    return [True]


def delete_field(store: Store, ask: Ask) -> list[bool]:
    """Delete Data Field (undocumented), with every contact's value."""
    store.delete_field(_custom_field(store, ask))
    return [True]


def list_opt_ins(store: Store, ask: Ask) -> dict[int, str]:
    """List Opt-in Processes: id to name; the default one has no name."""
    del ask
    return {opt_in.id: opt_in.name for opt_in in store.opt_ins.values()}


def get_opt_in(store: Store, ask: Ask) -> dict[str, object]:
    """Get Opt-in Process."""
    return _opt_in_shown(_opt_in(store, ask.hole("listid")))


def create_opt_in(store: Store, ask: Ask) -> dict[str, object]:
    """Create Opt-in Process (undocumented)."""
    name = ask.required("name")
    if any(opt_in.name == name for opt_in in store.opt_ins.values()):
        raise Refused(409, [f"A list with the name {name} already exists."])
    return _opt_in_shown(store.add_opt_in(name))


def update_opt_in(store: Store, ask: Ask) -> list[bool]:
    """Update Opt-in Process (undocumented)."""
    opt_in = _opt_in(store, ask.hole("listid"))
    opt_in.name = ask.text("name") or opt_in.name
    return [True]


def delete_opt_in(store: Store, ask: Ask) -> list[bool]:
    """Delete Opt-in Process (undocumented); the default one stays."""
    opt_in = _opt_in(store, ask.hole("listid"))
    if opt_in is store.default_opt_in:
        raise Refused(406, [Text.OPT_IN_KEPT])
    del store.opt_ins[opt_in.id]
    return [True]


def redirect_url(store: Store, ask: Ask) -> list[str]:
    """Search Redirect URL: the pending page until the contact has confirmed, then the thank-you page."""
    list_id, email = ask.required("listid"), ask.required("email")
    opt_in = _opt_in(store, list_id)
    contact = store.with_email(email)
    if contact is None:
        raise Refused(404, [Text.NO_CONTACT])
    if contact.status is Status.PENDING:
        return [opt_in.pending_url or pending_page(contact.key)]
    return [opt_in.thank_you_url or f"{_HOSTED_PAGES}/thankyou/{contact.key}"]


def pending_page(contact_key: str) -> str:
    """The hosted page that asks a new contact to look into the mailbox."""
    return f"{_HOSTED_PAGES}/pending/{contact_key}"


def list_tags(store: Store, ask: Ask) -> dict[int, str]:
    """List Tags: id to name, without SmartTags."""
    del ask
    return {tag_id: name for name, tag_id in store.tag_ids.items()}


def get_tag(store: Store, ask: Ask) -> dict[str, str]:
    """Get Tag, smart ones too."""
    tag = _tag(store, ask)
    return {"tagid": str(tag.id), "name": tag.name, "text": tag.text}


def create_tag(store: Store, ask: Ask) -> list[int]:
    """Create Tag."""
    name = ask.required("name")
    _check_name(store, name)
    return [store.add_tag(name, ask.text("text") or "").id]


def update_tag(store: Store, ask: Ask) -> list[bool]:
    """Update Tag; null leaves as it is, an empty description blanks it."""
    tag = _manual_tag(store, ask)
    name, text = ask.text("name"), ask.text("text")
    if name is not None and name != tag.name:
        _check_name(store, name)
        store.rename_tag(tag, name)
    if text is not None:
        tag.text = text
    return [True]


def delete_tag(store: Store, ask: Ask) -> list[bool]:
    """Delete Tag: it vanishes from all contacts."""
    store.delete_tag(_manual_tag(store, ask))
    return [True]


def _field(store: Store, ask: Ask) -> StoredField:
    key = f"field{ask.hole('fieldid')}"
    if key not in store.fields:
        raise Refused(404, [Text.NO_FIELD])
    return store.fields[key]


def _custom_field(store: Store, ask: Ask) -> StoredField:
    field_id = ask.hole("fieldid")
    if not field_id.isdecimal() or f"field{field_id}" not in store.fields:
        raise Refused(404, [Text.NO_TAG])
    return store.fields[f"field{field_id}"]


def _opt_in(store: Store, list_id: str) -> StoredOptIn:
    opt_in = store.opt_ins.get(as_id(list_id))
    if opt_in is None:
        raise Refused(404, [Text.NO_OPT_IN])
    return opt_in


def _opt_in_shown(opt_in: StoredOptIn) -> dict[str, object]:
    return {
        "listid": str(opt_in.id),
        "name": opt_in.name,
        "usesingleoptin": opt_in.single,
        "pendingurl": opt_in.pending_url,
        "thankyouurl": opt_in.thank_you_url,
        "resendconfirmationemail": opt_in.resend,
        "usechangeemail": False,
    }


def _tag(store: Store, ask: Ask) -> StoredTag:
    tag = store.tags.get(as_id(ask.hole("tagid")))
    if tag is None:
        raise Refused(404, [Text.NO_TAG])
    return tag


def _manual_tag(store: Store, ask: Ask) -> StoredTag:
    tag = _tag(store, ask)
    if tag.smart:
        raise business(31)
    return tag


def _check_name(store: Store, name: str) -> None:
    if name in store.tag_ids or not is_tag_name(name):
        raise Refused(406, [Text.TAG_REFUSED])
