"""Every operation of the service: the vendor's name, where it is called, what carries it out, what it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import attrs

from klicktipp_async.sandbox import account, catalogue, contacts, listbuilding
from klicktipp_async.sandbox.store import Store
from klicktipp_async.sandbox.wire_format import Ask

_HOLE = re.compile(r"\{(\w+)\}")
_OF_A_CONTACT = ("email", "smsnumber", "listid", "tagid", "fields")
_FILTERS = ("status", "bounceStatus")


@attrs.frozen
class Operation:
    """One operation; `signed` ones need a session or a pair of keys.

    Attributes:
        takes: The names in its body or query.
    """

    name: str
    method: str
    template: str
    run: Callable[[Store, Ask], object] = attrs.field(repr=False)
    signed: bool = attrs.field(default=True, kw_only=True)
    takes: tuple[str, ...] = attrs.field(default=(), kw_only=True)

    @property
    def names(self) -> frozenset[str]:
        """All that a request may carry: in its path, its query and its body."""
        return frozenset((*_HOLE.findall(self.template), *self.takes))


OPERATIONS: Final = (
    Operation("Login", "POST", "/account/login", account.login, signed=False, takes=("username", "password")),
    Operation("Logout from API", "POST", "/account/logout", account.logout, signed=False),
    Operation("List Data Fields", "GET", "/field", catalogue.list_fields),
    Operation("Get Data Field", "GET", "/field/{fieldid}", catalogue.get_field),
    Operation("List Opt-in Processes", "GET", "/list", catalogue.list_opt_ins),
    Operation("Get Opt-in Process", "GET", "/list/{listid}", catalogue.get_opt_in),
    Operation("Search Redirect URL", "POST", "/list/redirect", catalogue.redirect_url, takes=("listid", "email")),
    Operation("List Contacts", "GET", "/subscriber", contacts.list_contacts, takes=(*_FILTERS, "limit", "cursor")),
    Operation("Add or Update Contact", "POST", "/subscriber", contacts.upsert, takes=_OF_A_CONTACT),
    Operation("Get Contact", "GET", "/subscriber/{subscriberid}", contacts.get),
    Operation(
        "Update Contact",
        "PUT",
        "/subscriber/{subscriberid}",
        contacts.update,
        takes=("newemail", "newsmsnumber", "fields"),
    ),
    Operation("Delete Contact", "DELETE", "/subscriber/{subscriberid}", contacts.delete),
    Operation("Unsubscribe Contact", "POST", "/subscriber/unsubscribe", contacts.unsubscribe, takes=("email",)),
    Operation("Tag Contact", "POST", "/subscriber/tag", contacts.tag, takes=("email", "tagids")),
    Operation("Untag Contact", "POST", "/subscriber/untag", contacts.untag, takes=("email", "tagid")),
    Operation("Search Contact ID", "POST", "/subscriber/search", contacts.search, takes=("email",)),
    Operation("Search Tagged Contacts", "POST", "/subscriber/tagged", contacts.tagged, takes=("tagid", *_FILTERS)),
    Operation("List Tags", "GET", "/tag", catalogue.list_tags),
    Operation("Create Tag", "POST", "/tag", catalogue.create_tag, takes=("name", "text")),
    Operation("Get Tag", "GET", "/tag/{tagid}", catalogue.get_tag),
    Operation("Update Tag", "PUT", "/tag/{tagid}", catalogue.update_tag, takes=("name", "text")),
    Operation("Delete Tag", "DELETE", "/tag/{tagid}", catalogue.delete_tag),
    Operation(
        "Sign In",
        "POST",
        "/subscriber/signin",
        listbuilding.sign_in,
        signed=False,
        takes=("apikey", "email", "smsnumber", "fields"),
    ),
    Operation(
        "Sign Out", "POST", "/subscriber/signout", listbuilding.sign_out, signed=False, takes=("apikey", "email")
    ),
    Operation(
        "Sign Off", "POST", "/subscriber/signoff", listbuilding.sign_off, signed=False, takes=("apikey", "email")
    ),
    # In no document of the vendor, but seen to answer.
    Operation("Get Account", "GET", "/account", account.get_account),
    Operation("Create Data Field", "POST", "/field", catalogue.create_field, takes=("name", "type")),
    Operation("Update Data Field", "PUT", "/field/{fieldid}", catalogue.update_field, takes=("name",)),
    Operation("Delete Data Field", "DELETE", "/field/{fieldid}", catalogue.delete_field),
    Operation("Create Opt-in Process", "POST", "/list", catalogue.create_opt_in, takes=("name",)),
    Operation("Update Opt-in Process", "PUT", "/list/{listid}", catalogue.update_opt_in, takes=("name",)),
    Operation("Delete Opt-in Process", "DELETE", "/list/{listid}", catalogue.delete_opt_in),
)
