"""Every operation of the service: the vendor's name, where it is called, what carries it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from klicktipp_async.sandbox import account, catalogue, contacts, listbuilding
from klicktipp_async.sandbox.store import Store
from klicktipp_async.sandbox.wire_format import Ask


@attrs.frozen
class Operation:
    """One operation; `signed` ones need a session or a pair of keys."""

    name: str
    method: str
    template: str
    run: Callable[[Store, Ask], object] = attrs.field(repr=False)
    signed: bool = attrs.field(default=True, kw_only=True)


OPERATIONS: Final = (
    Operation("Login", "POST", "/account/login", account.login, signed=False),
    Operation("Logout from API", "POST", "/account/logout", account.logout, signed=False),
    Operation("List Data Fields", "GET", "/field", catalogue.list_fields),
    Operation("Get Data Field", "GET", "/field/{fieldid}", catalogue.get_field),
    Operation("List Opt-in Processes", "GET", "/list", catalogue.list_opt_ins),
    Operation("Get Opt-in Process", "GET", "/list/{listid}", catalogue.get_opt_in),
    Operation("Search Redirect URL", "POST", "/list/redirect", catalogue.redirect_url),
    Operation("List Contacts", "GET", "/subscriber", contacts.list_contacts),
    Operation("Add or Update Contact", "POST", "/subscriber", contacts.upsert),
    Operation("Get Contact", "GET", "/subscriber/{subscriberid}", contacts.get),
    Operation("Update Contact", "PUT", "/subscriber/{subscriberid}", contacts.update),
    Operation("Delete Contact", "DELETE", "/subscriber/{subscriberid}", contacts.delete),
    Operation("Unsubscribe Contact", "POST", "/subscriber/unsubscribe", contacts.unsubscribe),
    Operation("Tag Contact", "POST", "/subscriber/tag", contacts.tag),
    Operation("Untag Contact", "POST", "/subscriber/untag", contacts.untag),
    Operation("Search Contact ID", "POST", "/subscriber/search", contacts.search),
    Operation("Search Tagged Contacts", "POST", "/subscriber/tagged", contacts.tagged),
    Operation("List Tags", "GET", "/tag", catalogue.list_tags),
    Operation("Create Tag", "POST", "/tag", catalogue.create_tag),
    Operation("Get Tag", "GET", "/tag/{tagid}", catalogue.get_tag),
    Operation("Update Tag", "PUT", "/tag/{tagid}", catalogue.update_tag),
    Operation("Delete Tag", "DELETE", "/tag/{tagid}", catalogue.delete_tag),
    Operation("Sign In", "POST", "/subscriber/signin", listbuilding.sign_in, signed=False),
    Operation("Sign Out", "POST", "/subscriber/signout", listbuilding.sign_out, signed=False),
    Operation("Sign Off", "POST", "/subscriber/signoff", listbuilding.sign_off, signed=False),
    # In no document of the vendor, but seen to answer.
    Operation("Get Account", "GET", "/account", account.get_account),
    Operation("Create Data Field", "POST", "/field", catalogue.create_field),
    Operation("Update Data Field", "PUT", "/field/{fieldid}", catalogue.update_field),
    Operation("Delete Data Field", "DELETE", "/field/{fieldid}", catalogue.delete_field),
    Operation("Create Opt-in Process", "POST", "/list", catalogue.create_opt_in),
    Operation("Update Opt-in Process", "PUT", "/list/{listid}", catalogue.update_opt_in),
    Operation("Delete Opt-in Process", "DELETE", "/list/{listid}", catalogue.delete_opt_in),
)
